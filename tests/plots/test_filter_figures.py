from __future__ import annotations

import holoviews as hv
import numpy as np
import pytest

from eqviz.errors import DataError
from eqviz.plots.export import to_csv
from eqviz.plots.filters import kernel_map, mosaic, phase_map, radial_profiles, symmetric
from eqviz.plots.formula import nanopelican_html, sum_of_terms
from eqviz.plots.learned import (
    attention_map,
    band_against_invariant,
    from_symlog,
    function_of_invariant,
    map_of_invariants,
    plane_map,
    symlog,
    symlog_ticks,
)
from eqviz.plots.weights import paired_bars, weight_table

RNG = np.random.default_rng(0)


def drawn(figure: hv.Overlay):
    """The Bokeh figure and the arrays of its images."""
    model = hv.render(figure)
    images = [r.data_source.data["image"][0] for r in model.renderers if "image" in r.data_source.data]
    return model, images


@pytest.mark.parametrize("dark", [False, True])
def test_a_mosaic_holds_every_map_the_right_way_up(dark: bool) -> None:
    maps = RNG.normal(size=(7, 3, 4))
    model, (image,) = drawn(mosaic(maps, [f"m{i}" for i in range(7)], columns=3, chosen=2, dark=dark))
    found = image[np.isfinite(image)]
    assert len(found) == maps.size
    assert np.allclose(np.sort(found), np.sort(maps.ravel()))
    rows = np.isfinite(image).any(1)
    top = np.flatnonzero(rows)[-3:]  # the upper left map is the first, its rows count upwards
    block = image[top][:, 1:5]
    assert np.allclose(block, maps[0])
    mapper = next(r.glyph.color_mapper for r in model.renderers if "image" in r.data_source.data)
    assert mapper.high == -mapper.low == np.abs(maps).max()
    names = next(r for r in model.renderers if "name" in r.data_source.data).data_source.data["name"]
    assert list(names) == [f"m{i}" for i in range(7)]


def test_a_mosaic_takes_no_nonsense() -> None:
    for maps, names in ((np.zeros((2, 3)), ()), (np.zeros((0, 3, 3)), ()), (np.zeros((2, 3, 3)), ("a",))):
        with pytest.raises(DataError, match="expected maps"):
            mosaic(maps, names)


def test_a_kernel_has_eta_upwards_and_paper_at_zero() -> None:
    kernel = np.arange(9.0).reshape(3, 3) - 2
    model, (image,) = drawn(kernel_map(kernel))
    assert np.array_equal(image, kernel)
    mapper = model.renderers[0].glyph.color_mapper
    assert (mapper.low, mapper.high) == (-6, 6)
    assert mapper.palette[len(mapper.palette) // 2].upper() == "#FFFFFF"
    assert (model.x_range.start, model.x_range.end) == (-1.5, 1.5)
    assert model.yaxis[0].axis_label == "Δη [pixels]"


def test_a_phase_goes_round_without_a_seam() -> None:
    angle = np.array([[np.nan, 3.0], [-3.0, 0.0]])
    model, (image,) = drawn(phase_map(angle))
    mapper = model.renderers[0].glyph.color_mapper
    assert (mapper.low, mapper.high) == (-np.pi, np.pi)
    ends = [[int(mapper.palette[i][k : k + 2], 16) for k in (1, 3, 5)] for i in (0, -1)]
    assert np.abs(np.subtract(*ends)).max() < 25
    assert np.isnan(image).sum() == 1


def test_profiles_and_bars_are_the_numbers() -> None:
    r = np.linspace(0, 2, 5)
    text = to_csv(radial_profiles(r, [("cos φ", r**2, "#000000", "solid")]))
    assert "4.0" in text.splitlines()[-1] and "cos φ" in text
    table = to_csv(paired_bars(["a", "b"], [1.0, -2.0], [0.5, 0.25], ylabel="size"))
    assert table.count("after training") == table.count("before training") == 2
    with pytest.raises(DataError, match="expected 2 numbers"):
        paired_bars(["a", "b"], [1.0], ylabel="size")
    with pytest.raises(DataError, match="after or before"):
        paired_bars(["a", "b"], None, ylabel="size")


def test_a_table_has_its_first_row_at_the_top() -> None:
    values = np.array([[1.0, 2.0, 3.0], [4.0, np.nan, 6.0]])
    model, (image,) = drawn(weight_table(values, ["first", "second"], ["x", "y", "z"]))
    assert np.array_equal(image[1], values[0])
    assert model.yaxis[0].major_label_overrides[1] == "first"
    with pytest.raises(DataError, match="expected a matrix of 1 x 0"):
        weight_table(values, ["first"])


def test_symmetric_logarithmic_axes() -> None:
    x = np.array([-1e5, -1e-3, 0.0, 1e-9, 0.4, 1e6])
    assert np.allclose(from_symlog(symlog(x)), x, rtol=1e-6, atol=1e-12)
    assert np.all(np.diff(symlog(x)) > 0)
    ticks = {name: place for place, name in symlog_ticks(*symlog([-1e3, 1e3]))}
    assert ticks["0"] == 0 and all(name.startswith("−") for name, place in ticks.items() if place < 0)
    for name, place in ticks.items():
        if place > 0:
            power = int(name[2:].translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
            assert from_symlog(place) == pytest.approx(10.0**power)


@pytest.mark.parametrize("dark", [False, True])
def test_functions_show_where_real_pairs_are(dark: bool) -> None:
    x, real = np.append(0, np.geomspace(1e-2, 1e3, 50)), RNG.lognormal(1, 1, 500)
    curves = [("channel 1", 1 / (1 + x), {"color": "#0072B2"})]
    figure = function_of_invariant(x, curves, xlabel="x", ylabel="f", real=real, dark=dark)
    text = to_csv(figure)
    assert "pairs of real jets" in text and "x (GeV²)" in text.splitlines()[0]
    model = hv.render(figure)
    assert model.y_range.start < 0 and model.xaxis[0].axis_label == "x [GeV²]"
    with pytest.raises(DataError, match="expected functions at 51 places"):
        function_of_invariant(x, [("a", x[:3], {})], xlabel="x", ylabel="f")


def test_bands_are_quantiles_of_the_pairs() -> None:
    x = np.full(1000, 5.0)
    y = np.linspace(0, 1, 1000)
    figure = band_against_invariant((0, 100), [("kind", x, y, "#0072B2")], xlabel="x", ylabel="gate")
    curve = next(e for e in figure if type(e) is hv.Curve)
    assert curve.dimension_values("value")[0] == pytest.approx(0.5, abs=1e-3)
    assert curve.dimension_values("low")[0] == pytest.approx(0.025, abs=1e-3)
    hv.render(band_against_invariant((0, 100), [("few", x[:3], y[:3], "#0072B2")], xlabel="x", ylabel="g"))


def test_a_map_encloses_the_real_pairs() -> None:
    x, y = from_symlog(np.linspace(-5, 0.5, 60)), from_symlog(np.linspace(0, 5, 50))
    dot = RNG.lognormal(1, 1.5, 4000)
    figure = map_of_invariants(
        x, y, RNG.random((50, 60)), xlabel="a", ylabel="b", label="gate", limits=(0, 1), real=(-2 * dot, dot)
    )
    shares = {float(share) for share in figure.Contours.I.dimension_values("share", expanded=False)}
    assert shares == {0.5, 0.9, 0.99}
    _, (image,) = drawn(figure)
    assert image.shape == (50, 60)


def test_planes_and_attention_lie_as_jets_do() -> None:
    values = np.zeros((5, 5))
    values[4, 0] = 1.0  # large eta, small phi
    _, (image,) = drawn(plane_map(values, 0.8, label="Φ"))
    assert image[0, 4] == 1.0  # columns are eta, rows phi
    pixels = np.zeros((10, 10))
    pixels[9, 0] = 3.0
    weights = np.full((5, 5), 0.6 / 24)
    weights[4, 0] = 0.4
    figure = attention_map(weights, pixels, half_width=0.8, query=20)
    _, (image,) = drawn(figure)
    assert image[0, 4] == pytest.approx(0.4 * 25)
    dots, box = figure.Points.I, figure.Rectangles.I
    assert dots.dimension_values(0)[0] > 0.7 and dots.dimension_values(1)[0] < -0.7
    assert [box.dimension_values(k)[0] for k in range(4)] == pytest.approx([0.48, -0.8, 0.8, -0.48])


def test_formulas_have_signs_and_indices() -> None:
    assert sum_of_terms([("", -0.5), ("d_ij", 2.0), ("r_i", 0.0), ("δ_ij s", -3.0)]) == (
        "−0.5 + 2 <i>d</i><sub>ij</sub> − 3 <i>δ</i><sub>ij</sub> <i>s</i>"
    )
    html = nanopelican_html([[("", 1.0)], [("", 2.0)]], [1, -2], [3, 4], -0.5, encoded=True, explain="why")
    assert html.count("max(0,") == 4 and "− 2 mean" in html and "log(1 + " in html and "why" in html


def test_limits_hold_everything() -> None:
    assert symmetric([1.0, -3.0, np.nan]) == (-3.0, 3.0)
    assert symmetric([0.0])[1] > 0
