"""What the fast detector is like: its numbers, and the efficiency and resolution formulas they enter.

Values without a remark are those of the ATLAS card of Delphes (arXiv:1307.6346).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

ELECTRON, MUON, PHOTON, K_SHORT, LAMBDA = 11, 13, 22, 310, 3122
NEUTRINOS = (12, 14, 16)


@dataclass(frozen=True)
class TrackerConfig:
    """Tracks. Rows of the tables belong to |eta| up to ``eta_edges``; beyond the last there is no track.

    Efficiencies are pairs for ``min_pt`` < pT <= 1 GeV and pT > 1 GeV; the relative resolution of pT is
    sqrt(a^2 + (b pT)^2) with rows (a, b), pT in GeV.
    """

    radius: float = 1.15
    half_length: float = 3.51
    field: float = 2.0
    min_pt: float = 0.1
    efficiency_edges: tuple[float, ...] = (1.5, 2.5)
    hadron_efficiency: tuple[tuple[float, float], ...] = ((0.70, 0.95), (0.60, 0.85))
    electron_efficiency: tuple[tuple[float, float], ...] = ((0.73, 0.95), (0.50, 0.83))
    muon_efficiency: tuple[tuple[float, float], ...] = ((0.75, 0.99), (0.70, 0.98))
    resolution_edges: tuple[float, ...] = (0.5, 1.5, 2.5)
    hadron_resolution: tuple[tuple[float, float], ...] = ((0.06, 1.3e-3), (0.10, 1.7e-3), (0.25, 3.1e-3))
    electron_resolution: tuple[tuple[float, float], ...] = ((0.03, 1.3e-3), (0.05, 1.7e-3), (0.15, 3.1e-3))
    muon_resolution: tuple[tuple[float, float], ...] = ((0.01, 1.0e-4), (0.015, 1.5e-4), (0.025, 3.5e-4))


@dataclass(frozen=True)
class CalorimeterConfig:
    """A grid of towers: ``eta_width`` by ``n_phi`` up to ``eta_fine``, twice as coarse up to ``eta_max``.

    The resolution is sigma = sqrt((constant E)^2 + stochastic^2 E + noise^2) GeV with one row (constant,
    stochastic, noise) for |eta| up to each of ``resolution_edges``. Towers below ``min_energy`` GeV or
    ``min_significance`` sigma are empty.
    """

    eta_width: float
    n_phi: int
    resolution_edges: tuple[float, ...]
    resolution: tuple[tuple[float, float, float], ...]
    min_energy: float
    min_significance: float
    eta_fine: float = 2.5
    eta_max: float = 4.9


ECAL = CalorimeterConfig(
    eta_width=0.05,
    n_phi=72,
    resolution_edges=(3.2, 4.9),
    resolution=((0.0017, 0.101, 0.0), (0.0350, 0.285, 0.0)),
    min_energy=0.5,
    min_significance=2.0,
)
HCAL = CalorimeterConfig(
    eta_width=0.1,
    n_phi=36,
    resolution_edges=(1.7, 3.2, 4.9),
    resolution=((0.0302, 0.5205, 1.59), (0.0500, 0.706, 0.0), (0.09420, 1.00, 0.0)),
    min_energy=1.0,
    min_significance=2.0,
)


@dataclass(frozen=True)
class DetectorConfig:
    """Tracker and calorimeters; K0_S and Lambda that live long enough share their energy 30 : 70."""

    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    ecal: CalorimeterConfig = ECAL
    hcal: CalorimeterConfig = HCAL
    strange_ecal_fraction: float = 0.3


def track_efficiency(pdg: IntArray, pt: Array, eta: Array, config: TrackerConfig) -> Array:
    """(n,) probability that a charged particle with this code, pT [GeV] and eta becomes a track."""
    region = np.searchsorted(config.efficiency_edges, np.abs(eta))
    out = np.zeros(len(pt))
    for species, table in (
        (ELECTRON, config.electron_efficiency),
        (MUON, config.muon_efficiency),
        (None, config.hadron_efficiency),
    ):
        rows = np.vstack([np.asarray(table), [0.0, 0.0]])
        chosen = _is_species(pdg, species)
        out[chosen] = rows[region[chosen], (pt[chosen] > 1.0).astype(int)]
    return np.where(pt > config.min_pt, out, 0.0)


def track_resolution(pdg: IntArray, pt: Array, eta: Array, config: TrackerConfig) -> Array:
    """(n,) relative resolution of pT for a charged particle with this code, pT [GeV] and eta."""
    edges = config.resolution_edges
    region = np.minimum(np.searchsorted(edges, np.abs(eta)), len(edges) - 1)
    out = np.zeros(len(pt))
    for species, table in (
        (ELECTRON, config.electron_resolution),
        (MUON, config.muon_resolution),
        (None, config.hadron_resolution),
    ):
        chosen = _is_species(pdg, species)
        constant, slope = np.asarray(table)[region[chosen]].T
        out[chosen] = np.hypot(constant, slope * pt[chosen])
    return out


def tower_resolution(energy: Array, eta: Array, config: CalorimeterConfig) -> Array:
    """(n,) energy resolution sigma in GeV of towers with ``energy`` GeV at ``eta``."""
    edges = config.resolution_edges
    region = np.minimum(np.searchsorted(edges, np.abs(eta)), len(edges) - 1)
    constant, stochastic, noise = np.asarray(config.resolution)[region].T
    return np.sqrt((constant * energy) ** 2 + stochastic**2 * energy + noise**2)


def _is_species(pdg: IntArray, species: int | None) -> NDArray[np.bool_]:
    code = np.abs(pdg)
    return ~np.isin(code, (ELECTRON, MUON)) if species is None else code == species
