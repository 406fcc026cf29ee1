"""Electrons and photons in the crystals of the barrel ECAL: images of energy and time, made in NumPy.

Each particle crosses the tracker layer by layer. Electrons radiate, photons convert, and the field bends
charged ones, so that what reaches the crystals is spread in phi (JINST 3 S08004, section 4; CMS-EGM-13-001,
arXiv:1502.02701, figures of the tracker's material). What is simplified: at most one emission a layer, no
second generation of conversions, no scattering, no pile-up, barrel only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eqviz.data.calorimeter_config import EcalConfig
from eqviz.data.cms_images import CLASS_NAMES, EGAMMA
from eqviz.data.detector import log_normal
from eqviz.data.detector_helix import exit_direction
from eqviz.data.image_batch import ImageBatch, concatenate_images
from eqviz.data.image_dataset import ImageDataset
from eqviz.data.showers import electromagnetic_shares
from eqviz.errors import ConfigError

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BLOCK = 1000  # images made at once; each block has its own seed, so a prefix is always the same
_ELECTRON = 1
_SIDE = 72  # crystals of the field from which an image is cut
_PIXEL = np.pi / 180
_SOFTEST = 0.01  # share of the electron's energy: softer photons are left with it (they stay in its crystal)


@dataclass(frozen=True)
class EgammaConfig:
    """Electrons and photons as in the CMS single-particle images.

    Attributes:
        pt: in GeV.
        eta_max: pseudorapidities are uniform up to it (barrel: 1.4).
        magnetic_field: in T.
        radius: of the ECAL's face, in m.
        layers: radii of the tracker's material in m (pixels, inner and outer barrel; JINST 3 S08004, ch. 3).
        material: radiation lengths of the tracker at |eta| of ``material_eta`` (1502.02701, figure 1).
        vertex_width: of the beam spot along z, in m.
        time_noise, time_constant: sigma_t = sqrt((time_noise sigma_n / E)^2 + 2 time_constant^2) with sigma_n
            the noise of a crystal and E its energy (JINST 5 T03011): ns, ns.
        ecal: crystals, noise and threshold.
    """

    pt: float = 50.0
    eta_max: float = 1.4
    magnetic_field: float = 3.8
    radius: float = 1.29
    layers: tuple[float, ...] = (
        0.044,
        0.073,
        0.102,
        0.255,
        0.339,
        0.419,
        0.498,
        0.608,
        0.692,
        0.78,
        0.868,
        1.08,
    )
    material_eta: tuple[float, ...] = (0.0, 0.5, 0.8, 1.0, 1.2, 1.4)
    material: tuple[float, ...] = (0.4, 0.5, 0.7, 1.0, 1.4, 1.9)
    vertex_width: float = 0.05
    time_noise: float = 35.1
    time_constant: float = 0.020
    ecal: EcalConfig = field(default_factory=EcalConfig)


class _Rays(NamedTuple):
    """What flies: the image it belongs to, pT, charge, and where it is and heads (phi), at a radius."""

    image: IntArray
    pt: Array
    charge: Array
    radius: Array
    place: Array  # azimuth of the position
    heading: Array  # azimuth of the momentum


def egamma_images(n: int, seed: int, config: EgammaConfig | None = None) -> ImageBatch:
    """``n`` images, photons (0) and electrons (1) by turns; the first of them are the same for any ``n``.

    Returns:
        Channels energy [GeV] and time [ns] of 32 x 32 crystals around the most energetic one.

    >>> egamma_images(2, seed=1).label.tolist()
    [0, 1]
    """
    if n < 1 or seed < 0:
        raise ConfigError(f"expected at least one image and a seed of 0 or more, got {n} and {seed}")
    config = config or EgammaConfig()
    blocks = [_block(number, seed, config) for number in range(-(-n // _BLOCK))]
    return concatenate_images(blocks).select(np.arange(n))


def egamma_dataset(n: int, seed: int, config: EgammaConfig | None = None) -> ImageDataset:
    """The same as a data set that says how it was made."""
    config = config or EgammaConfig()
    meta = {
        "class_names": CLASS_NAMES["egamma"],
        "command": f"eqviz.data.egamma.egamma_dataset({n}, seed={seed})",
        "config": asdict(config),
    }
    return ImageDataset(egamma_images(n, seed, config), "egamma", meta)


def _block(number: int, seed: int, config: EgammaConfig) -> ImageBatch:
    rng = np.random.default_rng([seed, number])
    label = np.arange(_BLOCK) % 2
    eta = rng.uniform(-config.eta_max, config.eta_max, _BLOCK)
    phi = rng.uniform(-np.pi, np.pi, _BLOCK)
    vertex = rng.normal(0.0, config.vertex_width, _BLOCK)
    budget = np.interp(np.abs(eta), config.material_eta, config.material)
    rays = _cross_tracker(label, phi, budget, config, rng)
    energy = _crystals(rays, eta, vertex, config, rng)
    images = _readings(energy, config, rng)
    return ImageBatch.from_dense(images, EGAMMA, label)


def _cross_tracker(
    label: IntArray, phi: Array, budget: Array, config: EgammaConfig, rng: np.random.Generator
) -> _Rays:
    """Everything that reaches the ECAL's face, ``place`` and ``heading`` there."""
    n = len(label)
    charge = np.where(label == _ELECTRON, rng.choice([-1.0, 1.0], n), 0.0)
    zero = np.zeros(n)
    flying = _Rays(np.arange(n), np.full(n, config.pt), charge, zero, phi, phi)
    thickness = budget / len(config.layers)
    for radius in config.layers:
        flying = _fly(flying, radius, config)
        flying = _interact(flying, thickness[flying.image], rng)
    return _fly(flying, config.radius, config)


def _fly(rays: _Rays, radius: float, config: EgammaConfig) -> _Rays:
    """The same rays at ``radius`` (all of them start inside and are hard enough to get there)."""
    n = len(rays.pt)
    p4 = np.column_stack(
        [rays.pt, rays.pt * np.cos(rays.heading), rays.pt * np.sin(rays.heading), np.zeros(n)]
    )
    vertex = np.column_stack(
        [rays.radius * np.cos(rays.place), rays.radius * np.sin(rays.place), np.zeros(n)]
    )
    _, place, _ = exit_direction(
        p4, vertex, rays.charge, radius=radius, half_length=1e6, field=config.magnetic_field
    )
    here = vertex[:, :2]
    there = radius * np.column_stack([np.cos(place), np.sin(place)])
    chord = np.hypot(*(there - here).T)
    bend = rays.charge * 0.299792458 * config.magnetic_field / rays.pt  # 1 / bending radius
    # A helix turns by twice the angle between its start and its chord; positive charges turn clockwise.
    turn = -2 * np.arcsin(np.clip(bend * chord / 2, -1, 1))
    return rays._replace(radius=np.full(n, radius), place=place, heading=rays.heading + turn)


def _interact(rays: _Rays, thickness: Array, rng: np.random.Generator) -> _Rays:
    """Bremsstrahlung of electrons and conversions of photons in a layer of ``thickness`` radiation lengths.

    Spectra of the Particle Data Group's review "Passage of particles through matter": photons of a share y
    of the energy with dN/dy = (4/3 (1 - y) + y^2) / y per radiation length, conversions with probability
    1 - exp(-7/9 t) and dN/dx = 1 - 4/3 x (1 - x).
    """
    photon = rays.charge == 0
    least = -np.log(_SOFTEST)
    rate = 4 / 3 * (least - (1 - _SOFTEST)) + (1 - _SOFTEST**2) / 2
    radiates = ~photon & (rng.random(len(photon)) < 1 - np.exp(-rate * thickness))
    converts = photon & (rng.random(len(photon)) < 1 - np.exp(-7 / 9 * thickness))
    converts &= rays.pt > 2.0  # softer pairs would curl up
    share = np.zeros(len(photon))
    share[radiates] = _drawn(lambda y: (4 / 3 * (1 - y) + y * y) / y, _SOFTEST, 0.98, radiates.sum(), rng)
    share[converts] = _drawn(lambda x: 1 - 4 / 3 * x * (1 - x), 0.02, 0.98, converts.sum(), rng)
    split = radiates | converts
    stays = rays._replace(pt=rays.pt * (1 - share), charge=np.where(converts, 1.0, rays.charge))
    new = _Rays(*(column[split] for column in rays))
    new = new._replace(pt=new.pt * share[split], charge=np.where(converts[split], -1.0, 0.0))
    return _Rays(*(np.concatenate(pair) for pair in zip(stays, new)))


def _drawn(density: Any, low: float, high: float, n: int, rng: np.random.Generator) -> Array:
    """``n`` numbers from ``low`` to ``high`` with this density (inverse of its tabulated integral)."""
    grid = np.geomspace(low, high, 400)
    steps = np.diff(grid) * (density(grid[1:]) + density(grid[:-1])) / 2
    integral = np.concatenate([[0.0], np.cumsum(steps)])
    return np.interp(rng.random(n) * integral[-1], integral, grid)


def _crystals(
    rays: _Rays, eta: Array, vertex: Array, config: EgammaConfig, rng: np.random.Generator
) -> Array:
    """(n, _SIDE, _SIDE) GeV in the crystals around the mean direction of what arrives."""
    ecal = config.ecal
    energy = rays.pt * np.cosh(eta)[rays.image]
    energy = log_normal(energy, energy * np.sqrt(ecal.stochastic**2 / energy + ecal.constant**2), rng)
    place = _places(rays, eta, vertex, config)
    cell = np.floor(place).astype(np.int64)
    inside = ((cell >= ecal.window) & (cell < _SIDE - ecal.window)).all(axis=1)
    cell, place, energy, image = cell[inside], place[inside], energy[inside], rays.image[inside]
    width = np.full(len(energy), _PIXEL * config.radius)
    shares = electromagnetic_shares(place - cell, energy, width, ecal.material, ecal.window)
    around = np.arange(-ecal.window, ecal.window + 1)
    flat = (image[:, None, None] * _SIDE + (cell[:, :1] + around)[:, :, None]) * _SIDE
    flat = flat + (cell[:, 1:] + around)[:, None, :]
    amount = energy[:, None, None] * shares
    total = np.bincount(flat.ravel(), amount.ravel(), len(eta) * _SIDE**2).astype(np.float64, copy=False)
    return total.reshape(len(eta), _SIDE, _SIDE)


def _places(rays: _Rays, eta: Array, vertex: Array, config: EgammaConfig) -> Array:
    """(rays, 2) arrival in crystals from the corner of a field that is centred on the pT-weighted mean."""
    row = np.arcsinh(np.sinh(eta) + vertex / config.radius) / _PIXEL
    towards = np.bincount(rays.image, rays.pt * np.cos(rays.place), len(eta))
    across = np.bincount(rays.image, rays.pt * np.sin(rays.place), len(eta))
    corner = np.floor(np.arctan2(across, towards) / _PIXEL) - _SIDE // 2
    column = (rays.place / _PIXEL - corner[rays.image] + 180) % 360 - 180
    return np.column_stack([(row - np.floor(row) + _SIDE // 2)[rays.image], column])


def _readings(energy: Array, config: EgammaConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """(n, 2, 32, 32) energy and time around the most energetic crystal, below the threshold both 0."""
    n, side, size = len(energy), energy.shape[1], EGAMMA.height
    middle = energy[:, size // 2 : side - size // 2, size // 2 : side - size // 2]
    seed = middle.reshape(n, -1).argmax(axis=1)
    rows = seed // middle.shape[2] + np.arange(size)[:, None]
    columns = seed % middle.shape[2] + np.arange(size)[:, None]
    image = np.arange(n)[:, None, None]
    crop = energy[image, rows.T[:, :, None], columns.T[:, None, :]]
    noise = config.ecal.noise
    crop = crop + noise * rng.standard_normal(crop.shape)
    lit = crop >= config.ecal.threshold
    safe = np.where(lit, crop, 1.0)
    sigma = np.sqrt((config.time_noise * noise / safe) ** 2 + 2 * config.time_constant**2)
    time = sigma * rng.standard_normal(crop.shape)
    return np.stack([np.where(lit, crop, 0.0), np.where(lit, time, 0.0)], axis=1).astype(np.float32)
