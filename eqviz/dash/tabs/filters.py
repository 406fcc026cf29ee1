"""Filters: what the layers of a network have learned, after and before training."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import panel as pn

from eqviz.dash.cards import card, notice, row_of, update
from eqviz.dash.components import FigureCard
from eqviz.dash.filters import data
from eqviz.dash.filters.controls import Controls
from eqviz.dash.filters.look import Look, Picture
from eqviz.dash.filters.pictures import FAMILIES, formula, how_far, pictures, spectra
from eqviz.dash.filters.repeat import code, moved_code
from eqviz.dash.session import Network, Session
from eqviz.dash.tab import Tab
from eqviz.errors import EqvizError
from eqviz.evaluation.learned import LearnedLayer
from eqviz.evaluation.run import Run


class View(Tab):
    """One layer of one of the chosen runs, as pictures of its family, and how far every layer moved."""

    title: ClassVar[str] = "Filters"
    order: ClassVar[int] = 27
    depends: ClassVar[tuple[str, ...]] = (
        "chosen", "version", "dark", "jet", "filter_run", "filter_layer", "channel", "source", "weights",
    )  # fmt: skip

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._cards: list[FigureCard] = []
        self._drawn: dict[str, Any] = {}

    def build(self) -> None:
        """Make the controls and the cards that every layer has."""
        self._controls = Controls(self.session)
        self._moved = card("How far each layer moved", "moved")
        self._linear = card("Linear layers", "singular-values")
        self._formula = FigureCard(
            title="The network as a formula",
            filename="formula",
            downloads=["csv"],
            sizing_mode="stretch_width",
        )
        self._row = row_of(basis="1 1 400px")

    def refresh(self, changed: set[str]) -> list[Any]:
        """Draw what is chosen, picture by picture."""
        networks = self.session.networks()
        if not networks:
            return [notice("Choose a run on the left: what its network has learned is shown here.")]
        run = self._run(networks)
        try:
            layers = data.layers(run)
        except (EqvizError, OSError) as error:
            self._controls.sync(networks, run, (), None)
            return [self._controls, notice(f"{run.id}: {error}", "warning")]
        if "version" in changed or "chosen" in changed:
            self._drawn.clear()
        start = data.problem_with_start(run)
        if not layers:
            self._controls.sync(networks, run, (), None)
            return self._without_filters(run, start)
        look = self._look(run, layers, start)
        self._controls.sync(networks, run, layers, look, start)
        return self._show(look, start)

    def _run(self, networks: list[Network]) -> Run:
        """The run that is looked at: the one asked for if it is chosen, or the first."""
        runs = {network.run.id: network.run for network in networks}
        return runs.get(self.session.filter_run, networks[0].run)

    def _look(self, run: Run, layers: tuple[LearnedLayer, ...], start: str | None) -> Look:
        """The session's choice, within what the layer has."""
        session = self.session
        layer = next((entry for entry in layers if entry.key == session.filter_layer), layers[0])
        channel = min(session.channel, len(layer.channels) - 1)
        source = min(session.source, len(layer.sources) - 1)
        state = data.AFTER if start else session.weights
        jet = 0
        if layer.family == "attention":
            jet = min(session.jet, max(data.n_images(run) - 1, 0))
        return Look(run, layer, channel, source, state, jet, session.dark)

    def _show(self, look: Look, start: str | None) -> list[Any]:
        try:
            found = pictures(look)
        except (EqvizError, OSError) as error:
            return [self._controls, notice(f"{look.run.id}: {error}", "warning"), *self._end(look.run, start)]
        parts: list[Any] = []
        if look.layer.family not in FAMILIES:
            self._write_formula(look)
            parts.append(self._formula)
        while len(self._cards) < len(found):
            self._cards.append(card("", f"filters-{len(self._cards)}"))
        steps = []
        repeat = code(look, self.session.store.root)
        for number, picture in enumerate(found):
            key = (replace(look, channel=0) if picture.fixed else look, picture.stem)
            if self._drawn.get(f"{number}") != key:
                steps.append(partial(self._step_of, number, key, picture, repeat))
        shown = self._cards[: len(found)]
        if [id(one) for one in self._row.objects] != [id(one) for one in shown]:
            self._row[:] = row_of(*shown, basis="1 1 400px").objects
        self._soon(steps)
        return [self._controls, *parts, self._row, *self._end(look.run, start)]

    def _soon(self, steps: list[Any]) -> None:
        """The first picture at once, the others one by one."""
        served = pn.state.curdoc is not None and pn.state.curdoc.session_context is not None
        now, after = (steps[:1], steps[1:]) if served else (steps, [])
        for step in now:
            step()
        self.later(*after)

    def _step_of(self, number: int, key: tuple[Look, str], picture: Picture, repeat: str) -> None:
        self._draw(self._cards[number], picture, repeat)
        self._drawn[f"{number}"] = key  # only now: what waits may be given up

    @staticmethod
    def _draw(target: FigureCard, picture: Picture, repeat: str) -> None:
        target.param.update(title=picture.title, filename=picture.stem)
        update(target, picture.draw(), picture.caption, repeat)

    def _write_formula(self, look: Look) -> None:
        html, table, caption = formula(look)
        self._formula.csv_from(lambda: table)
        self._formula.replace(pn.pane.HTML(html, sizing_mode="stretch_width", margin=(4, 12)))
        self._formula.param.update(caption=caption, repeat=code(look, self.session.store.root))

    def _end(self, run: Run, start: str | None) -> list[Any]:
        """How far everything moved, or why that cannot be told."""
        if start is not None:
            return [notice(start)]
        if self._drawn.get("moved") != (run, self.session.dark):
            self._drawn["moved"] = (run, self.session.dark)
            picture = how_far(run, self.session.dark)
            self._draw(self._moved, picture, moved_code(run, self.session.store.root))
        return [self._moved]

    def _without_filters(self, run: Run, start: str | None) -> list[Any]:
        text = (
            f"{run.id} is a {run.model_name} network without filters or functions to draw; "
            "shown instead: singular values of its linear layers, and how far each layer moved in training."
        )
        parts: list[Any] = [self._controls, notice(text)]
        picture = spectra(run, self.session.dark)
        if picture is not None:
            self._draw(self._linear, picture, moved_code(run, self.session.store.root))
            parts.append(self._linear)
        return [*parts, *self._end(run, start)]
