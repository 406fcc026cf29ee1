"""The colour bar beside an image or coloured points, the same everywhere."""

from __future__ import annotations

from typing import Any

from bokeh.models.annotations import ColorBar

from eqviz.plots.style import INK


def colour_bar(dark: bool) -> dict[str, Any]:
    """Options of an element with a colour bar and hover."""
    return {
        "colorbar": True,
        "colorbar_opts": {
            "title_text_font_style": "normal",
            "title_text_font_size": "10pt",
            "title_text_color": INK[dark],
            "major_label_text_color": INK[dark],
            "major_label_text_font_size": "9.5pt",
            "background_fill_color": None,
            "bar_line_color": None,
            "width": 10,
            "padding": 6,
        },
        "tools": ["hover"],
        "hooks": [_title_apart],
    }


def _title_apart(plot: Any, element: Any) -> None:
    for bar in plot.state.select({"type": ColorBar}):
        bar.title_standoff = 8
