"""Group convolutional network on jet images (arXiv:1602.07576, with the kernels of arXiv:1911.08251)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor, nn

from eqviz.data.images import jet_images
from eqviz.data.jets import JetBatch
from eqviz.layers.fields import FieldKind, FieldType, planar_group, scalars
from eqviz.layers.plain_stack import FeatureMap, pooling_window
from eqviz.layers.steerable import SteerableStack, exact_convolution, load_escnn, planar_space
from eqviz.models.base import JetModel, register_model, require


@dataclass(frozen=True)
class D4CNNConfig:
    """Parameters of the group convolutional network.

    Attributes:
        group: "C4" or "D4", exact on square pixels; "C8" or "D8", exact under their quarter turns (and
            reflections) and approximate under the rest, as a square grid has no eighth turn.
        n_pixels: pixels along each side, even or odd.
        half_width: the image covers |Delta eta|, |Delta phi| < half_width.
        fields: number of regular fields in each stage; every stage but the last halves the image.
        kernel_size: of the first stage, odd; later stages use 3.
        hidden: width of the perceptron on the invariants.
        n_classes: number of logits.
        dropout: dropout rate before the last layer.
    """

    group: Literal["C4", "D4", "C8", "D8"] = "D4"
    n_pixels: int = 32
    half_width: float = 0.8
    fields: tuple[int, ...] = (8, 16, 32)
    kernel_size: int = 5
    hidden: int = 64
    n_classes: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        require(self.n_pixels >= 4, "d4cnn.n_pixels", "4 or more", self.n_pixels)
        require(self.half_width > 0, "d4cnn.half_width", "positive", self.half_width)
        widths = bool(self.fields) and min(self.fields) >= 1
        require(widths, "d4cnn.fields", "one or more positive numbers", self.fields)
        odd = self.kernel_size >= 1 and self.kernel_size % 2 == 1
        require(odd, "d4cnn.kernel_size", "odd and positive", self.kernel_size)
        require(self.hidden >= 1, "d4cnn.hidden", "1 or more", self.hidden)
        require(self.n_classes >= 1, "d4cnn.n_classes", "1 or more", self.n_classes)
        require(0 <= self.dropout < 1, "d4cnn.dropout", "in [0, 1)", self.dropout)


@register_model(
    "d4cnn",
    summary="group convolutions on jet images; invariant under quarter turns and reflections in (eta, phi)",
    reference="arXiv:1602.07576, arXiv:1911.08251",
)
class D4CNN(JetModel):
    """Regular group convolutions, batch normalisation, ReLU and max pooling; then the maximum over the group,
    the mean over the image and a perceptron. 33,162 parameters by default.

    Invariant under the symmetries of the square acting on the image, exactly so: kernels are odd, and pooling
    windows map onto each other for even and for odd images. ``symmetry`` of an instance is its group.
    """

    name: ClassVar[str] = "d4cnn"
    symmetry: ClassVar[str] = "D4"
    exact: ClassVar[bool] = True
    config_class: ClassVar[type] = D4CNNConfig

    def __init__(self, config: D4CNNConfig) -> None:
        super().__init__(config)
        self.symmetry = config.group  # type: ignore[misc]
        self.exact = config.group in ("C4", "D4")  # type: ignore[misc]
        self.stack = SteerableStack(_stages(config))
        self.head = nn.Sequential(
            nn.Linear(config.fields[-1], config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.n_classes),
        )

    def forward(self, batch: JetBatch) -> Tensor:
        """Logits (B, n_classes)."""
        return self.classify(self.images(batch))

    def classify(self, images: Tensor) -> Tensor:
        """Logits (B, n_classes) of images (B, 1, N, N)."""
        if len(images) == 0:  # there is nothing to normalise
            return self.head(images.new_zeros(0, self.config.fields[-1]))
        return self.head(self.trunk(images))

    def images(self, batch: JetBatch) -> Tensor:
        """Drawn jets (B, 1, N, N) in the dtype of the parameters."""
        config = self.config
        return jet_images(batch, n_pixels=config.n_pixels, half_width=config.half_width).to(self.dtype)

    def trunk(self, images: Tensor) -> Tensor:
        """Invariants (B, fields) of images (B, 1, N, N)."""
        fields = self.stack(images).unflatten(1, (self.config.fields[-1], -1))
        return fields.amax(2).mean((2, 3))

    def feature_maps(self, images: Tensor) -> list[FeatureMap]:
        """Name, output and law of every stage, the image first."""
        escnn = load_escnn().nn
        maps: list[FeatureMap] = [("image", images, scalars(self.config.group, 1))]
        x, body = escnn.GeometricTensor(images, self.stack.in_type), list(self.stack.body)
        order = _element_order(self.config.group)
        starts = [i for i, module in enumerate(body) if isinstance(module, escnn.R2Conv)]
        for number, (start, stop) in enumerate(zip(starts, [*starts[1:], len(body)])):
            for module in body[start:stop]:
                x = module(x)
            law = FieldType(((FieldKind(self.config.group, "regular"), self.config.fields[number]),))
            fields = x.tensor.unflatten(1, (-1, len(order)))
            maps.append((f"layer {number + 1}", fields[:, :, order].flatten(1, 2), law))
        return maps


def _element_order(group: str) -> list[int]:
    """Where the elements of :func:`eqviz.layers.fields.planar_group` stand among escnn's (rows down)."""
    space, down = planar_space(group), np.diag([1.0, -1.0])
    theirs = [np.asarray(space.basespace_action(element)) for element in space.fibergroup.elements]
    ours = [down @ element.matrix @ down for element in planar_group(group).elements()]
    return [int(np.argmin([np.abs(matrix - other).max() for other in theirs])) for matrix in ours]


def _stages(config: D4CNNConfig) -> list[Any]:
    """The escnn modules, image to regular fields."""
    enn = load_escnn().nn
    space = planar_space(config.group)
    before, size, modules = enn.FieldType(space, [space.trivial_repr]), config.n_pixels, []
    for index, width in enumerate(config.fields):
        after = enn.FieldType(space, width * [space.regular_repr])
        modules += [
            exact_convolution(before, after, config.kernel_size if index == 0 else 3),
            enn.InnerBatchNorm(after),
            enn.ReLU(after, inplace=True),
        ]
        if index < len(config.fields) - 1 and size > 1:
            window, padding = pooling_window(size)
            modules.append(enn.PointwiseMaxPool(after, window, stride=2, padding=padding))
            size = (size + 1) // 2
        before = after
    return modules
