"""The numbers behind a figure as CSV."""

from __future__ import annotations

import csv
import io

import holoviews as hv
import numpy as np

_SKIPPED = (hv.VLine, hv.HLine, hv.Text, hv.Labels)


def to_csv(figure: hv.core.Dimensioned) -> str:
    """Every drawn element of ``figure`` in one long table.

    Columns: ``element`` (Curve, Area ...), ``series`` (its label), then the dimensions of all elements with
    their units; cells that an element lacks are empty.
    """
    tables = []
    for element in figure.traverse(lambda item: item, [hv.Element]):
        if isinstance(element, _SKIPPED):
            continue
        dimensions = [str(d.pprint_label) for d in element.dimensions()]
        values = [np.asarray(element.dimension_values(d)) for d in element.dimensions()]
        tables.append((type(element).__name__, element.label, dimensions, values))
    names = list(dict.fromkeys(name for _, _, dimensions, _ in tables for name in dimensions))
    out = io.StringIO()
    writer = csv.DictWriter(out, ["element", "series", *names], lineterminator="\n")
    writer.writeheader()
    for kind, label, dimensions, values in tables:
        for row in zip(*values):
            writer.writerow({"element": kind, "series": label, **dict(zip(dimensions, row))})
    return out.getvalue()
