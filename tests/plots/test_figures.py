from __future__ import annotations

import csv
import io
from itertools import pairwise

import holoviews as hv
import numpy as np
import pytest
from bokeh.models import ColumnDataSource, GlyphRenderer, LogColorMapper, LogScale, Span

from eqviz.errors import DataError, UnknownNameError
from eqviz.kinematics import boost_matrix, from_ptetaphim, transform
from eqviz.plots import captions, curves, invariance, jets, live, scores
from eqviz.plots.export import to_csv
from eqviz.plots.rotation import project
from eqviz.plots.series import Series
from eqviz.plots.style import GROUP_COLOURS, PAPER, Tag

LORENTZ = Tag("LorentzNet", "SO+(1,3)", "lorentznet")
PFN = Tag("PFN", "S_n", "pfn", variant="naive")


@pytest.fixture
def jet() -> np.ndarray:
    rng = np.random.default_rng(1)
    pt = rng.exponential(20, 30)
    return from_ptetaphim(pt, 1.2 + rng.normal(size=30) * 0.2, np.pi + rng.normal(size=30) * 0.2)


def glyphs(figure) -> list[GlyphRenderer]:
    return [r for r in figure.renderers if isinstance(r, GlyphRenderer)]


def sources(figure, column: str) -> list[ColumnDataSource]:
    return [r.data_source for r in glyphs(figure) if column in r.data_source.data]


def test_roc_marks_the_working_point() -> None:
    eps = np.linspace(0, 1, 101)
    figure = hv.render(curves.roc([Series(LORENTZ, eps, eps**4, eps**5, eps**3)], 0.3))
    points = [s.data for s in sources(figure, "eps_B") if len(s.data["eps_B"]) == 1]
    assert points[0]["eps_S"][0] == pytest.approx(0.3)
    assert points[0]["eps_B"][0] == pytest.approx(0.3**4)
    assert isinstance(
        hv.render(curves.inverse_roc([Series(LORENTZ, eps, 1 / (eps + 1e-3))])).y_scale, LogScale
    )


def test_infinite_rejection_is_left_open() -> None:
    eps = np.linspace(0, 1, 11)
    rejection = np.where(eps < 0.25, np.inf, 10.0)
    figure = hv.render(curves.inverse_roc([Series(PFN, eps, rejection)], 0.1))
    drawn = [s.data["rejection"] for s in sources(figure, "rejection")]
    assert all(np.isfinite(values).all() for values in drawn)
    assert [len(values) for values in drawn] == [8, 8]  # line and markers; no working point at 0.1


def test_lines_say_what_they_are() -> None:
    figure = hv.render(
        invariance.deviation([Series(PFN, [1, 10], [1e-8, 1e-3]), Series(LORENTZ, [1, 10], [1, 1])])
    )
    lines = [
        r.glyph for r in glyphs(figure) if hasattr(r.glyph, "line_dash") and "deviation" in r.data_source.data
    ]
    dashes = {tuple(g.line_dash) if isinstance(g.line_dash, list) else g.line_dash for g in lines}
    assert (6,) in dashes or "dashed" in dashes
    assert {g.line_color for g in lines} >= {GROUP_COLOURS["S_n"][0], GROUP_COLOURS["SO+(1,3)"][0]}
    assert figure.legend[0].items[0].label["value"] == "PFN"
    assert figure.legend[0].glyph_width > 2 * (6 + 6) + 8  # a dash, a gap and the marker show in the legend


@pytest.mark.parametrize("dark", [False, True])
def test_originals_are_dotted_and_hollow(dark: bool) -> None:
    tag = Tag("as published", "SO+(1,3)", "lorentznet", "original")
    figure = hv.render(invariance.deviation([Series(tag, [1, 10], [1e-8, 1e-3])], dark=dark))
    drawn = [r.glyph for r in glyphs(figure) if "deviation" in r.data_source.data]
    assert [g.line_dash for g in drawn if hasattr(g, "line_width") and not hasattr(g, "marker")] == [[2, 4]]
    assert [g.fill_color for g in drawn if hasattr(g, "marker")] == [PAPER[dark]]


def test_fonts_are_legible() -> None:
    figure = hv.render(curves.learning_curves([(LORENTZ, {"epoch": [0, 1], "val_loss": [1, 0.5]})]))
    axis = figure.xaxis[0]
    sizes = [axis.axis_label_text_font_size, axis.major_label_text_font_size, figure.title.text_font_size]
    assert min(float(size.removesuffix("pt")) for size in sizes) >= 11


def test_learning_curves_take_what_is_there() -> None:
    history = {
        "epoch": [0, 1, 2],
        "train_loss": [3, 2, 1],
        "val_loss": [3, 2.5, 2],
        "seconds": [5.0, 5.1, 5.2],
    }
    loss = hv.render(curves.learning_curves([(LORENTZ, history)]))
    assert len(sources(loss, "loss")) == 3  # training line; validation line and markers
    assert hv.render(curves.learning_curves([(LORENTZ, history)], "seconds")).y_range.start == 0
    assert hv.render(curves.learning_curves([(LORENTZ, {})])).renderers is not None
    with pytest.raises(UnknownNameError, match="seconds"):
        curves.learning_curves([], "speed")


def test_histogram_counts_every_jet() -> None:
    labels, values = np.array([0, 0, 1, 1, 1]), np.array([0.0, 0.1, 0.9, 1.0, 1.0])
    overlay = scores.score_histogram(LORENTZ, labels, values, bins=10)
    table = list(csv.DictReader(io.StringIO(to_csv(overlay))))
    bars = [row for row in table if row["element"] == "ErrorBars"]
    assert sorted(float(row["jets per bin"]) for row in bars) == [1, 1, 3]
    assert max(float(row["plus"]) for row in bars) == pytest.approx(np.sqrt(3))
    with pytest.raises(DataError, match="one shape"):
        scores.score_histogram(LORENTZ, labels, values[:3])


def test_confusion_matrix_shows_fractions_of_the_true_class() -> None:
    overlay = scores.confusion_matrix(LORENTZ, [[90, 10], [40, 160]], ["QCD", "top"])
    texts = overlay.traverse(lambda e: e.dimension_values("text"), [hv.Labels])[0]
    assert set(texts) == {"90.0 %\n90 jets", "10.0 %\n10 jets", "20.0 %\n40 jets", "80.0 %\n160 jets"}
    with pytest.raises(DataError, match=r"\(3, 3\)"):
        scores.confusion_matrix(LORENTZ, np.eye(2), ["a", "b", "c"])


def test_landscape_draws_published_points_hollow() -> None:
    mine = scores.Network(LORENTZ, 1e5, 900.0, 30.0)
    theirs = scores.Network(Tag("LGN"), 4.5e3, 435.0, 95.0, published=True, source="a talk")
    lost = scores.Network(PFN, 1e4, float("inf"))
    figure = hv.render(scores.landscape([mine, theirs, lost]))
    alphas = {
        r.data_source.data["name"][0]: r.glyph.fill_alpha
        for r in glyphs(figure)
        if "source" in r.data_source.data
    }
    assert alphas == {"LorentzNet": 0.95, "LGN": 0.0}
    assert isinstance(figure.x_scale, LogScale)
    assert isinstance(figure.y_scale, LogScale)


def test_deviation_keeps_zeros_on_the_log_axis() -> None:
    figure = hv.render(invariance.deviation([Series(LORENTZ, [1, 10, 100], [0.0, 1e-7, 1e-6])], at=10.0))
    drawn = np.concatenate([s.data["deviation"] for s in sources(figure, "deviation")])
    assert drawn.min() == np.finfo(np.float64).eps
    levels = [r.location for r in figure.select({"type": Span}) if r.dimension == "width"]
    assert np.finfo(np.float32).eps in levels
    live.move_mark(figure, 100.0)
    assert figure.select_one({"name": "at"}).location == 100.0


def test_mark_is_asked_for() -> None:
    figure = hv.render(invariance.auc_against([Series(LORENTZ, [1, 10], [0.9, 0.9])]))
    with pytest.raises(DataError, match="at="):
        live.move_mark(figure, 2.0)


def test_answers_outside_the_frame_stay_visible() -> None:
    before, after = np.array([1.0, -2.0, 0.5]), np.array([1.0, 1e30, np.nan])
    overlay = invariance.before_after([(LORENTZ, before, after), (PFN, [], [])], jets=[7, 8, 9])
    figure = hv.render(overlay)
    first, second = live.answers(figure)
    assert list(first.data["after"]) == [1.0, 2.2, -2.2]
    assert first.data["exact"][1] == 1e30
    assert list(first.data["jet"]) == [7, 8, 9]
    live.replace_answers(figure, second, before, before, [7, 8, 9])
    assert np.allclose(second.data["after"], before)
    there = second.data
    live.replace_answers(figure, second, before, before, [7, 8, 9])
    assert second.data is there  # nothing new: nothing to send and to paint
    live.replace_answers(figure, second, before, before, [7, 8, 10])
    assert list(second.data["jet"]) == [7, 8, 10]
    with pytest.raises(DataError, match="as many scores"):
        invariance.before_after([(LORENTZ, before, after[:2])])


def test_area_is_proportional_to_pt_and_phi_is_unwrapped(jet) -> None:
    columns = jets.constituent_columns(jet)
    assert np.abs(columns["d_phi"]).max() < 1.0  # the jet sits on the cut at phi = pi
    areas = (columns["size"] - 2.0) ** 2
    assert np.allclose(areas / areas[0], columns["pt"] / columns["pt"][0])
    assert all(a >= b for a, b in pairwise(columns["pt"]))


def test_event_display_is_updated_in_place(jet) -> None:
    figure = hv.render(jets.event_display(jet, target=jet.sum(axis=0)))
    boosted = transform(jet, boost_matrix(100.0, "x"))
    live.replace_event(figure, boosted)
    source = sources(figure, "energy")[0]
    assert np.allclose(source.data["pt"], jets.constituent_columns(boosted)["pt"])
    assert figure.x_range.end == pytest.approx(jets.half_range(boosted))
    mapper = figure.select_one({"type": LogColorMapper})
    assert mapper.high == pytest.approx(source.data["pt"].max())
    assert figure.frame_width == figure.frame_height


@pytest.mark.parametrize("n", [0, 1])
def test_small_jets_are_drawn(n, jet) -> None:
    for figure in (jets.event_display(jet[:n]), jets.momenta_3d(jet[:n])):
        assert hv.render(figure) is not None
    with pytest.raises(DataError, match=r"\(n, 4\)"):
        jets.event_display(np.ones((3, 3)))


def test_projection_is_orthographic() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 3))
    flat = project(vectors, (0.0, 0.0))  # camera on the x axis: y to the right, z up
    assert np.allclose(flat, vectors[:, 1:])
    top = project(vectors, (0.0, 90.0))
    assert np.allclose(np.abs(top[:, 0]), np.abs(vectors[:, 1]))
    assert np.allclose(np.hypot(*top.T), np.hypot(vectors[:, 0], vectors[:, 1]))


def test_momenta_turn_without_a_server(jet) -> None:
    figure = hv.render(jets.momenta_3d(jet, target=jet.sum(axis=0)))
    turn = figure.js_event_callbacks["pan"][0]
    assert "http" not in turn.code
    tips = next(s for s in turn.args["sources"] if "pt" in s.data)
    assert np.allclose(np.sort(tips.data["z"]), np.sort(jet[:, 3]))


def test_csv_has_units_and_all_series(jet) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(jets.event_display(jet)))))
    points = [row for row in rows if row.get("pT (GeV)")]
    assert len(points) == len(jet)
    assert sum(float(row["pT (GeV)"]) for row in points) == pytest.approx(
        np.hypot(jet[:, 1], jet[:, 2]).sum()
    )


def test_shapes_are_checked() -> None:
    with pytest.raises(DataError, match="LorentzNet"):
        Series(LORENTZ, [1, 2], [1, 2, 3])


def test_captions_name_units_and_sizes() -> None:
    assert "12,000 jets" in captions.roc(12_000)
    assert "fixed in the lab" in captions.deviation(200, "z", "float32", False)
    summary = jets.jet_summary(np.array([[5.0, 3, 0, 4], [5, 0, 3, 4]]))
    assert summary["mass"] == pytest.approx(np.sqrt(100 - 18 - 64))
    assert "GeV" in captions.event(3, summary)
