"""How fast the dashboard answers: the first page, and a step of the gamma slider, on server and screen."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from benchmarks.registry import Row, Settings, register

TARGET_MS = 150.0  # 95th percentile, see the design of the dashboard
NETWORKS = {"lorentznet": {}, "pfn": {}}
STEPS = 34  # twice through the slider
WALKS = 3  # in the browser, so many times as often
_WATCH = """
() => {
  const caption = () => {
    const cards = []
    const walk = (node) => {
      for (const child of node.children || []) {
        if (child.matches("section.card")) { cards.push(child) }
        if (child.shadowRoot) { walk(child.shadowRoot) }
        walk(child)
      }
    }
    walk(document.body)
    const after = cards.find((card) => card.querySelector("h3").textContent === "The jet after")
    return after.querySelector("p.caption")
  }
  window.times = []
  let text = caption()
  addEventListener("keydown", () => {
    const start = performance.now(), before = text.textContent
    const look = () => {
      if (!text.isConnected) { text = caption() }
      if (text.textContent !== before) {  // one more frame: the figures are painted with it
        requestAnimationFrame(() => window.times.push(performance.now() - start))
      } else { requestAnimationFrame(look) }
    }
    look()
  }, true)
}
"""


@register(
    "dashboard",
    summary="first page, and a step of the gamma slider of the Boosts tab, on the server and in Chromium",
    reference="panel.holoviz.org",
)
def run(settings: Settings) -> list[Row]:
    if settings.device != "cpu":
        return []
    with tempfile.TemporaryDirectory() as folder:
        root, n_jets = make_store(Path(folder)), 400
        setting = f"{len(NETWORKS)} untrained networks of published size, {n_jets} jets"
        steps = 17 if settings.quick else STEPS
        found = server_rows(root, steps, setting)
        if shutil.which("chromium"):
            found += browser_rows(root, steps if settings.quick else WALKS * steps, setting)
        return found


def make_store(folder: Path) -> Path:
    """Runs of untrained networks on 400 jets of the shipped sample."""
    from eqviz.data import load
    from eqviz.evaluation import predict
    from eqviz.evaluation.environment import describe
    from eqviz.evaluation.metrics import classification_metrics
    from eqviz.evaluation.run import HISTORY_TYPES, WEIGHTS, Scores, write_run
    from eqviz.evaluation.store import RunStore
    from eqviz.models import build_model, n_parameters, save_model

    load("top_sample", "test").subset(400, 0).to_parquet(folder / "test.parquet")
    data = load(folder, "test")
    store = RunStore(folder / "runs")
    for name, params in NETWORKS.items():
        torch.manual_seed(0)
        model = build_model(name, **params).eval()
        logits = predict(model, data)
        metrics = classification_metrics(data.labels, logits, n_bootstrap=10)
        metrics["parameters"] = {"value": float(n_parameters(model)), "error": None}
        config = {
            "run_id": name, "model": {"name": name, "params": params}, "symmetry": model.symmetry, "seed": 0,
            "data": {"name": str(folder), "n_train": 0, "n_val": 0, "n_test": len(data)},
            "training": {}, "evaluation": {},
        }  # fmt: skip
        with store.create(name) as place:
            write_run(
                place, config=config, environment=describe(), history={key: [] for key in HISTORY_TYPES},
                scores=Scores(data.labels, logits, np.arange(len(data))), metrics=metrics, invariance=[],
            )  # fmt: skip
            save_model(model, place / WEIGHTS)
    return folder / "runs"


def server_rows(root: Path, steps: int, setting: str) -> list[Row]:
    """Seconds that a new gamma keeps the server busy: while the scan runs, and with its answers there."""
    from eqviz.dash.scans import ANSWERS
    from eqviz.dash.session import GAMMAS, Session
    from eqviz.dash.tab import tab_classes

    session = Session(root, axis="x")
    tab = tab_classes()["boosts"](session)
    tab.show()

    def walk() -> list[float]:
        times = []
        for step in range(steps):
            start = time.perf_counter()
            session.gamma = GAMMAS[(step + 9) % len(GAMMAS)]
            times.append(time.perf_counter() - start)
            time.sleep(0.05)
        return times

    scanning = walk()
    wish = tab._wish
    for network, unit in wish.units():
        while not ANSWERS.done(unit):
            ANSWERS.advance(network, unit)
    tab._show_progress()
    answered = walk()
    if tab._models["deviation"].select_one({"name": "at"}).location != session.gamma:
        raise RuntimeError("the mark did not follow gamma: the times above mean nothing")
    tab.close()
    return [
        *summarised("gamma step, server, scan running", scanning, setting),
        *summarised("gamma step, server, scan done", answered, setting),
    ]


def browser_rows(root: Path, steps: int, setting: str) -> list[Row]:
    """From a key press on the slider to the painted answer, and from the address to the first figure."""
    from playwright.sync_api import sync_playwright

    from eqviz.dash.session import GAMMAS

    with serving(root) as address, sync_playwright() as driver:
        path = shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        first = []
        for _ in range(3):
            start = time.perf_counter()
            page.goto(address)
            page.locator("section.card canvas").first.wait_for(timeout=60_000)
            first.append(time.perf_counter() - start)
        page.goto(f"{address}?tab=boosts&gamma=1&axis=x")
        page.get_by_text("Of 200 jets at γ = 1;").wait_for(timeout=120_000)
        page.evaluate(_WATCH)
        page.locator("input[type=range]").first.focus()

        def walk(steps: int) -> list[float]:
            start = page.evaluate("window.times.length")
            for step in range(steps):
                forward = step % (2 * len(GAMMAS) - 2) < len(GAMMAS) - 1
                page.keyboard.press("ArrowRight" if forward else "ArrowLeft")
                page.wait_for_function(f"window.times.length > {start + step}")
            return [milliseconds / 1e3 for milliseconds in page.evaluate("window.times")[start:]]

        scanning = walk(2 * len(GAMMAS) - 2)
        page.get_by_text(re.compile(r"^scan \d")).wait_for(state="hidden", timeout=300_000)
        answered = walk(steps)
        browser.close()
    return [
        *summarised("gamma step, browser, scan running", scanning, setting),
        *summarised("gamma step, browser", answered, setting),
        Row(
            "first figure of the first page",
            "eqviz",
            float(np.median(first)),
            min(first),
            max(first),
            "s",
            setting,
        ),
    ]


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The dashboard as users have it: served by ``panel serve dashboards/`` in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "panel", "serve", "dashboards", "--port", str(port)]
    project = Path(__file__).parents[1]
    environment = {**os.environ, "EQVIZ_RUNS": str(root), "PYTHONPATH": str(project)}
    silent = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd=project, env=environment, stdout=silent, stderr=silent)
    address = f"http://localhost:{port}/dashboards"
    try:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(address, timeout=30).close()
                break
            except OSError:
                if time.monotonic() > end or server.poll() is not None:
                    raise
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def summarised(quantity: str, seconds: list[float], setting: str) -> list[Row]:
    """Median and 95th percentile in ms; the second one's ratio is that to the target of 150 ms."""
    values = 1e3 * np.array(seconds)
    ends = float(values.min()), float(values.max())
    p95 = float(np.quantile(values, 0.95))
    return [
        Row(f"{quantity}, median", "eqviz", float(np.median(values)), *ends, "ms", setting),
        Row(f"{quantity}, 95 %", "eqviz", p95, *ends, "ms", setting, p95 / TARGET_MS),
    ]
