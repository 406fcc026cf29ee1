"""A Lorentz group network's sums and products as operators of PyTorch with C inside, for a CPU.

``native.c`` walks over fixed tables as lists. All factors z of the products are rows of one block; row r is

    sum_g z_m(g) sum_e v_e z_n(e)          groups g of row r, terms e of group g

and a gradient has the same form with the other factors as z_m and the gradients of rows as z_n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqviz.ops.lorentz_cg.mixing import MixPlan
from eqviz.ops.lorentz_cg.products import ProductGroup
from eqviz.ops.lorentz_cg.terms import cached, lists, mix_terms, product_terms
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
    plan, sizes, n_y = tuple(plan), [len(table) for table in tables], len(y)

    def make() -> list[Tensor]:
        r, p, q, v = product_terms(plan, tables).T
        # y first: its gradient is the one that is wanted
        return lists(np.column_stack([r, p + n_y, q, v]), sum(sizes), n_y + len(x), tables[0])

    made = cached(tables, ("native", plan, len(x), n_y), make)
    return torch.ops.eqviz.native_products(x, y, sum(sizes), made).split(sizes)


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
    size, moments = len(x), len(tables[1])

    def make() -> tuple[Tensor, list[Tensor]]:
        r, p, q, v = mix_terms(size, plan, tables).T
        # Factors in the order x, plain, weighted, p4, 1
        first = np.concatenate(
            [np.arange(size, 2 * size), np.arange(size), np.arange(2 * size, 3 * size + moments)]
        )
        last = 3 * size + moments
        second = np.concatenate([[last + 4], np.arange(size), np.arange(last, last + 4)])
        terms = np.column_stack([r, first[p.astype(int)], second[q.astype(int)], v])
        return torch.tensor(plan.outs, dtype=torch.int64), lists(terms, len(plan.order), last, tables[0])

    irreps, made = cached(tables, ("native", plan, size), make)
    flat = torch.cat([weight.flatten() for weight in weights])
    d_out = sum(dimension for dimension, _ in plan.outs)
    return torch.ops.eqviz.native_mix(x, plain, weighted, p4, flat, irreps, made, d_out, len(weights[0]))


def _library(x: Tensor) -> Library:
    found = library(OP, x.dtype)
    assert found is not None, "wants_native has asked before"
    return found


def _dense(*values: Tensor) -> tuple[Tensor, ...]:
    return tuple(value.contiguous() for value in values)


@torch.library.custom_op("eqviz::native_bells", mutates_args=())
def _bells(
    x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, jets: Tensor, n_plain: int
) -> tuple[Tensor, Tensor]:
    x, norm, decay, weights = _dense(x, norm, decay, weights)
    plain, weighted = _sums(x, n_plain, jets)
    sizes = len(jets), x.shape[1], x.shape[2], len(x), n_plain, len(decay), threads()
    _library(x).call("bells_forward", x, norm, decay, weights, jets, plain, weighted, *sizes)
    return plain, weighted


@_bells.register_fake
def _(x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, jets: Tensor, n_plain: int) -> Any:
    return _sums(x, n_plain, jets)


def _sums(x: Tensor, n_plain: int, jets: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(n_plain, *x.shape[1:]), x.new_empty(x.shape)


@torch.library.custom_op("eqviz::native_bells_backward", mutates_args=())
def _bells_backward(
    x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, jets: Tensor, d_plain: Tensor, d_weighted: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    x, norm, decay, weights, d_plain, d_weighted = _dense(x, norm, decay, weights, d_plain, d_weighted)
    d_x, parts = x.new_empty(x.shape), threads()
    totals = x.new_zeros(parts, weights.numel() + len(decay), dtype=torch.float64)
    sizes = len(jets), x.shape[1], x.shape[2], len(x), len(d_plain), len(decay), parts
    _library(x).call(
        "bells_backward", x, norm, decay, weights, jets, d_plain, d_weighted, d_x, totals, *sizes
    )
    total = totals.sum(0).to(x.dtype)
    return d_x, total[weights.numel() :].clone(), total[: weights.numel()].view(weights.shape).clone()


@_bells_backward.register_fake
def _(x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, *rest: Tensor) -> Any:
    return tuple(value.new_empty(value.shape) for value in (x, decay, weights))


def _bells_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:5])


def _bells_autograd(ctx: Any, d_plain: Tensor, d_weighted: Tensor) -> tuple[Tensor | None, ...]:
    grads = torch.ops.eqviz.native_bells_backward(*ctx.saved_tensors, d_plain, d_weighted)
    d_x, d_decay, d_weights = grads
    return d_x, None, d_decay, d_weights, None, None


_bells.register_autograd(_bells_autograd, setup_context=_bells_setup)


@torch.library.custom_op("eqviz::native_products", mutates_args=())
def _products(x: Tensor, y: Tensor, n_rows: int, made: Sequence[Tensor]) -> Tensor:
    x, y = _dense(x, y)
    channels, slots = max(x.shape[1], y.shape[1]), x.shape[2]
    out = x.new_empty(n_rows, channels, slots)
    sizes = n_rows, len(x), len(y), x.shape[1], y.shape[1], channels, slots, threads()
    _library(x).call("products_forward", x, y, *made[:5], out, *sizes)
    return out


@_products.register_fake
def _(x: Tensor, y: Tensor, n_rows: int, made: Sequence[Tensor]) -> Tensor:
    return x.new_empty(n_rows, max(x.shape[1], y.shape[1]), x.shape[2])


@torch.library.custom_op("eqviz::native_products_backward", mutates_args=())
def _products_backward(
    x: Tensor, y: Tensor, made: Sequence[Tensor], d_out: Tensor, wants_x: bool
) -> tuple[Tensor, Tensor]:
    x, y, d_out = _dense(x, y, d_out)
    d_x, d_y = x.new_empty(x.shape if wants_x else (0,)), y.new_empty(y.shape)
    sizes = len(d_out), len(x), len(y), x.shape[1], y.shape[1], d_out.shape[1], x.shape[2], threads()
    _library(x).call("products_backward", x, y, *made[5:], d_out, d_x if wants_x else None, d_y, *sizes)
    return d_x, d_y


@_products_backward.register_fake
def _(x: Tensor, y: Tensor, made: Sequence[Tensor], d_out: Tensor, wants_x: bool) -> Any:
    return x.new_empty(x.shape if wants_x else (0,)), y.new_empty(y.shape)


def _products_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, y, _, ctx.made = inputs
    ctx.save_for_backward(x, y)


def _products_autograd(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    wanted = ctx.needs_input_grad[0]
    d_x, d_y = torch.ops.eqviz.native_products_backward(*ctx.saved_tensors, ctx.made, grad, wanted)
    return d_x if wanted else None, d_y, None, [None] * len(ctx.made)


_products.register_autograd(_products_autograd, setup_context=_products_setup)


@torch.library.custom_op("eqviz::native_mix", mutates_args=())
def _mix(
    x: Tensor,
    plain: Tensor,
    weighted: Tensor,
    p4: Tensor,
    weights: Tensor,
    irreps: Tensor,
    made: Sequence[Tensor],
    d_out: int,
    c_out: int,
) -> Tensor:
    data = _dense(x, plain, weighted, p4, weights)
    out = x.new_empty(d_out, c_out, x.shape[2])
    sizes = *_mix_sizes(x, weighted, irreps, made), c_out, d_out, threads()
    _library(x).call("mix_forward", *data, irreps, *made[:5], out, *sizes)
    return out


@_mix.register_fake
def _(x: Tensor, *rest: Any) -> Tensor:
    d_out, c_out = rest[-2:]
    return x.new_empty(d_out, c_out, x.shape[2])


@torch.library.custom_op("eqviz::native_mix_backward", mutates_args=())
def _mix_backward(
    x: Tensor,
    plain: Tensor,
    weighted: Tensor,
    p4: Tensor,
    weights: Tensor,
    irreps: Tensor,
    made: Sequence[Tensor],
    grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    data, (grad,) = _dense(x, plain, weighted, p4, weights), _dense(grad)
    d_x, d_plain, d_weighted = (value.new_empty(value.shape) for value in (x, plain, weighted))
    parts, (d_out, c_out, _) = threads(), grad.shape
    totals = x.new_zeros(parts, len(weights), dtype=torch.float64)
    sizes = *_mix_sizes(x, weighted, irreps, made), c_out, d_out, len(weights), parts
    _library(x).call("mix_backward", *data, irreps, *made, grad, d_x, d_plain, d_weighted, totals, *sizes)
    return d_x, d_plain, d_weighted, totals.sum(0).to(x.dtype)


@_mix_backward.register_fake
def _(x: Tensor, plain: Tensor, weighted: Tensor, p4: Tensor, weights: Tensor, *rest: Any) -> Any:
    return tuple(value.new_empty(value.shape) for value in (x, plain, weighted, weights))


def _mix_sizes(x: Tensor, weighted: Tensor, irreps: Tensor, made: Sequence[Tensor]) -> tuple[int, ...]:
    """Rows of products, components, moments, channels, slots, irreps."""
    return len(made[0]) - 1, len(x), len(weighted) - len(x), x.shape[1], x.shape[2], len(irreps)


def _mix_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:6])
    ctx.made = inputs[6]


def _mix_autograd(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    d_x, d_plain, d_weighted, d_weights = torch.ops.eqviz.native_mix_backward(
        *ctx.saved_tensors, ctx.made, grad
    )
    return d_x, d_plain, d_weighted, None, d_weights, None, [None] * len(ctx.made), None, None


_mix.register_autograd(_mix_autograd, setup_context=_mix_setup)
