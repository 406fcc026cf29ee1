"""PELICAN's learned maps between jets, particles and pairs (arXiv:2307.16506, section 3 and appendix).

Means instead of sums, each times (N / 49)^alpha with a learned alpha: how a network depends on multiplicity.
Affine normalisations of the input are taken into the weights.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn

from eqviz.layers.pair_norm import Affine
from eqviz.ops.permutation_2to2 import MirrorPairs, PairStatistics, Spread, spread_jets, sum_jets

TYPICAL = 49  # constituents of a top jet: where the learned powers of N are 1
N_MAPS = 15
# Positions in the published order: x_ij, x_ji, delta d_i, d_j, d_i, delta c_i, c_j, c_i, delta r_i, r_j, r_i,
# t, delta t, s, delta s, with d diagonal, c column mean, r row mean, t mean trace, s mean of all.
RECEIVER, SENDER, DIAGONAL = (4, 7, 10), (3, 6, 9), (2, 5, 8)
EVERYWHERE, ON_DIAGONAL = (11, 13), (12, 14)
Parts = tuple[Tensor, ...]
FIRST_SCALED = 5  # maps from here on carry a power of N


class Means(NamedTuple):
    """Diagonal, column and row means of a pair tensor (n, C), mean trace and mean of all entries (B, C)."""

    diagonal: Tensor
    columns: Tensor
    rows: Tensor
    trace: Tensor
    total: Tensor


def means(found: PairStatistics, norm: Affine, pairs: MirrorPairs) -> Means:
    """The means of the normalised pair tensor; 0 for a jet without particles."""
    per_jet = pairs.lengths.to(found.rows.dtype)[:, None]
    per_node = spread_jets(per_jet, pairs)
    size, filled = per_jet.clamp(min=1), (per_jet > 0).to(per_jet.dtype)
    trace = sum_jets(found.diagonal, pairs) / size
    total = sum_jets(found.rows, pairs) / size.square()
    node_values = (found.diagonal, found.columns / per_node, found.rows / per_node)
    jet_values = (torch.addcmul(norm.offset, value, norm.scale) * filled for value in (trace, total))
    return Means(*(torch.addcmul(norm.offset, value, norm.scale) for value in node_values), *jet_values)


def powers(pairs: MirrorPairs, exponents: Tensor) -> Tensor:
    """(N / 49)^alpha, (B, ...) for exponents (...)."""
    size = (pairs.lengths.clamp(min=1).to(exponents.dtype) / TYPICAL).log()
    return torch.exp(size.view(-1, *[1] * exponents.dim()) * exponents)


class PairMixing(nn.Module):
    """Eq 2->2: the 15 maps mixed from C to O channels, with weights A_cb C_co + B_ob D_co for map b.

    It gives what :func:`eqviz.ops.permutation_2to2.mix_message` needs.
    """

    in_rep = out_rep = "order-2 tensor"

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.maps_in = nn.Parameter(torch.randn(channels, N_MAPS))
        self.maps_out = nn.Parameter(torch.randn(out, N_MAPS))
        self.mix_in = nn.Parameter(torch.randn(channels, out) / sqrt(N_MAPS * channels))
        self.mix_out = nn.Parameter(torch.randn(channels, out) / sqrt(N_MAPS * channels))
        self.bias = nn.Parameter(torch.zeros(out))
        self.diagonal_bias = nn.Parameter(torch.zeros(out))
        self.exponents = nn.Parameter(torch.rand(channels, N_MAPS - FIRST_SCALED))

    def weights(self) -> Tensor:
        """(15, C, O)."""
        first = self.maps_in.T[:, :, None] * self.mix_in
        return torch.addcmul(first, self.maps_out.T[:, None], self.mix_out)

    def forward(
        self, found: PairStatistics, norm: Affine, pairs: MirrorPairs
    ) -> tuple[Tensor, Tensor, Spread]:
        """Even and odd weights (O, C) and node values, from the aggregates of a and its normalisation."""
        # taken apart once: the gradient is then put together once, not map by map
        weights, powers_of_n = self.weights().unbind(0), powers(pairs, self.exponents.T)
        mean = means(found, norm, pairs)
        scaled = spread_jets(powers_of_n[:, : EVERYWHERE[0] - FIRST_SCALED].flatten(1), pairs)
        scaled = scaled.unflatten(1, (EVERYWHERE[0] - FIRST_SCALED, -1)).unbind(1)
        scale = powers_of_n.unbind(1)
        at = [self._at_nodes(mean, scaled, weights, maps) for maps in (RECEIVER, SENDER, DIAGONAL)]
        everywhere = self._of_jets(mean, scale, weights, EVERYWHERE)
        constant = self.bias + norm.offset @ (weights[0] + weights[1])
        receiver = at[0] + spread_jets(everywhere + constant, pairs)
        diagonal = self._of_jets(mean, scale, weights, ON_DIAGONAL) + self.diagonal_bias
        spread = Spread(receiver, at[1], at[2] + spread_jets(diagonal, pairs))
        even, odd = (weights[0] + weights[1]) / 2, (weights[0] - weights[1]) / 2
        return (even * norm.scale[:, None]).T, (odd * norm.scale[:, None]).T, spread

    @staticmethod
    def _at_nodes(mean: Means, scaled: Parts, weights: Parts, maps: tuple[int, int, int]) -> Tensor:
        own, column, row = maps
        columns = mean.columns * scaled[column - FIRST_SCALED]
        rows = mean.rows * scaled[row - FIRST_SCALED]
        inputs = torch.cat([mean.diagonal, columns, rows], 1)
        return inputs @ torch.cat([weights[own], weights[column], weights[row]])

    @staticmethod
    def _of_jets(mean: Means, scale: Parts, weights: Parts, maps: tuple[int, int]) -> Tensor:
        trace = mean.trace * scale[maps[0] - FIRST_SCALED]
        total = mean.total * scale[maps[1] - FIRST_SCALED]
        return trace @ weights[maps[0]] + total @ weights[maps[1]]


class NodesToPairs(nn.Module):
    """Eq 1->2: x (n, S) -> u, v, D of L pair channels, from delta x_i, x_j, x_i, delta mean, mean."""

    in_rep = "order-1 tensor"
    out_rep = "order-2 tensor"

    def __init__(self, scalars: int, channels: int) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.randn(scalars, channels, 5) / sqrt(5 * scalars))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.exponents = nn.Parameter(torch.zeros(scalars, 5))

    def forward(self, x: Tensor, pairs: MirrorPairs) -> Spread:
        """Node values (n, L) that :func:`eqviz.ops.permutation_2to2.pair_mix` spreads over pairs."""
        scale = powers(pairs, self.exponents.T)
        mean = spread_jets(sum_jets(x, pairs) / pairs.lengths.clamp(min=1).to(x.dtype)[:, None], pairs)
        inputs = (x, x, x, mean, mean)
        parts = [
            (value * spread_jets(scale[:, k], pairs)) @ self.coefficients[:, :, k]
            for k, value in enumerate(inputs)
        ]
        return Spread(parts[2] + parts[4] + self.bias, parts[1], parts[0] + parts[3])


class PairsToJet(nn.Module):
    """Eq 2->0: mean of all entries and mean trace, rectified, then mixed to O channels (B, O)."""

    in_rep = "order-2 tensor"
    out_rep = "order-0 tensor"

    def __init__(self, channels: int, out: int, slope: float) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.randn(channels, out, 2) / sqrt(channels))
        self.bias = nn.Parameter(torch.zeros(out))
        self.exponents = nn.Parameter(torch.zeros(channels, 2))
        self.slope = slope

    def forward(self, found: PairStatistics, norm: Affine, pairs: MirrorPairs) -> Tensor:
        """(B, O) from the aggregates of a pair tensor and its normalisation."""
        mean = means(found, norm, pairs)
        inputs = torch.stack([mean.total, mean.trace], 2) * powers(pairs, self.exponents)
        rectified = torch.nn.functional.leaky_relu(inputs, self.slope)
        return rectified.flatten(1) @ self.coefficients.transpose(1, 2).flatten(0, 1) + self.bias


class PairsToNodes(nn.Module):
    """Eq 2->1: diagonal, row and column mean, mean trace and mean of all, mixed to O channels (n, O)."""

    in_rep = "order-2 tensor"
    out_rep = "order-1 tensor"

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.randn(5, channels, out) / sqrt(5 * channels))
        self.bias = nn.Parameter(torch.zeros(out))
        self.exponents = nn.Parameter(torch.zeros(4, channels))

    def forward(self, found: PairStatistics, norm: Affine, pairs: MirrorPairs) -> Tensor:
        """(n, O) from the aggregates of a pair tensor and its normalisation."""
        mean = means(found, norm, pairs)
        scale = powers(pairs, self.exponents)
        nodes = (mean.rows * spread_jets(scale[:, 0], pairs), mean.columns * spread_jets(scale[:, 1], pairs))
        jets = (mean.trace * scale[:, 2], mean.total * scale[:, 3])
        inputs = torch.cat([mean.diagonal, *nodes, *(spread_jets(value, pairs) for value in jets)], 1)
        return inputs @ self.coefficients.flatten(0, 1) + self.bias
