"""Steps drawn ahead: what is sent, what is kept back, and when a step has to be drawn once more."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import panel_material_ui as pmui
import pytest
from bokeh.document import Document
from bokeh.models import Column, ColumnDataSource, Div, Span
from panel.io.state import set_curdoc

from eqviz.dash.film import Film, FilmReel, FilmStep, unsent

POSITIONS = [1.0, 10.0, 100.0, 1000.0]


class Page:
    """A document that gathers its changes: texts and data that follow a slider."""

    def __init__(self) -> None:
        self.document = Document()
        self.document._session_context = lambda: SimpleNamespace(session=None)
        self.name = "at"
        self.slider = pmui.DiscreteSlider(options=POSITIONS, value=1.0)
        self.film = Film(self.slider, POSITIONS)
        self.text, self.late, self.source = Div(text="at 0"), Div(text=""), ColumnDataSource({"x": [0]})
        model = self.slider.get_root()
        self.document.add_root(Column(children=[self.text, self.late, model]))
        self.document.add_root(self.source)
        (self.reel,) = (m for m in self.document.models if isinstance(m, FilmReel))
        self.document.hold("collect")

    def show(self, step: int) -> None:
        self.text.text, self.source.data = f"{self.name} {step}", {"x": [step]}
        self.late.text = "from 2 on" if step >= 2 else ""

    def sent(self) -> list[tuple[Any, str]]:
        found = [(event.model, event.attr) for event in self.document.callbacks._held_events]
        self.document.callbacks._held_events.clear()
        return found

    def values(self, step: int) -> dict[str, Any]:
        names = {self.text.id: "text", self.late.id: "late", self.source.id: "source"}
        return {names[key]: values for key, values in self.reel.steps[step].changes}


@pytest.fixture
def page() -> Iterator[Page]:
    found = Page()
    with set_curdoc(found.document):
        yield found


def _draw_all(page: Page, here: int = 0, states: str = "aaaa") -> None:
    while page.film.draw_ahead(here, list(states), page.show):
        pass


def test_every_step_is_complete_and_the_page_stays(page: Page) -> None:
    _draw_all(page)
    for step in range(len(POSITIONS)):
        late = {"text": "from 2 on" if step >= 2 else ""}  # also in steps drawn before it first changed
        assert page.values(step) == {
            "text": {"text": f"at {step}"}, "source": {"data": {"x": [step]}}, "late": late,
        }  # fmt: skip
    assert page.text.text == "at 0" and page.source.data == {"x": [0]}
    assert {type(model) for model, _ in page.sent()} == {FilmStep}


def test_only_steps_from_another_state_are_drawn_again(page: Page) -> None:
    _draw_all(page)
    page.sent()
    page.name = "anew at"
    _draw_all(page, states="aaab")
    assert page.sent() == [(page.reel.steps[3], "changes")]
    assert page.values(3)["text"] == {"text": "anew at 3"} and page.values(2)["text"] == {"text": "at 2"}
    assert not page.film.draw_ahead(0, list("aaab"), pytest.fail)


def test_what_the_browser_does_itself_is_not_sent(page: Page) -> None:
    _draw_all(page)
    page.film.forget()
    assert all(step.changes == [] for step in page.reel.steps)
    page.sent()
    with page.film.following(1):  # not drawn: the server has to tell
        page.show(1)
    assert (page.text, "text") in page.sent()
    _draw_all(page, here=1)
    page.sent()
    with page.film.following(2):
        page.show(2)
    assert page.text.text == "at 2"
    assert page.sent() == [(page.reel, "again")]  # what was told may have come late
    with page.film.following(3):
        page.show(3)
    assert page.sent() == []


def test_where_the_slider_stands_is_not_sent(page: Page) -> None:
    page.film.stand(3)
    page.film.mark([line := Span(location=1.0)])
    assert page.reel.at == 3
    assert page.sent() == [(page.reel, "marks")] and page.reel.marks == [line.id]


def test_without_a_page_everything_is_told(page: Page) -> None:
    page.document.unhold()
    assert not page.film.draw_ahead(0, list("aaaa"), pytest.fail)
    with page.film.following(1):
        page.show(1)
    assert page.text.text == "at 1"
    with pytest.raises(RuntimeError, match="call this inside"), unsent():
        pytest.fail("was let in")
