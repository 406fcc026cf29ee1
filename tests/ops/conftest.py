"""Random layouts, momenta and weights for the pair operations."""

from __future__ import annotations

import pytest
import torch

from eqviz.ops.minkowski_message import MessageWeights
from eqviz.ops.pairs import PairLayout


@pytest.fixture(params=[[3, 0, 1, 4, 2], [5, 5, 5], [1], [7, 2], [], [0, 0]], ids=str)
def layout(request) -> PairLayout:
    """Jets of odd sizes, equal sizes, a single node, and none at all; tiles hold one to three of them."""
    return PairLayout.build(torch.tensor(request.param, dtype=torch.int64), tile_pairs=30)


@pytest.fixture
def message_inputs(layout):
    """A function of (width, coordinates, dtype) -> receiver, sender, features and weights with gradients."""

    def make(width=5, coordinates=True, dtype=torch.float64, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def random(*shape):
            values = torch.randn(*shape, generator=generator, dtype=torch.float64)
            return values.to(dtype).requires_grad_()

        shapes = [(width, 2), (width, width), (width,), (1, width), (1,)]
        shapes += [(width, width), (width,), (1, width)] if coordinates else []
        nodes = random(layout.n_slots, width), random(layout.n_slots, width)
        return *nodes, random(layout.n_pairs, 2), MessageWeights(*(random(*shape) for shape in shapes))

    return make


@pytest.fixture
def nan_filled():
    """Fresh memory is full of NaN, so that an output which nobody writes shows."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory and torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before)
