"""Detector pictures: axes, units, logarithmic colours, background."""

from __future__ import annotations

import holoviews as hv
import numpy as np
import pytest

from eqviz.errors import DataError
from eqviz.plots.images import contrast_image, detector_image, image_row, log_limits, ramp

PIXEL = np.pi / 180


def drawn(figure: hv.Overlay) -> hv.Image:
    return figure.traverse(lambda item: item, [hv.Image])[0]


def test_zero_is_background_and_rows_run_along_eta() -> None:
    pixels = np.zeros((6, 4))
    pixels[5, 0] = 2.0
    mesh = drawn(detector_image(pixels, pixel=0.1))
    values = mesh.dimension_values("value", flat=False)
    assert np.isnan(values).sum() == 23
    table = mesh.dframe().dropna()
    assert table["d_eta"].item() == pytest.approx(0.25)  # the last row: largest eta
    assert table["d_phi"].item() == pytest.approx(-0.15)
    assert mesh.vdims[0].unit == "GeV"


def test_colours_are_logarithmic_over_at_most_four_decades() -> None:
    pixels = np.diag([1e-6, 1.0, 10.0, 100.0])
    figure = detector_image(pixels, pixel=PIXEL, channel="HCAL")
    plot = hv.renderer("bokeh").get_plot(figure)
    mapper = plot.subplots.values().__iter__().__next__().handles["color_mapper"]
    assert type(mapper).__name__ == "LogColorMapper"
    assert (mapper.low, mapper.high) == (0.01, 100.0)
    assert mapper.nan_color == "rgba(0, 0, 0, 0)"
    assert log_limits(np.zeros((2, 2))) == (1e-3, 1.0)
    assert log_limits(np.eye(2)) == (1.0, 1.01)


def test_axes_have_names_and_the_bar_its_unit() -> None:
    figure = detector_image(np.eye(8), pixel=PIXEL, channel="ECAL", radius=0.05, title="one jet", dark=True)
    state = hv.render(figure)
    assert state.xaxis[0].axis_label == "η − η(centre)"
    assert state.yaxis[0].axis_label == "φ − φ(centre)"
    assert state.title.text == "one jet"
    bars = [item for item in state.right if type(item).__name__ == "ColorBar"]
    assert "ECAL energy" in bars[0].title
    assert "GeV" in bars[0].title
    assert state.x_range.end == pytest.approx(4 * PIXEL)


def test_a_row_has_one_picture_for_each_channel() -> None:
    row = image_row(
        np.ones((3, 5, 5)),
        channels=("tracks", "ECAL", "HCAL"),
        units=("GeV",) * 3,
        pixel=PIXEL,
        limits=[(0.1, 2.0)] * 3,
        titles=["a", "b", "c"],
    )
    assert len(row) == 3
    hv.render(row)
    assert len({ramp(name)[40] for name in ("tracks", "ECAL", "HCAL")}) == 3
    with pytest.raises(DataError, match="a name and a unit"):
        image_row(np.ones((2, 5, 5)), channels=("a",), units=("GeV",), pixel=PIXEL)


def test_contrast_of_two_means() -> None:
    first, second = np.diag([3.0, 1.0, 0.0]), np.diag([1.0, 1.0, 0.0])
    mesh = drawn(contrast_image(first, second, pixel=PIXEL, names=("gluon", "quark")))
    values = mesh.dimension_values("contrast", flat=False)
    assert np.nanmax(values) == 0.5
    assert np.isfinite(values).sum() == 2
    with pytest.raises(DataError, match="one shape"):
        contrast_image(first, np.ones((2, 2)), pixel=PIXEL, names=("a", "b"))


@pytest.mark.parametrize(
    ("pixels", "pixel", "expected"),
    [
        (np.zeros(3), 0.1, "matrix"),
        (np.full((2, 2), np.nan), 0.1, "finite"),
        (np.zeros((0, 0)), 0.1, "matrix"),
        (np.ones((2, 2)), 0.0, "pixel width above 0"),
    ],
)
def test_wrong_pixels_are_refused(pixels: np.ndarray, pixel: float, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        detector_image(pixels, pixel=pixel)


def test_an_empty_image_can_be_drawn() -> None:
    hv.render(detector_image(np.zeros((5, 5)), pixel=PIXEL))
