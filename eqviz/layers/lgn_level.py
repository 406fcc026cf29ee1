"""One Clebsch-Gordan level of a Lorentz group network, in real bases (arXiv:2006.04780, eq. 3.7).

    F_i <- W ( F_i + CG[F_i x F_i] + CG[sum_j f(p_ij^2) p_ij x F_j] + sum_j f(p_ij^2) F_j )

Features are (D, C, S): components of all irreps, channels, slots. Products are taken channel by channel, the
mixing W goes over channels and over all products that yield an irrep. The sum over pairs needs no product of
pairs, since p_ij = p_i - p_j:

    sum_j f_ij (p_i - p_j) x F_j = p_i x (sum_j f_ij F_j) - sum_j f_ij (p_j x F_j)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eqviz.layers.fixed_tables import FixedTables
from eqviz.layers.lgn_plan import mix_plan, offsets
from eqviz.layers.lorentz_basis import SCALAR, Label, square_couplings
from eqviz.ops.lorentz_cg import Level, Perceptron, cg_level, cg_totals
from eqviz.ops.pairs import PairLayout


class Bells(nn.Module):
    """Learned radial functions: parameters of the bells, and weights to two functions a channel.

    A bell b / (1 + c^2 |x|) + a loses nothing by a = 0 and b = 1: the weights and their constant absorb both.
    """

    def __init__(self, n_bells: int, channels: int, widths: tuple[float, float]) -> None:
        super().__init__()
        low, high = (log(width) for width in widths)
        # A bell is one half where sqrt|x| is 1 / c: spread over the masses that pairs have
        self.log_decay = nn.Parameter(-2 * torch.linspace(low, high, n_bells))
        self.weight = nn.Parameter(torch.randn(2, channels, n_bells + 1) / sqrt(n_bells + 1))

    def forward(self) -> tuple[Tensor, Tensor]:
        """c^2 (K,) and weights (2, C, K + 1)."""
        return self.log_decay.exp(), self.weight


class CGLevel(nn.Module):
    """The level without the perceptron; see the module.

    Args:
        labels: irreps of the input.
        outs: irreps of the output.
        c_in, c_out: channels.
        n_bells: Lorentzian bells.
        widths: smallest and largest sqrt|x| at which bells fall off at first.
        neighbours: typical number of neighbours, a fixed number by which sums are divided.
        parity: only couplings that commute with space reflection.
    """

    def __init__(
        self,
        labels: Sequence[Label],
        outs: Sequence[Label],
        c_in: int,
        c_out: int,
        *,
        n_bells: int,
        widths: tuple[float, float],
        neighbours: float,
        parity: bool = False,
    ) -> None:
        super().__init__()
        self.plan, self.outs, tables = mix_plan(labels, outs, parity)
        self._tables = FixedTables(tables)
        self.neighbours = neighbours
        self.bells = Bells(n_bells, c_in, widths)
        self.mix = nn.ParameterDict(
            {
                name_of(out): nn.Parameter(torch.randn(c_out, blocks * c_in) / sqrt(blocks * c_in))
                for out, (_, blocks) in zip(self.outs, self.plan.outs)
            }
        )

    def forward(self, x: Tensor, p4: Tensor, norm: Tensor, layout: PairLayout) -> Tensor:
        """Mixed features (D_out, C_out, S) of the irreps ``outs``.

        Args:
            x: (D, C_in, S) features.
            p4: (4, 1, S) momenta.
            norm: (P,) |p_ij^2|.
            layout: where the pairs are.
        """
        return cg_level(x, p4, norm, layout, self.level(x))

    def level(self, x: Tensor) -> Level:
        """Plan, tables and weights for features like ``x``."""
        decay, weights = self.bells()
        mix = [self.mix[name_of(out)] for out in self.outs]
        return Level(self.plan, self._tables.like(x), decay, weights / self.neighbours, mix)


class ScalarPerceptron(nn.Module):
    """The same perceptron on the scalars of every node: three hidden layers of twice the width."""

    def __init__(self, channels: int, hidden_layers: int = 3) -> None:
        super().__init__()
        widths = [channels, *[2 * channels] * hidden_layers, channels]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def parameters_of_layers(self) -> Perceptron:
        """Weights and biases."""
        linear: list[Any] = list(self.layers)
        return Perceptron([layer.weight for layer in linear], [layer.bias for layer in linear])


class Invariants(nn.Module):
    """Scalars, and every invariant square x.Q x of the other irreps, summed over the nodes of each jet."""

    def __init__(self, labels: Sequence[Label], parity: bool) -> None:
        super().__init__()
        where = offsets(labels)
        forms = [
            (where[label], form)
            for label in labels
            if label != SCALAR
            for form in square_couplings(label, SCALAR, parity)[..., 0]
        ]
        table = np.zeros((len(forms), *2 * (where[labels[-1]][1],)))
        for index, ((start, stop), form) in enumerate(forms):
            table[index, start:stop, start:stop] = form
        self._tables = FixedTables([table])
        self.count = 1 + len(forms)

    def forms(self, x: Tensor) -> Tensor:
        """(Q, D, D) Q of every square, for features like ``x``."""
        return self._tables.like(x)[0]

    def forward(self, x: Tensor, layout: PairLayout) -> Tensor:
        """(D, C, S) to (invariants, C, J), the scalars first; jets in the order of ``layout.jets``."""
        return cg_totals(x, self.forms(x), layout)


def name_of(label: Label) -> str:
    """The key of an irrep's weights: ``"2_0"`` for (2, 0)."""
    return f"{label[0]}_{label[1]}"
