"""One curve with its band, and how it is drawn: the part that all line figures share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import holoviews as hv
import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import DataError
from eqviz.plots.style import Tag


@dataclass(frozen=True)
class Series:
    """A curve y(x) of one run with an optional band.

    Attributes:
        tag: label and style.
        x, y: (n,) values; points that are not finite are left out.
        low, high: (n,) ends of the band, or None.
    """

    tag: Tag
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    _columns: dict[str, NDArray[np.float64]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns = {"x": np.asarray(self.x, dtype=np.float64), "y": np.asarray(self.y, dtype=np.float64)}
        for name, values in (("low", self.low), ("high", self.high)):
            columns[name] = columns["y"] if values is None else np.asarray(values, dtype=np.float64)
        shapes = {name: values.shape for name, values in columns.items()}
        if len(set(shapes.values())) != 1 or columns["x"].ndim != 1:
            raise DataError(
                f"expected x, y, low and high of one shape (n,) in {self.tag.label!r}, got {shapes}"
            )
        object.__setattr__(self, "_columns", columns)

    @property
    def has_band(self) -> bool:
        """Whether a band was given."""
        return self.low is not None and self.high is not None

    def columns(self, log_x: bool = False, log_y: bool = False) -> dict[str, NDArray[np.float64]]:
        """x, y, low, high where x and y can be drawn; on a log axis the band ends at the positive values."""
        c = self._columns
        keep = np.isfinite(c["x"]) & np.isfinite(c["y"])
        keep &= (~np.asarray(log_x) | (c["x"] > 0)) & (~np.asarray(log_y) | (c["y"] > 0))
        out = {name: values[keep] for name, values in c.items()}
        for name in ("low", "high"):
            bad = ~np.isfinite(out[name]) | ((out[name] <= 0) if log_y else False)
            out[name] = np.where(bad, out["y"], out[name])
        return out


def draw(
    series: Series,
    x: hv.Dimension,
    y: hv.Dimension,
    *,
    log_x: bool = False,
    log_y: bool = False,
    dark: bool = False,
    markers: int = 0,
    width: float = 2.2,
) -> list[hv.Element]:
    """Band, line and, every few points, the architecture's marker.

    Args:
        x, y: dimensions with labels and units (shown on hover).
        markers: how many markers to draw along the curve; 0 for none, -1 for one at every point. The line
            answers to the mouse where only some of its points are marked.
        width: of the line, in pixels.
    """
    tag, colour = series.tag, series.tag.colour(dark)
    columns = series.columns(log_x, log_y)
    low, high = hv.Dimension("low", label="band from"), hv.Dimension("high", label="band to")
    data = (columns["x"], columns["y"], columns["low"], columns["high"])
    elements: list[hv.Element] = []
    if series.has_band:
        band = hv.Area((columns["x"], columns["low"], columns["high"]), x, [low, high])
        elements.append(band.opts(color=colour, alpha=0.18, line_alpha=0, show_legend=False))
    curve = hv.Curve(data, x, [y, low, high] if series.has_band else [y], label=tag.label)
    every = markers < 0
    hover = [] if every else ["hover"]
    elements.append(curve.opts(color=colour, line_width=width, line_dash=tag.dash, tools=hover))
    if markers and len(columns["x"]):
        points = hv.Scatter(data, x, [y, low, high] if series.has_band else [y], label=tag.label)
        points = points.iloc[_every(len(columns["x"]), markers)]
        elements.append(points.opts(**tag.point(dark), size=8, tools=["hover"] if every else []))
    return elements


def _every(n: int, markers: int) -> NDArray[np.int64]:
    if markers < 0 or n <= markers:
        return np.arange(n)
    return np.unique(np.linspace(0, n - 1, markers).round().astype(np.int64))


def span(series: Sequence[Series], column: str, log: bool, pad: float = 0.06) -> tuple[float, float] | None:
    """A padded range over all curves and bands of ``column`` ("x" or "y"), or None without points."""
    names = ("low", "y", "high") if column == "y" else ("x",)
    kept = [s.columns(log_x=log and column == "x", log_y=log and column == "y") for s in series]
    values = np.concatenate([c[name] for c in kept for name in names] or [np.zeros(0)])
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    if log:
        factor = max((high / low) ** pad, 1.05)
        return low / factor, high * factor
    margin = (high - low) * pad or max(abs(high), 1.0) * pad
    return low - margin, high + margin
