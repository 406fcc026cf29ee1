"""What the figures of the Runs tab need from a run folder, computed once a process and kept."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqviz.dash.session import Network
from eqviz.dash.variants import has_stable_form, is_naive
from eqviz.evaluation import metrics
from eqviz.evaluation.run import Run, Scores, read_scores
from eqviz.plots.series import Series

Array = NDArray[np.float64]
EFFICIENCIES: Array = np.unique(np.append(np.linspace(0.01, 1.0, 100), [0.3, 0.5]))
EFFICIENCIES.setflags(write=False)
_BOOTSTRAP_BUDGET = 2_000_000  # jets x resamples: about one second


def scores(run: Run) -> Scores:
    """Labels, logits and rows of the test jets of ``run``, as read-only arrays."""
    path = run.folder / "scores.parquet"
    return _scores(path.resolve(), path.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _scores(path: Path, stamp: int) -> Scores:
    found = read_scores(path)
    for values in found:
        values.setflags(write=False)
    return found


def n_test(run: Run) -> int:
    """Number of test jets."""
    return int(run.config.get("data", {}).get("n_test", 0))


def two_classes(run: Run) -> bool:
    """Whether there is a signal and a background."""
    found = scores(run)
    return found.logits.shape[1] == 2 and set(np.unique(found.labels).tolist()) == {0, 1}


def probability(run: Run) -> Array:
    """(n,) probability of signal of every test jet."""
    return metrics.probabilities(scores(run).logits)[:, 1]


@lru_cache(maxsize=64)
def _roc(path: Path, stamp: int) -> tuple[Array, Array, Array]:
    found = _scores(path, stamp)
    n = int(np.clip(_BOOTSTRAP_BUDGET // max(len(found.labels), 1), 20, 200))
    y = metrics.discriminant(found.logits)
    return metrics.roc_band(found.labels, y, EFFICIENCIES, n_bootstrap=n, level=0.95)


def roc_series(network: Network) -> tuple[Series, Series]:
    """(ROC, inverse ROC) with 95 % bootstrap bands; infinite rejections are left open."""
    path = network.run.folder / "scores.parquet"
    measured, low, high = _roc(path.resolve(), path.stat().st_mtime_ns)
    with np.errstate(divide="ignore"):
        inverse = [1.0 / values for values in (measured, high, low)]
    inverse[2] = np.where(np.isfinite(inverse[2]), inverse[2], inverse[0])
    eps = EFFICIENCIES
    return Series(network.tag, eps, measured, low, high), Series(network.tag, eps, *inverse)


def calibration_series(network: Network) -> Series:
    """Observed against predicted fraction of signal with 68 % binomial errors."""
    found = scores(network.run)
    curve = metrics.calibration_curve(found.labels, found.logits)
    return Series(network.tag, curve.predicted, curve.observed, curve.low, curve.high)


def confusion(run: Run) -> NDArray[np.int64]:
    """Jets by (true class, predicted class)."""
    found = scores(run)
    return metrics.confusion_matrix(found.labels, found.logits)


def invariance_rows(network: Network, axis: str, moved: bool) -> list[dict[str, Any]]:
    """Stored boost rows of a network for these controls, by growing gamma; [] if they were not measured."""
    reference = "moved" if moved else "fixed"
    either = not has_stable_form(network.run)
    rows = [
        row
        for row in network.run.invariance
        if row["transformation"] == "boost"
        and row["axis"] == axis
        and row["reference"] == reference
        and row["dtype"] == network.dtype
        and (either or row["stable"] == network.stable)
    ]
    unique = {row["parameter"]: row for row in rows}
    return [unique[gamma] for gamma in sorted(unique)]


def boost_deviation(run: Run, gamma: float = 10.0) -> float | None:
    """Stored median relative deviation in float32, reference vectors moved: the axis that moves it most."""
    found = []
    for row in run.invariance:
        wanted = (row["transformation"], row["reference"], row["dtype"], row["parameter"])
        if wanted == ("boost", "moved", "float32", gamma) and (
            row["stable"] == (not is_naive(run)) or not has_stable_form(run)
        ):
            found.append(float(row["median_rel"]))
    return max(found, default=None)


def with_error(value: float, error: float | None) -> str:
    """``0.9867 ± 0.0003``: as many digits as the error's two leading ones, four significant without one."""
    if not np.isfinite(value):
        return "∞" if value > 0 else "–"
    if error is None or not np.isfinite(error) or error <= 0:
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    if round(error, digits) >= 10 ** (2 - digits):
        digits = max(0, digits - 1)
    return f"{value:,.{digits}f} ± {error:,.{digits}f}"
