"""Bootstrap errors: how much a number would move on another test set of the same size.

Stratified: each class is resampled within itself, since test sets are drawn with fixed class sizes. A
resample is a vector of integer weights; equal labels and seed give equal weights, so that two networks
measured on the same jets can be compared jet by jet (their difference has a far smaller error than either).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import ConfigError, DataError
from eqviz.evaluation.curves import Ranking, background_at

Array = NDArray[np.float64]


def resamples(labels: ArrayLike, n_resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """``n_resamples`` weight vectors (n,): how often each jet was drawn, class by class."""
    if n_resamples < 0:
        raise ConfigError(f"expected 0 or more bootstrap resamples, got {n_resamples}")
    classes = np.asarray(labels)
    rows = [np.flatnonzero(classes == value) for value in np.unique(classes)]
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        weights = np.empty(len(classes), dtype=np.int64)
        for members in rows:
            drawn = rng.integers(len(members), size=len(members))
            weights[members] = np.bincount(drawn, minlength=len(members))
        yield weights


def bands(curves: ArrayLike, level: float = 0.68) -> tuple[Array, Array, Array]:
    """Median and central ``level`` band over the first axis of (curves, points), ignoring NaN."""
    values = np.asarray(curves, dtype=np.float64)
    if values.ndim != 2 or not len(values):
        raise DataError(f"expected curves of shape (curves, points), got {values.shape}")
    if not 0 < level < 1:
        raise ConfigError(f"expected a level between 0 and 1, got {level}")
    tails = [0.5, (1 - level) / 2, (1 + level) / 2]
    # "nearest" never averages a finite value with inf
    median, low, high = np.nanquantile(values, tails, axis=0, method="nearest")
    return median, low, high


def roc_band(
    labels: ArrayLike,
    scores: ArrayLike,
    efficiencies: ArrayLike,
    *,
    n_bootstrap: int = 200,
    seed: int = 0,
    level: float = 0.68,
) -> tuple[Array, Array, Array]:
    """eps_B at the given signal efficiencies, measured and its central bootstrap band: three (m,) arrays.

    A rejection band is 1/high .. 1/low.
    """
    if n_bootstrap < 2:
        raise ConfigError(f"expected 2 or more bootstrap resamples for a band, got {n_bootstrap}")
    ranking, grid = Ranking(labels, scores), np.asarray(efficiencies, dtype=np.float64)
    measured = background_at(*ranking.efficiencies(), grid)
    drawn = [
        background_at(*ranking.efficiencies(weights), grid)
        for weights in resamples(labels, n_bootstrap, seed)
    ]
    _, low, high = bands(drawn, level)
    return measured, low, high
