"""What turns in the plane and the number of training jets do to a network: arrays in, HoloViews out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv

from eqviz.errors import UnknownNameError
from eqviz.plots.series import Series, draw, span
from eqviz.plots.style import options, overlay

ANGLE = hv.Dimension("angle", label="turn in the (η, φ) plane [degrees]")
TRAINING_JETS = hv.Dimension("n_train", label="training jets")
QUANTITIES = {"auc": "AUC", "accuracy": "accuracy"}


def against_angle(
    curves: Sequence[Series],
    quantity: str = "auc",
    *,
    title: str = "",
    dark: bool = False,
    **more: Any,
) -> hv.Overlay:
    """AUC or accuracy of turned test jets against the angle.

    Args:
        curves: per network x = angle in degrees, y = the quantity, with its band.
        quantity: "auc" or "accuracy".
        title: of the figure.
        dark: for a dark background.
    """
    label = _label(quantity)
    shared = options(title or f"{label} of turned jets", ANGLE.label, label, dark=dark)
    y = hv.Dimension(quantity, label=label)
    ticks = {"xticks": [0, 30, 60, 90]} if _reach(curves) <= 90 else {}
    across = span(curves, "x", log=False, pad=0.02)
    limits = {**_limits(curves), **({"xlim": across} if across else {})}
    return overlay(_lines(curves, ANGLE, y, False, dark), **{**shared, **ticks, **limits, **more})


def sample_efficiency(
    curves: Sequence[Series],
    quantity: str = "auc",
    *,
    title: str = "",
    dark: bool = False,
    **more: Any,
) -> hv.Overlay:
    """AUC or accuracy on the test jets against the number of training jets (log).

    Args:
        curves: per network x = training jets, y = the quantity, with its band.
        quantity: "auc" or "accuracy".
        title: of the figure.
        dark: for a dark background.
    """
    label = _label(quantity)
    y = hv.Dimension(quantity, label=label)
    shared = options(title or "Sample efficiency", TRAINING_JETS.label, label, dark=dark, logx=True)
    numbers = sorted({float(n) for curve in curves for n in curve.columns()["x"]})
    ticks = {"xticks": [(n, f"{n:,.0f}") for n in numbers]} if 1 < len(numbers) <= 6 else {}
    across = span(curves, "x", log=True)
    limits = {**_limits(curves), **({"xlim": across} if across else {})}
    return overlay(_lines(curves, TRAINING_JETS, y, True, dark), **{**shared, **ticks, **limits, **more})


def _lines(
    curves: Sequence[Series], x: hv.Dimension, y: hv.Dimension, log: bool, dark: bool
) -> list[hv.Element]:
    lines = [part for curve in curves for part in draw(curve, x, y, log_x=log, dark=dark, markers=-1)]
    return lines or [hv.Curve([], x, y)]


def _limits(curves: Sequence[Series]) -> dict[str, tuple[float, float]]:
    limits = span(curves, "y", log=False)
    return {"ylim": limits} if limits else {}


def _reach(curves: Sequence[Series]) -> float:
    return max((float(max(curve.columns()["x"], default=0.0)) for curve in curves), default=0.0)


def _label(quantity: str) -> str:
    if quantity not in QUANTITIES:
        raise UnknownNameError("quantity", quantity, QUANTITIES)
    return QUANTITIES[quantity]
