"""LorentzLinear, LorentzCG and LGN's level: equivariance, completeness, permutations, round trips."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqviz.equivariance import equivariance_error
from eqviz.errors import ConfigError
from eqviz.layers.lgn_level import CGLevel
from eqviz.layers.lorentz_basis import self_maps, square_couplings, tensor_labels
from eqviz.layers.lorentz_cg import LorentzCG
from eqviz.layers.lorentz_linear import LorentzLinear, LorentzRep
from eqviz.ops.pairs import PairLayout

MANY = {(0, 0): 2, (1, 1): 3, (2, 0): 2, (2, 2): 1}
FEW = {(1, 1): 2, (0, 0): 1, (2, 0): 1, (2, 2): 2}


@pytest.mark.parametrize("parity", [False, True])
def test_linear_is_equivariant(parity):
    torch.manual_seed(0)
    layer = LorentzLinear(LorentzRep(MANY, parity), LorentzRep(FEW, parity)).double()
    torch.nn.init.normal_(layer.bias)
    reps = layer.in_rep.representation, layer.out_rep.representation
    assert equivariance_error(layer, *reps, n_samples=4).max_relative < 1e-9


@pytest.mark.parametrize("parity", [False, True])
def test_products_are_equivariant(parity):
    torch.manual_seed(0)
    reps = [LorentzRep(copies, parity) for copies in (MANY, FEW, MANY)]
    layer = LorentzCG(*reps).double()
    laws = [rep.representation for rep in reps]
    assert equivariance_error(layer, laws[:2], laws[2], n_samples=4).max_relative < 1e-9


def test_the_dual_is_a_linear_map_of_pairs_unless_parity_forbids_it():
    assert [len(self_maps(label)) for label in tensor_labels(2)] == [1, 1, 2, 1]
    assert [len(self_maps(label, True)) for label in tensor_labels(2)] == [1, 1, 1, 1]
    dual = self_maps((2, 0))[1]
    np.testing.assert_allclose(dual @ dual, -np.eye(6), atol=1e-12)


def test_squares_without_what_vanishes():
    counts = {out: len(square_couplings((1, 1), out)) for out in tensor_labels(2)}
    assert counts == {(0, 0): 1, (1, 1): 0, (2, 0): 0, (2, 2): 1}
    table = square_couplings((1, 1), (0, 0))[0, :, :, 0]
    np.testing.assert_allclose(table / table[0, 0], np.diag([1.0, -1, -1, -1]), atol=1e-12)


def test_batches_and_round_trip():
    rep = LorentzRep(MANY)
    layers = [LorentzLinear(rep, rep), LorentzCG(rep, rep, rep)]
    for layer in layers:
        x = torch.randn(5, 4, rep.dimension)
        arguments = (x,) if isinstance(layer, LorentzLinear) else (x, x[:, :1])
        out = layer(*arguments)
        assert out.shape == x.shape
        torch.testing.assert_close(layer(*(value[2] for value in arguments)), out[2])
        copy = type(layer)(*[rep] * (1 + len(arguments)))
        copy.load_state_dict(layer.state_dict())
        assert torch.equal(copy(*arguments), out)
        assert layer(*(value[:0] for value in arguments)).shape == (0, 4, rep.dimension)


@pytest.mark.parametrize("parity", [False, True])
def test_level_is_equivariant(parity):
    """Components first, as the level wants them; momenta, features and norms move together."""
    torch.manual_seed(0)
    labels, channels, layout = tensor_labels(2), 3, PairLayout.build(torch.tensor([3, 2]))
    level = CGLevel(
        labels, labels, channels, 2, n_bells=3, widths=(0.3, 3.0), neighbours=5.0, parity=parity
    ).double()
    rep, vector = LorentzRep(dict.fromkeys(labels, 1), parity), LorentzRep({(1, 1): 1}, parity)
    norm = torch.rand(layout.n_pairs, dtype=torch.float64)
    for tile in layout.tiles:
        dense = tile.pairs(norm)
        dense.copy_(dense + dense.transpose(1, 2))

    def rows(x, p4):  # (S, C, D), (S, 1, 4)
        out = level(x.permute(2, 1, 0).contiguous(), p4.permute(2, 1, 0).contiguous(), norm, layout)
        return out.permute(2, 1, 0)

    generator = torch.Generator().manual_seed(1)
    x = torch.randn(layout.n_slots, channels, rep.dimension, generator=generator, dtype=torch.float64)
    p4 = torch.randn(layout.n_slots, 1, 4, generator=generator, dtype=torch.float64)
    laws = rep.representation, vector.representation
    assert equivariance_error(rows, laws, laws[0], inputs=(x, p4), n_samples=5).max_relative < 1e-9


def test_bad_representations_are_named():
    with pytest.raises(ConfigError, match=r"k \+ n even.*got \(1, 0\)"):
        LorentzRep({(1, 0): 2})
    with pytest.raises(ConfigError, match="positive number of copies"):
        LorentzRep({(1, 1): 0})
    with pytest.raises(ConfigError, match="equal parity"):
        LorentzLinear(LorentzRep(MANY), LorentzRep(MANY, parity=True))
    with pytest.raises(ConfigError, match=r"expected features \(..., 8\)"):
        LorentzLinear(LorentzRep({(1, 1): 2}), LorentzRep(FEW))(torch.zeros(3, 4))
