"""Small files that are written whole or not at all: JSON and CSV with typed columns."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eqviz.data.atomic import replacing
from eqviz.errors import StoreError

_NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path``, then rename, so that a killed process leaves the old file or none.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    with replacing(path) as part:
        part.write_bytes(content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Strict JSON (RFC 8259): infinities and NaN become the strings "inf", "-inf" and "nan"."""
    text = json.dumps(_encoded(content), indent=2, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object in ``path``; raises StoreError for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"expected a JSON file {path.name}, got {_reason(error)}") from error
    if not isinstance(content, dict):
        raise StoreError(f"expected a JSON object in {path.name}, got {type(content).__name__}")
    return content


def decode_number(value: Any) -> Any:
    """The float behind "inf", "-inf" or "nan"; everything else as it is."""
    return _NON_FINITE.get(value, value) if isinstance(value, str) else value


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """One CSV line a row; floats keep all digits, None is an empty cell."""
    lines = [list(columns)]
    lines += [["" if row.get(name) is None else str(row[name]) for name in columns] for row in rows]
    text = "".join(_csv_line(line) for line in lines)
    write_bytes(path, text.encode())


def read_rows(path: Path, types: Mapping[str, type]) -> list[dict[str, Any]]:
    """The rows of a CSV file, each column converted to its type in ``types``, empty cells to None.

    Raises:
        StoreError: a column is missing or a cell is not of its type.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream, strict=True)
            missing = [name for name in types if name not in (reader.fieldnames or [])]
            if missing:
                raise StoreError(f"expected the columns {', '.join(missing)} in {path.name}")
            return [_typed(row, types, f"{path.name} line {reader.line_num}") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"expected a CSV table {path.name}, got {_reason(error)}") from error


def _typed(row: Mapping[str, str | None], types: Mapping[str, type], where: str) -> dict[str, Any]:
    return {name: _cell(row[name], kind, f"{where}, column {name}") for name, kind in types.items()}


def _cell(text: str | None, kind: type, where: str) -> Any:
    if text is None:
        raise StoreError(f"expected a complete line, got a truncated one in {where}")
    if text == "":
        return None
    if kind is bool and text in ("True", "False"):
        return text == "True"
    try:
        if kind is bool:
            raise ValueError(text)
        return kind(text)
    except ValueError:
        raise StoreError(f"expected {kind.__name__}, got {text!r} in {where}") from None


def _csv_line(cells: Sequence[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(cells)
    return stream.getvalue()


def _encoded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _encoded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, str):  # NumPy scalars
        return _encoded(value.item())
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return str(error) or type(error).__name__
