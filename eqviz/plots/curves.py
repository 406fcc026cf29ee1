"""ROC, inverse ROC and learning curves: arrays in, HoloViews (Bokeh) elements out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import holoviews as hv
import numpy as np
from numpy.typing import ArrayLike

from eqviz.errors import UnknownNameError
from eqviz.plots.series import Series, draw, span
from eqviz.plots.style import MUTED, Tag, options, overlay

EPS_S = hv.Dimension("eps_S", label="signal efficiency εS")
EPS_B = hv.Dimension("eps_B", label="background efficiency εB")
REJECTION = hv.Dimension("rejection", label="background rejection 1/εB")
EPOCH = hv.Dimension("epoch", label="epoch")
QUANTITIES: dict[str, tuple[tuple[str, ...], str]] = {
    "loss": (("train_loss", "val_loss"), "cross-entropy"),
    "accuracy": (("train_accuracy", "val_accuracy"), "accuracy"),
    "auc": (("val_auc",), "AUC"),
    "seconds": (("seconds",), "time per epoch [s]"),
    "memory": (("memory_mb",), "peak memory [MB]"),
    "learning_rate": (("learning_rate",), "learning rate"),
}
_MARKERS = 9  # along a ROC


def roc(
    curves: Sequence[Series], working_point: float | None = None, *, dark: bool = False, **more: Any
) -> hv.Overlay:
    """ROC: background efficiency (y) against signal efficiency (x), both from 0 to 1.

    Args:
        curves: per run x = eps_S, y = eps_B with the band in eps_B.
        working_point: signal efficiency at which every curve gets a marker.
        dark: for a dark background.
    """
    chance = hv.Curve(([0, 1], [0, 1]), EPS_S, EPS_B).opts(
        color=MUTED[dark], line_dash="dotdash", line_width=1, show_legend=False
    )
    elements: list[hv.Element] = [chance]
    for curve in curves:
        elements += draw(curve, EPS_S, EPS_B, dark=dark, markers=_MARKERS)
    elements += _working_points(curves, working_point, EPS_B, dark)
    shared = options("ROC", EPS_S.label, EPS_B.label, dark=dark, xlim=(0, 1.005), ylim=(0, 1.005))
    return overlay(elements, **{**shared, **more})


def inverse_roc(
    curves: Sequence[Series], working_point: float | None = 0.3, *, dark: bool = False, **more: Any
) -> hv.Overlay:
    """Background rejection 1/eps_B (log) against signal efficiency.

    Args:
        curves: per run x = eps_S, y = 1/eps_B with the band in 1/eps_B; infinite rejections (no
            background jet left) are not drawn.
        working_point: signal efficiency at which every curve gets a marker, and a faint vertical line.
        dark: for a dark background.
    """
    elements: list[hv.Element] = []
    for curve in curves:
        elements += draw(curve, EPS_S, REJECTION, log_y=True, dark=dark, markers=_MARKERS)
    elements += _working_points(curves, working_point, REJECTION, dark)
    limits = span(curves, "y", log=True)
    shared = options("Inverse ROC", EPS_S.label, REJECTION.label, dark=dark, logy=True, xlim=(0, 1.005))
    return overlay(elements, **{**shared, "ylim": (0.8, limits[1]) if limits else (0.8, 1e3), **more})


def _working_points(
    curves: Sequence[Series], at: float | None, y: hv.Dimension, dark: bool
) -> list[hv.Element]:
    if at is None:
        return []
    line = hv.VLine(at).opts(color=MUTED[dark], line_width=1, line_dash="dotdash")
    elements: list[hv.Element] = [line]
    for curve in curves:
        columns = curve.columns(log_y=y is REJECTION)
        if not len(columns["x"]):
            continue
        row = int(np.argmin(np.abs(columns["x"] - at)))
        if abs(columns["x"][row] - at) > 0.05:  # the curve has no point there: too few jets
            continue
        names = [y, hv.Dimension("low", label="band from"), hv.Dimension("high", label="band to")]
        values = tuple(columns[name][row : row + 1] for name in ("x", "y", "low", "high"))
        point = hv.Scatter(values, EPS_S, names, label=curve.tag.label)
        elements.append(point.opts(**curve.tag.point(dark), size=12, tools=["hover"]))
    return elements


def learning_curves(
    histories: Sequence[tuple[Tag, Mapping[str, ArrayLike]]],
    quantity: str = "loss",
    *,
    dark: bool = False,
    **more: Any,
) -> hv.Overlay:
    """One quantity against the epoch: validation as a full line with markers, training faint and thin.

    Args:
        histories: per run the columns ``epoch``, ``train_loss``, ``val_loss``, ``seconds`` ...; a column
            that a run lacks is not drawn.
        quantity: one of ``QUANTITIES`` (loss, accuracy, auc, seconds [s], memory [MB], learning_rate).
        dark: for a dark background.
    """
    if quantity not in QUANTITIES:
        raise UnknownNameError("learning-curve quantity", quantity, QUANTITIES)
    columns, label = QUANTITIES[quantity]
    dimension = hv.Dimension(quantity, label=label)
    elements: list[hv.Element] = []
    for tag, history in histories:
        for column in columns:
            if column not in history:
                continue
            values = np.asarray(history[column], dtype=np.float64)
            epochs = np.asarray(history.get("epoch", np.arange(len(values))), dtype=np.float64)
            drawn = draw(Series(tag, epochs, values), EPOCH, dimension, dark=dark, markers=12)
            if column.startswith("train"):
                drawn = [drawn[0].relabel("").opts(alpha=0.45, line_width=1.2, show_legend=False)]
            elements += drawn
    note = " (full: validation, faint: training)" if len(columns) > 1 else ""
    title = {"seconds": "Time per epoch", "auc": "Validation AUC"}.get(quantity, quantity.capitalize())
    shared = options(title + note, EPOCH.label, label, dark=dark, height=300)
    if quantity in ("seconds", "memory"):
        shared["ylim"] = (0, None)
    return overlay(elements or [hv.Curve([], EPOCH, dimension)], **{**shared, **more})
