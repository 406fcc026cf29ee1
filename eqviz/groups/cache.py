"""Tables on disk: computed once, read-only ever after, safe under concurrent processes.

One ``.npz`` file (never a pickle) per table in the folder of the environment variable EQVIZ_CACHE, by default
``~/.cache/eqviz/tables``. A file is written under a temporary name and renamed, so it is whole or absent; a
damaged one is rebuilt. Without a writable folder everything works, only slower.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from eqviz.groups.elements import Array

TABLE_VERSION = 1
"""Raised whenever a convention (basis, phase, order of copies) of any stored table changes."""

_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError)


def cache_folder() -> Path:
    """Where tables are kept."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eqviz" / "tables"
    return Path(os.environ.get("EQVIZ_CACHE") or default)


def cached_tables(key: str, build: Callable[[], Mapping[str, Array]]) -> dict[str, Array]:
    """The arrays called ``key``: read from disk, or built and stored; read-only.

    Args:
        key: says everything the arrays depend on; the table version is added.
        build: makes the arrays; must be deterministic.
    """
    full_key = f"{key} | tables v{TABLE_VERSION}"
    path = cache_folder() / f"{hashlib.sha256(full_key.encode()).hexdigest()[:32]}.npz"
    arrays = _read(path, full_key)
    if arrays is None:
        arrays = {name: np.asarray(value) for name, value in build().items()}
        _write(path, full_key, arrays)
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def _read(path: Path, key: str) -> dict[str, Array] | None:
    try:
        # zipfile checks the CRC of every member while it is read
        with np.load(io.BytesIO(path.read_bytes())) as stored:  # refuses pickles
            if str(stored["__key__"]) != key:
                return None
            return {name: stored[name] for name in stored.files if name != "__key__"}
    except _DAMAGED:
        return None


def _write(path: Path, key: str, arrays: Mapping[str, Array]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            try:
                np.savez(file, __key__=np.array(key), **dict(arrays))
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        temporary.replace(path)
    except OSError:  # a full or read-only disk: the table stays in memory only
        return
