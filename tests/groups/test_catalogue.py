"""One suite over all registered groups: what is true of a group is true of every file of the catalogue."""

from __future__ import annotations

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups import GROUPS
from eqviz.groups.base import algebra_residual
from eqviz.groups.clebsch_gordan import intertwiners, intertwining_residual

GROUP_NAMES = GROUPS.names()


@pytest.fixture(params=GROUP_NAMES)
def group(request):
    return GROUPS.get(request.param)()


def representations(group):
    yield group.defining
    yield from group.irreps()
    if group.algebra_dimension:
        yield group.adjoint()
    if group.order is not None and group.order <= 120:
        yield group.regular()
    yield group.defining.dual()
    yield group.defining + group.trivial()
    yield group.defining.conjugate() * group.defining


def test_entry_is_documented(group):
    entry = next(e for e in GROUPS if e.factory().name == group.name)
    assert entry.summary and entry.reference


def test_algebra_closes_and_representations_obey_it(group):
    f = group.structure_constants
    assert np.allclose(f, -f.swapaxes(0, 1), atol=1e-12)
    jacobi = np.einsum("ijl,lkm->ijkm", f, f)
    jacobi = jacobi + jacobi.transpose(1, 2, 0, 3) + jacobi.transpose(2, 0, 1, 3)
    assert np.abs(jacobi).max(initial=0) < 1e-10
    for rep in representations(group):
        assert algebra_residual(rep) < 1e-10, rep


def test_homomorphism(group):
    g, h = group.samples(2, seed=3)
    for rep in representations(group):
        product = rep(g) @ rep(h)
        scale = max(1.0, np.abs(rep(g)).max() * np.abs(rep(h)).max())
        assert np.abs(rep(g * h) - product).max() < 1e-10 * scale, rep
        assert np.abs(rep(g) @ rep(g.inverse()) - np.eye(rep.dimension)).max() < 1e-9 * scale**2, rep
        assert np.allclose(rep(group.identity()), np.eye(rep.dimension))


def test_representations_know_the_adjoint_action(group):
    """rho(g) rho(X) rho(g)^-1 = rho(Ad_g X), with Ad_g taken from the defining matrices alone."""
    for g in group.samples(2, seed=4):
        if not group.algebra_dimension:
            break
        adjoint = group._adjoint_of(g.matrix)
        for rep in representations(group):
            moved = rep(g) @ rep.generators @ rep(g.inverse())
            expected = np.tensordot(adjoint.T, rep.generators, axes=1)
            assert np.abs(moved - expected).max() < 1e-9 * max(1.0, np.abs(moved).max()), rep


def test_words_that_are_one_element_have_one_matrix(group):
    """Relations of the group hold in every representation, not only in the defining one."""
    for h in (group.discrete(i) for i in range(len(group.discrete_names))):
        power = order = 1
        matrix = h.matrix
        while not np.allclose(matrix, np.eye(len(matrix)), atol=1e-9) and order < 60:
            matrix, order = matrix @ h.matrix, order + 1
        for rep in representations(group):
            assert np.allclose(np.linalg.matrix_power(rep(h), order), np.eye(rep.dimension), atol=1e-9), power
        for i in range(group.algebra_dimension):
            step = group.exp(0.3 * np.eye(group.algebra_dimension)[i])
            moved = group.exp(0.3 * (group.adjoint()(h) @ np.eye(group.algebra_dimension)[i]))
            for rep in representations(group):
                assert np.allclose(rep(h) @ rep(step) @ rep(h.inverse()), rep(moved), atol=1e-9), rep


def test_closed_exponential_is_the_exponential_of_the_generators(group):
    from scipy.linalg import expm

    if not group.algebra_dimension:
        pytest.skip("a finite group has no exponential")
    rng = np.random.default_rng(1)
    coefficients = [rng.normal(size=group.algebra_dimension) for _ in range(2)]
    coefficients += list(0.7 * np.eye(group.algebra_dimension))
    for rep in representations(group):
        for c in coefficients:
            assert np.allclose(rep.exp(c), expm(np.tensordot(c, rep.generators, axes=1)), atol=1e-9), rep


def test_irreps_of_compact_groups_are_unitary(group):
    if not group.compact:
        pytest.skip("only the trivial representation of a non-compact simple group is unitary")
    for rep in [group.defining, *group.irreps()]:
        for g in group.samples(2, seed=5):
            assert np.allclose(rep(g).conj().T @ rep(g), np.eye(rep.dimension), atol=1e-10), rep


def test_products_decompose(group):
    """Multiplicities, dimensions, covariance and orthogonality of every coupling of the small irreps."""
    irreps = sorted(group.irreps(), key=lambda irrep: irrep.dimension)[:4]
    for first in irreps:
        for second in irreps:
            parts = group.product(first, second)
            total = sum(count * irrep.dimension for irrep, count in parts)
            assert total == first.dimension * second.dimension, (first, second)
            columns = []
            for third, count in parts:
                table = group.clebsch_gordan(first, second, third)
                # a real irrep of complex type commutes with a second matrix, which doubles its couplings
                assert len(table) == count * len(intertwiners(third, third)), (first, second, third)
                assert intertwining_residual(table, first, second, third) < 1e-10
                columns.append(table.reshape(len(table), total, -1).transpose(1, 0, 2).reshape(total, -1))
            together = np.concatenate(columns, axis=1)
            assert np.linalg.matrix_rank(together, tol=1e-8) == total, (first, second)
            if group.compact and together.shape[1] == total:
                assert np.allclose(together.conj().T @ together, np.eye(total), atol=1e-10), (first, second)


def test_act_is_the_matrix(group):
    rng = np.random.default_rng(0)
    g = group.samples(1, seed=2)[0]
    for rep in representations(group):
        x = rng.normal(size=(3, rep.dimension, 2))
        assert np.allclose(rep.act(g, x, axes=1), np.einsum("ij,bjc->bic", rep(g), x), atol=1e-9), rep


def test_seeded(group):
    first, second = (group.samples(3, seed=8) for _ in range(2))
    assert all(np.array_equal(a.matrix, b.matrix) for a, b in zip(first, second))
    assert [str(a) for a in first] == [str(b) for b in second]


def test_impossible_requests_say_so(group):
    with pytest.raises(ConfigError):
        group.irrep("no such label")
    other = GROUPS.get("C_n")(9)
    with pytest.raises(ConfigError, match=r"S_|C_|SO|O\("):
        group.defining(other.identity())
    with pytest.raises(ConfigError):
        _ = group.defining * other.defining
    with pytest.raises(ConfigError):
        group.defining.act(group.identity(), np.zeros(group.defining.dimension + 1))
