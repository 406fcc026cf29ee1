"""Orbits of a vector: along a one-parameter subgroup, or over all elements of a finite group."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import ConfigError
from eqviz.groups.base import Group, Representation
from eqviz.groups.clebsch_gordan import intertwiners
from eqviz.groups.elements import Array
from eqviz.groups.rotations import RotationGroup
from eqviz.groups.unitary import UnitaryIrrep

MAX_STATES = 64
MAX_ELEMENTS = 720


@dataclass(frozen=True)
class Flow:
    """exp(s n.X) x along a direction n of the algebra.

    Attributes:
        parameters: (n,) s, from 0: angle in radians or rapidity.
        states: (n, d) the moved vector.
        at: s of the element exp(c.X), the norm of its coefficients.
        moved: (d,) the vector moved by it.
    """

    parameters: NDArray[np.float64]
    states: Array
    at: float
    moved: Array


def flow(representation: Representation, coefficients: ArrayLike, start: ArrayLike, steps: int = 160) -> Flow:
    """The orbit of ``start`` under the one-parameter subgroup through exp(c.X) (formula without an i).

    s runs over two turns, 4 pi, where the motion is bounded, so that spinors close, and to 3 or to the
    element where it is not. Coefficients that are all zero mean the first generator's direction, at s = 0.

    Raises:
        ConfigError: shapes that do not fit, more than 64 states, or numbers beyond float64.
    """
    c, x = np.asarray(coefficients, dtype=np.float64), np.asarray(start)
    k, d = representation.group.algebra_dimension, representation.dimension
    if not k or c.shape != (k,) or x.shape != (d,) or not np.isfinite(c).all():
        raise ConfigError(f"expected {k} > 0 coefficients and a vector of {d}, got {c.shape} and {x.shape}")
    check_states(representation)
    at = float(np.linalg.norm(c))
    direction = c / at if at else np.eye(k)[0]
    bounded = representation.group.compact or is_bounded(representation.group, direction)
    end = 4 * np.pi if bounded else 3.0
    parameters = np.linspace(0.0, max(end, at), steps + 1)
    with np.errstate(all="ignore"):
        step = representation.exp((direction * parameters[1]).tolist())
        moved = representation.exp(c.tolist()) @ x
        states = np.empty((steps + 1, d), dtype=np.result_type(step, x))
        states[0] = x
        for i in range(steps):
            states[i + 1] = step @ states[i]
    if not (np.isfinite(states).all() and np.isfinite(moved).all()):
        raise ConfigError(f"{representation.name} grows beyond float64 along this direction: turn it less")
    return Flow(parameters, states, at, moved)


def is_bounded(group: Group, direction: ArrayLike) -> bool:
    """Whether exp(s n.X) stays bounded for all s in the defining representation."""
    matrix = np.tensordot(np.asarray(direction, dtype=np.float64), group.defining.generators, axes=1)
    values, vectors = np.linalg.eig(matrix)
    return bool(np.abs(values.real).max() < 1e-9 and np.linalg.cond(vectors) < 1e7)


def check_states(representation: Representation) -> None:
    """Raise a ConfigError for a vector with more than 64 components."""
    if representation.dimension > MAX_STATES:
        raise ConfigError(
            f"{representation.name} of {representation.group.name} has {representation.dimension} "
            f"components, more than {MAX_STATES} to follow"
        )


def finite_orbit(representation: Representation, start: ArrayLike) -> tuple[Array, list[str]]:
    """(order, d) images of a vector under all elements of a finite group, and the elements' names.

    Raises:
        ConfigError: an infinite group, more than 720 elements, or more than 64 components.
    """
    group = representation.group
    check_states(representation)
    order = group.order
    if order is None or order > MAX_ELEMENTS:
        size = "infinitely many" if order is None else str(order)
        raise ConfigError(f"expected a finite group of at most {MAX_ELEMENTS} elements, got {size}")
    elements = group.elements()
    x = np.asarray(start)
    return np.array([representation(g) @ x for g in elements]), [str(g) for g in elements]


_COMPONENTS: dict[tuple[str, int], tuple[str, ...]] = {
    ("SO+(1,3)", 4): ("E", "px", "py", "pz"),
    ("O(1,3)", 4): ("E", "px", "py", "pz"),
    ("SO(1,1)", 2): ("E", "pz"),
    ("SE(2)", 3): ("x", "y", "1"),
    ("E(2)", 3): ("x", "y", "1"),
    ("SE(3)", 4): ("x", "y", "z", "1"),
    ("Poincare", 5): ("t", "x", "y", "z", "1"),
    ("SO(2,4)", 6): ("X0", "X1", "X2", "X3", "X4", "X5"),
}


def vector_form(representation: Representation) -> Representation:
    """The group's real defining representation where it is the same one, else the representation itself.

    So the irrep (1/2, 1/2) of the Lorentz group is followed as (E, px, py, pz).
    """
    defining = representation.group.defining
    if defining.is_complex or defining.dimension != representation.dimension or defining.dimension < 2:
        return representation
    return defining if len(intertwiners(representation, defining)) else representation


def component_names(representation: Representation) -> list[str]:
    """Names of the components: the field's for vectors, m for spins, T3 and Y for SU(3), x1, x2 ... else."""
    group, size = representation.group, representation.dimension
    plain = [f"x{i + 1}" for i in range(size)]
    if representation is group.defining and (group.name, size) in _COMPONENTS:
        return list(_COMPONENTS[group.name, size])
    if representation is group.defining and representation.name == "vector" and size <= 3:
        return ["x", "y", "z"][:size]
    if isinstance(group, RotationGroup) and size > 1:
        top = Fraction(size - 1, 2)
        down = [top - i for i in range(size)]
        return [f"m={m}" for m in (down if group.double_cover else down[::-1])]
    if isinstance(representation, UnitaryIrrep) and len(representation.label) == 2 and 1 < size <= 10:
        rows = representation.ladder.weights.tolist()
        return [f"x{i + 1} ({Fraction(a, 2)}, {Fraction(a + 2 * b, 3)})" for i, (a, b) in enumerate(rows)]
    return plain


def start_vector(representation: Representation, choice: str) -> Array:
    """The unit vector of a component, or any other word for a fixed mixture of all (time-like for momenta).

    Points of a semi-direct product, (x, 1), keep their 1: the component's name is then the place on its axis.
    """
    names, size = component_names(representation), representation.dimension
    x = 1.0 / np.arange(1, size + 1)
    x = np.eye(size)[names.index(choice)] if choice in names else x / np.linalg.norm(x)
    if names[-1] == "1":
        x[-1] = 1.0
    return x
