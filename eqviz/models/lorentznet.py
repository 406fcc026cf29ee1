"""LorentzNet: messages between constituents and beams, built from Minkowski products (arXiv:2201.08187)."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.errors import DataError
from eqviz.layers.canonical import canonical_frame, on_shell
from eqviz.layers.minkowski_block import MinkowskiBlock, compressed, pair_features
from eqviz.layers.scalar import psi
from eqviz.models.base import JetModel, make_config, register_model, require
from eqviz.models.published.weights import read_published
from eqviz.models.weights import check_fits
from eqviz.ops.minkowski_gram import minkowski_gram
from eqviz.ops.pairs import PairLayout, pair_apply

BEAM_MASS2 = 1.0
BEAMS = ((sqrt(1 + BEAM_MASS2), 0.0, 0.0, 1.0), (sqrt(1 + BEAM_MASS2), 0.0, 0.0, -1.0))
# Constituents with m^2 / E^2 above this are massive; rounding alone stays far below, also when boosted.
MASSIVE = 1e-2


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


@dataclass(frozen=True)
class Nodes:
    """Beams and constituents of each jet, jet after jet: momenta, squared masses, scalars and jet index."""

    p4: Tensor
    mass2: Tensor
    scalars: Tensor
    jet: Tensor
    lengths: Tensor


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
        nodes = self.nodes(batch)
        layout = PairLayout.build(nodes.lengths)
        x, features = self._start(nodes, layout)
        h = self.embed(nodes.scalars)
        for index, block in enumerate(self.blocks):
            if index > 0:
                features = pair_features(x, layout, self.dtype, "matrix" if self.stable else "difference")
            h, x = block(h, x, nodes.scalars, features, layout)
        total = h.new_zeros(len(batch), h.shape[1]).index_add(0, nodes.jet, h)
        return self.head(total / self._pool_size(nodes.lengths).to(h.dtype))

    def nodes(self, batch: JetBatch) -> Nodes:
        """The batch with its reference vectors put before the constituents of each jet."""
        lab = torch.tensor(BEAMS if self.config.beams else (), dtype=torch.float64, device=batch.p4.device)
        lab = lab.view(-1, 4)
        lengths = batch.lengths + len(lab)
        jet = torch.repeat_interleave(torch.arange(len(batch), device=lengths.device), lengths)
        is_beam = torch.arange(len(jet), device=jet.device) - (lengths.cumsum(0) - lengths)[jet] < len(lab)
        p4 = batch.p4.new_empty(len(jet), 4)
        p4[is_beam] = batch.reference_vectors(lab).reshape(-1, 4)
        p4[~is_beam] = batch.p4
        mass2 = batch.p4.new_full((len(jet),), BEAM_MASS2)
        mass2[~is_beam] = self._mass2(batch)
        scalars = batch.p4.new_zeros(len(jet), self.config.n_scalars, dtype=self.dtype)
        scalars[is_beam, -1] = log(1 + sqrt(BEAM_MASS2))
        scalars[~is_beam] = self._scalars(batch, mass2[~is_beam])
        return Nodes(p4, mass2, scalars, jet, lengths)

    def _mass2(self, batch: JetBatch) -> Tensor:
        """(n,) squared masses of the constituents in GeV^2, never negative."""
        measured = _mass2(batch.p4)
        if not self.config.massless:
            return measured.clamp(min=0)
        energy2 = batch.p4[:, 0].square()
        if bool((measured > MASSIVE * energy2).any()):
            worst = float((measured / energy2).nan_to_num().max()) ** 0.5
            raise DataError(
                f"expected massless constituents (E = |p|), got m / E up to {worst:.3g}; "
                "for massive ones build the model with massless=False"
            )
        return torch.zeros_like(measured)

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
            mass2 = _mass2(batch.p4.to(self.dtype)).abs()
        out[:, 0] = psi(mass2.sqrt().to(self.dtype))
        return out

    def _start(self, nodes: Nodes, layout: PairLayout) -> tuple[Tensor, Tensor]:
        """Coordinates (n, 4) and pair features (P, 2) of the first block."""
        if not self.stable:
            x = nodes.p4.to(self.dtype)
            return x, pair_features(x, layout, self.dtype, "difference")
        p4 = on_shell(nodes.p4, nodes.mass2)
        slots, mass2 = layout.to_slots(p4), layout.to_slots(nodes.mass2)
        dot, norm = minkowski_gram(slots, layout, "direction", mass2)
        row_sums = pair_apply(dot * layout.pair_mask, torch.ones_like(slots[:, :1]), layout).squeeze(1)
        total = nodes.p4.new_zeros(len(nodes.lengths))
        total = total.index_add(0, nodes.jet, layout.to_nodes(row_sums) + nodes.mass2)
        return canonical_frame(p4, nodes.mass2, nodes.jet, total), compressed(dot, norm, layout, self.dtype)

    def _pool_size(self, lengths: Tensor) -> Tensor:
        size = self.config.pool_size
        if size == "batch":
            size = int(lengths.max()) if len(lengths) else 1
        return lengths.clamp(min=1)[:, None] if size is None else torch.full_like(lengths, size)[:, None]


def _mass2(p4: Tensor) -> Tensor:
    """m^2 = 2 E^2 - sum_mu p_mu^2: the order of operations of the published code, noise and all."""
    square = p4 * p4
    return 2 * square[:, 0] - square.sum(1)
