"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Without a GPU Triton's kernels run in its interpreter, which must be chosen before anything imports Triton.
if not Path("/dev/nvidia0").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: at the end of a run in parallel nobody waits for one of them."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """Published weights and reference outputs; the tests that need them skip where they are absent."""
    folder = Path(os.environ.get("EQVIZ_REFERENCE", ROOT.parent / "shared" / "reference"))
    if not folder.is_dir():
        pytest.skip("reference outputs are not here: set EQVIZ_REFERENCE to the folder that holds them")
    return folder
