"""Networks of particles along the orbit of a jet: answers flat, node features follow the declared law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import toy_jets

from eqviz.errors import ConfigError
from eqviz.evaluation.jet_orbits import (
    Move,
    compare_nodes,
    jet_orbit,
    moved_jet,
    plain_layers,
    still_jet,
)
from eqviz.kinematics import METRIC
from eqviz.models import build_model

SMALL: dict[str, dict[str, Any]] = {
    "lorentznet": {"n_blocks": 2, "hidden": 8},
    "lgn": {"channels": (2, 3, 2), "n_bells": 3},
    "pelican": {"hidden": 6, "message": 4, "n_blocks": 2, "label_channels": 2},
    "pfn": {"phi": (8, 8), "f": (8,)},
}
GAMMAS = np.array([1.0, 2.0, 10.0, 100.0, 1000.0])


def network(name: str) -> Any:
    torch.manual_seed(1)
    return build_model(name, **SMALL[name]).eval()


JET = toy_jets(3, seed=4, n_max=14).batch.select([1])


@pytest.mark.parametrize("name", ["lorentznet", "pelican", "lgn"])
def test_flat_under_boosts(name: str) -> None:
    found = jet_orbit(network(name), JET, "boost", "random", GAMMAS, dtype="float64")
    scale = np.abs(found.logits[0]).max()
    assert np.ptp(found.logits, axis=0).max() < 1e-9 * scale
    assert np.ptp(found.invariants, axis=0).max() < 1e-9 * np.abs(found.invariants).max()
    single = jet_orbit(network(name), JET, "boost", "x", GAMMAS)
    assert np.ptp(single.logits, axis=0).max() < 1e-4 * scale


def test_a_network_without_the_group_moves() -> None:
    found = jet_orbit(network("pfn"), JET, "boost", "x", GAMMAS)
    assert np.ptp(found.logits, axis=0).max() > 1e-2 * np.abs(found.logits[0]).max()
    shuffled = jet_orbit(network("pfn"), JET, "permutation", "z", dtype="float64")
    assert np.ptp(shuffled.logits, axis=0).max() < 1e-12
    assert max(errors.max() for errors in shuffled.errors.values()) < 1e-12


@pytest.mark.parametrize("name", ["lorentznet", "lgn"])
@pytest.mark.parametrize(
    "move",
    [
        Move("boost", "x", 3.0),
        Move("boost", "random", 2.0),
        Move("rotation", "z", 1.0),
        Move("permutation", "z", 5),
    ],
    ids=str,
)
def test_node_features_follow_the_law(name: str, move: Move) -> None:
    model = network(name)
    before, after = plain_layers(model, still_jet(JET)), plain_layers(model, moved_jet(JET, move))
    assert [layer.name for layer in before] == [layer.name for layer in after] and before
    for layer in before:
        n_scalars, n_vectors = layer.scalars.shape[1], layer.vectors.shape[1]
        assert n_scalars and n_vectors and len(layer.features) == n_scalars + n_vectors
        for feature in (0, n_scalars):
            found = compare_nodes(before, after, JET, move, layer.name, feature)
            assert found.layer_error < 1e-8 and found.gap.shape == (len(JET.p4),)
            assert found.kind == ("scalar" if feature == 0 else "vector")
    vectors = before[-1].vectors
    squares = np.einsum("nvi,ij,nvj->nv", vectors, METRIC, vectors)
    moved = after[-1].vectors
    same = np.einsum("nvi,ij,nvj->nv", moved, METRIC, moved)
    np.testing.assert_allclose(same, squares[move.order(len(JET.p4))], atol=1e-6 * np.abs(vectors).max() ** 2)


def test_the_first_momenta_of_lorentznet_are_those_of_the_jet() -> None:
    layer = plain_layers(network("lorentznet"), still_jet(JET))[0]
    np.testing.assert_allclose(layer.vectors[:, 0], JET.p4.numpy(), rtol=1e-9, atol=1e-9)


def test_scalars_of_a_network_without_the_group_do_not_stay() -> None:
    model, move = network("pfn"), Move("boost", "x", 10.0)
    before, after = plain_layers(model, still_jet(JET)), plain_layers(model, moved_jet(JET, move))
    assert compare_nodes(before, after, JET, move, before[0].name).layer_error > 0.05
    assert plain_layers(network("pelican"), JET) == []


def test_a_full_turn_leads_back() -> None:
    model = network("lorentznet")
    found = jet_orbit(model, JET, "rotation", "random", np.radians([0.0, 180.0, 360.0]), dtype="float64")
    np.testing.assert_allclose(found.logits[-1], found.logits[0], atol=1e-12)
    for means in found.means.values():
        np.testing.assert_allclose(means[-1], means[0], rtol=1e-9, atol=1e-9)
    assert np.abs(found.means["block 2"][1] - found.means["block 2"][0]).max() > 1.0  # GeV


def test_what_is_impossible_is_refused() -> None:
    with pytest.raises(ConfigError, match="Lorentz factor of 1 or larger"):
        Move("boost", "x", 0.5)
    with pytest.raises(ConfigError, match="expected one jet to move, got 3"):
        moved_jet(toy_jets(3).batch, Move())
    layers = plain_layers(network("pfn"), JET)
    with pytest.raises(ConfigError, match="expected a layer of Φ layer 1"):
        compare_nodes(layers, layers, JET, Move(), "block 1")
    with pytest.raises(ConfigError, match="expected a feature from 0 to 7"):
        compare_nodes(layers, layers, JET, Move(), "Φ layer 1", 8)
    assert str(Move("rotation", "z", np.pi)) == "rotation by 180° about the beam (z)"
    assert str(Move()) == "identity" and str(Move("permutation", "z", 2)) == "permutation number 2"
