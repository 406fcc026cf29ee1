"""The convention page: four-momenta p4 = (E, px, py, pz) in GeV, metric (+, -, -, -), c = 1.

Everything here is NumPy in float64. Lorentz transformations are (4, 4) matrices that act on column
vectors, p' = L p; arrays of momenta have the components in the last axis. A *boost* with ``gamma`` along
``axis`` makes a particle at rest move along ``axis`` with that gamma (an active transformation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import ConfigError

Array: TypeAlias = NDArray[np.float64]

METRIC: Array = np.diag([1.0, -1.0, -1.0, -1.0])
METRIC.setflags(write=False)
AXES: dict[str, tuple[float, float, float]] = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}


def unit_vector(axis: str | ArrayLike) -> Array:
    """``"x"``, ``"y"``, ``"z"`` or any non-zero 3-vector, as a unit 3-vector."""
    if isinstance(axis, str):
        if axis not in AXES:
            raise ConfigError(f"expected an axis 'x', 'y', 'z' or three numbers, got {axis!r}")
        return np.array(AXES[axis], dtype=np.float64)
    vector = np.asarray(axis, dtype=np.float64)
    norm = np.linalg.norm(vector)
    if vector.shape != (3,) or not np.isfinite(norm) or norm == 0:
        raise ConfigError(f"expected an axis of three finite numbers, not all zero, got {axis!r}")
    return vector / norm


def random_axis(rng: np.random.Generator) -> Array:
    """A unit 3-vector, uniform on the sphere."""
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def boost_matrix(gamma: float, axis: str | ArrayLike = "z") -> Array:
    """Boost of Lorentz factor ``gamma >= 1`` along ``axis``, shape (4, 4)."""
    if not np.isfinite(gamma) or gamma < 1:
        raise ConfigError(f"expected a Lorentz factor gamma >= 1, got {gamma}")
    n = unit_vector(axis)
    momentum = np.sqrt((gamma - 1) * (gamma + 1))  # beta * gamma without cancellation near 1
    matrix = np.eye(4)
    matrix[0, 0] = gamma
    matrix[0, 1:] = matrix[1:, 0] = momentum * n
    # (gamma - 1) = momentum^2 / (gamma + 1)
    matrix[1:, 1:] += momentum**2 / (gamma + 1) * np.outer(n, n)
    return matrix


def rotation_matrix(angle: float, axis: str | ArrayLike = "z") -> Array:
    """Rotation by ``angle`` radians about ``axis`` (right-handed, Rodrigues), shape (4, 4)."""
    n = unit_vector(axis)
    cross = np.array([[0, -n[2], n[1]], [n[2], 0, -n[0]], [-n[1], n[0], 0]])
    matrix = np.eye(4)
    matrix[1:, 1:] += np.sin(angle) * cross + 2 * np.sin(angle / 2) ** 2 * cross @ cross
    return matrix


def random_lorentz(rng: np.random.Generator, max_gamma: float = 10.0) -> Array:
    """Rotation times boost: uniform axes and angle, gamma log-uniform in [1, max_gamma]."""
    gamma = float(np.exp(rng.uniform(0.0, np.log(max_gamma))))
    rotation = rotation_matrix(rng.uniform(0, 2 * np.pi), random_axis(rng))
    return rotation @ boost_matrix(gamma, random_axis(rng))


def transform(p4: ArrayLike, matrix: ArrayLike) -> Array:
    """``matrix`` (4, 4) applied to momenta of shape (..., 4)."""
    return np.asarray(p4, dtype=np.float64) @ np.asarray(matrix, dtype=np.float64).T


def on_shell(p4: ArrayLike, mass: ArrayLike = 0.0) -> Array:
    """The same three-momenta with E = sqrt(|p|^2 + m^2): removes rounding off the mass shell."""
    out = np.array(p4, dtype=np.float64)
    out[..., 0] = np.sqrt(np.sum(out[..., 1:] ** 2, axis=-1) + np.asarray(mass, dtype=np.float64) ** 2)
    return out


def minkowski_dot(p: ArrayLike, q: ArrayLike) -> Array:
    """p.q = E_p E_q - p.q in GeV^2, as the plain difference (see eqviz.ops for the stable form)."""
    product = np.asarray(p, dtype=np.float64) * np.asarray(q, dtype=np.float64)
    return product[..., 0] - product[..., 1:].sum(axis=-1)


def transverse_momentum(p4: ArrayLike) -> Array:
    """pT in GeV."""
    p = np.asarray(p4, dtype=np.float64)
    return np.hypot(p[..., 1], p[..., 2])


def azimuth(p4: ArrayLike) -> Array:
    """phi in [-pi, pi]."""
    p = np.asarray(p4, dtype=np.float64)
    return np.arctan2(p[..., 2], p[..., 1])


def pseudorapidity(p4: ArrayLike) -> Array:
    """eta = asinh(pz / pT); +-inf along the beam, 0 for a null momentum."""
    p = np.asarray(p4, dtype=np.float64)
    pt = transverse_momentum(p)
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = np.arcsinh(p[..., 3] / pt)
    return np.where((pt == 0) & (p[..., 3] == 0), 0.0, eta)


def mass(p4: ArrayLike) -> Array:
    """sign(m^2) sqrt|m^2| in GeV: negative for spacelike momenta."""
    squared = minkowski_dot(p4, p4)
    return np.sign(squared) * np.sqrt(np.abs(squared))


def delta_phi(phi: ArrayLike, reference: ArrayLike) -> Array:
    """phi - reference wrapped into [-pi, pi)."""
    return (np.asarray(phi) - np.asarray(reference) + np.pi) % (2 * np.pi) - np.pi


def from_ptetaphim(pt: ArrayLike, eta: ArrayLike, phi: ArrayLike, m: ArrayLike = 0.0) -> Array:
    """Momenta (..., 4) from pT [GeV], eta, phi and mass [GeV]."""
    pt_, eta_, phi_, m_ = np.broadcast_arrays(pt, eta, phi, m)
    px, py, pz = pt_ * np.cos(phi_), pt_ * np.sin(phi_), pt_ * np.sinh(eta_)
    energy = np.sqrt((pt_ * np.cosh(eta_)) ** 2 + np.asarray(m_, dtype=np.float64) ** 2)
    return np.stack([energy, px, py, pz], axis=-1)


def relative_to_axis(p4: ArrayLike, jet: ArrayLike | None = None) -> Sequence[Array]:
    """(pT, Delta eta, Delta phi) of constituents (n, 4) around ``jet`` (4,), by default their sum."""
    p = np.asarray(p4, dtype=np.float64)
    total = p.sum(axis=0) if jet is None else np.asarray(jet, dtype=np.float64)
    d_eta = pseudorapidity(p) - pseudorapidity(total)
    return transverse_momentum(p), d_eta, delta_phi(azimuth(p), azimuth(total))
