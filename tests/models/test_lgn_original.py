"""LGN as published: reference outputs, features and couplings of the release, padding as trained."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from model_helpers import jets, logits

from eqviz.data.jets import JetBatch
from eqviz.errors import CheckpointError, ConfigError, DataError
from eqviz.models import build_model, load_model, n_parameters, save_model
from eqviz.models.lgn import LGN
from eqviz.models.published.lgn import BEAMS, LGNOriginal, invariants
from eqviz.models.published.lgn_tables import LEVEL_ORDER, canonical_basis, coupling, invariant_metric, terms

SCALE = 0.005


@pytest.fixture(scope="session")
def released(reference_dir):
    """Reference outputs, the batch they belong to, and the padded arrays of the release."""
    table = dict(np.load(reference_dir / "lgn_run1_outputs.npz"))
    mask = table["atom_mask"].astype(bool)
    batch = JetBatch.from_arrays([jet[real][2:] / SCALE for jet, real in zip(table["p4_scaled"], mask)])
    arrays = torch.from_numpy(table["p4_scaled"]), torch.from_numpy(table["scalars"])[..., 0]
    return table, batch, (*arrays, torch.from_numpy(mask))


@pytest.fixture(scope="session")
def network(reference_dir):
    return LGN.from_published(reference_dir / "lgn_run1.pt").double()


def relative(ours, expected):
    expected = torch.as_tensor(expected)
    return float(((ours - expected) / expected).abs().max())


def test_couplings_are_those_of_the_release(reference_dir):
    tables = np.load(reference_dir / "lgn_clebsch_gordan.npz")
    for key in tables:
        first, second, out = (tuple(map(int, pair.split(","))) for pair in re.findall(r"\((\d,\d)\)", key))
        ours = coupling(first, second, out).reshape(tables[key].shape)
        np.testing.assert_allclose(ours, tables[key], atol=1e-12, err_msg=key)
    assert len(list(tables)) == 196


def test_outputs_padded_as_trained(released, network):
    table, _, arrays = released
    with torch.no_grad():
        ours = network.from_padded(*(values[:6] for values in arrays))
    assert relative(ours, table["logits_padded128_f64"][:6]) < 1e-6


def test_outputs_of_each_jet_alone(released, network):
    table, _, (p4, kind, mask) = released
    with torch.no_grad():
        for jet, n in enumerate(mask.sum(1).tolist()):
            ours = network.from_padded(p4[[jet], :n], kind[[jet], :n], mask[[jet], :n])
            assert relative(ours, table["logits_unpadded_f64"][[jet]]) < 1e-6


def test_features_of_one_jet(released, network):
    table, _, (p4, kind, mask) = released
    n = int(mask[0].sum())
    with torch.no_grad():
        levels = network.features(p4[:1, :n], kind[:1, :n], mask[:1, :n])
    names = [key for key in table if key.startswith("jet0_level")]
    assert len(names) == sum(map(len, levels)) == 17
    for name in names:
        level, k, n = map(int, re.findall(r"\d+", name)[1:])
        real, imaginary = table[name]
        expected = torch.from_numpy(real + 1j * imaginary)
        assert float((levels[level][k, n] - expected).abs().max() / expected.abs().max()) < 1e-10, name
    real, imaginary = table["jet0_output_scalars"][..., 0]
    expected = torch.from_numpy(real + 1j * imaginary)
    assert float((invariants(levels) - expected).abs().max() / expected.abs().max()) < 1e-10


def test_a_batch_of_jets_becomes_the_arrays_of_the_release(released, network):
    table, batch, arrays = released
    for ours, expected in zip(network.inputs(batch), arrays, strict=True):
        torch.testing.assert_close(ours, expected.to(ours.dtype), rtol=1e-13, atol=1e-13)
    # masses are the rounding noise of massless momenta: agreement ends where theirs began
    found = logits(network, batch.select([0, 1, 2]))
    np.testing.assert_allclose(found, table["logits_padded128_f64"][:3], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("run", ["run1", "run2_best", "run3", "run4", "run5_best"])
def test_every_release_loads_and_is_saved_as_ours(reference_dir, run, tmp_path):
    network = LGN.from_published(reference_dir / f"lgn_{run}.pt", pad_to=None)
    assert isinstance(network, LGNOriginal)
    assert n_parameters(network) == 6014
    assert not network.training
    save_model(network, tmp_path / "w.safetensors")
    copy = load_model(tmp_path / "w.safetensors")
    assert copy.config == network.config
    batch = jets(4)
    assert torch.equal(logits(copy, batch), logits(network, batch))
    assert torch.isfinite(logits(network, batch)).all()


def test_padding_is_part_of_the_answer(reference_dir):
    batch = jets(4)
    padded, trimmed = (
        logits(LGN.from_published(reference_dir / "lgn_run1.pt", pad_to=size), batch) for size in (128, None)
    )
    assert float((padded - trimmed).abs().min()) > 1e-3


def test_sums_of_products_and_products_of_sums_agree():
    torch.manual_seed(0)
    fast = build_model("lgn-original", channels=(2, 3, 2), pad_to=None).double()
    slow = build_model("lgn-original", channels=(2, 3, 2), pad_to=None, per_pair=True).double()
    slow.load_state_dict(fast.state_dict())
    batch = jets(3)
    outputs = [model(batch) for model in (fast, slow)]
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-10)
    for out in outputs:
        out.square().sum().backward()
    for ours, theirs in zip(fast.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"channels": (2, 3, 4, 3), "momenta_in": False}, 4646),
        ({"channels": (2, 3, 4, 3)}, 5770),
        ({}, 6014),
    ],
)
def test_published_numbers_of_parameters(params, count):
    assert n_parameters(build_model("lgn-original", **params)) == count


def test_masks_of_the_scalars_without_momenta():
    torch.manual_seed(0)
    model = build_model("lgn-original", channels=(2, 2), momenta_in=False, pad_to=20).double()
    p4, kind, mask = model.inputs(jets(2))
    with torch.no_grad():
        first = model.features(p4, kind, mask)[0]
    assert list(first) == [(0, 0)]
    assert not first[0, 0][~mask].any()
    assert p4[0, :2].tolist() == [[SCALE * x for x in beam] for beam in BEAMS]


def test_bases_are_orthogonal_and_forms_invariant():
    for label in LEVEL_ORDER:
        basis, metric = canonical_basis(label), invariant_metric(label)
        np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-14)
        to_scalar = coupling(label, label, (0, 0))[0]  # the same form up to a factor
        factor = (to_scalar * metric).sum() / (metric**2).sum()
        np.testing.assert_allclose(to_scalar, factor * metric, atol=1e-12)
    assert terms(LEVEL_ORDER, ((0, 0), (1, 1)), (2, 0)) == [((2, 0), (0, 0)), ((1, 1), (1, 1))]


def test_bad_input_is_refused(tmp_path):
    with pytest.raises(DataError, match="at most 2 constituents"):
        logits(build_model("lgn-original", pad_to=4), jets(2))
    with pytest.raises(ConfigError, match=r"lgn-original.channels to be two or more"):
        build_model("lgn-original", channels=(2,))
    torch.save({"module.embedding.weight": torch.zeros(72, 2)}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="expected released LGN weights"):
        LGN.from_published(tmp_path / "w.pt")
