"""nanoPELICAN: its count, and its formula written out for one jet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_helpers import jets, logits
from sklearn.metrics import roc_auc_score

from eqviz.layers.permutation_equivariant import map_names
from eqviz.models import build_model, n_parameters


@pytest.mark.parametrize(("hidden", "count"), [(1, 19), (2, 37), (10, 181)])
def test_nineteen_parameters(hidden, count):
    assert n_parameters(build_model("nanopelican", hidden=hidden)) == count


@pytest.mark.parametrize("encoding", ["log", "none"])
def test_formula(encoding):
    torch.manual_seed(0)
    model = build_model("nanopelican", hidden=2, encoding=encoding).double()
    torch.nn.init.normal_(model.bias), torch.nn.init.normal_(model.pool.bias)
    batch = jets(3)
    w = dict(zip(map_names(2, 2), model.hidden.weight.detach()[:, 0, 0].numpy()))
    total, trace = (
        model.pool.weight.detach()[map_names(2, 0).index(f"{kind} at everywhere"), 0, :, 0].numpy()
        for kind in ("total", "trace")
    )
    expected = []
    for p4 in batch.arrays():
        d = p4 @ np.diag([1.0, -1, -1, -1]) @ p4.T
        np.fill_diagonal(d, 0)
        d = np.sign(d) * np.log1p(np.abs(d)) if encoding == "log" else d
        eye, r, s = np.eye(len(d)), d.mean(1), d.mean()
        z = np.zeros((*d.shape, 2)) + model.bias.detach().numpy()
        for name, value in {
            "x_ij": d,
            "x_ji": d,
            "row at receiver i": r[:, None],
            "column at receiver i": r[:, None],
            "row at sender j": r[None],
            "column at sender j": r[None],
            "row at diagonal i = j": r[:, None] * eye,
            "column at diagonal i = j": r[:, None] * eye,
            "total at everywhere": s,
            "total at diagonal i = j": s * eye,
        }.items():
            z = z + np.broadcast_to(value, d.shape)[..., None] * w[name]
        h = np.maximum(z, 0)
        diagonal = np.diagonal(h).mean(1)
        expected.append(h.mean((0, 1)) @ total + diagonal @ trace + float(model.pool.bias.detach()))
    out = logits(model, batch)
    np.testing.assert_allclose(out[:, 1] - out[:, 0], expected, rtol=1e-9)
    torch.testing.assert_close(out[:, 0], -out[:, 1])


@pytest.mark.parametrize("seed", range(3))
def test_nineteen_parameters_learn(seed):
    torch.manual_seed(seed)
    model, train, test = build_model("nanopelican"), jets(128, 0), jets(256, 1)
    optimiser = torch.optim.Adam(model.train().parameters(), lr=1e-2)
    for _ in range(100):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(train), train.label).backward()
        optimiser.step()
    out = logits(model, test)
    assert roc_auc_score(test.label, out[:, 1] - out[:, 0]) > 0.9
