"""Widgets that several tabs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from eqviz.dash.session import GAMMAS, nearest_gamma


def at_once(slider: Any) -> Any:
    """``slider``, not held back for 50 ms to gather changes: Latest does that, without waiting."""
    slider._priority_changes = ["value"]
    return slider


def gamma_slider(gamma: float, **look: Any) -> Any:
    """A slider over the Lorentz factors of the dashboard."""
    labels = {f"{step:,.3g}" if step < 1000 else f"{step:,.0f}": step for step in GAMMAS}
    return at_once(pmui.DiscreteSlider(label="boost γ", options=labels, value=nearest_gamma(gamma), **look))


def choice(options: Any, value: Any) -> Any:
    """Buttons of which one is pressed."""
    whole = {"& .MuiToggleButton-root": {"whiteSpace": "nowrap", "px": 1.2}}
    return pmui.RadioButtonGroup(options=options, value=value, size="small", margin=0, sx=whole)


def labelled(text: str, widget: Any) -> pn.Column:
    """A widget under its name."""
    return pn.Column(pmui.Typography(text, variant="caption", margin=(0, 2)), widget, margin=(2, 0))


class Player:
    """A play button; while it is pressed ``advance`` is called every ``seconds``.

    Args:
        advance: makes one step.
        seconds: between two steps.
        look: of the button.
    """

    def __init__(self, advance: Callable[[], None], seconds: float, **look: Any) -> None:
        self.button = pmui.Toggle(label="Play", icon="play_arrow", value=False, size="small", **look)
        self._advance, self._period = advance, int(1000 * seconds)
        self._timer: Any = None
        self.button.param.watch(self._pressed, "value")

    def stop(self) -> None:
        """End playing."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self.button.value:
            self.button.value = False

    def _pressed(self, event: Any) -> None:
        if event.new and self._timer is None:
            self._timer = pn.state.add_periodic_callback(self._advance, period=self._period)
        elif not event.new:
            self.stop()
