"""All products of a level and the mixing of channels, some hundred nodes at a time, within the cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eqviz.ops.lorentz_cg.products import ProductGroup, outer, pieces, unfolded
from eqviz.ops.lorentz_cg.scratch import scratch


class MixPlan(NamedTuple):
    """Where everything goes; tables come separately, since they have a precision and a device.

    All products lie in one list of rows: those of the linear table on ``plain``, the same on ``x``, those of
    the table of products with momenta, then those of the squares.

    Attributes:
        outs: for each output irrep its dimension and number of blocks.
        squares: groups of products of ``x`` with itself.
        order: for each irrep, component and block in turn, the row that it is.
    """

    outs: tuple[tuple[int, int], ...]
    squares: tuple[ProductGroup, ...]
    order: tuple[int, ...]


def mix_chunked(
    x: Tensor,
    plain: Tensor,
    weighted: Tensor,
    p4: Tensor,
    plan: MixPlan,
    tables: Sequence[Tensor],
    weights: Sequence[Tensor],
) -> Tensor:
    """As :func:`eqviz.ops.lorentz_cg.cg_mix`."""
    return _Mix.apply(x, plain, weighted, p4, plan, len(tables), *tables, *weights)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        plain: Tensor,
        weighted: Tensor,
        p4: Tensor,
        plan: MixPlan,
        n_tables: int,
        *rest: Tensor,
    ) -> Tensor:
        ctx.plan, ctx.n_tables = plan, n_tables
        tables, weights = rest[:n_tables], rest[n_tables:]
        order = torch.tensor(plan.order, device=x.device)
        out = x.new_empty(sum(size for size, _ in plan.outs), len(weights[0]), x.shape[2])
        stacks, irreps = [], _irreps(plan, weights)
        for piece in pieces(x):
            nodes = _Nodes(plan, tables, *(value[..., piece] for value in (x, plain, weighted, p4)))
            stack = nodes.products().index_select(0, order)
            for rows, columns, weight in irreps:
                blocks = stack[columns].view(len(weight), weight.shape[2], -1)
                out[rows, :, piece] = torch.bmm(weight, blocks)
            stacks.append(stack)
        ctx.save_for_backward(x, plain, weighted, p4, order, *rest, *stacks)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, plain, weighted, p4, order, *rest = ctx.saved_tensors
        plan = ctx.plan
        n_weights = len(plan.outs)
        tables, rest = rest[: ctx.n_tables], rest[ctx.n_tables :]
        weights, stacks = rest[:n_weights], rest[n_weights:]
        d_weights = [torch.zeros_like(weight) for weight in weights]
        grads = [torch.empty_like(value) for value in (x, plain, weighted)]
        irreps, back = _irreps(plan, weights), torch.empty_like(order)
        back[order] = torch.arange(len(order), device=order.device)
        for piece, stack in zip(pieces(x), stacks):
            d_stack = scratch("d_stack", stack, *stack.shape)
            for (rows, columns, weight), d_weight in zip(irreps, d_weights):
                to_out = grad[rows, :, piece].contiguous()
                shape = len(to_out), weight.shape[2], to_out.shape[2]
                d_weight += torch.bmm(to_out, stack[columns].view(shape).transpose(1, 2)).sum(0)
                torch.bmm(weight.transpose(1, 2), to_out, out=d_stack[columns].view(shape))
            nodes = _Nodes(plan, tables, *(value[..., piece] for value in (x, plain, weighted, p4)))
            d_rows = torch.index_select(d_stack, 0, back, out=scratch("rows", stack, *stack.shape))
            for total, part in zip(grads, nodes.backward(d_rows)):
                total[..., piece] = part
        return *grads, None, None, None, *(None for _ in tables), *d_weights


def _irreps(plan: MixPlan, weights: Sequence[Tensor]) -> list[tuple[slice, slice, Tensor]]:
    """Output components, ordered products, and weights (d, C_out, blocks C), of every irrep."""
    found, component, product = [], 0, 0
    for (size, blocks), weight in zip(plan.outs, weights):
        rows = slice(component, component + size)
        # a repeated matrix in memory: with a stride of 0 the batched product falls back to a loop
        repeated = weight.expand(size, -1, -1).contiguous()
        found.append((rows, slice(product, product + size * blocks), repeated))
        component, product = component + size, product + size * blocks
    return found


class _Nodes:
    """The products of some nodes, (rows, C s), and their gradients."""

    def __init__(
        self, plan: MixPlan, tables: Sequence[Tensor], x: Tensor, plain: Tensor, weighted: Tensor, p4: Tensor
    ) -> None:
        self.plan, self.tables, self.shape = plan, tables, x.shape[1:]
        self.columns = x.shape[1] * x.shape[2]
        self.x, self.plain, self.weighted = (self._flat(value) for value in (x, plain, weighted))
        self.p4 = self._flat(p4.expand(-1, x.shape[1], -1))

    def _flat(self, value: Tensor) -> Tensor:
        return value.reshape(len(value), self.columns)

    def products(self) -> Tensor:
        """Every product, in the order of the tables' rows."""
        linear, vector, *squares = self.tables
        sizes = [len(linear), *(len(table) for table in self.tables)]
        rows = scratch("rows", self.x, sum(sizes), self.columns)
        parts = rows.split(sizes)
        torch.mm(linear, self.plain, out=parts[0])
        torch.mm(linear, self.x, out=parts[1])
        size = len(self.x)
        torch.mm(vector, outer(self.p4, self.weighted[:size]).flatten(0, 1), out=parts[2])
        parts[2].sub_(self.weighted[size:])
        for group, table, part in zip(self.plan.squares, squares, parts[3:]):
            product = outer(self.x[slice(*group.first)], self.x[slice(*group.second)])
            torch.mm(table, product.flatten(0, 1), out=part)
        return rows

    def backward(self, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of x, plain and weighted, (rows, C, s), from those of the products."""
        linear, vector, *squares = self.tables
        parts = grad.split([len(linear), *(len(table) for table in self.tables)])
        d_plain, d_x = linear.T @ parts[0], linear.T @ parts[1]
        size = len(self.x)
        d_weighted = torch.empty_like(self.weighted)
        torch.neg(parts[2], out=d_weighted[size:])
        product = unfolded(vector, parts[2], 4, size)
        torch.sum(product.mul_(self.p4[:, None]), 0, out=d_weighted[:size])
        for group, table, part in zip(self.plan.squares, squares, parts[3:]):
            first, second = slice(*group.first), slice(*group.second)
            a, b = self.x[first], self.x[second]
            product = unfolded(table, part, len(a), len(b))
            d_x[first] += torch.mul(product, b, out=scratch("times", b, *product.shape)).sum(1)
            d_x[second] += product.mul_(a[:, None]).sum(0)
        return d_x.view(-1, *self.shape), d_plain.view(-1, *self.shape), d_weighted.view(-1, *self.shape)
