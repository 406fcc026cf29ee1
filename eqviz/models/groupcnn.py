"""Group convolutional networks of C_n and D_n (arXiv:1602.07576, with the kernels of arXiv:1911.08251)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from eqviz.layers.plain_stack import plan_layers
from eqviz.layers.planar_stack import FieldStack, Rule, hidden_type, types_by_rule
from eqviz.models.base import register_model
from eqviz.models.image_model import ImageModel, StagedConfig, make_head


@dataclass(frozen=True, kw_only=True)
class GroupCNNConfig(StagedConfig):
    """Parameters of the group convolutional network.

    Images, stages (``channels`` are those of the CNN of the same plan) and perceptron: see StagedConfig.

    Attributes:
        group: "C4" or "D4", exact on square pixels; "C8" or "D8", exact under their quarter turns (and
            reflections) and approximate under eighth turns, which a square grid does not have.
        rule: how many fields of |G| channels replace the CNN's channels. "channels": as many channels, so
            channels / |G| fields and a lite network of few parameters. "parameters": as many fields as make
            the trunk's parameters those of the CNN. "fields": one for every channel, |G| times the cost.
    """

    model: ClassVar[str] = "groupcnn"
    group: Literal["C4", "D4", "C8", "D8"] = "D4"
    rule: Rule = "parameters"


@register_model(
    "groupcnn",
    summary="group convolutions of C4, C8, D4 or D8 on images, full or lite",
    reference="arXiv:1602.07576, arXiv:1911.08251",
)
class GroupCNN(ImageModel):
    """Regular group convolutions in stages; the largest channel over the group, averaged over the image.

    Its answer is invariant under quarter turns (and, for D_n, reflections) of the image to rounding.
    """

    name: ClassVar[str] = "groupcnn"
    symmetry: ClassVar[str] = "D4"
    exact: ClassVar[bool] = True
    config_class: ClassVar[type] = GroupCNNConfig

    def __init__(self, config: GroupCNNConfig) -> None:
        super().__init__(config)
        self.symmetry = config.group  # type: ignore[misc]
        self.exact = config.group in ("C4", "D4")  # type: ignore[misc]
        plan = plan_layers(config.n_pixels, config.channels, config.depth, config.kernel_size)
        types = types_by_rule(
            config.rule, config.in_channels, plan, lambda n: hidden_type(config.group, "regular", n)
        )
        self.trunk = FieldStack(config.in_channels, types, plan)
        self.head = make_head(self.trunk.n_features, config.hidden, config.n_classes, config.dropout)
