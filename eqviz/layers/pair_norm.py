"""Batch normalisation of pair tensors that costs nothing per pair.

It is affine in each channel, so the mixing that follows takes it into its weights; mean and variance come
from aggregates that the message step computes on its way.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from eqviz.layers.scalar import running_statistics
from eqviz.ops.permutation_2to2 import MirrorPairs, PairStatistics

MOMENTUM = 0.1  # of the running statistics, PyTorch's default


class Affine(NamedTuple):
    """m = scale a + offset, (C,) each."""

    scale: Tensor
    offset: Tensor


class PairNorm(nn.BatchNorm1d):
    """Batch normalisation over all ordered pairs (i, j) of all jets, i = j among them, as an affine map.

    A batch without pairs uses the running statistics.
    """

    in_rep = out_rep = "order-2 tensor"

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=MOMENTUM)

    @property
    def shift(self) -> Tensor | None:
        """What squares are to be taken from: near the mean they do not cancel. None in evaluation."""
        return running_statistics(self)[0].clone() if self.training else None

    def folded(self, found: PairStatistics, shift: Tensor | None, pairs: MirrorPairs) -> Affine:
        """Scale and offset; in training from ``found``, which also moves the running statistics."""
        mean, variance = running_statistics(self)
        if self.training and shift is not None and pairs.count:
            mean, variance = self._observed(found, shift, pairs.count)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return Affine(scale, self.bias - scale * mean)

    def _observed(self, found: PairStatistics, shift: Tensor, count: int) -> tuple[Tensor, Tensor]:
        mean = found.rows.double().sum(0) / count
        variance = (found.square.double() / count - (mean - shift.double()).square()).clamp(min=0)
        with torch.no_grad():
            running_mean, running_var = running_statistics(self)
            unbiased = variance * (count / max(count - 1, 1))
            running_mean.lerp_(mean.to(running_mean.dtype), MOMENTUM)
            running_var.lerp_(unbiased.to(running_var.dtype), MOMENTUM)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        return mean.to(self.weight.dtype), variance.to(self.weight.dtype)
