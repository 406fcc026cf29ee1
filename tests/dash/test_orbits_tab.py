"""The Orbits tab without a browser: every choice at its ends, what the cards say, animations."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dash_store
import numpy as np
import pytest
from PIL import Image

from eqviz.dash.components import FigureCard
from eqviz.dash.jobs import Latest
from eqviz.dash.session import Session
from eqviz.dash.tabs.orbits import ORBITS, View

SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "d4-small": ("groupcnn", {"group": "D4", "n_pixels": 16, "channels": (4, 4), "depth": 1}),
    "irreps-small": ("steerable_cnn", {"fields": "irreps", "n_pixels": 16, "channels": (4, 4), "depth": 1}),
    "cnn-small": ("cnn", {"n_pixels": 16, "channels": (4, 4), "depth": 1}),
    "pelican-small": ("pelican", {"hidden": 6, "message": 4, "n_blocks": 1, "label_channels": 2}),
}
MORE = ("lorentznet-small",)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with patch.dict(dash_store.SMALL, SMALL):
        return dash_store.make_store(tmp_path_factory.mktemp("orbits"), *SMALL, *MORE, n_jets=20)


@pytest.fixture
def opened(runs: Path) -> Iterator[Any]:
    views: list[View] = []

    def start(run: str, **choices: Any) -> View:
        view = View(Session(runs, chosen=[run], **choices))
        view.show()
        views.append(view)
        settle(view)
        return view

    yield start
    for view in views:
        view.close()


def settle(view: View) -> None:
    end = time.monotonic() + 60
    while view._page.unknown() and time.monotonic() < end:
        time.sleep(0.02)
    Latest(view._answered)()  # one at a time with what the thread draws


def cards(view: View) -> dict[str, FigureCard]:
    return {card.title: card for card in view.layout.select(FigureCard)}


IMAGE_ENDS: list[dict[str, Any]] = [
    {"angle": 0.0, "shift_eta": -64, "shift_phi": -64, "along": "eta", "orbit_layer": "image", "jet": 10**6},
    {"angle": 360.0, "mirrored": True, "shift_eta": 64, "shift_phi": 64, "along": "phi", "dtype": "float64",
     "orbit_layer": "no such layer", "orbit_field": 10**4, "orbit_run": "nothing", "dark": True},
    {"angle": 37.5, "mirrored": False, "shift_eta": 0, "shift_phi": 0, "along": "angle", "orbit_field": 5},
]  # fmt: skip
JET_ENDS: list[dict[str, Any]] = [
    {"move": "permutation", "shuffle": 0, "axis": "random", "orbit_layer": "nothing", "jet": 10**6},
    {"move": "rotation", "angle": 360.0, "axis": "z", "orbit_field": 10**4, "dtype": "float64", "dark": True},
    {"move": "boost", "gamma": 1e4, "axis": "x", "stable": False, "orbit_field": 0, "dtype": "float32"},
]


@pytest.mark.parametrize("run", ["d4-small", "irreps-small", "lorentznet-small", "pelican-small"])
def test_every_element_at_its_ends(opened: Any, run: str) -> None:
    view = opened(run)
    images = view._page is view._images
    for choices in IMAGE_ENDS if images else JET_ENDS:
        view.session.param.update(**choices)
        assert len(view.layout) == 3, choices
    settle(view)
    found = cards(view)
    for title, card in found.items():
        assert card.caption.endswith("."), title
        compile(card.repeat or "pass", title, "exec")
        if images:
            assert card.repeat and len(card.csv().splitlines()) > 2, title
    assert ("float64" if images else "float32, naive") in "".join(card.caption for card in found.values())


def test_numbers_say_what_the_networks_do(opened: Any) -> None:
    exact, plain = opened("d4-small", angle=90.0), opened("cnn-small", angle=90.0)
    texts = [cards(view)["Their difference"].caption for view in (exact, plain)]
    errors = [float(text.split("): ")[1].split(" for this")[0]) for text in texts]
    assert errors[0] < 1e-5 < 0.05 < errors[1]
    assert "declares no representation" in cards(plain)["ρ(g) f(x)"].caption
    assert "declared representation" in cards(exact)["ρ(g) f(x)"].caption
    exact.session.angle = 30.0
    assert "D4 has no such element" in cards(exact)["ρ(g) f(x)"].caption
    boosted = opened("lorentznet-small", gamma=10.0)
    text = cards(boosted)["Their difference"].caption
    assert float(text.split("frame): ")[1].split(" for this")[0]) < 1e-8


def test_a_turn_of_the_dial_moves_marks_and_refills_figures(opened: Any) -> None:
    view = opened("irreps-small", angle=30.0, orbit_field=5)
    page = view._images
    before = {name: page._models[name] for name in ("errors", "answer", "path")}
    pictures = [picture.model for picture in (page._moved, page._after, page._law, page._gap)]
    image = pictures[0].renderers[0].data_source.data["image"][0].copy()
    view.session.angle = 37.5
    assert [picture.model for picture in (page._moved, page._after, page._law, page._gap)] == pictures
    assert not np.array_equal(pictures[0].renderers[0].data_source.data["image"][0], image, equal_nan=True)
    assert before == {name: page._models[name] for name in before}
    assert page._models["errors"].select_one({"name": "at"}).location == pytest.approx(37.5)
    view._controls._identity()
    assert view.session.angle == 0.0
    view._controls._advance()
    assert view.session.angle == 7.5


@pytest.mark.parametrize(("run", "frames"), [("d4-small", 49), ("lorentznet-small", 25)])
def test_the_animation_is_offered(opened: Any, run: str, frames: int) -> None:
    view = opened(run)
    view._animate(".gif")
    end = time.monotonic() + 120
    while not ORBITS.done(view._film) and time.monotonic() < end:
        time.sleep(0.05)
    Latest(view._answered)()
    content = ORBITS.get(view._film)
    with Image.open(io.BytesIO(content)) as film:
        assert film.n_frames == frames
    assert view._save.objects[0].filename == f"orbit-{run}-jet0.gif"
    assert view._save.objects[0].callback().read() == content


def test_empty_states_say_what_to_do(runs: Path, tmp_path: Path) -> None:
    view = View(Session(runs, chosen=["d4-small"]))
    view.show()
    view.session.chosen = []
    assert "Choose a run" in view.layout[0].objects[0].object
    view.close()
    empty = View(Session(tmp_path))
    empty.show()
    assert "make report" in empty.layout[0].objects[0].object
