from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups.base import algebra_residual
from eqviz.groups.clebsch_gordan import clebsch_gordan, intertwiners, intertwining_residual
from eqviz.groups.ladder import ladder_couplings, ladder_residual
from eqviz.groups.rotations import cg_table
from eqviz.groups.unitary import su, u1

SU3 = su(3)


def test_fundamental_is_gell_mann():
    half = 1j * SU3.defining.generators
    assert np.allclose(half[0], [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]])
    assert np.allclose(half[6], [[0, 0, 0], [0, 0, -0.5j], [0, 0.5j, 0]])
    assert np.allclose(half[7], np.diag([1, 1, -2]) / np.sqrt(12))
    assert np.allclose(SU3.irrep("3").generators, SU3.defining.generators)
    f = SU3.structure_constants  # [X_a, X_b] = f_abc X_c
    assert (
        np.isclose(f[0, 1, 2], 1) and np.isclose(f[3, 4, 7], np.sqrt(3) / 2) and np.isclose(f[0, 3, 6], 0.5)
    )


@pytest.mark.parametrize(
    ("n", "names"), [(2, "1 2 5"), (3, "3 3bar 6 8 10bar 15' 27"), (4, "6 10 20'"), (5, "24 45")]
)
def test_explicit_irreps(n, names):
    group = su(n)
    for name in names.split():
        irrep = group.irrep(name)
        assert irrep.generators.shape == (n * n - 1, irrep.dimension, irrep.dimension)
        assert ladder_residual(irrep.ladder) < 1e-12
        assert algebra_residual(irrep) < 1e-12
        # trace and Casimir against the exact values of eqviz.groups.simple
        hermitian = 1j * irrep.generators
        index = float(group.algebra.index(irrep.label))
        traces = np.einsum("aij,bji->ab", hermitian, hermitian)
        assert np.allclose(traces, index * np.eye(n * n - 1), atol=1e-10)
        casimir = float(group.algebra.casimir(irrep.label))
        assert np.allclose(np.einsum("aij,ajk->ik", hermitian, hermitian), casimir * np.eye(irrep.dimension))
        # the weights are Freudenthal's
        distinct, counts = np.unique(irrep.ladder.weights, axis=0, return_counts=True)
        weights, multiplicities = group.algebra.weights(irrep.label)
        expected = {tuple(w): c for w, c in zip(weights.tolist(), multiplicities.tolist())}
        assert {tuple(w): c for w, c in zip(distinct.tolist(), counts.tolist())} == expected


def test_the_adjoint_of_the_adjoint():
    assert len(intertwiners(SU3.irrep("8"), SU3.adjoint())) == 1
    g = SU3.samples(1, seed=3)[0]
    assert np.isclose(np.trace(SU3.irrep("8")(g)), abs(np.trace(g.matrix)) ** 2 - 1)


def test_eight_times_eight():
    """Orthonormal, covariant, complete; the symmetric (d) octet comes first, then the antisymmetric (f)."""
    octet, columns = SU3.irrep("8"), []
    for irrep, copies in SU3.product(octet, octet):
        table = SU3.clebsch_gordan(octet, octet, irrep)
        assert len(table) == copies
        assert intertwining_residual(table, octet, octet, irrep) < 1e-10
        signs = {"27": [1], "10": [-1], "10bar": [-1], "8": [1, -1], "1": [1]}[irrep.name]
        for sign, copy in zip(signs, table):
            assert np.allclose(copy, sign * copy.swapaxes(0, 1), atol=1e-12)
        columns.append(table.transpose(1, 2, 0, 3).reshape(64, -1))
    together = np.concatenate(columns, axis=1)
    assert together.shape == (64, 64) and np.allclose(together.T @ together, np.eye(64), atol=1e-12)


@pytest.mark.parametrize(
    ("n", "names"), [(3, ("6", "3bar", "3")), (4, ("15", "6", "10")), (5, ("5bar", "10", "45bar"))]
)
def test_same_space_as_the_general_solver(n, names):
    irreps = [su(n).irrep(name) for name in names]
    ours, general = su(n).clebsch_gordan(*irreps), clebsch_gordan(*irreps)
    assert ours.shape == general.shape and len(ours)
    overlap = np.einsum("aijk,bijk->ab", general.conj(), ours) / irreps[2].dimension
    assert np.allclose(overlap @ overlap.conj().T, np.eye(len(ours)), atol=1e-9)


def test_su2_is_condon_shortley():
    group = su(2)
    for labels in ((3, 2, 3), (1, 4, 3), (2, 2, 0)):
        irreps = [group.irrep(label) for label in labels]
        assert np.allclose(group.clebsch_gordan(*irreps)[0], cg_table(*labels), atol=1e-12)


def test_27_times_27_is_fast_and_unitary():
    start = perf_counter()
    irrep, norm = SU3.irrep("27"), 0.0
    for third, copies in SU3.product(irrep, irrep):
        table = ladder_couplings(irrep.ladder, irrep.ladder, third.ladder, copies)
        gram = np.einsum("aijk,bijl->abkl", table, table)
        expected = np.einsum("ab,kl->abkl", np.eye(copies), np.eye(third.dimension))
        assert np.allclose(gram, expected, atol=1e-11), third
        norm += float(np.sum(table**2))
    assert np.isclose(norm, 27**2)
    assert perf_counter() - start < 20


def test_young_diagrams_and_charges():
    assert SU3.young(2, 1).label == (1, 1)
    assert SU3.young(3, 1, 1).name == SU3.irrep(2, 0).name == "6"
    assert su(5).young(1, 1).name == "10"
    charge = u1().irrep(-2)
    assert np.allclose(charge(u1().phase(0.3)), np.exp(-0.6j))
    assert u1().product(charge, u1().irrep(3))[0][0].label == (1,)


def test_impossible_requests():
    with pytest.raises(ConfigError, match="decreasing order"):
        SU3.young(1, 2)
    with pytest.raises(ConfigError, match="at most 3"):
        SU3.young(1, 1, 1, 1)
    with pytest.raises(ConfigError, match="2 integer Dynkin labels"):
        SU3.irrep(1)
    with pytest.raises(ConfigError, match="dominant"):
        SU3.irrep(1, -1)
    with pytest.raises(ConfigError, match="integer charge"):
        u1().irrep(0.5)
    with pytest.raises(ConfigError, match="2 <= n <= 20"):
        su(1)
    start = perf_counter()
    big = SU3.irrep(30, 30)
    with pytest.raises(ConfigError, match="numbers is more than"):
        SU3.clebsch_gordan(big, big, big)
    with pytest.raises(ConfigError, match="states to write down"):
        _ = big.ladder
    with pytest.raises(ConfigError, match="ladder operators"):
        _ = SU3.irrep(20, 20).generators if False else su(5).irrep(3, 1, 1, 0).generators
    assert perf_counter() - start < 5
