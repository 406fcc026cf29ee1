"""Features of constituents: scalars as colours in eta-phi, four-vectors as arrows in a plane of momenta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import LinearColorMapper, LogColorMapper, Scatter, Segment
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure as Figure
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import DataError
from eqviz.kinematics import relative_to_axis
from eqviz.plots.colourbar import colour_bar
from eqviz.plots.fields import FLOOR, gap_colours, sequential, signed_colours
from eqviz.plots.jets import D_ETA, D_PHI, LARGEST, half_range
from eqviz.plots.style import INK, MUTED, group_colour, options, overlay, square

Array = NDArray[np.float64]


def node_scalars(
    p4: ArrayLike, values: ArrayLike, *, limit: float | None = None, log: bool = False,
    symmetry: str = "SO+(1,3)", title: str = "", dark: bool = False, side: int = 250,
) -> hv.Overlay:  # fmt: skip
    """A number for every constituent as its colour; area is proportional to pT.

    Args:
        p4: (n, 4) constituents in GeV, where they are drawn.
        values: (n,).
        limit: end of the colour scale; with ``log`` it is 1 and the scale begins at 1e-8.
        log: logarithmic, for differences in units of the largest value.
    """
    columns = node_columns(p4, values)
    low, high, colours = _scale(columns["value"], limit, log, symmetry, dark)
    label = "|difference| / largest" if log else "feature"
    points = hv.Points(columns, [D_ETA, D_PHI], [hv.Dimension("value", label=label), "size"])
    points = points.opts(
        size="size", color="value", cmap=colours, clim=(low, high), cnorm="log" if log else "linear",
        line_color=MUTED[dark], line_width=0.6, **colour_bar(dark),
    )  # fmt: skip
    reach = half_range(p4, None)
    frame = {"xlim": (-reach, reach), "ylim": (-reach, reach)}
    shared = options(title, D_ETA.label, D_PHI.label, dark=dark, show_legend=False)
    return overlay([points], **{**square(shared, side), **frame})


def node_vectors(
    vectors: ArrayLike, plane: tuple[ArrayLike, ArrayLike], names: tuple[str, str], *,
    symmetry: str = "SO+(1,3)", title: str = "", dark: bool = False, side: int = 250,
) -> hv.Overlay:  # fmt: skip
    """Four-vectors of constituents as arrows from the origin, projected on two directions of space.

    Args:
        vectors: (n, 4) as (E, x, y, z).
        plane: two unit 3-vectors, to the right and upwards.
        names: of the two axes, with units.
    """
    columns = vector_columns(vectors, plane)
    colour = group_colour(symmetry, dark)
    lines = hv.Segments(columns, ["x0", "y0", "x1", "y1"]).opts(color=colour, line_width=1.4, alpha=0.8)
    tips = hv.Points({"x": columns["x1"], "y": columns["y1"]}, ["x", "y"])
    reach = _reach(columns)
    frame = {"xlim": (-reach, reach), "ylim": (-reach, reach)}
    shared = options(title, *names, dark=dark, show_legend=False)
    drawn = [lines, tips.opts(color=INK[dark], size=4)]
    return overlay(drawn, **{**square(shared, side), **frame})


def event_strip(
    events: Sequence[ArrayLike], values: Sequence[ArrayLike], labels: Sequence[str], *,
    symmetry: str = "SO+(1,3)", dark: bool = False, tile: int = 130,
) -> hv.Overlay:  # fmt: skip
    """Several events side by side, each in its own eta-phi window, coloured by a feature of constituents.

    Args:
        events: (n, 4) constituents each.
        values: (n,) each, on one common scale.
        labels: of the events; the width of the window is added.
    """
    rows, ticks = [], []
    for number, (p4, feature, label) in enumerate(zip(events, values, labels)):
        columns, reach = node_columns(p4, feature), half_range(p4, None)
        x, y = (0.46 * columns[name] / reach for name in ("d_eta", "d_phi"))
        rows.append(
            np.stack([number + 0.5 + x, 0.5 + y, columns["value"], 0.5 * columns["size"] + 2], axis=1)
        )
        ticks.append((number + 0.5, f"{label}\n±{reach:.2g}"))
    table = np.concatenate(rows) if rows else np.zeros((0, 4))
    low, high, colours = _scale(table[:, 2], None, False, symmetry, dark)
    points = hv.Points(table, ["event", "row"], ["feature", "size"])
    points = points.opts(size="size", color="feature", cmap=colours, clim=(low, high), line_color=MUTED[dark])
    n = max(1, len(rows))
    shared = options("", "", "", dark=dark, show_grid=False, show_legend=False)
    kept = {key: value for key, value in shared.items() if key not in ("responsive", "height", "min_width")}
    lines = [hv.VLine(edge).opts(color=MUTED[dark], line_width=0.5) for edge in range(1, n)]
    frame = {"frame_width": n * tile, "frame_height": tile, "xlim": (0, n), "ylim": (0, 1)}
    return overlay([points, *lines], **{**kept, **frame, "xticks": ticks, "yaxis": None})


def node_columns(p4: ArrayLike, values: ArrayLike) -> dict[str, Array]:
    """Columns of :func:`node_scalars`: position around the jet axis, value and diameter in screen pixels."""
    p, feature = np.asarray(p4, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != 4 or feature.shape != (len(p),):
        raise DataError(f"expected momenta (n, 4) and values (n,), got {p.shape} and {feature.shape}")
    pt, eta, phi = relative_to_axis(p)
    size = LARGEST * np.sqrt(pt / max(float(pt.sum()), 1e-300)) + 5.0
    order = np.argsort(-pt, kind="stable")
    order = order[np.isfinite(eta[order]) & np.isfinite(phi[order])]
    found = {"d_eta": eta, "d_phi": phi, "value": feature, "size": size}
    return {name: np.asarray(column)[order] for name, column in found.items()}


def vector_columns(vectors: ArrayLike, plane: tuple[ArrayLike, ArrayLike]) -> dict[str, Array]:
    """Columns of :func:`node_vectors`."""
    space = np.asarray(vectors, dtype=np.float64)[:, 1:]
    x, y = (space @ np.asarray(direction, dtype=np.float64) for direction in plane)
    return {"x0": 0 * x, "y0": 0 * y, "x1": x, "y1": y}


def replace_scalars(figure: Figure, p4: ArrayLike, values: ArrayLike, limit: float | None = None) -> None:
    """Other constituents and values in a figure of :func:`node_scalars`; the signs of the scale stay."""
    renderer: Any = next(r for r in _drawn(figure) if isinstance(r.glyph, Scatter))
    columns = node_columns(p4, values)
    mapper = getattr(renderer.glyph.fill_color, "transform", None)
    if isinstance(mapper, LogColorMapper):
        columns["value"] = np.clip(columns["value"], FLOOR, 1.0)
    elif isinstance(mapper, LinearColorMapper) and limit:
        mapper.update(low=-limit if (mapper.low or 0) < 0 else 0.0, high=limit)
    extra = set(renderer.data_source.data) - set(columns)
    renderer.data_source.data = {**columns, **dict.fromkeys(extra, columns["value"])}
    _frame(figure, half_range(p4, None))


def replace_vectors(figure: Figure, vectors: ArrayLike, plane: tuple[ArrayLike, ArrayLike]) -> None:
    """Other vectors in a figure of :func:`node_vectors`."""
    columns = vector_columns(vectors, plane)
    for renderer in _drawn(figure):
        if isinstance(renderer.glyph, Segment):
            renderer.data_source.data = dict(columns)
        else:
            renderer.data_source.data = {"x": columns["x1"], "y": columns["y1"]}
    _frame(figure, _reach(columns))


def _scale(
    values: Array, limit: float | None, log: bool, symmetry: str, dark: bool
) -> tuple[float, float, list[str]]:
    if log:
        return FLOOR, 1.0, gap_colours(dark)
    size = float(np.abs(values).max(initial=0.0))
    top = limit or size or 1.0
    if values.size and values.min() < 0:
        return -top, top, signed_colours(dark)
    return 0.0, top, sequential(symmetry, dark)


def _reach(columns: dict[str, Array]) -> float:
    ends = np.abs(np.concatenate([columns["x1"], columns["y1"]]))
    return 1.1 * float(ends.max(initial=0.0)) or 1.0


def _frame(figure: Figure, reach: float) -> None:
    for axis in (figure.x_range, figure.y_range):
        axis.update(start=-reach, end=reach, reset_start=-reach, reset_end=reach)


def _drawn(figure: Figure) -> list[Any]:
    return [renderer for renderer in figure.renderers if isinstance(renderer, GlyphRenderer)]
