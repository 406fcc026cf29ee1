"""Branching of irreps to regular subalgebras: SU(5) to SU(3) x SU(2) x U(1), E_8 to SU(9) ...

A subalgebra is a linear map of weights. Removing nodes of the Dynkin diagram gives one simple factor per
connected piece and a U(1) per removed node; removing a node of the extended diagram (which has the negative
of the highest root as node 0) gives a semisimple subalgebra of the same rank. Steps can be chained.
Source: E. Dynkin, Mat. Sbornik 30 (1952) 349; R. Slansky, Phys. Rept. 79 (1981) 1, section 5.

>>> to_standard_model = remove_nodes("SU(5)", 3)
>>> print(to_standard_model, "|", to_standard_model.branch("10"))
SU(5) > SU(3) x SU(2) x U(1) | (3, 2)(-1) + (3bar, 1)(4) + (1, 1)(-6)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd, prod

import numpy as np

from eqviz.errors import ConfigError
from eqviz.groups.cartan import CartanType, Integers, Weight
from eqviz.groups.simple import SimpleAlgebra, simple_algebra
from eqviz.groups.weights import weyl_orbit

Label = tuple[tuple[Weight, ...], tuple[int, ...]]
"""Highest weights under the simple factors, then U(1) charges."""


class Branching(dict[Label, int]):
    """Irreps of the subalgebra with multiplicities; prints as ``(3, 2)(1) + (3bar, 1)(-4)``."""

    def __init__(self, subalgebra: Subalgebra, counts: dict[Label, int]) -> None:
        self.subalgebra = subalgebra
        order = sorted(counts, key=lambda k: (-self._dimension(k), [[-x for x in w] for w in k[0]], k[1]))
        super().__init__({label: counts[label] for label in order})

    def _dimension(self, label: Label) -> int:
        return prod(a.dimension_of(w) for a, w in zip(self.subalgebra.factors, label[0]))

    @property
    def dimension(self) -> int:
        """The sum of the dimensions."""
        return sum(count * self._dimension(label) for label, count in self.items())

    def names(self) -> list[str]:
        """One name per irrep, repeated by multiplicity."""
        return [self._name(label) for label, count in self.items() for _ in range(count)]

    def _name(self, label: Label) -> str:
        simple = ", ".join(a.name_of(w) for a, w in zip(self.subalgebra.factors, label[0]))
        charges = "".join(f"({q})" for q in label[1])
        if not label[0]:
            return charges
        return (f"({simple})" if len(label[0]) > 1 or label[1] else simple) + charges

    def __str__(self) -> str:
        return " + ".join(self.names())


@dataclass(frozen=True)
class Subalgebra:
    """A subalgebra of a simple Lie algebra, or of its own subalgebra, by its projection of weights.

    Attributes:
        parent: the simple algebra.
        factors: the simple factors.
        projection: (sum of the factors' ranks, rank of the parent) acting on Dynkin labels.
        charges: (number of U(1)s, rank) acting on Dynkin labels; integers without a common divisor.
    """

    parent: SimpleAlgebra
    factors: tuple[SimpleAlgebra, ...]
    projection: Integers
    charges: Integers

    def __post_init__(self) -> None:
        expected = (sum(a.rank for a in self.factors), self.parent.rank)
        if self.projection.shape != expected or self.charges.shape[1:] != expected[1:]:
            raise ConfigError(
                f"expected a projection of shape {expected} and charges of shape (k, {expected[1]}), "
                f"got {self.projection.shape} and {self.charges.shape}"
            )
        self._check_reflections()

    def _check_reflections(self) -> None:
        """Projected weights must come in multiplets of the factors: a reflection permutes them."""
        fundamental = np.eye(self.parent.rank, dtype=np.int64).tolist()
        smallest = min((tuple(w) for w in fundamental), key=self.parent.type.orbit_size)
        orbit = weyl_orbit(self.parent.type, smallest)
        rows, charges = orbit @ self.projection.T, orbit @ self.charges.T
        before = np.unique(np.concatenate([rows, charges], axis=1), axis=0, return_counts=True)
        for algebra, at in self._slices():
            for i in range(algebra.rank):
                moved = rows.copy()
                moved[:, at] -= rows[:, at][:, i : i + 1] * algebra.type.cartan_matrix[i]
                after = np.unique(np.concatenate([moved, charges], axis=1), axis=0, return_counts=True)
                if not all(np.array_equal(a, b) for a, b in zip(before, after)):
                    raise ConfigError(f"this projection of {self} does not come from a subalgebra")

    def __str__(self) -> str:
        parts = [a.name for a in self.factors] + ["U(1)"] * len(self.charges)
        return f"{self.parent.name} > {' x '.join(parts)}"

    def branch(self, irrep: Sequence[int] | str) -> Branching:
        """Decompose an irrep of the parent.

        Raises:
            ConfigError: no such irrep, more than 2,000,000 weights, or a map that is no subalgebra.
        """
        weights, counts = self.parent.weights(irrep)
        charges = weights @ self.charges.T
        rows = weights @ self.projection.T
        for algebra, at in self._slices():
            dominant, signs = algebra.type.to_dominant(rows[:, at] + 1)
            rows[:, at] = dominant - 1
            counts = counts * signs * (dominant > 0).all(axis=1)
        keys, place = np.unique(np.concatenate([rows, charges], axis=1), axis=0, return_inverse=True)
        totals = np.zeros(len(keys), dtype=np.int64)
        np.add.at(totals, place.ravel(), counts)
        found = {self._label(key): int(total) for key, total in zip(keys, totals) if total}
        made = Branching(self, found)
        if min(found.values()) < 0 or made.dimension != self.parent.dimension_of(irrep):
            raise ConfigError(f"this projection of {self} does not come from a subalgebra")
        return made

    def _slices(self) -> Iterator[tuple[SimpleAlgebra, slice]]:
        start = 0
        for algebra in self.factors:
            yield algebra, slice(start, start + algebra.rank)
            start += algebra.rank

    def _label(self, key: Integers) -> Label:
        values = key.tolist()
        return tuple(tuple(values[at]) for _, at in self._slices()), tuple(values[len(self.projection) :])

    def then(self, factor: int, inner: Subalgebra) -> Subalgebra:
        """Break simple factor number ``factor`` (from 0) further."""
        if not 0 <= factor < len(self.factors) or self.factors[factor] != inner.parent:
            raise ConfigError(f"expected a subalgebra of a factor of {self}, got {inner} for factor {factor}")
        slices = [at for _, at in self._slices()]
        blocks = [self.projection[at] for at in slices]
        blocks[factor] = inner.projection @ blocks[factor]
        charges = np.concatenate([self.charges, inner.charges @ self.projection[slices[factor]]])
        factors = (*self.factors[:factor], *inner.factors, *self.factors[factor + 1 :])
        return Subalgebra(self.parent, factors, np.concatenate(blocks), charges)


def remove_nodes(algebra: str | SimpleAlgebra, *nodes: int) -> Subalgebra:
    """Remove nodes (numbered from 1, Bourbaki) of the Dynkin diagram; every one leaves a U(1)."""
    parent = simple_algebra(algebra) if isinstance(algebra, str) else algebra
    removed = _check_nodes(parent, nodes)
    kept = [i for i in range(parent.rank) if i not in removed]
    coroots = np.eye(parent.rank, dtype=np.int64)[kept]
    charges = [_charge(parent.type, node) for node in removed]
    return _from_coroots(parent, coroots, np.array(charges, dtype=np.int64).reshape(-1, parent.rank))


def remove_from_extended(algebra: str | SimpleAlgebra, node: int) -> Subalgebra:
    """Remove one node of the extended Dynkin diagram: a semisimple subalgebra of the same rank.

    E_8 without node 2 is SU(9), without node 1 SO(16), without node 8 SU(2) x E_7.
    """
    parent = simple_algebra(algebra) if isinstance(algebra, str) else algebra
    (removed,) = _check_nodes(parent, (node,))
    coroots = np.eye(parent.rank, dtype=np.int64)
    coroots = np.delete(coroots, removed, axis=0)
    coroots = np.concatenate([coroots, -parent.type.positive_coroots[-1:]])
    return _from_coroots(parent, coroots, np.zeros((0, parent.rank), dtype=np.int64))


def _check_nodes(parent: SimpleAlgebra, nodes: Sequence[int]) -> list[int]:
    valid = all(isinstance(n, int | np.integer) and 1 <= n <= parent.rank for n in nodes)
    if not nodes or not valid or len(set(nodes)) < len(nodes):
        raise ConfigError(
            f"expected different nodes between 1 and {parent.rank} of {parent.name}, got {nodes}"
        )
    return [int(n) - 1 for n in nodes]


def _charge(cartan_type: CartanType, node: int) -> list[int]:
    """The coefficient of a simple root in a weight, scaled to coprime integers."""
    column = [row[node] for row in cartan_type.inverse_cartan]
    common = reduce(lambda a, b: a * b // gcd(a, b), (x.denominator for x in column))
    numbers = [int(x * common) for x in column]
    divisor = gcd(*numbers)
    return [x // divisor for x in numbers]


def _from_coroots(parent: SimpleAlgebra, coroots: Integers, charges: Integers) -> Subalgebra:
    """Sort the coroots of the subalgebra's simple roots into standard Dynkin diagrams."""
    cartan = _cartan_of_coroots(parent.type, coroots)
    pieces = [_standard_order(cartan, piece) for piece in _components(cartan)]
    pieces.sort(key=lambda piece: (-piece[0].dimension, min(piece[1])))
    order = [i for _, indices in pieces for i in indices]
    factors = tuple(simple_algebra(cartan_type) for cartan_type, _ in pieces)
    return Subalgebra(parent, factors, coroots[order], charges)


def _cartan_of_coroots(cartan_type: CartanType, coroots: Integers) -> Integers:
    """A[i, j] = <root_i, coroot_j> of the roots that belong to the coroots."""
    positive = {
        tuple(c): r for c, r in zip(cartan_type.positive_coroots.tolist(), cartan_type.positive_roots)
    }
    roots = []
    for row in coroots:
        sign = 1 if row.max() > 0 else -1
        roots.append(sign * positive[tuple((sign * row).tolist())])
    return np.array(roots, dtype=np.int64).reshape(coroots.shape) @ cartan_type.cartan_matrix @ coroots.T


def _components(cartan: Integers) -> list[list[int]]:
    left, pieces = set(range(len(cartan))), []
    while left:
        piece, frontier = [], [min(left)]
        left.discard(frontier[0])
        while frontier:
            i = frontier.pop()
            piece.append(i)
            linked = [j for j in sorted(left) if cartan[i, j]]
            left.difference_update(linked)
            frontier += linked
        pieces.append(sorted(piece))
    return pieces


def _standard_order(cartan: Integers, piece: list[int]) -> tuple[CartanType, list[int]]:
    """The type of a connected diagram and its nodes in Bourbaki's order."""
    n = len(piece)
    families = [("A", 1), ("B", 2), ("D", 4), ("C", 3), ("E", 6), ("F", 4), ("G", 2)]
    for family, low in families:
        exists = n >= low and (family not in "EFG" or n in {"E": (6, 7, 8), "F": (4,), "G": (2,)}[family])
        if exists:
            candidate = CartanType(family, n)
            order = _match(candidate.cartan_matrix, cartan, piece, [])
            if order is not None:
                return candidate, order
    raise ConfigError(
        f"not the Cartan matrix of a simple Lie algebra: {cartan[np.ix_(piece, piece)].tolist()}"
    )


def _match(standard: Integers, cartan: Integers, piece: list[int], chosen: list[int]) -> list[int] | None:
    """Backtracking search for the order in which the piece has the standard Cartan matrix."""
    if len(chosen) == len(piece):
        return chosen
    k = len(chosen)
    for node in piece:
        trial = [*chosen, node]
        same = (
            node not in chosen
            and (cartan[node, trial] == standard[k, : k + 1]).all()
            and (cartan[trial, node] == standard[: k + 1, k]).all()
        )
        found = _match(standard, cartan, piece, trial) if same else None
        if found is not None:
            return found
    return None
