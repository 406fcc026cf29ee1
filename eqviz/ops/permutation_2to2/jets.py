"""Sums over the nodes of each jet, and their opposite; each is the gradient of the other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eqviz.ops.permutation_2to2.layout import MirrorPairs, gathered_sum


def sum_jets(values: Tensor, pairs: MirrorPairs) -> Tensor:
    """(n, C) -> (B, C), zero for a jet without nodes."""
    return _Sum.apply(values, pairs)


def spread_jets(values: Tensor, pairs: MirrorPairs) -> Tensor:
    """(B, C) -> (n, C): every node gets the row of its jet."""
    return _Spread.apply(values, pairs)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, pairs: MirrorPairs) -> Tensor:
        ctx.pairs = pairs
        if not len(values):
            return values.new_zeros(pairs.n_jets, values.shape[1])
        return gathered_sum(values.contiguous(), pairs.nodes, pairs.jet_start)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Spread.apply(grad, ctx.pairs), None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, pairs: MirrorPairs) -> Tensor:
        ctx.pairs = pairs
        return values.index_select(0, pairs.jet)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Sum.apply(grad, ctx.pairs), None
