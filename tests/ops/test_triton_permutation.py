"""PELICAN's pair steps in Triton's interpreter against the reference in float64."""

from __future__ import annotations

import pytest
import torch

from eqviz.ops.dispatch import use_kernels
from eqviz.ops.permutation_2to2 import (
    MirrorPairs,
    Spread,
    fused,
    fused_message,
    mix_message,
    pair_aggregate,
    pair_mix,
)

pytest.importorskip("triton", reason="Triton is not installed")
SIZES = [[3, 0, 1, 4, 2], [1], [17, 2], [], [0, 0]]
SLOPE = 0.1
KINDS = ["aggregate", "mix", "mix_message"]
JOINED_WIDTHS = [{"width": 35, "mixed": 40, "last": 17}, {"width": 16, "mixed": 33, "last": 33}]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 2e-2, torch.bfloat16: 0.1}


def build(sizes) -> MirrorPairs:
    return MirrorPairs.build(torch.tensor(sizes, dtype=torch.int64), block_pairs=20)


def random(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed + 100 * len(shape) + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def inputs(kind, pairs, dtype, width=3, mixed=4, last=5):
    leaves = [random(pairs.n_rows, width, dtype=dtype)]
    if kind != "aggregate":
        leaves += [random(mixed, width, seed=seed, dtype=dtype) for seed in range(2)]
        leaves += [random(pairs.n_nodes, mixed, seed=seed, dtype=dtype) for seed in range(3)]
    if kind == "mix_message":
        leaves += [random(last, mixed, dtype=dtype), random(last, dtype=dtype)]
    return leaves


def outputs(kind, pairs, backend, x, *leaves):
    """As if both rows of (i, i) were equal, which they are in every pair tensor."""
    i, j = pairs.ends
    partner = torch.arange(pairs.n_rows)
    for block in pairs.blocks:
        first, second = block.halves(partner)
        second.copy_(torch.where(block.halves(i)[0] == block.halves(j)[0], first, second))
    x = x[partner]
    if kind == "aggregate":
        return pair_aggregate(x, pairs, backend)
    if kind == "mix":
        return (pair_mix(x, *leaves[:2], Spread(*leaves[2:]), pairs, SLOPE, backend),)
    shift = torch.linspace(0, 1, len(leaves[-1]), dtype=x.dtype)
    nodes = Spread(*leaves[2:5])
    a, found = mix_message(x, *leaves[:2], nodes, *leaves[5:], pairs, SLOPE, shift, backend)
    return (a, *found)


def results(kind, pairs, backend, leaves):
    out = outputs(kind, pairs, backend, *leaves)
    loss = sum((o.double() * torch.arange(1, 1 + o.numel()).double().sin().view(o.shape)).sum() for o in out)
    return [*out, *torch.autograd.grad(loss, leaves)]


def compare(kind, pairs, dtype, **widths):
    leaves = inputs(kind, pairs, dtype, **widths)
    ours = results(kind, pairs, "triton", leaves)
    exact = results(kind, pairs, "reference", [leaf.detach().double().requires_grad_() for leaf in leaves])
    for got, expected in zip(ours, exact, strict=True):
        scale = max(float(expected.detach().abs().max()) if expected.numel() else 1.0, 1.0)
        assert torch.all((got.double() - expected).abs() <= TOLERANCE[dtype] * scale)  # false for NaN


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_kernels_are_reference(kind, sizes, nan_filled):
    compare(kind, build(sizes), torch.float64)


@pytest.mark.parametrize(
    ("kind", "widths"),
    [
        ("mix", {"width": 35, "mixed": 16}),
        ("mix", {"width": 5, "mixed": 40}),
        *(("mix_message", widths) for widths in JOINED_WIDTHS),  # one and two blocks, two chunks
    ],
    ids=str,
)
def test_widths(kind, widths, nan_filled):
    compare(kind, build([4, 1, 9] if kind == "mix" else [3, 0, 1, 10]), torch.float64, **widths)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", KINDS[1:])
def test_precisions(kind, dtype, nan_filled):
    compare(kind, build([4, 1, 0, 6]), dtype)


def test_step_by_step_is_the_reference(nan_filled, monkeypatch):
    """What takes the place of the joined kernels in exact float32 and where the order must be fixed."""
    monkeypatch.setattr(fused_message, "fits", lambda *_: False)
    compare("mix_message", build([3, 0, 1, 4]), torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck(kind):
    pairs = build([2, 0] if kind == "mix_message" else [3, 0, 1])
    leaves = inputs(kind, pairs, torch.float64)
    assert torch.autograd.gradcheck(
        lambda *leaves: outputs(kind, pairs, "triton", *leaves), leaves, fast_mode=True
    )


def test_registration():
    pairs = build([3, 0, 2])
    index = fused.index(pairs)
    leaves = inputs("mix", pairs, torch.float32)
    torch.library.opcheck(torch.ops.eqviz.pair_mix.default, (*leaves, *index, SLOPE))
    torch.library.opcheck(torch.ops.eqviz.pair_aggregate.default, (leaves[0], *index))
    arguments = (
        *inputs("mix_message", pairs, torch.float32),
        torch.ones(5),
        fused_message.tiles(pairs),
        *index,
        SLOPE,
    )
    torch.library.opcheck(torch.ops.eqviz.mix_message.default, arguments)


def test_compiles_as_one_graph():
    pairs = build([4, 1, 3])
    x, *leaves = inputs("mix_message", pairs, torch.float64)
    index = (fused_message.tiles(pairs), *fused.index(pairs))

    def function(x):
        out, *found = torch.ops.eqviz.mix_message(x * 2, *leaves, None, *index, SLOPE)
        return out.sum() + found[0].square().sum()

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    (expected,) = torch.autograd.grad(function(x), x)
    (got,) = torch.autograd.grad(compiled(x), x)
    torch.testing.assert_close(got, expected)


def test_autocast_keeps_messages_in_16_bits_and_sums_in_32():
    pairs = build([4, 1, 3])
    leaves = inputs("mix_message", pairs, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16), use_kernels("triton"):
        a, *found = outputs("mix_message", pairs, "auto", *leaves)
    assert a.dtype == torch.bfloat16 and {value.dtype for value in found} == {torch.float32}
    exact = outputs("mix_message", pairs, "reference", *leaves)
    for got, expected in zip((a, *found), exact, strict=True):
        limit = 0.03 * float(expected.detach().abs().max())
        torch.testing.assert_close(got.float(), expected, rtol=0, atol=limit)
    grads = torch.autograd.grad(a.float().sum() + found[0].sum(), leaves)
    assert {grad.dtype for grad in grads} == {torch.float32}


def test_mixed_tensor_is_not_kept():
    pairs = build([6, 5])
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.shape) or x, lambda x: x):
        a, *_ = outputs("mix_message", pairs, "triton", *inputs("mix_message", pairs, torch.float64, mixed=7))
    assert a.requires_grad and (pairs.n_rows, 7) not in kept
