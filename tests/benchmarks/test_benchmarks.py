"""The benchmark command finds its benchmarks, and the networks that it compares agree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_help_lists_them():
    result = command("--help")
    assert result.returncode == 0, result.stderr
    assert "lorentznet" in result.stdout


def test_unknown_names_are_refused():
    result = command("lorentzmet")
    assert result.returncode != 0
    assert "Did you mean 'lorentznet'" in result.stderr


def test_no_speed_is_claimed_for_a_wrong_answer(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.lorentznet import twins, verify
    from eqviz.data.jets import JetBatch
    from eqviz.kinematics import from_ptetaphim

    batch = JetBatch.from_arrays(
        [from_ptetaphim([50, 30, 20], [0.1, 0, -0.2], [0, 0.3, -0.1]) for _ in range(2)]
    )
    plain, ours = twins("cpu")
    verify(plain, ours, batch)
    right = plain.forward
    monkeypatch.setattr(plain, "forward", lambda *inputs: right(*inputs) + 0.1)
    with pytest.raises(AssertionError, match="disagree"):
        verify(plain, ours, batch)
