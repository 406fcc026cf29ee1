"""Steerable kernels in closed form: K(g x) = rho_out(g) K(x) rho_in(g)^-1 (arXiv:1911.08251, eq. 2).

A kernel is a ring of radius r and width sigma times an angular wave of frequency k times a constant matrix.
Rings, widths and the largest frequency on each ring are escnn's, so that kernels span the same space; here
they are exact in float64, need no numerical Clebsch-Gordan coefficients, and take milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eqviz.errors import ConfigError
from eqviz.groups import Representation
from eqviz.groups.clebsch_gordan import invariants
from eqviz.groups.composite import DirectSum, tensor_product
from eqviz.layers.fields import FieldKind, planar_group

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KernelTable:
    """A basis of the steerable kernels from one field to another.

    Attributes:
        kernels: (n, out channels, in channels, size, size) float64, rows of pixels upwards in y; each has one
            unit of energy per output channel on average.
        radius: (n,) of its ring in pixels.
        frequency: (n,) of its angular wave.
    """

    kernels: Array
    radius: Array
    frequency: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kernels)


def pixel_grid(size: int) -> tuple[Array, Array]:
    """x and y (size, size) of the pixels of a kernel about its centre; rows are y upwards, columns x."""
    if size < 1 or size % 2 == 0:
        raise ConfigError(f"expected an odd kernel size, so that there is a centre, got {size}")
    place = np.arange(size) - size // 2
    y, x = np.meshgrid(place, place, indexing="ij")
    return x.astype(np.float64), y.astype(np.float64)


def rings(size: int) -> list[tuple[float, float, int]]:
    """Radius, width and largest frequency of each ring of a kernel of ``size`` pixels, as in escnn."""
    top = size // 2
    found = [(0.0, 0.005, 0)]
    for r in range(1, top + 1):
        frequency = 2 if r == top else 2 * r - (r + 1) % 2
        found.append((float(r), 0.4 if r == top else 0.6, frequency))
    return found


def ring_profile(radius: float, sigma: float, r: Array) -> Array:
    """exp(-(r - radius)^2 / (2 sigma^2))."""
    return np.exp(-((r - radius) ** 2) / (2 * sigma**2))


def wave(x: Array, y: Array, radius: float, sigma: float, k: int) -> Array:
    """(2, ...) ring times cos(k phi) and sin(k phi); (1, ...) for k = 0. Waves vanish at the centre."""
    r = np.hypot(x, y)
    ring = ring_profile(radius, sigma, r)
    if k == 0:
        return ring[None]
    phi = np.arctan2(y, x)
    return np.where(r > 1e-9, ring * np.stack([np.cos(k * phi), np.sin(k * phi)]), 0.0)


@lru_cache(maxsize=256)
def kernel_table(out_kind: FieldKind, in_kind: FieldKind, size: int) -> KernelTable:
    """The kernels from fields of ``in_kind`` to fields of ``out_kind``, shared and read-only; may be none.

    Raises:
        ConfigError: fields of two groups, or an even size.
    """
    if out_kind.group != in_kind.group:
        raise ConfigError(f"expected fields of one group, got {out_kind.group} and {in_kind.group}")
    finite = planar_group(out_kind.group).order is not None
    kernels, labels = (_finite if finite else _continuous)(out_kind, in_kind, size)
    energy = np.sqrt((kernels**2).sum((1, 2, 3, 4), keepdims=True) / out_kind.channels)
    table = KernelTable(
        kernels / energy,
        np.array([r for r, _ in labels], dtype=np.float64),
        np.array([k for _, k in labels], dtype=np.int64),
    )
    for array in vars(table).values():
        array.setflags(write=False)
    return table


@lru_cache(maxsize=512)
def kernel_tensor(
    out_kind: FieldKind, in_kind: FieldKind, size: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The table's kernels (n, out channels, in channels, size, size) as a tensor; do not write to it."""
    kernels = kernel_table(out_kind, in_kind, size).kernels
    return torch.tensor(kernels, dtype=dtype, device=device)


def _finite(out_kind: FieldKind, in_kind: FieldKind, size: int) -> tuple[Array, list[tuple[float, int]]]:
    """Regular and trivial fields: a free kernel for one pair of channels, carried to all others by the group.

    From regular to regular fields K[g, h](x) = psi[g^-1 h](g^-1 x).
    """
    group = planar_group(out_kind.group)
    x, y = pixel_grid(size)
    places, turned = [], []
    for element in group.elements():
        (a, b), (c, d) = element.matrix
        turned.append((a * x + c * y, b * x + d * y))  # g^-1 x
        places.append([np.rint(kind.law(element)).argmax(0) for kind in (out_kind, in_kind)])
    seeds = range(in_kind.channels if out_kind.channels > 1 else 1)
    kernels, labels = [], []
    for radius, sigma, top in rings(size):
        for k in range(top + 1):
            waves = [wave(*moved, radius, sigma, k) for moved in turned]
            for seed in seeds:
                for part in range(len(waves[0])):
                    kernel = np.zeros((out_kind.channels, in_kind.channels, size, size))
                    for (to, come), moved in zip(places, waves):
                        kernel[to[0], come[seed]] += moved[part]
                    if np.abs(kernel).max() > 1e-9 * len(waves):  # scalars to scalars: waves average out
                        kernels.append(kernel)
                        labels.append((radius, k))
    return np.stack(kernels), labels


def _continuous(out_kind: FieldKind, in_kind: FieldKind, size: int) -> tuple[Array, list[tuple[float, int]]]:
    """SO(2) and O(2): irrep by irrep, the invariants of rho_out x rho_in x wave, contracted with waves."""
    x, y = pixel_grid(size)
    kernels, labels = [], []
    for at, rho_out in _blocks(out_kind.law):
        for come, rho_in in _blocks(in_kind.law):
            n, m = rho_out.label[-1], rho_in.label[-1]  # type: ignore[attr-defined]
            for radius, sigma, top in rings(size):
                for k in sorted({abs(n - m), n + m}):
                    if k > top:
                        continue
                    for constant in _constants(out_kind.group, rho_out, rho_in, k):
                        block = np.einsum("oik,kyx->oiyx", constant, wave(x, y, radius, sigma, k))
                        rows, columns = out_kind.reader[at], in_kind.reader[come]
                        kernels.append(np.einsum("oiyx,op,iq->pqyx", block, rows, columns))
                        labels.append((radius, k))
    shape = (len(kernels), out_kind.channels, in_kind.channels, size, size)
    return np.array(kernels).reshape(shape), labels


def _blocks(law: Representation) -> list[tuple[slice, Representation]]:
    if isinstance(law, DirectSum):
        return list(zip(law.slices, law.parts))
    return [(slice(0, law.dimension), law)]


def _constants(group: str, rho_out: Representation, rho_in: Representation, k: int) -> Array:
    """(m, d_out, d_in, d_wave) constant matrices; (cos, sin) of k phi turn as the irrep of frequency k."""
    labels = (rho_out.label, rho_in.label)  # type: ignore[attr-defined]
    return _cached_constants(group, *labels, k)


@lru_cache(maxsize=512)
def _cached_constants(group: str, out: tuple[int, ...], come: tuple[int, ...], k: int) -> Array:
    planar = planar_group(group)
    harmonic = planar.irrep(*((1 if k else 0, k) if group == "O(2)" else (k,)))
    parts = planar.irrep(*out), planar.irrep(*come), harmonic
    found = invariants(tensor_product(*parts))
    return found.reshape(-1, *(part.dimension for part in parts))
