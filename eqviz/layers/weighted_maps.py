"""Maps between pair features in which every particle counts with its share of the jet (IRC safety).

Features x_ij are functions of directions, and shares z_i add up under collinear splitting. Then the maps

    x_ij, x_ji, x_ii, x_jj, r_i, r_j, c_i, c_j, t, s     with r_i = sum_j z_j x_ij, c_i = sum_j z_j x_ji,
    t = sum_i z_i x_ii, s = sum_ij z_i z_j x_ij

see neither how a momentum is split among collinear particles nor a particle of vanishing share. The five
maps that write on the diagonal do: after a splitting, entries between the two halves lie off it. So do powers
of N, and batch normalisation unless pairs count with their shares.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn

from eqviz.layers.pair_norm import MOMENTUM
from eqviz.layers.scalar import running_statistics
from eqviz.ops.permutation_2to2 import MirrorPairs, Spread, pair_aggregate, pair_mix, spread_jets, sum_jets

N_MAPS = 10


class WeightedMeans(NamedTuple):
    """x_ii, r_i and c_i (n, C), t and s (B, C) of the module."""

    diagonal: Tensor
    rows: Tensor
    columns: Tensor
    trace: Tensor
    total: Tensor


def weighted_means(x: Tensor, share: Tensor, pairs: MirrorPairs) -> WeightedMeans:
    """Means of a pair tensor (R, C) with the shares (n,) of particles."""
    receiver, sender = (share[index][:, None] for index in pairs.ends)
    rows, _, _ = pair_aggregate(x * sender, pairs)
    _, columns, _ = pair_aggregate(x * receiver, pairs)
    diagonal = pair_aggregate(x, pairs)[2]
    trace, total = (sum_jets(value * share[:, None], pairs) for value in (diagonal, rows))
    return WeightedMeans(diagonal, rows, columns, trace, total)


class WeightedMixing(nn.Module):
    """The ten maps mixed from C to O channels, then a leaky rectifier."""

    in_rep = out_rep = "order-2 tensor"

    def __init__(self, channels: int, out: int, slope: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(N_MAPS, channels, out) / sqrt(N_MAPS * channels / 2))
        self.bias = nn.Parameter(torch.zeros(out))
        self.slope = slope

    def forward(self, x: Tensor, share: Tensor, pairs: MirrorPairs) -> Tensor:
        """(R, C) -> (R, O)."""
        mean, w = weighted_means(x, share, pairs), self.weight
        nodes = torch.cat([mean.diagonal, mean.rows, mean.columns], 1)
        everywhere = mean.trace @ w[8] + mean.total @ w[9] + self.bias
        receiver = nodes @ w[2:5].flatten(0, 1) + spread_jets(everywhere, pairs)
        sender = nodes @ w[5:8].flatten(0, 1)
        spread = Spread(receiver, sender, torch.zeros_like(sender))
        return pair_mix(x, (w[0] + w[1]).T / 2, (w[0] - w[1]).T / 2, spread, pairs, self.slope)


class WeightedNorm(nn.BatchNorm1d):
    """Batch normalisation of (R, C) in which the pair (i, j) counts z_i z_j and every jet the same."""

    in_rep = out_rep = "order-2 tensor"

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=MOMENTUM)

    def forward(self, x: Tensor, share: Tensor, pairs: MirrorPairs) -> Tensor:  # type: ignore[override]
        """(R, C) -> (R, C); a batch without pairs uses the running statistics."""
        mean, variance = running_statistics(self)
        if self.training and pairs.count:
            i, j = pairs.ends
            weight = share[i] * share[j] * torch.where(i == j, 0.5, 1.0).to(x)  # (i, i) has two rows
            weight = (weight / weight.sum())[:, None]
            mean = (weight * x).sum(0)
            variance = (weight * (x - mean).square()).sum(0)
            with torch.no_grad():
                for running, new in zip(running_statistics(self), (mean, variance)):
                    running.lerp_(new, MOMENTUM)
        return (x - mean) * (self.weight * torch.rsqrt(variance + self.eps)) + self.bias
