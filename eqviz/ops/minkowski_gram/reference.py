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

    For masses, E_i E_j - |p_i||p_j| = |p_i| e_j + e_i |p_j| + e_i e_j with e = E - |p| = m^2 / (E + |p|).
    """
    momentum = torch.linalg.vector_norm(p4[:, 1:], dim=1)
    direction = p4[:, 1:] / torch.where(momentum > 0, momentum, 1)[:, None]
    dot = p4.new_empty(layout.n_pairs) if not p4.requires_grad else None
    parts = []
    for tile in layout.tiles:
        part = _direction_tile(tile.slots(momentum), tile.slots(direction))
        if dot is None:
            parts.append(part.reshape(-1))
        else:
            tile.pairs(dot)[:] = part
    if dot is None:
        dot = torch.cat([p4.new_zeros(0), *parts])
    if mass2 is not None:
        total = p4[:, 0] + momentum
        excess = mass2 / torch.where(total > 0, total, 1)
        left, right = (momentum, excess, excess), (excess, momentum, excess)
        dot = dot + pair_outer(torch.stack(left, 1), torch.stack(right, 1), layout)
    norm = -2 * dot
    if mass2 is not None:
        ones = torch.ones_like(mass2)
        norm = norm + pair_outer(torch.stack([mass2, ones], 1), torch.stack([ones, mass2], 1), layout)
    return dot, norm


def _direction_tile(momentum: Tensor, direction: Tensor) -> Tensor:
    # component by component: a sum over an axis of three is several times slower
    x, y, z = (part[:, :, None] - part[:, None] for part in direction.unbind(-1))
    opening = x.square().addcmul(y, y).addcmul(z, z)
    return opening * (momentum / 2)[:, :, None] * momentum[:, None]


def _square(a: Tensor, b: Tensor) -> Tensor:
    product = a * b
    return 2 * product[:, 0] - product.sum(1)
