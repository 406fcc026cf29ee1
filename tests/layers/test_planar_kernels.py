"""Steerable kernels: the constraint at every angle, independence, and escnn's span."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.layers.fields import FieldKind, planar_group
from eqviz.layers.kernels import kernel_table, pixel_grid, rings, wave

PAIRS = [
    ("D4", "trivial", "regular"),
    ("C8", "regular", "regular"),
    ("D8", "regular", "trivial"),
    ("SO(2)", "irrep 1", "irrep 2"),
    ("SO(2)", "quotient 4", "regular 2"),
    ("O(2)", "regular 2", "irrep 1,1"),
    ("O(2)", "trivial", "irrep 1,2"),
]


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize(("group", "out", "come"), PAIRS)
def test_constraint_on_the_grid_and_independence(group, out, come, size):
    out_kind, in_kind, planar = FieldKind(group, out), FieldKind(group, come), planar_group(group)
    kernels = kernel_table(out_kind, in_kind, size).kernels
    assert np.linalg.matrix_rank(kernels.reshape(len(kernels), -1)) == len(kernels)
    np.testing.assert_allclose((kernels**2).sum((1, 2, 3, 4)), out_kind.channels, rtol=1e-12)
    x, y = pixel_grid(size)
    for element in [planar.rotation(np.pi / 2), *([planar.discrete("f")] if group[0] in "DO" else [])]:
        (a, b), (c, d) = np.rint(element.matrix)
        rows, columns = (np.rint(p).astype(int) + size // 2 for p in (c * x + d * y, a * x + b * y))
        rho = [k.reader.T @ k.law(element) @ k.reader for k in (out_kind, in_kind)]
        expected = np.einsum("op,npqyx,iq->noiyx", rho[0], kernels, rho[1])
        np.testing.assert_allclose(kernels[..., rows, columns], expected, atol=1e-12)


def test_waves_turn_at_every_angle():
    x, y = np.random.default_rng(0).normal(size=(2, 7))
    cos, sin = np.cos(0.7), np.sin(0.7)
    for k in (1, 2, 3):
        turned = wave(cos * x - sin * y, sin * x + cos * y, 1.0, 0.6, k)
        law = np.array([[np.cos(0.7 * k), -np.sin(0.7 * k)], [np.sin(0.7 * k), np.cos(0.7 * k)]])
        np.testing.assert_allclose(turned, law @ wave(x, y, 1.0, 0.6, k), atol=1e-12)


@pytest.mark.parametrize(
    ("group", "out", "come"),
    [
        ("C4", "regular", "regular"),
        ("D4", "regular", "trivial"),
        ("D4", "regular", "regular"),
        ("SO(2)", "irrep 1", "irrep 2"),
        ("SO(2)", "irrep 2", "irrep 2"),
    ],
)
@pytest.mark.parametrize("size", [3, 5])
def test_escnn_spans_the_same_kernels(group, out, come, size):
    pytest.importorskip("lie_learn", reason="escnn is not installed")
    from eqviz.layers.steerable import load_escnn, planar_space

    escnn = load_escnn()
    space = planar_space(group) if group != "SO(2)" else escnn.gspaces.rot2dOnR2(-1, maximum_frequency=3)
    theirs = {"trivial": lambda: space.trivial_repr, "regular": lambda: space.regular_repr}
    types = [
        escnn.nn.FieldType(space, [theirs[n]() if n in theirs else space.irrep(int(n.split()[1]))])
        for n in (come, out)
    ]
    convolution = escnn.nn.R2Conv(*types, size, bias=False, initialize=False)
    filters = []
    for one in torch.eye(len(convolution.weights)):
        convolution.weights.data[:] = one
        filters.append(convolution.expand_parameters()[0].detach().double().numpy().ravel())
    # their rows count y downwards, and the elements of a dihedral group come in another order
    shape = (len(filters), types[1].size, types[0].size, size, size)
    places = [_places(space, group) if n == "regular" else slice(None) for n in (out, come)]
    escnns = np.array(filters).reshape(shape)[..., ::-1, :][:, places[0]][:, :, places[1]]
    escnns = escnns.reshape(len(filters), -1)
    ours = kernel_table(FieldKind(group, out), FieldKind(group, come), size).kernels
    ours = ours.reshape(len(ours), -1)
    assert len(ours) == len(escnns)
    together = np.linalg.svd(np.vstack([ours, escnns / np.linalg.norm(escnns, axis=1)[:, None]]))[1]
    assert together[len(ours) - 1] > 1e-2
    assert together[len(ours) :].max() < 1e-5


def _places(space, group):
    """Where escnn keeps each of our elements, recognised by its action on the plane."""
    theirs = [space.basespace_action(element) for element in space.fibergroup.elements]
    return [
        int(np.argmin([np.abs(np.asarray(matrix) - element.matrix).max() for matrix in theirs]))
        for element in planar_group(group).elements()
    ]


def test_rings_and_what_is_refused():
    assert [(r, k) for r, _, k in rings(7)] == [(0.0, 0), (1.0, 2), (2.0, 3), (3.0, 2)]
    with pytest.raises(ConfigError, match="odd kernel size"):
        pixel_grid(4)
    with pytest.raises(ConfigError, match="one group, got C4 and D4"):
        kernel_table(FieldKind("C4", "regular"), FieldKind("D4", "regular"), 3)
    assert len(kernel_table(FieldKind("O(2)", "trivial"), FieldKind("O(2)", "irrep 1,0"), 3)) == 0
    assert not kernel_table(FieldKind("C4", "regular"), FieldKind("C4", "trivial"), 3).kernels.flags.writeable
