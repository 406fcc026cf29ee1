"""U(1) and SU(N): irreps by highest weight, Young diagram or name, explicit generators and couplings.

Generators are X_a = -i lambda_a / 2 with the generalized Gell-Mann matrices in their usual order (for SU(3)
lambda_1 ... lambda_8), in every irrep; bases are Gelfand-Tsetlin patterns, the highest weight first.

>>> group = su(3)
>>> " + ".join(f"{count} {irrep.name}" for irrep, count in group.product(group.irrep("8"), group.irrep("8")))
'1 27 + 1 10 + 1 10bar + 2 8 + 1 1'
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from eqviz.errors import ConfigError
from eqviz.groups.base import Array, Element, Exp, Group, Irrep, register_group
from eqviz.groups.cache import cached_tables
from eqviz.groups.cartan import Weight
from eqviz.groups.gelfand_tsetlin import gelfand_tsetlin
from eqviz.groups.ladder import Ladder, check_table_size, ladder_couplings
from eqviz.groups.representation import as_matrices
from eqviz.groups.simple import SimpleAlgebra, simple_algebra

REFERENCE = "arXiv:1009.0437"
MAX_GENERATORS = 30_000_000
MAX_STATES = 3000


def gell_mann(ladder: Ladder) -> Array:
    """(N^2 - 1, d, d) Hermitian matrices lambda_a / 2 in the irrep of a ladder of SU(N)."""
    n, d = ladder.type.rank + 1, ladder.dimension
    raising: dict[tuple[int, int], Array] = {}
    for j in range(1, n):
        raising[j - 1, j] = ladder.lowering[j - 1].T
        for i in range(j - 2, -1, -1):
            left, right = raising[i, i + 1], raising[i + 1, j]
            raising[i, j] = left @ right - right @ left
    made = np.zeros((n * n - 1, d, d), dtype=np.complex128)
    a = 0
    for j in range(1, n):
        for i in range(j):
            e = raising[i, j]
            made[a], made[a + 1] = (e + e.T) / 2, (e - e.T) / 2j
            a += 2
        # sum of the Cartan generators h_1 + 2 h_2 + ... + j h_j is diag(1, ..., 1, -j) in the fundamental
        weights = ladder.weights[:, :j] @ np.arange(1, j + 1)
        made[a] = np.diag(weights / np.sqrt(2 * j * (j + 1)))
        a += 1
    return made


class UnitaryIrrep(Irrep):
    """An irrep of SU(N); its matrices are built when they are first needed.

    Attributes:
        ladder: weights and ladder operators of the basis.
    """

    def __init__(self, group: SpecialUnitaryGroup, weight: Weight) -> None:
        self.label = weight
        self._describe(group, group.algebra.name_of(weight), group.algebra.dimension_of(weight), True)

    @cached_property
    def ladder(self) -> Ladder:
        """Weights and ladder operators in the Gelfand-Tsetlin basis."""
        if self.dimension > MAX_STATES:
            raise ConfigError(
                f"{self.name} of {self.group.name} has more than {MAX_STATES} states to write down; "
                "its weights and products are known to eqviz.groups.simple"
            )
        return gelfand_tsetlin(len(self.label) + 1, self.label)

    @cached_property
    def generators(self) -> Array:
        size = self.group.algebra_dimension * self.dimension**2
        if size > MAX_GENERATORS:
            raise ConfigError(
                f"the generators of {self.name} of {self.group.name} are {size} numbers, more than "
                f"{MAX_GENERATORS}; use its ladder operators (.ladder)"
            )
        return as_matrices(-1j * gell_mann(self.ladder), self.dimension)

    @cached_property
    def discrete_generators(self) -> Array:
        return as_matrices((), self.dimension)

    def exp(self, coefficients: Sequence[float]) -> Array:
        """exp(sum_a c_a X_a), unitary to rounding."""
        hermitian = 1j * np.tensordot(np.asarray(coefficients), self.generators, axes=1)
        values, vectors = np.linalg.eigh(hermitian)
        return (vectors * np.exp(-1j * values)) @ vectors.conj().T


class SpecialUnitaryGroup(Group):
    """SU(N). Irreps: Dynkin labels ``irrep(1, 1)``, names ``irrep("8")``, diagrams ``young(2, 1)``."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.algebra: SimpleAlgebra = simple_algebra(f"SU({n})")
        fundamental = gelfand_tsetlin(n, (1,) + (0,) * (n - 2))
        super().__init__(
            f"SU({n})",
            -1j * gell_mann(fundamental),
            generator_names=tuple(f"T{a}" for a in range(1, n * n)),
            defining_name=str(n),
        )

    def irrep(self, *label: Any) -> UnitaryIrrep:
        """By N - 1 Dynkin labels or by name.

        Raises:
            ConfigError: no such irrep.
        """
        by_name = len(label) == 1 and isinstance(label[0], str)
        return UnitaryIrrep(self, self.algebra.weight(label[0] if by_name else label))

    def young(self, *rows: int) -> UnitaryIrrep:
        """By the row lengths of a Young diagram, at most N rows (columns of N boxes are singlets).

        Raises:
            ConfigError: rows that increase, are negative, or too many.
        """
        valid = all(isinstance(r, int | np.integer) and r >= 0 for r in rows)
        if not valid or len(rows) > self.n or list(rows) != sorted(rows, reverse=True):
            raise ConfigError(f"expected at most {self.n} row lengths in decreasing order, got {rows!r}")
        padded = [*rows, *[0] * (self.n - len(rows))]
        return self.irrep(*(int(a - b) for a, b in pairwise(padded)))

    def trivial(self) -> UnitaryIrrep:
        """The singlet."""
        return self.irrep(*(0,) * (self.n - 1))

    def irreps(self, limit: int = 5) -> list[Irrep]:
        """The smallest irreps."""
        dimension = 1
        while len(self.algebra.irreps_up_to(dimension)) < limit:
            dimension = 2 * dimension + self.n
        return [self.irrep(*weight) for weight in self.algebra.irreps_up_to(dimension)[:limit]]

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """By Klimyk's formula, the largest first."""
        self.check_irreps(first, second)
        parts = self.algebra.tensor(first.label, second.label)
        return [(self.irrep(*weight), count) for weight, count in parts.items()]

    def clebsch_gordan(self, first: Irrep, second: Irrep, third: Irrep) -> Array:
        """Real couplings (m, d1, d2, d3) of the Gelfand-Tsetlin bases, from the cache on disk if known.

        Raises:
            ConfigError: a table of more than fifty million numbers, or an irrep too large to write down.
        """
        self.check_irreps(first, second, third)
        a, b, c = (self.irrep(*irrep.label) for irrep in (first, second, third))
        copies = self.algebra.tensor(a.label, b.label).get(c.label, 0)
        check_table_size(a.dimension, b.dimension, c.dimension, copies)

        def build() -> dict[str, Array]:
            return {"table": ladder_couplings(a.ladder, b.ladder, c.ladder, copies)}

        if a.dimension * b.dimension * c.dimension < 1000:  # faster than opening a file
            return build()["table"]
        return cached_tables(f"{self.name} {a.label} x {b.label} -> {c.label}", build)["table"]


class CircleGroup(Group):
    """U(1): phases; irreps are labelled by their integer charge."""

    def phase(self, angle: float) -> Element:
        """The element exp(i angle)."""
        return self.element(Exp((float(angle),)), label=f"phase {angle:.3g} rad")

    def irrep(self, *label: Any) -> Irrep:
        """exp(i q angle) for a charge (q,).

        Raises:
            ConfigError: not one integer.
        """
        if len(label) != 1 or not isinstance(label[0], int | np.integer):
            raise ConfigError(f"expected one integer charge for U(1), got {label!r}")
        q = int(label[0])
        return Irrep(
            self,
            [[[1j * q]]],
            name=f"charge {q}",
            label=(q,),
            exponential=lambda c: np.array([[np.exp(1j * q * c[0])]]),
        )

    def trivial(self) -> Irrep:
        """Charge 0."""
        return self.irrep(0)

    def irreps(self, limit: int = 5) -> list[Irrep]:
        """Charges 0, 1, -1, 2, ..."""
        return [self.irrep((i + 1) // 2 * (-1) ** (i + 1)) for i in range(limit)]

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """Charges add."""
        self.check_irreps(first, second)
        return [(self.irrep(first.label[0] + second.label[0]), 1)]

    def clebsch_gordan(self, first: Irrep, second: Irrep, third: Irrep) -> Array:
        """1 if the charges add up."""
        self.check_irreps(first, second, third)
        return np.ones((int(first.label[0] + second.label[0] == third.label[0]), 1, 1, 1))


@register_group(
    "SU(N)", summary="special unitary matrices: colour, flavour, unification", reference=REFERENCE
)
@lru_cache(maxsize=16)
def su(n: int = 3) -> SpecialUnitaryGroup:
    """SU(n) for 2 <= n <= 20."""
    if not isinstance(n, int | np.integer) or not 2 <= n <= 20:
        raise ConfigError(f"expected SU(n) with 2 <= n <= 20, got n = {n!r}; see eqviz.groups.simple beyond")
    return SpecialUnitaryGroup(int(n))


@register_group("U(1)", summary="phases: charge, hypercharge", reference="arXiv:1009.0437")
@lru_cache(maxsize=1)
def u1() -> CircleGroup:
    """U(1)."""
    return CircleGroup("U(1)", [[[1j]]], generator_names=("Q",), defining_name="charge 1")
