"""Everything that is measured on one trained network, in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqviz.data.dataset import JetDataset
from eqviz.data.jets import JetBatch
from eqviz.data.labelled import LabelledSet
from eqviz.evaluation.inference import as_seen, predict
from eqviz.evaluation.invariance import Row, boost_scan, permutation_scan, rotation_scan, scan_batch
from eqviz.evaluation.metrics import classification_metrics
from eqviz.evaluation.rotation import planar_scan
from eqviz.evaluation.settings import EvalConfig
from eqviz.evaluation.timing import ms_per_jet, peak_memory_mb
from eqviz.models.base import JetModel, n_parameters

Listener = Callable[[str, float], None]
Scan = Callable[[JetModel, JetBatch], list[Row]]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Logits (n, classes) of all test jets, metrics, invariance and rotation rows as a run stores them."""

    logits: NDArray[np.float64]
    metrics: dict[str, dict[str, Any]]
    invariance: list[Row]
    rotation: list[Row]


def evaluate(
    model: JetModel, test_set: LabelledSet[Any], config: EvalConfig, listener: Listener | None = None
) -> Evaluation:
    """Predictions, metrics with errors, invariance scans and timing of ``model`` on ``test_set``.

    Args:
        listener: called with the name of a stage ("predict", "scan", "time") and the part of it that is done.
    """
    tell = listener or (lambda stage, fraction: None)
    tell("predict", 0.0)
    seen = as_seen(model, test_set)
    logits = predict(model, seen, config.batch_size)
    metrics = classification_metrics(test_set.labels, logits, config.n_bootstrap)
    tell("predict", 1.0)
    rows: list[Row] = []
    # a detector image cannot be boosted
    scans = list(plan(model, config)) if isinstance(test_set, JetDataset) else []
    batch = scan_batch(seen, config.n_jets)
    for done, scan in enumerate(scans):
        tell("scan", done / len(scans))
        rows += scan(model, batch)
    turns = planar_scan(model, test_set, config.plane_angles, n_bootstrap=config.n_bootstrap, still=logits)
    tell("time", 0.0)
    return Evaluation(logits, metrics | _cost(model, seen, config), rows, turns)


def plan(model: JetModel, config: EvalConfig) -> Iterator[Scan]:
    """The scans that ``config`` asks for and ``model`` has a meaning for.

    A network with the switch is scanned in stable and naive arithmetic if it was built stable. One that was
    built naive (a published network as its authors run it) is scanned as it is. Networks without the switch
    have rows marked stable.
    """
    variants = _variants(model, config)
    for dtype, stable in product(config.dtypes, variants):
        arithmetic: dict[str, Any] = {"dtype": dtype, "stable": stable}
        if config.gammas and "moved" in config.references:
            for axis in config.axes:
                yield partial(boost_scan, gammas=config.gammas, axis=axis, **arithmetic)
        if config.gammas and "fixed" in config.references and stable == variants[0]:
            for axis in [axis for axis in config.axes if axis != "random"]:
                yield partial(boost_scan, gammas=config.gammas, axis=axis, move_reference=False, **arithmetic)
        if stable == variants[0]:
            if config.angles:
                for axis in ("z", "random"):
                    yield partial(rotation_scan, angles=config.angles, axis=axis, **arithmetic)
            if config.permutations:
                yield partial(permutation_scan, seeds=range(config.permutations), **arithmetic)


def _variants(model: JetModel, config: EvalConfig) -> list[bool]:
    if not hasattr(model.config, "stable"):
        return [True]
    if not model.stable:
        return [False]
    return [variant == "stable" for variant in config.variants]


def _cost(model: JetModel, test_set: LabelledSet[Any], config: EvalConfig) -> dict[str, dict[str, Any]]:
    cost: dict[str, dict[str, Any]] = {"parameters": {"value": float(n_parameters(model)), "error": None}}
    if config.timing_jets:
        batch = scan_batch(test_set, config.timing_jets)
        timing = ms_per_jet(model, batch, repeats=config.timing_repeats)
        cost["ms_per_jet"] = {
            "value": timing.value,
            "error": timing.error,
            "threads": timing.threads,
            "batch_size": timing.batch_size,
        }
        cost["peak_memory_mb"] = {"value": peak_memory_mb(model, batch), "error": None}
    return cost
