"""PELICAN that predicts a four-momentum: a weight for every constituent (arXiv:2307.16506, section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.layers.events import prepare
from eqviz.layers.pelican_maps import PairsToNodes
from eqviz.models.pelican import REFERENCES, PairSettings, node_labels, pair_products
from eqviz.models.regression import MomentumModel, register_regressor
from eqviz.ops.permutation_2to2 import MirrorPairs


@dataclass(frozen=True, kw_only=True)
class PelicanMomentumConfig(PairSettings):
    """Parameters of the regressor; reference vectors get no weight."""

    network: ClassVar[str] = "pelican-momentum"


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
        self.pairs = config.stack()
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
