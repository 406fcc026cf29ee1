"""Where the pairs of a ragged batch live: jets of like size share a dense tile, so little is padding.

Three index spaces: *nodes* (n rows, jet after jet), *slots* (S rows, the nodes of each tile padded to its
largest jet) and *pairs* (P entries, slot x slot of each jet, receiver slow and sender fast). All tiles lie
one after the other in one flat vector, so elementwise work on pairs needs no loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

# Tiles this large keep three float32 pair tensors of 72 channels in a 2 MB cache (measured best on a CPU);
# a GPU wants few and large tiles instead.
CPU_TILE_PAIRS = 4096
GPU_TILE_PAIRS = 1 << 19


class Tile(NamedTuple):
    """``jets`` jets of at most ``size`` nodes: its first slot and its first pair."""

    jets: int
    size: int
    slot: int
    pair: int

    def slots(self, values: Tensor) -> Tensor:
        """The part of (S, ...) values that belongs to this tile, (jets, size, ...), as a view."""
        end = self.slot + self.jets * self.size
        return values[self.slot : end].view(self.jets, self.size, *values.shape[1:])

    def pairs(self, values: Tensor) -> Tensor:
        """The part of (P, ...) values that belongs to this tile, (jets, size, size, ...), as a view."""
        end = self.pair + self.jets * self.size**2
        return values[self.pair : end].view(self.jets, self.size, self.size, *values.shape[1:])

    def rows(self, values: Tensor) -> Tensor:
        """The part of (P, F) values that belongs to this tile as rows, (T, F), as a view."""
        return values[self.pair : self.pair + self.jets * self.size**2]


@dataclass(frozen=True)
class PairLayout:
    """Index maps between nodes, slots and pairs; build it with :meth:`build`.

    Attributes:
        tiles: the tiles, smallest jets first.
        node_slot: (n,) int64 slot of each node.
        slot_node: (S,) int64 node of each slot, n for padding.
        slot_size: (S,) int64 number of nodes in the jet of each slot, 0 for padding.
        n_nodes, n_slots, n_pairs: n, S and P.
        sizes: (J,) number of nodes of each jet that has any, in the order of the slots; on the host, so that
            nobody has to wait for a GPU to learn them.
    """

    tiles: tuple[Tile, ...]
    node_slot: Tensor
    slot_node: Tensor
    slot_size: Tensor
    n_nodes: int
    n_slots: int
    n_pairs: int
    sizes: np.ndarray

    @classmethod
    def build(cls, lengths: Tensor, tile_pairs: int | None = None) -> PairLayout:
        """The layout for jets of ``lengths`` (B,) nodes, on their device."""
        device = lengths.device
        limit = tile_pairs or (GPU_TILE_PAIRS if device.type == "cuda" else CPU_TILE_PAIRS)
        sizes = lengths.cpu().numpy()
        order = np.argsort(sizes, kind="stable")
        order = order[sizes[order] > 0]
        first_node = np.cumsum(sizes) - sizes
        tiles, slot_node, slot_size = [], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        slot = pair = 0
        for start, end in _groups(sizes[order], limit):
            chosen, size = order[start:end], int(sizes[order[end - 1]])
            tiles.append(Tile(end - start, size, slot, pair))
            real = np.arange(size) < sizes[chosen][:, None]
            rows = first_node[chosen][:, None] + np.arange(size)
            slot_node.append(np.where(real, rows, sizes.sum()).ravel())
            slot_size.append(np.where(real, sizes[chosen][:, None], 0).ravel())
            slot += real.size
            pair += real.size * size
        nodes = np.concatenate(slot_node)
        node_slot = np.empty(sizes.sum(), np.int64)
        filled = np.flatnonzero(nodes < sizes.sum())
        node_slot[nodes[filled]] = filled
        return cls(
            tuple(tiles),
            torch.from_numpy(node_slot).to(device),
            torch.from_numpy(nodes).to(device),
            torch.from_numpy(np.concatenate(slot_size)).to(device),
            int(sizes.sum()),
            slot,
            pair,
            sizes[order],
        )

    @cached_property
    def count(self) -> int:
        """Number of real pairs of different nodes."""
        return int((self.sizes * (self.sizes - 1)).sum())

    @cached_property
    def degree(self) -> Tensor:
        """(n,) float64 number of other nodes in the jet of each node."""
        return (self.to_nodes(self.slot_size) - 1).double()

    @cached_property
    def pair_mask(self) -> Tensor:
        """(P,) bool: True for two different real nodes."""
        mask = torch.empty(self.n_pairs, dtype=torch.bool, device=self.node_slot.device)
        for tile in self.tiles:
            real = tile.slots(self.slot_size) > 0
            view = tile.pairs(mask)
            torch.logical_and(real[:, :, None], real[:, None, :], out=view)
            view.diagonal(dim1=1, dim2=2).fill_(False)
        return mask

    @cached_property
    def pair_index(self) -> tuple[Tensor, Tensor]:
        """Receiver and sender slot of every pair, (P,) each."""
        slots = torch.arange(self.n_slots, device=self.node_slot.device)
        receiver = slots.new_empty(self.n_pairs)
        sender = slots.new_empty(self.n_pairs)
        for tile in self.tiles:
            tile.pairs(receiver)[:] = tile.slots(slots)[:, :, None]
            tile.pairs(sender)[:] = tile.slots(slots)[:, None, :]
        return receiver, sender

    @cached_property
    def jets(self) -> Tensor:
        """(J, 4) int64 for every jet that has nodes: first slot, first pair, slots, nodes."""
        rows = [
            (tile.slot + k * tile.size, tile.pair + k * tile.size**2, tile.size)
            for tile in self.tiles
            for k in range(tile.jets)
        ]
        table = np.column_stack([np.array(rows, np.int64).reshape(-1, 3), self.sizes.astype(np.int64)])
        return torch.from_numpy(np.ascontiguousarray(table)).to(self.slot_size.device)

    @cached_property
    def slot_jet(self) -> Tensor:
        """(S,) int64 row of each slot's jet in :attr:`jets`; J for padding."""
        count = len(self.jets)
        jet = torch.arange(count, device=self.jets.device)
        jet = torch.repeat_interleave(jet, self.jets[:, 2], output_size=self.n_slots)
        return torch.where(self.slot_size > 0, jet, count)

    @cached_property
    def jet_of_node(self) -> Tensor:
        """(n,) row of each node's jet in :attr:`jets`."""
        return self.to_nodes(self.slot_jet)

    def to_slots(self, values: Tensor) -> Tensor:
        """(n, ...) node values in slot order, (S, ...), zero on padding."""
        return _ToSlots.apply(values, self)

    def to_nodes(self, values: Tensor) -> Tensor:
        """(S, ...) slot values in node order, (n, ...)."""
        return _ToNodes.apply(values, self)


# Each is the gradient of the other: a gather both ways, where autograd would scatter and add.
class _ToSlots(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, layout: PairLayout) -> Tensor:
        ctx.layout = layout
        if layout.n_slots > layout.n_nodes:
            values = torch.cat([values, values.new_zeros(1, *values.shape[1:])])
        return values.index_select(0, layout.slot_node)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _ToNodes.apply(grad, ctx.layout), None


class _ToNodes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, layout: PairLayout) -> Tensor:
        ctx.layout = layout
        return values.index_select(0, layout.node_slot)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _ToSlots.apply(grad, ctx.layout), None


def _groups(sizes: np.ndarray, limit: int) -> Iterator[tuple[int, int]]:
    """Runs of sorted sizes whose padded pairs stay within ``limit`` (at least one jet each)."""
    start = 0
    for end in range(1, len(sizes) + 1):
        if end == len(sizes) or (end + 1 - start) * int(sizes[end]) ** 2 > limit:
            yield start, end
            start = end


def pair_outer(x: Tensor, y: Tensor, layout: PairLayout) -> Tensor:
    """out_ij = sum_c x_ic y_jc for all pairs: (S, c), (S, c) -> (P,)."""
    return _Outer.apply(x, y, layout)


def pair_apply(weights: Tensor, x: Tensor, layout: PairLayout) -> Tensor:
    """out_i = sum_j w_ij x_j: (P,), (S, c) -> (S, c)."""
    return _Apply.apply(weights, x, layout, False)


class _Outer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, layout: PairLayout) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.layout = layout
        out = x.new_empty(layout.n_pairs)
        for tile in layout.tiles:
            torch.bmm(tile.slots(x), tile.slots(y).transpose(1, 2), out=tile.pairs(out))
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, y = ctx.saved_tensors
        layout = ctx.layout
        return _Apply.apply(grad, y, layout, False), _Apply.apply(grad, x, layout, True), None


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor,
        x: Tensor,
        layout: PairLayout,
        transpose: bool,
    ) -> Tensor:
        ctx.save_for_backward(weights, x)
        ctx.layout, ctx.transpose = layout, transpose
        weights, out = weights.contiguous(), torch.zeros_like(x)
        for tile in layout.tiles:
            matrix = tile.pairs(weights)
            torch.bmm(matrix.transpose(1, 2) if transpose else matrix, tile.slots(x), out=tile.slots(out))
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        weights, x = ctx.saved_tensors
        layout, transpose = ctx.layout, ctx.transpose
        left, right = (x, grad) if transpose else (grad, x)
        to_weights = _Outer.apply(left, right, layout)
        return to_weights, _Apply.apply(weights, grad, layout, not transpose), None, None
