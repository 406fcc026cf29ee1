"""The two tables of the Boosts tab: the jets that moved most, and the answers to one jet."""

from __future__ import annotations

from typing import Any

from eqviz.dash import library
from eqviz.dash.picker import movers
from eqviz.dash.scans import ANSWERS, Wish, discriminants
from eqviz.plots import captions

Rows = list[dict[str, Any]]
_NO_ANSWER = 1e300
ANSWER_COLUMNS: Rows = [
    {"key": "network", "title": "network", "kind": "text"},
    {"key": "before", "title": "Y before"},
    {"key": "after", "title": "Y after"},
    {"key": "change", "title": "|Y′−Y| / |Y|"},
]


def mover_columns(wish: Wish) -> Rows:
    """Jet, truth, and one column per network."""
    columns: Rows = [{"key": "jet", "title": "jet"}, {"key": "truth", "title": "truth", "kind": "text"}]
    labels = [network.tag.label for network in wish.networks]
    return columns + [{"key": label, "title": label, "unit": "Y′ − Y"} for label in labels]


def mover_rows(wish: Wish) -> Rows:
    """The five jets whose answers moved most, of any network."""
    data = library.test_set(wish.data)
    rows: Rows = []
    for row, changes in movers(wish):
        cells: dict[str, Any] = {"jet": {"text": str(row), "value": row}}
        cells["truth"] = {"text": data.class_names[int(data.labels[row])]}
        cells |= {label: {"text": _text(v, "+.2e"), "value": abs(v)} for label, v in changes.items()}
        rows.append({"id": str(row), "cells": cells, "on": row == wish.row})
    return rows


def mover_caption(wish: Wish, rows: Rows) -> str:
    """What the table shows, or that it is being computed."""
    n = captions.jets(len(wish.rows))
    if not rows:
        return f"The {n} are being computed …"
    return f"Of {n} at γ = {wish.boost.gamma:,.4g}; click one to see it below."


def answer_rows(wish: Wish, dark: bool) -> Rows:
    """Y of the chosen jet before and after, per network."""
    rows: Rows = []
    for network in wish.networks:
        first = ANSWERS.get(wish.unit(network, 1.0, single=True))
        second = ANSWERS.get(wish.unit(network, wish.boost.gamma, single=True))
        cells: dict[str, Any] = {"network": {"text": network.tag.label}}
        if first is None or second is None:
            cells |= {key: {"text": "…"} for key in ("before", "after", "change")}
        else:
            y, z = float(discriminants(first)[0]), float(discriminants(second)[0])
            change = abs(z - y) / abs(y) if y else float(z != y)
            cells["before"] = {"text": _text(y, "+.4f"), "value": y}
            cells["after"] = {"text": _text(z, "+.4f" if abs(z) < 1e6 else "+.2e"), "value": z}
            cells["change"] = {"text": _text(change, ".1e"), "value": change}
        tag = network.tag
        rows.append({"id": tag.label, "cells": cells, "colour": tag.colour(dark), "hollow": tag.hollow})
    return rows


def answer_caption(wish: Wish) -> str:
    """Which jet it is, and what Y means."""
    data = library.test_set(wish.data)
    name = data.class_names[int(data.labels[wish.row])]
    return f"Jet {wish.row} is {name}; Y = logit(signal) − logit(background)."


def _text(value: float, form: str) -> str:
    """A number; ``discriminants`` puts the lowest of all numbers where a network gave none."""
    if not abs(value) < _NO_ANSWER:
        return "not finite"
    return f"{value:{form}}" if value else "0"
