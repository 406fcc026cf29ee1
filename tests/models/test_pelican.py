"""PELICAN: published sizes and outputs, the original as oracle, exactness at any boost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_helpers import jets, logits, small

from eqviz.data.jets import JetBatch, concatenate
from eqviz.errors import CheckpointError, ConfigError, DataError
from eqviz.kinematics import boost_matrix, random_axis, random_lorentz
from eqviz.models import build_model, load_model, n_parameters, save_model
from eqviz.models.pelican import SIZES, Pelican
from eqviz.models.published import pelican as published
from eqviz.models.published.pelican import PublishedPelican
from eqviz.models.published.pelican_weights import to_clean

WEIGHTS = "pelican48k_so2.pt"


@pytest.fixture(scope="session")
def released(reference_dir):
    """Reference outputs, the batch that they belong to and the file of weights."""
    table = dict(np.load(reference_dir / "pelican48k_so2_outputs.npz"))
    batch = JetBatch.from_arrays([jet[real][2:] for jet, real in zip(table["p4"], table["mask"])])
    return table, batch, reference_dir / WEIGHTS


def relative(ours, expected):
    expected = torch.from_numpy(expected).double()
    return float(((ours.detach().double() - expected) / expected).abs().max())


def rectified(values):
    return torch.nn.functional.leaky_relu(values, 0.01)


@pytest.mark.parametrize(("size", "count"), [("208k", 208_797), ("48k", 48_482), ("11k", 11_347)])
def test_published_sizes(size, count):
    assert n_parameters(build_model("pelican", **SIZES[size])) == count
    widths = {key: SIZES[size][key] for key in ("hidden", "message")}
    assert n_parameters(build_model("pelican-original", **widths)) == count


def test_sizes_without_reference_vectors():
    assert n_parameters(build_model("pelican", reference="none")) == 48_337
    # quoted as 1k and 326: the quotation does not say which 21 parameters the smallest one lacks
    assert n_parameters(build_model("pelican", **SIZES["1k"])) == 1_560
    assert n_parameters(build_model("pelican", **SIZES["326"])) == 326 + 21


def test_original_reproduces_the_outputs(released):
    table, batch, path = released
    model = Pelican.from_published(path)
    assert isinstance(model, PublishedPelican)
    assert model.dtype == torch.float64
    for start in (0, 4):  # all 15 maps of all channels of many jets at once take much memory
        four = range(start, start + 4)
        assert relative(logits(model, batch.select(four)), table["logits_f64"][start : start + 4]) < 1e-9
    padded = PublishedPelican.from_published(path, pad_to=80)
    assert relative(logits(padded, batch.select([5, 0])), table["logits_unpadded_f64"][[5, 0]]) < 1e-9


def test_original_reproduces_the_intermediates(released):
    table, batch, path = released
    model = PublishedPelican.from_published(path)
    p4, labels, mask = model.dense(batch.select([0]))
    n = mask.sum(1).double()
    pairs = (mask[:, :, None] & mask[:, None])[..., None].double()
    with torch.no_grad():
        steps = [model.inputs(p4, labels, pairs, n)]
        steps.append(model.net2to2(steps[-1], pairs, n))
        steps.append(model.msg_2to0(steps[-1], pairs))
        steps.append(model.agg_2to0(steps[-1], n))
    for step, name in zip(steps, ("inputs", "act1", "act2", "act3")):
        np.testing.assert_allclose(step, table[f"jet0_{name}"], rtol=1e-9, atol=1e-9)


def test_original_reproduces_training_mode(released):
    table, batch, path = released
    model = PublishedPelican.from_published(path, dropout=0.0).train()
    assert relative(model(batch.select(range(8))), table["logits_trainmode_first8_f64"]) < 1e-9
    norm = model.net2to2.message_layers[0].normlayer
    assert relative(norm.running_mean, table["trainmode_running_mean_msg0"]) < 1e-9
    assert relative(norm.running_var, table["trainmode_running_var_msg0"]) < 1e-9


def test_clean_network_takes_the_weights(released):
    table, batch, path = released
    model = Pelican.from_published(path, clean=True)
    assert isinstance(model, Pelican)
    assert relative(rectified(logits(model, batch)), table["logits_f64"]) < 1e-9
    single = logits(model.float(), batch)
    assert relative(rectified(single), table["logits_f64"]) < 1e-2
    assert n_parameters(model) == 48_482


def test_published_weights_survive_saving(released, tmp_path):
    _, batch, path = released
    for clean in (False, True):
        model = Pelican.from_published(path, clean=clean)
        save_model(model, tmp_path / "w.safetensors")
        loaded = load_model(tmp_path / "w.safetensors")
        assert torch.equal(logits(loaded, batch.select(range(3))), logits(model, batch.select(range(3))))


def twins(**sizes):
    """The original without its rectifier and dropout, and ours with its weights, both in float64."""
    torch.manual_seed(0)
    original = build_model("pelican-original", dropout=0.0, rectified=False, **sizes).double()
    own = {key: value for key, value in sizes.items() if key != "n_labels"}
    reference = {"reference": "none"} if sizes.get("n_labels") == 0 else {}
    ours = build_model("pelican", dropout=0.0, **own, **reference).double()
    state = to_clean(original.state_dict())
    ours.load_state_dict(state)
    return original, ours


@pytest.mark.parametrize("n_labels", [3, 0])
def test_oracle_agrees_in_training(monkeypatch, n_labels):
    monkeypatch.setattr(published, "COUNT_DTYPE", torch.float64)
    original, ours = twins(hidden=9, message=5, n_blocks=2, label_channels=2, n_labels=n_labels)
    batch = jets(9, n_max=20)
    outputs = [model.train()(batch) for model in (original, ours)]
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-9)
    for out in outputs:
        out.square().sum().backward()
    expected = to_clean({name: p.grad for name, p in original.named_parameters()})
    for name, parameter in ours.named_parameters():
        scale = float(expected[name].abs().max())
        if name != "pairs.encoding.bias":  # the original has no slope at 0, where light-like p_i.p_i are
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-6, atol=1e-8 * scale, msg=name)
    theirs = to_clean(original.state_dict())
    for name, value in ours.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(value, theirs[name], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(logits(ours, batch), logits(original, batch), rtol=1e-9, atol=1e-9)


def test_label_channels_carry_scalars():
    model = small("pelican", n_scalars=2, reference="beams").double()
    batch = jets(4)
    with pytest.raises(DataError, match="expected 2 scalars per constituent"):
        model(batch)
    values = [np.random.default_rng(0).normal(size=(len(jet), 2)) for jet in batch.arrays()]
    given = JetBatch.from_arrays(batch.arrays(), scalars=values)
    other = JetBatch.from_arrays(batch.arrays(), scalars=[2 * value for value in values])
    assert float((logits(model, given) - logits(model, other)).abs().max()) > 1e-6
    torch.testing.assert_close(logits(model, given.permuted(1)), logits(model, given), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("reference", ["none", "time+axis", "beams"])
@pytest.mark.parametrize("seed", range(2))
def test_lorentz_invariance_in_float64(reference, seed):
    model, batch = small("pelican", seed, reference=reference).double(), jets(6, seed)
    rng = np.random.default_rng(seed)
    parity = np.diag([1.0, -1, -1, -1])
    before = logits(model, batch)
    for matrix in (random_lorentz(rng, 10.0), parity, random_lorentz(rng, 10.0) @ parity):
        after = logits(model, batch.transformed(matrix))
        torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)
    fixed = logits(model, batch.transformed(boost_matrix(2.0, "x"), move_reference=False))
    moved = float((fixed - before).abs().max())
    assert moved < 1e-9 if reference == "none" else moved > 1e-6


def trained(model, steps=5):
    optimiser = torch.optim.AdamW(model.train().parameters(), lr=1e-2)
    for seed in range(steps):
        batch = jets(16, 100 + seed)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(batch), batch.label).backward()
        optimiser.step()
    return model


@pytest.mark.parametrize("steps", [0, 5])
def test_float32_at_high_boosts(steps):
    model, batch = trained(small("pelican", hidden=24, message=14), steps), jets(32, 3, n_max=20)
    rng = np.random.default_rng(0)

    def discriminant(batch):
        out = logits(model, batch).double()
        return out[:, 1] - out[:, 0]

    before = discriminant(batch)
    for gamma, limit in ((1e3, 1e-5), (1e4, 1e-4)):
        for axes in (["z"] * 32, [random_axis(rng) for _ in range(32)]):
            moved = batch.transformed(np.stack([boost_matrix(gamma, axis) for axis in axes]))
            assert float(((discriminant(moved) - before) / before).abs().median()) <= limit
    model.stable = False
    naive = discriminant(batch.transformed(boost_matrix(1e3, "z")))
    assert float(((naive - before) / before).abs().median()) > 1e-3


def test_large_and_small_jets_in_one_batch():
    model = small("pelican").double()
    rng = np.random.default_rng(0)
    p3 = rng.normal(size=(120, 3)) * 20
    large = JetBatch.from_arrays([np.column_stack([np.linalg.norm(p3, axis=1), p3])], labels=[1])
    batch = concatenate([jets(3), large, jets(2, 1)])
    alone = logits(model, large)
    torch.testing.assert_close(logits(model, batch)[3:4], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("pelican", {"hidden": 0}),
        ("pelican", {"message": 0}),
        ("pelican", {"n_blocks": 0}),
        ("pelican", {"n_scalars": -1}),
        ("pelican", {"label_channels": 60}),
        ("pelican", {"slope": 0.0}),
        ("pelican", {"reference": "beam"}),
        ("pelican-original", {"n_labels": 2}),
        ("pelican-original", {"dropout": 1.0}),
    ],
)
def test_impossible_values(name, params):
    with pytest.raises(ConfigError, match=rf"expected {name}\.{next(iter(params))} to be"):
        build_model(name, **params)


def test_from_published_refuses_other_files(tmp_path):
    path = tmp_path / "weights.pt"
    with pytest.raises(CheckpointError, match="found none"):
        Pelican.from_published(path)
    torch.save({"linear.weight": torch.zeros(50, 1)}, path)
    with pytest.raises(CheckpointError, match="expected PELICAN weights"):
        Pelican.from_published(path)
    original = build_model("pelican-original", hidden=9, message=5, n_blocks=2, n_labels=0)
    state = original.state_dict()
    torch.save(state, path)
    assert Pelican.from_published(path).config.n_labels == 0
    assert Pelican.from_published(path, clean=True).config.reference == "none"
    del state["msg_2to0.normlayer.running_mean"]
    torch.save(state, path)
    for clean in (False, True):
        with pytest.raises(CheckpointError, match="running_mean is missing"):
            Pelican.from_published(path, clean=clean)
