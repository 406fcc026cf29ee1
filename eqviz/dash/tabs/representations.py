"""Representations: a group and two irreps, how their product falls apart, and how a vector moves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import panel as pn
import panel_material_ui as pmui

from eqviz.dash.aside import Aside
from eqviz.dash.cards import card, notice, put, row_of, update
from eqviz.dash.components import DataTable, FigureCard
from eqviz.dash.jobs import Latest
from eqviz.dash.questions import CATALOGUE, Question
from eqviz.dash.representations import catalogue, figures
from eqviz.dash.representations.repeat import group_code
from eqviz.dash.representations.texts import (
    MAX_ROWS,
    about,
    count_text,
    row_key,
    sum_text,
    table_columns,
    table_csv,
    table_rows,
    waiting_text,
)
from eqviz.dash.representations.turning import Turning
from eqviz.dash.session import Session
from eqviz.dash.tab import Tab
from eqviz.errors import EqvizError
from eqviz.groups.base import Group
from eqviz.plots.representations import coupling_matrix
from eqviz.plots.style import group_colour


class View(Tab):
    """Decomposition, weight diagrams, Clebsch-Gordan matrix, structure constants and orbits."""

    title: ClassVar[str] = "Representations"
    order: ClassVar[int] = 60
    depends: ClassVar[tuple[str, ...]] = ("symmetry", "first", "second", "dark")
    needs_runs: ClassVar[bool] = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._aside = Aside(CATALOGUE, Latest(self._show_answers))
        self._asked: tuple[Question, Question] = self._questions()
        self._third = ""
        self._drawn: dict[str, Any] = {}
        self._algebra: tuple[str, bool] | None = None  # of which structure constants are shown
        self._quiet = False

    def build(self) -> None:
        """Make the controls and the cards."""
        wide: dict[str, Any] = {"restrict": False, "min_characters": 0, "size": "small", "margin": (8, 6)}
        self._group = pmui.AutocompleteInput(
            label="group", options=list(catalogue.group_menu()), width=210, **wide
        )
        self._irreps = [pmui.AutocompleteInput(label=f"{w} irrep", width=200, **wide) for w in _ORDER]
        self._about = pmui.Typography("", variant="body2", margin=(2, 8))
        for widget, name in zip((self._group, *self._irreps), ("symmetry", "first", "second")):
            widget.param.watch(partial(self._typed, name), "value")
        row = pn.FlexBox(self._group, *self._irreps, sizing_mode="stretch_width", gap="2px", margin=0)
        self._controls = pn.Column(row, self._about, sizing_mode="stretch_width", margin=(8, 0, 0, 0))
        self._table = DataTable(on_row=self._pick, sizing_mode="stretch_width")
        table: dict[str, Any] = {"filename": "decomposition", "downloads": ["csv"]}
        self._table_card = FigureCard(
            self._table, title="The product decomposed", sizing_mode="stretch_width", **table
        )
        self._table_card.csv_from(self._table_csv)
        names = {f"{which} irrep": f"weights-{which}" for which in _ORDER}
        self._diagrams = [card(title, stem, repeat=" ") for title, stem in names.items()]
        self._diagrams.append(card("Irrep of the product", "weights-product", repeat=" "))
        self._couplings = card("Clebsch-Gordan coefficients", "clebsch-gordan", repeat=" ")
        self._brackets = card("Structure constants", "structure-constants", repeat=" ")
        self._roots = card("Roots", "roots", repeat=" ")
        self._turning = Turning(self.session)
        self._algebra_row = row_of(self._brackets, self._turning.matrix)
        row_of(self._roots)
        self._body = pn.Column(
            row_of(self._table_card, self._couplings),
            row_of(*self._diagrams, basis="1 1 300px"),
            self._turning.body,
            self._algebra_row,
            sizing_mode="stretch_width",
            margin=0,
        )

    def refresh(self, changed: set[str]) -> list[Any]:
        """Answer what is quick at once, ask for the rest, and draw piece by piece."""
        self._quiet = True
        try:
            problem = self._sync()
        finally:
            self._quiet = False
        if problem:
            return [self._controls, problem]
        if changed & {"symmetry", "first", "second"}:
            self._third = ""
            self._drawn.clear()
        elif "dark" in changed:
            self._drawn.clear()
        self._asked = self._questions()
        self._ask()
        self._fill_table()
        steps: list[Callable[[], None]] = [partial(self._draw_diagram, i) for i in range(2)]
        steps += [self._draw_third, self._draw_couplings, self._draw_brackets, self._turning.show]
        if pn.state.curdoc is None or pn.state.curdoc.session_context is None:
            for step in steps:
                step()
        else:
            self.later(*steps)
        return [self._controls, self._body]

    def close(self) -> None:
        """Stop the thread and the player."""
        self._aside.close()
        if self._built:
            self._turning.stop()

    def hide(self) -> None:
        """Nobody sees the player any more."""
        super().hide()
        if self._built:
            self._turning.stop()

    # -- choices ------------------------------------------------------------------------------------------

    def _typed(self, name: str, event: Any) -> None:
        if self._quiet or not event.new:
            return
        if name == "symmetry":
            try:
                first, second = catalogue.default_irreps(event.new)
            except EqvizError:
                first, second = self.session.first, self.session.second
            self.session.param.update(symmetry=event.new, first=first, second=second)
        else:
            self.session.param.update(**{name: event.new})

    def _sync(self) -> pn.viewable.Viewable | None:
        """Show the session's choice in the widgets; a notice where it is impossible."""
        session = self.session
        if self._group.value != session.symmetry:
            self._group.value = session.symmetry
        try:
            menu = list(catalogue.irrep_menu(session.symmetry))
        except EqvizError as error:
            self._about.object = ""
            return notice(str(error), "warning")
        for widget, text in zip(self._irreps, (session.first, session.second)):
            options = menu if text in menu else [text, *menu]
            if widget.options != options:
                widget.options = options
            if widget.value != text:
                widget.value = text
        self._about.object = about(session.symmetry)
        problems = []
        for text in dict.fromkeys((session.first, session.second)):
            try:
                catalogue.irrep(session.symmetry, text)
            except EqvizError as error:
                problems.append(str(error))
        known = ", ".join(menu[:10]) + (" …" if len(menu) > 10 else "")
        hint = f"\n\nIrreps of {session.symmetry}: {known}"
        return notice("\n\n".join(problems) + hint, "warning") if problems else None

    def _pick(self, row: str) -> None:
        self._third = row
        self._fill_table()
        self._draw_third()

    # -- answers ------------------------------------------------------------------------------------------

    def _questions(self) -> tuple[Question, Question]:
        session = self.session
        chosen = (session.symmetry, session.first, session.second)
        return Question("table", *chosen), Question("couplings", *chosen)

    def _ask(self) -> None:
        waiting = [question for question in self._asked if CATALOGUE.at_once(question) is None]
        self._aside.want(waiting)

    def _show_answers(self) -> None:
        if self.visible and self._built:
            self._fill_table()
            self._draw_third()
            self._draw_couplings()

    def _fill_table(self) -> None:
        question = self._asked[0]
        found = CATALOGUE.get(question)
        names = [catalogue.irrep_name(question.group, x) for x in (question.first, question.second)]
        code = group_code("table", question.group, question.first, question.second)
        self._table_card.repeat = code
        if not isinstance(found, list):
            self._table.rows = []
            self._table_card.caption = waiting_text(found)
            return
        if self._third not in {row_key(row) for row in found}:
            self._third = row_key(max(found, key=lambda row: row["dimension"]))
        columns = table_columns(found)
        if self._table.columns != columns:
            self._table.columns = columns
        colour = group_colour(catalogue.symmetry(question.group).name, self.session.dark)
        self._table.rows = table_rows(found, self._third, colour)
        total, more = sum(row["states"] for row in found), len(found) - MAX_ROWS
        text = f"{names[0]} ⊗ {names[1]} = {sum_text(found)} of {question.group}"
        text += f": {total:,} states in {count_text(found)}"
        text += f", of which the first {MAX_ROWS} are listed" if more > 0 else ""
        self._table_card.caption = text + "; a click on a row draws its weights."

    def _table_csv(self) -> str:
        return table_csv(CATALOGUE.get(self._asked[0]))

    # -- figures ------------------------------------------------------------------------------------------

    def _draw_diagram(self, place: int) -> None:
        self._diagram(self._diagrams[place], (self.session.first, self.session.second)[place])

    def _draw_third(self) -> None:
        if self._third:
            self._diagram(self._diagrams[2], self._third)
        elif isinstance(found := CATALOGUE.get(self._asked[0]), EqvizError) or found is None:
            put(self._diagrams[2], waiting_text(found))

    def _diagram(self, target: FigureCard, text: str) -> None:
        name, dark = self.session.symmetry, self.session.dark
        if self._drawn.get(target.filename) == (name, text, dark):
            return
        self._drawn[target.filename] = (name, text, dark)
        self._fill(target, lambda: figures.weights(name, text, dark), group_code("weights", name, text))

    def _fill(self, target: FigureCard, draw: Callable[[], tuple[Any, str]], code: str) -> None:
        target.repeat = code
        try:
            figure, caption = draw()
        except EqvizError as error:
            put(target, str(error))
            return
        update(target, figure, caption, code)

    def _draw_couplings(self) -> None:
        question = self._asked[1]
        found, key = CATALOGUE.get(question), (question, self.session.dark)
        if found is None or isinstance(found, EqvizError):
            self._drawn.pop("couplings", None)
            put(self._couplings, waiting_text(found))
            return
        if self._drawn.get("couplings") == key:
            return
        self._drawn["couplings"] = key
        matrix, blocks = found
        first, second = (catalogue.irrep_name(question.group, x) for x in (question.first, question.second))
        inner = catalogue.dimension(question.group, question.second)
        rows = [(str(i + 1), inner) for i in range(matrix.shape[0] // inner)]
        code = group_code("couplings", question.group, question.first, question.second)
        note = (
            f"pairs (i, j) of {first} ⊗ {second} in rows (i as written, j running fastest), irreps in columns"
        )
        if len({*map(str, blocks)}) < len(blocks) and matrix.shape[1] > matrix.shape[0]:
            note += "; real irreps of complex type repeat their columns"
        figure = coupling_matrix(
            matrix.real.astype("float32"),
            blocks,
            ylabel=f"state of {first}",
            rows=rows,
            dark=self.session.dark,
        )
        update(self._couplings, figure, f"{matrix.shape[0]} × {matrix.shape[1]} coefficients: {note}.", code)

    def _draw_brackets(self) -> None:
        name, dark = self.session.symmetry, self.session.dark
        if self._algebra == (name, dark):  # no matter what changed: it may not have come to be drawn
            return
        self._brackets.title = figures.bracket_title(name)
        beside = self._turning.matrix
        if not isinstance(catalogue.symmetry(name), Group):
            beside = self._roots
            self._fill(beside, lambda: figures.roots(name, dark), group_code("roots", name, ""))
        self._fill(
            self._brackets, lambda: figures.bracket_figure(name, dark), group_code("brackets", name, "")
        )
        if beside not in self._algebra_row.objects:
            self._algebra_row[:] = [self._brackets, beside]
        self._algebra = name, dark


_ORDER = ("First", "Second")
