"""How to repeat what the Orbits tab shows: a few lines of Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eqviz.dash.repeat import _fill
from eqviz.evaluation.jet_orbits import Move

if TYPE_CHECKING:
    from eqviz.dash.orbits.jetquestions import JetOrbitQuestion, JetSubject
    from eqviz.dash.orbits.questions import FieldQuestion, OrbitQuestion, Subject
    from eqviz.evaluation.plane import Motion

_IMAGE = """\
import numpy as np
from eqviz.data import $loader
from eqviz.evaluation.orbits import moved_field
from eqviz.evaluation.plane import Motion
from eqviz.evaluation.store import RunStore

model = RunStore($root).get($run).model().to($dtype)
image = model.images($loader($data, "test").batch.select([$row]))
"""
_FIELD = """\
g = Motion(np.radians($degrees), mirrored=$mirrored, shift=$shift)
found = moved_field(model, image, g, $layer, $field)
print(found.field, found.error, found.layer_error)  # found.after, found.moved, found.gap hold the maps
"""
_ORBIT = """\
from eqviz.evaluation.image_orbit import image_orbit
from eqviz.dash.orbits.frames import image_frames
from eqviz.plots.animate import save_orbit

start = Motion(np.radians($degrees), mirrored=$mirrored, shift=$shift)
scan = image_orbit(model, image, along=$along, start=start)
print(scan.logits, {name: errors.max() for name, errors in scan.lengths.items()})
save_orbit("orbit.gif", *image_frames(model, image, scan, start, "layer 1"))
"""


def image_code(question: FieldQuestion, root: Path | str) -> str:
    """Python that compares f(g x) with rho(g) f(x) for one field."""
    return _head(question.subject, question.motion, root, _FIELD, layer=question.layer, field=question.field)


def image_orbit_code(question: OrbitQuestion, root: Path | str) -> str:
    """Python that follows a network along an orbit and animates it."""
    return _head(question.subject, question.start, root, _ORBIT, along=question.along)


def _head(subject: Subject, motion: Motion, root: Path | str, body: str, **more: object) -> str:
    data = subject.run.config.get("data", {})
    text = _fill(
        (_IMAGE + body).replace("$loader", "load_images" if data.get("images") else "load").replace(
            ".to($dtype)", f".{'double' if subject.dtype == 'float64' else 'float'}()"
        ),
        root=str(root), run=subject.run.id, data=str(data.get("name", "")), row=subject.row,
        degrees=float(round(motion.angle * 57.29577951308232, 9)), mirrored=motion.mirrored,
        shift=motion.shift, **more,
    )  # fmt: skip
    return text


_JET = """\
from eqviz.data import load
from eqviz.evaluation.jet_orbits import Move, compare_nodes, jet_orbit, moved_jet, plain_layers, still_jet
from eqviz.evaluation.store import RunStore

model = RunStore($root).get($run).model()
jet = load($data, "test").batch.select([$row])
g = Move($kind, $axis, $amount)
"""
_NODES = """\
before, after = plain_layers(model, still_jet(jet)), plain_layers(model, moved_jet(jet, g))
found = compare_nodes(before, after, jet, g, $layer, $feature)
print(found.feature, found.error, found.layer_error)
"""
_JET_ORBIT = """\
from eqviz.dash.orbits.jetframes import jet_frames
from eqviz.plots.animate import save_orbit

scan = jet_orbit(model, jet, g.kind, g.axis, dtype=$dtype, stable=$stable)
print(scan.logits, {name: errors.max() for name, errors in scan.errors.items()})
save_orbit("orbit.gif", *jet_frames(model, jet, scan, $layer))
"""


def jet_code(subject: JetSubject, move: Move, layer: str, feature: int, root: Path | str) -> str:
    """Python that moves a jet and compares the features of its constituents."""
    body = _NODES if layer else "print(moved_jet(jet, g).p4)\n"
    return _jet(subject, move, root, body, layer=layer, feature=feature)


def jet_orbit_code(question: JetOrbitQuestion, layer: str, root: Path | str) -> str:
    """Python that follows a network along the orbit of a jet and animates it."""
    subject, start = question.subject, 1.0 if question.kind == "boost" else 0.0
    move = Move(question.kind, question.axis, start)
    more = {"layer": layer, "dtype": subject.dtype, "stable": subject.stable}
    return _jet(subject, move, root, _JET_ORBIT, **more)


def _jet(subject: JetSubject, move: Move, root: Path | str, body: str, **more: object) -> str:
    data = str(subject.run.config.get("data", {}).get("name", ""))
    return _fill(
        _JET + body, root=str(root), run=subject.run.id, data=data, row=subject.row, kind=move.kind,
        axis=move.axis, amount=move.amount, **more,
    )  # fmt: skip
