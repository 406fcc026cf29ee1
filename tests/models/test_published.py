"""Published LorentzNet: released outputs to 1e-9, and an independent plain network, training included."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from model_helpers import jets, logits, small

from eqviz.data.jets import JetBatch
from eqviz.errors import CheckpointError
from eqviz.kinematics import boost_matrix
from eqviz.layers.events import prepare
from eqviz.models import build_model
from eqviz.models.lorentznet import LorentzNet
from eqviz.models.published.lorentznet import PublishedLorentzNet
from eqviz.models.published.weights import _NAMES


@pytest.fixture(scope="session")
def released(reference_dir):
    """Reference outputs, the batch they belong to and the file of weights."""
    table = dict(np.load(reference_dir / "lorentznet_top_outputs.npz"))
    mask = table["mask"]
    batch = JetBatch.from_arrays(
        [jet[real][2:] for jet, real in zip(table["p4"], mask)],
        scalars=[values[real][2:] for values, real in zip(table["scalars"], mask)],
    )
    return table, batch, reference_dir / "lorentznet_top.pt"


def relative(ours, expected):
    expected = torch.from_numpy(expected).double()
    return float(((ours.double() - expected) / expected).abs().max())


def test_outputs_of_a_padded_batch(released):
    table, batch, path = released
    assert relative(logits(LorentzNet.from_published(path).double(), batch), table["logits_f64"]) < 1e-9
    fixed = LorentzNet.from_published(path, pool_size=int(table["n_nodes"])).double()
    assert relative(logits(fixed, batch.select([3, 1])), table["logits_f64"][[3, 1]]) < 1e-9


def test_outputs_of_each_jet_alone(released):
    table, batch, path = released
    model = LorentzNet.from_published(path, pool_size=None).double()
    assert relative(logits(model, batch), table["logits_unpadded_f64"]) < 1e-9
    assert relative(logits(model.float(), batch), table["logits_unpadded_f32"]) < 1e-2


def test_trace_of_one_jet(released):
    table, batch, path = released
    model = LorentzNet.from_published(path).double()
    traced = []
    for block in model.blocks:
        block.register_forward_hook(lambda module, inputs, output: traced.append(output))
    logits(model, batch.select([0]))
    for (h, x), h_expected, x_expected in zip(traced, table["trace_jet0_h"][1:], table["trace_jet0_x"][1:]):
        np.testing.assert_allclose(h, h_expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(x, x_expected, rtol=1e-9, atol=1e-9)
    assert len(traced) == 6


def test_masses_are_computed_where_none_are_given(released):
    table, batch, path = released
    model = LorentzNet.from_published(path).double()
    bare = JetBatch(batch.p4, batch.offsets, batch.scalars[:, :0])
    # noise of massless particles goes through a root: agreement is worse than that of the arithmetic
    assert relative(logits(model, bare), table["logits_f64"]) < 1e-4


def test_float32_pipeline_with_its_own_noise(released):
    table, batch, path = released
    bare = JetBatch(batch.p4, batch.offsets, batch.scalars[:, :0])
    model, expected = LorentzNet.from_published(path), table["logits_f32_f32mass"]
    assert float((logits(model, bare) - torch.from_numpy(expected)).abs().max()) < 1e-2
    assert np.median(np.abs(expected / table["logits_f32"] - 1)) > 0.1  # the noise is no detail


def test_oracle_reproduces_the_release_too(released):
    table, _, path = released
    oracle = PublishedLorentzNet().double().eval()
    state = torch.load(path, map_location="cpu", weights_only=True)
    oracle.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    inputs = (torch.from_numpy(table[key]) for key in ("p4", "scalars", "mask"))
    with torch.no_grad():
        assert relative(oracle(*inputs), table["logits_f64"]) < 1e-9


def test_trained_weights_stay_invariant_in_float32(released):
    _, batch, path = released
    model = LorentzNet.from_published(path, clamp=None, pool_size=None, stable=True)

    def discriminant(batch):
        out = logits(model, batch).double()
        return out[:, 1] - out[:, 0]

    before = discriminant(batch)
    for axis in ("z", "x"):
        for gamma, limit in ((1e3, 1e-5), (1e4, 1e-4)):
            after = discriminant(batch.transformed(boost_matrix(gamma, axis)))
            assert float(((after - before) / before).abs().median()) <= limit


@pytest.fixture
def twins():
    """The plain network and ours with the same weights, without dropout or clamp."""
    torch.manual_seed(0)
    oracle = PublishedLorentzNet(hidden=10, n_blocks=3, clamp=1e30, dropout=0.0).double()
    ours = small("lorentznet", hidden=10, n_blocks=3, dropout=0.0).double()
    ours.load_state_dict(renamed(oracle.state_dict()))
    return oracle, ours


def renamed(table):
    out = {}
    for key, value in table.items():
        for pattern, replacement in _NAMES:
            key = re.sub(pattern, replacement, key)
        out[key] = value
    return out


def dense(model, batch):
    events = prepare(batch, stable=False)
    length = int(events.lengths.max())
    mask = torch.arange(length) < events.lengths[:, None]
    x, scalars = (torch.zeros(*mask.shape, width, dtype=torch.float64) for width in (4, 2))
    x[mask], scalars[mask] = events.p4, model.node_scalars(batch, events)
    return x, scalars, mask


def test_oracle_agrees_on_ragged_batches(twins):
    oracle, ours = twins
    batch = jets(5)
    expected = oracle.eval()(*dense(ours, batch))
    scale = (batch.lengths + 2).double() / (int(batch.lengths.max()) + 2)
    features = logits(ours, batch)
    assert features.shape == expected.shape
    equal = scale == 1  # where the padded length is the jet's own
    torch.testing.assert_close(features[equal], expected[equal].detach(), rtol=1e-9, atol=1e-9)


def test_oracle_agrees_in_training(twins):
    oracle, ours = twins
    batch = JetBatch.from_arrays([jet[:5] for jet in jets(12, n_max=20).arrays() if len(jet) >= 5])
    outputs = oracle.train()(*dense(ours, batch)), ours.train()(batch)
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-9)
    for out in outputs:
        out.square().sum().backward()
    expected = renamed({name: parameter.grad for name, parameter in oracle.named_parameters()})
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-6, atol=1e-10, msg=name)
    theirs = renamed(oracle.state_dict())
    for name, value in ours.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(value, theirs[name], rtol=1e-9, atol=1e-12)


def test_from_published_refuses_other_files(tmp_path):
    path = tmp_path / "weights.pt"
    with pytest.raises(CheckpointError, match="found none"):
        LorentzNet.from_published(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="damaged"):
        LorentzNet.from_published(path)
    torch.save({"module.embedding.weight": torch.zeros(72, 2)}, path)
    with pytest.raises(CheckpointError, match="expected released LorentzNet weights"):
        LorentzNet.from_published(path)
    torch.save({"state": build_model}, path)
    with pytest.raises(CheckpointError, match="not opened"):
        LorentzNet.from_published(path)
    torch.save([torch.zeros(2)], path)
    with pytest.raises(CheckpointError, match="table of tensors"):
        LorentzNet.from_published(path)


def test_from_published_takes_any_size(tmp_path):
    oracle = PublishedLorentzNet(n_scalars=3, hidden=8, n_blocks=2)
    state = {f"module.{key}": value for key, value in oracle.state_dict().items()}
    torch.save(state, tmp_path / "w.pt")
    model = LorentzNet.from_published(tmp_path / "w.pt", dropout=0.0)
    assert (model.config.hidden, model.config.n_blocks, model.config.n_scalars) == (8, 2, 3)
    assert (model.config.clamp, model.config.pool_size, model.stable) == (100.0, "batch", False)
    del state["module.LGEBs.0.phi_m.0.bias"]
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"blocks.0.gate.bias is missing"):
        LorentzNet.from_published(tmp_path / "w.pt")
