"""What networks on images share: they take jets or detector images, and can be exported."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

from torch import Tensor, nn

from eqviz.data.image_batch import ImageBatch
from eqviz.data.images import jet_images
from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError
from eqviz.layers.plain_stack import FeatureMap, check_images
from eqviz.models.base import JetModel, require


class ImageModel(JetModel):
    """A trunk from images (B, C, N, N) to features (B, F), then a perceptron.

    A JetBatch is drawn as one channel of transverse momentum (``config.n_pixels``, ``config.half_width``); an
    ImageBatch is made dense at ``config.n_pixels``. Rows of an image run along eta, columns along phi.
    Subclasses build ``self.trunk`` and ``self.head``.
    """

    name: ClassVar[str] = ""
    trunk: nn.Module
    head: nn.Module

    def forward(self, batch: JetBatch | ImageBatch) -> Tensor:
        """Logits (B, n_classes)."""
        return self.classify(self.images(batch))

    def images(self, batch: JetBatch | ImageBatch | Tensor) -> Tensor:
        """Dense images (B, C, N, N) in the dtype of the parameters."""
        config = self.config
        if isinstance(batch, JetBatch):
            if config.in_channels != 1:
                raise ConfigError(
                    f"{self.name}: jets are drawn in one channel, but this network takes "
                    f"{config.in_channels}; give it detector images, or set {self.name}.in_channels to 1"
                )
            return jet_images(batch, n_pixels=config.n_pixels, half_width=config.half_width).to(self.dtype)
        if isinstance(batch, ImageBatch):
            layout = batch.layout
            square = layout.height == layout.width == config.n_pixels
            return batch.dense(None if square else config.n_pixels).to(self.dtype)
        return batch.to(self.dtype)

    def classify(self, images: Tensor) -> Tensor:
        """Logits (B, n_classes) of images (B, C, N, N)."""
        check_images(images, self.config.in_channels, self.config.n_pixels, self.name)
        if len(images) == 0:  # there is nothing to normalise
            return self.head(images.new_zeros(0, self.n_features))
        return self.head(self.trunk(images))

    @property
    def n_features(self) -> int:
        """Numbers per image between trunk and head."""
        return int(self.trunk.n_features)  # type: ignore[arg-type]

    def feature_maps(self, images: Tensor) -> list[FeatureMap]:
        """Name, output and law of every layer, the image first."""
        return self.trunk.feature_maps(images)  # type: ignore[operator]

    def export(self) -> nn.Sequential:
        """Images to logits by plain PyTorch modules: a copy with the outputs of evaluation mode.

        Bases, normalisation and symmetry are folded into ordinary convolutions.
        """
        trunk = self.trunk.export()  # type: ignore[operator]
        return nn.Sequential(trunk, deepcopy(self.head)).eval().requires_grad_(False)


def make_head(features: int, hidden: int, n_classes: int, dropout: float) -> nn.Sequential:
    """The perceptron on the features of an image."""
    return nn.Sequential(
        nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, n_classes)
    )


def check_config(config: Any, name: str) -> None:
    """The checks that configs of all image networks share."""
    require(config.n_pixels >= 4, f"{name}.n_pixels", "4 or more", config.n_pixels)
    require(config.in_channels >= 1, f"{name}.in_channels", "1 or more", config.in_channels)
    require(config.half_width > 0, f"{name}.half_width", "positive", config.half_width)
    require(config.hidden >= 1, f"{name}.hidden", "1 or more", config.hidden)
    require(config.n_classes >= 1, f"{name}.n_classes", "1 or more", config.n_classes)
    require(0 <= config.dropout < 1, f"{name}.dropout", "in [0, 1)", config.dropout)


def check_stages(config: Any, name: str) -> None:
    """The checks of networks in stages (:func:`eqviz.layers.planar_stack.plan_layers`)."""
    widths = bool(config.channels) and min(config.channels) >= 1
    require(widths, f"{name}.channels", "one or more positive numbers", config.channels)
    require(config.depth >= 1, f"{name}.depth", "1 or more", config.depth)
    odd = config.kernel_size >= 1 and config.kernel_size % 2 == 1
    require(odd, f"{name}.kernel_size", "odd and positive", config.kernel_size)
