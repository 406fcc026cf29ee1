"""The plain convolutional network that the planar symmetries are compared with (arXiv:1511.05190)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eqviz.layers.plain_stack import PlainStack, plan_layers
from eqviz.models.base import register_model
from eqviz.models.image_model import ImageModel, check_config, check_stages, make_head


@dataclass(frozen=True)
class CNNConfig:
    """Parameters of the plain convolutional network.

    Attributes:
        in_channels: channels of the image; jets are drawn in 1.
        n_pixels: pixels along each side.
        half_width: of a drawn jet in eta and phi; detector images ignore it.
        channels: of each stage; every stage but the last halves the image.
        depth: convolutions in each stage.
        kernel_size: of the first convolution, odd; the others use 3.
        hidden: width of the perceptron on the averaged features.
        n_classes: number of logits.
        dropout: dropout rate before the last layer.
    """

    in_channels: int = 1
    n_pixels: int = 32
    half_width: float = 0.8
    channels: tuple[int, ...] = (16, 32, 64)
    depth: int = 2
    kernel_size: int = 5
    hidden: int = 64
    n_classes: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_config(self, "cnn")
        check_stages(self, "cnn")


@register_model(
    "cnn",
    summary="plain convolutional network on images: the yardstick without a symmetry",
    reference="arXiv:1511.05190",
)
class CNN(ImageModel):
    """Stages of convolution, batch normalisation, ReLU and pooling; the image's average; a perceptron.

    Invariant under nothing but, up to the borders, shifts by multiples of the pooling strides.
    """

    name: ClassVar[str] = "cnn"
    symmetry: ClassVar[str] = "none"
    config_class: ClassVar[type] = CNNConfig

    def __init__(self, config: CNNConfig) -> None:
        super().__init__(config)
        plan = plan_layers(config.n_pixels, config.channels, config.depth, config.kernel_size)
        self.trunk = PlainStack(config.in_channels, plan)
        self.head = make_head(self.trunk.n_features, config.hidden, config.n_classes, config.dropout)
