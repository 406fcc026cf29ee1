"""The table of benchmarks. A file in this folder that registers a function is all that a new one needs.

    @register("pfn", summary="PFN, forward and backward", reference="arXiv:1810.05165")
    def run(settings: Settings) -> list[Row]: ...

A benchmark first checks that what it times gives the right answer, and raises where it does not. Each row is
one number with its spread; the runner adds machine and versions and writes results/<name>-<cpu|gpu>.csv.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eqviz.registry import Registry


@dataclass(frozen=True)
class Row:
    """One measured number.

    Attributes:
        quantity: what, for instance "forward".
        implementation: whose.
        value, low, high: median, minimum and maximum over repetitions; NaN where nothing was measured.
        unit: of the three.
        setting: batch size, data and whatever else the number depends on.
        relative: value over that of the first implementation, where there are several.
        note: why there is no number, or what else must be known.
    """

    quantity: str
    implementation: str
    value: float
    low: float
    high: float
    unit: str
    setting: str
    relative: float | None = None
    note: str = ""


def _keep(rows: list[Row]) -> None:
    """Nobody is told before the end."""


@dataclass(frozen=True)
class Settings:
    """How to run.

    Attributes:
        device: "cpu" or "cuda".
        threads: on the CPU.
        quick: few repetitions for a quick look.
        dry: tiny sizes on the CPU, every line of a GPU benchmark, times that mean nothing.
        seconds: how long the whole benchmark may take, for those that keep to it.
        report: is told rows as they come, so that a run which is killed leaves what it had.
    """

    device: str = "cpu"
    threads: int = 1
    quick: bool = False
    dry: bool = False
    seconds: float = 450.0
    report: Callable[[list[Row]], None] = _keep


BENCHMARKS: Registry[Callable[[Settings], list[Row]]] = Registry("benchmark")
register = BENCHMARKS.register
