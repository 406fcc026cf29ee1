"""The controls of the Filters tab: run, layer, output, input, and the weights before or after training."""

from __future__ import annotations

from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from eqviz.dash.filters import data
from eqviz.dash.filters.look import Look
from eqviz.dash.session import Network, Session
from eqviz.dash.widgets import at_once
from eqviz.evaluation.learned import LearnedLayer
from eqviz.evaluation.run import Run

_WEIGHTS = {"after training": data.AFTER, "before": data.BEFORE, "side by side": data.BOTH}


class Controls(pn.viewable.Viewer):
    """Widgets bound to the session in both directions."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        small: dict[str, Any] = {"size": "small", "margin": (8, 8)}
        self.run = pmui.Select(label="run", width=190, **small)
        self.layer = pmui.Select(label="layer", width=330, **small)
        self.channel, self.source = (_slider() for _ in range(2))
        whole = {"& .MuiToggleButton-root": {"whiteSpace": "nowrap", "px": 1.2}}
        self.weights = pmui.RadioButtonGroup(
            options=_WEIGHTS, value=session.weights, size="small", margin=(14, 8), sx=whole
        )
        self._quiet = False
        self.run.param.watch(self._chose_run, "value")
        self.layer.param.watch(self._chose_layer, "value")
        self.weights.param.watch(partial(self._moved, "weights"), "value")
        for name in ("channel", "source"):
            getattr(self, name).param.watch(partial(self._moved, name), "value")

    def __panel__(self) -> pn.viewable.Viewable:
        parts = (self.run, self.layer, self.channel, self.source, self.weights)
        return pn.FlexBox(
            *parts, sizing_mode="stretch_width", align_items="center", gap="2px 10px", margin=(6, 0)
        )

    def sync(
        self,
        networks: list[Network],
        run: Run,
        layers: tuple[LearnedLayer, ...],
        look: Look | None,
        start: str | None = None,
    ) -> None:
        """Show what is looked at; what there is no choice of is hidden."""
        self._quiet = True
        try:
            _set(self.run, options=[network.run.id for network in networks], value=run.id)
            for widget in (self.layer, self.channel, self.source, self.weights):
                _set(widget, visible=look is not None)
            if look is None:
                return
            _set(self.layer, options={entry.title: entry.key for entry in layers}, value=look.layer.key)
            for widget, word, names, at in (
                (self.channel, "", look.layer.channels, look.channel),
                (
                    self.source,
                    "" if look.layer.family in ("bells", "gate") else "from ",
                    look.layer.sources,
                    look.source,
                ),
            ):
                several = len(names) > 1
                top = len(names) if several else 2
                _set(widget, end=top, value=at + 1, label=f"{word}{names[at]}", visible=several)
            _set(self.weights, value=look.state, disabled=start is not None)
        finally:
            self._quiet = False

    def _chose_run(self, event: Any) -> None:
        if not self._quiet and event.new:
            self.session.param.update(filter_run=event.new)

    def _chose_layer(self, event: Any) -> None:
        if not self._quiet and event.new:
            self.session.param.update(filter_layer=event.new, channel=0, source=0)

    def _moved(self, name: str, event: Any) -> None:
        if not self._quiet:
            self.session.param.update(**{name: event.new if name == "weights" else int(event.new) - 1})


def _slider() -> Any:
    return at_once(pmui.IntSlider(start=1, end=2, value=1, width=165, show_value=False, margin=(4, 14)))


def _set(widget: Any, **values: Any) -> None:
    """Set what differs, together: a value outside the options would be refused."""
    other = {name: value for name, value in values.items() if getattr(widget, name) != value}
    if other:
        widget.param.update(**other)
