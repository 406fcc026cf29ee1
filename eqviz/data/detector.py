"""A fast detector in the spirit of the ATLAS card of Delphes (arXiv:1307.6346), vectorised over events.

Charged particles bend in a 2 T solenoid, are found with an efficiency and measured with a resolution;
everything but neutrinos and muons leaves energy in electromagnetic and hadronic towers; energy flow keeps
the tracks and turns what the towers hold beyond them into neutral objects. The output is massless.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eqviz.data.detector_config import (
    ELECTRON,
    K_SHORT,
    LAMBDA,
    MUON,
    NEUTRINOS,
    PHOTON,
    Array,
    CalorimeterConfig,
    DetectorConfig,
    IntArray,
    TrackerConfig,
    tower_resolution,
    track_efficiency,
    track_resolution,
)
from eqviz.data.detector_helix import exit_direction
from eqviz.errors import DataError

# What an energy-flow object was made from.
TRACK, PHOTON_TOWER, HADRON_TOWER = 0, 1, 2
# Tower numbers are (ring, sector) packed into one integer, rings counted from 0 on each side.
_SECTORS, _SIDE, _EVENT = 10**5, 10**3, 10**10


class Particles(NamedTuple):
    """Stable particles of many events.

    Attributes:
        event: (n,) event number, 0 or more.
        pdg: (n,) particle codes.
        charge: (n,) in units of e.
        p4: (n, 4) as (E, px, py, pz) in GeV.
        vertex: (n, 3) production vertices in m.
    """

    event: IntArray
    pdg: IntArray
    charge: Array
    p4: Array
    vertex: Array

    def select(self, chosen: NDArray[np.bool_]) -> Particles:
        """The particles where the mask ``chosen`` (n,) is True."""
        event, pdg, charge, p4, vertex = self
        return Particles(event[chosen], pdg[chosen], charge[chosen], p4[chosen], vertex[chosen])


class Objects(NamedTuple):
    """Energy-flow objects of many events, sorted by event.

    Attributes:
        event: (m,) event number.
        p4: (m, 4) massless momenta (E, px, py, pz) in GeV.
        kind: (m,) TRACK, PHOTON_TOWER or HADRON_TOWER.
    """

    event: IntArray
    p4: Array
    kind: IntArray


class _Hits(NamedTuple):
    """Energy [GeV] that arrives at a calorimeter, with its direction there."""

    event: IntArray
    eta: Array
    phi: Array
    energy: Array


class _Tracks(NamedTuple):
    event: IntArray
    pdg: IntArray
    energy: Array  # measured, GeV
    eta: Array  # at the vertex
    phi: Array
    exit_eta: Array
    exit_phi: Array
    resolution: Array  # relative


class _Towers(NamedTuple):
    """Towers that were hit: event, edges and widths in eta and phi, and the tower of each hit."""

    event: IntArray
    eta: Array
    d_eta: Array
    phi: Array
    d_phi: Array
    of_hit: IntArray

    def sums(self, values: Array, hits: slice) -> Array:
        """(towers,) sums of ``values`` over the towers' hits."""
        sums = np.bincount(self.of_hit[hits], weights=values, minlength=len(self.event))
        return sums.astype(np.float64, copy=False)


def simulate(particles: Particles, config: DetectorConfig, rng: np.random.Generator) -> Objects:
    """Energy-flow objects of ``particles``, the same for the same state of ``rng``.

    Particles made outside the tracker are lost, as they are in Delphes.

    Raises:
        DataError: arrays of different lengths or wrong shapes.
    """
    _check(particles)
    moving = np.hypot(particles.p4[:, 1], particles.p4[:, 2]) > 0
    particles = particles.select(moving & ~np.isin(np.abs(particles.pdg), NEUTRINOS))
    volume = config.tracker
    exit_eta, exit_phi, inside = exit_direction(
        particles.p4,
        particles.vertex,
        particles.charge,
        radius=volume.radius,
        half_length=volume.half_length,
        field=volume.field,
    )
    particles, exit_eta, exit_phi = particles.select(inside), exit_eta[inside], exit_phi[inside]
    tracks = _reconstruct_tracks(particles, exit_eta, exit_phi, config.tracker, rng)
    energy, ecal_share = particles.p4[:, 0], ecal_fraction(particles.pdg, config)
    into_ecal = _Hits(particles.event, exit_eta, exit_phi, energy * ecal_share)
    photons, tracks = _energy_flow(into_ecal, tracks, PHOTON_TOWER, config.ecal, rng)
    into_hcal = into_ecal._replace(energy=energy * hcal_fraction(particles.pdg, config))
    hadrons, tracks = _energy_flow(into_hcal, tracks, HADRON_TOWER, config.hcal, rng)
    charged = _Hits(tracks.event, tracks.eta, tracks.phi, tracks.energy)
    return _collect({TRACK: charged, PHOTON_TOWER: photons, HADRON_TOWER: hadrons})


def ecal_fraction(pdg: IntArray, config: DetectorConfig) -> Array:
    """(n,) share of a particle's energy that the electromagnetic calorimeter takes."""
    code = np.abs(pdg)
    strange = np.where(np.isin(code, (K_SHORT, LAMBDA)), config.strange_ecal_fraction, 0.0)
    return np.where(np.isin(code, (ELECTRON, PHOTON)), 1.0, strange)


def hcal_fraction(pdg: IntArray, config: DetectorConfig) -> Array:
    """(n,) share of a particle's energy that the hadronic calorimeter takes."""
    invisible = np.isin(np.abs(pdg), (MUON, *NEUTRINOS))
    return np.where(invisible, 0.0, 1.0 - ecal_fraction(pdg, config))


def log_normal(mean: Array, sigma: Array, rng: np.random.Generator) -> Array:
    """Log-normal numbers with these means and standard deviations (never negative); 0 where the mean is 0."""
    normal = rng.standard_normal(len(mean))
    positive = mean > 0
    safe = np.where(positive, mean, 1.0)
    width2 = np.log1p((np.where(positive, sigma, 0.0) / safe) ** 2)
    return np.where(positive, safe * np.exp(np.sqrt(width2) * normal - width2 / 2), 0.0)


def _reconstruct_tracks(
    particles: Particles, exit_eta: Array, exit_phi: Array, config: TrackerConfig, rng: np.random.Generator
) -> _Tracks:
    charged = particles.charge != 0
    pdg, p4 = particles.pdg[charged], particles.p4[charged]
    pt = np.hypot(p4[:, 1], p4[:, 2])
    eta, phi = np.arcsinh(p4[:, 3] / pt), np.arctan2(p4[:, 2], p4[:, 1])
    found = rng.random(len(pt)) < track_efficiency(pdg, pt, eta, config)
    resolution = track_resolution(pdg, pt, eta, config)
    energy = log_normal(pt, resolution * pt, rng) * np.cosh(eta)
    return _Tracks(
        event=particles.event[charged][found],
        pdg=pdg[found],
        energy=energy[found],
        eta=eta[found],
        phi=phi[found],
        exit_eta=exit_eta[charged][found],
        exit_phi=exit_phi[charged][found],
        resolution=resolution[found],
    )


def _reaches(pdg: IntArray, kind: int) -> NDArray[np.bool_]:
    """Whether a track's energy is expected in the calorimeter that makes objects of ``kind``."""
    code = np.abs(pdg)
    return code == ELECTRON if kind == PHOTON_TOWER else ~np.isin(code, (ELECTRON, MUON))


def _energy_flow(
    hits: _Hits, tracks: _Tracks, kind: int, config: CalorimeterConfig, rng: np.random.Generator
) -> tuple[_Hits, _Tracks]:
    """Neutral objects of one calorimeter, and the tracks with the energies improved by it."""
    hit = (hits.energy > 0) & (np.abs(hits.eta) < config.eta_max)
    matched = _reaches(tracks.pdg, kind) & (np.abs(tracks.exit_eta) < config.eta_max)
    towers = _towers(
        np.concatenate([hits.event[hit], tracks.event[matched]]),
        np.concatenate([hits.eta[hit], tracks.exit_eta[matched]]),
        np.concatenate([hits.phi[hit], tracks.exit_phi[matched]]),
        config,
    )
    from_particles, from_tracks = slice(0, int(hit.sum())), slice(int(hit.sum()), None)
    centre = towers.eta + towers.d_eta / 2
    energy, sigma = _measure(towers.sums(hits.energy[hit], from_particles), centre, config, rng)
    track_energy = tracks.energy[matched]
    charged = towers.sums(track_energy, from_tracks)
    charged_var = towers.sums(np.square(tracks.resolution[matched] * track_energy), from_tracks)

    excess = np.maximum(energy - charged, 0.0)
    error = np.sqrt(charged_var + sigma**2)
    neutral = (excess > config.min_energy) & (excess > config.min_significance * error)
    # Without a neutral object, track and tower measure the same energy: take the weighted mean.
    scale = np.ones_like(charged)
    both = ~neutral & (charged > 0) & (energy > 0)
    mean = charged[both] * sigma[both] ** 2 + energy[both] * charged_var[both]
    scale[both] = mean / (error[both] ** 2 * charged[both])
    improved = tracks.energy.copy()
    improved[matched] *= scale[towers.of_hit[from_tracks]]

    # Objects are spread evenly over their towers, so that no grid shows.
    place = rng.random((2, len(centre)))
    eta, phi = towers.eta + place[0] * towers.d_eta, towers.phi + place[1] * towers.d_phi
    found = _Hits(towers.event[neutral], eta[neutral], phi[neutral], excess[neutral])
    return found, tracks._replace(energy=improved)


def _measure(
    true: Array, eta: Array, config: CalorimeterConfig, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Measured energies (towers below threshold read 0) and their errors in GeV."""
    energy = log_normal(true, tower_resolution(true, eta, config), rng)
    sigma = tower_resolution(energy, eta, config)
    quiet = (energy < config.min_energy) | (energy < config.min_significance * sigma)
    return np.where(quiet, 0.0, energy), sigma


def _towers(event: IntArray, eta: Array, phi: Array, config: CalorimeterConfig) -> _Towers:
    coarse = np.abs(eta) >= config.eta_fine
    factor = np.where(coarse, 2, 1)
    start, width = np.where(coarse, config.eta_fine, 0.0), config.eta_width * factor
    ring = np.floor((np.abs(eta) - start) / width).astype(np.int64)
    low = start + ring * width
    n_phi = config.n_phi // factor
    sector = np.minimum(np.floor((phi + np.pi) / (2 * np.pi) * n_phi).astype(np.int64), n_phi - 1)
    side = (eta < 0).astype(np.int64)
    number = (((ring + coarse * _SIDE) * 2 + side) * _SECTORS + sector) + event * _EVENT
    _, first, of_hit = np.unique(number, return_index=True, return_inverse=True)
    edge = np.where(side == 1, -low - width, low)
    d_phi = 2 * np.pi / n_phi
    return _Towers(
        event[first], edge[first], width[first], (sector * d_phi - np.pi)[first], d_phi[first], of_hit
    )


def _collect(parts: dict[int, _Hits]) -> Objects:
    event = np.concatenate([part.event for part in parts.values()])
    eta = np.concatenate([part.eta for part in parts.values()])
    phi = np.concatenate([part.phi for part in parts.values()])
    energy = np.concatenate([part.energy for part in parts.values()])
    kind = np.repeat(list(parts), [len(part.event) for part in parts.values()])
    pt = energy / np.cosh(eta)
    p4 = np.stack([energy, pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=1)
    order = np.argsort(event, kind="stable")
    return Objects(event[order], p4[order], kind[order])


def _check(particles: Particles) -> None:
    n = len(particles.event)
    expected = {"event": (n,), "pdg": (n,), "charge": (n,), "p4": (n, 4), "vertex": (n, 3)}
    for name, shape in expected.items():
        came = np.shape(getattr(particles, name))
        if came != shape:
            raise DataError(f"expected particles.{name} of shape {shape}, got {came}")
