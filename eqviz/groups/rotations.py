"""SU(2) and SO(3): spins, Wigner D matrices, Clebsch-Gordan coefficients.

Conventions (Condon-Shortley). States of spin j are ordered m = j, j - 1, ..., -j and J_z, J_+ are real, so
that spin 1/2 has J = sigma / 2. A rotation by ``angle`` about n is exp(-i angle n.J). Euler angles are
z-y-z: R = R_z(alpha) R_y(beta) R_z(gamma). The real irreps of SO(3) act on real spherical harmonics in the
order m = -l ... l, for l = 1: (y, z, x). Source: Varshalovich, Quantum Theory of Angular Momentum.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from eqviz.errors import ConfigError
from eqviz.groups.base import Array, Element, Exp, Group, Irrep, register_group
from eqviz.kinematics import rotation_matrix, unit_vector

REFERENCE = "Varshalovich, Quantum Theory of Angular Momentum (1988)"
MAX_TWICE_SPIN = 200

Spin: TypeAlias = int | float | Fraction | str


def twice_spin(spin: Any, what: str = "spin") -> int:
    """2 j as an integer, for j given as 1, 0.5, Fraction(1, 2) or "1/2".

    Raises:
        ConfigError: not a half-integer between 0 and 100.
    """
    try:
        twice = 2 * Fraction(spin)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise ConfigError(f"expected a {what} 0, 1/2, 1, ..., got {spin!r}") from error
    if twice.denominator != 1 or not 0 <= twice <= MAX_TWICE_SPIN:
        raise ConfigError(f"expected a {what} 0, 1/2, 1, ... up to {MAX_TWICE_SPIN // 2}, got {spin!r}")
    return int(twice)


def spin_text(twice: int) -> str:
    """``1/2`` for 1, ``1`` for 2."""
    return str(Fraction(twice, 2))


@lru_cache(maxsize=256)
def spin_matrices(twice: int) -> Array:
    """(3, 2j + 1, 2j + 1) Hermitian J_x, J_y, J_z, read-only."""
    m = np.arange(twice, -twice - 1, -2) / 2
    j = twice / 2
    raising = np.diag(np.sqrt((j - m[1:]) * (j + m[1:] + 1)), 1).astype(np.complex128)
    matrices = np.stack([(raising + raising.T) / 2, (raising - raising.T) / 2j, np.diag(m)])
    matrices.setflags(write=False)
    return matrices


def spin_exponential(twice: int, vector: ArrayLike) -> Array:
    """exp(-i vector.J), by the eigenvectors of the Hermitian generator: unitary to rounding."""
    values, vectors = np.linalg.eigh(np.tensordot(np.asarray(vector), spin_matrices(twice), axes=1))
    return (vectors * np.exp(-1j * values)) @ vectors.conj().T


@lru_cache(maxsize=128)
def real_basis(twice: int) -> Array:
    """Unitary U with x_real = U x_complex: real harmonics m = -l ... l from the states m = l ... -l.

    For m > 0: (sin m phi, -m) and (cos m phi, +m) combinations with the Condon-Shortley phase undone.
    """
    if twice % 2:
        raise ConfigError(f"spin {spin_text(twice)} has no real basis; only integer spins have")
    l = twice // 2  # noqa: E741
    u = np.zeros((twice + 1, twice + 1), dtype=np.complex128)
    u[l, l] = 1.0
    for m in range(1, l + 1):
        sign, root = (-1) ** m, np.sqrt(0.5)
        u[l + m, l - m], u[l + m, l + m] = sign * root, root
        u[l - m, l - m], u[l - m, l + m] = -1j * sign * root, 1j * root
    u = u.conj()  # components transform with the conjugate of the harmonics' combination
    u.setflags(write=False)
    return u


class RotationGroup(Group):
    """SU(2), with spins 0, 1/2, 1 ..., or SO(3), with real irreps l = 0, 1, 2 ..."""

    double_cover: bool

    def rotation(self, angle: float, axis: str | ArrayLike = "z") -> Element:
        """Rotation by ``angle`` radians about ``axis`` (right-handed)."""
        n = unit_vector(axis)
        where = axis if isinstance(axis, str) else f"({', '.join(f'{c:.2f}' for c in n)})"
        return self.exp(angle * n, label=f"rotation by {angle:.3g} rad about {where}")

    def euler(self, alpha: float, beta: float, gamma: float) -> Element:
        """R_z(alpha) R_y(beta) R_z(gamma)."""
        factors = (Exp((0.0, 0.0, float(alpha))), Exp((0.0, float(beta), 0.0)), Exp((0.0, 0.0, float(gamma))))
        return self.element(*factors, label=f"Euler ({alpha:.3g}, {beta:.3g}, {gamma:.3g})")

    def sample(self, rng: np.random.Generator) -> Element:
        """Uniform in the invariant (Haar) measure."""
        beta = float(np.arccos(rng.uniform(-1, 1)))
        top = 4 * np.pi if self.double_cover else 2 * np.pi
        return self.euler(float(rng.uniform(0, 2 * np.pi)), beta, float(rng.uniform(0, top)))

    def irrep(self, *label: Any) -> Irrep:
        """Spin (j,) of SU(2) or degree (l,) of SO(3).

        Raises:
            ConfigError: not a half-integer (integer for SO(3)) between 0 and 100.
        """
        if len(label) != 1:
            raise ConfigError(f"expected one label, the spin, for {self.name}, got {label!r}")
        twice = twice_spin(label[0])
        if self.double_cover:
            return self._complex_irrep(twice)
        if twice % 2:
            raise ConfigError(f"SO(3) has no irrep of spin {spin_text(twice)}; use SU(2)")
        return self._real_irrep(twice)

    def _complex_irrep(self, twice: int) -> Irrep:
        return Irrep(
            self,
            -1j * spin_matrices(twice),
            name=f"spin {spin_text(twice)}",
            label=(Fraction(twice, 2),),
            exponential=lambda c: spin_exponential(twice, c),
        )

    def _real_irrep(self, twice: int) -> Irrep:
        u = real_basis(twice)

        def to_real(matrix: Array) -> Array:
            return (u @ matrix @ u.conj().T).real

        return Irrep(
            self,
            to_real(-1j * spin_matrices(twice)),
            name=f"l = {twice // 2}",
            label=(twice // 2,),
            exponential=lambda c: to_real(spin_exponential(twice, c)),
        )

    def irreps(self, limit: int = 5) -> list[Irrep]:
        """The irreps of lowest spin."""
        return [self.irrep(Fraction(i, 2) if self.double_cover else i) for i in range(limit)]

    def trivial(self) -> Irrep:
        """Spin 0."""
        return self.irrep(0)

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """All spins from |j1 - j2| to j1 + j2, once each."""
        self.check_irreps(first, second)
        a, b = (twice_spin(irrep.label[0]) for irrep in (first, second))
        return [(self.irrep(Fraction(t, 2)), 1) for t in range(abs(a - b), a + b + 1, 2)]

    def clebsch_gordan(self, first: Irrep, second: Irrep, third: Irrep) -> Array:
        """Condon-Shortley coefficients, (1 or 0, d1, d2, d3); in the real bases for SO(3)."""
        self.check_irreps(first, second, third)
        numbers = [twice_spin(irrep.label[0]) for irrep in (first, second, third)]
        table = cg_table(*numbers) if self.double_cover else real_cg_table(*numbers)
        return table[None] if table.any() else np.zeros((0, *table.shape))


def wigner_small_d(spin: Spin, beta: float) -> Array:
    """d^j(beta) = exp(-i beta J_y), real, (2j + 1, 2j + 1), rows and columns m = j ... -j."""
    return spin_exponential(twice_spin(spin), [0.0, beta, 0.0]).real


def wigner_d(spin: Spin, alpha: float, beta: float, gamma: float) -> Array:
    """D^j_mm' = exp(-i m alpha) d^j_mm'(beta) exp(-i m' gamma)."""
    m = np.arange(twice_spin(spin), -twice_spin(spin) - 1, -2) / 2
    return np.exp(-1j * alpha * m)[:, None] * wigner_small_d(spin, beta) * np.exp(-1j * gamma * m)


@lru_cache(maxsize=512)
def cg_table(twice1: int, twice2: int, twice3: int) -> Array:
    """<j1 m1 j2 m2 | j3 m3> as [m1, m2, m3], each m descending; zero if the triangle does not close.

    The state of highest m3 follows from J_+ = 0 (all its terms add up without cancellation), the others by
    lowering down to m3 = 0 and by the symmetry m -> -m from there.
    """
    table = np.zeros((twice1 + 1, twice2 + 1, twice3 + 1))
    if not abs(twice1 - twice2) <= twice3 <= twice1 + twice2 or (twice1 + twice2 + twice3) % 2:
        return table
    state = _highest_state(twice1, twice2, twice3)
    lower1, lower2 = (_lowering(t) for t in (twice1, twice2))
    j3 = twice3 / 2
    sign = (-1) ** ((twice1 + twice2 - twice3) // 2)
    for k in range(twice3 // 2 + 1):
        table[:, :, k] = state
        table[:, :, twice3 - k] = sign * state[::-1, ::-1] if 2 * k != twice3 else state
        m3 = j3 - k
        if m3 > -j3:
            state = (lower1 @ state + state @ lower2.T) / np.sqrt((j3 + m3) * (j3 - m3 + 1))
    table.setflags(write=False)
    return table


def _lowering(twice: int) -> Array:
    x, y, _ = spin_matrices(twice)
    return (x - 1j * y).real


def _highest_state(twice1: int, twice2: int, twice3: int) -> Array:
    """The state m3 = j3 over [m1, m2]; its component m1 = j1 is positive (Condon-Shortley)."""
    state = np.zeros((twice1 + 1, twice2 + 1))
    j1, j2 = twice1 / 2, twice2 / 2
    value, m1 = 1.0, j1
    for _ in range((twice1 + twice2 - twice3) // 2 + 1):
        m2 = twice3 / 2 - m1
        state[round(j1 - m1), round(j2 - m2)] = value
        # coefficient of (m1, m2 + 1) in J_+ |..>: two terms that must cancel
        value *= -np.sqrt((j2 - m2) * (j2 + m2 + 1))
        down = (j1 + m1) * (j1 - m1 + 1)
        value = value / np.sqrt(down) if down else 0.0
        m1 -= 1
    return state / np.linalg.norm(state)


@lru_cache(maxsize=256)
def real_cg_table(twice1: int, twice2: int, twice3: int) -> Array:
    """The same in the real bases of SO(3); the phase makes them real (antisymmetric couplings take an i)."""
    u1, u2, u3 = (real_basis(t) for t in (twice1, twice2, twice3))
    table = np.einsum("ai,bj,ck,ijk->abc", u1.conj(), u2.conj(), u3, cg_table(twice1, twice2, twice3))
    phase = 1j ** ((twice1 + twice2 - twice3) // 2) if table.any() else 1.0
    real = (table * phase).real
    real.setflags(write=False)
    return real


def _so3_vector(coefficients: tuple[float, ...]) -> Array:
    angle = float(np.linalg.norm(coefficients))
    return rotation_matrix(angle, coefficients)[1:, 1:] if angle else np.eye(3)


def _make(name: str, generators: Array, double: bool, exponential: Callable[..., Array]) -> RotationGroup:
    group = RotationGroup(
        name,
        generators,
        generator_names=("Jx", "Jy", "Jz"),
        defining_name="spin 1/2" if double else "vector",
        exponential=exponential,
    )
    group.double_cover = double
    return group


@register_group("SU(2)", summary="spin: the double cover of the rotations", reference=REFERENCE)
@lru_cache(maxsize=1)
def su2() -> RotationGroup:
    """SU(2) in its spin-1/2 representation."""
    return _make("SU(2)", -1j * spin_matrices(1), True, lambda c: spin_exponential(1, c))


@register_group("SO(3)", summary="rotations of space, with real irreps", reference=REFERENCE)
@lru_cache(maxsize=1)
def so3() -> RotationGroup:
    """SO(3) in its vector representation (x, y, z)."""
    x = np.zeros((3, 3, 3))
    for a, (b, c) in enumerate(((1, 2), (2, 0), (0, 1))):
        x[a, b, c], x[a, c, b] = -1.0, 1.0
    return _make("SO(3)", x, False, _so3_vector)


def vector_to_l1() -> Array:
    """(3, 3) map from (x, y, z) to the irrep l = 1, ordered (y, z, x)."""
    return np.eye(3)[[1, 2, 0]]
