"""Batches of jets of similar multiplicity, in an order that a seed and an epoch fix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from eqviz.errors import ConfigError

POOL = 16  # batches sorted together: enough to cut padding, few enough to keep batches varied


class BucketSampler(Sampler[NDArray[np.int64]]):
    """Yields the indices of one batch after another; every jet comes exactly once an epoch.

    With ``bucket`` the jets of a batch have similar multiplicities: of the whole set without ``shuffle``,
    of random pools of 16 batches with it. ``list(sampler)`` tells which jets a loader will yield, in order.

    Args:
        lengths: (n,) multiplicity of each jet.
        batch_size: jets in a batch; the last may be smaller.
    """

    def __init__(
        self, lengths: NDArray[np.int64], batch_size: int, *, shuffle: bool, seed: int, bucket: bool
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"expected a batch_size of 1 or more, got {batch_size}")
        self.lengths = lengths
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.bucket = bucket
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch (a training loop calls it before each)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        n, size = len(self.lengths), self.batch_size
        cuts = np.arange(size, n, size)
        if not self.shuffle:
            order = np.argsort(self.lengths, kind="stable") if self.bucket else np.arange(n)
            yield from np.split(order, cuts) if n else ()
            return
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(n)
        if self.bucket:
            pool = np.arange(n) // (size * POOL)
            order = order[np.lexsort((self.lengths[order], pool))]
        batches = np.split(order, cuts) if n else []
        for i in rng.permutation(len(batches)):
            yield batches[i]
