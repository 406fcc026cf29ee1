"""The contract, line by line, on (P, C) pair tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from eqviz.ops.minkowski_message.weights import MessageWeights
from eqviz.ops.pairs import PairLayout


def message_reference(
    receiver: Tensor, sender: Tensor, features: Tensor, weights: MessageWeights, layout: PairLayout
) -> tuple[Tensor, Tensor | None]:
    """As :func:`eqviz.ops.minkowski_message.minkowski_message`."""
    i, j = layout.pair_index
    mask = layout.pair_mask[:, None]
    a = torch.relu(receiver[i] + sender[j] + features @ weights.features.T)
    r = torch.relu(a @ weights.hidden.T + weights.hidden_bias)
    m = r * torch.sigmoid(r @ weights.gate.T + weights.gate_bias) * mask
    total = torch.zeros_like(receiver).index_add(0, i, m)
    if weights.coordinate is None or weights.coordinate_bias is None or weights.coordinate_out is None:
        return total, None
    q = torch.relu(m @ weights.coordinate.T + weights.coordinate_bias)
    return total, ((q @ weights.coordinate_out.T) * mask).squeeze(1)
