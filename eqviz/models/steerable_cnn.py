"""Convolutions steerable under all rotations and reflections of the plane (arXiv:1911.08251)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from eqviz.layers.plain_stack import plan_layers
from eqviz.layers.planar_stack import FieldStack, Rule, hidden_type, types_by_rule
from eqviz.models.base import register_model
from eqviz.models.image_model import ImageModel, StagedConfig, make_head


@dataclass(frozen=True, kw_only=True)
class SteerableCNNConfig(StagedConfig):
    """Parameters of the SO(2)- or O(2)-steerable network.

    Images, stages and perceptron: see StagedConfig.

    Attributes:
        group: "SO(2)", rotations, or "O(2)", rotations and reflections.
        fields: "regular", functions on the group up to ``max_frequency``; "quotient", functions of directions
            without an arrow (SO(2)/C_2) or of directions (O(2)/{1, f}); "irreps", scalars and vectors of each
            frequency with gates.
        max_frequency: of the fields; kernels reach 2 with 3 x 3 pixels.
        rule: how many fields replace the plain network's channels: "channels", "parameters" or "fields", as
            in groupcnn.
    """

    model: ClassVar[str] = "steerable_cnn"
    group: Literal["SO(2)", "O(2)"] = "SO(2)"
    fields: Literal["regular", "quotient", "irreps"] = "regular"
    max_frequency: int = 2
    rule: Rule = "parameters"

    def __post_init__(self) -> None:
        super().__post_init__()
        irreps = self.fields == "irreps"
        least, most = (1, 2) if irreps else (0, 8)
        self.require(least <= self.max_frequency <= most, "max_frequency", f"{least} to {most}")
        self.require(not irreps or self.kernel_size >= 3, "kernel_size", "3 or more, to make vectors")


@register_model(
    "steerable_cnn",
    summary="convolutions steerable under all rotations (and reflections): regular, quotient, irrep fields",
    reference="arXiv:1911.08251, arXiv:1612.08498",
)
class SteerableCNN(ImageModel):
    """Steerable convolutions in stages; invariants of the last fields, averaged over the image.

    The kernels obey the symmetry exactly at every angle; pixels and, for fields of functions, the ReLU's
    frequencies above the band limit break it. Exact under quarter turns (and for O(2) reflections).
    """

    name: ClassVar[str] = "steerable_cnn"
    symmetry: ClassVar[str] = "SO(2)"
    exact: ClassVar[bool] = False
    config_class: ClassVar[type] = SteerableCNNConfig

    def __init__(self, config: SteerableCNNConfig) -> None:
        super().__init__(config)
        self.symmetry = config.group  # type: ignore[misc]
        plan = plan_layers(config.n_pixels, config.channels, config.depth, config.kernel_size)
        types = types_by_rule(
            config.rule,
            config.in_channels,
            plan,
            lambda n: hidden_type(config.group, config.fields, n, config.max_frequency),
        )
        self.trunk = FieldStack(config.in_channels, types, plan)
        self.head = make_head(self.trunk.n_features, config.hidden, config.n_classes, config.dropout)
