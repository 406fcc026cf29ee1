"""Messages as a layer of their own: scalars stay, vectors turn along, and a loop over pairs says the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import toy_jets

from eqviz.kinematics import random_lorentz
from eqviz.layers.events import prepare
from eqviz.layers.minkowski_message import MinkowskiMessage, pair_features
from eqviz.ops.dispatch import use_kernels


@pytest.fixture
def event():
    events = prepare(toy_jets(3, 0, 6).batch)
    generator = torch.Generator().manual_seed(0)
    return events, torch.randn(len(events.p4), 5, generator=generator, dtype=torch.float64)


def message(**options):
    torch.manual_seed(0)
    made = MinkowskiMessage(5, **options).double().eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


def run(made, events, h, x):
    with torch.no_grad():
        return made(h, x, pair_features(x, events.layout, torch.float64, "matrix"), events.layout)


def test_lorentz_equivariance(event):
    events, h = event
    made = message()
    scalars, vectors = run(made, events, h, events.p4)
    for seed in range(3):
        matrix = torch.from_numpy(random_lorentz(np.random.default_rng(seed), 10.0))
        turned = run(made, events, h, events.p4 @ matrix.T)
        torch.testing.assert_close(turned[0], scalars, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(turned[1], vectors @ matrix.T, rtol=1e-9, atol=1e-7)


def test_sums_over_pairs_written_out(event):
    events, h = event
    made, layout, x = message(), events.layout, events.p4
    features = pair_features(x, layout, torch.float64, "matrix")
    scalars, vectors = run(made, events, h, x)
    expected = torch.zeros_like(h), torch.zeros_like(x)
    i, j = (layout.slot_node[index] for index in layout.pair_index)
    with torch.no_grad():
        for row in layout.pair_mask.nonzero()[:, 0]:
            a, b = int(i[row]), int(j[row])
            inputs = torch.cat([h[a], h[b], features[row]])[None]
            m = torch.relu(made.hidden(torch.relu(made.edge.norm(made.edge.linear(inputs)))))
            m = m * torch.sigmoid(made.gate(m))
            expected[0][a] += m[0]
            others = int(events.lengths[events.jet[a]]) - 1
            expected[1][a] += made.coordinate(m)[0] * (x[a] - x[b]) / others
    torch.testing.assert_close(scalars, expected[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(vectors, expected[1], rtol=1e-10, atol=1e-8)


def test_other_features_and_no_vectors(event):
    events, h = event
    features = pair_features(events.p4, events.layout, torch.float64, "matrix")
    made = message(n_features=1, vectors=False)
    scalars, vectors = made(h, events.p4, features[:, :1], events.layout)
    assert scalars.shape == h.shape and vectors is None


def test_memory_is_kept_in_training_only(event):
    events, h = event
    made = message().train()
    features = pair_features(events.p4, events.layout, torch.float64, "matrix")
    with use_kernels("reference"):
        made(h, events.p4, features, events.layout)[0].sum().backward()
    assert made.kept._free
    made.eval()
    assert not made.kept._free
