"""A small run store for the dashboard's tests: random networks, measured for real on toy jets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers import toy_jets

from eqviz.data.dataset import JetDataset
from eqviz.evaluation.environment import describe
from eqviz.evaluation.inference import predict
from eqviz.evaluation.invariance import boost_scan
from eqviz.evaluation.metrics import classification_metrics
from eqviz.evaluation.run import WEIGHTS, Scores, write_run
from eqviz.evaluation.store import Run, RunStore
from eqviz.models import build_model, n_parameters, save_model

SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "lorentznet-small": ("lorentznet", {"n_blocks": 2, "hidden": 16}),
    "pfn-small": ("pfn", {"phi": (16, 16), "f": (16,)}),
    "lorentznet-published": (
        "lorentznet",
        {"n_blocks": 2, "hidden": 16, "clamp": 100.0, "scalars": "original", "stable": False},
    ),
}


def make_jets(folder: Path, n_jets: int = 120) -> Path:
    """A folder with ``test.parquet``."""
    folder.mkdir(parents=True, exist_ok=True)
    toy_jets(n_jets, seed=3, n_max=30).to_parquet(folder / "test.parquet", dtype="float64")
    return folder


def add_network(root: Path, jets: Path, run_id: str, *, seed: int = 0, epochs: int = 6) -> Run:
    """Store one of ``SMALL`` with random weights and its real scores, metrics and a short scan."""
    name, params = SMALL[run_id]
    torch.manual_seed(seed)
    model = build_model(name, **params).eval()
    data = JetDataset.from_parquet(jets / "test.parquet")
    logits = predict(model, data)
    spread = logits[:, 1].std()
    learned = data.labels - 0.5 + np.random.default_rng(seed).normal(scale=0.6, size=len(data))
    logits = logits + 2 * spread * np.stack([-learned, learned], axis=1)  # as if it had learned something
    stable = bool(params.get("stable", True))
    rows = boost_scan(
        model, data.select(np.arange(20)).batch, gammas=(1.0, 10.0, 100.0), stable=stable, n_bootstrap=5
    )
    steps = np.arange(epochs)
    history = {
        "epoch": steps, "train_loss": 0.6 * 0.8**steps, "val_loss": 0.62 * 0.82**steps,
        "train_accuracy": 1 - 0.3 * 0.8**steps, "val_accuracy": 1 - 0.32 * 0.8**steps,
        "val_auc": 1 - 0.2 * 0.8**steps, "learning_rate": np.full(epochs, 1e-3),
        "seconds": 2 + 0.1 * steps, "memory_mb": np.full(epochs, 300.0),
    }  # fmt: skip
    config = {
        "run_id": run_id,
        # of published weights a run's config says where they lie, not what the network does with them
        "model": {"name": name, "params": {} if run_id.endswith("published") else params},
        "symmetry": model.symmetry,
        "data": {"name": str(jets), "n_train": 1000, "n_val": 200, "n_test": len(data)},
        "training": {"epochs": epochs},
        "evaluation": {},
        "seed": seed,
    }
    metrics = classification_metrics(data.labels, logits, n_bootstrap=20)
    metrics |= {
        "parameters": {"value": float(n_parameters(model)), "error": None},
        "ms_per_jet": {"value": 0.8, "error": 0.05},
        "peak_memory_mb": {"value": 410.0, "error": None},
    }
    store = RunStore(root)
    with store.create(run_id, replace=True) as folder:
        write_run(
            folder,
            config=config,
            environment=describe(),
            history={key: values.tolist() for key, values in history.items()},
            scores=Scores(data.labels, logits, np.arange(len(data))),
            metrics=metrics,
            invariance=rows,
        )
        save_model(model, folder / WEIGHTS)
    return store.get(run_id)


def make_store(root: Path, *run_ids: str, n_jets: int = 120) -> Path:
    """A store with these networks below ``root / "runs"``, their jets beside it."""
    jets = make_jets(root / "jets", n_jets)
    for seed, run_id in enumerate(run_ids):
        add_network(root / "runs", jets, run_id, seed=seed)
    (root / "runs").mkdir(exist_ok=True)
    return root / "runs"
