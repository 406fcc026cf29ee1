"""Figures of turned jets and of sample efficiency."""

from __future__ import annotations

import holoviews as hv
import pytest
from bokeh.models import Line

from eqviz.errors import UnknownNameError
from eqviz.plots.planar import against_angle, sample_efficiency
from eqviz.plots.series import Series
from eqviz.plots.style import Tag

LITE = Tag("D4 lite", "D4", "groupcnn", "lite")


def curves(x: list[float]) -> list[Series]:
    y = [0.7 + 0.01 * i for i in range(len(x))]
    band = [v - 0.01 for v in y], [v + 0.02 for v in y]
    return [Series(Tag("CNN", "none", "cnn"), x, y, *band), Series(LITE, x, y)]


def test_quality_against_the_angle() -> None:
    figure = against_angle(curves([0, 30, 90]), "accuracy", title="turned")
    drawn = hv.render(figure, backend="bokeh")
    assert drawn.yaxis.axis_label == "accuracy" and "degrees" in drawn.xaxis.axis_label
    assert drawn.x_range.start < 0 and drawn.x_range.end > 90
    lines = [r.glyph for r in drawn.renderers if isinstance(r.glyph, Line)]
    assert [bool(line.line_dash) for line in lines] == [False, True]  # lite networks are dashed
    assert len(figure.traverse(lambda item: item, [hv.Area])) == 1


def test_sample_efficiency_is_logarithmic_in_the_jets() -> None:
    drawn = hv.render(sample_efficiency(curves([20, 100, 2000])), backend="bokeh")
    assert type(drawn.x_scale).__name__ == "LogScale"
    assert drawn.xaxis.axis_label == "training jets" and drawn.yaxis.axis_label == "AUC"
    assert drawn.x_range.start < 20 and drawn.x_range.end > 2000


@pytest.mark.parametrize("make", [against_angle, sample_efficiency])
def test_no_curves_and_unknown_quantities(make) -> None:
    assert hv.render(make([]), backend="bokeh") is not None
    with pytest.raises(UnknownNameError, match="accuracy, auc"):
        make(curves([1, 2]), "speed")
