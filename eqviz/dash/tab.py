"""What every tab has in common: it is built when it is first opened and refreshed only while it is seen."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar

import panel as pn

import eqviz.dash.tabs
from eqviz.dash.cards import notice
from eqviz.dash.jobs import Latest
from eqviz.dash.session import Session


class Tab:
    """One page of the dashboard; a module in ``eqviz.dash.tabs`` defines one subclass called ``View``.

    Class attributes:
        title: shown on the tab.
        order: tabs are sorted by this number.
        depends: session parameters whose change calls :meth:`refresh`.
        needs_runs: without a run in the folder the page says how to get one, and nothing is built.
    """

    title: ClassVar[str] = ""
    order: ClassVar[int] = 100
    depends: ClassVar[tuple[str, ...]] = ("chosen", "version", "dark")
    needs_runs: ClassVar[bool] = True

    def __init__(self, session: Session) -> None:
        self.session = session
        self.layout = pn.Column(sizing_mode="stretch_width", margin=0)
        self.changed: set[str] = set()
        self.visible = False
        self._built = False
        self._parts: list[Any] = []
        self._placed: list[Any] = []
        self._latest = Latest(self._update)
        self._steps: list[Callable[[], None]] = []
        self._next_step = Latest(self._step)
        session.param.watch(self._note, list(self.depends))

    def build(self) -> None:
        """Make the widgets and cards; called once, when the tab is first opened."""
        raise NotImplementedError

    def refresh(self, changed: set[str]) -> list[Any]:
        """Bring everything up to date and return what the page consists of, from top to bottom.

        ``changed`` names session parameters, all of them the first time. New parts must be filled before
        they are put on the page: Panel may send a change of a part ahead of the part itself.
        """
        raise NotImplementedError

    def show(self) -> None:
        """The tab has been opened."""
        with self._latest.alone():
            self.visible = True
            if not self._built:
                self.changed = set(self.depends)
            if self.changed:
                self._update()
            else:
                self._place()
                if self._steps:
                    self._next_step()

    def hide(self) -> None:
        """Another tab has been opened: leave the page, so that coming back mounts into an empty column.

        A strip that mounts filled tabs lets Bokeh lay out figures which are not there yet.
        """
        self.visible = False
        if self._placed:
            self._placed = []
            self.layout[:] = []

    def close(self) -> None:
        """The session has ended."""

    def later(self, *steps: Callable[[], None]) -> None:
        """Do ``steps`` one by one, letting the page breathe between them; replaces what was still to do."""
        self._steps = list(steps)
        self._next_step()

    def _step(self) -> None:
        if self.visible and self._steps:
            self._steps.pop(0)()
            if self._steps:
                self._next_step()

    def _note(self, *events: Any) -> None:
        self.changed |= {event.name for event in events}
        if self.visible:
            self._latest()

    def _update(self) -> None:
        if not self.visible or not self.changed:
            return
        if self.needs_runs and not self.session.runs:
            self._parts = [notice(empty_text(self.session))]
            self._place()
            return
        if not self._built:
            self._built = True
            self.build()
            self.changed = set(self.depends)
        changed, self.changed = self.changed, set()
        self._parts = self.refresh(changed)
        self._place()

    def _place(self) -> None:
        # by identity: a Column holds what its parts were turned into, not the parts themselves
        if [id(part) for part in self._placed] != [id(part) for part in self._parts]:
            self._placed = list(self._parts)
            self.layout[:] = self._parts


def empty_text(session: Session) -> str:
    """What to do where there is no run."""
    return (
        f"### No runs yet in `{session.store.root}`\n\n"
        "`make report` trains and measures the networks of the demo study (a few minutes on two cores); "
        "then press *Read the folder again*. Runs kept elsewhere: `EQVIZ_RUNS=/path/to/runs make dashboard`."
    )


def tab_classes() -> dict[str, type[Tab]]:
    """Module name -> View class of every file in ``eqviz/dash/tabs``, in the order of the tabs."""
    names = [module.name for module in iter_modules(eqviz.dash.tabs.__path__)]
    found = {name: import_module(f"eqviz.dash.tabs.{name}").View for name in names}
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))
