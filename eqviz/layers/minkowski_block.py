"""The Lorentz group equivariant block of LorentzNet (arXiv:2201.08187, eqs. 3.2 to 3.5)."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

from eqviz.layers.edge_norm import EdgeLinearNorm
from eqviz.layers.scalar import NodeNorm, psi
from eqviz.ops.minkowski_gram import minkowski_features
from eqviz.ops.minkowski_message import Kept, MessageWeights, minkowski_message
from eqviz.ops.pairs import PairLayout, pair_apply


class MinkowskiBlock(nn.Module):
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
        super().__init__()
        self.c_weight, self.clamp = c_weight, clamp
        self.kept = Kept()
        self.edge = EdgeLinearNorm(hidden, 2, hidden)
        self.hidden = nn.Linear(hidden, hidden)
        self.gate = nn.Linear(hidden, 1)
        self.update = nn.Sequential(
            nn.Linear(2 * hidden + n_scalars, hidden), NodeNorm(hidden), nn.ReLU(), nn.Linear(hidden, hidden)
        )
        self.coordinate = None
        if coordinates:
            out = nn.Linear(hidden, 1, bias=False)
            nn.init.xavier_uniform_(out.weight, gain=1e-3)
            self.coordinate = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), out)

    def train(self, mode: bool = True) -> MinkowskiBlock:
        """As of every module; memory kept for the backward pass is freed in evaluation mode."""
        if not mode:
            self.kept.clear()
        return super().train(mode)

    def forward(
        self, h: Tensor, x: Tensor, scalars: Tensor, features: Tensor, layout: PairLayout
    ) -> tuple[Tensor, Tensor]:
        """Updated h (n, H) and x (n, 4) from pair features (P, 2), see :func:`pair_features`."""
        receiver, sender, weight = self.edge(h, features, layout)
        slots = (layout.to_slots(receiver), layout.to_slots(sender))
        total, coordinate = minkowski_message(*slots, features, self._weights(weight), layout, kept=self.kept)
        h = h + self.update(torch.cat([h, layout.to_nodes(total), scalars], dim=1))
        if coordinate is not None:
            x = x + self.c_weight * self._mean_difference(x, coordinate.to(x.dtype), layout)
        return h, x

    def _weights(self, features: Tensor) -> MessageWeights:
        base = (features, self.hidden.weight, self.hidden.bias, self.gate.weight, self.gate.bias)
        if self.coordinate is None:
            return MessageWeights(*base)
        first, last = (cast(nn.Linear, self.coordinate[k]) for k in (0, 2))
        return MessageWeights(*base, first.weight, first.bias, last.weight)

    def _mean_difference(self, x: Tensor, weights: Tensor, layout: PairLayout) -> Tensor:
        """Mean over the neighbours j of (x_i - x_j) w_ij, (n, 4)."""
        slots = layout.to_slots(x)
        others = (layout.slot_size - 1).clamp(min=1).to(x.dtype)[:, None]
        if self.clamp is None:
            one = torch.ones_like(slots[:, :1])
            sums = pair_apply(weights, torch.cat([slots, one], dim=1), layout)
            return layout.to_nodes((slots * sums[:, 4:] - sums[:, :4]) / others)
        i, j = layout.pair_index
        terms = ((slots[i] - slots[j]) * weights[:, None]).clamp(-self.clamp, self.clamp)
        return layout.to_nodes(torch.zeros_like(slots).index_add(0, i, terms) / others)


def pair_features(
    x: Tensor, layout: PairLayout, dtype: torch.dtype, form: Literal["matrix", "difference"]
) -> Tensor:
    """psi((x_i - x_j)^2) and psi(x_i.x_j) of all pairs, (P, 2), rounded to ``dtype`` only at the end."""
    return minkowski_features(layout.to_slots(x), layout, dtype, form)


def compressed(dot: Tensor, norm: Tensor, layout: PairLayout, dtype: torch.dtype) -> Tensor:
    """The pair features from invariants in GeV^2; 0 where there is no pair."""
    both = torch.stack([norm.to(dtype), dot.to(dtype)])
    return psi(both * layout.pair_mask).T  # each feature contiguous: sums over pairs run along it
