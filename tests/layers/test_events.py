"""Nodes with reference vectors of every kind: what comes out, and what is left of it under boosts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import toy_jets

from eqviz.data.jets import JetBatch
from eqviz.errors import DataError
from eqviz.kinematics import boost_matrix, from_ptetaphim, random_lorentz
from eqviz.layers.events import BEAMS, prepare

METRIC = torch.tensor([1.0, -1, -1, -1], dtype=torch.float64)
KINDS = {
    "massive": BEAMS,
    "light-like": ((1.0, 0, 0, 1), (1.0, 0, 0, -1)),
    "time axis and space-like": ((1.0, 0, 0, 0), (0.0, 0, 0, 1)),
    "none": (),
}


def pairs(events):
    """Receiver and sender of all different pairs, in node numbers, and their places in the pair vectors."""
    layout = events.layout
    i, j = (layout.slot_node[index][layout.pair_mask] for index in layout.pair_index)
    return i, j, layout.pair_mask


@pytest.mark.parametrize("beams", KINDS.values(), ids=KINDS.keys())
def test_products_and_frames_agree_with_plain_arithmetic(beams):
    batch = toy_jets(5, 0, 8).batch
    events = prepare(batch, beams)
    assert events.lengths.tolist() == [n + len(beams) for n in batch.lengths.tolist()]
    assert int(events.is_reference.sum()) == len(beams) * len(batch)
    assert torch.equal(events.jet, torch.repeat_interleave(torch.arange(len(batch)), events.lengths))
    i, j, mask = pairs(events)
    dot, norm = (values[mask] for values in events.products(torch.float64))
    naive = prepare(batch, beams, stable=False)
    for p4, tolerance in ((naive.p4, 1e-9), (events.p4, 1e-9)):
        expected = (p4[i] * p4[j] * METRIC).sum(1)
        torch.testing.assert_close(dot, expected, rtol=1e-9, atol=tolerance * 1e2)
        difference = p4[i] - p4[j]
        torch.testing.assert_close(norm, (difference**2 * METRIC).sum(1), rtol=1e-9, atol=1e-6)
    plain = [values[mask] for values in naive.products(torch.float64)]
    torch.testing.assert_close(plain[0], dot, rtol=1e-9, atol=1e-7)
    torch.testing.assert_close(plain[1], norm, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("beams", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("axis", ["x", "z"])
def test_boosts_lose_gamma_and_not_its_square(beams, axis):
    batch = toy_jets(5, 0, 8).batch
    still = prepare(batch, beams)
    i, j, mask = pairs(still)
    # a light-like beam that is boosted away has E = gamma - gamma beta: the frame itself has lost gamma^2
    power = 2 if beams == KINDS["light-like"] and axis == "z" else 1
    for gamma in (10.0, 1e4):
        for sign in (1, -1):
            matrix = boost_matrix(gamma, axis)
            moved = prepare(batch.transformed(matrix if sign > 0 else np.linalg.inv(matrix)), beams)
            for ours, expected in zip(moved.products(torch.float64), still.products(torch.float64)):
                scale = float(expected[mask].abs().median())
                relative = ((ours - expected)[mask].abs() / expected[mask].abs().clamp(min=scale)).max()
                assert float(relative) < 1e-13 * gamma**power
            energies = (moved.p4[:, 0] - still.p4[:, 0]).abs() / still.p4[:, 0].abs().max()
            assert float(energies.max()) < 1e-13 * gamma**power
            in_frame = (moved.p4[i] * moved.p4[j] * METRIC).sum(1)
            again = (still.p4[i] * still.p4[j] * METRIC).sum(1)
            assert float((in_frame - again).abs().max()) < 1e-9 * gamma**power


def test_the_frame_is_at_rest_and_masses_are_exact():
    events = prepare(toy_jets(5, 0, 8).batch)
    total = torch.zeros(5, 4, dtype=torch.float64).index_add(0, events.jet, events.p4)
    assert float((total[:, 1:].abs() / total[:, :1]).max()) < 1e-12
    assert torch.equal(events.mass2 == 0, ~events.is_reference)
    layout = events.layout
    i, j = layout.pair_index
    diagonal = (i == j) & (layout.slot_size[i] > 0)
    dot, norm = events.products(torch.float64)
    expected = events.mass2[layout.slot_node[i[diagonal]]]
    torch.testing.assert_close(dot[diagonal], expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(norm[diagonal], torch.zeros_like(expected), rtol=0, atol=1e-12)


def test_massive_constituents():
    rng = np.random.default_rng(0)
    batch = JetBatch.from_arrays(
        [from_ptetaphim(rng.uniform(1, 50, 6), *rng.normal(0, 0.2, (2, 6)), m=0.5) for _ in range(3)]
    )
    with pytest.raises(DataError, match=r"m / E up to .*massless=False"):
        prepare(batch)
    events = prepare(batch, massless=False)
    moved = prepare(batch.transformed(random_lorentz(rng, 10.0)), massless=False)
    torch.testing.assert_close(events.mass2[~events.is_reference], torch.full((18,), 0.25).double())
    for ours, expected in zip(moved.products(torch.float64), events.products(torch.float64)):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


def test_no_jets_and_empty_jets():
    nobody = prepare(JetBatch.from_arrays([]))
    assert nobody.p4.shape == (0, 4) and nobody.products(torch.float32)[0].shape == (0,)
    empty = prepare(JetBatch.from_arrays([np.zeros((0, 4)), [[1.0, 1, 0, 0]]]))
    assert empty.lengths.tolist() == [2, 3]
    assert torch.isfinite(empty.p4).all()
