from __future__ import annotations

import numpy as np
import pytest

from eqviz.equivariance import assert_equivariant
from eqviz.errors import ConfigError
from eqviz.groups.clebsch_gordan import intertwiners
from eqviz.groups.conformal import METRIC6, NAMES, conformal, embed, twistor_generators
from eqviz.groups.massless import massless_particle
from eqviz.kinematics import METRIC, boost_matrix

GROUP = conformal()
POINTS = np.random.default_rng(0).normal(size=(6, 4))


def square(x):
    return np.einsum("...i,ij,...j->...", x, METRIC, x)


def test_points_move_as_the_formulas_say():
    act = GROUP.points().act
    a, c = np.array([0.3, -1.0, 0.2, 0.5]), np.array([0.05, 0.1, -0.03, 0.02])
    assert np.allclose(act(GROUP.translation(a), POINTS), POINTS + a)
    assert np.allclose(act(GROUP.dilatation(2.5), POINTS), 2.5 * POINTS)
    x2 = square(POINTS)[:, None]
    special = (POINTS - c * x2) / (1 - 2 * (POINTS @ METRIC @ c)[:, None] + square(c) * x2)
    assert np.allclose(act(GROUP.special(c), POINTS), special)
    rapidity = np.arccosh(2.0)
    boosted = act(GROUP.lorentz([0, 0, 0, 0, 0, rapidity]), POINTS)
    assert np.allclose(boosted, POINTS @ boost_matrix(2.0).T)


def test_light_cones_are_kept():
    act = GROUP.points().act
    for g, h in zip(GROUP.samples(4, seed=1), GROUP.samples(4, seed=2)):
        moved, omega = act(g, POINTS), GROUP.scale_factor(g, POINTS)
        before = square(POINTS[:, None] - POINTS[None])
        assert np.allclose(square(moved[:, None] - moved[None]), omega[:, None] * omega * before, atol=1e-7)
        assert np.allclose(act(g, act(h, POINTS)), act(g * h, POINTS), rtol=1e-6)
        six = embed(POINTS) @ g.matrix.T
        assert np.allclose(np.einsum("...i,ij,...j->...", six, METRIC6, six), 0, atol=1e-8)
    # a cross ratio of four points is invariant, a distance is not
    gaps = [(0, 1, 2, 3), (0, 2, 1, 3)]

    def ratio(x):
        a, b = (square(x[i] - x[j]) * square(x[k] - x[m]) for i, j, k, m in gaps)
        return a / b

    assert_equivariant(ratio, GROUP.points(), None, x=POINTS, rtol=1e-7)
    with pytest.raises(AssertionError):
        assert_equivariant(lambda x: square(x[0] - x[1]), GROUP.points(), None, x=POINTS, rtol=1e-7)


def test_finite_dimensional_irreps():
    assert len(intertwiners(GROUP.irrep(0, 1, 0), GROUP.defining)) == 1
    assert len(intertwiners(GROUP.irrep("15"), GROUP.adjoint())) == 1
    assert len(intertwiners(GROUP.irrep("4"), GROUP.irrep("4bar"))) == 0
    assert np.allclose(GROUP.irrep("4").generators, twistor_generators())
    assert str(GROUP.lorentz_content(GROUP.irrep("6"))) == "(2, 2)(0) + (1, 1)(-2) + (1, 1)(2)"
    # the invariant form of SU(2,2) has signature (2, 2): the group is not compact
    forms = intertwiners(GROUP.irrep("4").conjugate().dual(), GROUP.irrep("4"))
    values = np.linalg.eigvalsh((forms[0] + forms[0].conj().T) / 2)
    values = values if np.abs(values).max() > 1e-6 else np.linalg.eigvalsh(1j * forms[0])
    assert sorted(np.sign(values)) == [-1, -1, 1, 1]


@pytest.mark.parametrize("helicity", [0, "1/2", -1])
def test_massless_particles(helicity):
    particle = massless_particle(helicity, levels=3)
    matrices = np.array([x.toarray() for x in particle.generators])
    inside = particle.level <= 1  # products of two generators leave a level by two
    assert np.allclose(matrices, -matrices.conj().swapaxes(1, 2), atol=1e-12)
    products = np.einsum("iab,jbc->ijac", matrices, matrices)
    expected = np.einsum("ijk,kab->ijab", GROUP.structure_constants, matrices)
    defect = products - products.swapaxes(0, 1) - expected
    assert np.abs(defect[..., inside]).max() < 1e-12
    # E = -i P_t, p = i P, J = i J: momenta are light-like, energies positive, J.p = h E
    energy = -1j * matrices[NAMES.index("Pt")]
    momenta = [1j * matrices[NAMES.index(f"P{a}")] for a in "xyz"]
    spins = [1j * matrices[NAMES.index(f"J{a}")] for a in "xyz"]
    mass = energy @ energy - sum(p @ p for p in momenta)
    assert np.abs(mass[:, inside]).max() < 1e-12
    assert np.linalg.eigvalsh(energy).min() > 0
    lubanski = sum(j @ p for j, p in zip(spins, momenta)) - float(particle.helicity) * energy
    assert np.abs(lubanski[:, inside]).max() < 1e-12


def test_impossible_requests():
    with pytest.raises(ConfigError, match="4 finite numbers"):
        GROUP.translation([1.0, 2.0])
    with pytest.raises(ConfigError, match="positive scale"):
        GROUP.dilatation(-1.0)
    with pytest.raises(ConfigError, match="3 integer Dynkin labels"):
        GROUP.irrep(1, 0)
    with pytest.raises(ConfigError, match="more than 300"):
        GROUP.irrep(4, 2, 1)
    with pytest.raises(ConfigError, match="half-integer helicity"):
        massless_particle(0.3)
    with pytest.raises(ConfigError, match="levels"):
        massless_particle(0, levels=1)
    infinite = GROUP.points().act(GROUP.special([1.0, 0, 0, 0]), np.array([2.0, 1.0, 0, 0]))
    assert not np.isfinite(infinite[:2]).any()
