"""What the answers that are there amount to: curves against gamma, points before and after, what is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eqviz.dash import readings
from eqviz.dash.scans import ANSWERS, Wish, discriminants
from eqviz.dash.session import GAMMAS, Network


@dataclass(frozen=True)
class Curve:
    """Deviation and AUC of one network by growing gamma."""

    gamma: list[float]
    median: list[float]
    low: list[float]
    high: list[float]
    auc: list[float]
    auc_error: list[float]
    n_jets: int


def curve(wish: Wish, network: Network) -> Curve:
    """Deviation and AUC against gamma: stored rows where there are any, else what the scan has so far."""
    rows = readings.invariance_rows(network, wish.boost.axis, wish.boost.moved)
    if rows:
        names = ("parameter", "median_rel", "low_rel", "high_rel", "auc", "auc_error")
        stored = [[float("nan") if row[name] is None else float(row[name]) for row in rows] for name in names]
        gamma, median, low, high, auc, error = stored
        return Curve(gamma, median, low, high, auc, error, int(rows[0]["n_jets"]))
    found = [p for p in (ANSWERS.point(wish, network, gamma) for gamma in GAMMAS) if p is not None]
    fields = ("gamma", "median", "low", "high", "auc", "auc_error")
    gamma, median, low, high, auc, error = ([getattr(point, name) for point in found] for name in fields)
    return Curve(gamma, median, low, high, auc, error, len(wish.rows))


def n_points(wish: Wish) -> tuple[int, ...]:
    """How many points the curve of each network has: tells whether to draw it anew."""
    return tuple(len(curve(wish, network).gamma) for network in wish.networks)


def pairs(wish: Wish) -> list[tuple[Network, Any, Any]]:
    """Per network the answers before and after, both empty while one of them is not computed yet."""
    out: list[tuple[Network, Any, Any]] = []
    for network in wish.networks:
        before = ANSWERS.get(wish.unit(network, 1.0))
        after = ANSWERS.get(wish.unit(network, wish.boost.gamma))
        if before is None or after is None:
            out.append((network, [], []))
        else:
            out.append((network, discriminants(before), discriminants(after)))
    return out


def befores(wish: Wish) -> list[Any]:
    """The answers before the boost, of the networks that have them."""
    found = [ANSWERS.get(wish.unit(network, 1.0)) for network in wish.networks]
    return [discriminants(before) for before in found if before is not None]


def answered(wish: Wish) -> tuple[bool, ...]:
    """Which answers there are for what is on the screen."""
    gammas, kinds = (1.0, wish.boost.gamma), (True, False)
    return tuple(
        ANSWERS.get(wish.unit(network, gamma, single)) is not None
        for network in wish.networks
        for gamma in gammas
        for single in kinds
    )
