"""Run what is missing of a study on local workers, then write its report."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from eqviz.evaluation.store import RunStore
from eqviz.study.cluster import local_workers, quiet_worker
from eqviz.study.config import Study
from eqviz.study.execute import Outcome, execute_run, is_complete, record_failure
from eqviz.study.plan import Plan, PlannedRun, make_plan
from eqviz.study.progress import Progress, choose_progress
from eqviz.study.report import write_report

if TYPE_CHECKING:
    from distributed import Client

_POLL_SECONDS = 0.5
_STARTED, _TRAINED = (
    0.05,
    0.85,
)  # of a run's time, roughly: imports before the first epoch, scans after the last


@dataclass(frozen=True)
class StudyResult:
    """What :func:`run_study` did: the plan, the runs made now, and the address of the report."""

    plan: Plan
    outcomes: tuple[Outcome, ...]
    report: Path

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The runs that failed this time."""
        return tuple(outcome for outcome in self.outcomes if outcome.error is not None)


def run_study(
    study: Study,
    runs: str | Path = "runs",
    reports: str | Path = "reports",
    workers: int = 2,
    progress: bool = True,
) -> StudyResult:
    """Make the runs of ``study`` that are missing or failed, and write ``reports/index.html``.

    A run that fails is stored with its traceback and stops nothing else. Interrupted and called again,
    the study goes on where it was. In a script, call it below ``if __name__ == "__main__":``, because it
    starts worker processes.

    Args:
        runs: root of the run store.
        reports: folder of the report.
        workers: processes of one thread each.

    Raises:
        ConfigError: the study asks for something that does not exist; nothing has been run then.
        KeyboardInterrupt: after stopping all workers, on Ctrl-C; no half-made run is left.
    """
    plan = make_plan(study)
    store = RunStore(runs)
    missing = [run for run in plan.runs if not is_complete(store, run.run_id)]
    outcomes: tuple[Outcome, ...] = ()
    if missing:
        bars = choose_progress(missing, progress)
        try:
            with _terminable():
                outcomes = tuple(_run_all(missing, study, store, min(workers, len(missing)), bars))
        finally:
            store.clean()
    report = write_report(plan, store, Path(reports))
    return StudyResult(plan, outcomes, report)


def _run_all(
    missing: list[PlannedRun], study: Study, store: RunStore, workers: int, bars: Progress
) -> Iterator[Outcome]:
    with local_workers(workers) as (client, scratch), bars:
        client.run(quiet_worker, scratch / "output.log")
        futures = {
            client.submit(
                execute_run,
                run,
                study.notebook,
                store.root,
                scratch,
                study.timeout,
                key=run.run_id,
                pure=False,
            ): run
            for run in missing
        }
        for future in _as_completed(
            futures, client, lambda: bars.update(_fractions(missing, futures, store))
        ):
            outcome = _outcome(future, futures.pop(future), store)
            bars.finished(outcome)
            yield outcome


def _as_completed(futures: dict[Any, PlannedRun], client: Client, poll: Callable[[], None]) -> Iterator[Any]:
    """Futures as they end, calling ``poll`` while waiting."""
    from distributed import wait

    while futures:
        try:
            done = wait(list(futures), timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            poll()
            continue
        yield from done


def _outcome(future: Any, run: PlannedRun, store: RunStore) -> Outcome:
    if future.status == "finished":
        return future.result()
    # The worker itself died: out of memory, or killed from outside.
    return Outcome(run.run_id, 0.0, record_failure(store, run, future.exception()))


def _fractions(runs: list[PlannedRun], futures: dict[Any, PlannedRun], store: RunStore) -> dict[str, float]:
    """Rough progress of the runs that have started, from the epochs they have behind them."""
    open_runs = {run.run_id for run in futures.values()}
    return {
        run.run_id: _fraction(store.workspace(run.run_id), run)
        for run in runs
        if run.run_id in open_runs and store.workspace(run.run_id).is_dir()
    }


def _fraction(workspace: Path, run: PlannedRun) -> float:
    epochs = run.parameters.get("epochs")
    history = workspace / "history.csv"
    if not isinstance(epochs, int) or epochs < 1 or not history.is_file():
        return _STARTED
    done = len(history.read_text().splitlines()) - 1
    return _STARTED + (_TRAINED - _STARTED) * min(done / epochs, 1.0)


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that `kill` leaves nothing behind either."""

    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
