"""What every data set in memory has: names, classes, nested subsets and seeded loaders."""

from __future__ import annotations

from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from eqviz.data.loading import BucketSampler
from eqviz.errors import DataError


class Batch(Protocol):
    """Labelled things stored one after the other: jets or images."""

    @property
    def label(self) -> Tensor | None: ...

    @property
    def lengths(self) -> Tensor: ...

    def __len__(self) -> int: ...

    def select(self, index: ArrayLike) -> Any: ...


B = TypeVar("B", bound=Batch)


class LabelledSet(Dataset[B], Generic[B]):
    """Things in memory as one ragged batch.

    Args:
        batch: all of them.
        name: what the data are called in tables and plots.
        meta: how they were made: command, seed, cuts, ``class_names`` ...; JSON values only.
    """

    what = "jets"

    def __init__(self, batch: B, name: str = "", meta: dict[str, Any] | None = None) -> None:
        self.batch = batch
        self.name = name
        self.meta = dict(meta or {})

    def __len__(self) -> int:
        return len(self.batch)

    def __getitem__(self, index: int | ArrayLike) -> B:
        """Those with these indices, one or several, as a batch."""
        return self.batch.select(np.atleast_1d(np.asarray(index)))

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) classes; raises DataError where they are unknown."""
        if self.batch.label is None:
            raise DataError(f"expected labels in {self.name or 'this data set'}, got {self.what} without any")
        return self.batch.label.cpu().numpy()

    @property
    def class_names(self) -> list[str]:
        """One name per class, from the metadata or 'class 0', 'class 1' ..."""
        if names := self.meta.get("class_names"):
            return [str(name) for name in names]
        return [f"class {i}" for i in range(int(self.labels.max(initial=0)) + 1)]

    def select(self, indices: ArrayLike) -> Self:
        """Those with these indices (integers or a mask), in that order."""
        return type(self)(self.batch.select(indices), self.name, self.meta)

    def subset(self, n: int, seed: int) -> Self:
        """The first ``n`` of a seeded shuffle that keeps the classes' proportions in every prefix.

        So ``subset(100, s)`` is contained in ``subset(200, s)``, and learning curves use nested sets.
        """
        if not 0 <= n <= len(self):
            raise DataError(f"expected a subset of 0 to {len(self)} {self.what}, got {n}")
        return self.select(self.stratified_order(seed)[:n])

    def stratified_order(self, seed: int) -> NDArray[np.int64]:
        """(n,) a seeded shuffle, every prefix of which has the classes' proportions."""
        rng = np.random.default_rng(seed)
        labels = self.labels if self.batch.label is not None else np.zeros(len(self), dtype=np.int64)
        position = np.empty(len(self))
        for value in np.unique(labels):
            members = np.flatnonzero(labels == value)
            position[rng.permutation(members)] = (np.arange(len(members)) + 0.5) / len(members)
        return np.lexsort((labels, position))

    def loader(
        self,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        bucket: bool = True,
        num_workers: int = 0,
    ) -> DataLoader[B]:
        """A DataLoader of batches; everything comes exactly once an epoch.

        ``loader.sampler.set_epoch(epoch)`` chooses the epoch's order, and ``list(loader.sampler)`` is the
        indices in each batch. With ``bucket`` batches hold things of similar length (constituents of jets),
        so without ``shuffle`` they come in that order unless ``bucket`` is False.
        """
        lengths = self.batch.lengths.cpu().numpy()
        sampler = BucketSampler(lengths, batch_size, shuffle=shuffle, seed=seed, bucket=bucket)
        # batch_size None: the sampler's arrays go to __getitem__ as they are, one gather per batch
        return DataLoader(
            self, batch_size=None, sampler=sampler, num_workers=num_workers, collate_fn=_identity
        )


def _identity(batch: Any) -> Any:
    return batch
