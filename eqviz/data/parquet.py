"""What every Parquet file of eqviz has: a header, checksums, columns checked as they are read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from eqviz.data.atomic import replacing
from eqviz.errors import DataError

FORMAT = 1
KEY = b"eqviz"
MOMENTUM = ("px", "py", "pz", "mass")
HELP = "write jets with eqviz.data.JetDataset(batch).to_parquet(path); the format is in docs/data.md"


@dataclass(frozen=True)
class Header:
    """What a file says of itself: the name of the data, how it was made, and its number of rows."""

    name: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    n_jets: int = 0


def write_tables(
    path: str | Path, tables: Iterable[pa.Table], name: str, meta: dict[str, Any] | None, compression: str
) -> int:
    """Write the tables as row groups of one file that appears only when it is whole; returns the rows."""
    header = json.dumps({"format": FORMAT, "name": name, "meta": meta or {}})
    n_rows, writer = 0, None
    with replacing(path) as part:
        try:
            for table in tables:
                if writer is None:
                    schema = table.schema.with_metadata({**(table.schema.metadata or {}), KEY: header})
                    writer = pq.ParquetWriter(part, schema, **_encoding(table.schema, compression))
                writer.write_table(table.replace_schema_metadata(writer.schema.metadata))
                n_rows += len(table)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise DataError(f"expected at least one batch to write to {path}, got none")
    return n_rows


def row_groups(
    file: pq.ParquetFile, path: str | Path, columns: list[str] | None = None
) -> Iterator[pa.Table]:
    """The row groups of an open file, at least one table; raises DataError where one is damaged."""
    present = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
    for group in range(max(file.num_row_groups, 1)):
        try:
            if file.num_row_groups:
                yield file.read_row_group(group, columns=present)
            else:
                yield file.read(columns=present)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} is damaged: {error}; make or fetch it again") from error


def open_file(path: str | Path) -> pq.ParquetFile:
    """An open file; raises DataError where there is none, or none that is whole."""
    if not Path(path).is_file():
        raise DataError(f"expected a Parquet file, found no file at {path}")
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not a whole Parquet file ({error}); it may be truncated: make or fetch it again"
        ) from error


def header_of(file: pq.ParquetFile, path: str | Path) -> Header:
    """The header; raises DataError where it is not one of eqviz's or of a newer format."""
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


def _encoding(schema: pa.Schema, compression: str) -> dict[str, Any]:
    """Bytes of floats are split by significance before compression; a constant mass goes by dictionary."""
    split: list[str] = []
    dictionary: list[str] = []
    if "constituents" in schema.names:
        names = [f"constituents.list.element.{name}" for name in MOMENTUM]
        split, dictionary = names[:3], [names[3]]
    if "scalars" in schema.names:
        scalars = storage_type(schema.field("scalars").type)
        fields = storage_type(scalars.value_type)
        split += [f"scalars.list.element.{fields.field(i).name}" for i in range(fields.num_fields)]
    if "image" in schema.names:
        split += ["image.list.element.step", "image.list.element.value"]
    return {
        "compression": compression,
        "use_dictionary": dictionary or False,
        "use_byte_stream_split": split,
        "write_page_checksum": True,
    }


def storage_type(kind: Any) -> Any:
    """The plain type or array inside an awkward extension (present once awkward is imported)."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else getattr(kind, "storage", kind)


def records(array: pa.Array, names: Iterable[str] | None, what: str) -> NDArray[np.float64]:
    """(n, len(names)) float64 of a struct array."""
    if not pa.types.is_struct(array.type):
        raise DataError(f"expected records in {what}, got {array.type}; {HELP}")
    present = [array.type.field(i).name for i in range(array.type.num_fields)]
    wanted = present if names is None else list(names)
    if missing := [name for name in wanted if name not in present]:
        raise DataError(f"expected the fields {wanted} in {what}, missing {missing}; {HELP}")
    columns = [storage_type(array.field(name)) for name in wanted]
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


def lists(
    table: pa.Table, column: str, names: Iterable[str] | None, path: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    lengths, values = [np.zeros(0, dtype=np.int64)], []
    for chunk in map(storage_type, table[column].chunks):
        if not (pa.types.is_list(chunk.type) or pa.types.is_large_list(chunk.type)) or chunk.null_count:
            raise DataError(
                f"expected a list in every row of {column!r} in {path}, got {chunk.type} with "
                f"{chunk.null_count} nulls; {HELP}"
            )
        lengths.append(chunk.value_lengths().to_numpy().astype(np.int64))
        values.append(records(storage_type(chunk.flatten()), names, f"{column!r} of {path}"))
    empty = np.zeros((0, len(list(names or ()))))
    return np.concatenate(lengths), np.concatenate(values) if values else empty


def read_label(table: pa.Table, path: str) -> torch.Tensor | None:
    if "label" not in table.column_names:
        return None
    chunks = [storage_type(chunk) for chunk in table["label"].chunks]
    for chunk in chunks:
        if not pa.types.is_integer(chunk.type) or chunk.null_count:
            raise DataError(f"expected integer labels in {path}, got {chunk.type}, nulls: {chunk.null_count}")
    values = [chunk.to_numpy().astype(np.int64) for chunk in chunks]
    return torch.from_numpy(np.concatenate([np.zeros(0, dtype=np.int64), *values]))
