from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from eqviz.equivariance import assert_equivariant
from eqviz.errors import ConfigError
from eqviz.groups import cyclic, lorentz, symmetric
from eqviz.groups.branching import remove_nodes
from eqviz.groups.clebsch_gordan import intertwiners
from eqviz.groups.permutation_maps import (
    channel_maps,
    equivariant_basis,
    equivariant_maps,
    equivariant_partitions,
    fill_maps,
    set_partitions,
)
from eqviz.groups.physics import GENERATION, beam, so11, standard_model
from eqviz.groups.product import direct_product
from eqviz.groups.unitary import su


def test_bell_numbers():
    assert [len(list(set_partitions(m))) for m in range(7)] == [1, 1, 2, 5, 15, 52, 203]
    assert len(equivariant_partitions(100, 2, 2)) == 15
    assert len(equivariant_partitions(2, 2, 2)) == 8  # partitions of four indices into at most two sets


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("orders", [(0, 0), (0, 2), (1, 0), (1, 1), (2, 1), (1, 2), (2, 2)])
def test_closed_form_spans_the_null_space(n, orders):
    """The same space, for n smaller than the number of indices, too, as the general solver finds."""
    ours = equivariant_basis(n, *orders)
    source, target = (symmetric(n).tensor(order) for order in orders)
    general = intertwiners(source, target)
    flat, expected = ours.reshape(len(ours), -1), general.reshape(len(general), -1)
    assert np.linalg.matrix_rank(flat) == len(ours) == len(general)
    assert np.linalg.matrix_rank(np.concatenate([flat, expected])) == len(ours)


def test_maps_without_matrices():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 7, 7))  # channels first
    outputs = equivariant_maps(x, 2, 2)
    matrices = equivariant_basis(7, 2, 2)
    assert np.allclose(outputs.reshape(15, 3, 49), np.einsum("aij,cj->aci", matrices, x.reshape(3, 49)))
    assert np.allclose(fill_maps(x[:, 0, 0], 4, 2).shape, (2, 3, 4, 4))
    group = symmetric(40)
    pairs = group.tensor(2).on_axes(-2, -1)
    assert_equivariant(
        lambda t: equivariant_maps(t, 2, 2), pairs, pairs, x=rng.normal(size=(2, 40, 40)), n_samples=2
    )
    nodes = group.defining.on_axes(-1)
    assert_equivariant(
        lambda t: equivariant_maps(t, 1, 2), nodes, pairs, x=rng.normal(size=(2, 40)), n_samples=2
    )


def test_channels_may_carry_another_group():
    group = direct_product(symmetric(4), lorentz())
    vector = lorentz().vector()
    particles, channels = channel_maps(4, 1, 1, vector, vector + vector)
    assert (len(particles), len(channels)) == (2, 2)
    source = group.outer(symmetric(4).defining, vector)
    target = group.outer(symmetric(4).defining, vector + vector)
    assert len(intertwiners(source, target)) == 4
    for p in particles:
        for c in channels:
            matrix = np.kron(p, c)
            assert_equivariant(lambda x, m=matrix: x @ m.T, source, target, n_samples=3)


def test_components_and_laws():
    group = direct_product(lorentz(), cyclic(4), lorentz())
    assert group.generator_names[0] == "Jx[1]" and group.algebra_dimension == 12 and group.order is None
    g, h = group.samples(2, seed=1)
    assert np.allclose((g * h).matrix, g.matrix @ h.matrix)
    parts = [group.component(g, i) for i in range(3)]
    assert np.allclose(group.join(*parts).matrix, g.matrix)
    assert direct_product(cyclic(3), symmetric(3)).order == 18
    rep = group.outer(lorentz().vector(), cyclic(4).irrep(1), lorentz().trivial())
    assert np.allclose(rep(g), np.kron(parts[0].matrix, cyclic(4).irrep(1)(parts[1])))


def test_standard_model_generation():
    group = standard_model()
    irreps = [fermion.irrep() for fermion in GENERATION]
    assert sum(irrep.dimension for irrep in irreps) == 15
    # anomalies cancel: gravity, U(1)^3, SU(2)^2 U(1), SU(3)^2 U(1), SU(3)^3
    y = np.array([float(f.hypercharge) for f in GENERATION])
    size = np.array([irrep.dimension for irrep in irreps])
    colours, isospins = np.array([3, 3, 3, 1, 1]), np.array([2, 1, 1, 2, 1])
    assert abs(np.sum(size * y)) < 1e-12 and abs(np.sum(size * y**3)) < 1e-12
    assert abs(np.sum((isospins == 2) * colours * y)) < 1e-12
    assert abs(np.sum((colours == 3) * isospins * y)) < 1e-12
    assert [f.charges() for f in GENERATION[:2]] == [[Fraction(2, 3), Fraction(-1, 3)], [Fraction(-2, 3)]]
    # the same multiplets inside 5bar + 10 of SU(5), whose integer charge is -6 Y
    branch = remove_nodes("SU(5)", 3)
    found = {name for irrep in ("5bar", "10") for name in branch.branch(irrep).names()}
    expected = {f"({f.colour}, {f.isospin})({int(-6 * f.hypercharge)})" for f in GENERATION}
    assert found == expected
    # a Yukawa coupling Q u^c H exists: the product contains the conjugate Higgs
    q, u = irreps[:2]
    labels = [irrep.label for irrep, _ in group.product(q, u)]
    assert ((0, 0), (1,), (-3,)) in labels


def test_beam_symmetry():
    group = beam()
    g = group.join(so11().boost(0.5), group.factors[1].rotation(0.3))
    assert np.allclose(g.matrix[:2, :2] @ [1, 1], np.exp(0.5) * np.ones(2))
    assert np.isclose(group.irrep(2, 0)(g)[0, 0], np.exp(1.0))
    assert [(i.label, m) for i, m in group.product(group.irrep(1, 1), group.irrep(-1, 1))] == [
        (((0,), (2,)), 1),
        (((0,), (0,)), 2),
    ]


def test_impossible_requests():
    with pytest.raises(ConfigError, match="at least two"):
        direct_product(lorentz())
    with pytest.raises(ConfigError, match="3 labels"):
        standard_model().irrep("3", "2")
    with pytest.raises(ConfigError, match=r"SU\(2\) has no irrep"):
        standard_model().irrep("3", "2bar", 1)
    with pytest.raises(ConfigError, match="one representation per factor"):
        standard_model().outer(su(3).defining)
    with pytest.raises(ConfigError, match="equivariant_maps"):
        equivariant_basis(100, 2, 2)
    with pytest.raises(ConfigError, match="together at most 8"):
        equivariant_basis(3, 5, 4)
    with pytest.raises(ConfigError, match="particle axes"):
        equivariant_maps(np.zeros((3, 4)), 2, 1)
    with pytest.raises(ConfigError, match="fill_maps"):
        equivariant_maps(np.zeros(3), 0, 1)
