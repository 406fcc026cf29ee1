"""What a trained network is worth: predictions, metrics with errors, invariance, timing and the run store."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "predict": "eqviz.evaluation.inference",
    "classification_metrics": "eqviz.evaluation.metrics",
    "boost_scan": "eqviz.evaluation.invariance",
    "rotation_scan": "eqviz.evaluation.invariance",
    "permutation_scan": "eqviz.evaluation.invariance",
    "ms_per_jet": "eqviz.evaluation.timing",
    "Run": "eqviz.evaluation.run",
    "RunStore": "eqviz.evaluation.store",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'eqviz.evaluation' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
