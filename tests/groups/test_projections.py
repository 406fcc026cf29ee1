from __future__ import annotations

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups.cartan import parse_type
from eqviz.groups.projections import plane, positions
from eqviz.groups.simple import simple_algebra


@pytest.mark.parametrize("name", ["SU(2)", "SU(3)", "SO(5)", "G_2"])
def test_rank_two_keeps_lengths_and_angles(name):
    algebra = simple_algebra(name)
    weights, _ = algebra.weights(algebra.adjoint())
    points = positions(algebra.type, weights)
    exact = [[float(algebra.type.inner(a, b)) for a in weights.tolist()] for b in weights.tolist()]
    assert np.allclose(points @ points.T, exact)


def test_su3_axes_are_isospin_and_hypercharge():
    up, down, strange = positions(parse_type("SU(3)"), [[1, 0], [-1, 1], [0, -1]])
    assert np.allclose(up, [np.sqrt(2) / 2, np.sqrt(1.5) / 3])
    assert np.allclose(down, [-np.sqrt(2) / 2, np.sqrt(1.5) / 3])
    assert np.allclose(strange, [0, -2 * np.sqrt(1.5) / 3])


@pytest.mark.parametrize(
    ("name", "coxeter"), [("SU(5)", 5), ("SO(8)", 6), ("F_4", 12), ("E_6", 12), ("E_8", 30)]
)
def test_the_coxeter_plane_has_the_coxeter_symmetry(name, coxeter):
    algebra = simple_algebra(name)
    roots, counts = algebra.weights(algebra.adjoint())
    points = positions(algebra.type, roots[counts == 1] if algebra.rank > 1 else roots)
    angle = 2 * np.pi / coxeter
    turned = points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    gaps = np.linalg.norm(points[:, None] - turned[None], axis=-1).min(axis=0)
    assert gaps.max() < 1e-9
    assert plane(algebra.type).shape == (2, algebra.rank)


def test_wrong_rank():
    with pytest.raises(ConfigError, match=r"shape \(n, 2\)"):
        positions(parse_type("SU(3)"), [[1, 0, 0]])
