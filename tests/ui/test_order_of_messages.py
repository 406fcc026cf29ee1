"""Whatever the server changes must reach the page in that order, however busy the line is."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import quote

import pytest
from bokeh.server.session import ServerSession
from bokeh.server.views.ws import WSHandler

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

pytestmark = pytest.mark.ui

DARK = re.compile(r"^rgba?\((\d|[1-5]\d)(, (\d|[1-5]\d)){2}[,)]")  # all three colours below 60

CLICKS = ("naive", "fixed", "float64", "stable")


@pytest.fixture
def busy_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message of Bokeh itself takes its time, as with a browser that is slow to read."""
    write = WSHandler.write_message

    async def slowly(self, message, binary=False, locked=True) -> None:
        await write(self, message, binary, locked)
        await asyncio.sleep(0.01)

    monkeypatch.setattr(WSHandler, "write_message", slowly)


@pytest.fixture
def bypassing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Changes that the server makes past the queue in which Panel keeps its messages."""
    found: list[str] = []
    patched = ServerSession._document_patched

    def note(self, event) -> None:
        if event.setter is not self:  # not the echo of what the browser changed
            found.append(f"{type(event).__name__} {getattr(event, 'model', '')} {getattr(event, 'attr', '')}")
        patched(self, event)

    monkeypatch.setattr(ServerSession, "_document_patched", note)
    return found


def test_boosts_on_a_busy_line(watched, address: str, busy_line: None, bypassing: list[str]) -> None:
    runs = quote('["pfn-small"]')
    page = watched.open(f"{address}?runs={runs}&tab=boosts&gamma=31.6&axis=x")
    page.get_by_text("Of 120 jets at γ = 31.6;").wait_for()
    page.locator("button[data-run=lorentznet-small]").click()
    page.wait_for_function("location.search.includes('lorentznet-small')")
    for name in CLICKS:
        page.get_by_role("button", name=name).click()
        page.wait_for_timeout(120)
    page.locator("button[data-run=lorentznet-small]").click()
    page.wait_for_function("!location.search.includes('lorentznet-small')")
    page.locator("input[type=range]").first.focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text("Of 120 jets at γ = 56.2;").wait_for()
    assert bypassing == []


def test_representations_on_a_busy_line(watched, address: str, busy_line: None, bypassing: list[str]) -> None:
    page = watched.open(f"{address}?tab=representations&group={quote('SO(3)')}&irrep1=1&irrep2=1")
    sliders = page.locator("input[type=range]")
    sliders.nth(2).wait_for()
    start = page.get_by_role("button", name="All to zero")
    for _ in range(2):
        sliders.last.focus()
        for key in ("Home", "End", "ArrowLeft"):
            page.keyboard.press(key)
            page.wait_for_timeout(60)
        start.click()
        page.wait_for_timeout(60)
    page.get_by_label("Toggle theme").first.click()
    expect(page.locator("section.card").first).to_have_css("background-color", DARK)
    assert bypassing == []
