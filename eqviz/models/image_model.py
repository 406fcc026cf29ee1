"""What networks on images share: they take jets or detector images, and can be exported."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from eqviz.data.image_batch import ImageBatch
from eqviz.data.images import jet_images
from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError
from eqviz.layers.plain_stack import FeatureMap, check_images
from eqviz.models.base import JetModel, require


@dataclass(frozen=True, kw_only=True)
class ImageModelConfig:
    """What the parameters of all networks on images include.

    Attributes:
        in_channels: channels of the image; jets are drawn in 1.
        n_pixels: pixels along each side.
        half_width: of a drawn jet in eta and phi; detector images ignore it.
        pixel_std: one number for each channel of detector images, in its unit: pixels are divided by it.
            Empty leaves them as they are.
        pixel_clip: largest absolute value after that division; 0 clips nothing.
        hidden: width of the perceptron on the features.
        n_classes: number of logits.
        dropout: dropout rate before the last layer.
    """

    model: ClassVar[str]
    in_channels: int = 1
    n_pixels: int = 32
    half_width: float = 0.8
    pixel_std: tuple[float, ...] = ()
    pixel_clip: float = 500.0
    hidden: int = 64
    n_classes: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        self.require(self.n_pixels >= 4, "n_pixels", "4 or more")
        self.require(self.in_channels >= 1, "in_channels", "1 or more")
        self.require(self.half_width > 0, "half_width", "positive")
        scales = len(self.pixel_std) in (0, self.in_channels) and min(self.pixel_std, default=1.0) > 0
        self.require(scales, "pixel_std", f"empty or {self.in_channels} positive numbers")
        self.require(self.pixel_clip >= 0, "pixel_clip", "0 or larger")
        self.require(self.hidden >= 1, "hidden", "1 or more")
        self.require(self.n_classes >= 1, "n_classes", "1 or more")
        self.require(0 <= self.dropout < 1, "dropout", "in [0, 1)")

    def require(self, condition: bool, field: str, expected: str) -> None:
        """Raise a ConfigError that names the model and shows the field's value unless ``condition``."""
        require(condition, f"{self.model}.{field}", expected, getattr(self, field))

    def require_channels(self, channels: tuple[int, ...], kernel_size: int) -> None:
        """The checks of networks whose stages have their own widths, after a first convolution."""
        self.require(bool(channels) and min(channels) >= 1, "channels", "one or more positive numbers")
        self.require(kernel_size >= 1 and kernel_size % 2 == 1, "kernel_size", "odd and positive")


@dataclass(frozen=True, kw_only=True)
class StagedConfig(ImageModelConfig):
    """Parameters of networks in stages (:func:`eqviz.layers.plain_stack.plan_layers`).

    Attributes:
        channels: of the plain network of this plan in each stage; every stage but the last halves the image.
        depth: convolutions in each stage.
        kernel_size: of the first convolution, odd; the others use 3.
    """

    channels: tuple[int, ...] = (16, 32, 64)
    depth: int = 2
    kernel_size: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_channels(self.channels, self.kernel_size)
        self.require(self.depth >= 1, "depth", "1 or more")


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
        """Dense images (B, C, N, N) in the dtype of the parameters, detector images in units of their spread.

        A tensor is taken as such images already.
        """
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
            return self._scaled(batch.dense(None if square else config.n_pixels)).to(self.dtype)
        return batch.to(self.dtype)

    def _scaled(self, images: Tensor) -> Tensor:
        config = self.config
        if not config.pixel_std or images.shape[1] != len(config.pixel_std):
            return images  # a wrong number of channels is refused in classify
        scaled = images / images.new_tensor(config.pixel_std).view(-1, 1, 1)
        return scaled.clamp(-config.pixel_clip, config.pixel_clip) if config.pixel_clip else scaled

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
