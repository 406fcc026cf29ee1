from __future__ import annotations

import holoviews as hv
import numpy as np
import pytest

from eqviz.errors import ConfigError
from eqviz.plots.orbits import (
    components_over,
    element_matrix,
    path,
    replace_components,
    replace_matrix,
    replace_path,
)
from eqviz.plots.representations import bracket_map

S = np.linspace(0, 2, 21)


@pytest.mark.parametrize("count", [2, 12])  # lines, and a map
@pytest.mark.parametrize("dark", [False, True])
def test_components_are_replaced_as_if_drawn_anew(count: int, dark: bool) -> None:
    first, second = (np.sin(np.outer(S, np.arange(count) + shift)) for shift in (0.0, 0.5))
    names = [f"x{i}" for i in range(count)]
    kept = hv.render(components_over(S, first, names, 0.5, symmetry="SU(3)", dark=dark))
    fresh = hv.render(components_over(2 * S, 3 * second, names, 1.5, symmetry="SU(3)", dark=dark))
    replace_components(kept, 2 * S, 3 * second, 1.5)
    assert kept.select_one({"name": "at"}).location == 1.5
    for a, b in zip(kept.renderers, fresh.renderers, strict=True):
        for key, values in b.data_source.data.items():
            found = a.data_source.data[key]
            assert np.allclose(np.asarray(found[0]), np.asarray(values[0])), key
    assert (kept.x_range.start, kept.x_range.end) == pytest.approx((fresh.x_range.start, fresh.x_range.end))
    if count == 2:
        limits = [(figure.y_range.start, figure.y_range.end) for figure in (kept, fresh)]
        assert limits[0] == pytest.approx(limits[1])


def test_path_and_matrix_are_replaced_as_if_drawn_anew() -> None:
    circle = np.stack([np.cos(S), np.sin(S)], axis=1)
    kept, fresh = (hv.render(path(k * circle, k * circle[3], symmetry="SO(2)")) for k in (1, 4))
    replace_path(kept, 4 * circle, 4 * circle[3], ("a", "b"))
    for a, b in zip(kept.renderers, fresh.renderers, strict=True):
        assert np.allclose(a.data_source.data["x"], b.data_source.data["x"])
    assert (kept.x_range.end, kept.y_range.end) == pytest.approx((fresh.x_range.end, fresh.y_range.end))
    assert kept.xaxis[0].axis_label == "a"
    assert fresh.x_range.end - fresh.x_range.start == pytest.approx(fresh.y_range.end - fresh.y_range.start)
    for one, other in (
        ([[1.0, 2.0], [3.0, -4.0]], [[0.0, -1.0], [5.0, 0.0]]),
        ([[1j, 0], [2, 1]], [[0, 3j], [1, 0]]),
    ):
        kept, fresh = (hv.render(element_matrix(m, ["a", "b"])) for m in (one, other))
        replace_matrix(kept, other)
        images = [figure.renderers[0].data_source.data["image"][0] for figure in (kept, fresh)]
        assert np.allclose(images[0], images[1]) and np.allclose(images[0][::-1], shown(other))


def shown(matrix) -> np.ndarray:
    return np.abs(matrix) if np.iscomplexobj(np.asarray(matrix)) else np.asarray(matrix)


def test_brackets_are_written_where_they_belong() -> None:
    names, marks = ["a", "b"], [["", "c"], ["-c", ""]]
    figure = hv.render(bracket_map(names, [[0, 1], [-1, 0]], [["0", "[a, b]"], ["[b, a]", "0"]], marks))
    cells = figure.renderers[0].data_source.data
    where = list(cells["bracket"]).index("[a, b]")
    assert (cells["left"][where], cells["bottom"][where]) == (1, 1)  # first row, second column
    assert figure.xaxis[0].major_label_overrides and figure.x_range.end == 2


def test_wrong_shapes() -> None:
    with pytest.raises(ConfigError, match="components of shape"):
        components_over([0.0, 1.0], np.zeros((2, 3)), ["a"], 0.0)
    with pytest.raises(ConfigError, match="points"):
        path(np.zeros((2, 3)), [0, 0])
    with pytest.raises(ConfigError, match="2 x 2"):
        bracket_map(["a", "b"], np.zeros((2, 2)), [["a"], ["b"]], [["a"], ["b"]])
