"""Outer products within a channel and their reduction by fixed tables; gradients from the factors alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class ProductGroup(NamedTuple):
    """Components first[0] .. first[1] of one factor times second[0] .. second[1] of the other."""

    first: tuple[int, int]
    second: tuple[int, int]


def products_fused(
    x: Tensor, y: Tensor, plan: Sequence[ProductGroup], tables: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """As :func:`eqviz.ops.lorentz_cg.cg_products`."""
    return _Products.apply(x, y, tuple(plan), *tables)


class _Products(torch.autograd.Function):
    # Keeping the factors and not their products saves memory, and slices cost no gradient of their own.
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, plan: tuple[ProductGroup, ...], *tables: Tensor) -> Any:
        ctx.plan, ctx.channels = plan, max(x.shape[1], y.shape[1])
        ctx.save_for_backward(x, y, *tables)
        shape = ctx.channels, x.shape[2]
        out = []
        for group, table in zip(plan, tables):
            a, b = x[slice(*group.first)], y[slice(*group.second)]
            product = a.unsqueeze(1) * b
            flat = product.reshape(table.shape[1], shape[0] * shape[1])
            out.append((table @ flat).view(len(table), *shape))
        return tuple(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, y, *tables = ctx.saved_tensors
        d_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        d_y = torch.zeros_like(y) if ctx.needs_input_grad[1] else None
        shape = ctx.channels, x.shape[2]
        for group, table, grad in zip(ctx.plan, tables, grads):
            a, b = x[slice(*group.first)], y[slice(*group.second)]
            flat = grad.reshape(len(grad), shape[0] * shape[1])
            product = (table.T @ flat).view(len(a), len(b), *shape)
            if d_x is not None:
                d_x[slice(*group.first)] += (product * b).sum(1).sum_to_size(a.shape)
            if d_y is not None:
                total = (product * a.unsqueeze(1)).sum(0)
                d_y[slice(*group.second)] += total.sum_to_size(b.shape)
        return d_x, d_y, None, *(None for _ in tables)
