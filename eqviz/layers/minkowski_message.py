"""Messages between all pairs within each jet, from Minkowski products (arXiv:2201.08187, eqs. 3.2 to 3.5)."""

from __future__ import annotations

from typing import Literal, Self, cast

import torch
from torch import Tensor, nn

from eqviz.layers.edge_norm import EdgeLinearNorm
from eqviz.layers.scalar import psi
from eqviz.ops.minkowski_gram import minkowski_features
from eqviz.ops.minkowski_message import Kept, MessageWeights, minkowski_message
from eqviz.ops.pairs import PairLayout, pair_apply


class MessageParts(nn.Module):
    """The weights of a message and :meth:`messages`; what is done with the sums is up to the layer."""

    def __init__(self, hidden: int, n_features: int, vectors: bool, clamp: float | None) -> None:
        super().__init__()
        self.clamp, self.kept = clamp, Kept()
        self.edge = EdgeLinearNorm(hidden, n_features, hidden)
        self.hidden = nn.Linear(hidden, hidden)
        self.gate = nn.Linear(hidden, 1)
        self.coordinate = None
        if vectors:
            out = nn.Linear(hidden, 1, bias=False)
            nn.init.xavier_uniform_(out.weight, gain=1e-3)
            self.coordinate = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), out)

    def train(self, mode: bool = True) -> Self:
        """As of every module; memory kept for the backward pass is freed in evaluation mode."""
        if not mode:
            self.kept.clear()
        return super().train(mode)

    def messages(
        self, h: Tensor, x: Tensor, features: Tensor, layout: PairLayout
    ) -> tuple[Tensor, Tensor | None]:
        """sum_j m_ij (n, H) and mean_j (x_i - x_j) w(m_ij) (n, 4) or None."""
        receiver, sender, weight = self.edge(h, features, layout)
        slots = (layout.to_slots(receiver), layout.to_slots(sender))
        total, w = minkowski_message(*slots, features, self._weights(weight), layout, kept=self.kept)
        step = None if w is None else self._mean_difference(x, w.to(x.dtype), layout)
        return layout.to_nodes(total), step

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


class MinkowskiMessage(MessageParts):
    """Messages of scalars h (n, H) and four-vectors x (n, 4), summed over each jet: a part to build with.

        m_ij = MLP(h_i, h_j, s_ij), gated
        scalars_i = sum_j m_ij,    vectors_i = mean_j (x_i - x_j) w(m_ij)

    with batch normalisation over pairs inside the MLP, and j over the other nodes of the jet of i.

    Args:
        hidden: H, the width of node features and of messages.
        n_features: F, the number of invariants s_ij of a pair, see :func:`pair_features`.
        vectors: whether there are vectors to come out.
    """

    in_rep = out_rep = "scalar + vector"

    def __init__(self, hidden: int, n_features: int = 2, vectors: bool = True) -> None:
        super().__init__(hidden, n_features, vectors, None)

    def forward(
        self, h: Tensor, x: Tensor, features: Tensor, layout: PairLayout
    ) -> tuple[Tensor, Tensor | None]:
        """Scalars (n, H) and vectors (n, 4), or None, from h (n, H), x (n, 4) and pair features (P, F).

        The features are symmetric under i <-> j and 0 where ``layout.pair_mask`` is False.
        """
        return self.messages(h, x, features, layout)


def pair_features(
    x: Tensor, layout: PairLayout, dtype: torch.dtype, form: Literal["matrix", "difference"]
) -> Tensor:
    """psi((x_i - x_j)^2) and psi(x_i.x_j) of all pairs, (P, 2), rounded to ``dtype`` only at the end."""
    return minkowski_features(layout.to_slots(x), layout, dtype, form)


def compressed(dot: Tensor, norm: Tensor, layout: PairLayout, dtype: torch.dtype) -> Tensor:
    """The pair features from invariants in GeV^2; 0 where there is no pair."""
    both = torch.stack([norm.to(dtype), dot.to(dtype)])
    return psi(both * layout.pair_mask).T  # each feature contiguous: sums over pairs run along it
