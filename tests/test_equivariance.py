from __future__ import annotations

import numpy as np
import pytest
import torch

from eqviz.data.jets import JetBatch
from eqviz.equivariance import assert_equivariant, equivariance_error
from eqviz.errors import ConfigError
from eqviz.groups import GROUPS, Action, cyclic, dihedral, lorentz, o2, symmetric
from eqviz.groups.planar import image_action

METRIC = np.diag([1.0, -1.0, -1.0, -1.0])
VECTOR = lorentz().vector()


def square(p):
    return np.einsum("...i,ij,...j->...", p, METRIC, p)[..., None]


def test_invariant_and_equivariant_functions_pass():
    assert_equivariant(square, VECTOR, None)
    assert_equivariant(square, VECTOR, lorentz().scalar())
    table = assert_equivariant(lambda p: p * np.tanh(square(p)), VECTOR, VECTOR, n_samples=7)
    assert len(table.rows) == 7
    assert table.max_relative < 1e-12 and table.median_relative <= table.max_relative
    # a linear map that commutes with nothing but itself, seen by no element other than the identity
    assert_equivariant(lambda p: p[..., ::-1], VECTOR, VECTOR, elements=[lorentz().identity()])


def test_functions_that_are_not_equivariant_are_reported():
    with pytest.raises(AssertionError, match=r"not equivariant under SO\+\(1,3\).*boost gamma"):
        assert_equivariant(lambda p: (p**2).sum(-1, keepdims=True), VECTOR, None)
    # rotations do not see it, boosts do: the table says which element
    rotations = [lorentz().rotation(0.4, "x")]
    assert_equivariant(lambda p: p[..., :1], VECTOR, None, elements=rotations)
    table = equivariance_error(
        lambda p: p[..., :1], VECTOR, None, elements=[*rotations, lorentz().boost(2.0)]
    )
    assert table.worst.element == "boost gamma=2 along z" and table.worst.relative > 0.1
    assert "boost gamma=2 along z" in str(table) and "maximum" in str(table)
    assert table.to_dicts()[0]["element"].startswith("rotation by 0.4 rad about x")


def test_discrete_generators_are_always_tested():
    full = GROUPS.get("O(1,3)")()
    volume = np.linalg.det  # four momenta span an oriented volume: odd under parity
    x = np.random.default_rng(0).normal(size=(3, 4, 4))
    proper = lorentz().vector()
    assert_equivariant(volume, proper, None, x=x)
    with pytest.raises(AssertionError, match=r"for (P|T|.* P.*|.* T.*);"):
        assert_equivariant(volume, full.vector(), None, x=x, n_samples=0)


def test_several_inputs_and_outputs():
    def pair(p, q, mass):
        return p + mass * q, np.einsum("...i,ij,...j->...", p, METRIC, q)

    assert_equivariant(
        pair,
        [VECTOR, VECTOR, None],
        [VECTOR, None],
        inputs=[np.arange(8.0).reshape(2, 4), np.ones((2, 4)), np.float64(3.0)],
    )
    with pytest.raises(AssertionError, match="output 1"):
        assert_equivariant(lambda p: (p, p[..., 0]), VECTOR, [VECTOR, None])
    with pytest.raises(ConfigError, match="expected 2 outputs"):
        equivariance_error(lambda p: p, VECTOR, [VECTOR, None])
    with pytest.raises(ConfigError, match="expected 1 inputs"):
        equivariance_error(pair, VECTOR, None, inputs=[1.0, 2.0])


def test_torch_modules_in_their_own_precision():
    class Scale(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(1.7))

        def forward(self, p):
            assert p.dtype == self.weight.dtype
            return self.weight * p

    single = assert_equivariant(Scale(), VECTOR, VECTOR)
    double = assert_equivariant(Scale().double(), VECTOR, VECTOR)
    assert (single.dtype, double.dtype) == ("float32", "float64")
    assert double.max_relative < 1e-13 < 1e-9 < single.max_relative < 1e-6
    with pytest.raises(AssertionError):
        assert_equivariant(torch.nn.Linear(4, 4), VECTOR, VECTOR)
    forced = equivariance_error(lambda p: p.astype(p.dtype), VECTOR, VECTOR, dtype="float32")
    assert forced.dtype == "float32"


def test_the_transformation_itself_costs_no_precision():
    """The identity function in float32 errs by one rounding, even under a strong boost."""
    strong = [lorentz().boost(1000.0, [1.0, 2.0, 2.0])]
    table = equivariance_error(lambda p: p, VECTOR, VECTOR, elements=strong, dtype="float32")
    assert 0 < table.max_relative <= 2**-24


def test_jets_enter_through_an_action():
    jets = JetBatch.from_arrays([[[5.0, 0, 3, 4], [1, 1, 0, 0]], [[2, 0, 0, 2.0]]])
    group = lorentz()
    moving = Action(group, lambda g, batch: batch.transformed(g.matrix), "jets")
    jet_momentum = Action(group, lambda g, p: torch.as_tensor(VECTOR.act(g, p.numpy())))
    assert_equivariant(lambda batch: batch.jet_p4, moving, jet_momentum, x=jets)
    assert_equivariant(lambda batch: batch.jet_p4, moving, VECTOR, x=jets)
    assert_equivariant(lambda batch: batch.lengths, moving, None, x=jets)
    with pytest.raises(AssertionError):
        assert_equivariant(lambda batch: batch.jet_p4[:, 1:], moving, None, x=jets)


def test_particles_and_channels_have_their_own_axes():
    group = symmetric(5)
    x = np.random.default_rng(1).normal(size=(2, 5, 3))
    particles = group.defining.on_axes(1)
    pairs = group.tensor(2).on_axes(1, 2)
    assert_equivariant(lambda h: h[:, :, None] * h[:, None], particles, pairs, x=x)
    assert_equivariant(lambda h: h.mean(axis=1), particles, None, x=x)
    with pytest.raises(AssertionError):
        assert_equivariant(lambda h: h.cumsum(axis=1), particles, particles, x=x)


def test_images():
    image = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    pixels = image_action(dihedral(4))
    blur = torch.nn.AvgPool2d(3, stride=1, padding=1)
    assert_equivariant(blur, pixels, pixels, x=image)
    skewed = torch.nn.Conv2d(1, 1, 3, padding=1)
    with pytest.raises(AssertionError, match="D_4"):
        assert_equivariant(skewed, pixels, pixels, x=image)


def test_nan_is_never_equivariant():
    table = equivariance_error(lambda p: p * np.nan, VECTOR, VECTOR)
    assert table.max_relative == np.inf
    with pytest.raises(AssertionError):
        assert_equivariant(lambda p: np.full_like(p, np.inf), VECTOR, None)
    assert_equivariant(lambda p: np.zeros_like(p), VECTOR, None, rtol=0.0)


def test_complex_representations():
    group = cyclic(4)
    wave = o2().irrep(1, 2)
    assert_equivariant(lambda z: z * (z**2).sum(-1, keepdims=True), wave, wave)
    phases = group.representation((), [[[1j]]], name="charge 1")
    assert_equivariant(lambda z: z * np.abs(z), phases, phases)
    with pytest.raises(AssertionError):
        assert_equivariant(lambda z: z**2, phases, phases)


def test_seeded_and_checked():
    once, again = (str(equivariance_error(np.sin, VECTOR, VECTOR, seed=4)) for _ in range(2))
    assert once == again
    assert once != str(equivariance_error(np.sin, VECTOR, VECTOR, seed=5))
    with pytest.raises(ConfigError, match="exactly one group"):
        equivariance_error(np.sin, VECTOR, cyclic(4).defining)
    with pytest.raises(ConfigError, match="exactly one group"):
        equivariance_error(np.sin, None, None, x=1.0)
    with pytest.raises(ConfigError, match="Representation, an Action or None"):
        equivariance_error(np.sin, "vector", None)
    with pytest.raises(ConfigError, match="changed shape"):
        equivariance_error(lambda p: p[p > 0], VECTOR, None)
    with pytest.raises(ConfigError, match="at least one group element"):
        equivariance_error(np.sin, VECTOR, None, n_samples=0)
    with pytest.raises(ConfigError, match="dimension 4"):
        equivariance_error(np.sin, VECTOR, None, x=np.ones(3))
