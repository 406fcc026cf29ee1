"""Boosts: does the answer of a network survive a change of the frame?"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import panel as pn

from eqviz.dash import library
from eqviz.dash.boosts import answers
from eqviz.dash.boosts.controls import Controls
from eqviz.dash.boosts.tables import (
    ANSWER_COLUMNS,
    answer_caption,
    answer_rows,
    mover_caption,
    mover_columns,
    mover_rows,
)
from eqviz.dash.cards import card, notice, row_of, update
from eqviz.dash.components import DataTable, FigureCard
from eqviz.dash.film import Film
from eqviz.dash.jobs import Latest
from eqviz.dash.picker import wish_of
from eqviz.dash.repeat import boost_code, jet_code
from eqviz.dash.scans import ANSWERS, Scanner, Wish, boosted
from eqviz.dash.session import GAMMAS, Session, nearest_gamma
from eqviz.dash.tab import Tab
from eqviz.dash.variants import is_original
from eqviz.plots import captions, invariance, jets, live
from eqviz.plots.series import Series

_FRAME = (0.85, 1.2e4)  # of the gamma axes
_QUIET = 1.2  # seconds


class View(Tab):
    """Deviation and AUC against gamma, answers before and after, and one jet before and after."""

    title: ClassVar[str] = "Boosts"
    order: ClassVar[int] = 20
    depends: ClassVar[tuple[str, ...]] = (
        "chosen", "version", "dark", "axis", "gamma", "moved", "stable", "dtype", "original", "jet",
    )  # fmt: skip

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._scanner = Scanner(ANSWERS, self._progressed)
        self._progress = (0, 0)
        self._wish: Wish | None = None
        self._touched = self._redrawn = self._cost = 0.0
        self._drawn_points: tuple[int, ...] = ()
        self._scanned = Latest(self._show_progress)
        self._filming = Latest(self._draw_ahead)
        self._models: dict[str, Any] = {}
        self._texts: list[str] = []
        self._boxes: list[Any] = []

    def build(self) -> None:
        """Make the controls and the cards."""
        self._controls = Controls(self.session, self._scanner.cancel)
        self._film = Film(self._controls.gamma, GAMMAS)
        names = {
            "deviation": "How far the answer moves",
            "auc": "Separation of boosted jets",
            "scatter": "Answer before and after",
            "before": "The jet before",
            "after": "The jet after",
        }
        self._cards = {name: card(title, f"boost-{name}") for name, title in names.items()}
        self._table = DataTable(on_row=self._open_jet, sizing_mode="stretch_width")
        self._answers = DataTable(columns=ANSWER_COLUMNS, sizing_mode="stretch_width")
        self._movers = FigureCard(
            self._table,
            title="The five jets that moved most",
            filename="moved-most",
            downloads=[],
            sizing_mode="stretch_width",
        )
        self._jet = FigureCard(
            self._answers,
            title="Answers to this jet",
            filename="jet-answers",
            downloads=[],
            sizing_mode="stretch_width",
        )
        c = self._cards
        side = pn.Column(self._movers, pn.Spacer(height=12), self._jet, sizing_mode="stretch_width", margin=0)
        self._body = pn.Column(
            row_of(c["deviation"], c["auc"]),
            row_of(c["scatter"], side),
            row_of(c["before"], c["after"]),
            sizing_mode="stretch_width",
            margin=0,
        )

    def refresh(self, changed: set[str]) -> list[Any]:
        """Only what depends on ``changed``: a new gamma moves marks and points, all else draws anew."""
        networks = self.session.boosted_networks()
        if not networks:
            return [notice("Choose up to four runs on the left to boost their jets.")]
        if problem := library.problem_with_jets(networks[0].run):
            return [notice(problem, "warning")]
        self._touched = time.monotonic()
        self._wish = wish = wish_of(self.session)
        assert wish is not None
        self._film.stand(self._at())
        if not self._models or changed & {"chosen", "version", "dark"}:
            self._film.forget()
            self._draw(wish)
        elif changed == {"gamma"}:
            with self._film.following(self._at()):
                self._patch(wish, changed)
        else:
            self._film.forget()
            self._patch(wish, changed)
            if changed - {"gamma", "jet"}:
                self.later(self._draw_deviation, self._draw_auc, partial(self._draw_scatter, wish))
        self._controls.sync()
        self._scanner.want(wish)
        self._filming()
        return [self._controls, *self._notes(wish), self._body]

    def show(self) -> None:
        """The tab has been opened: steps are drawn for the models that it has this time."""
        super().show()
        if self._models:
            self._filming()

    def hide(self) -> None:
        """Another tab has been opened."""
        super().hide()
        if self._built:
            self._film.forget()

    def close(self) -> None:
        """Stop the scan and the player."""
        self._scanner.close()
        if self._built:
            self._controls.stop()

    # -- drawing ------------------------------------------------------------------------------------------

    def _draw(self, wish: Wish) -> None:
        self._draw_deviation()
        self._draw_auc()
        self._draw_scatter(wish)
        dark, before, after = self.session.dark, *self._momenta(wish)
        code = jet_code(wish.data, wish.row)
        for name, p4 in (("before", before), ("after", after)):
            figure = jets.event_display(p4, dark=dark, title="")
            self._models[name] = update(self._cards[name], figure, "", code)
        self._tell(wish, before, after)

    def _patch(self, wish: Wish, changed: set[str]) -> None:
        for name in ("deviation", "auc"):
            live.move_mark(self._models[name], wish.boost.gamma)
        if "jet" in changed:
            live.replace_event(self._models["before"], self._momenta(wish)[0])
        self._keep_axes(wish)
        self._show_step(wish)

    def _show_step(self, wish: Wish) -> None:
        """All that a new gamma changes, but the marks on the curves."""
        self._move_points(wish)
        before, after = self._momenta(wish)
        live.replace_event(self._models["after"], after)
        self._tell(wish, before, after)

    def _draw_ahead(self) -> None:
        """Draw steps of the slider that are not drawn, or whose answers have come since."""
        wish = self._wish
        if wish is None or not self.visible or "scatter" not in self._models:
            return
        steps = [replace(wish, boost=replace(wish.boost, gamma=gamma)) for gamma in GAMMAS]
        known = [answers.answered(step) for step in steps]
        if self._film.draw_ahead(self._at(), known, lambda step: self._show_step(steps[step])):
            self._filming()

    def _at(self) -> int:
        return GAMMAS.index(nearest_gamma(self.session.gamma))

    def _draw_deviation(self) -> None:
        wish = self._wish
        assert wish is not None
        self._drawn_points = answers.n_points(wish)
        curves = [(network.tag, answers.curve(wish, network)) for network in wish.networks]
        drawn = [Series(tag, c.gamma, c.median, c.low, c.high) for tag, c in curves]
        n = max(c.n_jets for _, c in curves)
        text = captions.deviation(n, wish.boost.axis, self.session.dtype, wish.boost.moved)
        self._update_curves("deviation", invariance.deviation(drawn, **self._frame(wish)), text, wish)

    def _draw_auc(self) -> None:
        wish = self._wish
        assert wish is not None
        curves = [(network.tag, answers.curve(wish, network)) for network in wish.networks]
        drawn = []
        for tag, c in curves:
            ends = [np.clip(np.array(c.auc) + sign * 1.96 * np.array(c.auc_error), 0, 1) for sign in (-1, 1)]
            drawn.append(Series(tag, c.gamma, c.auc, *ends))
        text = captions.auc(max(c.n_jets for _, c in curves), wish.boost.axis)
        self._update_curves("auc", invariance.auc_against(drawn, **self._frame(wish)), text, wish)

    def _frame(self, wish: Wish) -> dict[str, Any]:
        return {"at": wish.boost.gamma, "dark": self.session.dark, "title": "", "xlim": _FRAME}

    def _update_curves(self, name: str, figure: Any, text: str, wish: Wish) -> None:
        start = time.monotonic()
        code = boost_code(wish.networks, wish.boost, wish.data, self.session.store.root)
        self._models[name] = update(self._cards[name], figure, text, code)
        drawn = [self._models[curve] for curve in ("deviation", "auc") if curve in self._models]
        self._film.mark([live.mark(figure) for figure in drawn])
        self._redrawn = time.monotonic()
        self._cost = self._redrawn - start

    def _draw_scatter(self, wish: Wish) -> None:
        befores = answers.befores(wish)
        self._known = len(befores)
        self._film.forget()
        limit = invariance.before_after_limit(befores) if befores else 10.0
        groups = [(network.tag, before, after) for network, before, after in answers.pairs(wish)]
        figure = invariance.before_after(
            groups, jets=wish.rows, limit=limit, dark=self.session.dark, title="", height=380
        )
        code = boost_code(wish.networks, wish.boost, wish.data, self.session.store.root)
        self._models["scatter"] = update(self._cards["scatter"], figure, self._scatter_text(wish), code)
        self._filming()

    def _keep_axes(self, wish: Wish) -> None:
        """The axes follow the answers before the boost: drawn anew where another network has them now."""
        if len(answers.befores(wish)) != self._known:
            self._draw_scatter(wish)

    def _move_points(self, wish: Wish) -> None:
        figure = self._models["scatter"]
        for source, (_, before, after) in zip(live.answers(figure), answers.pairs(wish)):
            live.replace_answers(figure, source, before, after, wish.rows)
        self._cards["scatter"].caption = self._scatter_text(wish)

    def _scatter_text(self, wish: Wish) -> str:
        waiting = [network.tag.label for network, before, _ in answers.pairs(wish) if not len(before)]
        text = captions.before_after(len(wish.rows), wish.boost.gamma, wish.boost.axis)
        return text + (f" Computing {', '.join(waiting)} …" if waiting else "")

    # -- text and tables ----------------------------------------------------------------------------------

    def _momenta(self, wish: Wish) -> tuple[Any, Any]:
        before = library.test_set(wish.data).batch.select([wish.row]).p4.numpy()
        return before, boosted(wish.data, [wish.row], wish.boost).p4.numpy()

    def _tell(self, wish: Wish, before: Any, after: Any) -> None:
        self._cards["before"].caption = captions.event(wish.row, jets.jet_summary(before))
        gamma = f"After γ = {wish.boost.gamma:,.4g}: "
        self._cards["after"].caption = gamma + captions.event(wish.row, jets.jet_summary(after))
        self._fill_tables(wish)

    def _notes(self, wish: Wish) -> list[Any]:
        problems = {network.tag.label: ANSWERS.problem(network) for network in wish.networks}
        texts = [f"{label}: {text}" for label, text in problems.items() if text]
        if self.session.dtype == "float64" and any(is_original(n.run) for n in wish.networks):
            texts.append("Networks as published stay in float32, as their authors run them.")
        if texts != self._texts:
            self._texts, self._boxes = texts, [notice(text, "warning") for text in texts]
        return self._boxes

    def _fill_tables(self, wish: Wish) -> None:
        if self._table.columns != (columns := mover_columns(wish)):
            self._table.columns = columns
        rows = mover_rows(wish)
        self._table.rows = rows
        self._movers.caption = mover_caption(wish, rows)
        self._answers.rows = answer_rows(wish, self.session.dark)
        self._jet.caption = answer_caption(wish)

    def _open_jet(self, row: str) -> None:
        self.session.jet = int(row)

    # -- the scan -----------------------------------------------------------------------------------------

    def _progressed(self, done: int, total: int) -> None:
        self._progress = (done, total)
        self._scanned()

    def _show_progress(self) -> None:
        wish = self._wish
        if wish is None or not self.visible:
            return
        done, total = self._progress
        self._controls.progress(done, total)
        self._keep_axes(wish)
        if self._film.state(self._at()) is None:  # else the browser takes it from the step that is sent
            self._move_points(wish)
            self._fill_tables(wish)
        self._filming()
        if answers.n_points(wish) != self._drawn_points and (done == total or self._may_redraw()):
            self.later(self._draw_deviation, self._draw_auc)

    def _may_redraw(self) -> bool:
        """Curves of a running scan are drawn anew while nobody touches the page, a tenth of the time."""
        now = time.monotonic()
        return now - self._touched > _QUIET and now - self._redrawn > max(_QUIET, 20 * self._cost)
