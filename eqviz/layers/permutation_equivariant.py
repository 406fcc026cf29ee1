"""All linear maps between features of jets, particles and pairs that respect permutations and a group.

Source: H. Maron et al., arXiv:1812.09902, for the permutations; the channels may carry any representation of
another group, whose own equivariant maps (intertwiners) multiply these. Mixed before it is spread: only the
first two of the 15 maps from pairs to pairs touch N^2 numbers.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from eqviz.errors import ConfigError, DataError
from eqviz.groups.base import Representation
from eqviz.groups.clebsch_gordan import intertwiners, invariants
from eqviz.ops.permutation_2to2 import MirrorPairs, Spread, pair_aggregate, pair_mix, spread_jets, sum_jets

Order = Literal[0, 1, 2]
OBJECTS = ("jets", "particles", "pairs")
# What a feature tensor of each order gives to particles and to jets, and where such values can be put.
NODE_VALUES = {0: (), 1: ("x",), 2: ("diagonal", "row", "column")}
JET_VALUES = {0: ("x",), 1: ("mean",), 2: ("trace", "total")}
NODE_PLACES = {0: (), 1: ("i",), 2: ("receiver i", "sender j", "diagonal i = j")}
JET_PLACES = {0: ("everywhere",), 1: ("everywhere",), 2: ("everywhere", "diagonal i = j")}


def map_names(order_in: Order, order_out: Order) -> tuple[str, ...]:
    """What the maps do, in the order of the weights: 1, 1, 2; 1, 2, 5; 2, 5, 15 of them.

    >>> map_names(1, 1)
    ('x at i', 'mean at everywhere')
    """
    pairs = ("x_ij", "x_ji") if (order_in, order_out) == (2, 2) else ()
    nodes = (f"{v} at {p}" for p in NODE_PLACES[order_out] for v in NODE_VALUES[order_in])
    jets = (f"{v} at {p}" for p in JET_PLACES[order_out] for v in JET_VALUES[order_in])
    return (*pairs, *nodes, *jets)


class PermutationEquivariant(nn.Module):
    """A linear layer from order-a to order-b features, a, b in 0 (jets), 1 (particles), 2 (ordered pairs).

    Features are (rows, C) or, with channel representations, (rows, C, d): B rows for jets, n for particles,
    and for pairs the R rows of a :class:`MirrorPairs` layout, whose two rows of (i, i) must agree.

    Args:
        order_in, order_out: a and b.
        channels_in, channels_out: C.
        rep_in, rep_out: how the last axis transforms, representations of one group; None for invariants.
        sums: sums instead of means over particles.
        bias: learned constants, one set for pairs i != j and one more on the diagonal; only along invariant
            directions of ``rep_out``.

    Attributes:
        weight: (maps, intertwiners, C_in, C_out), maps as in :func:`map_names`.
        in_rep, out_rep: the representations in words.

    Raises:
        ConfigError: impossible orders or sizes, representations of two groups, or no equivariant map at all.
    """

    def __init__(
        self,
        order_in: Order,
        order_out: Order,
        channels_in: int,
        channels_out: int,
        rep_in: Representation | None = None,
        rep_out: Representation | None = None,
        sums: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        _check(order_in, order_out, channels_in, channels_out)
        self.order_in, self.order_out, self.sums = order_in, order_out, sums
        self.rep_in, self.rep_out = rep_in, rep_out
        self.in_rep, self.out_rep = _describe(order_in, rep_in), _describe(order_out, rep_out)
        self.channel_maps: Tensor
        self.constants: Tensor
        self.register_buffer("channel_maps", _intertwiners(rep_in, rep_out), persistent=False)
        self.register_buffer("constants", _constants(rep_out), persistent=False)
        n_maps, n_channel = len(map_names(order_in, order_out)), len(self.channel_maps)
        if not n_channel:
            raise ConfigError(
                f"no linear map from {self.in_rep} to {self.out_rep} respects the group of the channels"
            )
        scale = (n_maps * n_channel * channels_in) ** -0.5
        self.weight = nn.Parameter(scale * torch.randn(n_maps, n_channel, channels_in, channels_out))
        self.bias = None
        if bias and len(self.constants):
            places = len(JET_PLACES[order_out])
            self.bias = nn.Parameter(torch.zeros(places, len(self.constants), channels_out))

    def forward(self, x: Tensor, pairs: MirrorPairs) -> Tensor:
        """(rows of order a, C_in[, d_in]) -> (rows of order b, C_out[, d_out]).

        Raises:
            DataError: another shape.
        """
        matrices = self.matrices()
        values = self._flat(x, pairs)
        nodes, jets = self._values(values, pairs)
        n_pair = 2 if (self.order_in, self.order_out) == (2, 2) else 0
        n_node = len(nodes) * len(NODE_PLACES[self.order_out])
        pair_part, node_part, jet_part = matrices.split([n_pair, n_node, len(matrices) - n_pair - n_node])
        at_nodes = [_mixed(nodes, part) for part in _chunks(node_part, len(nodes))]
        at_jets = [_mixed(jets, part) for part in _chunks(jet_part, len(jets))]
        if self.bias is not None:
            constants = torch.einsum("pko,kd->pod", self.bias, self.constants.to(x.dtype)).flatten(1)
            at_jets = [value + constant for value, constant in zip(at_jets, constants)]
        return self._shaped(self._placed(values, at_nodes, at_jets, pair_part, pairs), x)

    def matrices(self) -> Tensor:
        """(maps, C_in d_in, C_out d_out): the weights times the intertwiners."""
        full = torch.einsum("mkco,kpq->mcqop", self.weight, self.channel_maps.to(self.weight.dtype))
        return full.flatten(3).flatten(1, 2)

    def _values(self, x: Tensor, pairs: MirrorPairs) -> tuple[list[Tensor], list[Tensor]]:
        """Node and jet values in the order of the tables."""
        if self.order_in == 0:
            return [], [x]
        size = x.new_ones(pairs.n_jets, 1) if self.sums else pairs.lengths.clamp(min=1).to(x.dtype)[:, None]
        if self.order_in == 1:
            return [x], [sum_jets(x, pairs) / size]
        rows, columns, diagonal = pair_aggregate(x, pairs)
        jets = [sum_jets(diagonal, pairs) / size, sum_jets(rows, pairs) / size.square()]
        per_node = spread_jets(size, pairs)
        return [diagonal, rows / per_node, columns / per_node], jets

    def _placed(
        self, x: Tensor, at_nodes: list[Tensor], at_jets: list[Tensor], pair_part: Tensor, pairs: MirrorPairs
    ) -> Tensor:
        if self.order_out == 0:
            return at_jets[0]
        spread = [spread_jets(value, pairs) for value in at_jets]
        if self.order_out == 1:
            return sum(at_nodes, spread[0])
        if self.order_in < 2:  # nothing of its own for single pairs
            x = x.new_zeros(pairs.n_rows, 0)
            pair_part = x.new_zeros(2, 0, spread[0].shape[1])
        zero = torch.zeros_like(spread[0])
        receiver, sender, diagonal = at_nodes or [zero, zero, zero]
        nodes = Spread(receiver + spread[0], sender, diagonal + spread[1])
        first, second = pair_part[0].T, pair_part[1].T
        return pair_mix(x, (first + second) / 2, (first - second) / 2, nodes, pairs)

    def _flat(self, x: Tensor, pairs: MirrorPairs) -> Tensor:
        rows = (pairs.n_jets, pairs.n_nodes, pairs.n_rows)[self.order_in]
        expected: tuple[int, ...] = (rows, self.weight.shape[2])
        expected += () if self.rep_in is None else (self.rep_in.dimension,)
        if tuple(x.shape) != expected:
            raise DataError(
                f"expected {OBJECTS[self.order_in]} of shape {expected} for {self.in_rep}, "
                f"got {tuple(x.shape)}"
            )
        return x.flatten(1)

    def _shaped(self, out: Tensor, x: Tensor) -> Tensor:
        return out if self.rep_out is None else out.unflatten(1, (-1, self.rep_out.dimension))

    def extra_repr(self) -> str:
        """Shown when the layer is printed."""
        maps, channel, width_in, width_out = self.weight.shape
        return f"{width_in} x {self.in_rep} -> {width_out} x {self.out_rep}, {maps} x {channel} maps"


def _mixed(values: list[Tensor], matrices: Tensor) -> Tensor:
    return torch.cat(values, 1) @ matrices.flatten(0, 1)


def _chunks(matrices: Tensor, size: int) -> tuple[Tensor, ...]:
    return matrices.split(size) if size and len(matrices) else ()


def _check(order_in: int, order_out: int, channels_in: int, channels_out: int) -> None:
    if order_in not in (0, 1, 2) or order_out not in (0, 1, 2):
        raise ConfigError(f"expected orders 0, 1 or 2, got {order_in!r} and {order_out!r}")
    if channels_in < 1 or channels_out < 1:
        raise ConfigError(f"expected 1 or more channels, got {channels_in!r} and {channels_out!r}")


def _describe(order: int, rep: Representation | None) -> str:
    tensor = f"order-{order} tensor"
    return tensor if rep is None else f"{tensor} x {rep.group.name} {rep.name}"


def _intertwiners(rep_in: Representation | None, rep_out: Representation | None) -> Tensor:
    """(k, d_out, d_in), each of size sqrt(d_out) so that outputs are as large as inputs."""
    if rep_in is None and rep_out is None:
        return torch.ones(1, 1, 1, dtype=torch.float64)
    if rep_in is not None and rep_out is not None:
        basis = intertwiners(rep_in, rep_out)
    elif rep_out is not None:
        basis = invariants(rep_out)[:, :, None]
    else:
        assert rep_in is not None
        basis = intertwiners(rep_in, rep_in.group.trivial())
    return torch.from_numpy(np.array(basis)) * basis.shape[1] ** 0.5


def _constants(rep: Representation | None) -> Tensor:
    """(k, d_out) directions along which a constant may be added."""
    if rep is None:
        return torch.ones(1, 1, dtype=torch.float64)
    return torch.from_numpy(np.array(invariants(rep)))
