"""ROC curves and what is read off them, for weighted jets and tied scores.

Signal efficiency eps_S is the fraction of signal jets above a threshold, background efficiency eps_B that of
background jets; 1/eps_B is the background rejection. A jet passes a threshold that its score equals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import ConfigError, DataError

Array = NDArray[np.float64]

# With no survivor seen, fewer than -ln(0.05) = 3.0 are expected at 95 % confidence (Poisson).
_NONE_SEEN = -math.log(0.05)


class Ranking:
    """Scores sorted once, from signal-like to background-like, so that many weightings stay cheap.

    Args:
        labels: (n,) 1 for signal, 0 for background.
        scores: (n,) larger for more signal-like; finite.

    Raises:
        DataError: lengths differ, other labels, a class without jets, NaN or infinite scores.
    """

    def __init__(self, labels: ArrayLike, scores: ArrayLike) -> None:
        signal, values = _checked(labels, scores)
        self.order = np.argsort(-values, kind="stable")
        self.signal = signal[self.order]
        self.values = values[self.order]
        self.ends = np.flatnonzero(np.append(np.diff(self.values) != 0, True))

    def efficiencies(self, weights: NDArray | None = None) -> tuple[Array, Array]:
        """(eps_B, eps_S) after every distinct score, from (0, 0) to (1, 1).

        Args:
            weights: (n,) weight of each jet in the order of ``labels``, by default 1.
        """
        if weights is None:
            passed, signal = self.ends + 1.0, np.cumsum(self.signal)[self.ends].astype(np.float64)
        else:
            sorted_weights = weights[self.order]
            passed = np.cumsum(sorted_weights)[self.ends]
            signal = np.cumsum(sorted_weights * self.signal)[self.ends]
        background = passed - signal
        return _normalised(background), _normalised(signal)


def area(background: Array, signal: Array) -> float:
    """Area under a ROC curve given by its points; ties count one half."""
    return float(np.sum(np.diff(background) * (signal[1:] + signal[:-1])) / 2)


def background_at(background: Array, signal: Array, efficiency: ArrayLike) -> Array:
    """The smallest eps_B at which eps_S reaches ``efficiency``.

    Linear between ROC points, which matters only across tied scores: elsewhere a ROC curve is a staircase,
    and this is its value at the first threshold that keeps the wanted share of the signal.
    """
    wanted = np.asarray(efficiency, dtype=np.float64)
    right = np.clip(np.searchsorted(signal, wanted, side="left"), 1, len(signal) - 1)
    left = right - 1
    step = signal[right] - signal[left]
    share = np.divide(wanted - signal[left], step, out=np.zeros_like(wanted), where=step > 0)
    return background[left] + share * (background[right] - background[left])


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> tuple[Array, Array, Array]:
    """(eps_B, eps_S, threshold), one point per distinct score after the point (0, 0, inf)."""
    ranking = Ranking(labels, scores)
    background, signal = ranking.efficiencies()
    return background, signal, np.append(np.inf, ranking.values[ranking.ends])


def inverse_roc(labels: ArrayLike, scores: ArrayLike, efficiencies: ArrayLike) -> Array:
    """1/eps_B at each signal efficiency; inf where no background jet survives."""
    background, signal = Ranking(labels, scores).efficiencies()
    return inverse(background_at(background, signal, _efficiency(efficiencies)))


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a signal jet scores above a background jet."""
    return area(*Ranking(labels, scores).efficiencies())


@dataclass(frozen=True)
class Rejection:
    """Background rejection at a signal efficiency.

    Attributes:
        value: 1/eps_B, inf where no background jet survives.
        survivors: background jets above the threshold (a fraction of a jet across tied scores).
        lower_bound: 95 % confidence lower bound on 1/eps_B where ``survivors`` is 0, else None.
    """

    value: float
    survivors: float
    lower_bound: float | None


def rejection_at(labels: ArrayLike, scores: ArrayLike, efficiency: float) -> Rejection:
    """1/eps_B at the signal efficiency ``efficiency`` in (0, 1], see :func:`background_at`."""
    background, signal = Ranking(labels, scores).efficiencies()
    n_background = int(np.sum(np.asarray(labels) == 0))
    return rejection_from(background, signal, float(_efficiency(efficiency)), n_background)


def rejection_from(background: Array, signal: Array, efficiency: float, n_background: int) -> Rejection:
    """The same from the points of a ROC curve over ``n_background`` background jets."""
    passed = float(background_at(background, signal, efficiency))
    bound = n_background / _NONE_SEEN if passed == 0 else None
    return Rejection(1 / passed if passed else math.inf, passed * n_background, bound)


def inverse(values: Array) -> Array:
    """1/values, inf at 0."""
    return np.divide(1.0, values, out=np.full_like(values, np.inf), where=values > 0)


def _normalised(cumulative: NDArray) -> Array:
    return np.append(0.0, cumulative / cumulative[-1])


def _efficiency(values: ArrayLike) -> Array:
    wanted = np.asarray(values, dtype=np.float64)
    if not np.all((wanted > 0) & (wanted <= 1)):
        raise ConfigError(f"expected signal efficiencies in (0, 1], got {values!r}")
    return wanted


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], Array]:
    classes, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if classes.ndim != 1 or classes.shape != values.shape:
        raise DataError(f"expected one score a label, got shapes {values.shape} and {classes.shape}")
    found = set(np.unique(classes).tolist())
    if found != {0, 1}:
        raise DataError(f"expected labels 0 (background) and 1 (signal), both present, got {sorted(found)}")
    if not np.isfinite(values).all():
        raise DataError(
            f"expected finite scores, got {int((~np.isfinite(values)).sum())} that are NaN or infinite"
        )
    return classes == 1, values
