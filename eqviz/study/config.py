"""The YAML format of a study, read and checked before any work starts.

.. code-block:: yaml

    title: Does equivariance make a better top tagger?
    description: One paragraph, shown at the top of the report.
    notebook: ../notebooks/train_and_evaluate.ipynb   # relative to this file
    timeout_minutes: 30                               # for one cell of a run
    parameters: {data: top_sample, n_train: 2000}     # notebook parameters of all runs
    grid: {seed: [0, 1]}                              # every combination, for all runs
    runs:
      - label: LorentzNet
        parameters: {model: lorentznet}               # over the common ones
        grid: {model_params.n_hidden: [8, 16]}        # a dot reaches into a dictionary
      - label: LorentzNet, published
        needs_environment: EQVIZ_REFERENCE            # left out, with a note, where this is not set
        parameters: {model: lorentznet, weights: "${EQVIZ_REFERENCE}/lorentznet_top.pt"}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eqviz.errors import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Entry:
    """One item of ``runs``: a configuration, or several where it has a grid.

    Attributes:
        label: the name shown in tables and legends.
        parameters: notebook parameters, common ones included.
        grid: parameter name (dots reach into dictionaries) -> the values it takes.
        needs_environment: environment variable without which the entry is left out, or None.
    """

    label: str
    parameters: Mapping[str, Any]
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    needs_environment: str | None = None


@dataclass(frozen=True)
class Study:
    """A checked study file.

    Attributes:
        name: short name, the file's stem.
        title: heading of the report.
        description: paragraphs below the heading.
        notebook: the notebook that every run executes.
        entries: what to run.
        timeout: seconds that one cell of a run may take.
        path: the file it was read from.
    """

    name: str
    title: str
    description: str
    notebook: Path
    entries: tuple[Entry, ...]
    timeout: float
    path: Path


def load_study(path: str | Path) -> Study:
    """Read a study file.

    Raises:
        ConfigError: the file is missing, is not YAML, or has unknown, missing or mistyped keys.
    """
    path = Path(path)
    raw = _read_yaml(path)
    _check_keys(raw, _STUDY_KEYS, f"study file {path}")
    where = f"study file {path}"
    common = _typed(raw, "parameters", dict, {}, where)
    grid = _grid(_typed(raw, "grid", dict, {}, where), where)
    items = _typed(raw, "runs", list, None, where)
    if not items:
        raise ConfigError(f"{where}: expected at least one item under 'runs', got none")
    entries = tuple(_entry(item, index, common, grid, where) for index, item in enumerate(items))
    minutes = float(_typed(raw, "timeout_minutes", (int, float), 60, where))
    if minutes <= 0:
        raise ConfigError(f"{where}: expected timeout_minutes above 0, got {minutes}")
    return Study(
        name=path.stem,
        title=_typed(raw, "title", str, path.stem, where),
        description=_typed(raw, "description", str, "", where).strip(),
        notebook=_notebook(_typed(raw, "notebook", str, None, where), path),
        entries=entries,
        timeout=60 * minutes,
        path=path,
    )


_STUDY_KEYS = ("title", "description", "notebook", "timeout_minutes", "parameters", "grid", "runs")
_ENTRY_KEYS = ("label", "parameters", "grid", "needs_environment")


class _Loader(yaml.SafeLoader):
    """YAML 1.1 takes 1e-3 for a word, having no point and no sign in the exponent; here it is a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def parse_yaml(text: str) -> Any:
    """The content of YAML ``text``; raises yaml.YAMLError."""
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"expected a study file at {path}, found none; see studies/ for examples") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the study file {path}: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"study file {path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"study file {path}: expected a mapping with the keys {', '.join(_STUDY_KEYS)}, "
            f"got {type(raw).__name__}"
        )
    return raw


def _check_keys(raw: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
    for key in raw:
        if key not in known:
            raise UnknownNameError(f"key in {where}:", str(key), known)


def _typed(raw: Mapping[str, Any], key: str, kind: Any, default: Any, where: str) -> Any:
    value = raw.get(key, default)
    if value is None and default is None:
        raise ConfigError(f"{where}: expected the key {key!r}, which is missing or empty")
    value = default if value is None else value
    if not isinstance(value, kind) or isinstance(value, bool):
        name = " or ".join(k.__name__ for k in kind) if isinstance(kind, tuple) else kind.__name__
        raise ConfigError(f"{where}: expected {key!r} to be a {name}, got {value!r}")
    return value


def _grid(raw: Mapping[str, Any], where: str) -> dict[str, tuple[Any, ...]]:
    for key, values in raw.items():
        if not isinstance(values, list) or not values:
            raise ConfigError(
                f"{where}: expected the grid over {key!r} to be a non-empty list, got {values!r}"
            )
    return {key: tuple(values) for key, values in raw.items()}


def _entry(item: Any, index: int, common: Mapping[str, Any], grid: Mapping[str, Any], where: str) -> Entry:
    where = f"{where}, runs[{index}]"
    if not isinstance(item, dict):
        raise ConfigError(f"{where}: expected a mapping with the keys {', '.join(_ENTRY_KEYS)}, got {item!r}")
    _check_keys(item, _ENTRY_KEYS, where)
    needs = _typed(item, "needs_environment", str, "", where)
    own = _typed(item, "parameters", dict, {}, where)
    own_grid = _grid(_typed(item, "grid", dict, {}, where), where)
    # A value given for one entry takes it out of the common grid.
    inherited = {key: values for key, values in grid.items() if key not in own}
    return Entry(
        label=_typed(item, "label", str, None, where),
        parameters={**common, **own},
        grid={**inherited, **own_grid},
        needs_environment=needs or None,
    )


def _notebook(name: str, study_path: Path) -> Path:
    for folder in (study_path.parent, Path()):
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(
        f"study file {study_path}: expected the notebook {name!r} beside it or in the current folder, "
        "found none"
    )
