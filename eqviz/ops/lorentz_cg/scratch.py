"""Working memory that is used again: on a CPU, fresh pages cost more time than what is written to them."""

from __future__ import annotations

import threading
from math import prod

import torch
from torch import Tensor


class _Memory(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[tuple[str, torch.dtype], Tensor] = {}


_MEMORY = _Memory()


def scratch(name: str, like: Tensor, *shape: int) -> Tensor:
    """An uninitialised tensor for use within one call of an operation; its name must be in use only once.

    On other devices than a CPU memory is cheap to get, and this is ``new_empty``.
    """
    if like.device.type != "cpu":
        return like.new_empty(shape)
    size, key = prod(shape), (name, like.dtype)
    buffer = _MEMORY.buffers.get(key)
    if buffer is None or buffer.numel() < size:
        buffer = _MEMORY.buffers[key] = torch.empty(size + size // 4, dtype=like.dtype)
    return buffer.narrow(0, 0, size).view(shape)
