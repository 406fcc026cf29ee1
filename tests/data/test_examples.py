"""The examples in docstrings and in docs/data.md run as they stand."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from eqviz.data import load
from eqviz.kinematics import from_ptetaphim

ROOT = Path(__file__).resolve().parents[2]
MODULES = (
    *("jets", "dataset", "frames", "images", "storage", "loading", "toptag", "fetch", "catalogue"),
    *("image_batch", "image_dataset", "particle_ids", "egamma"),
)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    module = importlib.import_module(f"eqviz.data.{name}")
    assert doctest.testmod(module).failed == 0


def test_the_guide(tmp_path, monkeypatch):
    pytest.importorskip("awkward")
    pytest.importorskip("vector")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    jets = [from_ptetaphim(rng.uniform(1, 50, n), rng.normal(size=n), rng.normal(size=n)) for n in (3, 0, 9)]
    names = {"jets": jets, "labels": [1, 0, 1], "model": lambda batch: np.zeros((len(batch), 2))}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "data.md").read_text(), re.DOTALL)
    assert len(blocks) == 5
    for block in blocks[:4]:  # the last needs a file of the reference set
        exec(compile(block, "docs/data.md", "exec"), names)
    assert len(load("mine", "train")) == 3 and len(load("mine.parquet", "train")) == 1


def test_the_guide_to_images():
    pytest.importorskip("holoviews")
    text = (ROOT / "docs" / "detector_images.md").read_text()
    first = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    names = {}
    exec(compile(first, "docs/detector_images.md", "exec"), names)
    assert names["x"].shape[1:] == (3, 32, 32)
    assert len(names["images"]) == len(names["jets"]) == 2000
