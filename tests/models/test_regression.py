"""Four-momentum regression: covariant, and it learns what a jet's sum cannot give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_helpers import jets

from eqviz.data.jets import JetBatch
from eqviz.errors import CheckpointError, ConfigError, DataError, UnknownNameError
from eqviz.kinematics import boost_matrix, from_ptetaphim, random_lorentz
from eqviz.models import MODELS, load_model, save_model
from eqviz.models.regression import (
    REGRESSORS,
    build_regressor,
    load_regressor,
    momentum_loss,
)

SIZES = {"hidden": 12, "message": 8, "n_blocks": 2, "label_channels": 3}


def small(seed=0, **params):
    torch.manual_seed(seed)
    return build_regressor("pelican-momentum", **{**SIZES, **params})


def answer(model, batch):
    with torch.no_grad():
        return model.eval()(batch)


def test_regressors_are_not_classifiers():
    assert "pelican-momentum" in REGRESSORS.names()
    assert "pelican-momentum" not in MODELS.names()
    with pytest.raises(UnknownNameError, match="unknown regressor 'pelican'"):
        build_regressor("pelican")
    with pytest.raises(ConfigError, match=r"expected pelican-momentum\.hidden to be 1 or more"):
        small(hidden=0)


@pytest.mark.parametrize("reference", ["none", "time+axis"])
@pytest.mark.parametrize("seed", range(2))
def test_covariance_in_float64(reference, seed):
    model, batch = small(seed, reference=reference).double(), jets(6, seed)
    torch.nn.init.normal_(model.head.weight, std=10.0)  # weights far from those of the jet's sum
    rng = np.random.default_rng(seed)
    before = answer(model, batch)
    torch.testing.assert_close(answer(model, batch.permuted(seed)), before, rtol=1e-9, atol=1e-9)
    for matrix in (random_lorentz(rng, 10.0), np.diag([1.0, -1, -1, -1])):
        expected = before @ torch.from_numpy(matrix).T
        scale = float(expected.abs().max())
        moved = answer(model, batch.transformed(matrix))
        torch.testing.assert_close(moved, expected, rtol=0, atol=1e-9 * scale)
    weights = model.weights(batch)
    assert float(weights.detach().std()) > 1e-2


def test_float32_weights_at_high_boosts():
    model, batch = small(), jets(6)
    with torch.no_grad():
        before, after = (model.eval().weights(b) for b in (batch, batch.transformed(boost_matrix(1e3, "x"))))
    assert float(((after - before) / before).abs().median()) <= 1e-5
    assert answer(model, batch).dtype == torch.float64


def test_answers_belong_to_one_jet():
    model, batch = small().double(), jets(5, n_max=20)
    together = answer(model, batch)
    alone = torch.cat([answer(model, batch.select([index])) for index in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-9)
    empty = JetBatch.from_arrays([np.zeros((0, 4)), batch.arrays()[0]])
    torch.testing.assert_close(answer(model, empty)[0], torch.zeros(4, dtype=torch.float64))


def test_weights_round_trip(tmp_path):
    model, path = small(3), tmp_path / "w.safetensors"
    save_model(model, path)
    loaded = load_regressor(path)
    assert loaded.config == model.config
    assert torch.equal(answer(loaded, jets()), answer(model, jets()))
    with pytest.raises(CheckpointError, match="unknown model 'pelican-momentum'"):
        load_model(path)


def boson_jets(n, seed):
    """A heavy prong pair, the target, beside a third prong and soft radiation; massless, in GeV."""
    rng = np.random.default_rng(seed)
    arrays, targets = [], []
    for _ in range(n):
        p4, pair = [], []
        axis = rng.normal(0, 0.2, size=2)
        phi = rng.uniform(-np.pi, np.pi)
        opening = 0.3 * np.array([np.cos(phi), np.sin(phi)])
        for centre, pt, wanted in (
            (opening / 2, 200, True),
            (-opening / 2, 150, True),
            (axis * 3, 250, False),
        ):
            share = rng.dirichlet(np.ones(3)) * pt
            place = centre + rng.normal(0, 0.01, size=(3, 2))
            prong = from_ptetaphim(share, place[:, 0], place[:, 1])
            p4.append(prong)
            if wanted:
                pair.append(prong.sum(0))
        soft = rng.uniform(0.5, 3.0, size=4)
        p4.append(from_ptetaphim(soft, rng.normal(0, 0.4, 4), rng.normal(0, 0.4, 4)))
        arrays.append(np.vstack(p4))
        targets.append(sum(pair))
    return JetBatch.from_arrays(arrays, target=np.array(targets))


def error(predicted, batch):
    """Median over jets of |difference| / E."""
    difference = (predicted - batch.target).norm(dim=1) / batch.target[:, 0]
    return float(difference.median())


def test_it_learns_a_boson_in_a_jet():
    train, test = boson_jets(128, 0), boson_jets(128, 1)
    model = small(n_blocks=2, hidden=20, message=12)
    whole = error(test.jet_p4, test)
    optimiser = torch.optim.Adam(model.train().parameters(), lr=5e-3)
    for step in range(120):
        batch = train.select(np.random.default_rng(step).choice(128, 32, replace=False))
        optimiser.zero_grad()
        momentum_loss(model(batch), batch).backward()
        optimiser.step()
    learned = error(answer(model, test), test)
    assert learned < whole / 3, (learned, whole)
    moved = test.transformed(boost_matrix(3.0, "y"))  # seen only at rest
    assert error(answer(model, moved), moved) < whole / 2


def test_a_loss_needs_targets():
    with pytest.raises(DataError, match="expected a batch with target momenta"):
        momentum_loss(small()(jets(2)), jets(2))
