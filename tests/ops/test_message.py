"""The message in C and tiled against the reference: values, gradients, odd sizes, both precisions."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.ops.minkowski_message import Kept, MessageWeights, minkowski_message
from eqviz.ops.minkowski_message import strips as strips_module

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler on this machine"
)


BACKENDS = [pytest.param("native", marks=needs_compiler), "tiled"]


@pytest.mark.parametrize("coordinates", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-5)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_is_reference(layout, message_inputs, coordinates, dtype, tolerance, backend):
    *inputs, weights = message_inputs(7, coordinates, dtype)
    results = {}
    for name in (backend, "reference"):
        outputs = [out for out in minkowski_message(*inputs, weights, layout, name) if out is not None]
        leaves = [*inputs, *(weight for weight in weights if weight is not None)]
        loss = sum((out * torch.arange(1, 1 + out.numel()).view(out.shape)).sum() for out in outputs)
        results[name] = [*outputs, *torch.autograd.grad(loss, leaves)]
    assert len(outputs) == 1 + coordinates
    for ours, expected in zip(results[backend], results["reference"], strict=True):
        scale = float(expected.detach().abs().max()) if expected.numel() else 1.0
        torch.testing.assert_close(ours, expected, rtol=0, atol=tolerance * max(scale, 1.0))


@pytest.mark.parametrize("coordinates", [True, False])
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradcheck(layout, message_inputs, coordinates, backend):
    if layout.n_slots == 0:
        return
    *inputs, weights = message_inputs(3, coordinates)

    def function(*leaves):
        outputs = minkowski_message(*leaves[:3], MessageWeights(*leaves[3:]), layout, backend)
        return tuple(out for out in outputs if out is not None)

    assert torch.autograd.gradcheck(function, (*inputs, *(w for w in weights if w is not None)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_scratch_memory_does_not_leak_between_calls(layout, message_inputs, backend):
    *inputs, weights = message_inputs()
    first = [out.clone() for out in minkowski_message(*inputs, weights, layout, backend)]
    minkowski_message(*(torch.full_like(value, float("nan")) for value in inputs), weights, layout, backend)
    for ours, expected in zip(minkowski_message(*inputs, weights, layout, backend), first, strict=True):
        assert torch.equal(ours, expected)


def outputs_and_gradients(inputs, weights, layout, backend="tiled", **options):
    outputs = [
        out for out in minkowski_message(*inputs, weights, layout, backend, **options) if out is not None
    ]
    loss = sum((out * torch.arange(1, 1 + out.numel()).view(out.shape)).sum() for out in outputs)
    leaves = [*inputs, *(weight for weight in weights if weight is not None)]
    return [*outputs, *torch.autograd.grad(loss, leaves, retain_graph=True)], (loss, leaves)


@pytest.mark.parametrize("coordinates", [True, False])
def test_kept_memory_changes_no_number_and_is_used_again(layout, message_inputs, coordinates):
    *inputs, weights = message_inputs(7, coordinates)
    expected, _ = outputs_and_gradients(inputs, weights, layout)
    kept = Kept()
    for _ in range(2):
        ours, (loss, leaves) = outputs_and_gradients(inputs, weights, layout, kept=kept)
        for one, other in zip(ours, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)
        assert len(kept._free) == 1 + coordinates
    # the memory is in other hands now: a second backward pass must not read it
    for memory in kept._free:
        memory.fill_(float("nan"))
    for one, other in zip(torch.autograd.grad(loss, leaves), expected[1 + coordinates :], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)
    assert copy.deepcopy(kept)._free == []


def test_nothing_is_kept_above_the_limit_or_without_gradients(layout, message_inputs):
    *inputs, weights = message_inputs()
    kept = Kept(limit=layout.n_pairs - 1)
    outputs_and_gradients(inputs, weights, layout, kept=kept)
    assert kept._free == []

    class Untouchable(Kept):
        def take(self, pairs, channels, like):
            raise AssertionError("memory was taken")

    with torch.no_grad():
        minkowski_message(*inputs, weights, layout, kept=Untouchable(), backend="tiled")


@pytest.mark.parametrize("limit", [1, 20, 60])
def test_strips_of_any_size_give_the_same(message_inputs, layout, limit, monkeypatch):
    *inputs, weights = message_inputs()
    expected, _ = outputs_and_gradients(inputs, weights, layout, backend="reference")
    monkeypatch.setattr(strips_module, "CPU_STRIP_PAIRS", limit)
    pieces = strips_module.Strips(layout)
    assert sum(strip.pairs for strip in pieces) == layout.n_pairs
    assert all(strip.pairs < limit + strip.size for strip in pieces)
    ours, _ = outputs_and_gradients(inputs, weights, layout)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_excluded_pairs_do_not_matter(layout, message_inputs, backend):
    receiver, sender, features, weights = message_inputs()
    other = torch.where(layout.pair_mask[:, None], features, 1e3)
    before = minkowski_message(receiver, sender, features, weights, layout, backend)
    after = minkowski_message(receiver, sender, other, weights, layout, backend)
    real = layout.slot_size > 0
    assert torch.equal(before[0][real], after[0][real])
    assert torch.equal(before[1], after[1])


def test_unknown_backend_is_named(layout, message_inputs):
    with pytest.raises(ConfigError, match="'tiled' or 'reference', got 'fast'"):
        minkowski_message(*message_inputs(), layout, backend="fast")
