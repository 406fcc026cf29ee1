"""A small notebook that stores a synthetic run, fails or hangs, as its parameters say, and a study of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import yaml

TESTS = Path(__file__).resolve().parents[1]

PARAMETERS = """\
architecture: str = "pfn"
symmetry: str = "S_n"
separation: float = 2.0  # widths between the two classes
mode: str = "good"
seed: int = 0
tags: list = []
options: dict = {}
strict: bool = False
run_id: str = ""
runs: str = "runs\""""

WORK = f"""\
import os, sys, time
from pathlib import Path
sys.path.insert(0, {str(TESTS)!r})
if mode == "fail":
    raise ValueError(f"no luck with seed {{seed}}")
if mode == "die":
    os.kill(os.getpid(), 9)
if mode == "hang":
    Path(runs).mkdir(exist_ok=True)
    (Path(runs) / "hanging").write_text(str(os.getpid()))
    time.sleep(600)
if mode == "flag" and not Path(runs, "flag").exists():
    raise RuntimeError("the flag is missing")
from helpers import make_run
print("<script src='https://example.org/x.js'></script> is only text here")
run = make_run(Path(runs), run_id, model=architecture, symmetry=symmetry, separation=separation, seed=seed)
if mode == "doubt":
    raise AssertionError("the run is not as it should be")"""


def write_notebook(path: Path) -> Path:
    book = nbformat.v4.new_notebook()
    first = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    words = nbformat.v4.new_markdown_cell("# A synthetic run\n\nNothing is *trained* here.")
    book.cells = [words, first, nbformat.v4.new_code_cell(WORK)]
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, path)
    return path


def write_study_file(folder: Path, **keys: Any) -> Path:
    """A study file; keys as in the YAML, ``runs`` by default one good run."""
    default = {"title": "A study", "notebook": "synthetic.ipynb", "runs": [{"label": "PFN"}]}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**default, **keys}, allow_unicode=True))
    return path
