"""The message tile by tile, in scratch memory that stays in the cache; gradients by recomputation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eqviz.ops.minkowski_message.weights import MessageWeights
from eqviz.ops.pairs import PairLayout, Tile


def message_tiled(
    receiver: Tensor, sender: Tensor, features: Tensor, weights: MessageWeights, layout: PairLayout
) -> tuple[Tensor, Tensor | None]:
    """As :func:`eqviz.ops.minkowski_message.minkowski_message`."""
    return _Message.apply(layout, receiver, sender, features, *weights)


class _Message(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layout: PairLayout, u: Tensor, v: Tensor, s: Tensor, *weights: Tensor) -> Any:
        ctx.layout = layout
        ctx.save_for_backward(u, v, s, *weights)
        w = MessageWeights(*weights)
        work = _Work(layout, u, v, s, w)
        total = torch.zeros_like(u)
        coordinates = None if w.coordinate is None else s.new_empty(layout.n_pairs, 1)
        for tile in layout.tiles:
            _, r, gate = work.messages(tile)
            r.mul_(gate)
            torch.sum(r.view(tile.jets, tile.size, tile.size, -1), 2, out=tile.slots(total))
            if coordinates is not None:
                work.coordinates(tile, r, tile.rows(coordinates))
        return total, None if coordinates is None else coordinates.mul_(work.mask).squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor, d_coordinates: Tensor | None) -> Any:
        u, v, s, *weights = ctx.saved_tensors
        layout = ctx.layout
        work = _Work(layout, u, v, s, MessageWeights(*weights), gradients=True)
        if d_coordinates is not None:
            d_coordinates = d_coordinates.unsqueeze(1) * work.mask
        grads = _Gradients(u, v, s if ctx.needs_input_grad[3] else None, weights)
        for tile in layout.tiles:
            work.backward(tile, d_total, d_coordinates, grads)
        return None, grads.u, grads.v, grads.s, *grads.weights


class _Gradients:
    """Accumulators shaped like the inputs."""

    def __init__(self, u: Tensor, v: Tensor, s: Tensor | None, weights: list[Tensor | None]) -> None:
        self.u, self.v = torch.zeros_like(u), torch.zeros_like(v)
        self.s = None if s is None else torch.zeros_like(s)
        self.weights = MessageWeights(*(None if w is None else torch.zeros_like(w) for w in weights))  # type: ignore[arg-type]


class _Work:
    """Scratch memory for the largest tile, and the steps on one tile."""

    def __init__(
        self,
        layout: PairLayout,
        u: Tensor,
        v: Tensor,
        s: Tensor,
        weights: MessageWeights,
        gradients: bool = False,
    ) -> None:
        self.u, self.v, self.s, self.w = u.contiguous(), v.contiguous(), s, weights
        self.mask = layout.pair_mask.to(u.dtype).unsqueeze(1)
        largest = max((tile.jets * tile.size**2 for tile in layout.tiles), default=0)
        self.scratch = [u.new_empty(largest, u.shape[1]) for _ in range(5 if gradients else 2)]

    def buffer(self, index: int, tile: Tile) -> Tensor:
        return self.scratch[index][: tile.jets * tile.size**2]

    def messages(self, tile: Tile) -> tuple[Tensor, Tensor, Tensor]:
        """a and r (T, C) in the first two buffers, and the masked gate (T, 1)."""
        a, r = self.buffer(0, tile), self.buffer(1, tile)
        torch.mm(tile.rows(self.s), self.w.features.T, out=a)
        dense = a.view(tile.jets, tile.size, tile.size, -1)
        dense.add_(tile.slots(self.u)[:, :, None]).add_(tile.slots(self.v)[:, None])
        torch.addmm(self.w.hidden_bias, a.relu_(), self.w.hidden.T, out=r).relu_()
        gate = torch.addmm(self.w.gate_bias, r, self.w.gate.T).sigmoid_().mul_(tile.rows(self.mask))
        return a, r, gate

    def coordinates(self, tile: Tile, m: Tensor, out: Tensor) -> None:
        """c (T, 1), not yet masked; overwrites the first buffer."""
        w = self.w
        assert w.coordinate is not None and w.coordinate_bias is not None and w.coordinate_out is not None
        q = torch.addmm(w.coordinate_bias, m, w.coordinate.T, out=self.buffer(0, tile)).relu_()
        torch.mm(q, w.coordinate_out.T, out=out)

    def backward(self, tile: Tile, d_total: Tensor, d_coordinates: Tensor | None, grads: _Gradients) -> None:
        """Add the gradients that flow through this tile."""
        a, r, gate = self.messages(tile)
        grad, dense = self.buffer(3, tile), (tile.jets, tile.size, tile.size, -1)
        grad.view(dense).copy_(tile.slots(d_total)[:, :, None].expand(dense))
        if d_coordinates is not None:
            self._coordinates_backward(
                tile, torch.mul(r, gate, out=self.buffer(2, tile)), d_coordinates, grad, grads
            )
        # through the gate: grad becomes d(loss)/dr, then, through the rectifier, d(loss)/d(W_h a)
        d_gate = torch.mul(grad, r, out=self.buffer(2, tile)).sum(1, keepdim=True).mul_(gate).mul_(1 - gate)
        grads.weights.gate.addmm_(d_gate.T, r)
        grads.weights.gate_bias.add_(d_gate.sum())
        _through_relu(grad.mul_(gate).addmm_(d_gate, self.w.gate), r)
        grads.weights.hidden.addmm_(grad.T, a)
        grads.weights.hidden_bias.add_(grad.sum(0))
        grad = _through_relu(torch.mm(grad, self.w.hidden, out=self.buffer(1, tile)), a)
        torch.sum(grad.view(dense), 2, out=tile.slots(grads.u))
        torch.sum(grad.view(dense), 1, out=tile.slots(grads.v))
        grads.weights.features.addmm_(grad.T, tile.rows(self.s))
        if grads.s is not None:
            torch.mm(grad, self.w.features, out=tile.rows(grads.s))

    def _coordinates_backward(
        self, tile: Tile, m: Tensor, d_coordinates: Tensor, grad: Tensor, grads: _Gradients
    ) -> None:
        """Add d(loss)/dm that comes through the coordinate weights to ``grad``."""
        w, into = self.w, grads.weights
        assert w.coordinate is not None and w.coordinate_bias is not None and w.coordinate_out is not None
        assert into.coordinate is not None and into.coordinate_bias is not None
        assert into.coordinate_out is not None
        d_out = tile.rows(d_coordinates)
        q = torch.addmm(w.coordinate_bias, m, w.coordinate.T, out=self.buffer(4, tile)).relu_()
        into.coordinate_out.addmm_(d_out.T, q)
        # v_c scales rows of W_c: cheaper on the matrix than on the pairs
        scale = w.coordinate_out.T
        q.sign_().mul_(d_out)
        into.coordinate.addcmul_(scale, q.T @ m)
        into.coordinate_bias.addcmul_(scale[:, 0], q.sum(0))
        grad.addmm_(q, scale * w.coordinate)


def _through_relu(grad: Tensor, output: Tensor) -> Tensor:
    """``grad`` where the rectifier's ``output`` is positive, else 0, in place."""
    return torch.ops.aten.threshold_backward.grad_input(grad, output, 0, grad_input=grad)
