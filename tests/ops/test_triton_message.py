"""The fused message in Triton's interpreter against the reference in float64: values, gradients, tracing."""

from __future__ import annotations

import pytest
import torch

from eqviz.ops.dispatch import use_kernels
from eqviz.ops.minkowski_message import MessageWeights, minkowski_message
from eqviz.ops.minkowski_message.reference import message_reference
from eqviz.ops.pairs import PairLayout

pytest.importorskip("triton", reason="Triton is not installed")
TOLERANCE = {torch.float64: 1e-13, torch.float32: 2e-5, torch.float16: 1e-2, torch.bfloat16: 6e-2}


def results(function, inputs, weights, layout):
    """Outputs, then gradients of all inputs and weights."""
    leaves = [value.detach().clone().requires_grad_() for value in (*inputs, *weights) if value is not None]
    given = iter(leaves[3:])
    weights = MessageWeights(*(None if weight is None else next(given) for weight in weights))
    outputs = [out for out in function(*leaves[:3], weights, layout) if out is not None]
    loss = sum((out * torch.linspace(-1, 1, out.numel()).to(out).view(out.shape)).sum() for out in outputs)
    return [*outputs, *torch.autograd.grad(loss, leaves)]


def fused(*arguments):
    return minkowski_message(*arguments, backend="triton")


def compare(make, layout, width, coordinates, dtype):
    *inputs, weights = make(width, coordinates, dtype)
    # what excluded pairs hold must not matter
    inputs[2] = torch.where(layout.pair_mask[:, None], inputs[2], float("nan"))
    exact = [None if weight is None else weight.double() for weight in weights]
    clean = [*(value.double() for value in inputs[:2]), inputs[2].double().nan_to_num()]
    ours = results(fused, inputs, weights, layout)
    for got, expected in zip(ours, results(message_reference, clean, exact, layout), strict=True):
        scale = float(expected.detach().abs().max()) if expected.numel() else 1.0
        error = (got.double() - expected).abs()
        assert torch.all(error <= TOLERANCE[dtype] * max(scale, 1.0))  # false for NaN


@pytest.mark.parametrize("coordinates", [True, False])
def test_kernels_are_reference(layout, message_inputs, nan_filled, coordinates):
    compare(message_inputs, layout, 5, coordinates, torch.float64)


@pytest.mark.parametrize("layout", [[6, 0, 1, 19]], indirect=True, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_precisions(layout, message_inputs, nan_filled, dtype):
    compare(message_inputs, layout, 9, True, dtype)


@pytest.mark.parametrize("layout", [[6, 0, 1, 17]], indirect=True, ids=str)
@pytest.mark.parametrize("width", [16, 35])  # one block of channels, and two
def test_widths(layout, message_inputs, nan_filled, width):
    compare(message_inputs, layout, width, True, torch.float64)


@pytest.mark.parametrize("layout", [[2, 0, 1]], indirect=True, ids=str)
def test_gradcheck(layout, message_inputs):
    *inputs, weights = message_inputs(3, True)

    def function(*leaves):
        return fused(*leaves[:3], MessageWeights(*leaves[3:]), layout)

    assert torch.autograd.gradcheck(function, (*inputs, *weights), fast_mode=True)


@pytest.mark.parametrize("layout", [[3, 0, 2]], indirect=True, ids=str)
@pytest.mark.parametrize("coordinates", [True, False])
def test_registration(layout, message_inputs, coordinates):
    *inputs, weights = message_inputs(3, coordinates, torch.float32)
    torch.library.opcheck(torch.ops.eqviz.minkowski_message.default, (*inputs, layout.jets, *weights))


@pytest.mark.parametrize("layout", [[4, 1, 3]], indirect=True, ids=str)
def test_compiles_as_one_graph(layout, message_inputs):
    receiver, sender, features, weights = message_inputs(4, True)
    jets = layout.jets

    def function(receiver):
        return torch.ops.eqviz.minkowski_message(receiver * 2, sender, features, jets, *weights)[0].sum()

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    (expected,) = torch.autograd.grad(function(receiver), receiver)
    (got,) = torch.autograd.grad(compiled(receiver), receiver)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("layout", [[4, 1, 3]], indirect=True, ids=str)
def test_autocast_accumulates_in_float32(layout, message_inputs):
    receiver, sender, features, weights = message_inputs(16, True, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16), use_kernels("triton"):
        half = torch.nn.functional.linear(receiver, torch.eye(16))
        total, coordinates = minkowski_message(half, sender, features, weights, layout)
    assert half.dtype == torch.bfloat16 and total.dtype == coordinates.dtype == torch.float32
    expected = message_reference(half.float(), sender, features, weights, layout)[0]
    torch.testing.assert_close(total, expected, rtol=0, atol=float(0.06 * expected.detach().abs().max()))
    assert torch.autograd.grad(total.sum(), receiver)[0].dtype == torch.float32


def test_answers_do_not_depend_on_batch_mates(message_inputs, layout):
    torch.manual_seed(0)
    lengths = torch.tensor([4, 7])
    together, alone = PairLayout.build(lengths, tile_pairs=1000), PairLayout.build(lengths[:1])
    u, v = torch.randn(2, 11, 6, dtype=torch.float64)
    s = torch.randn(7, 7, 2, dtype=torch.float64)
    weights = MessageWeights(*(torch.randn(shape).double() for shape in ((6, 2), (6, 6), (6,), (1, 6), (1,))))
    first = fused(u[:4], v[:4], s[:4, :4].reshape(-1, 2), weights, alone)[0]
    both = fused(
        together.to_slots(u), together.to_slots(v), s.repeat(2, 1, 1, 1).view(-1, 2), weights, together
    )
    assert together.n_slots == 14  # padded to the larger one
    torch.testing.assert_close(together.to_nodes(both[0])[:4], first, rtol=1e-14, atol=1e-14)
