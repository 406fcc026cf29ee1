"""A network along an orbit: answers (flat is invariant), errors of its layers, the path of its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import holoviews as hv
import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import DataError
from eqviz.plots.fields import sequential, signed_colours
from eqviz.plots.style import (
    INK,
    MUTED,
    PAPER,
    at_hook,
    group_colour,
    mix,
    options,
    overlay,
    square,
)

Array = NDArray[np.float64]
MAX_CURVES = 8
SMALLEST = 1e-17  # below the rounding of float64: an exact zero is drawn here
ROUNDING = {"float32": 2.0**-23, "float64": 2.0**-52}


def answers_along(
    at: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    own: ArrayLike | None = None,
    mark: float | None = None,
    xlabel: str = "angle [°]",
    ylabel: str = "change / size",
    least: float = 0.1,
    symmetry: str = "none",
    logx: bool = False,
    dark: bool = False,
    height: int = 350,
) -> hv.Overlay:
    """Changes of answers and invariants along an orbit: the first curve in ink, the rest in shades.

    Args:
        at: (n,) where on the orbit.
        curves: name -> (n,) change in units of its size at the start; at most nine are drawn.
        own: (n,) elements of the network's own group, marked on the first curve.
        mark: the present element.
        least: half of the vertical axis at least, so that rounding is not blown up.
    """
    x = np.asarray(at, dtype=np.float64)
    drawn = {name: _along(x, values) for name, values in list(curves.items())[: MAX_CURVES + 1]}
    elements: list[hv.Element] = []
    for number, (name, y) in enumerate(drawn.items()):
        share = number / max(1, len(drawn) - 1)
        colour = INK[dark] if not number else mix(group_colour(symmetry, dark), PAPER[dark], 0.6 * share)
        line = hv.Curve((x, y), "where", "change", label=name)
        elements.insert(0, line.opts(color=colour, line_width=2.4 if not number else 1.4))
    if own is not None and drawn and np.any(own):
        chosen, first = np.asarray(own, dtype=bool), next(iter(drawn.values()))
        points = hv.Scatter((x[chosen], first[chosen]), "where", "change", label="own elements")
        elements.append(points.opts(color=INK[dark], size=7, line_color=PAPER[dark]))
    reach = max([least, *(1.1 * float(np.abs(y[np.isfinite(y)]).max(initial=0.0)) for y in drawn.values())])
    shared = _axes(x, mark, xlabel, ylabel, logx, dark, height)
    return overlay(elements, legend_cols=3, **{**shared, "ylim": (-reach, reach)})


def errors_along(
    at: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    exact: Mapping[str, ArrayLike] | None = None,
    baseline: ArrayLike | None = None,
    baseline_name: str = "there and back",
    mark: float | None = None,
    dtype: str = "float32",
    xlabel: str = "angle [°]",
    ylabel: str = "relative error",
    symmetry: str = "none",
    logx: bool = False,
    dark: bool = False,
    height: int = 350,
) -> hv.Overlay:
    """Relative error of every layer along an orbit, the group's own elements marked.

    Args:
        curves: layer -> (n,) error at every element.
        exact: layer -> (n,) error under the declared law, NaN where the group has no such element: points.
        baseline: (n,) what moving the input there and back changes.
        dtype: whose rounding is drawn as a faint line.
    """
    x = np.asarray(at, dtype=np.float64)
    ramp = sequential(symmetry, dark)
    elements: list[hv.Element] = []
    if baseline is not None:
        line = hv.Curve((x, _positive(_along(x, baseline))), "where", "error", label=baseline_name)
        elements.append(line.opts(color=MUTED[dark], line_width=1.6, line_dash="dashed"))
    for number, (name, values) in enumerate(curves.items()):
        colour = ramp[28 + round(220 * number / max(1, len(curves) - 1))]
        line = hv.Curve((x, _positive(_along(x, values))), "where", "error", label=name)
        elements.append(line.opts(color=colour, line_width=1.6))
        if exact is not None and name in exact:
            law = _along(x, exact[name])
            some = np.isfinite(law)
            points = hv.Scatter((x[some], _positive(law[some])), "where", "error")
            elements.append(points.opts(color=colour, size=7, line_color=PAPER[dark]))
    low = {"float32": 1e-9, "float64": 1e-18}[dtype]
    floor = hv.HLine(ROUNDING[dtype]).opts(color=MUTED[dark], line_width=1, line_dash="dotdash")
    shared = _axes(x, mark, xlabel, ylabel, logx, dark, height)
    more = {"logy": True, "ylim": (low, 5.0)}
    return overlay([floor, *elements], legend_cols=4, **{**shared, **more})


def trajectory(
    points: ArrayLike,
    here: int,
    *,
    start: int = 0,
    own: ArrayLike | None = None,
    closed: bool = True,
    least: float = 0.05,
    shares: Sequence[float] = (),
    symmetry: str = "none",
    title: str = "",
    dark: bool = False,
    side: int = 250,
) -> hv.Overlay:
    """The path of features in their first two principal components, with equal scales.

    Args:
        points: (n, 2) in units of the features' size.
        here: the present element.
        start: the identity: a ring.
        own: (n,) elements of the network's own group: dots.
        closed: whether the orbit returns to its start.
        least: half of the axes at least: an invariant network's path is a dot.
        shares: of the variance that the two components hold.
    """
    path = np.asarray(points, dtype=np.float64)
    if path.ndim != 2 or path.shape[1] != 2 or not 0 <= here < len(path):
        raise DataError(f"expected points (n, 2) and one of their numbers, got {path.shape} and {here}")
    colour = group_colour(symmetry, dark)
    line = np.concatenate([path, path[:1]]) if closed else path
    elements: list[hv.Element] = [hv.Curve(line, "first", "second").opts(color=colour, line_width=2)]
    if own is not None and np.any(own):
        dots = hv.Scatter(path[np.asarray(own, dtype=bool)], "first", "second")
        elements.append(dots.opts(color=colour, size=8, line_color=PAPER[dark]))
    ring = hv.Scatter(path[start : start + 1], "first", "second")
    elements.append(ring.opts(color=PAPER[dark], line_color=INK[dark], line_width=2, size=12))
    mark = hv.Scatter(path[here : here + 1], "first", "second", label="here")
    elements.append(mark.opts(color=INK[dark], size=10, line_color=PAPER[dark]))
    reach = max(least, 1.15 * float(np.abs(path).max(initial=0.0)))
    names = ("first component", "second component")
    labels = [f"{name} ({share:.0%})" for name, share in zip(names, shares)] if shares else list(names)
    more = {"xlim": (-reach, reach), "ylim": (-reach, reach), "show_legend": False}
    return overlay(elements, **{**square(options(title, *labels, dark=dark), side), **more})


def replace_here(figure: Any, point: Sequence[float]) -> None:
    """Move the mark of a figure made by :func:`trajectory`."""
    source = figure.renderers[-1].data_source
    source.data = {**source.data, "first": np.array([point[0]]), "second": np.array([point[1]])}


def small_multiples(
    rows: Mapping[str, ArrayLike], labels: Sequence[str], *, symmetry: str = "none", dark: bool = False,
    tile: int = 84, first_log: bool = True,
) -> hv.Overlay:  # fmt: skip
    """Several elements side by side: one row of maps for each entry, the first on a logarithmic scale.

    Args:
        rows: name -> (n, H, W), rows of an image along eta.
        labels: of the n elements.
    """
    n, elements, ticks = len(labels), [], []
    signed = [
        number > 0 and float(np.nanmin(values)) < -0.02 * float(np.nanmax(np.abs(values)))
        for number, values in enumerate(rows.values())
    ]  # else a bicubic undershoot
    for number, (name, values) in enumerate(rows.items()):
        stack = np.asarray(values, dtype=np.float64)
        if number and not signed[1]:
            stack = np.maximum(stack, 0.0)
        if stack.ndim != 3 or len(stack) != n:
            raise DataError(f"expected {n} maps (n, H, W) of {name}, got {stack.shape}")
        bottom, log = len(rows) - 1.0 - number, first_log and not number
        strip = _strip(stack, log)
        size = np.abs(strip[np.isfinite(strip)])
        top = float(size.max()) if size.size and size.max() > 0 else 1.0
        limits = (max(top / 1e4, 1e-12), top) if log else (-top if signed[1] else 0.0, top)
        image = hv.Image(strip.T[::-1], bounds=(0, bottom, n, bottom + 0.96), kdims=["element", "row"])
        hues = sequential(symmetry if number else "SO+(1,3)", dark)
        style = {"cmap": signed_colours(dark) if number and signed[1] else hues, "clim": limits}
        elements.append(image.opts(**style, cnorm="log" if log else "linear"))
        ticks.append((bottom + 0.48, name))
    shared = options("", "", "", dark=dark, show_grid=False, show_legend=False)
    frame = {
        "frame_width": n * tile,
        "frame_height": len(rows) * tile,
        "xlim": (0, n),
        "ylim": (0, len(rows)),
    }
    marks = {"xticks": [(i + 0.49, label) for i, label in enumerate(labels)], "yticks": ticks}
    kept = {key: value for key, value in shared.items() if key not in ("responsive", "height", "min_width")}
    return overlay(elements, **{**kept, **frame, **marks})


def _strip(stack: Array, log: bool) -> Array:
    """(n, H, W) side by side with a thin gap, rows still along eta."""
    n, height, width = stack.shape
    gap = max(1, height // 24)
    out = np.full((n * (height + gap), width), np.nan)
    for i, image in enumerate(stack):
        shown = np.where(image > 0, image, np.nan) if log else image
        out[i * (height + gap) : i * (height + gap) + height] = shown
    return out


def _axes(
    x: Array, mark: float | None, xlabel: str, ylabel: str, logx: bool, dark: bool, height: int
) -> dict[str, Any]:
    hooks = [] if mark is None else [at_hook(mark, dark)]
    shared = options("", xlabel, ylabel, dark=dark, height=height, hooks=hooks)
    if len(x) > 1 and not logx and xlabel.endswith("[°]") and np.ptp(x) > 300:
        shared["xticks"] = [(angle, f"{angle}") for angle in range(0, 361, 45)]
    return {**shared, "logx": logx, "xlim": (float(x.min()), float(x.max())) if len(x) else (0, 1)}


def _along(x: Array, values: ArrayLike) -> Array:
    y = np.asarray(values, dtype=np.float64)
    if y.shape != x.shape:
        raise DataError(f"expected one value for each of {len(x)} elements, got {y.shape}")
    return y


def _positive(values: Array) -> Array:
    return np.maximum(values, SMALLEST)


__all__ = [
    "answers_along", "errors_along", "replace_here", "small_multiples", "trajectory",
]  # fmt: skip
