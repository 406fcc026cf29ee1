"""Harmonic Networks: complex circular harmonics with learned profiles and phases (arXiv:1612.04642)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eqviz.layers.harmonic import HarmonicStack
from eqviz.layers.plain_stack import plan_layers
from eqviz.models.base import register_model
from eqviz.models.image_model import ImageModel, StagedConfig, make_head


@dataclass(frozen=True, kw_only=True)
class HarmonicConfig(StagedConfig):
    """Parameters of the harmonic network.

    Images, stages and perceptron: see StagedConfig.

    Attributes:
        orders: rotation orders 0 .. orders - 1 of the fields; the paper uses 2.
        channels: complex fields of each order in each stage; every stage but the last halves the image.
    """

    model: ClassVar[str] = "harmonic"
    orders: int = 2
    channels: tuple[int, ...] = (8, 16, 32)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(1 <= self.orders <= 3, "orders", "1 to 3")
        self.require(self.orders == 1 or self.kernel_size >= 3, "kernel_size", "3 or more")


@register_model(
    "harmonic",
    summary="harmonic network on images: complex fields of rotation orders, filters with learned phases",
    reference="arXiv:1612.04642",
)
class HarmonicNetwork(ImageModel):
    """Circular harmonic convolutions in stages; the averages of all magnitudes; a perceptron.

    Exact under quarter turns; at other angles the pixels break the symmetry, the non-linearity does not.
    """

    name: ClassVar[str] = "harmonic"
    symmetry: ClassVar[str] = "SO(2)"
    exact: ClassVar[bool] = False
    config_class: ClassVar[type] = HarmonicConfig

    def __init__(self, config: HarmonicConfig) -> None:
        super().__init__(config)
        plan = plan_layers(config.n_pixels, config.channels, config.depth, config.kernel_size)
        self.trunk = HarmonicStack(config.in_channels, config.orders, plan)
        self.head = make_head(self.trunk.n_features, config.hidden, config.n_classes, config.dropout)
