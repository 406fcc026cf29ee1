"""Where every Lorentz network starts: the particles of each jet beside its reference vectors.

In ``stable`` mode the pair products are taken in float64 from the event as it came, in the form that does not
cancel, and the momenta are then brought to each event's own frame (:mod:`eqviz.layers.canonical`). For an
exactly invariant network that changes nothing but the rounding errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from eqviz.data.jets import JetBatch
from eqviz.errors import DataError
from eqviz.layers.canonical import canonical_frame, on_shell
from eqviz.ops.minkowski_gram import minkowski_gram
from eqviz.ops.pairs import PairLayout, pair_apply, pair_outer

# Beams of mass 1 GeV, as LorentzNet and LGN have them.
BEAMS = ((sqrt(2.0), 0.0, 0.0, 1.0), (sqrt(2.0), 0.0, 0.0, -1.0))
# Constituents with m^2 / E^2 above this are massive; rounding alone stays far below, also when boosted.
MASSIVE = 1e-2
# |m^2| / E^2 of a reference vector below this is the rounding of a light-like one.
LIGHTLIKE = 1e-14


@dataclass(frozen=True, eq=False)
class Events:
    """The nodes of a batch: reference vectors, then constituents, of jet after jet.

    Attributes:
        p4: (n, 4) float64 momenta in GeV, in the canonical frame of each jet when ``stable``.
        mass2: (n,) float64 squared masses in GeV^2; negative for a space-like reference vector.
        jet: (n,) the jet of each node.
        lengths: (B,) nodes of each jet.
        is_reference: (n,) bool.
        layout: where the pairs of nodes are.
        stable: how products are taken.
        exact: (P,) float64 products from the event as it came, None unless ``stable``.
    """

    p4: Tensor
    mass2: Tensor
    jet: Tensor
    lengths: Tensor
    is_reference: Tensor
    layout: PairLayout
    stable: bool
    exact: Tensor | None

    def products(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """p_i.p_j and (p_i - p_j)^2 of all pairs in GeV^2, (P,) each.

        Stable: rounded to ``dtype`` at the end, m_i^2 and 0 where i = j. Otherwise from components in
        ``dtype``, as the published networks compute them. Finite but meaningless on padding.
        """
        layout = self.layout
        if self.exact is None:
            return minkowski_gram(layout.to_slots(self.p4.to(dtype)), layout, "difference")
        mass2 = layout.to_slots(self.mass2)
        ones = torch.ones_like(mass2)
        norm = pair_outer(torch.stack([mass2, ones], 1), torch.stack([ones, mass2], 1), layout)
        return self.exact.to(dtype), (norm - 2 * self.exact).to(dtype)


def prepare(
    batch: JetBatch,
    beams: Sequence[Sequence[float]] = BEAMS,
    massless: bool = True,
    stable: bool = True,
    tile_pairs: int | None = None,
) -> Events:
    """The nodes of ``batch`` with the reference vectors that each jet sees.

    Args:
        batch: B jets in any frame.
        beams: reference vectors (E, px, py, pz) in the lab in GeV: time-like (E > 0), light-like or
            space-like; none for ``()``.
        massless: constituents are light-like, so E is |p| and their mass is exactly 0.
        stable: see the module.
        tile_pairs: see :meth:`eqviz.ops.pairs.PairLayout.build`.

    Raises:
        DataError: massive constituents with ``massless=True``.
    """
    lab = torch.tensor(tuple(beams), dtype=torch.float64, device=batch.p4.device).view(-1, 4)
    lengths = batch.lengths + len(lab)
    jet = torch.repeat_interleave(torch.arange(len(batch), device=lengths.device), lengths)
    first = (lengths.cumsum(0) - lengths)[jet]
    is_reference = torch.arange(len(jet), device=jet.device) - first < len(lab)
    p4, mass2 = batch.p4.new_empty(len(jet), 4), batch.p4.new_empty(len(jet))
    p4[is_reference] = batch.reference_vectors(lab).reshape(-1, 4)
    p4[~is_reference] = batch.p4
    mass2[is_reference] = _reference_mass2(lab).repeat(len(batch))
    mass2[~is_reference] = constituent_mass2(batch, massless)
    layout = PairLayout.build(lengths, tile_pairs)
    exact = None
    if stable:
        p4, exact = _stable(p4, mass2, jet, layout, len(batch))
    return Events(p4, mass2, jet, lengths, is_reference, layout, stable, exact)


def constituent_mass2(batch: JetBatch, massless: bool) -> Tensor:
    """(n,) squared masses of the constituents in GeV^2, never negative.

    Raises:
        DataError: massive constituents with ``massless=True``.
    """
    measured = square(batch.p4)
    if not massless:
        return measured.clamp(min=0)
    energy2 = batch.p4[:, 0].square()
    if bool((measured > MASSIVE * energy2).any()):
        worst = float((measured / energy2).nan_to_num().max()) ** 0.5
        raise DataError(
            f"expected massless constituents (E = |p|), got m / E up to {worst:.3g}; "
            "for massive ones build the model with massless=False"
        )
    return torch.zeros_like(measured)


def square(p4: Tensor) -> Tensor:
    """m^2 = 2 E^2 - sum_mu p_mu^2, (n,): the order of operations of the published codes, noise and all."""
    squares = p4 * p4
    return 2 * squares[:, 0] - squares.sum(1)


def _reference_mass2(lab: Tensor) -> Tensor:
    mass2 = lab[:, 0].square() - lab[:, 1:].square().sum(1)
    return torch.where(mass2.abs() > LIGHTLIKE * lab[:, 0].square(), mass2, 0.0)


def _stable(p4: Tensor, mass2: Tensor, jet: Tensor, layout: PairLayout, n_jets: int) -> tuple[Tensor, Tensor]:
    """Momenta in the canonical frames, and products (P,) of the event as it came.

    A space-like vector has a sign of its energy that depends on the frame: products and boosts work with its
    negative where E < 0. It takes no part in the definition of the frame.
    """
    spacelike = mass2 < 0
    sign = torch.where(spacelike & (p4[:, 0] < 0), -1.0, 1.0).to(p4)[:, None]
    p4 = torch.where(spacelike[:, None], sign * p4, on_shell(p4, mass2.clamp(min=0)))
    dot, _ = minkowski_gram(layout.to_slots(p4), layout, "direction", layout.to_slots(mass2))
    counted = (~spacelike).to(p4)[:, None]
    weights = layout.to_slots(counted)
    row_sums = layout.to_nodes(pair_apply(dot * layout.pair_mask, weights, layout)) * counted
    total_mass2 = p4.new_zeros(n_jets)
    total_mass2 = total_mass2.index_add(0, jet, row_sums[:, 0] + mass2 * counted[:, 0])
    p4 = sign * canonical_frame(p4, mass2, jet, total_mass2)
    signs = layout.to_slots(sign)
    return p4, dot * pair_outer(signs, signs, layout)
