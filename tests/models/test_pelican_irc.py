"""IRC safety: collinear splitting exactly, soft emission in the limit; the ordinary PELICAN has neither."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_helpers import jets, logits, small
from test_contract import trained_a_little

from eqviz.data.jets import JetBatch
from eqviz.kinematics import boost_matrix, from_ptetaphim

NAME = "pelican-irc"


def split(batch, fraction, seed=0, parts=1):
    """Each jet with ``parts`` of its particles split into two collinear ones."""
    rng, out = np.random.default_rng(seed), []
    for jet in batch.arrays():
        chosen = rng.choice(len(jet), parts, replace=False)
        halves = jet.copy()
        halves[chosen] *= fraction
        out.append(np.vstack([halves, (1 - fraction) * jet[chosen]]))
    return JetBatch.from_arrays(out)


def with_soft(batch, pt):
    """Each jet with one more particle of transverse momentum ``pt`` in GeV."""
    extra = from_ptetaphim([pt], [0.35], [-0.2])
    return JetBatch.from_arrays([np.vstack([jet, extra]) for jet in batch.arrays()])


def change(model, before, after):
    return float((logits(model, after) - logits(model, before)).abs().max())


@pytest.mark.parametrize("reference", ["none", "time+axis", "beams"])
def test_collinear_splitting(reference):
    model, batch = trained_a_little(small(NAME, reference=reference).double()), jets(8)
    for fraction, parts in ((0.5, 1), (0.03, 1), (0.7, 3)):
        assert change(model, batch, split(batch, fraction, parts=parts)) < 1e-9
    assert float(logits(model, batch).std()) > 1e-3  # it does tell jets apart
    ordinary = trained_a_little(small("pelican", reference=reference).double())
    assert change(ordinary, batch, split(batch, 0.5)) > 1e-4


@pytest.mark.parametrize("reference", ["none", "time+axis"])
def test_soft_emission(reference):
    model, batch = trained_a_little(small(NAME, reference=reference).double()), jets(8)
    changes = [change(model, batch, with_soft(batch, pt)) for pt in (1e-2, 1e-4, 1e-6)]
    assert changes[2] < 1e-6
    assert changes[0] / changes[1] > 30 and changes[1] / changes[2] > 30  # linear in the softness
    ordinary = trained_a_little(small("pelican", reference=reference).double())
    assert change(ordinary, batch, with_soft(batch, 1e-6)) > 1e-4


def test_jets_of_one_direction():
    model = trained_a_little(small(NAME).double())
    one = JetBatch.from_arrays([from_ptetaphim([40.0], [0.1], [0.3])])
    two = JetBatch.from_arrays([from_ptetaphim([30.0, 10.0], [0.1, 0.1], [0.3, 0.3])])
    assert change(model, one, two) < 1e-6


def test_float32_at_high_boosts():
    model, batch = trained_a_little(small(NAME)), jets(16, n_max=20)

    def discriminant(batch):
        out = logits(model, batch).double()
        return out[:, 1] - out[:, 0]

    before = discriminant(batch)
    for gamma, limit in ((1e3, 1e-5), (1e4, 1e-4)):
        for axis in ("z", "x"):
            after = discriminant(batch.transformed(boost_matrix(gamma, axis)))
            assert float(((after - before) / before).abs().median()) <= limit
    assert torch.isfinite(before).all()
