"""Which pictures every family of layers has, those of any network, and how to repeat them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from eqviz.dash.filters import data, planar, points, waves
from eqviz.dash.filters.look import Look, Picture
from eqviz.evaluation.learned.base import singular_values
from eqviz.evaluation.learned.pelican import Formula, read_formula
from eqviz.evaluation.run import Run
from eqviz.plots.filters import frequency_colours, kernel_map, mosaic, radial_profiles, symmetric
from eqviz.plots.formula import nanopelican_html
from eqviz.plots.learned import plane_map
from eqviz.plots.weights import paired_bars, weight_table

FAMILIES: dict[str, Callable[[Look], list[Picture]]] = {
    "kernels": planar.kernels,
    "patches": planar.kernels,
    "group": planar.group,
    "steerable": planar.steerable,
    "harmonic": waves.harmonic,
    "attention": waves.attention,
    "degrees": waves.degrees,
    "bells": points.bells,
    "gate": points.gate,
    "mixing": points.mixing,
    "encoding": points.encoding,
    "phi": points.phi,
}
_BARS = 32


def pictures(look: Look) -> list[Picture]:
    """Everything that there is to see of a layer.

    Raises:
        EqvizError: the jets that a picture needs are not here, or there are no weights before training.
    """
    family = FAMILIES.get(look.layer.family)
    found = family(look) if family else []
    kinds = [picture.stem.removesuffix(f"-{data.BEFORE}").removesuffix(f"-{data.AFTER}") for picture in found]
    order = sorted(range(len(found)), key=lambda i: (kinds.index(kinds[i]), i))
    # what belongs together stands side by side
    return _on_one_scale([(kinds[i], found[i]) for i in order]) if look.state == data.BOTH else found


def _on_one_scale(found: list[tuple[str, Picture]]) -> list[Picture]:
    """The same pictures; colours of both states of a map mean the same."""
    out = []
    for kind, picture in found:
        draw = picture.draw
        maps = [other.draw for name, other in found if name == kind and isinstance(other.draw, partial)]
        if isinstance(draw, partial) and draw.func in (mosaic, kernel_map, weight_table, plane_map) and maps:
            ends = [one.keywords.get("limits") or _limits(one) for one in maps]
            limits = min(low for low, _ in ends), max(high for _, high in ends)
            picture = replace(picture, draw=partial(draw, limits=limits))
        out.append(picture)
    return out


def _limits(draw: partial[Any]) -> tuple[float, float]:
    """The limits that a map would have by itself."""
    low, high = symmetric(draw.args[0])
    return (0.0, high) if draw.func is plane_map else (low, high)


def formula(look: Look) -> tuple[str, str, str]:
    """nanoPELICAN as HTML, as CSV, and the caption."""
    parts, rows = [], [["state", "term", "value"]]
    for state in look.states:
        found: Formula = look.read(state, read_formula)
        channels = [found.terms(h) for h in range(len(found.b))]
        letters = "r<sub>i</sub>: mean of d<sub>ij</sub> over j; s: mean over all pairs; "
        letters += "δ<sub>ij</sub>: 1 where i = j, else 0"
        html = nanopelican_html(
            channels, found.u.tolist(), found.v.tolist(), found.c, encoded=found.encoded, explain=letters
        )
        heading = data.STATES[state].capitalize()
        parts.append(
            f"<p style='margin:0.6em 0 0'><b>{heading}</b></p>{html}" if len(look.states) > 1 else html
        )
        for h, terms in enumerate(channels, 1):
            rows += [[state, f"z{h} {name or 'constant'}", f"{value:.9g}"] for name, value in terms]
            rows += [[state, f"u{h}", f"{found.u[h - 1]:.9g}"], [state, f"v{h}", f"{found.v[h - 1]:.9g}"]]
        rows.append([state, "c", f"{found.c:.9g}"])
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    whole = " Light-like particles have d_ii = 0 and d_ij = d_ji: what is then equal is one term."
    caption = (
        "The whole network, for a jet of any number of particles; y is the logit of the signal less that of "
        f"the background.{whole if found.massless else ''}"
    )
    return "".join(parts), out.getvalue(), caption


def how_far(run: Run, dark: bool) -> Picture:
    """How far every module of the network moved in training."""
    rows = [row for row in data.how_far(run) if np.isfinite(row.relative)]
    shown = sorted(sorted(rows, key=lambda row: -row.n_weights)[:_BARS], key=rows.index)
    names = [_short(row.name) for row in shown]
    draw = partial(
        paired_bars, names, [row.relative for row in shown], ylabel="|W − W₀| / |W₀|", symmetry=run.symmetry,
        dark=dark, height=320,
    )  # fmt: skip
    part = "" if len(shown) == len(rows) else f", the {len(shown)} largest of {len(rows)}"
    epochs = int(run.config.get("training", {}).get("epochs", 0))
    text = (
        f"Change of every module's weights in training ({epochs} epochs at most) relative to its first "
        f"weights{part}; modules that started at zero are left out."
    )
    return Picture("How far each layer moved", "moved", text, draw)


def _short(name: str) -> str:
    """A module's name without what all have in common."""
    kept = [part for part in name.split(".") if part not in ("trunk", "body", "_modules")]
    return ".".join(kept)


def spectra(run: Run, dark: bool) -> Picture | None:
    """Singular values of the linear layers: for networks that have no filters to show."""
    model = data.network(run, data.AFTER)
    linear = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    linear = [pair for pair in linear if min(pair[1].weight.shape) > 1][:8]
    if not linear:
        return None
    values = [singular_values(layer) for _, layer in linear]
    longest = max(map(len, values))
    colours = frequency_colours(len(linear), run.symmetry, dark)
    curves = [
        (name, np.append(row / row[0], np.full(longest - len(row), np.nan)), colour, "solid")
        for (name, _), row, colour in zip(linear, values, colours)
    ]
    draw = partial(
        radial_profiles, np.arange(1, longest + 1), curves, xlabel="number", dark=dark,
        ylabel="singular value over the largest",
    )  # fmt: skip
    text = f"Singular values of {len(linear)} linear layers: how many directions each of them uses."
    return Picture("Linear layers", "singular-values", text, draw)
