"""Residual networks on images: ResNet-15 (arXiv:1902.08276) and ResNeXt (arXiv:1611.05431)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from eqviz.layers.fields import scalars
from eqviz.layers.plain_stack import FeatureMap, channels_last
from eqviz.models.base import register_model
from eqviz.models.image_model import ImageModel, ImageModelConfig, make_head


@dataclass(frozen=True, kw_only=True)
class ResNetConfig(ImageModelConfig):
    """Parameters of the residual network; 15 convolutions by default.

    Images and perceptron: see ImageModelConfig.

    Attributes:
        channels: of each stage; a block of stride 2 leads from one to the next.
        blocks: residual blocks in each stage, besides that one.
        cardinality: 1, or the number of groups of a ResNeXt's bottlenecks; divides the channels.
        kernel_size: of the first convolution, odd.
        stem_stride: of the first convolution; 2 for images of 64 pixels and more.
    """

    model: ClassVar[str] = "resnet"
    channels: tuple[int, ...] = (16, 32)
    blocks: int = 3
    cardinality: int = 1
    kernel_size: int = 7
    stem_stride: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_channels(self.channels, self.kernel_size)
        self.require(self.blocks >= 1, "blocks", "1 or more")
        divides = self.cardinality >= 1 and all(width % self.cardinality == 0 for width in self.channels)
        self.require(divides, "cardinality", f"a divisor of {self.channels}")
        self.require(self.stem_stride in (1, 2), "stem_stride", "1 or 2")


@register_model(
    "resnet",
    summary="ResNet-15 on images; with a cardinality, a ResNeXt",
    reference="arXiv:1512.03385, arXiv:1611.05431, arXiv:1902.08276",
)
class ResNet(ImageModel):
    """Stem, stages of residual blocks, the image's average, a perceptron. Without a symmetry.

    The sequence is that of the CMS end-to-end papers: stem, 3 blocks, a block of stride 2, 3 blocks.
    """

    name: ClassVar[str] = "resnet"
    symmetry: ClassVar[str] = "none"
    config_class: ClassVar[type] = ResNetConfig

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__(config)
        self.trunk = ResidualStack(config)
        self.head = make_head(self.trunk.n_features, config.hidden, config.n_classes, config.dropout)


class ResidualStack(nn.Module):
    """Images (B, C, N, N) to averaged features (B, n_features)."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        width = config.channels[0]
        self.stem = nn.Sequential(
            _conv(config.in_channels, width, config.kernel_size, config.stem_stride),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        blocks: list[nn.Module] = []
        for stage, after in enumerate(config.channels):
            if stage:
                blocks.append(ResidualBlock(width, after, 2, config.cardinality))
            blocks += [ResidualBlock(after, after, 1, config.cardinality) for _ in range(config.blocks)]
            width = after
        self.blocks = nn.ModuleList(blocks)
        self.n_features = width

    def forward(self, images: Tensor) -> Tensor:
        """The average over the image of the last block."""
        return self.feature_maps(channels_last(images))[-1][1].mean((2, 3))

    def feature_maps(self, images: Tensor) -> list[FeatureMap]:
        """The image and what every block gives, taken as scalars (which they need not be)."""
        maps = [("image", images), ("stem", self.stem(images))]
        for index, block in enumerate(self.blocks):
            maps.append((f"block {index + 1}", block(maps[-1][1])))
        return [(name, x, scalars("O(2)", x.shape[1])) for name, x in maps]

    def export(self) -> nn.Module:
        """A copy: these are plain convolutions already."""
        return deepcopy(self)


class ResidualBlock(nn.Module):
    """x + F(x), F of two 3 x 3 convolutions, or for a ResNeXt of 1 x 1, grouped 3 x 3 and 1 x 1."""

    def __init__(self, before: int, after: int, stride: int, cardinality: int) -> None:
        super().__init__()
        if cardinality == 1:
            steps = [(before, after, 3, stride, 1), (after, after, 3, 1, 1)]
        else:
            steps = [
                (before, after, 1, 1, 1),
                (after, after, 3, stride, cardinality),
                (after, after, 1, 1, 1),
            ]
        layers: list[nn.Module] = []
        for index, (come, to, size, step, groups) in enumerate(steps):
            layers += [_conv(come, to, size, step, groups), nn.BatchNorm2d(to)]
            layers += [nn.ReLU()] if index < len(steps) - 1 else []
        self.residual = nn.Sequential(*layers)
        self.shortcut = nn.Identity() if before == after and stride == 1 else _conv(before, after, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) to (B, after, H', W')."""
        return (self.shortcut(x) + self.residual(x)).relu()


def _conv(before: int, after: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(before, after, size, stride, padding=size // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv
