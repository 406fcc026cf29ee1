"""Spherical Clebsch-Gordan network: the flow on the sphere and its layers under rotations of the jet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_helpers import jets, small

from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError
from eqviz.groups.composite import direct_sum
from eqviz.groups.rotations import so3
from eqviz.kinematics import rotation_matrix
from eqviz.models import build_model
from eqviz.models.spherical_cg import zoomed_directions


def test_the_flow_and_every_layer_turn_with_the_jet():
    model, batch = small("spherical_cg").double().eval(), jets(5)
    group, axis = so3(), np.array([0.3, -0.5, 0.8])
    turned = batch.transformed(rotation_matrix(2.1, axis))
    law = direct_sum(*(group.irrep(degree) for degree in range(5)))
    matrix = torch.tensor(law(group.rotation(2.1, axis)))
    x, y = model.flow(batch), model.flow(turned)
    assert x.shape == (5, 2, 25)
    torch.testing.assert_close(y, x @ matrix.T, rtol=0, atol=1e-9)
    with torch.no_grad():
        x, y = (model.layers[0](flow) for flow in (x, y))
    torch.testing.assert_close(y, x @ matrix.T, rtol=0, atol=1e-9)


def test_the_monopole_is_the_energy():
    flow = small("spherical_cg", powers=(1.0,)).flow(jets(4))
    torch.testing.assert_close(flow[:, 0, 0], torch.full((4,), (4 * np.pi) ** -0.5).double())


def test_zoom_multiplies_angles_to_the_axis():
    p4 = [[2.0, 0, np.sin(0.1) * 2, np.cos(0.1) * 2], [2.0, 0, -np.sin(0.1) * 2, np.cos(0.1) * 2]]
    batch = JetBatch.from_arrays([np.array(p4), np.array([[5.0, 3, 0, 4]])])
    directions = zoomed_directions(batch, 3.0)
    expected = [[0, np.sin(0.3), np.cos(0.3)], [0, -np.sin(0.3), np.cos(0.3)], [0.6, 0, 0.8]]
    torch.testing.assert_close(directions, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("params", [{"degree": 0}, {"zoom": 0.0}, {"powers": []}, {"n_layers": 0}])
def test_impossible_values(params):
    with pytest.raises(ConfigError, match=rf"expected spherical_cg\.{next(iter(params))} to be"):
        build_model("spherical_cg", **params)
