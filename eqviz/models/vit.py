"""Vision transformer on images cut into patches (arXiv:2010.11929)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from eqviz.layers.fields import scalars
from eqviz.layers.plain_stack import FeatureMap
from eqviz.models.base import register_model
from eqviz.models.image_model import ImageModel, ImageModelConfig, make_head


@dataclass(frozen=True, kw_only=True)
class ViTConfig(ImageModelConfig):
    """Parameters of the vision transformer.

    Images and perceptron: see ImageModelConfig.

    Attributes:
        patch_size: pixels along each side of a patch (4 or 8 of 32, 5 or 25 of 125); the image is filled up
            with zeros to a multiple of it.
        width: numbers per patch.
        n_blocks: attention blocks.
        n_heads: attention heads; divides the width.
    """

    model: ClassVar[str] = "vit"
    patch_size: int = 4
    width: int = 64
    n_blocks: int = 4
    n_heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(1 <= self.patch_size <= self.n_pixels, "patch_size", "1 to the image's size")
        self.require(self.n_blocks >= 1, "n_blocks", "1 or more")
        self.require(self.width >= 1, "width", "1 or more")
        divides = self.n_heads >= 1 and self.width % self.n_heads == 0
        self.require(divides, "n_heads", f"a divisor of the width {self.width}")


@register_model(
    "vit", summary="vision transformer on image patches, without a symmetry", reference="arXiv:2010.11929"
)
class ViT(ImageModel):
    """Patches, learned positions, attention blocks (normalised first), the patches' average, a perceptron."""

    name: ClassVar[str] = "vit"
    symmetry: ClassVar[str] = "none"
    config_class: ClassVar[type] = ViTConfig
    trunk: PatchTransformer

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.trunk = PatchTransformer(config)
        self.head = make_head(self.trunk.n_features, config.hidden, config.n_classes, config.dropout)

    def attention_maps(self, images: Tensor) -> list[Tensor]:
        """(B, heads, patches, patches) weights of every block; rows sum to 1."""
        return self.trunk.attention_maps(images)


class PatchTransformer(nn.Module):
    """Images (B, C, N, N) to averaged patches (B, n_features)."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.patch_size = size = config.patch_size
        self.side = -(-config.n_pixels // size)
        self.n_features = config.width
        # pixels in units of their spread: unlike a convolution's, a patch's numbers are not normalised later
        self.scale = nn.BatchNorm2d(config.in_channels)
        self.embed = nn.Conv2d(config.in_channels, config.width, size, stride=size)
        self.position = nn.Parameter(0.02 * torch.randn(self.side**2, config.width))
        self.blocks = nn.ModuleList(
            AttentionBlock(config.width, config.n_heads) for _ in range(config.n_blocks)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, images: Tensor) -> Tensor:
        """The average of the last block's patches, normalised."""
        x = self._patches(images)
        for block in self.blocks:
            x = block(x)
        return self.norm(x).mean(1)

    def feature_maps(self, images: Tensor) -> list[FeatureMap]:
        """The image and the patches after each block on their grid, taken as scalars."""
        x = self._patches(images)
        maps = [("image", images), ("patches", self._grid(x))]
        for index, block in enumerate(self.blocks):
            x = block(x)
            maps.append((f"block {index + 1}", self._grid(x)))
        return [(name, y, scalars("O(2)", y.shape[1])) for name, y in maps]

    def attention_maps(self, images: Tensor) -> list[Tensor]:
        """(B, heads, patches, patches) for each block."""
        x, maps = self._patches(images), []
        for block in self.blocks:
            maps.append(block.weights(x))  # type: ignore[operator]
            x = block(x)
        return maps

    def export(self) -> nn.Module:
        """A copy: there is nothing to fold."""
        return deepcopy(self)

    def _patches(self, images: Tensor) -> Tensor:
        missing = self.side * self.patch_size - images.shape[-1]
        before, after = missing // 2, missing - missing // 2
        padded = functional.pad(images, (before, after, before, after))
        return self.embed(self.scale(padded)).flatten(2).transpose(1, 2) + self.position

    def _grid(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2).unflatten(2, (self.side, self.side))


class AttentionBlock(nn.Module):
    """x + attention(norm x), then x + perceptron(norm x) of twice the width."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, patches, width) to the same."""
        query, key, value = self._heads(x)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))

    def weights(self, x: Tensor) -> Tensor:
        """(B, heads, patches, patches) attention of each patch (row) to each patch."""
        query, key, _ = self._heads(x)
        return (query @ key.transpose(2, 3) / query.shape[-1] ** 0.5).softmax(-1)

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            part.unflatten(2, (self.n_heads, -1)).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).chunk(3, dim=-1)
        )
