"""Runs of one configuration and several seeds, drawn together into one number with two errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from statistics import median, stdev
from typing import Any

from eqviz.evaluation.store import Run, RunStore
from eqviz.study.execute import notebook_error
from eqviz.study.plan import Plan, PlannedRun


@dataclass(frozen=True)
class Estimate:
    """A number: median over seeds, standard deviation over seeds, standard error of the test sample.

    ``spread`` is None for a single seed, ``error`` where no error was estimated. ``bound`` marks a lower
    limit (no background jet survived).
    """

    value: float
    spread: float | None = None
    error: float | None = None
    bound: bool = False


@dataclass(frozen=True)
class Row:
    """One planned run and what became of it; ``run`` is None where it was never made."""

    planned: PlannedRun
    run: Run | None

    @property
    def sound(self) -> bool:
        """Whether there are results."""
        return self.run is not None and self.run.problem is None

    @property
    def state(self) -> str:
        """ "done", "check failed" (the notebook stopped after the run was stored), "failed" ..."""
        if self.run is None:
            return "missing"
        if self.run.problem is not None:
            return "failed" if self.run.failed else "damaged"
        return "done" if self.traceback is None else "check failed"

    @property
    def traceback(self) -> str | None:
        """Where it failed, None where it did not."""
        if self.run is None or (self.run.problem is not None and not self.run.failed):
            return None
        return (
            str(self.run.error.get("traceback", "")) if self.run.failed else notebook_error(self.run.folder)
        )


@dataclass(frozen=True)
class Configuration:
    """All runs that differ only in the seed, in the order of the plan."""

    label: str
    rows: tuple[Row, ...]
    sound: tuple[Run, ...] = field(default=())

    def metric(self, name: str) -> Estimate | None:
        """``metrics.json``'s entry ``name`` over the seeds, None where no run has it."""
        return combine([run.metrics[name] for run in self.sound if name in run.metrics])


def collect(plan: Plan, store: RunStore) -> tuple[list[Row], list[Configuration]]:
    """The rows of a plan, and the same rows by configuration."""
    rows = [Row(run, store.get(run.run_id) if run.run_id in store else None) for run in plan.runs]
    labels = dict.fromkeys(row.planned.label for row in rows)
    groups = [(label, tuple(row for row in rows if row.planned.label == label)) for label in labels]
    return rows, [
        Configuration(label, members, tuple(row.run for row in members if row.sound and row.run is not None))
        for label, members in groups
    ]


def combine(entries: Sequence[dict[str, Any]]) -> Estimate | None:
    """Median over seeds of the values, their standard deviation, and the median of their own errors."""
    entries = [entry for entry in entries if entry.get("value") is not None]
    if not entries:
        return None
    # Where no background jet survived, the 95 % lower bound is all that is known.
    values = [float(entry.get("lower_bound") or entry["value"]) for entry in entries]
    errors = [float(entry["error"]) for entry in entries if entry.get("error") is not None]
    finite = all(isfinite(value) for value in values)
    return Estimate(
        value=median(values),
        spread=stdev(values) if len(values) > 1 and finite else None,
        error=median(errors) if errors else None,
        bound=any(entry.get("lower_bound") is not None for entry in entries),
    )


def boost_rows(run: Run, *, axis: str = "z", stable: bool | None = None) -> list[dict[str, Any]]:
    """The boost scan of ``run`` along ``axis`` in float32, reference vectors moved along, by gamma."""
    rows = [
        row
        for row in run.invariance
        if row["transformation"] == "boost"
        and row["axis"] == axis
        and row["reference"] == "moved"
        and row["dtype"] == "float32"
        and (stable is None or row["stable"] == stable)
    ]
    return sorted(rows, key=lambda row: row["parameter"])


def boosted_at(run: Run, gamma: float) -> dict[str, Any] | None:
    """The row of the boost scan at ``gamma`` across the beam, in the network's own arithmetic."""
    rows = boost_rows(run, axis="x", stable=True) or boost_rows(run, axis="x")
    return next((row for row in rows if abs(row["parameter"] / gamma - 1) < 1e-6), None)


def training_seconds(runs: Iterable[Run]) -> float:
    """Time spent in epochs, summed over ``runs``."""
    return sum(sum(run.history["seconds"]) for run in runs)
