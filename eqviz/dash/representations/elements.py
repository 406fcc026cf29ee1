"""Orbits as numbers to draw: components along the motion, and the path in a plane that says something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqviz.groups.base import Array, Representation
from eqviz.groups.conformal import METRIC6
from eqviz.groups.orbits import component_names, finite_orbit, flow
from eqviz.groups.projections import positions
from eqviz.groups.rotations import RotationGroup
from eqviz.groups.simple import simple_algebra
from eqviz.groups.unitary import UnitaryIrrep
from eqviz.kinematics import METRIC

MIXED = "mixed"


@dataclass(frozen=True)
class Drawn:
    """What the two figures show.

    Attributes:
        x: (n,) horizontal axis of the components.
        y: (n, d) components as drawn, with ``names``.
        at: where the present element is on that axis.
        path, here: (n, 2) and (2,) the orbit in the plane ``axes``.
        background: (m, 2) fixed places there.
        kept: what stays the same, a few words for the caption.
        matrix: (d, d) the present element.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    names: list[str]
    at: float
    path: NDArray[np.float64]
    here: NDArray[np.float64]
    axes: tuple[str, str]
    background: NDArray[np.float64] | None
    kept: str
    matrix: Array


def draw_flow(representation: Representation, coefficients: list[float], start: Array) -> Drawn:
    """The orbit along exp(s n.X) with n along the coefficients, as drawn.

    Raises:
        EqvizError: an irrep that is too large, or numbers that grow too far.
    """
    found = flow(representation, coefficients, start)
    everything = np.concatenate([found.states, found.moved[None]])
    y, names = _components(representation, everything)
    path, axes, background = _plane(representation, everything)
    kept = _kept(representation, everything)
    matrix = representation.exp(coefficients)
    return Drawn(
        found.parameters, y[:-1], names, found.at, path[:-1], path[-1], axes, background, kept, matrix
    )  # fmt: skip


def draw_elements(representation: Representation, element: int, start: Array) -> tuple[Drawn, str]:
    """The orbit over all elements of a finite group, and the present element's name."""
    states, elements = finite_orbit(representation, start)
    y, names = _components(representation, states)
    path, axes, background = _plane(representation, states)
    number = np.arange(len(states), dtype=np.float64)
    here = min(element, len(states) - 1)
    kept = f"{len(np.unique(np.round(states, 6), axis=0))} different places"
    matrix = representation(representation.group.elements()[here])
    return Drawn(number, y, names, here, path, path[here], axes, background, kept, matrix), elements[here]


def _components(representation: Representation, states: Array) -> tuple[NDArray[np.float64], list[str]]:
    names = component_names(representation)
    if not np.iscomplexobj(states):
        return states.astype(np.float64), names
    if states.shape[1] == 1:
        return np.concatenate([states.real, states.imag], axis=1), ["Re x1", "Im x1"]
    return np.square(np.abs(states)).astype(np.float64), names


def _plane(
    representation: Representation, states: Array
) -> tuple[NDArray[np.float64], tuple[str, str], NDArray[np.float64] | None]:
    """The plane in which the orbit is drawn: mean charges of a quantum state, else two components."""
    group = representation.group
    if isinstance(representation, UnitaryIrrep) and representation.dimension > 1:
        algebra = simple_algebra(representation.ladder.type)
        places = positions(algebra.type, representation.ladder.weights)
        shares = np.abs(states) ** 2
        axes = ("mean T₃", "mean Y") if algebra.name == "SU(3)" else ("mean weight, 1st axis", "2nd axis")
        return shares @ places / shares.sum(axis=1, keepdims=True), axes, np.unique(places.round(9), axis=0)
    if isinstance(group, RotationGroup) and group.double_cover and representation.dimension > 1:
        x, _, z = 1j * representation.generators
        mean = [np.einsum("ni,ij,nj->n", states.conj(), j, states).real for j in (x, z)]
        spin = (representation.dimension - 1) / 2
        turn = np.linspace(0, 2 * np.pi, 73)
        circle = spin * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        return np.stack(mean, axis=1), ("mean Jx", "mean Jz"), circle
    names = component_names(representation)
    columns, labels = states, names
    if np.iscomplexobj(states):
        columns = np.concatenate([states.real, states.imag], axis=1)
        labels = [f"Re {name}" for name in names] + [f"Im {name}" for name in names]
    if columns.shape[1] == 1:
        return np.concatenate([columns, 0 * columns], axis=1), (labels[0], ""), None
    first, second = sorted(np.argsort(-np.ptp(columns, axis=0), kind="stable")[:2].tolist())
    if labels[first] in ("E", "t", "X0"):  # time upwards, as in a space-time diagram
        first, second = second, first
    return columns[:, [first, second]], (labels[first], labels[second]), None


def _kept(representation: Representation, states: Array) -> str:
    if component_names(representation) == ["E", "px", "py", "pz"]:
        squares = np.einsum("ni,ij,nj->n", states, METRIC, states)
        return f"E² − p² stays at {squares[0]:.4g}"
    if component_names(representation)[-1] == "1":
        return "a point: its last component stays 1"
    if component_names(representation)[0] == "X0":
        squares = np.einsum("ni,ij,nj->n", states, METRIC6, states)
        return f"X² stays at {squares[0]:.4g}"
    norms = (np.abs(states) ** 2).sum(axis=1)
    if np.ptp(norms) < 1e-9 * norms.max():
        return f"the norm squared stays at {norms[0]:.4g}"
    return f"the norm squared runs from {norms.min():.3g} to {norms.max():.3g}: no unitary motion"
