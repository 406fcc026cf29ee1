"""Learned functions of invariants and of the detector plane, with where real jets are.

Invariants span many decades on both sides of zero: their axes are symmetric-logarithmic, linear below a
small scale and logarithmic above.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
from contourpy import contour_generator
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from eqviz.errors import DataError
from eqviz.plots.colourbar import colour_bar
from eqviz.plots.filters import sequential
from eqviz.plots.jets import D_ETA, D_PHI
from eqviz.plots.representations import diverging
from eqviz.plots.style import INK, MUTED, PAPER, group_colour, mix, options, overlay, square

Array = NDArray[np.float64]
EVEN = "attention × patches"
LINEAR = 1e-2  # GeV^2: below this the axes of invariants are linear
_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def symlog(x: ArrayLike, linear: float = LINEAR) -> Array:
    """sign(x) log10(1 + |x| / linear): positions on a symmetric-logarithmic axis."""
    values = np.asarray(x, dtype=np.float64)
    return np.sign(values) * np.log10(1 + np.abs(values) / linear)


def from_symlog(t: ArrayLike, linear: float = LINEAR) -> Array:
    """The number at a position of such an axis."""
    place = np.asarray(t, dtype=np.float64)
    return np.sign(place) * linear * (10 ** np.abs(place) - 1)


def symlog_ticks(low: float, high: float, linear: float = LINEAR) -> list[tuple[float, str]]:
    """Ticks 0 and powers of ten between two positions, every second or third where there are many."""
    decades = np.arange(np.ceil(np.log10(linear)) + 1, 12).astype(int)
    inside = [d for d in decades if symlog(10.0**d, linear) <= max(abs(low), abs(high))]
    step = 1 + len(inside) // (7 if low * high >= 0 else 4)
    ticks = [(0.0, "0")]
    for decade in inside[step - 1 :: step]:
        place, power = float(symlog(10.0**decade, linear)), f"10{str(decade).translate(_POWERS)}"
        ticks += [(place, power)] if place <= high else []
        ticks += [(-place, f"−{power}")] if -place >= low else []
    return sorted(ticks)


def function_of_invariant(
    x: ArrayLike,
    curves: Sequence[tuple[str, ArrayLike, dict[str, Any]]],
    *,
    xlabel: str,
    ylabel: str,
    real: ArrayLike | None = None,
    unit: str = "GeV²",
    title: str = "",
    dark: bool = False,
    height: int = 340,
    **more: Any,
) -> hv.Overlay:
    """Learned functions of one invariant; where the pairs of real jets are is shaded below.

    Args:
        x: (n,) in GeV^2.
        curves: (label, values (n,), HoloViews options) of each.
        real: the invariant of real pairs in GeV^2: their histogram at the bottom, in arbitrary units.
        unit: of the invariant, "" where it has none.
    """
    values = np.asarray(x, dtype=np.float64)
    t = symlog(values)
    place, size = hv.Dimension("t", label="position"), hv.Dimension("value", label=ylabel)
    exact = hv.Dimension("invariant", label=xlabel, unit=unit or None)
    drawn = [np.asarray(y, dtype=np.float64) for _, y, _ in curves]
    if not drawn or any(y.shape != t.shape for y in drawn):
        raise DataError(f"expected functions at {len(t)} places, got {[y.shape for y in drawn]}")
    low, high = min(float(y.min()) for y in drawn), max(float(y.max()) for y in drawn)
    span = max(high - low, 1e-9, 1e-6 * abs(high))
    bottom = low - (0.30 if real is not None else 0.06) * span
    elements: list[hv.Element] = []
    if real is not None:
        elements += _density(symlog(real), float(t.min()), float(t.max()), bottom, 0.22 * span, dark)
    for (label, _, look), y in zip(curves, drawn):
        columns = {"t": t, "value": y, "invariant": values}
        curve = hv.Curve(columns, place, [size, exact], label=label)
        elements.append(curve.opts(**{"line_width": 2, **look}))
    shared = options(title, f"{xlabel} [{unit}]" if unit else xlabel, ylabel, dark=dark, height=height)
    reach = {"xlim": (float(t.min()), float(t.max())), "ylim": (bottom, high + 0.06 * span)}
    return overlay(elements, **{**shared, **reach, "xticks": symlog_ticks(*reach["xlim"]), **more})


def band_against_invariant(
    x: ArrayLike,
    groups: Sequence[tuple[str, ArrayLike, ArrayLike, str]],
    *,
    xlabel: str,
    ylabel: str,
    bins: int = 40,
    title: str = "",
    dark: bool = False,
    height: int = 340,
    **more: Any,
) -> hv.Overlay:
    """Median and central 95 % of what a network gives real pairs, in bins of an invariant.

    Args:
        x: two ends of the axis in GeV^2.
        groups: (label, invariant (P,) in GeV^2, value (P,), colour) for each kind of pairs.
    """
    ends = symlog(np.asarray(x, dtype=np.float64))
    edges = np.linspace(ends[0], ends[1], bins + 1)
    place, size = hv.Dimension("t", label="position"), hv.Dimension("value", label=ylabel)
    elements: list[hv.Element] = []
    for label, invariant, value, colour in groups:
        t, y = symlog(invariant), np.asarray(value, dtype=np.float64)
        which = np.digitize(t, edges) - 1
        rows = [
            (i, np.quantile(y[which == i], [0.025, 0.5, 0.975]))
            for i in range(bins)
            if (which == i).sum() > 9
        ]
        if not rows:
            continue
        middle = np.array([(edges[i] + edges[i + 1]) / 2 for i, _ in rows])
        low, median, high = np.array([q for _, q in rows]).T
        columns = {"t": middle, "value": low, "high": high}
        area = hv.Area(columns, place, [size, "high"], label=label)
        elements.append(area.opts(color=colour, alpha=0.2, line_color=None))
        exact = {"t": middle, "value": median, "invariant": from_symlog(middle), "low": low, "high": high}
        curve = hv.Curve(
            exact, place, [size, hv.Dimension("invariant", unit="GeV²"), "low", "high"], label=label
        )
        elements.append(curve.opts(color=colour, line_width=2))
    shared = options(title, f"{xlabel} [GeV²]", ylabel, dark=dark, height=height)
    frame = {"xlim": (float(ends[0]), float(ends[1])), "xticks": symlog_ticks(float(ends[0]), float(ends[1]))}
    return overlay(elements or [hv.Curve([])], **{**shared, **frame, **more})


def map_of_invariants(
    x: ArrayLike,
    y: ArrayLike,
    values: ArrayLike,
    *,
    xlabel: str,
    ylabel: str,
    label: str,
    limits: tuple[float, float],
    real: tuple[ArrayLike, ArrayLike] | None = None,
    symmetry: str = "SO+(1,3)",
    title: str = "",
    dark: bool = False,
    side: int = 330,
    **more: Any,
) -> hv.Overlay:
    """A function of two invariants as a map; lines enclose 50, 90 and 99 % of the pairs of real jets.

    Args:
        x, y: (n,), (m,) in GeV^2, equally spaced on symmetric-logarithmic axes.
        values: (m, n).
        real: both invariants of real pairs, (P,) each in GeV^2.
    """
    across, up = symlog(x), symlog(y)
    kdims = [hv.Dimension("tx", label=f"position, {xlabel}"), hv.Dimension("ty", label=f"position, {ylabel}")]
    image = hv.Image((across, up, np.asarray(values)), kdims, hv.Dimension("value", label=label))
    colours = sequential(group_colour(symmetry, dark), dark)
    elements: list[hv.Element] = [image.opts(cmap=colours, clim=limits, **colour_bar(dark))]
    if real is not None:
        elements += _enclosing(symlog(real[0]), symlog(real[1]), across, up, kdims, dark)
    shared = options(
        title, f"{xlabel} [GeV²]", f"{ylabel} [GeV²]", dark=dark, show_grid=False, show_legend=False
    )
    reach = {"xlim": (float(across[0]), float(across[-1])), "ylim": (float(up[0]), float(up[-1]))}
    ticks = {"xticks": symlog_ticks(*reach["xlim"]), "yticks": symlog_ticks(*reach["ylim"])}
    return overlay(elements, **{**square(shared, side), **reach, **ticks, **more})


def plane_map(
    values: ArrayLike,
    half_width: float,
    *,
    label: str,
    radius: float | None = 0.8,
    symmetry: str = "S_n",
    limits: tuple[float, float] | None = None,
    title: str = "",
    dark: bool = False,
    side: int = 330,
    **more: Any,
) -> hv.Overlay:
    """A function (eta, phi) over the plane around the jet axis, as jets are drawn; 0 is paper."""
    found = np.asarray(values, dtype=np.float64)
    axes = [(np.arange(n) + 0.5) / n * 2 * half_width - half_width for n in found.shape]
    top = float(np.abs(found).max()) or 1.0
    image = hv.Image((*axes, found.T), [D_ETA, D_PHI], hv.Dimension("value", label=label))
    colours = sequential(group_colour(symmetry, dark), dark)
    elements: list[hv.Element] = [image.opts(cmap=colours, clim=limits or (0, top), **colour_bar(dark))]
    if radius:
        angle = np.linspace(0, 2 * np.pi, 121)
        circle = hv.Path([(radius * np.cos(angle), radius * np.sin(angle))], [D_ETA, D_PHI])
        elements.append(circle.opts(color=MUTED[dark], line_width=1, line_dash="dotdash"))
    shared = options(title, D_ETA.label, D_PHI.label, dark=dark, show_grid=False, show_legend=False)
    reach = {"xlim": (-half_width, half_width), "ylim": (-half_width, half_width)}
    return overlay(elements, **{**square(shared, side), **reach, **more})


def attention_map(
    weights: ArrayLike,
    image: ArrayLike,
    *,
    half_width: float,
    query: int | None = None,
    limits: tuple[float, float] | None = None,
    title: str = "",
    dark: bool = False,
    side: int = 330,
    **more: Any,
) -> hv.Overlay:
    """Attention (side, side) of one head over the patches of an image, times their number: 1 is even.

    Dots are the image's pixels.

    Args:
        weights: rows along eta, columns along phi; they add up to 1.
        image: (N, N) with the same borders; the area of a dot is proportional to its pixel.
        half_width: of the image in eta and phi.
        query: the patch that looks, framed; None for the mean over all.
        limits: of the colour scale, by default symmetric about 1.
    """
    found, pixels = np.asarray(weights, dtype=np.float64), np.asarray(image, dtype=np.float64)
    n, step = len(found), 2 * half_width / len(found)
    centres = (np.arange(n) + 0.5) * step - half_width
    relative = found.T * found.size
    shade = hv.Image((centres, centres, relative), [D_ETA, D_PHI], hv.Dimension("attention", label=EVEN))
    look = {"cmap": diverging(dark), "clim": limits or about_one(relative)}
    elements: list[hv.Element] = [shade.opts(**look, **colour_bar(dark))]
    rows, columns = np.nonzero(pixels > 0)
    if len(rows):
        width = 2 * half_width / len(pixels)
        places = [(i + 0.5) * width - half_width for i in (rows, columns)]
        size = 2 + 22 * np.sqrt(pixels[rows, columns] / pixels.max())
        dots = hv.Points((*places, pixels[rows, columns], size), [D_ETA, D_PHI], ["pixel", "size"])
        elements.append(dots.opts(size="size", color=INK[dark], alpha=0.55, line_color=PAPER[dark]))
    if query is not None:
        x, y = (c * step - half_width for c in divmod(query, n))
        box = hv.Rectangles([(x, y, x + step, y + step)])
        elements.append(box.opts(fill_color=None, line_color=INK[dark], line_width=3))
    shared = options(title, D_ETA.label, D_PHI.label, dark=dark, show_grid=False, show_legend=False)
    reach = {"xlim": (-half_width, half_width), "ylim": (-half_width, half_width)}
    return overlay(elements, **{**square(shared, side), **reach, **more})


def about_one(values: ArrayLike) -> tuple[float, float]:
    """Limits of a colour scale that are symmetric about 1 and hold all values."""
    away = float(np.abs(np.asarray(values, dtype=np.float64) - 1).max(initial=0.01))
    return 1 - away, 1 + away


def _density(t: Array, start: float, stop: float, bottom: float, tall: float, dark: bool) -> list[hv.Element]:
    """A histogram of real pairs that stands on the lower edge, and the central 95 % shaded."""
    counts, edges = np.histogram(t, bins=60, range=(start, stop))
    if not counts.any():
        return []
    top = bottom + tall * counts / counts.max()
    columns = {"t": (edges[1:] + edges[:-1]) / 2, "value": np.full(len(top), bottom), "top": top}
    area = hv.Area(columns, "t", ["value", "top"], label="pairs of real jets")
    low, high = np.quantile(t, [0.025, 0.975])
    span = hv.VSpan(float(low), float(high)).opts(color=MUTED[dark], alpha=0.10)
    return [span, area.opts(color=mix(MUTED[dark], PAPER[dark], 0.3), alpha=0.8, line_color=None)]


def _enclosing(
    x: Array, y: Array, across: Array, up: Array, kdims: list[hv.Dimension], dark: bool
) -> list[hv.Element]:
    """Lines around the densest regions that hold 50, 90 and 99 % of the points."""
    bins = [np.linspace(axis[0], axis[-1], 81) for axis in (across, up)]
    density = gaussian_filter(np.histogram2d(x, y, bins=bins)[0], 1.2)
    if not density.any():
        return []
    ordered = np.sort(density.ravel())[::-1]
    total = np.cumsum(ordered) / ordered.sum()
    middles = [(edge[1:] + edge[:-1]) / 2 for edge in bins]
    lines = contour_generator(x=middles[0], y=middles[1], z=density.T)
    paths = []
    for share, thickness in ((0.5, 2.0), (0.9, 1.3), (0.99, 0.8)):
        level = float(ordered[np.searchsorted(total, share)])
        for line in map(np.asarray, lines.lines(level)):
            paths.append({"tx": line[:, 0], "ty": line[:, 1], "share": share, "thick": thickness})
    contours = hv.Contours(paths, kdims, ["share", "thick"])
    return [contours.opts(color=INK[dark], line_width="thick", show_legend=False)]
