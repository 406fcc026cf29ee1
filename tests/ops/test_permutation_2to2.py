"""Pair aggregation and mixing against their reference: values, gradients, odd sizes, both precisions."""

from __future__ import annotations

import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.ops.pairs import PairLayout
from eqviz.ops.permutation_2to2 import (
    MirrorPairs,
    Spread,
    encode_message,
    mix_message,
    pair_aggregate,
    pair_mix,
)

SIZES = [[3, 0, 1, 4, 2], [5, 5, 5], [1], [7, 2], [], [0, 0]]
SLOPE = 0.1


@pytest.fixture(params=SIZES, ids=str)
def pairs(request) -> MirrorPairs:
    return MirrorPairs.build(torch.tensor(request.param, dtype=torch.int64), block_pairs=20)


def random(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed + 100 * len(shape) + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def symmetric_on_diagonal(x, pairs):
    """A pair tensor whose two rows of (i, i) agree, as every pair tensor here."""
    parts = []
    for block in pairs.blocks:
        first, second = block.halves(x)
        same = (pairs.first == pairs.second)[block.pair : block.pair + block.pairs, None]
        parts += [first, torch.where(same, first, second)]
    return torch.cat([x[:0], *parts])


def spread(pairs, width, dtype=torch.float64):
    return Spread(*(random(pairs.n_nodes, width, seed=seed, dtype=dtype) for seed in range(3)))


def encode(d, slope, offset):
    return torch.tanh(d[:, None] * slope + offset)


def outputs(kind, pairs, dtype, backend):
    """The outputs of an operation and the leaves that they depend on."""
    leaf = random(pairs.n_rows, 3, dtype=dtype)
    x = symmetric_on_diagonal(leaf, pairs)
    if kind == "aggregate":
        return pair_aggregate(x, pairs, backend), [leaf]
    even, odd = random(4, 3, dtype=dtype), random(4, 3, seed=1, dtype=dtype)
    nodes = spread(pairs, 4, dtype)
    if kind == "mix":
        return (pair_mix(x, even, odd, nodes, pairs, SLOPE, backend),), [leaf, even, odd, *nodes]
    weight, bias, shift = random(5, 4, dtype=dtype), random(5, dtype=dtype), random(5, seed=9).detach()
    if kind == "mix_message":
        a, found = mix_message(
            x, even, odd, nodes, weight, bias, pairs, SLOPE, shift.to(dtype), backend=backend
        )
        return (a, *found), [leaf, even, odd, *nodes, weight, bias]
    d, parameters = (
        random(pairs.n_pairs, dtype=dtype).detach(),
        (random(1, dtype=dtype), random(1, seed=1, dtype=dtype)),
    )
    a, found = encode_message(
        d, x, encode, parameters, weight, bias, pairs, SLOPE, shift.to(dtype), backend=backend
    )
    return (a, *found), [leaf, *parameters, weight, bias]


KINDS = ["aggregate", "mix", "mix_message", "encode_message"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_mixed_is_reference(pairs, kind, dtype, tolerance):
    results = {}
    for backend in ("mixed", "reference"):
        out, leaves = outputs(kind, pairs, dtype, backend)
        loss = sum((o * torch.arange(1, 1 + o.numel()).view(o.shape).to(dtype).sin()).sum() for o in out)
        grads = torch.autograd.grad(loss, leaves, allow_unused=True)
        results[backend] = [
            *out,
            *(torch.zeros_like(leaf) if g is None else g for g, leaf in zip(grads, leaves)),
        ]
    for ours, expected in zip(results["mixed"], results["reference"], strict=True):
        scale = max(float(expected.detach().abs().max()) if expected.numel() else 1.0, 1.0)
        torch.testing.assert_close(ours, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("used", [0, 1, 4])
def test_outputs_that_nothing_depends_on(kind, used):
    pairs = MirrorPairs.build(torch.tensor([3, 2]), block_pairs=9)
    grads = []
    for backend in ("mixed", "reference"):
        out, leaves = outputs(kind, pairs, torch.float64, backend)
        loss = out[min(used, len(out) - 1)].square().sum()
        found = torch.autograd.grad(loss, leaves, allow_unused=True)
        grads.append([torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves)])
    for ours, expected in zip(*grads):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck(kind):
    pairs = MirrorPairs.build(torch.tensor([2, 0, 1, 3]), block_pairs=6)
    _, leaves = outputs(kind, pairs, torch.float64, "mixed")

    def function(*values):
        x = symmetric_on_diagonal(values[0], pairs)
        if kind == "aggregate":
            return pair_aggregate(x, pairs)
        if kind == "mix":
            return pair_mix(x, *values[1:3], Spread(*values[3:]), pairs, SLOPE)
        shift = torch.full((5,), 0.3, dtype=torch.float64)
        if kind == "mix_message":
            _, even, odd, *rest = values
            a, found = mix_message(x, even, odd, Spread(*rest[:3]), *rest[3:], pairs, SLOPE, shift)
        else:
            d = random(pairs.n_pairs).detach()
            a, found = encode_message(d, x, encode, values[1:3], *values[3:], pairs, SLOPE, shift)
        return a, *found

    assert torch.autograd.gradcheck(function, tuple(leaves))


def test_layout_against_tiles():
    lengths = torch.tensor([3, 0, 1, 4, 2, 9])
    pairs, tiles = MirrorPairs.build(lengths, block_pairs=20), PairLayout.build(lengths, tile_pairs=30)
    receiver, sender = (tiles.slot_node[index] for index in tiles.pair_index)
    assert torch.equal(pairs.from_tiles(receiver, tiles), pairs.first)
    assert torch.equal(pairs.from_tiles(sender, tiles), pairs.second)
    assert len(pairs.blocks) > 2
    i, j = pairs.ends
    assert len(set(zip(i.tolist(), j.tolist()))) == pairs.count == int((lengths**2).sum())
    assert torch.equal(pairs.jet[i], pairs.jet[j])


def test_blocks_do_not_matter():
    lengths = torch.tensor([3, 5, 2])
    results = []
    for limit in (1, 1000):
        pairs = MirrorPairs.build(lengths, limit)
        i, j = pairs.ends
        x = (i * 10 + 3 * j).double()[:, None].sin()
        nodes = Spread(*(torch.arange(10).double()[:, None] * k for k in (1, 2, 3)))
        out = pair_mix(x, torch.full((1, 1), 2.0).double(), torch.ones(1, 1).double(), nodes, pairs)
        results.append([*pair_aggregate(out, pairs), dict(zip(zip(i.tolist(), j.tolist()), out.tolist()))])
    for one, other in zip(*results):
        if isinstance(one, dict):
            assert one == other
        else:
            torch.testing.assert_close(one, other, rtol=1e-14, atol=1e-14)


def test_unknown_backend_is_named():
    pairs = MirrorPairs.build(torch.tensor([2]))
    with pytest.raises(ConfigError, match="'mixed' or 'reference', got 'fast'"):
        pair_aggregate(torch.zeros(pairs.n_rows, 2), pairs, backend="fast")
