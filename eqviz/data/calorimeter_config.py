"""What the image detector is like: geometry, materials, resolutions and thresholds, each with its source.

The layout follows the end-to-end images of CMS (arXiv:1807.11916, 1902.08276): crystals of the barrel
ECAL in eta and phi, HCAL towers of 5 x 5 crystals, 25 x 25 towers around the jet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from eqviz.data.detector_config import TrackerConfig
from eqviz.data.image_batch import ImageLayout
from eqviz.errors import ConfigError

# Efficiencies and resolutions of the CMS card of Delphes (arXiv:1307.6346); B = 3.8 T (JINST 3 S08004).
# Length and radius are those of the calorimeter's inner face, where particles are followed to.
CMS_TRACKER = TrackerConfig(
    radius=1.29,
    half_length=3.15,
    field=3.8,
    hadron_resolution=((0.01, 1.0e-4), (0.015, 1.5e-4), (0.025, 3.5e-4)),
)


@dataclass(frozen=True)
class Material:
    """A calorimeter's absorber, for shower profiles (values of the Particle Data Group).

    Attributes:
        z: effective atomic number.
        critical_energy: in GeV.
        radiation_length, moliere_radius, interaction_length: in m.
        mip_per_metre: energy that a minimum ionising particle loses, in GeV / m.
    """

    z: float
    critical_energy: float
    radiation_length: float
    moliere_radius: float
    interaction_length: float
    mip_per_metre: float


# Effective Z by weight and Moliere radius as in the CMS ECAL design report (CERN-LHCC-97-33).
LEAD_TUNGSTATE = Material(68.4, 9.64e-3, 0.0089, 0.0219, 0.2027, 1.02)
BRASS = Material(29.3, 19.3e-3, 0.0149, 0.0170, 0.1642, 1.20)


@dataclass(frozen=True)
class EcalConfig:
    """The crystals (JINST 3 S08004, sections 4.1 and 4.5).

    Attributes:
        material: PbWO4.
        depth: of a crystal, in m.
        stochastic, constant: relative resolution of a shower, sqrt(stochastic^2 / E + constant^2), E in GeV.
        noise: of a crystal, in GeV.
        threshold: crystals below it read 0, in GeV: three standard deviations of the noise.
        window: crystals on each side of the one that was hit over which a shower is spread.
    """

    material: Material = LEAD_TUNGSTATE
    depth: float = 0.23
    stochastic: float = 0.028
    constant: float = 0.003
    noise: float = 0.040
    threshold: float = 0.120
    window: int = 4


@dataclass(frozen=True)
class HcalConfig:
    """The towers behind the crystals.

    Attributes:
        material: brass (JINST 3 S08004, section 5.1).
        radius: inner radius of the barrel, in m (the same).
        depth: of the absorber, in m (the same: 5.8 interaction lengths at eta = 0).
        stochastic: of ECAL and HCAL together for hadrons, in sqrt(GeV) (Eur. Phys. J. C 60 (2009) 359).
        constant: relative (the same).
        noise: of a tower, in GeV; a fourth of the threshold.
        threshold: in GeV (particle flow's cell threshold, arXiv:1706.04965, table 2).
        containment: share of a hadron's energy within one interaction length of its axis
            (Fabjan and Gianotti, Rev. Mod. Phys. 75 (2003) 1243, section 3).
    """

    material: Material = BRASS
    radius: float = 1.81
    depth: float = 0.79
    stochastic: float = 0.847
    constant: float = 0.074
    noise: float = 0.20
    threshold: float = 0.80
    containment: float = 0.95


@dataclass(frozen=True)
class ImageConfig:
    """Images of a jet in the tracker, the ECAL and the HCAL.

    Attributes:
        towers: along each side of an image, odd; 25 towers are 125 crystals.
        per_tower: crystals along each side of a tower.
        pixel: width of a crystal in eta and in phi (2 pi / 360).
        centre: "hcal", the tower with most energy in ``search`` x ``search`` towers around the jet axis, as
            the end-to-end analyses choose it, or "axis", the tower that the jet axis points to.
        search: towers, odd.
        tracks_at: where a track's pT is put: "vertex", its direction at the vertex, as the end-to-end
            analyses do, or "calorimeter", where it arrives.
    """

    towers: int = 25
    per_tower: int = 5
    pixel: float = math.pi / 180
    centre: Literal["hcal", "axis"] = "hcal"
    search: int = 7
    tracks_at: Literal["vertex", "calorimeter"] = "vertex"
    tracker: TrackerConfig = CMS_TRACKER
    ecal: EcalConfig = field(default_factory=EcalConfig)
    hcal: HcalConfig = field(default_factory=HcalConfig)

    def __post_init__(self) -> None:
        if self.towers < 1 or self.towers % 2 == 0 or self.search < 1 or self.search % 2 == 0:
            raise ConfigError(
                f"expected odd numbers of towers and search, got {self.towers} and {self.search}"
            )
        if self.centre not in ("hcal", "axis") or self.tracks_at not in ("vertex", "calorimeter"):
            raise ConfigError(
                "expected centre 'hcal' or 'axis' and tracks_at 'vertex' or 'calorimeter', got "
                f"{self.centre!r} and {self.tracks_at!r}"
            )

    @property
    def layout(self) -> ImageLayout:
        """The grid of the images: tracks, ECAL and HCAL."""
        side = self.towers * self.per_tower
        return ImageLayout(
            channels=("tracks", "ECAL", "HCAL"),
            units=("GeV", "GeV", "GeV"),
            height=side,
            width=side,
            blocks=(1, 1, self.per_tower),
            pixel=self.pixel,
        )
