"""The Filters tab without a browser: every family, every parameter at its ends, what the cards say."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dash_store
import numpy as np
import pytest
import torch

from eqviz.dash.components import FigureCard
from eqviz.dash.filters import data
from eqviz.dash.filters.look import Look
from eqviz.dash.filters.pictures import FAMILIES, formula, pictures
from eqviz.dash.filters.repeat import code, moved_code
from eqviz.dash.session import Session
from eqviz.dash.tabs.filters import View

IMAGES: dict[str, Any] = {"n_pixels": 16, "channels": (4, 8), "depth": 1}
SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "cnn-small": ("cnn", IMAGES),
    "c8-small": ("groupcnn", {**IMAGES, "group": "C8"}),
    "relaxed-small": ("relaxed", IMAGES),
    "steerable-small": ("steerable_cnn", IMAGES),
    "harmonic-small": ("harmonic", {**IMAGES, "channels": (2, 3)}),
    "vit-small": ("vit", {"n_pixels": 16, "width": 8, "n_blocks": 1, "n_heads": 2}),
    "sphere-small": ("spherical_cg", {"degree": 2, "channels": 3, "n_layers": 2}),
    "lgn-small": ("lgn", {"channels": (2, 2), "n_bells": 3}),
    "pelican-small": ("pelican", {"hidden": 6, "message": 4, "n_blocks": 1, "label_channels": 2}),
    "irc-small": ("pelican-irc", {"hidden": 6, "message": 4, "n_blocks": 1}),
    "nano-small": ("nanopelican", {"hidden": 2}),
}
SHARED = ("lorentznet-small", "pfn-small")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with patch.dict(dash_store.SMALL, SMALL):
        return dash_store.make_store(tmp_path_factory.mktemp("filters"), *SMALL, *SHARED, n_jets=20)


@pytest.fixture
def opened(runs: Path) -> Iterator[Any]:
    views: list[View] = []

    def start(run: str, **choices: Any) -> View:
        view = View(Session(runs, chosen=[run], tab="filters", **choices))
        view.show()
        views.append(view)
        return view

    yield start
    for view in views:
        view.close()


def cards(view: View) -> dict[str, FigureCard]:
    return {card.title: card for card in view.layout.select(FigureCard)}


@pytest.mark.parametrize("run", [*SMALL, *SHARED])
def test_every_layer_of_every_network_is_drawn(opened, run: str) -> None:
    view = opened(run, weights="both")
    layers = data.layers(view.session.networks()[0].run)
    families = set()
    for layer in layers:
        if layer.family in families:
            continue
        families.add(layer.family)
        view.session.param.update(filter_layer=layer.key, channel=10**6, source=10**6)
        found = cards(view)
        assert len(found) > 1
        for title, card in found.items():
            assert title and card.caption.endswith("."), (layer.key, title)
            assert card.repeat and len(card.csv().splitlines()) > 1, (layer.key, title)
        assert view._controls.layer.value == layer.key
        if layer.family != "formula":
            assert {"after", "before"} <= {word for t in found for word in t.split()} or len(found) == 2
    assert families <= {*FAMILIES, "formula"}


def test_every_family_is_tried(runs: Path) -> None:
    session = Session(runs)
    tried = {layer.family for run in session.sound() for layer in data.layers(run)}
    assert tried == {*FAMILIES, "formula"}


@pytest.mark.parametrize("run", ["vit-small", "pfn-small"])
def test_every_parameter_at_its_ends(opened, run: str) -> None:
    view = opened(run)
    ends = {
        "chosen": ([], ["nothing"], [run, "nano-small"], [run]), "filter_run": ("nothing", run, ""),
        "filter_layer": ("nonsense", ""), "channel": (10**6, 0), "source": (10**6, 0),
        "weights": ("before", "both", "after"), "jet": (10**6, 0), "dark": (True, False),
    }  # fmt: skip
    for name, values in ends.items():
        for value in values:
            view.session.param.update(**{name: value})
            assert len(view.layout) > 0
    assert "How far each layer moved" in cards(view)


def test_controls_and_session_follow_each_other(opened) -> None:
    view = opened("cnn-small")
    controls, session = view._controls, view.session
    assert not controls.source.visible  # one input channel
    controls.layer.value = "trunk.layers.1.conv"
    assert (session.filter_layer, session.channel, session.source) == ("trunk.layers.1.conv", 0, 0)
    assert controls.source.visible and controls.source.end == 4
    controls.channel.value = 8
    controls.source.value = 3
    assert (session.channel, session.source) == (7, 2)
    assert "Channel 8 from input 3" in cards(view)["The chosen filter"].caption
    controls.weights.value = "before"
    assert session.weights == "before"
    assert "(before training)" in cards(view)["The chosen filter"].caption


def test_a_channel_changes_the_numbers(opened) -> None:
    view = opened("cnn-small")
    before = cards(view)["The chosen filter"].csv()
    view.session.channel = 2
    after = cards(view)["The chosen filter"].csv()
    assert before != after
    run = view.session.networks()[0].run
    kernel = run.model().trunk.layers[0].conv.weight[2, 0].detach().numpy()
    values = [float(row["weight"]) for row in csv.DictReader(io.StringIO(after))]
    assert np.allclose(np.sort(values), np.sort(kernel.ravel()), atol=1e-6)


def test_what_no_channel_changes_is_not_drawn_again(opened) -> None:
    view = opened("lorentznet-small")
    before = {title: card.figure[0] for title, card in cards(view).items()}
    view.session.channel = 3
    after = {title: card.figure[0] for title, card in cards(view).items()}
    changed = {title for title in before if before[title] is not after[title]}
    assert changed == {"Message over the invariants"}
    view.session.source = 1
    assert cards(view)["Gate over the invariants"].figure[0] is not before["Gate over the invariants"]


def test_weights_before_training_are_those_of_the_seed(runs: Path) -> None:
    session = Session(runs)
    run = session.store.get("harmonic-small")
    first, trained = data.network(run, data.BEFORE), data.network(run, data.AFTER)
    pairs = zip(first.state_dict().values(), trained.state_dict().values())
    assert all(torch.equal(a, b) for a, b in pairs)  # runs of this store were never trained
    assert all(row.relative == 0 for row in data.how_far(run))


def test_given_weights_say_so(runs: Path, opened) -> None:
    view = opened("pfn-small", weights="both")
    run = view.session.networks()[0].run
    run.config["model"]["published"] = "somewhere.pt"
    data._started.cache_clear()
    view.session.param.update(channel=1)
    texts = [part.objects[0].object for part in view.layout if hasattr(part, "severity")]
    assert any("not trained here" in text for text in texts)
    assert view._controls.weights.disabled and view._controls.weights.value == "after"
    assert "How far each layer moved" not in cards(view)


def test_a_network_without_filters_shows_what_it_can(opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "layers", lambda run, state="after": ())
    view = opened("pfn-small")
    texts = [part.objects[0].object for part in view.layout if hasattr(part, "severity")]
    assert any("without filters" in text and "singular values" in text for text in texts)
    assert set(cards(view)) == {"Linear layers", "How far each layer moved"}


def test_both_states_share_their_scale(runs: Path) -> None:
    run = Session(runs).store.get("cnn-small")
    look = Look(run, data.layers(run)[0], 0, 0, data.BOTH)
    found = [picture for picture in pictures(look) if picture.stem.startswith("filters-")]
    assert [picture.title for picture in found] == [
        "Filters by output, after training", "Filters by output, before training"
    ]  # fmt: skip
    assert len({picture.draw.keywords["limits"] for picture in found}) == 1


def test_the_formula_is_written_with_its_numbers(opened) -> None:
    view = opened("nano-small")
    run = view.session.networks()[0].run
    html, table, _ = formula(Look(run, data.layers(run)[0], 0, 0, data.AFTER))
    model = run.model()
    assert f"{abs(float(model.pool.bias.detach())):.4g}" in html
    rows = {row["term"]: float(row["value"]) for row in csv.DictReader(io.StringIO(table))}
    assert rows["u1"] == pytest.approx(float(model.pool.weight[1, 0, 0, 0].detach()))
    weight = model.hidden.weight[:, 0, 0, 1].detach()
    assert rows["z2 d_ij"] == pytest.approx(float(weight[0] + weight[1]), rel=1e-5)
    assert cards(view)["The network as a formula"].downloads == ["csv"]


@pytest.mark.parametrize("run", [*SMALL, *SHARED])
def test_the_code_repeats_the_arrays(runs: Path, run: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = Session(runs).store.get(run)
    tried = set()
    for layer in data.layers(found):
        if layer.family in tried:
            continue
        tried.add(layer.family)
        names: dict[str, Any] = {}
        state = data.BEFORE if layer.family == "kernels" else data.AFTER
        exec(compile(code(Look(found, layer, 0, 0, state), runs), layer.family, "exec"), names)
        assert "figure" in names or "figures" in names or capsys.readouterr().out.strip()
    exec(compile(moved_code(found, runs), "moved", "exec"), {})
    assert "relative=0" in capsys.readouterr().out
