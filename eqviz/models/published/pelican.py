"""PELICAN as published, step by step: it runs the authors' weights; an oracle and a yardstick.

Written from arXiv:2211.00454, arXiv:2307.16506 and the shapes and outputs of released code, with what that
network does and ours does not: jets cut at 80 constituents, padded pair matrices with all 15 maps of all
channels side by side, dot products as differences in the network's precision, variances as E[x^2] - E[x]^2,
and logits that pass a leaky rectifier, so that negative ones shrink a hundredfold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from eqviz.data.jets import JetBatch
from eqviz.models.base import JetModel, make_config, register_model, require
from eqviz.models.published.pelican_weights import read_pelican
from eqviz.models.weights import check_fits

SPURIONS = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
TYPICAL = 49
SLOPE = 0.01
# The published normalisation counts entries in single precision, whatever the network computes in.
COUNT_DTYPE = torch.float32


@dataclass(frozen=True)
class PelicanOriginalConfig:
    """Sizes and conventions of the published tagger; the defaults are its 48k version.

    Attributes:
        hidden: channels of the pair tensor.
        message: channels of messages.
        n_blocks: blocks of message and Eq 2->2.
        n_classes: number of logits.
        n_labels: 3 with the reference vectors (1, 0, 0, 0) and (0, 0, 0, 1) and one-hot labels, 0 without.
        label_channels: pair channels made of the labels.
        max_constituents: constituents beyond this number, in the order they come, are left out; None: none.
        pad_to: number of constituents that every jet is padded to; None for the largest of the batch.
        dropout: dropout rate after every message and in the head.
        rectified: the leaky rectifier on the logits.
    """

    hidden: int = 60
    message: int = 35
    n_blocks: int = 5
    n_classes: int = 2
    n_labels: int = 3
    label_channels: int = 10
    max_constituents: int | None = 80
    pad_to: int | None = None
    dropout: float = 0.025
    rectified: bool = True

    def __post_init__(self) -> None:
        for name in ("hidden", "message", "n_blocks", "n_classes"):
            require(getattr(self, name) >= 1, f"pelican-original.{name}", "1 or more", getattr(self, name))
        require(self.n_labels in (0, 3), "pelican-original.n_labels", "0 or 3", self.n_labels)
        require(0 <= self.dropout < 1, "pelican-original.dropout", "in [0, 1)", self.dropout)


class MaskedBatchNorm(nn.Module):
    """Normalises (B, N, N, C) over real entries; the variance is E[x^2] - E[x]^2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Entries outside the mask do not count; they come out as anything."""
        if not self.training:
            mean, variance = self.running_mean, self.running_var
        else:
            count = mask.sum().clamp(min=1)
            share = (1 / count.to(COUNT_DTYPE)).to(x.dtype)
            mean = (x * mask).sum((0, 1, 2)) * share
            variance = (x * x * mask).sum((0, 1, 2)) * share - mean * mean
            with torch.no_grad():
                unbiased = variance * count / (count - 1).clamp(min=1)
                self.running_mean.lerp_(mean, 0.1)
                self.running_var.lerp_(unbiased, 0.1)
        return (x - mean) / torch.sqrt(variance + 1e-5) * self.weight + self.bias


class Message(nn.Module):
    """Linear, leaky rectifier, mask, batch normalisation, mask, dropout."""

    def __init__(self, hidden: int, message: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.ModuleList([nn.Linear(hidden, message)])
        self.normlayer = MaskedBatchNorm(message)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, N, N, hidden) -> (B, N, N, message)."""
        x = leaky_relu(self.linear[0](x), SLOPE) * mask
        return self.dropout(self.normlayer(x, mask) * mask)


class Eq2to2(nn.Module):
    """All 15 maps of every channel, then factorised mixing, bias, diagonal bias, leaky rectifier and mask."""

    def __init__(self, message: int, hidden: int) -> None:
        super().__init__()
        self.coefs00 = nn.Parameter(torch.randn(message, 15))
        self.coefs01 = nn.Parameter(torch.randn(hidden, 15))
        self.coefs10 = nn.Parameter(torch.randn(message, hidden) / (15 * message) ** 0.5)
        self.coefs11 = nn.Parameter(torch.randn(message, hidden) / (15 * message) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.diag_bias = nn.Parameter(torch.zeros(hidden))
        self.alphas = nn.ParameterList([torch.rand(1, message, 10, 1, 1)])

    def forward(self, x: Tensor, mask: Tensor, n: Tensor) -> Tensor:
        """(B, N, N, message) -> (B, N, N, hidden); n (B,) particles."""
        eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        scale = (n.view(-1, 1, 1) / TYPICAL) ** self.alphas[0][0, :, :, 0, 0]
        scale = torch.cat([torch.ones_like(scale[..., :5]), scale], -1)[:, None, None]
        maps = torch.stack(list(fifteen_maps(x, n, eye)), -1) * scale
        weights = self.coefs00[:, None] * self.coefs10[..., None] + self.coefs01 * self.coefs11[..., None]
        out = torch.einsum("bijcm,com->bijo", maps, weights)
        out = out + self.bias + eye[..., None] * self.diag_bias
        return leaky_relu(out, SLOPE) * mask


def fifteen_maps(x: Tensor, n: Tensor, eye: Tensor) -> Iterator[Tensor]:
    """The maps of (B, N, N, C) in the published order, (B, N, N, C) each; means over n (B,) particles."""
    on_diagonal = eye[None, :, :, None]
    size = n.view(-1, 1, 1)
    diagonal = torch.diagonal(x, dim1=1, dim2=2).transpose(1, 2)
    yield x
    yield x.transpose(1, 2)
    yield x * on_diagonal
    yield diagonal[:, None].expand_as(x)
    yield diagonal[:, :, None].expand_as(x)
    for values in (x.sum(1) / size, x.sum(2) / size):  # column means, then row means
        yield values[:, :, None] * on_diagonal
        yield values[:, None].expand_as(x)
        yield values[:, :, None].expand_as(x)
    for total in (diagonal.sum(1) / size[:, 0], x.sum((1, 2)) / size[:, 0] ** 2):
        everywhere = total[:, None, None].expand_as(x)
        yield everywhere
        yield everywhere * on_diagonal


class Eq1to2(nn.Module):
    """Labels on the diagonal, x_j, x_i, mean on the diagonal, mean; dense mixing."""

    def __init__(self, labels: int, channels: int) -> None:
        super().__init__()
        self.coefs = nn.Parameter(torch.randn(labels, channels, 5) / (5 * labels) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.alphas = nn.ParameterList([torch.zeros(1, labels, 5, 1, 1)])

    def forward(self, x: Tensor, mask: Tensor, n: Tensor) -> Tensor:
        """(B, N, labels) -> (B, N, N, channels)."""
        eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)[..., None]
        mean = (x.sum(1) / n[:, None])[:, None, None].expand(-1, x.shape[1], x.shape[1], -1)
        row, column = x[:, :, None].expand_as(mean), x[:, None].expand_as(mean)
        maps = torch.stack([row * eye, column, row, mean * eye, mean], -1)
        scale = (n.view(-1, 1, 1) / TYPICAL) ** self.alphas[0][0, :, :, 0, 0]
        out = torch.einsum("bijcm,com->bijo", maps * scale[:, None, None], self.coefs) + self.bias
        return leaky_relu(out, SLOPE) * mask


class Eq2to0(nn.Module):
    """Total over N^2 and trace over N, scaled, rectified, mixed."""

    def __init__(self, message: int, hidden: int) -> None:
        super().__init__()
        self.coefs = nn.Parameter(torch.randn(message, hidden, 2) / message**0.5)
        self.bias = nn.Parameter(torch.zeros(1, hidden))
        self.alphas = nn.ParameterList([torch.zeros(1, message, 2)])

    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        """(B, N, N, message) -> (B, hidden)."""
        size = n[:, None]
        trace = torch.diagonal(x, dim1=1, dim2=2).sum(2) / size
        maps = torch.stack([x.sum((1, 2)) / size**2, trace], -1)
        maps = leaky_relu(maps * (size[..., None] / TYPICAL) ** self.alphas[0], SLOPE)
        return torch.einsum("bcm,com->bo", maps, self.coefs) + self.bias


class InputEncoder(nn.Module):
    """sign(x) ((1 + |x|)^a - 1) / a with a = 1e-6 + alpha^2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rank2_alphas = nn.Parameter(torch.linspace(0.05, 0.5, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Channel by channel."""
        a = 1e-6 + self.rank2_alphas**2
        return torch.sign(x) * ((1 + x.abs()) ** a - 1) / a


class Net2to2(nn.Module):
    """The blocks, under their published names."""

    def __init__(self, config: PelicanOriginalConfig) -> None:
        super().__init__()
        sizes = (config.hidden, config.message)
        self.message_layers = nn.ModuleList(Message(*sizes, config.dropout) for _ in range(config.n_blocks))
        self.eq_layers = nn.ModuleList(Eq2to2(*sizes[::-1]) for _ in range(config.n_blocks))

    def forward(self, x: Tensor, mask: Tensor, n: Tensor) -> Tensor:
        """(B, N, N, hidden) -> the same."""
        for message, mixing in zip(self.message_layers, self.eq_layers):
            x = mixing(message(x, mask), mask, n)
        return x


class LogitLayer(nn.Module):
    """The last linear map, under its published name."""

    def __init__(self, hidden: int, n_classes: int) -> None:
        super().__init__()
        self.linear = nn.ModuleList([nn.Linear(hidden, n_classes)])


@register_model(
    "pelican-original",
    summary="PELICAN as published, quirks included, for its authors' weights",
    reference="arXiv:2307.16506",
)
class PublishedPelican(JetModel):
    """The published tagger; parameters carry the names of the authors' files."""

    name: ClassVar[str] = "pelican-original"
    symmetry: ClassVar[str] = "SO+(1,3)"
    exact: ClassVar[bool] = False
    original: ClassVar[bool] = True
    config_class: ClassVar[type] = PelicanOriginalConfig

    def __init__(self, config: PelicanOriginalConfig) -> None:
        super().__init__(config)
        encoded = config.hidden - (config.label_channels if config.n_labels else 0)
        self.linear = nn.Linear(1, encoded)
        nn.init.ones_(self.linear.weight), nn.init.zeros_(self.linear.bias)
        self.input_encoder = InputEncoder(encoded)
        self.eq1to2 = Eq1to2(config.n_labels, config.label_channels) if config.n_labels else None
        self.net2to2 = Net2to2(config)
        self.msg_2to0 = Message(config.hidden, config.message, config.dropout)
        self.agg_2to0 = Eq2to0(config.message, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.mlp_out = LogitLayer(config.hidden, config.n_classes)

    @classmethod
    def from_published(cls, path: str | Path, **options: Any) -> PublishedPelican:
        """The network of the authors' weights, in their dtype.

        Raises:
            CheckpointError: not such a file.
        """
        state, sizes = read_pelican(path)
        if not sizes["n_labels"]:
            del sizes["label_channels"]
        network = cls(make_config(cls, {**sizes, **options})).to(state["linear.weight"].dtype)
        check_fits(network, state, str(path))
        network.load_state_dict(state)
        return network.eval()

    def forward(self, batch: JetBatch) -> Tensor:
        """Logits (B, n_classes)."""
        return self.classify(*self.dense(batch))

    def dense(self, batch: JetBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Momenta (B, N, 4), labels (B, N, n_labels) and mask (B, N), reference vectors first."""
        config = self.config
        p4, mask = batch.padded()
        if config.max_constituents is not None:
            p4, mask = p4[:, : config.max_constituents], mask[:, : config.max_constituents]
        if config.pad_to is not None and config.pad_to > p4.shape[1]:
            missing = config.pad_to - p4.shape[1]
            p4, mask = nn.functional.pad(p4, (0, 0, 0, missing)), nn.functional.pad(mask, (0, missing))
        labels = p4.new_zeros(*mask.shape, config.n_labels, dtype=self.dtype)
        if config.n_labels:
            labels[mask, 0] = 1
            lab = torch.tensor(SPURIONS, dtype=torch.float64, device=p4.device)
            kinds = torch.eye(3, dtype=self.dtype, device=p4.device)[1:].expand(len(p4), -1, -1)
            p4 = torch.cat([batch.reference_vectors(lab), p4], 1)
            labels = torch.cat([kinds, labels], 1)
            mask = torch.cat([mask.new_ones(len(mask), 2), mask], 1)
        return p4.to(self.dtype), labels, mask

    def classify(self, p4: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, n_classes) from what :meth:`dense` gives."""
        n = mask.sum(1).clamp(min=1).to(p4.dtype)
        pairs = (mask[:, :, None] & mask[:, None])[..., None].to(p4.dtype)
        x = self.net2to2(self.inputs(p4, labels, pairs, n), pairs, n)
        x = self.agg_2to0(self.msg_2to0(x, pairs), n)
        logits = self.mlp_out.linear[0](self.dropout(x))
        return leaky_relu(logits, SLOPE) if self.config.rectified else logits

    def inputs(self, p4: Tensor, labels: Tensor, pairs: Tensor, n: Tensor) -> Tensor:
        """(B, N, N, hidden): encoded dot products, then label channels."""
        product = p4[:, :, None] * p4[:, None]
        dot = 2 * product[..., :1] - product.sum(-1, keepdim=True)
        x = self.input_encoder(self.linear(dot)) * pairs
        return x if self.eq1to2 is None else torch.cat([x, self.eq1to2(labels, pairs, n)], -1)
