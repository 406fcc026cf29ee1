"""Pictures of fields, of orbits and of constituents; animations."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
from helpers import toy_jets
from PIL import Image

from eqviz.errors import ConfigError, DataError
from eqviz.evaluation.image_orbit import image_orbit
from eqviz.evaluation.plane import Motion
from eqviz.models import build_model
from eqviz.plots import fields, nodes, orbitcurves
from eqviz.plots.animate import Frame, Panel, Track, draw_frame, has_encoder, save_orbit
from eqviz.plots.export import to_csv

RNG = np.random.default_rng(0)


def drawn(figure: hv.Overlay) -> Any:
    return hv.renderer("bokeh").get_plot(figure).state


def images(figure: Any) -> list[np.ndarray]:
    return [r.data_source.data["image"][0] for r in figure.renderers if "image" in r.data_source.data]


@pytest.mark.parametrize("kind", ["scalar", "vector", "phase", "ring", "gap"])
@pytest.mark.parametrize("dark", [False, True])
def test_refilled_figures_are_those_drawn_anew(kind: str, dark: bool) -> None:
    first, second = RNG.normal(size=(2, 2, 6, 6))
    draw = {
        "scalar": lambda x: fields.scalar_field(x[0], limit=2.0, dark=dark),
        "vector": lambda x: fields.vector_field(x, limit=2.0, dark=dark, pixel=0.1),
        "phase": lambda x: fields.phase_field(x, limit=2.0, dark=dark),
        "ring": lambda x: fields.ring_field(np.abs(x[0]), limit=2.0, dark=dark, symmetry="C4"),
        "gap": lambda x: fields.gap_field(np.abs(x[0]), largest=2.0, dark=dark),
    }[kind]
    figure, wanted = drawn(draw(first)), drawn(draw(second))
    arrows = fields.arrow_columns(second, 0.1, 2.0) if kind == "vector" else None
    phase, veil = fields.phase_images(second, 2.0)
    new = {
        "scalar": [second[0]], "vector": [np.hypot(*second)], "phase": [phase, np.sqrt(veil)],
        "ring": [np.abs(second[0])], "gap": [fields.relative_gap(np.abs(second[0]), 2.0)],
    }[kind]  # fmt: skip
    fields.replace_images(figure, new, arrows=arrows)
    for got, expected in zip(images(figure), images(wanted)):
        np.testing.assert_allclose(got, expected)
    if kind == "vector":
        lines = [f.renderers[-1].data_source.data for f in (figure, wanted)]
        for name in ("x0", "y0", "x1", "y1"):
            np.testing.assert_allclose(lines[0][name], lines[1][name])


def test_rows_run_along_eta() -> None:
    values = np.zeros((4, 4))
    values[3, 0] = 1.0
    table = list(csv.DictReader(io.StringIO(to_csv(fields.scalar_field(values, pixel=0.1)))))
    row = next(row for row in table if float(row["value"]) == 1.0)
    assert float(row["η − η(jet)"]) == pytest.approx(0.15)
    assert float(row["φ − φ(jet)"]) == pytest.approx(-0.15)


def test_arrows_point_along_eta_and_phi() -> None:
    field = np.zeros((2, 3, 3))
    field[0] = 1.0
    lines = fields.arrow_columns(field, 1.0, 1.0)
    shafts = len(lines["x0"]) // 3
    assert (lines["x1"] > lines["x0"])[:shafts].all()
    np.testing.assert_allclose(lines["y1"][:shafts], lines["y0"][:shafts])
    assert len(fields.arrow_columns(np.zeros((2, 3, 3)), 1.0, 1.0)["x0"]) == 0


def test_cyclic_colours_close() -> None:
    colours = fields.cyclic(False)
    ends = [np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in (colours[0], colours[-1])]
    assert np.abs(ends[0] - ends[1]).max() < 20 and len(set(colours)) > 50


def test_curves_have_marks_and_bounds() -> None:
    at = np.arange(0.0, 361.0, 90.0)
    figure = drawn(orbitcurves.answers_along(at, {"Y": 0 * at}, own=at == 0, mark=90.0))
    assert figure.y_range.start == -0.1  # rounding is not blown up
    assert figure.select_one({"name": "at"}).location == 90.0
    curve = orbitcurves.errors_along(at, {"layer 1": 0 * at}, exact={"layer 1": 0 * at + 1e-7}, mark=0.0)
    assert "layer 1" in to_csv(curve)
    path = drawn(orbitcurves.trajectory(np.zeros((4, 2)), 0, shares=(1.0, 0.0)))
    assert path.x_range.end == 0.05
    orbitcurves.replace_here(path, (0.01, 0.02))
    assert path.renderers[-1].data_source.data["first"].tolist() == [0.01]
    with pytest.raises(DataError, match="one value for each of 5"):
        orbitcurves.answers_along(at, {"Y": [1.0]})
    with pytest.raises(DataError, match="expected 2 maps"):
        orbitcurves.small_multiples({"x": np.ones((1, 2, 2)), "f": np.ones((2, 2, 2))}, ["a", "b"])


def test_constituents_are_refilled() -> None:
    batch = toy_jets(2, n_max=9).batch
    first, second = (batch.select([i]).p4.numpy() for i in range(2))
    figure = drawn(nodes.node_scalars(first, np.arange(len(first)) - 1.0))
    nodes.replace_scalars(figure, second, np.ones(len(second)), 3.0)
    data = figure.renderers[0].data_source.data
    assert set(np.asarray(data["value"])) == {1.0} and len(data["d_eta"]) == len(second)
    mapper = figure.renderers[0].glyph.fill_color.transform
    assert (mapper.low, mapper.high) == (-3.0, 3.0)
    plane = (np.eye(3)[0], np.eye(3)[2])
    arrows = drawn(nodes.node_vectors(first, plane, ("px [GeV]", "pz [GeV]")))
    nodes.replace_vectors(arrows, second, plane)
    np.testing.assert_allclose(arrows.renderers[0].data_source.data["x1"], second[:, 1])
    strip = nodes.event_strip([first, second], [np.ones(len(p)) for p in (first, second)], ["a", "b"])
    assert drawn(strip).x_range.end == 2
    with pytest.raises(DataError, match="values \\(n,\\)"):
        nodes.node_scalars(first, [1.0])


def frames(n: int) -> list[Frame]:
    angles = np.linspace(0, 360, n)
    ramp = fields.sequential("D4", False)
    return [
        Frame(f"turn by {a:.0f}°", [Panel("x", np.eye(8) * (1 + a), ramp, (0.0, 400.0))] * 2, a)
        for a in angles
    ]


def test_an_animation_has_as_many_frames_as_asked(tmp_path: Path) -> None:
    made, track = frames(7), Track(np.linspace(0, 360, 7), {"Y": np.zeros(7)}, "angle [°]", "change")
    seen: list[float] = []
    path = save_orbit(tmp_path / "orbit.gif", made, track, side=60, progress=seen.append)
    with Image.open(path) as film:
        assert film.n_frames == 7 and film.info["loop"] == 0 and seen[-1] == 1.0
    still = [Frame("", [Panel("x", np.eye(4), fields.sequential("D4", False), (0.0, 1.0))], 0.0)] * 5
    with Image.open(save_orbit(tmp_path / "still.gif", still, side=30)) as film:
        assert film.n_frames == 5


def test_the_first_frame_of_an_orbit_is_the_identity(tmp_path: Path) -> None:
    from eqviz.dash.orbits.frames import image_frames

    model = build_model("groupcnn", n_pixels=16, channels=(4,), depth=1).eval()
    image = model.images(toy_jets(1).batch)
    scan = image_orbit(model, image, np.radians([0.0, 90.0, 180.0]))
    made, track = image_frames(model, image, scan, Motion(), "layer 1")
    assert made[0].name.startswith("g = identity") and len(made) == 3
    np.testing.assert_array_equal(made[0].panels[0].image, image[0, 0].numpy())
    np.testing.assert_array_equal(made[0].panels[1].image, made[0].panels[2].image)
    path = save_orbit(tmp_path / "orbit.gif", made, track, side=64)
    with Image.open(path) as film:
        assert film.n_frames == 3
        first = np.asarray(film.convert("RGB"), dtype=float)
    expected = draw_frame(made[0], track, 64).astype(float)
    assert np.abs(first - expected)[:-4].mean() < 8  # few colours for all frames


def test_what_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.gif or \.mp4"):
        save_orbit(tmp_path / "orbit.avi", frames(2))
    with pytest.raises(ConfigError, match="one frame or more"):
        save_orbit(tmp_path / "orbit.gif", [])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not has_encoder()
    with pytest.raises(ConfigError, match="need ffmpeg, which is not on the PATH"):
        save_orbit(tmp_path / "orbit.mp4", frames(2))
    fake = tmp_path / "ffmpeg"
    fake.write_text('#!/bin/sh\nfor last; do :; done\n/bin/cat > "$last"\n')
    fake.chmod(0o755)
    written = save_orbit(tmp_path / "orbit.mp4", frames(2), side=32)
    height, width = draw_frame(frames(2)[0], None, 32).shape[:2]
    assert written.stat().st_size == 2 * height * width * 3 and not height % 2 and not width % 2
