"""The published CMS images in their own formats, whole and spoilt."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eqviz.data import ImageDataset
from eqviz.data.cms_images import convert, is_image_file, iterate, kind_of, read
from eqviz.errors import ConfigError, DataError

N = 21


@pytest.fixture(scope="module")
def jets() -> np.ndarray:
    rng = np.random.default_rng(0)
    images = np.where(rng.random((N, 3, 125, 125)) < 0.01, rng.exponential(3, (N, 3, 125, 125)), 0)
    images[:, 0, 0, 0] = 5e-4  # below the threshold of the published treatment
    return images.astype(np.float32)


def write_jets(path: Path, images: np.ndarray, labels: np.ndarray, **more: object) -> Path:
    """Nested lists, as the published files have them, in row groups of 8."""
    columns = {"X_jets": images.tolist(), "pt": np.full(len(images), 100.0), "m0": np.full(len(images), 20.0)}
    table = pa.table({**columns, "y": labels.astype(float), **more})
    pq.write_table(table, path, row_group_size=8)
    return path


@pytest.fixture(scope="module")
def parquet(jets: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jets(tmp_path_factory.mktemp("cms") / "QCDToGGQQ_IMGjet.parquet", jets, np.arange(N) % 2)


@pytest.fixture
def electrons(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    path = tmp_path / "SingleElectronPt50.hdf5"
    x = np.where(rng.random((9, 32, 32, 2)) < 0.1, rng.normal(size=(9, 32, 32, 2)), 0).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["X"], file["y"] = x, np.ones(9, dtype=np.float32)
    return path


@pytest.mark.parametrize("chunk", [1, 5, 8, 100])
def test_jets_are_read_in_pieces_of_any_size(parquet: Path, jets: np.ndarray, chunk: int) -> None:
    pieces = list(iterate(parquet, chunk=chunk))
    assert max(len(piece) for piece in pieces) <= chunk
    dense = np.concatenate([piece.dense().numpy() for piece in pieces])
    assert np.array_equal(dense, np.where(jets > 1e-3, jets, 0))
    assert np.concatenate([piece.label.numpy() for piece in pieces]).tolist() == (np.arange(N) % 2).tolist()


def test_they_are_converted_with_little_loss(parquet: Path, jets: np.ndarray, tmp_path: Path) -> None:
    target = convert(parquet, tmp_path / "sparse.parquet", chunk=6)
    data = ImageDataset.from_parquet(target)
    assert data.class_names == ["gluon", "quark"]
    assert data.meta["source"] == parquet.name
    assert np.allclose(data.batch.dense().numpy(), np.where(jets > 1e-3, jets, 0), rtol=2.0**-17)
    assert target.stat().st_size < 0.1 * jets.nbytes
    assert len(read(parquet, n_images=10)) == 10
    assert is_image_file(parquet)
    assert not is_image_file(target)


def test_electrons_and_photons_come_from_two_files(electrons: Path, tmp_path: Path) -> None:
    photons = tmp_path / "SinglePhotonPt50.hdf5"
    with h5py.File(electrons) as file, h5py.File(photons, "w") as out:
        out["X"], out["y"] = file["X"][:5], np.zeros(5)
        x = file["X"][:]
    data = read([electrons, photons])
    assert data.labels.tolist() == [1] * 9 + [0] * 5
    assert data.class_names == ["photon", "electron"]
    assert data.batch.layout.channels == ("ECAL", "time")
    kept = np.where(np.abs(x) > 1e-3, x, 0)
    assert np.array_equal(data.batch.dense().numpy()[:9], np.moveaxis(kept, 3, 1))
    assert len(read([electrons, photons], n_images=3)) == 6
    assert len(ImageDataset.from_parquet(convert(electrons, tmp_path / "e.parquet"))) == 9


def test_spoilt_jets_are_refused(jets: np.ndarray, tmp_path: Path, parquet: Path) -> None:
    path, few, labels = tmp_path / "bad.parquet", jets[:2], np.zeros(2)
    whole = parquet.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="truncated"):
        list(iterate(path))
    pq.write_table(pa.table({"X_jets": [[[[1.0]]]]}), path)
    with pytest.raises(DataError, match=r"missing \['y'\]"):
        list(iterate(path))
    spoilt = few.copy()
    spoilt[1, 2, 3, 4] = np.nan
    for images, label, expected in (
        (few[:, :2], labels, r"shape \(3, 125, 125\).*lists of \[2\] at level 0"),
        (few[:, :, :, :100], labels, r"lists of \[100\] at level 2"),
        (spoilt, labels, "images from 0 on: expected finite pixels, got 1 NaN"),
        (few, labels + 3, "labels 0 and 1"),
    ):
        write_jets(path, images, label)
        with pytest.raises(DataError, match=expected):
            list(iterate(path))
    pq.write_table(pa.table({"X_jets": [1.0], "y": [0]}), path)
    with pytest.raises(DataError, match="got double at level 0"):
        list(iterate(path))
    pq.write_table(pa.table({"X_jets": [None, few[0].tolist()], "y": [0, 1]}), path)
    with pytest.raises(DataError, match="1 of them null"):
        list(iterate(path))


def test_spoilt_electrons_are_refused(electrons: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.hdf5"
    path.write_bytes(electrons.read_bytes()[:3000])
    with pytest.raises(DataError, match="not a whole HDF5 file"):
        list(iterate(path))
    for arrays, expected in (
        ({"X": np.zeros((3, 32, 32, 2))}, "'y'"),
        ({"X": np.zeros((3, 2, 32, 32)), "y": np.zeros(3)}, r"\(3, 32, 32, 2\)"),
        ({"X": np.full((3, 32, 32, 2), np.inf), "y": np.zeros(3)}, "finite pixels"),
        ({"a": np.zeros(3)}, r"got \['a'\]"),
    ):
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values
        with pytest.raises(DataError, match=expected):
            list(iterate(path))


def test_other_files_are_named(tmp_path: Path, electrons: Path, parquet: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        list(iterate(tmp_path / "missing.parquet"))
    with pytest.raises(DataError, match=r"\.parquet, \.hdf5"):
        kind_of("images.root")
    with pytest.raises(DataError, match="one kind"):
        read([electrons, parquet])
    with pytest.raises(ConfigError, match="1 image or more"):
        next(iterate(parquet, chunk=0))
