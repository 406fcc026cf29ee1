"""Simple Lie algebras A-G by their Cartan matrices: roots, Weyl group order, quadratic form.

Simple roots are numbered as in Bourbaki; a weight is the tuple of its Dynkin labels. Long roots have length
squared 2. Formulas: R. Slansky, Phys. Rept. 79 (1981) 1; J. Humphreys, Introduction to Lie Algebras.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from eqviz.errors import ConfigError

Weight: TypeAlias = tuple[int, ...]
Integers: TypeAlias = NDArray[np.int64]

MAX_RANK = 64
_SMALLEST = {"A": 1, "B": 2, "C": 2, "D": 3}
_EXCEPTIONAL = {"E": (6, 7, 8), "F": (4,), "G": (2,)}


@dataclass(frozen=True)
class CartanType:
    """The type of a simple Lie algebra, for instance ``CartanType("E", 8)``.

    Raises:
        ConfigError: no such simple algebra, or a rank above 64.
    """

    family: str
    rank: int

    def __post_init__(self) -> None:
        if not isinstance(self.rank, int | np.integer) or self.family not in "ABCDEFG" or not self.family:
            raise ConfigError(
                f"expected a family A ... G and an integer rank, got {self.family!r}, {self.rank!r}"
            )
        if self.family in _EXCEPTIONAL and self.rank not in _EXCEPTIONAL[self.family]:
            ranks = " or ".join(str(rank) for rank in _EXCEPTIONAL[self.family])
            raise ConfigError(f"{self.family}_n exists for n = {ranks}, got {self.rank}")
        low = _SMALLEST.get(self.family, 2)
        if not low <= self.rank <= MAX_RANK:
            raise ConfigError(f"expected {low} <= rank <= {MAX_RANK} for {self.family}_n, got {self.rank}")

    def __str__(self) -> str:
        return f"{self.family}_{self.rank}"

    @property
    def group_name(self) -> str:
        """The compact group's usual name: SU(n), SO(n), Sp(2n), E_8 ..."""
        n = self.rank
        names = {"A": f"SU({n + 1})", "B": f"SO({2 * n + 1})", "C": f"Sp({2 * n})", "D": f"SO({2 * n})"}
        return names.get(self.family, str(self))

    @cached_property
    def cartan_matrix(self) -> Integers:
        """(r, r) with A[i, j] = 2 (a_i, a_j) / (a_j, a_j); row i holds the Dynkin labels of root a_i."""
        return _cartan_matrix(self.family, self.rank)

    @cached_property
    def half_lengths(self) -> tuple[Fraction, ...]:
        """(a_i, a_i) / 2 of the simple roots: 1 for long ones."""
        a = self.cartan_matrix
        lengths: dict[int, Fraction] = {0: Fraction(1)}
        frontier = [0]
        while frontier:
            i = frontier.pop()
            for j in np.flatnonzero(a[i]).tolist():
                if j not in lengths:
                    lengths[j] = lengths[i] * Fraction(int(a[j, i]), int(a[i, j]))
                    frontier.append(j)
        longest = max(lengths.values())
        return tuple(lengths[i] / longest for i in range(self.rank))

    @cached_property
    def positive_roots(self) -> Integers:
        """(n, r) coefficients in the simple roots, lowest first, the highest root last."""
        return _positive_roots(self.family, self.rank)

    @cached_property
    def positive_roots_dynkin(self) -> Integers:
        """(n, r) the same roots as Dynkin labels."""
        return self.positive_roots @ self.cartan_matrix

    @cached_property
    def positive_coroots(self) -> Integers:
        """(n, r) with <lambda, a^v> = sum_i coroot[i] lambda_i for Dynkin labels lambda."""
        d = self.half_lengths
        scale = np.array([int(1 / x) if x < 1 else 1 for x in d])  # 1, 2 or 3
        worst = int(scale.max())
        numerators = self.positive_roots * (worst // scale)  # root_i (a_i, a_i) / 2, times worst
        squared = np.einsum("nr,nr->n", numerators, self.positive_roots_dynkin)  # (a, a) times worst
        return 2 * numerators // squared[:, None]

    @property
    def dimension(self) -> int:
        """Dimension of the algebra."""
        return self.rank + 2 * len(self.positive_roots)

    @property
    def dual_coxeter_number(self) -> int:
        """The Casimir of the adjoint representation (N for SU(N))."""
        return 1 + int(self.positive_coroots[-1].sum())

    @cached_property
    def inverse_cartan(self) -> tuple[tuple[Fraction, ...], ...]:
        """The inverse Cartan matrix, exact: row i holds the fundamental weight i in simple roots."""
        return _inverse(self.cartan_matrix)

    @cached_property
    def quadratic_form(self) -> tuple[tuple[Fraction, ...], ...]:
        """(w_i, w_j) of the fundamental weights, exact."""
        d = self.half_lengths
        return tuple(tuple(x * d[j] for j, x in enumerate(row)) for row in self.inverse_cartan)

    def inner(self, first: Sequence[int], second: Sequence[int]) -> Fraction:
        """The inner product of two weights in Dynkin labels."""
        g = self.quadratic_form
        pairs = ((i, j) for i, a in enumerate(first) if a for j, b in enumerate(second) if b)
        return sum((int(first[i]) * int(second[j]) * g[i][j] for i, j in pairs), Fraction(0))

    @cached_property
    def weyl_order(self) -> int:
        """Number of elements of the Weyl group."""
        return self.stabilizer_order((0,) * self.rank)

    def stabilizer_order(self, dominant: Sequence[int]) -> int:
        """Order of the Weyl subgroup that fixes a dominant weight (Kostant: product of (ht + 1) / ht)."""
        orthogonal = self.positive_roots[(self.positive_coroots @ np.asarray(dominant)) == 0]
        order = Fraction(1)
        for height in orthogonal.sum(axis=1).tolist():
            order *= Fraction(height + 1, height)
        return int(order)

    def orbit_size(self, dominant: Sequence[int]) -> int:
        """Number of weights in the Weyl orbit of a dominant weight."""
        return self.weyl_order // self.stabilizer_order(dominant)

    def to_dominant(self, weights: Integers) -> tuple[Integers, Integers]:
        """Reflect weights (n, r) into the dominant chamber; also (n,) the signs of the reflections."""
        current = np.array(weights, dtype=np.int64)
        signs = np.ones(len(current), dtype=np.int64)
        active = np.arange(len(current))
        while len(active):
            rows = current[active]
            worst = rows.argmin(axis=1)
            value = rows[np.arange(len(rows)), worst]
            moving = value < 0
            active, worst, value = active[moving], worst[moving], value[moving]
            current[active] -= value[:, None] * self.cartan_matrix[worst]
            signs[active] *= -1
        return current, signs


@lru_cache(maxsize=128)
def _cartan_matrix(family: str, rank: int) -> Integers:
    a = 2 * np.eye(rank, dtype=np.int64)
    links = [(i, i + 1) for i in range(rank - 1)]
    if family == "D":
        links[-1] = (rank - 3, rank - 1)
    if family == "E":
        links = [(0, 2), (2, 3), (1, 3)] + [(i, i + 1) for i in range(3, rank - 1)]
    for i, j in links:
        a[i, j] = a[j, i] = -1
    if family == "B":  # the last root is short
        a[rank - 2, rank - 1] = -2
    elif family == "C":  # the last root is long
        a[rank - 1, rank - 2] = -2
    elif family == "F":
        a[1, 2] = -2
    elif family == "G":  # Bourbaki: the first root is short
        a[1, 0] = -3
    a.setflags(write=False)
    return a


@lru_cache(maxsize=128)
def _positive_roots(family: str, rank: int) -> Integers:
    a = _cartan_matrix(family, rank)
    level = [tuple(row) for row in np.eye(rank, dtype=int).tolist()]
    found = dict.fromkeys(level)
    while level:
        above: dict[tuple[int, ...], None] = {}
        for root in level:
            labels = np.array(root) @ a
            for i in range(rank):
                # the a_i-string through the root: q steps down, p = q - <root, a_i^v> steps up
                q, lower = 0, list(root)
                while lower[i] > 0:
                    lower[i] -= 1
                    if tuple(lower) not in found:
                        break
                    q += 1
                if q - labels[i] > 0:
                    above[(*root[:i], root[i] + 1, *root[i + 1 :])] = None
        found.update(above)
        level = list(above)
    roots = np.array(list(found), dtype=np.int64)
    roots.setflags(write=False)
    return roots


def _inverse(matrix: Integers) -> tuple[tuple[Fraction, ...], ...]:
    """Exact inverse by Gauss-Jordan elimination (Cartan matrices need no pivoting)."""
    n = len(matrix)
    rows = [
        [Fraction(int(x)) for x in row] + [Fraction(int(i == j)) for j in range(n)]
        for i, row in enumerate(matrix)
    ]
    for i in range(n):
        pivot = rows[i][i]
        rows[i] = [x / pivot for x in rows[i]]
        for k in range(n):
            if k != i and rows[k][i]:
                factor = rows[k][i]
                rows[k] = [x - factor * y for x, y in zip(rows[k], rows[i])]
    return tuple(tuple(row[n:]) for row in rows)


def parse_type(name: str) -> CartanType:
    """``"E8"``, ``"A_2"``, ``"SU(3)"``, ``"SO(10)"`` or ``"Sp(6)"`` as a Cartan type.

    Raises:
        ConfigError: not the name of a simple Lie algebra.
    """
    text = name.strip()
    if match := re.fullmatch(r"([A-G])_?(\d+)", text):
        return CartanType(match[1], int(match[2]))
    if match := re.fullmatch(r"(SU|SO|Spin|Sp)\((\d+)\)", text):
        return _classical(match[1], int(match[2]))
    raise ConfigError(
        f"expected a simple Lie algebra such as 'SU(3)', 'SO(10)', 'Sp(6)', 'G_2' or 'E_8', got {name!r}"
    )


def _classical(series: str, n: int) -> CartanType:
    if series == "SU":
        return CartanType("A", n - 1)
    if series == "Sp":
        if n % 2:
            raise ConfigError(f"Sp(n) exists for even n, got Sp({n})")
        return CartanType("A", 1) if n == 2 else CartanType("C", n // 2)
    if n == 4:
        raise ConfigError("SO(4) is not simple: it is SU(2) x SU(2) up to a sign")
    return CartanType("A", 1) if n == 3 else CartanType("DB"[n % 2], n // 2)
