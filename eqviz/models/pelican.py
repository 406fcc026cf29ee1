"""PELICAN: pair products, permutation-equivariant layers on pairs, an invariant answer (arXiv:2307.16506)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.errors import DataError
from eqviz.layers.events import Events, prepare
from eqviz.layers.pelican_maps import PairsToJet
from eqviz.layers.pelican_stack import PelicanStack
from eqviz.models.base import JetModel, make_config, register_model, require
from eqviz.models.published.pelican import PublishedPelican
from eqviz.models.published.pelican_weights import read_pelican, to_clean
from eqviz.models.weights import check_fits
from eqviz.ops.permutation_2to2 import MirrorPairs

# Reference vectors of the published taggers in the lab: time and beam axis, or the two beams.
REFERENCES: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    "none": (),
    "time+axis": ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)),
    "beams": ((1.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0, -1.0)),
}
Reference = Literal["none", "time+axis", "beams"]
# Pair and message channels, blocks and channels of particle labels of the published classifiers.
SIZES: dict[str, dict[str, Any]] = {
    "208k": {"hidden": 132, "message": 78, "n_blocks": 5, "label_channels": 10},
    "48k": {"hidden": 60, "message": 35, "n_blocks": 5, "label_channels": 10},
    "11k": {"hidden": 25, "message": 15, "n_blocks": 5, "label_channels": 10},
    "1k": {"hidden": 6, "message": 4, "n_blocks": 5, "reference": "none"},
    "326": {"hidden": 6, "message": 3, "n_blocks": 1, "reference": "none"},
}


def label_width(reference: Reference, n_scalars: int) -> int:
    """Width of the labels of a node: its kind as a one-hot vector if there are kinds, then given scalars."""
    n_reference = len(REFERENCES[reference])
    return n_scalars + (1 + n_reference if n_reference else 0)


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """What the networks on PELICAN's pair layers share.

    Attributes:
        hidden: channels of the pair tensor.
        message: channels of messages, between which pairs are aggregated.
        n_blocks: blocks of message and Eq 2->2.
        reference: vectors that join the particles: ``"time+axis"``, (1, 0, 0, 0) and (0, 0, 0, 1) as
            published; ``"beams"``, (1, 0, 0, +-1); or ``"none"``.
        n_scalars: width of the batch's own scalars, which label particles beside what kind of vector each is.
        label_channels: pair channels made of labels; without reference vectors and scalars there are none.
        massless: constituents are light-like, so E is |p| and their mass is exactly 0.
        dropout: dropout rate before the last linear maps.
        slope: of the leaky rectifiers.
        stable: pair products in float64 without cancellation; otherwise E_i E_j - p_i.p_j in the network's
            precision.
    """

    hidden: int = 60
    message: int = 35
    n_blocks: int = 5
    reference: Reference = "none"
    n_scalars: int = 0
    label_channels: int = 10
    massless: bool = True
    dropout: float = 0.0
    slope: float = 0.01
    stable: bool = True
    network: ClassVar[str] = "pelican"

    def __post_init__(self) -> None:
        for name in ("hidden", "message", "n_blocks"):
            require(getattr(self, name) >= 1, f"{self.network}.{name}", "1 or more", getattr(self, name))
        require(self.n_scalars >= 0, f"{self.network}.n_scalars", "0 or more", self.n_scalars)
        require(0 <= self.dropout < 1, f"{self.network}.dropout", "in [0, 1)", self.dropout)
        require(0 < self.slope <= 1, f"{self.network}.slope", "in (0, 1]", self.slope)
        fits = 1 <= self.label_channels < self.hidden or not self.n_labels
        limit = f"1 to hidden - 1 = {self.hidden - 1}"
        require(fits, f"{self.network}.label_channels", limit, self.label_channels)

    @property
    def n_labels(self) -> int:
        """Width of the labels of a node: its kind as a one-hot vector, then the batch's scalars."""
        return label_width(self.reference, self.n_scalars)

    def stack(self) -> PelicanStack:
        """The pair layers, with new weights."""
        labels = self.label_channels if self.n_labels else 0
        return PelicanStack(self.hidden, self.message, self.n_blocks, self.n_labels, labels, self.slope)


@dataclass(frozen=True, kw_only=True)
class PelicanConfig(PairSettings):
    """Parameters of PELICAN; the defaults are the published 48k tagger without its quirks.

    Attributes:
        n_classes: number of logits.
    """

    n_classes: int = 2
    reference: Reference = "time+axis"
    dropout: float = 0.025

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.n_classes >= 1, "pelican.n_classes", "1 or more", self.n_classes)


class Prepared(NamedTuple):
    """What :meth:`Pelican.network` starts from: products (T,), labels (n, n_labels), and where pairs are."""

    products: Tensor
    labels: Tensor
    pairs: MirrorPairs


@register_model(
    "pelican",
    summary="permutation-equivariant layers on all pair products; invariant under boosts and rotations",
    reference="arXiv:2307.16506",
)
class Pelican(JetModel):
    """PELICAN; 48,482 parameters with the default sizes, 208,797 with those of ``SIZES["208k"]``.

    Invariant under Lorentz transformations of the jet together with its reference vectors, parity included,
    and under permutations of constituents. The answer for a jet depends on that jet alone.
    """

    name: ClassVar[str] = "pelican"
    symmetry: ClassVar[str] = "SO+(1,3)"
    exact: ClassVar[bool] = True
    config_class: ClassVar[type] = PelicanConfig

    def __init__(self, config: PelicanConfig) -> None:
        super().__init__(config)
        self.pairs = config.stack()
        self.pool = PairsToJet(config.message, config.hidden, config.slope)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, config.n_classes)

    @classmethod
    def from_published(cls, path: str | Path, clean: bool = False, **options: Any) -> JetModel:
        """The network of the authors' weights: as published, or with ``clean`` this one with those weights.

        The two differ by the published rectifier of the logits, which this network leaves out.

        Args:
            path: a file of tensors under the names of the authors' code.
            clean: which one.
            options: fields of the config of the one chosen.

        Raises:
            CheckpointError: not such a file.
        """
        if not clean:
            return PublishedPelican.from_published(path, **options)
        state, sizes = read_pelican(path)
        sizes.setdefault("reference", "none" if sizes.pop("n_labels") == 0 else "time+axis")
        network = cls(make_config(cls, {**sizes, **options})).to(state["linear.weight"].dtype)
        state = to_clean(state)
        check_fits(network, state, str(path))
        network.load_state_dict(state)
        return network.eval()

    def forward(self, batch: JetBatch) -> Tensor:
        """Logits (B, n_classes).

        Raises:
            DataError: massive constituents with ``massless=True``, or a batch with other scalars.
        """
        return self.network(self.prepare(batch))

    def prepare(self, batch: JetBatch) -> Prepared:
        """What depends on the batch alone; here a GPU may have to be waited for, later no more.

        Raises:
            DataError: as :meth:`forward`.
        """
        events = self.events(batch)
        pairs = MirrorPairs.build(events.lengths)
        return Prepared(pair_products(events, pairs, self.dtype), self.labels(batch, events), pairs)

    def network(self, prepared: Prepared) -> Tensor:
        """Logits (B, n_classes) of a prepared batch."""
        pairs = prepared.pairs
        found, norm = self.pairs(*prepared)
        pooled = self.pool(found, norm, pairs)
        return self.head(self.dropout(pooled))

    def events(self, batch: JetBatch) -> Events:
        """The particles of each jet beside its reference vectors."""
        return prepare(batch, REFERENCES[self.config.reference], self.config.massless, self.stable)

    def labels(self, batch: JetBatch, events: Events) -> Tensor:
        """(n, n_labels): one-hot [constituent, first reference vector, ...], then the batch's scalars."""
        return node_labels(batch, events, len(REFERENCES[self.config.reference]), self.config, self.dtype)


def pair_products(events: Events, pairs: MirrorPairs, dtype: torch.dtype) -> Tensor:
    """p_i.p_j of all pairs i <= j in GeV^2, (T,)."""
    return pairs.from_tiles(events.products(dtype)[0], events.layout)


def node_labels(batch: JetBatch, events: Events, n_reference: int, config: Any, dtype: torch.dtype) -> Tensor:
    """(n, ...) what kind of vector each node is, as a one-hot vector, and its scalars.

    Raises:
        DataError: the batch has not as many scalars as ``config.n_scalars``.
    """
    given = config.n_scalars
    if given and batch.scalars.shape[1] != given:
        raise DataError(
            f"expected {given} scalars per constituent (n_scalars), got a batch with {batch.scalars.shape[1]}"
        )
    kinds = 1 + n_reference if n_reference else 0
    out = torch.zeros(len(events.jet), kinds + given, dtype=dtype, device=events.jet.device)
    if kinds:
        first = (events.lengths.cumsum(0) - events.lengths)[events.jet]
        position = torch.arange(len(out), device=out.device) - first
        column = torch.where(events.is_reference, position + 1, 0)
        out[torch.arange(len(out), device=out.device), column] = 1
    if given:
        out[~events.is_reference, kinds:] = batch.scalars.to(dtype)
    return out
