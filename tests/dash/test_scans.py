from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dash_store import add_network, make_jets

from eqviz.dash import library, picker, scans
from eqviz.dash.jobs import Latest
from eqviz.dash.scans import Answers, Scanner, boosted, discriminants
from eqviz.dash.session import GAMMAS, Boost, Session
from eqviz.evaluation.invariance import boost_scan, deviation, transformed
from eqviz.kinematics import boost_matrix


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.01)


def test_scan_agrees_with_the_evaluation(store: Path) -> None:
    session = Session(store, chosen=["lorentznet-small"], axis="x", gamma=100.0, stable=False)
    wish = picker.wish_of(session)
    assert wish is not None
    (network,) = wish.networks
    answers = Answers()
    for gamma in (1.0, 100.0):
        unit = wish.unit(network, gamma)
        while not answers.done(unit):
            answers.advance(network, unit)
    batch = library.test_set(wish.data).batch.select(np.array(wish.rows))
    moved = transformed(batch, boost_matrix(100.0, "x"))
    expected = deviation(network.run.model(), batch, moved, stable=False)
    assert np.allclose(answers.get(wish.unit(network, 1.0)), expected.before, rtol=1e-4, atol=1e-5)
    point = answers.point(wish, network, 100.0)
    assert point is not None
    (row,) = boost_scan(network.run.model(), batch, gammas=[100.0], axis="x", stable=False, n_bootstrap=50)
    assert point.median == pytest.approx(row["median_rel"], rel=0.05)
    assert point.auc == pytest.approx(row["auc"], abs=0.01)
    assert point.auc_error == pytest.approx(row["auc_error"], rel=0.5)


def test_the_current_gamma_comes_first(store: Path) -> None:
    wish = picker.wish_of(Session(store, gamma=1000.0))
    assert wish is not None
    units = [unit for _, unit in wish.units()]
    n = len(wish.networks)
    assert {len(unit.rows) for unit in units[: 2 * n]} == {1}  # the jet on the screen
    assert {unit.boost.gamma for unit in units[2 * n : 4 * n]} == {1.0, 1000.0}
    assert {unit.boost.gamma for unit in units} == set(GAMMAS)


def test_gamma_1_is_the_same_for_all_controls(store: Path) -> None:
    session = Session(store, chosen=["pfn-small"])
    first = picker.wish_of(session)
    session.param.update(axis="random", moved=False, gamma=100.0)
    second = picker.wish_of(session)
    assert first is not None and second is not None
    assert first.unit(first.networks[0], 1.0) == second.unit(second.networks[0], 1.0)
    assert first.unit(first.networks[0], 10.0) != second.unit(second.networks[0], 10.0)


def test_latest_wish_wins(store: Path) -> None:
    answers, done = Answers(), []
    session = Session(store, chosen=["pfn-small"])
    first = picker.wish_of(session)
    assert first is not None
    wishes = [replace(first, row=row, boost=replace(first.boost, gamma=10.0, axis="x")) for row in range(9)]
    with answers.computing:  # nothing can be computed while all wishes come in
        scanner = Scanner(answers, lambda n, total: done.append((n, total)))
        for wish in wishes:
            scanner.want(wish)
    wait_for(lambda: bool(done) and done[-1][0] == done[-1][1])
    last = wishes[-1]
    assert answers.get(last.unit(last.networks[0], 10.0, single=True)) is not None
    singles = [answers.get(w.unit(w.networks[0], w.boost.gamma, single=True)) for w in wishes[1:-1]]
    assert all(values is None for values in singles)  # nobody would have seen them
    scanner.close()


def test_cancel_stops_and_a_new_wish_starts_again(store: Path) -> None:
    answers, done = Answers(), []
    wish = picker.wish_of(Session(store, chosen=["lorentznet-small"], axis="random"))
    assert wish is not None
    scanner = Scanner(answers, lambda n, total: done.append((n, total)))
    with answers.computing:
        scanner.want(wish)
        scanner.cancel()
    time.sleep(0.2)
    assert all(n < total for n, total in done)
    scanner.want(wish)
    wait_for(lambda: bool(done) and done[-1][0] == done[-1][1])
    scanner.close()
    scanner.want(wish)  # after the end of a session nothing starts any more
    assert scanner._wish is None


def test_a_network_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    jets = make_jets(tmp_path / "jets", 40)
    run = add_network(tmp_path / "runs", jets, "pfn-small")
    wish = picker.wish_of(Session(tmp_path / "runs"))
    assert wish is not None
    content = bytearray((run.folder / "weights.safetensors").read_bytes())
    content[40:60] = b"x" * 20
    (run.folder / "weights.safetensors").write_bytes(content)
    wish = picker.wish_of(Session(tmp_path / "runs", chosen=["pfn-small"]))
    if wish is None:  # the store has noticed by itself
        return
    answers = Answers()
    answers.advance(wish.networks[0], wish.unit(wish.networks[0], 1.0))
    assert "weights" in (answers.problem(wish.networks[0]) or "")


def test_random_axes_belong_to_the_jet(store: Path) -> None:
    data = library.data_name(Session(store).networks()[0].run)
    boost = Boost("random", True, 10.0)
    both, alone = boosted(data, [3, 7], boost), boosted(data, [7], boost)
    assert np.allclose(both.arrays()[1], alone.arrays()[0])


def test_broken_answers_count_as_background() -> None:
    y = discriminants(np.array([[0.0, 1.0], [np.nan, 1.0], [np.inf, np.inf]]))
    assert y[0] == 1.0
    assert (y[1:] < -1e300).all()


def test_refreshes_never_queue() -> None:
    calls: list[int] = []
    latest = Latest(lambda: calls.append(1))
    with latest._lock:
        latest._waiting = True
    for _ in range(100):
        latest()
    assert calls == []
    latest._run()
    latest()
    assert len(calls) == 2


def test_movers_are_sorted(store: Path) -> None:
    session = Session(store, chosen=["lorentznet-small"], stable=False, axis="x", gamma=1000.0)
    wish = picker.wish_of(session)
    assert wish is not None
    for gamma in (1.0, 1000.0):
        unit = wish.unit(wish.networks[0], gamma)
        while not scans.ANSWERS.done(unit):
            scans.ANSWERS.advance(wish.networks[0], unit)
    found = picker.movers(wish)
    sizes = [max(abs(change) for change in changes.values()) for _, changes in found]
    assert len(found) == 5
    assert sizes == sorted(sizes, reverse=True)
    assert pick_deviation(session) == found[0][0]


def pick_deviation(session: Session) -> int:
    return picker.pick(session, session.networks()[0].run, "deviation", 0)
