"""Networks on images: detector images in, plain networks out, symmetries that hold after training."""

from __future__ import annotations

import pytest
import torch
from model_helpers import jets, logits, small

from eqviz.data.image_batch import ImageBatch, ImageLayout
from eqviz.errors import ConfigError
from eqviz.layers.turning import layer_errors
from eqviz.models import build_model, n_parameters

NAMES = ("cnn", "resnet", "vit", "groupcnn", "steerable_cnn", "harmonic", "relaxed")
GROUPS = [
    ("groupcnn", {"group": "C4"}),
    ("groupcnn", {"group": "D8", "rule": "channels"}),
    ("steerable_cnn", {"group": "O(2)", "fields": "irreps"}),
    ("steerable_cnn", {"group": "O(2)", "fields": "quotient"}),
    ("steerable_cnn", {"max_frequency": 3}),
    ("harmonic", {"orders": 3}),
    ("resnet", {"cardinality": 4, "stem_stride": 2}),
]


def detector_images(n_pixels, n=4):
    dense = torch.rand(n, 2, n_pixels, n_pixels, generator=torch.Generator().manual_seed(0))
    layout = ImageLayout(("ECAL", "HCAL"), ("GeV", "GeV"), n_pixels, n_pixels, (1, 1))
    return ImageBatch.from_dense(dense, layout, labels=[0, 1] * (n // 2)), dense


@pytest.mark.parametrize("name", NAMES)
def test_detector_images_go_in_dense_or_sparse(name):
    model, (batch, dense) = small(name, in_channels=2), detector_images(10)
    assert torch.equal(logits(model, batch), model.classify(dense))
    coarse, _ = detector_images(20)
    assert logits(model, coarse).shape == (4, 2)
    with pytest.raises(ConfigError, match=rf"set {name}\.in_channels to 1"):
        model(jets(2))
    with pytest.raises(ConfigError, match=rf"{name}: expected images \(B, 2, 10, 10\), got \(4, 2, 9, 9\)"):
        model.classify(dense[..., :9, :9])


@pytest.mark.parametrize(("name", "params"), [*((name, {}) for name in NAMES), *GROUPS])
def test_export_has_the_same_outputs_and_no_symmetry_inside(name, params):
    model, (batch, dense) = small(name, in_channels=2, **params), detector_images(10)
    for _ in range(3):
        model.train()(batch)
    exported = model.export()
    torch.testing.assert_close(exported(dense), logits(model, batch), rtol=1e-5, atol=1e-5)
    assert not any(p.requires_grad for p in exported.parameters())
    assert not any("eqviz.layers.fieldconv.FieldConv" in str(type(m)) for m in exported.modules())
    restored = small(name, seed=9, in_channels=2, **params)
    restored.load_state_dict(model.train().state_dict())
    assert torch.equal(logits(restored, batch), logits(model, batch))


@pytest.mark.parametrize(("name", "params"), GROUPS[:-1])
def test_layers_turn_with_the_image_after_training(name, params):
    model, (batch, dense) = small(name, in_channels=2, n_pixels=9, **params), detector_images(9)
    optimiser = torch.optim.Adam(model.train().parameters(), lr=1e-2)
    for _ in range(3):
        torch.nn.functional.cross_entropy(model(batch), batch.label).backward()
        optimiser.step()
    model = model.double().eval()
    rows = layer_errors(model.feature_maps, dense.double())
    off_grid = {row.element for row in rows if row.relative > 1e-9}
    assert all(params.get("group") == "D8" and "r" in element for element in off_grid)
    assert len({row.element for row in rows} - off_grid) >= 4
    assert (model.symmetry, model.exact) == (
        params.get("group", "SO(2)"),
        params.get("group") in ("C4", "D4"),
    )


def test_a_relaxed_network_learns_to_depart():
    model, batch = small("relaxed"), jets(16)
    assert max(model.departure()) < 1e-6
    optimiser = torch.optim.Adam(model.train().parameters(), lr=1e-2)
    for _ in range(5):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(batch), batch.label).backward()
        optimiser.step()
    assert min(model.departure()) > 1e-3
    assert (model.symmetry, small("groupcnn").symmetry) == ("none", "D4")


def test_rules_set_the_size():
    plain = n_parameters(build_model("cnn").trunk)
    full, lite = (
        n_parameters(build_model("groupcnn", rule=rule).trunk) for rule in ("parameters", "channels")
    )
    assert abs(full / plain - 1) < 0.05
    assert lite < plain / 8


def test_attention_rows_are_weights_of_patches():
    model, (_, dense) = small("vit", in_channels=2), detector_images(10)
    (weights,) = model.eval().attention_maps(dense)
    assert weights.shape == (4, 2, 16, 16)
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 2, 16))
    assert [name for name, *_ in model.feature_maps(dense)] == ["image", "patches", "block 1"]


def test_resnet_15_has_15_convolutions():
    convolutions = [m for m in build_model("resnet").modules() if isinstance(m, torch.nn.Conv2d)]
    assert sum(m.kernel_size != (1, 1) for m in convolutions) == 15


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("cnn", {"channels": []}),
        ("cnn", {"kernel_size": 4}),
        ("groupcnn", {"depth": 0}),
        ("groupcnn", {"rule": "most"}),
        ("steerable_cnn", {"max_frequency": 9}),
        ("steerable_cnn", {"max_frequency": 3, "fields": "irreps"}),
        ("harmonic", {"orders": 4}),
        ("relaxed", {"n_banks": 0}),
        ("resnet", {"cardinality": 3}),
        ("vit", {"n_heads": 5}),
        ("vit", {"patch_size": 40}),
        ("vit", {"n_pixels": 2}),
    ],
)
def test_impossible_values(name, params):
    with pytest.raises(ConfigError, match=rf"expected {name}\.{next(iter(params))} to be"):
        build_model(name, **params)
