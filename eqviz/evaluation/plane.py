"""Motions of images and of the fields on them: g as it is dialled, and what rho(g) makes of a layer.

Images have rows along eta and columns along phi. A motion is named as it is seen with eta to the right and
phi upwards; the representations of :mod:`eqviz.layers.fields` count columns as x and rows as y, so there a
turn from eta to phi has the opposite angle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from eqviz.errors import ConfigError
from eqviz.groups import Element
from eqviz.groups.planar import FLIP, rotation
from eqviz.layers.fields import FieldType, planar_group
from eqviz.layers.turning import turn_fibres, turn_image

Array = NDArray[np.float64]
GRID = 1e-9  # how far from a pixel counts as on it


@dataclass(frozen=True)
class Motion:
    """A motion of the (eta, phi) plane: first the reflection, then the turn, then the shift.

    Attributes:
        angle: of the turn from the eta to the phi axis, in radians.
        mirrored: eta -> -eta first.
        shift: along (eta, phi) in pixels of the image.
    """

    angle: float = 0.0
    mirrored: bool = False
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def matrix(self) -> Array:
        """(2, 2) turn and reflection of (x, y) = (phi, eta), as the networks' representations have it."""
        return np.asarray(rotation(-self.angle) @ (FLIP if self.mirrored else np.eye(2)), dtype=np.float64)

    @property
    def on_grid(self) -> bool:
        """Whether pixels of the image move onto pixels."""
        numbers = np.array([*self.matrix.ravel(), *self.shift])
        return bool(np.abs(numbers - np.rint(numbers)).max() < GRID)

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves."""
        return bool(np.abs(self.matrix - np.eye(2)).max() < GRID and max(map(abs, self.shift)) < GRID)

    def __str__(self) -> str:
        turned = f"turn by {np.degrees(self.angle):.4g}°" if abs(self.angle) > GRID else ""
        parts = [turned, "reflection η → −η" if self.mirrored else ""]
        moves = zip(self.shift, ("η", "φ"))
        parts += [f"shift by {by:+.4g} pixels along {axis}" for by, axis in moves if abs(by) > GRID]
        return ", ".join(filter(None, parts)) or "identity"


def element_of(motion: Motion, group_name: str) -> Element | None:
    """The element of a planar group that turns as ``motion`` does; None where the group has none.

    Shifts do not matter: every convolution knows them.
    """
    group = planar_group(group_name)
    reflections = group_name.startswith(("D", "O"))
    if motion.mirrored and not reflections:
        return None
    try:
        turn: Element = group.rotation(-motion.angle)  # type: ignore[attr-defined]
    except ConfigError:
        return None
    if not motion.mirrored:
        return turn
    return turn * group.discrete(len(group.discrete_names) - 1)


def move_image(images: Tensor, motion: Motion) -> Tensor:
    """Images (B, C, N, N) moved: bicubic between pixels, exact onto pixels, zero where nothing came from."""
    turned = images
    if np.abs(motion.matrix - np.eye(2)).max() > GRID:
        turned = turn_image(images, motion.matrix)
    return _shifted(turned, motion.shift)


def move_fields(features: Tensor, field_type: FieldType, motion: Motion, image_size: int) -> Tensor | None:
    """rho(g) f: coefficients (B, D, H, W) of the moved fields, or None where the group has no such element.

    Args:
        features: (B, channels, H, W) of a layer.
        field_type: their law.
        motion: of the image; shifts are taken over to the layer's coarser pixels.
        image_size: pixels of the image along each side.
    """
    element = element_of(motion, field_type.group)
    if element is None:
        return None
    turned = turn_fibres(features, field_type, element)
    return move_image(turned, at_layer(motion, image_size, features.shape[-1]))


def at_layer(motion: Motion, image_size: int, layer_size: int) -> Motion:
    """The same motion in pixels of a layer: a shift by one pixel is half a pixel behind one pooling."""
    pitch = max(1, round(image_size / layer_size))
    return replace(motion, shift=(motion.shift[0] / pitch, motion.shift[1] / pitch))


def compared(size: int, motion: Motion) -> NDArray[np.bool_]:
    """(size, size) pixels where g moves known pixels to: all for symmetries of the grid, else a disc of them.

    ``motion`` is that of the layer. The corners of an image turn out of it, and what a shift brings in is
    unknown.
    """
    ones = torch.ones(1, 1, size, size, dtype=torch.float64)
    place = (2 * torch.arange(size) + 1) / size - 1
    disc = (place[:, None] ** 2 + place[None] ** 2 <= 0.9**2).to(ones)
    turns = np.abs(motion.matrix - np.rint(motion.matrix)).max() > GRID
    start = ones * disc if turns else ones
    there = _shifted(start, motion.shift)[0, 0].numpy() > 1 - 1e-6
    return np.asarray(there, dtype=bool)


def _shifted(images: Tensor, shift: tuple[float, float]) -> Tensor:
    if max(map(abs, shift)) < GRID:
        return images
    whole = [round(by) for by in shift]
    n = images.shape[-1]
    if max(abs(by - near) for by, near in zip(shift, whole)) < GRID:
        out = torch.zeros_like(images)
        to, come = zip(*(_overlap(by, n) for by in whole))
        out[..., to[0], to[1]] = images[..., come[0], come[1]]
        return out
    place = (2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1
    rows, columns = (place - 2 * by / n for by in shift)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    grid = torch.stack([x, y], -1).to(images).expand(len(images), n, n, 2)
    return functional.grid_sample(images, grid, mode="bicubic", padding_mode="zeros", align_corners=False)


def _overlap(by: int, n: int) -> tuple[slice, slice]:
    if abs(by) >= n:
        return slice(0, 0), slice(0, 0)
    return (slice(by, n), slice(0, n - by)) if by >= 0 else (slice(0, n + by), slice(-by, n))
