"""The Orbits tab for networks on images: pictures of one element, and the whole orbit beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
from numpy.typing import NDArray

from eqviz.dash.cards import card, put, row_of, update
from eqviz.dash.orbits.frames import answer_track
from eqviz.dash.orbits.pictures import Picture, field_scale, image_limits
from eqviz.dash.orbits.questions import (
    FieldQuestion,
    MultiplesQuestion,
    OrbitQuestion,
    Subject,
    n_fields,
)
from eqviz.dash.orbits.repeat import image_code, image_orbit_code
from eqviz.dash.questions import Answers, Asked
from eqviz.dash.session import Session
from eqviz.evaluation import orbits
from eqviz.evaluation.image_orbit import ImageOrbit, principal_plane
from eqviz.evaluation.orbits import MovedField, Multiples
from eqviz.evaluation.plane import Motion, move_image
from eqviz.plots import live, orbitcurves

Array = NDArray[np.float64]
WAIT = "Computing …"


class ImagePage:
    """Cards of the image half; ``body`` is put on the page."""

    def __init__(self, session: Session, answers: Answers) -> None:
        self.session, self._answers = session, answers
        self._still = Picture(card("x: the image", "orbit-x"))
        self._moved = Picture(card("g·x: the image moved", "orbit-gx"))
        self._after = Picture(card("f(g·x)", "orbit-f-gx"))
        self._law = Picture(card("ρ(g) f(x)", "orbit-rho-f"))
        self._gap = Picture(card("Their difference", "orbit-difference"))
        self._errors = card("Error of every layer", "orbit-errors")
        self._answer = card("Answers along the orbit", "orbit-answers")
        self._path = card("Path of the layer", "orbit-path-layer")
        self._flat = card("Path of invariants", "orbit-path-invariants")
        self._many = card("The orbit side by side", "orbit-multiples", styles={"flex": "2 1 720px"})
        self._models: dict[str, Any] = {}
        self._drawn: dict[str, Any] = {}
        self.subject: Subject | None = None
        self.field: FieldQuestion | None = None
        self.orbit: OrbitQuestion | None = None
        self.multiples: MultiplesQuestion | None = None
        self.body = pn.Column(
            row_of(self._still.card, self._moved.card, self._path, basis="1 1 320px"),
            row_of(self._after.card, self._law.card, self._gap.card, basis="1 1 320px"),
            row_of(self._answer, self._errors),
            row_of(self._flat, self._many, basis="1 1 320px"),
            sizing_mode="stretch_width",
            margin=0,
        )

    def choose(self, subject: Subject) -> tuple[list[str], str, list[str], int]:
        """Layers, the chosen one, its fields, the chosen one: what the address asks for, where it exists."""
        layers = list(subject.laws)
        wanted = self.session.orbit_layer
        layer = wanted if wanted in layers else layers[min(1, len(layers) - 1)]
        fields = n_fields(subject, layer)
        return layers, layer, fields, min(self.session.orbit_field, len(fields) - 1)

    def ask(self, subject: Subject, layer: str, field: int) -> list[Asked]:
        """Note what is asked for; returns what is not known yet, the most urgent first."""
        session, self.subject = self.session, subject
        reach = max(1, subject.image.shape[-1] // 4)
        shift = tuple(float(max(-reach, min(reach, by))) for by in (session.shift_eta, session.shift_phi))
        motion = Motion(float(np.radians(session.angle % 360.0)), session.mirrored, (shift[0], shift[1]))
        kept = {"angle": Motion(0.0, motion.mirrored, motion.shift),
                "eta": Motion(motion.angle, motion.mirrored, (0.0, motion.shift[1])),
                "phi": Motion(motion.angle, motion.mirrored, (motion.shift[0], 0.0))}  # fmt: skip
        self.field = FieldQuestion(subject, motion, layer, field)
        self.orbit = OrbitQuestion(subject, session.along, kept[session.along])  # type: ignore[arg-type]
        self.multiples = MultiplesQuestion(subject, layer, field)
        asked: tuple[Asked, ...] = (self.field, self.orbit, self.multiples)
        return [question for question in asked if self._answers.at_once(question) is None]

    def show(self) -> None:
        """Draw what is known."""
        assert self.field is not None and self.subject is not None
        self._show_images(self.subject, self.field)
        self._show_field(self.subject, self.field)
        self._show_orbit()
        self._show_multiples()

    # -- one element --------------------------------------------------------------------------------------

    def _show_images(self, subject: Subject, question: FieldQuestion) -> None:
        code, dark = self._code(), self.session.dark
        still, moved = subject.image, move_image(subject.image, question.motion)
        pixels = [x.sum(1)[0].double().numpy() for x in (still, moved)]
        limits = image_limits(pixels[0])
        for picture, image in zip((self._still, self._moved), pixels):
            picture.image(image, subject.pixel, limits, subject.unit, dark, code)
        size, of = still.shape[-1], " of all channels added" if still.shape[1] > 1 else ""
        unit = "as shares of the jet's pT"
        if subject.unit != "share of pT":
            unit = f"as the network sees them, in {subject.unit}"
        text = f"Jet {subject.row}: {size} × {size} pixels{of}, {unit}; rows along η, columns along φ."
        self._still.card.caption = text
        note = "" if question.motion.on_grid else " Pixels are interpolated (bicubic)."
        self._moved.card.caption = f"g = {question.motion}.{note}"

    def _show_field(self, subject: Subject, question: FieldQuestion) -> None:
        found, cards = self._answers.get(question), (self._after, self._law, self._gap)
        if not isinstance(found, MovedField):
            for picture in cards:
                picture.forget()
                put(picture.card, str(found) if found else WAIT)
            return
        code, dark, symmetry = self._code(), self.session.dark, self._symmetry()
        pixel = subject.pixel * max(1, round(subject.image.shape[-1] / found.inside.shape[-1]))
        scale = field_scale(found)
        self._after.field(found.after, pixel, scale, symmetry, dark, code)
        self._law.field(found.moved, pixel, scale, symmetry, dark, code)
        self._gap.gap(found, pixel, dark, code)
        self._tell(found, question)

    def _tell(self, found: MovedField, question: FieldQuestion) -> None:
        what = f"{found.layer[:1].upper()}{found.layer[1:]}, field {found.field}, of {found.law}"
        self._after.card.caption = f"Moved, then computed. {what}{_reading(found)}."
        if found.lengths:
            why = f"{self._symmetry()} has no such element: the field's length is compared"
        elif not orbits.declares_law(question.subject.laws.values()):
            why = "This network declares no representation: its channels are taken as scalars"
        else:
            why = "Pixels moved and the field turned by its declared representation"
        self._law.card.caption = f"Computed, then moved. {why}."
        count = len(n_fields(question.subject, question.layer))
        part = "" if found.inside.all() else " inside the pixels that are known"
        self._gap.card.caption = (
            f"|f(gx) − ρ(g)f(x)| / |ρ(g)f(x)| (root mean square{part}): {found.error:.2g} for this field, "
            f"{found.layer_error:.2g} for all {count} of the layer."
        )

    # -- the orbit ----------------------------------------------------------------------------------------

    def _show_orbit(self) -> None:
        assert self.orbit is not None and self.field is not None
        found, cards = self._answers.get(self.orbit), (self._errors, self._answer, self._path, self._flat)
        if not isinstance(found, ImageOrbit):
            self._drawn.pop("orbit", None)
            self._drawn.pop("path", None)
            for one in cards:
                put(one, str(found) if found else WAIT)
            return
        dark, here = self.session.dark, self._position(found)
        key = (self.orbit, dark)
        if self._drawn.get("orbit") != key:
            self._drawn.pop("path", None)
            self._draw_curves(found, here)
            self._drawn["orbit"] = key
        else:
            for name in ("errors", "answer"):
                live.move_mark(self._models[name], here)
        layer = self.field.layer
        planes = {"path": found.means[layer], "flat": found.invariants}
        nearest = int(np.argmin(np.abs(answer_track(found)[0] - here)))
        if self._drawn.get("path") != (*key, layer):
            self._drawn["path"] = (*key, layer)
            for name, values in planes.items():
                self._draw_path(name, values, found, nearest)
        else:
            for name, values in planes.items():
                orbitcurves.replace_here(self._models[name], principal_plane(values)[0][nearest])

    def _draw_curves(self, found: ImageOrbit, here: float) -> None:
        assert self.orbit is not None
        at, curves, xlabel, ylabel = answer_track(found)
        dark, symmetry, code = self.session.dark, self._symmetry(), self._orbit_code()
        look: dict[str, Any] = {"mark": here, "xlabel": xlabel, "symmetry": symmetry, "dark": dark}
        figure = orbitcurves.answers_along(at, curves, own=found.own, ylabel=ylabel, **look)
        own = " Dots: elements of its own group that map pixels onto pixels." if found.own.any() else ""
        text = (
            f"Jet {self.orbit.subject.row}, {len(at)} elements: change of Y = logit 1 − logit 0 and of the "
        )
        text += f"{len(curves) - 1} largest invariant features, in units of their size at g = 1.{own}"
        self._models["answer"] = update(self._answer, figure, text, code)
        layers = {name: values for name, values in found.lengths.items() if name != "image"}
        known = {name: _dots(found, name) for name in layers}
        figure = orbitcurves.errors_along(
            at, layers, exact=known, baseline=found.there_and_back, dtype=self.orbit.subject.dtype, **look
        )
        text = f"Jet {self.orbit.subject.row}, {len(at)} elements, {self.orbit.subject.dtype}: error of the "
        text += (
            "fields' lengths; dots: of the fields, where the group has the element. Dashed: the image moved "
        )
        text += "and moved back, which interpolation alone changes; dash-dotted: one rounding step."
        self._models["errors"] = update(self._errors, figure, text, code)

    def _draw_path(self, name: str, values: Array, found: ImageOrbit, nearest: int) -> None:
        points, shares = principal_plane(values)
        target = self._path if name == "path" else self._flat
        figure = orbitcurves.trajectory(
            points, nearest, start=found.start, own=found.own, closed=found.along == "angle",
            shares=shares.tolist(), symmetry=self._symmetry(), dark=self.session.dark,
        )  # fmt: skip
        assert self.field is not None
        layer = self.field.layer
        what = "What the head sees"
        if name == "path":
            what = f"{layer[:1].upper()}{layer[1:]}, averaged over the image"
        text = (
            f"{what}: {values.shape[1]} numbers in their first two principal components, in units of their "
        )
        text += "size; the ring is the start, the full dot is g"
        text += ", the path of a full turn is closed." if found.along == "angle" else "."
        self._models[name] = update(target, figure, text, self._orbit_code())

    def _show_multiples(self) -> None:
        assert self.multiples is not None
        found, key = self._answers.get(self.multiples), (self.multiples, self.session.dark)
        if not isinstance(found, Multiples):
            self._drawn.pop("many", None)
            put(self._many, str(found) if found else WAIT)
            return
        if self._drawn.get("many") == key:
            return
        self._drawn["many"] = key
        labels = [_short(motion) for motion in found.motions]
        rows = {"g·x": found.images, "f(g·x)": found.fields, "moved back": found.back}
        figure = orbitcurves.small_multiples(rows, labels, symmetry=self._symmetry(), dark=self.session.dark)
        text = f"{len(labels)} elements; below each the length of {self.multiples.layer}'s field "
        text += f"{self.multiples.field + 1}, and the same moved back by the inverse element: all alike "
        text += "if the layer is equivariant."
        update(self._many, figure, text, self._code())

    # -- words --------------------------------------------------------------------------------------------

    def _position(self, found: ImageOrbit) -> float:
        assert self.field is not None
        motion = self.field.motion
        if found.along == "angle":
            return float(np.degrees(motion.angle))
        return motion.shift[0] if found.along == "eta" else motion.shift[1]

    def _symmetry(self) -> str:
        assert self.subject is not None
        return orbits.group_of(self.subject.model) or "none"

    def _code(self) -> str:
        assert self.field is not None
        return image_code(self.field, self.session.store.root)

    def _orbit_code(self) -> str:
        assert self.orbit is not None
        return image_orbit_code(self.orbit, self.session.store.root)

    def unknown(self) -> list[Asked]:
        """What is asked for and not computed yet, the most urgent first."""
        asked: tuple[Asked | None, ...] = (self.field, self.orbit, self.multiples)
        return [question for question in asked if question is not None and not self._answers.done(question)]


def _reading(found: MovedField) -> str:
    look = found.after.look
    if look == "vector":
        return ": arrows over the length"
    if look == "phase":
        k = found.after.frequency
        return f": colour is the phase, which a turn by α moves by {k}α, and fades with the amplitude"
    if look == "ring":
        two = "; the second ring belongs to reflections" if any(found.after.mirrored) else ""
        return f": one map for each of {len(found.after.places)} elements, the identity to the right{two}"
    return ": its length" if found.lengths else ""


def _dots(found: ImageOrbit, layer: str) -> Array:
    """Errors under the declared law at the elements of a finite group, or at quarter turns of SO(2)."""
    law = found.exact[layer]
    if np.isfinite(law).all() and found.along == "angle":
        quarter = np.abs(np.degrees(found.at) / 45 - np.rint(np.degrees(found.at) / 45)) < 1e-6
        return np.where(quarter, law, np.nan)
    return law


def _short(motion: Motion) -> str:
    text = f"{np.degrees(motion.angle):.4g}°"
    return f"{text}\nreflected" if motion.mirrored else text
