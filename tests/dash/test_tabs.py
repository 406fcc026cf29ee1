from __future__ import annotations

import csv
import io
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from dash_store import add_network, make_jets
from helpers import make_run

from eqviz.dash.components import FigureCard
from eqviz.dash.repeat import boost_code, figure_code, jet_code, repeat_run
from eqviz.dash.scans import ANSWERS
from eqviz.dash.session import GAMMAS, Session
from eqviz.dash.shell import Shell
from eqviz.dash.tab import empty_text, tab_classes

TABS = tab_classes()


def opened(name: str, session: Session):
    tab = TABS[name](session)
    tab.show()
    return tab


def cards(tab) -> dict[str, FigureCard]:
    return {card.title: card for card in tab.layout.select(FigureCard)}


def test_tabs_are_found_by_themselves() -> None:
    assert list(TABS) == ["overview", "runs", "boosts", "orbits", "filters", "jets", "representations"]
    folder = Path(__file__).resolve().parents[2] / "eqviz" / "dash" / "tabs"
    assert set(TABS) == {path.stem for path in folder.glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("name", TABS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_card_says_what_it_shows(store: Path, name: str, dark: bool) -> None:
    tab = opened(name, Session(store, dark=dark, chosen=["pfn-small"], axis="z"))  # with stored rows
    found = cards(tab)
    assert found
    for title, card in found.items():
        assert title
        assert card.caption.endswith((".", "…")), title
        if "png" in card.downloads:
            assert card.repeat, title
            assert len(card.csv().splitlines()) > 1, title
    tab.close()


@pytest.mark.parametrize("name", TABS)
def test_every_parameter_at_its_ends(store: Path, name: str) -> None:
    session = Session(store, chosen=["pfn-small"])
    tab = opened(name, session)
    ends = {
        "chosen": ([], ["nothing"], ["lorentznet-small", "lorentznet-published"], ["lorentznet-small"]),
        "axis": ("z", "x", "random"), "gamma": (1.0, 1e4), "dtype": ("float64", "float32"),
        "moved": (False, True), "stable": (False, True), "original": (True, False),
        "jet": (0, 10**6), "group": ("none", ""), "architecture": ("pfn", ""), "dark": (True,),
    }  # fmt: skip
    for parameter, values in ends.items():
        for value in values:
            session.param.update(**{parameter: value})
            assert len(tab.layout) > 0
    tab.close()


def test_table_shows_the_metrics(store: Path) -> None:
    session = Session(store)
    tab = opened("runs", session)
    rows = {row["id"]: row["cells"] for row in tab._table.rows}
    run = session.store.get("pfn-small")
    assert rows["pfn-small"]["auc"]["value"] == run.metrics["auc"]["value"]
    assert "±" in rows["pfn-small"]["auc"]["text"]
    assert rows["pfn-small"]["parameters"]["text"] == "642"
    best = [name for name, cells in rows.items() if cells["auc"].get("best")]
    assert best == [max(rows, key=lambda name: rows[name]["auc"]["value"])]
    assert len(list(csv.reader(io.StringIO(cards(tab)["Comparison"].csv())))) == 4


def test_a_row_chooses_its_run(store: Path) -> None:
    session = Session(store, chosen=["pfn-small"])
    tab = opened("runs", session)
    assert [row["on"] for row in tab._table.rows if row["id"] == "lorentznet-small"] == [False]
    tab._table._handle_msg({"row": "lorentznet-small"})
    assert session.chosen == ["pfn-small", "lorentznet-small"]
    assert [row["on"] for row in tab._table.rows if row["id"] == "lorentznet-small"] == [True]


def test_hidden_tabs_do_nothing(store: Path) -> None:
    session = Session(store)
    tab = opened("jets", session)
    before = cards(tab)["Constituents in η–φ"].caption
    tab.hide()
    assert len(tab.layout) == 0
    session.jet = 5
    assert tab._display.caption == before
    tab.show()
    assert cards(tab)["Constituents in η–φ"].caption.startswith("Jet 5:")


def test_gamma_moves_marks_and_points_only(store: Path) -> None:
    session = Session(store, chosen=["lorentznet-small"], gamma=10.0, stable=False)
    tab = opened("boosts", session)
    tab._scanner.close()  # a scan draws curves anew when it has new points
    wish = tab._wish
    for gamma in (1.0, 10.0, 1000.0):
        unit = wish.unit(wish.networks[0], gamma)
        while not ANSWERS.done(unit):
            ANSWERS.advance(wish.networks[0], unit)
    tab._show_progress()
    figures, placed = dict(tab._models), list(tab.layout)
    session.gamma = 1000.0
    assert all(now is before for now, before in zip(tab.layout, placed))  # nothing is mounted anew
    for name in ("deviation", "auc", "before", "after"):
        assert tab._models[name] is figures[name], name
    assert tab._models["deviation"].select_one({"name": "at"}).location == 1000.0
    assert "γ = 1,000" in cards(tab)["The jet after"].caption
    assert "γ = 1,000" in cards(tab)["Answer before and after"].caption
    assert len(tab._table.rows) == 5
    tab._open_jet(tab._table.rows[2]["id"])
    assert session.jet == int(tab._table.rows[2]["id"])
    tab.close()


def test_a_run_without_its_jets_says_so(tmp_path: Path) -> None:
    jets = make_jets(tmp_path / "jets", 40)
    add_network(tmp_path / "runs", jets, "pfn-small")
    (jets / "test.parquet").unlink()
    from eqviz.dash import library

    library.test_set.cache_clear()
    for name in ("jets", "boosts"):
        tab = opened(name, Session(tmp_path / "runs"))
        assert "not on this machine" in tab.layout[0].objects[0].object
        tab.close()
    assert "Comparison" in cards(opened("runs", Session(tmp_path / "runs")))


def test_failed_and_damaged_runs_tell_their_story(tmp_path: Path) -> None:
    make_run(tmp_path, "good")
    (make_run(tmp_path, "damaged").folder / "scores.parquet").write_bytes(b"PAR1 nonsense")
    session = Session(tmp_path)
    session.store.record_failure("failed", {"model": {"name": "pfn"}}, "Traceback\nValueError: too big")
    session.reload()
    tab = opened("runs", session)
    texts = [part.objects[0].object for part in tab.layout if hasattr(part, "severity")]
    assert any("ValueError: too big" in text and "make report" in text for text in texts)
    assert any("scores.parquet" in text for text in texts)


def test_scores_damaged_after_listing_are_found(tmp_path: Path) -> None:
    run = make_run(tmp_path, "good", n_test=4000)
    session = Session(tmp_path)
    content = bytearray((run.folder / "scores.parquet").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    (run.folder / "scores.parquet").write_bytes(content)
    tab = opened("runs", session)
    assert any("scores.parquet" in part.objects[0].object for part in tab.layout if hasattr(part, "severity"))


@pytest.mark.parametrize("kind", ["roc", "calibration", "histogram", "confusion"])
def test_figures_repeat(store: Path, kind: str) -> None:
    code = figure_code(kind, Session(store).networks(), store)
    names: dict[str, object] = {}
    exec(compile(code, kind, "exec"), names)
    assert names.get("figure") is not None or len(names["figures"]) == 3


def test_boosts_and_jets_repeat(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(store, chosen=["pfn-small"], gamma=GAMMAS[1])
    data = session.networks()[0].run.config["data"]["name"]
    exec(compile(boost_code(session.boosted_networks(), session.boost(), data, store), "boost", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [float(line.split()[1]) for line in lines] == sorted({1.0, GAMMAS[1], 10.0, 1000.0})
    names: dict[str, object] = {}
    exec(compile(jet_code(data, 3), "jet", "exec"), names)
    assert len(names["figures"]) == 2
    assert np.isfinite(float(eval(capsys.readouterr().out)["mass"]))


def test_runs_repeat_with_their_parameters(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    assert repeat_run(run) == "make report"
    store = Session(tmp_path).store
    config = {"model": {"name": "pfn"}, "parameters": {"model": "pfn", "n_train": 100, "data": "my jets"}}
    command = repeat_run(store.record_failure("b", config, "ValueError: no"))
    assert command.startswith("papermill notebooks/train_and_evaluate.ipynb b.ipynb")
    assert "-p data 'my jets'" in command


def test_empty_store_says_what_to_run(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "nothing")
    assert "make report" in empty_text(shell.session)
    for name, tab in shell.tabs.items():
        shell.session.tab = name
        texts = [str(getattr(part, "object", "")) for part in tab.layout.select()]
        notices = [text for text in texts if "No runs yet" in text]
        cards = tab.layout.select(FigureCard)
        assert (bool(notices), bool(cards)) == (tab.needs_runs, not tab.needs_runs), name
    assert not shell.tabs["representations"].needs_runs
    shell.session.tab = "overview"
    make_run(tmp_path / "nothing", "first")
    shell.session.reload()
    assert shell.tabs["overview"].layout.select(FigureCard)
    shell.close()


def test_tabs_follow_the_session(store: Path) -> None:
    shell = Shell(store)
    assert shell.session.tab == "overview"
    shell.session.tab = "jets"
    assert shell.strip.active == list(TABS).index("jets")
    shell.strip.active = list(TABS).index("runs")
    assert shell.session.tab == "runs"
    assert [tab.visible for tab in shell.tabs.values()] == [name == "runs" for name in TABS]
    shell.close()


def test_questions_lead_somewhere(store: Path) -> None:
    session = Session(store)
    tab = opened("overview", session)
    from eqviz.dash.tabs.overview import questions

    seen = set()
    for _, _, _, state in questions(session):
        tab._go(state)
        seen.add(session.tab)
    assert seen == {"runs", "boosts", "jets"}


def test_no_widget_at_module_level() -> None:
    import ast

    root = Path(__file__).resolve().parents[2] / "eqviz" / "dash"
    for path, node in product(sorted(root.rglob("*.py")), [None]):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                calls = [ast.unparse(c.func) for c in ast.walk(node.value) if isinstance(c, ast.Call)]
                assert not any(call.startswith(("pn.", "pmui.")) for call in calls), f"{path}:{node.lineno}"
