"""How far a network's answer moves under a transformation that it should not notice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import holoviews as hv
import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import DataError
from eqviz.plots.series import Series, draw, span
from eqviz.plots.style import MUTED, Tag, at_hook, options, overlay

GAMMA = hv.Dimension("gamma", label="boost γ")
DEVIATION = hv.Dimension("deviation", label="relative deviation |Y′−Y| / |Y|")
AUC = hv.Dimension("auc", label="AUC")
FLOORS: dict[str, float] = {
    "float32": float(np.finfo(np.float32).eps),
    "float64": float(np.finfo(np.float64).eps),
}


def deviation(
    curves: Sequence[Series],
    *,
    x: hv.Dimension = GAMMA,
    at: float | None = None,
    dark: bool = False,
    **more: Any,
) -> hv.Overlay:
    """Relative deviation against gamma, log-log, with the rounding floors of float32 and float64.

    Args:
        curves: per run x = gamma, y = median |Y'-Y|/|Y| over jets, with the 95 % band over jets. An exact
            zero is drawn at the float64 floor (it has no place on a log axis).
        x: dimension of the horizontal axis, by default gamma.
        at: current gamma, marked by a vertical line (see ``style.at_hook``), or None.
        dark: for a dark background.
    """
    raised = [_raise_zeros(curve) for curve in curves]
    limits = span(raised, "y", log=True)
    low = min(limits[0], FLOORS["float64"]) / 3 if limits else FLOORS["float64"] / 3
    high = max(limits[1], 3.0) if limits else 3.0
    across = span(raised, "x", log=True, pad=0.02) or (1.0, 1e4)
    elements: list[hv.Element] = []
    right = more.get("xlim", across)[1]
    for name, level in FLOORS.items():
        line = hv.HLine(level).opts(color=MUTED[dark], line_width=1, line_dash="dotdash")
        text = hv.Text(right / 1.15, level, f"{name} rounding", halign="right", valign="bottom")
        elements += [line, text.opts(text_font_size="11px", text_color=MUTED[dark])]
    for curve in raised:
        elements += draw(curve, x, DEVIATION, log_x=True, log_y=True, dark=dark, markers=-1)
    shared = options(
        "Deviation of the answer",
        x.label,
        DEVIATION.label,
        dark=dark,
        logx=True,
        logy=True,
        hooks=_mark(at, dark),
    )
    return overlay(elements, **{**shared, "xlim": across, "ylim": (low, high), **more})


def _mark(at: float | None, dark: bool) -> list[Callable[[Any, Any], None]]:
    return [] if at is None else [at_hook(at, dark)]


def _raise_zeros(curve: Series) -> Series:
    floor = FLOORS["float64"]
    y = np.maximum(np.asarray(curve.y, dtype=np.float64), floor)
    ends = [
        None if e is None else np.maximum(np.asarray(e, dtype=np.float64), floor)
        for e in (curve.low, curve.high)
    ]
    return Series(curve.tag, curve.x, y, *ends)


def auc_against(
    curves: Sequence[Series],
    *,
    x: hv.Dimension = GAMMA,
    at: float | None = None,
    dark: bool = False,
    **more: Any,
) -> hv.Overlay:
    """AUC against gamma (log) with its 95 % errors; 0.5 is a coin.

    Args:
        curves: per run x = gamma, y = AUC, with the band of the bootstrap errors.
        x: dimension of the horizontal axis, by default gamma.
        at: current gamma, marked by a vertical line (see ``style.at_hook``), or None.
        dark: for a dark background.
    """
    limits = span(curves, "y", log=False)
    low = min(0.45, limits[0]) if limits and limits[0] < 0.75 else (limits[0] if limits else 0.45)
    across = span(curves, "x", log=True, pad=0.02) or (1.0, 1e4)
    elements: list[hv.Element] = [hv.HLine(0.5).opts(color=MUTED[dark], line_width=1, line_dash="dotdash")]
    for curve in curves:
        elements += draw(curve, x, AUC, log_x=True, dark=dark, markers=-1)
    shared = options(
        "AUC of the transformed jets", x.label, AUC.label, dark=dark, logx=True, hooks=_mark(at, dark)
    )
    top = min(1.0, limits[1]) if limits else 1.0
    return overlay(elements, **{**shared, "xlim": across, "ylim": (low, top), **more})


def before_after_columns(
    before: ArrayLike, after: ArrayLike, jets: ArrayLike | None, size: float
) -> dict[str, NDArray]:
    """Columns of the points of :func:`before_after`: what lies outside ``size`` is put on the border."""
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if first.shape != second.shape:
        raise DataError(f"expected as many scores after as before, got {second.shape} and {first.shape}")
    numbers = np.arange(len(first)) if jets is None else np.asarray(jets)[: len(first)]
    clipped = np.clip(np.nan_to_num(second, nan=-size), -size, size)
    return {"before": first, "after": clipped, "exact": second, "jet": numbers}


def before_after_limit(befores: Sequence[ArrayLike]) -> float:
    """Half width of the axes: 1.1 times the largest finite |Y before|."""
    values = np.abs(np.concatenate([np.asarray(b, dtype=np.float64) for b in befores] or [np.ones(1)]))
    values = values[np.isfinite(values)]
    return 1.1 * float(values.max()) if len(values) and values.max() > 0 else 1.0


def before_after(
    groups: Sequence[tuple[Tag, ArrayLike, ArrayLike]],
    *,
    jets: ArrayLike | None = None,
    limit: float | None = None,
    dark: bool = False,
    **more: Any,
) -> hv.Overlay:
    """Discriminant Y after the transformation against Y before; an invariant network lies on the diagonal.

    Args:
        groups: per run (tag, Y before (n,), Y after (n,)); Y = logit of signal minus logit of background.
        jets: (n,) numbers of the jets, shown on hover.
        limit: half width of both axes; by default 1.1 times the largest |Y before|. Points outside are
            drawn on the border.
        dark: for a dark background.
    """
    x = hv.Dimension("before", label="Y before the boost")
    y = hv.Dimension("after", label="Y after the boost")
    exact = hv.Dimension("exact", label="Y after (unclipped)")
    number = hv.Dimension("jet", label="jet number")
    size = limit or before_after_limit([before for _, before, _ in groups])
    diagonal = hv.Curve(([-size, size], [-size, size]), x, y)
    elements: list[hv.Element] = [
        diagonal.opts(color=MUTED[dark], line_width=1, line_dash="dotdash", show_legend=False)
    ]
    for tag, before, after in groups:
        columns = before_after_columns(before, after, jets, size)
        points = hv.Scatter(columns, x, [y, exact, number], label=tag.label)
        elements.append(points.opts(**tag.point(dark), size=6, alpha=0.65, tools=["hover"]))
    shared = options("Answer before and after", x.label, y.label, dark=dark)
    square = {"xlim": (-1.02 * size, 1.02 * size), "ylim": (-1.02 * size, 1.02 * size)}
    return overlay(elements, **{**shared, **square, **more})
