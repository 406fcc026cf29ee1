"""The controls of the Boosts tab: axis, gamma with play, frame, arithmetic, and the progress of the scan."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
import panel_material_ui as pmui

from eqviz.dash.session import AXES, GAMMAS, Session, nearest_gamma
from eqviz.dash.widgets import Player, choice, gamma_slider, labelled

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
        self.gamma = gamma_slider(session.gamma, width=250, margin=(4, 14))
        self.player = Player(self._advance, _FRAME_SECONDS, margin=(14, 2))
        self.axis = choice({text: key for key, text in AXES.items()}, session.axis)
        self.dtype = choice(["float32", "float64"], session.dtype)
        self.moved = choice({"moved": True, "fixed": False}, session.moved)
        self.stable = choice({"stable": True, "naive": False}, session.stable)
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
        for name in ("gamma", "axis", "dtype", "moved", "stable", "original"):
            widget = getattr(self, name)
            widget.param.watch(lambda event, name=name: session.param.update(**{name: event.new}), "value")

    def __panel__(self) -> pn.viewable.Viewable:
        parts = [
            pn.Row(self.gamma, self.player.button, margin=0),
            labelled("axis", self.axis),
            labelled("reference vectors", self.moved),
            labelled("arithmetic", self.stable),
            labelled("precision", self.dtype),
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
        self.player.stop()

    def _advance(self) -> None:
        here = GAMMAS.index(nearest_gamma(self.session.gamma))
        self.session.gamma = GAMMAS[(here + 1) % len(GAMMAS)]

    def _cancelled(self, cancel: Callable[[], None]) -> None:
        cancel()
        self._scan.visible = False
