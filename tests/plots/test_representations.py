from __future__ import annotations

import holoviews as hv
import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.groups import su
from eqviz.groups.describe import product_matrix
from eqviz.groups.projections import positions
from eqviz.plots.representations import coupling_matrix, orbit, weight_diagram
from eqviz.plots.style import group_colour

ALGEBRA = su(3).algebra


@pytest.mark.parametrize("dark", [False, True])
def test_weight_diagram_has_a_ring_for_every_further_state(dark):
    weights, counts = ALGEBRA.weights("27")
    points = positions(ALGEBRA.type, weights)
    drawn = weight_diagram(points, counts, symmetry="SO(3)", title="27", dark=dark)
    figure = hv.render(drawn)
    sizes = [len(r.data_source.data["x"]) for r in figure.renderers]
    assert sizes == [int((counts >= 2).sum()), int((counts >= 3).sum()), len(points)]
    assert figure.renderers[-1].glyph.fill_color == group_colour("SO(3)", dark)
    assert figure.frame_width == figure.frame_height


def test_coupling_matrix_shows_every_coefficient():
    triplet = su(3).irrep("3")
    matrix, blocks = product_matrix(triplet, su(3).irrep("3bar"))
    figure = hv.render(coupling_matrix(matrix, blocks, title="3 x 3bar"))
    image = next(r for r in figure.renderers if "image" in r.data_source.data).data_source.data["image"][0]
    assert np.allclose(np.sort(image.ravel()), np.sort(matrix.ravel()))
    assert set(figure.xaxis[0].major_label_overrides.values()) == {"8", "1"}


def test_orbit():
    angle = np.linspace(0, 2 * np.pi, 50)
    values = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    figure = hv.render(orbit(angle, values, ["x", "y"], symmetry="SO(2)", xlabel="angle [rad]"))
    assert len(figure.renderers) == 2 and figure.xaxis[0].axis_label == "angle [rad]"
    assert len({r.glyph.line_color for r in figure.renderers}) == 2


def test_wrong_shapes():
    with pytest.raises(ConfigError, match="multiplicities"):
        weight_diagram(np.zeros((3, 2)), [1, 2])
    with pytest.raises(ConfigError, match="3 names"):
        weight_diagram(np.zeros((3, 2)), [1, 2, 1], names=["a"])
    with pytest.raises(ConfigError, match="fill the 4 columns"):
        coupling_matrix(np.eye(4), [("a", 3)])
    with pytest.raises(ConfigError, match="real coefficients"):
        coupling_matrix(1j * np.eye(2), [("a", 2)])
    with pytest.raises(ConfigError, match="components of shape"):
        orbit([0.0, 1.0], np.zeros((2, 3)), ["a", "b"])


def test_the_first_row_is_at_the_top():
    figure = hv.render(coupling_matrix([[1.0, 0.0], [0.0, 0.5]], [("a", 2)], ylabel="rows"))
    image = next(r for r in figure.renderers if "image" in r.data_source.data).data_source.data
    # Bokeh draws row 0 at the lower end of the axis, which runs downwards here
    assert image["image"][0][0, 0] == 1.0 and figure.y_range.start > figure.y_range.end
    assert figure.yaxis[0].axis_label == "rows"
