"""The Orbits tab in a real browser; ``watched`` also checks console and requests."""

from __future__ import annotations

import json
from unittest.mock import patch
from urllib.parse import urlencode

import dash_store
import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

pytestmark = pytest.mark.ui

SECONDS = 180_000  # a loaded machine computes slowly
IMAGES = {"d4-small": ("groupcnn", {"group": "D4", "n_pixels": 16, "channels": (4, 4), "depth": 1})}


@pytest.fixture(scope="module")
def orbits(serve) -> str:
    with patch.dict(dash_store.SMALL, IMAGES):
        return serve("d4-small", "lorentznet-small")


def card(page, title: str):
    return page.locator("section.card", has=page.locator(f"h3:text-is('{title}')"))


def link(address: str, run: str, **choices: str) -> str:
    return f"{address}?{urlencode({'tab': 'orbits', 'runs': json.dumps([run]), **choices})}"


def test_the_dial_turns_an_image(watched, orbits: str) -> None:
    page = watched.open(link(orbits, "d4-small", angle="90", layer="layer 1"))
    caption = card(page, "g·x: the image moved").locator("p.caption")
    expect(caption).to_contain_text("g = turn by 90°.", timeout=SECONDS)
    difference = card(page, "Their difference").locator("p.caption")
    expect(difference).to_contain_text("for this field")
    expect(card(page, "Answers along the orbit").locator("canvas").first).to_be_visible(timeout=SECONDS)
    page.locator("input[type=range]").first.focus()
    page.keyboard.press("ArrowRight")
    expect(caption).to_contain_text("g = turn by 97.5°", timeout=SECONDS)
    expect(card(page, "ρ(g) f(x)").locator("p.caption")).to_contain_text("D4 has no such element")
    page.wait_for_function("location.search.includes('angle=97.5')")


def test_the_dial_boosts_a_jet_and_makes_an_animation(watched, orbits: str) -> None:
    page = watched.open(link(orbits, "lorentznet-small", gamma="10"))
    caption = card(page, "g·x: the jet moved").locator("p.caption")
    expect(caption).to_contain_text("boost with γ = 10 along x", timeout=SECONDS)
    expect(card(page, "Error of every layer").locator("canvas").first).to_be_visible(timeout=SECONDS)
    page.get_by_role("button", name="rotation").click()
    expect(caption).to_contain_text("rotation by 90° about x", timeout=SECONDS)
    page.get_by_role("button", name="Make GIF").click()
    expect(page.get_by_text("orbit-lorentznet-small-jet0.gif")).to_be_visible(timeout=SECONDS)
