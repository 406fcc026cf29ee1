"""Jets in Parquet: one row a jet, written by awkward, read by pyarrow alone.

Columns
    constituents: list<Momentum4D {px, py, pz, mass}> in GeV, float32 or float64; the energy is not stored
        but computed in float64, so that a massless constituent is massless to the last bit.
    label: int8, absent where the class is unknown.
    target: {px, py, pz, E} in GeV, float64, optional: the true momentum.
    scalars: list<{name: float64, ...}>, optional: Lorentz-invariant features of each constituent.
    image: list<{index, value}>, optional: a detector image of the same jet (image_storage.py).
The file's metadata hold a JSON text under the key ``eqviz``: format, name, and whatever made the file
(command, seed, cuts, class_names, scalar_names).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from eqviz.data.checks import check_momenta, constituent_masses
from eqviz.data.image_batch import ImageBatch
from eqviz.data.image_storage import image_column
from eqviz.data.jets import JetBatch, concatenate
from eqviz.data.parquet import (
    HELP,
    MOMENTUM,
    Header,
    header_of,
    lists,
    open_file,
    read_label,
    records,
    row_groups,
    storage_type,
    write_tables,
)
from eqviz.errors import DataError, StoreError

TARGET = ("px", "py", "pz", "E")
COLUMNS = ["constituents", "label", "target", "scalars"]


def write_parquet(
    path: str | Path,
    batches: Iterable[JetBatch | tuple[JetBatch, ImageBatch]],
    *,
    name: str = "",
    meta: dict[str, Any] | None = None,
    dtype: str = "float32",
    compression: str = "zstd",
) -> int:
    """Write the batches, one after the other, into one file that appears only when it is whole.

    Args:
        batches: jets, or jets together with an image of each.
        dtype: "float32" (half the size; momenta are rounded to 6e-8 relative) or "float64" (exact).
        compression: any codec of Parquet: "zstd", "snappy", "gzip", "none".

    Returns:
        The number of jets written.

    Raises:
        DataError: NaN, negative energies, spacelike momenta, labels beyond int8, frames (jets that have
            been transformed together with their reference vectors cannot be stored).
        StoreError: full disk or unwritable folder.
    """
    if dtype not in ("float32", "float64"):
        raise DataError(f"expected dtype 'float32' or 'float64', got {dtype!r}")
    scalar_names = (meta or {}).get("scalar_names")
    tables = (_with_images(item, dtype, scalar_names) for item in batches)
    return write_tables(path, tables, name, meta, compression)


def read_parquet(path: str | Path) -> tuple[JetBatch, Header]:
    """Read a whole file.

    Raises:
        DataError: no such file, truncated or damaged, not Parquet, columns missing or of a wrong type,
            nulls, NaN.
    """
    batches, n_jets = [], 0
    with open_file(path) as file:
        header = _jet_header(file, path)
        for table in row_groups(file, path, COLUMNS):
            batches.append(_to_batch(table, f"{path}, jets from {n_jets} on"))
            n_jets += len(table)
    return concatenate(batches), header


def read_header(path: str | Path) -> Header:
    """Name, metadata and number of jets, without reading the jets."""
    with open_file(path) as file:
        return _jet_header(file, path)


def _jet_header(file: pq.ParquetFile, path: str | Path) -> Header:
    if "constituents" not in file.schema_arrow.names:
        raise DataError(
            f"expected the column 'constituents' in {path}, got {file.schema_arrow.names}; {HELP}"
        )
    return header_of(file, path)


def _with_images(
    item: JetBatch | tuple[JetBatch, ImageBatch], dtype: str, scalar_names: list[str] | None
) -> pa.Table:
    if isinstance(item, JetBatch):
        return _to_table(item, dtype, scalar_names)
    batch, images = item
    if len(batch) != len(images):
        raise DataError(f"expected one image of each jet, got {len(images)} of {len(batch)} jets")
    return _to_table(batch, dtype, scalar_names).append_column("image", image_column(images))


def _to_batch(table: pa.Table, path: str) -> JetBatch:
    lengths, momenta = lists(table, "constituents", MOMENTUM, path)
    p4 = np.empty((len(momenta), 4))
    p4[:, 1:] = momenta[:, :3]
    p4[:, 0] = np.sqrt(np.einsum("ni,ni->n", momenta, momenta))  # E^2 = |p|^2 + m^2
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    try:
        check_momenta(p4, offsets)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return JetBatch(
        p4=torch.from_numpy(p4),
        offsets=torch.from_numpy(offsets),
        scalars=torch.from_numpy(_read_scalars(table, lengths, path)),
        label=read_label(table, path),
        target=_read_target(table, path),
    )


def _to_table(batch: JetBatch, dtype: str, scalar_names: list[str] | None) -> pa.Table:
    try:
        import awkward as ak
    except ImportError as error:
        raise StoreError("writing jets needs awkward: pip install 'eqviz[data]'") from error
    if batch.frame is not None:
        raise DataError("expected jets in the lab frame, got transformed ones; store the originals")
    p4, offsets = batch.p4.cpu().numpy(), batch.offsets.cpu().numpy()
    check_momenta(p4, offsets)
    if p4.size and (largest := p4[:, 0].max()) > np.finfo(dtype).max:
        raise DataError(f"expected energies below 3e38 GeV in a {dtype} file, got {largest:.3g} GeV")
    momenta = np.column_stack([p4[:, 1:], constituent_masses(p4)]).astype(dtype)
    index = ak.index.Index64(offsets)
    columns = {"constituents": ak.contents.ListOffsetArray(index, _layout(momenta, MOMENTUM, "Momentum4D"))}
    if batch.label is not None:
        columns["label"] = ak.contents.NumpyArray(_labels(batch.label.cpu().numpy()))
    if batch.target is not None:
        target = batch.target.cpu().numpy()[:, [1, 2, 3, 0]]
        columns["target"] = _layout(target, TARGET, "Momentum4D")
    if width := batch.scalars.shape[1]:
        names = scalar_names or [f"scalar_{i}" for i in range(width)]
        if len(names) != width:
            raise DataError(f"expected {width} scalar_names in the metadata, got {names}")
        scalars = _layout(batch.scalars.cpu().numpy(), names, None)
        columns["scalars"] = ak.contents.ListOffsetArray(index, scalars)
    jets = ak.contents.RecordArray(list(columns.values()), list(columns), length=len(batch))
    return ak.to_arrow_table(ak.Array(jets), list_to32=True, extensionarray=True)


def _layout(values: NDArray[Any], names: Iterable[str], kind: str | None) -> Any:
    """(n, len(names)) numbers as an awkward record array; ``kind`` is what ``vector`` looks for."""
    import awkward as ak

    columns = [ak.contents.NumpyArray(np.ascontiguousarray(column)) for column in values.T]
    parameters = {"__record__": kind} if kind else None
    return ak.contents.RecordArray(columns, list(names), length=len(values), parameters=parameters)


def _labels(labels: NDArray[np.int64]) -> NDArray[np.int8]:
    if len(labels) and not 0 <= labels.min() <= labels.max() <= 127:
        raise DataError(f"expected labels from 0 to 127, got {labels.min()} to {labels.max()}")
    return labels.astype(np.int8)


def _read_scalars(table: pa.Table, lengths: NDArray[np.int64], path: str) -> NDArray[np.float64]:
    if "scalars" not in table.column_names:
        return np.zeros((int(lengths.sum()), 0))
    counts, values = lists(table, "scalars", None, path)
    if not np.array_equal(counts, lengths):
        jet = int(np.argmax(counts != lengths))
        raise DataError(
            f"expected one row of scalars per constituent in {path}, got {counts[jet]} for "
            f"{lengths[jet]} constituents in jet {jet}"
        )
    if not np.isfinite(values).all():
        raise DataError(f"expected finite scalars in {path}, got {int((~np.isfinite(values)).sum())} others")
    return values


def _read_target(table: pa.Table, path: str) -> torch.Tensor | None:
    if "target" not in table.column_names:
        return None
    names = ("E", "px", "py", "pz")
    chunks = [records(storage_type(chunk), names, f"'target' of {path}") for chunk in table["target"].chunks]
    values = np.concatenate([np.zeros((0, 4)), *chunks])
    if not np.isfinite(values).all():
        raise DataError(f"expected finite true momenta in {path}, got NaN or infinity")
    return torch.from_numpy(values)
