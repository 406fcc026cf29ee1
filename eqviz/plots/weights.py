"""Sizes of weights: bars before and after training, and matrices as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
from numpy.typing import ArrayLike

from eqviz.errors import DataError
from eqviz.plots.colourbar import colour_bar
from eqviz.plots.filters import symmetric
from eqviz.plots.representations import diverging
from eqviz.plots.style import INK, group_colour, options, overlay


def paired_bars(
    names: Sequence[str],
    after: ArrayLike | None,
    before: ArrayLike | None = None,
    *,
    ylabel: str,
    xlabel: str = "",
    symmetry: str = "none",
    title: str = "",
    dark: bool = False,
    height: int = 300,
    **more: Any,
) -> hv.Overlay:
    """Bars of numbers after training, with those before training as hollow bars over them.

    Args:
        names: of the bars.
        after, before: (n,); None leaves one of them out.
        symmetry: the group whose colour the bars have.

    Raises:
        DataError: neither is given, or lengths do not fit.
    """
    given = [np.asarray(v, dtype=np.float64) for v in (after, before) if v is not None]
    if not given or any(v.shape != (len(names),) for v in given):
        raise DataError(
            f"expected {len(names)} numbers after or before training, got {[*map(np.shape, given)]}"
        )
    size = hv.Dimension("height", label=ylabel)
    elements: list[hv.Element] = []
    for values, label in ((after, "after training"), (before, "before training")):
        if values is None:
            continue
        top = np.asarray(values, dtype=np.float64)
        cells = [(i - 0.36, min(v, 0.0), i + 0.36, max(v, 0.0), v) for i, v in enumerate(top)]
        bars = hv.Rectangles(cells, ["x0", "y0", "x1", "y1"], size, label=label)
        filled = {"fill_color": group_colour(symmetry, dark), "fill_alpha": 0.75, "line_color": None}
        hollow = {"fill_color": None, "line_color": INK[dark], "line_width": 1.3}
        elements.append(bars.opts(**(filled if label.startswith("after") else hollow), tools=["hover"]))
    values = np.concatenate(given)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    pad = 0.06 * max(high - low, 1e-12)
    long = max(map(len, names)) > 4 and len(names) > 5
    shared = options(title, xlabel, ylabel, dark=dark, height=height)
    ticks = {"xticks": [(i, name) for i, name in enumerate(names)], "xrotation": 55 if long else 0}
    reach = {"xlim": (-0.6, len(names) - 0.4), "ylim": (low - (pad if low < 0 else 0), high + pad)}
    hooks = {"hooks": [*shared["hooks"], _no_vertical_grid]}
    return overlay(elements, **{**shared, **ticks, **reach, **hooks, "show_legend": len(given) > 1, **more})


def weight_table(
    values: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str] = (),
    *,
    label: str = "weight",
    xlabel: str = "",
    ylabel: str = "",
    limits: tuple[float, float] | None = None,
    colours: Sequence[str] | None = None,
    title: str = "",
    dark: bool = False,
    height: int = 380,
    **more: Any,
) -> hv.Overlay:
    """A matrix (rows, columns) as a picture, the first row at the top; NaN is left out.

    Raises:
        DataError: names that do not fit.
    """
    matrix = np.asarray(values, dtype=np.float64)
    fits = matrix.ndim == 2 and matrix.shape[0] == len(rows) and len(columns) in (0, matrix.shape[1])
    if not fits or not matrix.size:
        raise DataError(f"expected a matrix of {len(rows)} x {len(columns)} numbers, got {matrix.shape}")
    n, m = matrix.shape
    places = (0.5, -0.5, m + 0.5, n - 0.5)
    value = hv.Dimension("weight", label=label)
    image = hv.Image(matrix, bounds=places, kdims=["column", "row"], vdims=value)
    scale: dict[str, Any] = {"cmap": list(colours) if colours is not None else diverging(dark)}
    scale |= {"clim": limits or symmetric(matrix), "clipping_colors": {"NaN": "rgba(0, 0, 0, 0)"}}
    shared = options(title, xlabel, ylabel, dark=dark, height=height, show_grid=False, show_legend=False)
    ticks: dict[str, Any] = {"yticks": [(n - 1 - i, name) for i, name in enumerate(rows)]}
    if columns:
        ticks["xticks"] = [(i + 1, name) for i, name in enumerate(columns)]
    return overlay([image.opts(**scale, **colour_bar(dark))], **{**shared, **ticks, **more})


def _no_vertical_grid(plot: Any, element: Any) -> None:
    for lines in plot.state.xgrid:
        lines.grid_line_color = None
