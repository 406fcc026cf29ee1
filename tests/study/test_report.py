"""The report: right numbers with errors, sortable, published values only where they belong, no network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from statistics import median, stdev
from typing import Any

import pytest
from helpers import make_run
from study_helpers import write_notebook, write_study_file

from eqviz.evaluation.files import read_json, write_json
from eqviz.evaluation.store import RunStore
from eqviz.study import Plan, load_study, make_plan
from eqviz.study.differences import differences
from eqviz.study.report import write_report
from eqviz.study.summary import Configuration, Estimate, combine
from eqviz.study.tables import number_cell, scientific, significant

ENTRIES = [
    {"label": "LorentzNet", "parameters": {"architecture": "lorentznet", "separation": 3.0}},
    {"label": "PFN & friends <b>", "parameters": {"separation": 2.0}},
    {"label": "D4 CNN", "parameters": {"architecture": "d4cnn", "separation": 1.6}},
]
SYMMETRY = {"lorentznet": "SO+(1,3)", "pfn": "S_n", "d4cnn": "D4"}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("study")
    write_notebook(folder / "synthetic.ipynb")
    more = {"label": "Left out", "parameters": {"separation": 9.0}, "needs_environment": "NOT_SET_ANYWHERE"}
    return make_plan(load_study(write_study_file(folder, runs=[*ENTRIES, more], grid={"seed": [0, 1, 2]})))


@pytest.fixture(scope="module")
def store(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """All runs of the plan but the last, which failed."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    for run in plan.runs[:-1]:
        given = run.parameters
        name = str(given.get("architecture", "pfn"))
        make_run(
            store.root,
            run.run_id,
            model=name,
            symmetry=SYMMETRY[name],
            separation=float(given["separation"]),
            seed=int(given["seed"]),
            n_test=2000,
        )
        store.attach(run.run_id, "report.html", b"<html>the page of the run <!--navigation--></html>")
    store.record_failure(plan.runs[-1].run_id, {}, "Traceback\nValueError: <script>alert(1)</script>")
    return store


@pytest.fixture(scope="module")
def report(plan: Plan, store: RunStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(plan, store, tmp_path_factory.mktemp("reports"))


class Cells(HTMLParser):
    """The cells of one table: text by row."""

    def __init__(self, html: str, table: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.wanted, self.inside, self.cell = table, False, False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.inside = dict(attrs).get("id") == self.wanted
        if self.inside and tag == "tr":
            self.rows.append([])
        self.cell = self.inside and (self.cell or tag in ("td", "th"))
        if self.cell and tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.cell = self.cell and tag not in ("td", "th")
        self.inside = self.inside and tag != "table"

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.rows[-1][-1] += data


def test_numbers_are_medians_over_seeds_with_both_errors(report: Path, plan: Plan, store: RunStore) -> None:
    head, *rows = Cells(report.read_text(), "comparison").rows
    assert head[:5] == ["network", "symmetry", "training jets", "seeds", "AUC"]
    assert [row[0] for row in rows] == ["LorentzNet", "PFN & friends <b>", "D4 CNN"]
    values = [store.get(run.run_id).metrics["auc"]["value"] for run in plan.runs[:3]]
    assert rows[0][4] == f"{median(values):.4f} ± {stdev(values):.4f} ± 0.0100"
    assert [row[3] for row in rows] == ["3", "3", "2 of 3"]


def test_a_single_seed_has_no_spread() -> None:
    assert combine([{"value": 0.9, "error": 0.01}]) == Estimate(0.9, None, 0.01)
    assert combine([]) is None


def test_a_rejection_without_survivors_is_a_lower_bound() -> None:
    entry = {"value": float("inf"), "error": None, "survivors": 0, "lower_bound": 667.0}
    estimate = combine([entry])
    assert estimate == Estimate(667.0, None, None, bound=True)
    assert (
        number_cell(estimate, lambda v: f"{v:.0f}") == '<td class="number" data-value="667.0">&gt; 667</td>'
    )


def test_numbers_are_written_as_physicists_do() -> None:
    assert [scientific(v) for v in (3.14e-7, 0.0, 2.71, 31.4)] == ["3.1·10⁻⁷", "0", "2.7", "31"]
    assert [significant(v) for v in (0.0371, 3.71, 37.1, 3710.0)] == ["0.037", "3.7", "37", "3,710"]


def test_the_finding_is_a_paired_difference(report: Path, plan: Plan, store: RunStore) -> None:
    html = report.read_text()
    assert "<b>LorentzNet</b> (SO+(1,3)) has the largest AUC, before <b>PFN &amp; friends" in html
    rows = Cells(html, "differences").rows[1:]
    assert [row[0] for row in rows] == ["PFN & friends <b> − LorentzNet", "D4 CNN − LorentzNet"]
    runs = [[store.get(run.run_id) for run in plan.runs[start : start + 3]] for start in (0, 3)]
    middles = [sorted(run.metrics["auc"]["value"] for run in group)[1] for group in runs]
    assert float(rows[0][1]) == pytest.approx(middles[1] - middles[0], abs=1e-4)


def test_failures_and_omissions_are_shown(report: Path, plan: Plan) -> None:
    html = report.read_text()
    assert plan.runs[-1].run_id in html and "What failed" in html
    assert "ValueError: &lt;script&gt;alert(1)&lt;/script&gt;" in html and "alert(1)</script>" not in html
    assert "Left out</b> left out: the environment variable NOT_SET_ANYWHERE is not set." in html


def test_published_values_appear_on_their_own_data_set_only(
    report: Path, plan: Plan, store: RunStore, tmp_path: Path
) -> None:
    assert "ParticleNet" not in report.read_text()
    assert "No published result is shown" in report.read_text()
    copy = RunStore(shutil.copytree(store.root, tmp_path / "runs"))
    for run in plan.runs[:-1]:
        path = copy.get(run.run_id).folder / "config.json"
        config = read_json(path)
        config["data"]["name"] = "toptag"
        write_json(path, config)
    html = write_report(plan, copy, tmp_path / "again").read_text()
    (row,) = [row for row in Cells(html, "comparison").rows if row[0].startswith("ParticleNet (366k)")]
    assert row[:6] == [
        "ParticleNet (366k) (arXiv:2405.14806)",
        "published",
        "1,211,000",
        "–",
        "0.9858",
        "0.9400",
    ]
    assert row[6] == "1,615 ± 93"
    assert store.get(plan.runs[0].run_id).config["data"]["name"] == "top_sample"


def test_a_report_without_a_single_result_still_says_why(plan: Plan, tmp_path: Path) -> None:
    html = write_report(plan, RunStore(tmp_path / "empty"), tmp_path / "reports").read_text()
    assert Cells(html, "comparison").rows == []
    assert [row[3] for row in Cells(html, "runs").rows[1:]] == ["missing"] * 9


def test_run_pages_are_copied_with_a_way_back(report: Path, plan: Plan) -> None:
    copy = report.parent / "notebooks" / f"{plan.runs[0].run_id}.html"
    assert '<a href="../index.html">' in copy.read_text()


def test_nothing_is_loaded_from_elsewhere(report: Path) -> None:
    html = report.read_text()
    assert re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"'](?!data:)[^\"']*", html) == []
    assert re.findall(r"@import|https?://cdn", html) == []


@pytest.fixture
def browser_page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


@pytest.mark.ui
def test_in_a_browser_it_sorts_and_asks_nobody(report: Path, browser_page: Any) -> None:
    requests: list[str] = []
    complaints: list[str] = []
    browser_page.on("request", lambda request: requests.append(request.url))
    browser_page.on("pageerror", lambda error: complaints.append(str(error)))
    browser_page.on(
        "console", lambda message: complaints.append(message.text) if message.type == "error" else None
    )
    browser_page.goto(report.as_uri())
    browser_page.wait_for_selector(".eqviz-figure .bk-Figure")
    assert browser_page.locator(".eqviz-figure").count() == 5

    def column(table: str, number: int) -> list[str]:
        cells = browser_page.locator(f"#{table} tbody td:nth-child({number})")
        return [text.split("\n")[0].split(" ±")[0] for text in cells.all_inner_texts()]

    heading = browser_page.locator("#comparison thead th").nth(4)
    heading.click()
    assert heading.get_attribute("aria-sort") == "descending"
    falling = column("comparison", 5)
    assert falling == sorted(falling, key=float, reverse=True)
    heading.press("Enter")
    assert column("comparison", 5) == falling[::-1]
    # What failed has no number: it stays below, both ways.
    auc = [text.strip() for text in browser_page.locator("#runs thead th").all_inner_texts()].index("AUC") + 1
    for _ in range(2):
        browser_page.locator("#runs thead th").nth(auc - 1).click()
        assert column("runs", auc)[-1] == "–"
    assert browser_page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    browser_page.locator("#runs a").first.click()
    assert "the page of the run" in browser_page.content()
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests), requests
    assert complaints == []


def test_networks_that_learned_elsewhere_are_not_ranked(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, name, epochs=epochs, separation=separation)
        for name, epochs, separation in (("a", 2, 1.0), ("b", 2, 2.0), ("published", 0, 4.0))
    ]
    found = differences([Configuration(run.id, (), (run,)) for run in runs])
    assert [(difference.first, difference.second) for difference in found] == [("b", "a")]
    assert found[0].value < 0 and found[0].spread is None and found[0].significance > 3
