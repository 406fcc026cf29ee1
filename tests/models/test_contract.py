"""What every registered model owes, found through the registry."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_helpers import FEW_PARAMETERS, SMALL, jets, logits, small, transformations

from eqviz.data.jets import JetBatch, concatenate
from eqviz.errors import ConfigError, UnknownNameError
from eqviz.models import MODELS, build_model, load_model, n_parameters, save_model
from eqviz.models.base import JetModel

# Originals keep their quirks on purpose; test_published.py says what they owe.
CLEAN = [name for name in MODELS.names() if not MODELS.get(name).original]

pytestmark = pytest.mark.parametrize("name", CLEAN)

TINY = 2
EMPTY = np.zeros((0, 4))
ONE = np.array([[5.0, 3.0, 0.0, 4.0]])


def test_declares_itself(name):
    model, entry = small(name), MODELS.entry(name)
    assert isinstance(model, JetModel)
    assert model.name == name
    assert "arXiv" in entry.reference
    assert model.symmetry
    assert model.config == model.config_class(**vars(model.config))
    assert n_parameters(model) == sum(p.numel() for p in model.parameters())
    with pytest.raises(AttributeError):
        model.config.n_classes = 3  # frozen


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forward_and_backward_are_finite(name, training, dtype):
    model = small(name).to(dtype).train(training)
    batch = concatenate([jets(4), JetBatch.from_arrays([EMPTY, ONE], labels=[0, 1])])
    out = model(batch)
    assert out.shape == (6, 2)
    assert out.dtype == dtype
    assert torch.isfinite(out).all()
    torch.nn.functional.cross_entropy(out, batch.label).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0
    if training:
        assert len(gradients) == sum(1 for _ in model.parameters())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("arrays", [[], [EMPTY], [ONE], [EMPTY, ONE], [np.vstack([ONE, ONE])]], ids=len)
def test_degenerate_batches(name, training, arrays):
    model = small(name).train(training)
    out = model(JetBatch.from_arrays(arrays))
    assert out.shape == (len(arrays), 2)
    assert torch.isfinite(out).all()
    out.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("seed", range(2))
def test_declared_invariance_in_float64(name, seed):
    model, batch = trained_a_little(small(name, seed).double()), jets(8, seed)
    before = logits(model, batch)
    for moved in transformations(model.symmetry, batch, seed):
        torch.testing.assert_close(logits(model, moved), before, rtol=1e-9, atol=1e-9)


def trained_a_little(model):
    """Running statistics and weights away from their initial values, so that invariance is no accident."""
    optimiser = torch.optim.AdamW(model.train().parameters(), lr=1e-2)
    for seed in range(3):
        batch = jets(16, 100 + seed)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(batch), batch.label).backward()
        optimiser.step()
    return model.eval()


def test_an_answer_belongs_to_one_jet(name):
    model, batch = trained_a_little(small(name).double()), jets(7, n_max=20)
    together = logits(model, batch)
    alone = torch.cat([logits(model, batch.select([index])) for index in range(len(batch))])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    order = [4, 0, 6, 2, 1, 5, 3]
    torch.testing.assert_close(logits(model, batch.select(order)), together[order], rtol=1e-12, atol=1e-12)


def test_overfits_64_jets(name):
    if name in FEW_PARAMETERS:
        assert n_parameters(build_model(name)) < 64
        return
    model, batch = small(name, dropout=0.0), jets(64, n_max=10)
    rng = np.random.default_rng(0)
    label = torch.from_numpy(rng.permutation(batch.label.numpy()))  # nothing to learn, only to remember
    optimiser = torch.optim.Adam(model.train().parameters(), lr=1e-2)
    for _ in range(300):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(batch), label)
        loss.backward()
        optimiser.step()
        if float(loss.detach()) < 0.3:
            break
    assert float(loss.detach()) < 0.3, "cannot remember 64 jets"


def test_weights_round_trip(name, tmp_path):
    model = trained_a_little(small(name))
    save_model(model.train(), tmp_path / "w.safetensors")
    loaded = load_model(tmp_path / "w.safetensors")
    assert loaded.config == model.config
    assert not loaded.training
    assert torch.equal(logits(loaded, jets()), logits(model, jets()))
    save_model(model.double(), tmp_path / "w.safetensors")
    assert load_model(tmp_path / "w.safetensors").dtype == torch.float64


def test_seeds_and_defaults(name):
    first, same, other = (small(name, seed) for seed in (0, 0, 1))
    batch = jets()
    assert torch.equal(logits(first, batch), logits(same, batch))
    assert not torch.equal(logits(first, batch), logits(other, batch))


def test_parameters_are_checked(name):
    with pytest.raises(UnknownNameError, match=r"depht.*expected one of:.*n_classes"):
        build_model(name, depht=3)
    with pytest.raises(ConfigError, match=f"expected {name}.n_classes to be int, got 'two'"):
        build_model(name, n_classes="two")
    with pytest.raises(ConfigError, match=f"expected {name}.dropout to be in"):
        build_model(name, dropout=1.5)
    assert logits(build_model(name, **{**SMALL.get(name, {}), "n_classes": 5}), jets(TINY)).shape == (TINY, 5)
