"""Fixtures of the study tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from study_helpers import write_notebook, write_study_file


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    return write_notebook(tmp_path / "synthetic.ipynb")


@pytest.fixture
def write_study(tmp_path: Path, notebook: Path) -> Callable[..., Path]:
    return partial(write_study_file, tmp_path)
