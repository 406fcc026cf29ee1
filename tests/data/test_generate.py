"""Files of generated jets: plan, chunks, kill and resume, errors."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from eqviz.data import generate_chunks, generate_events
from eqviz.data.dataset import JetDataset
from eqviz.data.generate_events import LABELS, Jets
from eqviz.data.pythia import CLASS_NAMES, Plan, Recipe, generate, round_mantissa
from eqviz.errors import ConfigError, GeneratorError, StoreError

ARGUMENTS = {"n_jets": 30, "chunk_size": 8, "seed": 11}


@pytest.fixture
def quick_jets(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Replaces Pythia by a cheap function of the same seeds; returns the list of chunks asked for."""
    asked: list[tuple[str, int]] = []

    def make(process: str, n_jets: int, seed: tuple[int, ...], *_: object) -> Jets:
        asked.append((process, seed[2]))
        rng = np.random.default_rng(seed)
        lengths = rng.integers(3, 9, n_jets)
        momenta = rng.normal(size=(lengths.sum(), 3)).astype(np.float32)
        return Jets(momenta, lengths, np.ones((n_jets, 4)) * LABELS[process], np.zeros((n_jets, 3, 4)))

    monkeypatch.setattr(generate_chunks, "make_jets", make)
    return asked


def test_a_plan_cuts_the_work_into_chunks_of_both_processes() -> None:
    plan = Plan(n_jets=30, signal=0.4, chunk_size=5)
    keys = plan.chunks()
    assert sum(key.n_jets for key in keys) == 30
    assert sum(key.n_jets for key in keys if key.process == "top") == 12
    assert len(set(keys)) == len(keys)
    # Both processes advance together.
    for half in (keys[: len(keys) // 2 + 1], keys):
        share = sum(key.n_jets for key in half if key.process == "top") / sum(key.n_jets for key in half)
        assert share == pytest.approx(0.4, abs=0.15)


@pytest.mark.parametrize(
    "wrong",
    [{"n_jets": 0}, {"signal": 1.5}, {"seed": -1}, {"chunk_size": 0}, {"mantissa_bits": 30}, {"n_jets": 2.5}],
)
def test_impossible_arguments_are_named(wrong: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        generate(tmp_path / "x.parquet", **{"n_jets": 10, **wrong})


def test_impossible_cuts_and_processes() -> None:
    with pytest.raises(ConfigError, match="pt_min < pt_max"):
        Recipe(pt_min=700.0)
    with pytest.raises(ConfigError, match="processes of 1 or more"):
        generate("x.parquet", n_jets=1, processes=0)


def test_labels_truth_and_meta_are_stored(quick_jets: list[tuple[str, int]], tmp_path: Path) -> None:
    path = generate(tmp_path / "jets.parquet", **ARGUMENTS, signal=0.4, progress=False)
    data = JetDataset.from_parquet(path)
    assert len(data) == 30
    assert data.class_names == CLASS_NAMES
    assert data.labels.sum() == 12
    assert data.batch.target is not None
    assert np.array_equal(data.batch.target[:, 0].numpy(), data.labels)  # the shuffle moves all columns
    assert 0 < np.flatnonzero(data.labels)[0] < 10  # shuffled
    assert data.meta["seed"] == 11
    assert data.meta["recipe"]["pt_min"] == 550.0
    assert "seed=11" in data.meta["command"]
    assert data.meta["versions"]["pythia8mc"].startswith("8.")
    assert not (tmp_path / "jets.parquet.parts").exists()


def test_finished_chunks_are_not_made_again(quick_jets: list[tuple[str, int]], tmp_path: Path) -> None:
    whole = generate(tmp_path / "a" / "jets.parquet", **ARGUMENTS, progress=False).read_bytes()
    n_chunks = len(quick_jets)
    out = tmp_path / "b" / "jets.parquet"
    interrupted = iter(range(100))

    def stop_after_two(*arguments: object) -> Jets:
        if next(interrupted) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    original = generate_chunks.make_jets
    generate_chunks.make_jets = stop_after_two
    with pytest.raises(KeyboardInterrupt):
        generate(out, **ARGUMENTS, progress=False)
    generate_chunks.make_jets = original
    assert not out.exists()
    parts = out.with_name("jets.parquet.parts")
    damaged = sorted(parts.glob("*.npz"))[0]
    damaged.write_bytes(damaged.read_bytes()[:100])
    (parts / ".top-000000.npz.123.part").write_bytes(b"half")  # left by a kill
    quick_jets.clear()
    assert generate(out, **ARGUMENTS, progress=False).read_bytes() == whole
    assert len(quick_jets) == n_chunks - 1  # one of the two was whole
    quick_jets.clear()
    generate(out, **ARGUMENTS, progress=False)
    assert quick_jets == []  # nothing left to do


def test_other_arguments_never_mix(quick_jets: list[tuple[str, int]], tmp_path: Path) -> None:
    out = generate(tmp_path / "jets.parquet", **ARGUMENTS, progress=False)
    before = out.read_bytes()
    with pytest.raises(StoreError, match="overwrite=True"):
        generate(out, n_jets=20, progress=False)
    assert out.read_bytes() == before
    generate(out, n_jets=20, progress=False, overwrite=True)
    assert len(JetDataset.from_parquet(out)) == 20
    parts = tmp_path / "new.parquet.parts"
    parts.mkdir()
    (parts / generate_chunks.PLAN_FILE).write_text(json.dumps({"seed": 3}))
    with pytest.raises(ConfigError, match="another name"):
        generate(tmp_path / "new.parquet", n_jets=20, progress=False)
    generate(tmp_path / "new.parquet", n_jets=20, progress=False, resume=False)


def test_a_full_disk_leaves_nothing_half_written(
    quick_jets: list[tuple[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "jets.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(StoreError, match="full"):
            generate(out, **ARGUMENTS, progress=False)
    assert not out.exists()
    assert [path.name for path in out.with_name("jets.parquet.parts").iterdir()] == ["plan.json"]
    assert len(JetDataset.from_parquet(generate(out, **ARGUMENTS, progress=False))) == 30


def test_an_unwritable_folder_is_named(quick_jets: list[tuple[str, int]], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write"):
        generate(tmp_path / "file" / "jets.parquet", **ARGUMENTS, progress=False)


def test_a_missing_generator_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    with pytest.raises(GeneratorError, match=r"pip install 'eqviz\[generator\]'"):
        generate(tmp_path / "jets.parquet", n_jets=10)
    assert list(tmp_path.iterdir()) == []


def test_importing_the_module_does_not_import_the_gpl_parts() -> None:
    code = "import sys, eqviz.data.pythia; print([m for m in ('pythia8mc', 'fastjet') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_rounding_the_mantissa() -> None:
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32) * 300
    assert round_mantissa(values, 23) is values
    rounded = round_mantissa(values, 15)
    assert np.abs(rounded / values - 1).max() <= 2.0**-16
    assert np.array_equal(round_mantissa(rounded, 15), rounded)
    assert (rounded.view(np.uint32) & np.uint32(0xFF) == 0).all()


SCRIPT = """
import sys
from eqviz.data.pythia import generate
if __name__ == "__main__":
    generate(sys.argv[1], n_jets=24, chunk_size=6, seed=4, processes=int(sys.argv[2]), progress=True)
"""


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_file(tmp_path: Path) -> None:
    """Real events: a run in one process, and one in two processes killed as soon as it has a chunk."""
    pytest.importorskip("pythia8mc")
    pytest.importorskip("fastjet")
    script, out = tmp_path / "make.py", tmp_path / "killed" / "jets.parquet"
    script.write_text(SCRIPT)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(path: Path, processes: int) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(path), str(processes)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, text=True, env=environment, start_new_session=True, **pipes)

    killed = start(out, 2)
    parts = out.with_name("jets.parquet.parts")
    deadline = time.monotonic() + 120
    while not list(parts.glob("*-*.npz")) and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)  # ends only when its processes have gone as well
    assert list(parts.glob("*-*.npz"))
    assert not out.exists()

    again, unbroken = start(out, 1), start(tmp_path / "unbroken" / "jets.parquet", 2)
    for process in (again, unbroken):
        printed, progress = process.communicate(timeout=300)
        assert process.returncode == 0, progress
        assert printed == ""  # not FastJet's banner
        assert "24/24" in progress
    whole = (tmp_path / "unbroken" / "jets.parquet").read_bytes()
    assert out.read_bytes() == whole
    assert list(out.parent.iterdir()) == [out]


def test_nothing_passes_impossible_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pythia8mc")
    pytest.importorskip("fastjet")
    monkeypatch.setattr(generate_events, "_MAX_TRIES", 20)
    nothing = Recipe(parton_pt_min=1e4, parton_pt_max=2e4)
    with pytest.raises(GeneratorError, match="widen the cuts"):
        generate_events.make_jets("top", 1, (1, 1, 0), nothing, Plan(n_jets=1).detector)
    with pytest.raises(ConfigError, match="process"):
        generate_events.make_jets("higgs", 1, (1, 1, 0), nothing, Plan(n_jets=1).detector)
