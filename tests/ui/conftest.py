from __future__ import annotations

import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import panel as pn
import pytest
from dash_store import SMALL, make_store

from eqviz.dash.shell import build

VISITS: list[Any] = []  # their session contexts


def leave() -> None:
    """Forget visitors who have gone at once: for half a minute more their pages would go on working."""
    while VISITS:
        if (session := VISITS.pop().session) is not None:
            session.request_expiration()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """``serve("pfn-small", ...)`` serves a store with these runs and returns the address."""
    servers = []

    def start(*run_ids: str) -> str:
        root: Path = make_store(tmp_path_factory.mktemp("ui"), *run_ids)

        def visit():
            VISITS.append(pn.state.curdoc.session_context)
            return build(root)

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        servers.append(
            pn.serve(
                visit, port=port, address="127.0.0.1", show=False, threaded=True, verbose=False,
                websocket_origin=f"127.0.0.1:{port}", check_unused_sessions_milliseconds=100,
            )
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}/"
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(url, timeout=30).close()
                leave()
                return url
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def address(serve) -> str:
    return serve(*SMALL)


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, driven by Playwright."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not on the PATH: install it (apt-get install chromium) to test the page")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    playwright.expect.set_options(timeout=180_000)  # as all other waits: a busy machine draws slowly
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def visitor(chromium):
    """Keeps the page's files, megabytes of scripts, from test to test, and nothing of what a page stored."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    context.add_init_script("try { localStorage.clear() } catch { /* an empty page has none */ }")
    return context


class Watched:
    """A page with everything that it complained about and every request that left this machine."""

    def __init__(self, visitor) -> None:
        self.page = visitor.new_page()
        self.page.set_default_timeout(180_000)
        self.complaints: list[str] = []
        self.abroad: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)

    def _heard(self, message) -> None:
        software_rendering = "GL Driver Message" in message.text  # of a browser without a graphics card
        if message.type in ("error", "warning") and not software_rendering:
            self.complaints.append(message.text)

    def _asked(self, request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            self.abroad.append(request.url)

    def open(self, url: str):
        self.page.goto(url)
        return self.page


@pytest.fixture
def watched(visitor) -> Iterator[Watched]:
    found = Watched(visitor)
    yield found
    found.page.close()
    leave()
    assert found.complaints == []
    assert found.abroad == []
