"""Ordinary convolutional networks in stages, and how stages are planned."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqviz.errors import ConfigError
from eqviz.layers.fields import FieldType, scalars

FeatureMap = tuple[str, Tensor, FieldType]
"""A layer's name, its output (B, channels, H, W), and how that turns with the image."""


@dataclass(frozen=True)
class LayerPlan:
    """Width (channels or fields), kernel size and pooling window (size, padding) of one layer, or None."""

    width: int
    kernel_size: int
    window: tuple[int, int] | None


def plan_layers(n_pixels: int, widths: tuple[int, ...], depth: int, kernel_size: int) -> list[LayerPlan]:
    """``depth`` layers for each width, the first with ``kernel_size``, all others with 3.

    Every stage but the last ends in pooling windows that quarter turns of the image map onto one another:
    2 x 2 where the number of pixels is even, centred 3 x 3 where it is odd.
    """
    plan, size = [], n_pixels
    for stage, width in enumerate(widths):
        for step in range(depth):
            window = None
            if step == depth - 1 and stage < len(widths) - 1 and size > 1:
                window = pooling_window(size)
                size = (size + 1) // 2
            plan.append(LayerPlan(width, 3 if stage or step else kernel_size, window))
    return plan


def pooling_window(size: int) -> tuple[int, int]:
    """Size and padding of the window of stride 2 that keeps quarter turns exact."""
    return (2, 0) if size % 2 == 0 else (3, 1)


class PlainLayer(nn.Module):
    """Convolution, batch normalisation, ReLU, pooling."""

    def __init__(self, before: int, step: LayerPlan, first: bool) -> None:
        super().__init__()
        size = step.kernel_size
        self.conv = nn.Conv2d(before, step.width, size, padding=size // 2, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="linear" if first else "relu")
        self.norm, self.act = nn.BatchNorm2d(step.width), nn.ReLU()
        self.pool = make_pool(step.window, True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) to (B, width, H', W')."""
        return self.pool(self.act(self.norm(self.conv(x))))

    def export(self) -> nn.Sequential:
        """The same in evaluation mode with the normalisation folded into the convolution; a copy."""
        norm = self.norm
        with torch.no_grad():
            mean, variance = norm.running_mean, norm.running_var
            assert mean is not None and variance is not None
            scale = norm.weight * torch.rsqrt(variance + norm.eps)
            conv = as_conv2d(self.conv.weight * scale[:, None, None, None], norm.bias - scale * mean)
        return nn.Sequential(conv, deepcopy(self.act), deepcopy(self.pool))


class PlainStack(nn.Module):
    """An ordinary convolutional network; its features are averages over the image."""

    def __init__(self, in_channels: int, plan: list[LayerPlan]) -> None:
        super().__init__()
        widths = [in_channels, *(step.width for step in plan)]
        self.layers = nn.ModuleList(PlainLayer(*pair, not i) for i, pair in enumerate(zip(widths, plan)))
        self.n_features = widths[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, N, N) to features (B, n_features)."""
        x = channels_last(images)
        for layer in self.layers:
            x = layer(x)
        return x.mean((2, 3))

    def feature_maps(self, images: Tensor) -> list[FeatureMap]:
        """The image and the output of every layer, taken as scalars (which they need not be)."""
        maps = [("image", images, scalars("O(2)", images.shape[1]))]
        for index, layer in enumerate(self.layers):
            x = layer(maps[-1][1])
            maps.append((f"layer {index + 1}", x, scalars("O(2)", x.shape[1])))
        return maps

    def export(self) -> nn.Sequential:
        """Convolutions, ReLU and pooling with the same output in evaluation mode; a copy."""
        return nn.Sequential(*exported_layers(self.layers), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class LayerStack(nn.Module):
    """Layers of known laws one after the other, then invariants of the whole image.

    Subclasses set ``layers``, each with ``out_type``, ``calibrate`` and ``export``; ``in_type``, the law of
    the image; and ``pool``.
    """

    layers: nn.ModuleList
    in_type: FieldType
    pool: nn.Module

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, N, N) to invariants (B, n_features)."""
        x = images
        for layer in self.layers:
            x = layer(x)
        return self.pool(x)

    def feature_maps(self, images: Tensor) -> list[FeatureMap]:
        """The image and the output of every layer with its law."""
        maps: list[FeatureMap] = [("image", images, self.in_type)]
        for index, layer in enumerate(self.layers):
            maps.append((f"layer {index + 1}", layer(maps[-1][1]), layer.out_type))  # type: ignore[arg-type]
        return maps

    def export(self) -> nn.Sequential:
        """Plain layers with the same output in evaluation mode; a copy."""
        return nn.Sequential(*exported_layers(self.layers), deepcopy(self.pool))

    @torch.no_grad()
    def _calibrate(self, in_channels: int) -> None:
        """Layer-sequential unit variance (arXiv:1511.06422) on noise.

        Steerable kernels are smooth: they pass more of smooth features than of noise, and more at every
        layer, so that weights scaled for noise alone let a deep network's activations grow.
        """
        x = calibration_noise(in_channels)
        for layer in self.layers:
            x = layer.calibrate(x)  # type: ignore[operator]


def channels_last(images: Tensor) -> Tensor:
    """The same images with their channels side by side in memory: ordinary networks train a fifth faster."""
    return images.contiguous(memory_format=torch.channels_last)


def exported_layers(layers: nn.ModuleList) -> list[nn.Module]:
    """What the layers' ``export`` gives, in one row."""
    blocks = [block for layer in layers for block in layer.export()]  # type: ignore[operator]
    return [block for block in blocks if not isinstance(block, nn.Identity)]


def plain_count(in_channels: int, plan: list[LayerPlan]) -> int:
    """Parameters of a :class:`PlainStack`, without building it."""
    before, total = in_channels, 0
    for step in plan:
        total += before * step.width * step.kernel_size**2 + 2 * step.width
        before = step.width
    return total


def calibration_noise(in_channels: int) -> Tensor:
    """Normal images (4, in_channels, 24, 24), always the same, on which weights are scaled at the start."""
    return torch.randn(4, in_channels, 24, 24, generator=torch.Generator().manual_seed(0))


def as_conv2d(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A plain "same" convolution with these numbers."""
    out, come, size, _ = weight.shape
    conv = nn.utils.skip_init(
        nn.Conv2d, come, out, size, padding=size // 2, dtype=weight.dtype, device=weight.device
    )
    conv.weight.copy_(weight)
    conv.bias.copy_(bias)
    return conv.requires_grad_(False)


def make_pool(window: tuple[int, int] | None, pointwise: bool) -> nn.Module:
    """Largest values, or averages where channels do not stand alone; Identity without a window."""
    if window is None:
        return nn.Identity()
    size, padding = window
    kind = nn.MaxPool2d if pointwise else nn.AvgPool2d  # the largest of vectors is no vector
    return kind(size, stride=2, padding=padding)


def check_images(images: Tensor, channels: int, n_pixels: int, name: str) -> None:
    """Raise a ConfigError unless images are (B, channels, n_pixels, n_pixels)."""
    if images.ndim != 4 or images.shape[1:] != (channels, n_pixels, n_pixels):
        raise ConfigError(
            f"{name}: expected images (B, {channels}, {n_pixels}, {n_pixels}), got {tuple(images.shape)}; "
            f"set {name}.in_channels and {name}.n_pixels to the data's"
        )
