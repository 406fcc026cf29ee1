"""The dial of the Orbits tab: which element moves the event, which network, layer and field are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from eqviz.dash.session import AXES, GAMMAS, Session, nearest_gamma
from eqviz.dash.widgets import Player, at_once, choice, gamma_slider, labelled

STEP = 7.5  # degrees
_FRAME_SECONDS = 0.35
ALONG = {"angle": "angle", "shift along η": "eta", "shift along φ": "phi"}
MOVES = {"boost": "boost", "rotation": "rotation", "permutation": "permutation"}


class OrbitControls(pn.viewable.Viewer):
    """Widgets bound to the session in both directions; ``images`` decides which of them are there."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._images: bool | None = None
        wide: dict[str, Any] = {"width": 230, "margin": (4, 14)}
        small: dict[str, Any] = {"size": "small", "margin": (6, 8)}
        self.run = pmui.Select(label="network", width=190, **small)
        self.layer = pmui.Select(label="layer", width=150, **small)
        self.field = pmui.Select(label="field", width=220, **small)
        self.angle = pmui.FloatSlider(label="angle [°]", start=0, end=360, step=STEP, **wide)
        self.mirrored = pmui.Switch(label="reflect η → −η", margin=(16, 8))
        self.shift_eta = pmui.IntSlider(label="shift along η [pixels]", start=-16, end=16, **wide)
        self.shift_phi = pmui.IntSlider(label="shift along φ [pixels]", start=-16, end=16, **wide)
        self.along = choice(ALONG, session.along)
        self.move = choice(MOVES, session.move)
        self.gamma = gamma_slider(session.gamma, **wide)
        self.axis = choice({text: key for key, text in AXES.items()}, session.axis)
        self.shuffle = pmui.IntSlider(label="permutation number", start=0, end=20, **wide)
        self.dtype = choice(["float32", "float64"], session.dtype)
        self.stable = choice({"stable": True, "naive": False}, session.stable)
        self.player = Player(self._advance, _FRAME_SECONDS, margin=(14, 2))
        self.back = pmui.Button(label="Identity", variant="text", size="small", margin=(14, 2))
        self._box = pn.FlexBox(
            sizing_mode="stretch_width", align_items="center", gap="4px 14px", margin=(6, 0)
        )
        for slider in (self.angle, self.shift_eta, self.shift_phi, self.shuffle):
            at_once(slider)
        for name, widget in self._bound().items():
            widget.param.watch(partial(self._chosen, name), "value")
        self.back.on_click(lambda _: self._identity())

    def __panel__(self) -> pn.viewable.Viewable:
        return self._box

    def offer(
        self, images: bool, runs: Sequence[str], run: str, layers: Sequence[str], layer: str,
        fields: Sequence[str], field: int, pixels: int = 64,
    ) -> None:  # fmt: skip
        """Show what there is to choose from, and what is chosen."""
        choices = [(self.run, list(runs), run), (self.layer, list(layers), layer)]
        numbered = {text: number for number, text in enumerate(fields)}
        choices.append((self.field, numbered, field))  # type: ignore[arg-type]
        for widget, options, value in choices:
            if widget.options != options:
                widget.param.update(options=options, value=value)
            elif widget.value != value:
                widget.value = value
        for slider in (self.shift_eta, self.shift_phi):
            reach = max(1, pixels // 4)
            if slider.end != reach:
                slider.param.update(start=-reach, end=reach, value=max(-reach, min(reach, slider.value)))
        new, self._images = images != self._images, images
        self._sync()
        if new:
            self._box[:] = self._parts(images)

    def stop(self) -> None:
        """End the player."""
        self.player.stop()

    def _parts(self, images: bool) -> list[Any]:
        first: list[Any] = [self.run, self.layer, self.field]
        player = pn.Row(self.player.button, self.back, margin=0)
        if images:
            middle: list[Any] = [self.angle, self.mirrored, self.shift_eta, self.shift_phi]
            return [*first, *middle, player, labelled("orbit along", self.along), self._precision()]
        middle = [labelled("element", self.move), self.gamma, self.angle, self.shuffle]
        arithmetic = labelled("arithmetic", self.stable)
        return [*first, *middle, labelled("axis", self.axis), player, arithmetic, self._precision()]

    def _precision(self) -> pn.Column:
        return labelled("precision", self.dtype)

    def _bound(self) -> dict[str, Any]:
        return {
            "orbit_run": self.run, "orbit_layer": self.layer, "orbit_field": self.field, "angle": self.angle,
            "mirrored": self.mirrored, "shift_eta": self.shift_eta, "shift_phi": self.shift_phi,
            "along": self.along, "move": self.move, "gamma": self.gamma, "axis": self.axis,
            "shuffle": self.shuffle, "dtype": self.dtype, "stable": self.stable,
        }  # fmt: skip

    def _sync(self) -> None:
        session = self.session
        wanted: dict[Any, Any] = {
            self.angle: session.angle, self.mirrored: session.mirrored, self.along: session.along,
            self.move: session.move, self.gamma: nearest_gamma(session.gamma), self.axis: session.axis,
            self.dtype: session.dtype, self.stable: session.stable,
            self.shift_eta: max(self.shift_eta.start, min(self.shift_eta.end, session.shift_eta)),
            self.shift_phi: max(self.shift_phi.start, min(self.shift_phi.end, session.shift_phi)),
            self.shuffle: min(self.shuffle.end, session.shuffle),
        }  # fmt: skip
        for widget, value in wanted.items():
            if widget.value != value:
                widget.value = value
        kind = session.move
        shown: dict[Any, bool] = {self.gamma: kind == "boost", self.shuffle: kind == "permutation"}
        shown[self.angle] = bool(self._images) or kind == "rotation"
        for widget, visible in shown.items():
            if widget.visible != visible:
                widget.visible = visible

    def _chosen(self, name: str, event: Any) -> None:
        if event.new is None or getattr(self.session, name) == event.new:
            return
        if name == "orbit_layer":
            self.session.param.update(orbit_layer=event.new, orbit_field=0)
        elif name == "orbit_run":
            self.session.param.update(orbit_run=event.new, orbit_layer="", orbit_field=0)
        else:
            self.session.param.update(**{name: event.new})

    def _identity(self) -> None:
        self.session.param.update(angle=0.0, mirrored=False, shift_eta=0, shift_phi=0, gamma=1.0, shuffle=0)

    def _advance(self) -> None:
        session = self.session
        if not self._images and session.move == "boost":
            here = GAMMAS.index(nearest_gamma(session.gamma))
            session.gamma = GAMMAS[(here + 1) % len(GAMMAS)]
        elif not self._images and session.move == "permutation":
            session.shuffle = (session.shuffle + 1) % (self.shuffle.end + 1)
        elif self._images and session.along != "angle":
            name = f"shift_{session.along}"
            slider = getattr(self, name)
            value = getattr(session, name) + 1
            session.param.update(**{name: slider.start if value > slider.end else value})
        else:
            session.angle = (session.angle + STEP) % 360.0
