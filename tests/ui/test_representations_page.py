"""The Representations tab in a real browser; ``watched`` also checks console and requests."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

pytestmark = pytest.mark.ui

SECONDS = 180_000  # a loaded machine draws slowly


def card(page, title: str):
    return page.locator("section.card", has=page.locator(f"h3:text-is('{title}')"))


def link(address: str, **choices: str) -> str:
    return f"{address}?{urlencode({'tab': 'representations', **choices})}"


def rows(page):
    return card(page, "The product decomposed").locator("tr[data-row]")


def choose(page, field: str, irrep: str) -> None:
    box = page.get_by_role("combobox", name=field)
    box.fill(irrep)
    box.press("Enter")


def test_the_address_holds_group_and_irreps(watched, address: str) -> None:
    page = watched.open(link(address, group="E_8", irrep1="248", irrep2="248"))
    expect(rows(page)).to_have_count(5, timeout=SECONDS)
    card(page, "Roots").locator("canvas").first.wait_for()
    assert "30380 ⊕ 27000 ⊕ 3875 ⊕ 248 ⊕ 1" in card(page, "The product decomposed").inner_text()
    page.get_by_text("Irreps of E_8 are known by their weights").wait_for()


def test_a_slider_turns_the_vector(watched, address: str) -> None:
    page = watched.open(link(address, group="SO+(1,3)", irrep1="(1/2, 1/2)", irrep2="(1, 0)"))
    caption = card(page, "A vector while parameters are turned").locator("p.caption")
    expect(caption).to_contain_text("|c| = 1;", timeout=SECONDS)
    sliders = page.locator("input[type=range]")
    expect(sliders).to_have_count(6, timeout=SECONDS)
    sliders.last.focus()
    page.keyboard.press("Home")
    expect(caption).to_contain_text("|c| = 2;", timeout=SECONDS)
    expect(caption).to_contain_text(re.compile(r"E² − p² stays at"))


def test_an_impossible_irrep_says_so_and_another_changes_the_table(watched, address: str) -> None:
    page = watched.open(link(address, group="SU(3)", irrep1="9", irrep2="8"))
    page.get_by_text("SU(3) has no irrep '9'").wait_for()
    assert page.locator("section.card").count() == 0
    choose(page, "First irrep", "10")
    expect(rows(page)).to_have_count(4, timeout=SECONDS)
    for title in ("Clebsch-Gordan coefficients", "First irrep", "Structure constants", "Its orbit"):
        card(page, title).locator("canvas").first.wait_for()
    choose(page, "First irrep", "8")
    expect(rows(page)).to_have_count(5, timeout=SECONDS)
    choose(page, "Second irrep", "3bar")
    expect(rows(page)).to_have_count(3, timeout=SECONDS)
    expect(rows(page).first).to_contain_text("15")
    page.wait_for_function("location.search.includes('irrep2=3bar')")
    rows(page).nth(1).click()
    expect(card(page, "Irrep of the product").locator("p.caption")).to_contain_text(
        "6 of SU(3)", timeout=SECONDS
    )
