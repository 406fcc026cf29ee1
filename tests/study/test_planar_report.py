"""Sections for the plane: turned jets, sample efficiency, differences from the CNN, what was published."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import pytest
from helpers import make_run
from study_helpers import write_notebook, write_study_file
from test_report import Cells

from eqviz.evaluation.store import RunStore
from eqviz.plots.style import Tag
from eqviz.study import Plan, load_study, make_plan, planar
from eqviz.study.published import PLANAR_PROPOSAL
from eqviz.study.report import write_report
from eqviz.study.summary import Configuration, collect

NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "CNN": ("cnn", "none", {}),
    "D4": ("groupcnn", "D4", {"group": "D4", "rule": "parameters"}),
    "D4 lite": ("groupcnn", "D4", {"group": "D4", "rule": "channels"}),
}
FRACTIONS = {"": 1.0, " (5 % of the jets)": 0.05}


def turned_rows(shift: float) -> list[dict[str, Any]]:
    """Rows of a rotation file: the AUC falls with the angle."""
    base = {"what": "deposits", "n_jets": 200, "auc_error": 0.02, "accuracy": 0.7, "accuracy_error": 0.02}
    return [
        {**base, "angle": angle, "auc": 0.8 + shift - 0.001 * angle, "median_rel": angle / 100}
        | {"high_rel": angle / 10, "max_abs": angle}
        for angle in (0.0, 30.0, 90.0)
    ]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("planar")
    write_notebook(folder / "synthetic.ipynb")
    entries = [
        {"label": label + part, "parameters": {"separation": 1 + i + 0.1 * len(part)}}
        for i, label in enumerate(NETWORKS)
        for part in FRACTIONS
    ]
    return make_plan(load_study(write_study_file(folder, runs=entries, grid={"seed": [0, 1]})))


@pytest.fixture(scope="module")
def store(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    store = RunStore(tmp_path_factory.mktemp("runs"))
    for run in plan.runs:
        seed, part = int(run.parameters["seed"]), run.label.partition(" (")
        model, symmetry, params = NETWORKS[part[0]]
        fraction = FRACTIONS["".join(part[1:])]
        make_run(
            store.root,
            run.run_id,
            model=model,
            symmetry=symmetry,
            params={**params, "pixel_std": [1.0 + fraction]},
            separation=float(run.parameters["separation"]),
            seed=seed,
            data={"images": True, "train_fraction": fraction, "n_train": round(1000 * fraction)},
            rotation=turned_rows(0.01 * seed) if fraction == 1 else (),
        )
    return store


@pytest.fixture(scope="module")
def configurations(plan: Plan, store: RunStore) -> list[Configuration]:
    return collect(plan, store)[1]


def test_the_report_has_all_sections(plan: Plan, store: RunStore, tmp_path: Path) -> None:
    html = write_report(plan, store, tmp_path).read_text()
    headings = re.findall(r"<h2>(.*?)</h2>", html)
    wanted = ["Comparison", "Beside what was published", "Does the symmetry help?", "The same jets, turned"]
    assert [h for h in headings if h in (*wanted, "How many jets does it take?")] == [
        *wanted,
        "How many jets does it take?",
    ]
    assert [row[0] for row in Cells(html, "comparison").rows[1:]] == list(NETWORKS)
    assert "cannot be compared directly" in html and "real CMS Open Data" in html
    assert not re.search(r"(?:src|href)=[\"']https?:", html)


def test_published_values_are_those_of_the_proposal(configurations: list[Configuration]) -> None:
    _, *rows = Cells(planar.proposal_table(configurations), "proposal").rows
    assert {row[0]: float(row[1]) for row in rows} == PLANAR_PROPOSAL
    assert PLANAR_PROPOSAL["CNN"] == 79.51 and PLANAR_PROPOSAL["D4 lite"] == 79.41
    ours = {row[0]: row[2] for row in rows}
    values = [100 * run.metrics["auc"]["value"] for run in configurations[0].sound]
    assert ours["CNN"].startswith(f"{median(values):.1f} ± {stdev(values):.1f}") and ours["C8"] == "–"


def test_no_published_row_beside_networks_that_saw_no_images(tmp_path: Path) -> None:
    run = make_run(tmp_path, "cnn-jets", model="cnn", symmetry="none")
    alone = [Configuration("CNN on drawn jets", (), (run,))]
    assert planar.proposal_table(alone) == planar.turns_table(alone) == planar.against_table(alone) == ""
    assert planar.efficiency_table(alone) == planar.turns([(alone[0], Tag("CNN"))]) == ""


def test_differences_are_paired_by_seed(configurations: list[Configuration]) -> None:
    _, *rows = Cells(planar.against_table(configurations), "against").rows
    assert [row[0] for row in rows] == ["D4 lite", "D4"]  # the best first, parts of the jets left out
    by_label = {c.label: [run.metrics["auc"]["value"] for run in c.sound] for c in configurations}
    gains = [b - a for a, b in zip(by_label["CNN"], by_label["D4"])]
    assert rows[1][3] == f"{mean(gains):+.3f}"
    assert rows[1][5] == f"± {stdev(gains) / 2**0.5:.3f}"


def test_turned_jets_by_angle(configurations: list[Configuration]) -> None:
    head, *rows = Cells(planar.turns_table(configurations), "turns").rows
    assert head[2:5] == ["AUC at 0°", "AUC at 30°", "AUC at 90°"]
    assert rows[0][2:5] == ["0.805 ± 0.007", "0.775 ± 0.007", "0.715 ± 0.007"] and len(rows) == 3
    series = planar.rotation_series(configurations[0].sound, Tag("CNN"), "auc")
    assert series is not None
    columns = series.columns()
    assert columns["x"].tolist() == [0, 30, 90]
    assert columns["low"][1] == pytest.approx(0.77) and columns["high"][1] == pytest.approx(0.78)


def test_families_are_one_network_on_several_numbers_of_jets(configurations: list[Configuration]) -> None:
    groups = planar.families(configurations)
    assert [[planar.n_train(c) for c in group] for group in groups] == [[50, 1000]] * 3
    assert [group[-1].label for group in groups] == list(NETWORKS)
    head, *rows = Cells(planar.efficiency_table(configurations), "efficiency").rows
    assert head[3:] == ["AUC, 50 jets", "AUC, 1,000 jets"] and len(rows) == 3


@pytest.mark.parametrize("name", ["planar.yaml", "planar_full.yaml"])
def test_shipped_studies_can_be_planned(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQVIZ_PLANAR_DATA", "/some/folder")  # asked for when a run starts, not before
    plan = make_plan(load_study(Path(__file__).parents[2] / "studies" / name))
    labels = {run.label for run in plan.runs}
    groups = {f"{group}{lite}" for group in ("C4", "C8", "D4", "D8") for lite in ("", " lite")}
    assert groups | {"CNN", "ResNeXt", "harmonic", "relaxed D4, lite", "PFN, on particles"} <= labels
    assert {f"D4 ({part:g} % of the jets)" for part in (1, 5, 20)} <= labels
    assert len({run.run_id for run in plan.runs}) == len(plan.runs)
    seeds = {run.parameters["seed"] for run in plan.runs if run.label == "CNN"}
    assert len(seeds) == (3 if name == "planar.yaml" else 5)
