"""Preprocessing that is known to work on detector images: threshold, standardise each channel, clip.

Statistics are gathered in one pass over batches of any size, from the sparse form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqviz.data.image_batch import ImageBatch
from eqviz.errors import ConfigError, DataError


@dataclass(frozen=True)
class ImageScaling:
    """What turns images into the input of a network.

    Attributes:
        mean, std: of the pixels of each channel (zeros included), in the channel's unit.
        threshold: pixels below it are zero (1e-3 in the published treatment of the CMS images).
        clip: largest absolute value after standardising, in standard deviations; 0 clips nothing. Most pixels
            are empty, so that the hardest of a jet is often 100 deviations high and in 1 of 100 jets 300.
        centred: subtract the mean; without it zero stays zero.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    threshold: float = 1e-3
    clip: float = 500.0
    centred: bool = True

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean or min(self.std) <= 0:
            raise ConfigError(
                f"expected a mean and a positive std for each channel, got {self.mean}, {self.std}"
            )
        if self.threshold < 0 or self.clip < 0:
            raise ConfigError(f"expected threshold and clip of 0 or more, got {self.threshold}, {self.clip}")

    @classmethod
    def fit(
        cls,
        batches: Iterable[ImageBatch],
        *,
        size: int | None = None,
        threshold: float = 1e-3,
        **options: Any,
    ) -> ImageScaling:
        """The statistics of all pixels of ``batches``; never more than one batch is looked at.

        With ``size`` the statistics are those of ``batch.dense(size)``. A channel without any pixel, or with
        the same value everywhere, gets std 1.

        Raises:
            DataError: no images at all.
        """
        n, total, squares = 0, torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
        for batch in batches:
            first, second = _moments(batch, threshold) if size is None else _pooled(batch, size, threshold)
            if not n:
                total, squares = torch.zeros_like(first), torch.zeros_like(second)
            n += len(batch) * (size**2 if size else batch.layout.height * batch.layout.width)
            total, squares = total + first, squares + second
        if not n:
            raise DataError("expected at least one image to take mean and standard deviation of, got none")
        mean = total / n
        # Pixels are nearly all zero, so the difference cancels no digits.
        variance = squares / n - mean**2
        std = torch.where(variance > 1e-12 * squares / n, variance, 1.0).sqrt()
        return cls(tuple(mean.tolist()), tuple(std.tolist()), threshold, **options)

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) dense images in their units, made ready; the dtype and device stay.

        Raises:
            DataError: another number of channels.
        """
        if images.ndim != 4 or images.shape[1] != len(self.mean):
            raise DataError(f"expected images (B, {len(self.mean)}, H, W), got {tuple(images.shape)}")
        mean, std = (
            torch.tensor(v, dtype=images.dtype, device=images.device).view(-1, 1, 1)
            for v in (self.mean, self.std)
        )
        kept = torch.where(images.abs() < self.threshold, 0.0, images)
        scaled = ((kept - mean) if self.centred else kept) / std
        return scaled.clamp(-self.clip, self.clip) if self.clip else scaled


def _moments(batch: ImageBatch, threshold: float) -> tuple[Tensor, Tensor]:
    """Sums of the dense pixels and of their squares for each channel (C,), float64."""
    layout, channel = batch.layout, batch.channel
    blocks = torch.tensor(layout.blocks, dtype=torch.float64, device=batch.value.device)[channel]
    pixel = batch.value.double() / blocks**2  # a stored value is spread over block^2 pixels
    pixel = torch.where(pixel.abs() < threshold, 0.0, pixel)
    sums = [
        pixel.new_zeros(len(layout.channels)).index_add(0, channel, power * blocks**2)
        for power in (pixel, pixel**2)
    ]
    return sums[0].cpu(), sums[1].cpu()


def _pooled(batch: ImageBatch, size: int, threshold: float) -> tuple[Tensor, Tensor]:
    """The same sums over the pixels of images made ``size`` by ``size``."""
    pixel = batch.dense(size).double()
    pixel = torch.where(pixel.abs() < threshold, 0.0, pixel)
    return pixel.sum((0, 2, 3)).cpu(), pixel.square().sum((0, 2, 3)).cpu()
