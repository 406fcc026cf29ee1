"""Pictures of representations: weight diagrams, Clebsch-Gordan matrices, orbits. Arrays in, elements out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import holoviews as hv
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull, cKDTree

from eqviz.errors import ConfigError
from eqviz.plots.style import (
    GRID,
    GROUP_COLOURS,
    INK,
    MUTED,
    PAPER,
    group_colour,
    mix,
    options,
    overlay,
    square,
)


def weight_diagram(
    positions: ArrayLike,
    multiplicities: ArrayLike,
    *,
    symmetry: str = "none",
    names: Sequence[str] | None = None,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    xticks: Sequence[tuple[float, str]] | None = None,
    yticks: Sequence[tuple[float, str]] | None = None,
    outline: bool = False,
    dark: bool = False,
    side: int = 340,
) -> hv.Overlay:
    """Weights as dots, one ring more for every further state on the same weight, in equal scales.

    Where rings would run into the next weight, dots are shaded by their number of states instead.

    Args:
        positions: (n, 2) points, see ``eqviz.groups.projections``.
        multiplicities: (n,) numbers of states.
        symmetry: the group's name: the colour.
        names: n labels that appear on hover, for instance the states' names.
        xticks, yticks: positions and texts, where the axes measure something of their own.
        outline: also draw the polygon around all weights.

    Raises:
        ConfigError: shapes that do not fit.
    """
    points, counts = np.asarray(positions, dtype=np.float64), np.asarray(multiplicities)
    if points.ndim != 2 or points.shape[1] != 2 or counts.shape != (len(points),) or not len(points):
        raise ConfigError(
            f"expected positions (n, 2) and multiplicities (n,), got {points.shape} and {counts.shape}"
        )
    if names is not None and len(names) != len(points):
        raise ConfigError(f"expected {len(points)} names, got {len(names)}")
    colour = group_colour(symmetry, dark)
    labels = list(names) if names is not None else [""] * len(points)
    reach = 1.25 * max(float(np.abs(points).max()), 0.5)
    top = int(counts.max())
    least, typical = (d * side / (2 * reach) for d in _spacing(points))  # pixels from weight to weight
    size, gap = min(8.0, max(3.5, 0.5 * typical)), min(8.0, (least - 9.0) / max(top - 1, 1))
    elements: list[hv.Element] = [_hull(points, dark)] if outline and _is_flat(points) else []
    ringed = top == 1 or gap >= 3.0
    for ring in range(2, top + 1 if ringed else 0):
        many = points[counts >= ring]
        style = {"color": colour, "fill_alpha": 0, "size": 8 + gap * (ring - 1), "line_width": 1.5}
        elements.append(hv.Scatter((many[:, 0], many[:, 1]), "x", "y").opts(**style))
    table = (points[:, 0], points[:, 1], counts, labels)
    shade: dict[str, Any] = {"color": colour}
    if not ringed:
        shades = [mix(mix(colour, PAPER[dark], 0.6), colour, step / 15) for step in range(16)]
        shade = {"color": "states", "cmap": shades, "clim": (1, top), "colorbar": True}
    dots = hv.Scatter(table, "x", ["y", "states", "name"])
    edge = PAPER[dark] if size > 6 else None
    elements.append(dots.opts(size=size, line_color=edge, tools=["hover"], **shade))
    shared = square(options(title, xlabel, ylabel, dark=dark), side if ringed else side - 70)
    limits: dict[str, Any] = {"xlim": (-reach, reach), "ylim": (-reach, reach), "show_legend": False}
    limits |= {"xticks": list(xticks)} if xticks is not None else {}
    limits |= {"yticks": list(yticks)} if yticks is not None else {}
    return overlay(elements, **{**shared, **limits})


def _spacing(points: NDArray[np.float64]) -> tuple[float, float]:
    """Smallest and median distance from a point to the next; 1 for a single one."""
    if len(points) < 2:
        return 1.0, 1.0
    distances = cKDTree(points).query(points, k=2)[0][:, 1]
    return float(distances.min()), float(np.median(distances))


def _is_flat(points: NDArray[np.float64]) -> bool:
    """Whether the points span the plane."""
    centred = points - points.mean(axis=0)
    return len(points) > 2 and int(np.linalg.matrix_rank(centred, tol=1e-6)) == 2


def _hull(points: NDArray[np.float64], dark: bool) -> hv.Element:
    corners = ConvexHull(points).vertices
    ring = points[np.append(corners, corners[0])]
    return hv.Curve((ring[:, 0], ring[:, 1]), "x", "y").opts(color=MUTED[dark], line_width=1)


def coupling_matrix(
    matrix: ArrayLike,
    blocks: Mapping[str, int] | Sequence[tuple[str, int]],
    *,
    title: str = "",
    ylabel: str = "pairs of states",
    rows: Sequence[tuple[str, int]] = (),
    dark: bool = False,
    height: int = 380,
) -> hv.Overlay:
    """The real change of basis from products of states (rows) to irreps (columns), block by block.

    Args:
        matrix: (n, n') coefficients; blue is positive, vermilion negative, paper zero.
        blocks: name and width of the columns' blocks, from the left.
        ylabel: what the rows are, the first one at the top.
        rows: name and width of blocks of rows, from the top; without them rows are numbered.

    Raises:
        ConfigError: blocks that do not fill the columns, or complex coefficients.
    """
    values = np.asarray(matrix)
    pairs = list(blocks.items()) if isinstance(blocks, Mapping) else list(blocks)
    if np.iscomplexobj(values) and np.abs(values.imag).max(initial=0.0) > 1e-12:
        raise ConfigError("expected real coefficients; draw real and imaginary parts on their own")
    if values.ndim != 2 or sum(width for _, width in pairs) != values.shape[1]:
        raise ConfigError(f"expected blocks that fill the {values.shape[-1]} columns, got {pairs}")
    n_rows, columns = values.shape
    top = max(float(np.abs(values).max(initial=0.0)), 1e-12)
    image = hv.Image(
        values.real[::-1], bounds=(0, 0, columns, n_rows), kdims=["irrep", "product"], vdims=["coefficient"]
    )
    style: dict[str, Any] = {
        "cmap": diverging(dark),
        "clim": (-top, top),
        "colorbar": True,
        "tools": ["hover"],
    }
    elements: list[hv.Element] = [image.opts(**style)]
    ends = np.cumsum([width for _, width in pairs])
    elements += [hv.VLine(float(end)).opts(color=MUTED[dark], line_width=1) for end in ends[:-1]]
    shared = options(title, "irreps of the product", ylabel, dark=dark, height=height)
    shared["hooks"] = [*shared["hooks"], _downwards(n_rows)]
    ticks: dict[str, Any] = {"xticks": _block_ticks(pairs, columns), "show_grid": False}
    if len(pairs) > 6:
        ticks["xrotation"] = 60
    if rows:
        edges = np.cumsum([width for _, width in rows])[:-1]
        elements += [hv.HLine(float(edge)).opts(color=GRID[dark], line_width=0.7) for edge in edges]
        ticks["yticks"] = _block_ticks(rows, n_rows)
    return overlay(elements, **{**shared, **ticks, "show_legend": False})


def _block_ticks(blocks: Sequence[tuple[str, int]], total: int) -> list[tuple[float, str]]:
    """The blocks' names at their centres, without those that would be written over their neighbour."""
    ends = np.cumsum([width for _, width in blocks])
    ticks: list[tuple[float, str]] = []
    for (name, width), end in sorted(zip(blocks, ends.tolist()), key=lambda row: -row[0][1]):
        at = float(end - width / 2)
        if all(abs(at - other) > 0.04 * total for other, _ in ticks):
            ticks.append((at, name))
    return sorted(ticks)


def _downwards(rows: int) -> Callable[[Any, Any], None]:
    """A hook that puts the first row at the top, as matrices are written."""

    def hook(plot: Any, element: Any) -> None:
        plot.state.y_range.start, plot.state.y_range.end = rows, 0

    return hook


def diverging(dark: bool) -> list[str]:
    """Vermilion for negative, paper for zero, blue for positive numbers."""
    low, high = GROUP_COLOURS["D_n"][dark], GROUP_COLOURS["SO+(1,3)"][dark]
    falling = [mix(low, PAPER[dark], step / 16) for step in range(16)]
    return [*falling, PAPER[dark], *(mix(PAPER[dark], high, step / 16) for step in range(1, 17))]


def orbit(
    parameters: ArrayLike,
    components: ArrayLike,
    names: Sequence[str],
    *,
    symmetry: str = "none",
    title: str = "",
    xlabel: str = "",
    dark: bool = False,
    height: int = 320,
) -> hv.Overlay:
    """Components of a vector while one parameter of the group is turned.

    Args:
        parameters: (n,) angle in radians, or rapidity.
        components: (n, d) real.
        names: d names for the legend.

    Raises:
        ConfigError: shapes that do not fit.
    """
    x, y = np.asarray(parameters, dtype=np.float64), np.asarray(components, dtype=np.float64)
    if y.shape != (len(x), len(names)):
        raise ConfigError(f"expected components of shape ({len(x)}, {len(names)}), got {y.shape}")
    elements = []
    for i, (name, style) in enumerate(zip(names, orbit_styles(len(names), symmetry, dark))):
        line = {"color": style["color"], "line_width": 2, "line_dash": style["line_dash"]}
        elements.append(hv.Curve((x, y[:, i]), "parameter", "component", label=name).opts(**line))
    return overlay(elements, legend_cols=4, **options(title, xlabel, "component", dark=dark, height=height))


def orbit_styles(count: int, symmetry: str, dark: bool) -> list[dict[str, Any]]:
    """Colour (shades of the group's), line dash and marker of each of ``count`` components."""
    base, dashes = group_colour(symmetry, dark), ("solid", "dashed", "dotted", "dotdash", "dashdot")
    markers = ("circle", "square", "triangle", "diamond", "inverted_triangle")
    light, deep = mix(base, PAPER[dark], 0.5 if count > 4 else 0.0), mix(base, INK[dark], 0.75)
    return [
        {
            "color": mix(light, deep, i / max(count - 1, 1)),
            "line_dash": dashes[i % len(dashes)],
            "marker": markers[i % len(markers)],
        }
        for i in range(count)
    ]


def bracket_map(
    names: Sequence[str],
    values: ArrayLike,
    texts: Sequence[Sequence[str]],
    marks: Sequence[Sequence[str]],
    *,
    symmetry: str | None = None,
    xlabel: str = "second",
    ylabel: str = "first",
    dark: bool = False,
    side: int = 340,
) -> hv.Overlay:
    """A table of all pairs as a picture: the bracket [row, column] of generators, or the product of elements.

    Args:
        names: n names, along both axes, the first at the upper left.
        values: (n, n) numbers that colour the cells; blue positive, vermilion negative.
        texts: n rows of n texts for hover.
        marks: n rows of n short texts written into the cells.
        symmetry: for numbers from 0 that only tell things apart: shades of this group's colour instead.

    Raises:
        ConfigError: shapes that do not fit.
    """
    z, n = np.asarray(values, dtype=np.float64), len(names)
    shapes = {(len(rows), *{len(row) for row in rows}) for rows in (texts, marks)}
    if z.shape != (n, n) or shapes != {(n, n)}:
        raise ConfigError(f"expected {n} x {n} values, texts and marks, got {z.shape} and {shapes}")
    top = max(float(np.abs(z).max(initial=0.0)), 1e-12)
    rows, columns = np.divmod(np.arange(n * n), n)
    cells = [(c, n - r - 1, c + 1, n - r, z[r, c], texts[r][c]) for c, r in zip(columns, rows)]
    colours, limits = diverging(dark), (-top, top)
    if symmetry is not None:
        base = group_colour(symmetry, dark)
        colours, limits = [mix(PAPER[dark], base, 0.08 + 0.8 * i / 31) for i in range(32)], (0.0, top)
    style: dict[str, Any] = {"color": "coefficient", "cmap": colours, "clim": limits}
    style |= {"line_color": GRID[dark], "line_width": 0.5, "tools": ["hover"]}
    style |= {"hover_tooltips": [("", "@bracket")]}
    elements: list[hv.Element] = [hv.Rectangles(cells, vdims=["coefficient", "bracket"]).opts(**style)]
    written = [(c + 0.5, n - r - 0.5, marks[r][c]) for r, c in zip(rows, columns) if marks[r][c]]
    if written and n <= 16:
        size = f"{max(6, min(10, round(0.38 * side / n)))}pt"
        labels = hv.Labels(written, ["x", "y"], "text")
        elements.append(labels.opts(text_font_size=size, text_color=INK[dark]))
    step = max(1, n // 12)
    x = [(i + 0.5, name) for i, name in enumerate(names) if i % step == 0]
    y = [(n - i - 0.5, name) for i, name in enumerate(names) if i % step == 0]
    shared = square(options("", xlabel, ylabel, dark=dark), side)
    more = {"xticks": x, "yticks": y, "xlim": (0, n), "ylim": (0, n), "show_grid": False}
    more |= {"show_legend": False, "xrotation": 60 if n > 6 or max(map(len, names)) > 3 else 0}
    return overlay(elements, **{**shared, **more})
