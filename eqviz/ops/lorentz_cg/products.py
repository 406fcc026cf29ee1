"""Outer products within a channel and their reduction by fixed tables; gradients from the factors alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eqviz.ops.lorentz_cg.scratch import scratch

# Slots worked on at once: measured best of 256 to 2048, though the largest products are 3 MB in float32 then.
CHUNK = 2048
GPU_CHUNK = 1 << 16


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
        out = [x.new_empty(len(table), ctx.channels, x.shape[2]) for table in tables]
        for piece in pieces(x):
            for group, table, result in zip(plan, tables, out):
                product = outer(x[slice(*group.first), :, piece], y[slice(*group.second), :, piece])
                rows = table @ product.flatten(2).flatten(0, 1)
                result[..., piece] = rows.view(len(table), *product.shape[2:])
        return tuple(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, y, *tables = ctx.saved_tensors
        d_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        d_y = torch.zeros_like(y) if ctx.needs_input_grad[1] else None
        for piece in pieces(x):
            for group, table, grad in zip(ctx.plan, tables, grads):
                first, second = slice(*group.first), slice(*group.second)
                a, b = x[first, :, piece], y[second, :, piece]
                part = grad[..., piece].flatten(1)
                product = unfolded(table, part, len(a), len(b)).view(len(a), len(b), ctx.channels, a.shape[2])
                if d_x is not None:
                    times = torch.mul(product, b, out=scratch("times", b, *product.shape))
                    d_x[first, :, piece] += times.sum(1).sum_to_size(a.shape)
                if d_y is not None:
                    d_y[second, :, piece] += product.mul_(a.unsqueeze(1)).sum(0).sum_to_size(b.shape)
        return d_x, d_y, None, *(None for _ in tables)


def pieces(x: Tensor) -> list[slice]:
    """Slots that are worked on at once, of features (D, C, S)."""
    size = GPU_CHUNK if x.is_cuda else CHUNK
    return [slice(start, min(start + size, x.shape[2])) for start in range(0, x.shape[2], size)]


def outer(a: Tensor, b: Tensor) -> Tensor:
    """a (n_a, ...) times b (n_b, ...), (n_a, n_b, ...), in scratch memory."""
    shape = torch.broadcast_shapes(a.shape[1:], b.shape[1:])
    return torch.mul(a.unsqueeze(1), b, out=scratch("outer", a, len(a), len(b), *shape))


def unfolded(table: Tensor, grad: Tensor, n_a: int, n_b: int) -> Tensor:
    """The gradient (n_a, n_b, n) of an outer product from that of its table's result, in scratch memory."""
    flat = torch.mm(table.T, grad, out=scratch("outer", grad, n_a * n_b, grad.shape[1]))
    return flat.view(n_a, n_b, grad.shape[1])
