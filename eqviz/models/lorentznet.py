"""LorentzNet: messages between constituents and beams, built from Minkowski products (arXiv:2201.08187)."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.errors import DataError
from eqviz.layers.events import BEAMS, Events, prepare, square
from eqviz.layers.minkowski_block import MinkowskiBlock, compressed, pair_features
from eqviz.layers.scalar import psi
from eqviz.models.base import JetModel, make_config, register_model, require
from eqviz.models.published.weights import read_published
from eqviz.models.weights import check_fits


@dataclass(frozen=True)
class LorentzNetConfig:
    """Parameters of LorentzNet; the defaults are the published sizes without the published quirks.

    Attributes:
        n_blocks: message-passing blocks.
        hidden: width of node and edge features.
        n_classes: number of logits.
        n_scalars: width of the input scalars of a node.
        scalars: what they are. ``"mass"``: psi(mass), constituents in the first column and beams in the
            last. ``"given"``: the batch's own scalars. ``"original"``: the batch's where it has them, or
            psi(sqrt|m^2|) in the network's precision, rounding noise included, as the published pipeline.
        massless: constituents are light-like, so E is |p| and their mass is exactly 0.
        beams: add the reference vectors (sqrt 2, 0, 0, +-1).
        c_weight: size of coordinate updates (5e-3 in the published top tagger).
        dropout: dropout rate before the last layer.
        clamp: limit on components of coordinate updates in GeV (published: 100). It breaks the symmetry.
        pool_size: what the sum over nodes is divided by: None, the jet's own number of nodes; a number; or
            ``"batch"``, the largest jet of the batch (published; answers then depend on batch mates).
        stable: canonical frame and invariants in float64 without cancellation; otherwise plain arithmetic
            in the network's precision. With ``clamp`` set the canonical frame gives another function.
    """

    n_blocks: int = 6
    hidden: int = 72
    n_classes: int = 2
    n_scalars: int = 2
    scalars: Literal["mass", "given", "original"] = "mass"
    massless: bool = True
    beams: bool = True
    c_weight: float = 5e-3
    dropout: float = 0.2
    clamp: float | None = None
    pool_size: int | Literal["batch"] | None = None
    stable: bool = True

    def __post_init__(self) -> None:
        require(self.n_blocks >= 1, "lorentznet.n_blocks", "1 or more", self.n_blocks)
        require(self.hidden >= 1, "lorentznet.hidden", "1 or more", self.hidden)
        require(self.n_classes >= 1, "lorentznet.n_classes", "1 or more", self.n_classes)
        least = 2 if self.scalars == "mass" else 1
        require(self.n_scalars >= least, "lorentznet.n_scalars", f"{least} or more", self.n_scalars)
        require(0 <= self.dropout < 1, "lorentznet.dropout", "in [0, 1)", self.dropout)
        positive = self.clamp is None or self.clamp > 0
        require(positive, "lorentznet.clamp", "positive or None", self.clamp)
        sized = not isinstance(self.pool_size, int) or self.pool_size >= 1
        require(sized, "lorentznet.pool_size", "1 or more, 'batch' or None", self.pool_size)


class Prepared(NamedTuple):
    """What :meth:`LorentzNet.network` starts from: nodes, their scalars (n, n_scalars), features (P, 2)."""

    events: Events
    scalars: Tensor
    features: Tensor


@register_model(
    "lorentznet",
    summary="message passing on Minkowski products; invariant under boosts and rotations",
    reference="arXiv:2201.08187",
)
class LorentzNet(JetModel):
    """LorentzNet; 224,072 parameters with the default sizes.

    Invariant under proper Lorentz transformations of the jet together with its reference vectors, and
    under permutations of constituents. The answer for a jet depends on that jet alone.
    """

    name: ClassVar[str] = "lorentznet"
    symmetry: ClassVar[str] = "SO+(1,3)"
    exact: ClassVar[bool] = True
    config_class: ClassVar[type] = LorentzNetConfig

    def __init__(self, config: LorentzNetConfig) -> None:
        super().__init__(config)
        width = config.hidden
        self.embed = nn.Linear(config.n_scalars, width)
        self.blocks = nn.ModuleList(
            MinkowskiBlock(width, config.n_scalars, config.c_weight, k < config.n_blocks - 1, config.clamp)
            for k in range(config.n_blocks)
        )
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(width, config.n_classes)
        )

    @classmethod
    def from_published(cls, path: str | Path, **options: Any) -> LorentzNet:
        """The network of the authors' released weights, with the behaviour of their code.

        That is ``clamp=100``, ``pool_size="batch"``, ``scalars="original"`` and ``stable=False``; pass other
        values as ``options``. Forcing ``stable=True`` while the clamp is on gives other answers than the
        published network's: the clamp acts on components, and those are of another frame then.

        Raises:
            CheckpointError: not such a file.
        """
        state, sizes = read_published(path)
        published = {"clamp": 100.0, "pool_size": "batch", "scalars": "original", "stable": False}
        network = cls(make_config(cls, {**sizes, **published, **options}))
        check_fits(network, state, str(path))
        network.load_state_dict(state)
        return network.eval()

    def forward(self, batch: JetBatch) -> Tensor:
        """Logits (B, n_classes).

        Raises:
            DataError: massive constituents with ``massless=True``, or scalars missing that should be given.
        """
        return self.network(self.prepare(batch))

    def prepare(self, batch: JetBatch) -> Prepared:
        """What depends on the batch alone; here a GPU may have to be waited for, later no more.

        Raises:
            DataError: as :meth:`forward`.
        """
        beams = BEAMS if self.config.beams else ()
        events = prepare(batch, beams, self.config.massless, self.stable)
        features = compressed(*events.products(self.dtype), events.layout, self.dtype)
        return Prepared(events, self.node_scalars(batch, events), features)

    def network(self, prepared: Prepared) -> Tensor:
        """Logits (B, n_classes) of a prepared batch."""
        events, scalars, features = prepared
        layout = events.layout
        x = events.p4 if self.stable else events.p4.to(self.dtype)
        h = self.embed(scalars)
        for index, block in enumerate(self.blocks):
            if index > 0:
                features = pair_features(x, layout, self.dtype, "matrix" if self.stable else "difference")
            h, x = block(h, x, scalars, features, layout)
        total = h.new_zeros(len(events.lengths), h.shape[1]).index_add(0, events.jet, h)
        return self.head(total / self._pool_size(events.lengths).to(h.dtype))

    def node_scalars(self, batch: JetBatch, events: Events) -> Tensor:
        """(n, n_scalars) of reference vectors, psi(mass) in the last column, and of constituents."""
        is_beam = events.is_reference
        scalars = batch.p4.new_zeros(len(is_beam), self.config.n_scalars, dtype=self.dtype)
        scalars[is_beam, -1] = log(2.0)  # psi of their mass, 1 GeV
        scalars[~is_beam] = self._scalars(batch, events.mass2[~is_beam])
        return scalars

    def _scalars(self, batch: JetBatch, mass2: Tensor) -> Tensor:
        width, kind = self.config.n_scalars, self.config.scalars
        if kind == "given" or (kind == "original" and batch.scalars.shape[1] > 0):
            if batch.scalars.shape[1] != width:
                raise DataError(
                    f"expected {width} given scalars per constituent (n_scalars), "
                    f"got a batch with {batch.scalars.shape[1]}"
                )
            return batch.scalars.to(self.dtype)
        out = batch.p4.new_zeros(len(mass2), width, dtype=self.dtype)
        if kind == "original":
            mass2 = square(batch.p4.to(self.dtype)).abs()
        out[:, 0] = psi(mass2.sqrt().to(self.dtype))
        return out

    def _pool_size(self, lengths: Tensor) -> Tensor:
        size = self.config.pool_size
        if size == "batch":
            size = int(lengths.max()) if len(lengths) else 1
        return lengths.clamp(min=1)[:, None] if size is None else torch.full_like(lengths, size)[:, None]
