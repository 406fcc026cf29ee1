"""Linear maps between real Lorentz representations: all of them, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, reduce
from math import sqrt
from operator import add
from typing import TypeAlias

import torch
from torch import Tensor, nn

from eqviz.errors import ConfigError
from eqviz.groups.base import Representation
from eqviz.layers.fixed_tables import FixedTables
from eqviz.layers.lorentz_basis import Label, check_label, dimension, real_irrep, self_maps

Copies: TypeAlias = Mapping[Label, int] | Sequence[tuple[Label, int]]


class LorentzRep:
    """Copies of real Lorentz irreps, one after the other in a feature vector.

    Args:
        copies: how many copies of each irrep, by label (k, n): twice the spins, see
            :mod:`eqviz.layers.lorentz_basis`. The order is kept; the copies of an irrep lie together.
        parity: as a representation of O(1,3) instead of SO+(1,3).

    >>> rep = LorentzRep({(0, 0): 3, (1, 1): 2, (2, 0): 1})
    >>> rep.dimension, rep.representation.dimension
    (17, 17)
    """

    def __init__(self, copies: Copies, parity: bool = False) -> None:
        pairs = copies.items() if isinstance(copies, Mapping) else copies
        self.copies = {check_label(label): count for label, count in pairs}
        self.parity = parity
        sound = all(isinstance(count, int) and count > 0 for count in self.copies.values())
        if not self.copies or not sound:
            raise ConfigError(f"expected a positive number of copies of at least one irrep, got {copies!r}")

    @property
    def dimension(self) -> int:
        """Length of a feature vector."""
        return sum(count * dimension(label) for label, count in self.copies.items())

    @cached_property
    def representation(self) -> Representation:
        """How features transform, for :func:`eqviz.equivariance.equivariance_error`."""
        return reduce(add, (count * real_irrep(label, self.parity) for label, count in self.copies.items()))

    def split(self, x: Tensor) -> dict[Label, Tensor]:
        """(..., dimension) into (..., copies, d) for every irrep.

        Raises:
            ConfigError: features of another length.
        """
        if x.shape[-1] != self.dimension:
            raise ConfigError(
                f"expected features (..., {self.dimension}) for {self}, got shape {tuple(x.shape)}"
            )
        sizes = [count * dimension(label) for label, count in self.copies.items()]
        parts = x.split(sizes, dim=-1)
        return {
            label: part.unflatten(-1, (count, dimension(label)))
            for (label, count), part in zip(self.copies.items(), parts)
        }

    def __repr__(self) -> str:
        return " + ".join(f"{count} x ({k}, {n})" for (k, n), count in self.copies.items())


class LorentzLinear(nn.Module):
    """y = W x with every linear map that commutes with the Lorentz group.

    Copies of an irrep are mixed by numbers, those of a pair (k, n) + (n, k) by complex numbers (with parity:
    by numbers), other irreps not at all; scalars have a bias. An output irrep that the input lacks is zero.

    Args:
        in_rep, out_rep: representations of the input and the output, with equal ``parity``.
        bias: add constants to scalars.
    """

    def __init__(self, in_rep: LorentzRep, out_rep: LorentzRep, bias: bool = True) -> None:
        super().__init__()
        check_parity(in_rep, out_rep)
        self.in_rep, self.out_rep = in_rep, out_rep
        shared = [label for label in out_rep.copies if label in in_rep.copies]
        maps = {label: self_maps(label, in_rep.parity) for label in shared}
        self._maps = {label: FixedTables([table]) for label, table in maps.items()}
        self.weight = nn.ParameterDict()
        for label in shared:
            fan_in = in_rep.copies[label] * len(maps[label])
            shape = out_rep.copies[label], len(maps[label]), in_rep.copies[label]
            self.weight[key_of(label)] = nn.Parameter(torch.randn(shape) / sqrt(fan_in))
        scalars = out_rep.copies.get((0, 0), 0) if bias else 0
        self.bias = nn.Parameter(torch.zeros(scalars)) if scalars else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_rep.dimension) to (..., out_rep.dimension)."""
        parts, out = self.in_rep.split(x), []
        for label, count in self.out_rep.copies.items():
            if label in parts:
                (maps,) = self._maps[label].like(x)
                y = torch.einsum("omc,mij,...cj->...oi", self.weight[key_of(label)], maps, parts[label])
            else:
                y = x.new_zeros(*x.shape[:-1], count, dimension(label))
            if label == (0, 0) and self.bias is not None:
                y = y + self.bias[:, None]
            out.append(y.flatten(-2))
        return torch.cat(out, dim=-1)


def check_parity(*reps: LorentzRep) -> None:
    """Raise a ConfigError unless all representations are of one group."""
    if len({rep.parity for rep in reps}) > 1:
        raise ConfigError("expected representations with equal parity, got both SO+(1,3) and O(1,3)")


def key_of(label: Label) -> str:
    """The name of an irrep's weights: ``"2_0"`` for (2, 0)."""
    return f"{label[0]}_{label[1]}"
