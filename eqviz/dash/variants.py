"""Which variant of a network a run holds: stable, naive, or the original as its authors run it."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from eqviz.evaluation.run import WEIGHTS, Run
from eqviz.models import MODELS

_QUIRKS = ("pool_size", "clamp")  # options of a network that reproduce its original


def built(run: Run) -> tuple[str, dict[str, Any]]:
    """Name and full config of the network as it was built.

    The run's own config holds what was asked for: of published weights only where they lie. The weights say
    what became of it; where they cannot be read, the run's config has to do.
    """
    path = run.folder / WEIGHTS
    try:
        name, config = _header(path.resolve(), path.stat().st_mtime_ns)
    except OSError:
        name, config = "", "{}"
    if name:
        return name, json.loads(config)
    model = run.config.get("model", {}) if run.config else {}
    params = model.get("params", {}) if isinstance(model, dict) else {}
    return run.model_name, params if isinstance(params, dict) else {}


@lru_cache(maxsize=512)
def _header(path: Path, stamp: int) -> tuple[str, str]:
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
        config = metadata.get("config", "{}")
        return (metadata.get("model", ""), config) if isinstance(json.loads(config), dict) else ("", "{}")
    except (SafetensorError, ValueError):
        return "", "{}"


def is_original(run: Run) -> bool:
    """Whether the run's network keeps the choices of a published implementation (its padding, its clamp)."""
    name, config = built(run)
    if name in MODELS.names() and MODELS.get(name).original:
        return True
    return any(config.get(key) is not None for key in _QUIRKS)


def is_naive(run: Run) -> bool:
    """Whether the run's network computes without the canonical frame, as the originals do."""
    return built(run)[1].get("stable") is False


def has_stable_form(run: Run) -> bool:
    """Whether stable and naive arithmetic differ for this network: it is Lorentz invariant."""
    return "1,3" in run.symmetry
