"""Pythia 8 and FastJet: events in, matched and sorted jets out. The only module that imports the two."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eqviz.data.calorimeter import detector_images
from eqviz.data.calorimeter_config import ImageConfig
from eqviz.data.detector import Objects, Particles, simulate
from eqviz.data.detector_config import NEUTRINOS, DetectorConfig
from eqviz.data.generate_recipe import LABELS, PARTON_MARGIN, PROCESSES, Recipe
from eqviz.data.generate_truth import Truth, match, read_truth
from eqviz.data.image_batch import ImageBatch, concatenate_images
from eqviz.errors import ConfigError, GeneratorError
from eqviz.kinematics import azimuth, pseudorapidity, transverse_momentum

__all__ = ["LABELS", "PROCESSES", "Jets", "Recipe", "import_generator", "make_jets"]

Array = NDArray[np.float64]

_COMMON = ("Print:quiet = on", "HadronLevel:all = off", "Random:setSeed = on")
_BATCH = 48  # events per call of the vectorised detector
_MAX_TRIES = 20_000  # events without a single jet before the recipe is called impossible
_MM = 1e-3
_banner_shown = False


_NO_FLOATS, _NO_INTEGERS = np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int32)
_IMAGE_STREAM = 2**32  # keeps the images' random numbers apart: jets are the same with and without images


class Jets(NamedTuple):
    """Jets of one process, constituents sorted by falling pT.

    Attributes:
        momenta: (n, 3) float32 (px, py, pz) of the constituents in GeV.
        lengths: (B,) constituents of each jet.
        target: (B, 4) true top, or nearest hard parton, as (E, px, py, pz) in GeV.
        quarks: (B, 3, 4) the top's decay quarks (b first), zero for other processes.
        pdg: (n,) particle codes, or none: massless constituents that are no particles.
        pixel_value, pixel_index, pixel_lengths: the jets' images as in ImageBatch, with (B,) entries each, or
            none.
    """

    momenta: NDArray[np.float32]
    lengths: NDArray[np.int64]
    target: Array
    quarks: Array
    pdg: NDArray[np.int32] = _NO_INTEGERS
    pixel_value: NDArray[np.float32] = _NO_FLOATS
    pixel_index: NDArray[np.int32] = _NO_INTEGERS
    pixel_lengths: NDArray[np.int32] = _NO_INTEGERS


class _Found(NamedTuple):
    """One jet that passed: constituents, truth, and where in the batch of events it was."""

    momenta: NDArray[np.float32]
    pdg: NDArray[np.int32]
    parton: Array
    quarks: Array
    event: int
    axis: Array


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
    process: str,
    n_jets: int,
    seed: tuple[int, ...],
    recipe: Recipe,
    detector: DetectorConfig,
    images: ImageConfig | None = None,
) -> Jets:
    """``n_jets`` jets of ``process``, with ``images`` also their images; the same for the same arguments.

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
    image_rng = np.random.default_rng([*seed, _IMAGE_STREAM])
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, recipe.radius)
    found: list[_Found] = []
    pictures: list[ImageBatch] = []
    tries = 0
    while len(found) < n_jets:
        rows, truths, batch_tries = _events(pythia, process, recipe, (fastjet, definition))
        tries += batch_tries
        if rows:
            particles = _particles(rows, pythia.particleData.charge)
            objects = (
                _stable_objects(particles) if recipe.particle_level else simulate(particles, detector, rng)
            )
            new = _select(objects, truths, process, recipe, (fastjet, definition))
            if images is not None and new:
                event, axis = np.array([jet.event for jet in new]), np.array([jet.axis for jet in new])
                pictures.append(detector_images(particles, event, axis, images, image_rng))
            found += new
        if tries > _MAX_TRIES * (1 + len(found)):
            raise GeneratorError(
                f"got {len(found)} of {n_jets} jets from {tries} {process} events; widen the cuts of {recipe}"
            )
    return _pack(found[:n_jets], pictures)


def _stable_objects(particles: Particles) -> Objects:
    """All particles but neutrinos, as they are; ``kind`` is their code."""
    seen = particles.select(~np.isin(np.abs(particles.pdg), NEUTRINOS))
    return Objects(seen.event, seen.p4, seen.pdg)


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
        if not _wanted(pythia.event, process):
            continue
        truth = read_truth(pythia.event, process)
        if not _promising(pythia.event, truth, process, recipe, clustering):
            continue
        if pythia.forceHadronLevel():
            rows.append(_stable(pythia.event))
            truths.append(truth)
    return rows, truths, tries


def _wanted(event: Any, process: str) -> bool:
    """Quark jets are those of u, d and s, as in the set without c and b (1810.05165)."""
    return process != "quark" or all(event[index].idAbs() not in (4, 5) for index in (5, 6))


def _start(pythia8: Any, process: str, seed: int, recipe: Recipe) -> Any:
    pythia = pythia8.Pythia("", False)
    settings = [
        *_COMMON,
        *PROCESSES[process],
        f"PartonLevel:MPI = {'on' if recipe.multiple_interactions else 'off'}",
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
    final = (p for p in event if p.isFinal() and p.idAbs() not in NEUTRINOS)
    partons = [fastjet.PseudoJet(p.px(), p.py(), p.pz(), p.e()) for p in final]
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
) -> list[_Found]:
    """The jets that pass the cuts and the matching."""
    bounds = np.searchsorted(objects.event, np.arange(len(truths) + 1))
    out = []
    for number, truth in enumerate(truths):
        window = slice(bounds[number], bounds[number + 1])
        p4, codes = objects.p4[window], objects.kind[window].astype(np.int32)
        for members in cluster(p4, recipe, *clustering):
            total = p4[members].sum(axis=0)
            matched = match(total, truth, process, recipe.match_radius)
            if matched is not None:
                order = hardest_first(p4[members], recipe)
                pdg = codes[members][order] if recipe.particle_level else _NO_INTEGERS
                axis = np.array([pseudorapidity(total), azimuth(total)])
                momenta = constituents(p4[members], recipe)
                out.append(_Found(momenta, pdg, truth.partons[matched], truth.quarks[matched], number, axis))
    return out


def cluster(p4: Array, recipe: Recipe, fastjet: Any, definition: Any) -> list[NDArray[np.int64]]:
    """Rows of ``p4`` (n, 4) that belong to each anti-kT jet within the cuts, hardest jet first."""
    inputs = [fastjet.PseudoJet(px, py, pz, energy) for energy, px, py, pz in p4.tolist()]
    sequence = fastjet.ClusterSequence(inputs, definition)
    hardest = fastjet.sorted_by_pt(sequence.inclusive_jets(recipe.pt_min))
    if recipe.particle_level:  # one jet an event, rapidity instead of pseudorapidity
        chosen = [jet for jet in hardest[:1] if jet.pt() < recipe.pt_max and abs(jet.rap()) < recipe.eta_max]
    else:
        chosen = [jet for jet in hardest if jet.pt() < recipe.pt_max and abs(jet.eta()) < recipe.eta_max]
    # Inputs come first in the clustering history, so an input's place there is its row.
    return [np.array([part.cluster_hist_index() for part in jet.constituents()]) for jet in chosen]


def hardest_first(p4: Array, recipe: Recipe) -> NDArray[np.int64]:
    """Rows of the hardest constituents, by falling pT."""
    return np.argsort(-transverse_momentum(p4), kind="stable")[: recipe.max_constituents]


def constituents(p4: Array, recipe: Recipe) -> NDArray[np.float32]:
    """(n, 3) float32 (px, py, pz) of the hardest constituents, sorted by falling pT."""
    return p4[hardest_first(p4, recipe), 1:].astype(np.float32)


def _pack(found: list[_Found], pictures: list[ImageBatch]) -> Jets:
    jets = Jets(
        momenta=np.concatenate([jet.momenta for jet in found]),
        lengths=np.array([len(jet.momenta) for jet in found], dtype=np.int64),
        target=np.stack([jet.parton for jet in found]),
        quarks=np.stack([jet.quarks for jet in found]),
        pdg=np.concatenate([jet.pdg for jet in found]),
    )
    if not pictures:
        return jets
    images = concatenate_images(pictures).select(np.arange(len(found)))
    return jets._replace(
        pixel_value=images.value.numpy(),
        pixel_index=images.index.numpy().astype(np.int32),
        pixel_lengths=images.lengths.numpy().astype(np.int32),
    )
