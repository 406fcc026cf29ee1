from __future__ import annotations

import numpy as np
import pytest

from eqviz.equivariance import assert_equivariant
from eqviz.errors import ConfigError
from eqviz.groups import lorentz
from eqviz.groups.affine import AffineGroup, e2, poincare, se2, se3
from eqviz.groups.rotations import so3


@pytest.mark.parametrize("group", [se2(), e2(), se3(), poincare()], ids=str)
def test_the_group_law(group):
    """(L1, a1)(L2, a2) = (L1 L2, a1 + L1 a2), inverse (L^-1, -L^-1 a)."""
    g, h = group.samples(2, seed=1)
    (l1, a1), (l2, a2), (l3, a3) = (group.split(x) for x in (g, h, g * h))
    assert np.allclose(l3, l1 @ l2) and np.allclose(a3, a1 + l1 @ a2)
    inverse, shift = group.split(g.inverse())
    assert np.allclose(inverse, np.linalg.inv(l1)) and np.allclose(shift, -np.linalg.solve(l1, a1), atol=1e-9)
    x = np.random.default_rng(0).normal(size=(5, group.space_dimension))
    points = group.points()
    assert np.allclose(points.act(g, points.act(h, x)), points.act(g * h, x))
    # translations commute with each other, not with rotations
    steps = np.eye(group.space_dimension)
    t, u = group.translation(steps[0]), group.translation(steps[-1])
    assert np.allclose((t * u).matrix, (u * t).matrix)
    assert not np.allclose((t * g).matrix, (g * t).matrix)


def test_brackets_of_the_poincare_algebra():
    group = poincare()
    names, f = group.generator_names, group.structure_constants

    def bracket(a, b):
        row = f[names.index(a), names.index(b)]
        return {names[k]: round(float(row[k]), 12) for k in np.flatnonzero(np.abs(row) > 1e-12)}

    assert bracket("Jx", "Py") == {"Pz": 1.0} and bracket("Kx", "Pt") == {"Px": 1.0}
    assert (
        bracket("Kx", "Px") == {"Pt": 1.0}
        and bracket("Px", "Py") == {}
        and bracket("Kx", "Ky") == {"Jz": -1.0}
    )


def test_points_and_vectors_in_the_checker():
    group = se3()
    vectors = group.pull_back(so3().defining)
    x = np.random.default_rng(1).normal(size=(6, 3))
    assert_equivariant(lambda p: p - p.mean(axis=0), group.points(), vectors, x=x)
    assert_equivariant(lambda p: p.mean(axis=0), group.points(), group.points(), x=x)
    assert_equivariant(lambda p: np.linalg.norm(p[:, None] - p[None], axis=-1), group.points(), None, x=x)
    with pytest.raises(AssertionError):
        assert_equivariant(lambda p: p.mean(axis=0), group.points(), vectors, x=x)


@pytest.mark.parametrize(
    ("group", "field"), [(se3(), so3().irrep(2)), (poincare(), lorentz().irrep("1/2", "1/2"))]
)
def test_induced_action_is_an_action(group, field):
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(group.space_dimension, field.dimension))

    def f(x):
        return np.sin(x @ weights)

    act = group.induced(field)
    g, h = group.samples(2, seed=5)
    x = rng.normal(size=(4, group.space_dimension))
    assert np.allclose(act(g, act(h, f))(x), act(g * h, f)(x), atol=1e-8)
    moved_back = act(g.inverse(), act(g, f))
    assert np.allclose(moved_back(x), f(x), atol=1e-8)
    # the value at the moved point is the moved value
    moved = act(g, f)(group.points().act(g, x))
    assert np.allclose(moved, field.act(group.linear_part(g), f(x)), atol=1e-8)


def test_impossible_requests():
    group = se2()
    with pytest.raises(ConfigError, match="2 finite numbers"):
        group.translation([1.0, 2.0, 3.0])
    with pytest.raises(ConfigError, match=r"element of SO\(2\)"):
        group.linear(so3().identity())
    with pytest.raises(ConfigError, match=r"representation of SO\(2\)"):
        group.pull_back(so3().irrep(1))
    with pytest.raises(ConfigError, match=r"representation of SO\(2\)"):
        group.induced(so3().irrep(1))
    assert isinstance(group, AffineGroup) and group.algebra_dimension == 3
