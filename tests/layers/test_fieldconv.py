"""Steerable layers: exact on the grid, well scaled at the start, the same as their plain export."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.groups.planar import so2
from eqviz.layers.fieldconv import FieldConv, FieldNorm, n_weights
from eqviz.layers.fields import FieldKind, FieldType, scalars
from eqviz.layers.harmonic import HarmonicConv, HarmonicStack, MagnitudeReLU, complex_type
from eqviz.layers.kernels import kernel_table
from eqviz.layers.plain_stack import LayerPlan, PlainStack, plain_count, plan_layers
from eqviz.layers.planar_stack import FieldStack, hidden_type, stack_count, types_by_rule
from eqviz.layers.relaxed import RelaxedConv
from eqviz.layers.turning import angle_curve, coefficients, layer_errors, turn_fields, turn_image

SPACES = [
    ("C4", "regular"),
    ("D4", "regular"),
    ("D8", "regular"),
    ("SO(2)", "regular"),
    ("SO(2)", "irreps"),
    ("O(2)", "regular"),
    ("O(2)", "quotient"),
    ("O(2)", "irreps"),
]


def stack(group, fields, n_pixels=9, widths=(3, 4), depth=1):
    plan = plan_layers(n_pixels, widths, depth, 5)
    return FieldStack(2, [hidden_type(group, fields, step.width) for step in plan], plan)


def images(n_pixels, n=2, channels=2, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, channels, n_pixels, n_pixels, generator=generator, dtype=torch.float64).to(dtype)


def trained(made, x):
    """Running statistics and scales away from their start."""
    made.double().train()
    for _ in range(3):
        made(x + 0.3)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return made.eval()


@pytest.mark.parametrize("n_pixels", [8, 9])
@pytest.mark.parametrize(("group", "fields"), SPACES)
def test_every_layer_is_exact_under_grid_elements(group, fields, n_pixels):
    torch.manual_seed(0)
    x = images(n_pixels)
    made = trained(stack(group, fields, n_pixels), x)
    rows = layer_errors(made.feature_maps, x)
    assert {row.layer for row in rows} == {"image", "layer 1", "layer 2"}
    off_grid = {row.element for row in rows if row.relative > 1e-9}
    assert len({row.element for row in rows} - off_grid) == {"C": 4, "D": 8, "S": 4, "O": 8}[group[0]]
    assert len(off_grid) == (8 if group == "D8" else 0)  # eighth turns interpolate


@pytest.mark.parametrize(("group", "fields"), SPACES)
def test_export_is_a_plain_network_with_the_same_output(group, fields):
    torch.manual_seed(1)
    x = images(9)
    made = trained(stack(group, fields), x)
    exported = made.export()
    torch.testing.assert_close(exported(x), made(x), rtol=1e-12, atol=1e-12)
    assert [type(m).__name__ for m in exported].count("Conv2d") == 2
    made.float(), exported.float()
    torch.testing.assert_close(exported(x.float()), made(x.float()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("group", "fields"), SPACES)
def test_activations_keep_their_variance_layer_by_layer(group, fields):
    torch.manual_seed(2)
    made, x = stack(group, fields, 33, widths=(6, 8), depth=5), images(33, dtype=torch.float32, seed=7)
    powers = []
    with torch.no_grad():
        for layer in made.layers:  # no normalisation: it would hide what is tested
            y = layer.conv(x)
            powers.append(float(y.square().mean()))
            x = layer.pool(layer.act(y))
    assert len(powers) == 10
    assert all(0.4 < power < 2.5 for power in powers), powers


def test_harmonic_activations_keep_their_variance():
    torch.manual_seed(3)
    made = HarmonicStack(2, 2, plan_layers(33, (6, 8), 5, 5))
    x, powers = images(33, dtype=torch.float32, seed=7), []
    with torch.no_grad():
        for layer in made.layers:
            y = layer.conv(x)
            powers.append(2 * float(y.square().mean()))
            x = layer.pool(layer.act(y))
    assert all(0.3 < power < 3.3 for power in powers), powers


@pytest.mark.parametrize(("group", "fields"), SPACES)
def test_19_layers_at_full_size_are_built_in_no_time(group, fields):
    start = time.process_time()
    plan = plan_layers(125, (16, 32, 64), 7, 5)[:19]
    types = types_by_rule("parameters", 3, plan, lambda width: hidden_type(group, fields, width))
    made = FieldStack(3, types, plan)
    assert time.process_time() - start < 3
    count = sum(parameter.numel() for parameter in made.parameters())
    assert count == stack_count(3, types, plan)
    assert abs(count / plain_count(3, plan) - 1) < 0.05


def test_channel_rules():
    plan = plan_layers(32, (16, 32), 2, 3)
    made = {
        rule: types_by_rule(rule, 1, plan, lambda width: hidden_type("D4", "regular", width))
        for rule in ("channels", "fields", "parameters")
    }
    assert [t.channels for t in made["channels"]] == [16, 16, 32, 32]
    assert [t.n_fields for t in made["fields"]] == [16, 16, 32, 32]
    plain = PlainStack(1, plan)
    assert sum(p.numel() for p in plain.parameters()) == plain_count(1, plan)
    assert abs(stack_count(1, made["parameters"], plan) / plain_count(1, plan) - 1) < 0.1


def test_plans_pool_between_stages_only():
    assert plan_layers(15, (4, 8), 2, 5) == [
        LayerPlan(4, 5, None),
        LayerPlan(4, 3, (3, 1)),
        LayerPlan(8, 3, None),
        LayerPlan(8, 3, None),
    ]


def test_state_is_the_same_in_both_modes():
    first, second = stack("D4", "regular"), stack("D4", "regular")
    second.eval().load_state_dict(first.train().state_dict())
    x = images(9, dtype=torch.float32)
    assert torch.equal(first.eval()(x), second(x))


def test_convolutions_refuse_what_they_cannot_make():
    pseudo = FieldType(((FieldKind("O(2)", "irrep 1,0"), 1),))
    with pytest.raises(ConfigError, match="no kernel of 3 pixels leads from 1 trivial"):
        FieldConv(scalars("O(2)", 1), pseudo, 3)
    regular = FieldType(((FieldKind("C4", "regular"), 2),))
    assert n_weights(regular, regular, 3) == FieldConv(regular, regular, 3).weights["0_0"].numel() == 4 * 24


def test_norm_is_batch_norm_on_scalars():
    own, torchs = FieldNorm(scalars("C4", 3)).double(), torch.nn.BatchNorm2d(3).double()
    x = images(5, n=4, channels=3) + 1
    torch.testing.assert_close(own.train()(x), torchs.train()(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(own.running_mean, torchs.running_mean)
    assert own.eval()(x).std() > 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_norm_in_one_kernel_is_the_norm_of_fields(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch):
    found = {}
    for fused in (True, False):
        monkeypatch.setattr(FieldNorm, "_of_one_kind", fused)
        norm = FieldNorm(FieldType(((FieldKind("D4", "regular"), 3),))).to(dtype).train()
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
            norm.bias.copy_(torch.tensor([0.1, 0.0, -3.0]))
        x = (images(5, n=4, channels=24, dtype=dtype) + torch.arange(24).view(-1, 1, 1) / 8).requires_grad_()
        y = norm(x)
        (y**3).sum().backward()
        found[fused] = (y, x.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var)
    for one, other in zip(found[True], found[False]):
        tolerance = 1e-10 if dtype == torch.float64 else 1e-4
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_harmonic_filters_are_half_of_the_steerable_ones():
    """Frequency n - m; the other half, n + m, mixes a field with its conjugate."""
    conv = HarmonicConv((0, 1), (0, 0, 1), 5).double()
    real = conv.complex_filter(2, 1)
    block = torch.stack([torch.stack([real[0], -real[1]]), torch.stack([real[1], real[0]])])[:, :, 0, 0]
    table = kernel_table(FieldKind("SO(2)", "irrep 2"), FieldKind("SO(2)", "irrep 1"), 5)
    basis = torch.tensor(table.kernels[table.frequency == 1]).flatten(1).T
    solution = torch.linalg.lstsq(basis, block.detach().flatten()).solution
    torch.testing.assert_close(basis @ solution, block.detach().flatten(), rtol=0, atol=1e-12)


def test_harmonic_layers_are_exact_under_quarter_turns():
    torch.manual_seed(4)
    x = images(9)
    made = trained(HarmonicStack(2, 3, plan_layers(9, (3, 4), 1, 5)), x)
    assert max(row.relative for row in layer_errors(made.feature_maps, x)) < 1e-9
    torch.testing.assert_close(made.export()(x), made(x), rtol=1e-12, atol=1e-12)


def test_magnitudes_are_rectified_and_phases_kept_at_every_angle():
    act, law = MagnitudeReLU(2).double(), complex_type(2, 1)
    z = images(4, channels=4)
    element = so2().rotation(0.6)
    turn = torch.tensor([matrix for *_, matrix in law.law(element)][1])
    moved = torch.cat([z[:, :2], torch.einsum("de,behw->bdhw", turn, z[:, 2:])], 1)
    expected = act(z)
    rotated = torch.einsum("de,behw->bdhw", turn, expected[:, 2:])
    torch.testing.assert_close(act(moved), torch.cat([expected[:, :2], rotated], 1), rtol=0, atol=1e-12)
    with torch.no_grad():
        act.bias.fill_(-0.5)
    assert (act(0.01 * z) == 0).all() and (act(z) != 0).any()


def test_relaxed_convolutions_start_equivariant_and_depart():
    torch.manual_seed(5)
    x = images(9)
    plan = plan_layers(9, (3, 4), 1, 5)
    types = [hidden_type("D4", "regular", step.width) for step in plan]
    made = FieldStack(2, types, plan, lambda *a: RelaxedConv(*a, n_banks=2)).double().eval()
    assert max(row.relative for row in layer_errors(made.feature_maps, x)) < 1e-9
    assert [layer.conv.departure() for layer in made.layers] == [0, 0]
    with torch.no_grad():
        made.layers[1].conv.element_weights[0, 0] += 0.5
    errors = {row.layer: row.relative for row in layer_errors(made.feature_maps, x) if row.element == "r"}
    assert errors["layer 1"] < 1e-9 < 1e-3 < errors["layer 2"]
    assert made.layers[1].conv.departure() > 0.05
    torch.testing.assert_close(made.export()(x), made(x), rtol=1e-12, atol=1e-12)


def blobs(n_pixels):
    place = torch.linspace(-1, 1, n_pixels, dtype=torch.float64)
    y, x = torch.meshgrid(place, place, indexing="ij")
    centres = [(0.3, 0.1), (-0.2, 0.4), (0.1, -0.35), (-0.4, -0.1)]
    image = sum(torch.exp(-((x - a) ** 2 + (y - b) ** 2) / 0.03) for a, b in centres)
    return image[None, None].repeat(1, 2, 1, 1)


def test_curves_over_angle_tell_symmetries_apart():
    torch.manual_seed(6)
    x, angles = blobs(33), np.pi * np.array([0, 1 / 8, 1 / 4, 1 / 2])
    kinds = [("C4", "regular"), ("D8", "regular"), ("SO(2)", "irreps")]
    curves = {kind: angle_curve(stack(*kind, 33).double().eval().feature_maps, x, angles) for kind in kinds}
    plain = PlainStack(2, plan_layers(33, (8, 8), 1, 5)).double().eval()
    curves[("none", "")] = angle_curve(plain.feature_maps, x, angles)
    last = {group: curve["layer 2"] for (group, _), curve in curves.items()}
    for group in ("C4", "D8", "SO(2)"):
        assert last[group][0] == 0
        assert last[group][3] < 1e-9  # a quarter turn
        assert last[group][1] > 1e-4  # between the pixels
    assert last["none"][3] > 0.1
    assert last["SO(2)"][2] < last["C4"][2] / 2
    assert last["D8"][2] < last["C4"][2] / 2
    assert curves[("C4", "regular")]["image"][1] < 0.1  # turned there and back


def test_images_turn_as_pixels_and_between_them():
    x = images(7)
    quarter = [[0.0, -1.0], [1.0, 0.0]]
    assert torch.equal(turn_image(turn_image(x, quarter), [[0.0, 1.0], [-1.0, 0.0]]), x)
    cos, sin = np.cos(np.pi / 2 + 1e-6), np.sin(np.pi / 2 + 1e-6)
    near = turn_image(x, [[cos, -sin], [sin, cos]])
    torch.testing.assert_close(near, turn_image(x, quarter), rtol=0, atol=1e-4)
    with pytest.raises(ConfigError, match="orthogonal"):
        turn_image(x, [[1.0, 0.5], [0.0, 1.0]])
    with pytest.raises(ConfigError, match="square images"):
        turn_image(x[..., :5], quarter)
    vector = FieldType(((FieldKind("SO(2)", "irrep 1"), 1),))
    turned = turn_fields(x, vector, so2().rotation(torch.pi / 2))
    expected = torch.stack([-turn_image(x, quarter)[:, 1], turn_image(x, quarter)[:, 0]], 1)
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-12)
    assert torch.equal(coefficients(x, vector), x)
