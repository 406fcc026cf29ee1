"""Small view parts that Panel lacks: a figure with its downloads, coloured chips, a sortable table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import holoviews as hv
import panel as pn
import param
from panel.custom import Child, JSComponent

from eqviz.plots.export import to_csv

_HERE = Path(__file__).parent


class FigureCard(JSComponent):
    """A figure with title, one-sentence caption, PNG, SVG and CSV downloads and how to repeat it."""

    title = param.String(doc="Title above the figure.")
    caption = param.String(doc="One sentence with units and sample size.")
    repeat = param.String(doc="Command or code that makes the figure again.")
    filename = param.String(default="figure", doc="Stem of the downloaded files.")
    downloads = param.List(default=["png", "svg", "csv"], doc="Formats that can be downloaded.")
    figure = Child(doc="Column that holds what is shown; see ``replace``.")

    _esm = (_HERE / "card.js").read_text()

    def __init__(self, *content: Any, **params: Any) -> None:
        even = {"align-self": "stretch", "min-width": "0", "height": "auto", "width": "100%"}
        params["styles"] = {**even, **params.get("styles", {})}
        holder = pn.Column(*content, sizing_mode="stretch_width", margin=0)
        super().__init__(figure=holder, **params)
        self._source: Callable[[], str] = str

    def replace(self, content: Any) -> None:
        """Replace what is shown."""
        self.figure[:] = [content]

    def csv_from(self, source: hv.core.Dimensioned | Callable[[], str]) -> None:
        """Say where the CSV download comes from: a HoloViews figure or a function that returns the text."""
        self._source = source if callable(source) and not isinstance(source, hv.core.Dimensioned) else (
            lambda: to_csv(source)
        )  # fmt: skip

    def csv(self) -> str:
        """The numbers behind the figure as it is now."""
        return self._source()

    def _handle_msg(self, msg: dict[str, Any]) -> None:
        if msg.get("wish") == "csv":
            self._send_msg({"csv": self.csv()})


class RunChips(JSComponent):
    """Runs as coloured chips; a click calls ``on_toggle`` with the run's name."""

    items = param.List(doc="Dicts with id, label, note, colour, hollow, problem.")
    chosen = param.List(doc="Names of the chosen runs.")

    _esm = (_HERE / "chips.js").read_text()

    def __init__(self, on_toggle: Callable[[str], None], **params: Any) -> None:
        super().__init__(**params)
        self._on_toggle = on_toggle

    def _handle_msg(self, msg: dict[str, Any]) -> None:
        if "toggle" in msg:
            self._on_toggle(str(msg["toggle"]))


class DataTable(JSComponent):
    """A table sorted by a click on a column; ``on_row`` is called with the id of a clicked row."""

    columns = param.List(doc="Dicts with key, title and optionally unit, hint, kind ('text').")
    rows = param.List(doc="Dicts with id, cells {key: {text, value, best, hint}}, colour, hollow, on.")
    clickable = param.Boolean(default=False, doc="Whether rows answer to clicks.")

    _esm = (_HERE / "table.js").read_text()

    def __init__(self, on_row: Callable[[str], None] | None = None, **params: Any) -> None:
        super().__init__(clickable=on_row is not None, **params)
        self._on_row = on_row

    def _handle_msg(self, msg: dict[str, Any]) -> None:
        if self._on_row is not None and "row" in msg:
            self._on_row(str(msg["row"]))
