"""The controls of the Boosts tab: axis, gamma with play, frame, arithmetic, and the progress of the scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from eqviz.dash.session import AXES, GAMMAS, Session, nearest_gamma

_FRAME_SECONDS = 0.6
_STILL = {"& .MuiLinearProgress-bar": {"transition": "none"}}  # a gliding bar paints the page at every frame
_ORIGINAL_HINT = (
    "Shows the runs of published weights too, each as its authors run it: dotted lines, hollow markers. "
    "Greyed while the folder holds none: EQVIZ_REFERENCE=/folder/of/the/weights make report measures one."
)


class Controls(pn.viewable.Viewer):
    """Widgets bound to the session in both directions.

    Args:
        session: what they change.
        cancel: called when the scan is to be stopped.
    """

    def __init__(self, session: Session, cancel: Callable[[], None]) -> None:
        super().__init__()
        self.session = session
        labels = {f"{gamma:,.3g}" if gamma < 1000 else f"{gamma:,.0f}": gamma for gamma in GAMMAS}
        self.gamma = pmui.DiscreteSlider(
            label="boost γ", options=labels, value=nearest_gamma(session.gamma), width=250, margin=(4, 14)
        )
        # not held back for 50 ms to gather changes: Latest does that, without waiting
        self.gamma._priority_changes = ["value"]  # type: ignore[misc]
        self.play = pmui.Toggle(label="Play", icon="play_arrow", value=False, size="small", margin=(14, 2))
        self.axis = _choice({text: key for key, text in AXES.items()}, session.axis)
        self.dtype = _choice(["float32", "float64"], session.dtype)
        self.moved = _choice({"moved": True, "fixed": False}, session.moved)
        self.stable = _choice({"stable": True, "naive": False}, session.stable)
        self.original = pmui.Switch(
            label="as published", value=session.original, margin=(16, 8), description=_ORIGINAL_HINT
        )
        self._bar = pmui.LinearProgress(
            value=0, max=100, variant="determinate", width=150, margin=(12, 6), sx=_STILL
        )
        self._state = pmui.Typography("", variant="caption", margin=(6, 6))
        self._cancel = pmui.Button(label="Cancel", variant="text", size="small", margin=(2, 4))
        self._cancel.on_click(lambda _: self._cancelled(cancel))
        self._scan = pn.Row(self._state, self._bar, self._cancel, visible=False, margin=0, height=34)
        self._timer: Any = None
        for name in ("gamma", "axis", "dtype", "moved", "stable", "original"):
            widget = getattr(self, name)
            widget.param.watch(lambda event, name=name: session.param.update(**{name: event.new}), "value")
        self.play.param.watch(self._played, "value")

    def __panel__(self) -> pn.viewable.Viewable:
        parts = [
            pn.Row(self.gamma, self.play, margin=0),
            _labelled("axis", self.axis),
            _labelled("reference vectors", self.moved),
            _labelled("arithmetic", self.stable),
            _labelled("precision", self.dtype),
            self.original,
            self._scan,
        ]
        return pn.FlexBox(
            *parts, sizing_mode="stretch_width", align_items="center", gap="4px 14px", margin=(6, 0)
        )

    def sync(self) -> None:
        """Show the session's values (they may have come from the address)."""
        session = self.session
        wanted = {
            self.gamma: nearest_gamma(session.gamma), self.axis: session.axis, self.dtype: session.dtype,
            self.moved: session.moved, self.stable: session.stable, self.original: session.original,
        }  # fmt: skip
        for widget, value in wanted.items():
            if widget.value != value:
                widget.value = value
        some = bool(session.originals())
        if self.original.disabled == some:
            self.original.disabled = not some

    def progress(self, done: int, total: int) -> None:
        """Show how far the scan is; hidden when it is complete."""
        running = done < total
        if self._scan.visible != running:
            self._scan.visible = running
        if running:
            self._bar.value = round(100 * done / max(total, 1))
            self._state.object = f"scan {done} of {total}"

    def stop(self) -> None:
        """End the player."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _played(self, event: Any) -> None:
        self.stop()
        if event.new:
            self._timer = pn.state.add_periodic_callback(self._advance, period=int(1000 * _FRAME_SECONDS))

    def _advance(self) -> None:
        here = GAMMAS.index(nearest_gamma(self.session.gamma))
        self.session.gamma = GAMMAS[(here + 1) % len(GAMMAS)]

    def _cancelled(self, cancel: Callable[[], None]) -> None:
        cancel()
        self._scan.visible = False


def _choice(options: Any, value: Any) -> Any:
    whole = {"& .MuiToggleButton-root": {"whiteSpace": "nowrap", "px": 1.2}}
    return pmui.RadioButtonGroup(options=options, value=value, size="small", margin=0, sx=whole)


def _labelled(text: str, widget: Any) -> pn.Column:
    return pn.Column(pmui.Typography(text, variant="caption", margin=(0, 2)), widget, margin=(2, 0))
