"""Changes made together are counted once, and only where a model came or went."""

from __future__ import annotations

from threading import Event, Thread
from types import SimpleNamespace

import pytest
from bokeh.document import Document
from bokeh.document.models import DocumentModelManager
from bokeh.models import Column, ColumnDataSource, Div

from eqviz.dash.jobs import Latest, together


@pytest.fixture
def served() -> Document:
    """A document that believes in a browser; one column with a text and some data."""
    document = Document()
    document._session_context = lambda: SimpleNamespace(session=None)  # as Bokeh keeps it: a weak reference
    document.add_root(Column(children=[Div(text="before")]))
    return document


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    found: list[None] = []
    recompute = DocumentModelManager.recompute

    def counted(self: DocumentModelManager) -> None:
        found.append(None)
        recompute(self)

    monkeypatch.setattr(DocumentModelManager, "recompute", counted)
    return found


def test_values_need_no_count(served: Document, counts: list[None]) -> None:
    text = served.roots[0].children[0]
    with together(served):
        text.text = "after"
        with together(served):
            text.visible = False
    assert counts == []


def test_models_are_counted_once(served: Document, counts: list[None]) -> None:
    root, new, source = served.roots[0], Div(text="new"), ColumnDataSource({"x": [1.0]})
    with together(served):
        root.children = [*root.children, new]
        with together(served):
            served.add_root(source)
    assert len(counts) == 1
    assert {new, source} <= set(served.models)
    with together(served):
        root.children = root.children[:1]
    assert len(counts) == 2
    assert new not in set(served.models)


def test_a_failure_leaves_bokeh_as_it_was(served: Document, counts: list[None]) -> None:
    root = served.roots[0]
    with pytest.raises(RuntimeError, match="in between"), together(served):
        raise RuntimeError("in between")
    root.children = []
    assert len(counts) == 1 and len(set(served.models)) == 1


def test_without_a_page_other_threads_wait_for_what_is_shown() -> None:
    done = Event()
    latest = Latest(done.set)
    with latest.alone():
        thread = Thread(target=latest)
        thread.start()
        assert not done.wait(0.2)
    thread.join(10)
    assert done.is_set()
