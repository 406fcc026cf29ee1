"""Every notebook in notebooks/: runs with two parameter sets of its own, typed, asserting, stored clean."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from eqviz.errors import EqvizError
from eqviz.study.parameters import notebook_parameters, resolve

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]


def parameter_sets(path: Path) -> list[dict[str, Any]]:
    """A notebook says itself, in its metadata, with which small parameters it is tested."""
    return list(nbformat.read(path, as_version=4).metadata.get("eqviz", {}).get("test_parameters", []))


CASES = [(path, given) for path in NOTEBOOKS for given in parameter_sets(path)]


def test_there_are_notebooks() -> None:
    assert "train_and_evaluate" in NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_two_parameter_sets_that_fit(path: Path) -> None:
    sets = parameter_sets(path)
    assert len(sets) >= 2, "put test_parameters into the notebook's metadata, under eqviz"
    assert sets[0] != sets[1]
    for given in sets:
        resolve(given, notebook_parameters(path), path.name)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_stored_without_outputs_and_readable_without_mathjax(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert "parameters" in code[0].metadata.get("tags", []), "the first code cell holds the parameters"
    for cell in code:
        assert cell.outputs == [] and cell.execution_count is None, "clear the outputs before storing"
    for cell in book.cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\$[^$\n]+\$|\\\(|\\\[", cell.source), "write formulas in Unicode"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_claims_are_asserted(path: Path) -> None:
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert any(isinstance(node, ast.Assert) for source in code for node in ast.walk(ast.parse(source)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "given"), CASES, ids=[f"{path.stem}-{k}" for k, (path, _) in enumerate(CASES)]
)
def test_runs_by_papermill(path: Path, given: dict[str, Any], tmp_path: Path) -> None:
    known = notebook_parameters(path)
    folders = {"runs": str(tmp_path / "runs")} if "runs" in known else {}
    output = tmp_path / "out.ipynb"
    script = (
        "import json, sys, papermill\n"
        "papermill.execute_notebook(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), progress_bar=False)"
    )
    import json

    result = subprocess.run(
        [sys.executable, "-c", script, str(path), str(output), json.dumps({**given, **folders})],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    cells = nbformat.read(output, as_version=4).cells
    html = [
        data["text/html"]
        for cell in cells
        for out in cell.get("outputs", [])
        if "text/html" in (data := out.get("data", {}))
    ]
    assert any("eqviz-figure" in text for text in html)
    outputs = "".join(html)
    assert not re.search(r"<(?:script|link|img)[^>]*(?:src|href)=[\"']https?:", outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_unknown_parameters_are_refused_before_anything_runs(path: Path) -> None:
    with pytest.raises(EqvizError, match="no_such_parameter"):
        resolve({"no_such_parameter": 1}, notebook_parameters(path), path.name)
