"""Metrics against scikit-learn, torchmetrics and closed forms."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn import metrics as sk
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from eqviz.errors import ConfigError, DataError
from eqviz.evaluation import metrics


def gaussian(n: int, distance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and calibrated logits (n, 2): the log-odds of two Gaussians ``distance`` widths apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    y = distance * (rng.normal(size=n) + distance * (labels - 0.5))
    return labels, np.stack([-0.3 * y, 0.7 * y], axis=1)


@pytest.fixture(params=["distinct", "tied"])
def sample(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    labels, logits = gaussian(777, 1.5)
    return labels, np.round(logits) if request.param == "tied" else logits


def test_roc_curve_and_area_are_those_of_scikit_learn(sample) -> None:
    labels, logits = sample
    y = metrics.discriminant(logits)
    background, signal, thresholds = metrics.roc_curve(labels, y)
    expected = sk.roc_curve(labels, y, drop_intermediate=False)
    for ours, theirs in zip((background, signal, thresholds), expected):
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)
    assert metrics.auc(labels, y) == pytest.approx(sk.roc_auc_score(labels, y), rel=1e-14)


def test_values_are_those_of_scikit_learn_and_torchmetrics(sample) -> None:
    labels, logits = sample
    found = metrics.classification_metrics(labels, logits, n_bootstrap=0)
    chances = metrics.probabilities(logits)
    assert found["accuracy"]["value"] == pytest.approx(sk.accuracy_score(labels, logits.argmax(1)))
    assert found["loss"]["value"] == pytest.approx(sk.log_loss(labels, chances))
    oracle = binary_calibration_error(torch.tensor(chances[:, 1]), torch.tensor(labels), n_bins=15)
    assert found["ece"]["value"] == pytest.approx(float(oracle), rel=1e-6)
    np.testing.assert_array_equal(
        metrics.confusion_matrix(labels, logits), sk.confusion_matrix(labels, logits.argmax(1))
    )
    assert all(entry["error"] is None for entry in found.values())


def test_more_than_two_classes() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(300) % 3
    logits = rng.normal(size=(300, 3)) + np.eye(3)[labels]
    found = metrics.classification_metrics(labels, logits, n_bootstrap=20)
    chances = metrics.probabilities(logits)
    expected = sk.roc_auc_score(labels, chances, multi_class="ovo", average="macro")
    assert found["auc"]["value"] == pytest.approx(expected)
    oracle = multiclass_calibration_error(torch.tensor(chances), torch.tensor(labels), 3, n_bins=15)
    assert found["ece"]["value"] == pytest.approx(float(oracle), rel=1e-6)
    assert set(found) == {"auc", "accuracy", "loss", "ece"} and 0 < found["auc"]["error"] < 0.05


def test_rejection_counts_the_background_above_the_threshold() -> None:
    labels = np.array([1] * 10 + [0] * 10)
    scores = np.concatenate([np.arange(10.0), np.arange(10.0) - 0.5])
    found = metrics.rejection_at(labels, scores, 0.3)  # threshold 7: background at 7.5 and 8.5 survives
    assert (found.value, found.survivors, found.lower_bound) == (5.0, 2.0, None)
    none_left = metrics.rejection_at(labels, scores + 100.0 * labels, 0.3)
    assert none_left.value == np.inf and none_left.survivors == 0
    assert none_left.lower_bound == pytest.approx(10 / 2.9957, rel=1e-4)
    # all scores equal: a diagonal ROC curve, so eps_B = eps_S
    assert metrics.rejection_at(labels, np.zeros(20), 0.3).value == pytest.approx(1 / 0.3)


def test_rejection_follows_the_closed_form_of_gaussian_scores() -> None:
    labels, logits = gaussian(400_000, 2.0)
    grid = np.array([0.1, 0.3, 0.5, 0.9])
    found = metrics.inverse_roc(labels, metrics.discriminant(logits), grid)
    np.testing.assert_allclose(found, 1 / norm.sf(2.0 + norm.isf(grid)), rtol=0.1)
    assert metrics.auc(labels, metrics.discriminant(logits)) == pytest.approx(norm.cdf(2**0.5), abs=1e-3)


def test_bootstrap_errors_agree_with_delong_and_the_binomial_law() -> None:
    labels, logits = gaussian(2000, 1.5, seed=4)
    found = metrics.classification_metrics(labels, logits, n_bootstrap=400, seed=1)
    assert found["auc"]["error"] == pytest.approx(delong(labels, metrics.discriminant(logits)), rel=0.12)
    p = found["accuracy"]["value"]
    assert found["accuracy"]["error"] == pytest.approx(np.sqrt(p * (1 - p) / 2000), rel=0.12)
    assert 0 < found["loss"]["error"] < 0.03 and 0 < found["ece"]["error"] < 0.03


def test_the_error_of_the_rejection_covers_its_spread_over_test_sets() -> None:
    sets = [gaussian(4000, 2.0, seed=seed) for seed in range(60)]
    values = [metrics.rejection_at(labels, metrics.discriminant(x), 0.5).value for labels, x in sets]
    errors = [metrics.classification_metrics(*s, n_bootstrap=60)["rejection_50"]["error"] for s in sets[:12]]
    assert np.median(errors) == pytest.approx(np.std(values), rel=0.35)


def test_a_perfect_classifier_has_a_bound_and_no_error() -> None:
    labels, logits = gaussian(200, 40.0)
    found = metrics.classification_metrics(labels, logits, n_bootstrap=10)["rejection_30"]
    assert found["value"] == np.inf and found["error"] is None and found["lower_bound"] > 30


def test_resampling_is_seeded_and_pairs_networks() -> None:
    labels, logits = gaussian(600, 1.5)
    one, two = (metrics.classification_metrics(labels, logits, 20, seed=s) for s in (0, 0))
    assert one == two != metrics.classification_metrics(labels, logits, 20, seed=1)
    noise = np.random.default_rng(2).normal(scale=0.1, size=logits.shape)
    assert metrics.paired_difference(labels, logits, logits)["auc"] == {"value": 0.0, "error": 0.0}
    paired = metrics.paired_difference(labels, logits, logits + noise, n_bootstrap=100)
    assert paired["auc"]["error"] < one["auc"]["error"] / 3


def test_bands_contain_the_curve() -> None:
    labels, logits = gaussian(1000, 1.5)
    y, grid = metrics.discriminant(logits), np.linspace(0.05, 1, 20)
    value, low, high = metrics.roc_band(labels, y, grid, n_bootstrap=50)
    assert np.all(low <= value) and np.all(value <= high) and high[5] > low[5]
    median, low, high = metrics.bands([[1.0, np.inf], [2.0, 5.0], [3.0, np.nan]])
    assert median.tolist() == [2.0, 5.0] and low[0] == 1.0 and high[0] == 3.0


def test_calibration_of_calibrated_scores() -> None:
    found = metrics.calibration_curve(*gaussian(20_000, 1.5), n_bins=10)
    assert found.count.sum() == 20_000
    inside = (found.low - 1e-3 < found.predicted) & (found.predicted < found.high + 1e-3)
    assert inside.mean() >= 0.5
    np.testing.assert_allclose(found.observed, found.predicted, atol=0.06)
    sure = metrics.calibration_curve([0, 1, 1, 1], [[0, 9.0]] * 4)
    assert sure.low[0] < 0.75 < sure.high[0] <= 1


def test_two_hundred_resamples_of_the_reference_test_set_stay_affordable() -> None:
    labels, logits = gaussian(404_000, 3.0)
    start = time.perf_counter()
    metrics.classification_metrics(labels, logits, n_bootstrap=10)
    assert time.perf_counter() - start < 10  # 200 resamples in well under three minutes, even when busy


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        ([0, 1], [[0.0, np.nan], [0, 1]], "finite logits"),
        ([0, 1], [[0.0], [1.0]], "2 or more"),
        ([0, 1, 1], [[0.0, 1], [0, 1]], "labels"),
        ([0, 2], [[0.0, 1], [0, 1]], "labels 0 to 1"),
        ([1, 1], [[0.0, 1], [0, 1]], "both present"),
        ([0.5, 1], [[0.0, 1], [0, 1]], "integer labels"),
        ([], np.zeros((0, 2)), "one jet or more"),
    ],
)
def test_bad_input_is_named(labels, logits, message: str) -> None:
    with pytest.raises(DataError, match=message):
        metrics.classification_metrics(labels, logits)


def test_bad_parameters_are_named() -> None:
    labels, logits = gaussian(20, 1.0)
    with pytest.raises(ConfigError, match="resamples"):
        metrics.classification_metrics(labels, logits, n_bootstrap=-1)
    with pytest.raises(ConfigError, match="efficiencies"):
        metrics.rejection_at(labels, logits[:, 1], 0.0)
    with pytest.raises(DataError, match="two-class"):
        metrics.discriminant(np.zeros((3, 4)))


def delong(labels: np.ndarray, y: np.ndarray) -> float:
    """Standard error of the AUC (DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837)."""
    wins = (y[labels == 1][:, None] > y[labels == 0][None, :]).astype(float)
    parts = [wins.mean(axis=axis).var(ddof=1) / wins.shape[1 - axis] for axis in (0, 1)]
    return float(np.sqrt(sum(parts)))
