"""The browser shows the steps of the gamma slider by itself, and as the server would."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

pytestmark = pytest.mark.ui

_MODELS = "Bokeh.documents.flatMap((document) => document.roots().flatMap((root) => [...root.references()]))"
_DRAWN = f"""(axis) => {{
  const steps = {_MODELS}.filter((model) => model.type.endsWith("FilmStep"))
  const shown = ([id, {{caption, rows}}]) => [caption, rows]
  const texts = steps.map((step) => JSON.stringify(step.changes.map(shown)))
  const good = (text) => text.includes("γ = ") && text.includes(axis) && !text.includes("…")
  return steps.length == 17 && texts.every(good)
}}"""
_SEEN = f"""() => {{
  const found = {{captions: [], rows: [], data: [], marks: [], ranges: []}}
  const walk = (node) => {{
    for (const child of node.children || []) {{
      if (child.matches("p.caption")) {{ found.captions.push(child.textContent) }}
      if (child.matches("tr[data-row]")) {{ found.rows.push(child.innerText) }}
      if (child.shadowRoot) {{ walk(child.shadowRoot) }}
      walk(child)
    }}
  }}
  walk(document.body)
  for (const model of {_MODELS}) {{
    if (model.name == "at") {{ found.marks.push(model.location) }}
    if (model.type == "ColumnDataSource" && ("energy" in model.data || "exact" in model.data)) {{
      const columns = Object.entries(model.data).map(([name, values]) => [name, [...values]])
      found.data.push(JSON.stringify(columns.sort()))
    }}
    if (model.type == "Range1d") {{ found.ranges.push([model.start, model.end]) }}
  }}
  found.data.sort(); found.ranges.sort()
  return JSON.stringify(found)
}}"""


def _address(address: str, **state: object) -> str:
    runs = ["lorentznet-small", "pfn-small"]
    return f"{address}?{urlencode({'tab': 'boosts', 'runs': json.dumps(runs), **state})}"


def test_a_browser_by_itself_shows_what_the_server_would(watched, address: str) -> None:
    page = watched.open(_address(address, gamma=1, axis="x"))
    page.wait_for_function(_DRAWN, arg="(x)")
    page.evaluate("() => { WebSocket.prototype.send = () => {} }")  # the server hears nothing
    page.locator("input[type=range]").first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    page.get_by_text("Of 120 jets at γ = 3.16;").wait_for()
    alone = json.loads(page.evaluate(_SEEN))
    page = watched.open(_address(address, gamma=3.16, axis="x"))
    page.wait_for_function(_DRAWN, arg="(x)")
    assert json.loads(page.evaluate(_SEEN)) == alone


def test_another_axis_in_the_middle_of_a_walk(watched, address: str) -> None:
    page = watched.open(_address(address, gamma=1, axis="x"))
    page.wait_for_function(_DRAWN, arg="(x)")
    slider = page.locator("input[type=range]").first
    for _ in range(5):
        slider.press("ArrowRight")
    page.get_by_role("button", name="beam z").click()
    slider.press("ArrowRight")
    page.wait_for_function(_DRAWN, arg="(z)")
    page.wait_for_function("location.search.includes('gamma=31.6')")
    walked = json.loads(page.evaluate(_SEEN))
    page = watched.open(_address(address, gamma=31.6, axis="z"))
    page.wait_for_function(_DRAWN, arg="(z)")
    assert json.loads(page.evaluate(_SEEN)) == walked
