"""Tables that the tests of groups build go to a temporary folder, never to the user's cache."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="package")
def temporary_cache(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("EQVIZ_CACHE", str(tmp_path_factory.mktemp("tables")))
    yield
    patch.undo()
