"""Detector images of jets: tracks' pT, ECAL crystals and HCAL towers, vectorised over events.

Charged particles follow helices to the calorimeter's face. Electrons and photons leave a shower profile in
the crystals; hadrons start to shower at a random depth and share their energy between ECAL and HCAL as
spots (as GFLASH does, hep-ex/0001020), whose number gives the stochastic term of the resolution.
What is left out: conversions and bremsstrahlung in the tracker (see ``egamma.py`` for single particles),
the endcap's other crystal sizes, e/h, punch-through, pile-up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eqviz.data.calorimeter_config import ImageConfig
from eqviz.data.calorimeter_readout import Deposits, centre_shift, in_cells, join, merged, moved, read_out
from eqviz.data.detector import Particles, log_normal
from eqviz.data.detector_config import (
    ELECTRON,
    MUON,
    NEUTRINOS,
    PHOTON,
    Array,
    IntArray,
    track_efficiency,
    track_resolution,
)
from eqviz.data.detector_helix import exit_direction
from eqviz.data.image_batch import ImageBatch
from eqviz.data.showers import electromagnetic_shares, hadronic_contained, hadronic_radius
from eqviz.errors import DataError

_FARTHEST = 0.98  # of a hadron's energy; what would lie farther out is drawn anew within


class _Near(NamedTuple):
    """Particles around a jet, one entry for each image that they may touch."""

    image: IntArray
    pdg: IntArray
    charge: Array
    energy: Array
    pt: Array
    eta: Array  # at the vertex
    place: Array  # (n, 2) arrival in crystals from the lower corner of the axis tower
    start: Array  # (n, 2) direction at the vertex, in the same coordinates
    radius: Array  # transverse radius of the arrival in m

    def select(self, chosen: NDArray[np.bool_]) -> _Near:
        columns: Any = (column[chosen] for column in self)
        return _Near(*columns)


def detector_images(
    particles: Particles, event: IntArray, axis: Array, config: ImageConfig, rng: np.random.Generator
) -> ImageBatch:
    """Images around jets, the same for the same state of ``rng``.

    Args:
        particles: stable particles of many events, those outside the jets included.
        event: (B,) event of each image.
        axis: (B, 2) pseudorapidity and azimuth of each jet.

    Returns:
        B images without labels, in GeV; rows run along eta, columns along phi.

    Raises:
        DataError: arrays of other shapes.
    """
    n_images = len(event)
    if np.shape(axis) != (n_images, 2):
        raise DataError(f"expected axis of shape ({n_images}, 2) as (eta, phi), got {np.shape(axis)}")
    near = _around(particles, event, axis, config)
    tracks = _tracks(near, config, rng)
    ecal, hcal = _showers(near, config, rng)
    shift = centre_shift(hcal, n_images, config)
    reach = (config.towers // 2) * config.per_tower
    pieces = [
        read_out(moved(tracks, shift * config.per_tower, reach), n_images, config.layout.width),
        read_out(
            moved(ecal, shift * config.per_tower, reach),
            n_images,
            config.layout.width,
            (config.ecal.noise, config.ecal.threshold, rng),
        ),
        read_out(
            moved(hcal, shift, config.towers // 2),
            n_images,
            config.towers,
            (config.hcal.noise, config.hcal.threshold, rng),
        ),
    ]
    return join(pieces, n_images, config)


def _around(particles: Particles, event: IntArray, axis: Array, config: ImageConfig) -> _Near:
    visible = ~np.isin(np.abs(particles.pdg), NEUTRINOS)
    visible &= np.hypot(particles.p4[:, 1], particles.p4[:, 2]) > 0
    kept = particles.select(visible)
    kept = _rows(kept, np.argsort(kept.event, kind="stable"))
    low, high = np.searchsorted(kept.event, event), np.searchsorted(kept.event, event, side="right")
    image = np.repeat(np.arange(len(event)), high - low)
    row = np.arange(len(image)) - np.repeat(np.cumsum(high - low) - high, high - low)
    corner = np.floor(axis / (config.pixel * config.per_tower)) * config.per_tower
    direction = _directions(kept.p4)[row]
    start = _crystals(direction, corner[image], config)
    # A track may bend by more than the image; softer ones curl up and end in the endcaps.
    half = (config.towers / 2 + config.search) * config.per_tower
    close = np.abs(start[:, 0] - config.per_tower / 2) < half
    image, row, start = image[close], row[close], start[close]
    some = _rows(kept, row)
    tracker = config.tracker
    eta, phi, inside = exit_direction(
        some.p4,
        some.vertex,
        some.charge,
        radius=tracker.radius,
        half_length=tracker.half_length,
        field=tracker.field,
    )
    with np.errstate(divide="ignore"):
        radius = np.minimum(tracker.radius, tracker.half_length / np.abs(np.sinh(eta)))
    near = _Near(
        image=image,
        pdg=np.abs(some.pdg),
        charge=some.charge,
        energy=some.p4[:, 0],
        pt=np.hypot(some.p4[:, 1], some.p4[:, 2]),
        eta=direction[close][:, 0],
        place=_crystals(np.column_stack([eta, phi]), corner[image], config),
        start=start,
        radius=radius,
    )
    return near.select(inside)


def _rows(particles: Particles, rows: IntArray) -> Particles:
    event, pdg, charge, p4, vertex = particles
    return Particles(event[rows], pdg[rows], charge[rows], p4[rows], vertex[rows])


def _directions(p4: Array) -> Array:
    pt = np.hypot(p4[:, 1], p4[:, 2])
    return np.column_stack([np.arcsinh(p4[:, 3] / pt), np.arctan2(p4[:, 2], p4[:, 1])])


def _crystals(direction: Array, corner: Array, config: ImageConfig) -> Array:
    """(n, 2) distance from ``corner`` in crystals, the azimuth unwrapped around it."""
    place = direction / config.pixel - corner
    turn = 2 * np.pi / config.pixel
    place[:, 1] = (place[:, 1] + turn / 2) % turn - turn / 2
    return place


def _tracks(near: _Near, config: ImageConfig, rng: np.random.Generator) -> Deposits:
    charged = near.select(near.charge != 0)
    found = rng.random(len(charged.pt)) < track_efficiency(
        charged.pdg, charged.pt, charged.eta, config.tracker
    )
    charged = charged.select(found)
    sigma = charged.pt * track_resolution(charged.pdg, charged.pt, charged.eta, config.tracker)
    where = charged.start if config.tracks_at == "vertex" else charged.place
    return in_cells(charged.image, where, log_normal(charged.pt, sigma, rng))


def _showers(near: _Near, config: ImageConfig, rng: np.random.Generator) -> tuple[Deposits, Deposits]:
    """What arrives in crystals and in towers."""
    light = (near.pdg == ELECTRON) | (near.pdg == PHOTON)
    muon = near.pdg == MUON
    hadrons = near.select(~light & ~muon)
    into_ecal, into_hcal, mip = _hadron_shares(hadrons, config, rng)
    muons = near.select(muon)
    ecal_mip = np.minimum(muons.energy, config.ecal.material.mip_per_metre * config.ecal.depth)
    hcal_mip = np.minimum(muons.energy, config.hcal.material.mip_per_metre * config.hcal.depth)
    ecal_radius = hadronic_radius(config.hcal, config.ecal.material)
    outward = config.hcal.radius / config.tracker.radius
    hcal_radius = hadronic_radius(config.hcal, config.hcal.material) / outward
    ecal = [
        _electromagnetic(near.select(light), config, rng),
        _spots(hadrons, into_ecal, ecal_radius, 1, config, rng),
        in_cells(hadrons.image, hadrons.place, mip),
        in_cells(muons.image, muons.place, ecal_mip),
    ]
    hcal = [
        _spots(hadrons, into_hcal, hcal_radius, config.per_tower, config, rng),
        in_cells(muons.image, muons.place / config.per_tower, hcal_mip),
    ]
    return merged(ecal), merged(hcal)


def _hadron_shares(
    hadrons: _Near, config: ImageConfig, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """GeV that each hadron showers into the ECAL and the HCAL, and leaves in one crystal in passing."""
    material, depth = config.ecal.material, config.ecal.depth
    start = rng.exponential(material.interaction_length, len(hadrons.energy))
    early = start < depth
    energy = log_normal(hadrons.energy, config.hcal.constant * hadrons.energy, rng)
    share = hadronic_contained(hadrons.energy, np.maximum(depth - start, 0.0), material) * early
    passing = material.mip_per_metre * depth * ~early * (hadrons.charge != 0)
    mip = np.minimum(passing, energy)
    return energy * share, energy * (1 - share) - mip, mip


def _electromagnetic(near: _Near, config: ImageConfig, rng: np.random.Generator) -> Deposits:
    ecal = config.ecal
    sigma = near.energy * np.sqrt(ecal.stochastic**2 / near.energy + ecal.constant**2)
    energy = log_normal(near.energy, sigma, rng)
    cell = np.floor(near.place).astype(np.int64)
    width = config.pixel * near.radius
    shares = electromagnetic_shares(near.place - cell, near.energy, width, ecal.material, ecal.window)
    around = np.arange(-ecal.window, ecal.window + 1)
    shape = shares.shape
    return Deposits(
        image=np.broadcast_to(near.image[:, None, None], shape).ravel(),
        row=np.broadcast_to((cell[:, :1] + around)[:, :, None], shape).ravel(),
        column=np.broadcast_to((cell[:, 1:] + around)[:, None, :], shape).ravel(),
        amount=(energy[:, None, None] * shares).ravel(),
    )


def _spots(
    hadrons: _Near, energy: Array, radius: float, size: int, config: ImageConfig, rng: np.random.Generator
) -> Deposits:
    """Energy as Poisson-many spots of exponential energies around the axis: sigma^2 = stochastic^2 E."""
    mean = config.hcal.stochastic**2 / 2
    owner = np.repeat(np.arange(len(energy)), rng.poisson(energy / mean))
    amount = rng.exponential(mean, len(owner))
    u = rng.random(len(owner)) * _FARTHEST
    distance = radius * np.sqrt(u / (1 - u)) / (config.pixel * hadrons.radius[owner])
    angle = rng.random(len(owner)) * 2 * np.pi
    offset = distance[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return in_cells(hadrons.image[owner], (hadrons.place[owner] + offset) / size, amount)
