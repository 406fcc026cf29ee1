"""A rotatable projection of vectors in three dimensions, drawn by Bokeh alone.

Dragging turns the camera in the browser by a small callback; nothing is asked of any server, so it works
in a saved HTML page, too.
"""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import CustomJS
from bokeh.models.renderers import GlyphRenderer
from numpy.typing import NDArray

from eqviz.plots.style import INK, MUTED, group_colour, overlay

_TURN = """
const state = fig.tags.find((t) => t && t.eqviz_view)
if (cb_obj.event_name === "panstart") { state.last = [cb_obj.sx, cb_obj.sy]; return }
if (!state.last) { state.last = [cb_obj.sx, cb_obj.sy]; return }
state.azimuth -= 0.5 * (cb_obj.sx - state.last[0])
state.elevation = Math.max(-90, Math.min(90, state.elevation + 0.5 * (cb_obj.sy - state.last[1])))
state.last = [cb_obj.sx, cb_obj.sy]
const a = state.azimuth * Math.PI / 180, e = state.elevation * Math.PI / 180
const right = [-Math.sin(a), Math.cos(a), 0]
const up = [-Math.sin(e) * Math.cos(a), -Math.sin(e) * Math.sin(a), Math.cos(e)]
const flat = (m, x, y, z) => m[0] * x + m[1] * y + m[2] * z
for (const source of sources) {
  const d = source.data
  for (const [h, v, x, y, z] of [["h", "v", "x", "y", "z"], ["h1", "v1", "x1", "y1", "z1"]]) {
    if (!(x in d)) { continue }
    for (let i = 0; i < d[x].length; i++) {
      d[h][i] = flat(right, d[x][i], d[y][i], d[z][i])
      d[v][i] = flat(up, d[x][i], d[y][i], d[z][i])
    }
  }
  source.change.emit()
}
"""


def project(vectors: NDArray[np.float64], view: tuple[float, float]) -> NDArray[np.float64]:
    """Orthographic projection of (n, 3) vectors to (n, 2) for a camera at (azimuth, elevation) degrees."""
    azimuth, elevation = np.radians(view)
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    up = np.array(
        [-np.sin(elevation) * np.cos(azimuth), -np.sin(elevation) * np.sin(azimuth), np.cos(elevation)]
    )
    return np.stack([vectors @ right, vectors @ up], axis=-1)


def rotatable(
    vectors: NDArray[np.float64],
    *,
    weights: NDArray[np.float64],
    last_is_target: bool,
    view: tuple[float, float],
    dark: bool,
    ramp: list[str],
    **shared: Any,
) -> hv.Overlay:
    """Arrows from the origin to ``vectors`` (n, 3) [GeV] with the three axes; see ``jets.momenta_3d``.

    Args:
        vectors: (n, 3) momenta in GeV; with ``last_is_target`` the last one is the true momentum.
        weights: pT in GeV of the constituents: the colour scale.
        last_is_target: draw the last vector as the true momentum.
        view: azimuth and elevation of the camera in degrees.
        dark: for a dark background.
        ramp: colours of the pT scale.
        **shared: HoloViews options.
    """
    body = vectors[: len(weights)]
    lengths = np.linalg.norm(vectors, axis=1)
    reach = 1.15 * float(lengths[: len(weights)].max()) if len(body) else 1.0
    logs = np.log(np.maximum(weights, 1e-3))
    spread = max(float(np.ptp(logs)), 1e-9) if len(logs) else 1.0
    colours = [ramp[round(15 * f)] for f in (logs - (logs.min() if len(logs) else 0.0)) / spread]
    elements: list[hv.Element] = _axes(reach, view, dark)
    if len(body):
        arrows = _arrows(body, view, colours).opts(color="colour", line_width=1.4, alpha=0.75)
        elements += [
            arrows,
            _tips(body, weights, view, colours).opts(color="colour", size=6, tools=["hover"]),
        ]
    if last_is_target and lengths[-1] > 0:
        direction = vectors[-1:] / lengths[-1] * reach
        arrow = _arrows(direction, view).opts(
            color=group_colour("D8", dark), line_width=2.2, line_dash="dashed"
        )
        elements.append(arrow)
    limits = {"xlim": (-reach, reach), "ylim": (-reach, reach), "xaxis": None, "yaxis": None}
    hooks = [*shared.pop("hooks", []), _drag_hook(view)]
    return overlay(elements, **{**shared, **limits, "hooks": hooks, "default_tools": ["save", "reset"]})


def _arrows(
    vectors: NDArray[np.float64], view: tuple[float, float], colours: list[str] | None = None
) -> hv.Segments:
    flat, zeros = project(vectors, view), np.zeros(len(vectors))
    columns = {"h0": zeros, "v0": zeros, "h1": flat[:, 0], "v1": flat[:, 1],
               "x1": vectors[:, 0], "y1": vectors[:, 1], "z1": vectors[:, 2],
               "colour": colours or [""] * len(vectors)}  # fmt: skip
    return hv.Segments(columns, ["h0", "v0", "h1", "v1"], ["x1", "y1", "z1", "colour"])


def _tips(
    vectors: NDArray[np.float64], weights: NDArray[np.float64], view: tuple[float, float], colours: list[str]
) -> hv.Points:
    flat = project(vectors, view)
    columns = {"h": flat[:, 0], "v": flat[:, 1], "x": vectors[:, 0], "y": vectors[:, 1], "z": vectors[:, 2],
               "pt": weights, "colour": colours}  # fmt: skip
    units = [hv.Dimension(n, label=f"p{n}", unit="GeV") for n in "xyz"]
    return hv.Points(columns, ["h", "v"], [*units, hv.Dimension("pt", label="pT", unit="GeV"), "colour"])


def _axes(reach: float, view: tuple[float, float], dark: bool) -> list[hv.Element]:
    ends = np.eye(3) * reach * 0.88
    flat = project(ends, view)
    lines = _arrows(ends, view).opts(color=MUTED[dark], line_width=1)
    columns = {"h": flat[:, 0], "v": flat[:, 1], "x": ends[:, 0], "y": ends[:, 1], "z": ends[:, 2],
               "text": ["px", "py", "pz (beam)"]}  # fmt: skip
    names = hv.Labels(columns, ["h", "v"], ["text", "x", "y", "z"])
    return [lines, names.opts(text_color=INK[dark], text_font_size="11pt")]


def _drag_hook(view: tuple[float, float]) -> Any:
    def hook(plot: Any, element: Any) -> None:
        figure = plot.state
        if any(isinstance(tag, dict) and "eqviz_view" in tag for tag in figure.tags):
            return
        figure.tags = [*figure.tags, {"eqviz_view": True, "azimuth": view[0], "elevation": view[1]}]
        drawn: list[Any] = [r for r in figure.renderers if isinstance(r, GlyphRenderer)]
        sources = [r.data_source for r in drawn if "x" in r.data_source.data or "x1" in r.data_source.data]
        turn = CustomJS(args={"fig": figure, "sources": sources}, code=_TURN)
        figure.js_on_event("panstart", turn)
        figure.js_on_event("pan", turn)

    return hook
