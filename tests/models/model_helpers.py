"""Small networks and transformations that the tests of models share."""

from __future__ import annotations

import numpy as np
import torch
from helpers import toy_jets

from eqviz.data.images import axis_coordinates
from eqviz.data.jets import JetBatch
from eqviz.kinematics import from_ptetaphim, random_lorentz, rotation_matrix
from eqviz.models import JetModel, build_model

# Models that are too large for a quick test; others are tested with their default sizes.
SMALL = {
    "lorentznet": {"n_blocks": 2, "hidden": 12},
    "lgn": {"channels": (4, 6, 12), "scale": 0.1},
    "pelican-irc": {"hidden": 12, "message": 8, "n_blocks": 2},
    "pelican": {"hidden": 10, "message": 6, "n_blocks": 2, "label_channels": 3},
    "d4cnn": {"n_pixels": 16, "fields": (4, 8), "hidden": 16},
    "cnn": {"n_pixels": 10, "channels": (8, 16), "depth": 1, "hidden": 16},
    "resnet": {"n_pixels": 10, "channels": (8, 16), "blocks": 1, "kernel_size": 3, "hidden": 16},
    "vit": {"n_pixels": 10, "patch_size": 3, "width": 16, "n_blocks": 1, "n_heads": 2, "hidden": 16},
    "groupcnn": {"n_pixels": 10, "channels": (8, 16), "depth": 1, "hidden": 16},
    "steerable_cnn": {"n_pixels": 10, "channels": (8, 16), "depth": 1, "hidden": 16},
    "harmonic": {"n_pixels": 10, "channels": (8, 16), "depth": 1, "hidden": 16},
    "spherical_cg": {"degree": 4, "channels": 6, "n_layers": 2, "hidden": 16},
    "relaxed": {"n_pixels": 10, "channels": (16, 32), "depth": 1, "hidden": 16},
}

# Networks of a few parameters cannot remember; their own tests show that they learn.
FEW_PARAMETERS = {"nanopelican"}


def small(name: str, seed: int = 0, **params) -> JetModel:
    torch.manual_seed(seed)
    return build_model(name, **{**SMALL.get(name, {}), **params})


def jets(n: int = 6, seed: int = 0, n_max: int = 12) -> JetBatch:
    return toy_jets(n, seed, n_max).batch


def logits(model: JetModel, batch: JetBatch) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(batch)


def rotated_in_plane(batch: JetBatch, turn: np.ndarray) -> JetBatch:
    """The jets with (Delta eta, Delta phi) about their centroid multiplied by ``turn`` (2, 2)."""
    pt, plane = axis_coordinates(batch)
    plane = plane @ torch.from_numpy(turn).T
    p4 = from_ptetaphim(pt.numpy(), plane[:, 0].numpy(), plane[:, 1].numpy())
    return JetBatch.from_arrays(np.split(p4, batch.offsets[1:-1].numpy()), labels=batch.label)


def transformations(symmetry: str, batch: JetBatch, seed: int) -> list[JetBatch]:
    """What the declared group does to jets. A new symmetry gets its line here."""
    rng = np.random.default_rng(seed)
    if symmetry == "none":
        return [batch]
    if symmetry == "S_n":
        return [batch.permuted(seed)]
    if symmetry == "SO+(1,3)":
        return [batch.permuted(seed), batch.transformed(random_lorentz(rng, 10.0))]
    if symmetry == "SO(3)":
        return [batch.permuted(seed), batch.transformed(rotation_matrix(1.1, rng.normal(size=3)))]
    if symmetry in ("SO(2)", "O(2)") or (symmetry[0] in "CD" and symmetry[1:].isdigit()):
        # of the plane of an image, whose grid has quarter turns only
        quarter, mirror = np.array([[0.0, -1], [1, 0]]), np.array([[1.0, 0], [0, -1]])
        steps = [quarter, *([mirror, mirror @ quarter] if symmetry[0] in "DO" else [])]
        return [batch.permuted(seed), *(rotated_in_plane(batch, step) for step in steps)]
    raise AssertionError(f"say in tests/models/model_helpers.py how the group {symmetry!r} acts on jets")
