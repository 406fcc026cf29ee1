"""PELICAN's input encoding: products over many decades become channels of order one (arXiv:2307.16506)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# Smallest exponent: at 0 the power becomes a logarithm.
EXPONENT_FLOOR = 1e-6


def signed_power(x: Tensor, exponent: Tensor) -> Tensor:
    """sign(x) ((1 + |x|)^a - 1) / a for a > 0, slope 1 at x = 0; a is broadcast along the rows of x."""
    return _SignedPower.apply(x, exponent)


class _SignedPower(torch.autograd.Function):
    # By hand: autograd through sign and abs says that the slope at 0 is 0, where light-like particles sit.
    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor) -> Tensor:
        size = x.abs()
        growth = size.log1p().mul_(a).expm1_()
        ctx.save_for_backward(x, a, growth)
        return torch.copysign(growth / a, x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, a, growth = ctx.saved_tensors
        size = x.abs()
        power = growth + 1
        to_x = grad * power / (1 + size)
        to_a = torch.copysign((power * size.log1p_() - growth / a) / a, x)
        return to_x, (grad * to_a).sum(0)


class PairEncoding(nn.Module):
    """d (T,) in GeV^2 -> (T, C): signed_power(w d + b, 1e-6 + alpha^2), all learned for each channel."""

    in_rep = out_rep = "order-2 tensor"

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.alpha = nn.Parameter(torch.linspace(0.05, 0.5, channels))

    def forward(self, d: Tensor) -> Tensor:
        """(T,) -> (T, C)."""
        return encode(d, self.weight, self.bias, self.alpha)


def encode(d: Tensor, weight: Tensor, bias: Tensor, alpha: Tensor) -> Tensor:
    """The encoding of d (T,) with the given parameters (C,)."""
    return signed_power(torch.addcmul(bias, d[:, None], weight), EXPONENT_FLOOR + alpha.square())
