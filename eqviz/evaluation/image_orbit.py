"""A network along the whole orbit of an image: its answers, its features, and the error of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from eqviz.errors import ConfigError
from eqviz.evaluation.orbits import ImageNetwork, group_of, move_back, relative_error
from eqviz.evaluation.plane import Motion, at_layer, compared, element_of, move_fields, move_image
from eqviz.layers.fields import planar_group
from eqviz.layers.plain_stack import FeatureMap
from eqviz.layers.turning import coefficients, invariant_maps

Array = NDArray[np.float64]
Along = Literal["angle", "eta", "phi"]
HERE = Motion()
CHUNK = 12  # images at a time


@dataclass(frozen=True, eq=False)
class ImageOrbit:
    """A network along the orbit of one image.

    Attributes:
        along: "angle" (radians), "eta" or "phi" (pixels).
        at: (n,) where.
        own: (n,) turns of the network's own group that move pixels onto pixels: exact ones. No shifts.
        logits: (n, classes).
        invariants: (n, F) what the head sees.
        means: layer -> (n, D) coefficients averaged over the image.
        lengths: layer -> (n,) relative error of the fields' lengths.
        exact: layer -> (n,) relative error under rho(g), NaN where the group has no such element.
        there_and_back: (n,) relative change of the image itself, moved and moved back: interpolation.
    """

    along: str
    at: Array
    own: NDArray[np.bool_]
    logits: Array
    invariants: Array
    means: dict[str, Array]
    lengths: dict[str, Array]
    exact: dict[str, Array]
    there_and_back: Array

    @property
    def start(self) -> int:
        """The element that is nearest to doing nothing."""
        return int(np.argmin(np.abs(self.at)))


@torch.no_grad()
def image_orbit(
    model: ImageNetwork,
    image: Tensor,
    at: ArrayLike | None = None,
    along: Along = "angle",
    start: Motion = HERE,
) -> ImageOrbit:
    """Answers, features and errors of every layer along an orbit.

    Args:
        image: (1, C, N, N).
        at: angles in radians or shifts in pixels; by default every 7.5 degrees of a full turn, or every pixel
            up to a quarter of the image.
        along: what is varied; the rest of the motion is that of ``start``.
    """
    points = orbit_points(along, image.shape[-1]) if at is None else np.asarray(at, dtype=np.float64)
    motions = [moved_along(start, along, value) for value in points]
    plain = model.feature_maps(image)
    parts: list[dict[str, Any]] = []
    for first in range(0, len(motions), CHUNK):
        some = motions[first : first + CHUNK]
        parts += _some(model, image, plain, some)
    names = [name for name, _, _ in plain]
    return ImageOrbit(
        along, points,
        np.array([part["own"] and along == "angle" for part in parts]),
        np.stack([part["logits"] for part in parts]),
        np.stack([part["invariants"] for part in parts]),
        {name: np.stack([part["means"][name] for part in parts]) for name in names},
        {name: np.array([part["lengths"][name] for part in parts]) for name in names},
        {name: np.array([part["exact"][name] for part in parts]) for name in names},
        np.array([part["back"] for part in parts]),
    )  # fmt: skip


def moved_along(start: Motion, along: Along, value: float) -> Motion:
    """``start`` with another angle (radians) or another shift (pixels)."""
    if along == "angle":
        return replace(start, angle=float(value))
    if along not in ("eta", "phi"):
        raise ConfigError(f"expected an orbit along 'angle', 'eta' or 'phi', got {along!r}")
    shift = (value, start.shift[1]) if along == "eta" else (start.shift[0], value)
    return replace(start, shift=(float(shift[0]), float(shift[1])))


def orbit_points(along: Along, n_pixels: int) -> Array:
    """Every 7.5 degrees of a full turn in radians, or every pixel up to a quarter of the image either way."""
    if along == "angle":
        return np.radians(np.arange(0.0, 360.1, 7.5))
    reach = n_pixels // 4
    return np.arange(-reach, reach + 1, dtype=np.float64)


def own_motions(group_name: str, mirrored: bool = True) -> list[Motion]:
    """The elements of a finite group; of SO(2) and O(2) and without a group the eighth turns."""
    known = group_name if group_name[:1] in ("C", "D", "S", "O") and group_name != "S_n" else "SO(2)"
    order = planar_group(known).order
    reflections = known.startswith(("D", "O"))
    n = 8 if order is None else order // (1 + reflections)
    turns = [Motion(2 * np.pi * k / n) for k in range(n)]
    return turns + [replace(turn, mirrored=True) for turn in turns if reflections and mirrored]


def principal_plane(values: ArrayLike) -> tuple[Array, Array]:
    """Points (n, D) in the plane of their first two principal components.

    In units of the root mean square length of the points, so that an orbit of size 0.01 is a change by 1 %.

    Returns:
        (n, 2) and the shares of the variance that both components hold.
    """
    points = np.asarray(values, dtype=np.float64)
    scale = np.sqrt((points**2).sum(1).mean()) or 1.0
    centred = (points - points.mean(0)) / scale
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(points), 2))
    kept = min(2, len(sizes))
    plane[:, :kept] = left[:, :kept] * sizes[:kept]
    total = float((sizes**2).sum())
    shares = np.zeros(2)
    shares[:kept] = sizes[:kept] ** 2 / total if total > 0 else 0.0
    return plane, shares


def _some(
    model: ImageNetwork, image: Tensor, plain: list[FeatureMap], motions: Sequence[Motion]
) -> list[dict[str, Any]]:
    moved, size = torch.cat([move_image(image, motion) for motion in motions]), image.shape[-1]
    maps, invariants = model.feature_maps(moved), model.trunk(moved)
    logits, group = model.head(invariants), group_of(model)
    out = []
    for i, motion in enumerate(motions):
        lengths, exact = {}, {}
        for (name, x, law), (_, y, _) in zip(plain, maps):
            local = at_layer(motion, size, x.shape[-1])
            inside = compared(x.shape[-1], local)
            expected = move_image(invariant_maps(x, law), local)
            lengths[name] = relative_error(invariant_maps(y[i : i + 1], law), expected, inside)
            full = move_fields(x, law, motion, size)
            exact[name] = (
                np.nan if full is None else relative_error(coefficients(y[i : i + 1], law), full, inside)
            )
        means = {name: coefficients(y[i : i + 1], law).mean((0, 2, 3)) for name, y, law in maps}
        inside = compared(size, motion)
        own = bool(group) and motion.on_grid and element_of(motion, group) is not None
        out.append({
            "logits": logits[i].double().numpy(), "invariants": invariants[i].double().numpy(),
            "means": {name: value.double().numpy() for name, value in means.items()},
            "lengths": lengths, "exact": exact, "own": own,
            "back": relative_error(move_back(moved[i : i + 1], motion), image, inside),
        })  # fmt: skip
    return out
