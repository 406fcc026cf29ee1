"""The published CMS images: quark/gluon jets in Parquet and electrons/photons in HDF5, read in pieces.

Quark/gluon (1902.08276): columns ``X_jets`` (3 x 125 x 125: tracks, ECAL, HCAL), ``y`` (0 gluon, 1 quark),
``pt`` and ``m0``. Electron/photon: arrays ``X`` (n, 32, 32, 2: energy, time) and ``y`` (0 photon,
1 electron), one file a class or both in one. Neither fits into memory when dense: pieces of row groups are
made sparse as they come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eqviz.data.frames import open_hdf5, read_rows
from eqviz.data.image_batch import ImageBatch, ImageLayout, concatenate_images
from eqviz.data.image_dataset import ImageDataset
from eqviz.data.image_storage import write_images
from eqviz.data.parquet import open_file
from eqviz.errors import ConfigError, DataError

PIXEL = 0.0174  # width of a barrel crystal in eta and phi
QUARK_GLUON = ImageLayout(("tracks", "ECAL", "HCAL"), ("GeV", "GeV", "GeV"), 125, 125, (1, 1, 1), pixel=PIXEL)
EGAMMA = ImageLayout(("ECAL", "time"), ("GeV", "ns"), 32, 32, (1, 1), pixel=PIXEL, additive=(True, False))
CLASS_NAMES = {"quark_gluon": ["gluon", "quark"], "egamma": ["photon", "electron"]}
THRESHOLD = 1e-3  # below it a pixel is zero in the published treatment
CHUNK = 64  # images: 12 MB when dense, about 150 MB while Arrow unpacks their nested lists
_SUFFIXES = {".parquet": "quark_gluon", ".h5": "egamma", ".hdf5": "egamma"}


def kind_of(path: str | Path) -> str:
    """ "quark_gluon" for Parquet, "egamma" for HDF5; raises DataError for another suffix."""
    if (suffix := Path(path).suffix.lower()) not in _SUFFIXES:
        raise DataError(f"expected a file of CMS images (.parquet, .hdf5 or .h5), got {path}")
    return _SUFFIXES[suffix]


def is_image_file(path: str | Path) -> bool:
    """Whether a file has the columns or arrays of either kind, whatever is wrong with it otherwise."""
    suffix = Path(path).suffix.lower()
    if suffix == ".parquet":
        with open_file(path) as file:
            return "X_jets" in file.schema_arrow.names
    if suffix in _SUFFIXES:
        with open_hdf5(path) as file:
            return "X" in file and "y" in file
    return False


def iterate(path: str | Path, *, chunk: int = CHUNK, threshold: float = THRESHOLD) -> Iterator[ImageBatch]:
    """Images of a file of either kind, sparse, at most ``chunk`` at a time, in the file's order.

    Args:
        threshold: pixels of this size or less are dropped.

    Raises:
        DataError: no such file, truncated, columns or arrays missing, other shapes, NaN, labels other than
            0 and 1.
    """
    if chunk < 1:
        raise ConfigError(f"expected chunks of 1 image or more, got {chunk}")
    read = _parquet if kind_of(path) == "quark_gluon" else _hdf5
    layout = QUARK_GLUON if kind_of(path) == "quark_gluon" else EGAMMA
    first = 0
    for dense, labels in read(path, chunk):
        try:
            if not np.isin(labels, (0, 1)).all():
                raise DataError(f"expected labels 0 and 1, got {np.unique(labels)[:5].tolist()}")
            yield ImageBatch.from_dense(dense, layout, labels, threshold)
        except DataError as error:
            raise DataError(f"{path}, images from {first} on: {error}") from error
        first += len(dense)


def read(paths: str | Path | Sequence[str | Path], n_images: int | None = None) -> ImageDataset:
    """Images of one file, or of several of one kind, in memory (about 2 % of their dense size).

    Args:
        paths: for instance the electron file and the photon file.
        n_images: at most this many of each file, its first ones.
    """
    files = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    kinds = {kind_of(path) for path in files}
    if len(kinds) != 1:
        raise DataError(f"expected files of one kind, got {[str(path) for path in files]}")
    batches: list[ImageBatch] = []
    for path in files:
        left = n_images
        for batch in iterate(path, chunk=CHUNK if left is None else max(1, min(CHUNK, left))):
            batches.append(batch if left is None else batch.select(np.arange(min(left, len(batch)))))
            left = None if left is None else left - len(batches[-1])
            if left == 0:
                break
    if not batches:
        raise DataError(f"expected images in {[str(path) for path in files]}, got none")
    meta = {"class_names": CLASS_NAMES[kinds.pop()], "source": [path.name for path in files]}
    return ImageDataset(concatenate_images(batches), files[0].stem, meta)


def convert(source: str | Path, target: str | Path, *, chunk: int = 2048) -> Path:
    """A CMS file as a sparse Parquet file of eqviz, a few per cent of its size, without loading it.

    Raises:
        DataError: as :func:`iterate`.
        StoreError: full disk or unwritable folder.
    """
    source, target = Path(source), Path(target)
    meta = {"class_names": CLASS_NAMES[kind_of(source)], "source": source.name, "threshold": THRESHOLD}
    pieces = _joined(iterate(source), chunk)
    write_images(target, pieces, name=source.stem, meta=meta, bits=16)
    return target


def _joined(batches: Iterator[ImageBatch], size: int) -> Iterator[ImageBatch]:
    waiting: list[ImageBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= size:
            yield concatenate_images(waiting)
            waiting = []
    if waiting:
        yield concatenate_images(waiting)


def _parquet(path: str | Path, chunk: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    with _cms_file(path) as file:
        batches = file.iter_batches(batch_size=chunk, columns=["X_jets", "y"])
        while True:
            try:
                piece = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{path} is damaged: {error}; fetch it again") from error
            if piece is None:
                return
            yield _dense_column(piece.column(0), path), _numbers(piece.column(1), "y", path)


def _cms_file(path: str | Path) -> pq.ParquetFile:
    file = open_file(path)
    if missing := [name for name in ("X_jets", "y") if name not in file.schema_arrow.names]:
        names = file.schema_arrow.names
        file.close()
        raise DataError(f"expected the columns X_jets and y in {path}, missing {missing}, got {names}")
    return file


def _dense_column(column: pa.Array, path: str | Path) -> NDArray[np.float32]:
    """(n, 3, 125, 125) of a column of nested lists, checked at every level."""
    shape = (len(QUARK_GLUON.channels), QUARK_GLUON.height, QUARK_GLUON.width)
    values = column
    for level, size in enumerate(shape):
        kind = values.type
        if pa.types.is_fixed_size_list(kind):
            lengths = np.full(len(values), kind.list_size)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            lengths = values.value_lengths().to_numpy(zero_copy_only=False)
        else:
            raise DataError(f"expected X_jets of shape {shape} in {path}, got {kind} at level {level}")
        if values.null_count or (len(lengths) and (lengths != size).any()):
            raise DataError(
                f"expected X_jets of shape {shape} in {path}, got lists of "
                f"{sorted(set(lengths.tolist()))[:5]} at level {level}, {values.null_count} of them null"
            )
        values = values.flatten()
    return _numbers(values, "X_jets", path).astype(np.float32).reshape(-1, *shape)


def _numbers(values: pa.Array, name: str, path: str | Path) -> NDArray[Any]:
    if values.null_count or not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        raise DataError(
            f"expected numbers without nulls in {name} of {path}, got {values.type} with "
            f"{values.null_count} nulls"
        )
    return values.to_numpy(zero_copy_only=False)


def _hdf5(path: str | Path, chunk: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    with open_hdf5(path) as file:
        shapes = {name: tuple(file[name].shape) for name in ("X", "y") if hasattr(file.get(name), "shape")}
        n = shapes.get("X", (0,))[0]
        expected = {"X": (n, EGAMMA.height, EGAMMA.width, len(EGAMMA.channels)), "y": (n,)}
        if shapes != expected:
            raise DataError(f"expected arrays of shapes {expected} in {path}, got {shapes or list(file)}")
        for start in range(0, n, chunk):
            stop = min(start + chunk, n)
            images = np.moveaxis(read_rows(file["X"], start, stop), 3, 1)
            yield images, read_rows(file["y"], start, stop)
