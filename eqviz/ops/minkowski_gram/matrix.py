"""Pair products as two matrix products per tile."""

from __future__ import annotations

import torch
from torch import Tensor

from eqviz.ops.pairs import PairLayout, pair_outer


def matrix_gram(p4: Tensor, layout: PairLayout) -> tuple[Tensor, Tensor]:
    """dot = x G y^T; norm = (m_i^2 + m_j^2) - 2 dot as one product of six columns."""
    lowered = torch.cat([p4[:, :1], -p4[:, 1:]], dim=1)
    mass2 = (p4 * lowered).sum(1, keepdim=True)
    one = torch.ones_like(mass2)
    dot = pair_outer(p4, lowered, layout)
    norm = pair_outer(torch.cat([mass2, one, -2 * p4], 1), torch.cat([one, mass2, lowered], 1), layout)
    return dot, norm
