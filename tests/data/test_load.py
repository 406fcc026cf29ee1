"""Loading by name, folder and file."""

from __future__ import annotations

import numpy as np
import pytest

from eqviz.data import DATASETS, SPLITS, JetBatch, JetDataset, load
from eqviz.data.catalogue import SAMPLES
from eqviz.errors import ConfigError, DataError, UnknownNameError


def numbered(n: int, start: int = 0) -> JetDataset:
    """Jets that carry their number as energy; one in five is signal."""
    energies = np.arange(start, start + n) + 1.0
    jets = [[[e, e, 0, 0]] for e in energies]
    return JetDataset(JetBatch.from_arrays(jets, labels=(energies % 5 == 0).astype(int)), "numbered")


def energies(data: JetDataset) -> set[float]:
    return set(data.batch.p4[:, 0].tolist())


@pytest.mark.parametrize("pattern", ["{}.parquet", "mine_{}.parquet"])
def test_a_folder_of_splits(tmp_path, pattern):
    for i, split in enumerate(SPLITS):
        numbered(4, 10 * i).to_parquet(tmp_path / pattern.format(split))
    for i, split in enumerate(SPLITS):
        assert energies(load(tmp_path, split)) == {10 * i + k for k in (1, 2, 3, 4)}
        assert energies(load(str(tmp_path / pattern.format(split)), split)) == energies(load(tmp_path, split))
    with pytest.raises(DataError, match=r"holds 'val'.*give its folder"):
        load(tmp_path / pattern.format("val"), "test")


def test_a_single_file_is_cut_into_disjoint_parts(tmp_path):
    whole = numbered(50)
    whole.to_parquet(tmp_path / "whole.parquet")
    parts = [load(tmp_path / "whole.parquet", split) for split in SPLITS]
    assert [len(part) for part in parts] == [30, 10, 10]
    assert set.union(*map(energies, parts)) == energies(whole)
    assert [part.labels.sum() for part in parts] == [6, 2, 2]
    assert energies(parts[0]) == energies(load(tmp_path / "whole.parquet", "train"))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"expected train\.parquet.*got none"):
        load(tmp_path, "train")
    for name in ("a", "b"):
        numbered(1).to_parquet(tmp_path / f"{name}_train.parquet")
    with pytest.raises(DataError, match="a_train"):
        load(tmp_path, "train")
    with pytest.raises(DataError, match="found nothing"):
        load(tmp_path / "no.parquet", "train")
    with pytest.raises(ConfigError, match="train, val, test"):
        load(tmp_path, "validation")
    with pytest.raises(UnknownNameError, match="Did you mean 'top_sample'"):
        load("top_sampel", "train")


def test_every_entry_says_what_it_is():
    assert "top_sample" in DATASETS
    for entry in DATASETS:
        assert entry.summary and entry.reference


@pytest.mark.parametrize("split", SPLITS)
def test_the_shipped_sample(split):
    if not (SAMPLES / f"top_{split}.parquet").exists():
        pytest.skip("the sample has not been generated yet")
    data = load("top_sample", split)
    assert data.class_names == ["QCD", "top"] and set(data.labels) == {0, 1}
    pt = np.hypot(*data.batch.jet_p4[:, 1:3].numpy().T)
    assert 500 < pt.min() < pt.max() < 700 and data.batch.lengths.min() > 0
