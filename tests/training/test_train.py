"""Training: it learns, leaves what it promises, and survives kills, bad luck and bad input."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from pathlib import Path

import killed
import numpy as np
import pytest
import torch
from helpers import toy_jets
from torch import Tensor

from eqviz.data.dataset import JetDataset
from eqviz.errors import CheckpointError, ConfigError, DataError, TrainingError
from eqviz.evaluation.inference import predict
from eqviz.evaluation.run import HISTORY_TYPES
from eqviz.models import JetModel, build_model, load_model
from eqviz.training import TrainConfig, TrainResult, train
from eqviz.training.callbacks import Progress

FILES = {"last.ckpt", "history.csv", "training.json", "weights.safetensors"}


def tiny() -> JetModel:
    torch.manual_seed(1)
    return build_model("lorentznet", n_blocks=1, hidden=6)


def quick(folder: Path, **changes: object) -> tuple[JetModel, TrainResult]:
    """Two epochs of a tiny network on few jets; ``listener`` and ``model`` may be given, too."""
    listener, model = changes.pop("listener", None), changes.pop("model", None) or tiny()
    config = TrainConfig(**{"epochs": 2, "batch_size": 8, "device": "cpu", **changes})
    return model, train(model, toy_jets(24), toy_jets(12, 1), config, folder, False, listener)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_and_keeps_the_best_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model, held_out = tiny(), toy_jets(60, seed=2)
    config = TrainConfig(epochs=6, batch_size=16, learning_rate=1e-2, device="cpu", monitor="val_auc")
    result = train(model, toy_jets(120), held_out, config, tmp_path / "run", progress=False)
    assert list(result.history) == list(HISTORY_TYPES)
    assert result.history["epoch"] == list(range(6))
    assert result.best_epoch == int(np.argmax(result.history["val_auc"]))
    assert max(result.history["val_auc"]) > 0.9
    assert result.history["train_loss"][-1] < result.history["train_loss"][0]
    assert all(value > 50 for value in result.history["memory_mb"])
    assert result.seconds == pytest.approx(sum(result.history["seconds"]))
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    stored = load_model(tmp_path / "run" / "weights.safetensors")
    np.testing.assert_array_equal(predict(stored, held_out), predict(model, held_out))
    kept = (predict(model, held_out).argmax(axis=1) == held_out.labels).mean()
    assert kept == result.history["val_accuracy"][result.best_epoch]
    assert not model.training


@pytest.mark.parametrize("kill_at", [2, 9])
def test_a_killed_training_ends_with_the_same_weights(tmp_path: Path, kill_at: int) -> None:
    command = [sys.executable, killed.__file__, str(tmp_path / "broken"), str(kill_at)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    rows = (tmp_path / "broken" / "history.csv").read_text().splitlines() if kill_at > 4 else []
    assert len(rows) == (3 if kill_at > 4 else 0)  # header and two epochs
    killed.main(tmp_path / "broken", -1)
    killed.main(tmp_path / "whole", -1)
    broken, whole = (load_model(tmp_path / name / "weights.safetensors") for name in ("broken", "whole"))
    assert same(broken.state_dict(), whole.state_dict())
    columns = [name for name in HISTORY_TYPES if name not in ("seconds", "memory_mb")]
    histories = [np.genfromtxt(tmp_path / n / "history.csv", delimiter=",", names=True) for n in
                 ("broken", "whole")]  # fmt: skip
    assert len(histories[0]) == 4
    for name in columns:
        np.testing.assert_array_equal(histories[0][name], histories[1][name])


def test_batches_mix_multiplicities_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = JetDataset.loader

    def spy(self: JetDataset, *args: object, **options: object) -> object:
        if options["shuffle"]:
            asked.append(options["bucket"])
        return original(self, *args, **options)

    monkeypatch.setattr(JetDataset, "loader", spy)
    quick(tmp_path / "a", epochs=1)
    quick(tmp_path / "b", epochs=1, bucket=True)
    assert asked == [False, True]


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    model, first = quick(tmp_path)

    def refuse(progress: Progress) -> None:
        raise AssertionError("trained again")

    again, second = quick(tmp_path, listener=refuse)
    assert first == second and same(model.state_dict(), again.state_dict())


def test_a_listener_can_stop_and_resume(tmp_path: Path) -> None:
    seen: list[Progress] = []

    class Cancelled(Exception):
        pass

    def cancel(progress: Progress) -> None:
        seen.append(progress)
        if progress.epoch == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        quick(tmp_path / "a", listener=cancel)
    assert [p.step for p in seen] == [1, 2, 3, 3, 1] and seen[3].row["epoch"] == 0
    resumed, _ = quick(tmp_path / "a")
    whole, _ = quick(tmp_path / "b")
    assert same(resumed.state_dict(), whole.state_dict())


def test_ctrl_c_is_a_keyboard_interrupt_and_stays_switched_on(tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)

    def press(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick(tmp_path, listener=press)
    assert signal.getsignal(signal.SIGINT) is handler


def test_early_stopping_keeps_the_first_of_equal_epochs(tmp_path: Path) -> None:
    _, result = quick(tmp_path, epochs=9, patience=2, learning_rate=1e-12, monitor="val_auc")
    best = result.best_epoch
    assert result.history["epoch"][-1] == best + 2 < 8
    _, again = quick(tmp_path, epochs=9, patience=2, learning_rate=1e-12, monitor="val_auc")
    assert again == result


def test_seeds_decide_and_leave_no_trace(tmp_path: Path) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    one, _ = quick(tmp_path / "a", seed=0, model=tiny(), threads=1)
    torch.manual_seed(99)
    two, _ = quick(tmp_path / "b", seed=0)
    three, _ = quick(tmp_path / "c", seed=1)
    assert same(one.state_dict(), two.state_dict())
    assert not same(one.state_dict(), three.state_dict())
    assert torch.get_num_threads() == threads and not torch.are_deterministic_algorithms_enabled()
    torch.manual_seed(99)
    expected = torch.get_rng_state()
    quick(tmp_path / "d", model=one)
    assert torch.equal(torch.get_rng_state(), expected)
    torch.set_rng_state(before)


def test_the_learning_rate_warms_up_and_falls(tmp_path: Path) -> None:
    _, result = quick(tmp_path, epochs=4, learning_rate=1e-2, warmup_epochs=1, final_fraction=0.1, patience=0)
    rates = result.history["learning_rate"]
    assert rates[0] == pytest.approx(1e-2) and rates[-1] == pytest.approx(1e-3)
    assert rates == sorted(rates, reverse=True)


def test_no_epochs_keep_the_initial_weights(tmp_path: Path) -> None:
    model, result = quick(tmp_path, epochs=0)
    assert result.best_epoch == -1 and result.history["epoch"] == []
    assert same(model.state_dict(), tiny().state_dict())


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_a_bar_or_lines(
    tmp_path: Path, terminal: bool, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    config = TrainConfig(epochs=2, batch_size=8, device="cpu")
    train(tiny(), toy_jets(24), toy_jets(12, 1), config, tmp_path)
    out, err = capsys.readouterr()
    assert ("epoch 2/2" in err) == terminal
    assert (out.count("AUC") == 2 and "epoch 2/2" in out and err == "") or terminal


def test_divergence_says_when_and_what_to_try(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"epoch 1 of 2.*smaller training.learning_rate"):
        quick(tmp_path, learning_rate=1e25, warmup_epochs=0, gradient_clip=0)


def test_another_training_in_the_folder_is_refused(tmp_path: Path) -> None:
    quick(tmp_path)
    with pytest.raises(ConfigError, match=r"epochs = 2 instead of 3"):
        quick(tmp_path, epochs=3)
    with pytest.raises(ConfigError, match=r"model\.hidden = 6 instead of 8"):
        quick(tmp_path, model=build_model("lorentznet", n_blocks=1, hidden=8))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", pickle.dumps({"callbacks": 1})])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    quick(tmp_path)
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(CheckpointError, match="delete it to start over"):
        quick(tmp_path)


def test_bad_data_are_named(tmp_path: Path) -> None:
    jets, config = toy_jets(8), TrainConfig(epochs=1, device="cpu")
    one_class = jets.select(jets.labels == 1)
    unlabelled = JetDataset(type(jets.batch).from_arrays(jets.batch.arrays()))
    for data, message in ((one_class, "same classes"), (unlabelled, "labels"), (jets.select([]), "got none")):
        with pytest.raises(DataError, match=message):
            train(tiny(), data, jets, config, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 1.5}, r"training.epochs to be int"),
        ({"learning_rate": -1.0}, "0 or larger"),
        ({"learning_rate": 0}, "larger than 0"),
        ({"learning_rate": float("nan")}, "0 or larger"),
        ({"batch_size": 0}, "1 or larger"),
        ({"device": "tpu"}, "'auto' or 'cpu' or 'cuda'"),
        ({"monitor": "accuracy"}, "'val_loss' or 'val_auc'"),
        ({"patience": True}, "training.patience"),
    ],
)
def test_bad_parameters_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**changes)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")
def test_absent_cuda_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found none"):
        quick(tmp_path, device="cuda")
