"""What a run folder must hold to be believed; every complaint ends with what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eqviz.errors import StoreError
from eqviz.evaluation.files import read_json, read_rows
from eqviz.evaluation.run import (
    CONFIG_KEYS,
    HISTORY_TYPES,
    INVARIANCE_TYPES,
    ROTATION,
    ROTATION_TYPES,
    WEIGHTS,
    Run,
)

FILES = (
    "config.json", "environment.json", "history.csv", "scores.parquet", "metrics.json", "invariance.csv",
    WEIGHTS,
)  # fmt: skip


def inspect(folder: Path) -> Run:
    """The run in ``folder``, with ``problem`` set if it failed or is damaged; bad content never raises."""
    if (folder / "error.json").exists():
        return Run(folder, problem=_failure(folder), failed=True)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        return Run(folder, problem=f"{', '.join(missing)} missing; {_remedy(folder)}")
    try:
        config = _config(folder)
        _table(folder, config)
        _metrics(folder)
        read_json(folder / "environment.json")
        read_rows(folder / "history.csv", HISTORY_TYPES)
        read_rows(folder / "invariance.csv", INVARIANCE_TYPES)
        if (folder / ROTATION).is_file():
            read_rows(folder / ROTATION, ROTATION_TYPES)
        _weights(folder / WEIGHTS)
    except (StoreError, OSError) as error:
        return Run(folder, problem=f"{error}; {_remedy(folder)}")
    return Run(folder)


def _remedy(folder: Path) -> str:
    return f"delete {folder} and repeat the run"


def _failure(folder: Path) -> str:
    try:
        return f"failed: {read_json(folder / 'error.json').get('error', 'unknown error')}"
    except StoreError as error:
        return f"failed, and {error}; {_remedy(folder)}"


def _config(folder: Path) -> dict[str, Any]:
    config = read_json(folder / "config.json")
    missing = [key for key in CONFIG_KEYS if key not in config]
    if missing:
        raise StoreError(f"expected {', '.join(missing)} in config.json")
    for key in ("model", "data", "training", "evaluation"):
        if not isinstance(config[key], dict):
            raise StoreError(f"expected an object {key!r} in config.json, got {config[key]!r}")
    return config


def _table(folder: Path, config: dict[str, Any]) -> None:
    """Only the footer is read here; page checksums are verified when the scores are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(folder / "scores.parquet") as file:
            names, rows = file.schema_arrow.names, file.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"scores.parquet is damaged ({error})") from error
    if not {"index", "label", "logit_0"} <= set(names):
        raise StoreError(f"expected the columns index, label, logit_0 ... in scores.parquet, got {names}")
    expected = config["data"].get("n_test")
    if rows != expected:
        raise StoreError(f"expected {expected} jets (data.n_test) in scores.parquet, got {rows}")


def _metrics(folder: Path) -> None:
    for name, entry in read_json(folder / "metrics.json").items():
        if not isinstance(entry, dict) or not {"value", "error"} <= set(entry):
            raise StoreError(f"expected {name!r} in metrics.json to have a value and an error, got {entry!r}")


def _weights(path: Path) -> None:
    """Check the length and header of a safetensors file without reading the tensors."""
    with path.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        size = path.stat().st_size
        try:
            if start[:2] in (b"PK", b"\x80\x02") or not 0 < length <= size - 8:
                raise ValueError("the start of another format, perhaps a pickle")
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            if 8 + length + max(ends, default=0) != size:
                raise ValueError(f"{size} bytes where {8 + length + max(ends, default=0)} were promised")
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise StoreError(f"expected safetensors weights in {path.name}, got {error}") from error
