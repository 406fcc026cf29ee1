"""Overview: what can be asked here, and all networks in one picture."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

import numpy as np
import panel as pn
import panel_material_ui as pmui

from eqviz.dash import library
from eqviz.dash.cards import card, row_of, update
from eqviz.dash.picker import pick
from eqviz.dash.session import Session, base_tag
from eqviz.dash.tab import Tab
from eqviz.errors import EqvizError
from eqviz.plots import captions
from eqviz.plots.scores import Network as Point
from eqviz.plots.scores import landscape
from eqviz.plots.style import Tag
from eqviz.study.published import published_results


class View(Tab):
    """Five questions that open the right tab, and the landscape of rejection against parameters."""

    title: ClassVar[str] = "Overview"
    order: ClassVar[int] = 0

    def build(self) -> None:
        """Make the questions and the landscape."""
        self._landscape = card("Rejection against size", "landscape")
        self._questions = pn.FlexBox(
            sizing_mode="stretch_width", gap="12px", margin=(6, 0), align_items="stretch"
        )
        self._row = row_of(self._landscape)

    def refresh(self, changed: set[str]) -> list[Any]:
        """Draw the landscape anew."""
        self._questions[:] = [self._question(*question) for question in questions(self.session)]
        points, note = landscape_points(self.session)
        n = len([point for point in points if not point.published])
        left = len(self.session.sound()) - n
        text = f"{n} run{'' if n == 1 else 's'} with bootstrap errors, coloured by symmetry group.{note}"
        if left:
            text += f" Not shown: {left} that kept no background jet at εS = 0.3 or have no such number."
        figure = landscape(points, dark=self.session.dark, title="")
        update(self._landscape, figure, text, "eqviz runs")
        return [self._questions, self._row]

    def _question(self, title: str, text: str, action: str, state: dict[str, Any]) -> pn.viewable.Viewable:
        button = pmui.Button(label=action, variant="outlined", size="small", margin=(4, 0))
        button.on_click(lambda _: self._go(state))
        body = [
            pmui.Typography(title, variant="subtitle1", margin=0),
            pmui.Typography(text, variant="body2", margin=(2, 0)),
        ]
        return pmui.Paper(
            *body,
            button,
            variant="outlined",
            margin=0,
            styles={"flex": "1 1 200px", "align-self": "stretch"},
            sx={"p": 1.5, "height": "100%"},
        )

    def _go(self, state: dict[str, Any]) -> None:
        wanted = dict(state)
        if kind := wanted.pop("pick", None):
            networks = self.session.networks()
            with suppress(EqvizError, IndexError, OSError):  # the tab itself says what is wrong with the jets
                run = networks[0].run
                wanted["jet"] = library.check_row(run, pick(self.session, run, kind, 0))
        tab = wanted.pop("tab")
        self.session.param.update(**wanted)
        self.session.tab = tab


def questions(session: Session) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Title, one sentence, button and the state that each of the cards opens."""
    chosen = [run.id for run in session._suggestion()]
    boost = {"tab": "boosts", "chosen": chosen, "axis": "z", "moved": True, "stable": True, "original": False}
    published = bool(session.originals())
    naive = {**boost, "gamma": 10.0, "stable": False, "original": published}
    return [
        (
            "Which network tags best?",
            "AUC, background rejection and calibration, with errors.",
            "Compare runs",
            {"tab": "runs", "chosen": chosen},
        ),
        (
            "Does the answer survive a boost?",
            "The same jets seen from a moving frame, up to γ = 10,000.",
            "Boost jets",
            {**boost, "axis": "x", "gamma": 10.0},
        ),
        (
            "How exact is exact?",
            "In naive arithmetic rounding breaks what mathematics promised.",
            "Run it as published" if published else "Break it",
            naive,
        ),
        (
            "What if the frame is real?",
            "Reference vectors stay in the lab while the jet is boosted.",
            "Fix the beam",
            {**boost, "gamma": 3.16, "moved": False},
        ),
        (
            "Where is it wrong?",
            "The worst mistake of the first network, constituent by constituent.",
            "Show the jet",
            {"tab": "jets", "pick": "mistake"},
        ),
    ]


def landscape_points(session: Session) -> tuple[list[Point], str]:
    """All sound runs, and published networks if the runs were measured on the data they are published for."""
    runs = [run for run in session.sound() if {"parameters", "rejection_30"} <= set(run.metrics)]
    points = []
    for run in runs:  # every point has its name beside it: no shades, so that colour means the group alone
        size, rejection = run.metrics["parameters"]["value"], run.metrics["rejection_30"]
        if rejection["value"] is not None and np.isfinite(rejection["value"]) and size:
            points.append(
                Point(
                    base_tag(run),
                    float(size),
                    float(rejection["value"]),
                    rejection["error"],
                    source="this store",
                )
            )
    names = {library.data_name(run) for run in runs}
    rows = published_results(names.pop()) if len(names) == 1 else ()
    for row in rows:
        value, error = row.metrics["rejection_30"]
        size = published_size(row.parameters)
        points.append(Point(Tag(row.label), size, value, error, published=True, source=row.source))
    if rows:
        return (
            points,
            f" Hollow: {len(rows)} published results on the same test set of {captions.jets(404_000)}.",
        )
    return (
        points,
        " Published results appear beside runs on the same test set.",
    )


def published_size(text: str) -> float:
    """``"1.46M"`` -> 1.46e6."""
    factor = {"k": 1e3, "M": 1e6}.get(text[-1], 1.0)
    return float(text.rstrip("kM")) * factor
