"""What the scores of one or several networks look like: histograms, calibration, confusion, landscape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import Text
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import DataError
from eqviz.plots.series import Series, draw
from eqviz.plots.style import INK, MUTED, PAPER, Tag, mix, options, overlay

SCORE = hv.Dimension("score", label="score (probability of signal)")
COUNT = hv.Dimension("jets", label="jets per bin")
PARAMETERS = hv.Dimension("parameters", label="trainable parameters")
REJECTION = hv.Dimension("rejection", label="background rejection 1/εB at εS = 0.3")


def score_histogram(
    tag: Tag, labels: ArrayLike, scores: ArrayLike, *, bins: int = 25, dark: bool = False, **more: Any
) -> hv.Overlay:
    """Score of signal (filled) and background (outlined) jets with sqrt(N) errors, log counts.

    Args:
        tag: run; the histogram has its colour.
        labels: (n,) 1 for signal, 0 for background.
        scores: (n,) probability of signal in [0, 1].
        bins: number of bins of equal width.
        dark: for a dark background.
    """
    truth, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if truth.shape != values.shape or truth.ndim != 1:
        raise DataError(f"expected labels and scores of one shape (n,), got {truth.shape} and {values.shape}")
    edges = np.linspace(0.0, 1.0, bins + 1)
    elements: list[hv.Element] = []
    for name, kept in (("signal", values[truth == 1]), ("background", values[truth == 0])):
        counts = np.histogram(np.clip(kept, 0, 1), edges)[0]
        shown = np.maximum(counts, 0.5)  # an empty bin lies at the bottom of the log axis
        colour = tag.colour(dark) if name == "signal" else INK[dark]
        steps = np.repeat(edges, 2)[1:-1], np.repeat(shown, 2)
        if name == "signal":
            area = hv.Area((*steps, np.full(2 * bins, 0.5)), SCORE, [COUNT, "base"])
            elements.append(area.opts(color=colour, alpha=0.3, line_alpha=0, show_legend=False))
        outline = hv.Curve(steps, SCORE, COUNT, label=name)
        elements.append(outline.opts(color=colour, line_width=1.6, tools=["hover"]))
        filled = counts > 0
        errors = np.sqrt(counts[filled])
        middles = (edges[:-1] + edges[1:])[filled] / 2
        down = np.minimum(errors, counts[filled] - 0.5)
        bars = hv.ErrorBars((middles, counts[filled], down, errors), SCORE, [COUNT, "minus", "plus"]).opts(
            color=colour, line_width=1.2, upper_head=None, lower_head=None
        )
        elements.append(bars)
    top = max(10.0, 2.0 * max(float(np.histogram(values[truth == c], edges)[0].max()) for c in (0, 1)))
    shared = options(tag.label, SCORE.label, COUNT.label, dark=dark, height=260, logy=True)
    return overlay(elements, **{**shared, "xlim": (0, 1), "ylim": (0.5, top), **more})


def calibration(curves: Sequence[Series], *, dark: bool = False, **more: Any) -> hv.Overlay:
    """Fraction of signal against the predicted probability, with 95 % errors; the diagonal is perfect.

    Args:
        curves: per run x = mean predicted probability of a bin, y = fraction of signal jets in it.
        dark: for a dark background.
    """
    x = hv.Dimension("predicted", label="predicted probability of signal")
    y = hv.Dimension("observed", label="observed fraction of signal")
    diagonal = hv.Curve(([0, 1], [0, 1]), x, y)
    elements: list[hv.Element] = [
        diagonal.opts(color=MUTED[dark], line_dash="dotdash", line_width=1, show_legend=False)
    ]
    for curve in curves:
        line_and_points = draw(Series(curve.tag, curve.x, curve.y), x, y, dark=dark, markers=-1, width=1.4)
        if curve.has_band:
            c = curve.columns()
            bars = hv.ErrorBars(
                (c["x"], c["y"], c["y"] - c["low"], c["high"] - c["y"]), x, [y, "minus", "plus"]
            )
            elements.append(bars.opts(color=curve.tag.colour(dark), upper_head=None, lower_head=None))
        elements += line_and_points
    shared = options("Calibration", x.label, y.label, dark=dark, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return overlay(elements, **{**shared, **more})


def confusion_matrix(
    tag: Tag, matrix: ArrayLike, class_names: Sequence[str], *, dark: bool = False, **more: Any
) -> hv.Overlay:
    """Confusion matrix: colour and percentage over each true class, with the number of jets.

    Args:
        tag: run; the cells have shades of its colour.
        matrix: (C, C) counts, row = true class, column = predicted class.
        class_names: C names.
        dark: for a dark background.
    """
    counts: NDArray[np.float64] = np.asarray(matrix, dtype=np.float64)
    n = len(class_names)
    if counts.shape != (n, n):
        raise DataError(f"expected a ({n}, {n}) matrix for classes {list(class_names)}, got {counts.shape}")
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = [
        (class_names[j], class_names[n - 1 - i], fractions[n - 1 - i, j], int(counts[n - 1 - i, j]))
        for i in range(n)
        for j in range(n)
    ]
    fraction = hv.Dimension("fraction", label="fraction of the true class")
    heat = hv.HeatMap(cells, ["predicted", "true"], [fraction, hv.Dimension("jets", label="jets")])
    ramp = [mix(PAPER[dark], tag.colour(dark), step / 10) for step in range(11)]
    heat = heat.opts(cmap=ramp, clim=(0, 1), tools=["hover"], line_color=PAPER[dark], line_width=3)
    texts = [(p, t, f"{100 * f:.1f} %\n{c:,} jets") for p, t, f, c in cells]
    ink = hv.Labels(texts, ["predicted", "true"], "text").opts(text_color=INK[dark], text_font_size="11pt")
    shared = options(tag.label, "predicted class", "true class", dark=dark, height=260, show_grid=False)
    return overlay([heat, ink], **{**shared, "show_legend": False, "xrotation": 0, **more})


@dataclass(frozen=True)
class Network:
    """One point of the landscape.

    Attributes:
        tag: label and style.
        parameters: number of trainable parameters.
        rejection: 1/eps_B at eps_S = 0.3.
        error: its standard error, or None.
        published: whether the numbers are those of a publication (drawn hollow).
        source: where they come from.
    """

    tag: Tag
    parameters: float
    rejection: float
    error: float | None = None
    published: bool = False
    source: str = ""


def landscape(networks: Sequence[Network], *, dark: bool = False, **more: Any) -> hv.Overlay:
    """Rejection against parameters (both log), coloured by group, published points hollow with names."""
    elements: list[hv.Element] = []
    shown = [n for n in networks if np.isfinite(n.rejection) and n.rejection > 0 and n.parameters > 0]
    dimensions = [
        REJECTION,
        hv.Dimension("error", label="± standard error"),
        hv.Dimension("name", label="network"),
        hv.Dimension("source", label="source"),
    ]
    for network in shown:
        colour = network.tag.colour(dark)
        error = network.error or 0.0
        x, y = network.parameters, network.rejection
        if error:
            bar = hv.ErrorBars([(x, y, min(error, 0.9 * y), error)], PARAMETERS, [REJECTION, "minus", "plus"])
            elements.append(bar.opts(color=colour, upper_head=None, lower_head=None, line_width=1.2))
        row = [(x, y, network.error if network.error else np.nan, network.tag.label, network.source)]
        fill = 0.0 if network.published or network.tag.hollow else 0.95
        point = hv.Scatter(row, PARAMETERS, dimensions)
        elements.append(
            point.opts(
                color=colour,
                fill_alpha=fill,
                line_width=2,
                marker=network.tag.marker,
                size=10 if network.published else 14,
                tools=["hover"],
                show_legend=False,
            )
        )
    if shown:
        names = [(n.parameters, n.rejection, n.tag.label) for n in shown]
        text = hv.Labels(names, [PARAMETERS, REJECTION], "name")
        elements.append(text.opts(text_font_size="11px", text_color=INK[dark], text_align="left"))
    title = "Background rejection against size"
    shared = options(
        title, PARAMETERS.label, REJECTION.label, dark=dark, height=420, logx=True, logy=True, hooks=[_beside]
    )
    if shown:
        sizes = [n.parameters for n in shown]
        shared["xlim"] = (min(sizes) / 2, max(sizes) * 4)  # room for the names
    empty = hv.Scatter([], PARAMETERS, REJECTION)
    return overlay(elements or [empty], **{**shared, "show_legend": False, **more})


def _beside(plot: Any, element: Any) -> None:
    for renderer in plot.state.renderers:
        if isinstance(renderer.glyph, Text):
            renderer.glyph.update(x_offset=11, y_offset=-2, text_baseline="bottom")
