"""Which invariants real pairs of particles have: where a learned function is used, not only defined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from eqviz.data.jets import JetBatch
from eqviz.evaluation.learned.base import Array, to_array
from eqviz.layers.events import prepare


@dataclass(frozen=True, eq=False)
class Pairs:
    """Invariants in GeV^2 of ordered pairs of different nodes, (P,) each.

    Attributes:
        norm: (p_i - p_j)^2.
        dot: p_i.p_j.
        reference: whether one of the two is a reference vector (a beam).
        n_jets: jets that they come from.
    """

    norm: Array
    dot: Array
    reference: np.ndarray
    n_jets: int


@torch.no_grad()
def real_pairs(
    batch: JetBatch, beams: tuple[tuple[float, float, float, float], ...], massless: bool = True
) -> Pairs:
    """The pairs of the jets of ``batch`` with each other and with the reference vectors."""
    events = prepare(batch, beams, massless, True)
    dot, norm = events.products(torch.float64)
    mask = events.layout.pair_mask
    slots = events.layout.to_slots(events.is_reference.double())
    i, j = events.layout.pair_index
    reference = (slots[i] + slots[j])[mask] > 0
    return Pairs(to_array(norm[mask]), to_array(dot[mask]), reference.numpy(), len(batch))
