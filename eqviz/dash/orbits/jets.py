"""The Orbits tab for networks of particles: a jet boosted, rotated or reordered, and the whole orbit."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
from numpy.typing import NDArray

from eqviz.dash import library
from eqviz.dash.cards import card, put, row_of, update
from eqviz.dash.components import FigureCard
from eqviz.dash.orbits.jetframes import jet_track
from eqviz.dash.orbits.jetpictures import NodePicture, momenta_csv, plane_of
from eqviz.dash.orbits.jetquestions import JetOrbitQuestion, JetSubject, NodeQuestion, layers_of
from eqviz.dash.orbits.repeat import jet_code, jet_orbit_code
from eqviz.dash.questions import Answers, Asked
from eqviz.dash.session import Session, nearest_gamma
from eqviz.evaluation.image_orbit import principal_plane
from eqviz.evaluation.jet_orbits import JetOrbit, Move, MovedNodes, moved_jet, still_jet
from eqviz.plots import captions, jets, live, nodes, orbitcurves

Array = NDArray[np.float64]
WAIT = "Computing …"
GAMMAS: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 100.0, 1e3, 1e4)


class JetPage:
    """Cards of the half for particles; ``body`` is put on the page."""

    def __init__(self, session: Session, answers: Answers) -> None:
        self.session, self._answers = session, answers
        self._still, self._moved = card("x: the jet", "orbit-x"), card("g·x: the jet moved", "orbit-gx")
        self._after = NodePicture(card("f(g·x)", "orbit-f-gx"))
        self._law = NodePicture(card("ρ(g) f(x)", "orbit-rho-f"))
        self._gap = NodePicture(card("Their difference", "orbit-difference"))
        self._answer = card("Answers along the orbit", "orbit-answers")
        self._errors = card("Error of every layer", "orbit-errors")
        self._path = card("Path of the layer", "orbit-path-layer")
        self._flat = card("Path of invariants", "orbit-path-invariants")
        self._many = card("The orbit side by side", "orbit-multiples", styles={"flex": "2 1 720px"})
        self._models: dict[str, Any] = {}
        self._drawn: dict[str, Any] = {}
        self.subject: JetSubject | None = None
        self.field: NodeQuestion | None = None
        self.orbit: JetOrbitQuestion | None = None
        self.move = Move()
        self._fields = row_of(self._after.card, self._law.card, self._gap.card, basis="1 1 320px")
        self.body = pn.Column(
            row_of(self._still, self._moved, self._path, basis="1 1 320px"),
            self._fields,
            row_of(self._answer, self._errors),
            row_of(self._flat, self._many, basis="1 1 320px"),
            sizing_mode="stretch_width",
            margin=0,
        )

    def choose(self, subject: JetSubject) -> tuple[list[str], str, list[str], int]:
        """Layers, the chosen one, its features, the chosen one: what the address asks for, if it exists."""
        found = {layer.name: layer for layer in layers_of(subject)}
        if not found:
            return [], "", [], 0
        wanted = self.session.orbit_layer
        layer = wanted if wanted in found else list(found)[-1]
        features = found[layer].features
        return list(found), layer, features, min(self.session.orbit_field, len(features) - 1)

    def ask(self, subject: JetSubject, layer: str, feature: int) -> list[Asked]:
        """Note what is asked for; returns what is not known yet, the most urgent first."""
        session, self.subject = self.session, subject
        amounts = {"boost": nearest_gamma(session.gamma), "rotation": float(np.radians(session.angle)),
                   "permutation": float(session.shuffle)}  # fmt: skip
        axis = "z" if session.move == "permutation" else session.axis
        self.move = Move(session.move, axis, amounts[session.move])  # type: ignore[arg-type]
        self.field = NodeQuestion(subject, self.move, layer, feature) if layer else None
        self.orbit = JetOrbitQuestion(subject, self.move.kind, axis)
        asked: list[Asked] = [self.orbit] if self.field is None else [self.field, self.orbit]
        return [question for question in asked if self._answers.at_once(question) is None]

    def unknown(self) -> list[Asked]:
        """What is asked for and not computed yet, the most urgent first."""
        asked: tuple[Asked | None, ...] = (self.field, self.orbit)
        return [question for question in asked if question is not None and not self._answers.done(question)]

    def show(self) -> None:
        """Draw what is known."""
        assert self.subject is not None
        batch, dark = self.subject.batch, self.session.dark
        before, after = still_jet(batch).p4.numpy(), moved_jet(batch, self.move).p4.numpy()
        self._event("still", self._still, before)
        self._event("moved", self._moved, after)
        self._still.caption = captions.event(self.subject.row, jets.jet_summary(before))
        total = jets.jet_summary(after)
        self._moved.caption = f"g = {self.move}: pT {total['pt']:,.4g} GeV, η {total['eta']:.3g}, mass "
        self._moved.caption += f"{total['mass']:.4g} GeV; reference vectors are moved along."
        if self._fields.visible != (self.field is not None):
            self._fields.visible = self.field is not None
        if self.field is not None:
            self._show_field(self.field)
        else:
            for picture in (self._after, self._law, self._gap):
                picture.forget()
                put(picture.card, f"{self.subject.run.id} keeps no features of single constituents.")
        self._show_orbit()
        self._show_multiples(batch, dark)

    # -- one element --------------------------------------------------------------------------------------

    def _event(self, name: str, target: FigureCard, p4: Array) -> None:
        if self._drawn.get(name) != self.session.dark:
            self._drawn[name] = self.session.dark
            figure = jets.event_display(
                p4, dark=self.session.dark, title="", frame_width=250, frame_height=250
            )
            self._models[name] = update(target, figure, "", self._code())
        else:
            live.replace_event(self._models[name], p4)
            target.repeat = self._code()
        target.csv_from(lambda: momenta_csv(p4))

    def _show_field(self, question: NodeQuestion) -> None:
        found, pictures = self._answers.get(question), (self._after, self._law, self._gap)
        if not isinstance(found, MovedNodes):
            for picture in pictures:
                picture.forget()
                put(picture.card, str(found) if found else WAIT)
            return
        dark, code, symmetry = self.session.dark, self._code(), self._symmetry()
        plane = plane_of(self.move.axis, "lorentz" in self._model_name())
        for picture, values in ((self._after, found.after), (self._law, found.moved)):
            picture.show(found, values, plane, symmetry, dark, code)
        self._gap.gap(found, dark, code)
        what = f"{found.layer[:1].upper()}{found.layer[1:]}, {found.feature} of {len(found.gap)} constituents"
        if found.kind == "vector":
            what += f": arrows from the origin, {plane[1][1]} against {plane[1][0]}"
        law = {"scalar": "scalars stay", "vector": "four-vectors are moved by g"}[found.kind]
        if self.move.kind == "permutation":
            law = "features follow their constituents"
        elif not any(layer.vectors.size for layer in layers_of(question.subject)) and found.kind == "scalar":
            law = "taken as scalars, which they need not be" if symmetry in ("none", "S_n") else law
        self._after.card.caption = f"Moved, then computed. {what}."
        self._law.card.caption = f"Computed, then moved: {law}."
        self._gap.card.caption = (
            f"|f(gx) − ρ(g)f(x)| / |ρ(g)f(x)| (root mean square, float64 in the event's own frame): "
            f"{found.error:.2g} for this feature, {found.layer_error:.2g} for all such of the layer."
        )

    # -- the orbit ----------------------------------------------------------------------------------------

    def _show_orbit(self) -> None:
        assert self.orbit is not None
        found = self._answers.get(self.orbit)
        if not isinstance(found, JetOrbit):
            self._drawn.pop("orbit", None)
            for one in (self._errors, self._answer, self._path, self._flat):
                put(one, str(found) if found else WAIT)
            return
        at, curves, xlabel = jet_track(found)
        here, layer = self._position(), self.field.layer if self.field else ""
        key, nearest = (self.orbit, self.session.dark, layer), int(np.argmin(np.abs(at - here)))
        planes = {"path": found.means.get(layer), "flat": found.invariants}
        if self._drawn.get("orbit") == key:
            for name in ("answer", "errors"):
                if name in self._models:
                    live.move_mark(self._models[name], here)
            for name, values in planes.items():
                if values is not None and name in self._models:
                    orbitcurves.replace_here(self._models[name], principal_plane(values)[0][nearest])
            return
        self._drawn["orbit"] = key
        self._draw_curves(found, at, curves, xlabel, here)
        for name, values in planes.items():
            self._draw_path(name, values, nearest)

    def _draw_curves(self, found: JetOrbit, at: Array, curves: Any, xlabel: str, here: float) -> None:
        assert self.orbit is not None
        subject, code = self.orbit.subject, self._orbit_code()
        look: dict[str, Any] = {"mark": here, "xlabel": xlabel, "symmetry": self._symmetry()}
        look |= {"dark": self.session.dark}
        figure = orbitcurves.answers_along(at, curves, ylabel="change / size at g = 1", **look)
        where = f"Jet {subject.row}, {len(at)} elements"
        text = (
            f"{where}, {subject.dtype}, {'stable' if subject.stable else 'naive'} arithmetic: change of Y = "
        )
        text += f"logit 1 − logit 0 and of the {len(curves) - 1} largest invariant features, in units of "
        text += "their size at g = 1."
        self._models["answer"] = update(self._answer, figure, text, code)
        if not found.errors:
            self._models.pop("errors", None)
            put(self._errors, f"{subject.run.id} keeps no features of single constituents.")
            return
        figure = orbitcurves.errors_along(at, found.errors, dtype="float64", **look)
        text = (
            f"{where}: relative error of the node features under ρ(g), in float64 in the event's own frame, "
        )
        text += "without the canonical frame that protects the answers; dash-dotted: one rounding step."
        self._models["errors"] = update(self._errors, figure, text, code)

    def _draw_path(self, name: str, values: Array | None, nearest: int) -> None:
        target = self._path if name == "path" else self._flat
        if values is None or not values.size:
            self._models.pop(name, None)
            put(target, "This network keeps no such features.")
            return
        points, shares = principal_plane(values)
        figure = orbitcurves.trajectory(
            points, nearest, closed=self.move.kind == "rotation", shares=shares.tolist(),
            symmetry=self._symmetry(), dark=self.session.dark,
        )  # fmt: skip
        layer = self.field.layer if self.field else ""
        what = (
            f"{layer[:1].upper()}{layer[1:]}, averaged over constituents"
            if name == "path"
            else "What the head sees"
        )
        text = f"{what}: {values.shape[1]} numbers in their first two principal components, in units of "
        text += "their size; the ring is the start, the full dot is g."
        self._models[name] = update(target, figure, text, self._orbit_code())

    def _show_multiples(self, batch: Any, dark: bool) -> None:
        key = (self.subject, self.move.kind, self.move.axis, dark)
        if self._drawn.get("many") == key:
            return
        self._drawn["many"] = key
        kind = self.move.kind
        amounts = GAMMAS if kind == "boost" else tuple(map(float, range(7)))
        if kind == "rotation":
            amounts = tuple(float(np.radians(angle)) for angle in range(0, 315, 45))
        moves = [Move(kind, self.move.axis, float(amount)) for amount in amounts]
        events = [moved_jet(batch, move).p4.numpy() for move in moves]
        first = np.arange(len(batch.p4), dtype=np.float64) + 1
        labels = {"boost": "γ = {:,.0f}", "rotation": "{:.0f}°", "permutation": "order {:.0f}"}[kind]
        shown = np.degrees(amounts) if kind == "rotation" else amounts
        figure = nodes.event_strip(
            events, [first] * len(events), [labels.format(a) for a in shown], symmetry=self._symmetry(),
            dark=dark, tile=98,
        )  # fmt: skip
        text = (
            f"{len(events)} elements in η–φ, each in a window of the half width written below; colour is the "
        )
        text += "place of a constituent in the list, area its share of pT."
        update(self._many, figure, text, self._code())

    # -- words --------------------------------------------------------------------------------------------

    def _position(self) -> float:
        amount = self.move.amount
        if self.move.kind == "boost":
            return float(np.arccosh(amount))
        return float(np.degrees(amount)) if self.move.kind == "rotation" else amount

    def _model_name(self) -> str:
        return self.subject.run.model_name if self.subject else ""

    def _symmetry(self) -> str:
        assert self.subject is not None
        model = library.network(self.subject.run, True, self.subject.dtype)
        return str(model.symmetry)

    def _code(self) -> str:
        assert self.subject is not None
        layer, feature = (self.field.layer, self.field.feature) if self.field else ("", 0)
        return jet_code(self.subject, self.move, layer, feature, self.session.store.root)

    def _orbit_code(self) -> str:
        assert self.orbit is not None
        layer = self.field.layer if self.field else ""
        return jet_orbit_code(self.orbit, layer, self.session.store.root)
