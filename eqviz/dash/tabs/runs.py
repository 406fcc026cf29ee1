"""Runs: what the chosen networks are worth on their test sets."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import holoviews as hv
import numpy as np
import panel as pn
import panel_material_ui as pmui

from eqviz.dash import readings
from eqviz.dash.cards import card, notice, row_of, several, update
from eqviz.dash.components import DataTable, FigureCard
from eqviz.dash.repeat import figure_code, repeat_run
from eqviz.dash.session import Network
from eqviz.dash.tab import Tab
from eqviz.dash.variants import is_original
from eqviz.errors import EqvizError
from eqviz.evaluation.run import Run
from eqviz.plots import captions, curves, scores

COLUMNS: list[dict[str, Any]] = [
    {"key": "run", "title": "run", "kind": "text"},
    {"key": "symmetry", "title": "symmetry", "kind": "text", "hint": "group the network is invariant under"},
    {"key": "data", "title": "test jets", "hint": "number of jets in the test set"},
    {"key": "auc", "title": "AUC"},
    {"key": "accuracy", "title": "accuracy"},
    {"key": "rejection_30", "title": "1/εB", "unit": "at εS = 0.3"},
    {"key": "rejection_50", "title": "1/εB", "unit": "at εS = 0.5"},
    {"key": "ece", "title": "calibration", "unit": "expected error"},
    {"key": "parameters", "title": "parameters"},
    {"key": "ms_per_jet", "title": "time", "unit": "ms/jet"},
    {"key": "peak_memory_mb", "title": "memory", "unit": "MB"},
    {
        "key": "boost",
        "title": "boost dev.",
        "unit": "γ = 10, worst",
        "hint": "median |Y′−Y|/|Y|, float32, of the axis that moves it most",
    },
]
LARGER_IS_BETTER = ("auc", "accuracy", "rejection_30", "rejection_50")


class View(Tab):
    """Table, ROC and inverse ROC, learning curves, histograms, calibration and confusion matrices."""

    title: ClassVar[str] = "Runs"
    order: ClassVar[int] = 10

    def build(self) -> None:
        """Make the table and the cards."""
        self._table = DataTable(on_row=self._toggle, columns=COLUMNS, sizing_mode="stretch_width")
        table = FigureCard(
            self._table,
            title="Comparison",
            filename="runs",
            downloads=["csv"],
            caption="Values with bootstrap standard errors, best in bold; click a row to show its curves.",
        )
        table.csv_from(self._table_csv)
        self._table_card = table
        self._quantity = pmui.RadioButtonGroup(
            options={"loss": "loss", "accuracy": "accuracy", "AUC": "auc"},
            value="loss",
            size="small",
            margin=(0, 0, 6, 0),
        )
        self._quantity.param.watch(lambda _: self._learning(self.session.networks()), "value")
        self._cards = {
            name: card(title, name)
            for name, title in (
                ("inverse_roc", "Background rejection"),
                ("roc", "ROC"),
                ("learning", "Learning curves"),
                ("seconds", "Time per epoch"),
                ("calibration", "Calibration"),
            )
        }
        self._histograms = several("Scores", "scores")
        self._matrices = several("Confusion matrices", "confusion")
        c, column = self._cards, {"sizing_mode": "stretch_width", "margin": 0}
        learning = pn.Column(self._quantity, c["learning"], **column)
        self._rocs = row_of(c["inverse_roc"], c["roc"])
        self._training = row_of(learning, pn.Column(pn.Spacer(height=38), c["seconds"], **column))
        self._last = row_of(c["calibration"])

    def refresh(self, changed: set[str]) -> list[Any]:
        """Draw everything anew: all figures depend on the choice of runs."""
        self._fill_table()
        networks = self.session.networks()
        notes = [_problem(run) for run in self.session.runs if run.problem is not None]
        tagged = []
        for network in networks:
            try:
                readings.scores(network.run)
                tagged.append(network)
            except EqvizError as error:  # checksums of the scores are verified only now
                notes.append(notice(f"{network.run.id}: {error}", "error"))
        if not tagged:
            notes.append(notice("Choose up to four runs on the left or in the table to see their curves."))
            return [self._table_card, *notes]
        binary = [network for network in tagged if readings.two_classes(network.run)]
        self.later(
            partial(self._draw_rocs, binary),
            partial(self._draw_histograms, binary),
            partial(self._learning, tagged),
            partial(self._draw_calibration, binary),
            partial(self._draw_matrices, tagged),
        )
        rocs = [self._rocs] if binary else []
        return [self._table_card, *notes, *rocs, self._histograms, self._training, self._last, self._matrices]

    def _toggle(self, run_id: str) -> None:
        self.session.toggle(run_id)

    def _fill_table(self) -> None:
        chosen, colours = set(self.session.chosen), self.session.colours()
        rows = [
            _row(run, colours[run.id], run.id in chosen) for run in self.session.listed() if not run.problem
        ]
        for key in LARGER_IS_BETTER:
            finite = [r["cells"][key] for r in rows if np.isfinite(r["cells"][key]["value"])]
            if len(finite) > 1:
                max(finite, key=lambda cell: cell["value"])["best"] = True
        self._table.rows = rows

    def _table_csv(self) -> str:
        keys = [column["key"] for column in COLUMNS]
        titles = [" ".join(filter(None, (c["title"], c.get("unit")))) for c in COLUMNS]
        lines = [titles, *([r["cells"][key]["text"] for key in keys] for r in self._table.rows)]
        return "".join(",".join(f'"{text}"' for text in line) + "\n" for line in lines)

    def _draw_rocs(self, networks: list[Network]) -> None:
        if not networks:
            return
        pairs = [readings.roc_series(network) for network in networks]
        n = max(readings.n_test(network.run) for network in networks)
        dark = self.session.dark
        code = figure_code("roc", networks, self.session.store.root)
        plain = {"title": ""}
        update(
            self._cards["roc"],
            curves.roc([a for a, _ in pairs], 0.3, dark=dark, **plain),
            captions.roc(n),
            code,
        )
        inverse = curves.inverse_roc([b for _, b in pairs], 0.3, dark=dark, **plain)
        update(self._cards["inverse_roc"], inverse, captions.roc(n), code)

    def _learning(self, networks: list[Network]) -> None:
        trained = [network for network in networks if network.run.history.get("epoch")]
        histories = [(network.tag, network.run.history) for network in trained]
        data = [network.run.config["data"] for network in trained]
        n_train, n_val = (max((int(d.get(k, 0)) for d in data), default=0) for k in ("n_train", "n_val"))
        text = (
            captions.learning(n_train, n_val) if trained else "None of the chosen networks was trained here."
        )
        code = "\n".join(repeat_run(network.run) for network in networks)
        for name, quantity in (("learning", str(self._quantity.value)), ("seconds", "seconds")):
            figure = curves.learning_curves(histories, quantity, dark=self.session.dark, title="")
            what = " Full: validation, faint: training." if name == "learning" and quantity != "auc" else ""
            update(self._cards[name], figure, text + what, code)

    def _draw_calibration(self, networks: list[Network]) -> None:
        if not networks:
            return
        drawn = [readings.calibration_series(network) for network in networks]
        n = max(readings.n_test(network.run) for network in networks)
        figure = scores.calibration(drawn, dark=self.session.dark, title="")
        update(
            self._cards["calibration"],
            figure,
            captions.calibration(n),
            figure_code("calibration", networks, self.session.store.root),
        )

    def _draw_histograms(self, networks: list[Network]) -> None:
        figures: list[hv.Overlay] = []
        for network in networks:
            labels, score = readings.scores(network.run).labels, readings.probability(network.run)
            figures.append(scores.score_histogram(network.tag, labels, score, dark=self.session.dark))
        n = max((readings.n_test(network.run) for network in networks), default=0)
        code = figure_code("histogram", networks, self.session.store.root)
        self._histograms.replace(figures, captions.score_histogram(n), code)

    def _draw_matrices(self, networks: list[Network]) -> None:
        figures: list[hv.Overlay] = []
        for network in networks:
            counts, names = readings.confusion(network.run), class_names(network.run)
            figures.append(scores.confusion_matrix(network.tag, counts, names, dark=self.session.dark))
        n = max((readings.n_test(network.run) for network in networks), default=0)
        code = figure_code("confusion", networks, self.session.store.root)
        self._matrices.replace(figures, captions.confusion(n), code)


def class_names(run: Run) -> list[str]:
    """Names of the classes as the data set gives them, or their numbers."""
    from eqviz.dash import library

    n = readings.scores(run).logits.shape[1]
    try:
        names = library.test_set(library.data_name(run)).class_names
    except (EqvizError, OSError):
        names = []
    return (
        names
        if len(names) == n
        else (["background", "signal"] if n == 2 else [f"class {i}" for i in range(n)])
    )


def _row(run: Run, colour: str, on: bool) -> dict[str, Any]:
    data = run.config["data"]
    deviation = readings.boost_deviation(run)
    cells: dict[str, dict[str, Any]] = {
        "run": {"text": run.id, "hint": f"{run.model_name}, {run.created:%Y-%m-%d %H:%M} UTC"},
        "symmetry": {"text": run.symmetry},
        "data": {
            "text": f"{int(data.get('n_test', 0)):,}",
            "value": int(data.get("n_test", 0)),
            "hint": str(data.get("name", "")),
        },
        "boost": {
            "text": "–" if deviation is None else f"{deviation:.1e}" if deviation else "0",
            "value": -1 if deviation is None else deviation,
        },
    }
    for key in (column["key"] for column in COLUMNS):
        if key in cells:
            continue
        entry = run.metrics.get(key, {"value": None, "error": None})
        value = float("nan") if entry["value"] is None else float(entry["value"])
        cell: dict[str, Any] = {"text": readings.with_error(value, entry["error"]), "value": value}
        if entry.get("lower_bound") is not None:
            cell = {
                "text": f"> {entry['lower_bound']:.3g}",
                "value": value,
                "hint": "no background jet left; 95 % bound",
            }
        cells[key] = cell
    for cell in cells.values():
        if isinstance(cell.get("value"), float) and not np.isfinite(cell["value"]):
            cell["value"] = 1e300 if cell["value"] > 0 else -1e300
    return {"id": run.id, "cells": cells, "colour": colour, "hollow": is_original(run), "on": on}


def _problem(run: Run) -> pn.viewable.Viewable:
    text = f"**{run.id}** {run.problem}"
    traceback = str(run.error.get("traceback", "")).strip()
    details = f"\n\n```\n{traceback[-1500:]}\n```" if traceback else ""
    return notice(f"{text}{details}\n\nRepeat it: `{repeat_run(run)}`", "error" if run.failed else "warning")
