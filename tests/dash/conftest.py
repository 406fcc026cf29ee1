from __future__ import annotations

from pathlib import Path

import pytest
from dash_store import SMALL, make_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small networks and their jets; not to be changed."""
    return make_store(tmp_path_factory.mktemp("store"), *SMALL)
