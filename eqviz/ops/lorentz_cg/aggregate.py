"""Bell-weighted sums tile by tile: two small matrix products per jet and channel, nothing kept per pair."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eqviz.ops.lorentz_cg.scratch import scratch
from eqviz.ops.pairs import PairLayout, Tile


def aggregate_tiled(
    x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, layout: PairLayout, n_plain: int
) -> tuple[Tensor, Tensor]:
    """As :func:`eqviz.ops.lorentz_cg.bell_aggregate`."""
    mask = layout.pair_mask
    # 1 / (inf + c^2 0) = 0: excluded pairs need no second pass
    one = torch.where(mask, 1.0, torch.inf).to(norm)
    terms = torch.stack([torch.where(mask, norm, 0), one])
    return _Aggregate.apply(x, terms, decay, weights, layout, n_plain)


class _Aggregate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, terms: Tensor, decay: Tensor, weights: Tensor, layout: PairLayout, n_plain: int
    ) -> Any:
        ctx.layout, ctx.n_plain = layout, n_plain
        ctx.save_for_backward(x, terms, decay, weights)
        bells = _Bells(terms, decay, weights, layout)
        plain, weighted = torch.zeros_like(x[:n_plain]), torch.zeros_like(x)
        for tile in layout.tiles:
            first, second = bells.functions(tile)
            sender = _gathered("sender", x, tile)
            sums = scratch("sums", x, *sender.shape)
            _scatter(torch.bmm(sender, second, out=sums), weighted, tile)
            _scatter(sender[:, :n_plain] @ first, plain, tile)
        return plain, weighted

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_plain: Tensor, d_weighted: Tensor) -> Any:
        x, terms, decay, weights = ctx.saved_tensors
        n_plain = ctx.n_plain
        bells = _Bells(terms, decay, weights, ctx.layout, gradients=True)
        d_x = torch.zeros_like(x)
        for tile in ctx.layout.tiles:
            first, second = bells.functions(tile)
            sender = _gathered("sender", x, tile).transpose(1, 2)
            to_plain, to_weighted = (
                _gathered("to_plain", d_plain, tile),
                _gathered("to_weighted", d_weighted, tile),
            )
            back = torch.bmm(
                to_weighted, second, out=scratch("sums", x, *to_weighted.shape)
            )  # the functions are symmetric in each pair
            back[:, :n_plain].baddbmm_(to_plain, first)
            _scatter(back, d_x, tile)
            torch.bmm(sender[..., :n_plain], to_plain, out=first)
            torch.bmm(sender, to_weighted, out=second)
            bells.backward(tile)
        return d_x, None, *bells.gradients(), None, None


class _Bells:
    """Scratch memory for the largest tile, and the functions f on one tile."""

    def __init__(
        self, terms: Tensor, decay: Tensor, weights: Tensor, layout: PairLayout, gradients: bool = False
    ) -> None:
        # the constant is a bell with c = 0
        self.norm, self.one = terms
        self.decay = torch.cat([decay, decay.new_zeros(1)])[:, None]
        self.weights = weights.reshape(-1, weights.shape[-1])
        self.channels = weights.shape[1]
        largest = max((tile.jets * tile.size**2 for tile in layout.tiles), default=0)
        rows = len(self.decay), len(self.weights), len(self.decay) if gradients else 0
        names = ("bells", "functions", "d_bells")
        self.scratch = [scratch(name, terms, count * largest) for name, count in zip(names, rows)]
        self.d_decay, self.d_weights = torch.zeros_like(self.decay), torch.zeros_like(self.weights)

    def _rows(self, index: int, count: int, tile: Tile) -> Tensor:
        size = tile.jets * tile.size**2
        return self.scratch[index][: count * size].view(count, size)

    def functions(self, tile: Tile) -> tuple[Tensor, Tensor]:
        """f_0 and f_1, (C jets, size, size) each, in scratch memory."""
        bells = self._rows(0, len(self.decay), tile)
        torch.addcmul(tile.rows(self.one), self.decay, tile.rows(self.norm), out=bells)
        bells.reciprocal_()
        found = torch.mm(self.weights, bells, out=self._rows(1, len(self.weights), tile))
        first, second = found.view(2, self.channels * tile.jets, tile.size, tile.size)
        return first, second

    def backward(self, tile: Tile) -> None:
        """Add gradients; the functions of :meth:`functions` have been overwritten by their gradients."""
        bells, grad = self._rows(0, len(self.decay), tile), self._rows(1, len(self.weights), tile)
        self.d_weights.addmm_(grad, bells.T)
        to_bells = torch.mm(self.weights.T, grad, out=self._rows(2, len(self.decay), tile))
        bells.square_().mul_(to_bells)
        self.d_decay.sub_(bells @ tile.rows(self.norm)[:, None])

    def gradients(self) -> tuple[Tensor, Tensor]:
        """Of decay (K,) and weights (2, C, K + 1)."""
        return self.d_decay[:-1, 0], self.d_weights.view(2, self.channels, -1)


def _gathered(name: str, x: Tensor, tile: Tile) -> Tensor:
    """The slots of a tile as matrices (C jets, D, size), in scratch memory of that name."""
    part = x[..., tile.slot : tile.slot + tile.jets * tile.size]
    dense = part.unflatten(-1, (tile.jets, tile.size)).permute(1, 2, 0, 3)
    out = scratch(name, x, x.shape[1], tile.jets, x.shape[0], tile.size).copy_(dense)
    return out.view(x.shape[1] * tile.jets, x.shape[0], tile.size)


def _scatter(matrices: Tensor, out: Tensor, tile: Tile) -> None:
    """The reverse of :func:`_gathered`."""
    part = out[..., tile.slot : tile.slot + tile.jets * tile.size]
    dense = part.unflatten(-1, (tile.jets, tile.size))
    dense.copy_(matrices.view(out.shape[1], tile.jets, out.shape[0], tile.size).permute(2, 0, 1, 3))
