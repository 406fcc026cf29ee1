from __future__ import annotations

import csv
import io
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eqviz.dash.components import FigureCard
from eqviz.dash.questions import CATALOGUE, Answers, Question
from eqviz.dash.representations import catalogue
from eqviz.dash.representations.brackets import bracket_table
from eqviz.dash.representations.repeat import group_code, orbit_code
from eqviz.dash.session import Name, Session
from eqviz.dash.tabs.representations import View
from eqviz.errors import EqvizError
from eqviz.groups import GROUPS, lorentz, su, su2
from eqviz.kinematics import boost_matrix

SMALL = ["SU(2)", "SU(3)", "SO+(1,3)", "Standard Model", "SO(2,4)", "D_4", "SE(2)", "E_8"]


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory):
    """One page for all tests: each chooses what it needs."""
    view = View(Session(tmp_path_factory.mktemp("runs")))
    view.show()
    yield view
    view.close()


def choose(view: View, group: str, first: str = "", second: str = "") -> None:
    default = catalogue.default_irreps(group) if not first else (first, second or first)
    view.session.param.update(symmetry=group, first=default[0], second=default[1])


def shown(view: View) -> dict[str, FigureCard]:
    return {found.title: found for found in view.layout.select(FigureCard)}


def notices(view: View) -> list[str]:
    return [part.objects[0].object for part in view.layout.select() if hasattr(part, "severity")]


def wait_for(question: Question, seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while (found := CATALOGUE.get(question)) is None and time.monotonic() < end:
        time.sleep(0.02)
    return found


def test_the_menu_has_every_registered_group() -> None:
    families = {"SU(N)": "SU(3)", "C_n": "C_4", "D_n": "D_4", "S_n": "S_4"}
    assert {families.get(name, name) for name in GROUPS.names()} <= set(catalogue.group_menu())


@pytest.mark.parametrize("group", catalogue.group_menu())
def test_every_group_decomposes_within_bounds(group: str) -> None:
    for pair in {catalogue.default_irreps(group), (catalogue.irrep_menu(group)[-1],) * 2}:
        question = Question("table", group, *pair)
        try:
            rows = question.answer()
        except EqvizError as error:
            assert pair != catalogue.default_irreps(group), error
            continue
        total = catalogue.dimension(group, pair[0]) * catalogue.dimension(group, pair[1])
        assert sum(row["states"] for row in rows) == total
        for text in pair:
            try:
                found = catalogue.diagram(group, text)
            except EqvizError as error:
                assert "more than 3000" in str(error)
                continue
            assert found.counts.sum() == catalogue.dimension(group, text)
    try:
        table = bracket_table(group)
        assert table.values.shape == (len(table.names),) * 2
    except EqvizError as error:
        assert "more than" in str(error)


@pytest.mark.parametrize("group", SMALL)
def test_the_page_builds(tab: View, group: str) -> None:
    choose(tab, group)
    found = shown(tab)
    assert {"The product decomposed", "Clebsch-Gordan coefficients", "First irrep"} <= set(found)
    for title, one in found.items():
        assert one.caption.endswith((".", "…")), title
        assert len(one.csv().splitlines()) > 1, title
    rows = tab._table.rows
    assert rows and sum(row["on"] for row in rows) == 1
    assert ("Roots" in found) == (group == "E_8") and ("The element as a matrix" in found) == (group != "E_8")


def test_octet_times_octet(tab: View) -> None:
    choose(tab, "SU(3)", "8")
    rows = {row["id"]: row["cells"] for row in tab._table.rows}
    assert [cells["irrep"]["text"] for cells in rows.values()] == ["27", "10", "10bar", "8", "1"]
    assert rows["(1,1)"]["multiplicity"]["value"] == 2
    assert rows["(1,1)"]["casimir"]["text"] == "3"
    assert "27 ⊕ 10 ⊕ 10bar ⊕ 2·8 ⊕ 1" in shown(tab)["The product decomposed"].caption
    written = list(csv.DictReader(io.StringIO(shown(tab)["The product decomposed"].csv())))
    assert sum(int(row["states"]) for row in written) == 64


def test_another_irrep_changes_the_table_and_the_figures(tab: View) -> None:
    choose(tab, "SU(3)", "8")
    before = {title: one.caption for title, one in shown(tab).items()}
    tab._irreps[1].value = "3bar"
    assert tab.session.second == "3bar"
    after = {title: one.caption for title, one in shown(tab).items()}
    assert len(tab._table.rows) == 3
    changed = {title for title in before if before[title] != after[title]}
    assert {"The product decomposed", "Second irrep", "Clebsch-Gordan coefficients"} <= changed
    assert "Structure constants" not in changed and "First irrep" not in changed


def test_a_row_draws_its_irrep(tab: View) -> None:
    choose(tab, "SU(3)", "8")
    assert shown(tab)["Irrep of the product"].caption.startswith("27 of")
    tab._table._handle_msg({"row": "(3,0)"})
    assert shown(tab)["Irrep of the product"].caption.startswith("10 of SU(3): 10 states on 10 places")


def test_another_group_brings_its_own_irreps(tab: View) -> None:
    choose(tab, "U(1)")
    tab._group.value = "SO+(1,3)"
    assert (tab.session.first, tab.session.second) == ("(1/2, 1/2)", "(1/2, 1/2)")
    assert "(1, 0)" in tab._irreps[0].options
    assert notices(tab) == []


IMPOSSIBLE = [
    ("SU(3)", "9", "no irrep '9'"),
    ("SU(3)", "-1, 1", "dominant"),
    ("SU(3)", "500, 500", "too large"),
    ("SU(3)", "99999999999999999999", "named up to dimension"),
    ("SU(2)", "spin 1/3", "spin 0, 1/2, 1"),
    ("SO+(1,3)", "100, 100", "too large"),
    ("D_4", "7", "irrep label"),
    ("Standard Model", "3, 2", "3 labels"),
    ("E_8", "9", "no irrep '9'"),
    ("S_4", "5, 1", "partition of 4"),
    ("nonsense", "1", "nonsense"),
    ("S_2000", "2000", "too large"),
    ("S_9", "9", "at most 720 elements"),
    ("SU(400)", "400", "n <= 20"),
    ("SU(2) x SU(2) x SU(2) x SU(2) x SU(2)", "1", "at most 4 factors"),
    ("C_0", "0", "number of rotations"),
    ("", "1", "unknown group"),
]


@pytest.mark.parametrize(("group", "irrep", "text"), IMPOSSIBLE)
def test_impossible_requests_say_why(tab: View, group: str, irrep: str, text: str) -> None:
    start = time.monotonic()
    tab.session.param.update(symmetry=group, first=irrep, second=irrep)
    assert time.monotonic() - start < 5
    assert any(text in notice for notice in notices(tab)), notices(tab)


def test_the_page_comes_back_after_an_impossible_request(tab: View) -> None:
    choose(tab, "SU(3)", "9")
    assert notices(tab)
    choose(tab, "SU(3)", "3", "3")
    assert notices(tab) == [] and len(tab._table.rows) == 2
    choose(tab, "SU(5)", "9")
    assert notices(tab)
    choose(tab, "SU(5)", "5", "5")  # the group was another when nothing could be drawn
    assert tab._brackets.repeat == group_code("brackets", "SU(5)", "")


TOO_LARGE = [("SU(6)", "35", "84", "1200"), ("SU(2)", "50", "50", "2500"), ("O(1,3)", "2, 2", "2, 2", "100")]


@pytest.mark.parametrize(("group", "first", "second", "text"), TOO_LARGE)
def test_what_is_too_large_stands_in_place(tab: View, group: str, first: str, second: str, text: str) -> None:
    start = time.monotonic()
    choose(tab, group, first, second)
    assert time.monotonic() - start < 10
    assert any(f"more than {text}" in notice for notice in notices(tab))
    assert "First irrep" in shown(tab)


def test_long_work_is_done_aside(tab: View) -> None:
    question = Question("couplings", "SU(4)", "20", "20")
    assert not question.quick()
    choose(tab, "SU(4)", "20", "20")
    found = wait_for(question)
    assert found[0].shape == (400, 400)
    end = time.monotonic() + 20
    while "400 × 400" not in shown(tab)["Clebsch-Gordan coefficients"].caption and time.monotonic() < end:
        time.sleep(0.05)
    assert "400 × 400" in shown(tab)["Clebsch-Gordan coefficients"].caption


def test_answers_are_kept_and_forgotten() -> None:
    answers = Answers()
    questions = [Question("table", "U(1)", f"charge {i}", "charge 1") for i in range(70)]
    for question in questions:
        answers.work_out(question)
    assert answers.get(questions[0]) is None and answers.get(questions[-1])[0]["irrep"] == "charge 70"
    wrong = Question("table", "SU(3)", "9", "3")
    assert isinstance(answers.at_once(wrong), EqvizError)


@pytest.mark.parametrize("group", [name for name in SMALL if name != "E_8"])
def test_every_slider_at_its_ends(tab: View, group: str) -> None:
    choose(tab, group)
    turning = tab._turning
    for which in turning.which.options.values():
        turning.which.value = which
        for start in (turning.start.options[0], turning.start.options[-1]):
            turning.start.value = start
            for slider in (turning.sliders[0], turning.sliders[-1]):
                for value in (slider.start, slider.end):
                    slider.value = value
                    assert turning.components.caption.endswith(".") and not turning._problem.objects
    turning._to_zero()
    assert all(slider.value == 0 for slider in turning.sliders)


def test_a_slider_moves_the_figures_that_are_there(tab: View) -> None:
    choose(tab, "SO+(1,3)")
    turning = tab._turning
    assert turning.start.value == "E"
    turning._to_zero()
    figures = dict(turning._models)
    kz = next(slider for slider in turning.sliders if slider.label == "Kz")
    kz.value = 1.5
    assert all(turning._models[name] is figures[name] for name in ("components", "path", "matrix"))
    expected = boost_matrix(np.cosh(1.5), "z")
    image = next(r for r in figures["matrix"].renderers).data_source.data["image"][0]
    assert np.allclose(image[::-1], expected)  # Bokeh draws its first row at the bottom
    dot = figures["path"].renderers[-1].data_source.data
    assert np.allclose([dot["x"][0], dot["y"][0]], [expected[3, 0], expected[0, 0]])
    assert figures["components"].select_one({"name": "at"}).location == pytest.approx(1.5)
    assert "E² − p² stays at 1" in turning.components.caption


def test_the_address_holds_the_sliders(tab: View) -> None:
    choose(tab, "SO+(1,3)")
    turning = tab._turning
    turning.which.value = "defining"
    turning.start.value = turning.start.options[2]
    turning.sliders[4].value = 0.5
    state = {name: getattr(tab.session, name) for name in ("vector", "start", "turn")}
    assert state["turn"][4] == 0.5
    again = View(
        Session(tab.session.store.root, symmetry="SO+(1,3)", first="(1/2, 1/2)", second="(1, 0)", **state)
    )
    again.show()
    assert again._turning.coefficients() == turning.coefficients()
    assert (again._turning.which.value, again._turning.start.value) == ("defining", state["start"])
    again._typed("symmetry", SimpleNamespace(new="SU(2)"))  # another group starts anew
    assert len(again.session.turn) == 3 and again.session.start in again._turning.start.options
    again.close()
    for wrong in ([1.0], [99.0] * 6):
        other = View(
            Session(tab.session.store.root, symmetry="SO+(1,3)", first="(1, 0)", second="(1, 0)", turn=wrong)
        )
        other.show()
        assert max(map(abs, other._turning.coefficients())) <= 3.14
        other.close()


def test_play_steps_the_slider_that_was_moved_last(tab: View) -> None:
    choose(tab, "SO+(1,3)")
    turning = tab._turning
    turning._to_zero()
    turning.sliders[1].value = 3.1
    values = []
    for _ in range(3):
        turning._advance()
        values.append(turning.coefficients()[1])
    assert values == pytest.approx([-3.14, -3.04, -2.94])
    choose(tab, "D_4")
    tab._turning.sliders[0].value = 7
    tab._turning._advance()
    assert tab._turning.sliders[0].value == 0


def test_translations_move_points(tab: View) -> None:
    choose(tab, "SE(2)")
    turning = tab._turning
    assert turning.which.value == "defining"
    turning._to_zero()
    turning.start.value = "1"  # the origin
    next(slider for slider in turning.sliders if slider.label == "Px").value = 1.5
    dot = turning._models["path"].renderers[-1].data_source.data
    assert [dot["x"][0], dot["y"][0]] == pytest.approx([1.5, 0.0])
    assert "last component stays 1" in turning.components.caption


def test_the_matrix_is_the_right_way_up_from_the_first_figure(tab: View) -> None:
    choose(tab, "D_4")
    tab._turning.sliders[0].value = 1
    image = tab._turning._models["matrix"].renderers[0].data_source.data["image"][0]
    assert np.allclose(image[::-1], [[0, -1], [1, 0]], atol=1e-12)
    tab.session.dark = True  # draws anew
    image = tab._turning._models["matrix"].renderers[0].data_source.data["image"][0]
    assert np.allclose(image[::-1], [[0, -1], [1, 0]], atol=1e-12)
    tab.session.dark = False


def test_mean_charges_stay_among_the_weights(tab: View) -> None:
    choose(tab, "SU(3)", "3", "3")
    for slider in tab._turning.sliders:
        slider.value = 0.7
    drawn = tab._turning._models["path"].renderers
    weights, line = (np.stack([r.data_source.data[k] for k in "xy"], axis=1) for r in drawn[:2])
    assert len(weights) == 3
    shares = np.linalg.solve(np.vstack([weights.T, np.ones(3)]), np.vstack([line.T, np.ones(len(line))]))
    assert shares.min() > -1e-9


def test_structure_constants_are_told() -> None:
    table = bracket_table("SO+(1,3)")
    assert table.texts[3][4] == "[Kx, Ky] = − 1 Jz" and table.marks[3][4] == "Jz"
    assert table.values[3, 4] == pytest.approx(-1)
    assert "3 negative (compact), 3 positive (non-compact)" in table.note
    assert bracket_table("SU(3)").texts[3][4] == "[T4, T5] = 0.5 T3 + 0.866 T8"
    assert "abelian" in bracket_table("U(1)").note
    group = catalogue.symmetry("D_4")
    a, b = group.elements()[1], group.elements()[5]
    product = bracket_table("D_4").texts[1][5].split(" = ")[1]
    names = {str(g): g.matrix for g in group.elements()}
    assert np.allclose(names[product], a.matrix @ b.matrix)


def test_the_address_brings_names_back_as_text() -> None:
    for text, value in (("8", 8), ("-1", -1.0), ("10bar", "10bar"), ("(1/2, 0)", "(1/2, 0)")):
        assert Name.deserialize(value) == text


@pytest.mark.parametrize("group", SMALL)
def test_the_code_repeats_the_figures(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = catalogue.default_irreps(group)
    kinds = ["table", "weights", "brackets"] + (["roots"] if group == "E_8" else ["couplings"])
    for kind in kinds:
        names: dict[str, Any] = {}
        exec(compile(group_code(kind, group, first, second), kind, "exec"), names)
        assert "figure" in names or capsys.readouterr().out.strip()


def test_the_code_repeats_the_orbit(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(orbit_code("SO+(1,3)", "(1/2, 1/2)", [0, 0, 0, 0, 0, 1.0], "E"), "orbit", "exec"), {})
    assert "1.543" in capsys.readouterr().out
    exec(compile(orbit_code("D_4", "irrep 1,1", [1], "x"), "orbit", "exec"), {})
    assert "1." in capsys.readouterr().out


def test_names_of_irreps_lead_back() -> None:
    for group, found in (("SU(3)", su(3)), ("SU(2)", su2()), ("SO+(1,3)", lorentz())):
        for name in catalogue.irrep_menu(group):
            assert catalogue.irrep(group, name).name == name
            assert catalogue.irrep(group, name).group == found
    assert catalogue.irrep("SU(3)", "1, 1").name == "8"
    assert catalogue.irrep("Standard Model", "(3, 2, 1)").name == "(3, 2, charge 1)"
    assert catalogue.irrep("O(1,3)", "1/2, 1/2, -1, 1").name == "(1/2, 1/2) odd P"
