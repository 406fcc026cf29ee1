"""Group elements as words in the generators, so that every representation can evaluate them.

An element is a product of factors, each either exp(sum_i c_i X_i) of the Lie algebra's generators or a
power of a discrete generator. The leftmost factor acts last, as in a product of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eqviz.errors import ConfigError

if TYPE_CHECKING:
    from eqviz.groups.base import Group

Array: TypeAlias = NDArray[Any]
"""float64 or complex128."""


@dataclass(frozen=True)
class Exp:
    """exp(sum_i coefficients[i] X_i)."""

    coefficients: tuple[float, ...]

    def inverse(self) -> Exp:
        """The factor with all coefficients negated."""
        return Exp(tuple(-c for c in self.coefficients))

    def describe(self, names: Sequence[str]) -> str:
        """For instance ``exp(0.3 Jx - 1.2 Kz)``."""
        terms = [(c, name) for c, name in zip(self.coefficients, names) if c != 0]
        if len(terms) > 6:
            return f"exp(|c|={np.linalg.norm(self.coefficients):.3g})"
        text = " ".join(f"{'-' if c < 0 else '+'} {abs(c):.3g} {name}" for c, name in terms)
        return f"exp({text.removeprefix('+ ')})" if terms else "1"


@dataclass(frozen=True)
class Power:
    """Discrete generator number ``index`` to an integer power."""

    index: int
    exponent: int = 1

    def inverse(self) -> Power:
        """The opposite power."""
        return Power(self.index, -self.exponent)

    def describe(self, names: Sequence[str]) -> str:
        """For instance ``P`` or ``r^3``."""
        return names[self.index] if self.exponent == 1 else f"{names[self.index]}^{self.exponent}"


Factor: TypeAlias = Exp | Power


@dataclass(frozen=True, eq=False)
class Element:
    """A group element; ``g * h`` is the product (h acts first), ``g.inverse()`` the inverse.

    Attributes:
        group: the group it belongs to.
        factors: the word, leftmost factor acting last; empty for the identity.
        label: what to call it in tables, by default made from the factors.
    """

    group: Group = field(repr=False)
    factors: tuple[Factor, ...] = ()
    label: str = ""

    def __mul__(self, other: Element) -> Element:
        if other.group != self.group:
            raise ConfigError(
                f"expected two elements of one group, got {self.group.name} and {other.group.name}"
            )
        parts = [text for text in (self.label, other.label) if text]
        label = " ".join(parts) if len(parts) == 2 or not (self.factors and other.factors) else ""
        return Element(self.group, self.factors + other.factors, label)

    def inverse(self) -> Element:
        """The inverse element."""
        factors = tuple(factor.inverse() for factor in reversed(self.factors))
        return Element(self.group, factors, f"({self.label})^-1" if self.label else "")

    @property
    def matrix(self) -> Array:
        """The element in the group's defining representation, (d, d); a copy of your own."""
        return self._matrix.copy()  # PyTorch warns about read-only arrays

    @cached_property
    def _matrix(self) -> Array:
        return self.group.defining(self)

    def __str__(self) -> str:
        if self.label or not self.factors:
            return self.label or "identity"
        names = {Exp: self.group.generator_names, Power: self.group.discrete_names}
        words = [factor.describe(names[type(factor)]) for factor in self.factors]
        return " ".join(words) if len(words) <= 6 else f"word of {len(words)} generators"
