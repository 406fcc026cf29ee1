"""Work that must not block the page: refreshes where only the newest counts."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, RLock

import panel as pn

_ALONE = RLock()


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
        if self._served:
            assert self._document is not None
            self._document.add_next_tick_callback(self._run)
        else:
            with _ALONE:  # without a page there is no thread of its own to run on
                self._run()

    def _open(self) -> None:
        with self._lock:
            self._ready = True
            waiting = self._waiting
        if waiting:
            self._run()

    def _run(self) -> None:
        with self._lock:
            self._waiting = False
        self._refresh()
