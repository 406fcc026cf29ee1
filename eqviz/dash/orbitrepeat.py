"""How to repeat what the Orbits tab shows: a few lines of Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eqviz.dash.repeat import _fill

if TYPE_CHECKING:
    from eqviz.dash.orbitquestions import FieldQuestion, OrbitQuestion, Subject
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
from eqviz.dash.orbitframes import image_frames
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
