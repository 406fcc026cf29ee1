"""A group convolutional network that may learn to break its symmetry (arXiv:2201.11969)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from eqviz.layers.plain_stack import plan_layers
from eqviz.layers.planar_stack import FieldStack, Rule, hidden_type, types_by_rule
from eqviz.layers.relaxed import RelaxedConv
from eqviz.models.base import register_model
from eqviz.models.image_model import ImageModel, StagedConfig, make_head


@dataclass(frozen=True, kw_only=True)
class RelaxedConfig(StagedConfig):
    """Parameters of the relaxed group convolutional network.

    Images, stages and perceptron: see StagedConfig.

    Attributes:
        group: "C4", "D4", "C8" or "D8", whose symmetry holds at the start.
        n_banks: steerable filters that are summed with weights for each group element.
        rule: fields for the plain network's channels: "channels", "parameters" (those of one bank) or
            "fields", as in groupcnn.
    """

    model: ClassVar[str] = "relaxed"
    group: Literal["C4", "D4", "C8", "D8"] = "D4"
    n_banks: int = 2
    rule: Rule = "channels"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.n_banks >= 1, "n_banks", "1 or more")


@register_model(
    "relaxed",
    summary="group convolutions with a learned departure from C4, C8, D4 or D8",
    reference="arXiv:2201.11969",
)
class RelaxedGroupCNN(ImageModel):
    """Relaxed group convolutions in stages; the largest channel over the group, averaged; a perceptron.

    A fresh network has the symmetry of ``config.group``; a trained one need not, so none is declared:
    ``departure`` says how far each layer has gone.
    """

    name: ClassVar[str] = "relaxed"
    symmetry: ClassVar[str] = "none"
    config_class: ClassVar[type] = RelaxedConfig
    trunk: FieldStack

    def __init__(self, config: RelaxedConfig) -> None:
        super().__init__(config)
        plan = plan_layers(config.n_pixels, config.channels, config.depth, config.kernel_size)
        types = types_by_rule(
            config.rule, config.in_channels, plan, lambda n: hidden_type(config.group, "regular", n)
        )
        make = partial(RelaxedConv, n_banks=config.n_banks)
        self.trunk = FieldStack(config.in_channels, types, plan, make)
        self.head = make_head(self.trunk.n_features, config.hidden, config.n_classes, config.dropout)

    def departure(self) -> list[float]:
        """For every layer, the spread of its weights over group elements: 0 is equivariant."""
        return [layer.conv.departure() for layer in self.trunk.layers]  # type: ignore[union-attr, operator]
