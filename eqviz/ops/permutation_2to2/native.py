"""A mixing step and the next message in C on a CPU (``native.c``): buffers and the autograd function."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from eqviz.ops import native
from eqviz.ops.permutation_2to2.layout import MirrorPairs
from eqviz.ops.permutation_2to2.mixed import node_gradients

OP = "permutation_2to2"


class MixMessage(torch.autograd.Function):
    """As :class:`eqviz.ops.permutation_2to2.mixed.MixMessage`."""

    @staticmethod
    def forward(
        ctx: Any,
        pairs: MirrorPairs,
        slope: float,
        shift: Tensor | None,
        a: Tensor,
        even: Tensor,
        odd: Tensor,
        weight: Tensor,
        bias: Tensor,
        *spread: Tensor,
    ) -> Any:
        ctx.pairs, ctx.slope = pairs, slope
        ctx.set_materialize_grads(False)
        inputs = [x.contiguous() for x in (a, even, odd, weight, bias, *spread)]
        library, (*_, width, _) = _library(inputs)
        out = a.new_empty(pairs.n_rows, len(weight))
        sums = [a.new_zeros(pairs.n_nodes, len(weight)) for _ in range(3)]
        squares = torch.zeros(native.threads(), width, dtype=torch.float64)
        centre = None if shift is None else pad(shift, (0, width - len(shift)))
        call = _arguments(inputs, pairs, slope)
        library.call("forward", *inputs, pairs.jets, centre, out, *sums, squares, *call)
        ctx.save_for_backward(*inputs, out, shift)
        return out, *sums, squares.sum(0)[: len(weight)].to(a.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_out: Tensor | None, *to_statistics: Tensor | None) -> Any:
        *inputs, out, shift = ctx.saved_tensors
        pairs: MirrorPairs = ctx.pairs
        library, (*widths, numbers) = _library(inputs)
        constant = factor = None
        if to_statistics[3] is not None and shift is not None:
            scale = 2 * to_statistics[3]
            constant, factor = -scale * shift, pad(scale, (0, widths[2] - len(scale)))
        nodes = node_gradients(to_statistics[:3], constant, pairs.n_nodes)
        given: list[Tensor | None] = [None] * 3
        if nodes is not None:
            given = [x.contiguous() for x in nodes]
        to_out = None if to_out is None else to_out.contiguous()
        to_a, to_spread = torch.empty_like(inputs[0]), [torch.zeros_like(x) for x in inputs[5:]]
        to_weights = torch.zeros(native.threads(), numbers, dtype=torch.float64)
        results: tuple[Any, ...] = (to_a, *to_spread, to_weights, numbers)
        call = _arguments(inputs, pairs, ctx.slope)
        library.call("backward", *inputs, pairs.jets, out, to_out, *given, factor, *results, *call)
        return None, None, None, to_a, *_of_weights(to_weights.sum(0), inputs, widths), *to_spread


def able(a: Tensor, even: Tensor, weight: Tensor) -> bool:
    """Whether C takes these widths: there has to be something to do."""
    return min(a.shape[1], len(even), len(weight)) > 0


def _library(inputs: list[Tensor]) -> tuple[native.Library, list[int]]:
    """The library; padded widths of a, x and a', and the length of all weights' gradient."""
    library = native.library(OP, inputs[0].dtype)
    assert library is not None
    sizes = torch.empty(4, dtype=torch.int64)
    library.call("sizes", *_widths(inputs), sizes)
    return library, sizes.tolist()


def _widths(inputs: list[Tensor]) -> tuple[int, int, int]:
    even, weight = inputs[1], inputs[3]
    return even.shape[1], len(even), len(weight)


def _arguments(inputs: list[Tensor], pairs: MirrorPairs, slope: float) -> tuple[int | float, ...]:
    return *_widths(inputs), len(pairs.jets), native.threads(), float(slope)


def _of_weights(flat: Tensor, inputs: list[Tensor], widths: list[int]) -> list[Tensor]:
    """Gradients of even, odd, weight and bias, cut out of their padding."""
    channels, mixed, message = _widths(inputs)
    bias = widths[2]
    both = -(-mixed // 4) * 4 * widths[0]
    even, odd, weight, last = flat.split([both, both, len(flat) - 2 * both - bias, bias])
    parts = (even.view(-1, widths[0])[:mixed, :channels], odd.view(-1, widths[0])[:mixed, :channels])
    return [
        x.to(inputs[0].dtype) for x in (*parts, weight.view(-1, widths[1])[:message, :mixed], last[:message])
    ]
