"""How well layers on images turn with their input: exactly on the grid, and at every angle.

Under quarter turns and reflections pixels move onto pixels, so what is measured is the network. At other
angles the image is interpolated: the curve over angle shows interpolation and aliasing beside the network's
own error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from eqviz.errors import ConfigError
from eqviz.groups import Element
from eqviz.layers.fields import FieldType, planar_group
from eqviz.layers.plain_stack import FeatureMap

Features = Callable[[Tensor], list[FeatureMap]]
"""Images (B, C, N, N) to the feature map of every layer, the image first."""


@dataclass(frozen=True)
class LayerError:
    """max |f(g x) - g f(x)| of one layer under one element, over the largest entry (0 if both vanish)."""

    layer: str
    element: str
    relative: float


def turn_image(images: Tensor, matrix: ArrayLike) -> Tensor:
    """Images (B, C, N, N) moved by an orthogonal (2, 2) matrix: the pixel at p shows what was at g^-1 p.

    Rows count y upwards, columns x, as in :func:`eqviz.groups.planar.image_action`. Bicubic between pixels,
    zero outside; exact where the matrix maps pixels onto pixels.
    """
    g = np.asarray(matrix, dtype=np.float64)
    if g.shape != (2, 2) or not np.allclose(g @ g.T, np.eye(2), atol=1e-9):
        raise ConfigError(f"expected an orthogonal (2, 2) matrix, got {g.tolist()}")
    if images.ndim != 4 or images.shape[2] != images.shape[3]:
        raise ConfigError(f"expected square images (B, C, N, N), got {tuple(images.shape)}")
    whole = np.rint(g)
    if np.abs(g - whole).max() < 1e-9:
        return _permuted(images, whole)
    n = images.shape[-1]
    place = (2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1
    y, x = torch.meshgrid(place, place, indexing="ij")
    come = torch.stack([g[0, 0] * x + g[1, 0] * y, g[0, 1] * x + g[1, 1] * y], -1)  # g^-1 p
    grid = come.to(images).expand(len(images), n, n, 2)
    return functional.grid_sample(images, grid, mode="bicubic", padding_mode="zeros", align_corners=False)


def _permuted(images: Tensor, g: NDArray[np.float64]) -> Tensor:
    swapped = images.transpose(2, 3) if g[0, 0] == 0 else images
    # new row y shows the old at y' = g01 x + g11 y, new column x at x' = g00 x + g10 y
    along_y, along_x = (g[1, 0], g[0, 1]) if g[0, 0] == 0 else (g[1, 1], g[0, 0])
    axes = [axis for axis, sign in ((2, along_y), (3, along_x)) if sign < 0]
    return swapped.flip(axes)


def coefficients(features: Tensor, field_type: FieldType) -> Tensor:
    """Feature channels to the coefficients that the group acts on: samples are read in their frequencies."""
    parts = []
    for kind, count, at in field_type.slices():
        reader = torch.tensor(kind.reader, dtype=features.dtype, device=features.device)
        fields = features[:, at].unflatten(1, (count, kind.channels))
        parts.append(torch.einsum("dc,bnchw->bndhw", reader, fields).flatten(1, 2))
    return torch.cat(parts, 1)


def turn_fibres(features: Tensor, field_type: FieldType, element: Element) -> Tensor:
    """The coefficients of rho(g) f(p): fibres turn, pixels stay."""
    read, parts, start = coefficients(features, field_type), [], 0
    for _, count, reader, matrix in field_type.law(element):
        part = read[:, start : start + count * len(reader)].unflatten(1, (count, len(reader)))
        law = torch.tensor(matrix, dtype=read.dtype, device=read.device)
        parts.append(torch.einsum("de,bnehw->bndhw", law, part).flatten(1, 2))
        start += count * len(reader)
    return torch.cat(parts, 1)


def turn_fields(features: Tensor, field_type: FieldType, element: Element) -> Tensor:
    """The coefficients of the turned field: pixels move and fibres turn, rho(g) f(g^-1 p)."""
    return turn_image(turn_fibres(features, field_type, element), element.matrix)


def invariant_maps(features: Tensor, field_type: FieldType) -> Tensor:
    """(B, fields, H, W) lengths of the fields; scalars as they are. These turn as images at every angle."""
    maps = []
    for kind, count, at in field_type.slices():
        fields = features[:, at].unflatten(1, (count, kind.channels))
        maps.append(fields[:, :, 0] if kind.name == "trivial" else fields.square().sum(2).sqrt())
    return torch.cat(maps, 1)


@torch.no_grad()
def layer_errors(
    features: Features, images: Tensor, elements: Sequence[Element] | None = None
) -> list[LayerError]:
    """The equivariance error of every layer under each element.

    Args:
        features: a network's ``feature_maps``.
        images: (B, C, N, N); float64 to see rounding only.
        elements: of the group of the layers' fields; by default all of a finite group, and the quarter turns
            (and reflection) of SO(2) and O(2). Eighth turns interpolate, as a square grid has none, and are
            compared within the inscribed disc.
    """
    plain = features(images)
    group = plain[-1][2].group
    rows = []
    for element in elements if elements is not None else grid_elements(group):
        for before, after in zip(plain, features(turn_image(images, element.matrix))):
            (name, x, law), (_, y, _) = before, after
            expected, got = turn_fields(x, law, element), coefficients(y, law)
            mask = _disc(x) if _between_pixels(element) else torch.ones_like(x[0, 0])
            scale = max(float((expected * mask).abs().max()), float((got * mask).abs().max()))
            error = float(((got - expected) * mask).abs().max())
            rows.append(LayerError(name, str(element), error / scale if scale else 0.0))
    return rows


def grid_elements(group_name: str) -> list[Element]:
    """All elements of a finite planar group; quarter turns and their reflections of SO(2) and O(2)."""
    group = planar_group(group_name)
    if group.order is not None:
        return group.elements()
    turns = [group.rotation(quarter * np.pi / 2) for quarter in range(4)]  # type: ignore[attr-defined]
    if group_name == "O(2)":
        turns += [turn * group.discrete(0) for turn in turns]
    return turns


@torch.no_grad()
def angle_curve(features: Features, images: Tensor, angles: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Relative error of every layer's invariant maps against the angle of rotation.

    |m(R x) - R m(x)| / |m(x)| in the root mean square over the inscribed disc, for any network: a field's
    length turns as an image at every angle. The image's own row is the error of turning there and back, which
    interpolation alone makes.

    Args:
        features: a network's ``feature_maps``.
        images: (B, C, N, N).
        angles: (A,) in radians.

    Returns:
        layer name -> (A,) errors.
    """
    plain = features(images)
    curve: dict[str, list[float]] = {name: [] for name, _, _ in plain}
    for angle in np.asarray(angles, dtype=np.float64):
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        moved = turn_image(images, turn)
        curve[plain[0][0]].append(_disc_error(turn_image(moved, turn.T), images))
        for (name, x, law), (_, y, _) in zip(plain[1:], features(moved)[1:]):
            expected = turn_image(invariant_maps(x, law), turn)
            curve[name].append(_disc_error(invariant_maps(y, law), expected))
    return {name: np.array(values) for name, values in curve.items()}


def _between_pixels(element: Element) -> bool:
    return bool(np.abs(element.matrix - np.rint(element.matrix)).max() > 1e-9)


def _disc(image: Tensor) -> Tensor:
    """(N, N) ones inside the inscribed disc: the corners of an image turn out of it."""
    n = image.shape[-1]
    place = (2 * torch.arange(n, device=image.device) + 1) / n - 1
    return (place[:, None] ** 2 + place[None] ** 2 <= 0.9**2).to(image)


def _disc_error(got: Tensor, expected: Tensor) -> float:
    inside = _disc(got)
    size = float((expected.square() * inside).sum())
    error = float(((got - expected).square() * inside).sum())
    return float(np.sqrt(error / size)) if size else 0.0
