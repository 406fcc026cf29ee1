"""The message in C: what holds bit by bit, whatever else is in the batch and however many threads work."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
import torch

from eqviz.errors import ConfigError
from eqviz.ops import native
from eqviz.ops.dispatch import use_kernels
from eqviz.ops.minkowski_message import MessageWeights, minkowski_message
from eqviz.ops.pairs import PairLayout

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler on this machine"
)


def problem(lengths, width=11, features=2, coordinates=True, dtype=torch.float32, seed=0):
    """Inputs of one jet after another: node values by jet, so that a jet has the same ones in any batch."""
    layout = PairLayout.build(torch.tensor(lengths))
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    shapes = [(width, features), (width, width), (width,), (1, width), (1,)]
    shapes += [(width, width), (width,), (1, width)] if coordinates else []
    weights = MessageWeights(*(random(*shape) / max(shape[-1], 1) ** 0.5 for shape in shapes))
    nodes = torch.cat([random(n, 3 * width) for n in lengths])
    u, v, grad = (layout.to_slots(x).requires_grad_() for x in nodes.split(width, dim=1))
    i, j = layout.pair_index
    phase = torch.arange(features, 0, -1).to(dtype)
    s = torch.sin(phase * (u[i, :1] * v[j, :1] + u[j, :1] * v[i, :1])).detach() * layout.pair_mask[:, None]
    return SimpleNamespace(
        layout=layout, inputs=(u, v, s.requires_grad_()), weights=weights, grad=grad.detach()
    )


def by_node(p, backend="native"):
    """The sums and the gradients of u and v, one row a node."""
    total, c = minkowski_message(*p.inputs, p.weights, p.layout, backend)
    outputs, grads = [total], [p.grad]
    if c is not None:
        outputs, grads = [total, c], [p.grad, torch.cos(c.detach())]
    found = torch.autograd.grad(outputs, p.inputs[:2], grads)
    return torch.cat([p.layout.to_nodes(x.detach()) for x in (total, *found)], dim=1)


@needs_compiler
@pytest.mark.parametrize("coordinates", [True, False])
def test_a_jet_gives_the_same_bits_in_any_batch(coordinates):
    lengths = [9, 30, 1, 17, 2]
    whole = by_node(problem(lengths, coordinates=coordinates)).split(lengths)
    for k in range(1, len(lengths) + 1):
        part = by_node(problem(lengths[:k], coordinates=coordinates))
        assert torch.equal(part, torch.cat(whole[:k])) and part.isfinite().all()


@needs_compiler
def test_any_number_of_threads_gives_the_same(monkeypatch):
    p = problem([9, 30, 1, 17, 2], dtype=torch.float64)
    weights = [w.requires_grad_() for w in p.weights]

    def run(count):
        monkeypatch.setattr(native, "threads", lambda: count)
        total, c = minkowski_message(*p.inputs, p.weights, p.layout, "native")
        return torch.autograd.grad([total, c], [*p.inputs, *weights], [p.grad, torch.cos(c.detach())])

    one = run(1)
    for count in (2, 3, 8):
        other = run(count)
        assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3]))
        for a, b in zip(one[3:], other[3:]):
            torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


@needs_compiler
@pytest.mark.parametrize("width", [1, 8, 24, 72, 100, 144])
@pytest.mark.parametrize("features", [0, 1, 3])
def test_any_width_and_number_of_features(width, features):
    p = problem([13, 4, 8], width, features, dtype=torch.float64)
    ours, expected = by_node(p), by_node(p, "reference")
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12 * float(expected.abs().max()))


@needs_compiler
def test_every_output_is_written(nan_filled, layout, message_inputs):
    for coordinates in (True, False):
        *inputs, weights = message_inputs(7, coordinates)
        total, c = minkowski_message(*inputs, weights, layout, "native")
        leaves = [*inputs, *(w for w in weights if w is not None)]
        grads = torch.autograd.grad([total.sum() + (0 if c is None else c.sum())], leaves)
        assert all(x.isfinite().all() for x in (total, *grads) if x is not None)
        assert c is None or (c.isfinite().all() and (c[~layout.pair_mask] == 0).all())


@needs_compiler
def test_nan_stays_with_its_jet():
    p = problem([5, 6])
    u, v, s = (x.detach() for x in p.inputs)
    u = u.clone()
    u[p.layout.node_slot[2]] = float("nan")  # in the first jet
    total, _ = minkowski_message(u, v, s, p.weights, p.layout, "native")
    total = p.layout.to_nodes(total)
    assert total[2].isnan().all() and total[:2].isfinite().all() and total[3:].isfinite().all()


@needs_compiler
def test_a_second_backward_pass_gives_the_same():
    p = problem([9, 4])
    total, c = minkowski_message(*p.inputs, p.weights, p.layout, "native")
    first, second = (
        torch.autograd.grad(total.sum() + c.sum(), p.inputs, retain_graph=keep) for keep in (True, False)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second))


def test_auto_is_c_where_there_is_a_compiler_and_pytorch_elsewhere(monkeypatch):
    p = problem([9, 4], dtype=torch.float64)
    if native.available("minkowski_message", torch.float64):
        assert torch.equal(by_node(p, "auto"), by_node(p, "native"))
    with use_kernels("reference"):
        tiled = by_node(p, "auto")
    assert torch.equal(tiled, by_node(p, "tiled"))
    torch.testing.assert_close(tiled, by_node(p, "auto"), rtol=1e-12, atol=1e-12)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CC", raising=False)
    native.forget()
    try:
        assert torch.equal(by_node(p, "auto"), tiled)
        with pytest.raises(ConfigError, match="no C compiler"):
            by_node(p, "native")
    finally:
        native.forget()
