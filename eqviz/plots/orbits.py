"""Orbits of a vector under a group, drawn once and then only refilled while a slider is dragged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import ColumnDataSource, LinearColorMapper
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure as Figure
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import ConfigError
from eqviz.plots.representations import diverging, orbit_styles
from eqviz.plots.style import INK, MUTED, PAPER, at_hook, group_colour, options, overlay, square

MAX_LINES = 8
MAX_ROWS = 64


def components_over(
    parameters: ArrayLike,
    components: ArrayLike,
    names: Sequence[str],
    at: float,
    *,
    symmetry: str = "none",
    discrete: bool = False,
    xlabel: str = "",
    ylabel: str = "component",
    dark: bool = False,
    height: int = 400,
) -> hv.Overlay:
    """Components along an orbit with a mark at the present element: lines, above eight a map.

    Args:
        parameters: (n,) angle, rapidity or number of the element.
        components: (n, d) real.
        discrete: separate elements, drawn as points.

    Raises:
        ConfigError: shapes that do not fit.
    """
    x, y = _checked(parameters, components, names)
    hooks = [at_hook(at, dark)]
    shared = options("", xlabel, ylabel, dark=dark, height=height, hooks=hooks)
    if y.shape[1] > MAX_LINES:
        elements: list[hv.Element] = [_map(x, y, dark)]
        shared |= {"ylabel": "component number", "show_grid": False}
        return overlay(elements, **{**shared, "show_legend": False})
    elements = []
    for style, name, values in zip(orbit_styles(y.shape[1], symmetry, dark), names, y.T):
        if discrete:
            points = hv.Scatter((x, values), "parameter", "component", label=name)
            elements.append(points.opts(color=style["color"], size=7, marker=style["marker"]))
        else:
            line = {key: style[key] for key in ("color", "line_dash")}
            curve = hv.Curve((x, values), "parameter", "component", label=name)
            elements.append(curve.opts(line_width=2, **line))
    low, high = padded(y)
    return overlay(elements, legend_cols=4, **{**shared, "ylim": (low, high), "xlim": _ends(x)})


def _map(x: NDArray[np.float64], y: NDArray[np.float64], dark: bool) -> hv.Element:
    top = max(float(np.abs(y).max()), 1e-12)
    colours, low = (diverging(dark), -top) if y.min() < 0 else (diverging(dark)[16:], 0.0)
    bounds = (float(x[0]), 0.5, float(x[-1]), y.shape[1] + 0.5)
    image = hv.Image(y.T[::-1], bounds=bounds, kdims=["parameter", "number"], vdims=["component"])
    return image.opts(cmap=colours, clim=(low, top), colorbar=True, tools=["hover"])


def path(
    points: ArrayLike,
    at: ArrayLike,
    *,
    symmetry: str = "none",
    background: ArrayLike | None = None,
    ring: bool = False,
    closed: bool = True,
    xlabel: str = "",
    ylabel: str = "",
    xticks: Sequence[tuple[float, str]] | None = None,
    yticks: Sequence[tuple[float, str]] | None = None,
    dark: bool = False,
    side: int = 300,
) -> hv.Overlay:
    """The orbit in a plane with equal scales and a dot at the present element.

    Args:
        points: (n, 2).
        at: (2,).
        background: (m, 2) places that do not move, for instance weights.
        ring: the background is a closed line.
        closed: draw a line; False for the separate points of a finite group.

    Raises:
        ConfigError: shapes that do not fit.
    """
    p, here = np.asarray(points, dtype=np.float64), np.asarray(at, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != 2 or here.shape != (2,):
        raise ConfigError(f"expected points (n, 2) and a point (2,), got {p.shape} and {here.shape}")
    colour = group_colour(symmetry, dark)
    elements: list[hv.Element] = []
    fixed = np.zeros((0, 2)) if background is None else np.asarray(background, dtype=np.float64)
    if len(fixed) and ring:
        elements.append(hv.Curve((fixed[:, 0], fixed[:, 1]), "x", "y").opts(color=MUTED[dark], line_width=1))
    elif len(fixed):
        dots = hv.Scatter((fixed[:, 0], fixed[:, 1]), "x", "y", label="weights")
        elements.append(dots.opts(color=MUTED[dark], size=6))
    if closed:
        elements.append(
            hv.Curve((p[:, 0], p[:, 1]), "x", "y", label="orbit").opts(color=colour, line_width=2)
        )
    else:
        dots = hv.Scatter((p[:, 0], p[:, 1]), "x", "y", label="orbit")
        elements.append(dots.opts(color=colour, size=7))
    mark = hv.Scatter(([here[0]], [here[1]]), "x", "y", label="here")
    elements.append(mark.opts(color=INK[dark], size=11, line_color=PAPER[dark]))
    (x0, x1), (y0, y1) = _limits(np.concatenate([p, fixed, here[None]]))
    more: dict[str, Any] = {"xlim": (x0, x1), "ylim": (y0, y1), "show_legend": False}
    more |= {"xticks": list(xticks)} if xticks is not None else {}
    more |= {"yticks": list(yticks)} if yticks is not None else {}
    return overlay(elements, **{**square(options("", xlabel, ylabel, dark=dark), side), **more})


def element_matrix(
    matrix: ArrayLike, names: Sequence[str], *, dark: bool = False, side: int = 340
) -> hv.Overlay:
    """The (d, d) matrix of a group element: its numbers, or the moduli of complex ones."""
    values = shown_numbers(matrix)
    d, top = len(values), max(float(np.abs(values).max()), 1.0)
    image = hv.Image(values, bounds=(0, 0, d, d), kdims=["column", "row"], vdims=["number"])
    style = {"cmap": diverging(dark), "clim": (-top, top), "colorbar": True, "tools": ["hover"]}
    label = "entry"
    if np.iscomplexobj(matrix):
        label, style["cmap"], style["clim"] = "modulus", diverging(dark)[16:], (0.0, top)
    shared = square(options("", "from", "to", dark=dark), side)
    more: dict[str, Any] = {"show_grid": False, "show_legend": False, "xlim": (0, d), "ylim": (0, d)}
    if d <= 12:
        more["xticks"] = [(i + 0.5, name) for i, name in enumerate(names)]
        more["yticks"] = [(d - i - 0.5, name) for i, name in enumerate(names)]
        more["xrotation"] = 60 if max(map(len, names)) * d > 24 else 0
    return overlay([image.opts(**style, clabel=label)], **{**shared, **more})


def replace_matrix(figure: Figure, matrix: ArrayLike) -> None:
    """Another matrix of the same size in a figure made by :func:`element_matrix`."""
    values = shown_numbers(matrix)
    (source,) = _sources(figure)
    source.data = {**source.data, "image": [values[::-1]]}
    top = max(float(np.abs(values).max()), 1.0)
    for mapper in figure.select({"type": LinearColorMapper}):
        mapper.update(low=0.0 if np.iscomplexobj(matrix) else -top, high=top)


def shown_numbers(matrix: ArrayLike) -> NDArray[np.float64]:
    """Real numbers as they are, complex ones by their moduli."""
    values = np.asarray(matrix)
    return np.abs(values) if np.iscomplexobj(values) else values.astype(np.float64)


def replace_components(figure: Figure, parameters: ArrayLike, components: ArrayLike, at: float) -> None:
    """Another orbit, of as many components and elements, in a figure made by :func:`components_over`."""
    x, y = np.asarray(parameters, dtype=np.float64), np.asarray(components, dtype=np.float64)
    mark: Any = figure.select_one({"name": "at"})
    mark.location = at
    sources = _sources(figure)
    if y.shape[1] > MAX_LINES:
        top = max(float(np.abs(y).max()), 1e-12)
        source = sources[0]
        data = {**source.data, "image": [y.T], "x": [x[0]], "dw": [x[-1] - x[0]]}
        source.data = data
        mappers: list[Any] = list(figure.select({"type": LinearColorMapper}))
        for mapper in mappers:
            mapper.update(low=-top if mapper.low < 0 else 0.0, high=top)
    else:
        for source, values in zip(sources, y.T):
            source.data = {**source.data, "parameter": x, "component": values}
        low, high = padded(y)
        figure.y_range.update(start=low, end=high, reset_start=low, reset_end=high)
    start, end = (x[0], x[-1]) if y.shape[1] > MAX_LINES else _ends(x)
    figure.x_range.update(start=start, end=end, reset_start=start, reset_end=end)


def replace_path(
    figure: Figure,
    points: ArrayLike,
    at: ArrayLike,
    labels: tuple[str, str] | None = None,
    background: ArrayLike | None = None,
) -> None:
    """Another orbit in a figure made by :func:`path`; ``labels`` are new names of the axes."""
    p, here = np.asarray(points, dtype=np.float64), np.asarray(at, dtype=np.float64)
    *_, line, mark = _sources(figure)
    line.data = {**line.data, "x": p[:, 0], "y": p[:, 1]}
    mark.data = {**mark.data, "x": here[:1], "y": here[1:]}
    fixed = np.zeros((0, 2)) if background is None else np.asarray(background, dtype=np.float64)
    limits = _limits(np.concatenate([p, fixed, here[None]]))
    for axis, (start, end) in zip((figure.x_range, figure.y_range), limits):
        axis.update(start=start, end=end, reset_start=start, reset_end=end)
    if labels is not None:
        figure.xaxis[0].axis_label, figure.yaxis[0].axis_label = labels


def padded(values: NDArray[np.float64]) -> tuple[float, float]:
    """Limits with a margin; at least -1 ... 1 so that a component at rest looks at rest."""
    low, high = min(float(values.min()), -1.0), max(float(values.max()), 1.0)
    if float(values.min()) >= 0:
        low = 0.0
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def _checked(
    parameters: ArrayLike, components: ArrayLike, names: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(parameters, dtype=np.float64), np.asarray(components, dtype=np.float64)
    if y.shape != (len(x), len(names)) or not y.size:
        raise ConfigError(f"expected components of shape ({len(x)}, {len(names)}), got {y.shape}")
    return x, y


def _ends(x: NDArray[np.float64]) -> tuple[float, float]:
    margin = 0.015 * max(float(x[-1] - x[0]), 1e-9)
    return float(x[0]) - margin, float(x[-1]) + margin


def _limits(points: NDArray[np.float64]) -> tuple[tuple[float, float], tuple[float, float]]:
    """A square around the points, never smaller than the unit square."""
    low, high = points.min(axis=0), points.max(axis=0)
    centre = (low + high) / 2
    half = 1.15 * max(float((high - low).max()) / 2, 0.6)
    x, y = centre.tolist()
    return (x - half, x + half), (y - half, y + half)


def _sources(figure: Figure) -> list[ColumnDataSource]:
    drawn = [renderer for renderer in figure.renderers if isinstance(renderer, GlyphRenderer)]
    found: list[Any] = [renderer.data_source for renderer in drawn]
    return found
