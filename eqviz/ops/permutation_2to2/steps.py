"""The steps on one block of pairs, in scratch memory that stays near the cache, and their gradients.

Names: x (2T, O) is a mixed and activated pair tensor, a (2T, C) an activated message, both as rows "ij" then
"ji" of one block; *even* and *odd* are sums and differences of the two halves.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqviz.ops.permutation_2to2.layout import Block, MirrorPairs, gathered_sum
from eqviz.ops.permutation_2to2.weights import Spread


class Scratch:
    """Rows for the largest block, by name and width."""

    def __init__(self, pairs: MirrorPairs, like: Tensor) -> None:
        self.pairs, self.like = pairs, like
        self.store: dict[str, Tensor] = {}

    def rows(self, name: str, count: int, width: int) -> Tensor:
        """An uninitialised (count, width) part of the buffer ``name``."""
        if name not in self.store:
            self.store[name] = self.like.new_empty(2 * self.pairs.largest, width)
        return self.store[name][:count]


def leaky_(x: Tensor, slope: float) -> Tensor:
    """max(x, slope x) in place."""
    return x if slope == 1 else torch.nn.functional.leaky_relu_(x, slope)


def leaky_backward_(grad: Tensor, result: Tensor, slope: float) -> Tensor:
    """The gradient before the activation from that after it and the activation's result, in place."""
    if slope == 1:
        return grad
    return torch.ops.aten.leaky_relu_backward.grad_input(grad, result, slope, True, grad_input=grad)


def even_odd(block: Block, a: Tensor, work: Scratch, name: str) -> tuple[Tensor, Tensor]:
    """a_ij + a_ji and a_ij - a_ji of rows (2T, C) of one block, (T, C) each, in scratch memory."""
    out = work.rows(name, 2 * block.pairs, a.shape[1])
    first, second = a[: block.pairs], a[block.pairs :]
    even = torch.add(first, second, out=out[: block.pairs])
    return even, torch.sub(first, second, out=out[block.pairs :])


def spread_tables(block: Block, spread: Spread) -> tuple[Tensor, Tensor]:
    """Tables (2 nodes, O) whose gathered sums are the even and the odd part of u_i + v_j + delta_ij D_i."""
    u, v, diagonal = (block.of_nodes(values) for values in spread)
    even = (u + v) / 2
    odd = (u - v) / 2
    return torch.cat([even, even + diagonal / 2]), torch.cat([odd, -odd])


def mix(
    block: Block,
    parts: tuple[Tensor, Tensor],
    even_weight: Tensor,
    odd_weight: Tensor,
    spread: Spread,
    slope: float,
    out: Tensor,
) -> Tensor:
    """x = leaky(W_1 a_ij + W_2 a_ji + u_i + v_j + delta_ij D_i) into ``out`` (2T, O), from even and odd a."""
    even_table, odd_table = spread_tables(block, spread)
    even = gathered_sum(even_table, block.ends).addmm_(parts[0], even_weight.T)
    odd = gathered_sum(odd_table, block.signed_ends).addmm_(parts[1], odd_weight.T)
    torch.add(even, odd, out=out[: block.pairs])
    torch.sub(even, odd, out=out[block.pairs :])
    return leaky_(out, slope)


def collect(block: Block, a: Tensor, into: Spread) -> None:
    """Row sums, column sums and diagonal of rows (2T, C), written into node values (n, C)."""
    block.of_nodes(into.receiver).copy_(gathered_sum(a, block.in_row, block.first_member))
    block.of_nodes(into.sender).copy_(gathered_sum(a, block.in_column, block.first_member))
    diagonal = a[block.diagonal].add_(a[block.diagonal + block.pairs]).div_(2)
    block.of_nodes(into.diagonal).copy_(diagonal)


def collect_backward(block: Block, grads: Spread) -> Tensor:
    """The gradient of rows (2T, C) from those of row sums, column sums and diagonal."""
    rows, columns, diagonal = (block.of_nodes(values) for values in grads)
    return gathered_sum(torch.cat([rows, columns, diagonal / 2]), block.row_ends)


def mix_backward(
    block: Block,
    parts: tuple[Tensor, Tensor],
    grad: Tensor,
    weights: tuple[Tensor, Tensor],
    into: tuple[Tensor, Tensor],
    spread: Spread,
    work: Scratch,
) -> tuple[Tensor, Tensor]:
    """Gradients of even and odd a, (T, C) each, from that of x before its activation, (2T, O).

    Adds to the weights' gradients ``into`` and writes those of the node values ``spread``.
    """
    even, odd = even_odd(block, grad, work, "mixed")
    into[0].addmm_(even.T, parts[0])
    into[1].addmm_(odd.T, parts[1])
    diagonal = even[block.diagonal]
    to_even = gathered_sum(even, block.member, block.first_member)
    to_odd = gathered_sum(odd, block.member, block.first_member, block.sign)
    # each end of a pair holds half of u + v; a pair (i, i) was counted once and holds both halves
    total = to_even + diagonal
    block.of_nodes(spread.receiver).copy_((total + to_odd) / 2)
    block.of_nodes(spread.sender).copy_((total - to_odd) / 2)
    block.of_nodes(spread.diagonal).copy_(diagonal)
    out = work.rows("parts", 2 * block.pairs, weights[0].shape[1])
    to_first = torch.mm(even, weights[0], out=out[: block.pairs])
    return to_first, torch.mm(odd, weights[1], out=out[block.pairs :])
