"""A whole level and what follows it, put together from the other operations and PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from eqviz.ops.lorentz_cg.mixing import MixPlan
from eqviz.ops.lorentz_cg.terms import cached
from eqviz.ops.pairs import PairLayout


class Level(NamedTuple):
    """What a level knows.

    Attributes:
        plan, tables, mix: see :func:`eqviz.ops.lorentz_cg.cg_mix`.
        decay, bells: see :func:`eqviz.ops.lorentz_cg.bell_aggregate`.
    """

    plan: MixPlan
    tables: Sequence[Tensor]
    decay: Tensor
    bells: Tensor
    mix: Sequence[Tensor]


class Perceptron(NamedTuple):
    """(out, in) weights and (out,) biases of each layer; leaky ReLU (slope 0.01) between them."""

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]


def totals(x: Tensor, forms: Tensor, layout: PairLayout) -> Tensor:
    """As :func:`eqviz.ops.lorentz_cg.cg_totals`."""
    components, lowered, sums = cached([forms], "totals", lambda: _rows(forms))
    flat = x.flatten(1)
    squares = sums @ (flat.index_select(0, components) * (lowered @ flat))
    rows = torch.cat([x[:1], squares.view(len(sums), *x.shape[1:])])
    sums_of_jets = rows.new_zeros(*rows.shape[:2], len(layout.jets) + 1)
    return sums_of_jets.index_add(2, _jet_of_slot(layout), rows)[..., :-1]


def _jet_of_slot(layout: PairLayout) -> Tensor:
    """(S,) row of each slot's jet in ``layout.jets``; J for padding."""
    jets = layout.jets
    rows = torch.arange(len(jets), device=jets.device)
    owner = torch.repeat_interleave(rows, jets[:, 2], output_size=layout.n_slots)
    return torch.where(layout.slot_size > 0, owner, len(jets))


def _rows(forms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which components are multiplied with which sums of components, and which form each belongs to."""
    form, component = forms.any(2).nonzero(as_tuple=True)
    sums = forms.new_zeros(len(forms), len(form))
    sums[form, torch.arange(len(form), device=form.device)] = 1
    return component, forms[form, component], sums


def scalar_perceptron(x: Tensor, perceptron: Perceptron) -> Tensor:
    """(D, C, S) features whose first component has passed a perceptron, the same for every node."""
    rows = x[0]
    for index, (weight, bias) in enumerate(zip(*perceptron)):
        if index:
            rows = torch.nn.functional.leaky_relu(rows, 0.01)
        rows = torch.addmm(bias[:, None], weight, rows)
    return torch.cat([rows[None], x[1:]])
