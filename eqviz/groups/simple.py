"""Irreps of simple Lie algebras by highest weight: dimensions, weights, tensor products, Casimirs.

>>> su3 = simple_algebra("SU(3)")
>>> print(su3.tensor("8", "8"))
27 + 10 + 10bar + 8 + 8 + 1
>>> su3.casimir("3"), su3.index("3")
(Fraction(4, 3), Fraction(1, 2))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import prod

import numpy as np

from eqviz.errors import ConfigError
from eqviz.groups.cartan import CartanType, Integers, Weight, parse_type
from eqviz.groups.weights import dominant_multiplicities, weight_count, weight_system

MAX_WEIGHTS = 2_000_000


class Decomposition(Mapping[Weight, int]):
    """A sum of irreps: highest weight -> multiplicity, largest dimension first; prints as ``8 + 8 + 1``."""

    def __init__(self, algebra: SimpleAlgebra, multiplicities: Mapping[Weight, int]) -> None:
        self.algebra = algebra
        order = sorted(multiplicities, key=lambda w: (-algebra.dimension_of(w), [-x for x in w]))
        self._counts = {weight: multiplicities[weight] for weight in order}

    def __getitem__(self, weight: Weight) -> int:
        return self._counts[weight]

    def __iter__(self) -> Iterator[Weight]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def dimension(self) -> int:
        """The sum of the dimensions."""
        return sum(count * self.algebra.dimension_of(weight) for weight, count in self.items())

    def names(self) -> list[str]:
        """The irreps' names, repeated by multiplicity."""
        return [self.algebra.name_of(weight) for weight, count in self.items() for _ in range(count)]

    def __str__(self) -> str:
        return " + ".join(self.names())

    def __repr__(self) -> str:
        return f"<{self.algebra.name}: {self}>"


class SimpleAlgebra:
    """A simple Lie algebra and its finite-dimensional irreps.

    An irrep is given by its Dynkin labels, ``(1, 1)``, or by its name: the dimension, ``bar`` for the
    conjugate (of a conjugate pair the one with the lexicographically larger labels carries no bar) and primes
    for further irreps of that dimension in the order of their index: ``"10bar"``, ``"15'"``.
    """

    def __init__(self, cartan_type: CartanType) -> None:
        self.type = cartan_type
        self.name = cartan_type.group_name
        self.rank = cartan_type.rank
        self.dimension = cartan_type.dimension

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SimpleAlgebra) and other.type == self.type

    def __hash__(self) -> int:
        return hash(self.type)

    def __repr__(self) -> str:
        return f"<simple Lie algebra {self.type} = {self.name}>"

    def weight(self, irrep: Sequence[int] | str) -> Weight:
        """The highest weight of an irrep given by Dynkin labels or by name.

        Raises:
            ConfigError: wrong number of labels, not dominant, or no irrep of that name.
        """
        if isinstance(irrep, str):
            return self._by_name(irrep)
        labels = tuple(irrep) if isinstance(irrep, list | tuple | np.ndarray) else (irrep,)
        if len(labels) != self.rank or not all(isinstance(x, int | np.integer) for x in labels):
            raise ConfigError(f"expected {self.rank} integer Dynkin labels for {self.name}, got {irrep!r}")
        if min(labels) < 0:
            raise ConfigError(
                f"expected a dominant weight (Dynkin labels >= 0) of {self.name}, got {irrep!r}; "
                "the highest weight of its orbit is "
                f"{tuple(self.type.to_dominant(np.array([labels]))[0][0].tolist())}"
            )
        return tuple(int(x) for x in labels)

    def dimension_of(self, irrep: Sequence[int] | str) -> int:
        """Weyl's dimension formula."""
        return _dimension(self.type, self.weight(irrep))

    def adjoint(self) -> Weight:
        """The highest root."""
        return tuple(self.type.positive_roots_dynkin[-1].tolist())

    def dual(self, irrep: Sequence[int] | str) -> Weight:
        """The conjugate irrep's highest weight."""
        negative = -np.array([self.weight(irrep)])
        return tuple(self.type.to_dominant(negative)[0][0].tolist())

    def casimir(self, irrep: Sequence[int] | str) -> Fraction:
        """(lambda, lambda + 2 rho) / 2: (N^2 - 1) / 2N for the fundamental of SU(N)."""
        weight = self.weight(irrep)
        return self.type.inner(weight, [x + 2 for x in weight]) / 2

    def index(self, irrep: Sequence[int] | str) -> Fraction:
        """Dynkin index T with tr(T_a T_b) = T delta_ab: 1/2 for the fundamental of SU(N)."""
        return self.casimir(irrep) * self.dimension_of(irrep) / self.dimension

    def reality(self, irrep: Sequence[int] | str) -> str:
        """``"real"``, ``"pseudoreal"`` or ``"complex"``."""
        weight = self.weight(irrep)
        if self.dual(weight) != weight:
            return "complex"
        # Frobenius-Schur: the sign is (-1)^<lambda, 2 rho^v>
        return "pseudoreal" if int((self.type.positive_coroots @ np.array(weight)).sum()) % 2 else "real"

    def dominant_weights(self, irrep: Sequence[int] | str) -> dict[Weight, int]:
        """Multiplicities of the dominant weights (Freudenthal)."""
        return dict(dominant_multiplicities(self.type, self.weight(irrep)))

    def weights(self, irrep: Sequence[int] | str) -> tuple[Integers, Integers]:
        """All different weights (n, r) as Dynkin labels and their multiplicities (n,).

        Raises:
            ConfigError: more than 2,000,000 different weights.
        """
        weight = self.weight(irrep)
        size = self.type.orbit_size(weight)  # cheap, and enough to refuse the hopeless ones at once
        size = size if size > MAX_WEIGHTS else self.weight_count(weight)
        if size > MAX_WEIGHTS:
            raise ConfigError(
                f"{weight} of {self.name} has at least {size} different weights, more than "
                f"{MAX_WEIGHTS}; dominant_weights() and dimension_of() may still work"
            )
        return weight_system(self.type, weight)

    def weight_count(self, irrep: Sequence[int] | str) -> int:
        """Number of different weights."""
        return weight_count(self.type, self.weight(irrep))

    def tensor(self, *irreps: Sequence[int] | str) -> Decomposition:
        """Decompose a tensor product (Racah-Speiser, Klimyk).

        Raises:
            ConfigError: an irrep that does not exist, or a factor with more than 2,000,000 weights.
        """
        weights = sorted((self.weight(irrep) for irrep in irreps), key=self.dimension_of)
        if not weights:
            raise ConfigError("expected at least one irrep to multiply, got none")
        total: dict[Weight, int] = {weights[-1]: 1}
        for factor in weights[:-1]:
            grown: dict[Weight, int] = {}
            for weight, count in total.items():
                for product, multiplicity in self._tensor_pair(weight, factor).items():
                    grown[product] = grown.get(product, 0) + count * multiplicity
            total = grown
        return Decomposition(self, total)

    def _tensor_pair(self, first: Weight, second: Weight) -> dict[Weight, int]:
        """Shift the weights of the smaller irrep by the other's highest weight; reflect; count with signs."""
        small, large = sorted((first, second), key=self.dimension_of)
        weights, multiplicities = self.weights(small)
        return alternating_sum(self.type, weights + np.array(large), multiplicities)

    def name_of(self, irrep: Sequence[int] | str) -> str:
        """The irrep's name: ``"10bar"``, ``"15'"``."""
        weight = self.weight(irrep)
        conjugate = self.dual(weight)
        base = max(weight, conjugate)
        family = self.irreps_of_dimension(self.dimension_of(weight))
        primes = "'" * [max(w, self.dual(w)) for w in family if w == max(w, self.dual(w))].index(base)
        return f"{self.dimension_of(weight)}{primes}{'bar' if weight != base else ''}"

    def irreps_of_dimension(self, dimension: int) -> list[Weight]:
        """All irreps of a dimension, in the order of their index, unbarred first."""
        return list(_of_dimension(self, dimension))

    def irreps_up_to(self, dimension: int) -> list[Weight]:
        """All irreps of at most that dimension, smallest first."""
        found = _up_to(self.type, dimension)
        return sorted(found, key=lambda w: (self.dimension_of(w), self.index(w), [-x for x in w]))

    def _by_name(self, name: str) -> Weight:
        match = re.fullmatch(r"(\d+)('*)(bar)?", name.strip())
        if not match:
            raise ConfigError(f'expected a name such as "8", "10bar" or "15\'", got {name!r}')
        same = self.irreps_of_dimension(int(match[1]))
        for weight in same:
            if self.name_of(weight) == name.strip():
                return weight
        choices = ", ".join(self.name_of(weight) for weight in same) or "none of this dimension"
        raise ConfigError(f"{self.name} has no irrep {name!r}; it has {choices}")


def alternating_sum(
    cartan_type: CartanType, weights: Integers, multiplicities: Integers
) -> dict[Weight, int]:
    """Turn a Weyl-invariant sum of weights, shifted by a dominant weight or not, into irreps.

    Every weight mu counts, with sign, for the irrep whose highest weight plus rho is the dominant image of
    mu + rho; those on a wall do not count (Klimyk's formula).
    """
    dominant, signs = cartan_type.to_dominant(weights + 1)  # rho has all labels 1
    inside = (dominant > 0).all(axis=1)
    counts: dict[Weight, int] = {}
    signed = signs * multiplicities
    for row, value in zip((dominant[inside] - 1).tolist(), signed[inside].tolist()):
        counts[tuple(row)] = counts.get(tuple(row), 0) + value
    return {weight: count for weight, count in counts.items() if count}


@lru_cache(maxsize=65536)
def _dimension(cartan_type: CartanType, weight: Weight) -> int:
    # Python integers: numerators of E_8 exceed 64 bits
    shifted = (cartan_type.positive_coroots @ (np.array(weight, dtype=np.int64) + 1)).tolist()
    return prod(shifted) // prod(cartan_type.positive_coroots.sum(axis=1).tolist())


@lru_cache(maxsize=256)
def _up_to(cartan_type: CartanType, dimension: int) -> tuple[Weight, ...]:
    """Dimensions grow with every Dynkin label, so the search can stop where they pass the limit."""
    zero = (0,) * cartan_type.rank
    found: dict[Weight, None] = {zero: None} if dimension >= 1 else {}
    frontier = list(found)
    while frontier:
        weight = frontier.pop()
        for i in range(cartan_type.rank):
            higher = (*weight[:i], weight[i] + 1, *weight[i + 1 :])
            if higher not in found and _dimension(cartan_type, higher) <= dimension:
                found[higher] = None
                frontier.append(higher)
    return tuple(found)


@lru_cache(maxsize=4096)
def _of_dimension(algebra: SimpleAlgebra, dimension: int) -> tuple[Weight, ...]:
    same = [w for w in _up_to(algebra.type, dimension) if _dimension(algebra.type, w) == dimension]
    return tuple(sorted(same, key=lambda w: (algebra.index(w), [-x for x in w])))


@lru_cache(maxsize=128)
def simple_algebra(name: str | CartanType) -> SimpleAlgebra:
    """The algebra called ``"SU(3)"``, ``"A2"``, ``"SO(10)"``, ``"Sp(4)"``, ``"G2"``, ``"E_8"`` ...

    Raises:
        ConfigError: not the name of a simple Lie algebra.
    """
    return SimpleAlgebra(name if isinstance(name, CartanType) else parse_type(name))
