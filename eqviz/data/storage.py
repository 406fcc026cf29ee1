"""Jets in Parquet: one row a jet, written by awkward, read by pyarrow alone.

Columns
    constituents: list<Momentum4D {px, py, pz, mass}> in GeV, float32 or float64; the energy is not stored
        but computed in float64, so that a massless constituent is massless to the last bit.
    label: int8, absent where the class is unknown.
    target: {px, py, pz, E} in GeV, float64, optional: the true momentum.
    scalars: list<{name: float64, ...}>, optional: Lorentz-invariant features of each constituent.
The file's metadata hold a JSON text under the key ``eqviz``: format, name, and whatever made the file
(command, seed, cuts, class_names, scalar_names).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from eqviz.data.atomic import replacing
from eqviz.data.checks import check_momenta, constituent_masses
from eqviz.data.jets import JetBatch, concatenate
from eqviz.errors import DataError, StoreError

FORMAT = 1
KEY = b"eqviz"
MOMENTUM = ("px", "py", "pz", "mass")
TARGET = ("px", "py", "pz", "E")
HELP = "write jets with eqviz.data.JetDataset(batch).to_parquet(path); the format is in docs/data.md"


@dataclass(frozen=True)
class Header:
    """What a file says of itself: the name of the data, how it was made, and its number of jets."""

    name: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    n_jets: int = 0


def write_parquet(
    path: str | Path,
    batches: Iterable[JetBatch],
    *,
    name: str = "",
    meta: dict[str, Any] | None = None,
    dtype: str = "float32",
    compression: str = "zstd",
) -> int:
    """Write the batches, one after the other, into one file that appears only when it is whole.

    Args:
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
    header = json.dumps({"format": FORMAT, "name": name, "meta": meta or {}})
    n_jets, writer = 0, None
    with replacing(path) as part:
        try:
            for batch in batches:
                table = _to_table(batch, dtype, (meta or {}).get("scalar_names"))
                if writer is None:
                    schema = table.schema.with_metadata({**(table.schema.metadata or {}), KEY: header})
                    writer = pq.ParquetWriter(part, schema, **_encoding(table.schema, compression))
                writer.write_table(table.replace_schema_metadata(writer.schema.metadata))
                n_jets += len(batch)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise DataError(f"expected at least one batch to write to {path}, got none")
    return n_jets


def read_header(path: str | Path) -> Header:
    """Name, metadata and number of jets, without reading the jets."""
    with _open(path) as file:
        return _header(file, path)


def read_parquet(path: str | Path) -> tuple[JetBatch, Header]:
    """Read a whole file.

    Raises:
        DataError: no such file, truncated or damaged, not Parquet, columns missing or of a wrong type,
            nulls, NaN.
    """
    batches, n_jets = [], 0
    with _open(path) as file:
        header = _header(file, path)
        for group in range(max(file.num_row_groups, 1)):
            try:
                table = file.read_row_group(group) if file.num_row_groups else file.read()
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{path} is damaged: {error}; make or fetch it again") from error
            batches.append(_to_batch(table, f"{path}, jets from {n_jets} on"))
            n_jets += len(table)
    return concatenate(batches), header


def _to_batch(table: pa.Table, path: str) -> JetBatch:
    lengths, momenta = _lists(table, "constituents", MOMENTUM, path)
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
        label=_read_label(table, path),
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


def _encoding(schema: pa.Schema, compression: str) -> dict[str, Any]:
    """Bytes of floats are split by significance before compression; a constant mass goes by dictionary."""
    names = [f"constituents.list.element.{name}" for name in MOMENTUM]
    split = names[:3]
    if "scalars" in schema.names:
        scalars = _storage(schema.field("scalars").type)
        fields = _storage(scalars.value_type)
        split += [f"scalars.list.element.{fields.field(i).name}" for i in range(fields.num_fields)]
    return {
        "compression": compression,
        "use_dictionary": [names[3]],
        "use_byte_stream_split": split,
        "write_page_checksum": True,
    }


def _storage(kind: Any) -> Any:
    """The plain type or array inside an awkward extension (present once awkward is imported)."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else getattr(kind, "storage", kind)


def _open(path: str | Path) -> pq.ParquetFile:
    if not Path(path).is_file():
        raise DataError(f"expected a Parquet file of jets, found no file at {path}")
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not a whole Parquet file ({error}); it may be truncated: make or fetch it again"
        ) from error


def _header(file: pq.ParquetFile, path: str | Path) -> Header:
    if "constituents" not in file.schema_arrow.names:
        raise DataError(
            f"expected the column 'constituents' in {path}, got {file.schema_arrow.names}; {HELP}"
        )
    text = (file.metadata.metadata or {}).get(KEY)
    try:
        stored = json.loads(text) if text else {}
        version = stored.get("format", FORMAT)
        header = Header(str(stored.get("name", "")), dict(stored.get("meta", {})), file.metadata.num_rows)
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(f"the metadata of {path} are not the JSON that eqviz writes: {error}") from error
    if version != FORMAT:
        raise DataError(f"expected format {FORMAT} in {path}, got {version}: it needs a newer eqviz")
    return header


def _records(array: pa.Array, names: Iterable[str] | None, what: str) -> NDArray[np.float64]:
    """(n, len(names)) float64 of a struct array."""
    if not pa.types.is_struct(array.type):
        raise DataError(f"expected records in {what}, got {array.type}; {HELP}")
    present = [array.type.field(i).name for i in range(array.type.num_fields)]
    wanted = present if names is None else list(names)
    if missing := [name for name in wanted if name not in present]:
        raise DataError(f"expected the fields {wanted} in {what}, missing {missing}; {HELP}")
    columns = [_storage(array.field(name)) for name in wanted]
    for name, column in zip(wanted, columns):
        numeric = pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
        if not numeric or column.null_count:
            raise DataError(
                f"expected numbers without nulls in {what}.{name}, got {column.type} with "
                f"{column.null_count} nulls; {HELP}"
            )
    # field() ignores the slice of its parent
    window = slice(array.offset, array.offset + len(array))
    out = np.empty((len(array), len(wanted)))
    for i, column in enumerate(columns):
        values = column.to_numpy(zero_copy_only=False)
        out[:, i] = values[window] if len(values) != len(array) else values
    return out


def _lists(
    table: pa.Table, column: str, names: Iterable[str] | None, path: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    lengths, values = [np.zeros(0, dtype=np.int64)], []
    for chunk in map(_storage, table[column].chunks):
        if not (pa.types.is_list(chunk.type) or pa.types.is_large_list(chunk.type)) or chunk.null_count:
            raise DataError(
                f"expected a list in every row of {column!r} in {path}, got {chunk.type} with "
                f"{chunk.null_count} nulls; {HELP}"
            )
        lengths.append(chunk.value_lengths().to_numpy().astype(np.int64))
        values.append(_records(_storage(chunk.flatten()), names, f"{column!r} of {path}"))
    empty = np.zeros((0, len(list(names or ()))))
    return np.concatenate(lengths), np.concatenate(values) if values else empty


def _read_scalars(table: pa.Table, lengths: NDArray[np.int64], path: str) -> NDArray[np.float64]:
    if "scalars" not in table.column_names:
        return np.zeros((int(lengths.sum()), 0))
    counts, values = _lists(table, "scalars", None, path)
    if not np.array_equal(counts, lengths):
        jet = int(np.argmax(counts != lengths))
        raise DataError(
            f"expected one row of scalars per constituent in {path}, got {counts[jet]} for "
            f"{lengths[jet]} constituents in jet {jet}"
        )
    if not np.isfinite(values).all():
        raise DataError(f"expected finite scalars in {path}, got {int((~np.isfinite(values)).sum())} others")
    return values


def _read_label(table: pa.Table, path: str) -> torch.Tensor | None:
    if "label" not in table.column_names:
        return None
    chunks = [_storage(chunk) for chunk in table["label"].chunks]
    for chunk in chunks:
        if not pa.types.is_integer(chunk.type) or chunk.null_count:
            raise DataError(f"expected integer labels in {path}, got {chunk.type}, nulls: {chunk.null_count}")
    values = [chunk.to_numpy().astype(np.int64) for chunk in chunks]
    return torch.from_numpy(np.concatenate([np.zeros(0, dtype=np.int64), *values]))


def _read_target(table: pa.Table, path: str) -> torch.Tensor | None:
    if "target" not in table.column_names:
        return None
    names = ("E", "px", "py", "pz")
    chunks = [_records(_storage(chunk), names, f"'target' of {path}") for chunk in table["target"].chunks]
    values = np.concatenate([np.zeros((0, 4)), *chunks])
    if not np.isfinite(values).all():
        raise DataError(f"expected finite true momenta in {path}, got NaN or infinity")
    return torch.from_numpy(values)
