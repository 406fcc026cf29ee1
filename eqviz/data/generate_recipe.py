"""What is generated: hard processes of Pythia, and the selection of events and jets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from eqviz.errors import ConfigError

_Z_TO_NEUTRINOS = ("WeakZ0:gmZmode = 2", "23:onMode = off", "23:onIfAny = 12 14 16")
PROCESSES = {
    "qcd": ("HardQCD:all = on",),
    "top": (
        "Top:gg2ttbar = on",
        "Top:qqbar2ttbar = on",
        "24:onMode = off",
        "24:onIfAny = 1 2 3 4 5",
    ),
    "gluon": ("WeakBosonAndParton:qqbar2gmZg = on", *_Z_TO_NEUTRINOS),
    "quark": ("WeakBosonAndParton:qg2gmZq = on", *_Z_TO_NEUTRINOS),
}
LABELS = {"qcd": 0, "top": 1, "gluon": 0, "quark": 1}
# What can be told apart: background and signal process, and their names.
TASKS = {"top": (("qcd", "top"), ("QCD", "top")), "quark_gluon": (("gluon", "quark"), ("gluon", "quark"))}
PARTON_MARGIN = 0.06  # in eta and distance


@dataclass(frozen=True)
class Recipe:
    """The event selection, by default that of the top-tagging reference set (1902.09914), energies in GeV.

    Attributes:
        pt_min, pt_max, eta_max: of the jet.
        match_radius: largest distance of the top and of each of its three quarks from the jet axis.
        pt_hat_min, pt_hat_max: generated range of the hard process.
        parton_pt_min, parton_pt_max: an event goes on to hadronisation only with a parton-level jet in
            this range that passes the other cuts loosened by PARTON_MARGIN.
        max_constituents: hardest constituents kept.
        tau0_max: particles with a proper lifetime c tau above this, in mm, reach the detector undecayed
            (10 keeps K0_S and Lambda); None decays whatever Pythia's default decays, those included.
        particle_level: the constituents are the stable particles themselves, with masses and codes, instead
            of what a detector emulation makes of them; the hardest jet of an event is taken, and
            ``eta_max`` cuts on rapidity.
        multiple_interactions: Pythia's underlying event.
    """

    beam_energy: float = 14_000.0
    radius: float = 0.8
    pt_min: float = 550.0
    pt_max: float = 650.0
    eta_max: float = 2.0
    match_radius: float = 0.8
    pt_hat_min: float = 430.0
    pt_hat_max: float = 900.0
    parton_pt_min: float = 515.0
    parton_pt_max: float = 750.0
    max_constituents: int = 200
    tau0_max: float | None = None
    particle_level: bool = False
    multiple_interactions: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.pt_min < self.pt_max or not 0 < self.pt_hat_min < self.pt_hat_max:
            raise ConfigError(
                f"expected 0 < pt_min < pt_max and 0 < pt_hat_min < pt_hat_max in GeV, got "
                f"{self.pt_min}, {self.pt_max}, {self.pt_hat_min}, {self.pt_hat_max}"
            )

    def as_meta(self) -> dict[str, Any]:
        """All parameters; switches that came later are left out where they are off, as in older files."""
        later = ("particle_level", "multiple_interactions")
        return {key: value for key, value in asdict(self).items() if key not in later or value}


# Quark and gluon jets as in Zenodo 3164691 (1810.05165): Z (to neutrinos) + jet, particle level.
QUARK_GLUON = Recipe(
    radius=0.4,
    pt_min=500.0,
    pt_max=550.0,
    eta_max=1.7,
    match_radius=0.4,
    pt_hat_min=400.0,
    pt_hat_max=750.0,
    parton_pt_min=488.0,
    parton_pt_max=565.0,
    particle_level=True,
    multiple_interactions=True,
)
RECIPES = {"top": Recipe(), "quark_gluon": QUARK_GLUON}
