"""A whole level in C: one node in PyTorch's graph, since nodes cost more than small batches do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eqviz.ops.lorentz_cg.level import Level, Perceptron
from eqviz.ops.lorentz_cg.native import (
    call_bells,
    call_bells_backward,
    call_mix,
    call_mix_backward,
    dense,
    loaded,
    mix_lists,
    product_lists,
)
from eqviz.ops.lorentz_cg.products import ProductGroup
from eqviz.ops.lorentz_cg.terms import Lists, cached, lists, table_terms
from eqviz.ops.native import threads
from eqviz.ops.pairs import PairLayout


def cg_block(
    x: Tensor,
    p4: Tensor,
    norm: Tensor,
    layout: PairLayout,
    level: Level,
    perceptron: Perceptron,
    forms: Tensor,
) -> tuple[Tensor, Tensor]:
    """As :func:`eqviz.ops.lorentz_cg.cg_block`."""
    made = _Made(
        layout.jets,
        product_lists(4, len(x), (ProductGroup((0, 4), (0, len(x))),), level.tables[1:2]),
        *mix_lists(len(x), level.plan, level.tables),
        total_lists(forms),
        sum(dimension for dimension, _ in level.plan.outs),
        len(level.mix),
    )
    weights = chain(level.mix, *zip(*perceptron))
    return _Block.apply(x, p4, norm, made, level.decay, level.bells, *weights)


def cg_totals(x: Tensor, forms: Tensor, layout: PairLayout) -> Tensor:
    """As :func:`eqviz.ops.lorentz_cg.cg_totals`."""
    return _Totals.apply(x, forms, layout)


class _Totals(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, forms: Tensor, layout: PairLayout) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x)
        ctx.jets, ctx.made = layout.jets, total_lists(forms)
        return call_totals(x, ctx.jets, ctx.made)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return call_totals_backward(x, ctx.jets, ctx.made, grad), None, None


class _Made(NamedTuple):
    """Jets, lists, and numbers of components of the result and of irreps."""

    jets: Tensor
    momenta: Lists
    irreps: Tensor
    products: Lists
    totals: Lists
    d_out: int
    n_mix: int


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p4: Tensor, norm: Tensor, made: _Made, *weights: Tensor) -> Any:
        x, p4, norm, decay, bells, *rest = dense(x, p4, norm, *weights)
        mix, perceptron = joint(rest[: made.n_mix]), joint(rest[made.n_mix :])
        stacked = with_moments(x, p4, made.momenta)
        plain, weighted = call_bells(stacked, norm, decay, bells, made.jets, len(x))
        lists_ = made.irreps, *made.products[:2]
        out = call_mix(x, plain, weighted, p4, mix, *lists_, made.d_out, len(rest[0]))
        widths = torch.tensor([out.shape[1], *(len(bias) for bias in rest[made.n_mix + 1 :: 2])])
        scalars, numbers = out[0].clone(), (len(widths) - 1, x.shape[2], threads())
        loaded(x).call("perceptron_forward", scalars, perceptron, widths, out, *numbers)
        ctx.made, ctx.shapes = made, [weight.shape for weight in rest]
        ctx.set_materialize_grads(False)
        saved = stacked, plain, weighted, p4, norm, decay, bells, mix, scalars, perceptron, widths, out
        ctx.save_for_backward(*saved)
        return out, call_totals(out, made.jets, made.totals)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor | None, d_totals: Tensor | None) -> Any:
        stacked, plain, weighted, p4, norm, decay, bells, mix, *rest = ctx.saved_tensors
        made: _Made = ctx.made
        x = stacked[: len(plain)]
        grad, d_perceptron = _through_perceptron(made, d_out, d_totals, *rest)
        lists_ = made.irreps, *made.products[:2]
        d_x, *d_sums, d_mix = call_mix_backward(x, plain, weighted, p4, mix, *lists_, grad)
        d_stacked, d_decay, d_bells = call_bells_backward(stacked, norm, decay, bells, made.jets, *d_sums)
        d_x.add_(d_stacked[: len(x)]).add_(_through_moments(x, p4, made.momenta, d_stacked[len(x) :]))
        parts = torch.cat([d_mix, d_perceptron]).split([shape.numel() for shape in ctx.shapes])
        d_weights = (part.view(shape) for part, shape in zip(parts, ctx.shapes))
        return d_x, None, None, None, d_decay, d_bells, *d_weights


def _through_perceptron(
    made: _Made,
    d_out: Tensor | None,
    d_totals: Tensor | None,
    scalars: Tensor,
    weights: Tensor,
    widths: Tensor,
    out: Tensor,
) -> tuple[Tensor, Tensor]:
    """Gradients of the mixed features, and of the perceptron's weights."""
    if d_totals is None:
        grad = torch.zeros_like(out)
    else:
        grad = call_totals_backward(out, made.jets, made.totals, d_totals)
    if d_out is not None:
        grad.add_(d_out)
    parts = threads()
    d_weights = grad.new_zeros(parts, len(weights), dtype=torch.float64)
    sizes = len(widths) - 1, grad.shape[2], len(weights), parts
    loaded(grad).call("perceptron_backward", scalars, weights, widths, grad, grad, d_weights, *sizes)
    return grad, d_weights.sum(0).to(grad.dtype)


def _through_moments(x: Tensor, p4: Tensor, momenta: Lists, grad: Tensor) -> Tensor:
    """The gradient of x in p4 (x) x."""
    d_x = torch.empty_like(x)
    data = p4, x, momenta.packed, momenta.values, grad, None, d_x
    sizes = 4, len(x), 1, x.shape[1], x.shape[1], x.shape[2], threads()
    loaded(x).call("products_backward", *data, *sizes)
    return d_x


def total_lists(forms: Tensor) -> Lists:
    """The first component times 1, and the forms (Q, D, D)."""
    width = forms.shape[1]

    def make() -> Lists:
        scalar = np.array([[0.0, 0.0, width, 1.0]])
        squares = table_terms(forms.flatten(1), width, 1, 0, 0)
        return lists(np.concatenate([scalar, squares]), 1 + len(forms), width, forms)

    return cached([forms], "native", make)


def with_moments(x: Tensor, p4: Tensor, momenta: Lists) -> Tensor:
    """x and p4 (x) x, (D + M, C, S)."""
    size, channels, slots = x.shape
    stacked = x.new_empty(size + momenta.rows, channels, slots)
    stacked[:size] = x
    data = p4, x, momenta.packed, momenta.values, stacked[size:]
    loaded(x).call("products_forward", *data, 4, size, 1, channels, channels, slots, threads())
    return stacked


def call_totals(x: Tensor, jets: Tensor, made: Lists) -> Tensor:
    """Sums over each jet of contiguous features."""
    out = x.new_empty(made.rows, x.shape[1], len(jets))
    data = x, jets, made.packed, made.values, out
    loaded(x).call("totals_forward", *data, *x.shape, len(jets), threads())
    return out


def call_totals_backward(x: Tensor, jets: Tensor, made: Lists, grad: Tensor) -> Tensor:
    """Gradients of features."""
    d_x = torch.empty_like(x)
    data = x, jets, made.packed, made.values, grad.contiguous(), d_x
    loaded(x).call("totals_backward", *data, *x.shape, len(jets), threads())
    return d_x


def joint(weights: Sequence[Tensor]) -> Tensor:
    """All numbers one after the other."""
    return torch.cat([weight.view(-1) for weight in weights])
