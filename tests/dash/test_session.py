from __future__ import annotations

from pathlib import Path

import numpy as np
import param
import pytest
from helpers import make_run

from eqviz.dash.picker import KINDS, pick
from eqviz.dash.readings import boost_deviation, invariance_rows, roc_series, scores, with_error
from eqviz.dash.session import ADDRESS, GAMMAS, Session, nearest_gamma
from eqviz.dash.variants import has_stable_form, is_original
from eqviz.errors import DataError


def test_a_choice_is_made_for_the_newcomer(store: Path) -> None:
    session = Session(store)
    names = [network.run.id for network in session.networks()]
    assert len(names) == 3
    assert names[-1] == "lorentznet-published"  # the faithful original comes last


def test_four_runs_at_most(tmp_path: Path) -> None:
    for number in range(5):
        make_run(tmp_path, f"run-{number}", seed=number)
    session = Session(tmp_path, chosen=["run-0"])
    assert [session.toggle(f"run-{number}") for number in (1, 2, 3)] == ["", "", ""]
    assert "At most 4" in session.toggle("run-4")
    assert session.toggle("run-2") == ""
    assert [network.run.id for network in session.networks()] == ["run-0", "run-1", "run-3"]
    assert len({network.tag.colour() for network in session.networks()}) == 3


def test_names_from_an_old_link_are_ignored(store: Path) -> None:
    session = Session(store, chosen=["gone", "pfn-small", "pfn-small"])
    assert [network.run.id for network in session.networks()] == ["pfn-small"]


def test_failed_and_damaged_runs_cannot_be_chosen(tmp_path: Path) -> None:
    make_run(tmp_path, "good")
    damaged = make_run(tmp_path, "damaged")
    (damaged.folder / "metrics.json").unlink()
    session = Session(tmp_path)
    session.store.record_failure("failed", {"model": {"name": "pfn"}}, "Traceback\nValueError: no")
    session.reload()
    assert {run.id for run in session.listed()} == {"good", "damaged", "failed"}
    assert "metrics.json" in session.toggle("damaged")
    assert "ValueError: no" in session.toggle("failed")
    assert [network.run.id for network in session.networks()] == ["good"]


def test_filters(store: Path) -> None:
    session = Session(store, group="S_n")
    assert [run.id for run in session.listed()] == ["pfn-small"]
    session.param.update(group="", architecture="lorentznet")
    assert len(session.listed()) == 2


def test_originals_keep_their_arithmetic(store: Path) -> None:
    session = Session(store, chosen=["lorentznet-small", "pfn-small"], stable=False, dtype="float64")
    first, second = session.boosted_networks()
    assert (first.stable, first.tag.dash, first.dtype) == (False, "dashed", "float64")
    assert (second.stable, second.tag.dash) == (True, "solid")  # a PFN has one arithmetic only
    session.original = True
    last = session.boosted_networks()[-1]
    assert (last.run.id, last.stable, last.dtype, last.tag.dash) == (
        "lorentznet-published", False, "float32", "dotted",
    )  # fmt: skip
    session.toggle("lorentznet-published")
    assert len(session.boosted_networks()) == 3  # chosen and asked for: shown once
    session.param.update(original=False, stable=True)
    chosen = session.boosted_networks()[-1]
    assert (chosen.tag, chosen.stable) == (last.tag, False)  # an original by itself is drawn as one too
    assert session.networks()[-1].tag == last.tag
    assert last.run.config["model"]["params"] == {}  # what the run was asked for does not say so
    assert is_original(last.run)
    assert has_stable_form(last.run)


def test_address_holds_every_choice() -> None:
    local = {"name", "group", "architecture", "dark", "version"}
    assert set(ADDRESS) == set(Session.param) - local
    assert len(set(ADDRESS.values())) == len(ADDRESS)


def test_bounds(store: Path) -> None:
    session = Session(store)
    with pytest.raises(ValueError, match="gamma"):
        session.gamma = 0.5
    with pytest.raises(ValueError, match="axis"):
        session.axis = "w"
    assert isinstance(session, param.Parameterized)
    assert [nearest_gamma(g) for g in (1.0, 9.0, 1e4)] == [1.0, 10.0, 1e4]
    assert GAMMAS[0] == 1.0
    assert GAMMAS[-1] == 1e4


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind not in ("number", "deviation")])
def test_jets_are_picked_by_score(store: Path, kind: str) -> None:
    session = Session(store, chosen=["pfn-small"])
    run = session.networks()[0].run
    found = scores(run)
    y = dict(zip(found.index, found.logits[:, 1] - found.logits[:, 0]))
    first, second = (pick(session, run, kind, step) for step in (0, 1))
    assert first != second
    ordered = {"signal": y[first] >= y[second], "background": y[first] <= y[second]}
    assert ordered.get(kind, True)
    if kind == "uncertain":
        assert abs(y[first]) == min(map(abs, y.values()))


def test_deviation_needs_a_scan(store: Path) -> None:
    session = Session(store, chosen=["pfn-small"], axis="random", gamma=GAMMAS[-2])
    with pytest.raises(DataError, match="Boosts tab"):
        pick(session, session.networks()[0].run, "deviation", 0)


def test_stored_rows_are_found_by_their_controls(store: Path) -> None:
    session = Session(store, chosen=["lorentznet-small"])
    network = session.boosted_networks()[0]
    rows = invariance_rows(network, "z", True)
    assert [row["parameter"] for row in rows] == [1.0, 10.0, 100.0]
    assert boost_deviation(network.run) == rows[1]["median_rel"]
    assert invariance_rows(network, "x", True) == []
    assert invariance_rows(network, "z", False) == []


def test_bands_hold_the_curve(store: Path) -> None:
    roc, inverse = roc_series(Session(store, chosen=["lorentznet-published"]).networks()[0])
    columns = roc.columns()
    assert np.mean((columns["low"] <= columns["y"]) & (columns["y"] <= columns["high"])) > 0.95
    product = inverse.columns(log_y=True)["y"] * columns["y"][columns["y"] > 0]
    assert np.allclose(product, 1)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.98671, 0.00031, "0.98671 ± 0.00031"),
        (1234.5, 56.7, "1,234 ± 57"),
        (0.5, None, "0.5"),
        (224072.0, None, "224,072"),
        (float("inf"), None, "∞"),
        (float("nan"), 1.0, "–"),
        (9.96, 0.0996, "9.96 ± 0.10"),
    ],
)
def test_digits_follow_the_error(value: float, error: float | None, text: str) -> None:
    assert with_error(value, error) == text
