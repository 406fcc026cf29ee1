"""Exact tables for layers of any precision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eqviz.groups.elements import Array


class FixedTables:
    """Float64 tables as tensors of any precision and device; a buffer would be rounded once and for all."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.arrays = tuple(arrays)
        self._made: dict[tuple[torch.dtype, torch.device], tuple[Tensor, ...]] = {}

    def like(self, x: Tensor) -> tuple[Tensor, ...]:
        """The tables in the precision and on the device of ``x``."""
        key = x.dtype, x.device
        if key not in self._made:
            self._made[key] = tuple(
                torch.tensor(array, dtype=x.dtype, device=x.device) for array in self.arrays
            )
        return self._made[key]
