"""LGN as published, step by step: it runs the released weights, and it is an oracle and a yardstick.

Written from arXiv:2006.04780 and the shapes and outputs of the released weights, with what that network
does and ours does not: jets padded to 128 with padding that takes part, complex numbers throughout, masses
of massless particles (rounding noise) as inputs, edges that carry 1 + i, a bias of the radial functions
that survives where particles do not see each other, and all ordered products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.errors import DataError
from eqviz.models.base import JetModel, make_config, register_model, require
from eqviz.models.published.lgn_tables import (
    EDGE_ORDER,
    INPUT_ORDER,
    IRREPS,
    LEVEL_ORDER,
    OUTPUT_ORDER,
    SCALAR,
    VECTOR,
    Label,
    coupling,
    invariant_metric,
    terms,
    vector_to_canonical,
)
from eqviz.models.published.lgn_weights import read_lgn
from eqviz.models.weights import check_fits

BEAMS = ((sqrt(2.0), 0.0, 0.0, 1.0), (sqrt(2.0), 0.0, 0.0, -1.0))
Features = dict[Label, Tensor]


@dataclass(frozen=True)
class LGNOriginalConfig:
    """Sizes and conventions of the published network; the defaults are those of the released weights.

    Attributes:
        channels: complex channels of the input and after each Clebsch-Gordan level.
        momenta_in: momenta enter as (1, 1) features and scalars are mixed linearly; otherwise only the
            scalars enter, through a real linear layer.
        n_radial: bells in the radial functions of a level.
        n_classes: number of logits.
        scale: factor on all momenta, beams too, per GeV.
        pad_to: number of particles, beams included, that every jet is padded to: 128 as trained, or None
            for the largest jet of the batch. The answer depends on it.
        per_pair: form the product of every pair before summing over neighbours, as the released code did.
            The sum is the same without (to rounding), and 20 times faster.
    """

    channels: tuple[int, ...] = (2, 4, 4, 2)
    momenta_in: bool = True
    n_radial: int = 20
    n_classes: int = 2
    scale: float = 0.005
    pad_to: int | None = 128
    per_pair: bool = False

    def __post_init__(self) -> None:
        sound = len(self.channels) >= 2 and min(self.channels, default=0) >= 1
        require(sound, "lgn-original.channels", "two or more positive numbers", self.channels)
        require(self.n_radial >= 1, "lgn-original.n_radial", "1 or more", self.n_radial)
        require(self.n_classes >= 1, "lgn-original.n_classes", "1 or more", self.n_classes)
        require(self.scale > 0, "lgn-original.scale", "positive", self.scale)
        padded = self.pad_to is None or self.pad_to >= 2
        require(padded, "lgn-original.pad_to", "2 or more, or None", self.pad_to)


@register_model(
    "lgn-original",
    summary="LGN as published, quirks included: runs the released weights",
    reference="arXiv:2006.04780",
)
class LGNOriginal(JetModel):
    """The published Lorentz group network; 6,014 parameters with the sizes of the released weights."""

    name: ClassVar[str] = "lgn-original"
    symmetry: ClassVar[str] = "SO+(1,3)"
    exact: ClassVar[bool] = False
    original: ClassVar[bool] = True
    config_class: ClassVar[type] = LGNOriginalConfig

    def __init__(self, config: LGNOriginalConfig) -> None:
        super().__init__(config)
        first = config.channels[0]
        self.embed: nn.Module = (
            ComplexMix({SCALAR: 2, VECTOR: 1}, first) if config.momenta_in else nn.Linear(2, 2 * first)
        )
        order = INPUT_ORDER if config.momenta_in else INPUT_ORDER[:1]
        levels, n_scalars = [], len(order) * first
        for c_in, c_out in zip(config.channels, config.channels[1:]):
            level = Level(order, c_in, c_out, config.n_radial, config.per_pair)
            levels.append(level)
            order = tuple(label for label in LEVEL_ORDER if label in level.irreps)
            n_scalars += len(order) * c_out
        self.levels = nn.ModuleList(levels)
        self.head = nn.Linear(2 * n_scalars, config.n_classes)

    @classmethod
    def from_published(cls, path: str | Path, **options: Any) -> LGNOriginal:
        """The network of a released checkpoint, in evaluation mode; ``options`` are fields of its config.

        Raises:
            CheckpointError: not such a file.
        """
        state, sizes = read_lgn(path)
        network = cls(make_config(cls, {**sizes, **options}))
        check_fits(network, state, str(path))
        network.load_state_dict(state)
        return network.eval()

    def forward(self, batch: JetBatch) -> Tensor:
        """Logits (B, n_classes).

        Raises:
            DataError: a jet with more particles than ``pad_to`` leaves room for.
        """
        return self.from_padded(*self.inputs(batch))

    def inputs(self, batch: JetBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Scaled momenta (B, N, 4) with two beams first, kind (B, N) +1 for beams else -1, mask (B, N)."""
        longest = int(batch.lengths.max()) + 2 if len(batch) else 2
        size = self.config.pad_to or longest
        if longest > size:
            raise DataError(
                f"expected at most {size - 2} constituents (pad_to {size} less two beams), "
                f"got {longest - 2}; build the network with a larger pad_to, or None"
            )
        beams = batch.reference_vectors(torch.tensor(BEAMS, dtype=torch.float64))
        dense, mask = batch.padded(length=size - 2)
        p4 = torch.cat([beams, dense], dim=1) * self.config.scale
        kind = torch.full(p4.shape[:2], -1.0, dtype=self.dtype, device=p4.device)
        kind[:, :2] = 1
        return p4.to(self.dtype), kind, torch.cat([torch.ones_like(mask[:, :1].expand(-1, 2)), mask], 1)

    def from_padded(self, p4: Tensor, kind: Tensor, mask: Tensor) -> Tensor:
        """Logits from padded arrays as :meth:`inputs` makes them."""
        levels = self.features(p4, kind, mask)
        return self.head(_interleaved(invariants(levels).sum(1)))

    def features(self, p4: Tensor, kind: Tensor, mask: Tensor) -> list[Features]:
        """Complex features (B, N, C, d) of every irrep, of the input and after each level."""
        canonical = torch.as_tensor(vector_to_canonical(), device=p4.device).to(_complex(p4.dtype))
        vector = p4.to(canonical.dtype) @ canonical.T
        x = self._embed(vector, torch.stack([_mass(p4), kind], dim=-1), mask)
        edges = _edges(p4, vector, mask)
        out = [x]
        for level in self.levels:
            x = level(x, *edges)
            out.append(x)
        return out

    def _embed(self, vector: Tensor, scalars: Tensor, mask: Tensor) -> Features:
        if self.config.momenta_in:
            given = {SCALAR: scalars.to(vector.dtype).unsqueeze(-1), VECTOR: vector.unsqueeze(-2)}
            return self.embed(given)  # padding is mixed like all else
        values = torch.where(mask.unsqueeze(-1), self.embed(scalars), 0)
        return {SCALAR: _paired(values).unsqueeze(-1)}


class ComplexMix(nn.Module):
    """Complex mixing of channels without bias; weights (2, C_out, C_in) as real and imaginary parts."""

    def __init__(self, channels: Mapping[Label, int], c_out: int) -> None:
        super().__init__()
        self.weights = nn.ParameterDict(
            {str(label): nn.Parameter(_initial(label, c_out, c_in)) for label, c_in in channels.items()}
        )

    def forward(self, x: Features) -> Features:
        """(..., C_in, d) to (..., C_out, d) for every irrep."""
        return {
            label: torch.complex(*self.weights[str(label)]).to(value.dtype) @ value
            for label, value in x.items()
        }


class Radial(nn.Module):
    """f(x) = a + b / (1 + (c x)^2), 20 of them, and a real linear layer to complex channels per irrep."""

    def __init__(self, n_radial: int, channels: int) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Parameter(torch.randn(1, 1, 1, n_radial)) for _ in range(3))
        self.linear = nn.ModuleList(nn.Linear(n_radial, 2 * channels) for _ in EDGE_ORDER)

    def forward(self, norm: Tensor, allowed: Tensor) -> list[Tensor]:
        """(B, N, N, C) complex for each irrep of the edges; the bias stays where no edge is allowed."""
        bells = self.b / (1 + (self.c * norm.unsqueeze(-1)) ** 2) + self.a
        bells = torch.where(allowed.unsqueeze(-1), bells, 0)
        return [_paired(linear(bells)) for linear in self.linear]


class Level(nn.Module):
    """Aggregation over neighbours, own square, mixing, and the perceptron on scalars (eq. 3.7)."""

    def __init__(
        self, order: tuple[Label, ...], c_in: int, c_out: int, n_radial: int, per_pair: bool
    ) -> None:
        super().__init__()
        self.order, self.per_pair = order, per_pair
        self.aggregated = {out: terms(order, EDGE_ORDER, out) for out in IRREPS}
        self.squared = {out: terms(order, order, out) for out in IRREPS}
        blocks = {out: len(self.aggregated[out]) + (out in order) + len(self.squared[out]) for out in IRREPS}
        self.irreps = tuple(sorted(out for out, count in blocks.items() if count))
        self.radial = Radial(n_radial, c_in)
        self.mix = ComplexMix({out: blocks[out] * c_in for out in self.irreps}, c_out)
        width = 2 * c_out
        self.mlp = nn.Sequential(
            *(layer for _ in range(3) for layer in (nn.Linear(width, 2 * width), nn.LeakyReLU(0.01))),
            nn.Linear(2 * width, width),
        )
        self.mlp[2], self.mlp[4] = nn.Linear(2 * width, 2 * width), nn.Linear(2 * width, 2 * width)

    def forward(self, x: Features, norm: Tensor, allowed: Tensor, edges: Features) -> Features:
        """Features (B, N, C, d), pair norms (B, N, N), allowed pairs, edge irreps (B, N, N, d)."""
        weights = dict(zip(EDGE_ORDER, self.radial(norm, allowed)))
        parts: dict[Label, list[Tensor]] = {out: [] for out in self.irreps}
        pairs: dict[tuple[Label, Label], Tensor] = {}
        for out in self.irreps:
            for a, b in self.aggregated[out]:
                if (a, b) not in pairs:
                    pairs[a, b] = self._summed(x[a], weights[b], edges[b])
                parts[out].append(_couple(pairs[a, b], a, b, out))
            if out in x:
                parts[out].append(x[out])
            for a, b in self.squared[out]:
                product = x[a].unsqueeze(-1) * x[b].unsqueeze(-2)
                parts[out].append(_couple(product.flatten(-2), a, b, out))
        mixed = self.mix({out: torch.cat(blocks, dim=-2) for out, blocks in parts.items()})
        mixed[SCALAR] = _paired(self.mlp(_interleaved(mixed[SCALAR].squeeze(-1)))).unsqueeze(-1)
        return mixed

    def _summed(self, x: Tensor, weight: Tensor, edge: Tensor) -> Tensor:
        """sum_j x_j (x) e_ij, (B, N, C, d_x d_e), with e_ij = weight (per channel) times the edge's irrep."""
        if self.per_pair:
            channels = weight.unsqueeze(-1) * edge.unsqueeze(-2)
            return (x[:, None].unsqueeze(-1) * channels.unsqueeze(-2)).flatten(-2).sum(2)
        return torch.einsum("bjcx,bijc,bije->bicxe", x, weight, edge).flatten(-2)


def invariants(levels: list[Features]) -> Tensor:
    """(B, N, S) complex: scalars, and the invariant squares of all other channels, irrep after irrep."""
    out = []
    for label in OUTPUT_ORDER:
        for x in levels:
            if label == SCALAR:
                out.append(x[label].squeeze(-1))
            elif label in x:
                metric = torch.as_tensor(invariant_metric(label), device=x[label].device)
                out.append((x[label] @ metric.to(x[label].dtype) * x[label]).sum(-1))
    return torch.cat(out, dim=-1)


def _couple(product: Tensor, first: Label, second: Label, out: Label) -> Tensor:
    """Clebsch-Gordan: (..., d_1 d_2) to (..., d_out)."""
    table = torch.as_tensor(coupling(first, second, out), device=product.device).flatten(1)
    return product @ table.T.to(product.dtype)


def _edges(p4: Tensor, vector: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Features]:
    """sign(d^2) sqrt|d^2| of d = p_i - p_j, where it counts, and the edge's irreps (0, 0) and (1, 1)."""
    square = _square(p4.unsqueeze(2) - p4.unsqueeze(1))
    norm = square.sign() * square.abs().sqrt()
    allowed = mask.unsqueeze(2) & mask.unsqueeze(1) & (norm != 0)
    difference = vector.unsqueeze(2) - vector.unsqueeze(1)
    unit = torch.full_like(difference[..., :1], 1 + 1j)
    return norm, allowed, {SCALAR: unit, VECTOR: difference}


def _mass(p4: Tensor) -> Tensor:
    return _square(p4).abs().sqrt()


def _square(p4: Tensor) -> Tensor:
    """2 E^2 - sum of squares: the order of operations of the released code, noise and all."""
    product = p4 * p4
    return 2 * product[..., 0] - product.sum(-1)


def _initial(label: Label, c_out: int, c_in: int) -> Tensor:
    damping = 10.0 ** label[0] if label[0] == label[1] else 1.0
    return torch.randn(2, c_out, c_in) / max(2, c_out, c_in) / damping


def _interleaved(z: Tensor) -> Tensor:
    """(..., C) complex as (..., 2 C) real: re, im, re, im ..."""
    return torch.view_as_real(z).flatten(-2)


def _paired(x: Tensor) -> Tensor:
    """The reverse of interleaving."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())


def _complex(dtype: torch.dtype) -> torch.dtype:
    return torch.complex128 if dtype == torch.float64 else torch.complex64
