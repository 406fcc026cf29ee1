from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups import GROUPS, lorentz
from eqviz.groups.base import algebra_residual
from eqviz.groups.clebsch_gordan import clebsch_gordan, intertwiners, intertwining_residual
from eqviz.groups.lorentz_irreps import all_tables, build_tables
from eqviz.groups.rotations import cg_table
from eqviz.kinematics import METRIC, boost_matrix, rotation_matrix

GROUP = lorentz()
FULL = GROUPS.get("O(1,3)")()


def test_matrices_are_those_of_kinematics():
    for axis in ("x", "z", [1.0, -2.0, 0.5]):
        for gamma in (1.0, 1.0 + 1e-12, 2.0, 1e4):
            assert np.allclose(
                GROUP.boost(gamma, axis).matrix, boost_matrix(gamma, axis), rtol=1e-11, atol=1e-9
            )
        assert np.allclose(GROUP.rotation(0.9, axis).matrix, rotation_matrix(0.9, axis), atol=1e-14)
    for g in GROUP.samples(5, seed=1):
        assert np.allclose(g.matrix.T @ METRIC @ g.matrix, METRIC, atol=1e-10)
    assert np.array_equal(FULL.discrete("P").matrix, np.diag([1, -1, -1, -1]))
    assert np.array_equal(FULL.discrete("T").matrix, np.diag([-1, 1, 1, 1]))


def test_spinors():
    gamma, left, right = 3.0, GROUP.irrep("1/2", 0), GROUP.irrep(0, "1/2")
    rapidity = np.arccosh(gamma)
    assert np.allclose(left(GROUP.boost(gamma)), np.diag(np.exp([-rapidity / 2, rapidity / 2])))
    assert np.allclose(right(GROUP.boost(gamma)), np.diag(np.exp([rapidity / 2, -rapidity / 2])))
    assert np.allclose(left(GROUP.rotation(2 * np.pi)), -np.eye(2))
    # p.sigma of a four-momentum transforms as psi_R psi_R^dagger: sigma.(Lambda p) = R (sigma.p) R^dagger
    sigma = np.array([np.eye(2), [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    for g in GROUP.samples(3, seed=2):
        p = np.array([5.0, 1.0, -2.0, 3.0])
        moved = np.einsum("m,mij->ij", g.matrix @ p, sigma)
        assert np.allclose(moved, right(g) @ np.einsum("m,mij->ij", p, sigma) @ right(g).conj().T)


def test_real_and_self_dual_forms_are_the_irreps():
    assert len(intertwiners(GROUP.irrep("1/2", "1/2"), GROUP.vector())) == 1
    for rank in (1, 2, 3):
        form = GROUP.traceless_symmetric(rank)
        assert not form.is_complex and form.dimension == (rank + 1) ** 2
        assert len(intertwiners(GROUP.irrep(rank / 2, rank / 2), form)) == 1
    for sign, label, other in ((1, (1, 0), (0, 1)), (-1, (0, 1), (1, 0))):
        form = GROUP.self_dual(sign)
        assert len(intertwiners(GROUP.irrep(*label), form)) == 1
        assert len(intertwiners(GROUP.irrep(*other), form)) == 0
    field = GROUP.antisymmetric()
    assert not field.is_complex and algebra_residual(field) < 1e-12
    # a boost along x turns an electric field along y into E_y gamma and a magnetic one along z
    fields = field.act(GROUP.boost(2.0, "x"), [0, 1, 0, 0, 0, 0])
    assert np.allclose(np.abs(fields), [0, 2, 0, np.sqrt(3), 0, 0])
    for g in GROUP.samples(2, seed=3):
        moved = GROUP.traceless_symmetric(2)
        p = np.array([4.0, 1.0, 2.0, 0.5])
        tensor = moved.embedding.T @ np.outer(p, p).ravel()
        again = moved.embedding.T @ np.outer(g.matrix @ p, g.matrix @ p).ravel()
        assert np.allclose(moved(g) @ tensor, again)


def test_known_decompositions():
    vector = GROUP.irrep("1/2", "1/2")
    names = [irrep.name for irrep, _ in GROUP.product(vector, vector)]
    assert sorted(names) == ["(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)"]
    vector = FULL.irrep("1/2", "1/2")
    assert len(intertwiners(vector, FULL.vector())) == 1
    names = [irrep.name for irrep, _ in FULL.product(vector, vector)]
    assert names == ["(0, 0)", "(1, 0) + (0, 1)", "(1, 1)"]
    tensor = FULL.irrep(1, 0)
    names = [irrep.name for irrep, _ in FULL.product(tensor, tensor)]
    assert "(0, 0)" in names and "(0, 0) odd P" in names  # F F and F F-dual
    assert len(intertwiners(tensor, FULL.antisymmetric())) == 1


def test_all_tables_up_to_three_halves_are_fast_and_right(tmp_path, monkeypatch):
    monkeypatch.setenv("EQVIZ_CACHE", str(tmp_path))
    cg_table.cache_clear()
    start = perf_counter()
    tables = build_tables(3)
    assert perf_counter() - start < 2.0
    assert len(tables) == _closing(3)
    for key in list(tables)[::37]:
        labels = [part.strip("() ").split(", ") for part in key.replace("->", "x").split(" x ")]
        irreps = [GROUP.irrep(*label) for label in labels]
        assert intertwining_residual(tables[key][None], *irreps) < 1e-12, key
    stored = all_tables("3/2")
    start = perf_counter()
    again = all_tables("3/2")
    assert perf_counter() - start < 1.0
    assert all(
        np.array_equal(stored[key], tables[key]) and np.array_equal(again[key], tables[key]) for key in tables
    )


def _closing(top: int) -> int:
    """Number of triples whose two triangles close, counted from the definition."""
    spins = range(top + 1)
    triples = sum(
        abs(a - b) <= c <= a + b and (a + b + c) % 2 == 0 for a in spins for b in spins for c in spins
    )
    return triples**2


def test_closed_form_is_the_general_solvers_up_to_a_phase():
    irreps = [GROUP.irrep(1, "1/2"), GROUP.irrep("1/2", "1/2"), GROUP.irrep("1/2", 1)]
    ours, general = GROUP.clebsch_gordan(*irreps), clebsch_gordan(*irreps)
    phase = np.vdot(general, ours) / np.linalg.norm(general) ** 2
    assert len(general) == 1 and np.allclose(general * phase, ours, atol=1e-9)


@pytest.mark.parametrize("label", [(1,), (0.3, 0), (-1, 0), ("a", 1), (40, 40)])
def test_irreps_that_do_not_exist(label):
    with pytest.raises(ConfigError):
        GROUP.irrep(*label)


def test_impossible_requests():
    with pytest.raises(ConfigError, match="k >= n"):
        FULL.irrep(0, 1)
    with pytest.raises(ConfigError, match="integer"):
        FULL.irrep("1/2", 0)
    with pytest.raises(ConfigError, match="p = -1 only"):
        FULL.irrep(1, 0, -1, 1)
    with pytest.raises(ConfigError, match="not invariant"):
        FULL.self_dual()
    with pytest.raises(ConfigError, match="gamma >= 1"):
        GROUP.boost(0.5)
    with pytest.raises(ConfigError, match="rank"):
        GROUP.traceless_symmetric(0)
    with pytest.raises(ConfigError, match="at most 3"):
        all_tables(5)
