"""Cards, rows of cards and notices, so that tabs say what they show and not how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document

from eqviz.dash.components import FigureCard

WIDE = {"sizing_mode": "stretch_width"}


def card(title: str, filename: str, **params: Any) -> FigureCard:
    """An empty card for one Bokeh figure; :func:`update` fills it."""
    return FigureCard(pn.Spacer(height=300), title=title, filename=filename, **{**WIDE, **params})


def update(target: FigureCard, figure: hv.core.Dimensioned, caption: str, repeat: str) -> Any:
    """Show ``figure`` in a card; returns the Bokeh figure for later changes of its data."""
    # a document of its own: on that of the page HoloViews sets its theme, which goes through all models
    model = hv.renderer("bokeh").get_plot(figure, doc=Document()).state
    if model.frame_width:
        model.sizing_mode = None  # the frame has its size, the figure follows
    sizing = {"sizing_mode": model.sizing_mode} if model.sizing_mode else {}
    target.csv_from(figure)
    target.replace(pn.pane.Bokeh(model, margin=0, align="center", **sizing))
    target.param.update(caption=caption, repeat=repeat)
    return model


def put(target: FigureCard, text: str) -> None:
    """Show a sentence in place of a figure."""
    target.replace(notice(text, "info"))
    target.csv_from(lambda: "note\n" + '"' + text.replace('"', "'") + '"\n')
    caption = "In work …" if text.endswith("…") else "No figure for this choice."
    target.param.update(caption=caption, repeat=target.repeat or " ")


class Refilled:
    """A card whose figure is refilled, and drawn anew only where its shape or colours are others."""

    def __init__(self, card: FigureCard) -> None:
        self.card = card
        self.model: Any = None
        self._key: tuple[Any, ...] = ()

    def forget(self) -> None:
        """Draw anew next time."""
        self._key = ()

    def _draw(self, figure: hv.core.Dimensioned, key: tuple[Any, ...], code: str) -> None:
        """Show ``figure``; ``key`` tells what it can be refilled with."""
        self.model, self._key = update(self.card, figure, self.card.caption, code), key


class Several(pn.viewable.Viewer):
    """Small multiples: one card for each figure under a common heading; the caption belongs to all."""

    def __init__(self, title: str, filename: str) -> None:
        super().__init__()
        self._title, self._filename = title, filename
        self._grid = pn.FlexBox(sizing_mode="stretch_width", margin=0, gap="12px", align_items="stretch")

    def replace(self, figures: Sequence[hv.Overlay], caption: str, repeat: str) -> None:
        """Replace the figures."""
        cards = []
        for number, figure in enumerate(figures):
            name = hv.Store.lookup_options("bokeh", figure, "plot").kwargs.get("title", "")
            one = card(
                f"{self._title}: {name}",
                f"{self._filename}-{number}",
                styles={"flex": "1 1 300px", "align-self": "stretch"},
            )
            update(one, figure.opts(title=""), caption, repeat)
            cards.append(one)
        self._grid[:] = cards

    def __panel__(self) -> pn.viewable.Viewable:
        return self._grid


def several(title: str, filename: str) -> Several:
    """An empty group of small multiples."""
    return Several(title, filename)


def row_of(*cards: Any, basis: str = "1 1 420px") -> pn.FlexBox:
    """Cards side by side, wrapping where the window is narrow."""
    for one in cards:
        one_styles = getattr(one, "styles", None)
        if one_styles is not None:
            flex = one_styles.get("flex", basis)
            one.styles = {**one_styles, "flex": flex, "min-width": "0", "align-self": "stretch"}
    return pn.FlexBox(*cards, sizing_mode="stretch_width", gap="12px", align_items="stretch", margin=(6, 0))


def notice(text: str, severity: str = "info") -> pn.viewable.Viewable:
    """A sentence in a coloured box; Markdown."""
    return pmui.Alert(pn.pane.Markdown(text, margin=0, **WIDE), severity=severity, margin=(6, 0), **WIDE)
