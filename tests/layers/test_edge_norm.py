"""Normalisation over pairs from node sums, against BatchNorm1d on the pairs themselves."""

from __future__ import annotations

import copy

import pytest
import torch

from eqviz.layers.edge_norm import EdgeLinearNorm, pair_moments
from eqviz.ops.pairs import PairLayout

LENGTHS = torch.tensor([4, 1, 0, 6, 3])


def inputs(dtype=torch.float64):
    layout = PairLayout.build(LENGTHS, tile_pairs=45)
    generator = torch.Generator().manual_seed(0)
    nodes = torch.randn(14, 5, generator=generator, dtype=torch.float64) + 3
    i, j = layout.pair_index
    slots = layout.to_slots(nodes)
    symmetric = torch.stack([(slots[i] * slots[j]).sum(1), (slots[i] + slots[j]).pow(2).sum(1)], dim=1)
    return layout, nodes.to(dtype), (symmetric * layout.pair_mask[:, None]).to(dtype)


def on_pairs(norm, layer, layout, nodes, features):
    """The layer as its definition says, on a list of real pairs."""
    i, j = (layout.slot_node[index][layout.pair_mask] for index in layout.pair_index)
    rows = torch.cat([nodes[i], nodes[j], features[layout.pair_mask]], dim=1)
    return norm(layer.linear(rows)), (i, j)


@pytest.mark.parametrize("training", [True, False])
def test_same_as_batch_norm_on_pairs(training):
    layout, nodes, features = inputs()
    layer = EdgeLinearNorm(5, 2, 7).double().train(training)
    torch.nn.init.uniform_(layer.norm.weight), torch.nn.init.normal_(layer.norm.bias)
    norm = copy.deepcopy(layer.norm)
    nodes.requires_grad_(), features.requires_grad_()
    receiver, sender, weight = layer(nodes, features, layout)
    expected, (i, j) = on_pairs(norm, layer, layout, nodes, features)
    ours = receiver[i] + sender[j] + features[layout.pair_mask] @ weight.T
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(layer.norm.running_mean, norm.running_mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.norm.running_var, norm.running_var, rtol=1e-12, atol=1e-12)

    target = torch.sin(torch.arange(ours.numel(), dtype=torch.float64)).view(ours.shape)
    leaves = [nodes, features, layer.linear.weight]
    for a, b in zip(*(torch.autograd.grad((y * target).sum(), leaves) for y in (ours, expected))):
        # a gradient of one feature may be shared between (i, j) and (j, i): compare what symmetry allows
        torch.testing.assert_close(_symmetric(a, layout), _symmetric(b, layout), rtol=1e-9, atol=1e-9)


def _symmetric(values, layout):
    if len(values) != layout.n_pairs:
        return values
    flipped = [tile.pairs(values).transpose(1, 2).reshape(-1, values.shape[1]) for tile in layout.tiles]
    return (values + torch.cat(flipped)) * layout.pair_mask[:, None]


def test_float32_statistics_do_not_cancel():
    layout, nodes, features = inputs(torch.float32)
    shifted = nodes + 1e3
    layer = EdgeLinearNorm(5, 2, 7).train()
    receiver, sender, weight = layer(shifted, features, layout)
    expected, (i, j) = on_pairs(
        copy.deepcopy(layer.norm).double(), layer.double(), layout, shifted.double(), features.double()
    )
    ours = receiver[i] + sender[j] + features[layout.pair_mask] @ weight.T
    assert float((ours - expected).detach().abs().max()) < 0.01  # eps * 1e3 / spread, no worse


def test_no_pairs_leave_the_running_statistics_alone():
    layout = PairLayout.build(torch.tensor([1, 1]))
    assert pair_moments(torch.randn(2, 5), torch.zeros(2, 2), layout) is None
    layer = EdgeLinearNorm(5, 2, 3).train()
    receiver, _, _ = layer(torch.randn(2, 5), torch.zeros(2, 2), layout)
    assert torch.isfinite(receiver).all()
    assert torch.equal(layer.norm.running_mean, torch.zeros(3))
