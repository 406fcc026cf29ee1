"""Progress as text: counts, failures, time left."""

from __future__ import annotations

import pytest

from eqviz.study.execute import Outcome
from eqviz.study.plan import PlannedRun
from eqviz.study.progress import Live, Plain, choose_progress, duration, remaining

RUNS = [PlannedRun(f"pfn-s{seed}-0", "PFN", {"seed": seed}) for seed in range(4)]


def test_time_left_follows_from_the_pace() -> None:
    assert remaining(elapsed=30.0, done=1.5, total=4) == pytest.approx(50.0)
    assert remaining(30.0, 0.0, 4) == float("inf")
    assert [duration(s) for s in (12.0, 200.0, 9000.0)] == ["12 s", "3 min", "2.5 h"]


def test_lines_say_what_happened() -> None:
    lines: list[str] = []
    with Plain(RUNS, lines.append) as bars:
        bars.finished(Outcome(RUNS[0].run_id, 12.3))
        bars.update({RUNS[1].run_id: 0.5})
        bars.finished(Outcome(RUNS[1].run_id, 4.0, "ValueError: [0] is bad"))
    assert lines[0].startswith("[1/4] pfn-s0-0: done in 12 s, about ")
    assert lines[1].startswith("[2/4] pfn-s1-0: FAILED (ValueError: [0] is bad) in 4 s")


def test_bars_survive_every_order_of_events(capsys: pytest.CaptureFixture[str]) -> None:
    with Live(RUNS) as bars:
        bars.update({RUNS[0].run_id: 0.2, RUNS[1].run_id: 0.1})
        bars.finished(Outcome(RUNS[0].run_id, 1.0))
        bars.finished(Outcome(RUNS[2].run_id, 1.0, "ValueError: [bold] is not markup"))
    said = capsys.readouterr().err
    assert "2/4 runs" in said and "ValueError: [bold] is not markup" in said


def test_no_bars_where_nobody_looks() -> None:
    assert isinstance(choose_progress(RUNS, show=True), Plain)
    assert not isinstance(choose_progress(RUNS, show=False), Plain | Live)
