"""The figures of the Representations tab that belong to a group or an irrep alone, with their captions."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from eqviz.dash.representations import catalogue
from eqviz.dash.representations.brackets import bracket_table
from eqviz.groups.base import Group
from eqviz.groups.simple import SimpleAlgebra
from eqviz.groups.weight_points import WeightPoints, root_points
from eqviz.plots.representations import bracket_map, weight_diagram

_SIDE = 250
_LARGE = 340


def weights(name: str, text: str, dark: bool) -> tuple[hv.Overlay, str]:
    """Weight diagram of an irrep and its caption.

    Raises:
        EqvizError: no such irrep, or one that is too large.
    """
    found, size = catalogue.diagram(name, text), catalogue.dimension(name, text)
    states = f"{size:,} state{'' if size == 1 else 's'} on {len(found.points):,} places"
    caption = f"{catalogue.irrep_name(name, text)} of {name}: {states}; {found.note}."
    return _drawn(found, catalogue.symmetry(name).name, dark, _SIDE), caption


def roots(name: str, dark: bool) -> tuple[hv.Overlay, str]:
    """The roots of a simple algebra and their caption."""
    algebra = catalogue.symmetry(name)
    assert isinstance(algebra, SimpleAlgebra)
    found = root_points(algebra)
    caption = f"The {int(found.counts.sum())} roots of {name}; {found.note}."
    return _drawn(found, algebra.name, dark, _LARGE), caption


def _drawn(found: WeightPoints, symmetry: str, dark: bool, side: int) -> hv.Overlay:
    reach = 1.25 * max(float(np.abs(found.points).max()), 0.5)
    x, y = catalogue.ticks((found.xlabel, found.ylabel), reach)
    if not found.ylabel and not found.points[:, 1].any():
        y = [(0.0, " ")]
    return weight_diagram(
        found.points, found.counts, symmetry=symmetry, names=found.names, xlabel=found.xlabel,
        ylabel=found.ylabel, xticks=x, yticks=y, outline=found.outlined, dark=dark, side=side,
    )  # fmt: skip


def bracket_title(name: str) -> str:
    """What the table of all pairs is called for this kind of group."""
    found = catalogue.symmetry(name)
    if not isinstance(found, Group):
        return "Cartan matrix"
    return "Structure constants" if found.algebra_dimension else "Multiplication table"


def bracket_figure(name: str, dark: bool) -> tuple[hv.Overlay, str]:
    """Structure constants, Cartan matrix or multiplication table, and the caption.

    Raises:
        EqvizError: too many generators or elements.
    """
    title, table = bracket_title(name), bracket_table(name)
    text = f"[row, column] of the generators in exp(c·X) without i, by its largest coefficient; {table.note}."
    x, y, symmetry = "second generator", "first generator", None
    if title == "Multiplication table":
        text = f"row · column, the column acting first, shaded by number; {table.note}."
        x, y, symmetry = "element", "element", catalogue.symmetry(name).name
    if title == "Cartan matrix":
        text = f"Dynkin labels of the simple roots, [h_j, e_i] = A_ij e_i in Bourbaki's order; {table.note}."
        x, y = "Dynkin label", "simple root"
    figure = bracket_map(
        table.names, table.values, table.texts, table.marks, symmetry=symmetry, xlabel=x, ylabel=y,
        dark=dark, side=_LARGE,
    )  # fmt: skip
    return figure, text
