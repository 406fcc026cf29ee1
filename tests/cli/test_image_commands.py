"""`eqviz data` with images: list, describe, convert, generate."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eqviz.cli import main
from eqviz.data import ImageDataset, JetDataset, generate_events

Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Here:
    """Run `eqviz data ...` in this process and an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EQVIZ_DEBUG", raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["eqviz", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        said = capsys.readouterr()
        return int(exit_.value.code or 0), said.out, said.err

    return run


def test_images_are_listed_and_described(here: Here) -> None:
    code, told, _ = here("images")
    assert code == 0
    assert all(name in told for name in ("qg_sample", "top_images", "egamma"))
    code, told, _ = here("images", "top_images", "--split", "val")
    assert code == 0
    assert "150 images of 3 x 125 x 125" in told
    assert "ECAL [GeV]" in told
    assert "% of the pixels are empty" in told
    code, _, wrong = here("images", "nothing")
    assert code == 2
    assert "unknown image data set 'nothing'" in wrong


def test_published_arrays_are_converted(here: Here, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = np.zeros((4, 3, 4))
    x[:, :, 0], x[:, :, 1:3], x[:, :, 3] = 100.0, rng.normal(size=(4, 3, 2)), 211
    np.savez(tmp_path / "QG.npz", X=x, y=np.array([0.0, 1, 0, 1]))
    assert here("convert", "QG.npz", "qg.parquet")[0] == 0
    assert JetDataset.from_parquet(tmp_path / "qg.parquet").class_names == ["gluon", "quark"]
    code, _, wrong = here("convert", "missing.npz", "x.parquet")
    assert code == 2
    assert "missing.npz" in wrong


def test_jets_with_images_are_generated(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pythia8mc")
    pytest.importorskip("fastjet")
    monkeypatch.setattr(generate_events, "_BATCH", 2)
    arguments = ("jets.parquet", "-n", 2, "--task", "quark_gluon", "--images", "--quiet")
    code, told, _ = here("generate", *arguments)
    assert code == 0
    assert "jets.parquet" in told
    assert len(ImageDataset.from_parquet(tmp_path / "jets.parquet")) == 2
    assert JetDataset.from_parquet(tmp_path / "jets.parquet").meta["scalar_names"] == ["pdg"]
    code, _, wrong = here("generate", "x.parquet", "--task", "higgs")
    assert code == 2
    assert "unknown task 'higgs'" in wrong
