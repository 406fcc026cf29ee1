"""The ragged batch: any sequence of select, concatenate, permute and transform keeps each jet's particles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eqviz.data import JetBatch, concatenate
from eqviz.errors import DataError
from eqviz.kinematics import boost_matrix, minkowski_dot, on_shell, random_lorentz, rotation_matrix, transform

quick = settings(max_examples=40, deadline=None)

MULTIPLICITIES = st.lists(st.integers(0, 6), max_size=8)
SEEDS = st.integers(0, 10**6)


def make(lengths: list[int], seed: int = 0, first: int = 0) -> JetBatch:
    """Jets whose constituents carry (jet number, constituent number) as scalars."""
    rng = np.random.default_rng(seed)
    jets = [on_shell(rng.normal(scale=30, size=(n, 4)), 0.1) for n in lengths]
    marks = [np.stack([np.full(n, first + i), np.arange(n)], axis=1) for i, n in enumerate(lengths)]
    n_jets = len(lengths)
    return JetBatch.from_arrays(
        jets,
        labels=np.arange(n_jets) % 3,
        scalars=marks if n_jets else None,
        target=rng.normal(size=(n_jets, 4)),
    )


def same(a: JetBatch, b: JetBatch, tolerance: float = 0.0) -> None:
    for name in ("p4", "offsets", "scalars", "label", "target", "frame"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None:
            torch.testing.assert_close(x, y, rtol=tolerance, atol=tolerance, msg=name)


@quick
@given(MULTIPLICITIES, SEEDS)
def test_arrays_round_trip(lengths, seed):
    batch = make(lengths, seed)
    assert len(batch) == len(lengths) and batch.lengths.tolist() == lengths
    back = JetBatch.from_arrays(batch.arrays(), batch.label, _scalars(batch), batch.target)
    same(back, batch)
    assert batch.p4.dtype == torch.float64 and batch.offsets.dtype == torch.int64


def _scalars(batch: JetBatch) -> list[np.ndarray] | None:
    edges = batch.offsets.tolist()
    parts = [batch.scalars[start:stop].numpy() for start, stop in pairwise(edges)]
    return parts or None


@quick
@given(st.data(), SEEDS)
def test_select_takes_whole_jets_in_order(data, seed):
    lengths = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=8))
    chosen = data.draw(st.lists(st.integers(-len(lengths), len(lengths) - 1), max_size=10))
    batch = make(lengths, seed)
    arrays = batch.arrays()
    picked = batch.select(chosen)
    assert picked.lengths.tolist() == [lengths[i] for i in chosen]
    for array, i in zip(picked.arrays(), chosen):
        np.testing.assert_array_equal(array, arrays[i])
    assert picked.label.tolist() == [batch.label[i] for i in chosen]
    mask = np.isin(np.arange(len(lengths)), chosen)
    same(batch.select(mask), batch.select(np.flatnonzero(mask)))
    same(batch.select(torch.from_numpy(mask)), batch.select(mask.nonzero()[0].tolist()))


@quick
@given(MULTIPLICITIES, MULTIPLICITIES, SEEDS)
def test_concatenate_and_select_are_inverse(left, right, seed):
    a, b = make([1, *left], seed), make([2, *right], seed + 1)
    both = concatenate([a, b])
    same(both.select(range(len(a))), a)
    same(both.select(range(len(a), len(both))), b)
    same(concatenate([a]), a)


@quick
@given(MULTIPLICITIES, SEEDS)
def test_permuting_stays_inside_the_jet(lengths, seed):
    batch = make(lengths, seed)
    mixed = batch.permuted(seed)
    same(mixed, batch.permuted(seed))
    if len(lengths):
        assert torch.equal(mixed.scalars[:, 0].long(), batch.jet_index)
        # the momenta travel with their scalars
        order = (mixed.scalars[:, 1].long() + mixed.offsets[mixed.jet_index]).tolist()
        assert sorted(order) == list(range(len(batch.p4)))
        torch.testing.assert_close(mixed.p4, batch.p4[order], rtol=0, atol=0)
    torch.testing.assert_close(mixed.jet_p4, batch.jet_p4, rtol=1e-12, atol=1e-12)


def test_permuting_moves_something():
    batch = make([30, 30])
    assert not torch.equal(batch.permuted(0).p4, batch.p4)
    assert not torch.equal(batch.permuted(0).p4, batch.permuted(1).p4)


@quick
@given(SEEDS)
def test_transformations_compose(seed):
    rng = np.random.default_rng(seed)
    batch = make([3, 0, 5], seed)
    first, second = random_lorentz(rng, 5.0), random_lorentz(rng, 5.0)
    same(batch.transformed(first).transformed(second), batch.transformed(second @ first), 1e-9)
    back = batch.transformed(first).transformed(np.linalg.inv(first))
    torch.testing.assert_close(back.p4, batch.p4, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(batch.transformed(first).p4, transform(batch.p4.numpy(), first), rtol=1e-12)


@quick
@given(SEEDS)
def test_transformations_and_selection_commute(seed):
    rng = np.random.default_rng(seed)
    batch, matrices = make([3, 1, 5], seed), np.stack([random_lorentz(rng, 3.0) for _ in range(3)])
    chosen = [2, 0]
    same(
        batch.transformed(matrices).select(chosen), batch.select(chosen).transformed(matrices[chosen]), 1e-12
    )


@quick
@given(SEEDS)
def test_reference_vectors_keep_their_products_with_the_jet(seed):
    rng = np.random.default_rng(seed)
    batch, lab = make([4, 2], seed), torch.tensor([[1.0, 0, 0, 1], [1, 0, 0, -1], [1, 0, 0, 0]])
    matrix = random_lorentz(rng, 4.0)

    def products(jets: JetBatch) -> np.ndarray:
        vectors = jets.reference_vectors(lab)[jets.jet_index].numpy()
        return minkowski_dot(jets.p4.numpy()[:, None], vectors)

    np.testing.assert_allclose(products(batch.transformed(matrix)), products(batch), rtol=1e-8, atol=1e-8)
    fixed = batch.transformed(matrix, move_reference=False)
    assert fixed.frame is None
    assert torch.equal(fixed.reference_vectors(lab)[0], lab.double())


def test_frames_join_with_the_lab():
    batch, moved = make([2]), make([3]).transformed(boost_matrix(2.0, "x"))
    frames = concatenate([batch, moved]).frame
    assert torch.equal(frames[0], torch.eye(4, dtype=torch.float64))
    assert torch.equal(frames[1], moved.frame[0])


@quick
@given(MULTIPLICITIES, st.integers(0, 3), SEEDS)
def test_padding_round_trips(lengths, extra, seed):
    batch = make(lengths, seed)
    size = max(lengths, default=0) + extra
    dense, mask = batch.padded(length=size)
    assert dense.shape == (len(lengths), size, 4) and mask.sum(1).tolist() == lengths
    assert torch.equal(dense[mask], batch.p4) and not dense[~mask].any()
    scalars, _ = batch.padded(batch.scalars)
    assert scalars.shape[2] == batch.scalars.shape[1]
    if lengths:
        with pytest.raises(DataError, match="cannot pad"):
            batch.padded(length=max(lengths) - 1) if max(lengths) else batch.padded(length=-1)


def test_moving_to_a_device_keeps_all_fields():
    batch = make([2, 3]).transformed(rotation_matrix(0.3))
    same(batch.to("cpu"), batch)
    assert batch.to("meta").frame.device.type == "meta"


GOOD = [5.0, 0.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"jets": [[[1, 2, 3]]]}, r"expected p4 of shape \(n, 4\).*jet 0"),
        ({"jets": [[GOOD], [5, 0, 3, 4]]}, r"got \(4,\) in jet 1"),
        ({"jets": [["a"]]}, "array of numbers"),
        ({"jets": [[GOOD], [GOOD, [float("nan"), 0, 0, 0]]]}, "finite momenta.*jet 1"),
        ({"jets": [[], [], [[-5, 0, 3, 4]]]}, "energies of 0 or more.*jet 2"),
        ({"jets": [[[4, 0, 3, 4]]]}, "timelike or lightlike"),
        ({"jets": [[GOOD]], "labels": [1, 0]}, "labels of shape"),
        ({"jets": [[GOOD]], "labels": [0.5]}, "integer labels"),
        ({"jets": [[GOOD]], "labels": ["top"]}, "labels of shape"),
        ({"jets": [[GOOD]], "target": [GOOD[:3]]}, "target of shape"),
        ({"jets": [[GOOD]], "target": [[np.inf, 0, 0, 0]]}, "finite target"),
        ({"jets": [[GOOD]], "scalars": [[[1.0], [2.0]]]}, "scalars of shape"),
        ({"jets": [[GOOD]], "scalars": []}, "scalars for 1 jets"),
        ({"jets": [[GOOD]], "scalars": [[[np.nan]]]}, "finite scalars"),
    ],
)
def test_wrong_input_is_named(arguments, message):
    with pytest.raises(DataError, match=message):
        JetBatch.from_arrays(**arguments)


@pytest.mark.parametrize(
    ("index", "message"),
    [([3], "jets 0 to 2"), ([-4], "jets 0 to 2"), ([True, False], "mask of 3"), ([0.5], "integers")],
)
def test_wrong_indices_are_named(index, message):
    with pytest.raises(DataError, match=message):
        make([1, 2, 3]).select(index)


def test_batches_that_do_not_fit_together_are_named():
    labelled, plain = make([2]), JetBatch.from_arrays([[GOOD]])
    with pytest.raises(DataError, match="number of scalars"):
        concatenate([labelled, plain])
    with pytest.raises(DataError, match="label in every batch"):
        concatenate([plain, JetBatch.from_arrays([[GOOD]], labels=[1])])
    with pytest.raises(DataError, match="at least one"):
        concatenate([])


def test_float32_noise_is_not_spacelike():
    p3 = np.random.default_rng(0).normal(scale=50, size=(1000, 3)).astype(np.float32)
    energy = np.linalg.norm(p3, axis=1).astype(np.float32)
    assert len(JetBatch.from_arrays([np.column_stack([energy, p3])])) == 1
