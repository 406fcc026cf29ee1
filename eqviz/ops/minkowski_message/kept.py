"""Memory for pair tensors that outlives a call: fresh pages cost more time than filling them."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

# Above this many pairs nothing is kept and the backward pass recomputes: memory stops growing with the pairs.
KEPT_PAIRS = 1 << 18
_SPARE = 1.125  # batches differ in size


class Lease(NamedTuple):
    """A tensor in borrowed memory."""

    memory: Tensor
    tensor: Tensor


class Kept:
    """What forward keeps for backward, given back after backward and used again in the next step.

    A copy of it, and what is read from a file, is empty.

    Args:
        limit: largest number of pairs of a call whose tensors are kept.
    """

    def __init__(self, limit: int = KEPT_PAIRS) -> None:
        self.limit = limit
        self._free: list[Tensor] = []

    def take(self, pairs: int, channels: int, like: Tensor) -> Lease | None:
        """An uninitialised (pairs, channels) tensor, or None above the limit."""
        if pairs > self.limit:
            return None
        size = pairs * channels
        memory = self._pop(size, like)
        if memory is None:
            memory = like.new_empty(min(int(_SPARE * size), self.limit * channels))
        return Lease(memory, memory[:size].view(pairs, channels))

    def give(self, lease: Lease | None) -> None:
        """Hand memory back; its contents may change from now on."""
        if lease is not None:
            self._free.append(lease.memory)

    def clear(self) -> None:
        """Free what is not in use."""
        self._free.clear()

    def _pop(self, size: int, like: Tensor) -> Tensor | None:
        while self._free:
            memory = self._free.pop()
            if len(memory) >= size and memory.dtype == like.dtype and memory.device == like.device:
                return memory
        return None  # what was too small is freed

    def __deepcopy__(self, memo: dict[int, Any]) -> Kept:
        return Kept(self.limit)

    def __reduce__(self) -> tuple[type[Kept], tuple[int]]:
        return Kept, (self.limit,)
