"""Particle Flow Network: a sum over constituents between two multilayer perceptrons (arXiv:1810.05165)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from eqviz.data.images import axis_coordinates
from eqviz.data.jets import JetBatch
from eqviz.errors import DataError
from eqviz.models.base import JetModel, register_model, require


@dataclass(frozen=True)
class PFNConfig:
    """Parameters of the Particle Flow Network; the defaults are the paper's, without particle identities.

    Attributes:
        phi: widths of the per-particle network; the last one is the latent space.
        f: hidden widths of the network on the sum.
        n_classes: number of logits.
        n_scalars: how many of the batch's scalars join (pT fraction, Delta eta, Delta phi) as inputs.
        dropout: dropout rate after every hidden layer on the sum.
    """

    phi: tuple[int, ...] = (100, 100, 256)
    f: tuple[int, ...] = (100, 100, 100)
    n_classes: int = 2
    n_scalars: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        require(bool(self.phi) and min(self.phi) >= 1, "pfn.phi", "one or more positive widths", self.phi)
        require(min(self.f, default=1) >= 1, "pfn.f", "positive widths", self.f)
        require(self.n_classes >= 1, "pfn.n_classes", "1 or more", self.n_classes)
        require(self.n_scalars >= 0, "pfn.n_scalars", "0 or more", self.n_scalars)
        require(0 <= self.dropout < 1, "pfn.dropout", "in [0, 1)", self.dropout)


@register_model(
    "pfn",
    summary="deep sets: invariant under permutations of the constituents only",
    reference="arXiv:1810.05165",
)
class PFN(JetModel):
    """F(sum_i Phi(z_i, Delta eta_i, Delta phi_i)), eq. 1.2 of the paper; 82,458 parameters by default.

    z is the fraction of the jet's scalar pT and the axis is the pT-weighted centroid, both in float64. Works
    on ragged jets; invariant under permutations, rotations about the beam and boosts along it, but under no
    other Lorentz transformation.
    """

    name: ClassVar[str] = "pfn"
    symmetry: ClassVar[str] = "S_n"
    exact: ClassVar[bool] = True
    config_class: ClassVar[type] = PFNConfig

    def __init__(self, config: PFNConfig) -> None:
        super().__init__(config)
        self.phi = _perceptron((3 + config.n_scalars, *config.phi), 0.0)
        self.f = _perceptron((config.phi[-1], *config.f), config.dropout)
        self.head = nn.Linear((config.phi[-1], *config.f)[-1], config.n_classes)

    def forward(self, batch: JetBatch) -> Tensor:
        """Logits (B, n_classes)."""
        particles = self.phi(self.inputs(batch).to(self.dtype))
        latent = particles.new_zeros(len(batch), particles.shape[1])
        return self.head(self.f(latent.index_add(0, batch.jet_index, particles)))

    def inputs(self, batch: JetBatch) -> Tensor:
        """(n, 3 + n_scalars) float64: pT fraction, Delta eta, Delta phi, given scalars."""
        pt, plane = axis_coordinates(batch, "centroid")
        total = pt.new_zeros(len(batch)).index_add(0, batch.jet_index, pt)
        fraction = pt / torch.where(total > 0, total, 1)[batch.jet_index]
        width = self.config.n_scalars
        if batch.scalars.shape[1] < width:
            raise DataError(
                f"expected at least {width} scalars per constituent (n_scalars), "
                f"got a batch with {batch.scalars.shape[1]}"
            )
        return torch.cat([fraction[:, None], plane, batch.scalars[:, :width]], dim=1)


def _perceptron(widths: Sequence[int], dropout: float) -> nn.Sequential:
    """Linear and ReLU layers with He initialisation, as in the paper."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        linear = nn.Linear(n_in, n_out)
        nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU(), *([nn.Dropout(dropout)] if dropout > 0 else [])]
    return nn.Sequential(*layers)
