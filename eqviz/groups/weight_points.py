"""The weights of any irrep as points of a plane: what commuting generators measure on its states.

A weight is a tuple of simultaneous eigenvalues: isospin and hypercharge, spin component and rapidity weight,
charge. A finite group has none; the eigenvalues of one of its elements on the unit circle take their place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from eqviz.errors import ConfigError
from eqviz.groups.base import Group, Irrep
from eqviz.groups.cartan import Integers, Weight
from eqviz.groups.elements import Array
from eqviz.groups.irrep_names import algebra_of, labels_text
from eqviz.groups.product import OuterIrrep
from eqviz.groups.projections import positions
from eqviz.groups.simple import SimpleAlgebra

MAX_POINTS = 3000
MAX_DIMENSION = 400


@dataclass(frozen=True)
class WeightPoints:
    """Weights in a plane.

    Attributes:
        points: (n, 2) positions.
        counts: (n,) states on each.
        names: n texts for hover.
        xlabel, ylabel: what the axes measure.
        note: what the picture is, for a caption.
        outlined: whether the polygon around the points means something.
    """

    points: NDArray[np.float64]
    counts: Integers
    names: tuple[str, ...]
    xlabel: str
    ylabel: str
    note: str
    outlined: bool = True


def weight_points(symmetry: Group | SimpleAlgebra, irrep: Irrep | Weight) -> WeightPoints:
    """The picture of an irrep (of a simple algebra: of a highest weight).

    Raises:
        ConfigError: more than 3,000 different weights, or an irrep too large to diagonalize.
    """
    algebra = algebra_of(symmetry)
    if algebra is not None:
        return _of_weight(algebra, irrep.label if isinstance(irrep, Irrep) else irrep)
    assert isinstance(irrep, Irrep)
    if isinstance(irrep, OuterIrrep):
        return _of_product(irrep)
    if irrep.dimension > MAX_DIMENSION:
        raise ConfigError(f"expected an irrep of at most {MAX_DIMENSION} states, got {irrep.dimension}")
    group = irrep.group
    return _of_elements(irrep) if not group.algebra_dimension else _of_generators(irrep)


def root_points(algebra: SimpleAlgebra) -> WeightPoints:
    """All roots of a simple algebra, each once."""
    found = _of_weight(algebra, algebra.adjoint())
    keep = np.hypot(*found.points.T) > 1e-6
    names = tuple(name for name, kept in zip(found.names, keep) if kept)
    return replace(found, points=found.points[keep], counts=found.counts[keep], names=names)


def _of_weight(algebra: SimpleAlgebra, weight: Weight) -> WeightPoints:
    if algebra.weight_count(weight) > MAX_POINTS:
        raise ConfigError(
            f"{labels_text(weight)} of {algebra.name} has {algebra.weight_count(weight)} different weights, "
            f"more than {MAX_POINTS} to draw"
        )
    weights, counts = algebra.weights(weight)
    names = [labels_text(tuple(row)) for row in weights.tolist()]
    flat = positions(algebra.type, weights)
    if algebra.rank == 1:
        return _merged(flat / np.sqrt(2), counts, names, "T₃", "", "states by isospin T₃")
    if algebra.name == "SU(3)":
        note = "states by isospin T₃ and hypercharge Y in equal scales of the algebra"
        return _merged(flat, counts, names, "T₃", "Y", note)
    if algebra.rank == 2:
        return _merged(flat, counts, names, "along α₁", "across α₁", "weights in their plane")
    note = f"weights of rank {algebra.rank} projected on the Coxeter plane"
    return _merged(flat, counts, names, "Coxeter plane, 1st axis", "2nd axis", note)


_AXES: dict[str, tuple[str, str, str]] = {  # generator: (axis, imaginary or real eigenvalue, meaning)
    "Jz": ("m", "-imag", "spin component m"),
    "J": ("k", "-imag", "frequency k"),
    "Q": ("charge", "imag", "charge"),
    "Kz": ("rapidity weight", "real", "rapidity weight along z"),
    "D": ("scaling weight", "real", "scaling weight"),
}


def _of_generators(irrep: Irrep) -> WeightPoints:
    """Simultaneous eigenvalues of the generators that are diagonal together in every group here."""
    names = [name for name in irrep.group.generator_names if name in _AXES]
    if not names:
        raise ConfigError(f"{irrep.group.name} has no generators whose eigenvalues are drawn")
    stack = np.array([irrep.generators[irrep.group.generator_names.index(name)] for name in names])
    values = simultaneous_eigenvalues(stack)
    read = {"-imag": lambda z: -z.imag, "imag": lambda z: z.imag, "real": lambda z: z.real}
    columns = {name: read[_AXES[name][1]](row) for name, row in zip(names, values)}
    shown = [name for name in ("Jz", "J", "Q", "D", "Kz") if name in columns][:2]
    points = np.zeros((irrep.dimension, 2))
    for axis, name in enumerate(shown):
        points[:, axis] = columns[name]
    labels = [_AXES[name][0] for name in shown] + [""] * (2 - len(shown))
    note = "states by " + " and ".join(_AXES[name][2] for name in shown)
    hidden = [_AXES[name][2] for name in names if name not in shown]
    note += f"; {', '.join(hidden)} is projected out" if hidden else ""
    texts = [
        ", ".join(f"{_AXES[name][0]} {_half(columns[name][i])}" for name in shown) for i in range(len(points))
    ]
    return _merged(points, np.ones(len(points), dtype=np.int64), texts, labels[0], labels[1], note)


def simultaneous_eigenvalues(matrices: Array) -> NDArray[np.complex128]:
    """(k, d) eigenvalues of k commuting diagonalizable (d, d) matrices on their common eigenvectors."""
    weights = np.sqrt(np.arange(2, 2 + len(matrices)))  # generic: equal sums mean equal weights
    _, vectors = np.linalg.eig(np.tensordot(weights, matrices, axes=1).astype(np.complex128))
    inverse = np.linalg.pinv(vectors)
    return np.einsum("ab,kbc,ca->ka", inverse, matrices, vectors)


def _of_elements(irrep: Irrep) -> WeightPoints:
    """Eigenvalues of the rotation r, or of the product of all discrete generators (an n-cycle of S_n)."""
    group = irrep.group
    planar = "r" in group.discrete_names
    chosen = irrep.discrete_generators[:1] if planar else irrep.discrete_generators
    matrix = reduce(np.matmul, chosen, np.eye(irrep.dimension))
    values = np.linalg.eigvals(matrix.astype(np.complex128))
    which = "the rotation r" if planar else f"the {len(chosen) + 1}-cycle"
    degrees = [f"{np.degrees(np.angle(z)):.4g}°" for z in values]
    points = np.stack([values.real, values.imag], axis=1)
    note = f"eigenvalues of {which} on the unit circle (a finite group has no weights)"
    ones = np.ones(len(points), dtype=np.int64)
    return replace(_merged(points, ones, degrees, "Re", "Im", note), outlined=False)


def _of_product(irrep: OuterIrrep) -> WeightPoints:
    """The first factor with a picture of its own; the states of the others are beside it, shifted."""
    parts = [weight_points(part.group, part) for part in irrep.parts]
    charged = [(part, made) for part, made in zip(irrep.parts, parts) if np.ptp(made.points, axis=0).any()]
    if not charged:
        return parts[0] if len(parts) == 1 else _single(irrep)
    main, points = charged[0][1], charged[0][1].points
    counts, names = main.counts, list(main.names)
    plain = len(charged) == 2 and not any(np.ptp(made.points[:, 1]) for _, made in charged)
    for number, (_, other) in enumerate(charged[1:]):
        turn, scale = (np.pi / 2, 1.0) if plain else (0.35 + 0.9 * number, 0.42 / (number + 1))
        spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        shifts = scale * (other.points @ spin)
        points = (points[:, None] + shifts[None]).reshape(-1, 2)
        counts = (counts[:, None] * other.counts[None]).reshape(-1)
        names = [f"{a}; {b}" for a in names for b in other.names]
        if len(points) > MAX_POINTS:
            raise ConfigError(f"{irrep.name} has more than {MAX_POINTS} different weights to draw")
    first = charged[0][0].group.name
    note = f"{main.note}, of {first}"
    if plain:
        second = charged[1][0].group.name
        labels = f"{main.xlabel} of {first}", f"{charged[1][1].xlabel} of {second}"
        return _merged(points, counts, names, *labels, f"{note}, and of {second}")
    if len(charged) > 1:
        note += "; small shifts are the weights of " + " and ".join(
            part.group.name for part, _ in charged[1:]
        )
    merged = _merged(points, counts, names, main.xlabel, main.ylabel, note)
    return replace(merged, outlined=len(charged) == 1)


def _single(irrep: OuterIrrep) -> WeightPoints:
    """An irrep whose states all have the same weights."""
    note = "a single weight: every factor's charges are those of the irrep's name"
    counts = np.array([irrep.dimension], dtype=np.int64)
    return WeightPoints(np.zeros((1, 2)), counts, (irrep.name,), "", "", note)


def _merged(
    points: NDArray[np.float64], counts: Integers, names: list[str], xlabel: str, ylabel: str, note: str
) -> WeightPoints:
    """States on one point are counted together."""
    keys, first, place = np.unique(np.round(points, 6) + 0.0, axis=0, return_index=True, return_inverse=True)
    place = place.ravel()
    total = np.zeros(len(keys), dtype=np.int64)
    np.add.at(total, place, counts)
    texts: list[list[str]] = [[] for _ in keys]
    for where, name in zip(place.tolist(), names):
        if name not in texts[where]:
            texts[where].append(name)
    labels = tuple(" ".join(row[:4]) + (" …" if len(row) > 4 else "") for row in texts)
    return WeightPoints(points[first], total, labels, xlabel, ylabel, note)


def _half(value: float) -> str:
    twice = round(2 * float(value))
    return f"{twice // 2}" if twice % 2 == 0 else f"{twice}/2"
