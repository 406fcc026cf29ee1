"""Filters of harmonic networks: a learned profile times a wave with a learned phase (arXiv:1612.04642)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from eqviz.evaluation.learned.base import Array, LearnedLayer, shows, to_array
from eqviz.layers.harmonic import HarmonicConv
from eqviz.layers.kernels import pixel_grid, ring_profile, rings


@dataclass(frozen=True, eq=False)
class ComplexFilter:
    """R(r) exp(i (k phi + beta)) from a field of order m to one of order n, k = n - m.

    Attributes:
        real, imaginary: (size, size) as the network applies it, rows along eta upwards.
        order: k.
        phase: beta in radians, in [-pi, pi), of a profile that is positive where it is largest.
        radius, width: (rings,) of the rings in pixels.
        weights: (rings,) coefficients of the rings exp(-(r - radius)^2 / (2 width^2)).
    """

    real: Array
    imaginary: Array
    order: int
    phase: float
    radius: Array
    width: Array
    weights: Array

    @property
    def amplitude(self) -> Array:
        """(size, size) |W|."""
        return np.hypot(self.real, self.imaginary)

    @property
    def angle(self) -> Array:
        """(size, size) phase of W in radians, NaN where W all but vanishes."""
        size = self.amplitude
        return np.where(size > 1e-6 * size.max(), np.arctan2(self.imaginary, self.real), np.nan)

    def profile(self, r: Array) -> Array:
        """R at radii r (m,) in pixels."""
        terms = [w * ring_profile(a, s, r) for w, a, s in zip(self.weights, self.radius, self.width)]
        return np.sum(terms, axis=0)


@torch.no_grad()
def read_complex_filter(conv: HarmonicConv, output: int, source: int) -> ComplexFilter:
    """The filter to complex field ``output`` from field ``source``, both counted through all orders."""
    (n, o), (m, i) = place(conv.out_fields, output), place(conv.in_fields, source)
    real, imaginary = (to_array(part[o, i]) for part in conv.complex_filter(n, m))
    kept = [(r, s) for r, s, top in rings(conv.kernel_size) if abs(n - m) <= top]
    x, y = pixel_grid(conv.kernel_size)
    r = np.hypot(x, y)
    weights = []
    for weight, ring_of in zip(to_array(conv.profile[f"{n}_{m}"][o, i]), kept):
        ring = np.where((r > 1e-9) | (n == m), ring_profile(*ring_of, r), 0.0)
        weights.append(weight / np.linalg.norm(ring))
    beta, found = float(conv.phase[f"{n}_{m}"][o, i]), np.array(weights)
    if found[np.abs(found).argmax()] < 0:  # R exp(i beta) = (-R) exp(i (beta + pi))
        beta, found = beta + np.pi, -found
    radius, width = (np.array([ring[k] for ring in kept]) for k in range(2))
    beta = (beta + np.pi) % (2 * np.pi) - np.pi
    return ComplexFilter(real, imaginary, n - m, beta, radius, width, found)


def place(fields: tuple[int, ...], index: int) -> tuple[int, int]:
    """Rotation order and number within it of the ``index``-th complex field."""
    for order, count in enumerate(fields):
        if index < count:
            return order, index
        index -= count
    raise IndexError(index)


def field_names(fields: tuple[int, ...]) -> tuple[str, ...]:
    """``order 0, field 1`` ..."""
    return tuple(f"order {m}, field {i + 1}" for m, count in enumerate(fields) for i in range(count))


@shows(HarmonicConv)
def _harmonic(path: str, module: Any) -> list[LearnedLayer]:
    sources = field_names(module.in_fields)
    if module.real:
        sources = tuple(f"input {i + 1}" for i in range(module.in_fields[0]))
    size, outputs = module.kernel_size, field_names(module.out_fields)
    title = f"{size} × {size} harmonic convolution, {len(sources)} → {len(outputs)} fields"
    return [LearnedLayer(path, title, "harmonic", outputs, sources, module)]
