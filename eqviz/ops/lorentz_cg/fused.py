"""A Lorentz group network's sums and products as operators of PyTorch with Triton kernels inside.

Products with fixed tables are sparse: of all products of components, each row of a coupling needs a few. The
kernel walks over those terms, and so does its gradient; no outer product is ever in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqviz.ops.dispatch import accumulator, programs
from eqviz.ops.lorentz_cg.mixing import MixPlan
from eqviz.ops.lorentz_cg.products import ProductGroup
from eqviz.ops.lorentz_cg.terms import cached, mix_terms, product_terms
from eqviz.ops.pairs import PairLayout

LARGEST_WIDTH = 128  # components
LARGEST_BELLS = 63


def fits(x: Tensor, n_bells: int = 0) -> bool:
    """Whether the kernels take features like ``x`` (D, C, S)."""
    return x.shape[0] <= LARGEST_WIDTH and n_bells <= LARGEST_BELLS and x.shape[0] > 0


def bell_aggregate(
    x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, layout: PairLayout, n_plain: int
) -> tuple[Tensor, Tensor]:
    """As :func:`eqviz.ops.lorentz_cg.bell_aggregate`."""
    return torch.ops.eqviz.bell_aggregate(x, norm, decay, weights, layout.jets, n_plain)


def cg_products(
    x: Tensor, y: Tensor, plan: Sequence[ProductGroup], tables: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """As :func:`eqviz.ops.lorentz_cg.cg_products`."""
    channels = max(x.shape[1], y.shape[1])
    plan, sizes = tuple(plan), [len(table) for table in tables]
    terms = cached(tables, plan, lambda: _product_lists(plan, tables))
    a, b = (value.expand(-1, channels, -1) for value in (x, y))
    return sparse_products(a, b, terms, sum(sizes)).split(sizes)


def cg_mix(
    x: Tensor,
    plain: Tensor,
    weighted: Tensor,
    p4: Tensor,
    plan: MixPlan,
    tables: Sequence[Tensor],
    weights: Sequence[Tensor],
) -> Tensor:
    """As :func:`eqviz.ops.lorentz_cg.cg_mix`: one sparse product for all rows, then matrix products."""
    terms = cached(tables, plan, lambda: _mix_lists(len(x), plan, tables))
    first = torch.cat([plain, x, weighted])
    second = torch.cat([torch.ones_like(x[:1]), x, p4.expand(-1, x.shape[1], -1)])
    stack = sparse_products(first, second, terms, len(plan.order))
    out, sizes = [], [dimension * blocks for dimension, blocks in plan.outs]
    for (dimension, blocks), weight, part in zip(plan.outs, weights, stack.split(sizes)):
        products = part.reshape(dimension, blocks * x.shape[1], x.shape[2])
        out.append(weight.to(products.dtype) @ products)
    return torch.cat(out)


@dataclass(frozen=True, eq=False)
class Terms:
    """Terms v a_p b_q of rows r: starts, pairs, values; by r: (p, q), by p: (r, q), by q: (r, p)."""

    by_row: tuple[Tensor, Tensor, Tensor]
    by_first: tuple[Tensor, Tensor, Tensor]
    by_second: tuple[Tensor, Tensor, Tensor]

    @classmethod
    def build(cls, terms: np.ndarray, sizes: tuple[int, int, int], device: torch.device) -> Terms:
        """From rows (r, p, q, v) and the numbers of rows, first and second factors."""
        lists = []
        for column, size in enumerate(sizes):
            others = [k for k in range(3) if k != column]
            ordered = terms[np.argsort(terms[:, column], kind="stable")]
            counts = np.bincount(ordered[:, column].astype(np.int64), minlength=size)
            arrays = (
                np.concatenate([[0], np.cumsum(counts)]),
                ordered[:, others].astype(np.int64),
                ordered[:, 3],
            )
            lists.append(tuple(torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in arrays))
        return cls(*lists)  # type: ignore[arg-type]


def sparse_products(a: Tensor, b: Tensor, terms: Terms, n_rows: int) -> Tensor:
    """out_r = sum v a_p b_q of (., C, S) factors, (n_rows, C, S)."""
    return torch.ops.eqviz.sparse_products(a, b, n_rows, *terms.by_row, *terms.by_first, *terms.by_second)


def _product_lists(plan: tuple[ProductGroup, ...], tables: Sequence[Tensor]) -> Terms:
    sizes = max((g.first[1] for g in plan), default=0), max((g.second[1] for g in plan), default=0)
    return Terms.build(product_terms(plan, tables), (sum(map(len, tables)), *sizes), tables[0].device)


def _mix_lists(size: int, plan: MixPlan, tables: Sequence[Tensor]) -> Terms:
    """First factors: plain, x, weighted; second ones: 1, x, p4. Rows in the order of the mixing."""
    sizes = len(plan.order), 3 * size + len(tables[1]), size + 5
    return Terms.build(mix_terms(size, plan, tables), sizes, tables[0].device)


@torch.library.custom_op("eqviz::sparse_rows", mutates_args=())
def _rows(a: Tensor, b: Tensor, n_rows: int, starts: Tensor, terms: Tensor, values: Tensor) -> Tensor:
    from eqviz.ops.lorentz_cg.triton import LANES, OPTIONS, sparse_kernel
    from eqviz.ops.triton import TYPES

    out = a.new_empty(n_rows, *a.shape[1:], dtype=accumulator(a.dtype))
    width = a[0].numel() if len(a) else 0
    if width and n_rows:
        made = len(starts) - 1  # rows beyond have no terms
        out[made:] = 0
        grid = (-(-width // LANES["LANES"]), min(made, n_rows))
        sparse_kernel[grid](
            a.contiguous(), b.contiguous(), starts, terms, values, out, width,
            ACC=TYPES[accumulator(a.dtype)], **LANES, **OPTIONS,
        )  # fmt: skip
    return out


@_rows.register_fake
def _(a: Tensor, b: Tensor, n_rows: int, starts: Tensor, terms: Tensor, values: Tensor) -> Tensor:
    return a.new_empty(n_rows, *a.shape[1:], dtype=accumulator(a.dtype))


@torch.library.custom_op("eqviz::sparse_products", mutates_args=())
def _products(
    a: Tensor,
    b: Tensor,
    n_rows: int,
    starts: Tensor,
    terms: Tensor,
    values: Tensor,
    starts_a: Tensor,
    terms_a: Tensor,
    values_a: Tensor,
    starts_b: Tensor,
    terms_b: Tensor,
    values_b: Tensor,
) -> Tensor:
    return torch.ops.eqviz.sparse_rows(a, b, n_rows, starts, terms, values)


@_products.register_fake
def _(a: Tensor, b: Tensor, n_rows: int, *rest: Tensor) -> Tensor:
    return a.new_empty(n_rows, *a.shape[1:], dtype=accumulator(a.dtype))


def _products_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2], *inputs[6:])


def _products_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    a, b, *lists = ctx.saved_tensors
    d_a = d_b = None
    if ctx.needs_input_grad[0]:
        d_a = torch.ops.eqviz.sparse_rows(grad, b.to(grad.dtype), len(a), *lists[:3]).to(a.dtype)
    if ctx.needs_input_grad[1]:
        d_b = torch.ops.eqviz.sparse_rows(grad, a.to(grad.dtype), len(b), *lists[3:]).to(b.dtype)
    return d_a, d_b, *(None for _ in range(10))


_products.register_autograd(_products_autograd, setup_context=_products_setup)


@torch.library.custom_op("eqviz::bell_aggregate", mutates_args=())
def _bells(
    x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, jets: Tensor, n_plain: int
) -> tuple[Tensor, Tensor]:
    from eqviz.ops.lorentz_cg.triton import BLOCKS, OPTIONS, bells_forward

    plain, weighted = _sums(x, n_plain)
    if len(jets):
        grid = (*programs(x.device, len(jets)), x.shape[1])
        bells_forward[grid](
            x.contiguous(), norm.contiguous(), decay.contiguous(), weights.contiguous(), jets,
            plain, weighted, len(jets), x.shape[2], x.shape[1],
            **_sizes(x, decay, n_plain), **BLOCKS, **OPTIONS,
        )  # fmt: skip
    return plain, weighted


@_bells.register_fake
def _(x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, jets: Tensor, n_plain: int) -> Any:
    return _sums(x, n_plain)


@torch.library.custom_op("eqviz::bell_aggregate_backward", mutates_args=())
def _bells_backward(
    x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, jets: Tensor, d_plain: Tensor, d_weighted: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    from eqviz.ops.lorentz_cg.triton import BACKWARD_OPTIONS, BLOCKS, bells_backward

    dtype, k = accumulator(x.dtype), len(decay)
    d_x = x.new_empty(x.shape, dtype=dtype)
    if not len(jets):
        return d_x, d_x.new_zeros(decay.shape), d_x.new_zeros(weights.shape)
    sizes = _sizes(x, decay, len(d_plain))
    grid = (*programs(x.device, len(jets)), x.shape[1])
    parameters = d_x.new_empty(*grid, 3, sizes["KP"])
    bells_backward[grid](
        x.contiguous(), norm.contiguous(), decay.contiguous(), weights.contiguous(), jets,
        d_plain.contiguous(), d_weighted.contiguous(), d_x, parameters,
        len(jets), x.shape[2], x.shape[1], **sizes, **BLOCKS, **BACKWARD_OPTIONS,
    )  # fmt: skip
    total = parameters.sum(0)
    return d_x, total[:, 2, :k].sum(0), total[:, :2, : k + 1].transpose(0, 1).contiguous()


@_bells_backward.register_fake
def _(x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, *rest: Tensor) -> Any:
    dtype = accumulator(x.dtype)
    return tuple(value.new_empty(value.shape, dtype=dtype) for value in (x, decay, weights))


def _bells_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:5])


def _bells_autograd(ctx: Any, d_plain: Tensor, d_weighted: Tensor) -> tuple[Tensor | None, ...]:
    x, norm, decay, weights, jets = ctx.saved_tensors
    grads = torch.ops.eqviz.bell_aggregate_backward(x, norm, decay, weights, jets, d_plain, d_weighted)
    d_x, d_decay, d_weights = (g.to(value.dtype) for g, value in zip(grads, (x, decay, weights)))
    return d_x, None, d_decay, d_weights, None, None


_bells.register_autograd(_bells_autograd, setup_context=_bells_setup)


def _sums(x: Tensor, n_plain: int) -> tuple[Tensor, Tensor]:
    dtype = accumulator(x.dtype)
    return x.new_empty(n_plain, *x.shape[1:], dtype=dtype), x.new_empty(x.shape, dtype=dtype)


def _sizes(x: Tensor, decay: Tensor, n_plain: int) -> dict[str, Any]:
    from eqviz.ops.triton import kernel_types, triton

    padded = {"DP": max(16, triton.next_power_of_2(len(x))), "KP": triton.next_power_of_2(len(decay) + 1)}
    return {"N_PLAIN": n_plain, "D": len(x), "K": len(decay), **padded, **kernel_types(x)}
