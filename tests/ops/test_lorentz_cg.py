"""Bell-weighted sums and Clebsch-Gordan products against their references: values, gradients, odd sizes."""

from __future__ import annotations

import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.ops.lorentz_cg import ProductGroup, bell_aggregate, cg_products

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
    weights = [torch.linspace(1, 2, out.numel(), dtype=out.dtype).view(out.shape) for out in outputs]
    loss = sum((out * weight).sum() for out, weight in zip(outputs, weights))
    return [*outputs, *torch.autograd.grad(loss, leaves, materialize_grads=True)]


@pytest.mark.parametrize("n_plain", [0, 2, 5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-5)])
def test_tiled_sums_are_the_reference(layout, pair_inputs, n_plain, dtype, tolerance):
    x, norm, decay, weights = pair_inputs(dtype)
    results = [
        everything(
            lambda x, c, w, backend=backend: bell_aggregate(x, norm, c, w, layout, n_plain, backend),
            (x, decay, weights),
        )
        for backend in ("tiled", "reference")
    ]
    assert results[0][0].shape == (n_plain, 3, layout.n_slots)
    for ours, expected in zip(*results, strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance * 10)


def test_sums_leave_out_the_node_itself_and_padding(layout, pair_inputs):
    x, norm, decay, weights = pair_inputs()
    plain, weighted = bell_aggregate(x, norm, decay, weights, layout, 5)
    alone = layout.slot_size <= 1
    assert not plain[..., alone].any()
    assert not weighted[..., alone].any()
    spoilt = torch.where(layout.pair_mask, norm, 1e30)
    for ours, expected in zip(bell_aggregate(x, spoilt, decay, weights, layout, 5), (plain, weighted)):
        assert torch.equal(ours, expected)


def test_gradcheck_of_sums(layout, pair_inputs):
    if not layout.n_slots:
        pytest.skip("nothing to differentiate")
    x, norm, decay, weights = pair_inputs(n_bells=2)
    assert torch.autograd.gradcheck(
        lambda x, c, w: bell_aggregate(x, norm, c, w, layout, 3), (x, decay, weights)
    )


@pytest.mark.parametrize("widths", [(3, 1), (1, 3), (3, 3)])
@pytest.mark.parametrize("n_slots", [0, 1, 7])
def test_products_are_the_reference(n_slots, widths):
    generator = torch.Generator().manual_seed(1)
    x, y = (
        torch.randn(5, channels, n_slots, generator=generator, dtype=torch.float64, requires_grad=True)
        for channels in widths
    )
    sizes = [(a[1] - a[0]) * (b[1] - b[0]) for a, b in PLAN]
    tables = [torch.randn(4, size, generator=generator, dtype=torch.float64) for size in sizes]
    results = [
        everything(lambda x, y, b=b: cg_products(x, y, PLAN, tables, b), (x, y))
        for b in ("tiled", "reference")
    ]
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    if n_slots == 1:
        assert torch.autograd.gradcheck(lambda x, y: cg_products(x, y, PLAN, tables), (x, y))


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
