"""Jets a second that one core makes, all together, and images a second from given particles."""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np

from benchmarks.registry import Row, Settings, register
from eqviz.data import generate_events
from eqviz.data.calorimeter_config import ImageConfig
from eqviz.data.detector_config import DetectorConfig
from eqviz.data.generate_recipe import LABELS, RECIPES, TASKS

MIXTURE = "both"
RECIPE = {process: RECIPES[task] for task, (processes, _) in TASKS.items() for process in processes}


@register(
    "generator",
    summary="jets a second a core: Pythia 8, detector, FastJet, matching",
    reference="arXiv:2203.11601",
)
def run(settings: Settings) -> list[Row]:
    if settings.device != "cpu" or not (find_spec("pythia8mc") and find_spec("fastjet")):
        return []
    n_jets, repeats = (25, 1) if settings.quick else (500, 3)
    seconds = {process: [one_chunk(process, n_jets, k) for k in range(repeats)] for process in LABELS}
    seconds[MIXTURE] = [sum(pair) / 2 for pair in zip(seconds["qcd"], seconds["top"])]
    setting = f"chunks of {n_jets} jets, Pythia's start included, processor time of one thread"
    out = []
    for process, values in seconds.items():
        rates = n_jets / np.array(values)
        out.append(
            Row(
                f"{process} jets",
                "eqviz",
                float(np.median(rates)),
                rates.min(),
                rates.max(),
                "jets/s",
                setting,
            )
        )
    return [*out, *(images(process, n_jets, repeats) for process in ("gluon", "top"))]


def images(process: str, n_jets: int, repeats: int) -> Row:
    """Images a second of the jets of one chunk, from particles that Pythia has made before."""
    made: list[tuple] = []
    draw = generate_events.detector_images

    def keep(*arguments):
        made.append(arguments[:3])
        return draw(*arguments)

    generate_events.detector_images = keep
    try:
        seed = (101, LABELS[process], 0)
        generate_events.make_jets(
            process, min(n_jets, 100), seed, RECIPE[process], DetectorConfig(), ImageConfig()
        )
    finally:
        generate_events.detector_images = draw
    rates = []
    for repeat in range(repeats + 1):
        rng, start = np.random.default_rng(repeat), time.process_time()
        drawn = sum(len(draw(*arguments, ImageConfig(), rng)) for arguments in made)
        rates.append(drawn / (time.process_time() - start))
    rates = rates[1:]  # the first tabulates shower profiles
    setting = "3 x 125 x 125, batches of 48 events, processor time of one thread"
    return Row(
        f"images of {process} jets",
        "eqviz",
        float(np.median(rates)),
        min(rates),
        max(rates),
        "images/s",
        setting,
    )


def one_chunk(process: str, n_jets: int, number: int) -> float:
    start = time.process_time()
    seed = (100, LABELS[process], number)
    jets = generate_events.make_jets(process, n_jets, seed, RECIPE[process], DetectorConfig())
    if len(jets.lengths) != n_jets:
        raise AssertionError(f"expected {n_jets} jets, got {len(jets.lengths)}")
    return time.process_time() - start
