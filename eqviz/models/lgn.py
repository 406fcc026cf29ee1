"""LGN: Clebsch-Gordan products of Lorentz irreps, in real bases (arXiv:2006.04780)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.errors import DataError
from eqviz.layers.events import BEAMS, Events, prepare
from eqviz.layers.lgn_level import CGLevel, Invariants, ScalarPerceptron
from eqviz.layers.lorentz_basis import MAX_WEIGHT, SCALAR, VECTOR, Label, tensor_labels
from eqviz.models.base import JetModel, register_model, require
from eqviz.models.published.lgn import LGNOriginal
from eqviz.ops.lorentz_cg import cg_block
from eqviz.ops.pairs import PairLayout

# A typical multiplicity: sums over particles are divided by this number, the same for all jets.
NEIGHBOURS = 50.0
# Tiles whose pairs, times the bells, fill a second-level cache.
TILE_PAIRS = 8192


@dataclass(frozen=True)
class LGNConfig:
    """Parameters of LGN.

    Attributes:
        channels: real channels of the input and after each Clebsch-Gordan level.
        max_weight: largest k, n of the irreps that are kept, twice the spins (the paper: 2).
        n_bells: Lorentzian bells in the radial functions of each level.
        n_classes: number of logits.
        n_scalars: how many of the batch's own scalars enter.
        momenta_in: momenta enter as features, too, not only through the pairs.
        massless: constituents are light-like, so E is |p| and their mass is exactly 0.
        beams: add the reference vectors (sqrt 2, 0, 0, +-1).
        scale: factor on momenta, per GeV. With 0.1 the hard constituents of a jet are of order one in its
            own frame, and products count from the start; with 0.01 some seeds end at worse minima.
        parity: only couplings that commute with space reflection.
        dropout: dropout rate before the last layer.
        stable: canonical frame and pair norms in float64 without cancellation; otherwise plain arithmetic
            in the network's precision.
    """

    channels: tuple[int, ...] = (3, 3, 4, 11)
    max_weight: int = 2
    n_bells: int = 10
    n_classes: int = 2
    n_scalars: int = 0
    momenta_in: bool = True
    massless: bool = True
    beams: bool = True
    scale: float = 0.1
    parity: bool = False
    dropout: float = 0.0
    stable: bool = True

    def __post_init__(self) -> None:
        sound = len(self.channels) >= 2 and min(self.channels, default=0) >= 1
        require(sound, "lgn.channels", "two or more positive numbers", self.channels)
        require(1 <= self.max_weight <= MAX_WEIGHT, "lgn.max_weight", f"1 to {MAX_WEIGHT}", self.max_weight)
        require(self.n_bells >= 1, "lgn.n_bells", "1 or more", self.n_bells)
        require(self.n_classes >= 1, "lgn.n_classes", "1 or more", self.n_classes)
        require(self.n_scalars >= 0, "lgn.n_scalars", "0 or more", self.n_scalars)
        require(self.scale > 0, "lgn.scale", "positive", self.scale)
        require(0 <= self.dropout < 1, "lgn.dropout", "in [0, 1)", self.dropout)


class Prepared(NamedTuple):
    """What :meth:`LGN.network` starts from.

    Attributes:
        scalars: (S, 2 + n_scalars) of every slot.
        p4: (4, 1, S) scaled momenta.
        norm: (P,) |p_ij^2|.
        layout: where the pairs are.
        jet: (J,) the jets that have nodes, in the order of the layout.
        n_jets: B.
    """

    scalars: Tensor
    p4: Tensor
    norm: Tensor
    layout: PairLayout
    jet: Tensor
    n_jets: int


@register_model(
    "lgn",
    summary="Clebsch-Gordan products of Lorentz irreps; invariant under boosts and rotations",
    reference="arXiv:2006.04780",
)
class LGN(JetModel):
    """The Lorentz group network; 4,523 parameters with the default sizes (the paper: 4.5k).

    Invariant under proper Lorentz transformations of the jet together with its reference vectors, and
    under permutations of constituents. The answer for a jet depends on that jet alone.

    Features are real tensors: scalars, vectors, antisymmetric F and traceless symmetric T, as many copies of
    each as there are channels. The mixing is every real map that commutes with the group: numbers, and for F
    complex numbers a + b * with the dual. A complex channel of the published network is then two real ones
    (real and imaginary part of (k, k), and (2, 0) and (0, 2) as two F), and its products of complex numbers
    are sums of products within channels of mixed copies: with enough channels this network computes all
    that the published one does, and with few it is smaller. What vanishes or comes twice in the published
    products (F from v x v in one channel, both orders of a pair of irreps) is left out, and so are the
    heights and offsets of the bells, which the weights absorb. That is why counts differ at equal channels:
    (5, 6, 7, 6) with 17 bells has the 6,014 of the released weights, (4, 4, 5, 8) with 21 the 4,646 of the
    published code's defaults.
    """

    name: ClassVar[str] = "lgn"
    symmetry: ClassVar[str] = "SO+(1,3)"
    exact: ClassVar[bool] = True
    config_class: ClassVar[type] = LGNConfig

    def __init__(self, config: LGNConfig) -> None:
        super().__init__(config)
        labels = [SCALAR, VECTOR] if config.momenta_in else [SCALAR]
        self.embed = nn.Linear(2 + config.n_scalars, config.channels[0])
        if config.momenta_in:
            self.embed_momenta = nn.Parameter(torch.randn(config.channels[0]))
        self.first_invariants = Invariants(labels, config.parity)
        width = self.first_invariants.count * config.channels[0]
        levels = []
        for c_in, c_out in pairwise(config.channels):
            levels.append(self._level(labels, c_in, c_out))
            labels = list(levels[-1].outs)
        self.levels = nn.ModuleList(levels)
        self.perceptrons = nn.ModuleList(ScalarPerceptron(c_out) for c_out in config.channels[1:])
        last = [Invariants(level.outs, config.parity) for level in levels]
        self.invariants = nn.ModuleList(last)
        width += sum(found.count * size for found, size in zip(last, config.channels[1:]))
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(width, config.n_classes))

    def _level(self, labels: list[Label], c_in: int, c_out: int) -> CGLevel:
        config = self.config
        return CGLevel(
            labels,
            tensor_labels(config.max_weight),
            c_in,
            c_out,
            n_bells=config.n_bells,
            widths=(0.3 * config.scale, 300 * config.scale),
            neighbours=NEIGHBOURS,
            parity=config.parity,
        )

    @classmethod
    def from_published(cls, path: str | Path, **options: Any) -> LGNOriginal:
        """The published network with released weights; see :class:`LGNOriginal`.

        Raises:
            CheckpointError: not such a file.
        """
        return LGNOriginal.from_published(path, **options)

    def forward(self, batch: JetBatch) -> Tensor:
        """Logits (B, n_classes).

        Raises:
            DataError: massive constituents with ``massless=True``, or fewer scalars than ``n_scalars``.
        """
        return self.network(self.prepare(batch))

    def prepare(self, batch: JetBatch) -> Prepared:
        """What depends on the batch alone; here a GPU may have to be waited for, later no more.

        Raises:
            DataError: as :meth:`forward`.
        """
        beams, tiles = BEAMS if self.config.beams else (), None if batch.p4.is_cuda else TILE_PAIRS
        events = prepare(batch, beams, self.config.massless, self.stable, tiles)
        layout, scale = events.layout, self.config.scale
        _, norm = events.products(self.dtype)
        p4 = layout.to_slots((events.p4 * scale).to(self.dtype)).T.unsqueeze(1).contiguous()
        scalars = layout.to_slots(self._scalars(batch, events))
        # Jets without nodes are not in the layout
        jet = events.jet[layout.slot_node[layout.jets[:, 0]]]
        return Prepared(scalars, p4, (norm * scale**2).abs(), layout, jet, len(batch))

    def network(self, prepared: Prepared) -> Tensor:
        """Logits (B, n_classes) of a prepared batch."""
        scalars, p4, norm, layout, jet, n_jets = prepared
        x = self.embed(scalars).T[None]
        if self.config.momenta_in:
            x = torch.cat([x, p4 * self.embed_momenta[:, None]])
        x = x.contiguous()
        found = [self.first_invariants(x, layout)]
        parts: Any = zip(self.levels, self.perceptrons, self.invariants)
        for level, perceptron, invariants in parts:
            layers = perceptron.parameters_of_layers()
            x, totals = cg_block(x, p4, norm, layout, level.level(x), layers, invariants.forms(x))
            found.append(totals)
        sums = torch.cat([values.flatten(0, 1) for values in found])
        total = sums.new_zeros(n_jets, len(sums)).index_copy(0, jet, sums.T)
        return self.head(total / NEIGHBOURS)

    def _scalars(self, batch: JetBatch, events: Events) -> Tensor:
        """(n, 2 + n_scalars): mass, +1 for reference vectors else -1, and the batch's own scalars."""
        width = self.config.n_scalars
        if batch.scalars.shape[1] < width:
            raise DataError(
                f"expected {width} scalars per constituent (n_scalars), got {batch.scalars.shape[1]}"
            )
        out = events.p4.new_zeros(len(events.p4), 2 + width, dtype=self.dtype)
        out[:, 0] = events.mass2.clamp(min=0).sqrt().to(self.dtype) * self.config.scale
        out[:, 1] = torch.where(events.is_reference, 1.0, -1.0)
        out[~events.is_reference, 2:] = batch.scalars[:, :width].to(self.dtype)
        return out
