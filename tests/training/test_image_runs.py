"""Runs on detector images: their scale, parts of the training jets, turned test jets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqviz.data import ImageBatch, ImageDataset, ImageLayout
from eqviz.errors import ConfigError
from eqviz.evaluation.inference import as_seen
from eqviz.models import build_model
from eqviz.training.experiment import Experiment, run_experiment
from eqviz.training.subsets import DataConfig, load_subsets

LAYOUT = ImageLayout(("tracks", "HCAL"), ("GeV", "GeV"), 10, 10, (1, 5), pixel=0.02)
SIZES = {"train": 100, "val": 20, "test": 20}


def toy_images(n: int, seed: int) -> ImageDataset:
    """Two deposits in each image, nearer to the centre for class 1."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    place = np.clip(np.rint(4.5 + rng.normal(size=(n, 2)) * (3 - 2 * labels[:, None])), 0, 9).astype(int)
    index = np.stack([place @ [10, 1], 100 + rng.integers(0, 4, n)], 1).ravel()
    value = torch.from_numpy(rng.exponential(10.0, 2 * n).astype(np.float32))
    offsets = torch.arange(n + 1) * 2
    batch = ImageBatch(LAYOUT, value, torch.from_numpy(index), offsets, torch.from_numpy(labels))
    return ImageDataset(batch, "toy", {"class_names": ["wide", "narrow"]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("toy_images")
    for seed, (split, n) in enumerate(SIZES.items()):
        toy_images(n, seed).to_parquet(path / f"{split}.parquet")
    return path


def config(folder: Path, **data: Any) -> dict[str, Any]:
    params = {"in_channels": 2, "n_pixels": 8, "channels": [4], "depth": 1, "kernel_size": 3, "group": "C4"}
    return {
        "run_id": "a",
        "model": {"name": "groupcnn", "params": params},
        "data": {"name": str(folder), "images": True, **data},
        "training": {"epochs": 1, "batch_size": 10, "device": "cpu"},
        "evaluation": {"n_bootstrap": 4, "timing_jets": 0, "plane_angles": [0, 45, 90]},
        "seed": 1,
    }


def test_a_run_on_images_is_repeated_from_its_folder(folder: Path, tmp_path: Path) -> None:
    first = run_experiment(config(folder, train_fraction=0.2, seed=4), tmp_path, progress=False)
    data, params = first.config["data"], first.config["model"]["params"]
    assert (data["n_train"], data["train_fraction"], data["images"]) == (20, 0.2, True)
    assert len(params["pixel_std"]) == 2 and min(params["pixel_std"]) > 0
    assert first.symmetry == "C4" and first.invariance == []
    assert [row["angle"] for row in first.rotation] == [0, 45, 90]
    assert first.rotation[2]["max_abs"] < 1e-5 < first.rotation[1]["max_abs"]
    assert first.rotation[0]["auc"] == first.metrics["auc"]["value"]
    second = run_experiment(first.config | {"run_id": "b"}, tmp_path, progress=False)
    assert second.config | {"run_id": "a"} == first.config
    np.testing.assert_array_equal(first.scores.logits, second.scores.logits)
    assert second.rotation == first.rotation


@pytest.mark.parametrize("seed", [0, 7])
def test_smaller_parts_are_contained_in_larger_ones(folder: Path, seed: int) -> None:
    def values(**data: Any) -> set[float]:
        chosen = DataConfig(name=str(folder), images=True, seed=seed, **data)
        return set(load_subsets(chosen, trains=True).sets["train"].batch.value.tolist())

    small, middle, large = (values(train_fraction=part) for part in (0.04, 0.2, 1.0))
    assert small < middle < large and len(small) == 8
    assert values(train_fraction=0.4, train_pool=50) == middle
    assert values(n_train=20) == middle


def test_another_seed_takes_other_jets(folder: Path) -> None:
    first, second = (
        load_subsets(DataConfig(name=str(folder), images=True, train_fraction=0.1, seed=seed), True).sets[
            "train"
        ]
        for seed in (0, 1)
    )
    assert set(first.batch.value.tolist()) != set(second.batch.value.tolist())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"train_fraction": 0.01}, "jets of every class, got 0.01 of 100, which is 1 without any of narrow"),
        ({"train_fraction": 0.001}, "without any of wide, narrow; take 0.02 or more"),
        ({"train_fraction": 1.5}, "data.train_fraction to be larger than 0 and at most 1, got 1.5"),
        ({"train_fraction": 0.5, "n_train": 30}, "data.n_train to be left out or 50"),
        ({"train_fraction": 0.5, "train_pool": 300}, "data.train_pool of 1 to 100"),
        ({"train_pool": 30}, "given together with data.train_fraction"),
    ],
)
def test_bad_parts_are_refused(folder: Path, data: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_subsets(DataConfig(name=str(folder), images=True, **data), trains=True)


def test_networks_that_do_not_fit_the_images_are_refused(folder: Path, tmp_path: Path) -> None:
    wrong = config(folder)
    wrong["model"] = {"name": "cnn", "params": {"n_pixels": 8}}
    with pytest.raises(ConfigError, match=r"cnn\.in_channels of 2 for images of tracks, HCAL, got 1"):
        run_experiment(Experiment.from_mapping(wrong), tmp_path, progress=False)
    wrong["model"] = {"name": "pfn", "params": {}}
    with pytest.raises(ConfigError, match="a network that takes detector images, got 'pfn'"):
        run_experiment(wrong, tmp_path, progress=False)
    with pytest.raises(ConfigError, match=r"expected cnn\.pixel_std to be empty or 1 positive numbers"):
        build_model("cnn", pixel_std=[1.0, -1.0])


def test_pixels_are_scaled_and_clipped_in_the_network() -> None:
    plain, images = build_model("cnn", in_channels=2, n_pixels=10), toy_images(4, 0).batch
    scaled = build_model("cnn", in_channels=2, n_pixels=10, pixel_std=[2.0, 4.0], pixel_clip=1.5)
    expected = (plain.images(images) / torch.tensor([2.0, 4.0])[:, None, None]).clamp(-1.5, 1.5)
    assert torch.equal(scaled.images(images), expected)
    dense = torch.ones(1, 2, 10, 10)
    assert torch.equal(scaled.images(dense), dense)  # tensors are taken as they are


def test_coarser_images_are_made_once() -> None:
    model, data = build_model("cnn", in_channels=2, n_pixels=8), toy_images(70, 3)
    seen = as_seen(model, data)
    assert seen.batch.layout.width == 8 and seen.labels.tolist() == data.labels.tolist()
    torch.testing.assert_close(model.images(seen.batch), model.images(data.batch))
    assert as_seen(model, seen) is seen
