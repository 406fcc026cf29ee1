"""Semi-direct products of translations with a linear group: SE(2), E(2), SE(3), the Poincare group.

An element (L, a) sends a point x to L x + a; the law is (L1, a1)(L2, a2) = (L1 L2, a1 + L1 a2). The defining
representation holds L and a in a matrix that acts on (x, 1). Fields move by the induced action
(g f)(x) = sigma(L) f(g^-1 x). Source: G. Mackey; for networks M. Weiler et al., arXiv:1807.02547.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eqviz.errors import ConfigError
from eqviz.groups.base import (
    Action,
    Array,
    Element,
    Exp,
    Factor,
    Group,
    Irrep,
    Representation,
    register_group,
)
from eqviz.groups.lorentz import lorentz
from eqviz.groups.planar import o2, so2
from eqviz.groups.representation import as_matrices
from eqviz.groups.rotations import so3

REFERENCE = "arXiv:1807.02547"


class AffineGroup(Group):
    """Translations of R^d and a linear group H on it.

    The generators are those of H followed by the d translations.

    Attributes:
        linear_group: H, whose defining representation acts on R^d.
        space_dimension: d.
    """

    def __init__(self, name: str, linear_group: Group, axes: tuple[str, ...]) -> None:
        self.linear_group = linear_group
        d = self.space_dimension = linear_group.defining.dimension
        generators = [_homogeneous(x, np.zeros(d), 0.0) for x in linear_group.defining.generators]
        generators += [_homogeneous(np.zeros((d, d)), row, 0.0) for row in np.eye(d)]
        discrete = [_homogeneous(h, np.zeros(d), 1.0) for h in linear_group.defining.discrete_generators]
        super().__init__(
            name,
            generators,
            discrete,
            generator_names=(*linear_group.generator_names, *(f"P{axis}" for axis in axes)),
            discrete_names=linear_group.discrete_names,
            compact=False,
            defining_name="points (x, 1)",
            exponential=self._exponential,
        )

    def _exponential(self, coefficients: tuple[float, ...]) -> Array:
        k, d = self.linear_group.algebra_dimension, self.space_dimension
        if any(coefficients[:k]) and any(coefficients[k:]):
            from scipy.linalg import expm

            return expm(np.tensordot(np.array(coefficients), self.defining.generators, axes=1))
        linear = self.linear_group.defining.exp(coefficients[:k]) if any(coefficients[:k]) else np.eye(d)
        return _homogeneous(linear, np.array(coefficients[k:]), 1.0)

    def translation(self, a: ArrayLike) -> Element:
        """The translation by ``a``, (d,)."""
        shift = np.asarray(a, dtype=np.float64)
        if shift.shape != (self.space_dimension,) or not np.isfinite(shift).all():
            raise ConfigError(f"expected a translation of {self.space_dimension} finite numbers, got {a!r}")
        word = Exp((0.0,) * self.linear_group.algebra_dimension + tuple(shift.tolist()))
        label = "translation by (" + ", ".join(f"{x:.3g}" for x in shift) + ")"
        return self.element(word, label=label)

    def linear(self, element: Element) -> Element:
        """An element of H as one that fixes the origin."""
        self._check_linear(element)
        factors: list[Factor] = [
            Exp(f.coefficients + (0.0,) * self.space_dimension) if isinstance(f, Exp) else f
            for f in element.factors
        ]
        return self.element(*factors, label=str(element))

    def _check_linear(self, element: Element) -> None:
        if element.group != self.linear_group:
            raise ConfigError(
                f"expected an element of {self.linear_group.name}, got one of {element.group.name}"
            )

    def linear_part(self, element: Element) -> Element:
        """The image in H = G / translations."""
        k = self.linear_group.algebra_dimension
        kept: list[Factor] = []
        for factor in element.factors:
            if not isinstance(factor, Exp):
                kept.append(factor)
            elif any(factor.coefficients[:k]):
                kept.append(Exp(factor.coefficients[:k]))
        return self.linear_group.element(*kept)

    def split(self, element: Element) -> tuple[Array, Array]:
        """The matrix L (d, d) and the translation a (d,)."""
        matrix = element.matrix
        return matrix[:-1, :-1], matrix[:-1, -1]

    def sample(self, rng: np.random.Generator) -> Element:
        """A normal translation after a random element of H."""
        return self.translation(rng.normal(size=self.space_dimension)) * self.linear(
            self.linear_group.sample(rng)
        )

    def points(self) -> Action:
        """Points (..., d) move to L x + a."""

        def act(element: Element, x: Any) -> Array:
            matrix, shift = self.split(element)
            return np.asarray(x) @ matrix.T + shift

        return Action(self, act, "points")

    def pull_back(self, representation: Representation) -> PulledBack:
        """A representation of H in which translations do nothing: vectors, as opposed to points."""
        return PulledBack(self, representation)

    def induced(self, field: Representation) -> Callable[[Element, Callable[[Array], Array]], Callable]:
        """The induced action on fields: (g, f) -> the function x -> sigma(L) f(g^-1 x).

        Args:
            field: sigma, how the field's values (..., c) transform under H.
        """
        if field.group != self.linear_group:
            raise ConfigError(f"expected a representation of {self.linear_group.name}, got {field!r}")

        def act(element: Element, f: Callable[[Array], Array]) -> Callable[[Array], Array]:
            matrix, shift = self.split(element.inverse())
            linear = self.linear_part(element)

            def moved(x: Array) -> Array:
                return field.act(linear, f(np.asarray(x) @ matrix.T + shift))

            return moved

        return act

    def irrep(self, *label: Any) -> Irrep:
        """The finite-dimensional irreps: those of H, translations acting trivially."""
        inner = self.linear_group.irrep(*label)
        return PulledBackIrrep(self, inner)

    def trivial(self) -> Irrep:
        """Scalars."""
        return PulledBackIrrep(self, self.linear_group.trivial())

    def irreps(self, limit: int = 5) -> list[Irrep]:
        """The smallest finite-dimensional irreps."""
        return [PulledBackIrrep(self, irrep) for irrep in self.linear_group.irreps(limit)]

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """As in H."""
        parts = self.linear_group.product(self._inner(first), self._inner(second))
        return [(PulledBackIrrep(self, irrep), count) for irrep, count in parts]

    def clebsch_gordan(self, first: Irrep, second: Irrep, third: Irrep) -> Array:
        """As in H."""
        return self.linear_group.clebsch_gordan(*(self._inner(irrep) for irrep in (first, second, third)))

    def _inner(self, irrep: Irrep) -> Irrep:
        self.check_irreps(irrep)
        return irrep.inner if isinstance(irrep, PulledBackIrrep) else self.linear_group.irrep(*irrep.label)


class PulledBack(Representation):
    """A representation of H seen as one of the affine group."""

    def __init__(self, group: AffineGroup, inner: Representation) -> None:
        if inner.group != group.linear_group:
            raise ConfigError(f"expected a representation of {group.linear_group.name}, got {inner!r}")
        self.affine_group = group
        self.inner: Any = inner
        self._describe(group, inner.name, inner.dimension, inner.is_complex)

    @cached_property
    def generators(self) -> Array:
        zeros = np.zeros((self.affine_group.space_dimension, self.dimension, self.dimension))
        return as_matrices(np.concatenate([self.inner.generators, zeros]), self.dimension)

    @cached_property
    def discrete_generators(self) -> Array:
        return self.inner.discrete_generators

    def _matrix(self, element: Element) -> Array:
        return self.inner(self.affine_group.linear_part(element))


class PulledBackIrrep(PulledBack, Irrep):
    """An irrep of H seen as one of the affine group."""

    inner: Irrep

    def __init__(self, group: AffineGroup, inner: Irrep) -> None:
        PulledBack.__init__(self, group, inner)
        self.label = inner.label


def _homogeneous(matrix: Array, shift: Array, corner: float) -> Array:
    d = len(matrix)
    made = np.zeros((d + 1, d + 1))
    made[:d, :d], made[:d, d], made[d, d] = matrix, shift, corner
    return made


@register_group("SE(2)", summary="rotations and translations of the plane", reference=REFERENCE)
@lru_cache(maxsize=1)
def se2() -> AffineGroup:
    """SE(2)."""
    return AffineGroup("SE(2)", so2(), ("x", "y"))


@register_group("E(2)", summary="motions and reflections of the plane", reference=REFERENCE)
@lru_cache(maxsize=1)
def e2() -> AffineGroup:
    """E(2)."""
    return AffineGroup("E(2)", o2(), ("x", "y"))


@register_group("SE(3)", summary="rotations and translations of space", reference=REFERENCE)
@lru_cache(maxsize=1)
def se3() -> AffineGroup:
    """SE(3)."""
    return AffineGroup("SE(3)", so3(), ("x", "y", "z"))


@register_group("Poincare", summary="Lorentz transformations and translations", reference=REFERENCE)
@lru_cache(maxsize=1)
def poincare() -> AffineGroup:
    """The Poincare group acting on events (t, x, y, z)."""
    return AffineGroup("Poincare", lorentz(), ("t", "x", "y", "z"))
