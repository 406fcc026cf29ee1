"""`eqviz runs` and `models`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eqviz.errors import ConfigError

if TYPE_CHECKING:
    from eqviz.evaluation.store import Run

Runs = Annotated[Path, typer.Option(help="Folder of the runs.")]


def models(name: Annotated[str, typer.Argument(help="Model to describe; left out: list all.")] = "") -> None:
    """List the networks, or the parameters of one."""
    from eqviz.models import MODELS, build_model, n_parameters

    if not name:
        for entry in MODELS:
            print(f"{entry.name:<14}{entry.factory.symmetry:<12}{entry.summary} ({entry.reference})")
        return
    entry = MODELS.entry(name)
    print(f"{entry.name}: {entry.summary} ({entry.reference})")
    size = n_parameters(build_model(name))
    exact = "exact" if entry.factory.exact else "approximate"
    print(f"symmetry {entry.factory.symmetry} ({exact}), {size:,} parameters by default")
    for field in dataclasses.fields(entry.factory.config_class):
        default = field.default if field.default is not dataclasses.MISSING else "(required)"
        print(f"  {field.name}: {field.type} = {default}")


def runs(runs: Runs = Path("runs")) -> None:
    """List the runs, newest first, with their metrics."""
    from eqviz.evaluation.store import RunStore

    found = RunStore(runs).runs()
    if not found:
        print(f"no runs in {runs}; make some with: eqviz study studies/demo.yaml")
        return
    width = max(len(run.id) for run in found) + 2
    print(f"{'run':<{width}}{'made (UTC)':<18}{'AUC':<20}{'accuracy':<20}{'1/eps_B at 0.3':<18}parameters")
    for run in found:
        print(f"{run.id:<{width}}{run.created:%Y-%m-%d %H:%M}  {summary(run)}")


def summary(run: Run) -> str:
    """AUC, accuracy, rejection and size of a run in fixed columns, or what is wrong with it."""
    if run.problem is not None:
        return run.problem
    cells = [_number(run, "auc", 4), _number(run, "accuracy", 4), _number(run, "rejection_30", 0)]
    return f"{cells[0]:<20}{cells[1]:<20}{cells[2]:<18}{_number(run, 'parameters', 0)}"


def _number(run: Run, name: str, places: int) -> str:
    entry = run.metrics.get(name)
    if entry is None:
        return "-"
    if entry.get("lower_bound") is not None:
        return f"> {entry['lower_bound']:,.{places}f}"
    error = "" if entry["error"] is None else f" ± {entry['error']:,.{places}f}"
    return f"{entry['value']:,.{places}f}{error}"


def parse_parameters(pairs: list[str]) -> dict[str, Any]:
    """``["n_hidden=16", "stable=false"]`` -> ``{"n_hidden": 16, "stable": False}``, values read as YAML."""
    import yaml

    from eqviz.study.config import parse_yaml

    found: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise ConfigError(f"expected a model parameter as name=value, got {pair!r}")
        try:
            found[name] = parse_yaml(value)
        except yaml.YAMLError:
            raise ConfigError(
                f"expected a number, word or list as value of {name!r}, got {value!r}"
            ) from None
    return found
