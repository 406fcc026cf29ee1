"""The Lorentz group: SO+(1,3) with rotations and boosts, and O(1,3) with parity and time reversal.

Conventions of :mod:`eqviz.kinematics`: p4 = (E, px, py, pz), metric (+, -, -, -), active transformations.
Coefficients of the six generators (Jx, Jy, Jz, Kx, Ky, Kz) are rotation angles and rapidities.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import expm

from eqviz.errors import ConfigError
from eqviz.groups.base import Array, Element, Group, Irrep, Representation, register_group
from eqviz.groups.composite import SubRepresentation
from eqviz.groups.lorentz_irreps import (
    full_irrep_matrices,
    irrep_exponential,
    irrep_generators,
    label_text,
    lorentz_cg_table,
    parse_label,
    product_labels,
)
from eqviz.groups.lorentz_tensors import antisymmetric_basis, self_dual_basis, traceless_symmetric_basis
from eqviz.kinematics import random_axis, rotation_matrix, unit_vector

REFERENCE = "arXiv:2006.04780"


def vector_generators() -> Array:
    """(6, 4, 4) generators Jx, Jy, Jz, Kx, Ky, Kz of the four-vector."""
    x = np.zeros((6, 4, 4))
    for a, (b, c) in enumerate(((2, 3), (3, 1), (1, 2))):
        x[a, b, c], x[a, c, b] = -1.0, 1.0
        x[3 + a, 0, 1 + a] = x[3 + a, 1 + a, 0] = 1.0
    return x


_VECTOR = vector_generators()


def vector_exponential(coefficients: tuple[float, ...]) -> Array:
    """exp of the four-vector's generators, in closed form for a pure rotation or a pure boost."""
    angle, rapidity = np.array(coefficients[:3]), np.array(coefficients[3:])
    if not rapidity.any():
        theta = float(np.linalg.norm(angle))
        return rotation_matrix(theta, angle) if theta else np.eye(4)
    if not angle.any():
        eta = float(np.linalg.norm(rapidity))
        n = rapidity / eta
        matrix = np.eye(4)
        matrix[0, 0] = np.cosh(eta)
        matrix[0, 1:] = matrix[1:, 0] = np.sinh(eta) * n
        matrix[1:, 1:] += 2 * np.sinh(eta / 2) ** 2 * np.outer(n, n)
        return matrix
    return expm(np.tensordot(np.array(coefficients), _VECTOR, axes=1))


class LorentzGroup(Group):
    """SO+(1,3), or O(1,3) with discrete generators P and T."""

    def rotation(self, angle: float, axis: str | ArrayLike = "z") -> Element:
        """Rotation by ``angle`` radians about ``axis`` (right-handed)."""
        n = unit_vector(axis)
        return self.exp([*(angle * n), 0, 0, 0], label=f"rotation by {angle:.3g} rad about {_axis(axis)}")

    def boost(self, gamma: float, axis: str | ArrayLike = "z") -> Element:
        """Active boost of Lorentz factor ``gamma >= 1`` along ``axis``."""
        if not np.isfinite(gamma) or gamma < 1:
            raise ConfigError(f"expected a Lorentz factor gamma >= 1, got {gamma}")
        rapidity = float(np.log1p((gamma - 1) + np.sqrt((gamma - 1) * (gamma + 1))))
        n = unit_vector(axis)
        return self.exp([0, 0, 0, *(rapidity * n)], label=f"boost gamma={gamma:.4g} along {_axis(axis)}")

    def sample(self, rng: np.random.Generator, max_gamma: float = 10.0) -> Element:
        """Rotation times boost, uniform axes and angle, gamma log-uniform in [1, max_gamma]."""
        gamma = float(np.exp(rng.uniform(0.0, np.log(max_gamma))))
        angle = float(rng.uniform(0, 2 * np.pi))
        word = self.rotation(angle, random_axis(rng)) * self.boost(gamma, random_axis(rng))
        moved = Element(self, word.factors, f"rotation by {angle:.3g} rad, boost gamma={gamma:.4g}")
        for name in self.discrete_names:
            if rng.random() < 0.5:
                moved = Element(self, (*moved.factors, *self.discrete(name).factors), f"{moved.label} {name}")
        return moved

    def vector(self) -> Representation:
        """The four-vector (E, px, py, pz)."""
        return self.defining

    def covector(self) -> Representation:
        """The dual four-vector, lower index."""
        return self.defining.dual()

    def traceless_symmetric(self, rank: int) -> SubRepresentation:
        """Traceless symmetric tensors of a rank, real: the form of (rank/2, rank/2) that momenta make."""
        if not isinstance(rank, int) or not 1 <= rank <= 4:
            raise ConfigError(f"expected a tensor rank between 1 and 4, got {rank!r}")
        basis = traceless_symmetric_basis(rank)
        return SubRepresentation(self.vector() ** rank, basis, f"traceless symmetric, rank {rank}")

    def antisymmetric(self) -> SubRepresentation:
        """Antisymmetric tensors F, real, six components (01, 02, 03, 12, 13, 23): (1, 0) + (0, 1)."""
        return SubRepresentation(self.vector() ** 2, antisymmetric_basis(), "antisymmetric tensor")

    def self_dual(self, sign: int = 1) -> SubRepresentation:
        """Antisymmetric tensors with B = iE (+1, the irrep (1, 0)) or B = -iE (-1, (0, 1)), complex.

        Raises:
            ConfigError: a sign other than +1 or -1, or a group with parity, which exchanges the two.
        """
        if sign not in (1, -1):
            raise ConfigError(f"expected a sign +1 or -1, got {sign!r}")
        name = "self-dual tensor" if sign > 0 else "anti-self-dual tensor"
        return SubRepresentation(self.vector() ** 2, self_dual_basis(sign), name)

    def irrep(self, *label: Any) -> Irrep:
        """The irrep (k, n), for instance ``irrep("1/2", "1/2")``; see :mod:`eqviz.groups.lorentz_irreps`.

        Raises:
            ConfigError: not two half-integers between 0 and 100, or a matrix of size above 1000.
        """
        k, n = _small_label(label, self.name)
        if not k and not n:
            return self.trivial()
        return Irrep(
            self,
            irrep_generators(k, n),
            name=label_text(k, n),
            label=(Fraction(k, 2), Fraction(n, 2)),
            exponential=lambda c: irrep_exponential(k, n, c),
        )

    def trivial(self) -> Irrep:
        """Scalars, (0, 0)."""
        zero = np.zeros((6, 1, 1))
        return Irrep(self, zero, name="(0, 0)", dimension=1, label=(Fraction(0), Fraction(0)))

    def irreps(self, limit: int = 6) -> list[Irrep]:
        """The irreps of lowest k + n."""
        pairs = [(k, total - k) for total in range(limit) for k in range(total, -1, -1)]
        return [self.irrep(Fraction(k, 2), Fraction(n, 2)) for k, n in pairs[:limit]]

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """(k, n) in all ranges |k1 - k2| ... k1 + k2 and |n1 - n2| ... n1 + n2, once each."""
        self.check_irreps(first, second)
        labels = product_labels(*(parse_label(irrep.label, self.name) for irrep in (first, second)))
        return [(self.irrep(Fraction(k, 2), Fraction(n, 2)), 1) for k, n in labels]

    def clebsch_gordan(self, first: Irrep, second: Irrep, third: Irrep) -> Array:
        """Products of two SU(2) tables, (1 or 0, d1, d2, d3), real."""
        self.check_irreps(first, second, third)
        table = lorentz_cg_table(*(parse_label(irrep.label, self.name) for irrep in (first, second, third)))
        return table[None] if table.any() else np.zeros((0, *table.shape))


class FullLorentzGroup(LorentzGroup):
    """O(1,3): irreps are labelled (k, n, parity, time reversal) with k >= n and two signs."""

    def irrep(self, *label: Any) -> Irrep:
        """(k, n) or (k, n, p, t); see :func:`eqviz.groups.lorentz_irreps.full_irrep_matrices`.

        Raises:
            ConfigError: k < n (the pair is named by its larger spin), k + n half-integer (a representation of
                the double cover only), or signs other than +1 and -1 (p = -1 only for k = n).
        """
        k, n = _small_label(label[:2], self.name)
        signs = label[2:] or (1, 1)
        if k < n or (k + n) % 2:
            raise ConfigError(f"expected k >= n with k + n an integer for O(1,3), got {label!r}")
        if len(signs) != 2 or not set(signs) <= {1, -1} or (k != n and signs[0] == -1):
            raise ConfigError(f"expected signs p, t of +1 or -1 (p = -1 only if k = n), got {label!r}")
        generators, discrete, name = full_irrep_matrices(k, n, *signs)
        if not k and not n:
            generators = generators.real
        return Irrep(self, generators, discrete, name=name, label=(Fraction(k, 2), Fraction(n, 2), *signs))

    def trivial(self) -> Irrep:
        """Scalars, even under P and T."""
        return self.irrep(0, 0, 1, 1)

    def irreps(self, limit: int = 8) -> list[Irrep]:
        """Scalars of the four parities, vectors, antisymmetric and traceless symmetric tensors ..."""
        labels = [(0, 0, p, t) for t in (1, -1) for p in (1, -1)]
        labels += [(1, 1, 1, 1), (1, 1, -1, 1), (2, 0, 1, 1), (2, 2, 1, 1), (2, 2, -1, 1)]
        return [self.irrep(Fraction(k, 2), Fraction(n, 2), p, t) for k, n, p, t in labels[:limit]]

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """Both parities are tried with the general solver."""
        self.check_irreps(first, second)
        pairs = set()
        for a in _halves(first):
            for b in _halves(second):
                pairs |= {(max(c), min(c)) for c in product_labels(a, b)}
        t = first.label[3] * second.label[3]
        found = []
        for k, n in sorted(pairs):
            for p in (1, -1) if k == n else (1,):
                irrep = self.irrep(Fraction(k, 2), Fraction(n, 2), p, t)
                count = len(self.clebsch_gordan(first, second, irrep))
                found += [(irrep, count)] if count else []
        return found

    def clebsch_gordan(self, first: Irrep, second: Irrep, third: Irrep) -> Array:
        """By the general solver."""
        return Group.clebsch_gordan(self, first, second, third)


def _halves(irrep: Irrep) -> set[tuple[int, int]]:
    k, n = parse_label(irrep.label[:2], irrep.group.name)
    return {(k, n), (n, k)}


def _small_label(label: tuple[Any, ...], group: str) -> tuple[int, int]:
    k, n = parse_label(label, group)
    if (k + 1) * (n + 1) > 1000:
        raise ConfigError(f"the irrep {label_text(k, n)} has dimension {(k + 1) * (n + 1)}, more than 1000")
    return k, n


def _axis(axis: str | ArrayLike) -> str:
    return axis if isinstance(axis, str) else "(" + ", ".join(f"{c:.2f}" for c in unit_vector(axis)) + ")"


def _build(full: bool) -> Any:
    return (FullLorentzGroup if full else LorentzGroup)(
        "O(1,3)" if full else "SO+(1,3)",
        _VECTOR,
        [np.diag([1.0, -1.0, -1.0, -1.0]), np.diag([-1.0, 1.0, 1.0, 1.0])] if full else (),
        generator_names=("Jx", "Jy", "Jz", "Kx", "Ky", "Kz"),
        discrete_names=("P", "T") if full else (),
        compact=False,
        defining_name="vector",
        exponential=vector_exponential,
    )


@register_group("SO+(1,3)", summary="rotations and boosts of space-time", reference=REFERENCE)
@lru_cache(maxsize=1)
def lorentz() -> LorentzGroup:
    """The proper orthochronous Lorentz group."""
    return _build(full=False)


@register_group("O(1,3)", summary="the Lorentz group with parity P and time reversal T", reference=REFERENCE)
@lru_cache(maxsize=1)
def full_lorentz() -> FullLorentzGroup:
    """The full Lorentz group."""
    return _build(full=True)
