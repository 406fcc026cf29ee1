"""Functions on the sphere in harmonic space and their Clebsch-Gordan products (arXiv:1806.09231).

A function is its coefficients in real spherical harmonics, (..., (L + 1)^2), degree l at l^2 .. (l + 1)^2,
orders m = -l ... l as in :func:`eqviz.groups.rotations.so3`. No grid is involved, so rotations are exact.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eqviz.errors import ConfigError
from eqviz.groups.rotations import real_cg_table

EPSILON = 1e-6
MOMENTUM = 0.1


def degree_slice(l: int) -> slice:  # noqa: E741
    """Where degree l sits among the coefficients."""
    return slice(l * l, (l + 1) ** 2)


def spherical_harmonics(directions: Tensor, degree: int) -> Tensor:
    """Real harmonics (n, (degree + 1)^2) of unit vectors (n, 3), orthonormal, no Condon-Shortley sign.

    Degree l + 1 is the product of degrees l and 1, so that they turn with SO(3)'s irreps to rounding.
    """
    first = directions[:, [1, 2, 0]] * np.sqrt(3 / (4 * np.pi))
    found = [torch.full_like(directions[:, :1], np.sqrt(1 / (4 * np.pi))), first]
    for l in range(2, degree + 1):  # noqa: E741
        table = torch.tensor(_ladder(l), dtype=directions.dtype, device=directions.device)
        found.append(torch.einsum("ijk,ni,nj->nk", table, found[-1], first))
    return torch.cat(found[: degree + 1], 1)


@lru_cache(maxsize=32)
def _ladder(l: int) -> NDArray[np.float64]:  # noqa: E741
    """The coupling of degrees l - 1 and 1 to l, scaled by the value that Y_l has at the north pole."""
    table = real_cg_table(2 * (l - 1), 2, 2 * l)
    north = [np.sqrt((2 * n + 1) / (4 * np.pi)) for n in (l - 1, 1, l)]
    return table * north[2] / (north[0] * north[1] * table[l - 1, 1, l])


@lru_cache(maxsize=32)
def product_table(degree: int, out_degree: int) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """All couplings of degrees l1 <= l2 <= degree to l <= out_degree as one matrix.

    Returns:
        ((degree + 1)^4, K) matrix on the flattened outer product, its columns sorted by l, each coupling of
        unit strength, and the number of couplings for each l.
    """
    size = (degree + 1) ** 2
    columns: list[NDArray[np.float64]] = []
    counts = []
    for l in range(out_degree + 1):  # noqa: E741
        blocks = []
        for l1 in range(degree + 1):
            for l2 in range(l1, degree + 1):
                table = real_cg_table(2 * l1, 2 * l2, 2 * l)
                if not table.any() or (l1 == l2 and l % 2):  # a function's product with itself is symmetric
                    continue
                block = np.zeros((size, size, 2 * l + 1))
                block[degree_slice(l1), degree_slice(l2)] = table
                blocks.append(block.reshape(size * size, -1))
        columns += blocks
        counts.append(len(blocks))
    matrix = np.concatenate(columns, 1)
    matrix.setflags(write=False)
    return matrix, tuple(counts)


@lru_cache(maxsize=32)
def _product_tensor(degree: int, out_degree: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(product_table(degree, out_degree)[0], dtype=dtype, device=device)


class CGLayer(nn.Module):
    """Every channel times itself by Clebsch-Gordan, then a mixing of all that has one degree.

    The product is the only non-linearity. The input joins the mixing. Each result is divided by its running
    root mean square.

    Args:
        degree: largest l of the input.
        out_degree: largest l of the output.
        in_channels, channels: functions that come and go.
    """

    running_square: Tensor

    def __init__(self, degree: int, out_degree: int, in_channels: int, channels: int) -> None:
        super().__init__()
        if not 0 <= out_degree <= degree:
            raise ConfigError(f"expected an output degree of 0 to {degree}, got {out_degree}")
        self.degree, self.out_degree, self.channels = degree, out_degree, channels
        self.in_rep = f"{in_channels} functions on the sphere to l = {degree}"
        self.out_rep = f"{channels} functions on the sphere to l = {out_degree}"
        _, self.counts = product_table(degree, out_degree)
        self.mix = nn.ParameterList(
            torch.randn(channels, (count + 1) * in_channels) / ((count + 1) * in_channels) ** 0.5
            for count in self.counts
        )
        self.register_buffer("running_square", torch.ones(out_degree + 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in channels, (degree + 1)^2) to (B, channels, (out_degree + 1)^2)."""
        table = _product_tensor(self.degree, self.out_degree, x.dtype, x.device)
        products = (x[..., :, None] * x[..., None, :]).flatten(2) @ table
        parts, start = [], 0
        for l, count in enumerate(self.counts):  # noqa: E741
            size = count * (2 * l + 1)
            own = products[..., start : start + size].unflatten(2, (count, 2 * l + 1)).flatten(1, 2)
            start += size
            both = torch.cat([own, x[..., degree_slice(l)]], 1)
            parts.append(torch.einsum("oi,bim->bom", self.mix[l], both))
        return self._normalised(parts)

    def _normalised(self, parts: list[Tensor]) -> Tensor:
        square = self.running_square
        if self.training and len(parts[0]):
            square = torch.stack([part.square().mean((0, 2)) for part in parts])
            with torch.no_grad():
                self.running_square.lerp_(square.to(self.running_square), MOMENTUM)
        scale = torch.rsqrt(square + EPSILON)
        return torch.cat([part * factor[:, None] for part, factor in zip(parts, scale)], 2)


def grid_directions(degree: int) -> NDArray[np.float64]:
    """(polar, azimuthal, 3) unit vectors of the Gauss-Legendre grid on which degree can be analysed exactly.

    Raises:
        ConfigError: lie-learn is not installed.
    """
    polar, azimuth = _lie_learn().S2.meshgrid(b=_transform(degree).b, grid_type="Gauss-Legendre")
    x, y = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth)
    return np.stack([x, y, np.cos(polar)], -1)


def analyse_grid(samples: NDArray[np.float64], degree: int) -> NDArray[np.float64]:
    """Coefficients ((degree + 1)^2,) of a function sampled at :func:`grid_directions`, by lie-learn.

    Raises:
        ConfigError: lie-learn is not installed.
    """
    found = _transform(degree).analyze(samples)
    orders = [m for l in range(degree + 1) for m in range(-l, l + 1)]  # noqa: E741
    return np.asarray(found) * np.where(np.array(orders) % 2, -1.0, 1.0)  # their Condon-Shortley sign


@lru_cache(maxsize=8)
def _transform(degree: int) -> Any:
    return _lie_learn().S2_FT_Naive(degree, grid_type="Gauss-Legendre")


def _lie_learn() -> ModuleType:
    """lie-learn's transforms, with the function that it misses in newer versions of SciPy."""
    import scipy.special as special

    if not hasattr(special, "sph_harm"):
        special.sph_harm = lambda m, n, azimuth, polar: special.sph_harm_y(n, m, polar, azimuth)
    try:
        from lie_learn.spectral import S2FFT
    except ImportError as error:
        raise ConfigError(
            f"harmonic analysis on a grid needs lie-learn; install eqviz[planar] ({error})"
        ) from error
    return S2FFT
