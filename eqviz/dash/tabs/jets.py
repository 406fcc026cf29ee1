"""Jets: one jet, what it really is, and what the networks say about it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import panel as pn

from eqviz.dash import library, readings
from eqviz.dash.cards import card, notice, row_of, update
from eqviz.dash.components import DataTable, FigureCard
from eqviz.dash.repeat import jet_code
from eqviz.dash.session import Network
from eqviz.dash.tab import Tab
from eqviz.data.jets import JetBatch
from eqviz.kinematics import azimuth, mass, pseudorapidity, transverse_momentum
from eqviz.plots import captions, jets

QUANTITIES = (
    ("constituents", "constituents", ""),
    ("pt", "pT", "GeV"),
    ("eta", "η", ""),
    ("phi", "φ", ""),
    ("mass", "mass", "GeV"),
    ("energy", "energy", "GeV"),
)


class View(Tab):
    """Event display, momenta in three dimensions, truth, and the scores of the chosen networks."""

    title: ClassVar[str] = "Jets"
    order: ClassVar[int] = 30
    depends: ClassVar[tuple[str, ...]] = ("chosen", "version", "dark", "jet")

    def build(self) -> None:
        """Make the cards."""
        self._display = card("Constituents in η–φ", "jet-display")
        self._momenta = card("Momenta", "jet-momenta")
        self._facts = DataTable(sizing_mode="stretch_width")
        self._scores = DataTable(sizing_mode="stretch_width")
        self._facts_card = FigureCard(
            self._facts,
            title="The jet and its truth",
            filename="jet-truth",
            downloads=[],
            sizing_mode="stretch_width",
        )
        self._scores_card = FigureCard(
            self._scores,
            title="What the networks say",
            filename="jet-scores",
            downloads=[],
            sizing_mode="stretch_width",
        )
        side = row_of(self._facts_card, self._scores_card, basis="1 1 360px")
        self._body = pn.Column(
            row_of(self._display, self._momenta), side, sizing_mode="stretch_width", margin=0
        )

    def refresh(self, changed: set[str]) -> list[Any]:
        """Draw the jet anew."""
        networks = self.session.networks()
        if not networks:
            return [notice("Choose a run on the left: its test jets are shown here.")]
        run = networks[0].run
        if problem := library.problem_with_jets(run):
            return [notice(problem, "warning")]
        data = library.test_set(library.data_name(run))
        row = min(self.session.jet, len(data) - 1)
        batch = data.batch.select([row])
        p4, code = batch.p4.numpy(), jet_code(library.data_name(run), row)
        target = None if batch.target is None else batch.target[0].numpy()
        text = captions.event(row, jets.jet_summary(p4))
        cross = " The orange cross is the true momentum." if target is not None else ""
        dark = self.session.dark
        update(self._display, jets.event_display(p4, target=target, dark=dark, title=""), text + cross, code)
        arrows = f"Momenta of {len(p4)} constituents in GeV, coloured by pT; drag to turn."
        arrows += " Dashed: direction of the true momentum." if target is not None else ""
        update(self._momenta, jets.momenta_3d(p4, target=target, dark=dark, title=""), arrows, code)
        self._fill_facts(batch, data.class_names, row)
        self._fill_scores(networks, row, data.class_names)
        return [self._body]

    def _fill_facts(self, batch: JetBatch, names: list[str], row: int) -> None:
        measured = jets.jet_summary(batch.p4.numpy())
        truth = truth_summary(batch)
        self._facts.columns = [
            {"key": "name", "title": "quantity", "kind": "text"},
            {"key": "jet", "title": "jet"},
        ]
        if truth:
            self._facts.columns = [*self._facts.columns, {"key": "truth", "title": "truth"}]
        rows = []
        for key, label, unit in QUANTITIES:
            cells: dict[str, Any] = {"name": {"text": f"{label} [{unit}]" if unit else label}}
            cells["jet"] = _number(measured[key])
            if key in truth:
                cells["truth"] = _number(truth[key])
            rows.append({"id": key, "cells": cells})
        self._facts.rows = rows
        label = "of unknown origin" if batch.label is None else f"truly {names[int(batch.label[0])]}"
        self._facts_card.caption = f"Jet {row} is {label}; the jet is the sum of its constituents, c = 1."

    def _fill_scores(self, networks: list[Network], row: int, names: list[str]) -> None:
        signal = names[1] if len(names) == 2 else "class 1"
        self._scores.columns = [
            {"key": "network", "title": "network", "kind": "text"},
            {"key": "y", "title": "Y", "hint": "logit(signal) − logit(background)"},
            {"key": "p", "title": f"P({signal})"},
            {"key": "rank", "title": "more signal-like than", "unit": "of background jets"},
        ]
        rows = []
        for network in networks:
            cells: dict[str, Any] = {"network": {"text": network.run.id}}
            for key, value in score_of(network, row).items():
                cells[key] = {
                    "text": f"{value:.1%}"
                    if key == "rank"
                    else f"{value:+.4f}"
                    if key == "y"
                    else f"{value:.4f}",
                    "value": value,
                }
            tag = network.tag
            colour = tag.colour(self.session.dark)
            rows.append({"id": network.run.id, "cells": cells, "colour": colour, "hollow": tag.hollow})
        self._scores.rows = rows
        same = [n for n in networks if library.data_name(n.run) == library.data_name(networks[0].run)]
        left = len(networks) - len(same)
        note = f" {left} of the networks was tested on other jets." if left else ""
        n = captions.jets(readings.n_test(networks[0].run))
        self._scores_card.caption = f"Stored scores of this jet, ranked among the background of {n}.{note}"


def truth_summary(batch: JetBatch) -> dict[str, float]:
    """pT, eta, phi, mass and energy of the true momentum of the first jet; {} where it is unknown."""
    if batch.target is None:
        return {}
    p4 = batch.target[0].numpy()
    found = (transverse_momentum(p4), pseudorapidity(p4), azimuth(p4), mass(p4), p4[0])
    return {name: float(value) for name, value in zip(("pt", "eta", "phi", "mass", "energy"), found)}


def score_of(network: Network, row: int) -> dict[str, float]:
    """Y, probability of signal and rank among background jets; {} if the jet is not in the test set."""
    found = readings.scores(network.run)
    where = np.flatnonzero(found.index == row)
    if not len(where) or found.logits.shape[1] != 2:
        return {}
    y = found.logits[:, 1] - found.logits[:, 0]
    here = float(y[where[0]])
    background = y[found.labels == 0]
    rank = float(np.mean(background < here)) if len(background) else float("nan")
    return {"y": here, "p": float(1 / (1 + np.exp(-here))), "rank": rank}


def _number(value: float) -> dict[str, Any]:
    return {"text": f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}", "value": value}
