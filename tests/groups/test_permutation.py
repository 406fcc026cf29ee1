from __future__ import annotations

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups import symmetric
from eqviz.groups.permutation import hook_length_dimension, partitions


def test_places_and_matrices_tell_the_same():
    group = symmetric(6)
    sigma = [3, 0, 5, 1, 2, 4]
    g = group.permutation(sigma)
    assert group.places(g).tolist() == sigma
    x = np.arange(6.0)
    moved = np.empty(6)
    moved[sigma] = x
    assert np.array_equal(group.defining.act(g, x), moved)
    assert np.array_equal(g.matrix @ x, moved)
    h = group.permutation([1, 2, 3, 4, 5, 0])
    assert group.places(g * h).tolist() == [sigma[i] for i in [1, 2, 3, 4, 5, 0]]


def test_tensors_need_no_matrices():
    group = symmetric(120)
    g = group.samples(1, seed=1)[0]
    pairs = np.random.default_rng(0).normal(size=(120, 120, 3))
    moved = group.tensor(2).act(g, pairs, axes=(0, 1))
    places = group.places(g)
    assert np.array_equal(moved[np.ix_(places, places)], pairs)
    assert np.array_equal(group.tensor(0).act(g, np.ones(1)), np.ones(1))
    with pytest.raises(ConfigError, match="use act"):
        _ = group.tensor(2).discrete_generators


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_irreps_are_complete_and_orthogonal(n):
    group = symmetric(n)
    irreps = group.irreps(limit=100)
    assert sum(irrep.dimension**2 for irrep in irreps) == group.order == len(group.elements())
    assert len(irreps) == len(group.conjugacy_classes)
    characters = np.array([[np.trace(irrep(g)) for g in group.elements()] for irrep in irreps])
    assert np.allclose(characters @ characters.T / group.order, np.eye(len(irreps)), atol=1e-12)


def test_dimensions_and_errors():
    assert hook_length_dimension((3, 2)) == 5
    assert sum(hook_length_dimension(p) ** 2 for p in partitions(7)) == 5040
    for label in [(2, 3), (3, 1), (), (5, 0), (2.5, 2.5)]:
        with pytest.raises(ConfigError, match="partition"):
            symmetric(5).irrep(*label)
    with pytest.raises(ConfigError, match="number of particles"):
        symmetric(0)
    with pytest.raises(ConfigError, match="permutation"):
        symmetric(3).permutation([0, 0, 1])
    with pytest.raises(ConfigError, match="samples"):
        symmetric(9).elements()
