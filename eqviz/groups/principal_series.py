"""The Lorentz group on functions over the celestial sphere: the principal series, truncated at l_max.

A function f(n) of a direction stands for F(p) = E^s f(n) on the light cone; (U(L) F)(p) = F(L^-1 p). The
degree s = -1 + i nu gives the unitary principal series (conformal weight 1 - i nu); s = 1 contains the
four-vector in l <= 1 as an invariant part. Coefficients are those of real orthonormal spherical harmonics in
the order (l, m) = (0, 0), (1, -1), (1, 0), (1, 1), ... as in :mod:`eqviz.groups.rotations`. A jet is a vector
of the dual representation: the moments of its energy flow. Source: I. Gelfand, R. Minlos, Z. Shapiro,
Representations of the Rotation and Lorentz Groups (1963), part II.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import block_diag

from eqviz.errors import ConfigError
from eqviz.groups.elements import Array, Element
from eqviz.groups.lorentz import lorentz
from eqviz.groups.rotations import so3

MAX_L = 60
MAX_RAPIDITY = 6.0


def sphere_basis(l_max: int, directions: ArrayLike) -> Array:
    """Real orthonormal spherical harmonics, (..., (l_max + 1)^2), at unit vectors (..., 3)."""
    n = np.asarray(directions, dtype=np.float64)
    legendre = _legendre(l_max, n[..., 2])
    # r^m cos(m phi), r^m sin(m phi) as powers of x + i y: regular at the poles
    phases = (n[..., 0] + 1j * n[..., 1])[..., None] ** np.arange(l_max + 1)
    out = np.empty((*n.shape[:-1], (l_max + 1) ** 2))
    for l in range(l_max + 1):  # noqa: E741
        centre = l * l + l
        out[..., centre] = legendre[l, 0]
        for m in range(1, l + 1):
            value = np.sqrt(2.0) * legendre[l, m]
            out[..., centre + m] = value * phases[..., m].real
            out[..., centre - m] = value * phases[..., m].imag
    return out


def _legendre(l_max: int, x: Array) -> Array:
    """(l_max + 1, l_max + 1, ...) normalized P_l^m(x) / sin^m, no Condon-Shortley sign; zero for m > l."""
    x = np.asarray(x)
    p = np.zeros((l_max + 1, l_max + 1, *x.shape))
    p[0, 0] = np.sqrt(1 / (4 * np.pi))
    for m in range(1, l_max + 1):
        p[m, m] = p[m - 1, m - 1] * np.sqrt((2 * m + 1) / (2 * m))
    for m in range(l_max):
        p[m + 1, m] = np.sqrt(2 * m + 3) * x * p[m, m]
        for l in range(m + 2, l_max + 1):  # noqa: E741
            p[l, m] = (x * p[l - 1, m] - _up(l - 1, m) * p[l - 2, m]) / _up(l, m)
    return p


def _up(l: int, m: int) -> float:  # noqa: E741
    """A with cos(theta) Y_l-1,m = A_l Y_lm + A_l-1 Y_l-2,m."""
    return float(np.sqrt((l * l - m * m) / (4 * l * l - 1)))


class PrincipalSeries:
    """Functions of degree s on the light cone, in harmonics up to l_max.

    Args:
        degree: s; the representation is unitary for a real part -1.
        l_max: largest l, at most 60.

    Raises:
        ConfigError: an impossible l_max or degree.
    """

    def __init__(self, degree: complex = -1.0, l_max: int = 10) -> None:
        if not isinstance(l_max, int | np.integer) or not 0 <= l_max <= MAX_L:
            raise ConfigError(f"expected 0 <= l_max <= {MAX_L}, got {l_max!r}")
        if not np.isfinite(degree):
            raise ConfigError(f"expected a finite degree, got {degree!r}")
        self.l_max = int(l_max)
        self.degree = complex(degree) if np.imag(degree) else float(np.real(degree))

    @property
    def dimension(self) -> int:
        """Number of coefficients, (l_max + 1)^2."""
        return (self.l_max + 1) ** 2

    @property
    def unitary(self) -> bool:
        """Whether the untruncated representation is unitary."""
        return bool(np.real(self.degree) == -1)

    @property
    def levels(self) -> Array:
        """(D,) the l of every coefficient."""
        return np.repeat(np.arange(self.l_max + 1), 2 * np.arange(self.l_max + 1) + 1)

    def generators(self) -> Array:
        """(6, D, D) Jx, Jy, Jz, Kx, Ky, Kz; exact, except that K loses what leaves l_max."""
        rotations = [so3().irrep(l).generators for l in range(self.l_max + 1)]  # noqa: E741
        j = np.stack([block_diag(*(stack[a] for stack in rotations)) for a in range(3)])
        kz = np.zeros((self.dimension, self.dimension), dtype=np.result_type(type(self.degree), np.float64))
        for l in range(self.l_max):  # noqa: E741
            for m in range(-l, l + 1):
                low, high, a = l * l + l + m, (l + 1) ** 2 + l + 1 + m, _up(l + 1, m)
                kz[high, low] = (l - self.degree) * a
                kz[low, high] = -(l + 2 + self.degree) * a
        kx = j[1] @ kz - kz @ j[1]
        ky = kz @ j[0] - j[0] @ kz
        return np.stack([*j, kx, ky, kz])

    def boost(self, rapidity: float) -> Array:
        """(D, D) exact matrix elements of the boost along z, by quadrature.

        Raises:
            ConfigError: a rapidity beyond +-6.
        """
        made = np.zeros((self.dimension, self.dimension), dtype=np.result_type(type(self.degree), np.float64))
        blocks = _boost_blocks(self.l_max, complex(self.degree), float(rapidity))
        for m, block in enumerate(blocks):
            values = block if np.iscomplexobj(made) else block.real
            rows = np.array([l * l + l for l in range(m, self.l_max + 1)])  # noqa: E741
            for sign in {m, -m}:
                made[np.ix_(rows + sign, rows + sign)] = values
        return made

    def rotation(self, matrix: ArrayLike) -> Array:
        """(D, D) the rotation by a (3, 3) matrix, exact."""
        alpha, beta, gamma = _euler(np.asarray(matrix, dtype=np.float64))
        turn = so3().euler(alpha, beta, gamma)
        return block_diag(*(so3().irrep(l)(turn) for l in range(self.l_max + 1)))  # noqa: E741

    def matrix(self, element: Element) -> Array:
        """(D, D) exact matrix elements of a Lorentz transformation R1 B_z R2."""
        if element.group != lorentz():
            raise ConfigError(f"expected an element of SO+(1,3), got one of {element.group.name}")
        first, rapidity, second = cartan_decomposition(element.matrix)
        return self.rotation(first) @ self.boost(rapidity) @ self.rotation(second)

    def moments(self, p4: ArrayLike) -> Array:
        """(D,) sum_i E_i^s Y(n_i) of light-like momenta (n, 4): the energy flow for s = 1.

        Under a Lorentz transformation L they become matrix(L^-1)^T moments.

        Raises:
            ConfigError: not an (n, 4) array of momenta with positive energy.
        """
        p = np.asarray(p4, dtype=np.float64)
        if p.ndim != 2 or p.shape[1] != 4 or not (p[:, 0] > 0).all():
            raise ConfigError(f"expected momenta (n, 4) with positive energies, got shape {p.shape}")
        norm = np.linalg.norm(p[:, 1:], axis=1)
        return (norm**self.degree) @ sphere_basis(self.l_max, p[:, 1:] / norm[:, None])

    def transform_moments(self, element: Element, moments: ArrayLike) -> Array:
        """The moments of the transformed jet, as far as l_max lets them be known."""
        return self.matrix(element.inverse()).T @ np.asarray(moments)

    def truncation_error(self, rapidity: float, level: int) -> float:
        """Largest norm that a unit function of one l = ``level`` loses beyond l_max under a boost.

        Far out the coefficients of the boosted function shrink by tanh(|rapidity| / 2) per l, times a power
        of l that their last two values tell; the estimate sums that tail (too large a number while they do
        not shrink yet). In the unitary case a loss above 1e-5 is exact: what is missing from 1.
        """
        if not 0 <= level <= self.l_max:
            raise ConfigError(f"expected a level between 0 and l_max = {self.l_max}, got {level}")
        ratio = float(np.tanh(abs(rapidity) / 2))
        if ratio == 0 or self.l_max < 2:
            return 0.0 if ratio == 0 else float("nan")
        worst = 0.0
        for m, block in enumerate(_boost_blocks(self.l_max, complex(self.degree), float(rapidity))):
            if m > level:
                continue
            column = np.abs(block[:, level - m])
            missing = float(np.sqrt(max(0.0, 1 - np.sum(column**2)))) if self.unitary else 0.0
            worst = max(worst, missing if missing > 1e-5 else _tail(column, m, ratio))
        return worst


def _tail(column: Array, m: int, ratio: float) -> float:
    """Norm beyond the last entry of coefficients c_l ~ l^power ratio^l that start at l = m."""
    if len(column) < 3 or column[-1] == 0 or column[-2] == 0:
        return float(column[-1])
    last = m + len(column) - 1
    power = np.log(column[-1] / (column[-2] * ratio)) / np.log(last / (last - 1))
    l = np.arange(1, 1 + int(min(20000, 60 / -np.log(ratio))))  # noqa: E741
    terms = column[-1] * ((last + l) / last) ** np.clip(power, -10, 10) * ratio**l
    return float(np.sqrt(np.sum(terms**2)))


@lru_cache(maxsize=32)
def _boost_blocks(l_max: int, degree: complex, rapidity: float) -> tuple[Array, ...]:
    """For m = 0 ... l_max the matrices over l, l' = m ... l_max of the boost along z."""
    if not abs(rapidity) <= MAX_RAPIDITY:
        raise ConfigError(f"expected a rapidity between -{MAX_RAPIDITY} and {MAX_RAPIDITY}, got {rapidity}")
    c, s = np.cosh(rapidity), np.sinh(rapidity)
    ratio = np.tanh(abs(rapidity) / 2)
    # Gauss-Legendre converges as ratio^(2 nodes)
    nodes = 2 * l_max + 40 + (int(20 / -np.log(ratio)) if ratio else 0)
    x, weights = np.polynomial.legendre.leggauss(nodes)
    scale = c - x * s
    old = np.clip((x * c - s) / scale, -1.0, 1.0)
    bras, kets = _legendre(l_max, x), _legendre(l_max, old)
    blocks = []
    for m in range(l_max + 1):
        # sin^m of both sides: sin(theta') = sin(theta) / scale
        sines = (1 - x * x) ** m / scale**m
        factor = 2 * np.pi * weights * sines * scale**degree
        blocks.append((bras[m:, m] * factor) @ kets[m:, m].T)
    return tuple(blocks)


def cartan_decomposition(matrix: ArrayLike) -> tuple[Array, float, Array]:
    """(R1, rapidity, R2) with L = R1 B_z(rapidity) R2, rotations (3, 3), rapidity >= 0."""
    full = np.asarray(matrix, dtype=np.float64)
    momentum = np.linalg.norm(full[1:, 0])
    if momentum < 1e-14:
        return full[1:, 1:].copy(), 0.0, np.eye(3)
    rapidity = float(np.arcsinh(momentum))
    first = _rotation_to(full[1:, 0] / momentum)
    # R2 = B_z(-rapidity) R1^T L restricted to space: its z row from the time row, which has no cancellation
    second = first.T @ full[1:, 1:]
    second[2] = full[0, 1:] / np.sinh(rapidity)
    left, _, right = np.linalg.svd(second)
    return first, rapidity, left @ right


def _rotation_to(direction: Array) -> Array:
    """A rotation that takes z to a unit vector."""
    helper = np.eye(3)[np.argmin(np.abs(direction))]
    x = np.cross(helper, direction)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(direction, x), direction], axis=1)


def _euler(matrix: Array) -> tuple[float, float, float]:
    """z-y-z angles of a rotation matrix."""
    beta = float(np.arctan2(np.hypot(matrix[0, 2], matrix[1, 2]), matrix[2, 2]))
    if np.hypot(matrix[0, 2], matrix[1, 2]) < 1e-14:
        sign = 1.0 if matrix[2, 2] > 0 else -1.0
        return float(np.arctan2(sign * matrix[1, 0], sign * matrix[0, 0])), beta, 0.0
    alpha = float(np.arctan2(matrix[1, 2], matrix[0, 2]))
    return alpha, beta, float(np.arctan2(matrix[2, 1], -matrix[2, 0]))
