"""PELICAN that predicts a four-momentum: a weight for every constituent (arXiv:2307.16506, section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.layers.events import prepare
from eqviz.layers.pelican_maps import PairsToNodes
from eqviz.layers.pelican_stack import PelicanStack
from eqviz.models.base import require
from eqviz.models.pelican import REFERENCES, Reference, label_width, node_labels, pair_products
from eqviz.models.regression import MomentumModel, register_regressor
from eqviz.ops.permutation_2to2 import MirrorPairs


@dataclass(frozen=True)
class PelicanMomentumConfig:
    """Parameters of the regressor.

    Attributes:
        hidden: channels of the pair tensor.
        message: channels of messages.
        n_blocks: blocks of message and Eq 2->2.
        reference: vectors that join the particles, as for ``pelican``; they get no weight.
        n_scalars: width of the batch's own scalars that label particles.
        label_channels: pair channels made of the labels.
        massless: constituents are light-like.
        dropout: dropout rate before the last linear map.
        slope: of the leaky rectifiers.
        stable: pair products in float64 without cancellation.
    """

    hidden: int = 60
    message: int = 35
    n_blocks: int = 5
    reference: Reference = "none"
    n_scalars: int = 0
    label_channels: int = 10
    massless: bool = True
    dropout: float = 0.0
    slope: float = 0.01
    stable: bool = True

    def __post_init__(self) -> None:
        for name in ("hidden", "message", "n_blocks"):
            require(getattr(self, name) >= 1, f"pelican-momentum.{name}", "1 or more", getattr(self, name))
        require(self.n_scalars >= 0, "pelican-momentum.n_scalars", "0 or more", self.n_scalars)
        require(0 <= self.dropout < 1, "pelican-momentum.dropout", "in [0, 1)", self.dropout)
        require(0 < self.slope <= 1, "pelican-momentum.slope", "in (0, 1]", self.slope)
        fits = 1 <= self.label_channels < self.hidden or not self.n_labels
        limit = f"1 to hidden - 1 = {self.hidden - 1}"
        require(fits, "pelican-momentum.label_channels", limit, self.label_channels)

    @property
    def n_labels(self) -> int:
        """Width of the labels of a node."""
        return label_width(self.reference, self.n_scalars)


@register_regressor(
    "pelican-momentum",
    summary="a weighted sum of the constituents' momenta, weights from PELICAN; Lorentz-covariant",
    reference="arXiv:2307.16506",
)
class PelicanMomentum(MomentumModel):
    """sum_i w_i p_i over constituents, with invariant weights w_i from PELICAN and Eq 2->1.

    Covariant under Lorentz transformations of the jet together with its reference vectors. It starts near
    the momentum of the whole jet (w_i = 1).
    """

    name: ClassVar[str] = "pelican-momentum"
    symmetry: ClassVar[str] = "SO+(1,3)"
    exact: ClassVar[bool] = True
    config_class: ClassVar[type] = PelicanMomentumConfig

    def __init__(self, config: PelicanMomentumConfig) -> None:
        super().__init__(config)
        self.pairs = PelicanStack(
            config.hidden,
            config.message,
            config.n_blocks,
            config.n_labels,
            config.label_channels if config.n_labels else 0,
            config.slope,
        )
        self.to_nodes = PairsToNodes(config.message, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, 1)
        nn.init.ones_(self.head.bias)

    def forward(self, batch: JetBatch) -> Tensor:
        """(B, 4) float64 in GeV; the zero vector for a jet without constituents."""
        terms = self.weights(batch).double()[:, None] * batch.p4
        return batch.p4.new_zeros(len(batch), 4).index_add(0, batch.jet_index, terms)

    def weights(self, batch: JetBatch) -> Tensor:
        """(n,) invariant weight of each constituent.

        Raises:
            DataError: massive constituents with ``massless=True``, or a batch with other scalars.
        """
        config = self.config
        vectors = REFERENCES[config.reference]
        events = prepare(batch, vectors, config.massless, self.stable)
        pairs = MirrorPairs.build(events.lengths)
        labels = node_labels(batch, events, len(vectors), config, self.dtype)
        found, norm = self.pairs(pair_products(events, pairs, self.dtype), labels, pairs)
        nodes = torch.nn.functional.leaky_relu(self.to_nodes(found, norm, pairs), config.slope)
        return self.head(self.dropout(nodes))[~events.is_reference, 0]
