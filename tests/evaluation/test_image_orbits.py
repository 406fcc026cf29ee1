"""f(g x) against rho(g) f(x), layer by layer, read off through the module that the dashboard uses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.evaluation.fieldviews import field_names, field_view, mosaic, ring_tiles
from eqviz.evaluation.image_orbit import image_orbit, own_motions, principal_plane
from eqviz.evaluation.orbits import declares_law, layer_names, moved_field, multiples
from eqviz.evaluation.plane import Motion, compared, element_of, move_fields, move_image
from eqviz.layers.fields import FieldKind, FieldType
from eqviz.layers.steerable import load_escnn
from eqviz.models import build_model

SMALL: dict[str, Any] = {"n_pixels": 16, "channels": (4, 6), "depth": 1, "hidden": 4}
NETWORKS: list[tuple[str, dict[str, Any], str]] = [
    ("groupcnn", {"group": "C4", **SMALL}, "C4"),
    ("groupcnn", {"group": "D4", **SMALL}, "D4"),
    ("groupcnn", {"group": "C8", **SMALL}, "C8"),
    ("groupcnn", {"group": "D8", **SMALL}, "D8"),
    ("relaxed", {"group": "D4", **SMALL}, "D4"),
    ("steerable_cnn", {"fields": "irreps", **SMALL}, "SO(2)"),
    ("steerable_cnn", {"fields": "quotient", **SMALL}, "SO(2)"),
    ("steerable_cnn", {"group": "O(2)", **SMALL}, "O(2)"),
    ("steerable_cnn", {"group": "O(2)", "fields": "irreps", **SMALL}, "O(2)"),
    ("harmonic", SMALL, "SO(2)"),
    ("d4cnn", {"n_pixels": 17, "fields": (2, 3)}, "D4"),
    ("d4cnn", {"group": "C8", "n_pixels": 16, "fields": (2, 3)}, "C8"),
]
NAMES = [f"{name}-{params.get('group', '')}-{params.get('fields', '')}" for name, params, _ in NETWORKS]
QUARTERS = [Motion(quarter * np.pi / 2, mirrored) for mirrored in (False, True) for quarter in range(4)]


def network(name: str, params: dict[str, Any], dtype: torch.dtype = torch.float64) -> Any:
    torch.manual_seed(0)
    return build_model(name, **params).to(dtype).eval()


def picture(model: Any, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    n, generator = model.config.n_pixels, torch.Generator().manual_seed(seed)
    return (5 * torch.rand(1, 1, n, n, generator=generator, dtype=torch.float64) ** 4).to(dtype)


@pytest.mark.parametrize(("name", "params", "group"), NETWORKS, ids=NAMES)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_quarter_turns_are_exact(
    name: str, params: dict[str, Any], group: str, dtype: torch.dtype, bound: float
) -> None:
    model = network(name, params, dtype)
    image = picture(model, dtype=dtype)
    laws = layer_names(model, image)
    assert declares_law(laws.values())
    assert all(features.abs().max() > 1e-3 for _, features, _ in model.feature_maps(image))
    for motion in QUARTERS:
        for layer in laws:
            found = moved_field(model, image, motion, layer)
            if motion.mirrored and not group.startswith(("D", "O")):
                assert found.lengths
            else:
                assert not found.lengths and found.inside.all()
                assert found.layer_error < bound, (motion, layer)


@pytest.mark.parametrize("name", ["cnn", "vit"])
def test_a_plain_network_does_not_turn(name: str) -> None:
    model = network(name, {"n_pixels": 16})
    image = picture(model)
    laws = layer_names(model, image)
    assert not declares_law(laws.values())
    for layer in list(laws)[1:]:
        assert moved_field(model, image, Motion(np.pi / 2), layer).layer_error > 0.05
    found = image_orbit(model, image, np.radians([0.0, 90.0, 180.0]))
    assert np.ptp(found.logits, axis=0).max() > 1e-4 and not found.own.any()


@pytest.mark.parametrize(("group", "order"), [("C4", 4), ("C8", 8), ("D4", 4), ("SO(2)", 8)])
def test_n_steps_lead_back_to_the_start(group: str, order: int) -> None:
    params = {"fields": "irreps"} if group == "SO(2)" else {"group": group}
    model = network("steerable_cnn" if group == "SO(2)" else "groupcnn", {**SMALL, **params})
    image = picture(model)
    law, features = layer_names(model, image)["layer 1"], model.feature_maps(image)[1][1]
    start = move_fields(features, law, Motion(), 16)
    assert start is not None
    step = Motion(2 * np.pi / order)
    for _, _, _, fibre in law.law(element_of(step, group)):  # type: ignore[arg-type]
        np.testing.assert_allclose(np.linalg.matrix_power(fibre, order), np.eye(len(fibre)), atol=1e-12)
    around = image_orbit(model, image, np.radians(np.arange(0, 361, 90)))
    for values in (around.logits, around.invariants, *around.means.values()):
        np.testing.assert_allclose(values[-1], values[0], atol=1e-12)
    np.testing.assert_allclose(around.logits, around.logits[:1].repeat(5, 0), atol=1e-10)
    assert around.own.all() and max(errors.max() for errors in around.exact.values()) < 1e-10
    full = move_fields(features, law, Motion(2 * np.pi), 16)
    assert full is not None and torch.allclose(full, start, atol=1e-12)


@pytest.mark.parametrize("frequency", [1, 2, 3])
@pytest.mark.parametrize("quarter", range(4))
def test_frequencies_turn_as_escnn_says(frequency: int, quarter: int) -> None:
    escnn = pytest.importorskip("escnn", reason="escnn is not installed")
    load_escnn()
    space = escnn.gspaces.rot2dOnR2(-1, maximum_frequency=4)
    theirs = escnn.nn.FieldType(space, [space.irrep(frequency)])
    x = torch.randn(1, 2, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(quarter))
    element = space.fibergroup.element(quarter * np.pi / 2)
    # escnn's rows go down, ours go up: flip them, and a turn from x to y is one from eta to phi backwards
    expected = escnn.nn.GeometricTensor(x, theirs).transform(element).tensor
    law = FieldType(((FieldKind("SO(2)", f"irrep {frequency}"), 1),))
    got = move_fields(x.flip(2), law, Motion(-quarter * np.pi / 2), 9)
    assert got is not None
    assert torch.allclose(got.flip(2), expected, atol=1e-12)


def test_vectors_point_where_they_are_drawn() -> None:
    kind = FieldKind("SO(2)", "irrep 1")
    along_eta = np.zeros((2, 5, 5))
    along_eta[1] = 1.0  # the row axis
    np.testing.assert_allclose(field_view(along_eta, kind).values[0], 1.0)
    turned = move_fields(torch.tensor(along_eta)[None], FieldType(((kind, 1),)), Motion(np.pi / 2), 5)
    assert turned is not None
    view = field_view(turned[0], kind)
    np.testing.assert_allclose(view.values[1], 1.0, atol=1e-12)  # from eta to phi
    for frequency in (2, 3):
        high = FieldKind("SO(2)", f"irrep {frequency}")
        x = torch.randn(1, 2, 5, 5, dtype=torch.float64)
        before = np.arctan2(*field_view(x[0], high).values[::-1])
        moved = move_fields(x, FieldType(((high, 1),)), Motion(np.pi / 2), 5)
        assert moved is not None
        place = move_image(torch.tensor(before)[None, None], Motion(np.pi / 2))[0, 0].numpy()
        after = np.arctan2(*field_view(moved[0], high).values[::-1])
        apart = np.exp(1j * (after - place - frequency * np.pi / 2))
        np.testing.assert_allclose(apart, 1.0, atol=1e-9)


@pytest.mark.parametrize("group", ["C4", "C8", "D4", "D8"])
def test_a_quarter_turn_moves_the_maps_around_the_ring(group: str) -> None:
    kind = FieldKind(group, "regular")
    x = torch.rand(1, kind.channels, 4, 4, dtype=torch.float64)
    moved = move_fields(x, FieldType(((kind, 1),)), Motion(np.pi / 2), 4)
    assert moved is not None
    before, after = field_view(x[0], kind), field_view(moved[0], kind)
    tiles = {(column, row): sample for column, row, sample in ring_tiles(before)}
    assert len(tiles) == kind.channels
    for sample, (angle, mirrored) in enumerate(zip(before.places, before.mirrored)):
        if not mirrored:  # the sample a quarter turn on shows this one, turned
            there = next(
                i for i, (other, flag) in enumerate(zip(after.places, after.mirrored))
                if not flag and abs(np.exp(1j * (other - angle - np.pi / 2)) - 1) < 1e-9
            )  # fmt: skip
            turned = move_image(torch.tensor(before.values[sample])[None, None], Motion(np.pi / 2))[0, 0]
            np.testing.assert_allclose(after.values[there], turned.numpy(), atol=1e-12)
    side = mosaic(before, 0.25)
    assert np.isnan(side).any() and np.isfinite(side).sum() == kind.channels * 16


def test_motions_move_pixels_as_they_say() -> None:
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 6, 3] = 1.0  # eta = 2.5, phi = -0.5 about the centre
    assert move_image(image, Motion(np.pi / 2)).nonzero().tolist() == [[0, 0, 4, 6]]
    assert move_image(image, Motion(mirrored=True)).nonzero().tolist() == [[0, 0, 1, 3]]
    assert move_image(image, Motion(shift=(-2, 1))).nonzero().tolist() == [[0, 0, 4, 4]]
    assert not move_image(image, Motion(shift=(5, 0))).any()
    assert compared(8, Motion(shift=(-2, 1))).sum() == 6 * 7
    assert compared(8, Motion(0.3)).sum() < 64
    half = move_image(image, Motion(shift=(-0.5, 0.0)))
    assert float(half[0, 0, 6, 3]) == pytest.approx(float(half[0, 0, 5, 3])) and half.sum() == pytest.approx(
        1
    )
    assert (
        str(Motion(np.pi / 2, True, (1, 0))) == "turn by 90°, reflection η → −η, shift by +1 pixels along η"
    )
    assert str(Motion()) == "identity" and Motion().is_identity


def test_shifts_by_the_stride_are_exact_away_from_the_border() -> None:
    model = network("cnn", {**SMALL, "n_pixels": 32})
    image = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    image[..., 12:20, 12:20] = picture(model)[..., :8, :8]
    centre = moved_field(model, image, Motion(shift=(2, -2)), "layer 2").gap.values[0][4:-4, 4:-4]
    assert centre.max() < 1e-12
    assert moved_field(model, image, Motion(shift=(1, 0)), "layer 2").layer_error > 1e-3


def test_the_orbit_side_by_side_moves_back() -> None:
    model = network("groupcnn", {**SMALL, "group": "D4"})
    found = multiples(model, picture(model), own_motions("D4"), "layer 2")
    assert found.images.shape == (8, 16, 16) and len(found.motions) == 8
    np.testing.assert_allclose(found.back, found.back[:1].repeat(8, 0), atol=1e-12)
    assert np.abs(found.fields - found.fields[:1]).max() > 1e-3


def test_a_path_in_two_components() -> None:
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([3 + np.cos(angle), np.sin(angle), 0 * angle, 0 * angle + 1], axis=1)
    points, shares = principal_plane(circle)
    radius = np.linalg.norm(points, axis=1)
    np.testing.assert_allclose(radius, 1 / np.sqrt(11), rtol=1e-9)
    np.testing.assert_allclose(shares, 0.5)
    flat, none = principal_plane(np.ones((5, 1)))
    assert not flat.any() and not none.any()


def test_what_is_not_there_is_refused() -> None:
    model = network("cnn", SMALL)
    with pytest.raises(ConfigError, match="expected a layer of image, layer 1"):
        moved_field(model, picture(model), Motion(), "layer 9")
    with pytest.raises(ConfigError, match="expected a field from 0 to 3"):
        moved_field(model, picture(model), Motion(), "layer 1", 4)
    with pytest.raises(ConfigError, match="along 'angle', 'eta' or 'phi'"):
        image_orbit(model, picture(model), [0.0], "radius")  # type: ignore[arg-type]
    assert element_of(Motion(0.1), "C4") is None and element_of(Motion(mirrored=True), "SO(2)") is None
    assert len(field_names(layer_names(model, picture(model))["layer 1"])) == 4
