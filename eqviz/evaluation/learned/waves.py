"""The circular harmonics of kernels about their centre, and the coefficients that fields are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from eqviz.evaluation.learned.base import Array
from eqviz.layers.fields import FieldKind
from eqviz.layers.kernels import pixel_grid, ring_profile, rings, wave


@dataclass(frozen=True, eq=False)
class Harmonics:
    """A kernel as sum over rings r and frequencies k of rings times (A cos k phi + B sin k phi).

    Attributes:
        radius, width: (n,) of each term's ring in pixels.
        frequency: (n,) k.
        cos, sin: (..., n) the coefficients A and B; B is 0 for k = 0.
        share: (..., K) of the kernel's energy that each frequency 0 .. K - 1 carries.
        rest: (...) share of the energy that is none of them: only for kernels without a symmetry.
    """

    radius: Array
    width: Array
    frequency: np.ndarray
    cos: Array
    sin: Array
    share: Array
    rest: Array

    def profile(self, k: int, r: Array) -> tuple[Array, Array]:
        """Radial functions of cos k phi and sin k phi at radii r (m,) in pixels, (..., m) each."""
        at = np.flatnonzero(self.frequency == k)
        shape = np.stack([ring_profile(self.radius[i], self.width[i], r) for i in at])
        return self.cos[..., at] @ shape, self.sin[..., at] @ shape

    def amplitude(self) -> Array:
        """(..., n) sqrt(A^2 + B^2)."""
        return np.hypot(self.cos, self.sin)


def harmonics(kernels: Array) -> Harmonics:
    """The circular harmonics of kernels (..., size, size), by least squares on the pixels.

    Steerable kernels are sums of these waves exactly; of others, ``rest`` is left over.
    """
    size = kernels.shape[-1]
    terms, waves = _waves(size)
    flat = kernels.reshape(*kernels.shape[:-2], size * size)
    found = flat @ np.linalg.pinv(waves)
    left = flat - found @ waves
    cos, sin = np.zeros((2, *found.shape[:-1], len(terms)))
    place = 0
    parts = np.zeros((max(k for _, _, k in terms) + 1, *flat.shape))
    for index, (_, _, k) in enumerate(terms):
        span = slice(place, place + (2 if k else 1))
        cos[..., index] = found[..., place]
        if k:
            sin[..., index] = found[..., place + 1]
        parts[k] += found[..., span] @ waves[span]
        place = span.stop
    energy = np.moveaxis((parts**2).sum(-1), 0, -1)
    rest = (left**2).sum(-1)
    total = energy.sum(-1) + rest
    total = np.maximum(total, 1e-18 * total.max(initial=1e-276))  # of kernels that vanish: no shares
    radius, width, frequency = (np.array([term[i] for term in terms]) for i in range(3))
    return Harmonics(radius, width, frequency, cos, sin, energy / total[..., None], rest / total)


@lru_cache(maxsize=16)
def _waves(size: int) -> tuple[list[tuple[float, float, int]], Array]:
    """(radius, width, k) of every term, and its one or two waves on the pixels, (waves, size^2)."""
    x, y = pixel_grid(size)
    terms = [(radius, sigma, k) for radius, sigma, top in rings(size) for k in range(top + 1)]
    waves = [wave(x, y, *term).reshape(-1, size * size) for term in terms]
    return terms, np.concatenate(waves)


def read_block(kind: FieldKind | None) -> Array:
    """(d, channels) from channels to coefficients of irreps; the identity for plain channels."""
    return np.eye(1) if kind is None else np.asarray(kind.reader)


def coefficient_names(kind: FieldKind | None) -> tuple[str, ...]:
    """Names of coefficients: "0" for the invariant part, "1c" and "1s" for cosine and sine of k = 1."""
    if kind is None or kind.name == "trivial":
        return ("0",)
    law: Any = kind.law
    parts = getattr(law, "parts", (law,))
    names: list[str] = []
    for part in parts:
        k, odd = part.label[-1], len(part.label) > 1 and part.label[0] == 1 and part.label[-1] == 0
        names += [f"{k}{'−' if odd else ''}"] if part.dimension == 1 else [f"{k}c", f"{k}s"]
    return tuple(names)
