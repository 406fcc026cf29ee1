"""A notebook's parameters: read from its tagged cell, checked before papermill (which only warns) runs it."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eqviz.errors import ConfigError, UnknownNameError

# Where a result is written and how fast it is made do not change what it is.
BOOKKEEPING = frozenset({"runs", "run_id", "threads", "progress", "expect_auc"})

_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bool": (bool,),
    "list": (list, tuple),
    "dict": (dict,),
}


@dataclass(frozen=True)
class Parameter:
    """One typed default of the ``parameters`` cell, for instance ``n_train: int = 2000  # jets``."""

    name: str
    kind: str
    default: Any
    help: str


def notebook_parameters(notebook: str | Path) -> dict[str, Parameter]:
    """The parameters of a notebook's cell tagged ``parameters``.

    Raises:
        ConfigError: no such cell, or a default without a type or that is not a literal.
    """
    import papermill

    try:
        found = papermill.inspect_notebook(str(notebook))
    except Exception as error:  # papermill and nbformat raise many kinds for a file that is no notebook
        raise ConfigError(f"expected a Jupyter notebook at {notebook}, could not read it: {error}") from error
    if not found:
        raise ConfigError(
            f"expected typed defaults in a cell of {notebook} tagged 'parameters', found none; "
            "for instance: n_train: int = 2000"
        )
    return {name: _parameter(raw, notebook) for name, raw in found.items()}


def _parameter(raw: Mapping[str, str], notebook: str | Path) -> Parameter:
    kind = raw["inferred_type_name"].split("[")[0]
    if kind not in _KINDS:
        raise ConfigError(
            f"{notebook}: expected parameter {raw['name']!r} to be annotated as one of "
            f"{', '.join(_KINDS)}, got {raw['inferred_type_name']!r}"
        )
    try:
        default = ast.literal_eval(raw["default"])
    except (ValueError, SyntaxError):
        raise ConfigError(
            f"{notebook}: expected a literal as default of {raw['name']!r}, got {raw['default']}"
        ) from None
    return Parameter(raw["name"], kind, default, raw["help"])


def resolve(given: Mapping[str, Any], known: Mapping[str, Parameter], where: str) -> dict[str, Any]:
    """All parameters, given ones over defaults, each of the annotated type.

    Raises:
        UnknownNameError: a name that the notebook does not have.
        ConfigError: a value of another type than its default's annotation.
    """
    for name, value in given.items():
        if name not in known:
            raise UnknownNameError(f"notebook parameter in {where}:", name, known)
        if not _fits(value, known[name].kind):
            raise ConfigError(
                f"{where}: expected the parameter {name!r} to be of type {known[name].kind} "
                f"(default {known[name].default!r}), got {value!r}"
            )
    return {name: given.get(name, parameter.default) for name, parameter in known.items()}


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, bool) != (kind == "bool"):
        return False
    return isinstance(value, _KINDS[kind])


def run_identity(resolved: Mapping[str, Any]) -> str:
    """A readable name that is the same for the same parameters on any machine: ``lorentznet-s0-1f2e3d4c``."""
    science = {name: _canonical(value) for name, value in resolved.items() if name not in BOOKKEEPING}
    text = json.dumps(science, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    parts = [str(resolved["model"])] if "model" in resolved else ["run"]
    if resolved.get("published"):
        parts.append("published")
    if "seed" in resolved:
        parts.append(f"s{resolved['seed']}")
    return "-".join([*parts, digest])


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    # 1 and 1.0, 1e-3 and 0.001 are the same number.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
