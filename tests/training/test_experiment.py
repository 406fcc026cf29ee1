"""Runs from start to end on small files: stored, repeated, resumed, failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import toy_jets

from eqviz.errors import Cancelled, CheckpointError, ConfigError, DataError, StoreError, UnknownNameError
from eqviz.evaluation.inference import predict
from eqviz.evaluation.store import RunStore
from eqviz.models import build_model, save_model
from eqviz.training.experiment import Experiment, Status, run_experiment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("toy")
    for seed, (split, n) in enumerate({"train": 24, "val": 12, "test": 20}.items()):
        toy_jets(n, seed).to_parquet(path / f"{split}.parquet")
    return path


def config(folder: Path, **changes: Any) -> dict[str, Any]:
    """A run of seconds; ``changes`` replace whole parts."""
    parts = {
        "run_id": "a",
        "model": {"name": "lorentznet", "params": {"n_blocks": 1, "hidden": 6}},
        "data": {"name": str(folder), "n_test": 16},
        "training": {"epochs": 2, "batch_size": 8, "device": "cpu"},
        "evaluation": {"n_bootstrap": 5, "n_jets": 4, "gammas": [1, 1000], "timing_jets": 4},
        "seed": 3,
    }
    return parts | changes


def run(folder: Path, store: Path, listener: Any = None, **changes: Any) -> Any:
    return run_experiment(config(folder, **changes), store, progress=False, listener=listener)


def test_a_run_holds_everything_and_can_be_repeated_from_its_folder(folder: Path, tmp_path: Path) -> None:
    stages: list[Status] = []
    first = run(folder, tmp_path, stages.append)
    assert first.problem is None and first.symmetry == "SO+(1,3)"
    data = first.config["data"]
    assert (data["n_train"], data["n_val"], data["n_test"]) == (24, 12, 16)
    assert first.config["model"]["params"]["dropout"] == 0.2  # defaults are written down, too
    assert first.config["training"]["seed"] == first.config["seed"] == 3
    assert set(first.metrics) == {
        "auc", "accuracy", "loss", "ece", "rejection_30", "rejection_50", "parameters", "ms_per_jet",
        "peak_memory_mb",
    }  # fmt: skip
    assert first.metrics["ms_per_jet"]["value"] > 0 and first.history["epoch"] == [0, 1]
    assert [s.stage for s in stages if s.training is None][:3] == ["data", "predict", "predict"]
    assert stages[-1].stage == "store" and {s.training.epoch for s in stages if s.training} == {0, 1}
    kinds = {(r["transformation"], r["axis"], r["reference"], r["stable"]) for r in first.invariance}
    assert ("boost", "z", "moved", True) in kinds and ("boost", "random", "moved", False) in kinds
    assert ("boost", "x", "fixed", True) in kinds and ("permutation", None, "moved", True) in kinds
    assert not (tmp_path / ".work" / "a").exists()

    second = run_experiment(first.config | {"run_id": "b"}, tmp_path, progress=False)
    np.testing.assert_array_equal(first.scores.logits, second.scores.logits)
    again = {**second.config, "run_id": "a"}
    assert again == first.config
    test = toy_jets(20, 2).select(first.scores.index)  # stored in float32
    np.testing.assert_array_equal(first.scores.labels, test.labels)
    np.testing.assert_allclose(predict(first.model(), test), first.scores.logits, rtol=1e-3, atol=1e-5)


def test_a_cancelled_run_is_resumed(folder: Path, tmp_path: Path) -> None:
    def cancel(status: Status) -> None:
        if status.training is not None and status.training.epoch == 1:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run(folder, tmp_path, cancel)
    store = RunStore(tmp_path)
    assert store.runs() == [] and (store.workspace("a") / "last.ckpt").exists()
    seen: list[Status] = []
    resumed = run(folder, tmp_path, seen.append)
    assert {status.training.epoch for status in seen if status.training} == {1}
    whole = run(folder, tmp_path / "other")
    np.testing.assert_array_equal(resumed.scores.logits, whole.scores.logits)


def test_failures_are_stored_and_raised(folder: Path, tmp_path: Path) -> None:
    hot = {"epochs": 1, "learning_rate": 1e25, "warmup_epochs": 0, "gradient_clip": 0, "device": "cpu"}
    with pytest.raises(Exception, match="diverged"):
        run(folder, tmp_path, training=hot)
    failed = RunStore(tmp_path).get("a")
    assert failed.failed and "diverged in epoch 1" in failed.problem
    assert failed.config["training"]["learning_rate"] == 1e25
    assert run(folder, tmp_path).problem is None
    with pytest.raises(StoreError, match="exists"):
        run(folder, tmp_path)


def test_given_weights_are_evaluated_without_training(folder: Path, tmp_path: Path) -> None:
    model = build_model("lorentznet", n_blocks=1, hidden=6)
    save_model(model, tmp_path / "w.safetensors")
    wanted = {"name": "lorentznet", "weights": str(tmp_path / "w.safetensors")}
    found = run(folder, tmp_path / "runs", model=wanted)
    assert found.history["epoch"] == [] and found.config["data"]["n_train"] == 0
    assert found.config["model"]["params"]["hidden"] == 6
    with pytest.raises(CheckpointError, match="SHA-256"):
        run(folder, tmp_path / "runs", model=wanted | {"sha256": "0" * 64}, run_id="b")
    with pytest.raises(CheckpointError, match="expected weights at"):
        run(folder, tmp_path / "runs", model=wanted | {"weights": "nowhere"}, run_id="c")


def test_published_weights_run_through_their_own_pipeline(
    folder: Path, tmp_path: Path, reference_dir: Path
) -> None:
    wanted = {"name": "lorentznet", "published": str(reference_dir / "lorentznet_top.pt")}
    few = {"n_bootstrap": 5, "n_jets": 4, "gammas": [10], "axes": ["z"], "angles": [], "timing_jets": 0}
    found = run(folder, tmp_path, model=wanted, evaluation=few, data={"name": str(folder), "n_test": 6})
    assert found.metrics["parameters"]["value"] == 224072
    assert {row["stable"] for row in found.invariance} == {False}
    assert found.model().config.clamp == 100.0
    assert Experiment.from_mapping(found.config).model.published == wanted["published"]


def test_changed_data_are_noticed(folder: Path, tmp_path: Path) -> None:
    data = {"name": str(folder), "n_test": 16, "fingerprint": "0" * 64}
    with pytest.raises(DataError, match="has changed since"):
        run(folder, tmp_path, data=data)


def test_seeds_and_names() -> None:
    made = [Experiment.from_mapping({"model": {"name": "lorentznet"}, "seed": seed}) for seed in (1, 1, 2)]
    assert made[0].run_id == made[1].run_id != made[2].run_id and made[0].training.seed == 1
    other = Experiment.from_mapping({"model": {"name": "lorentznet"}, "seed": 1, "training": {"seed": 5}})
    assert other.training.seed == 5 and other.run_id != made[0].run_id
    assert json.loads(json.dumps(made[0].run_id)).startswith("lorentznet-1-")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": {"name": "lorentzent"}}, UnknownNameError, "Did you mean 'lorentznet'"),
        ({"model": {"params": {}}}, ConfigError, "model to give name"),
        ({"training": {"epoch": 3}}, UnknownNameError, "Did you mean 'epochs'"),
        ({"evaluation": {"gammas": [0.5]}}, ConfigError, "Lorentz factors"),
        ({"evaluation": {"axes": ["w"]}}, ConfigError, "evaluation.axes"),
        ({"data": {"n_train": "all"}}, ConfigError, "data.n_train"),
        ({"training": 3}, ConfigError, "training to be a mapping"),
        ({"seed": -1}, ConfigError, "seed"),
        ({"sead": 1}, UnknownNameError, "Did you mean 'seed'"),
    ],
)
def test_bad_parameters_are_named(folder: Path, changes: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Experiment.from_mapping(config(folder, **changes))


def test_bad_sizes_and_parameters_of_the_network_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="n_train of 1 to 24"):
        run(folder, tmp_path, data={"name": str(folder), "n_train": 99})
    with pytest.raises(UnknownNameError, match="parameter of model"):
        run(folder, tmp_path, model={"name": "lorentznet", "params": {"width": 3}})


def test_the_thread_count_is_put_back(folder: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    found = run(folder, tmp_path, training={"epochs": 0, "threads": before + 1, "device": "cpu"})
    assert found.environment["threads"] == before + 1 and torch.get_num_threads() == before
