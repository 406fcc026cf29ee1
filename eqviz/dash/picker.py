"""Which jet to look at: random, by score, by how far its answer moved, or by number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eqviz.dash import library, readings
from eqviz.dash.scans import ANSWERS, Wish, discriminants
from eqviz.dash.session import Session
from eqviz.errors import DataError
from eqviz.evaluation.run import Run

KINDS: dict[str, str] = {
    "at random": "random",
    "most signal-like": "signal",
    "most background-like": "background",
    "least certain": "uncertain",
    "worst mistake": "mistake",
    "largest deviation": "deviation",
    "by number": "number",
}


def pick(session: Session, run: Run, kind: str, step: int) -> int:
    """Row of the ``step``-th jet in the order that ``kind`` asks for, judged by ``run``.

    Raises:
        DataError: an order that needs a scan of the Boosts tab which has not been made yet.
    """
    if kind == "deviation":
        order = _by_deviation(session)
    else:
        found = readings.scores(run)
        order = found.index[_order(kind, found.labels, discriminants(found.logits))]
    return int(order[step % len(order)])


def _order(kind: str, labels: NDArray[np.int64], y: NDArray[np.float64]) -> NDArray[np.int64]:
    if kind == "signal":
        return np.argsort(-y, kind="stable")
    if kind == "background":
        return np.argsort(y, kind="stable")
    if kind == "uncertain":
        return np.argsort(np.abs(y), kind="stable")
    if kind == "mistake":
        return np.argsort(np.where(labels == 1, y, -y), kind="stable")
    return np.random.default_rng(len(y)).permutation(len(y))


def _by_deviation(session: Session) -> NDArray[np.int64]:
    rows = [row for row, _ in movers(wish_of(session), limit=None)]
    if not rows:
        raise DataError("No boosted jets yet: open the Boosts tab and let the scan reach this γ.")
    return np.array(rows)


def wish_of(session: Session) -> Wish | None:
    """What the Boosts tab shows now, or None without a network whose jets are here."""
    networks = session.boosted_networks()
    if not networks or library.problem_with_jets(networks[0].run):
        return None
    run = networks[0].run
    data = library.data_name(run)
    rows = tuple(int(row) for row in library.shown_jets(data, readings.n_test(run)))
    return Wish(
        tuple(networks), data, session.boost(), min(session.jet, len(library.test_set(data)) - 1), rows
    )


def movers(wish: Wish | None, limit: int | None = 5) -> list[tuple[int, dict[str, float]]]:
    """The jets whose answers moved most: (row, change of Y per network), largest first, of all networks."""
    if wish is None:
        return []
    changes: dict[str, NDArray[np.float64]] = {}
    for network in wish.networks:
        before = ANSWERS.get(wish.unit(network, 1.0))
        after = ANSWERS.get(wish.unit(network, wish.boost.gamma))
        if before is not None and after is not None:
            changes[network.tag.label] = discriminants(after) - discriminants(before)
    if not changes:
        return []
    size = np.max([np.abs(change) for change in changes.values()], axis=0)
    order = np.argsort(-size, kind="stable")[:limit]
    return [(wish.rows[i], {label: float(change[i]) for label, change in changes.items()}) for i in order]
