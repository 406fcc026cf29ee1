"""Pair sums and products written out plainly."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eqviz.ops.lorentz_cg.mixing import MixPlan
from eqviz.ops.lorentz_cg.products import ProductGroup
from eqviz.ops.pairs import PairLayout


def bell_aggregate(
    x: Tensor, norm: Tensor, decay: Tensor, weights: Tensor, layout: PairLayout, n_plain: int
) -> tuple[Tensor, Tensor]:
    """As :func:`eqviz.ops.lorentz_cg.bell_aggregate`, with every pair's functions in memory."""
    norm = torch.where(layout.pair_mask, norm, 0)
    bells = 1 / (1 + decay[:, None] * norm)
    bells = torch.cat([bells, torch.ones_like(norm[None])])
    functions = (weights @ bells) * layout.pair_mask  # (2, C, P)
    sums = [x[None, ..., :0].expand(2, *x.shape[:2], 0)]
    for tile in layout.tiles:
        shape = (tile.jets, tile.size)
        end, last = tile.slot + tile.jets * tile.size, tile.pair + tile.jets * tile.size**2
        sender = x[..., tile.slot : end].unflatten(-1, shape)
        pair = functions[..., tile.pair : last].unflatten(-1, (*shape, tile.size))
        sums.append(torch.einsum("qcbij,dcbj->qdcbi", pair, sender).flatten(-2))
    plain, weighted = torch.cat(sums, dim=-1)
    return plain[:n_plain], weighted


def cg_products(
    x: Tensor, y: Tensor, plan: Sequence[ProductGroup], tables: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """As :func:`eqviz.ops.lorentz_cg.cg_products`, one contraction a group."""
    out = []
    for group, table in zip(plan, tables):
        a, b = x[slice(*group.first)], y[slice(*group.second)]
        product = a.unsqueeze(1) * b  # (n_a, n_b, C, S)
        out.append(torch.einsum("ouv,uvcs->ocs", table.view(-1, len(a), len(b)), product))
    return tuple(out)


def cg_mix(
    x: Tensor,
    plain: Tensor,
    weighted: Tensor,
    p4: Tensor,
    plan: MixPlan,
    tables: Sequence[Tensor],
    weights: Sequence[Tensor],
) -> Tensor:
    """As :func:`eqviz.ops.lorentz_cg.cg_mix`, irrep by irrep."""
    linear, vector, *squares = tables
    size = len(x)
    rows = [torch.einsum("ou,ucs->ocs", linear, y) for y in (plain, x)]
    momenta = (ProductGroup((0, 4), (0, size)),)
    rows.append(cg_products(p4, weighted[:size], momenta, [vector])[0] - weighted[size:])
    rows += cg_products(x, x, plan.squares, squares)
    stack = torch.cat(rows)[list(plan.order)]
    sizes = [dimension * blocks for dimension, blocks in plan.outs]
    out = []
    for (dimension, blocks), weight, part in zip(plan.outs, weights, stack.split(sizes)):
        products = part.unflatten(0, (dimension, blocks))
        matrix = weight.view(len(weight), blocks, x.shape[1])
        out.append(torch.einsum("obk,dbks->dos", matrix, products))
    return torch.cat(out)
