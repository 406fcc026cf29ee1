"""The forward steps of the tiled message on one strip, shared by both passes."""

from __future__ import annotations

import torch
from torch import Tensor

from eqviz.ops.minkowski_message.kept import Lease
from eqviz.ops.minkowski_message.strips import Strips
from eqviz.ops.minkowski_message.weights import MessageWeights
from eqviz.ops.pairs import PairLayout


class Work:
    """Inputs cut into strips, in the shapes that products want, and scratch memory for the largest strip.

    Args:
        layout: where the pairs are.
        strips: its strips.
        u: (S, C).
        v: (S, C).
        s: (P, F).
        weights: of the message.
        scalars: g and c, (P,) each, to be filled or already filled.
        kept: memory of r and Q, (P, C) each, likewise; None where they only live in scratch memory.
        scratch: number of (T, C) buffers beside those.
    """

    def __init__(
        self,
        layout: PairLayout,
        strips: Strips,
        u: Tensor,
        v: Tensor,
        s: Tensor,
        weights: MessageWeights,
        scalars: tuple[Tensor, Tensor | None],
        kept: tuple[Lease | None, Lease | None],
        scratch: int,
    ) -> None:
        (g, c), (r, active) = scalars, kept
        self.w, self.v, self.layout, self.strips = weights, v.contiguous(), layout, strips
        self.recompute = r is None
        self.g, self.c, self.mask = (strips.of_pairs(x) for x in (g, c, layout.pair_mask.to(u.dtype)))
        wide = torch.cat([s.T, s.new_ones(1, len(s))])  # [s, 1] of each pair, (F + 1, P)
        self.features = [
            part.view(len(wide), strip.receivers, strip.size).permute(1, 2, 0)
            for strip, part in zip(strips, strips.of_pairs(wide, dim=1))
        ]
        shared = weights.features.T.expand(len(u), -1, -1)
        self.first_weights = torch.cat([shared, u.unsqueeze(1)], dim=1)  # (S, F + 1, C)
        self.by_receiver = strips.of_receivers(self.first_weights)

        def buffer() -> list[Tensor]:
            return strips.scratch(u.new_empty(strips.largest, u.shape[1]))

        self.scratch = [buffer() for _ in range(scratch)]
        self.r = buffer() if r is None else strips.of_pairs(r.tensor)
        self.active: list[Tensor] = []
        if c is not None:
            self.active = buffer() if active is None else strips.of_pairs(active.tensor)

    def first(self, index: int) -> Tensor:
        """a (T, C) in the first buffer."""
        strip, a = self.strips[index], self.scratch[0][index]
        torch.bmm(self.features[index], self.by_receiver[index], out=strip.by_receiver(a))
        strip.dense(a).add_(strip.senders(self.v)[:, None])
        return a.relu_()

    def hidden(self, index: int, a: Tensor) -> Tensor:
        """r (T, C)."""
        return torch.mm(a, self.w.hidden.T, out=self.r[index]).add_(self.w.hidden_bias).relu_()

    def gate(self, index: int, r: Tensor) -> Tensor:
        """g (T,), zero where there is no pair."""
        torch.addmv(self.w.gate_bias, r, self.w.gate[0], out=self.g[index])
        return self.g[index].sigmoid_().mul_(self.mask[index])

    def second(self, index: int, m: Tensor, wants_active: bool) -> None:
        """c, and Q (T, C) where that is wanted."""
        w = self.w
        assert w.coordinate is not None and w.coordinate_bias is not None and w.coordinate_out is not None
        q = torch.mm(m, w.coordinate.T, out=self.active[index]).add_(w.coordinate_bias).relu_()
        torch.mv(q, w.coordinate_out[0], out=self.c[index])
        if wants_active:
            q.sign_()
