"""Harmonic Networks: complex circular harmonics with learned profiles and phases (arXiv:1612.04642)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eqviz.layers.harmonic import HarmonicStack
from eqviz.layers.plain_stack import plan_layers
from eqviz.models.base import register_model, require
from eqviz.models.image_model import ImageModel, check_config, check_stages, make_head


@dataclass(frozen=True)
class HarmonicConfig:
    """Parameters of the harmonic network.

    Attributes:
        orders: rotation orders 0 .. orders - 1 of the fields; the paper uses 2.
        in_channels: channels of the image; jets are drawn in 1.
        n_pixels: pixels along each side.
        half_width: of a drawn jet in eta and phi; detector images ignore it.
        channels: complex fields of each order in each stage; every stage but the last halves the image.
        depth: convolutions in each stage.
        kernel_size: of the first convolution, odd; the others use 3.
        hidden: width of the perceptron on the magnitudes.
        n_classes: number of logits.
        dropout: dropout rate before the last layer.
    """

    orders: int = 2
    in_channels: int = 1
    n_pixels: int = 32
    half_width: float = 0.8
    channels: tuple[int, ...] = (8, 16, 32)
    depth: int = 2
    kernel_size: int = 5
    hidden: int = 64
    n_classes: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_config(self, "harmonic")
        check_stages(self, "harmonic")
        require(1 <= self.orders <= 3, "harmonic.orders", "1 to 3", self.orders)
        fits = self.orders == 1 or self.kernel_size >= 3
        require(fits, "harmonic.kernel_size", "3 or more", self.kernel_size)


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
