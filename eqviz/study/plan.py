"""From a study to a list of runs: grid expansion, checks, deterministic names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from eqviz.data import DATASETS, IMAGE_DATASETS
from eqviz.errors import ConfigError
from eqviz.evaluation.settings import EvalConfig, from_mapping
from eqviz.models import MODELS
from eqviz.models.base import make_config
from eqviz.study.config import Entry, Study
from eqviz.study.parameters import notebook_parameters, resolve, run_identity
from eqviz.training import TrainConfig

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class PlannedRun:
    """One run to make.

    Attributes:
        run_id: folder name under ``runs/``, the same for the same parameters.
        label: configuration shown in tables: the entry's label and its grid values, without the seed.
        parameters: what the notebook is given, environment variables filled in.
    """

    run_id: str
    label: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """The runs of a study and the entries left out, each with the reason."""

    study: Study
    runs: tuple[PlannedRun, ...]
    skipped: tuple[tuple[str, str], ...] = ()


def make_plan(study: Study) -> Plan:
    """Expand the grids and check every run, so that a mistake costs a second and not a night.

    Raises:
        UnknownNameError: a notebook parameter, model, model parameter or data set that does not exist.
        ConfigError: a value of the wrong type, or two entries that are the same run.
    """
    known = notebook_parameters(study.notebook)
    runs: dict[str, PlannedRun] = {}
    skipped = []
    for entry in study.entries:
        for label, parameters in _expand(entry):
            # Checked and named before variables are filled in: the name must not depend on the machine.
            resolved = resolve(parameters, known, f"entry {label!r} of study {study.name!r}")
            check_names(resolved, label)
            run_id = run_identity(resolved)
            if run_id in runs:
                raise ConfigError(
                    f"study {study.name!r}: entries {runs[run_id].label!r} and {label!r} are the same run; "
                    "change a parameter of one or remove it"
                )
            missing = entry.needs_environment
            if missing is not None and not os.environ.get(missing):
                skipped.append((label, f"left out: the environment variable {missing} is not set"))
                continue
            runs[run_id] = PlannedRun(run_id, label, _fill(parameters, label))
    return Plan(study, tuple(runs.values()), tuple(dict.fromkeys(skipped)))


def check_names(resolved: Mapping[str, Any], label: str) -> None:
    """Check model, data set, training and evaluation, where the notebook has parameters of these names."""
    if "model" in resolved:
        make_config(MODELS.get(resolved["model"]), dict(resolved.get("model_params", {})))
    named = "data" in resolved and not _VARIABLE.search(resolved["data"])
    if named and not Path(resolved["data"]).exists():
        (IMAGE_DATASETS if resolved.get("images") is True else DATASETS).entry(resolved["data"])
    if "training" in resolved:
        plain = {
            name: resolved[name] for name in ("epochs", "batch_size", "learning_rate") if name in resolved
        }
        from_mapping(TrainConfig, {**plain, **resolved["training"]}, f"training of {label!r}")
    if "evaluation" in resolved:
        from_mapping(EvalConfig, resolved["evaluation"], f"evaluation of {label!r}")


def _expand(entry: Entry) -> Iterator[tuple[str, dict[str, Any]]]:
    names = list(entry.grid)
    for values in product(*(entry.grid[name] for name in names)):
        parameters = deepcopy(dict(entry.parameters))
        for name, value in zip(names, values):
            _assign(parameters, name, value, entry.label)
        shown = [text for name, value in zip(names, values) if (text := _shown(name, value))]
        yield f"{entry.label} ({', '.join(shown)})" if shown else entry.label, parameters


def _shown(name: str, value: Any) -> str:
    """What a grid value adds to a label: nothing for a seed, or where all training jets are used."""
    if name == "train_fraction" and isinstance(value, (int, float)):
        return "" if value == 1 else f"{100 * value:g} % of the jets"
    return "" if name == "seed" else f"{name.split('.')[-1]} = {value}"


def _assign(parameters: dict[str, Any], name: str, value: Any, label: str) -> None:
    *path, last = name.split(".")
    for key in path:
        parameters = parameters.setdefault(key, {})
        if not isinstance(parameters, dict):
            raise ConfigError(f"{label!r}: the grid over {name!r} needs {key!r} to be a mapping")
    parameters[last] = value


def _fill(value: Any, label: str) -> Any:
    """Replace ``${NAME}`` in strings by the environment variable."""
    if isinstance(value, Mapping):
        return {key: _fill(item, label) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, label) for item in value]
    return _VARIABLE.sub(lambda match: _variable(match[1], label), value) if isinstance(value, str) else value


def _variable(name: str, label: str) -> str:
    if name not in os.environ:
        raise ConfigError(
            f"{label!r} uses the environment variable {name}, which is not set; set it or add "
            f"'needs_environment: {name}' to leave the entry out"
        )
    return os.environ[name]
