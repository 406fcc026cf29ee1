"""Steps of a slider that the browser shows by itself, at once, while the server hears of them as ever.

A step of a slider that waits for the server takes its time: the message there, the widgets' own handling,
the message back. So the server draws every step ahead, as it would draw any, but sends what changed as one
value of its :class:`FilmStep`. In the browser a few lines set the values of the step at which the slider
stands: when it moves, and when a step arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bokeh.core.properties as bp
import panel as pn
from bokeh.document.events import ColumnDataChangedEvent, ModelChangedEvent
from bokeh.model import DataModel, Model
from bokeh.models import CustomJS

_AT_ONCE = 3  # steps drawn before the page may do something else
_MOVED = "film.setv({at: cb_obj.value}, {sync: false})"
_PLAY = """
if (cb_obj !== film && cb_obj !== film.steps[film.at]) { return }
const set = (id, values) => film.document?.get_model_by_id(id)?.setv(values, {sync: false})
for (const id of film.marks) { set(id, {location: film.positions[film.at]}) }
for (const [id, values] of film.steps[film.at]?.changes ?? []) { set(id, values) }
"""


class FilmStep(DataModel):
    """One step as the browser has it: ``[(id of a model, {property: value})]``, empty while not drawn."""

    changes = bp.Any(default=[])


class FilmReel(DataModel):
    """All steps, where the slider stands, and the ids of the marks that stand at its value."""

    at = bp.Int(default=0)
    again = bp.Int(default=0, help="Grows when the browser shall set the values of its step once more.")
    steps = bp.List(bp.Instance(FilmStep))
    positions = bp.List(bp.Float)
    marks = bp.List(bp.String)


class Film:
    """What a page shows at every position of a slider, drawn ahead.

    Args:
        slider: a discrete slider of panel-material-ui.
        positions: its values; marks stand there.
    """

    def __init__(self, slider: Any, positions: Sequence[float]) -> None:
        steps: list[Any] = [FilmStep() for _ in positions]
        self._reel: Any = FilmReel(steps=steps, positions=list(positions))
        self._drawn: dict[int, Any] = {}
        self._touched: dict[tuple[Model, str], None] = {}
        self._complete: dict[int, int] = {}
        self._told = False
        play = CustomJS(args={"film": self._reel}, code=_PLAY)
        self._reel.js_on_change("at", play)
        self._reel.js_on_change("again", play)
        for step in steps:
            step.js_on_change("changes", play)
        slider.jscallback(value=_MOVED, args={"film": self._reel})

    def stand(self, step: int) -> None:
        """Where the slider stands as far as the server knows: what a page that is loaded now begins with."""
        if not can_hold():
            self._reel.at = step
            return
        with unsent():
            self._reel.at = step

    def mark(self, models: Sequence[Model]) -> None:
        """The lines that stand at the slider's value."""
        self._reel.marks = [model.id for model in models]

    def state(self, step: int) -> Any:
        """What ``step`` was drawn from, None where it was not drawn."""
        return self._drawn.get(step)

    def forget(self) -> None:
        """Nothing that was drawn holds any more."""
        self._drawn, self._touched, self._complete, self._told = {}, {}, {}, True
        for step in self._reel.steps:
            if step.changes:
                step.changes = []

    def draw_ahead(self, here: int, states: Sequence[Any], show: Callable[[int], None]) -> bool:
        """Draw and send a few steps that are not drawn yet or came from another state, nearest first.

        Args:
            here: where the slider stands, as far as the server knows.
            states: what each step is drawn from.
            show: changes the page to a step; the page ends as it was.

        Returns:
            Whether steps are left.
        """
        if not can_hold():
            return False
        nearest = sorted(range(len(states)), key=lambda step: abs(step - here))
        missing = [step for step in nearest if self._drawn.get(step) != states[step]]
        missing += [step for step in self._partial() if step not in missing]
        for step in missing[:_AT_ONCE]:
            self._draw(step, states[step], show)
        if missing:
            with unsent():
                show(here)
        return len(missing) > _AT_ONCE or bool(self._partial())

    def _draw(self, step: int, state: Any, show: Callable[[int], None]) -> None:
        with unsent() as changed:
            show(step)
        self._touched |= dict.fromkeys(changed)
        self._drawn[step], self._complete[step] = state, len(self._touched)
        values: dict[str, dict[str, Any]] = {}
        for model, name in self._touched:
            value = getattr(model, name)
            values.setdefault(model.id, {})[name] = dict(value) if isinstance(value, dict) else value
        self._reel.steps[step].changes = list(values.items())

    def _partial(self) -> list[int]:
        """Steps that were drawn before all was known that changes from step to step."""
        return [step for step, size in self._complete.items() if size < len(self._touched)]

    @contextmanager
    def following(self, step: int) -> Iterator[None]:
        """The slider has moved to ``step``; what the browser has set itself is not sent once more."""
        if step not in self._drawn or step in self._partial() or not can_hold():
            self._told = True
            yield
            return
        with unsent():
            yield
        if self._told:  # something older may have reached the browser after it had set the step
            self._told = False
            self._reel.again += 1


def can_hold() -> bool:
    """Whether this is inside :func:`eqviz.dash.jobs.together` on a page that is served."""
    document = pn.state.curdoc
    return document is not None and document.callbacks.hold_value is not None


@contextmanager
def unsent() -> Iterator[list[tuple[Model, str]]]:
    """Changes of models made inside are not sent; the list that is given names them afterwards.

    Raises:
        RuntimeError: outside :func:`eqviz.dash.jobs.together`.
    """
    if not can_hold():
        raise RuntimeError("expected changes to be gathered: call this inside eqviz.dash.jobs.together")
    held = pn.state.curdoc.callbacks._held_events  # type: ignore[union-attr]
    start, changed = len(held), list[tuple[Model, str]]()
    try:
        yield changed
    finally:
        kept = []
        for event in held[start:]:
            if isinstance(event, (ModelChangedEvent, ColumnDataChangedEvent)):
                changed.append((event.model, event.attr))
            else:
                kept.append(event)
        held[start:] = kept
