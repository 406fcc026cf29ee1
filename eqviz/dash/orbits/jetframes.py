"""Animations of the orbit of a jet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from eqviz.dash.orbits.frames import answer_curves, encoded
from eqviz.data.jets import JetBatch
from eqviz.evaluation.jet_orbits import (
    JetOrbit,
    Move,
    MovedNodes,
    compare_nodes,
    moved_jet,
    plain_layers,
    still_jet,
)
from eqviz.plots.animate import Frame, Panel, Track
from eqviz.plots.fields import FLOOR, gap_colours, sequential, signed_colours
from eqviz.plots.jets import half_range
from eqviz.plots.nodes import node_columns

Array = NDArray[np.float64]


def jet_frames(
    model: nn.Module, batch: JetBatch, scan: JetOrbit, layer: str = "", feature: int = 0, dark: bool = False
) -> tuple[list[Frame], Track]:
    """One frame for every element of a scan: g x, f(g x), rho(g) f(x), their difference; and the answers.

    Without features of constituents (``layer`` empty) there is g x alone.
    """
    before = plain_layers(model, still_jet(batch)) if layer else []
    frames = []
    at, curves, label = jet_track(scan)
    for place, amount in zip(at, scan.at):
        move = Move(scan.kind, scan.axis, float(amount))  # type: ignore[arg-type]
        jet = moved_jet(batch, move)
        p4 = jet.p4.numpy()
        panels = [_points("g·x, colour: pT share", p4, _share(p4), 0.3, dark)]
        name = f"g = {move}"
        if before:
            found = compare_nodes(before, plain_layers(model, jet), batch, move, layer, feature)
            after, moved = (scalar_part(found, values) for values in (found.after, found.moved))
            top = max(float(np.abs(moved).max()), 1e-300)
            panels += [_points("f(g·x)", p4, after, top, dark), _points("ρ(g) f(x)", p4, moved, top, dark)]
            panels.append(_points("difference", p4, relative_nodes(found), 1.0, dark, log=True))
            name += f"    {layer}, {found.feature}: |f(gx) − ρ(g)f(x)| / |f| = {found.error:.1e}"
        frames.append(Frame(name, panels, float(place)))
    return frames, Track(at, dict(curves), label, "change / size at g = 1")


def jet_animation(
    model: nn.Module, batch: JetBatch, scan: JetOrbit, layer: str, feature: int, *,
    suffix: str = ".gif", dark: bool = False,
) -> bytes:  # fmt: skip
    """The animation of an orbit as the content of a file."""
    frames, track = jet_frames(model, batch, scan, layer, feature, dark)
    return encoded(frames, track, suffix, dark)


def jet_track(scan: JetOrbit) -> tuple[Array, dict[str, ArrayLike], str]:
    """Positions (rapidity, degrees, or number), curves and label of the answers along an orbit."""
    curves: dict[str, Any] = answer_curves(scan.logits, scan.invariants, scan.start)
    if scan.kind == "boost":
        return np.arccosh(scan.at), curves, "rapidity of the boost"
    if scan.kind == "rotation":
        return np.degrees(scan.at), curves, "angle [°]"
    return scan.at, curves, "number of the permutation"


def scalar_part(found: MovedNodes, values: Array) -> Array:
    """(n,) what colours a constituent: a scalar itself, of a four-vector its energy."""
    return values if found.kind == "scalar" else values[:, 0]


def relative_nodes(found: MovedNodes) -> Array:
    """(n,) differences in units of the largest value, 1e-8 to 1."""
    sizes = np.abs(found.moved) if found.kind == "scalar" else np.linalg.norm(found.moved, axis=1)
    return np.asarray(np.clip(found.gap / (float(sizes.max(initial=0.0)) or 1.0), FLOOR, 1.0))


def _points(title: str, p4: Array, values: Array, top: float, dark: bool, log: bool = False) -> Panel:
    columns, reach = node_columns(p4, values), half_range(p4, None)
    x, y = columns["d_eta"] / reach, columns["d_phi"] / reach
    points = np.stack([x, y, 0.4 * columns["size"]], axis=1)
    signed = bool(values.min(initial=0.0) < 0) and not log
    colours = gap_colours(dark) if log else signed_colours(dark) if signed else sequential("SO+(1,3)", dark)
    limits = (FLOOR, 1.0) if log else (-top if signed else 0.0, top)
    return Panel(f"{title} (±{reach:.2g})", columns["value"][None], colours, limits, log=log, points=points)


def _share(p4: Array) -> Array:
    pt = np.hypot(p4[:, 1], p4[:, 2])
    return np.asarray(pt / max(float(pt.sum()), 1e-300))
