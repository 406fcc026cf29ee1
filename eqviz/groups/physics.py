"""Products that physics names: the Standard Model's gauge group and the collider's beam symmetry."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from eqviz.errors import ConfigError
from eqviz.groups.base import Array, Element, Exp, Group, Irrep, register_group
from eqviz.groups.planar import so2
from eqviz.groups.product import ProductGroup
from eqviz.groups.unitary import su, u1

PDG = "Review of Particle Physics, chapter Kinematics"


class BoostGroup(Group):
    """SO(1,1): boosts along the beam. Irreps (w,) are factors exp(w rapidity): p+ has w = 1, p- w = -1."""

    def boost(self, rapidity: float) -> Element:
        """The boost by a rapidity."""
        return self.element(Exp((float(rapidity),)), label=f"rapidity {rapidity:.3g}")

    def irrep(self, *label: Any) -> Irrep:
        """exp(w rapidity) for an integer weight (w,).

        Raises:
            ConfigError: not one integer.
        """
        if len(label) != 1 or not isinstance(label[0], int | np.integer):
            raise ConfigError(f"expected one integer weight for SO(1,1), got {label!r}")
        w = int(label[0])
        return Irrep(
            self,
            [[[float(w)]]],
            name=f"weight {w}",
            label=(w,),
            exponential=lambda c: np.array([[np.exp(w * c[0])]]),
        )

    def trivial(self) -> Irrep:
        """Weight 0."""
        return self.irrep(0)

    def irreps(self, limit: int = 5) -> list[Irrep]:
        """Weights 0, 1, -1, 2, ..."""
        return [self.irrep((i + 1) // 2 * (-1) ** (i + 1)) for i in range(limit)]

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """Weights add."""
        self.check_irreps(first, second)
        return [(self.irrep(first.label[0] + second.label[0]), 1)]


def _boost_matrix(coefficients: tuple[float, ...]) -> Array:
    c, s = np.cosh(coefficients[0]), np.sinh(coefficients[0])
    return np.array([[c, s], [s, c]])


@register_group("SO(1,1)", summary="boosts along the beam, (E, pz)", reference=PDG)
@lru_cache(maxsize=1)
def so11() -> BoostGroup:
    """SO(1,1), its identity component, acting on (E, pz)."""
    return BoostGroup(
        "SO(1,1)",
        [[[0.0, 1.0], [1.0, 0.0]]],
        generator_names=("Kz",),
        compact=False,
        defining_name="(E, pz)",
        exponential=_boost_matrix,
    )


@register_group("SO(1,1) x SO(2)", summary="boosts along and turns about the beam", reference=PDG)
@lru_cache(maxsize=1)
def beam() -> ProductGroup:
    """What a hadron collider leaves of the Lorentz group: longitudinal boosts and azimuthal rotations."""
    return ProductGroup(so11(), so2())


@register_group("Standard Model", summary="SU(3) x SU(2) x U(1), charges 6Y", reference="arXiv:0904.1556")
@lru_cache(maxsize=1)
def standard_model() -> ProductGroup:
    """SU(3) x SU(2) x U(1); the U(1) charge is six times the hypercharge, so that it is an integer."""
    return ProductGroup(su(3), su(2), u1())


@dataclass(frozen=True)
class Fermion:
    """A left-handed Weyl fermion of the Standard Model.

    Attributes:
        name: for instance ``"Q"`` or ``"u^c"``.
        colour, isospin: the irreps' names under SU(3) and SU(2).
        hypercharge: Y, with electric charge Q = T_3 + Y.
    """

    name: str
    colour: str
    isospin: str
    hypercharge: Fraction

    def irrep(self) -> Irrep:
        """Its irrep of :func:`standard_model`."""
        return standard_model().irrep(self.colour, self.isospin, int(6 * self.hypercharge))

    def charges(self) -> list[Fraction]:
        """Electric charges of its isospin components, T_3 descending."""
        size = int(self.isospin)
        return [Fraction(size - 1 - 2 * i, 2) + self.hypercharge for i in range(size)]


GENERATION = (
    Fermion("Q", "3", "2", Fraction(1, 6)),
    Fermion("u^c", "3bar", "1", Fraction(-2, 3)),
    Fermion("d^c", "3bar", "1", Fraction(1, 3)),
    Fermion("L", "1", "2", Fraction(-1, 2)),
    Fermion("e^c", "1", "1", Fraction(1)),
)
"""One generation of left-handed fermions and antifermions."""
