"""Small synthetic inputs that several test folders share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from eqviz.data.dataset import JetDataset
from eqviz.data.jets import JetBatch
from eqviz.evaluation.environment import describe
from eqviz.evaluation.run import WEIGHTS
from eqviz.evaluation.store import Run, RunStore, Scores, write_run
from eqviz.kinematics import from_ptetaphim
from eqviz.models import MODELS, build_model, save_model

SMALL = {
    "lorentznet": {"n_blocks": 1, "hidden": 6},
    "lgn": {"channels": (2, 2), "n_bells": 3},
    "pelican-irc": {"hidden": 6, "message": 4, "n_blocks": 1},
    "pelican": {"hidden": 6, "message": 4, "n_blocks": 1, "label_channels": 2},
}


_HIDING = """\
import sys
hidden = frozenset({hidden!r})
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in hidden else self.finder.find_spec(name, path, target)
    def find_distributions(self, *args, **kwargs):
        found = getattr(self.finder, "find_distributions", lambda *args, **kwargs: ())(*args, **kwargs)
        return [d for d in found if d.metadata["Name"].lower().replace("-", "_") not in hidden]
sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
"""


def run_without(packages: Iterable[str], program: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``program`` in a Python of its own that finds none of these ``packages``, as if not installed.

    Args:
        packages: names by which they are imported.
        program: source code; ``hidden`` holds the packages' names.
        options: of ``subprocess.run``.
    """
    code = _HIDING.format(hidden=sorted(packages)) + program
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, **options)


def make_run(
    root: Path,
    run_id: str = "pfn-0",
    *,
    model: str = "pfn",
    symmetry: str = "S_n",
    n_test: int = 200,
    epochs: int = 3,
    separation: float = 2.0,
    seed: int = 0,
    params: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    rotation: Sequence[dict[str, Any]] = (),
) -> Run:
    """Write a valid run with Gaussian scores into ``root``.

    The AUC follows from ``separation``, the distance of the two classes in widths of their scores; two runs
    with the same ``seed`` and ``n_test`` share their jets.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n_test) % 2
    y = rng.normal(size=n_test) + separation * (labels - 0.5)
    scores = Scores(labels, np.stack([-y / 2, y / 2], axis=1), np.arange(n_test))
    sizes = {"name": "top_sample", "n_train": 1000, "n_val": 100, "n_test": n_test, "fingerprint": "0" * 64}
    config = {
        "run_id": run_id,
        "model": {"name": model, "params": params or SMALL.get(model, {})},
        "symmetry": symmetry,
        "data": sizes | (data or {}),
        "training": {"epochs": epochs, "batch_size": 32, "learning_rate": 1e-3, "seed": seed},
        "evaluation": {"n_bootstrap": 100, "n_jets": 50},
        "seed": seed,
    }
    store = RunStore(root)
    with store.create(run_id, replace=True) as folder:
        write_run(
            folder,
            config=config,
            environment=describe(),
            history=_history(epochs),
            scores=scores,
            metrics=_metrics(labels, y),
            invariance=_invariance(),
            rotation=rotation,
        )
        _save_weights(model, folder / WEIGHTS)
    return store.get(run_id)


def toy_jets(n_jets: int, seed: int = 0, n_max: int = 12) -> JetDataset:
    """Massless jets of 3 to ``n_max`` constituents: one prong (class 0) or two (class 1), 600 GeV or so."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_jets) % 2
    return JetDataset(
        JetBatch.from_arrays([_toy_jet(rng, label, n_max) for label in labels], labels=labels),
        "toy",
        {"class_names": ["one prong", "two prongs"]},
    )


def _toy_jet(rng: np.random.Generator, label: int, n_max: int) -> np.ndarray:
    n = int(rng.integers(3, n_max + 1))
    prong = 0.3 * label * rng.choice([-1, 1], size=n)
    pt = rng.dirichlet(np.ones(n)) * rng.normal(600, 20)
    phi = rng.uniform(-np.pi, np.pi)
    return from_ptetaphim(pt, prong + rng.normal(scale=0.05, size=n), phi + rng.normal(scale=0.05, size=n))


def _metrics(labels: np.ndarray, y: np.ndarray) -> dict[str, dict[str, float | None]]:
    signal, background = np.sort(y[labels == 1])[::-1], y[labels == 0]
    values = {
        "auc": (roc_auc_score(labels, y), 0.01),
        "accuracy": (np.mean((y > 0) == labels), 0.01),
        "loss": (np.mean(np.log1p(np.exp(-y * (2 * labels - 1)))), 0.02),
        "ece": (0.05, 0.01),
        "parameters": (1234.0, None),
        "ms_per_jet": (0.5, 0.05),
        "peak_memory_mb": (120.0, None),
    }
    for name, efficiency in (("rejection_30", 0.3), ("rejection_50", 0.5)):
        passed = np.mean(background > signal[int(efficiency * len(signal))])
        values[name] = (1 / passed if passed else np.inf, 5.0)
    return {name: {"value": value, "error": error} for name, (value, error) in values.items()}


def _history(epochs: int) -> dict[str, list[float]]:
    fall = [0.6 * 0.8**epoch for epoch in range(epochs)]
    return {
        "epoch": list(range(epochs)),
        "train_loss": fall,
        "val_loss": [1.1 * loss for loss in fall],
        "train_accuracy": [1 - loss / 2 for loss in fall],
        "val_accuracy": [0.98 - loss / 2 for loss in fall],
        "val_auc": [0.99 - loss / 4 for loss in fall],
        "learning_rate": [1e-3 * loss for loss in fall],
        "seconds": [2.0] * epochs,
        "memory_mb": [300.0 + epoch for epoch in range(epochs)],
    }


def _invariance() -> list[dict[str, object]]:
    cells = product("zx", (1.0, 10.0, 1000.0), (True, False))
    return [_row(axis, gamma, stable) for axis, gamma, stable in cells]


def _row(axis: str, gamma: float, stable: bool) -> dict[str, object]:
    size = 1e-7 * (1.0 if stable else gamma**2)
    return {
        "transformation": "boost",
        "axis": axis,
        "parameter": gamma,
        "reference": "moved",
        "dtype": "float32",
        "stable": stable,
        "n_jets": 50,
        "median_abs": 2 * size,
        "median_rel": size,
        "low_rel": size / 10,
        "high_rel": size * 10,
        "max_rel": size * 100,
        "max_abs": size * 200,
        "auc": 0.9,
        "auc_error": 0.02,
        "rejection_30": 30.0,
    }


def _save_weights(model: str, path: Path) -> None:
    """A small untrained network, or for names that are not registered the smallest sound weights file."""
    if model in MODELS:
        save_model(build_model(model, **SMALL.get(model, {})), path)
    else:
        save_file({"weight": torch.zeros(2)}, path)
