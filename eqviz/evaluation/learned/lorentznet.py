"""LorentzNet's messages against the invariants of a pair (arXiv:2201.08187, eqs. 3.2 and 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqviz.data.jets import JetBatch
from eqviz.evaluation.learned.base import Array, LearnedLayer, numbered, shows, to_array
from eqviz.layers.minkowski_message import MessageParts
from eqviz.layers.scalar import psi
from eqviz.models.base import JetModel
from eqviz.ops.minkowski_message import MessageWeights

KINDS = ("two constituents", "constituent and beam")


@dataclass(frozen=True, eq=False)
class Seen:
    """What one block receives for real jets.

    Attributes:
        receiver, sender: (P, H) node terms of the first layer, for every ordered pair of different nodes.
        weights: of the message, normalisation folded in.
        norm, dot: (P,) invariants of the pairs in GeV^2, of the vectors as they are at this block.
        beams: (P,) how many of the two are beams.
        n_jets: jets that they come from.
    """

    receiver: Tensor
    sender: Tensor
    weights: MessageWeights
    norm: Array
    dot: Array
    beams: np.ndarray
    n_jets: int

    def of(self, kind: int) -> np.ndarray:
        """(P,) pairs of two constituents (0), or of a constituent that receives from a beam (1)."""
        return self.beams == kind

    def messages(self) -> tuple[Array, Array]:
        """Gates (P,) in (0, 1) and messages (P, H) of the real pairs."""
        features = psi(torch.tensor(np.stack([self.norm, self.dot], 1), dtype=self.receiver.dtype))
        return _message(self.receiver, self.sender, features, self.weights)

    def at(self, norm: Array, dot: Array, kind: int) -> tuple[Array, Array]:
        """Gates (n,) and messages (n, H) at invariants (n,) in GeV^2, for the mean nodes of a kind."""
        features = psi(torch.tensor(np.stack([norm, dot], 1), dtype=self.receiver.dtype))
        pairs = torch.from_numpy(self.of(kind))
        receiver, sender = (
            part[pairs].mean(0).expand(len(norm), -1) for part in (self.receiver, self.sender)
        )
        return _message(receiver, sender, features, self.weights)


@torch.no_grad()
def _message(
    receiver: Tensor, sender: Tensor, features: Tensor, weights: MessageWeights
) -> tuple[Array, Array]:
    first = torch.relu(receiver + sender + features @ weights.features.T)
    r = torch.relu(first @ weights.hidden.T + weights.hidden_bias)
    gate = torch.sigmoid(r @ weights.gate.T + weights.gate_bias)
    return to_array(gate[:, 0]), to_array(r * gate)


@torch.no_grad()
def read_block(model: JetModel, key: str, batch: JetBatch, most: int = 40_000) -> Seen:
    """What the block called ``key`` of a network in evaluation mode receives for the jets of ``batch``.

    Args:
        most: pairs that are kept, evenly spread.
    """
    block: Any = model.get_submodule(key)
    caught: list[tuple[Any, ...]] = []
    handle = block.register_forward_pre_hook(lambda module, inputs: caught.append(inputs))
    try:
        model(batch)
    finally:
        handle.remove()
    h, _, _, features, layout = caught[0]
    receiver, sender, weight = block.edge(h, features, layout)
    index = torch.nonzero(layout.pair_mask)[:, 0]
    index = index[:: max(1, len(index) // most)]
    i, j = (ends[index] for ends in layout.pair_index)
    slots = (layout.to_slots(receiver)[i], layout.to_slots(sender)[j])
    norm, dot = (inverse_psi(to_array(features[index, k])) for k in range(2))
    flags = layout.to_slots(_is_beam(model, batch).double())
    beams = np.where(flags[i].numpy() > 0, 2, flags[j].numpy()).astype(np.int64)
    return Seen(*slots, block._weights(weight), norm, dot, beams, len(batch))


def inverse_psi(y: Array) -> Array:
    """x in GeV^2 from psi(x) = sign(x) log(1 + |x|)."""
    return np.sign(y) * np.expm1(np.abs(y))


def _is_beam(model: JetModel, batch: JetBatch) -> Tensor:
    """(n,) whether each node is a beam: two come first in every jet, or none."""
    extra = 2 if getattr(model.config, "beams", False) else 0
    return torch.cat([torch.arange(int(n) + extra) < extra for n in batch.lengths])


@shows(MessageParts)
def _messages(path: str, module: Any) -> list[LearnedLayer]:
    number = path.rpartition(".")[2]
    title = f"messages of block {int(number) + 1}" if number.isdigit() else "messages"
    channels = numbered("channel", module.hidden.out_features)
    return [LearnedLayer(path, title, "gate", channels, KINDS, module)]
