"""A Lorentz group network's kernels in Triton's interpreter against the reference in float64."""

from __future__ import annotations

import pytest
import torch

from eqviz.ops.lorentz_cg import MixPlan, ProductGroup, fused, reference

pytest.importorskip("triton", reason="Triton is not installed")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4, torch.float16: 3e-2}
PLAN = (ProductGroup((0, 1), (0, 5)), ProductGroup((1, 4), (1, 5)), ProductGroup((4, 5), (4, 5)))
SIZES = [(a[1] - a[0]) * (b[1] - b[0]) for a, b in PLAN]


def random(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def sparse(rows, columns, seed):
    """A table, most of it zero."""
    table = random(rows, columns, seed=seed).detach()
    return torch.where(table.abs() > 0.8, table, 0)


def everything(function, leaves):
    """Outputs, then gradients of a loss in which no two entries count the same."""
    outputs = function(*leaves)
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
    loss = sum((o.double() * torch.linspace(1, 2, o.numel()).double().view(o.shape)).sum() for o in outputs)
    return [*outputs, *torch.autograd.grad(loss, leaves, materialize_grads=True)]


def agree(ours, exact, tolerance):
    for got, expected in zip(ours, exact, strict=True):
        scale = max(float(expected.detach().abs().max()) if expected.numel() else 1.0, 1.0)
        assert got.shape == expected.shape
        assert torch.all((got.double() - expected).abs() <= tolerance * scale)  # false for NaN


def doubled(leaves):
    return [leaf.detach().double().requires_grad_() for leaf in leaves]


def compare_bells(layout, n_plain, dtype, n_bells=4, width=5):
    leaves = [
        random(width, 3, layout.n_slots, dtype=dtype),
        random(n_bells, dtype=dtype).detach().square().requires_grad_(),
        random(2, 3, n_bells + 1, dtype=dtype),
    ]
    norm = torch.zeros(layout.n_pairs, dtype=dtype)
    for tile in layout.tiles:
        dense = random(tile.jets, tile.size, tile.size).detach().abs().to(dtype)
        tile.pairs(norm)[:] = dense + dense.transpose(1, 2)

    def run(function, norm):
        return lambda x, decay, weights: function(x, norm, decay, weights, layout, n_plain)

    exact = everything(run(reference.bell_aggregate, norm.double()), doubled(leaves))
    spoilt = torch.where(layout.pair_mask, norm, float("nan"))
    agree(everything(run(fused.bell_aggregate, spoilt), leaves), exact, TOLERANCE[dtype])


@pytest.mark.parametrize("n_plain", [0, 2, 5])
def test_sums_are_the_reference(layout, nan_filled, n_plain):
    compare_bells(layout, n_plain, torch.float64)


@pytest.mark.parametrize("layout", [[3, 0, 1, 18]], indirect=True, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_precisions_of_sums(layout, nan_filled, dtype):
    compare_bells(layout, 3, dtype, n_bells=20, width=18)


@pytest.mark.parametrize(
    ("n_slots", "widths"), [(0, (3, 3)), (1, (3, 1)), (7, (1, 3)), (300, (3, 3))], ids=str
)
def test_products_are_the_reference(n_slots, widths, nan_filled):
    leaves = [random(5, channels, n_slots, seed=channels) for channels in widths]
    tables = [sparse(4, size, size) for size in SIZES]
    ours = everything(lambda x, y: fused.cg_products(x, y, PLAN, tables), leaves)
    agree(ours, everything(lambda x, y: reference.cg_products(x, y, PLAN, tables), leaves), 1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("n_slots", [0, 6])
def test_mixing_is_the_reference(n_slots, dtype, nan_filled):
    size, moments = 5, 3
    tables = [sparse(4, size, 1), sparse(moments, 4 * size, 2), *(sparse(2, n, n) for n in SIZES)]
    rows = 2 * 4 + moments + 2 * len(SIZES)
    plan = MixPlan(((1, 5), (4, 3)), PLAN, tuple(torch.randperm(rows).tolist()))
    leaves = [random(n, 2, n_slots, seed=n, dtype=dtype) for n in (size, size, size + moments)]
    leaves += [random(3, 5 * 2, dtype=dtype), random(3, 3 * 2, dtype=dtype)]
    p4 = random(4, 1, n_slots, dtype=dtype).detach()

    def run(function, p4):
        return lambda x, plain, weighted, *w: function(x, plain, weighted, p4, plan, tables, w)

    tables = [table.to(dtype) for table in tables]
    ours = everything(run(fused.cg_mix, p4), leaves)
    tables = [table.double() for table in tables]
    agree(ours, everything(run(reference.cg_mix, p4.double()), doubled(leaves)), TOLERANCE[dtype])


def test_gradcheck_and_registration_of_mixing():
    """Its one operator, with the lists of a mixing."""
    tables = [sparse(2, 3, 1), sparse(3, 12, 2), sparse(2, 9, 3)]
    plan = MixPlan(((1, 3), (3, 2)), (ProductGroup((0, 3), (0, 3)),), tuple(torch.randperm(9).tolist()))
    leaves = [random(n, 2, 2, seed=n) for n in (3, 4, 6)]
    leaves = [leaves[0], random(3, 2, 2, seed=5), leaves[2], random(2, 6), random(2, 4)]
    p4 = random(4, 1, 2).detach()

    def mix(x, plain, weighted, *weights):
        return fused.cg_mix(x, plain, weighted, p4, plan, tables, weights)

    assert torch.autograd.gradcheck(mix, leaves, fast_mode=True)
    terms = fused._mix_lists(3, plan, tables)
    lists = (*terms.by_row, *terms.by_first, *terms.by_second)
    first, second = random(12, 2, 2), random(8, 2, 2)
    torch.library.opcheck(torch.ops.eqviz.sparse_products.default, (first, second, 9, *lists))


@pytest.mark.parametrize("layout", [[3, 0, 2]], indirect=True, ids=str)
def test_gradcheck_and_registration(layout):
    leaves = random(3, 2, layout.n_slots), random(2).detach().square().requires_grad_(), random(2, 2, 3)
    norm = torch.ones(layout.n_pairs, dtype=torch.float64)

    def sums(x, decay, weights):
        return torch.ops.eqviz.bell_aggregate(x, norm, decay, weights, layout.jets, 2)

    assert torch.autograd.gradcheck(sums, leaves, fast_mode=True)
    x, *parameters = leaves
    torch.library.opcheck(torch.ops.eqviz.bell_aggregate.default, (x, norm, *parameters, layout.jets, 2))
    terms = fused._product_lists(PLAN, [sparse(4, size, size) for size in SIZES])
    lists = (*terms.by_row, *terms.by_first, *terms.by_second)
    x = random(5, 2, 3)
    assert torch.autograd.gradcheck(lambda x: fused.sparse_products(x, x, terms, 12), (x,), fast_mode=True)
    torch.library.opcheck(torch.ops.eqviz.sparse_products.default, (x, random(5, 2, 3, seed=1), 12, *lists))
