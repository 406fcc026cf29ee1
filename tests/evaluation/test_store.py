"""The run store: round trips, damage of every file, names, failures, kills."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import make_run

from eqviz.errors import ConfigError, StoreError, UnknownNameError
from eqviz.evaluation.checks import FILES
from eqviz.evaluation.files import read_json, write_json
from eqviz.evaluation.store import RunStore


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", n_test=50, epochs=4, seed=3)
    assert run.problem is None and not run.failed
    assert run.config["seed"] == 3 and run.model_name == "pfn" and run.symmetry == "S_n"
    assert run.history["epoch"] == [0, 1, 2, 3]
    assert run.history["train_loss"][1] == 0.6 * 0.8
    assert run.scores.logits.shape == (50, 2) and run.scores.logits.dtype == np.float64
    assert run.scores.index.tolist() == list(range(50))
    assert run.metrics["parameters"] == {"value": 1234.0, "error": None}
    row = run.invariance[0]
    assert row["transformation"] == "boost" and row["stable"] is True and row["n_jets"] == 50
    assert run.environment["packages"]["torch"] is not None


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        make_run(tmp_path, name)
    assert [run.id for run in RunStore(tmp_path).runs()] == ["c", "a", "b"]
    assert RunStore(tmp_path / "nothing here").runs() == []


def test_infinite_rejections_are_kept_in_strict_json(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"rejection_30": {"value": math.inf, "error": np.float64(2.5)}})
    assert read_json(path) == {"rejection_30": {"value": "inf", "error": 2.5}}
    assert make_run(tmp_path, "perfect", separation=50.0).metrics["rejection_30"]["value"] == math.inf


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "pickle"])
def test_a_damaged_file_is_a_named_problem(tmp_path: Path, name: str, damage: str) -> None:
    run = make_run(tmp_path, "a", n_test=20)
    path = run.folder / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        new = {"truncated": content[: len(content) - 10], "empty": b"", "pickle": pickle.dumps([1] * 99)}
        path.write_bytes(new[damage])
    (listed,) = RunStore(tmp_path).runs()
    assert listed.problem is not None
    assert name in listed.problem and f"delete {run.folder}" in listed.problem
    with pytest.raises(StoreError, match="repeat the run"):
        _ = listed.scores


def test_bit_flips_in_the_scores_are_noticed_when_they_are_read(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", n_test=500)
    path = run.folder / "scores.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(StoreError, match=r"scores\.parquet"):
        _ = RunStore(tmp_path).get("a").scores


def test_missing_columns_and_wrong_row_counts_are_problems(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", n_test=20)
    config = run.config | {"data": run.config["data"] | {"n_test": 30}}
    (run.folder / "config.json").write_text(json.dumps(config))
    assert "expected 30 jets" in str(RunStore(tmp_path).get("a").problem)
    run = make_run(tmp_path, "b")
    history = (run.folder / "history.csv").read_text().replace("val_auc", "auc")
    (run.folder / "history.csv").write_text(history)
    assert "val_auc" in str(RunStore(tmp_path).get("b").problem)


def test_unknown_and_unsafe_names(tmp_path: Path) -> None:
    make_run(tmp_path, "lorentznet-0")
    store = RunStore(tmp_path)
    with pytest.raises(UnknownNameError, match="Did you mean 'lorentznet-0'"):
        store.get("lorentznet-1")
    with pytest.raises(UnknownNameError):
        store.get("../" + tmp_path.name)
    for name in ("", "../up", ".hidden", "a/b", "a b", "x" * 101):
        with pytest.raises(ConfigError, match="expected a run name"), store.create(name):
            pass
    assert "lorentznet-0" in store and "other" not in store


def test_failures_are_recorded_and_give_way(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run = store.record_failure("a", {"model": {"name": "pfn"}}, "Traceback ...\nValueError: no\n")
    assert run.failed and run.problem == "failed: ValueError: no"
    assert run.error["traceback"].startswith("Traceback") and run.model_name == "pfn"
    assert make_run(tmp_path, "a").problem is None
    with pytest.raises(StoreError, match="exists"), store.create("a"):
        pass


def test_an_exception_or_an_incomplete_run_leaves_nothing(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    with pytest.raises(ZeroDivisionError), store.create("a") as folder:
        (folder / "config.json").write_text("{}")
        _ = 1 / 0
    with pytest.raises(StoreError, match="incomplete"), store.create("a") as folder:
        (folder / "config.json").write_text("{}")
    with pytest.raises(StoreError, match="No space left"), store.create("a"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    script = (
        "import sys, resource\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[2])\n"
        "from helpers import make_run\nresource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "make_run(Path(sys.argv[1]), n_test=2000)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parents[1])]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "eqviz.errors.StoreError" in result.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_leaves_is_ignored_and_removed(tmp_path: Path) -> None:
    make_run(tmp_path, "kept")
    script = (
        "import sys, os, signal\nfrom eqviz.evaluation.store import RunStore\n"
        "with RunStore(sys.argv[1]).create('a') as folder:\n"
        "    (folder / 'config.json').write_text('{')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=dict(os.environ), check=False)
    assert result.returncode == -signal.SIGKILL
    store = RunStore(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert [run.id for run in store.runs()] == ["kept"]
    assert len(store.clean()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_replacement_that_was_killed_half_way_keeps_the_old_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    store = RunStore(tmp_path)
    host = store._temporary("a").name.split("@")[1]
    run.folder.rename(tmp_path / f".a@{host}@{dead.pid}@12345678-old")
    store.clean()
    assert store.get("a").problem is None


def test_notebook_and_report_are_attached_later(tmp_path: Path) -> None:
    make_run(tmp_path, "a")
    store = RunStore(tmp_path)
    assert store.attach("a", "report.html", b"<html>").read_bytes() == b"<html>"
    with pytest.raises(ConfigError, match=r"notebook\.ipynb"):
        store.attach("a", "weights.safetensors", b"")


def test_the_network_of_a_run_can_be_loaded(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", model="lorentznet", symmetry="SO+(1,3)")
    network = run.model()
    assert network.name == "lorentznet" and network.config.hidden == 6 and not network.training
