"""Mixed before it is spread: the fast forms, block by block, with gradients by recomputation.

Per ordered pair a mixing C -> O costs C O multiply-adds: one product on the even and one on the odd half of
the pairs. A message O -> C costs O C more. The mixed tensor x between them lives for one block only; the
backward pass makes it again from the saved message before it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from eqviz.ops.permutation_2to2 import steps
from eqviz.ops.permutation_2to2.layout import MirrorPairs
from eqviz.ops.permutation_2to2.steps import Scratch
from eqviz.ops.permutation_2to2.weights import PairStatistics, Spread


class Aggregate(torch.autograd.Function):
    """Row sums, column sums and diagonal (n, C) of a pair tensor (R, C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pairs: MirrorPairs) -> tuple[Tensor, Tensor, Tensor]:
        ctx.pairs = pairs
        out = Spread(*(x.new_zeros(pairs.n_nodes, x.shape[1]) for _ in range(3)))
        for block in pairs.blocks:
            steps.collect(block, block.rows(x), out)
        return tuple(out)  # type: ignore[return-value]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        out = grads[0].new_empty(ctx.pairs.n_rows, grads[0].shape[1])
        for block in ctx.pairs.blocks:
            block.rows(out).copy_(steps.collect_backward(block, Spread(*grads)))
        return out, None


class Mix(torch.autograd.Function):
    """x = leaky(W_1 a_ij + W_2 a_ji + u_i + v_j + delta_ij D_i), (R, C) -> (R, O)."""

    @staticmethod
    def forward(
        ctx: Any, pairs: MirrorPairs, slope: float, a: Tensor, even: Tensor, odd: Tensor, *spread: Tensor
    ) -> Tensor:
        ctx.pairs, ctx.slope = pairs, slope
        a, work = a.contiguous(), Scratch(pairs, a)
        out = a.new_empty(pairs.n_rows, len(even))
        for block in pairs.blocks:
            parts = steps.even_odd(block, block.rows(a), work, "a")
            steps.mix(block, parts, even, odd, Spread(*spread), slope, block.rows(out))
        ctx.save_for_backward(a, even, odd, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        a, even, odd, x = ctx.saved_tensors
        pairs, work = ctx.pairs, Scratch(ctx.pairs, a)
        to_a = torch.empty_like(a)
        to_weights = torch.zeros_like(even), torch.zeros_like(odd)
        to_spread = Spread(*(grad.new_zeros(pairs.n_nodes, x.shape[1]) for _ in range(3)))
        for block in pairs.blocks:
            parts = steps.even_odd(block, block.rows(a), work, "a")
            part = work.rows("x", 2 * block.pairs, x.shape[1]).copy_(block.rows(grad))
            part = steps.leaky_backward_(part, block.rows(x), ctx.slope)
            first, second = steps.mix_backward(block, parts, part, (even, odd), to_weights, to_spread, work)
            halves = block.halves(to_a)
            torch.add(first, second, out=halves[0]), torch.sub(first, second, out=halves[1])
        return None, None, to_a, *to_weights, *to_spread


class MixMessage(torch.autograd.Function):
    """a' = leaky(W x + b) with x of :class:`Mix`, and the aggregates of a'; x itself is never kept."""

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
        work = Scratch(pairs, a)
        out = a.new_empty(pairs.n_rows, len(weight))
        statistics = empty_statistics(pairs, out)
        for block in pairs.blocks:
            parts = steps.even_odd(block, block.rows(a), work, "a")
            x = work.rows("x", 2 * block.pairs, len(even))
            steps.mix(block, parts, even, odd, Spread(*spread), slope, x)
            message(block, x, weight, bias, slope, shift, block.rows(out), statistics, work)
        ctx.save_for_backward(a, even, odd, weight, *spread, out, shift)
        return out, *statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_out: Tensor | None, *to_statistics: Tensor | None) -> Any:
        a, even, odd, weight, *spread, out, shift = ctx.saved_tensors
        pairs, work = ctx.pairs, Scratch(ctx.pairs, a)
        incoming = MessageGradient(out, shift, to_out, to_statistics, ctx.slope, pairs.n_nodes)
        to_a = torch.empty_like(a)
        to_mix = torch.zeros_like(even), torch.zeros_like(odd)
        to_weight, to_bias = torch.zeros_like(weight), weight.new_zeros(len(weight))
        to_spread = Spread(*(a.new_zeros(pairs.n_nodes, len(even)) for _ in range(3)))
        for block in pairs.blocks:
            to_y = incoming.before_activation(block, work)
            parts = steps.even_odd(block, block.rows(a), work, "a")
            x = work.rows("x", 2 * block.pairs, len(even))
            steps.mix(block, parts, even, odd, Spread(*spread), ctx.slope, x)
            to_weight.addmm_(to_y.T, x)
            to_bias.add_(to_y.sum(0))
            to_x = torch.mm(to_y, weight, out=work.rows("to_x", len(x), len(even)))
            steps.leaky_backward_(to_x, x, ctx.slope)
            first, second = steps.mix_backward(block, parts, to_x, (even, odd), to_mix, to_spread, work)
            halves = block.halves(to_a)
            torch.add(first, second, out=halves[0]), torch.sub(first, second, out=halves[1])
        return None, None, None, to_a, *to_mix, to_weight, to_bias, *to_spread


class EncodeMessage(torch.autograd.Function):
    """a = leaky(W [f(d), e] + b) and its aggregates, for pair features f(d_ij) = f(d_ji) and e (R, L).

    ``encode(d, *parameters)`` takes (T,) and gives (T, O - L). It runs on the pairs i <= j alone, block by
    block, and again in the backward pass: its outputs are never kept.
    """

    @staticmethod
    def forward(
        ctx: Any,
        pairs: MirrorPairs,
        slope: float,
        shift: Tensor | None,
        encode: Any,
        d: Tensor,
        extra: Tensor,
        weight: Tensor,
        bias: Tensor,
        *parameters: Tensor,
    ) -> Any:
        ctx.pairs, ctx.slope, ctx.encode = pairs, slope, encode
        ctx.set_materialize_grads(False)
        work = Scratch(pairs, weight)
        out = weight.new_empty(pairs.n_rows, len(weight))
        statistics = empty_statistics(pairs, out)
        width = weight.shape[1] - extra.shape[1]
        for block in pairs.blocks:
            f = encode(d[block.pair : block.pair + block.pairs], *parameters)
            y = (
                torch.mm(block.rows(extra), weight[:, width:].T, out=block.rows(out))
                if extra.shape[1]
                else None
            )
            common = torch.addmm(bias, f, weight[:, :width].T)
            for half in block.halves(out):
                half.copy_(common) if y is None else half.add_(common)
            steps.leaky_(block.rows(out), slope)
            observe(block, block.rows(out), shift, statistics, work)
        ctx.save_for_backward(d, extra, weight, *parameters, out, shift)
        return out, *statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_out: Tensor | None, *to_statistics: Tensor | None) -> Any:
        d, extra, weight, *parameters, out, shift = ctx.saved_tensors
        pairs, work = ctx.pairs, Scratch(ctx.pairs, weight)
        incoming = MessageGradient(out, shift, to_out, to_statistics, ctx.slope, pairs.n_nodes)
        width = weight.shape[1] - extra.shape[1]
        to_weight, to_bias = torch.zeros_like(weight), weight.new_zeros(len(weight))
        to_extra = torch.empty_like(extra)
        to_parameters = [torch.zeros_like(value) for value in parameters]
        for block in pairs.blocks:
            to_y = incoming.before_activation(block, work)
            to_weight[:, width:].addmm_(to_y.T, block.rows(extra))
            torch.mm(to_y, weight[:, width:], out=block.rows(to_extra))
            to_f = to_y[: block.pairs].add_(to_y[block.pairs :])
            to_bias.add_(to_f.sum(0))
            leaves = [value.detach().requires_grad_() for value in parameters]
            with torch.enable_grad():
                f = ctx.encode(d[block.pair : block.pair + block.pairs], *leaves)
            to_weight[:, :width].addmm_(to_f.T, f.detach())
            for total, part in zip(to_parameters, torch.autograd.grad(f, leaves, to_f @ weight[:, :width])):
                total.add_(part)
        return None, None, None, None, None, to_extra, to_weight, to_bias, *to_parameters


def empty_statistics(pairs: MirrorPairs, out: Tensor) -> PairStatistics:
    """Zeros in the shapes of the aggregates of ``out`` (R, C)."""
    rows, columns, diagonal = (out.new_zeros(pairs.n_nodes, out.shape[1]) for _ in range(3))
    return PairStatistics(rows, columns, diagonal, out.new_zeros(out.shape[1]))


def message(
    block: Any,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    slope: float,
    shift: Tensor | None,
    out: Tensor,
    statistics: PairStatistics,
    work: Scratch,
) -> None:
    """a = leaky(W x + b) of one block into ``out``, and its aggregates."""
    steps.leaky_(torch.addmm(bias, x, weight.T, out=out), slope)
    observe(block, out, shift, statistics, work)


def observe(block: Any, a: Tensor, shift: Tensor | None, statistics: PairStatistics, work: Scratch) -> None:
    """Write the aggregates of one block's rows; with a shift add its squares, (i, i) counted twice."""
    steps.collect(block, a, Spread(*statistics[:3]))
    if shift is not None:
        moved = torch.sub(a, shift, out=work.rows("square", len(a), a.shape[1]))
        statistics.square.add_(moved.mul_(moved).sum(0))


class MessageGradient:
    """Everything that reaches a message a: from the next mixing, and through its aggregates."""

    def __init__(
        self,
        a: Tensor,
        shift: Tensor | None,
        to_a: Tensor | None,
        to_statistics: tuple[Tensor | None, ...],
        slope: float,
        n_nodes: int,
    ) -> None:
        self.a, self.to_a, self.slope = a, to_a, slope
        to_square = to_statistics[3]
        # of sum (a - shift)^2: a factor times a, and a constant that node values carry to their pairs
        self.factor = constant = None
        if to_square is not None and shift is not None:
            self.factor = 2 * to_square
            constant = -self.factor * shift
        self.nodes = node_gradients(to_statistics[:3], constant, n_nodes)

    def before_activation(self, block: Any, work: Scratch) -> Tensor:
        """The gradient of W x + b, (2T, C), in memory that the caller may overwrite."""
        a = block.rows(self.a)
        if self.nodes is not None:
            grad = steps.collect_backward(block, self.nodes)
            if self.to_a is not None:
                grad.add_(block.rows(self.to_a))
        else:
            grad = torch.zeros_like(a) if self.to_a is None else block.rows(self.to_a).clone()
        if self.factor is not None:
            grad.addcmul_(a, self.factor)
        return steps.leaky_backward_(grad, a, self.slope)


def node_gradients(grads: tuple[Tensor | None, ...], constant: Tensor | None, n_nodes: int) -> Spread | None:
    """Gradients of row sums, column sums and diagonal (n, C), with a constant (C,) for every row on top."""
    known = next((value for value in (constant, *grads) if value is not None), None)
    if known is None:
        return None
    zero = known.new_zeros(n_nodes, known.shape[-1])
    rows, columns, diagonal = (zero if grad is None else grad for grad in grads)
    if constant is None:
        return Spread(rows, columns, diagonal)
    return Spread(rows + constant / 2, columns + constant / 2, diagonal + constant)
