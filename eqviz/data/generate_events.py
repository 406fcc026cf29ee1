"""Pythia 8 and FastJet: events in, matched and sorted jets out. The only module that imports the two."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eqviz.data.detector import Objects, Particles, simulate
from eqviz.data.detector_config import DetectorConfig
from eqviz.data.generate_truth import Truth, match, read_truth
from eqviz.errors import ConfigError, GeneratorError
from eqviz.kinematics import transverse_momentum

Array = NDArray[np.float64]

PROCESSES = {
    "qcd": ("HardQCD:all = on",),
    "top": (
        "Top:gg2ttbar = on",
        "Top:qqbar2ttbar = on",
        "24:onMode = off",
        "24:onIfAny = 1 2 3 4 5",
    ),
}
LABELS = {"qcd": 0, "top": 1}
_COMMON = ("Print:quiet = on", "PartonLevel:MPI = off", "HadronLevel:all = off", "Random:setSeed = on")
_BATCH = 48  # events per call of the vectorised detector
_MAX_TRIES = 20_000  # events without a single jet before the recipe is called impossible
_MM = 1e-3
_banner_shown = False
PARTON_MARGIN = 0.06  # in eta and distance


@dataclass(frozen=True)
class Recipe:
    """The event selection of the top-tagging reference set (arXiv:1902.09914), energies in GeV.

    Attributes:
        pt_min, pt_max, eta_max: of the detector-level jet.
        match_radius: largest distance of the top and of each of its three quarks from the jet axis.
        pt_hat_min, pt_hat_max: generated range of the hard process.
        parton_pt_min, parton_pt_max: an event goes on to hadronisation only with a parton-level jet in
            this range that passes the other cuts loosened by PARTON_MARGIN.
        max_constituents: hardest constituents kept.
        tau0_max: particles with a proper lifetime c tau above this, in mm, reach the detector undecayed
            (10 keeps K0_S and Lambda); None decays whatever Pythia's default decays, those included.
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

    def __post_init__(self) -> None:
        if not 0 < self.pt_min < self.pt_max or not 0 < self.pt_hat_min < self.pt_hat_max:
            raise ConfigError(
                f"expected 0 < pt_min < pt_max and 0 < pt_hat_min < pt_hat_max in GeV, got "
                f"{self.pt_min}, {self.pt_max}, {self.pt_hat_min}, {self.pt_hat_max}"
            )


class Jets(NamedTuple):
    """Jets of one process, constituents sorted by falling pT.

    Attributes:
        momenta: (n, 3) float32 (px, py, pz) of massless constituents in GeV.
        lengths: (B,) constituents of each jet.
        target: (B, 4) true top, or nearest hard parton, as (E, px, py, pz) in GeV.
        quarks: (B, 3, 4) the top's decay quarks (b first), zero for other processes.
    """

    momenta: NDArray[np.float32]
    lengths: NDArray[np.int64]
    target: Array
    quarks: Array


def import_generator() -> tuple[Any, Any]:
    """The modules pythia8mc and fastjet; raises GeneratorError saying how to install a missing one."""
    try:
        import fastjet
        import pythia8mc
    except ImportError as error:
        raise GeneratorError(
            f"expected Pythia 8 and FastJet for making events, but {error.name or error} cannot be imported; "
            "install the extra with: pip install 'eqviz[generator]' (both are GPL and never needed otherwise)"
        ) from error
    _silence_banner(fastjet)
    return pythia8mc, fastjet


def _silence_banner(fastjet: Any) -> None:
    """FastJet greets on the C++ standard output, once a process, in the middle of the progress bar."""
    global _banner_shown
    if _banner_shown:
        return
    sys.stdout.flush()
    saved = os.dup(1)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 0.8)
            fastjet.ClusterSequence([fastjet.PseudoJet(1, 0, 0, 1)], definition)
    finally:
        os.dup2(saved, 1)
        os.close(saved)
    _banner_shown = True


def make_jets(
    process: str, n_jets: int, seed: tuple[int, ...], recipe: Recipe, detector: DetectorConfig
) -> Jets:
    """``n_jets`` jets of ``process`` ("top" or "qcd"); the same numbers for the same arguments.

    Raises:
        GeneratorError: Pythia or FastJet is missing, Pythia refuses to start, or nothing passes the cuts.
        ConfigError: unknown process.
    """
    if process not in PROCESSES:
        raise ConfigError(f"expected a process out of {sorted(PROCESSES)}, got {process!r}")
    pythia8, fastjet = import_generator()
    pythia_seed, detector_seed = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    pythia = _start(pythia8, process, int(pythia_seed % 900_000_000) + 1, recipe)
    rng = np.random.default_rng(int(detector_seed))
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, recipe.radius)
    found: list[tuple[NDArray[np.float32], Array, Array]] = []
    tries = 0
    while len(found) < n_jets:
        rows, truths, batch_tries = _events(pythia, process, recipe, (fastjet, definition))
        tries += batch_tries
        if rows:
            objects = simulate(_particles(rows, pythia.particleData.charge), detector, rng)
            found += _select(objects, truths, process, recipe, (fastjet, definition))
        if tries > _MAX_TRIES * (1 + len(found)):
            raise GeneratorError(
                f"got {len(found)} of {n_jets} jets from {tries} {process} events; widen the cuts of {recipe}"
            )
    return _pack(found[:n_jets])


def _events(
    pythia: Any, process: str, recipe: Recipe, clustering: tuple[Any, Any]
) -> tuple[list[Array], list[Truth], int]:
    """Stable particles and truth of the next _BATCH promising events, and how many were tried."""
    rows: list[Array] = []
    truths: list[Truth] = []
    tries = 0
    while len(rows) < _BATCH and tries < _MAX_TRIES:
        tries += 1
        if not pythia.next():
            continue
        truth = read_truth(pythia.event, process)
        if not _promising(pythia.event, truth, process, recipe, clustering):
            continue
        if pythia.forceHadronLevel():
            rows.append(_stable(pythia.event))
            truths.append(truth)
    return rows, truths, tries


def _start(pythia8: Any, process: str, seed: int, recipe: Recipe) -> Any:
    pythia = pythia8.Pythia("", False)
    settings = [
        *_COMMON,
        *PROCESSES[process],
        f"Random:seed = {seed}",
        f"Beams:eCM = {recipe.beam_energy}",
        f"PhaseSpace:pTHatMin = {recipe.pt_hat_min}",
        f"PhaseSpace:pTHatMax = {recipe.pt_hat_max}",
    ]
    if recipe.tau0_max is not None:
        settings += ["ParticleDecays:limitTau0 = on", f"ParticleDecays:tau0Max = {recipe.tau0_max}"]
    for setting in settings:
        if not pythia.readString(setting):
            raise GeneratorError(f"Pythia does not understand {setting!r}; expected version 8.3")
    if not pythia.init():
        raise GeneratorError(f"Pythia could not be initialised for {process} with {recipe}")
    return pythia


def _promising(event: Any, truth: Truth, process: str, recipe: Recipe, clustering: tuple[Any, Any]) -> bool:
    """Whether the partons hold a jet that may pass the cuts after hadronisation and detector."""
    fastjet, definition = clustering
    partons = [fastjet.PseudoJet(p.px(), p.py(), p.pz(), p.e()) for p in event if p.isFinal()]
    for jet in fastjet.ClusterSequence(partons, definition).inclusive_jets(recipe.parton_pt_min):
        if jet.pt() < recipe.parton_pt_max and abs(jet.eta()) < recipe.eta_max + PARTON_MARGIN:
            axis = np.array([jet.e(), jet.px(), jet.py(), jet.pz()])
            if match(axis, truth, process, recipe.match_radius + PARTON_MARGIN) is not None:
                return True
    return False


def _stable(event: Any) -> Array:
    """(n, 8) id, E, px, py, pz [GeV], x, y, z [mm] of the stable particles."""
    return np.array(
        [
            (p.id(), p.e(), p.px(), p.py(), p.pz(), p.xProd(), p.yProd(), p.zProd())
            for p in event
            if p.isFinal()
        ]
    )


def _particles(rows: list[Array], charge_of: Callable[[int], float]) -> Particles:
    table = np.concatenate(rows)
    codes, position = np.unique(table[:, 0].astype(np.int64), return_inverse=True)
    return Particles(
        event=np.repeat(np.arange(len(rows)), [len(row) for row in rows]),
        pdg=codes[position],
        charge=np.array([charge_of(int(code)) for code in codes])[position],
        p4=table[:, 1:5],
        vertex=table[:, 5:] * _MM,
    )


def _select(
    objects: Objects, truths: list[Truth], process: str, recipe: Recipe, clustering: tuple[Any, Any]
) -> list[tuple[NDArray[np.float32], Array, Array]]:
    """(constituents, true momentum, quarks) of the jets that pass the cuts and the matching."""
    bounds = np.searchsorted(objects.event, np.arange(len(truths) + 1))
    out = []
    for number, truth in enumerate(truths):
        p4 = objects.p4[bounds[number] : bounds[number + 1]]
        for members in cluster(p4, recipe, *clustering):
            matched = match(p4[members].sum(axis=0), truth, process, recipe.match_radius)
            if matched is not None:
                hardest = constituents(p4[members], recipe)
                out.append((hardest, truth.partons[matched], truth.quarks[matched]))
    return out


def cluster(p4: Array, recipe: Recipe, fastjet: Any, definition: Any) -> list[NDArray[np.int64]]:
    """Rows of ``p4`` (n, 4) that belong to each anti-kT jet within the cuts, hardest jet first."""
    inputs = [fastjet.PseudoJet(px, py, pz, energy) for energy, px, py, pz in p4.tolist()]
    sequence = fastjet.ClusterSequence(inputs, definition)
    chosen = [
        jet
        for jet in fastjet.sorted_by_pt(sequence.inclusive_jets(recipe.pt_min))
        if jet.pt() < recipe.pt_max and abs(jet.eta()) < recipe.eta_max
    ]
    # Inputs come first in the clustering history, so an input's place there is its row.
    return [np.array([part.cluster_hist_index() for part in jet.constituents()]) for jet in chosen]


def constituents(p4: Array, recipe: Recipe) -> NDArray[np.float32]:
    """(n, 3) float32 (px, py, pz) of the hardest constituents, sorted by falling pT."""
    order = np.argsort(-transverse_momentum(p4), kind="stable")[: recipe.max_constituents]
    return p4[order, 1:].astype(np.float32)


def _pack(found: list[tuple[NDArray[np.float32], Array, Array]]) -> Jets:
    return Jets(
        momenta=np.concatenate([jet[0] for jet in found]),
        lengths=np.array([len(jet[0]) for jet in found], dtype=np.int64),
        target=np.stack([jet[1] for jet in found]),
        quarks=np.stack([jet[2] for jet in found]),
    )
