"""Pair aggregation and mixing against their reference: values, gradients, odd sizes, both precisions."""

from __future__ import annotations

import shutil

import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.ops import native
from eqviz.ops.dispatch import use_kernels
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
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler on this machine"
)
CASES = [(kind, "mixed") for kind in KINDS] + [pytest.param("mix_message", "native", marks=needs_compiler)]


@pytest.mark.parametrize(("kind", "backend"), CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_is_reference(pairs, kind, backend, dtype, tolerance):
    results = {}
    for name in (backend, "reference"):
        out, leaves = outputs(kind, pairs, dtype, name)
        loss = sum((o * torch.arange(1, 1 + o.numel()).view(o.shape).to(dtype).sin()).sum() for o in out)
        grads = torch.autograd.grad(loss, leaves, allow_unused=True)
        results[name] = [
            *out,
            *(torch.zeros_like(leaf) if g is None else g for g, leaf in zip(grads, leaves)),
        ]
    for ours, expected in zip(results[backend], results["reference"], strict=True):
        scale = max(float(expected.detach().abs().max()) if expected.numel() else 1.0, 1.0)
        torch.testing.assert_close(ours, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(("kind", "backend"), CASES)
@pytest.mark.parametrize("used", [0, 1, 4])
def test_outputs_that_nothing_depends_on(kind, backend, used):
    pairs = MirrorPairs.build(torch.tensor([3, 2]), block_pairs=9)
    grads = []
    for name in (backend, "reference"):
        out, leaves = outputs(kind, pairs, torch.float64, name)
        loss = out[min(used, len(out) - 1)].square().sum()
        found = torch.autograd.grad(loss, leaves, allow_unused=True)
        grads.append([torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves)])
    for ours, expected in zip(*grads):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("kind", "backend"), CASES)
def test_gradcheck(kind, backend):
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
            nodes = Spread(*rest[:3])
            a, found = mix_message(x, even, odd, nodes, *rest[3:], pairs, SLOPE, shift, backend)
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


def message_of_jets(lengths, widths, dtype, backend):
    """Outputs and gradients, jet by jet: a jet has the same inputs in any batch."""
    pairs = MirrorPairs.build(torch.tensor(lengths), block_pairs=500)
    c, o, m = widths
    even, odd, weight, bias, shift = (
        random(*shape, dtype=dtype).detach() / 3 for shape in ((o, c), (o, c), (m, o), (m,), (m,))
    )
    node = torch.cat([torch.arange(n) for n in lengths]) + 7.0 * pairs.jet
    i, j = (node[k][:, None].to(dtype) for k in pairs.ends)
    x = torch.sin(i * torch.arange(1, c + 1) + 3 * j).to(dtype).requires_grad_()
    nodes = [
        torch.cos(node[:, None] * torch.arange(1, o + 1) + k).to(dtype).requires_grad_() for k in range(3)
    ]
    a, found = mix_message(x, even, odd, Spread(*nodes), weight, bias, pairs, SLOPE, shift, backend)
    to_a = torch.cos(i - 2 * j * torch.arange(m)).to(dtype)
    sums = (found.rows.square() + found.columns * found.diagonal).sum()
    grads = torch.autograd.grad((a * to_a).sum() + sums, [x, *nodes])
    per_node = torch.cat([*found[:3], *grads[1:]], 1).detach()
    rows = {}
    for key, row in zip(zip(*(k.tolist() for k in pairs.ends)), torch.cat([a.detach(), grads[0]], 1)):
        rows.setdefault(key, row)
    return per_node, rows, found.square


@needs_compiler
@pytest.mark.parametrize("widths", [(1, 1, 1), (3, 40, 17), (78, 132, 78), (16, 100, 130)], ids=str)
def test_c_at_any_width(widths):
    ours, expected = (
        message_of_jets([13, 1, 6], widths, torch.float64, name) for name in ("native", "mixed")
    )
    for one, other in zip(
        (ours[0], torch.stack(list(ours[1].values())), ours[2]),
        (expected[0], torch.stack(list(expected[1].values())), expected[2]),
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12 * float(other.detach().abs().max()))


@needs_compiler
def test_c_gives_a_jet_the_same_bits_in_any_batch():
    lengths = [13, 1, 40, 6]
    whole = message_of_jets(lengths, (7, 33, 20), torch.float32, "native")
    for k in range(1, 4):
        part = message_of_jets(lengths[:k], (7, 33, 20), torch.float32, "native")
        assert torch.equal(part[0], whole[0][: sum(lengths[:k])]) and part[0].isfinite().all()
        assert all(torch.equal(row, whole[1][key]) for key, row in part[1].items())


@needs_compiler
def test_c_with_any_number_of_threads(monkeypatch):
    def run(count):
        monkeypatch.setattr(native, "threads", lambda: count)
        return message_of_jets([13, 1, 40, 6], (7, 33, 20), torch.float32, "native")

    one, three = run(1), run(3)
    assert torch.equal(one[0], three[0]) and one[1].keys() == three[1].keys()
    assert all(torch.equal(row, three[1][key]) for key, row in one[1].items())
    torch.testing.assert_close(one[2], three[2])


@needs_compiler
def test_c_writes_every_output(pairs, nan_filled):
    out, leaves = outputs("mix_message", pairs, torch.float32, "native")
    grads = torch.autograd.grad(sum(o.sum() for o in out), leaves, allow_unused=True)
    assert all(x.isfinite().all() for x in (*out, *grads) if x is not None)


def test_auto_is_c_where_there_is_a_compiler_and_pytorch_elsewhere():
    auto = message_of_jets([13, 1, 6], (7, 33, 20), torch.float64, "auto")
    if native.available("permutation_2to2", torch.float64):
        assert torch.equal(auto[0], message_of_jets([13, 1, 6], (7, 33, 20), torch.float64, "native")[0])
    with use_kernels("reference"):
        plain = message_of_jets([13, 1, 6], (7, 33, 20), torch.float64, "auto")
    assert torch.equal(plain[0], message_of_jets([13, 1, 6], (7, 33, 20), torch.float64, "mixed")[0])
    torch.testing.assert_close(auto[0], plain[0], rtol=1e-11, atol=1e-11)
