"""Pair products written out pair by pair: the readable forms."""

from __future__ import annotations

import torch
from torch import Tensor

from eqviz.ops.pairs import PairLayout, pair_outer


def difference_gram(p4: Tensor, layout: PairLayout) -> tuple[Tensor, Tensor]:
    """2 a_0 b_0 - sum_mu a_mu b_mu, with (a, b) = (p_i, p_j) and both = p_i - p_j."""
    receiver, sender = (p4[index] for index in layout.pair_index)
    return _square(receiver, sender), _square(receiver - sender, receiver - sender)


def direction_gram(p4: Tensor, layout: PairLayout, mass2: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """E_i E_j - |p_i||p_j| (1 - |n_i - n_j|^2 / 2), every difference taken where it is exact.

    For masses, E_i E_j - |p_i||p_j| = (m_i^2 E_j^2 + m_j^2 |p_i|^2) / (E_i E_j + |p_i||p_j|).
    """
    momentum = torch.linalg.vector_norm(p4[:, 1:], dim=1)
    direction = p4[:, 1:] / torch.where(momentum > 0, momentum, 1)[:, None]
    dot = p4.new_empty(layout.n_pairs) if not p4.requires_grad else None
    parts = []
    for tile in layout.tiles:
        part = _direction_tile(
            tile.slots(momentum),
            tile.slots(direction),
            None if mass2 is None else (tile.slots(p4[:, 0]), tile.slots(mass2)),
        )
        if dot is None:
            parts.append(part.reshape(-1))
        else:
            tile.pairs(dot)[:] = part
    if dot is None:
        dot = torch.cat([p4.new_zeros(0), *parts])
    norm = -2 * dot
    if mass2 is not None:
        ones = torch.ones_like(mass2)
        norm = norm + pair_outer(torch.stack([mass2, ones], 1), torch.stack([ones, mass2], 1), layout)
    return dot, norm


def _direction_tile(momentum: Tensor, direction: Tensor, massive: tuple[Tensor, Tensor] | None) -> Tensor:
    opening = (direction[:, :, None] - direction[:, None]).square().sum(-1)
    product = momentum[:, :, None] * momentum[:, None]
    light = product * opening / 2
    if massive is None:
        return light
    energy, mass2 = massive
    numerator = mass2[:, :, None] * energy[:, None] ** 2 + mass2[:, None] * momentum[:, :, None] ** 2
    denominator = energy[:, :, None] * energy[:, None] + product
    return light + numerator / torch.where(denominator > 0, denominator, 1)


def _square(a: Tensor, b: Tensor) -> Tensor:
    product = a * b
    return 2 * product[:, 0] - product.sum(1)
