"""Jets a second that one core makes: Pythia, detector, clustering and matching together."""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np

from benchmarks.registry import Row, Settings, register
from eqviz.data.detector_config import DetectorConfig
from eqviz.data.generate_events import LABELS, Recipe, make_jets

MIXTURE = "both"


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
    seconds[MIXTURE] = [sum(pair) / 2 for pair in zip(*seconds.values())]
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
    return out


def one_chunk(process: str, n_jets: int, number: int) -> float:
    start = time.process_time()
    jets = make_jets(process, n_jets, (100, LABELS[process], number), Recipe(), DetectorConfig())
    if len(jets.lengths) != n_jets:
        raise AssertionError(f"expected {n_jets} jets, got {len(jets.lengths)}")
    return time.process_time() - start
