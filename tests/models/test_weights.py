"""Weights files: written whole, read without unpickling, refused by name."""

from __future__ import annotations

import errno
import json
import pickle

import pytest
import torch
from model_helpers import small
from safetensors import safe_open
from safetensors.torch import save_file

from eqviz.errors import CheckpointError, StoreError
from eqviz.models import load_model, save_model
from eqviz.models.weights import load_weights


@pytest.fixture
def saved(tmp_path):
    save_model(small("lorentznet"), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_metadata_is_json(saved):
    with safe_open(str(saved), framework="pt") as file:
        metadata = file.metadata()
    assert metadata["model"] == "lorentznet"
    assert json.loads(metadata["config"])["hidden"] == 12


def test_missing(tmp_path):
    with pytest.raises(CheckpointError, match="found none"):
        load_model(tmp_path / "nothing")


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
def test_truncated(saved, keep):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(saved)


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_pickles_are_never_opened(tmp_path, writer):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = tmp_path / "weights"
    with path.open("wb") as file:
        pickle.dump(Trap(), file) if writer == "pickle" else torch.save({"a": Trap()}, file)
    with pytest.raises(CheckpointError, match="pickle"):
        load_model(path)
    assert not (tmp_path / "sprung").exists()


def test_foreign_safetensors(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=r"written by eqviz.save_model"):
        load_model(tmp_path / "w.safetensors")


def rewritten(path, **changes):
    """The file with tensors and metadata changed: a function of each, or a new value."""
    with safe_open(str(path), framework="pt") as file:
        metadata, state = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    for key, value in changes.items():
        (metadata if key in metadata else state)[key.replace("__", ".")] = value
    save_file({key: value for key, value in state.items() if value is not None}, path, metadata=metadata)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "pfn"}, "cannot build the network"),
        ({"model": "unheard"}, "unknown model 'unheard'"),
        ({"config": "{"}, "cannot build"),
        ({"config": "[1]"}, "names and values"),
        ({"config": json.dumps({"hidden": 13, "n_blocks": 2})}, r"shape .* instead of"),
        ({"config": json.dumps({"hidden": 12, "n_blocks": 3})}, "is missing"),
        ({"embed__weight": None}, "embed.weight is missing"),
        ({"extra": torch.zeros(1)}, "extra is unknown"),
    ],
)
def test_wrong_contents(saved, changes, message):
    rewritten(saved, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_model(saved)


def test_load_weights_into_a_model(saved):
    model = small("lorentznet", seed=5)
    load_weights(model, saved)
    assert torch.equal(model.embed.weight, small("lorentznet", seed=0).embed.weight)
    with pytest.raises(CheckpointError, match="expected weights of 'pfn', got 'lorentznet'"):
        load_weights(small("pfn"), saved)


def test_failed_writes_leave_the_old_file_and_no_litter(saved, monkeypatch):
    before = saved.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        save_model(small("lorentznet", seed=1), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]
    with pytest.raises(StoreError, match="cannot write"):
        save_model(small("lorentznet"), saved.parent / "no_such_folder" / "w.safetensors")
