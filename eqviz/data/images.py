"""Jet images: transverse momentum in pixels of (eta, phi) around the jet axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError

CENTRES = ("centroid", "axis")


def jet_images(
    batch: JetBatch,
    *,
    n_pixels: int = 32,
    half_width: float = 0.8,
    centre: str = "centroid",
    normalise: bool = True,
    rotate: bool = False,
    flip: bool = False,
) -> Tensor:
    """Pixelate jets as in 1407.5675 and 1511.05190 (their steps, applied before the pixels are made).

    Pixel edges are symmetric about the centre for even and odd ``n_pixels``, and the default centre moves
    with the jet under every rotation and reflection of the (eta, phi) plane. So turning a jet by 90 degrees
    in that plane turns its image exactly, but for constituents that lie on an edge.

    Args:
        batch: B jets, in the lab frame.
        n_pixels: pixels along each side.
        half_width: the image covers |Delta eta|, |Delta phi| < half_width; what lies outside is dropped.
        centre: "centroid", the pT-weighted mean of (eta, phi), which is the jet axis in the pT
            recombination scheme, or "axis", the direction of the summed four-momentum (E scheme).
        normalise: divide by the scalar sum of the constituents' pT; otherwise pixels are in GeV.
        rotate: turn the principal axis of the pT distribution into the eta direction.
        flip: mirror so that the halves of positive Delta eta and of positive Delta phi hold more pT.

    Returns:
        (B, 1, n_pixels, n_pixels) float64; rows run along eta, columns along phi, both upwards.
    """
    if n_pixels < 1 or not half_width > 0:
        raise ConfigError(f"expected n_pixels >= 1 and half_width > 0, got {n_pixels} and {half_width}")
    pt, plane = axis_coordinates(batch, centre)
    if rotate:
        plane = _principal_axis_up(batch, pt, plane)
    if flip:
        halves = _jet_sum(batch, pt[:, None] * plane.sign())
        plane = plane * torch.where(halves < 0, -1.0, 1.0)[batch.jet_index]
    if normalise:
        total = _jet_sum(batch, pt)
        pt = pt / torch.where(total > 0, total, 1.0)[batch.jet_index]
    return _pixelate(batch, pt, plane, n_pixels, half_width)


def axis_coordinates(batch: JetBatch, centre: str = "centroid") -> tuple[Tensor, Tensor]:
    """pT (n,) in GeV and (Delta eta, Delta phi) (n, 2) of every constituent, phi unwrapped at the axis.

    Constituents along the beam, which have no eta, come with pT = 0 at the centre.
    """
    if centre not in CENTRES:
        raise ConfigError(f"expected a centre of {', '.join(CENTRES)}, got {centre!r}")
    pt, eta, phi = _polar(batch.p4)
    _, axis_eta, axis_phi = _polar(batch.jet_p4)
    index = batch.jet_index
    d_phi = torch.remainder(phi - axis_phi[index] + math.pi, 2 * math.pi) - math.pi
    plane = torch.stack([eta - axis_eta[index], d_phi], dim=1)
    plane = torch.where(pt[:, None] > 0, plane, 0.0)
    if centre == "centroid":
        total = _jet_sum(batch, pt)
        mean = _jet_sum(batch, pt[:, None] * plane) / torch.where(total > 0, total, 1.0)[:, None]
        plane = plane - mean[index]
    return pt, plane


def _polar(p4: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    px, py, pz = p4[:, 1], p4[:, 2], p4[:, 3]
    pt = torch.hypot(px, py)
    eta = torch.where(pt > 0, torch.asinh(pz / torch.where(pt > 0, pt, 1.0)), 0.0)
    return pt, eta, torch.atan2(py, px)


def _jet_sum(batch: JetBatch, values: Tensor) -> Tensor:
    return values.new_zeros(len(batch), *values.shape[1:]).index_add(0, batch.jet_index, values)


def _principal_axis_up(batch: JetBatch, pt: Tensor, plane: Tensor) -> Tensor:
    products = torch.stack([plane[:, 0] ** 2, plane[:, 1] ** 2, plane[:, 0] * plane[:, 1]], dim=1)
    eta2, phi2, mixed = _jet_sum(batch, pt[:, None] * products).unbind(1)
    angle = (torch.atan2(2 * mixed, eta2 - phi2) / 2)[batch.jet_index]
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos * plane[:, 0] + sin * plane[:, 1], cos * plane[:, 1] - sin * plane[:, 0]], dim=1)


def _pixelate(batch: JetBatch, pt: Tensor, plane: Tensor, n_pixels: int, half_width: float) -> Tensor:
    # Counting from the centre outwards makes +x and -x land in mirrored pixels to the last bit.
    steps = plane.abs() * (n_pixels / (2 * half_width))
    if n_pixels % 2:
        ring = (steps + 0.5).floor()
        pixel = n_pixels // 2 + torch.where(plane < 0, -ring, ring)
    else:
        ring = steps.floor()
        pixel = n_pixels // 2 + torch.where(plane < 0, -1 - ring, ring)
    inside = ((pixel >= 0) & (pixel < n_pixels)).all(dim=1)
    row, column = pixel[inside].long().unbind(1)
    flat = (batch.jet_index[inside] * n_pixels + row) * n_pixels + column
    image = pt.new_zeros(len(batch) * n_pixels**2).index_add(0, flat, pt[inside])
    return image.view(len(batch), 1, n_pixels, n_pixels)
