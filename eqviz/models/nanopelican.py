"""nanoPELICAN: a hidden layer between two permutation-equivariant maps, 19 parameters (arXiv:2310.16121)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.layers.events import prepare
from eqviz.layers.permutation_equivariant import PermutationEquivariant, map_names
from eqviz.layers.scalar import psi
from eqviz.models.base import JetModel, register_model, require
from eqviz.models.pelican import REFERENCES, Reference, pair_products
from eqviz.ops.permutation_2to2 import MirrorPairs


@dataclass(frozen=True)
class NanoPelicanConfig:
    """Parameters of nanoPELICAN; one hidden channel has 19 parameters, each further one 18.

    Attributes:
        hidden: H, channels of the hidden layer.
        n_classes: number of logits; two are -+ half of one score.
        reference: vectors that join the particles, as for ``pelican``; they get no labels.
        encoding: what is done to p_i.p_j: ``"log"``, sign(x) log(1 + |x|), or ``"none"``. Neither learns.
        massless: constituents are light-like.
        dropout: dropout rate of the pooled hidden channels.
        stable: pair products in float64 without cancellation.
    """

    hidden: int = 1
    n_classes: int = 2
    reference: Reference = "none"
    encoding: Literal["log", "none"] = "log"
    massless: bool = True
    dropout: float = 0.0
    stable: bool = True

    def __post_init__(self) -> None:
        require(self.hidden >= 1, "nanopelican.hidden", "1 or more", self.hidden)
        require(self.n_classes >= 2, "nanopelican.n_classes", "2 or more", self.n_classes)
        require(0 <= self.dropout < 1, "nanopelican.dropout", "in [0, 1)", self.dropout)


@register_model(
    "nanopelican",
    summary="the smallest PELICAN, 19 parameters; invariant under boosts and rotations",
    reference="arXiv:2310.16121",
)
class NanoPelican(JetModel):
    """With h over hidden channels, m over the 15 maps f_m of pairs to pairs, and means over the N particles,

        z_ij^h = b_h + sum_m w_hm f_m(d)_ij,    d_ij = encoding(p_i.p_j)
        y = c + sum_h [ u_h mean_ij relu(z_ij^h) + v_h mean_i relu(z_ii^h) ],    logits (-y / 2, y / 2)

    18 H + 1 parameters: w (15 H), b (H), u and v (2 H), c (1). For light-like particles d_ii = 0 and d is
    symmetric, so that nine of the maps repeat others or vanish; they are kept, as published.
    """

    name: ClassVar[str] = "nanopelican"
    symmetry: ClassVar[str] = "SO+(1,3)"
    exact: ClassVar[bool] = True
    config_class: ClassVar[type] = NanoPelicanConfig

    def __init__(self, config: NanoPelicanConfig) -> None:
        super().__init__(config)
        self.scores = 1 if config.n_classes == 2 else config.n_classes
        self.hidden = PermutationEquivariant(2, 2, 1, config.hidden, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.hidden))
        self.pool = PermutationEquivariant(2, 0, config.hidden, self.scores)
        self.dropout = nn.Dropout(config.dropout)
        self._wake()

    def _wake(self) -> None:
        """Start with every pair on the open side of the rectifier: a channel that is shut never learns."""
        visible = torch.tensor(["diagonal" not in name for name in map_names(2, 2)])
        weight = self.hidden.weight.data
        weight[visible] = weight[visible].abs()
        self.pool.weight.data.abs_()

    def forward(self, batch: JetBatch) -> Tensor:
        """Logits (B, n_classes).

        Raises:
            DataError: massive constituents with ``massless=True``.
        """
        config = self.config
        events = prepare(batch, REFERENCES[config.reference], config.massless, self.stable)
        pairs = MirrorPairs.build(events.lengths)
        d = pair_products(events, pairs, self.dtype)
        d = psi(d) if config.encoding == "log" else d
        z = self.hidden(pairs.mirrored(d[:, None]), pairs) + self.bias
        score = self.pool(self.dropout(torch.relu(z)), pairs)
        return torch.cat([-score / 2, score / 2], 1) if self.scores == 1 else score
