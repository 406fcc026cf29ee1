"""An orbit under the eyes: sliders for every generator, the components and the path that they draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui

from eqviz.dash.cards import card, notice, put, row_of, update
from eqviz.dash.jobs import Latest
from eqviz.dash.representations import catalogue
from eqviz.dash.representations.elements import MIXED, Drawn, draw_elements, draw_flow
from eqviz.dash.representations.repeat import orbit_code
from eqviz.dash.session import Session
from eqviz.dash.widgets import Player
from eqviz.errors import ConfigError, EqvizError
from eqviz.groups.affine import AffineGroup
from eqviz.groups.base import Group, Irrep, Representation
from eqviz.groups.orbits import component_names, is_bounded, start_vector, vector_form
from eqviz.groups.unitary import SpecialUnitaryGroup, UnitaryIrrep
from eqviz.plots import orbits

MAX_SLIDERS = 24
_STEP = 0.1  # rad or rapidity, of the player
_FRAME_SECONDS = 0.3


class Turning:
    """Sliders and the two cards; ``body`` is put on the page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.components = card("A vector while parameters are turned", "orbit-components", repeat=" ")
        self.path = card("Its orbit", "orbit-path", repeat=" ")
        self.matrix = card("The element as a matrix", "element-matrix", repeat=" ")
        small: dict[str, Any] = {"size": "small", "margin": (4, 8)}
        self.which = pmui.Select(label="vector of", width=200, **small)
        self.start = pmui.Select(label="start at", width=130, **small)
        self.reset = pmui.Button(label="All to zero", variant="text", **small)
        self.player = Player(self._advance, _FRAME_SECONDS, margin=(4, 8))
        self.sliders: list[Any] = []
        self._knobs = pn.FlexBox(sizing_mode="stretch_width", margin=0, gap="0 14px")
        self._problem = pn.Column(sizing_mode="stretch_width", margin=0)
        self._cards = row_of(self.components, self.path)
        self._chooser = pn.Row(self.which, self.start, self.reset, self.player.button, margin=0)
        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": 0}
        self.body = pn.Column(self._chooser, self._knobs, self._problem, self._cards, **wide)
        self._models: dict[str, Any] = {}
        self._shape: tuple[Any, ...] = ()
        self._group = ""
        self._quiet = False
        self._last = 0
        self._soon = Latest(self._turned)
        self.which.param.watch(self._chosen, "value")
        self.start.param.watch(lambda _: self._move(self._last), "value")
        self.reset.on_click(lambda _: self._to_zero())

    def show(self) -> None:
        """Follow the session's group and irreps; draws everything anew."""
        session = self.session
        found = catalogue.symmetry(session.symmetry)
        self._chooser.visible = isinstance(found, Group)
        if not isinstance(found, Group):
            self._refuse(
                f"No matrices of {session.symmetry} are written down: its irreps are known by their weights. "
                "Orbits can be followed for SU(N), rotations, the Lorentz group, products, finite groups."
            )
            return
        self._quiet = True
        try:
            default = session.vector if not self._group else self.which.value
            if self._group != session.symmetry:
                if self._group:  # what the address says belongs to the first group
                    session.param.update(turn=[], start="", vector="first")
                    default = "first"
                self._group = session.symmetry
                self._make_sliders(found)
                if isinstance(found, AffineGroup):  # translations move points, not irreps
                    default = "defining"
            names = {f"first irrep: {catalogue.irrep_name(self._group, session.first)}": "first"}
            names |= {f"second irrep: {catalogue.irrep_name(self._group, session.second)}": "second"}
            names |= {f"defining: {found.defining.name}": "defining"}
            self.which.options = names
            self.which.value = default if default in names.values() else "first"
            self._offer_starts()
        finally:
            self._quiet = False
        self._shape = ()
        self._turned()

    def representation(self) -> Representation:
        """The representation whose vector is turned.

        Raises:
            EqvizError: no such irrep.
        """
        found = catalogue.symmetry(self._group)
        assert isinstance(found, Group)
        if self.which.value == "defining":
            if isinstance(found, SpecialUnitaryGroup):
                return found.irrep(1, *[0] * (found.n - 2))
            return found.defining
        chosen = catalogue.irrep(self._group, getattr(self.session, self.which.value))
        assert isinstance(chosen, Irrep)
        if chosen.dimension > orbits.MAX_ROWS:
            raise ConfigError(
                f"{chosen.name} has {chosen.dimension} components, more than {orbits.MAX_ROWS} to follow"
            )
        return vector_form(chosen)

    def coefficients(self) -> list[float]:
        """The sliders' values, zero for generators beyond the last slider."""
        found = catalogue.symmetry(self._group)
        assert isinstance(found, Group)
        values = [float(slider.value) for slider in self.sliders]
        return values + [0.0] * (found.algebra_dimension - len(values))

    def _make_sliders(self, found: Group) -> None:
        style: dict[str, Any] = {"width": 150, "size": "small", "margin": (2, 6)}
        if not found.algebra_dimension:
            last = int(found.order or 1) - 1
            self.sliders = [pmui.IntSlider(label="element", start=0, end=last, value=min(1, last), **style)]
        else:
            names = found.generator_names
            first = next((name for name in ("Kz", "Jy") if name in names), names[0])
            self.sliders = []
            for i, name in enumerate(found.generator_names[:MAX_SLIDERS]):
                turns = found.compact or is_bounded(found, np.eye(found.algebra_dimension)[i])
                end = 3.14 if turns else 2.0
                value = 1.0 if name == first else 0.0
                slider = pmui.FloatSlider(label=name, start=-end, end=end, step=0.02, value=value, **style)
                self.sliders.append(slider)
        if len(self.session.turn) == len(self.sliders):
            for slider, value in zip(self.sliders, self.session.turn):
                slider.value = type(slider.value)(min(max(value, slider.start), slider.end))
        for place, slider in enumerate(self.sliders):
            slider.param.watch(lambda _, place=place: self._move(place), "value")
        self._last = next((i for i, slider in enumerate(self.sliders) if slider.value), 0)
        self._knobs[:] = self.sliders

    def _offer_starts(self) -> None:
        try:
            representation = self.representation()
        except EqvizError:
            return
        names = component_names(representation)
        options = [*names, MIXED] if len(names) > 1 else names
        if self.start.options != options:
            self.start.options = options
            self.start.value = self.session.start if self.session.start in options else names[0]

    def _chosen(self, event: Any) -> None:
        if not self._quiet:
            self._quiet = True
            try:
                self._offer_starts()
            finally:
                self._quiet = False
            self._move(self._last)

    def _to_zero(self) -> None:
        self._quiet = True
        for slider in self.sliders:
            slider.value = type(slider.value)(0)
        self._quiet = False
        self._soon()

    def _move(self, place: int) -> None:
        if not self._quiet:
            self._last = place
            self._soon()

    def stop(self) -> None:
        """End the player."""
        self.player.stop()

    def _advance(self) -> None:
        """One step of the slider that was moved last, from its end back to its start."""
        if self.sliders and self._knobs.visible:
            slider = self.sliders[self._last]
            step = slider.step if isinstance(slider.value, int) else _STEP
            value = slider.value + step
            slider.value = slider.start if value > slider.end + 1e-9 else value

    def _turned(self) -> None:
        if not self._group:
            return
        try:
            representation = self.representation()
            start = start_vector(representation, self.start.value)
            if representation.group.algebra_dimension:
                drawn, element = draw_flow(representation, self.coefficients(), start), ""
            else:
                drawn, element = draw_elements(representation, int(self.sliders[0].value), start)
        except EqvizError as error:
            self._refuse(str(error))
            return
        if self._problem.objects:
            self._problem[:] = []
        self._cards.visible = self._knobs.visible = True
        shape = (representation.name, drawn.y.shape[1], element == "", drawn.background is None)
        if shape != self._shape or self.session.dark != self._models.get("dark"):
            self._shape = shape
            self._draw(drawn, element == "")
        else:
            orbits.replace_components(self._models["components"], drawn.x, drawn.y, drawn.at)
            labels = None if isinstance(representation, UnitaryIrrep) else drawn.axes
            orbits.replace_path(self._models["path"], drawn.path, drawn.here, labels, drawn.background)
            orbits.replace_matrix(self._models["matrix"], drawn.matrix)
        self._tell(representation, drawn, element)
        values = [round(slider.value, 4) for slider in self.sliders]
        self.session.param.update(vector=self.which.value, start=self.start.value, turn=values)

    def _draw(self, drawn: Drawn, continuous: bool) -> None:
        dark, group = self.session.dark, catalogue.symmetry(self._group).name
        squares = np.iscomplexobj(drawn.matrix) and len(drawn.matrix) > 1
        figure = orbits.components_over(
            drawn.x, drawn.y, drawn.names, drawn.at, symmetry=group, discrete=not continuous, dark=dark,
            xlabel="s along the sliders' direction [rad; rapidity]" if continuous else "element",
            ylabel="|component|²" if squares else "component",
        )  # fmt: skip
        self._models["components"] = update(self.components, figure, "", "")
        x, y = catalogue.ticks(drawn.axes, float(np.abs(drawn.path).max()) + 0.5)
        plane = orbits.path(
            drawn.path, drawn.here, symmetry=group, background=drawn.background, closed=continuous,
            ring=drawn.axes[0] == "mean Jx",
            xlabel=drawn.axes[0], ylabel=drawn.axes[1], xticks=x, yticks=y, dark=dark,
        )  # fmt: skip
        self._models["path"] = update(self.path, plane, "", "")
        names = component_names(self.representation())
        square = orbits.element_matrix(drawn.matrix, names, dark=dark)
        self._models["matrix"] = update(self.matrix, square, "", "")
        self._models["dark"] = dark

    def _tell(self, representation: Representation, drawn: Drawn, element: str) -> None:
        group, values = representation.group, [round(float(slider.value), 4) for slider in self.sliders]
        which = f"{representation.name} of {group.name}"
        code = orbit_code(self._group, self._text(), values, str(self.start.value))
        if element:
            text = f"{which}: images of {self.start.value} under all {group.order} elements"
            text += f"; the mark is {element}; {drawn.kept}."
            square = f"{element} in {which}"
            axes = " and ".join(filter(None, drawn.axes))
            plane = f"The same orbit in the plane of {axes}; the dot is {element}."
        else:
            text = f"{which}: {self.start.value} moved by exp(s n·X) without i, n along the sliders"
            text += f"; the mark is exp(c·X) with |c| = {drawn.at:.3g}; {drawn.kept}."
            if len(self.sliders) < group.algebra_dimension:
                text = text[:-1] + f"; generators beyond {group.generator_names[MAX_SLIDERS - 1]} stay at 0."
            square = f"exp(c·X) in {which}"
            plane = "The one-parameter orbit"
            plane += " of the mean charges" if "mean" in drawn.axes[0] else ""
            plane += f" in the plane of {' and '.join(filter(None, drawn.axes))}"
            plane += "; the dot is the vector moved by exp(c·X)."
        self.components.param.update(caption=text, repeat=code)
        self.path.param.update(caption=plane, repeat=code)
        square += ", moduli of its entries." if np.iscomplexobj(drawn.matrix) else ", its entries."
        self.matrix.param.update(caption=square, repeat=code)

    def _text(self) -> str:
        which = str(self.which.value)
        return "" if which == "defining" else str(getattr(self.session, which))

    def _refuse(self, text: str) -> None:
        self._problem[:] = [notice(text, "info")]
        put(self.matrix, text)
        self._cards.visible = self._knobs.visible = False
