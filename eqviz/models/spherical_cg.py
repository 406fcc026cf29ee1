"""Clebsch-Gordan network on the energy flow around the jet axis, in Fourier space (arXiv:1806.09231)."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.layers.sphere import CGLayer, spherical_harmonics
from eqviz.models.base import JetModel, register_model, require
from eqviz.models.image_model import make_head


@dataclass(frozen=True)
class SphericalCGConfig:
    """Parameters of the spherical Clebsch-Gordan network.

    Attributes:
        degree: largest l of all functions on the sphere.
        channels: functions in each layer.
        n_layers: Clebsch-Gordan products in a row.
        zoom: a constituent's angle to the jet axis is multiplied by this, so that a narrow jet covers the
            sphere; 2 spreads a cone of 0.8 over a hemisphere.
        powers: one input function for each: the sum of (energy fraction)^power at the constituents'
            directions.
        hidden: width of the perceptron on the invariants.
        n_classes: number of logits.
        dropout: dropout rate before the last layer.
    """

    degree: int = 5
    channels: int = 12
    n_layers: int = 3
    zoom: float = 3.0
    powers: tuple[float, ...] = (1.0, 2.0)
    hidden: int = 64
    n_classes: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        require(1 <= self.degree <= 12, "spherical_cg.degree", "1 to 12", self.degree)
        require(self.channels >= 1, "spherical_cg.channels", "1 or more", self.channels)
        require(self.n_layers >= 1, "spherical_cg.n_layers", "1 or more", self.n_layers)
        require(self.zoom > 0, "spherical_cg.zoom", "positive", self.zoom)
        positive = bool(self.powers) and min(self.powers) > 0
        require(positive, "spherical_cg.powers", "one or more positive numbers", self.powers)
        require(self.hidden >= 1, "spherical_cg.hidden", "1 or more", self.hidden)
        require(self.n_classes >= 1, "spherical_cg.n_classes", "1 or more", self.n_classes)
        require(0 <= self.dropout < 1, "spherical_cg.dropout", "in [0, 1)", self.dropout)


@register_model(
    "spherical_cg",
    summary="Clebsch-Gordan products of the energy flow on the sphere: exact under rotations of space",
    reference="arXiv:1806.09231",
)
class SphericalCG(JetModel):
    """Energy flow in spherical harmonics, products layer by layer, the scalars of all layers, a perceptron.

    Invariant under all rotations of the jet and permutations of its constituents, for any weights. There is
    no grid: the flow is a sum of points.
    """

    name: ClassVar[str] = "spherical_cg"
    symmetry: ClassVar[str] = "SO(3)"
    exact: ClassVar[bool] = True
    config_class: ClassVar[type] = SphericalCGConfig

    def __init__(self, config: SphericalCGConfig) -> None:
        super().__init__(config)
        widths = [len(config.powers), *[config.channels] * config.n_layers]
        last = config.n_layers - 1
        self.layers = nn.ModuleList(
            CGLayer(config.degree, config.degree if i < last else 0, widths[i], widths[i + 1])
            for i in range(config.n_layers)
        )
        self.head = make_head(
            config.channels * config.n_layers, config.hidden, config.n_classes, config.dropout
        )

    def forward(self, batch: JetBatch) -> Tensor:
        """Logits (B, n_classes)."""
        x, scalars = self.flow(batch).to(self.dtype), []
        for layer in self.layers:
            x = layer(x)
            scalars.append(x[..., 0])
        return self.head(torch.cat(scalars, 1))

    def flow(self, batch: JetBatch) -> Tensor:
        """The energy flow (B, powers, (degree + 1)^2) in float64."""
        config, index = self.config, batch.jet_index
        directions = zoomed_directions(batch, config.zoom)
        energy = batch.p4[:, 1:].norm(dim=1)
        total = energy.new_zeros(len(batch)).index_add(0, index, energy)
        fraction = energy / torch.where(total > 0, total, 1.0)[index]
        weights = torch.stack([fraction**power for power in config.powers], 1)
        values = weights[:, :, None] * spherical_harmonics(directions, config.degree)[:, None]
        return values.new_zeros(len(batch), *values.shape[1:]).index_add(0, index, values)


def zoomed_directions(batch: JetBatch, zoom: float) -> Tensor:
    """Unit vectors (n, 3): each constituent's direction, its angle to the jet axis multiplied, at most pi.

    Constituents along the axis, and all of a jet without one, point along the axis (or z).
    """
    axis = _unit(batch.jet_p4[:, 1:])[batch.jet_index]
    direction = _unit(batch.p4[:, 1:])
    along = (direction * axis).sum(1, keepdim=True)
    across = direction - along * axis
    length = across.norm(dim=1, keepdim=True)
    angle = (zoom * torch.atan2(length, along)).clamp(max=pi)
    off_axis = length > 1e-12
    side = torch.where(off_axis, across / torch.where(off_axis, length, 1.0), 0.0)
    return torch.where(off_axis, angle.cos() * axis + angle.sin() * side, axis)


def _unit(vectors: Tensor) -> Tensor:
    length = vectors.norm(dim=1, keepdim=True)
    z = vectors.new_tensor([0.0, 0.0, 1.0])
    return torch.where(length > 0, vectors / torch.where(length > 0, length, 1.0), z)
