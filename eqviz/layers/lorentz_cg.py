"""Clebsch-Gordan products of two real Lorentz representations, with mixing of channels."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn

from eqviz.layers.fixed_tables import FixedTables
from eqviz.layers.lorentz_basis import couplings, dimension
from eqviz.layers.lorentz_linear import LorentzRep, check_parity, key_of


class LorentzCG(nn.Module):
    """z = W CG(x (x) y): every product of an irrep of x with one of y, and all its copies, mixed by weights.

    For each pair of irreps that yields an irrep of ``out_rep`` there is a full matrix of weights from pairs
    of copies (c, d) to copies of the output, for each independent coupling. (The networks of
    arXiv:2006.04780 take only products within a channel: :class:`eqviz.layers.lgn_level.CGLevel`.) Output
    irreps that no product yields are zero.

    Args:
        in_rep: of x.
        second_rep: of y; the same vector may be given twice.
        out_rep: of the result. All three have equal ``parity``.
    """

    def __init__(self, in_rep: LorentzRep, second_rep: LorentzRep, out_rep: LorentzRep) -> None:
        super().__init__()
        check_parity(in_rep, second_rep, out_rep)
        self.in_rep, self.second_rep, self.out_rep = in_rep, second_rep, out_rep
        self._tables: dict[str, FixedTables] = {}
        self.weight = nn.ParameterDict()
        for out, count in out_rep.copies.items():
            found = {
                (a, b): table
                for a in in_rep.copies
                for b in second_rep.copies
                if len(table := couplings(a, b, out, in_rep.parity))
            }
            fan_in = sum(len(t) * in_rep.copies[a] * second_rep.copies[b] for (a, b), t in found.items())
            for (a, b), table in found.items():
                key = f"{key_of(a)}x{key_of(b)}to{key_of(out)}"
                shape = count, len(table), in_rep.copies[a], second_rep.copies[b]
                self.weight[key] = nn.Parameter(torch.randn(shape) / sqrt(fan_in))
                self._tables[key] = FixedTables([table])

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(..., in_rep.dimension) and (..., second_rep.dimension) to (..., out_rep.dimension)."""
        first, second, out = self.in_rep.split(x), self.second_rep.split(y), []
        for label, count in self.out_rep.copies.items():
            batch = torch.broadcast_shapes(x.shape[:-1], y.shape[:-1])
            total = x.new_zeros(*batch, count, dimension(label))
            for a, u in first.items():
                for b, v in second.items():
                    key = f"{key_of(a)}x{key_of(b)}to{key_of(label)}"
                    if key in self._tables:
                        (table,) = self._tables[key].like(x)
                        weight = self.weight[key]
                        total = total + torch.einsum("omcd,mijk,...ci,...dj->...ok", weight, table, u, v)
            out.append(total.flatten(-2))
        return torch.cat(out, dim=-1)
