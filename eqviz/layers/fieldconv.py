"""Steerable convolution, normalisation and non-linearity of fields (arXiv:1911.08251), exact in float64.

The filter is made anew from the weights in every call, so that training and evaluation have one state dict.
Weights start with the variance that keeps that of the activations (arXiv:1502.01852, for any kernels).
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eqviz.errors import ConfigError
from eqviz.layers.fields import FieldKind, FieldType
from eqviz.layers.kernels import kernel_table, kernel_tensor

EPSILON = 1e-5
MOMENTUM = 0.1


class FieldConv(nn.Module):
    """A convolution from one stack of fields to another, "same" padding, without a bias.

    Args:
        in_type, out_type: fields of one group.
        kernel_size: odd.
        powers: mean square per coefficient of each part of what comes in, 1 by default; the weights are born
            such that the output's channels have mean square 1.

    Raises:
        ConfigError: an even size, or output fields that no kernel of that size reaches.
    """

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        kernel_size: int,
        powers: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.in_type, self.out_type, self.kernel_size = in_type, out_type, kernel_size
        self.in_rep, self.out_rep = str(in_type), str(out_type)
        self.weights = nn.ParameterDict()
        for row, (to, n_out) in enumerate(out_type.parts):
            sizes = [len(kernel_table(to, come, kernel_size)) for come, _ in in_type.parts]
            came = powers or (1.0,) * len(sizes)
            power = sum(p * size * n_in for p, size, (_, n_in) in zip(came, sizes, in_type.parts))
            if power == 0:
                raise ConfigError(f"no kernel of {kernel_size} pixels leads from {in_type} to {to.name}")
            for column, (size, (_, n_in)) in enumerate(zip(sizes, in_type.parts)):
                if size:
                    weight = torch.randn(*self.banks, n_out, n_in, size) / sqrt(power)
                    self.weights[f"{row}_{column}"] = nn.Parameter(weight)

    @property
    def banks(self) -> tuple[int, ...]:
        """Leading dimensions of the weights: none here, several filters in relaxed convolutions."""
        return ()

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels of in_type, H, W) to (B, channels of out_type, H, W)."""
        return functional.conv2d(x, self.filter(), padding=self.kernel_size // 2)

    def filter(self) -> Tensor:
        """(out channels, in channels, size, size) as a plain convolution takes it."""
        rows = []
        for row, (to, n_out) in enumerate(self.out_type.parts):
            blocks = [
                self._block(f"{row}_{column}", to, come, (n_out, n_in))
                for column, (come, n_in) in enumerate(self.in_type.parts)
            ]
            rows.append(torch.cat(blocks, 1))
        return torch.cat(rows)

    def _block(self, key: str, to: FieldKind, come: FieldKind, counts: tuple[int, int]) -> Tensor:
        size = self.kernel_size
        shape = (counts[0] * to.channels, counts[1] * come.channels, size, size)
        if key not in self.weights:
            reference = next(iter(self.weights.values()))
            return reference.new_zeros(shape)
        return self.expand(self.weights[key], to, come).reshape(shape)

    def expand(self, weight: Tensor, to: FieldKind, come: FieldKind) -> Tensor:
        """Weights (n_out, n_in, kernels) to (n_out, out channels, n_in, in channels, size, size)."""
        table = kernel_tensor(to, come, self.kernel_size, weight.dtype, weight.device)
        return torch.einsum("oib,bdcyx->odicyx", weight, table)


def n_weights(in_type: FieldType, out_type: FieldType, kernel_size: int) -> int:
    """Weights of a :class:`FieldConv`, without building it."""
    return sum(
        n_out * n_in * len(kernel_table(to, come, kernel_size))
        for to, n_out in out_type.parts
        for come, n_in in in_type.parts
    )


class FieldNorm(nn.Module):
    """Batch normalisation of whole fields: one mean (of the invariant part), variance and scale each.

    Fields without an invariant part, such as vectors, are only scaled (arXiv:1911.08251, section 2.7).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, field_type: FieldType) -> None:
        super().__init__()
        self.field_type = field_type
        self.in_rep = self.out_rep = str(field_type)
        self.weight = nn.Parameter(torch.ones(field_type.n_fields))
        shifted = sum(count for kind, count in field_type.parts if kind.has_mean)
        self.bias = nn.Parameter(torch.zeros(shifted)) if shifted else None
        self.register_buffer("running_mean", torch.zeros(shifted))
        self.register_buffer("running_var", torch.ones(field_type.n_fields))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to the same."""
        if self.training and self._of_one_kind and len(x) > 1:
            return self._fused(x)
        if self.training:
            mean, variance = self._moments(x)
            self._remember(mean, variance)
        else:
            mean, variance = self.running_mean, self.running_var
        scale, shift = self._affine(mean, variance)
        return x * scale[:, None, None] + shift[:, None, None]

    @property
    def _of_one_kind(self) -> bool:
        """Whether all fields have one invariant part and as many channels: plain normalisation, by fields."""
        return len(self.field_type.parts) == 1 and self.field_type.parts[0][0].has_mean

    def _fused(self, x: Tensor) -> Tensor:
        """Training mode in PyTorch's own kernel, with fewer passes over memory: a step is a fifth shorter."""
        n_fields = self.field_type.n_fields
        fields = x.reshape(len(x), n_fields, -1)
        mean, variance = fields.new_zeros(n_fields), fields.new_zeros(n_fields)
        y = functional.batch_norm(fields, mean, variance, self.weight, self.bias, True, 1.0, EPSILON)
        n = fields.numel() / n_fields
        self._remember(mean, variance * ((n - 1) / n))  # PyTorch's is that of n - 1
        return y.reshape(x.shape)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean.to(self.running_mean), MOMENTUM)
        self.running_var.lerp_(variance.to(self.running_var), MOMENTUM)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (channels,) of evaluation mode."""
        return self._affine(self.running_mean, self.running_var)

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        means, variances = [], []
        for kind, count, at in self.field_type.slices():
            part = x[:, at].unflatten(1, (count, kind.channels))
            square = part.square().mean((0, 2, 3, 4))
            if kind.has_mean:
                means.append(part.mean((0, 2, 3, 4)))
                square = (square - means[-1].square()).clamp(min=0)
            variances.append(square)
        return torch.cat(means) if means else x.new_zeros(0), torch.cat(variances)

    def _affine(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = self.weight * torch.rsqrt(variance + EPSILON), []
        spread, seen_mean, seen = [], 0, 0
        for kind, count, _ in self.field_type.slices():
            own = scale[seen : seen + count]
            seen += count
            spread.append(own.repeat_interleave(kind.channels))
            offset = own.new_zeros(count)
            if kind.has_mean and self.bias is not None:
                at = slice(seen_mean, seen_mean + count)
                offset = self.bias[at] - mean[at] * own
                seen_mean += count
            shift.append(offset.repeat_interleave(kind.channels))
        return torch.cat(spread), torch.cat(shift)


class GatedFields(nn.Module):
    """Scalars through a ReLU; every other field times the sigmoid of a scalar of its own, the gate.

    Takes the gates as the last scalars (arXiv:1807.02547, section 4.3). Exact under the whole group.

    Args:
        out_type: scalars first, then irreps.
    """

    def __init__(self, out_type: FieldType) -> None:
        super().__init__()
        (_, count), *vectors = out_type.parts
        self.in_type, self.out_type = gated_input(out_type), out_type
        self.n_scalars, self.n_vectors = count, out_type.channels - count
        index = [np.full(kind.channels, 1) for kind, n in vectors for _ in range(n)]
        spread = np.repeat(np.arange(len(index)), [len(part) for part in index])
        self.register_buffer("spread", torch.from_numpy(spread), persistent=False)

    spread: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels of in_type, H, W) to (B, channels of out_type, H, W)."""
        scalar, vector, gate = x.split(
            [self.n_scalars, self.n_vectors, x.shape[1] - self.n_scalars - self.n_vectors], dim=1
        )
        return torch.cat([scalar.relu(), vector * gate.sigmoid()[:, self.spread]], dim=1)


def gated_input(out_type: FieldType) -> FieldType:
    """``out_type``, scalars and irreps, with one more scalar for each irrep: its gate."""
    (scalar, _), *vectors = out_type.parts
    return FieldType((*out_type.parts, (scalar, sum(count for _, count in vectors))))


def activation_powers(field_type: FieldType) -> tuple[float, ...]:
    """Mean square per coefficient of each part after the non-linearity, for normal channels of variance 1."""
    return tuple(relu_power(kind) if kind.pointwise else GATE_POWER for kind, _ in field_type.parts)


GATE_POWER = 0.2934  # mean of sigmoid(g)^2 for normal g


@lru_cache(maxsize=64)
def relu_power(kind: FieldKind) -> float:
    """Of a ReLU: one half where every channel is a coefficient; samples lose what leaves the band."""
    size, channels = kind.reader.shape
    coefficients = np.random.default_rng(0).normal(size=(4096, size)) * sqrt(channels / size)
    kept = np.maximum(coefficients @ kind.reader, 0) @ kind.reader.T
    return float((kept**2).mean())
