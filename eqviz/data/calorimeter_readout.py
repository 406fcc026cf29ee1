"""From deposits in cells to images: where the centre is, noise, thresholds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import norm

from eqviz.data.calorimeter_config import ImageConfig
from eqviz.data.detector_config import Array, IntArray
from eqviz.data.image_batch import ImageBatch


class Deposits(NamedTuple):
    """Amounts in cells: the image, row (eta) and column (phi) relative to the axis tower, and GeV."""

    image: IntArray
    row: IntArray
    column: IntArray
    amount: Array


def in_cells(image: IntArray, place: Array, amount: Array) -> Deposits:
    """Deposits in the cells that hold ``place`` (n, 2), which counts cells."""
    cell = np.floor(place).astype(np.int64)
    return Deposits(image, cell[:, 0], cell[:, 1], amount)


def merged(parts: list[Deposits]) -> Deposits:
    """All deposits of several kinds, one after the other."""
    return Deposits(*(np.concatenate(columns) for columns in zip(*parts)))


def centre_shift(hcal: Deposits, n_images: int, config: ImageConfig) -> IntArray:
    """(B, 2) towers from the axis tower to the one in the centre of the image."""
    if config.centre == "axis":
        return np.zeros((n_images, 2), dtype=np.int64)
    side = config.search
    total = _summed(moved(hcal, np.zeros((n_images, 2), dtype=np.int64), side // 2), n_images, side)
    total = total.reshape(n_images, -1)
    best = np.where(total.max(axis=1) > 0, total.argmax(axis=1), side**2 // 2)
    return np.stack([best // side, best % side], axis=1) - side // 2


def moved(deposits: Deposits, shift: IntArray, reach: int) -> Deposits:
    """Rows and columns counted from the image's lower corner, ``reach`` cells below the centre tower."""
    row = deposits.row - shift[deposits.image, 0] + reach
    column = deposits.column - shift[deposits.image, 1] + reach
    return deposits._replace(row=row, column=column)


def _summed(deposits: Deposits, n_images: int, side: int) -> Array:
    inside = (deposits.row >= 0) & (deposits.row < side) & (deposits.column >= 0) & (deposits.column < side)
    image, row, column, amount = (values[inside] for values in deposits)
    total = np.bincount((image * side + row) * side + column, amount, n_images * side**2)
    return total.astype(np.float64, copy=False)


def read_out(
    deposits: Deposits,
    n_images: int,
    side: int,
    noise: tuple[float, float, np.random.Generator] | None = None,
) -> tuple[IntArray, IntArray, Array]:
    """Image, pixel and reading of what is above the threshold; ``noise`` is (sigma, threshold, rng)."""
    total = _summed(deposits, n_images, side)
    hit = np.flatnonzero(total > 0)
    reading = total[hit]
    if noise is not None:
        sigma, threshold, rng = noise
        reading = reading + sigma * rng.standard_normal(len(hit))
        # Of the empty cells only those above the threshold are drawn.
        tail = float(norm.sf(threshold / sigma)) if sigma > 0 else 0.0
        place = np.unique(rng.integers(0, len(total), rng.binomial(len(total), tail)))
        place = place[total[place] == 0]
        loud = sigma * norm.isf(rng.random(len(place)) * tail)
        hit, reading = np.concatenate([hit, place]), np.concatenate([reading, loud])
        above = reading >= threshold
        hit, reading = hit[above], reading[above]
    return hit // side**2, hit % side**2, reading


def join(pieces: list[tuple[IntArray, IntArray, Array]], n_images: int, config: ImageConfig) -> ImageBatch:
    """One batch of the three channels' (image, pixel, reading)."""
    layout = config.layout
    image = np.concatenate([piece[0] for piece in pieces])
    index = np.concatenate([piece[1] + start for piece, start in zip(pieces, layout.starts)])
    value = np.concatenate([piece[2] for piece in pieces]).astype(np.float32)
    order = np.lexsort((index, image))
    offsets = np.searchsorted(image[order], np.arange(n_images + 1))
    value, index = value[order], index[order]
    return ImageBatch(layout, *(torch.from_numpy(array) for array in (value, index, offsets)))
