"""The dashboard as a visitor sees it, in a real browser. Every test also checks that the console stays
clean and that no request leaves this machine (see ``watched``)."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

pytestmark = pytest.mark.ui

FIRST_CARD = {
    "Runs": "Comparison",
    "Boosts": "How far the answer moves",
    "Jets": "Constituents in η–φ",
    "Overview": "Rejection against size",  # the one that is open at first
}


def card(page, title: str):
    return page.locator("section.card", has=page.locator(f"h3:text-is('{title}')"))


def until(page, holds: Callable[[], bool], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds:g} s in vain"
        page.wait_for_timeout(20)


def link(address: str, *runs: str, **choices: object) -> str:
    names = "[" + ",".join(f'"{run}"' for run in runs) + "]"
    return f"{address}?runs={quote(names)}&" + "&".join(f"{key}={value}" for key, value in choices.items())


def test_every_tab_opens(watched, address: str) -> None:
    page = watched.open(address)
    for tab, title in FIRST_CARD.items():
        page.get_by_role("tab", name=tab).click()
        card(page, title).wait_for()
        if title != "Comparison":
            card(page, title).locator("canvas").first.wait_for()
        assert card(page, title).locator("p.caption").inner_text().endswith(".")
        page.wait_for_function(f"location.search.includes('tab={tab.lower()}')")


def test_gamma_changes_numbers_and_the_address_and_a_mover_opens_its_jet(watched, address: str) -> None:
    page = watched.open(link(address, "lorentznet-published", tab="boosts", gamma=10))
    table = card(page, "Answers to this jet").locator("tr[data-row] td")
    page.get_by_text("Of 120 jets at γ = 10;").wait_for()
    before = table.nth(2).inner_text()
    page.locator("input[type=range]").first.focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text("Of 120 jets at γ = 17.8;").wait_for()
    assert "γ = 17.8" in card(page, "The jet after").locator("p.caption").inner_text()
    assert table.nth(2).inner_text() != before
    page.wait_for_function("location.search.includes('gamma=17.8')")
    rows = card(page, "The five jets that moved most").locator("tr[data-row]")
    rows.nth(4).wait_for()
    number = rows.nth(4).get_attribute("data-row")
    rows.nth(4).click()
    page.get_by_text(f"Jet {number} is").wait_for()
    page.wait_for_function(f"location.search.includes('jet={number}')")


def test_naive_arithmetic_is_seen(watched, address: str) -> None:
    page = watched.open(link(address, "lorentznet-small", tab="boosts", gamma=1000, axis="x"))
    page.get_by_text("Of 120 jets at γ = 1,000;").wait_for()
    change = card(page, "Answers to this jet").locator("tr[data-row] td").nth(3)
    expect(change).not_to_have_text("…")
    stable = float(change.inner_text())
    page.get_by_role("button", name="naive").click()
    page.wait_for_function("location.search.includes('stable=false')")
    expect(change).to_have_text(re.compile(r"^[1-9].*e-0[0-3]$"), timeout=60_000)  # 0.1 % or more
    assert stable < 1e-4


def test_state_travels_in_the_address(watched, address: str, chromium) -> None:
    page = watched.open(link(address, "pfn-small", tab="jets", jet=7))
    caption = card(page, "Constituents in η–φ").locator("p.caption")
    page.get_by_text("Jet 7:").wait_for()
    page.locator("button[data-run=lorentznet-small]").click()
    page.wait_for_function("location.search.includes('lorentznet-small')")
    again = chromium.new_page()
    again.goto(page.url)
    again.get_by_text("Jet 7:").wait_for()
    assert card(again, "Constituents in η–φ").locator("p.caption").inner_text() == caption.inner_text()
    pressed = again.locator("button[data-run][aria-pressed=true]")
    assert sorted(pressed.nth(i).get_attribute("data-run") for i in range(pressed.count())) == [
        "lorentznet-small", "pfn-small",
    ]  # fmt: skip
    again.close()


def test_figures_are_downloaded_and_say_how_to_repeat_them(watched, address: str, tmp_path: Path) -> None:
    page = watched.open(link(address, "lorentznet-published", tab="runs"))
    target = card(page, "ROC")
    target.locator("canvas").first.wait_for()
    content = {}
    for kind in ("PNG", "SVG", "CSV"):
        with page.expect_download() as download:
            target.get_by_role("button", name=kind).click()
        assert download.value.suggested_filename == f"roc.{kind.lower()}"
        download.value.save_as(tmp_path / kind)
        content[kind] = (tmp_path / kind).read_bytes()
    assert content["PNG"].startswith(b"\x89PNG")
    assert b"<svg" in content["SVG"][:200]
    assert b"<path" in content["SVG"]
    rows = list(csv.DictReader(content["CSV"].decode().splitlines()))
    assert len(rows) > 100
    assert {"series", "signal efficiency εS", "background efficiency εB"} <= set(rows[0])
    assert not target.locator("pre").is_visible()
    target.get_by_role("button", name="repeat").click()
    expect(target.locator("pre")).to_be_visible()
    expect(target.locator("pre")).to_contain_text("roc_band")


def test_momenta_turn_and_dark_keeps_the_figures(watched, address: str) -> None:
    page = watched.open(link(address, "pfn-small", tab="jets"))
    canvas = card(page, "Momenta").locator("canvas").first
    canvas.wait_for()
    seen: list[bytes] = [b"", canvas.screenshot()]
    until(page, lambda: seen[-2] == (seen.append(canvas.screenshot()) or seen[-1]))  # it is drawn in full
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 120, y + 60, steps=5)
    page.mouse.up()
    page.mouse.move(5, 5)
    until(page, lambda: canvas.screenshot() != seen[-1])
    page.get_by_label("Toggle theme").first.click()
    target = card(page, "Constituents in η–φ")
    expect(target).to_have_css("background-color", re.compile(r"^rgba?\((\d|[1-5]\d)(, (\d|[1-5]\d)){2}[,)]"))
    target.locator("canvas").first.wait_for()


def test_empty_store(watched, serve) -> None:
    page = watched.open(serve())
    page.get_by_text("No runs yet in").wait_for()
    assert page.get_by_text("make report").is_visible()
    assert page.locator("section.card").count() == 0
    page.get_by_role("tab", name="Representations").click()  # needs no run
    card(page, "The product decomposed").locator("tr[data-row]").first.wait_for()
    page.get_by_role("tab", name="Boosts").click()
    page.get_by_text("No runs yet in").wait_for()
