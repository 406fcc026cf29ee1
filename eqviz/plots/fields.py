"""Feature fields on the pixels of a layer: maps, arrows, phases, and rings of maps for functions on a group.

Everything is drawn with eta to the right and phi upwards. A figure is drawn once; :func:`replace_images`
refills it while an angle is dragged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import ColumnDataSource, Image, Segment
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure as Figure
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import DataError
from eqviz.plots.colourbar import colour_bar
from eqviz.plots.style import INK, PAPER, group_colour, mix, options, square

Array = NDArray[np.float64]
FLOOR = 1e-8  # smallest relative difference that is told apart: below float32's rounding
ARROWS = 12  # along each side, at most


def scalar_field(
    values: ArrayLike, *, limit: float | None = None, signed: bool | None = None, **look: Any
) -> hv.Overlay:
    """A scalar on every pixel: blue above zero, vermilion below, paper at zero.

    Args:
        values: (H, W), rows along eta; NaN is background.
        limit: end of the colour scale; by default the largest size.
        signed: whether the scale has both signs; by default where a value is negative.
        **look: ``pixel`` (width in eta and phi), ``title``, ``dark``, ``side``, ``symmetry`` (unused here).
    """
    image = _matrix(values)
    top = limit or _largest(image)
    signed = bool(np.nanmin(image, initial=0.0) < 0) if signed is None else signed
    dark = bool(look.get("dark", False))
    colours = signed_colours(dark) if signed else sequential("SO+(1,3)", dark)
    mesh = _mesh(image, look, "value", (-top if signed else 0.0, top), colours)
    return _framed([mesh], image, look)


def vector_field(components: ArrayLike, *, limit: float | None = None, **look: Any) -> hv.Overlay:
    """A vector on every pixel: arrows over a map of the length.

    Args:
        components: (2, H, W) along eta and phi.
        limit: length at the end of the colour scale, and of the longest arrow.
    """
    pair = np.asarray(components, dtype=np.float64)
    if pair.ndim != 3 or len(pair) != 2:
        raise DataError(f"expected components (2, H, W) along eta and phi, got {pair.shape}")
    length = np.hypot(*pair)
    top = limit or _largest(length)
    dark = bool(look.get("dark", False))
    mesh = _mesh(length, look, "length", (0.0, top), sequential("SO(2)", dark))
    lines = arrow_columns(pair, _pixel(look), top)
    arrows = hv.Segments(lines, ["x0", "y0", "x1", "y1"]).opts(color=INK[dark], line_width=1.2)
    return _framed([mesh, arrows], length, look)


def phase_field(components: ArrayLike, *, limit: float | None = None, **look: Any) -> hv.Overlay:
    """A complex number on every pixel: the phase as a cyclic colour that fades where the amplitude vanishes.

    Args:
        components: (2, H, W) amplitude times cosine and sine of the phase.
        limit: amplitude of the full colour.
    """
    phase, veil = phase_images(components, limit)
    dark = bool(look.get("dark", False))
    veil = np.sqrt(veil)  # weak amplitudes still show their phase
    mesh = _mesh(phase, look, "phase [rad]", (-np.pi, np.pi), cyclic(dark))
    paper = PAPER[dark]
    shades = [f"{paper}{round(255 * (1 - step / 31)):02X}" for step in range(32)]
    cover = hv.Image(_grid(veil, _pixel(look)), _dimensions(veil), "amplitude")
    cover = cover.opts(cmap=shades, clim=(0.0, 1.0), colorbar=False)
    return _framed([mesh, cover], phase, look)


def ring_field(
    tiles: ArrayLike,
    *,
    limit: float | None = None,
    signed: bool | None = None,
    symmetry: str = "D4",
    **look: Any,
) -> hv.Overlay:
    """A function on a group: one map for each element, around a ring (see ``fieldviews.mosaic``).

    Args:
        tiles: (H', W') mosaic with NaN between the maps.
        limit: end of the colour scale.
        signed: whether the scale has both signs; by default where a value is negative.
    """
    image = _matrix(tiles)
    top = limit or _largest(image)
    dark = bool(look.get("dark", False))
    signed = bool(np.nanmin(image, initial=0.0) < 0) if signed is None else signed
    colours = signed_colours(dark) if signed else sequential(symmetry, dark)
    mesh = _mesh(image, look, "value", (-top if signed else 0.0, top), colours)
    return _framed([mesh], image, look, axes=False)


def gap_field(gap: ArrayLike, *, largest: float, **look: Any) -> hv.Overlay:
    """How far two fields are apart, on a logarithmic scale in units of their largest value.

    Args:
        gap: (H, W) or mosaic; NaN where nothing is compared.
        largest: of the field.
    """
    image = relative_gap(gap, largest)
    dark = bool(look.get("dark", False))
    mesh = _mesh(image, look, "|difference| / largest", (FLOOR, 1.0), gap_colours(dark), log=True)
    return _framed([mesh], image, look, axes=bool(look.get("axes", True)))


def relative_gap(gap: ArrayLike, largest: float) -> Array:
    """What :func:`gap_field` shows: at least ``FLOOR``, so that an exact zero has a colour, too."""
    image = np.asarray(gap, dtype=np.float64) / (largest or 1.0)
    return np.where(np.isnan(image), np.nan, np.clip(image, FLOOR, 1.0))


def phase_images(components: ArrayLike, limit: float | None = None) -> tuple[Array, Array]:
    """Phase in radians and amplitude from 0 to 1, (H, W) each."""
    pair = np.asarray(components, dtype=np.float64)
    if pair.ndim != 3 or len(pair) != 2:
        raise DataError(f"expected components (2, H, W), got {pair.shape}")
    amplitude = np.hypot(*pair)
    return np.arctan2(pair[1], pair[0]), np.clip(amplitude / (limit or _largest(amplitude)), 0.0, 1.0)


def arrow_columns(components: Array, pixel: float, longest: float) -> dict[str, Array]:
    """Shafts and heads of arrows (x0, y0, x1, y1), at most twelve along each side, in units of eta and phi.

    Lengths go with the square root; vectors shorter than 0.01 of ``longest`` are left out.
    """
    _, height, width = components.shape
    step = -(-max(height, width) // ARROWS)
    rows, columns = np.arange(step // 2, height, step), np.arange(step // 2, width, step)
    u, v = (part[np.ix_(rows, columns)].ravel() for part in components)
    x, y = ((index + 0.5 - n / 2) * pixel for index, n in ((rows, height), (columns, width)))
    x, y = (part.ravel() for part in np.meshgrid(x, y, indexing="ij"))
    kept = np.hypot(u, v) > 0.01 * longest
    x, y, u, v = (part[kept] for part in (x, y, u, v))
    scale = 0.95 * step * pixel / np.sqrt((longest or 1.0) * np.hypot(u, v))
    u, v = u * scale, v * scale
    tips = (x + u / 2, y + v / 2)
    lines = [(x - u / 2, y - v / 2, *tips)]
    for side in (1, -1):
        angle = np.pi - side * 0.45
        back = (np.cos(angle) * u - np.sin(angle) * v, np.sin(angle) * u + np.cos(angle) * v)
        lines.append((*tips, tips[0] + 0.35 * back[0], tips[1] + 0.35 * back[1]))
    return {name: np.concatenate(part) for name, part in zip(("x0", "y0", "x1", "y1"), zip(*lines))}


def cyclic(dark: bool) -> list[str]:
    """64 colours around the circle through four hues of the palette, the last beside the first."""
    hues = [group_colour(name, dark) for name in ("SO+(1,3)", "SO(3)", "C_n", "SO(2)")]
    pairs = zip(hues, [*hues[1:], hues[0]])
    return [mix(first, second, step / 16) for first, second in pairs for step in range(16)]


def replace_images(
    figure: Figure,
    images: Sequence[ArrayLike],
    limits: Sequence[tuple[float, float] | None] | None = None,
    arrows: dict[str, Array] | None = None,
) -> None:
    """Other numbers of the same shapes in a figure of this module or of ``images.detector_image``.

    Args:
        images: one (H, W) for each map of the figure, rows along eta.
        limits: of their colour scales, None to leave one as it is.
        arrows: of :func:`arrow_columns`.
    """
    maps: list[Any] = [r for r in _drawn(figure) if isinstance(r.glyph, Image)]
    if len(maps) != len(images):
        raise DataError(f"expected {len(maps)} images for this figure, got {len(images)}")
    for number, (renderer, image) in enumerate(zip(maps, images)):
        values = np.asarray(image, dtype=np.float64).T
        source: ColumnDataSource = renderer.data_source
        if source.data["image"][0].shape != values.shape:
            raise DataError(f"expected {source.data['image'][0].shape} pixels, got {values.shape}")
        source.data = {**source.data, "image": [np.ascontiguousarray(values)]}
        wanted = limits[number] if limits else None
        if wanted is not None:
            renderer.glyph.color_mapper.update(low=wanted[0], high=wanted[1])
    if arrows is not None:
        lines: Any = next(r for r in _drawn(figure) if isinstance(r.glyph, Segment))
        lines.data_source.data = dict(arrows)


def _drawn(figure: Figure) -> list[Any]:
    return [renderer for renderer in figure.renderers if isinstance(renderer, GlyphRenderer)]


def _mesh(
    image: Array,
    look: dict[str, Any],
    name: str,
    limits: tuple[float, float],
    colours: list[str],
    log: bool = False,
) -> hv.Image:
    value = hv.Dimension("value", label=name, range=limits)
    mesh = hv.Image(_grid(image, _pixel(look)), _dimensions(image), value)
    return mesh.opts(
        cmap=colours,
        clim=limits,
        cnorm="log" if log else "linear",
        clipping_colors={"NaN": "rgba(0, 0, 0, 0)"},
        **colour_bar(bool(look.get("dark", False))),
    )


def _framed(elements: list[hv.Element], image: Array, look: dict[str, Any], axes: bool = True) -> hv.Overlay:
    dark, side = bool(look.get("dark", False)), int(look.get("side", 240))
    reach = [n * _pixel(look) / 2 for n in image.shape]
    labels = ("η − η(jet)", "φ − φ(jet)") if axes else ("", "")
    shared = square(
        options(look.get("title", ""), *labels, dark=dark, show_grid=False, show_legend=False), side
    )
    shared |= {"xlim": (-reach[0], reach[0]), "ylim": (-reach[1], reach[1])}
    if not axes:
        shared |= {
            "xaxis": None,
            "yaxis": None,
            "frame_width": min(round(side * reach[0] / reach[1]), 2 * side),
        }
        shared |= {"frame_height": round(shared["frame_width"] * reach[1] / reach[0])}
    return hv.Overlay(elements).opts(hv.opts.Overlay(**shared, backend="bokeh"))


def sequential(symmetry: str, dark: bool) -> list[str]:
    """256 colours from paper to the strongest of a group's hue, spread so that a tenth of the top shows."""
    strong = group_colour(symmetry, dark)
    return _ramp([PAPER[dark], strong, mix(strong, INK[dark], 0.6)])


def gap_colours(dark: bool) -> list[str]:
    """64 colours for differences over eight decades."""
    strong = group_colour("D_n", dark)
    stops = [PAPER[dark], strong, mix(strong, INK[dark], 0.6)]
    return [mix(stops[i // 32], stops[i // 32 + 1], (i % 32) / 32) for i in range(64)]


def signed_colours(dark: bool) -> list[str]:
    """511 colours from vermilion over paper at zero to blue, spread alike."""
    low, high = group_colour("D_n", dark), group_colour("SO+(1,3)", dark)
    falling = _ramp([PAPER[dark], low, mix(low, INK[dark], 0.4)])
    return [*falling[:0:-1], *_ramp([PAPER[dark], high, mix(high, INK[dark], 0.4)])]


def _ramp(stops: Sequence[str], steps: int = 256) -> list[str]:
    """Colours over ``stops`` with square roots as places: energies span decades, and so do their features."""
    places = np.sqrt(np.arange(steps) / (steps - 1)) * (len(stops) - 1)
    colours = []
    for place in places:
        first = min(int(place), len(stops) - 2)
        colours.append(mix(stops[first], stops[first + 1], float(place) - first))
    return colours


def _grid(values: Array, pixel: float) -> tuple[Array, ...]:
    eta, phi = ((np.arange(n) + 0.5 - n / 2) * pixel for n in values.shape)
    return eta, phi, values.T


def _dimensions(values: Array) -> list[hv.Dimension]:
    return [hv.Dimension("d_eta", label="η − η(jet)"), hv.Dimension("d_phi", label="φ − φ(jet)")]


def _pixel(look: dict[str, Any]) -> float:
    return float(look.get("pixel", 1.0))


def _largest(values: Array) -> float:
    size = np.abs(values[np.isfinite(values)])
    return float(size.max()) if size.size and size.max() > 0 else 1.0


def _matrix(values: ArrayLike) -> Array:
    image = np.asarray(values, dtype=np.float64)
    if image.ndim != 2 or not image.size or np.isinf(image).any():
        raise DataError(f"expected a matrix (H, W) of finite numbers or NaN, got shape {image.shape}")
    return image
