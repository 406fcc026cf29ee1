"""Steerable convolutions: exact on the grid, independent of other networks, the same in both modes."""

from __future__ import annotations

import builtins
import copy

import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.layers.steerable import SteerableStack, exact_convolution, load_escnn, planar_space

pytest.importorskip("lie_learn", reason="escnn is not installed")


def stack(group="D4", width=2):
    space, enn = planar_space(group), load_escnn().nn
    image = enn.FieldType(space, [space.trivial_repr])
    regular = enn.FieldType(space, width * [space.regular_repr])
    first = exact_convolution(image, regular, 5)
    return SteerableStack([first, enn.InnerBatchNorm(regular), exact_convolution(regular, regular, 3)])


@pytest.mark.parametrize("group", ["C4", "D4"])
def test_grid_symmetries_are_exact_in_float64(group):
    made = stack(group).double().eval()
    assert made.in_type.gspace.fibergroup.order() == {"C4": 4, "D4": 8}[group]
    images = torch.randn(2, 1, 9, 9, dtype=torch.float64)
    enn = load_escnn().nn
    for element in made.in_type.gspace.fibergroup.elements:
        turned = enn.GeometricTensor(images, made.in_type).transform(element).tensor
        expected = enn.GeometricTensor(made(images), made.out_type).transform(element).tensor
        torch.testing.assert_close(made(turned), expected, rtol=1e-12, atol=1e-12)


def test_state_dict_is_the_same_in_both_modes_and_loads_in_the_other():
    torch.manual_seed(0)
    trained, evaluated = stack().train(), stack().eval()
    assert trained.state_dict().keys() == evaluated.state_dict().keys()
    images = torch.randn(2, 1, 8, 8)
    assert not torch.allclose(copy.deepcopy(trained).eval()(images), evaluated(images))
    evaluated.load_state_dict(trained.state_dict())
    assert torch.equal(trained.eval()(images), evaluated(images))
    evaluated.train().load_state_dict(trained.state_dict())
    assert torch.equal(trained(images), evaluated.eval()(images))


def test_networks_do_not_share_tables():
    first = stack()
    first.double()
    assert all(value.dtype != torch.float64 for value in stack().state_dict().values())


def test_evaluation_filters_follow_the_dtype():
    made, images = stack().eval(), torch.randn(1, 1, 8, 8, dtype=torch.float64)
    turned = torch.rot90(images, 1, (2, 3))
    made.double()
    with torch.no_grad():
        total, moved = (made(x).unflatten(1, (2, 8)).sum(2) for x in (images, turned))
    torch.testing.assert_close(torch.rot90(total, 1, (2, 3)), moved, rtol=0, atol=1e-12)


def test_missing_escnn_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def without_escnn(name, *arguments, **options):
        if name.split(".")[0] == "escnn":
            raise ImportError("No module named 'escnn'")
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_escnn)
    with pytest.raises(ConfigError, match=r"install eqviz\[planar\]"):
        load_escnn()


def test_unknown_group():
    with pytest.raises(ConfigError, match="'C4' or 'D4', got 'S5'"):
        planar_space("S5")
