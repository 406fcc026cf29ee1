"""The visual language, defined once: colour = symmetry group, marker = architecture, line style = variant.

The palette is Okabe and Ito's (readable with every common colour vision deficiency), with a second set of
the same hues for dark backgrounds. Runs that share a group get shades of its colour; faithful originals have
hollow markers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import log2
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh
from bokeh.models.annotations import Span

from eqviz.errors import UnknownNameError

hv.Store.set_current_backend("bokeh")

GROUP_COLOURS: dict[str, tuple[str, str]] = {  # family: (on light, on dark)
    "none": ("#7A7A7A", "#A6A6A6"),
    "S_n": ("#56B4E9", "#8CD3F7"),
    "C_n": ("#E69F00", "#F0B429"),
    "D_n": ("#D55E00", "#F0803C"),
    "SO(2)": ("#CC79A7", "#E39CC4"),
    "SO(3)": ("#009E73", "#2FC79B"),
    "SO+(1,3)": ("#0072B2", "#3E93DC"),
    "broken Lorentz": ("#A5762A", "#C99A4B"),
    "SU(N)": ("#6A3FA0", "#B08CF0"),
    "SO(2,4)": ("#00737F", "#35B8C4"),
    "simple": ("#9B1B4D", "#F0719C"),
}
# Shades of runs that share a group, the most different first. Chosen in OKLab: 0.07 or more away from each
# other and from every other group's colours (blue made lighter would be the sky blue of permutations).
GROUP_SHADES: dict[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {  # family: (on light, on dark)
    "none": (("#4D4A44", "#C4C4C4", "#A4A4A4"), ("#6C6863", "#C7C4BD", "#8C8982")),
    "S_n": (("#345976", "#7BD1F8", "#10465B"), ("#5B8190", "#BDE6F6", "#6A9AB0")),
    "C_n": (("#7B5E20", "#BB995E", "#D8B97C"), ("#776021", "#FDD66C", "#977920")),
    "D_n": (("#521800", "#FDB399", "#764014"), ("#A3461B", "#FFBC9E", "#AE7353")),
    "SO(2)": (("#5B0348", "#F79ADA", "#A6518E"), ("#904D6C", "#FDCDEE", "#B26A9E")),
    "SO(3)": (("#013B22", "#71B690", "#2BDFB6"), ("#006F53", "#68FEBC", "#2E996C")),
    "SO+(1,3)": (("#00314E", "#568FBD", "#064981"), ("#0B73C9", "#6CAEFF", "#3F638A")),
    "broken Lorentz": (("#3C2A03", "#A18C66", "#533B01"), ("#BC7D1D", "#F3DBB0", "#DAB383")),
    "SU(N)": (("#3B007D", "#AE93FD", "#8965DC"), ("#6C4CBC", "#80689A", "#9367D8")),
    "SO(2,4)": (("#91BDC6", "#0D919C", "#5CA6AD"), ("#24767D", "#61F8FB", "#34D6DA")),
    "simple": (("#6A2E46", "#FC899B", "#CA3059"), ("#BD2758", "#B25B6E", "#E04C74")),
}
ARCHITECTURE_MARKERS: dict[str, str] = {
    "lorentznet": "circle",
    "pfn": "square",
    "efn": "square_pin",
    "d4cnn": "diamond",
    "cnn": "hex",
    "lgn": "triangle",
    "pelican": "inverted_triangle",
    "nanopelican": "asterisk",
    "particlenet": "star",
    "part": "plus",
    "lgatr": "triangle_pin",
}
VARIANT_DASHES: dict[str, str] = {
    "stable": "solid", "naive": "dashed", "original": "dotted", "lite": "dashed",
}  # fmt: skip
SPARE_MARKERS = ("circle_cross", "diamond_cross", "square_cross", "hex_dot", "star_dot", "circle_y")

INK: dict[bool, str] = {False: "#1F2328", True: "#E6E6E6"}
MUTED: dict[bool, str] = {False: "#8A8F98", True: "#80858E"}
PAPER: dict[bool, str] = {False: "#FFFFFF", True: "#121212"}
GRID: dict[bool, str] = {False: "#E4E6EA", True: "#2E3136"}

_LORENTZ = re.compile(r"^(SO\+?\(1,3\)|O\(1,3\)|Lorentz)")
_PLANAR = re.compile(r"^([CD])_?(\d+)$")
_FAMILIES = [  # what is not a family itself: further groups, and the groups they extend
    (re.compile(r"^(U\(1\)|O\(2\)|S?E\(2\))$"), "SO(2)"),
    (re.compile(r"^(SU\(2\)|O\(3\)|S?E\(3\))$"), "SO(3)"),
    (re.compile(r"^(Poincare|Poincaré|SO\(1,1\)|SL\(2,C\))$"), "SO+(1,3)"),
    (re.compile(r"^S_(N|\d+)$"), "S_n"),
    (re.compile(r"^SU\(2,2\)$"), "SO(2,4)"),
    (re.compile(r"^SU\(\d+\)$"), "SU(N)"),
    (re.compile(r"^((SO|Spin|Sp)\(\d+\)|[A-G]_?\d+)$"), "simple"),
]


@dataclass(frozen=True)
class Tag:
    """What the style of one curve says: the run's label, group, architecture, variant and shade."""

    label: str
    symmetry: str = "none"
    architecture: str = ""
    variant: str = "stable"
    shade: int = 0

    def colour(self, dark: bool = False) -> str:
        """Hex colour of the symmetry group, shaded for the ``shade``-th run that shares it."""
        return group_colour(self.symmetry, dark, self.shade)

    @property
    def marker(self) -> str:
        """Bokeh marker of the architecture."""
        return architecture_marker(self.architecture)

    def point(self, dark: bool = False) -> dict[str, Any]:
        """HoloViews options of its points: colour and marker, hollow for a faithful original."""
        style: dict[str, Any] = {"color": self.colour(dark), "marker": self.marker}
        return {**style, "fill_color": PAPER[dark], "line_width": 1.6} if self.hollow else style

    @property
    def hollow(self) -> bool:
        """Whether points are drawn hollow: the network is a faithful original, its lines are dotted."""
        return self.variant == "original"

    @property
    def dash(self) -> str:
        """Bokeh line dash of the variant."""
        if self.variant not in VARIANT_DASHES:
            raise UnknownNameError("variant", self.variant, VARIANT_DASHES)
        return VARIANT_DASHES[self.variant]


def group_colour(symmetry: str, dark: bool = False, shade: int = 0) -> str:
    """Colour of a symmetry group by name (``"none"``, ``"S_n"``, ``"D4"``, ``"SO+(1,3)"`` ...).

    C_n and D_n run from orange to vermilion with growing n; SU(2) has the colour of rotations, SU(N) violet,
    the conformal group teal, other simple algebras ruby, a semi-direct product that of its linear part; a
    name of the form ``"A x B"`` has A's colour; anything else is drawn in the colour of text. ``shade``
    from 1 to 3 gives other shades of the same hue, for runs that share the group.
    """
    name = re.split(r"\s*[x×]\s*", symmetry.strip())[0]
    if name in GROUP_COLOURS:
        return _family_colour(name, dark, shade)
    if "broken" in name.lower():
        return _family_colour("broken Lorentz", dark, shade)
    if _LORENTZ.match(name):
        return _family_colour("SO+(1,3)", dark, shade)
    if planar := _PLANAR.match(name):
        order = int(planar[2]) * (2 if planar[1] == "D" else 1)
        fraction = min(1.0, max(0.0, (log2(max(order, 1)) - 1) / 3))
        return mix(_family_colour("C_n", dark, shade), _family_colour("D_n", dark, shade), fraction)
    family = next((family for pattern, family in _FAMILIES if pattern.match(name)), "")
    if family:
        return _family_colour(family, dark, shade)
    return mix(INK[dark], PAPER[dark], 0.2 * (shade % 4))


def _family_colour(family: str, dark: bool, shade: int) -> str:
    return (GROUP_COLOURS[family][dark], *GROUP_SHADES[family][dark])[shade % 4]


def architecture_marker(architecture: str) -> str:
    """Bokeh marker of an architecture; one without its own gets a spare that depends on its name only.

    A faithful original (``"lgn-original"``) has the marker of the architecture that it is an original of.
    """
    if not architecture:
        return "circle"
    name = architecture.lower().removesuffix("-original")
    return ARCHITECTURE_MARKERS.get(name, SPARE_MARKERS[sum(map(ord, name)) % len(SPARE_MARKERS)])


def mix(first: str, second: str, fraction: float) -> str:
    """Hex colour between two, 0 = ``first``, 1 = ``second``."""
    pairs = [(int(first[i : i + 2], 16), int(second[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * fraction):02X}" for a, b in pairs)


def shade_repeats(tags: Sequence[Tag]) -> list[Tag]:
    """The same tags with the shades set so that runs of equal group and variant stay apart."""
    seen: dict[tuple[str, str], int] = {}
    out = []
    for tag in tags:
        key = (group_colour(tag.symmetry), tag.variant)
        out.append(replace(tag, shade=seen.get(key, 0)))
        seen[key] = seen.get(key, 0) + 1
    return out


def apply(dark: bool = False) -> None:
    """Load HoloViews' Bokeh backend and make figures of other origin match ours (for notebooks)."""
    hv.extension("bokeh", logo=False)
    hv.opts.defaults(
        hv.opts.Curve(hooks=[theme_hook(dark)], fontsize=FONTS),
        hv.opts.Scatter(hooks=[theme_hook(dark)], fontsize=FONTS),
        hv.opts.Overlay(hooks=[theme_hook(dark)], fontsize=FONTS),
    )


FAMILY = "Roboto, Helvetica, Arial, sans-serif"
FONTS: dict[str, str] = {
    "title": "12pt",
    "labels": "11.5pt",
    "ticks": "11pt",
    "legend": "11pt",
    "legend_title": "11pt",
}


def theme_hook(dark: bool) -> Callable[[Any, Any], None]:
    """A HoloViews hook that colours a Bokeh figure's paper, axes, grid, title and legend."""

    def hook(plot: Any, element: Any) -> None:
        figure = plot.state
        ink, grid, paper = INK[dark], GRID[dark], PAPER[dark]
        figure.background_fill_color = figure.border_fill_color = paper
        figure.outline_line_color = None
        figure.output_backend = "canvas"  # WebGL is slower below 10,000 points, most of all without a GPU
        figure.title.text_color = ink
        figure.title.text_font = FAMILY
        figure.title.text_font_size = FONTS["title"]
        figure.title.text_font_style = "normal"
        for axis in (*figure.xaxis, *figure.yaxis):
            axis.axis_label_text_color = axis.major_label_text_color = ink
            axis.axis_label_text_font_style = "normal"
            axis.axis_label_text_font = axis.major_label_text_font = FAMILY
            axis.axis_line_color = axis.major_tick_line_color = MUTED[dark]
            axis.minor_tick_line_color = None
        for lines in (*figure.xgrid, *figure.ygrid):
            if lines.grid_line_color is not None:
                lines.grid_line_color = grid
        for legend in figure.legend:
            legend.label_text_color = ink
            legend.label_text_font = FAMILY
            legend.background_fill_alpha = legend.border_line_alpha = 0
            legend.padding, legend.margin, legend.spacing = 2, 0, 8
            legend.glyph_width = 46  # dashes and dots must show on both sides of the marker
        figure.toolbar.logo = None
        figure.toolbar.autohide = True
        figure.toolbar_inner = True

    return hook


def options(
    title: str,
    xlabel: str,
    ylabel: str,
    *,
    dark: bool = False,
    height: int = 360,
    hooks: Iterable[Callable[[Any, Any], None]] = (),
    **more: Any,
) -> dict[str, Any]:
    """HoloViews options that every figure shares: size, fonts, tools, legend below, theme."""
    return {
        "title": title,
        "xlabel": xlabel,
        "ylabel": ylabel,
        "responsive": True,
        "height": height,
        "min_width": 260,
        "fontsize": FONTS,
        "default_tools": ["save", "box_zoom", "pan", "reset"],
        "active_tools": [],
        "toolbar": "above",
        "show_grid": True,
        "framewise": True,
        "hooks": [theme_hook(dark), *hooks],
        **more,
    }


def square(shared: dict[str, Any], side: int = 340) -> dict[str, Any]:
    """The same options for a frame of ``side`` by ``side`` pixels instead of one that fills its place."""
    kept = {k: v for k, v in shared.items() if k not in ("responsive", "height", "min_width")}
    return {**kept, "frame_width": side, "frame_height": side}


def at_hook(position: float, dark: bool) -> Callable[[Any, Any], None]:
    """A hook that marks ``position`` on the horizontal axis by a Bokeh Span named ``"at"``.

    Moving the mark later is one property of one model: ``figure.select_one({"name": "at"}).location = x``.
    """

    def hook(plot: Any, element: Any) -> None:
        if plot.state.select_one({"name": "at"}) is None:
            mark = Span(location=position, dimension="height", name="at", line_width=1.8, line_alpha=0.75)
            mark.line_color = INK[dark]
            mark.level = "overlay"  # on a canvas of its own: a mark that moves does not paint the curves anew
            plot.state.add_layout(mark)

    return hook


def overlay(elements: Sequence[hv.Element], legend_cols: int = 2, **shared: Any) -> hv.Overlay:
    """Elements drawn over one another with the shared options and the legend below the frame."""
    bottom = {"legend_position": "bottom", "legend_cols": legend_cols, "show_legend": True}
    return hv.Overlay(list(elements)).opts(hv.opts.Overlay(**{**bottom, **shared}, backend="bokeh"))
