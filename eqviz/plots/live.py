"""Change the data of a figure that is already on the page: milliseconds instead of a new figure.

All functions take the Bokeh figure that ``hv.render`` made of an element of this package.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, LogColorMapper
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure as Figure
from numpy.typing import ArrayLike

from eqviz.errors import DataError
from eqviz.plots.invariance import before_after_columns
from eqviz.plots.jets import constituent_columns, half_range, pt_limits


def move_mark(figure: Figure, position: float) -> None:
    """Move the vertical line that ``style.at_hook`` made."""
    line = mark(figure)
    if line.location != position:
        line.location = position


def mark(figure: Figure) -> Any:
    """The vertical line that ``style.at_hook`` made, a Bokeh Span.

    Raises:
        DataError: there is none.
    """
    # not figure.select: walking all models of a figure takes 30 ms
    line = next((part for part in figure.center if part.name == "at"), None)
    if line is None:
        raise DataError("expected a figure with a mark: draw it with at=...")
    return line


def answers(figure: Figure) -> list[ColumnDataSource]:
    """The points of each network, in order, of a figure made by ``invariance.before_after``."""
    return _sources(figure, "exact")


def replace_answers(
    figure: Figure, source: ColumnDataSource, before: ArrayLike, after: ArrayLike, jets: ArrayLike
) -> None:
    """New points for one network of such a figure; ``jets`` are their numbers. Equal ones are not sent."""
    axis: Any = figure.x_range
    size = float(axis.end) / 1.02
    columns = dict(before_after_columns(before, after, jets, size))
    there = source.data
    if any(name not in there or not np.array_equal(there[name], columns[name]) for name in columns):
        source.data = columns


def replace_event(figure: Figure, p4: ArrayLike, radius: float | None = 0.8) -> None:
    """Other constituents in a figure made by ``jets.event_display`` without a target."""
    columns = constituent_columns(p4)
    renderer = next(r for r in _drawn(figure) if "energy" in r.data_source.data)
    extra = set(renderer.data_source.data) - set(columns)
    renderer.data_source.data = {**columns, **dict.fromkeys(extra, columns["pt"])}
    low, high = pt_limits(columns["pt"])
    for colour in (renderer.glyph.fill_color, renderer.glyph.hatch_color):
        if isinstance(mapper := getattr(colour, "transform", None), LogColorMapper):
            mapper.update(low=low, high=high)
    width = half_range(p4, radius)
    for axis in (figure.x_range, figure.y_range):
        axis.update(start=-width, end=width, reset_start=-width, reset_end=width)


def _drawn(figure: Figure) -> list[Any]:
    return [renderer for renderer in figure.renderers if isinstance(renderer, GlyphRenderer)]


def _sources(figure: Figure, column: str) -> list[ColumnDataSource]:
    found = [renderer.data_source for renderer in _drawn(figure)]
    return [source for source in found if column in source.data]
