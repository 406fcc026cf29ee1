"""Steerable layers in stages: how many fields, how they start, and their export to plain convolutions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from copy import deepcopy
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from eqviz.layers.fieldconv import (
    FieldConv,
    FieldNorm,
    GatedFields,
    activation_powers,
    gated_input,
    n_weights,
)
from eqviz.layers.fields import FieldKind, FieldType, planar_group, scalars
from eqviz.layers.plain_stack import (
    LayerPlan,
    LayerStack,
    as_conv2d,
    make_pool,
    plain_count,
)

Rule = Literal["channels", "parameters", "fields"]


def hidden_type(group: str, fields: str, width: int, top: int = 2) -> FieldType:
    """The fields between two layers.

    Args:
        group: "C4", "D8", "SO(2)" ...
        fields: "regular", or for SO(2) and O(2) also "quotient" or "irreps".
        width: fields, or for irreps scalars and fields of each frequency 1 to ``top``.
        top: the largest frequency of SO(2) and O(2).
    """
    if planar_group(group).order is not None:
        return FieldType(((FieldKind(group, "regular"), width),))
    if fields != "irreps":
        return FieldType(((FieldKind(group, f"{fields} {top}"), width),))
    label = "irrep 1,{}" if group == "O(2)" else "irrep {}"
    vectors = [(FieldKind(group, label.format(k)), width) for k in range(1, top + 1)]
    return FieldType(((FieldKind(group, "trivial"), width), *vectors))


def types_by_rule(
    rule: Rule, in_channels: int, plan: list[LayerPlan], make: Callable[[int], FieldType]
) -> list[FieldType]:
    """The fields after each layer that replace a plain network's channels.

    Args:
        rule: "fields": one field (or one of each irrep) for every channel; "channels": as many channels;
            "parameters": as many fields as bring the stack's parameters closest to the plain network's.
        make: the fields of a given width.
    """
    if rule == "fields":
        return [make(step.width) for step in plan]
    if rule == "channels":
        return _scaled(plan, 1 / make(1).channels, make)
    goal = plain_count(in_channels, plan)

    def count(scale: float) -> int:
        return stack_count(in_channels, _scaled(plan, scale, make), plan)

    scales = np.geomspace(0.01, 4, 600).tolist()
    above = bisect_left(scales, goal, hi=len(scales) - 1, key=count)
    best = min(scales[max(above - 1, 0) : above + 1], key=lambda scale: abs(count(scale) - goal))
    return _scaled(plan, best, make)


def stack_count(in_channels: int, types: list[FieldType], plan: list[LayerPlan]) -> int:
    """Parameters of a :class:`FieldStack`, without building it."""
    before, total = scalars(types[0].group, in_channels), 0
    for after, step in zip(types, plan):
        outputs = _before_activation(after)
        total += n_weights(before, outputs, step.kernel_size) + outputs.n_fields
        total += sum(count for kind, count in outputs.parts if kind.has_mean)
        before = after
    return total


def _scaled(plan: list[LayerPlan], scale: float, make: Callable[[int], FieldType]) -> list[FieldType]:
    return [make(max(1, round(step.width * scale))) for step in plan]


def _before_activation(out_type: FieldType) -> FieldType:
    pointwise = all(kind.pointwise for kind, _ in out_type.parts)
    return out_type if pointwise else gated_input(out_type)


class FieldLayer(nn.Module):
    """One steerable layer: convolution, normalisation, ReLU or gates, pooling."""

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        plan: LayerPlan,
        first: bool,
        make: Callable[..., FieldConv] = FieldConv,
    ) -> None:
        super().__init__()
        pointwise = all(kind.pointwise for kind, _ in out_type.parts)
        self.act: nn.Module = nn.ReLU() if pointwise else GatedFields(out_type)
        before = _before_activation(out_type)
        powers = None if first else activation_powers(in_type)
        self.conv = make(in_type, before, plan.kernel_size, powers)
        self.norm = FieldNorm(before)
        self.pool = make_pool(plan.window, pointwise)
        self.in_type, self.out_type = in_type, out_type
        self.in_rep, self.out_rep = str(in_type), str(out_type)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels of in_type, H, W) to (B, channels of out_type, H', W')."""
        return self.pool(self.act(self.norm(self.conv(x))))

    def calibrate(self, x: Tensor) -> Tensor:
        """Scale the weights so that every kind of field leaves the convolution with mean square 1."""
        y = self.conv(x)
        for row, (_, _, at) in enumerate(self.conv.out_type.slices()):
            size = y[:, at].square().mean().sqrt().clamp(min=1e-6)
            y[:, at] /= size
            for key, weight in self.conv.weights.items():
                if key.startswith(f"{row}_"):
                    weight /= size
        return self.pool(self.act(y))

    def export(self) -> nn.Sequential:
        """The same in evaluation mode as a plain convolution with a bias; a copy."""
        with torch.no_grad():
            scale, shift = self.norm.affine()
            conv = as_conv2d(self.conv.filter() * scale[:, None, None, None], shift)
        return nn.Sequential(conv, deepcopy(self.act), deepcopy(self.pool))


class FieldStack(LayerStack):
    """Steerable layers one after the other, then the invariants of every field averaged over the image.

    Args:
        in_channels: scalar fields of the image.
        types: the fields after each layer.
        plan: kernel sizes and pooling, as many.
        make: the class of the convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        types: list[FieldType],
        plan: list[LayerPlan],
        make: Callable[..., FieldConv] = FieldConv,
    ) -> None:
        super().__init__()
        self.in_type = scalars(types[0].group, in_channels)
        before = [self.in_type, *types]
        self.layers = nn.ModuleList(
            FieldLayer(*pair, step, index == 0, make)
            for index, (pair, step) in enumerate(zip(zip(before, types), plan))
        )
        self.pool = FieldPool(types[-1])
        self.n_features = types[-1].n_fields
        self._calibrate(in_channels)


class FieldPool(nn.Module):
    """Invariants (B, fields): a field's largest channel, or a vector's length, averaged over the image."""

    def __init__(self, field_type: FieldType) -> None:
        super().__init__()
        self.field_type = field_type

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, fields)."""
        found = []
        for kind, count, at in self.field_type.slices():
            part = x[:, at].unflatten(1, (count, kind.channels))
            invariant = part.amax(2) if kind.pointwise else (part.square().sum(2) + 1e-12).sqrt()
            found.append(invariant.mean((2, 3)))
        return torch.cat(found, 1)
