"""The Lorentz group equivariant block of LorentzNet (arXiv:2201.08187, eqs. 3.2 to 3.5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqviz.layers.minkowski_message import MessageParts, compressed, pair_features
from eqviz.layers.scalar import NodeNorm
from eqviz.ops.pairs import PairLayout


class MinkowskiBlock(MessageParts):
    """Scalars h (n, H) and four-vectors x (n, 4) of all nodes, updated by messages within each jet.

        m_ij = MLP_e(h_i, h_j, psi((x_i - x_j)^2), psi(x_i.x_j)), gated
        h_i <- h_i + MLP_h(h_i, sum_j m_ij, s_i)
        x_i <- x_i + c mean_j (x_i - x_j) MLP_x(m_ij)

    Args:
        hidden: H.
        n_scalars: width of the input scalars s, which every block sees.
        c_weight: c.
        coordinates: whether x is updated (not in the last block).
        clamp: largest component of a pair's term in the mean, in GeV; it breaks the symmetry. None: no limit.
    """

    in_rep = out_rep = "scalar + vector"

    def __init__(
        self,
        hidden: int,
        n_scalars: int,
        c_weight: float,
        coordinates: bool,
        clamp: float | None = None,
    ) -> None:
        super().__init__(hidden, 2, coordinates, clamp)
        self.c_weight = c_weight
        self.update = nn.Sequential(
            nn.Linear(2 * hidden + n_scalars, hidden), NodeNorm(hidden), nn.ReLU(), nn.Linear(hidden, hidden)
        )

    def forward(
        self, h: Tensor, x: Tensor, scalars: Tensor, features: Tensor, layout: PairLayout
    ) -> tuple[Tensor, Tensor]:
        """Updated h (n, H) and x (n, 4) from pair features (P, 2), see :func:`pair_features`."""
        total, step = self.messages(h, x, features, layout)
        h = h + self.update(torch.cat([h, total, scalars], dim=1))
        return h, x if step is None else x + self.c_weight * step


__all__ = ["MinkowskiBlock", "compressed", "pair_features"]
