"""IRC-safe PELICAN: soft emission and collinear splitting leave its answer alone (arXiv:2307.16506).

With J the momentum of the jet, each particle enters through its share and its direction, both invariant:

    z_i = p_i.J / J^2,    n_ij = p_i.p_j J^2 / (p_i.J p_j.J),    n_ik = p_i.r_k sqrt(J^2) / p_i.J

for reference vectors r_k. In the rest frame of J, z_i is the energy fraction and n_ij is 1 - cos of the
angle. Shares add up to 1 and under splitting; n does not change when a momentum is rescaled. The mass of the
jet and its products with the reference vectors are safe by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from eqviz.data.jets import JetBatch
from eqviz.layers.events import Events, prepare
from eqviz.layers.pair_encoding import PairEncoding
from eqviz.layers.scalar import psi
from eqviz.layers.weighted_maps import WeightedMixing, WeightedNorm, weighted_means
from eqviz.models.base import JetModel, register_model, require
from eqviz.models.pelican import REFERENCES, Reference
from eqviz.ops.permutation_2to2 import MirrorPairs, spread_jets, sum_jets

# J^2 / (sum of E)^2 below this is rounding: all particles fly one way.
COLLINEAR = 1e-26


@dataclass(frozen=True)
class PelicanIRCConfig:
    """Parameters of the IRC-safe classifier.

    Attributes:
        hidden: channels of the pair tensor.
        message: channels of messages.
        n_blocks: blocks of message and mixing.
        n_classes: number of logits.
        reference: vectors whose products with particles and jet are further inputs, as for ``pelican``.
        dropout: dropout rate before the last two linear maps.
        slope: of the leaky rectifiers.
        stable: pair products in float64 without cancellation.
    """

    hidden: int = 60
    message: int = 35
    n_blocks: int = 5
    n_classes: int = 2
    reference: Reference = "time+axis"
    dropout: float = 0.025
    slope: float = 0.01
    stable: bool = True

    def __post_init__(self) -> None:
        for name in ("hidden", "message", "n_blocks", "n_classes"):
            require(getattr(self, name) >= 1, f"pelican-irc.{name}", "1 or more", getattr(self, name))
        require(0 <= self.dropout < 1, "pelican-irc.dropout", "in [0, 1)", self.dropout)
        require(0 < self.slope <= 1, "pelican-irc.slope", "in (0, 1]", self.slope)


class SafeInputs(NamedTuple):
    """z (n,), n_ij (R,), n_ik (n, K) and invariants of the jet (B, 1 + K), the last one compressed by psi."""

    share: Tensor
    opening: Tensor
    direction: Tensor
    jet: Tensor


@register_model(
    "pelican-irc",
    summary="PELICAN with momentum-weighted maps: infrared and collinear safe, and invariant under boosts",
    reference="arXiv:2307.16506",
)
class PelicanIRC(JetModel):
    """IRC-safe PELICAN for light-like constituents.

    Invariant under Lorentz transformations of the jet together with its reference vectors, permutations,
    splitting any particle, p -> x p + (1 - x) p, and in the limit E -> 0 adding one.
    """

    name: ClassVar[str] = "pelican-irc"
    symmetry: ClassVar[str] = "SO+(1,3)"
    exact: ClassVar[bool] = True
    config_class: ClassVar[type] = PelicanIRCConfig

    def __init__(self, config: PelicanIRCConfig) -> None:
        super().__init__(config)
        hidden, message, k = config.hidden, config.message, len(REFERENCES[config.reference])
        self.encoding = PairEncoding(hidden)
        # angles between constituents are small: channels look at them through lenses of 1 to 10,000
        nn.init.constant_(self.encoding.alpha, 0.3)
        self.encoding.weight.data = torch.logspace(0, 4, hidden)
        self.start = nn.Linear(hidden, message)
        self.jet = nn.Linear(1 + k, message)
        self.nodes = nn.Linear(2 * k, message, bias=False) if k else None
        self.mixings = nn.ModuleList(
            WeightedMixing(message, hidden, config.slope) for _ in range(config.n_blocks)
        )
        self.messages = nn.ModuleList(nn.Linear(hidden, message) for _ in range(config.n_blocks))
        self.norms = nn.ModuleList(WeightedNorm(message) for _ in range(config.n_blocks + 1))
        self.pool = nn.Linear(2 * message, hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(hidden, config.n_classes)

    def forward(self, batch: JetBatch) -> Tensor:
        """Logits (B, n_classes).

        Raises:
            DataError: massive constituents.
        """
        pairs, slope = MirrorPairs.build(batch.lengths), self.config.slope
        inputs = self.inputs(batch, pairs)
        x = self.norms[0](leaky_relu(self._first(inputs, pairs), slope), inputs.share, pairs)
        for mixing, message, norm in zip(self.mixings, self.messages, list(self.norms)[1:]):
            x = leaky_relu(message(mixing(x, inputs.share, pairs)), slope)
            x = norm(x, inputs.share, pairs)
        mean = weighted_means(x, inputs.share, pairs)
        pooled = leaky_relu(self.pool(torch.cat([mean.total, mean.trace], 1)), slope)
        return self.head(self.dropout(pooled))

    def _first(self, inputs: SafeInputs, pairs: MirrorPairs) -> Tensor:
        """The first message before its activation, (R, message)."""
        i, j = pairs.ends
        x = self.start(self.encoding(inputs.opening)) + self.jet(inputs.jet)[pairs.jet[i]]
        if self.nodes is None:
            return x
        return x + self.nodes(torch.cat([inputs.direction[i], inputs.direction[j]], 1))

    def inputs(self, batch: JetBatch, pairs: MirrorPairs) -> SafeInputs:
        """The safe invariants, computed in float64 and then rounded."""
        vectors = REFERENCES[self.config.reference]
        events = prepare(batch, vectors, True, self.stable)
        dot = events.products(torch.float64 if self.stable else self.dtype)[0].double()
        nodes = torch.nonzero(~events.is_reference)[:, 0]
        i, j = (nodes[index] for index in pairs.ends)
        products = dot[pairs.tile_index(i, j, events.layout)]
        same = i == j
        products = torch.where(same, 0.0, products)
        energy = batch.p4[:, 0]
        to_jet = products.new_zeros(len(nodes)).index_add(0, pairs.ends[0], products)
        square, scale = (sum_jets(value[:, None], pairs)[:, 0] for value in (to_jet, energy))
        spread = square > COLLINEAR * scale.square()
        wide = spread[pairs.jet]
        share = torch.where(wide, to_jet, energy) / torch.where(spread, square, scale)[pairs.jet]
        safe = torch.where(wide, to_jet, 1.0)
        a, b = pairs.ends
        opening = products * torch.where(spread, square, 0.0)[pairs.jet[a]] / (safe[a] * safe[b])
        to_reference = self._reference_products(dot, events, nodes, pairs, len(vectors))
        mass = spread_jets(torch.where(spread, square, 0.0)[:, None], pairs).sqrt()
        of_jet = sum_jets(to_reference, pairs)
        jet = psi(torch.cat([square[:, None].sqrt(), of_jet], 1))
        parts = (share, opening, psi(to_reference * mass / safe[:, None]), jet)
        return SafeInputs(*(part.to(self.dtype) for part in parts))

    @staticmethod
    def _reference_products(
        dot: Tensor, events: Events, nodes: Tensor, pairs: MirrorPairs, count: int
    ) -> Tensor:
        """p_i.r_k, (n, K) in GeV^2."""
        first = (events.lengths.cumsum(0) - events.lengths)[events.jet[nodes]]
        columns = [dot[pairs.tile_index(nodes, first + k, events.layout)] for k in range(count)]
        return torch.stack(columns, 1) if columns else dot.new_zeros(len(nodes), 0)
