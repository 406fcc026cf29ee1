"""PELICAN's pair steps in Triton's interpreter against the reference in float64."""

from __future__ import annotations

import pytest
import torch

from eqviz.ops.permutation_2to2 import MirrorPairs, Spread, fused, mix_message, pair_aggregate, pair_mix

pytest.importorskip("triton", reason="Triton is not installed")
SIZES = [[3, 0, 1, 4, 2], [1], [17, 2], [], [0, 0]]
SLOPE = 0.1
KINDS = ["aggregate", "mix", "mix_message"]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 2e-2, torch.bfloat16: 0.1}


def build(sizes) -> MirrorPairs:
    return MirrorPairs.build(torch.tensor(sizes, dtype=torch.int64), block_pairs=20)


def random(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed + 100 * len(shape) + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def inputs(kind, pairs, dtype, width=3, mixed=4):
    leaves = [random(pairs.n_rows, width, dtype=dtype)]
    if kind != "aggregate":
        leaves += [random(mixed, width, seed=seed, dtype=dtype) for seed in range(2)]
        leaves += [random(pairs.n_nodes, mixed, seed=seed, dtype=dtype) for seed in range(3)]
    if kind == "mix_message":
        leaves += [random(5, mixed, dtype=dtype), random(5, dtype=dtype)]
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
    shift = torch.linspace(0, 1, 5, dtype=x.dtype)
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


@pytest.mark.parametrize("widths", [{"width": 35, "mixed": 16}, {"width": 5, "mixed": 40}], ids=str)
def test_widths(widths, nan_filled):
    compare("mix", build([4, 1, 6]), torch.float64, **widths)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_precisions(dtype, nan_filled):
    compare("mix_message" if dtype == torch.float32 else "mix", build([4, 1, 0, 6]), dtype)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_gradcheck(kind):
    pairs = build([3, 0, 1])
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


def test_mixed_tensor_is_not_kept():
    pairs = build([6, 5])
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.shape) or x, lambda x: x):
        a, *_ = outputs("mix_message", pairs, "triton", *inputs("mix_message", pairs, torch.float64, mixed=7))
    assert a.requires_grad and (pairs.n_rows, 7) not in kept
