"""The network that a training started from, rebuilt from the run's config and seed."""

from __future__ import annotations

from typing import Any

import torch

from eqviz.errors import ConfigError
from eqviz.evaluation.run import Run
from eqviz.models import build_model
from eqviz.models.base import JetModel


def seeded_model(name: str, params: dict[str, Any], seed: int) -> JetModel:
    """``build_model(name, **params)`` with the initial weights of ``seed``; the global state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(name, **params)


def initial_model(run: Run) -> JetModel:
    """The untrained network of ``run``, in evaluation mode: the same weights as its training started from.

    Raises:
        ConfigError: the run was not trained here: its weights were given.
    """
    model = run.config.get("model", {})
    given = next((kind for kind in ("published", "weights") if model.get(kind)), None)
    if given is not None:
        raise ConfigError(f"run {run.id!r} was not trained here, its weights were given ({model[given]})")
    return seeded_model(str(model["name"]), dict(model.get("params") or {}), int(run.config["seed"])).eval()
