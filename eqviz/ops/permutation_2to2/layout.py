"""Where PELICAN's pairs live: (i, j) and (j, i) side by side, without padding.

All pairs i <= j of a block of whole jets are rows "ij" of that block, followed by the same number of rows
"ji". Exchanging i and j is then exchanging two contiguous halves, and

    even = x_ij + x_ji,    odd = x_ij - x_ji

need two passes over contiguous memory. W_1 x_ij + W_2 x_ji does not mix even and odd: two matrix products on
N^2 rows become one on N (N + 1) / 2 even rows and one on as many odd rows, half the work for the same
function. The price is that diagonal entries are stored twice.

Sums over the pairs of a node and the spreading of node values to pairs are gathers (:func:`gathered_sum`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from eqviz.ops.pairs import PairLayout

# Ordered pairs of a block: scratch memory of a few hundred channels stays near the cache.
CPU_BLOCK_PAIRS = 4096
GPU_BLOCK_PAIRS = 1 << 20


class Block(NamedTuple):
    """Whole jets whose pairs are worked on together.

    Attributes:
        pair, pairs: first pair i <= j and number of them; rows ``2 pair`` to ``2 (pair + pairs)`` are theirs.
        node, nodes: first node and number of nodes.
        ends: (pairs, 2) nodes i and j of each pair, from the block's first node on; for i = j both entries
            are ``nodes + i``, so that a table of 2 ``nodes`` rows can hold other values for the diagonal.
        signed_ends: (pairs, 2) the same, ``nodes + j`` for j, and i and ``nodes + i`` on the diagonal.
        member: (sum of N^2,) pairs of each node, node after node, from the block's first pair on.
        sign: (sum of N^2,) +1 where the node is i, -1 where it is j, 0 on the diagonal.
        first_member: (nodes,) where each node's pairs begin in ``member``.
        diagonal: (nodes,) pair (i, i) of each node, from the block's first pair on.
        in_row, in_column: (sum of N^2,) rows (i, j) of each node i, and rows (j, i), from the block's first
            row on; of the two rows of (i, i) one is in the first list, the other in the second.
        row_ends: (2 pairs, 2) receiver i and ``nodes`` + sender j of each row, for a table of three parts:
            values of receivers, of senders, and of the diagonal, whose second entry is ``2 nodes + i``.
    """

    pair: int
    pairs: int
    node: int
    nodes: int
    ends: Tensor
    signed_ends: Tensor
    member: Tensor
    sign: Tensor
    first_member: Tensor
    diagonal: Tensor
    in_row: Tensor
    in_column: Tensor
    row_ends: Tensor

    def rows(self, values: Tensor) -> Tensor:
        """The part of (R, ...) rows that belongs to this block, as a view."""
        return values[2 * self.pair : 2 * (self.pair + self.pairs)]

    def halves(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Rows "ij" and rows "ji" of this block in (R, ...), as views."""
        middle = 2 * self.pair + self.pairs
        return values[2 * self.pair : middle], values[middle : middle + self.pairs]

    def of_nodes(self, values: Tensor) -> Tensor:
        """The part of (n, ...) node values that belongs to this block, as a view."""
        return values[self.node : self.node + self.nodes]


@dataclass(frozen=True, eq=False)
class MirrorPairs:
    """Index maps of a ragged batch; build it with :meth:`build`.

    Attributes:
        blocks: the blocks, in the order of jets.
        lengths: (B,) nodes of each jet.
        jet: (n,) jet of each node.
        first, second: (T,) nodes i <= j of every pair.
        n_nodes, n_pairs, n_rows: n, T and R = 2 T.
        sizes: nodes of each jet, on the host, so that nobody has to wait for a GPU to learn them.
    """

    blocks: tuple[Block, ...]
    lengths: Tensor
    jet: Tensor
    first: Tensor
    second: Tensor
    n_nodes: int
    n_pairs: int
    sizes: tuple[int, ...]

    @classmethod
    def build(cls, lengths: Tensor, block_pairs: int | None = None) -> MirrorPairs:
        """The layout for jets of ``lengths`` (B,) nodes, on their device."""
        device = lengths.device
        limit = block_pairs or (GPU_BLOCK_PAIRS if device.type == "cuda" else CPU_BLOCK_PAIRS)
        sizes = [int(size) for size in lengths.tolist()]
        made, first, second = [], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        pair = node = start = 0
        for stop in range(1, len(sizes) + 1):
            group = sizes[start:stop]
            if stop < len(sizes) and sum(n * n for n in group) + sizes[stop] ** 2 <= limit:
                continue
            i, j, arrays = _indices(group)
            if len(i):
                tensors = (torch.from_numpy(array).to(device) for array in arrays)
                made.append(Block(pair, len(i), node, sum(group), *tensors))
                first.append(i + node)
                second.append(j + node)
            pair, node, start = pair + len(i), node + sum(group), stop
        jet = torch.repeat_interleave(torch.arange(len(sizes), device=device), lengths)
        i, j = (torch.from_numpy(np.concatenate(part)).to(device) for part in (first, second))
        return cls(tuple(made), lengths, jet, i, j, node, pair, tuple(sizes))

    @property
    def n_rows(self) -> int:
        """R, every pair i < j twice and every (i, i) twice."""
        return 2 * self.n_pairs

    @property
    def n_jets(self) -> int:
        """B."""
        return len(self.lengths)

    @cached_property
    def count(self) -> int:
        """Number of ordered pairs, i = j among them, each once."""
        return 2 * self.n_pairs - self.n_nodes

    @cached_property
    def largest(self) -> int:
        """Pairs i <= j of the largest block."""
        return max((block.pairs for block in self.blocks), default=0)

    @cached_property
    def ends(self) -> tuple[Tensor, Tensor]:
        """Receiver i and sender j of every row, (R,) each."""
        i, j = self.first.new_empty(self.n_rows), self.first.new_empty(self.n_rows)
        for block in self.blocks:
            a, b = (ends[block.pair : block.pair + block.pairs] for ends in (self.first, self.second))
            for target, parts in ((i, (a, b)), (j, (b, a))):
                for half, part in zip(block.halves(target), parts):
                    half.copy_(part)
        return i, j

    @cached_property
    def nodes(self) -> Tensor:
        """(n,) the numbers of all nodes."""
        return torch.arange(self.n_nodes, device=self.lengths.device)

    @cached_property
    def jet_start(self) -> Tensor:
        """(B,) first node of each jet."""
        return self.lengths.cumsum(0) - self.lengths

    @cached_property
    def host_jets(self) -> np.ndarray:
        """(B, 4) int64 on the host: first node, nodes, first row "ij" and first row "ji" of every jet."""
        rows, node, k = [], 0, 0
        for block in self.blocks:
            first, end = 2 * block.pair, block.node + block.nodes
            while k < len(self.sizes) and node + self.sizes[k] <= end:
                rows.append((node, self.sizes[k], first, first + block.pairs))
                first += self.sizes[k] * (self.sizes[k] + 1) // 2
                node, k = node + self.sizes[k], k + 1
        return np.array(rows, np.int64).reshape(-1, 4)

    @cached_property
    def jets(self) -> Tensor:
        """:attr:`host_jets` where the batch is."""
        return torch.from_numpy(self.host_jets).to(self.lengths.device)

    def mirrored(self, values: Tensor) -> Tensor:
        """Symmetric pair features (T, C) of the pairs i <= j as rows (R, C)."""
        parts = [values[block.pair : block.pair + block.pairs].repeat(2, 1) for block in self.blocks]
        return torch.cat([values[:0], *parts])

    def from_tiles(self, values: Tensor, layout: PairLayout) -> Tensor:
        """Pairs i <= j, (T, ...), of (P, ...) values in the tiles of a :class:`PairLayout`."""
        return values[self.tile_index(self.first, self.second, layout)]

    def tile_index(self, i: Tensor, j: Tensor, layout: PairLayout) -> Tensor:
        """Where the pairs of nodes (i, j) are in the tiles of ``layout``."""
        slot = layout.node_slot
        size, start = self._tile_columns(layout)
        row = slot[i] - start[0][i]
        tile, column = row // size[i], slot[j] - start[0][j]
        return start[1][i] + row * size[i] + column - tile * size[i]

    def _tile_columns(self, layout: PairLayout) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Of each node: size of its tile, first slot and first pair of its tile."""
        table = torch.tensor(
            [(tile.size, tile.slot, tile.pair) for tile in layout.tiles], dtype=torch.int64
        ).view(-1, 3)
        counts = torch.tensor([tile.jets * tile.size for tile in layout.tiles], dtype=torch.int64)
        of_slot = torch.repeat_interleave(table, counts, dim=0).to(layout.node_slot.device)
        size, slot, pair = of_slot[layout.node_slot].unbind(1)
        return size, (slot, pair)


def _indices(sizes: list[int]) -> tuple[Any, Any, tuple[Any, ...]]:
    """i and j of all pairs i <= j, and the arrays of a :class:`Block`, for jets of ``sizes`` nodes."""
    nodes, pairs = sum(sizes), sum(n * (n + 1) // 2 for n in sizes)
    parts: list[list[Any]] = [[] for _ in range(5)]
    node = pair = 0
    for n in sizes:
        i, j = np.triu_indices(n)
        number = np.empty((n, n), np.int64)
        number[i, j] = number[j, i] = np.arange(pair, pair + len(i))
        sign = np.sign(np.arange(n) - np.arange(n)[:, None])
        new = (i + node, j + node, number.ravel(), sign.ravel(), np.diagonal(number))
        for part, array in zip(parts, new):
            part.append(array)
        node, pair = node + n, pair + len(i)
    i, j, member, sign, diagonal = (np.concatenate(part) if part else np.zeros(0, int) for part in parts)
    same = i == j
    ends = np.stack([i + nodes * same, j + nodes * same], 1)
    signed_ends = np.stack([i, j + nodes], 1)
    row_ends = np.concatenate([np.stack([i, j + nodes], 1), np.stack([j, i + nodes], 1)])
    row_ends[:pairs][same, 1] += nodes
    row_ends[pairs:][same] += nodes
    counts = np.repeat(sizes, sizes)
    first_member = np.cumsum(counts) - counts
    in_row, in_column = member + pairs * (sign < 0), member + pairs * (sign >= 0)
    arrays = (ends, signed_ends, member, sign.astype(np.float32), first_member, diagonal)
    return i, j, (*arrays, in_row, in_column, row_ends)


def gathered_sum(
    table: Tensor, index: Tensor, starts: Tensor | None = None, sign: Tensor | None = None
) -> Tensor:
    """Sums of rows of ``table`` (m, C): one per row of ``index`` (k, 2), or per segment of a flat ``index``.

    Not differentiable: it is a step of functions that bring their own gradients.
    """
    weights = None if sign is None else sign.to(table.dtype)
    return embedding_bag(index, table, starts, mode="sum", per_sample_weights=weights)
