from __future__ import annotations

import warnings

import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups import cyclic, dihedral, o2, so2
from eqviz.groups.planar import image_action


@pytest.fixture(scope="module")
def escnn_group():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("escnn.group")


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8])
def test_finite_groups_agree_with_escnn(escnn_group, n):
    for ours, theirs in (
        (cyclic(n), escnn_group.cyclic_group(n)),
        (dihedral(n), escnn_group.dihedral_group(n)),
    ):
        assert ours.order == theirs.order()
        irreps = ours.irreps(limit=100)
        assert len(irreps) == len(theirs.irreps())
        assert sum(len(c) > 0 for c in ours.conjugacy_classes) >= len(irreps)
        for g, h in zip(ours.elements(), theirs.elements):
            for irrep in irreps:
                assert np.allclose(irrep(g), theirs.irrep(*irrep.label)(h), atol=1e-12), (irrep, g)
            assert np.allclose(ours.regular()(g), theirs.regular_representation(h), atol=1e-12)


def test_continuous_groups_agree_with_escnn(escnn_group):
    theirs = escnn_group.so2_group(5)
    for angle in (0.0, 0.3, -2.0, 6.0):
        for k in range(4):
            expected = theirs.irrep(k)(theirs.element(angle, "radians"))
            assert np.allclose(so2().irrep(k)(so2().rotation(angle)), expected, atol=1e-12)
    theirs = escnn_group.o2_group(5)
    for angle in (0.3, 2.5):
        for irrep in o2().irreps(6):
            for flip in (0, 1):
                g = o2().rotation(angle) * o2().discrete("f", flip)
                expected = theirs.irrep(*irrep.label)(theirs.element((flip, angle), "radians"))
                assert np.allclose(irrep(g), expected, atol=1e-12), irrep


@pytest.mark.parametrize("label", [(3,), (-1,), (1, 1), ("a",), ()])
def test_irreps_that_do_not_exist(label):
    with pytest.raises(ConfigError, match="0 <= k <= 2"):
        cyclic(4).irrep(*label)
    with pytest.raises(ConfigError, match="one-dimensional"):
        dihedral(4).irrep(0, 1)
    with pytest.raises(ConfigError, match="number of rotations"):
        cyclic(0)
    with pytest.raises(ConfigError, match="multiple"):
        cyclic(4).rotation(0.1)


def test_pixels_follow_their_coordinates():
    group = dihedral(4)
    pixels = image_action(group)
    place = np.arange(5.0) - 2
    y, x = np.meshgrid(place, place, indexing="ij")
    for g in group.elements():
        # the coordinate functions, read at the moved pixel, are the inverse matrix applied to (x, y)
        moved = np.stack([pixels.act(g, x), pixels.act(g, y)])
        expected = np.einsum("ij,jhw->ihw", np.linalg.inv(g.matrix), np.stack([x, y]))
        assert np.allclose(moved, expected)
    with pytest.raises(ConfigError, match="quarter turns"):
        image_action(cyclic(3))
    with pytest.raises(ConfigError, match="square"):
        pixels.act(group.identity(), np.zeros((3, 4)))
