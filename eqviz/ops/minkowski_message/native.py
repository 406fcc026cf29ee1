"""The message in C on a CPU (``native.c``): its buffers and the autograd function around it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eqviz.ops import native
from eqviz.ops.dispatch import require_native
from eqviz.ops.minkowski_message.weights import MessageWeights
from eqviz.ops.pairs import PairLayout

OP = "minkowski_message"


def message_native(
    receiver: Tensor, sender: Tensor, features: Tensor, weights: MessageWeights, layout: PairLayout
) -> tuple[Tensor, Tensor | None]:
    """As :func:`eqviz.ops.minkowski_message.minkowski_message`.

    Raises:
        ConfigError: there is no compiled C on this machine.
    """
    require_native(OP, receiver)
    return _Message.apply(layout, receiver, sender, features, *weights)


class _Message(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, layout: PairLayout, u: Tensor, v: Tensor, s: Tensor, *weights: Tensor | None
    ) -> Any:
        u, v, s = u.contiguous(), v.contiguous(), _dense(s)
        w = [None if weight is None else weight.contiguous() for weight in weights]
        library, (_, flag_bytes, _) = _library(u, s)
        nodes = layout.jets[:, 3]
        pairs = int((nodes * (nodes - 1)).sum())
        total, g = torch.zeros_like(u), u.new_empty(pairs)
        c = e = flags = None
        if w[5] is not None:
            c, e = u.new_zeros(layout.n_pairs), u.new_empty(pairs)
            flags = torch.empty(pairs * flag_bytes, dtype=torch.int8)
        inputs, sizes = _arguments(u, v, s, layout)
        library.call("forward", *inputs, *w, total, c, g, e, flags, *sizes)
        ctx.layout = layout
        ctx.save_for_backward(u, v, s, *w, g, e, flags)
        return total, c

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor, d_coordinates: Tensor | None) -> Any:
        u, v, s, *weights, g, e, flags = ctx.saved_tensors
        w = MessageWeights(*weights)
        d_u, d_v, d_s = torch.zeros_like(u), torch.zeros_like(v), None
        if ctx.needs_input_grad[3]:
            d_s = torch.zeros_like(s)  # with its strides
        library, (width, _, numbers) = _library(u, s)
        inputs, sizes = _arguments(u, v, s, ctx.layout)
        d_weights = torch.zeros(native.threads(), numbers, dtype=torch.float64)
        d_c = None if d_coordinates is None or w.coordinate is None else d_coordinates.contiguous()
        d_features = None if d_s is None else _memory(d_s)
        results = (d_u, d_v, d_features, d_weights, numbers)
        library.call("backward", *inputs, *w, d_total.contiguous(), d_c, g, e, flags, *results, *sizes)
        return None, d_u, d_v, d_s, *_of_weights(d_weights.sum(0), w, width)


def _library(u: Tensor, s: Tensor) -> tuple[native.Library, list[int]]:
    """The library; padded width, bytes of flags for each pair, length of all weights' gradient."""
    library = native.library(OP, u.dtype)
    assert library is not None
    sizes = torch.empty(3, dtype=torch.int64)
    library.call("sizes", u.shape[1], s.shape[1], sizes)
    return library, sizes.tolist()


def _arguments(u: Tensor, v: Tensor, s: Tensor, layout: PairLayout) -> tuple[list[Tensor], list[int]]:
    sizes = [u.shape[1], s.shape[1], len(layout.jets), *s.stride(), native.threads()]
    return [u, v, _memory(s), layout.jets], sizes


def _dense(s: Tensor) -> Tensor:
    """(P, F) with either dimension contiguous."""
    return s if s.T.is_contiguous() else s.contiguous()


def _memory(s: Tensor) -> Tensor:
    """The memory of what :func:`_dense` gives, as a contiguous tensor."""
    return s if s.is_contiguous() else s.T


def _of_weights(flat: Tensor, w: MessageWeights, width: int) -> list[Tensor | None]:
    """Gradients shaped like the weights from what C sums up; v_c is multiplied here, on sums over pairs."""
    channels, features = w.features.shape
    square = (flat.numel() - 1 - (3 + features) * width) // 2
    hidden, coordinate, rows, gate_bias = flat.split([square, square, (3 + features) * width, 1])
    rows = rows.view(-1, width)[:, :channels]
    hidden, coordinate = (x.view(-1, width)[:channels, :channels] for x in (hidden, coordinate))
    found: list[Tensor | None] = [rows[3:].T, hidden, rows[0], rows[1:2], gate_bias, None, None, None]
    if w.coordinate is not None and w.coordinate_bias is not None and w.coordinate_out is not None:
        out = (coordinate * w.coordinate).sum(1) + rows[2] * w.coordinate_bias
        factor = w.coordinate_out[0]
        found[5:] = [coordinate * factor[:, None], rows[2] * factor, out[None]]
    return [None if x is None else x.to(w.hidden.dtype) for x in found]
