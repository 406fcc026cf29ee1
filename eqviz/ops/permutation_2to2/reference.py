"""The contract written down: every map as a pair tensor, summed one by one."""

from __future__ import annotations

import torch
from torch import Tensor

from eqviz.ops.permutation_2to2.layout import MirrorPairs
from eqviz.ops.permutation_2to2.weights import PairStatistics, Spread


def aggregate_reference(x: Tensor, pairs: MirrorPairs) -> tuple[Tensor, Tensor, Tensor]:
    """Row sums, column sums and diagonal, (n, C) each."""
    i, j = pairs.ends
    diagonal = i == j
    once = torch.where(diagonal, 0.5, 1.0).to(x)[:, None] * x
    zero = x.new_zeros(pairs.n_nodes, x.shape[1])
    sums = zero.index_add(0, i, once), zero.index_add(0, j, once)
    return *sums, zero.index_add(0, i, once * diagonal[:, None])


def exchanged(x: Tensor, pairs: MirrorPairs) -> Tensor:
    """x_ji in the place of x_ij, (R, C)."""
    parts = [half for block in pairs.blocks for half in reversed(block.halves(x))]
    return torch.cat([x.new_zeros(0, x.shape[1]), *parts])


def mix_reference(
    x: Tensor, even: Tensor, odd: Tensor, spread: Spread, pairs: MirrorPairs, slope: float = 1.0
) -> Tensor:
    """leaky(W_1 x_ij + W_2 x_ji + u_i + v_j + delta_ij D_i) with even, odd = (W_1 +- W_2) / 2."""
    i, j = pairs.ends
    z = x @ (even + odd).T + exchanged(x, pairs) @ (even - odd).T
    z = z + spread.receiver[i] + spread.sender[j] + spread.diagonal[i] * (i == j)[:, None]
    return torch.nn.functional.leaky_relu(z, slope)


def message_reference(
    x: Tensor, weight: Tensor, bias: Tensor, pairs: MirrorPairs, slope: float, shift: Tensor
) -> tuple[Tensor, PairStatistics]:
    """a = leaky(W x + b), its aggregates, and the sum of (a - shift)^2 over all ordered pairs."""
    a = torch.nn.functional.leaky_relu(x @ weight.T + bias, slope)
    rows, columns, diagonal = aggregate_reference(a, pairs)
    square = (a - shift).square().sum(0) - (diagonal - shift).square().sum(0)
    return a, PairStatistics(rows, columns, diagonal, square)
