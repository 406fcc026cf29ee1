from __future__ import annotations

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups import dihedral, lorentz, named_group, simple_algebra, so11, su, su2, symmetric
from eqviz.groups.irrep_names import named_irrep
from eqviz.groups.orbits import component_names, finite_orbit, flow, vector_form
from eqviz.groups.weight_points import root_points, simultaneous_eigenvalues, weight_points


def test_flow_follows_the_exponential() -> None:
    irrep, c = su(3).irrep("6"), np.linspace(-0.4, 0.9, 8)
    found = flow(irrep, c, np.eye(6)[2])
    assert found.at == pytest.approx(np.linalg.norm(c))
    last = irrep.exp((c / found.at * found.parameters[-1]).tolist())
    assert np.allclose(found.states[-1], last[:, 2], atol=1e-11)
    assert np.allclose(found.moved, irrep.exp(c.tolist())[:, 2], atol=1e-12)


def test_spinors_close_after_two_turns() -> None:
    found = flow(su2().irrep("1/2"), [0, 1, 0], [1, 0])
    assert np.allclose(found.states[0], found.states[-1], atol=1e-12)
    assert np.allclose(found.states[len(found.states) // 2], -found.states[0], atol=1e-12)


def test_momenta_are_followed_as_vectors() -> None:
    vector = vector_form(lorentz().irrep("1/2", "1/2"))
    assert component_names(vector) == ["E", "px", "py", "pz"]
    found = flow(vector, [0, 0, 0, 0, 0, 1.0], [1.0, 0, 0, 0])
    assert np.allclose(found.moved, [np.cosh(1), 0, 0, np.sinh(1)])
    assert found.parameters[-1] == 3.0  # rapidity, not an angle
    assert flow(vector, [0, 0, 1.0, 0, 0, 0], [1.0, 0, 0, 0]).parameters[-1] == pytest.approx(4 * np.pi)
    assert vector_form(lorentz().irrep("1/2", 0)).dimension == 2


def test_finite_orbit() -> None:
    states, names = finite_orbit(dihedral(6).irrep(1, 1), [1.0, 0.0])
    assert states.shape == (12, 2) and names[0] == "identity"
    assert len(np.unique(states.round(9), axis=0)) == 6


def test_what_cannot_be_followed() -> None:
    with pytest.raises(ConfigError, match="more than 64"):
        flow(su2().irrep("40"), [0, 0, 1], np.eye(81)[0])
    with pytest.raises(ConfigError, match="coefficients"):
        flow(su2().irrep(1), [0, 1], [1, 0, 0])
    with pytest.raises(ConfigError, match="float64"):
        flow(so11().irrep(2000), [2.0], [1.0])
    with pytest.raises(ConfigError, match="infinitely many"):
        finite_orbit(su2().irrep(1), [1, 0, 0])
    with pytest.raises(ConfigError, match="at most 720"):
        finite_orbit(symmetric(7).irrep(6, 1), np.eye(6)[0])


@pytest.mark.parametrize(
    ("group", "irrep", "points"),
    [
        ("SU(2)", "spin 3/2", [(-1.5, 0), (-0.5, 0), (0.5, 0), (1.5, 0)]),
        ("SO(3)", "l = 1", [(-1, 0), (0, 0), (1, 0)]),
        ("SO+(1,3)", "(1/2, 1/2)", [(-1, 0), (0, -1), (0, 1), (1, 0)]),
        ("SO+(1,3)", "(1/2, 0)", [(-0.5, 0.5), (0.5, -0.5)]),
        ("U(1)", "charge -2", [(-2, 0)]),
        ("SO(2,4)", "6", [(-1, 0), (0, -1), (0, 0), (0, 1), (1, 0)]),  # (0, 0) twice: E and pz
        ("C_4", "irrep 1", [(0, -1), (0, 1)]),
        ("SU(2) x SU(2)", "(1/2, 1/2)", [(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)]),
    ],
)
def test_weights(group: str, irrep: str, points: list[tuple[float, float]]) -> None:
    found = weight_points(named_group(group), named_irrep(named_group(group), irrep))
    assert np.allclose(found.points, points, atol=1e-9)
    assert found.counts.sum() == named_irrep(named_group(group), irrep).dimension


def test_quarks_in_colour_and_isospin() -> None:
    group = named_group("Standard Model")
    found = weight_points(group, named_irrep(group, "(3, 2, charge 1)"))
    assert found.counts.tolist() == [1] * 6 and not found.outlined
    assert "SU(2)" in found.note


def test_roots() -> None:
    for name, count in (("SU(3)", 6), ("G_2", 12), ("E_8", 240)):
        found = root_points(simple_algebra(name))
        assert found.counts.sum() == count
        radii = np.hypot(*found.points.T)
        assert name != "E_8" or len(np.unique(radii.round(6))) == 8  # eight rings of thirty


def test_simultaneous_eigenvalues() -> None:
    rng = np.random.default_rng(1)
    change = rng.normal(size=(4, 4))
    first, second = np.diag([1.0, 1, 2, 2]), np.diag([3.0, 4, 3, 4])
    stack = np.stack([change @ m @ np.linalg.inv(change) for m in (first, second)])
    pairs = simultaneous_eigenvalues(stack).T.real.round(8)
    assert sorted(map(tuple, pairs.tolist())) == [(1, 3), (1, 4), (2, 3), (2, 4)]
