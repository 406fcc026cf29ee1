"""Jets and detector images turned in the (eta, phi) plane, before the pixels that a network sees are made.

Turning a finished image interpolates between its pixels, and blurs it. Here constituents (or the fine
deposits of a detector image) move to where they would be, and pixels are made afterwards.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from eqviz.data.image_batch import ImageBatch
from eqviz.data.images import axis_coordinates
from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError

PARTS = 3  # a deposit's cell is cut into this many parts along each side


def turned_jets(batch: JetBatch, degrees: float) -> JetBatch:
    """Jets whose constituents are turned in (eta, phi) around the pT-weighted centroid.

    Every constituent keeps its pT and mass, so :func:`eqviz.data.jet_images` draws the turned picture: exact,
    without interpolation. It is not a rotation of space, but for narrow jets nearly one around the jet axis,
    because (eta, phi) maps the sphere conformally.

    Raises:
        ConfigError: an angle that is not finite.
    """
    cos, sin = _direction(degrees)
    pt, plane = axis_coordinates(batch)
    p4 = batch.p4
    mass2 = (p4[:, 0] ** 2 - p4[:, 1:].square().sum(1)).clamp(min=0)
    eta = torch.asinh(p4[:, 3] / torch.where(pt > 0, pt, 1.0))
    phi = torch.atan2(p4[:, 2], p4[:, 1])
    eta = eta - plane[:, 0] + cos * plane[:, 0] - sin * plane[:, 1]
    phi = phi - plane[:, 1] + sin * plane[:, 0] + cos * plane[:, 1]
    p3 = torch.stack([pt * phi.cos(), pt * phi.sin(), pt * eta.sinh()], 1)
    turned = torch.cat([(p3.square().sum(1) + mass2).sqrt()[:, None], p3], 1)
    return replace(batch, p4=torch.where(pt[:, None] > 0, turned, p4))


def turned_images(batch: ImageBatch, degrees: float, size: int | None = None) -> ImageBatch:
    """Detector images turned around their centre, then made ``size`` by ``size`` (as they are by default).

    Each stored deposit is spread evenly over its cell, as PARTS x PARTS points per pixel; the points are
    turned and collected in the new pixels. Energies are conserved, but for what turns out of the square.
    Exact under quarter turns; at other angles a place is known to a third of a stored pixel, which is finer
    than the pixels of a coarser image.

    Raises:
        ConfigError: an angle that is not finite, or channels that cannot be summed (times).
    """
    layout = batch.layout
    if layout.height != layout.width or not all(layout.additive):
        raise ConfigError(
            "expected square images of channels that can be summed (energies) to turn, got "
            f"{layout.height} x {layout.width} of {dict(zip(layout.channels, layout.additive))}"
        )
    size = size or layout.width
    cos, sin = _direction(degrees)
    if abs(cos) + abs(sin) == 1:  # pixels move onto pixels
        quarters = round(degrees / 90) % 4
        dense = batch.dense(None if size == layout.width else size)
        return batch.collected(torch.rot90(dense, quarters, (2, 3)), size)
    images = torch.zeros(len(batch), len(layout.channels), size * size, dtype=torch.float64)
    channel = batch.channel
    for number, block in enumerate(layout.blocks):
        at = channel == number
        place, shares = _points(batch, at, block, layout.starts[number])
        eta, phi = cos * place[:, 0] - sin * place[:, 1], sin * place[:, 0] + cos * place[:, 1]
        row, column = ((x * size / layout.width + size / 2).floor().long() for x in (eta, phi))
        inside = (row >= 0) & (row < size) & (column >= 0) & (column < size)
        image = batch.image_index[at].repeat_interleave(shares)
        flat = (image * size * size + row * size + column)[inside]
        value = (batch.value[at].double() / shares).repeat_interleave(shares)[inside]
        images[:, number] = torch.bincount(flat, value, len(batch) * size * size).view(len(batch), -1)
    return batch.collected(images.view(len(batch), len(layout.channels), size, size).float(), size)


def _points(batch: ImageBatch, at: Tensor, block: int, start: int) -> tuple[Tensor, int]:
    """Places (n, 2) of the points of all chosen deposits, in stored pixels from the image's centre; how many
    points a deposit has."""
    side = PARTS * block
    across = batch.layout.width // block
    index = batch.index[at] - start
    corner = torch.stack([index // across, index % across], 1).double() * block - batch.layout.width / 2
    steps = (torch.arange(side, dtype=torch.float64) + 0.5) / PARTS
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
    return (corner[:, None] + grid).reshape(-1, 2), side * side


def _direction(degrees: float) -> tuple[float, float]:
    """cos and sin, whole numbers at quarter turns."""
    if not math.isfinite(degrees):
        raise ConfigError(f"expected a finite angle in degrees, got {degrees}")
    if degrees % 90 == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[round(degrees / 90) % 4]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
