"""The Filters tab in a real browser; ``watched`` also checks console and requests."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

pytestmark = pytest.mark.ui

SECONDS = 180_000  # a loaded machine draws slowly


def card(page, title: str):
    return page.locator("section.card", has=page.locator(f"h3:text-is('{title}')"))


def test_a_layer_and_a_channel_are_looked_at(watched, address: str) -> None:
    choice = {"runs": '["lorentznet-small"]', "tab": "filters", "weights": "both"}
    page = watched.open(f"{address}?{urlencode(choice)}")
    titles = [f"Gate over the invariants, {when} training" for when in ("after", "before")]
    for title in (*titles, "Gates of real pairs, after training", "How far each layer moved"):
        card(page, title).locator("canvas").first.wait_for()
    page.get_by_role("button", name="before", exact=True).click()
    page.wait_for_function("location.search.includes('weights=before')")
    caption = card(page, "Message over the invariants").locator("p.caption")
    expect(caption).to_contain_text("Channel 1 of", timeout=SECONDS)
    page.locator("input[type=range]").first.focus()
    page.keyboard.press("ArrowRight")
    expect(caption).to_contain_text("Channel 2 of", timeout=SECONDS)
    page.wait_for_function("location.search.includes('channel=1')")
    page.get_by_label("layer").first.click()
    page.get_by_role("menuitem", name="2. messages of block 2").click()
    page.wait_for_function("location.search.includes('part=blocks.1')")
    expect(caption).to_contain_text("Channel 1 of", timeout=SECONDS)
    page.locator("button[data-run=pfn-small]").click()
    page.locator("button[data-run=lorentznet-small]").click()
    card(page, "Filter over the plane").locator("canvas").first.wait_for()
