"""Training on Lightning: resumable to the bit, seeded, with a history of every epoch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "TrainConfig": "eqviz.training.config",
    "TrainResult": "eqviz.training.loop",
    "train": "eqviz.training.loop",
    "Experiment": "eqviz.training.experiment",
    "run_experiment": "eqviz.training.experiment",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'eqviz.training' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
