"""Studies run for real: failures stay alone, nothing is done twice, an interruption leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from eqviz.evaluation.store import RunStore
from eqviz.study import load_study, make_plan, run_study

Write = Callable[..., Path]
SCRIPT = """
import signal, sys
from eqviz.study import load_study, run_study
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    run_study(load_study(sys.argv[1]), runs="runs", reports="reports", workers=2)
"""


@pytest.mark.slow
def test_failures_stay_alone_and_only_what_is_missing_is_done_again(
    write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    entries = [
        {"label": "Good"},
        {"label": "Broken", "parameters": {"mode": "flag"}},
        {"label": "Dead", "parameters": {"mode": "die"}},
        {"label": "Doubtful", "parameters": {"mode": "doubt"}},
    ]
    study = load_study(write_study(runs=entries))
    good, broken, dead, doubtful = (run.run_id for run in make_plan(study).runs)
    first = run_study(study)
    errors = {outcome.run_id: outcome.error for outcome in first.outcomes}
    assert errors[good] is None
    assert errors[broken] == "RuntimeError: the flag is missing"
    assert "Kernel died" in str(errors[dead])
    assert errors[doubtful] == "AssertionError: the run is not as it should be"
    said = capfd.readouterr().out
    assert "[4/4]" in said and f"{broken}: FAILED (RuntimeError: the flag is missing)" in said

    store = RunStore("runs")
    assert store.get(good).problem is None
    assert store.get(broken).failed and "the flag is missing" in store.get(broken).error["traceback"]
    assert store.get(doubtful).problem is None  # what was measured is kept
    page = Path("reports/index.html").read_text()
    assert f"<b>{doubtful}</b> (check failed): AssertionError: the run is not as it should be" in page
    assert "What failed" in page and "RuntimeError: the flag is missing" in page
    assert "AUC" in page and f"notebooks/{good}.html" in page
    for run_id in (good, broken, doubtful):
        assert {"notebook.ipynb", "report.html"} <= {path.name for path in (Path("runs") / run_id).iterdir()}
    assert "This run failed." in Path(f"reports/notebooks/{broken}.html").read_text()

    stamp = (Path("runs") / good / "scores.parquet").stat().st_mtime_ns
    Path("runs/flag").touch()
    second = run_study(load_study(write_study(runs=entries[:2])))
    assert [(outcome.run_id, outcome.error) for outcome in second.outcomes] == [(broken, None)]
    assert (Path("runs") / good / "scores.parquet").stat().st_mtime_ns == stamp
    assert "What failed" not in Path("reports/index.html").read_text()
    third = run_study(load_study(write_study(runs=entries[:2])))
    assert third.outcomes == ()
    assert [path.name for path in Path("runs").iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing_half_made(
    write_study: Write, tmp_path: Path, kind: signal.Signals
) -> None:
    study = write_study(runs=[{"label": "Hanging", "parameters": {"mode": "hang"}}])
    (tmp_path / "script.py").write_text(SCRIPT)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "script.py", str(study)],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    family: list[psutil.Process] = []
    try:
        pid_file = tmp_path / "runs" / "hanging"
        deadline = time.monotonic() + 240
        while not pid_file.exists() or not pid_file.read_text():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        family = psutil.Process(process.pid).children(recursive=True)
        assert int(pid_file.read_text()) in [member.pid for member in family]
        assert_local(family)
        if kind == signal.SIGINT:
            os.killpg(process.pid, kind)  # as a terminal does: to all of them
        else:
            process.send_signal(kind)
        _, said = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode != 0
    assert said.count("Traceback") == 1 and said.strip().endswith("KeyboardInterrupt")
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["hanging"]
    assert list(scratch.glob("eqviz-*")) == []


def assert_local(processes: list[psutil.Process]) -> None:
    """Nothing listens where another machine could reach it."""
    for process in processes:
        for connection in process.net_connections():
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip in ("127.0.0.1", "::1"), connection
