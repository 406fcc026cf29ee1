"""The dashboard behind a server: once in a thread, once by the literal command."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import panel as pn
import pytest
from bokeh.client import pull_session
from panel.models.esm import ReactiveESM

from eqviz.dash.shell import build

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(url: str, seconds: float = 60.0) -> bytes:
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def card_titles(url: str, **arguments: str) -> set[str]:
    with pull_session(url=url, arguments=arguments) as session:
        models = session.document.select({"type": ReactiveESM})
        return {model.data.title for model in models if model.class_name == "FigureCard"}


@pytest.fixture(scope="module")
def served(store: Path) -> Iterator[str]:
    port = free_port()
    server = pn.serve(
        lambda: build(store), port=port, address="127.0.0.1", show=False, threaded=True, verbose=False,
        websocket_origin=f"127.0.0.1:{port}",
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/"
    wait_until_up(url)
    yield url
    server.stop()


def test_a_session_has_the_cards_of_the_open_tab(served: str) -> None:
    assert "Rejection against size" in card_titles(served)
    assert {"ROC", "Comparison", "Learning curves"} <= card_titles(served, tab="runs")
    assert "Momenta" in card_titles(served, tab="jets", jet="3")


def test_two_visitors_do_not_share_their_state(served: str) -> None:
    first, second = (card_titles(served, tab=tab) for tab in ("jets", "boosts"))
    assert "How far the answer moves" in second - first


def test_nonsense_in_the_address_is_survived(served: str) -> None:
    titles = card_titles(served, tab="nothing", gamma="-3", axis="w", runs="[1", jet="many")
    assert "Rejection against size" in titles


def test_the_literal_command(store: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "panel", "serve", "dashboards/", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "EQVIZ_RUNS": str(store)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        url = f"http://localhost:{port}/dashboards"
        assert b"location.replace(there" in wait_until_up(f"{url}/")  # to the address without the slash
        assert "Comparison" in card_titles(url, tab="runs")
    finally:
        process.terminate()
        output = process.communicate(timeout=30)[0]
    assert "Traceback" not in output
    assert "W-10" not in output  # no complaint of Bokeh about layouts
