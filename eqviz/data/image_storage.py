"""Detector images in Parquet: the pixels that are not zero, one row an image, beside jets or alone.

Columns
    image: list<{step: int32, value: float32}>: how far a pixel lies behind the one before on the stored grid
        (the first: its place), and its value in the channel's unit.
    label: int8, absent where the class is unknown.
The grid (``eqviz.data.image_batch.ImageLayout``) is in the file's metadata under ``image_layout``.
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

from eqviz.data.image_batch import ImageBatch, ImageLayout, concatenate_images
from eqviz.data.parquet import (
    Header,
    header_of,
    lists,
    open_file,
    read_label,
    row_groups,
    write_tables,
)
from eqviz.errors import DataError

LAYOUT = "image_layout"
MANTISSA_BITS = 10  # of the stored readings: 5e-4 relative, far below any resolution


def round_mantissa(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """float32 numbers rounded to the nearest with ``bits`` (0 to 23) bits after the leading one."""
    drop = 23 - bits
    if drop == 0:
        return values
    raw = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    half, mask = np.uint32(1 << (drop - 1)), np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)
    return ((raw + half) & mask).view(np.float32)


def write_images(
    path: str | Path,
    batches: Iterable[ImageBatch],
    *,
    name: str = "",
    meta: dict[str, Any] | None = None,
    compression: str = "zstd",
    bits: int = MANTISSA_BITS,
) -> int:
    """Write images, one row group a batch, into a file that appears only when it is whole.

    Returns:
        The number of images.

    Raises:
        DataError: no batch, batches of different layouts, labels in some only.
        StoreError: full disk or unwritable folder.
    """
    iterator = iter(batches)
    first = next(iterator, None)
    if first is None:
        raise DataError(f"expected at least one batch of images to write to {path}, got none")

    def tables() -> Iterable[pa.Table]:
        yield _table(first, first, bits)
        for batch in iterator:
            yield _table(batch, first, bits)

    full = {**(meta or {}), LAYOUT: first.layout.as_meta()}
    return write_tables(path, tables(), name, full, compression)


def read_images(path: str | Path) -> tuple[ImageBatch, Header]:
    """All images of a file.

    Raises:
        DataError: no such file, truncated or damaged, no images in it, pixels beyond the grid, NaN.
    """
    batches, n_images = [], 0
    with open_file(path) as file:
        header, layout = image_header(file, path)
        for table in row_groups(file, path, ["image", "label"]):
            batches.append(_batch(table, layout, f"{path}, images from {n_images} on"))
            n_images += len(table)
    return concatenate_images(batches), header


def image_header(file: pq.ParquetFile, path: str | Path) -> tuple[Header, ImageLayout]:
    """Header and grid of an open file; raises DataError where it holds no images."""
    header = header_of(file, path)
    if "image" not in file.schema_arrow.names or LAYOUT not in header.meta:
        raise DataError(
            f"expected the column 'image' and its grid in {path}, got {file.schema_arrow.names}; make jets "
            "with `eqviz data generate --images`, or convert images with eqviz.data.cms_images.convert"
        )
    return header, ImageLayout.from_meta(header.meta[LAYOUT])


def image_column(images: ImageBatch, bits: int = MANTISSA_BITS) -> pa.Array:
    """The images as one Parquet column."""
    value = round_mantissa(images.value.cpu().numpy(), bits)
    index, offsets = images.index.cpu().numpy(), images.offsets.cpu().numpy()
    step = np.diff(index, prepend=0)
    filled = offsets[:-1][np.diff(offsets) > 0]
    step[filled] = index[filled]
    entries = pa.StructArray.from_arrays(
        [pa.array(step.astype(np.int32)), pa.array(value, pa.float32())], names=["step", "value"]
    )
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), entries)


def _table(batch: ImageBatch, first: ImageBatch, bits: int) -> pa.Table:
    if batch.layout != first.layout or (batch.label is None) != (first.label is None):
        raise DataError("expected batches of one layout, with labels in all or in none")
    columns: dict[str, pa.Array] = {"image": image_column(batch, bits)}
    if batch.label is not None:
        columns["label"] = pa.array(batch.label.cpu().numpy().astype(np.int8))
    return pa.table(columns)


def _batch(table: pa.Table, layout: ImageLayout, path: str) -> ImageBatch:
    lengths, entries = lists(table, "image", ("step", "value"), path)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    running = np.concatenate([[0], np.cumsum(entries[:, 0])]).astype(np.int64)
    index = running[1:] - np.repeat(running[offsets[:-1]], lengths)
    if len(index) and not 0 <= index.min() <= index.max() < layout.starts[-1]:
        raise DataError(
            f"expected pixels 0 to {layout.starts[-1] - 1} in {path}, got {index.min()} to {index.max()}"
        )
    if bad := int((~np.isfinite(entries[:, 1])).sum()):
        raise DataError(f"expected finite pixels in {path}, got {bad} NaN or infinite ones")
    return ImageBatch(
        layout=layout,
        value=torch.from_numpy(entries[:, 1].astype(np.float32)),
        index=torch.from_numpy(index),
        offsets=torch.from_numpy(offsets),
        label=read_label(table, path),
    )
