"""Filters of convolutions: maps of kernels side by side, phases, radial profiles, spectra.

Kernels are drawn with phi to the right and eta upwards, as the rows (eta) and columns (phi) of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import FixedTicker
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import DataError
from eqviz.plots.colourbar import colour_bar
from eqviz.plots.fields import cyclic
from eqviz.plots.representations import diverging
from eqviz.plots.style import INK, MUTED, PAPER, group_colour, mix, options, overlay

Array = NDArray[np.float64]
CELL = 30.0  # screen pixels of a kernel's pixel, at most
D_X = hv.Dimension("x", label="Δφ", unit="pixels")
D_Y = hv.Dimension("y", label="Δη", unit="pixels")


def sequential(colour: str, dark: bool = False) -> list[str]:
    """64 colours from paper through ``colour`` to a deep shade of it."""
    half = [mix(PAPER[dark], colour, step / 31) for step in range(32)]
    return half + [mix(colour, INK[dark], 0.6 * step / 31) for step in range(32)]


def mosaic(
    maps: ArrayLike,
    names: Sequence[str] = (),
    *,
    columns: int | None = None,
    limits: tuple[float, float] | None = None,
    chosen: int | None = None,
    label: str = "weight",
    colours: Sequence[str] | None = None,
    title: str = "",
    dark: bool = False,
    width: int = 460,
    **more: Any,
) -> hv.Overlay:
    """Many small maps in one figure with one colour scale, row by row from the upper left.

    Args:
        maps: (n, h, w), rows upwards.
        names: of the maps, written above them.
        columns: maps in a row; by default about square.
        limits: of the colour scale; by default symmetric about 0, so that paper is 0.
        chosen: which map is framed.
        label: what the colours mean.
        colours: of the scale; by default vermilion, paper, blue.
        width: of the frame in screen pixels, at most.

    Raises:
        DataError: no maps, or names that do not fit.
    """
    values = np.asarray(maps, dtype=np.float64)
    if values.ndim != 3 or not values.size or (names and len(names) != len(values)):
        raise DataError(f"expected maps (n, h, w) and as many names, got {values.shape}, {len(names)}")
    canvas, corners, gaps = _canvas(values, columns, bool(names))
    low, high = limits or symmetric(values)
    rows, across = canvas.shape
    places = np.arange(across) + 0.5, np.arange(rows) + 0.5
    image = hv.Image((*places, canvas), ["x", "y"], hv.Dimension("weight", label=label))
    elements: list[hv.Element] = [
        image.opts(
            cmap=list(colours) if colours is not None else diverging(dark),
            clim=(low, high),
            clipping_colors={"NaN": "rgba(0, 0, 0, 0)"},
            **colour_bar(dark),
        )
    ]
    h, w = values.shape[1:]
    elements.append(_frames(corners, h, w, chosen, dark))
    if names:
        size = int(np.clip(width / across * gaps[1] * 0.62, 6, 11))
        marks = [(x + w / 2, y + h + 0.46 * gaps[1], name) for (x, y), name in zip(corners, names)]
        labels = hv.Labels(marks, ["x", "y"], "name")
        elements.append(labels.opts(text_font_size=f"{size}pt", text_color=INK[dark]))
    cell = min(CELL, width / across, 480 / rows)
    frame = {"frame_width": round(cell * across), "frame_height": round(cell * rows)}
    shared = options(title, "", "", dark=dark, show_grid=False, show_legend=False)
    kept = {key: value for key, value in shared.items() if key not in ("responsive", "height", "min_width")}
    bare = {"xaxis": None, "yaxis": None, "xlim": (0, across), "ylim": (0, rows)}
    return overlay(elements, **{**kept, **frame, **bare, **more})


def kernel_map(
    kernel: ArrayLike,
    *,
    limits: tuple[float, float] | None = None,
    label: str = "weight",
    colours: Sequence[str] | None = None,
    title: str = "",
    dark: bool = False,
    side: int = 240,
    **more: Any,
) -> hv.Overlay:
    """One kernel (h, w) over its pixels; colours and limits are by default symmetric about 0."""
    values = _matrix(kernel)
    low, high = limits or symmetric(values)
    image = hv.Image(
        values[::-1],
        bounds=_bounds(values.shape),
        kdims=[D_X, D_Y],
        vdims=hv.Dimension("weight", label=label),
    )
    image = image.opts(cmap=list(colours or diverging(dark)), clim=(low, high), **colour_bar(dark))
    return overlay([image], **_square(title, values.shape, dark, side, more))


def phase_map(
    angle: ArrayLike,
    *,
    title: str = "",
    dark: bool = False,
    side: int = 240,
    **more: Any,
) -> hv.Overlay:
    """Phase (h, w) of a complex filter in radians on a cyclic colour scale; NaN is left out."""
    values = _matrix(angle, finite=False)
    image = hv.Image(
        values[::-1], bounds=_bounds(values.shape), kdims=[D_X, D_Y], vdims=hv.Dimension("phase", unit="rad")
    )
    ticks = {"ticker": FixedTicker(ticks=[-np.pi, -np.pi / 2, 0, np.pi / 2, np.pi])}
    bar = colour_bar(dark)
    bar["colorbar_opts"] |= {**ticks, "major_label_overrides": _angle_names()}
    image = image.opts(
        cmap=cyclic(dark), clim=(-np.pi, np.pi), clipping_colors={"NaN": "rgba(0, 0, 0, 0)"}, **bar
    )
    return overlay([image], **_square(title, values.shape, dark, side, more))


def _angle_names() -> dict[float, str]:
    return {-np.pi: "−π", -np.pi / 2: "−π/2", 0: "0", np.pi / 2: "π/2", np.pi: "π"}


def radial_profiles(
    r: ArrayLike,
    curves: Sequence[tuple[str, ArrayLike, str, str]],
    *,
    title: str = "",
    xlabel: str = "distance from the centre [pixels]",
    ylabel: str = "radial profile",
    dark: bool = False,
    height: int = 300,
    **more: Any,
) -> hv.Overlay:
    """Radial functions R(r): (label, values (n,), colour, dash) for each, over r (n,)."""
    x = np.asarray(r, dtype=np.float64)
    place, size = hv.Dimension("r", label=xlabel), hv.Dimension("profile", label=ylabel)
    elements: list[hv.Element] = [hv.HLine(0.0).opts(color=MUTED[dark], line_width=1)]
    for name, values, colour, dash in curves:
        curve = hv.Curve((x, np.asarray(values, dtype=np.float64)), place, size, label=name)
        elements.append(curve.opts(color=colour, line_dash=dash, line_width=2))
    shared = options(title, xlabel, ylabel, dark=dark, height=height)
    return overlay(elements, **{**shared, "xlim": (0, float(x.max())), **more})


def frequency_colours(count: int, symmetry: str, dark: bool = False) -> list[str]:
    """Colours of the angular frequencies 0 .. count - 1: shades of the group's colour, light to deep."""
    base = group_colour(symmetry, dark)
    light, deep = mix(base, PAPER[dark], 0.45), mix(base, INK[dark], 0.75)
    return [mix(light, deep, k / max(count - 1, 1)) for k in range(count)]


def symmetric(values: ArrayLike) -> tuple[float, float]:
    """Limits of a colour scale about 0 that hold all values."""
    finite = np.abs(np.asarray(values, dtype=np.float64))
    top = float(np.max(finite[np.isfinite(finite)], initial=0.0)) or 1e-12
    return -top, top


def _canvas(
    maps: Array, columns: int | None, named: bool
) -> tuple[Array, list[tuple[int, int]], tuple[int, int]]:
    """One picture of all maps with gaps of NaN, the lower left corner of each, and the gaps (x, y)."""
    n, h, w = maps.shape
    across = columns or ceil(n**0.5 * 1.25)
    across = min(across, n)
    down = ceil(n / across)
    gap = max(1, round(0.18 * w)), max(1, round((0.34 if named else 0.18) * h))
    canvas = np.full((down * (h + gap[1]), across * (w + gap[0]) - gap[0] + 2), np.nan)
    corners = []
    for index in range(n):
        row, column = divmod(index, across)
        x, y = 1 + column * (w + gap[0]), (down - 1 - row) * (h + gap[1])
        canvas[y : y + h, x : x + w] = maps[index]
        corners.append((x, y))
    return canvas, corners, gap


def _frames(corners: list[tuple[int, int]], h: int, w: int, chosen: int | None, dark: bool) -> hv.Rectangles:
    lines = [(INK[dark], 2.5) if i == chosen else (MUTED[dark], 0.6) for i in range(len(corners))]
    cells = [(x, y, x + w, y + h, *line) for (x, y), line in zip(corners, lines)]
    boxes = hv.Rectangles(cells, ["x0", "y0", "x1", "y1"], ["colour", "thickness"])
    return boxes.opts(fill_color=None, line_color="colour", line_width="thickness")


def _bounds(shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of pixels about the centre; given so, a single pixel has a size, too."""
    h, w = shape
    return -w / 2, -h / 2, w / 2, h / 2


def _square(
    title: str, shape: tuple[int, ...], dark: bool, side: int, more: dict[str, Any]
) -> dict[str, Any]:
    shared = options(title, "Δφ [pixels]", "Δη [pixels]", dark=dark, show_grid=False, show_legend=False)
    kept = {key: value for key, value in shared.items() if key not in ("responsive", "height", "min_width")}
    reach = {"xlim": (-shape[1] / 2, shape[1] / 2), "ylim": (-shape[0] / 2, shape[0] / 2)}
    return {**kept, "frame_width": side, "frame_height": side, **reach, **more}


def _matrix(values: ArrayLike, finite: bool = True) -> Array:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size or (finite and not np.isfinite(matrix).all()):
        raise DataError(f"expected a matrix (h, w) of finite numbers, got shape {matrix.shape}")
    return matrix
