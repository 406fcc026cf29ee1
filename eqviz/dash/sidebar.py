"""The left side: which runs, and which jet."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from eqviz.dash import library
from eqviz.dash.components import RunChips
from eqviz.dash.picker import KINDS, pick
from eqviz.dash.session import Session
from eqviz.dash.variants import is_original
from eqviz.errors import EqvizError

_SMALL: dict[str, Any] = {"sizing_mode": "stretch_width", "size": "small", "margin": (4, 10)}


class Sidebar(pn.viewable.Viewer):
    """Chips of all runs with filters, and the jet picker."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._chips = RunChips(self._toggle, sizing_mode="stretch_width", margin=(4, 10))
        self._group = pmui.Select(label="symmetry", **_SMALL)
        self._architecture = pmui.Select(label="architecture", **_SMALL)
        for widget, name in ((self._group, "group"), (self._architecture, "architecture")):
            widget.param.watch(lambda event, name=name: session.param.update(**{name: event.new}), "value")
        self._reload = pmui.Button(label="Read the folder again", icon="refresh", variant="text", **_SMALL)
        self._reload.on_click(lambda _: session.reload())
        self._how = pmui.Select(label="pick a jet", options=KINDS, value="random", **_SMALL)
        self._next = pmui.Button(label="Next", icon="skip_next", variant="outlined", **_SMALL)
        self._next.on_click(lambda _: self._pick(1))
        self._how.param.watch(lambda _: self._pick(0), "value")
        self._number = pmui.IntInput(label="jet number", value=session.jet, start=0, **_SMALL)
        self._number.param.watch(self._numbered, "value")
        self._step = 0
        self._jets = pn.Column(sizing_mode="stretch_width", margin=0)
        session.param.watch(lambda *_: self._fill(), ["chosen", "group", "architecture", "version", "dark"])
        session.param.watch(self._show_number, "jet")
        self._fill()

    def __panel__(self) -> pn.viewable.Viewable:
        heading = {"variant": "subtitle2", "margin": (8, 10, 0, 10)}
        return pn.Column(
            pmui.Typography("Runs (up to four)", **heading),
            self._chips,
            pn.Row(self._group, self._architecture, sizing_mode="stretch_width", margin=(10, 0, 0, 0)),
            self._reload,
            self._jets,
            sizing_mode="stretch_width",
            margin=0,
        )

    def _fill(self) -> None:
        session, colours = self.session, self.session.colours()
        self._chips.param.update(
            items=[
                {
                    "id": run.id, "label": run.id, "note": run.symmetry, "colour": colours[run.id],
                    "hollow": run.problem is None and is_original(run), "problem": run.problem or "",
                }
                for run in session.listed()
            ],
            chosen=[network.run.id for network in session.networks()],
        )  # fmt: skip
        for widget, key, names in (
            (self._group, session.group, [run.symmetry for run in session.runs]),
            (self._architecture, session.architecture, [run.model_name for run in session.runs]),
        ):
            options = {"all": ""} | {name: name for name in sorted(filter(None, set(names)))}
            widget.param.update(options=options, value=key if key in options.values() else "")
        heading = pmui.Typography("Jet", variant="subtitle2", margin=(8, 10, 0, 10))
        row = pn.Row(self._number, self._next, sizing_mode="stretch_width", margin=0, align="center")
        self._jets[:] = [heading, self._how, row] if session.networks() else []

    def _toggle(self, run_id: str) -> None:
        if problem := self.session.toggle(run_id):
            _notify(problem)

    def _numbered(self, event: Any) -> None:
        if event.new is not None and event.new != self.session.jet:
            self._choose(int(event.new))

    def _show_number(self, event: Any) -> None:
        self._number.value = event.new

    def _pick(self, advance: int) -> None:
        networks = self.session.networks()
        self._step = self._step + advance if advance else 0
        if not networks or self._how.value == "number":
            return
        try:
            self._choose(pick(self.session, networks[0].run, str(self._how.value), self._step))
        except (EqvizError, OSError) as error:
            _notify(str(error))

    def _choose(self, row: int) -> None:
        networks = self.session.networks()
        if not networks:
            return
        try:
            self.session.jet = library.check_row(networks[0].run, row)
        except (EqvizError, OSError) as error:
            _notify(str(error))
            self._number.value = self.session.jet


def _notify(text: str) -> None:
    if pn.state.notifications is not None:
        pn.state.notifications.warning(text, duration=6000)
