"""`eqviz study` and `eqviz report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

StudyFile = Annotated[Path, typer.Argument(help="Study file (YAML), for instance studies/demo.yaml.")]
Runs = Annotated[Path, typer.Option(help="Folder of the runs.")]
Reports = Annotated[Path, typer.Option(help="Folder of the report.")]


def study(
    file: StudyFile,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes of one thread each.")] = 2,
    runs: Runs = Path("runs"),
    reports: Reports = Path("reports"),
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Run what is missing of a study and write its report.

    Exit code 1 if a run failed: the report shows its traceback, and the same command tries it again.
    """
    from eqviz.study.config import load_study

    checked = load_study(file)  # a wrong file is named before anything heavy is imported
    from eqviz.study.runner import run_study

    result = run_study(checked, runs=runs, reports=reports, workers=workers, progress=not quiet)
    for label, reason in result.plan.skipped:
        print(f"{label}: {reason}")
    done = len(result.outcomes) - len(result.failed)
    present = len(result.plan.runs) - len(result.outcomes)
    print(f"{done} runs made, {present} there already, {len(result.failed)} failed")
    print(f"report: {result.report.resolve().as_uri()}")
    if result.failed:
        sys.exit(1)


def report(file: StudyFile, runs: Runs = Path("runs"), reports: Reports = Path("reports")) -> None:
    """Write the report of a study again, from the runs that are there."""
    from eqviz.evaluation.store import RunStore
    from eqviz.study import load_study, make_plan
    from eqviz.study.report import write_report

    path = write_report(make_plan(load_study(file)), RunStore(runs), reports)
    print(f"report: {path.resolve().as_uri()}")
