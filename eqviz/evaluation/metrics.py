"""How good a classifier is, with bootstrap errors. NumPy in, numbers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import ConfigError, DataError
from eqviz.evaluation.bootstrap import bands, resamples, roc_band
from eqviz.evaluation.curves import (
    Ranking,
    Rejection,
    area,
    auc,
    background_at,
    inverse_roc,
    rejection_at,
    rejection_from,
    roc_curve,
)

__all__ = [
    "Calibration", "Rejection", "auc", "bands", "calibration_curve", "calibration_error",
    "classification_metrics", "confusion_matrix", "cross_entropy", "discriminant", "inverse_roc",
    "paired_difference", "probabilities", "rejection_at", "roc_band", "roc_curve",
]  # fmt: skip

Array = NDArray[np.float64]
Statistic = Callable[[NDArray | None], Array]
WORKING_POINTS = {"rejection_30": 0.3, "rejection_50": 0.5}
CALIBRATION_BINS = 15


def discriminant(logits: ArrayLike) -> Array:
    """y = logit_1 - logit_0 of a two-class network, (n,): the log-odds of signal."""
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 2:
        raise DataError(f"expected logits (n, 2) of a two-class network, got {values.shape}")
    return values[:, 1] - values[:, 0]


def probabilities(logits: ArrayLike) -> Array:
    """Softmax over the last axis."""
    return np.exp(_log_softmax(np.asarray(logits, dtype=np.float64)))


def cross_entropy(labels: ArrayLike, logits: ArrayLike) -> float:
    """Mean of -log p(true class)."""
    classes, values = _checked(labels, logits)
    return float(_losses(classes, values).mean())


def confusion_matrix(labels: ArrayLike, logits: ArrayLike) -> NDArray[np.int64]:
    """Jets by (true class, predicted class), (classes, classes)."""
    classes, values = _checked(labels, logits)
    size = values.shape[1]
    return np.bincount(classes * size + values.argmax(axis=1), minlength=size**2).reshape(size, size)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Predicted against observed signal fraction in bins of equal width; empty bins are left out.

    Attributes:
        predicted: (m,) mean predicted probability in the bin.
        observed: (m,) fraction of jets of that class.
        low, high: (m,) Wilson 68 % binomial interval around ``observed``.
        count: (m,) jets in the bin.
    """

    predicted: Array
    observed: Array
    low: Array
    high: Array
    count: NDArray[np.int64]


def calibration_curve(labels: ArrayLike, logits: ArrayLike, n_bins: int = CALIBRATION_BINS) -> Calibration:
    """Reliability of P(signal) for two classes, of the predicted class's probability for more."""
    confidence, correct = _confidence(*_checked(labels, logits))
    total, predicted, observed = _bins(confidence, correct, n_bins, np.ones(len(correct)))
    low, high = _wilson(observed, total)
    return Calibration(predicted, observed, low, high, total.astype(np.int64))


def calibration_error(labels: ArrayLike, logits: ArrayLike, n_bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error: jet-weighted mean |predicted - observed| over bins (1706.04599, eq. 3)."""
    confidence, correct = _confidence(*_checked(labels, logits))
    return float(_expected_calibration_error(confidence, correct, n_bins, None)[0])


def classification_metrics(
    labels: ArrayLike, logits: ArrayLike, n_bootstrap: int = 200, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """All metrics of a classifier with bootstrap standard errors (stratified, ``n_bootstrap`` resamples).

    Args:
        labels: (n,) class numbers; for two classes 1 is signal.
        logits: (n, classes).
        n_bootstrap: 0 leaves the errors out.
        seed: of the resampling.

    Returns:
        Name -> {"value", "error"} for auc, accuracy, loss, ece, and for two classes rejection_30 and
        rejection_50, which add "survivors" (background jets left) and "lower_bound" (95 % confidence, where
        none is left: the value is then inf and the error None). For more than two classes auc is the mean
        over ordered pairs of classes. The error of 1/eps_B is sigma(eps_B) / eps_B^2, finite even where some
        resamples keep no background.

    Raises:
        DataError: shapes that do not fit, a class without jets, NaN.
    """
    classes, values = _checked(labels, logits)
    statistics = _statistics(classes, values)
    measured = {name: statistic(None) for name, statistic in statistics.items()}
    samples = _bootstrap(statistics, classes, n_bootstrap, seed)
    result: dict[str, dict[str, Any]] = {}
    for name in ("auc", "accuracy", "loss", "ece"):
        error = float(samples[name].std(ddof=1)) if n_bootstrap > 1 else None
        result[name] = {"value": float(measured[name][0]), "error": error}
    if values.shape[1] == 2:
        spread = samples["background"].std(axis=0, ddof=1) if n_bootstrap > 1 else None
        result |= _rejections(classes, values, spread)
    return result


def paired_difference(
    labels: ArrayLike, first: ArrayLike, second: ArrayLike, n_bootstrap: int = 200, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Metrics of ``first`` minus those of ``second`` on the same jets, with paired bootstrap errors.

    Args:
        labels: (n,) classes.
        first, second: (n, classes) logits of the two networks, jet by jet.

    Returns:
        Name -> {"value", "error"} for auc, accuracy, loss and ece.
    """
    parts = []
    for logits in (first, second):
        classes, values = _checked(labels, logits)
        statistics = _statistics(classes, values)
        measured = {name: statistic(None) for name, statistic in statistics.items()}
        parts.append((measured, _bootstrap(statistics, classes, max(n_bootstrap, 2), seed)))
    (value_a, sample_a), (value_b, sample_b) = parts
    return {
        name: {
            "value": float(value_a[name][0] - value_b[name][0]),
            "error": float((sample_a[name] - sample_b[name]).std(ddof=1)),
        }
        for name in ("auc", "accuracy", "loss", "ece")
    }


def _rejections(classes: NDArray[np.int64], values: Array, spread: Array | None) -> dict[str, dict[str, Any]]:
    background, signal = Ranking(classes, discriminant(values)).efficiencies()
    n_background = int((classes == 0).sum())
    result = {}
    for column, (name, efficiency) in enumerate(WORKING_POINTS.items()):
        found = rejection_from(background, signal, efficiency, n_background)
        error = None
        if spread is not None and found.lower_bound is None:
            error = float(spread[column] * found.value**2)
        result[name] = {
            "value": found.value,
            "error": error,
            "survivors": found.survivors,
            "lower_bound": found.lower_bound,
        }
    return result


def _statistics(classes: NDArray[np.int64], values: Array) -> dict[str, Statistic]:
    """Everything as a function of the jets' weights; what does not depend on them is computed once."""
    confidence, correct = _confidence(classes, values)
    statistics: dict[str, Statistic] = {
        "accuracy": partial(_mean, (values.argmax(axis=1) == classes).astype(np.float64)),
        "loss": partial(_mean, _losses(classes, values)),
        "ece": partial(_expected_calibration_error, confidence, correct, CALIBRATION_BINS),
    }
    if values.shape[1] == 2:
        ranking = Ranking(classes, discriminant(values))
        # one pass over the curve for the area and both working points
        statistics["auc"] = partial(_curve_statistics, ranking)
    else:
        statistics["auc"] = _pairwise_auc(classes, probabilities(values))
    return statistics


def _bootstrap(
    statistics: Mapping[str, Statistic], classes: NDArray[np.int64], n_bootstrap: int, seed: int
) -> dict[str, Array]:
    drawn: dict[str, list[Array]] = {name: [] for name in statistics}
    for weights in resamples(classes, n_bootstrap, seed):
        for name, statistic in statistics.items():
            drawn[name].append(statistic(weights))
    samples = {name: np.stack(values) if values else np.zeros((0, 1)) for name, values in drawn.items()}
    samples["background"] = samples["auc"][:, 1:]
    return {name: values if name == "background" else values[:, 0] for name, values in samples.items()}


def _curve_statistics(ranking: Ranking, weights: NDArray | None) -> Array:
    background, signal = ranking.efficiencies(weights)
    points = background_at(background, signal, list(WORKING_POINTS.values()))
    return np.append(area(background, signal), points)


def _pairwise_auc(classes: NDArray[np.int64], chances: Array) -> Statistic:
    pairs = []
    for a, b in permutations(range(chances.shape[1]), 2):
        rows = np.flatnonzero((classes == a) | (classes == b))
        pairs.append((rows, Ranking(classes[rows] == a, chances[rows, a])))

    def mean(weights: NDArray | None) -> Array:
        parts = [area(*r.efficiencies(None if weights is None else weights[rows])) for rows, r in pairs]
        return np.array([np.mean(parts)])

    return mean


def _mean(values: Array, weights: NDArray | None) -> Array:
    return np.array([values.mean() if weights is None else values @ weights / weights.sum()])


def _expected_calibration_error(
    confidence: Array, correct: Array, n_bins: int, weights: NDArray | None
) -> Array:
    total, predicted, observed = _bins(
        confidence, correct, n_bins, np.ones(len(correct)) if weights is None else weights
    )
    return np.array([np.sum(total * np.abs(predicted - observed)) / total.sum()])


def _confidence(classes: NDArray[np.int64], values: Array) -> tuple[Array, Array]:
    chances = probabilities(values)
    if values.shape[1] == 2:
        return chances[:, 1], (classes == 1).astype(np.float64)
    best = chances.argmax(axis=1)
    return chances[np.arange(len(best)), best], (best == classes).astype(np.float64)


def _bins(confidence: Array, correct: Array, n_bins: int, weights: NDArray) -> tuple[Array, Array, Array]:
    if n_bins < 1:
        raise ConfigError(f"expected 1 or more calibration bins, got {n_bins}")
    bins = np.minimum((confidence * n_bins).astype(np.int64), n_bins - 1)
    total = np.bincount(bins, weights, minlength=n_bins).astype(np.float64)
    filled = total > 0
    predicted = np.bincount(bins, weights * confidence, minlength=n_bins)[filled] / total[filled]
    observed = np.bincount(bins, weights * correct, minlength=n_bins)[filled] / total[filled]
    return total[filled], predicted, observed


def _wilson(fraction: Array, total: Array) -> tuple[Array, Array]:
    """Score interval at one standard deviation: stays inside [0, 1] and is not empty at 0 or 1."""
    centre = (fraction + 0.5 / total) / (1 + 1 / total)
    half = np.sqrt(fraction * (1 - fraction) / total + 0.25 / total**2) / (1 + 1 / total)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def _log_softmax(values: Array) -> Array:
    shifted = values - values.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _losses(classes: NDArray[np.int64], values: Array) -> Array:
    return -_log_softmax(values)[np.arange(len(classes)), classes]


def _checked(labels: ArrayLike, logits: ArrayLike) -> tuple[NDArray[np.int64], Array]:
    classes, values = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or classes.shape != values.shape[:1] or values.shape[1] < 2:
        raise DataError(
            f"expected labels (n,) and logits (n, 2 or more), got {classes.shape}, {values.shape}"
        )
    if not len(classes) or not np.issubdtype(classes.dtype, np.integer):
        raise DataError(f"expected integer labels of one jet or more, got {classes.dtype} {classes.shape}")
    if classes.min() < 0 or classes.max() >= values.shape[1]:
        raise DataError(f"expected labels 0 to {values.shape[1] - 1}, got {classes.min()} to {classes.max()}")
    if not np.isfinite(values).all():
        raise DataError(
            f"expected finite logits, got {int((~np.isfinite(values)).any(axis=1).sum())} bad jets"
        )
    return classes.astype(np.int64), values
