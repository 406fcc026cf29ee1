"""A Lorentz group network's sums and products as operators of PyTorch with C inside, for a CPU.

Fixed tables are lists there; a gradient is such a list, too, over the gradients of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqviz.ops.lorentz_cg.mixing import MixPlan
from eqviz.ops.lorentz_cg.products import ProductGroup
from eqviz.ops.lorentz_cg.terms import Lists, cached, lists, mix_terms, product_terms
from eqviz.ops.native import Library, library, threads
from eqviz.ops.pairs import PairLayout

OP = "lorentz_cg"


def fits(x: Tensor) -> bool:
    """Whether there is C for the precision of ``x``."""
    return x.dtype in (torch.float32, torch.float64)


def bell_aggregate(
    x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, layout: PairLayout, n_plain: int
) -> tuple[Tensor, Tensor]:
    """As :func:`eqviz.ops.lorentz_cg.bell_aggregate`."""
    return torch.ops.eqviz.native_bells(x, norm, decay, weights, layout.jets, n_plain)


def cg_products(
    x: Tensor, y: Tensor, plan: Sequence[ProductGroup], tables: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """As :func:`eqviz.ops.lorentz_cg.cg_products`."""
    if not tables:
        return ()
    made, sizes = product_lists(len(x), len(y), plan, tables), [len(table) for table in tables]
    return torch.ops.eqviz.native_products(x, y, *made).split(sizes)


def cg_mix(
    x: Tensor,
    plain: Tensor,
    weighted: Tensor,
    p4: Tensor,
    plan: MixPlan,
    tables: Sequence[Tensor],
    weights: Sequence[Tensor],
) -> Tensor:
    """As :func:`eqviz.ops.lorentz_cg.cg_mix`."""
    irreps, made = mix_lists(len(x), plan, tables)
    sizes = sum(dimension for dimension, _ in plan.outs), len(weights[0])
    flat = torch.cat([weight.flatten() for weight in weights])
    return torch.ops.eqviz.native_mix(x, plain, weighted, p4, flat, irreps, made.packed, made.values, *sizes)


def product_lists(n_x: int, n_y: int, plan: Sequence[ProductGroup], tables: Sequence[Tensor]) -> Lists:
    """Lists over y and x: of the gradients, that of y is always wanted and comes first."""
    plan = tuple(plan)

    def make() -> Lists:
        r, p, q, v = product_terms(plan, tables).T
        return lists(np.column_stack([r, p + n_y, q, v]), sum(map(len, tables)), n_y + n_x, tables[0])

    return cached(tables, ("native", plan, n_x, n_y), make)


def mix_lists(size: int, plan: MixPlan, tables: Sequence[Tensor]) -> tuple[Tensor, Lists]:
    """(dimension, blocks) of every irrep, and lists over x, plain, weighted, p4 and 1."""
    last = 3 * size + len(tables[1])

    def make() -> tuple[Tensor, Lists]:
        r, p, q, v = mix_terms(size, plan, tables).T
        blocks = np.arange(last)
        first = np.concatenate([blocks[size : 2 * size], blocks[:size], blocks[2 * size :]])
        second = np.concatenate([[last + 4], blocks[:size], np.arange(last, last + 4)])
        terms = np.column_stack([r, first[p.astype(int)], second[q.astype(int)], v])
        return torch.tensor(plan.outs, dtype=torch.int64), lists(terms, len(plan.order), last, tables[0])

    return cached(tables, ("native", plan, size), make)


def loaded(x: Tensor) -> Library:
    """The library for the precision of ``x``, which has been found to be there."""
    found = library(OP, x.dtype)
    assert found is not None, "wants_native asks before"
    return found


def dense(*values: Tensor) -> Any:
    """The same values, contiguous."""
    return tuple(value.contiguous() for value in values)


def call_bells(
    x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, jets: Tensor, n_plain: int
) -> tuple[Tensor, Tensor]:
    """As the operator ``native_bells``."""
    x, norm, decay, weights = dense(x, norm, decay, weights)
    plain, weighted = x.new_empty(n_plain, *x.shape[1:]), x.new_empty(x.shape)
    sizes = len(jets), x.shape[1], x.shape[2], len(x), n_plain, len(decay), threads()
    loaded(x).call("bells_forward", x, norm, decay, weights, jets, plain, weighted, *sizes)
    return plain, weighted


def call_bells_backward(
    x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, jets: Tensor, d_plain: Tensor, d_weighted: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of features, decays and weights."""
    x, norm, decay, weights, d_plain, d_weighted = dense(x, norm, decay, weights, d_plain, d_weighted)
    d_x, parts, n = x.new_empty(x.shape), threads(), weights.numel()
    totals = x.new_zeros(parts, n + len(decay), dtype=torch.float64)
    sizes = len(jets), x.shape[1], x.shape[2], len(x), len(d_plain), len(decay), parts
    data = x, norm, decay, weights, jets, d_plain, d_weighted
    loaded(x).call("bells_backward", *data, d_x, totals, *sizes)
    d_weights, d_decay = (part.to(x.dtype, copy=True) for part in totals.sum(0).split([n, len(decay)]))
    return d_x, d_decay, d_weights.view(weights.shape)


def call_mix(
    x: Tensor,
    plain: Tensor,
    weighted: Tensor,
    p4: Tensor,
    weights: Tensor,
    irreps: Tensor,
    index: Tensor,
    values: Tensor,
    d_out: int,
    c_out: int,
) -> Tensor:
    """As the operator ``native_mix``."""
    x, plain, weighted, p4, weights = dense(x, plain, weighted, p4, weights)
    out, moments = x.new_empty(d_out, c_out, x.shape[2]), len(weighted) - len(x)
    sizes = len(x), moments, x.shape[1], x.shape[2], len(irreps), c_out, d_out, threads()
    data = x, plain, weighted, p4, weights, irreps, index, values
    loaded(x).call("mix_forward", *data, out, *sizes)
    return out


def call_mix_backward(
    x: Tensor,
    plain: Tensor,
    weighted: Tensor,
    p4: Tensor,
    weights: Tensor,
    irreps: Tensor,
    index: Tensor,
    values: Tensor,
    grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, plain, weighted and weights."""
    x, plain, weighted, p4, weights, grad = dense(x, plain, weighted, p4, weights, grad)
    d_x, d_plain, d_weighted = (value.new_empty(value.shape) for value in (x, plain, weighted))
    moments, parts, (d_out, c_out, _) = len(weighted) - len(x), threads(), grad.shape
    totals = x.new_zeros(parts, len(weights), dtype=torch.float64)
    sizes = len(x), moments, x.shape[1], x.shape[2], len(irreps), c_out, d_out, len(weights), parts
    data = x, plain, weighted, p4, weights, irreps, index, values
    loaded(x).call("mix_backward", *data, grad, d_x, d_plain, d_weighted, totals, *sizes)
    return d_x, d_plain, d_weighted, totals.sum(0).to(x.dtype)


_bells = torch.library.custom_op("eqviz::native_bells", call_bells, mutates_args=())


@_bells.register_fake
def _(x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, jets: Tensor, n_plain: int) -> Any:
    return x.new_empty(n_plain, *x.shape[1:]), x.new_empty(x.shape)


_bells_backward = torch.library.custom_op(
    "eqviz::native_bells_backward", call_bells_backward, mutates_args=()
)


@_bells_backward.register_fake
def _(x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, *rest: Tensor) -> Any:
    return tuple(value.new_empty(value.shape) for value in (x, decay, weights))


def _bells_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:5])


def _bells_autograd(ctx: Any, d_plain: Tensor, d_weighted: Tensor) -> tuple[Tensor | None, ...]:
    grads = torch.ops.eqviz.native_bells_backward(*ctx.saved_tensors, d_plain, d_weighted)
    return grads[0], None, grads[1], grads[2], None, None


_bells.register_autograd(_bells_autograd, setup_context=_bells_setup)


@torch.library.custom_op("eqviz::native_products", mutates_args=())
def _products(x: Tensor, y: Tensor, index: Tensor, values: Tensor, n_rows: int) -> Tensor:
    x, y = dense(x, y)
    channels, slots = max(x.shape[1], y.shape[1]), x.shape[2]
    out = x.new_empty(n_rows, channels, slots)
    sizes = len(x), len(y), x.shape[1], y.shape[1], channels, slots, threads()
    loaded(x).call("products_forward", x, y, index, values, out, *sizes)
    return out


@_products.register_fake
def _(x: Tensor, y: Tensor, index: Tensor, values: Tensor, n_rows: int) -> Tensor:
    return x.new_empty(n_rows, max(x.shape[1], y.shape[1]), x.shape[2])


@torch.library.custom_op("eqviz::native_products_backward", mutates_args=())
def _products_backward(
    x: Tensor, y: Tensor, index: Tensor, values: Tensor, d_out: Tensor, wants_x: bool
) -> tuple[Tensor, Tensor]:
    x, y, d_out = dense(x, y, d_out)
    d_x, d_y = x.new_empty(x.shape if wants_x else (0,)), y.new_empty(y.shape)
    sizes = len(x), len(y), x.shape[1], y.shape[1], d_out.shape[1], x.shape[2], threads()
    data = x, y, index, values, d_out, d_x if wants_x else None, d_y
    loaded(x).call("products_backward", *data, *sizes)
    return d_x, d_y


@_products_backward.register_fake
def _(x: Tensor, y: Tensor, index: Tensor, values: Tensor, d_out: Tensor, wants_x: bool) -> Any:
    return x.new_empty(x.shape if wants_x else (0,)), y.new_empty(y.shape)


def _products_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])


def _products_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    wanted = ctx.needs_input_grad[0]
    d_x, d_y = torch.ops.eqviz.native_products_backward(*ctx.saved_tensors, grad, wanted)
    return d_x if wanted else None, d_y, None, None, None


_products.register_autograd(_products_autograd, setup_context=_products_setup)


_mix = torch.library.custom_op("eqviz::native_mix", call_mix, mutates_args=())


@_mix.register_fake
def _(x: Tensor, *rest: Any) -> Tensor:
    d_out, c_out = rest[-2:]
    return x.new_empty(d_out, c_out, x.shape[2])


_mix_backward = torch.library.custom_op("eqviz::native_mix_backward", call_mix_backward, mutates_args=())


@_mix_backward.register_fake
def _(x: Tensor, plain: Tensor, weighted: Tensor, p4: Tensor, weights: Tensor, *rest: Any) -> Any:
    return tuple(value.new_empty(value.shape) for value in (x, plain, weighted, weights))


def _mix_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:8])


def _mix_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    grads = torch.ops.eqviz.native_mix_backward(*ctx.saved_tensors, grad)
    d_x, d_plain, d_weighted, d_weights = grads
    return d_x, d_plain, d_weighted, None, d_weights, None, None, None, None, None


_mix.register_autograd(_mix_autograd, setup_context=_mix_setup)
