"""LGN: parameter counts, invariance and its stability in float32, stable products, learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_helpers import jets, logits, small

from eqviz.data import load
from eqviz.errors import ConfigError, DataError
from eqviz.kinematics import boost_matrix, random_axis, random_lorentz
from eqviz.models import build_model, n_parameters


@pytest.fixture(scope="module")
def sample():
    return load("top_sample", "train").batch.select(range(96))


@pytest.fixture(scope="module")
def trained(sample):
    """A few steps on real jets: momenta have come to matter."""
    torch.manual_seed(0)
    model = build_model("lgn", scale=0.03)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(40):
        batch = sample.select(range(step % 3 * 32, step % 3 * 32 + 32))
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(batch), batch.label).backward()
        optimiser.step()
    return model.eval()


def discriminant(model, batch):
    out = logits(model, batch).double()
    return out[:, 1] - out[:, 0]


def boosted(batch, gamma, axis):
    rng = np.random.default_rng(5)
    axes = [random_axis(rng) if axis == "random" else axis for _ in range(len(batch))]
    return batch.transformed(np.stack([boost_matrix(gamma, one) for one in axes]))


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({}, 4523),
        ({"channels": (4, 4, 5, 8), "n_bells": 21}, 4646),
        ({"channels": (5, 6, 7, 6), "n_bells": 17}, 6014),
    ],
)
def test_numbers_of_parameters(params, count):
    assert n_parameters(build_model("lgn", **params)) == count


@pytest.mark.parametrize("params", [{}, {"max_weight": 1}, {"parity": True}, {"momenta_in": False}], ids=str)
@pytest.mark.parametrize("stable", [True, False])
def test_invariance_in_float64(params, stable):
    # larger momenta than by default, so that every product counts at initialisation
    model = small("lgn", 1, scale=0.3, stable=stable, **params).double()
    batch = jets(6)
    before = logits(model, batch)
    moved = batch.transformed(random_lorentz(np.random.default_rng(0), 10.0 if stable else 2.0))
    scale = float(before.abs().max())
    assert float((logits(model, moved) - before).abs().max()) / scale < (1e-9 if stable else 1e-5)
    assert float((logits(model, batch.permuted(3)) - before).abs().max()) / scale < 1e-11
    assert float(before.std(0).max()) > 1e-3 * scale


def test_stable_mode_is_the_same_function():
    model, batch = small("lgn", scale=0.1).double(), jets(6)
    expected = logits(model, batch)
    model.stable = False
    torch.testing.assert_close(logits(model, batch), expected, rtol=1e-6, atol=1e-8)


def test_parity_is_declared_by_an_option(sample):
    mirror = np.diag([1.0, -1.0, -1.0, -1.0])
    batch = sample.select(range(4))
    for parity in (True, False):
        model = small("lgn", 3, scale=0.3, parity=parity).double()
        before, after = logits(model, batch), logits(model, batch.transformed(mirror))
        assert (float((after - before).abs().max()) < 1e-9 * float(before.abs().max())) == parity


@pytest.mark.parametrize("axis", ["z", "random"])
@pytest.mark.parametrize(("gamma", "limit"), [(1e3, 1e-5), (1e4, 1e-4)])
def test_float32_holds_at_high_boosts(trained, sample, axis, gamma, limit):
    torch.manual_seed(2)
    for model in (trained, build_model("lgn", scale=0.03).eval()):
        before = discriminant(model, sample)
        after = discriminant(model, boosted(sample, gamma, axis))
        assert float(((after - before) / before).abs().median()) <= limit


def test_naive_float32_does_not(trained, sample):
    naive = build_model("lgn", scale=0.03, stable=False)
    naive.load_state_dict(trained.state_dict())
    before = discriminant(naive, sample)
    deviation = ((discriminant(naive, boosted(sample, 1e3, "z")) - before) / before).abs()
    assert not float(deviation.median()) < 0.1


def test_products_of_differences_do_not_cancel_in_the_canonical_frame(sample):
    """sum_j f (p_i - p_j) x F_j as a difference of two sums, in float32 against float64."""
    batch = sample.select(range(16))
    model = build_model("lgn", scale=0.03).eval()
    with torch.no_grad():
        found = [network(model, batch, dtype) for dtype in (torch.float32, torch.float64)]
    error = (found[0].double() - found[1]).abs().max() / found[1].abs().max()
    assert float(error) < 1e-5


def network(model, batch, dtype):
    """Features after the first level."""
    model = model.to(dtype)
    start = model.prepare(batch)
    scalars, momenta = model.embed(start.scalars).T[None], start.p4 * model.embed_momenta[:, None]
    return model.levels[0](torch.cat([scalars, momenta]), start.p4, start.norm, start.layout)


def test_training_lowers_the_loss(trained, sample):
    loss = torch.nn.functional.cross_entropy(logits(trained, sample), sample.label)
    assert float(loss) < 0.68  # log 2 = 0.693 says nothing; 40 steps are few


def test_scalars_of_the_batch_enter(sample):
    model = small("lgn", n_scalars=2)
    with pytest.raises(DataError, match=r"expected 2 scalars per constituent \(n_scalars\), got 0"):
        logits(model, jets(2))


def test_impossible_sizes_are_named():
    with pytest.raises(ConfigError, match=r"lgn.channels to be two or more positive numbers, got \(3,\)"):
        build_model("lgn", channels=(3,))
    with pytest.raises(ConfigError, match=r"lgn.max_weight to be 1 to 3, got 4"):
        build_model("lgn", max_weight=4)
