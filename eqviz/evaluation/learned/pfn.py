"""PFN's per-particle filters over the detector plane (arXiv:1810.05165, section 5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from eqviz.data.jets import JetBatch
from eqviz.evaluation.learned.base import Array, LearnedLayer, numbered, shows, to_array
from eqviz.models.pfn import PFN


@torch.no_grad()
def phi_maps(model: PFN, eta: Array, phi: Array, share: float) -> Array:
    """(latent, eta, phi) Phi of a particle with pT fraction ``share`` at each Delta eta and Delta phi.

    Given scalars, if there are any, are 0.
    """
    grid = np.stack(np.meshgrid(eta, phi, indexing="ij"), -1).reshape(-1, 2)
    inputs = torch.zeros(len(grid), 3 + model.config.n_scalars, dtype=model.dtype)
    inputs[:, 0] = share
    inputs[:, 1:3] = torch.from_numpy(grid).to(model.dtype)
    return to_array(model.phi(inputs)).T.reshape(-1, len(eta), len(phi))


@torch.no_grad()
def phi_against_share(model: PFN, shares: Array, distance: Array) -> Array:
    """(latent, distances, shares) Phi averaged over the direction, at distances from the axis."""
    angle = 2 * np.pi * np.arange(32) / 32
    z, r, a = np.meshgrid(shares, distance, angle, indexing="ij")
    inputs = torch.zeros(z.size, 3 + model.config.n_scalars, dtype=model.dtype)
    columns = np.stack([z, r * np.cos(a), r * np.sin(a)], -1).reshape(-1, 3)
    inputs[:, :3] = torch.from_numpy(columns).to(model.dtype)
    values = to_array(model.phi(inputs)).T.reshape(-1, *z.shape).mean(-1)
    return np.swapaxes(values, 1, 2)


@torch.no_grad()
def real_particles(model: PFN, batch: JetBatch) -> tuple[Array, Array]:
    """(n, 3) pT fraction, Delta eta, Delta phi of real particles, and what Phi says of them, (n, latent)."""
    inputs = model.inputs(batch)
    return to_array(inputs[:, :3]), to_array(model.phi(inputs.to(model.dtype)))


@shows(PFN)
def _pfn(path: str, module: Any) -> list[LearnedLayer]:
    latent = numbered("filter", module.config.phi[-1])
    title = f"{len(latent)} filters Φ over the plane"
    return [LearnedLayer("phi", title, "phi", latent, ("all",), module)]
