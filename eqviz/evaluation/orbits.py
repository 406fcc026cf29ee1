"""What a network on images makes of an image and of the same image moved: f(g x) beside rho(g) f(x).

rho(g) is the law that each layer declares. Where the layer's group has no such element (a turn by 20 degrees
for C4) the lengths of the fields are compared, which turn as images whatever the group. A network that
declares no symmetry has its channels taken as scalars, which they need not be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eqviz.errors import ConfigError
from eqviz.evaluation.fieldviews import FieldView, describe, field_names, field_view
from eqviz.evaluation.plane import (
    Motion,
    at_layer,
    compared,
    move_fields,
    move_image,
)
from eqviz.layers.fields import FieldType
from eqviz.layers.plain_stack import FeatureMap
from eqviz.layers.turning import coefficients, invariant_maps

Array = NDArray[np.float64]


class ImageNetwork(Protocol):
    """What is asked of a network on images."""

    symmetry: Any
    trunk: Any
    head: Any

    def feature_maps(self, images: Tensor) -> list[FeatureMap]:
        """Name, output and law of every layer, the image first."""


@dataclass(frozen=True, eq=False)
class MovedField:
    """One field of one layer: after the motion, moved by rho(g), and how far these are apart.

    Attributes:
        layer: name of the layer.
        law: its fields, for instance "8 regular of D4".
        field: name of the field.
        after: f(g x); its length where only lengths are compared.
        moved: rho(g) f(x), alike.
        gap: |f(g x) - rho(g) f(x)| per pixel (and sample of a ring).
        inside: (H, W) pixels that are compared.
        error: |gap| / |rho(g) f(x)| in the root mean square of this field.
        layer_error: the same of all fields of the layer.
        lengths: only lengths are compared: the group has no such element.
    """

    layer: str
    law: str
    field: str
    after: FieldView
    moved: FieldView
    gap: FieldView
    inside: NDArray[np.bool_]
    error: float
    layer_error: float
    lengths: bool


@dataclass(frozen=True, eq=False)
class Multiples:
    """Some elements side by side: images (n, H, W), a field's lengths (n, h, w), and these moved back."""

    motions: tuple[Motion, ...]
    images: Array
    fields: Array
    back: Array


def takes_images(model: Any) -> bool:
    """Whether a network can be looked at here."""
    return hasattr(model, "feature_maps") and hasattr(model, "trunk") and hasattr(model, "images")


def layer_names(model: ImageNetwork, image: Tensor) -> dict[str, FieldType]:
    """Law of every layer by its name, the image first."""
    with torch.no_grad():
        return {name: law for name, _, law in model.feature_maps(image)}


def declares_law(laws: Iterable[FieldType]) -> bool:
    """Whether layers declare more than scalars, which a network without a symmetry has them taken as."""
    return any(kind.name != "trivial" for law in laws for kind, _ in law.parts)


@torch.no_grad()
def moved_field(model: ImageNetwork, image: Tensor, motion: Motion, layer: str, field: int = 0) -> MovedField:
    """f(g x) and rho(g) f(x) of one field; see :class:`MovedField`.

    Args:
        image: (1, C, N, N).
        layer: a name of :func:`layer_names`.
        field: its number, from 0.

    Raises:
        ConfigError: no such layer or field.
    """
    before, law = _layer(model.feature_maps(image), layer)
    after, _ = _layer(model.feature_maps(move_image(image, motion)), layer)
    return compare_fields(layer, law, before, after, motion, image.shape[-1], field)


def compare_fields(
    layer: str, law: FieldType, before: Tensor, after: Tensor, motion: Motion, size: int, field: int = 0
) -> MovedField:
    """The comparison for the outputs (1, channels, H, W) of a layer to an image and to the moved image."""
    names = field_names(law)
    if not 0 <= field < len(names):
        raise ConfigError(f"expected a field from 0 to {len(names) - 1} of {layer}, got {field}")
    name = names[field]
    inside = compared(before.shape[-1], at_layer(motion, size, before.shape[-1]))
    moved = move_fields(before, law, motion, size)
    lengths = moved is None
    if moved is None:
        local = at_layer(motion, size, before.shape[-1])
        got, expected = invariant_maps(after, law), move_image(invariant_maps(before, law), local)
        first, second = (
            FieldView("scalar", x[0, field : field + 1].double().numpy()) for x in (got, expected)
        )
        at = slice(field, field + 1)
    else:
        got, expected, at = coefficients(after, law), moved, name.at
        first, second = (field_view(x[0, at].double().numpy(), name.kind) for x in (got, expected))
    return MovedField(
        layer, law_text(law), str(name), first, second, _gap(first, second), inside,
        relative_error(got[:, at], expected[:, at], inside), relative_error(got, expected, inside), lengths,
    )  # fmt: skip


@torch.no_grad()
def multiples(
    model: ImageNetwork, image: Tensor, motions: Sequence[Motion], layer: str, field: int = 0
) -> Multiples:
    """One field's lengths for several motions, and the same moved back: all alike if equivariant."""
    moved = torch.cat([move_image(image, motion) for motion in motions])
    features, law = _layer(model.feature_maps(moved), layer)
    lengths = invariant_maps(features, law)[:, field : field + 1]
    size = image.shape[-1]
    back = torch.cat([
        move_back(lengths[i : i + 1], at_layer(motion, size, lengths.shape[-1]))
        for i, motion in enumerate(motions)
    ])  # fmt: skip
    arrays = (moved.sum(1), lengths[:, 0], back[:, 0])
    return Multiples(tuple(motions), *(array.double().numpy() for array in arrays))


def move_back(images: Tensor, motion: Motion) -> Tensor:
    """Undo :func:`move_image`: first the shift, then turn and reflection."""
    unshifted = move_image(images, Motion(shift=(-motion.shift[0], -motion.shift[1])))
    turn = motion.angle if motion.mirrored else -motion.angle  # a reflection is its own inverse
    return move_image(unshifted, Motion(turn, motion.mirrored))


def law_text(law: FieldType) -> str:
    """For instance "8 regular of D4"; scalars are said to be no more than that."""
    return " + ".join(f"{count} × {describe(kind)}" for kind, count in law.parts)


def group_of(model: Any) -> str:
    """The planar group that a network declares, or ""."""
    name = str(model.symmetry)
    return "" if name in ("none", "S_n") else name


def _layer(maps: list[FeatureMap], layer: str) -> tuple[Tensor, FieldType]:
    for name, features, law in maps:
        if name == layer:
            return features, law
    raise ConfigError(f"expected a layer of {', '.join(name for name, _, _ in maps)}, got {layer!r}")


def _gap(after: FieldView, moved: FieldView) -> FieldView:
    apart = after.values - moved.values
    if after.look == "ring":
        return replace(after, values=np.abs(apart))
    return FieldView("scalar", np.sqrt((apart**2).sum(0))[None])


def relative_error(got: Tensor, expected: Tensor, inside: NDArray[np.bool_]) -> float:
    """|got - expected| / |expected| in the root mean square over ``inside``; 0 where both vanish."""
    chosen = torch.from_numpy(inside)
    size = float(expected[..., chosen].double().square().sum())
    apart = float((got[..., chosen].double() - expected[..., chosen].double()).square().sum())
    return float(np.sqrt(apart / size)) if size > 0 else float(apart > 0)
