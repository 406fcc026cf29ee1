"""Sparse images: there and back, pooling, files, data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from eqviz.data import ImageBatch, ImageDataset, ImageLayout, load, load_images
from eqviz.data.image_batch import concatenate_images, pooling
from eqviz.data.image_scaling import ImageScaling
from eqviz.data.image_storage import image_column, read_images, write_images
from eqviz.errors import ConfigError, DataError, UnknownNameError

LAYOUT = ImageLayout(("tracks", "HCAL"), ("GeV", "GeV"), 10, 10, (1, 5), pixel=0.0174)
FLAT = ImageLayout(("a", "b"), ("GeV", "ns"), 6, 6, (1, 1), additive=(True, False))


@pytest.fixture
def batch() -> ImageBatch:
    """Three images, the second one empty; a pixel and a tower in the others."""
    value, index = torch.tensor([2.0, 25.0, 3.0, 50.0]), torch.tensor([11, 100 + 3, 99, 100])
    return ImageBatch(LAYOUT, value, index, torch.tensor([0, 2, 2, 4]), torch.tensor([1, 0, 1]))


def test_dense_puts_everything_where_it_belongs(batch: ImageBatch) -> None:
    dense = batch.dense()
    expected = torch.zeros(3, 2, 10, 10)
    expected[0, 0, 1, 1], expected[2, 0, 9, 9] = 2.0, 3.0
    expected[0, 1, 5:, 5:], expected[2, 1, :5, :5] = 1.0, 2.0
    assert torch.equal(dense, expected)
    assert torch.equal(batch.sums(), expected.double().sum((2, 3)))
    assert batch.channel.tolist() == [0, 1, 0, 1]


def test_sparse_there_and_back() -> None:
    rng = np.random.default_rng(0)
    images = np.where(rng.random((5, 2, 6, 6)) < 0.2, rng.normal(size=(5, 2, 6, 6)), 0).astype(np.float32)
    sparse = ImageBatch.from_dense(images, FLAT, labels=[0, 1, 0, 1, 1])
    assert np.array_equal(sparse.dense().numpy(), images)
    assert len(sparse.value) == (images != 0).sum()
    chosen = sparse.select([3, 0, 3])
    assert np.array_equal(chosen.dense().numpy(), images[[3, 0, 3]])
    assert chosen.label.tolist() == [1, 0, 1]
    joined = concatenate_images([sparse.select([0, 1]), sparse.select([2, 3, 4])])
    assert np.array_equal(joined.dense().numpy(), images)
    weak = ImageBatch.from_dense(images, FLAT, threshold=0.5).dense().numpy()
    assert np.array_equal(weak, np.where(np.abs(images) > 0.5, images, 0))


@pytest.mark.parametrize("size", [1, 3, 4, 7, 10])
def test_pooling_keeps_sums_and_symmetries(batch: ImageBatch, size: int) -> None:
    small = batch.dense(size)
    assert torch.allclose(small.sum((2, 3)).double(), batch.sums(), atol=1e-5)
    weights = pooling(125, size)
    assert torch.equal(weights, weights.flip(0, 1))
    assert torch.allclose(weights.sum(0), torch.ones(125, dtype=torch.float64))
    turned = ImageLayout(LAYOUT.channels, LAYOUT.units, 10, 10, (1, 1))
    rotated = ImageBatch.from_dense(batch.dense().rot90(1, (2, 3)), turned).dense(size)
    assert torch.allclose(rotated, small.rot90(1, (2, 3)), atol=1e-6)


def test_times_are_not_summed() -> None:
    with pytest.raises(ConfigError, match="'b': False"):
        ImageBatch.from_dense(np.zeros((1, 2, 6, 6)), FLAT).dense(3)
    with pytest.raises(ConfigError, match="size of 1 to 10"):
        ImageBatch.from_dense(np.zeros((1, 2, 10, 10)), ImageLayout(*_grid(10))).dense(11)


def _grid(n: int) -> tuple[object, ...]:
    return ("a", "b"), ("GeV", "GeV"), n, n, (1, 1)


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        (np.zeros((2, 3, 6, 6)), None, "images of shape"),
        (np.full((1, 2, 6, 6), np.nan), None, "72 NaN"),
        (np.zeros((2, 2, 6, 6)), [0], "2 whole-numbered labels"),
        (np.zeros((1, 2, 6, 6)), [-1], "labels from 0 to 127"),
    ],
)
def test_wrong_images_are_refused(images: np.ndarray, labels: list[int] | None, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        ImageBatch.from_dense(images, FLAT, labels)


def test_wrong_layouts_are_refused() -> None:
    with pytest.raises(ConfigError, match="divide"):
        ImageLayout(("a",), ("GeV",), 10, 10, (3,))
    with pytest.raises(ConfigError, match="one unit"):
        ImageLayout(("a", "b"), ("GeV",), 10, 10, (1, 1))
    assert ImageLayout.from_meta(LAYOUT.as_meta()) == LAYOUT
    with pytest.raises(DataError, match="image grid"):
        ImageLayout.from_meta({"channels": ["a"]})


def test_files_round_trip(batch: ImageBatch, tmp_path: Path) -> None:
    data = ImageDataset(batch, "three", {"class_names": ["gluon", "quark"]})
    data.to_parquet(tmp_path / "x.parquet")
    again = ImageDataset.from_parquet(tmp_path / "x.parquet")
    assert (again.name, again.class_names, again.batch.layout) == ("three", ["gluon", "quark"], LAYOUT)
    assert torch.equal(again.batch.dense(), batch.dense())
    assert again.labels.tolist() == [1, 0, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_stored_values_are_rounded_to_ten_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    images = ImageBatch.from_dense(rng.lognormal(0, 3, (4, 2, 6, 6)), FLAT)
    write_images(tmp_path / "x.parquet", [images, images])
    again, header = read_images(tmp_path / "x.parquet")
    assert header.n_jets == len(again) == 8
    assert np.abs(again.dense().numpy()[:4] / images.dense().numpy() - 1).max() <= 2.0**-11


def test_damaged_files_say_so(batch: ImageBatch, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    ImageDataset(batch).to_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="truncated"):
        ImageDataset.from_parquet(path)
    pq.write_table(pa.table({"label": [1]}), path)
    with pytest.raises(DataError, match="column 'image'"):
        ImageDataset.from_parquet(path)
    for wrong, expected in ((1e6, "pixels 0 to 103"), (np.nan, "NaN")):
        entry = {"index": 10**6, "value": 1.0} if wrong == 1e6 else {"index": 3, "value": wrong}
        spoilt = ImageBatch(
            LAYOUT,
            torch.tensor([entry["value"]]),
            torch.tensor([entry["index"]]),
            torch.tensor([0, 1]),
        )
        write_images(path, [spoilt])
        with pytest.raises(DataError, match=expected):
            ImageDataset.from_parquet(path)
    with pytest.raises(DataError, match="at least one batch"):
        write_images(path, [])
    with pytest.raises(DataError, match="one layout"):
        write_images(path, [batch, ImageBatch.from_dense(np.zeros((1, 2, 6, 6)), FLAT, [0])])


def test_empty_images_are_stored(tmp_path: Path) -> None:
    nothing = ImageBatch.from_dense(np.zeros((3, 2, 6, 6)), FLAT)
    assert len(image_column(nothing)) == 3
    write_images(tmp_path / "x.parquet", [nothing])
    assert read_images(tmp_path / "x.parquet")[0].dense().abs().sum() == 0


def test_a_data_set_has_loaders_and_nested_subsets(batch: ImageBatch) -> None:
    many = ImageDataset(concatenate_images([batch] * 10), "many")
    loader = many.loader(7, shuffle=True, seed=3)
    seen = np.concatenate(list(loader.sampler))
    assert sorted(seen.tolist()) == list(range(30))
    assert sum(len(part) for part in loader) == 30
    in_order = np.concatenate([part.label.numpy() for part in many.loader(4)])
    assert np.array_equal(in_order, many.labels)
    small, large = many.stratified_order(5)[:6], many.stratified_order(5)[:12]
    assert set(small) < set(large)
    assert many.subset(6, seed=5).labels.mean() == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="30 images"):
        many.subset(31, seed=0)


@pytest.mark.parametrize("name", ["qg_sample", "top_images"])
def test_images_and_clouds_of_a_sample_are_the_same_jets(name: str) -> None:
    jets, images = load(name, "val"), load_images(name, "val")
    assert len(jets) == len(images)
    assert np.array_equal(jets.labels, images.labels)
    total = jets.batch.jet_p4[:, 0].numpy()
    seen = images.batch.sums()[:, 1:].sum(1).numpy()  # ECAL and HCAL
    assert np.corrcoef(total, seen)[0, 1] > 0.8
    shuffled = np.random.default_rng(0).permutation(seen)
    assert abs(np.corrcoef(total, shuffled)[0, 1]) < 0.25


def test_names_and_folders(batch: ImageBatch, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        ImageDataset(batch, split).to_parquet(tmp_path / f"{split}.parquet")
    assert load_images(tmp_path, "val").name == "val"
    assert len(load_images(tmp_path / "test.parquet", "test")) == 3
    with pytest.raises(DataError, match="'val'"):
        load_images(tmp_path / "test.parquet", "val")
    with pytest.raises(UnknownNameError, match="egamma"):
        load_images("nothing", "train")
    with pytest.raises(ConfigError, match="split"):
        load_images("egamma", "all")


def test_statistics_in_one_pass_are_those_of_all_pixels(batch: ImageBatch) -> None:
    dense = batch.dense().double()
    scaling = ImageScaling.fit([batch.select([0]), batch.select([1, 2])])
    assert scaling.mean == pytest.approx(dense.mean((0, 2, 3)).tolist())
    assert scaling.std == pytest.approx(dense.std((0, 2, 3), unbiased=False).tolist())
    ready = scaling(batch.dense())
    assert ready.mean((0, 2, 3)).abs().max() < 1e-5
    assert ready.std((0, 2, 3), unbiased=False).tolist() == pytest.approx([1, 1], rel=1e-4)


def test_statistics_of_pooled_images(batch: ImageBatch) -> None:
    small = batch.dense(4).double()
    scaling = ImageScaling.fit(ImageDataset(batch).loader(2), size=4)
    assert scaling.mean == pytest.approx(small.mean((0, 2, 3)).tolist())
    assert scaling.std == pytest.approx(small.std((0, 2, 3), unbiased=False).tolist())


def test_threshold_and_clip() -> None:
    scaling = ImageScaling(mean=(0.0,), std=(0.5,), threshold=0.1, clip=3.0)
    image = torch.tensor([0.05, -0.05, 0.2, 10.0]).view(1, 1, 2, 2)
    assert scaling(image).flatten().tolist() == pytest.approx([0.0, 0.0, 0.4, 3.0])
    faint = ImageBatch.from_dense(np.full((1, 2, 6, 6), 1e-4), FLAT)
    assert ImageScaling.fit([faint]).mean == (0.0, 0.0)
    assert ImageScaling.fit([faint]).std == (1.0, 1.0)
    with pytest.raises(DataError, match="at least one image"):
        ImageScaling.fit([])
    with pytest.raises(DataError, match=r"\(B, 1, H, W\)"):
        scaling(torch.zeros(1, 2, 3, 3))
    with pytest.raises(ConfigError, match="positive std"):
        ImageScaling(mean=(0.0,), std=(0.0,))
