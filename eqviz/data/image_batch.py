"""Sparse batches of detector images: the pixels that are not zero, made dense per batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from eqviz.data.jets import gather_rows
from eqviz.errors import ConfigError, DataError


@dataclass(frozen=True)
class ImageLayout:
    """The grid of an image: rows along eta, columns along phi, both upwards.

    Attributes:
        channels: their names.
        units: of each channel's pixels.
        height, width: of the dense image in pixels.
        blocks: a channel with block b is stored on a grid b times as coarse; made dense, each value is
            spread evenly over its b x b pixels, so that sums stay what they are.
        pixel: width of a pixel in eta and phi; 0 where it is unknown.
        additive: whether pixels of a channel may be summed (energies: yes, times: no).
    """

    channels: tuple[str, ...]
    units: tuple[str, ...]
    height: int
    width: int
    blocks: tuple[int, ...]
    pixel: float = 0.0
    additive: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.channels)
        if not self.additive:
            object.__setattr__(self, "additive", (True,) * n)
        if n == 0 or not len(self.units) == len(self.blocks) == len(self.additive) == n:
            raise ConfigError(f"expected one unit, block and additive flag for each of {self.channels}")
        if min(self.blocks) < 1 or any(self.height % b or self.width % b for b in self.blocks):
            raise ConfigError(f"expected blocks that divide {self.height} x {self.width}, got {self.blocks}")

    @property
    def starts(self) -> tuple[int, ...]:
        """First flat index of each channel on its stored grid, and the number of all stored pixels."""
        sizes = [self.height * self.width // b**2 for b in self.blocks]
        return (0, *(int(end) for end in np.cumsum(sizes)))

    def as_meta(self) -> dict[str, Any]:
        """JSON values from which :meth:`from_meta` makes the layout again."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_meta(cls, meta: dict[str, Any]) -> ImageLayout:
        """The layout that :meth:`as_meta` described; raises DataError where it is not one."""
        try:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in meta.items()}
            return cls(**values)
        except (TypeError, ConfigError) as error:
            raise DataError(f"expected the description of an image grid, got {meta}: {error}") from error


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """B images with n pixels that are not zero in all, stored one after the other.

    Attributes:
        layout: grid and channels.
        value: (n,) float32 in the channel's unit.
        index: (n,) int64 place on the stored grid: ``layout.starts[channel] + row * width / block + column``.
        offsets: (B + 1,) int64; image b owns entries ``offsets[b]:offsets[b + 1]``.
        label: (B,) int64 class, or None.
    """

    layout: ImageLayout
    value: Tensor
    index: Tensor
    offsets: Tensor
    label: Tensor | None = None

    @classmethod
    def from_dense(
        cls,
        images: ArrayLike | Tensor,
        layout: ImageLayout,
        labels: ArrayLike | None = None,
        threshold: float = 0.0,
    ) -> ImageBatch:
        """The sparse form of (B, C, H, W) images; pixels of size ``threshold`` or less become zero.

        The layout's blocks must be 1: what was spread over pixels before cannot be told from what was not.

        Raises:
            DataError: another shape, NaN or infinity, labels of another number.
        """
        dense = np.asarray(images.detach().cpu() if isinstance(images, Tensor) else images, dtype=np.float32)
        shape = (len(layout.channels), layout.height, layout.width)
        if dense.ndim != 4 or dense.shape[1:] != shape:
            raise DataError(f"expected images of shape (n, {', '.join(map(str, shape))}), got {dense.shape}")
        if set(layout.blocks) != {1}:
            raise DataError(f"expected a layout of blocks 1 for dense images, got {layout.blocks}")
        if bad := int((~np.isfinite(dense)).sum()):
            raise DataError(f"expected finite pixels, got {bad} NaN or infinite ones")
        flat = dense.reshape(len(dense), -1)
        image, index = np.nonzero(np.abs(flat) > threshold)
        offsets = np.searchsorted(image, np.arange(len(dense) + 1))
        label = None if labels is None else torch.from_numpy(_labels(labels, len(dense)))
        value = torch.from_numpy(flat[image, index])
        return cls(
            layout, value, torch.from_numpy(np.ascontiguousarray(index)), torch.from_numpy(offsets), label
        )

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    @property
    def lengths(self) -> Tensor:
        """(B,) number of pixels that are not zero, as stored."""
        return self.offsets.diff()

    @property
    def image_index(self) -> Tensor:
        """(n,) the image that each entry belongs to."""
        return torch.repeat_interleave(torch.arange(len(self), device=self.value.device), self.lengths)

    @property
    def channel(self) -> Tensor:
        """(n,) the channel of each entry."""
        edges = torch.tensor(self.layout.starts[1:], device=self.index.device)
        return torch.searchsorted(edges, self.index.contiguous(), right=True)

    def sums(self) -> Tensor:
        """(B, C) float64 sum over each channel of each image."""
        n_channels = len(self.layout.channels)
        flat = self.image_index * n_channels + self.channel
        total = self.value.new_zeros(len(self) * n_channels, dtype=torch.float64)
        return total.index_add(0, flat, self.value.double()).view(len(self), n_channels)

    def dense(self, size: int | None = None) -> Tensor:
        """(B, C, H, W) float32 images, or (B, C, size, size) with the sums over pixels kept.

        A coarser pixel takes of each fine one the share that it covers, so any size works, energies are
        conserved, and rotations by 90 degrees and reflections go through unchanged.

        Raises:
            ConfigError: a size larger than the image, or channels that cannot be summed.
        """
        layout = self.layout
        stored = self.value.new_zeros(len(self), layout.starts[-1])
        stored.index_put_((self.image_index, self.index), self.value, accumulate=True)
        if set(layout.blocks) == {1}:
            images = stored.view(len(self), len(layout.channels), layout.height, layout.width)
        else:
            images = self._spread(stored)
        if size is None or (size == layout.height == layout.width):
            return images
        if not 0 < size <= min(layout.height, layout.width) or not all(layout.additive):
            raise ConfigError(
                f"expected a size of 1 to {min(layout.height, layout.width)} of channels that can be summed, "
                f"got {size} and {dict(zip(layout.channels, layout.additive))}"
            )
        rows, columns = (pooling(n, size).to(images) for n in (layout.height, layout.width))
        return rows @ images @ columns.T

    def _spread(self, stored: Tensor) -> Tensor:
        """Images (B, C, H, W) of the stored grids (B, n), each entry shared among the pixels of its block."""
        layout = self.layout
        images = stored.new_empty(len(self), len(layout.channels), layout.height, layout.width)
        for number, block in enumerate(layout.blocks):
            rows, columns = layout.height // block, layout.width // block
            grid = stored[:, layout.starts[number] : layout.starts[number + 1]]
            grid = grid.view(len(self), rows, 1, columns, 1) / block**2
            images[:, number] = grid.expand(-1, -1, block, -1, block).reshape(len(self), *images.shape[2:])
        return images

    def coarser(self, size: int) -> ImageBatch:
        """The images of :meth:`dense` at ``size``, sparse again; raises as it does."""
        pieces = [self.select(range(at, min(at + 64, len(self)))) for at in range(0, len(self), 64)]
        parts = [piece.collected(piece.dense(size), size) for piece in pieces]
        return concatenate_images(parts) if parts else self.collected(self.dense(size), size)

    def collected(self, images: Tensor, size: int) -> ImageBatch:
        """``images`` (B, C, size, size) of the same field of view and with these labels, sparse."""
        layout = self.layout
        pixel = layout.pixel * layout.width / size
        coarse = replace(layout, height=size, width=size, blocks=(1,) * len(layout.blocks), pixel=pixel)
        return ImageBatch.from_dense(images, coarse, self.label)

    def select(self, index: ArrayLike) -> ImageBatch:
        """The images ``index``, integers in that order or a mask; DataError beyond the batch."""
        chosen, rows, offsets = gather_rows(self.offsets, index)
        label = None if self.label is None else self.label[chosen]
        return ImageBatch(self.layout, self.value[rows], self.index[rows], offsets, label)

    def with_labels(self, labels: ArrayLike) -> ImageBatch:
        """The same images with these classes (B,)."""
        return replace(self, label=torch.from_numpy(_labels(labels, len(self))))

    def to(self, device: torch.device | str) -> ImageBatch:
        """The batch on ``device``."""
        label = None if self.label is None else self.label.to(device)
        value, index, offsets = (part.to(device) for part in (self.value, self.index, self.offsets))
        return ImageBatch(self.layout, value, index, offsets, label)


def pooling(n: int, size: int) -> Tensor:
    """(size, n) float64: the share of each of ``n`` pixels that each of ``size`` coarser ones covers.

    >>> pooling(3, 2).tolist()
    [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]
    """
    fine, coarse = np.arange(n + 1) * size, np.arange(size + 1) * n  # in units of 1 / (n size): exact
    low = np.maximum(fine[None, :-1], coarse[:-1, None])
    high = np.minimum(fine[None, 1:], coarse[1:, None])
    return torch.from_numpy(np.maximum(high - low, 0) / size)


def concatenate_images(batches: Sequence[ImageBatch]) -> ImageBatch:
    """Join batches of one layout; labels must be there in all or in none."""
    if not batches:
        raise DataError("expected at least one batch of images to concatenate, got none")
    layouts = {batch.layout for batch in batches}
    if len(layouts) > 1:
        raise DataError(f"expected images of one layout, got {len(layouts)}: {sorted(map(str, layouts))}")
    labels = [batch.label for batch in batches if batch.label is not None]
    if labels and len(labels) != len(batches):
        raise DataError(f"expected labels in every batch or in none, got them in {len(labels)}")
    ends = np.cumsum([0, *(len(batch.value) for batch in batches)])
    offsets = [batch.offsets[1:] + int(start) for batch, start in zip(batches, ends)]
    return ImageBatch(
        layout=batches[0].layout,
        value=torch.cat([batch.value for batch in batches]),
        index=torch.cat([batch.index for batch in batches]),
        offsets=torch.cat([batches[0].offsets[:1], *offsets]),
        label=torch.cat(labels) if labels else None,
    )


def _labels(labels: ArrayLike, n: int) -> NDArray[np.int64]:
    array = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if array.shape != (n,) or array.dtype.kind not in "biuf" or (np.asarray(array % 1) != 0).any():
        raise DataError(f"expected {n} whole-numbered labels, got shape {array.shape} of {array.dtype}")
    if n and not 0 <= array.min() <= array.max() <= 127:
        raise DataError(f"expected labels from 0 to 127, got {array.min()} to {array.max()}")
    return array.astype(np.int64)
