"""eqviz: train, measure and look inside equivariant neural networks for particle physics."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public names and the modules they live in; imported on first use so that `import eqviz` stays fast.
_PUBLIC = {
    "JetBatch": "eqviz.data.jets",
    "JetDataset": "eqviz.data.dataset",
    "load": "eqviz.data",
    "build_model": "eqviz.models",
    "load_model": "eqviz.models.weights",
    "save_model": "eqviz.models.weights",
    "TrainConfig": "eqviz.training",
    "train": "eqviz.training",
    "predict": "eqviz.evaluation",
    "boost_scan": "eqviz.evaluation.invariance",
    "classification_metrics": "eqviz.evaluation.metrics",
    "RunStore": "eqviz.evaluation.store",
    "equivariance_error": "eqviz.equivariance",
    "assert_equivariant": "eqviz.equivariance",
    "run_study": "eqviz.study",
}
__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'eqviz' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
