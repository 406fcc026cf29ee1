"""How showers spread: electromagnetic and hadronic profiles, and their integrals over cells, in NumPy.

Electromagnetic: Grindhammer and Peters, "The parameterized simulation of electromagnetic showers in
homogeneous and sampling calorimeters", hep-ex/0001020, sections 2 and 3.2 (GFLASH). Hadronic, along the
depth: Bock, Hansl-Kozanecka and Shah, Nucl. Instrum. Meth. 186 (1981) 533.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc
from scipy.stats import gamma

from eqviz.data.calorimeter_config import HcalConfig, Material

Array = NDArray[np.float64]

_ENERGIES = np.geomspace(0.05, 2000.0, 60)  # GeV, where the averages over depth are tabulated
_LEAST_ENERGY = 0.05


def longitudinal(energy: Array, material: Material) -> tuple[Array, Array]:
    """Depth of the maximum T in radiation lengths and shape alpha of f(t), a gamma distribution.

    hep-ex/0001020, section 2.1 (homogeneous media); below 5 critical energies their values there.
    """
    log_y = np.log(np.maximum(energy / material.critical_energy, 5.0))
    return np.maximum(log_y - 0.858, 0.3), 0.21 + (0.492 + 2.38 / material.z) * log_y


def radial(tau: Array, energy: Array, material: Material) -> tuple[Array, Array, Array]:
    """Core and tail radii in Moliere radii and the core's share, at depth ``tau`` in units of T.

    f(r) = p 2 r R_C^2 / (r^2 + R_C^2)^2 + (1 - p) 2 r R_T^2 / (r^2 + R_T^2)^2,
    hep-ex/0001020, section 3.2.
    """
    z, log_e = material.z, np.log(np.maximum(energy, _LEAST_ENERGY))
    core = 0.0251 + 0.00319 * log_e + (0.1162 - 0.000381 * z) * tau
    depth = tau - 0.645
    tail = (0.659 - 0.00309 * z) * (np.exp(-2.59 * depth) + np.exp((0.3585 + 0.0421 * log_e) * depth))
    scaled = (0.401 + 0.00187 * z - tau) / (1.313 - 0.0686 * log_e)
    share = (2.632 - 0.00094 * z) * np.exp(scaled - np.exp(scaled))
    return core, tail, np.clip(share, 0.0, 1.0)


@lru_cache(maxsize=8)
def _averages(material: Material) -> Array:
    """(60, 3) log R_C, log R_T and p at _ENERGIES, averaged over the depth with the energy left there."""
    quantiles = (np.arange(200) + 0.5) / 200
    peak, alpha = longitudinal(_ENERGIES, material)
    beta = (alpha - 1) / peak
    depth = gamma.ppf(quantiles[None], alpha[:, None]) / beta[:, None]
    core, tail, share = radial(depth / peak[:, None], _ENERGIES[:, None], material)
    mean = share.mean(axis=1)
    log_core = (share * np.log(core)).mean(axis=1) / mean
    log_tail = ((1 - share) * np.log(tail)).mean(axis=1) / np.maximum(1 - mean, 1e-12)
    table = np.column_stack([log_core, log_tail, mean])
    table.flags.writeable = False
    return table


def mean_radial(energy: Array, material: Material) -> tuple[Array, Array, Array]:
    """(n,) core and tail radii in m and the core's share for showers of ``energy`` (n,) in GeV."""
    table, log_e = _averages(material), np.log(np.maximum(energy, _LEAST_ENERGY))
    core, tail, share = (np.interp(log_e, np.log(_ENERGIES), column) for column in table.T)
    return np.exp(core) * material.moliere_radius, np.exp(tail) * material.moliere_radius, share


def cell_shares(place: Array, radius: Array, window: int) -> Array:
    """Share of a shower in each cell around the one that was hit.

    The profile R^2 / (pi (x^2 + y^2 + R^2)^2) is that of one term of f(r); its integral over a rectangle is
    elementary.

    Args:
        place: (n, 2) where the shower axis lies in its cell, 0 to 1 in eta and phi.
        radius: (n,) R in units of the cell width.
        window: cells on each side of the one that was hit.

    Returns:
        (n, 2 window + 1, 2 window + 1); the sum over all cells of the plane would be 1.
    """
    edges = np.arange(-window, window + 2) - place[:, :, None]
    x, y = edges[:, 0, :, None], edges[:, 1, None, :]
    r2 = np.square(radius)[:, None, None]
    root_x, root_y = np.sqrt(x**2 + r2), np.sqrt(y**2 + r2)
    corner = (x / root_x * np.arctan(y / root_x) + y / root_y * np.arctan(x / root_y)) / (2 * np.pi)
    return np.diff(np.diff(corner, axis=1), axis=2)


def electromagnetic_shares(
    place: Array, energy: Array, cell: Array, material: Material, window: int
) -> Array:
    """(n, k, k) shares of electromagnetic showers in the cells around, k = 2 window + 1; they add up to 1.

    Args:
        place: (n, 2) in the cell that was hit, 0 to 1.
        energy: (n,) in GeV.
        cell: (n,) width of a cell in m.
    """
    core, tail, share = mean_radial(energy, material)
    shares = share[:, None, None] * cell_shares(place, core / cell, window)
    shares += (1 - share)[:, None, None] * cell_shares(place, tail / cell, window)
    return shares / shares.sum(axis=(1, 2), keepdims=True)


def hadronic_contained(energy: Array, depth: Array, material: Material) -> Array:
    """Share of a hadron's energy left within ``depth`` (n,) m of where it started to shower (Bock et al.)."""
    log_e = np.log(np.maximum(energy, 1.0))
    shape = 0.6165 + 0.3183 * log_e
    near = gammainc(shape, 0.2198 * depth / material.radiation_length)
    far = gammainc(shape, (0.9099 - 0.0237 * log_e) * depth / material.interaction_length)
    return 0.4634 * near + (1 - 0.4634) * far


def hadronic_radius(config: HcalConfig, material: Material) -> float:
    """R in m of f(r) = 2 r R^2 / (r^2 + R^2)^2 that holds ``containment`` within an interaction length."""
    return material.interaction_length * float(np.sqrt(1 / config.containment - 1))
