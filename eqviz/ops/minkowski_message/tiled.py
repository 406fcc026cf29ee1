"""The message strip by strip, in scratch memory that stays in the cache.

Per pair only matrix products of C x C are dear, so the rest avoids passes over (T, C) memory:

* The first layer, u_i + W_s s_ij, is one product of [s_ij, 1] with [W_s; u_i] for each receiver.
* With memory to keep them in, forward keeps r and Q = [W_c m + b_c > 0], which take the two dear products;
  a and m are cheap. Without, backward recomputes all.
* Backward never forms d(loss)/dm. With D_i the gradient of M_i and d that of c_ij,

      d(loss)/dr = g_ij (D_i + d Q (v_c W_c)) + t w_g
      t = (1 - g_ij) [g_ij D_i.r_ij + d (c_ij - Q.(v_c b_c))]

  where t, the gradient of the gate's logit, needs no more than numbers of size (T,).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eqviz.ops.minkowski_message.gradients import Gradients
from eqviz.ops.minkowski_message.kept import Kept
from eqviz.ops.minkowski_message.strips import Strips
from eqviz.ops.minkowski_message.weights import MessageWeights
from eqviz.ops.minkowski_message.work import Work
from eqviz.ops.pairs import PairLayout


def message_tiled(
    receiver: Tensor,
    sender: Tensor,
    features: Tensor,
    weights: MessageWeights,
    layout: PairLayout,
    kept: Kept | None = None,
) -> tuple[Tensor, Tensor | None]:
    """As :func:`eqviz.ops.minkowski_message.minkowski_message`."""
    kept = kept if torch.is_grad_enabled() else None
    return _Message.apply(layout, kept, receiver, sender, features, *weights)


class _Message(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, layout: PairLayout, kept: Kept | None, u: Tensor, v: Tensor, s: Tensor, *weights: Tensor
    ) -> Any:
        w, strips, n_pairs = MessageWeights(*weights), Strips(layout), layout.n_pairs
        ctx.kept = kept if any(ctx.needs_input_grad) else None
        ctx.r = ctx.active = None
        if ctx.kept is not None:
            ctx.r = ctx.kept.take(n_pairs, u.shape[1], u)
            ctx.active = None if w.coordinate is None else ctx.kept.take(n_pairs, u.shape[1], u)
        c = None if w.coordinate is None else s.new_empty(n_pairs)
        g, total = s.new_empty(n_pairs), torch.zeros_like(u)
        work = Work(layout, strips, u, v, s, w, (g, c), (ctx.r, ctx.active), scratch=1)
        for index, (strip, out) in enumerate(zip(strips, strips.of_receivers(total))):
            r = work.hidden(index, work.first(index))
            gate = work.gate(index, r)
            one_row = gate.view(strip.receivers, 1, strip.size)
            torch.bmm(one_row, strip.by_receiver(r), out=out.unsqueeze(1))
            if c is not None:
                work.second(
                    index, torch.mul(r, gate[:, None], out=work.scratch[0][index]), ctx.active is not None
                )
        ctx.layout = layout
        ctx.save_for_backward(u, v, s, *weights, g, c)
        return total, None if c is None else c * layout.pair_mask

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor, d_coordinates: Tensor | None) -> Any:
        u, v, s, *weights, g, c = ctx.saved_tensors
        strips, leases = Strips(ctx.layout), (ctx.r, ctx.active)
        c = c if ctx.r is not None or c is None else torch.empty_like(c)  # to be computed again
        ctx.r = ctx.active = None  # a second backward pass through this graph recomputes
        work = Work(ctx.layout, strips, u, v, s, MessageWeights(*weights), (g, c), leases, scratch=3)
        grads = Gradients(work, ctx.needs_input_grad[4], d_total.contiguous(), d_coordinates)
        for index in range(len(strips)):
            grads.add(index)
        for lease in leases:
            if ctx.kept is not None:
                ctx.kept.give(lease)
        return None, None, *grads.of_inputs(), *grads.weights
