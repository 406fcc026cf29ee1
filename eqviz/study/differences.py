"""Which network is better, and by how much: differences on the same test jets with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, inf, sqrt
from statistics import mean, stdev

import numpy as np

from eqviz.evaluation.metrics import paired_difference
from eqviz.evaluation.store import Run
from eqviz.study.summary import Configuration


@dataclass(frozen=True)
class Difference:
    """AUC of ``second`` minus AUC of ``first`` on the same jets.

    ``error`` is the paired bootstrap over jets, ``spread`` the standard deviations over seeds of both in
    quadrature (None where one of them has a single seed).
    """

    first: str
    second: str
    value: float
    error: float
    spread: float | None

    @property
    def total(self) -> float:
        """Both errors in quadrature."""
        return hypot(self.error, self.spread or 0.0)

    @property
    def significance(self) -> float:
        """The difference in standard errors."""
        return abs(self.value) / self.total if self.total else inf


def differences(configurations: Sequence[Configuration]) -> list[Difference]:
    """Every configuration against the one of the largest AUC, where both saw the same test jets.

    Published networks are left out: they have seen hundreds of times more jets.
    """
    trained = [c for c in configurations if any(run.history["epoch"] for run in c.sound)]
    shown = [(c, auc.value) for c in trained if (auc := c.metric("auc")) is not None]
    if len(shown) < 2:
        return []
    best = max(shown, key=lambda pair: pair[1])[0]
    others = sorted((pair for pair in shown if pair[0] is not best), key=lambda pair: -pair[1])
    found = [_difference(best, other) for other, _ in others]
    return [difference for difference in found if difference is not None]


def _difference(best: Configuration, other: Configuration) -> Difference | None:
    first, second = _middle(best.sound), _middle(other.sound)
    if not _same_jets(first, second):
        return None
    paired = paired_difference(first.scores.labels, second.scores.logits, first.scores.logits)["auc"]
    spreads = [estimate.spread for c in (best, other) if (estimate := c.metric("auc")) is not None]
    known = [spread for spread in spreads if spread is not None]
    return Difference(
        best.label, other.label, paired["value"], paired["error"], hypot(*known) if len(known) == 2 else None
    )


def against(reference: Configuration, other: Configuration) -> Difference | None:
    """AUC of ``other`` minus that of ``reference``: the mean over the seeds that both have, test jets paired.

    ``spread`` is the standard error of that mean over seeds (None for one seed). ``error`` is not made
    smaller by averaging, as the seeds share the test jets. None without a common seed on the same jets.
    """
    seeds = {run.config["seed"]: run for run in reference.sound}
    pairs = [(seeds[run.config["seed"]], run) for run in other.sound if run.config["seed"] in seeds]
    pairs = [(first, second) for first, second in pairs if _same_jets(first, second)]
    if not pairs:
        return None
    paired = [
        paired_difference(first.scores.labels, second.scores.logits, first.scores.logits)["auc"]
        for first, second in pairs
    ]
    values = [entry["value"] for entry in paired]
    spread = stdev(values) / sqrt(len(values)) if len(values) > 1 else None
    error = mean(entry["error"] for entry in paired)
    return Difference(reference.label, other.label, mean(values), error, spread)


def _middle(runs: Sequence[Run]) -> Run:
    """The run of median AUC (the lower one of two)."""
    return sorted(runs, key=lambda run: float(run.metrics["auc"]["value"]))[(len(runs) - 1) // 2]


def _same_jets(first: Run, second: Run) -> bool:
    same_data = first.config["data"]["name"] == second.config["data"]["name"]
    a, b = first.scores, second.scores
    return bool(same_data and np.array_equal(a.index, b.index) and np.array_equal(a.labels, b.labels))
