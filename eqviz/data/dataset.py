"""A labelled set of jets in memory: files in, batches out."""

from __future__ import annotations

from pathlib import Path

from eqviz.data.jets import JetBatch
from eqviz.data.labelled import LabelledSet
from eqviz.data.storage import read_parquet, write_parquet


class JetDataset(LabelledSet[JetBatch]):
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

    def __repr__(self) -> str:
        return f"JetDataset({self.name!r}, {len(self)} jets, {len(self.batch.p4)} constituents)"
