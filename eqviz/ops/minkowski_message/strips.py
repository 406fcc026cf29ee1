"""Pieces of a layout that fit into the cache: some jets of a tile, or some receivers of one jet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from eqviz.ops.pairs import PairLayout, Tile

# Scratch tensors of 72 float32 channels are near a 2 MB cache with strips this large; GPUs take whole tiles.
CPU_STRIP_PAIRS = 4000


class Strip(NamedTuple):
    """``rows`` receivers and all ``size`` senders of each of ``jets`` jets; rows = size unless jets = 1."""

    jets: int
    rows: int
    size: int
    sender: int  # first slot

    @property
    def receivers(self) -> int:
        """Number of receivers in all."""
        return self.jets * self.rows

    @property
    def pairs(self) -> int:
        """T, the number of pairs."""
        return self.jets * self.rows * self.size

    def by_receiver(self, values: Tensor) -> Tensor:
        """(T, C) as (receivers, size, C)."""
        return values.view(self.jets * self.rows, self.size, -1)

    def dense(self, values: Tensor) -> Tensor:
        """(T, C) as (jets, rows, size, C)."""
        return values.view(self.jets, self.rows, self.size, -1)

    def senders(self, values: Tensor) -> Tensor:
        """This strip's part of (S, C) values at senders, (jets, size, C), as a view."""
        return values[self.sender : self.sender + self.jets * self.size].view(self.jets, self.size, -1)


class Strips(list[Strip]):
    """All pairs of a layout, in order."""

    def __init__(self, layout: PairLayout) -> None:
        on_cpu = layout.node_slot.device.type == "cpu"
        limit = CPU_STRIP_PAIRS if on_cpu else max(layout.n_pairs, 1)
        super().__init__(strip for tile in layout.tiles for strip in _strips_of(tile, limit))
        self._pairs = [strip.pairs for strip in self]
        self._receivers = [strip.receivers for strip in self]
        self.largest = max(self._pairs, default=0)

    def of_pairs(self, values: Tensor | None, dim: int = 0) -> list[Tensor]:
        """Each strip's part of values with P entries along ``dim``, as views; [] for None."""
        return [] if values is None else list(values.split(self._pairs, dim))

    def of_receivers(self, values: Tensor) -> list[Tensor]:
        """Each strip's part of (S, ...) values, (receivers, ...), as views."""
        return list(values.split(self._receivers))

    def scratch(self, buffer: Tensor) -> list[Tensor]:
        """The same buffer cut to the size of each strip, (T, C)."""
        cuts = {size: buffer[:size] for size in set(self._pairs)}
        return [cuts[size] for size in self._pairs]


def _strips_of(tile: Tile, limit: int) -> Iterator[Strip]:
    jets = min(tile.jets, max(1, limit // tile.size**2))
    shares = -(-(tile.size**2) // limit) if jets == 1 else 1
    rows = -(-tile.size // shares)
    for jet in range(0, tile.jets, jets):
        for row in range(0, tile.size, rows):
            count = min(rows, tile.size - row)
            yield Strip(min(jets, tile.jets - jet), count, tile.size, tile.slot + jet * tile.size)
