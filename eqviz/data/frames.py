"""Tables that pandas wrote to HDF5 (``format="table"``), read with h5py alone and without unpickling.

PyTables keeps the column names of each block as a pickle in an attribute. A pickle can run any code when
it is loaded, so the names are taken from its opcodes, and any opcode beyond a list of strings is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqviz.errors import DataError

_STRINGS = {
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
}
_HARMLESS = {
    *("PROTO", "FRAME", "MARK", "LIST", "EMPTY_LIST", "APPEND", "APPENDS", "STOP"),
    *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"),
}


def pickled_names(raw: bytes) -> list[str]:
    """The strings of a pickled list of strings, found without executing the pickle.

    Raises:
        DataError: the pickle is damaged or holds anything but a list of strings.

    >>> import pickle
    >>> pickled_names(pickle.dumps(["E_0", "PX_0"], protocol=0))
    ['E_0', 'PX_0']
    """
    names = []
    try:
        for opcode, argument, _ in pickletools.genops(raw):
            if opcode.name in _STRINGS:
                names.append(str(argument))
            elif opcode.name not in _HARMLESS:
                raise DataError(
                    f"expected a list of column names, got a pickle with {opcode.name} {argument!r}; "
                    "it was not executed: do not trust this file"
                )
    except (ValueError, IndexError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"the column names of this table are damaged: {error}") from error
    return names


def open_hdf5(path: str | Path) -> Any:
    """An h5py.File open for reading, with the filters of hdf5plugin (blosc) where it is installed.

    Raises:
        DataError: no such file, truncated, or not HDF5.
    """
    try:
        import h5py
    except ImportError as error:
        raise DataError("reading HDF5 files needs h5py: pip install 'eqviz[data]'") from error
    with suppress(ImportError):  # files without blosc can still be read; read_rows names the others
        import hdf5plugin  # noqa: F401  (registers its filters on import)
    if not Path(path).is_file():
        raise DataError(f"expected an HDF5 file, found no file at {path}")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(
            f"{path} is not a whole HDF5 file ({error}); it may be truncated: fetch it again"
        ) from error


def read_rows(dataset: Any, start: int, stop: int) -> NDArray[Any]:
    """Rows ``start`` to ``stop`` of an h5py dataset, with decompression errors named."""
    try:
        return dataset[start:stop]
    except OSError as error:
        raise DataError(
            f"cannot read rows {start} to {stop} of {dataset.file.filename}: {error}; if it is compressed "
            "with blosc, pip install hdf5plugin; otherwise it is damaged: fetch it again"
        ) from error


class Frame:
    """A pandas table in an HDF5 file, read in chunks of rows.

    Args:
        path: the file.
        key: the name under which ``DataFrame.to_hdf`` stored it.

    Raises:
        DataError: not HDF5, truncated, no such key, not in table format, unreadable column names.
    """

    def __init__(self, path: str | Path, key: str = "table") -> None:
        self.path = Path(path)
        self._file = open_hdf5(path)
        try:
            self._table = self._find(key)
            self._places = self._columns()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Frame:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return int(self._table.shape[0])

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return list(self._places)

    def require(self, names: Sequence[str]) -> None:
        """Raise DataError unless all ``names`` are columns."""
        if missing := [name for name in names if name not in self._places]:
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise DataError(
                f"expected the columns {', '.join(missing[:5])}{more} in {self.path}, "
                f"got {len(self._places)} columns: {', '.join(self.columns[:8])} ..."
            )

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows as they are stored, for :meth:`take`."""
        return read_rows(self._table, start, stop)

    def take(self, rows: NDArray[Any], names: Sequence[str]) -> NDArray[Any]:
        """(rows, len(names)) values of some columns of one chunk, in the stored precision."""
        fields = [self._places[name][0] for name in names]
        if len(set(fields)) == 1 and rows.dtype[fields[0]].shape:
            return rows[fields[0]][:, [self._places[name][1] for name in names]]
        columns = []
        for name in names:
            field, place = self._places[name]
            columns.append(rows[field][:, place] if rows.dtype[field].shape else rows[field])
        return np.stack(columns, axis=1)

    def _find(self, key: str) -> Any:
        group = self._file.get(key)
        table = group.get("table") if hasattr(group, "get") else None
        if table is None or not getattr(table.dtype, "names", None):
            raise DataError(
                f"expected a pandas table under the key {key!r} in {self.path} "
                f"(DataFrame.to_hdf(..., format='table')), got the keys {list(self._file)}"
            )
        return table

    def _columns(self) -> dict[str, tuple[str, int]]:
        places: dict[str, tuple[str, int]] = {}
        for field in self._table.dtype.names:
            if not field.startswith("values_block_"):
                places[field] = (field, 0)
                continue
            raw = self._table.attrs.get(f"{field}_kind")
            if raw is None:
                raise DataError(f"expected the attribute {field}_kind with the column names in {self.path}")
            names = pickled_names(np.asarray(raw).tobytes())
            width = int(np.prod(self._table.dtype[field].shape))
            if len(names) != width:
                raise DataError(f"expected {width} column names for {field} in {self.path}, got {len(names)}")
            places.update({name: (field, i) for i, name in enumerate(names)})
        return places
