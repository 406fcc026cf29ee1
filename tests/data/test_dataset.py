"""Data sets in memory: subsets, and batches that depend on nothing but seed and epoch."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eqviz.data import JetBatch, JetDataset
from eqviz.errors import ConfigError, DataError


def make(n: int, seed: int = 0, classes: int = 2) -> JetDataset:
    """Jet i has true energy i, so that it can be recognised in any batch."""
    rng = np.random.default_rng(seed)
    lengths = rng.poisson(12, n) * (rng.random(n) > 0.05)
    jets = [np.tile([5.0, 0, 3, 4], (k, 1)) for k in lengths]
    target = np.arange(n)[:, None] * np.ones(4)
    return JetDataset(JetBatch.from_arrays(jets, labels=rng.integers(0, classes, n), target=target), "toy")


def numbers(batches) -> list[list[int]]:
    return [batch.target[:, 0].long().tolist() for batch in batches]


@given(st.integers(0, 70), st.integers(1, 30), st.booleans(), st.booleans(), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_every_jet_comes_once_an_epoch(n, batch_size, shuffle, bucket, epoch):
    data = make(n)
    loader = data.loader(batch_size, shuffle=shuffle, bucket=bucket, seed=5)
    loader.sampler.set_epoch(epoch)
    batches = numbers(loader)
    assert sorted(chain.from_iterable(batches)) == list(range(n))
    assert len(batches) == len(loader) and all(len(batch) <= batch_size for batch in batches)
    assert sum(len(batch) < batch_size for batch in batches) <= 1
    assert batches == [indices.tolist() for indices in loader.sampler]
    if not shuffle and not bucket:
        assert list(chain.from_iterable(batches)) == list(range(n))


def test_order_is_fixed_by_seed_and_epoch():
    data = make(300)

    def order(seed: int, epoch: int) -> list[list[int]]:
        loader = data.loader(16, shuffle=True, seed=seed)
        loader.sampler.set_epoch(epoch)
        return numbers(loader)

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1) != order(2, 1) != order(1, 0)
    assert order(0, 1) != order(1, 0)


def test_buckets_cut_the_padding():
    data = make(3000)

    def padding(**options) -> float:
        batches = list(data.loader(64, seed=3, **options))
        slots = sum(len(batch) * int(batch.lengths.max()) for batch in batches)
        return 1 - len(data.batch.p4) / slots

    plain = padding(shuffle=True, bucket=False)
    assert padding(shuffle=True) < 0.3 * plain
    assert padding(shuffle=False) < 0.2 * plain


def test_batches_hold_the_jets_as_they_are():
    data = make(50)
    for batch, indices in zip(data.loader(8, shuffle=True), data.loader(8, shuffle=True).sampler):
        expected = data.batch.select(indices)
        assert torch.equal(batch.p4, expected.p4) and torch.equal(batch.label, expected.label)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_worker_processes_give_the_same_batches():
    data = make(60)
    alone = numbers(data.loader(8, shuffle=True, seed=1))
    assert numbers(data.loader(8, shuffle=True, seed=1, num_workers=2)) == alone


@given(st.integers(1, 5), st.integers(10, 200), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_subsets_are_nested_and_keep_the_proportions(classes, n, seed):
    data = make(n, seed, classes)
    share = np.bincount(data.labels, minlength=classes) / n
    order = data.stratified_order(seed)
    assert sorted(order) == list(range(n))
    for size in (1, n // 3, n):
        part = data.subset(size, seed)
        assert numbers([part.batch])[0] == order[:size].tolist()
        counts = np.bincount(part.labels, minlength=classes)
        assert np.abs(counts - share * size).max() <= classes
    with pytest.raises(DataError, match="subset of 0 to"):
        data.subset(n + 1, seed)


def test_subsets_depend_on_the_seed():
    data = make(100)
    assert numbers([data.subset(20, 0).batch]) != numbers([data.subset(20, 1).batch])


def test_select_keeps_name_and_meta():
    data = JetDataset(make(5).batch, "mine", {"class_names": ["QCD", "top"], "seed": 3})
    part = data.select([4, 1])
    assert (part.name, part.meta, part.class_names) == (data.name, data.meta, ["QCD", "top"])
    assert numbers([part.batch]) == [[4, 1]] and len(data[2]) == 1 and len(data[[0, 3]]) == 2


def test_jets_without_labels():
    data = JetDataset(JetBatch.from_arrays([[[5, 0, 3, 4]], []]))
    with pytest.raises(DataError, match="jets without any"):
        _ = data.labels
    assert len(data.subset(1, 0)) == 1 and make(3, classes=1).class_names == ["class 0"]


def test_impossible_batches():
    with pytest.raises(ConfigError, match="batch_size"):
        make(3).loader(0)
