"""The layout of pairs, and sums over it, against plain loops over jets."""

from __future__ import annotations

import numpy as np
import torch

from eqviz.ops.pairs import PairLayout, pair_apply, pair_outer


def test_every_node_has_one_slot_and_every_pair_one_place(layout):
    lengths = layout.to_nodes(layout.slot_size)
    assert torch.equal(layout.slot_node[layout.node_slot], torch.arange(layout.n_nodes))
    receiver, sender = (layout.slot_node[index][layout.pair_mask] for index in layout.pair_index)
    pairs = set(zip(receiver.tolist(), sender.tolist()))
    assert len(pairs) == len(receiver) == int((lengths - 1).sum())
    assert all(i != j for i, j in pairs)


def test_pairs_stay_within_their_jet():
    lengths = torch.tensor([4, 0, 2, 9, 3])
    layout = PairLayout.build(lengths, tile_pairs=40)
    jet = torch.repeat_interleave(torch.arange(5), lengths)
    i, j = (layout.slot_node[index][layout.pair_mask] for index in layout.pair_index)
    assert torch.equal(jet[i], jet[j])
    assert len(i) == sum(n * (n - 1) for n in lengths.tolist())


def test_tiles_keep_to_their_size_and_waste_little():
    rng = np.random.default_rng(0)
    lengths = torch.from_numpy(rng.integers(20, 100, size=64))
    layout = PairLayout.build(lengths, tile_pairs=20_000)
    real = int(lengths.square().sum())
    assert all(tile.jets * tile.size**2 <= 20_000 for tile in layout.tiles)
    assert layout.n_pairs < 1.15 * real
    assert PairLayout.build(lengths, tile_pairs=1).n_pairs == real


def test_slots_and_nodes_are_inverse(layout):
    values = torch.randn(layout.n_nodes, 3)
    slots = layout.to_slots(values)
    assert torch.equal(layout.to_nodes(slots), values)
    assert torch.all(slots[layout.slot_size == 0] == 0)


def test_outer_and_apply_against_index_arithmetic(layout):
    x, y = torch.randn(2, layout.n_slots, 4, dtype=torch.float64)
    weights = torch.randn(layout.n_pairs, dtype=torch.float64)
    i, j = layout.pair_index
    torch.testing.assert_close(pair_outer(x, y, layout), (x[i] * y[j]).sum(1))
    expected = torch.zeros_like(x).index_add(0, i, weights[:, None] * x[j])
    torch.testing.assert_close(pair_apply(weights, x, layout), expected)


def test_gradients_of_first_and_second_order(layout):
    if layout.n_slots == 0:
        return  # gradcheck needs an input; empty layouts are covered above
    x, y = (torch.randn(layout.n_slots, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    weights = torch.randn(layout.n_pairs, dtype=torch.float64, requires_grad=True)
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda x, y: pair_outer(x, y, layout), (x, y))
        assert check(lambda w, x: pair_apply(w, x, layout), (weights, x))
