"""Animations of orbits: what is computed becomes the frames of :mod:`eqviz.plots.animate`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from eqviz.evaluation import orbits
from eqviz.evaluation.fieldviews import FieldView, mosaic
from eqviz.evaluation.image_orbit import ImageOrbit, moved_along
from eqviz.evaluation.plane import Motion, move_image
from eqviz.plots.animate import Frame, Panel, Track, phase_panel, save_orbit
from eqviz.plots.fields import FLOOR, gap_colours, relative_gap, sequential, signed_colours
from eqviz.plots.images import log_limits, ramp

Array = NDArray[np.float64]
GAP = 0.08  # between the maps of a ring, in units of their side


def image_frames(
    model: orbits.ImageNetwork,
    image: Tensor,
    scan: ImageOrbit,
    start: Motion,
    layer: str,
    field: int = 0,
    dark: bool = False,
) -> tuple[list[Frame], Track]:
    """One frame for every element of a scan: g x, f(g x), rho(g) f(x), their difference; and the answers."""
    limits = log_limits(image.sum(1)[0].double().numpy())
    symmetry, frames = orbits.group_of(model) or "none", []
    top = largest(orbits.moved_field(model, image, Motion(), layer, field).moved)
    motions = [moved_along(start, scan.along, value) for value in scan.at]  # type: ignore[arg-type]
    moves = [orbits.moved_field(model, image, motion, layer, field) for motion in motions]
    low = -top if any(is_signed(view) for found in moves for view in (found.after, found.moved)) else 0.0
    for value, motion, found in zip(scan.at, motions, moves):
        moved = move_image(image, motion).sum(1)[0].double().numpy()
        panels = [
            Panel("g·x", moved, ramp("pT", dark), limits, log=True),
            field_panel("f(g·x)", found.after, (low, top), symmetry, dark),
            field_panel("ρ(g) f(x)", found.moved, (low, top), symmetry, dark),
            gap_panel(found, dark),
        ]
        at = np.degrees(value) if scan.along == "angle" else value
        kind = "lengths of fields" if found.lengths else "fields"
        name = f"g = {motion}    {layer}, {kind}: |f(gx) − ρ(g)f(x)| / |f| = {found.layer_error:.1e}"
        frames.append(Frame(name, panels, float(at)))
    return frames, Track(*answer_track(scan))


def image_animation(
    model: orbits.ImageNetwork,
    image: Tensor,
    scan: ImageOrbit,
    start: Motion,
    layer: str,
    field: int,
    *,
    suffix: str = ".gif",
    dark: bool = False,
) -> bytes:
    """The animation of an orbit as the content of a file."""
    frames, track = image_frames(model, image, scan, start, layer, field, dark)
    return encoded(frames, track, suffix, dark)


def encoded(frames: list[Frame], track: Track | None, suffix: str, dark: bool) -> bytes:
    """Frames as the content of a GIF or MP4 file."""
    with TemporaryDirectory() as folder:
        path = save_orbit(Path(folder) / f"orbit{suffix}", frames, track, dark=dark, seconds=6.0)
        return path.read_bytes()


def answer_track(scan: Any) -> tuple[Array, dict[str, Any], str, str]:
    """Positions, curves and labels of the answers along an orbit."""
    at = np.degrees(scan.at) if scan.along == "angle" else scan.at
    label = "angle [°]" if scan.along == "angle" else f"shift along {scan.along} [pixels]"
    return at, answer_curves(scan.logits, scan.invariants, scan.start), label, "change / size at g = 1"


def answer_curves(logits: Array, invariants: Array, start: int = 0, most: int = 6) -> dict[str, Array]:
    """Changes of the answer and of the largest invariant features, in units of their size at ``start``.

    The answer of two classes is Y = logit 1 - logit 0; its size is that of the logits, which does not vanish
    where the network is undecided. The size of the features is that of the largest.
    """
    size = float(np.abs(logits[start]).max()) or 1.0
    curves = {}
    if logits.shape[1] == 2:
        y = logits[:, 1] - logits[:, 0]
        curves["answer Y"] = (y - y[start]) / max(size, abs(float(y[start])))
    else:
        moved = (logits - logits[start]) / size
        curves |= {f"logit {k}": moved[:, k] for k in range(logits.shape[1])}
    sizes = np.abs(invariants[start]) if invariants.size else np.zeros(0)
    for k in np.argsort(-sizes, kind="stable")[:most]:
        if sizes.max() > 0:
            curves[f"invariant {k + 1}"] = (invariants[:, k] - invariants[start, k]) / sizes.max()
    return curves


def largest(view: FieldView) -> float:
    """The end of a field's colour scale."""
    values = np.abs(view.values) if view.look == "ring" else np.abs(view.length)
    return float(values.max()) or 1.0


def is_signed(view: FieldView) -> bool:
    """Whether a field has both signs, so that zero is the middle of its colours."""
    return view.look in ("scalar", "ring") and bool(view.values.min() < 0)


def field_panel(title: str, view: FieldView, scale: tuple[float, float], symmetry: str, dark: bool) -> Panel:
    """One field as a panel of an animation, on a colour scale with these ends."""
    if view.look == "phase":
        return phase_panel(title, view.values, scale[1], dark)
    colours = signed_colours(dark) if scale[0] < 0 else field_colours(view, symmetry, dark)
    arrows = view.values if view.look == "vector" else None
    return Panel(title, mosaic(view, GAP), colours, scale, arrows=arrows)


def field_colours(view: FieldView, symmetry: str, dark: bool) -> list[str]:
    """Colours of a field without negative values."""
    if view.look == "scalar":
        return sequential("SO+(1,3)", dark)
    return sequential("SO(2)" if view.look == "vector" else symmetry, dark)


def gap_panel(found: orbits.MovedField, dark: bool) -> Panel:
    """The difference as a panel."""
    return Panel("difference", gap_image(found), gap_colours(dark), (FLOOR, 1.0), log=True)


def gap_image(found: orbits.MovedField) -> Array:
    """The difference as :func:`eqviz.plots.fields.gap_field` shows it; NaN where nothing is compared."""
    hidden = FieldView(found.gap.look, np.where(found.inside, found.gap.values, np.nan), 0,
                       found.gap.places, found.gap.mirrored)  # fmt: skip
    return relative_gap(mosaic(hidden, GAP), largest(found.moved))
