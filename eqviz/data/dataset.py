"""A labelled set of jets in memory: files in, batches out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import DataLoader, Dataset

from eqviz.data.jets import JetBatch
from eqviz.data.loading import BucketSampler
from eqviz.data.storage import read_parquet, write_parquet
from eqviz.errors import DataError


class JetDataset(Dataset[JetBatch]):
    """Jets in memory as one ragged batch.

    Args:
        batch: all jets, momenta in GeV.
        name: what the data are called in tables and plots.
        meta: how they were made: command, seed, cuts, ``class_names``, ``scalar_names``; JSON values only.

    >>> jets = JetBatch.from_arrays([[[5, 0, 3, 4]], [[2, 0, 0, 2]], [[1, 1, 0, 0]]], labels=[1, 0, 1])
    >>> data = JetDataset(jets, "three", {"class_names": ["QCD", "top"]})
    >>> [len(batch) for batch in data.loader(2)]
    [2, 1]
    """

    def __init__(self, batch: JetBatch, name: str = "", meta: dict[str, Any] | None = None) -> None:
        self.batch = batch
        self.name = name
        self.meta = dict(meta or {})

    @classmethod
    def from_parquet(cls, path: str | Path) -> JetDataset:
        """Read a file written by :meth:`to_parquet` (see docs/data.md for writing one by other means).

        Raises:
            DataError: no such file, truncated, not Parquet, columns missing, nulls or NaN.
        """
        batch, header = read_parquet(path)
        return cls(batch, header.name or Path(path).stem, header.meta)

    def to_parquet(self, path: str | Path, *, dtype: str = "float32", compression: str = "zstd") -> None:
        """Write one Parquet file; it appears only when it is whole.

        Args:
            dtype: "float32" rounds momenta to 6e-8 relative, "float64" is exact.

        Raises:
            DataError: momenta that are not physical, labels beyond 127, jets outside the lab frame.
            StoreError: full disk or unwritable folder.
        """
        batches = [self.batch]
        write_parquet(path, batches, name=self.name, meta=self.meta, dtype=dtype, compression=compression)

    def __len__(self) -> int:
        return len(self.batch)

    def __getitem__(self, index: int | ArrayLike) -> JetBatch:
        """The jets ``index``, one or several, as a batch."""
        return self.batch.select(np.atleast_1d(np.asarray(index)))

    def __repr__(self) -> str:
        return f"JetDataset({self.name!r}, {len(self)} jets, {len(self.batch.p4)} constituents)"

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) classes; raises DataError where they are unknown."""
        if self.batch.label is None:
            raise DataError(f"expected labels in {self.name or 'this data set'}, got jets without any")
        return self.batch.label.cpu().numpy()

    @property
    def class_names(self) -> list[str]:
        """One name per class, from the metadata or 'class 0', 'class 1' ..."""
        if names := self.meta.get("class_names"):
            return [str(name) for name in names]
        return [f"class {i}" for i in range(int(self.labels.max(initial=0)) + 1)]

    def select(self, indices: ArrayLike) -> JetDataset:
        """The jets ``indices`` (integers or a mask), in that order."""
        return JetDataset(self.batch.select(indices), self.name, self.meta)

    def subset(self, n: int, seed: int) -> JetDataset:
        """The first ``n`` of a seeded shuffle that keeps the classes' proportions in every prefix.

        So ``subset(100, s)`` is contained in ``subset(200, s)``, and learning curves use nested sets.
        """
        if not 0 <= n <= len(self):
            raise DataError(f"expected a subset of 0 to {len(self)} jets, got {n}")
        return self.select(self.stratified_order(seed)[:n])

    def stratified_order(self, seed: int) -> NDArray[np.int64]:
        """(n,) a seeded shuffle of the jets, every prefix of which has the classes' proportions."""
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
    ) -> DataLoader[JetBatch]:
        """A DataLoader of JetBatch; every jet comes exactly once an epoch.

        ``loader.sampler.set_epoch(epoch)`` chooses the epoch's order, and ``list(loader.sampler)`` is the
        indices of the jets in each batch. With ``bucket`` batches hold jets of similar multiplicity, so
        without ``shuffle`` the jets come in order of multiplicity unless ``bucket`` is False.
        """
        lengths = self.batch.lengths.cpu().numpy()
        sampler = BucketSampler(lengths, batch_size, shuffle=shuffle, seed=seed, bucket=bucket)
        # batch_size None: the sampler's arrays go to __getitem__ as they are, one gather per batch
        return DataLoader(
            self, batch_size=None, sampler=sampler, num_workers=num_workers, collate_fn=_identity
        )


def _identity(batch: Any) -> Any:
    return batch
