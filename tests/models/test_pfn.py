"""Particle Flow Network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_helpers import jets, logits, small

from eqviz.data.jets import JetBatch
from eqviz.errors import DataError
from eqviz.kinematics import boost_matrix, rotation_matrix


def test_inputs_are_fractions_about_the_centroid():
    batch = jets()
    inputs = small("pfn").inputs(batch)
    sums = torch.zeros(len(batch), 3, dtype=torch.float64)
    sums.index_add_(
        0,
        batch.jet_index,
        inputs * torch.cat([torch.ones_like(inputs[:, :1]), inputs[:, :1].expand(-1, 2)], 1),
    )
    torch.testing.assert_close(sums[:, 0], torch.ones(len(batch)).double())
    torch.testing.assert_close(sums[:, 1:], torch.zeros(len(batch), 2).double(), rtol=0, atol=1e-12)


def test_invariant_along_the_beam_but_not_across():
    model, batch = small("pfn").double(), jets()
    before = logits(model, batch)
    for matrix in (rotation_matrix(1.0, "z"), boost_matrix(3.0, "z")):
        torch.testing.assert_close(logits(model, batch.transformed(matrix)), before, rtol=1e-9, atol=1e-9)
    across = logits(model, batch.transformed(boost_matrix(3.0, "x")))
    assert float((across - before).abs().max()) > 1e-3


def test_additional_scalars():
    batch = jets()
    model = small("pfn", n_scalars=2).double()
    with pytest.raises(DataError, match="at least 2 scalars"):
        model(batch)
    ids = np.random.default_rng(0).normal(size=(len(batch.p4), 2))
    one, two = (JetBatch(batch.p4, batch.offsets, torch.from_numpy(values)) for values in (ids, -ids))
    assert not torch.allclose(logits(model, one), logits(model, two))
