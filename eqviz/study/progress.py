"""What the user sees while a study runs: live bars on a terminal, one line a run elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from eqviz.study.execute import Outcome
from eqviz.study.plan import PlannedRun

if TYPE_CHECKING:
    from rich.progress import TaskID


class Progress(Protocol):
    """A context manager that is told what happens to runs."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def update(self, fractions: Mapping[str, float]) -> None:
        """How much of each running run is done, 0 to 1."""

    def finished(self, outcome: Outcome) -> None:
        """A run has ended, well or not."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def update(self, fractions: Mapping[str, float]) -> None:
        return None

    def finished(self, outcome: Outcome) -> None:
        return None


class Plain(Silent):
    """One line for every finished run, with the time left; for logs and pipes."""

    def __init__(self, runs: list[PlannedRun], echo: Callable[[str], None] = print) -> None:
        self.total = len(runs)
        self.done = 0
        self.start = time.monotonic()
        self.echo = echo
        self.fractions: dict[str, float] = {}

    def update(self, fractions: Mapping[str, float]) -> None:
        self.fractions = dict(fractions)

    def finished(self, outcome: Outcome) -> None:
        self.done += 1
        self.fractions.pop(outcome.run_id, None)
        state = "done" if outcome.error is None else f"FAILED ({outcome.error})"
        self.echo(
            f"[{self.done}/{self.total}] {outcome.run_id}: {state} in {outcome.seconds:.0f} s{self._left()}"
        )

    def _left(self) -> str:
        if self.done == self.total:
            return ""
        seconds = remaining(
            time.monotonic() - self.start, self.done + sum(self.fractions.values()), self.total
        )
        return f", about {duration(seconds)} left"


class Live(Silent):
    """A bar for every running run and one for the study, with the time left."""

    def __init__(self, runs: list[PlannedRun]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self.total = len(runs)
        self.done = 0
        self.start = time.monotonic()
        self.study = self.bars.add_task("[bold]study", total=self.total, note="")
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def update(self, fractions: Mapping[str, float]) -> None:
        for run_id, fraction in fractions.items():
            if run_id not in self.tasks:
                self.tasks[run_id] = self.bars.add_task(run_id, total=1.0, note="")
            self.bars.update(self.tasks[run_id], completed=fraction)
        self._advance(sum(fractions.values()))

    def finished(self, outcome: Outcome) -> None:
        from rich.markup import escape

        self.done += 1
        task = self.tasks.pop(outcome.run_id, None)
        if task is not None:
            self.bars.remove_task(task)
        state = "[green]done[/]" if outcome.error is None else f"[red]failed[/] {escape(outcome.error)}"
        self.bars.console.print(f"  {outcome.run_id}  {outcome.seconds:.0f} s  {state}", highlight=False)
        self._advance(0.0)

    def _advance(self, running: float) -> None:
        progress = self.done + running
        seconds = remaining(time.monotonic() - self.start, progress, self.total)
        note = f"{self.done}/{self.total} runs" + (
            f", about {duration(seconds)} left" if progress > 0.05 else ""
        )
        self.bars.update(self.study, completed=progress, note=note)


def remaining(elapsed: float, done: float, total: float) -> float:
    """Seconds left if the rest goes at the pace so far; infinite before anything is done."""
    return elapsed * (total - done) / done if done > 0 else float("inf")


def duration(seconds: float) -> str:
    """``45 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < float("inf") else "some time"


def choose_progress(runs: list[PlannedRun], show: bool) -> Progress:
    """Live bars on a terminal (where rich is installed), lines elsewhere, nothing if not asked for."""
    if not show:
        return Silent()
    if sys.stderr.isatty():
        try:
            return Live(runs)
        except ImportError:
            pass
    return Plain(runs, echo=lambda line: print(line, flush=True))
