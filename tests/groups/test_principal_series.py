from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from eqviz.errors import ConfigError
from eqviz.groups import lorentz
from eqviz.groups.base import commutators
from eqviz.groups.principal_series import PrincipalSeries, cartan_decomposition, sphere_basis
from eqviz.groups.rotations import so3
from eqviz.kinematics import boost_matrix, from_ptetaphim

DEGREES = [-1.0, -1.0 + 2.0j, 1.0, 0.0]


def directions(n, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1)[:, None]


def test_harmonics():
    n = directions(6)
    basis = sphere_basis(8, n)
    assert np.allclose(basis[:, 1:4], np.sqrt(3 / (4 * np.pi)) * n[:, [1, 2, 0]])
    # addition theorem, and rotation by the irreps of SO(3)
    for degree in range(9):
        block = basis[:, degree**2 : (degree + 1) ** 2]
        assert np.allclose((block**2).sum(axis=1), (2 * degree + 1) / (4 * np.pi))
    turn = so3().rotation(0.8, [1, 2, 3])
    assert np.allclose(
        sphere_basis(8, n @ turn.matrix.T), basis @ PrincipalSeries(0, 8).rotation(turn.matrix).T
    )
    poles = sphere_basis(5, np.array([[0, 0, 1.0], [0, 0, -1.0]]))
    assert np.isfinite(poles).all()


@pytest.mark.parametrize("degree", DEGREES)
def test_algebra_below_the_edge(degree):
    series = PrincipalSeries(degree, 6)
    x = series.generators()
    defect = commutators(x, x) - np.tensordot(lorentz().structure_constants, x, axes=1)
    assert np.abs(defect[..., series.levels < 6]).max() < 1e-12
    if series.unitary:
        assert np.allclose(x, -x.conj().swapaxes(1, 2), atol=1e-12)


@pytest.mark.parametrize("degree", DEGREES)
def test_boosts_move_functions_on_the_light_cone(degree):
    """Matrix elements against (U F)(p) = F(L^-1 p) at points and against the generator's exponential."""
    series, rapidity = PrincipalSeries(degree, 16), 0.5
    boost = series.boost(rapidity)
    f = np.zeros(series.dimension)
    f[:9] = np.random.default_rng(1).normal(size=9)
    n = directions(5, seed=2)
    p = np.concatenate([np.ones((5, 1)), n], axis=1) @ np.linalg.inv(boost_matrix(np.cosh(rapidity))).T
    exact = p[:, 0] ** degree * (sphere_basis(16, p[:, 1:] / p[:, :1]) @ f)
    assert np.allclose(sphere_basis(16, n) @ (boost @ f), exact, atol=1e-7)
    low = np.ix_(series.levels <= 3, series.levels <= 3)
    assert np.allclose(boost[low], expm(rapidity * series.generators()[5])[low], atol=1e-9)


@pytest.mark.parametrize("degree", DEGREES)
def test_the_truncation_error_is_what_is_lost(degree):
    """The estimate against the norm really found beyond l_max with far more harmonics."""
    many = PrincipalSeries(degree, 40)
    for rapidity in (0.3, 0.7, -1.2):
        boost = many.boost(rapidity)
        for l_max, level in ((6, 1), (10, 2), (14, 3)):
            columns = np.flatnonzero(many.levels == level)
            lost = np.linalg.norm(boost[np.ix_(many.levels > l_max, columns)], axis=0).max()
            estimate = PrincipalSeries(degree, l_max).truncation_error(rapidity, level)
            if lost < 1e-11:  # rounding, or an invariant part that loses nothing
                assert estimate < 1e-10
            else:
                assert 0.8 * lost < estimate < 1.5 * lost, (rapidity, l_max, level)


def test_homomorphism_and_unitarity_within_the_error():
    series = PrincipalSeries(-1.0 + 1.0j, 14)
    g = lorentz().rotation(0.5, "x") * lorentz().boost(1.1, [1.0, 2.0, 0.5])
    h = lorentz().boost(1.05, "y") * lorentz().rotation(2.0, [0.1, 1.0, 1.0])
    low = series.levels <= 2
    product = (series.matrix(g) @ series.matrix(h))[np.ix_(low, low)]
    assert np.allclose(product, series.matrix(g * h)[np.ix_(low, low)], atol=1e-8)
    columns = series.matrix(g)[:, low]
    rapidity = cartan_decomposition(g.matrix)[1]
    loss = series.truncation_error(rapidity, 2)
    assert np.allclose(columns.conj().T @ columns, np.eye(low.sum()), atol=10 * loss**2 + 1e-12)


def test_four_vectors_are_the_invariant_part_of_degree_one():
    series = PrincipalSeries(1.0, 8)
    g = lorentz().samples(1, seed=4)[0]
    matrix = series.matrix(g)
    assert np.abs(matrix[4:, :4]).max() < 1e-10
    # (U F)(p) = F(L^-1 p) with F_a = scale_a p_a, in the order (E, y, z, x)
    scale, order = np.sqrt([1.0, 3.0, 3.0, 3.0]), [0, 2, 3, 1]
    inverse = np.linalg.inv(g.matrix)[np.ix_(order, order)]
    assert np.allclose(matrix[:4, :4], (scale[:, None] * inverse / scale).T, atol=1e-10)
    moments = series.moments([[5.0, 3, 0, 4], [2.0, 0, 2, 0]])
    expected = np.array([7, 2, 4, 3]) * np.sqrt([1, 3, 3, 3]) / np.sqrt(4 * np.pi)
    assert np.allclose(moments[:4], expected)


def test_energy_flow_of_a_boosted_jet():
    rng = np.random.default_rng(3)
    pt, eta, phi = rng.exponential(20.0, 30), rng.normal(0, 0.3, 30), rng.normal(0, 0.3, 30)
    jet = from_ptetaphim(pt, eta, phi)
    g = lorentz().boost(1.2, [1.0, -1.0, 0.5])
    boosted = jet @ g.matrix.T
    errors = []
    for l_max in (6, 10, 16):
        series = PrincipalSeries(1.0, l_max)
        exact = series.moments(boosted)
        got = series.transform_moments(g, series.moments(jet))
        relative = np.abs(got - exact)[:9].max() / np.abs(exact[:9]).max()
        errors.append(relative)
        assert np.allclose(got[:4], exact[:4], rtol=1e-10)  # the total momentum is exact
    assert errors[0] > 1e3 * errors[-1] and errors[-1] < 1e-6


def test_cartan_decomposition():
    for g in [*lorentz().samples(5, seed=1), lorentz().rotation(1.0, "x"), lorentz().identity()]:
        first, rapidity, second = cartan_decomposition(g.matrix)
        for rotation in (first, second):
            assert np.allclose(rotation @ rotation.T, np.eye(3)) and np.isclose(np.linalg.det(rotation), 1)
        whole = [np.eye(4), np.eye(4)]
        whole[0][1:, 1:], whole[1][1:, 1:] = first, second
        assert np.allclose(whole[0] @ boost_matrix(np.cosh(rapidity)) @ whole[1], g.matrix, atol=1e-9)


def test_impossible_requests():
    with pytest.raises(ConfigError, match="l_max"):
        PrincipalSeries(-1, 61)
    with pytest.raises(ConfigError, match="finite degree"):
        PrincipalSeries(float("nan"), 3)
    with pytest.raises(ConfigError, match="rapidity between"):
        PrincipalSeries(-1, 3).boost(7.0)
    with pytest.raises(ConfigError, match="positive energies"):
        PrincipalSeries(-1, 3).moments([[0.0, 0, 0, 0]])
    with pytest.raises(ConfigError, match=r"SO\+\(1,3\)"):
        PrincipalSeries(-1, 3).matrix(so3().identity())
    with pytest.raises(ConfigError, match="level"):
        PrincipalSeries(-1, 3).truncation_error(0.1, 4)
