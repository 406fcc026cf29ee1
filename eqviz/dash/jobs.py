"""Work that must not block the page: refreshes where only the newest counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock, RLock
from typing import Any

import panel as pn
from bokeh.document import Document

_ALONE = RLock()


@contextmanager
def together(document: Document | None = None) -> Iterator[None]:
    """Send all changes made inside as one message, in the order in which they were made.

    Whatever changes Bokeh models itself (``eqviz.plots.live``, ``orbits.replace_*``) must run inside, as all
    that :class:`Latest` calls does. While the line to the browser is busy Panel keeps its messages in a queue
    of its own, and Bokeh sends a direct change of a model past it: the browser would hear of the change
    before the message that brings the model, or after the one that takes it away, and give up with
    "reference is not known".
    """
    document = document or pn.state.curdoc
    if document is None or document.session_context is None:
        yield
        return
    # "combine" would move a later value to the place of an earlier one.
    with pn.io.unlocked(policy="collect"), _counted_once(document):
        yield


@contextmanager
def _counted_once(document: Document) -> Iterator[None]:
    """Count the models of the page once, at the end, and only where one may have come or gone.

    What is taken off the page and put back stays known, what never reaches the page is not sent. Bokeh's own
    ``freeze`` counts at the end in any case, and to walk the thousands of models of a page takes 50 ms.
    """
    models, roots, moved = document.models, list(document.roots), False

    def note() -> None:
        nonlocal moved
        moved = True

    def recompute() -> None:
        if moved or document.roots != roots:
            type(models).recompute(models)

    if "recompute" in vars(models):  # inside another block, which will count
        yield
        return
    vars(models).update(invalidate=note, recompute=recompute)
    problem: BaseException | None = None
    try:
        with models.freeze():  # which thaws only where its block ends well
            try:
                yield
            except BaseException as error:
                problem = error
    finally:
        del models.invalidate, models.recompute
    if problem is not None:
        raise problem


class Latest:
    """Runs ``refresh`` at most once at a time on the page's own thread, however often it is asked for.

    It may be called from any thread. Requests that come while one is waiting are dropped: the one that
    waits will see the newest state. Until the browser has the page nothing is sent: what changes while the
    page is on its way can be lost.
    """

    def __init__(self, refresh: Callable[[], None]) -> None:
        self._refresh = refresh
        self._document = pn.state.curdoc
        self._lock = Lock()
        self._waiting = False
        self._served = self._document is not None and self._document.session_context is not None
        self._ready = not self._served
        if self._served:
            pn.state.onload(self._open)

    def __call__(self) -> None:
        with self._lock:
            if self._waiting:
                return
            self._waiting = True
            if not self._ready:
                return
        self._soon()

    def alone(self) -> AbstractContextManager[Any]:
        """Keeps refreshes from other threads out where there is no page, whose thread would do so."""
        return nullcontext() if self._served else _ALONE

    def _open(self) -> None:
        with self._lock:
            self._ready = True
            waiting = self._waiting
        if waiting:
            self._soon()  # not at once: until this callback has returned Panel takes the page as not loaded

    def _soon(self) -> None:
        if self._served:
            assert self._document is not None
            self._document.add_next_tick_callback(self._run)
        else:
            with self.alone():  # without a page there is no thread of its own to run on
                self._run()

    def _run(self) -> None:
        with self._lock:
            self._waiting = False
        with together(self._document):
            self._refresh()
