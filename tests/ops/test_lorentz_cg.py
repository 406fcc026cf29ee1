"""Bell-weighted sums and Clebsch-Gordan products against their references: values, gradients, odd sizes."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.layers.lgn_plan import mix_plan
from eqviz.layers.lorentz_basis import tensor_labels
from eqviz.ops import native as compiled
from eqviz.ops.lorentz_cg import (
    Level,
    Perceptron,
    ProductGroup,
    bell_aggregate,
    cg_block,
    cg_mix,
    cg_products,
    cg_totals,
    native,
)
from eqviz.ops.pairs import PairLayout

needs_compiler = pytest.mark.skipif(not compiled.available(native.OP), reason="no C compiler")
FAST = ["tiled", pytest.param("native", marks=needs_compiler)]
PLAN = (ProductGroup((0, 1), (0, 5)), ProductGroup((1, 4), (1, 5)), ProductGroup((4, 5), (4, 5)))


@pytest.fixture
def pair_inputs(layout):
    """A function of dtype -> features, norms, decays and weights, with gradients."""

    def make(dtype=torch.float64, seed=0, n_bells=4):
        generator = torch.Generator().manual_seed(seed)
        x, decay, weights = (
            torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)
            for shape in ((5, 3, layout.n_slots), (n_bells,), (2, 3, n_bells + 1))
        )
        norm = torch.zeros(layout.n_pairs, dtype=dtype)
        for tile in layout.tiles:
            dense = torch.rand(tile.jets, tile.size, tile.size, generator=generator).to(dtype)
            tile.pairs(norm)[:] = dense + dense.transpose(1, 2)
        return (
            x.requires_grad_(),
            norm,
            decay.square().requires_grad_(),
            weights.requires_grad_(),
        )

    return make


def everything(function, leaves):
    """Outputs, then gradients of a loss in which no two entries count the same."""
    outputs = function(*leaves)
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
    weights = [torch.linspace(1, 2, out.numel(), dtype=out.dtype).view(out.shape) for out in outputs]
    loss = sum((out * weight).sum() for out, weight in zip(outputs, weights))
    return [*outputs, *torch.autograd.grad(loss, leaves, materialize_grads=True)]


@pytest.mark.parametrize("n_plain", [0, 2, 5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-5)])
@pytest.mark.parametrize("backend", FAST)
def test_fast_sums_are_the_reference(layout, pair_inputs, n_plain, dtype, tolerance, backend, nan_filled):
    x, norm, decay, weights = pair_inputs(dtype)
    results = [
        everything(
            lambda x, c, w, backend=backend: bell_aggregate(x, norm, c, w, layout, n_plain, backend),
            (x, decay, weights),
        )
        for backend in (backend, "reference")
    ]
    assert results[0][0].shape == (n_plain, 3, layout.n_slots)
    for ours, expected in zip(*results, strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize("backend", FAST)
def test_sums_leave_out_the_node_itself_and_padding(layout, pair_inputs, backend):
    x, norm, decay, weights = pair_inputs()
    plain, weighted = bell_aggregate(x, norm, decay, weights, layout, 5, backend)
    alone = layout.slot_size <= 1
    assert not plain[..., alone].any()
    assert not weighted[..., alone].any()
    spoilt = torch.where(layout.pair_mask, norm, 1e30)
    again = bell_aggregate(x, spoilt, decay, weights, layout, 5, backend)
    for ours, expected in zip(again, (plain, weighted)):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize("backend", FAST)
def test_gradcheck_of_sums(layout, pair_inputs, backend):
    if not layout.n_slots:
        pytest.skip("nothing to differentiate")
    x, norm, decay, weights = pair_inputs(n_bells=2)
    assert torch.autograd.gradcheck(
        lambda x, c, w: bell_aggregate(x, norm, c, w, layout, 3, backend), (x, decay, weights)
    )


@pytest.mark.parametrize("widths", [(3, 1), (1, 3), (3, 3)])
@pytest.mark.parametrize("n_slots", [0, 1, 7, 65])
@pytest.mark.parametrize("backend", FAST)
def test_products_are_the_reference(n_slots, widths, backend, nan_filled):
    generator = torch.Generator().manual_seed(1)
    x, y = (
        torch.randn(5, channels, n_slots, generator=generator, dtype=torch.float64, requires_grad=True)
        for channels in widths
    )
    sizes = [(a[1] - a[0]) * (b[1] - b[0]) for a, b in PLAN]
    tables = [torch.randn(4, size, generator=generator, dtype=torch.float64) for size in sizes]
    results = [
        everything(lambda x, y, b=b: cg_products(x, y, PLAN, tables, b), (x, y))
        for b in (backend, "reference")
    ]
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    if n_slots == 1:
        assert torch.autograd.gradcheck(lambda x, y: cg_products(x, y, PLAN, tables, backend), (x, y))


@pytest.fixture(scope="module")
def level():
    """A function of slots, channels and dtype -> plan, tables, momenta and leaves of a level."""
    plan, _, arrays = mix_plan(tensor_labels(2), tensor_labels(2), False)

    def make(n_slots, channels=(2, 3), dtype=torch.float64, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def random(*shape):
            values = torch.randn(*shape, generator=generator, dtype=torch.float64)
            return values.to(dtype).requires_grad_()

        tables = [torch.tensor(array, dtype=dtype) for array in arrays]
        c_in, c_out = channels
        sums = [random(n, c_in, n_slots) for n in (20, 20, 20 + len(tables[1]))]
        mix = [random(c_out, blocks * c_in) for _, blocks in plan.outs]
        return plan, tables, random(4, 1, n_slots).detach(), [*sums, *mix]

    return make


@pytest.mark.parametrize("n_slots", [0, 1, 70])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize("backend", FAST)
def test_mixing_is_the_reference(level, n_slots, dtype, tolerance, backend, nan_filled):
    plan, tables, p4, leaves = level(n_slots, dtype=dtype)
    results = [
        everything(lambda x, p, w, *mix, b=b: cg_mix(x, p, w, p4, plan, tables, mix, b), leaves)
        for b in (backend, "reference")
    ]
    for ours, expected in zip(*results, strict=True):
        scale = float(expected.detach().abs().max()) if expected.numel() else 1.0
        torch.testing.assert_close(ours, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("backend", FAST)
def test_gradcheck_of_mixing(level, backend):
    plan, tables, p4, leaves = level(2, (1, 2))
    assert torch.autograd.gradcheck(
        lambda x, p, w, *mix: cg_mix(x, p, w, p4, plan, tables, mix, backend), leaves, fast_mode=True
    )


@needs_compiler
@pytest.mark.parametrize("layout", [[3, 0, 2]], indirect=True, ids=str)
def test_registration_of_native_operators(layout, pair_inputs, level):
    x, norm, decay, weights = pair_inputs()
    check = torch.library.opcheck
    check(torch.ops.eqviz.native_bells.default, (x, norm, decay, weights, layout.jets, 2))
    tables = [torch.ones(4, (a[1] - a[0]) * (b[1] - b[0])) for a, b in PLAN]
    made = native.product_lists(5, 5, PLAN, tables)
    pair = (torch.randn(5, 3, 7, requires_grad=True) for _ in range(2))
    check(torch.ops.eqviz.native_products.default, (*pair, *made))
    plan, tables, p4, (x, plain, weighted, *mix) = level(9)
    irreps, made = native.mix_lists(len(x), plan, tables)
    flat = torch.cat([weight.detach().flatten() for weight in mix]).requires_grad_()
    check(torch.ops.eqviz.native_mix.default, (x, plain, weighted, p4, flat, irreps, *made[:2], 20, 3))


@needs_compiler
@pytest.mark.parametrize("layout", [[3, 0, 1, 70]], indirect=True, ids=str)
def test_a_level_in_one_node_is_its_parts(layout, level, nan_filled):
    """With the perceptron and the sums over jets, and where only one of the two results is used."""
    plan, tables, p4, (x, _, _, *mix) = level(layout.n_slots)
    generator = torch.Generator().manual_seed(3)
    widths = 3, 5, 3
    shapes = [(4,), (2, 2, 5), *((b, a) for a, b in pairwise(widths)), (5,), (3,)]
    rest = [torch.rand(*shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]
    norm = torch.zeros(layout.n_pairs, dtype=torch.float64)
    for tile in layout.tiles:
        dense = torch.rand(tile.jets, tile.size, tile.size, generator=generator, dtype=torch.float64)
        tile.pairs(norm)[:] = dense + dense.transpose(1, 2)
    forms = torch.diag_embed(torch.arange(40, dtype=torch.float64).view(2, 20))
    real = (layout.slot_size > 0).to(x)

    def run(backend, part):
        def block(x, decay, bells, w1, w2, b1, b2, *mix):
            found = Level(plan, tables, decay, bells, mix)
            perceptron = Perceptron((w1, w2), (b1, b2))
            out, totals = cg_block(x * real, p4, norm, layout, found, perceptron, forms, backend)
            return [(out * real, totals)[k] for k in part]

        return everything(block, (x, *rest, *mix))

    for part in ((0, 1), (0,), (1,)):
        for ours, expected in zip(run("native", part), run("reference", part), strict=True):
            scale = float(expected.detach().abs().max())
            torch.testing.assert_close(ours, expected, rtol=0, atol=1e-11 * max(scale, 1))


@pytest.mark.parametrize("backend", FAST)
def test_totals_are_sums_over_the_nodes_of_each_jet(layout, backend):
    x = torch.randn(3, 2, layout.n_slots, dtype=torch.float64, requires_grad=True)
    forms = torch.tensor([[[0, 1, 0], [1, 0, 0], [0, 0, 2]]], dtype=torch.float64)
    totals = cg_totals(x, forms, layout, backend)
    for index, (slot, _, _, nodes) in enumerate(layout.jets.tolist()):
        part = x[..., slot : slot + nodes].detach()
        expected = torch.stack([part[0], 2 * part[0] * part[1] + 2 * part[2] ** 2]).sum(-1)
        torch.testing.assert_close(totals[..., index], expected)
    assert torch.autograd.gradcheck(lambda x: cg_totals(x, forms, layout, backend), (x,))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # of the compiler itself
def test_compiled_models_keep_their_fast_path():
    layout = PairLayout.build(torch.tensor([3, 2]))
    forms = torch.eye(3, dtype=torch.float64)[None]
    x = torch.randn(3, 2, layout.n_slots, dtype=torch.float64, requires_grad=True)

    def loss(x):
        return cg_totals(x, forms, layout).square().sum()

    results = [everything(function, (x,)) for function in (torch.compile(loss, backend="aot_eager"), loss)]
    for ours, expected in zip(*results, strict=True):
        assert torch.equal(ours, expected)


def test_bad_calls_are_named(layout, pair_inputs):
    x, norm, decay, weights = pair_inputs()
    with pytest.raises(ConfigError, match="'tiled' or 'reference', got 'fast'"):
        bell_aggregate(x, norm, decay, weights, layout, 5, backend="fast")
    with pytest.raises(ConfigError, match=r"weights of shape \(2, 3, 5\)"):
        bell_aggregate(x, norm, decay, weights[:, :2], layout, 5)
    with pytest.raises(ConfigError, match="slots and"):
        bell_aggregate(x, norm.new_zeros(len(norm) + 1), decay, weights, layout, 5)
    with pytest.raises(ConfigError, match="'tiled' or 'reference', got 'fast'"):
        cg_products(x, x, (), (), backend="fast")
    with pytest.raises(ConfigError, match="a table for each of 3 groups, got 0"):
        cg_products(x, x, PLAN, ())
