"""A linear layer and batch normalisation over pairs, at the cost of a layer over nodes.

An affine map of [h_i, h_j, s_ij] is u_i + v_j + W_s s_ij + b. Normalising it over all real pairs needs the
mean and variance of each channel, and both follow from the mean and covariance of the inputs, which split
into sums over nodes. So statistics over N^2 pairs cost matrix products over N nodes, and the normalisation
itself is folded into the weights, in training as in evaluation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from eqviz.layers.scalar import running_statistics
from eqviz.ops.pairs import PairLayout

MOMENTUM = 0.1  # of the running statistics, PyTorch's default


class PairInputs(NamedTuple):
    """u (n, C), v (n, C) and W_s (C, F): the first linear layer of a message, normalised."""

    receiver: Tensor
    sender: Tensor
    features: Tensor


class EdgeLinearNorm(nn.Module):
    """Linear(2 H + F -> C, no bias) and BatchNorm(C) over all ordered pairs of different nodes.

    Args:
        hidden: H, the width of node features.
        features: F, the number of pair features; they must be symmetric, s_ij = s_ji.
        out: C.
    """

    in_rep = "scalar x scalar"
    out_rep = "scalar x scalar"

    def __init__(self, hidden: int, features: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * hidden + features, out, bias=False)
        self.norm = nn.BatchNorm1d(out, momentum=MOMENTUM)
        self.hidden = hidden

    def forward(self, nodes: Tensor, features: Tensor, layout: PairLayout) -> PairInputs:
        """The terms of the normalised layer from node features (n, H) and pair features (P, F)."""
        weight, norm = self.linear.weight, self.norm
        mean, variance = running_statistics(norm)
        if self.training:
            moments = pair_moments(nodes, features, layout)
            if moments is not None:
                mean, variance = self._statistics(*moments)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        weight = weight * scale[:, None]
        receiver, sender, pair = weight.split([self.hidden, self.hidden, features.shape[1]], dim=1)
        shift = norm.bias - scale * mean
        return PairInputs(torch.addmm(shift, nodes, receiver.T), nodes @ sender.T, pair)

    def _statistics(self, mean: Tensor, covariance: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Mean and variance of every channel; also moves the running statistics, as BatchNorm1d does."""
        weight, norm = self.linear.weight.to(mean.dtype), self.norm
        channel_mean = weight @ mean
        channel_variance = ((weight @ covariance) * weight).sum(1)
        with torch.no_grad():
            running_mean, running_var = running_statistics(norm)
            unbiased = channel_variance * (count / max(count - 1, 1))
            running_mean.lerp_(channel_mean.to(running_mean.dtype), MOMENTUM)
            running_var.lerp_(unbiased.to(running_var.dtype), MOMENTUM)
        return channel_mean.to(self.linear.weight.dtype), channel_variance.to(self.linear.weight.dtype)


def pair_moments(nodes: Tensor, features: Tensor, layout: PairLayout) -> tuple[Tensor, Tensor, int] | None:
    """Mean and covariance of [h_i, h_j, s_ij] over all pairs i != j of real nodes, in float64.

    Args:
        nodes: (n, H).
        features: (P, F), symmetric under i <-> j, 0 where ``layout.pair_mask`` is False.
        layout: where the pairs are.

    Returns:
        (2H + F,), (2H + F, 2H + F) and the number of pairs; None where there is no pair.
    """
    h = nodes.double()
    degree, count = layout.degree[:, None], layout.count
    if count == 0:
        return None
    sums, square = _FeatureSums.apply(features, layout)
    received = layout.to_nodes(sums)
    h_mean, s_mean = (degree * h).sum(0) / count, received.sum(0) / count
    h = h - h_mean
    totals = _jet_totals(h, layout)
    received = received - degree * s_mean
    same = (degree * h).T @ h
    crossed = totals.T @ totals - h.T @ h
    mixed = h.T @ received
    square = square - count * torch.outer(s_mean, s_mean)
    rows = [
        torch.cat([same, crossed, mixed], 1),
        torch.cat([crossed, same, mixed], 1),
        torch.cat([mixed.T, mixed.T, square], 1),
    ]
    return torch.cat([h_mean, h_mean, s_mean]), torch.cat(rows) / count, count


class _FeatureSums(torch.autograd.Function):
    """Sums of s over senders, (S, F), and of s s^T over all pairs, (F, F), in float64."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, layout: PairLayout) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(s)
        ctx.layout = layout
        s = s.double()
        sums = s.new_empty(layout.n_slots, s.shape[1])
        for tile in layout.tiles:
            torch.sum(tile.pairs(s), 2, out=tile.slots(sums))
        return sums, s.T @ s

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_sums: Tensor, d_square: Tensor) -> tuple[Tensor, None]:
        (s,) = ctx.saved_tensors
        layout = ctx.layout
        out = torch.mm((d_square + d_square.T).to(s.dtype), s.T).T
        d_sums = d_sums.to(s.dtype)
        for tile in layout.tiles:
            tile.pairs(out).add_(tile.slots(d_sums).unsqueeze(2))
        return out, None


def _jet_totals(h: Tensor, layout: PairLayout) -> Tensor:
    """Sum of node features over each jet that has nodes, (J, H)."""
    return h.new_zeros(len(layout.sizes), h.shape[1]).index_add(0, layout.jet_of_node, h)
