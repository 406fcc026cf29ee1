"""The plain convolutional network that the planar symmetries are compared with (arXiv:1511.05190)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eqviz.layers.plain_stack import PlainStack, plan_layers
from eqviz.models.base import register_model
from eqviz.models.image_model import ImageModel, StagedConfig, make_head


@dataclass(frozen=True, kw_only=True)
class CNNConfig(StagedConfig):
    """Parameters of the plain convolutional network.

    Images, stages and perceptron: see StagedConfig.
    """

    model: ClassVar[str] = "cnn"


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
