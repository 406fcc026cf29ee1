"""Circular harmonic convolutions (arXiv:1612.04642): complex fields of rotation orders, filters with a phase.

The filter from order m to order n is W(r, phi) = R(r) exp(i ((n - m) phi + beta)), with learned profile R and
phase beta. A field of order m turns by exp(i m angle) when the image turns by an angle.
"""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from itertools import pairwise
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eqviz.errors import ConfigError
from eqviz.layers.fields import FieldKind, FieldType, scalars
from eqviz.layers.kernels import pixel_grid, ring_profile, rings
from eqviz.layers.plain_stack import (
    LayerPlan,
    LayerStack,
    as_conv2d,
    make_pool,
)

EPSILON = 1e-5
MOMENTUM = 0.1
GROUP = "SO(2)"
HOST = (torch.float64, torch.device("cpu"))


def complex_type(orders: int, count: int) -> FieldType:
    """``count`` complex fields of each order 0 .. orders - 1: (re, im) is a vector of that frequency."""
    if orders < 1 or count < 1:
        raise ConfigError(f"expected one or more orders and fields, got {orders} and {count}")
    parts = [(FieldKind(GROUP, "trivial"), 2 * count)]
    parts += [(FieldKind(GROUP, f"irrep {m}"), count) for m in range(1, orders)]
    return FieldType(tuple(parts))


@lru_cache(maxsize=64)
def ring_tensor(k: int, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(rings, 2, size, size): real and imaginary part of ring times exp(i k phi), each of unit energy.

    Rings on which |k| cannot be told from a lower frequency are left out.
    """
    x, y = pixel_grid(size)
    r, phi, found = np.hypot(x, y), np.arctan2(y, x), []
    for radius, sigma, top in rings(size):
        if abs(k) > top:
            continue
        ring = np.where((r > 1e-9) | (k == 0), ring_profile(radius, sigma, r), 0.0)
        ring = ring / np.linalg.norm(ring)
        found.append([ring * np.cos(k * phi), ring * np.sin(k * phi)])
    if not found:
        raise ConfigError(f"a kernel of {size} pixels is too small for angular frequency {k}")
    return torch.tensor(np.array(found), dtype=dtype, device=device)


class HarmonicConv(nn.Module):
    """Complex convolution from fields of some orders to fields of some orders, "same" padding.

    Channels are (order, field, re or im).

    Args:
        in_fields, out_fields: number of complex fields of each order 0, 1, ...
        kernel_size: odd.
        real: the input is an image: order 0 only, without imaginary parts.
    """

    def __init__(
        self,
        in_fields: tuple[int, ...],
        out_fields: tuple[int, ...],
        kernel_size: int,
        real: bool = False,
    ) -> None:
        super().__init__()
        self.in_fields, self.out_fields, self.kernel_size, self.real = (
            in_fields,
            out_fields,
            kernel_size,
            real,
        )
        self.profile, self.phase = nn.ParameterDict(), nn.ParameterDict()
        for n, n_out in enumerate(out_fields):
            made = {
                m: ring_tensor(n - m, kernel_size, torch.float64, torch.device("cpu")) for m in self.orders
            }
            terms = sum(len(t) * in_fields[m] for m, t in made.items())
            for m, table in made.items():
                weight = torch.randn(n_out, in_fields[m], len(table)) / sqrt(terms)
                self.profile[f"{n}_{m}"] = nn.Parameter(weight)
                self.phase[f"{n}_{m}"] = nn.Parameter(2 * torch.pi * torch.rand(n_out, in_fields[m]))

    @property
    def orders(self) -> range:
        """Rotation orders of the input."""
        return range(len(self.in_fields))

    def forward(self, x: Tensor) -> Tensor:
        """(B, input channels, H, W) to (B, output channels, H, W)."""
        return functional.conv2d(x, self.filter(), padding=self.kernel_size // 2)

    def filter(self) -> Tensor:
        """(out channels, in channels, size, size) real filter of the complex product."""
        rows = [torch.cat([self._block(n, m) for m in self.orders], 1) for n in range(len(self.out_fields))]
        return torch.cat(rows)

    def complex_filter(self, n: int, m: int) -> tuple[Tensor, Tensor]:
        """Real and imaginary part (out fields, in fields, size, size) of the filter from order m to n."""
        profile, phase = self.profile[f"{n}_{m}"], self.phase[f"{n}_{m}"]
        table = ring_tensor(n - m, self.kernel_size, profile.dtype, profile.device)
        real, imaginary = torch.einsum("oir,rpyx->poiyx", profile, table)
        cos, sin = phase.cos()[..., None, None], phase.sin()[..., None, None]
        return cos * real - sin * imaginary, cos * imaginary + sin * real

    def _block(self, n: int, m: int) -> Tensor:
        real, imaginary = self.complex_filter(n, m)
        if self.real:
            return torch.stack([real, imaginary], 1).flatten(0, 1)
        upper, lower = torch.stack([real, -imaginary], 2), torch.stack([imaginary, real], 2)
        return torch.stack([upper, lower], 1).flatten(2, 3).flatten(0, 1)


class MagnitudeNorm(nn.Module):
    """Batch normalisation of complex fields: each is divided by its root mean square; phases stay."""

    running_square: Tensor

    def __init__(self, n_fields: int) -> None:
        super().__init__()
        self.register_buffer("running_square", torch.ones(n_fields))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 fields, H, W) to the same."""
        square = self.running_square
        if self.training:
            square = x.unflatten(1, (-1, 2)).square().sum(2).mean((0, 2, 3))
            with torch.no_grad():
                self.running_square.lerp_(square.to(self.running_square), MOMENTUM)
        return x * self._scale(square)[:, None, None]

    def scale(self) -> Tensor:
        """(channels,) factors of evaluation mode."""
        return self._scale(self.running_square)

    def _scale(self, square: Tensor) -> Tensor:
        return torch.rsqrt(square + EPSILON).repeat_interleave(2)


class MagnitudeReLU(nn.Module):
    """z -> ReLU(|z| + b) z / |z|, the paper's C-ReLU, with one learned b per field."""

    # Nothing is cut before training: a few bright pixels make the mean square of a calorimeter image, and a
    # threshold in its units silences all others for good (b = -0.5 cost 0.1 in AUC).
    START = 0.01

    def __init__(self, n_fields: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.full((n_fields,), self.START))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 fields, H, W) to the same."""
        z = x.unflatten(1, (-1, 2))
        # far above rounding, so that the phase of a vanishing field does not matter
        length = (z.square().sum(2, keepdim=True) + 1e-4).sqrt()
        return (z * ((length + self.bias[:, None, None, None]).relu() / length)).flatten(1, 2)


class HarmonicLayer(nn.Module):
    """Harmonic convolution, normalisation, C-ReLU and average pooling.

    Args:
        in_fields, out_fields: number of complex fields of each order.
        step: kernel size and pooling.
        real: the input is an image.
    """

    def __init__(
        self, in_fields: tuple[int, ...], out_fields: tuple[int, ...], step: LayerPlan, real: bool
    ) -> None:
        super().__init__()
        self.conv = HarmonicConv(in_fields, out_fields, step.kernel_size, real)
        self.norm, self.act = MagnitudeNorm(sum(out_fields)), MagnitudeReLU(sum(out_fields))
        self.pool = make_pool(step.window, False)
        self.out_type = complex_type(len(out_fields), out_fields[0])

    def forward(self, x: Tensor) -> Tensor:
        """(B, input channels, H, W) to (B, output channels, H', W')."""
        return self.pool(self.act(self.norm(self.conv(x))))

    def calibrate(self, x: Tensor) -> Tensor:
        """Scale the profiles so that fields of every order leave the convolution with mean |z|^2 = 1."""
        parts = list(self.conv(x).split([2 * count for count in self.conv.out_fields], 1))
        for n, part in enumerate(parts):
            size = (2 * part.square().mean()).sqrt().clamp(min=1e-6)
            part /= size
            for m in self.conv.orders:
                self.conv.profile[f"{n}_{m}"] /= size
        return self.pool(self.act(torch.cat(parts, 1)))

    def export(self) -> nn.Sequential:
        """The same in evaluation mode with a plain convolution; a copy."""
        with torch.no_grad():
            weight = self.conv.filter() * self.norm.scale()[:, None, None, None]
            conv = as_conv2d(weight, weight.new_zeros(len(weight)))
        return nn.Sequential(conv, deepcopy(self.act), deepcopy(self.pool))


class HarmonicStack(LayerStack):
    """Harmonic layers one after the other; then the averages of all magnitudes over the image.

    Args:
        in_channels: channels of the image.
        orders: rotation orders 0 .. orders - 1 of the hidden fields.
        plan: complex fields of each order, kernel sizes and pooling.
    """

    def __init__(self, in_channels: int, orders: int, plan: list[LayerPlan]) -> None:
        super().__init__()
        self.in_type = scalars(GROUP, in_channels)
        fields = [(in_channels,), *((step.width,) * orders for step in plan)]
        self.layers = nn.ModuleList(
            HarmonicLayer(*pair, step, real=index == 0)
            for index, (pair, step) in enumerate(zip(pairwise(fields), plan))
        )
        self.n_features = sum(fields[-1])
        self.pool = MagnitudePool()
        self._calibrate(in_channels)


class MagnitudePool(nn.Module):
    """Complex fields (B, 2 fields, H, W) to the averages of their magnitudes (B, fields)."""

    def forward(self, x: Tensor) -> Tensor:
        """The invariants of every field."""
        return (x.unflatten(1, (-1, 2)).square().sum(2) + 1e-12).sqrt().mean((2, 3))
