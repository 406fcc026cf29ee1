"""Fields as they are looked at: scalars, vectors, phases and functions on the group, as arrays in eta-phi.

A field's coefficients follow (x, y) = (phi, eta). To be drawn with eta to the right and phi upwards both axes
change places: a frequency-k field of phase a has the phase k pi / 2 - a there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from eqviz.errors import ConfigError
from eqviz.layers.fields import FieldKind, FieldType, planar_group

Array = NDArray[np.float64]
Look = Literal["scalar", "vector", "phase", "ring"]


@dataclass(frozen=True, eq=False)
class FieldView:
    """One field on the pixels of a layer.

    Attributes:
        look: how to draw it.
        values: (d, H, W), rows along eta. Scalar: one number. Vector: components along eta and phi. Phase:
            amplitude times cosine and sine of the phase. Ring: the value at each sample of the group.
        frequency: how many times a phase turns with the image.
        places: (d,) angle in radians from eta to phi of each sample of a ring, else empty.
        mirrored: (d,) whether that sample belongs to a reflection.
    """

    look: Look
    values: Array
    frequency: int = 0
    places: tuple[float, ...] = ()
    mirrored: tuple[bool, ...] = ()

    @property
    def length(self) -> Array:
        """(H, W) what does not depend on the frame of the fibre: a scalar itself, else the Euclidean norm."""
        return self.values[0] if self.look == "scalar" else np.sqrt((self.values**2).sum(0))


@dataclass(frozen=True)
class FieldName:
    """One field of a layer: its number from 0, its kind, and its coefficients."""

    number: int
    kind: FieldKind
    at: slice

    def __str__(self) -> str:
        return f"{self.number + 1}: {describe(self.kind)}"


def describe(kind: FieldKind) -> str:
    """What a kind of field is, in a few words."""
    look, frequency = look_of(kind)
    if look == "scalar":
        return "scalar" if kind.name == "trivial" else f"pseudoscalar ({kind.name})"
    if look == "ring":
        order = planar_group(kind.group).order
        return f"regular, {order} elements" if order else f"{kind.name}, {kind.channels} samples"
    return "vector (frequency 1)" if look == "vector" else f"frequency {frequency}"


def field_names(field_type: FieldType) -> list[FieldName]:
    """All fields of a layer, in the order of its channels."""
    names: list[FieldName] = []
    start = 0
    for kind, count, _ in field_type.slices():
        size = len(kind.reader)
        for _ in range(count):
            names.append(FieldName(len(names), kind, slice(start, start + size)))
            start += size
    return names


def look_of(kind: FieldKind) -> tuple[Look, int]:
    """How a kind of field is drawn, and its frequency."""
    if kind.name.startswith("irrep"):
        numbers = [int(number) for number in re.findall(r"\d+", kind.name)]
        frequency = numbers[-1]
        if frequency == 0:
            return "scalar", 0
        return ("vector" if frequency == 1 else "phase"), frequency
    if kind.name == "trivial":
        return "scalar", 0
    if kind.name.startswith(("regular", "quotient")):
        return "ring", 0
    raise ConfigError(f"expected a scalar, irrep, regular or quotient field, got {kind.name!r}")


def field_view(coefficients: Tensor | Array, kind: FieldKind) -> FieldView:
    """Coefficients (D, H, W) of one field as it is drawn."""
    values = np.asarray(coefficients, dtype=np.float64)
    look, frequency = look_of(kind)
    if look == "scalar":
        return FieldView("scalar", values)
    if look == "ring":
        samples = np.einsum("dc,dhw->chw", kind.reader, values)
        return FieldView("ring", samples, 0, *_places(kind))
    quarter = frequency * np.pi / 2
    cos, sin = np.cos(quarter), np.sin(quarter)
    swapped = np.stack([cos * values[0] + sin * values[1], sin * values[0] - cos * values[1]])
    return FieldView(look, swapped, frequency)


def _places(kind: FieldKind) -> tuple[tuple[float, ...], tuple[bool, ...]]:
    sheets = 2 if kind.group == "O(2)" and kind.name.startswith("regular") else 1
    if kind.group.startswith("D"):
        sheets = 2
    n = kind.channels // sheets
    angles = tuple(float(-2 * np.pi * j / n) for j in range(n))
    return angles * sheets, (False,) * n + (True,) * (n * (sheets - 1))


def ring_tiles(view: FieldView) -> list[tuple[int, int, int]]:
    """Where the samples of a ring stand in a mosaic: (column from the left, row from below, sample).

    Tiles go around an empty middle counter-clockwise from the right, so that a turn of the image moves them
    with it; reflections have a second ring to the right of the first.
    """
    rotations = max(1, sum(not flag for flag in view.mirrored))
    side = 3 if rotations <= 8 else ceil(rotations / 4) + 1
    tiles = []
    for sample, (angle, mirrored) in enumerate(zip(view.places, view.mirrored)):
        direction = np.array([np.cos(angle), np.sin(angle)])
        onto_square = direction / np.abs(direction).max()
        if rotations <= 8:
            column, row = (int(np.rint(part)) + 1 for part in onto_square)
        else:
            column, row = _along_the_edge(angle, side)
        tiles.append((column + (side + 1) * mirrored, row, sample))
    return tiles


def _along_the_edge(angle: float, side: int) -> tuple[int, int]:
    edge = [(side - 1, row) for row in range(side - 1)] + [
        (column, side - 1) for column in range(side - 1, 0, -1)
    ]
    edge += [(0, row) for row in range(side - 1, 0, -1)] + [(column, 0) for column in range(side - 1)]
    start = side // 2  # the right-hand side's middle is angle 0
    step = round((angle % (2 * np.pi)) / (2 * np.pi) * len(edge))
    return edge[(start + step) % len(edge)]


def mosaic(view: FieldView, gap: float = 0.0) -> Array:
    """A ring as one image (H', W') with NaN between the tiles; any other field as its length.

    Rows run along eta and columns along phi, in the mosaic as in each tile.
    """
    if view.look != "ring":
        return view.length
    tiles, (height, width) = ring_tiles(view), view.values.shape[1:]
    space = max(1, round(gap * height))
    columns, rows = (1 + max(tile[axis] for tile in tiles) for axis in (0, 1))
    out = np.full((columns * (height + space) - space, rows * (width + space) - space), np.nan)
    for column, row, sample in tiles:
        top, left = column * (height + space), row * (width + space)
        out[top : top + height, left : left + width] = view.values[sample]
    return out
