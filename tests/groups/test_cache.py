from __future__ import annotations

import subprocess
import sys
from time import perf_counter

import numpy as np
import pytest

from eqviz.groups import cache
from eqviz.groups.cache import cached_tables


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EQVIZ_CACHE", str(tmp_path))
    return tmp_path


def build_once(log):
    def build():
        log.append(1)
        return {"table": np.arange(6.0).reshape(2, 3), "labels": np.array([1, 2])}

    return build


def test_built_once_then_read(folder):
    log = []
    first = cached_tables("key", build_once(log))
    again = cached_tables("key", build_once(log))
    assert len(log) == 1 and len(list(folder.iterdir())) == 1
    assert np.array_equal(first["table"], again["table"]) and np.array_equal(again["labels"], [1, 2])
    for tables in (first, again):
        with pytest.raises(ValueError, match="read-only"):
            tables["table"][0, 0] = 1.0
    cached_tables("another key", build_once(log))
    assert len(log) == 2


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "text", "pickle"])
def test_damaged_file_is_rebuilt(folder, damage):
    log = []
    cached_tables("key", build_once(log))
    (path,) = folder.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "flip":
        at = content.index(np.arange(6.0).tobytes()) + 11
        content[at] ^= 0xFF
    written = {"truncate": bytes(content[:-40]), "flip": bytes(content), "empty": b"", "text": b"not a table"}
    if damage == "pickle":
        np.savez(path, table=np.array([object()], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(written[damage])
    assert np.array_equal(cached_tables("key", build_once(log))["table"], np.arange(6.0).reshape(2, 3))
    assert len(log) == 2
    cached_tables("key", build_once(log))
    assert len(log) == 2


def test_version_and_key_decide(folder, monkeypatch):
    log = []
    cached_tables("key", build_once(log))
    monkeypatch.setattr(cache, "TABLE_VERSION", cache.TABLE_VERSION + 1)
    cached_tables("key", build_once(log))
    assert len(log) == 2


def test_no_writable_folder_is_no_problem(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EQVIZ_CACHE", str(tmp_path / "file" / "cache"))
    log = []
    assert len(cached_tables("key", build_once(log))) == 2 and len(log) == 1


def test_loading_is_fast(folder):
    big = {"table": np.random.default_rng(0).normal(size=(64, 64, 8))}
    cached_tables("big", lambda: big)
    times = []
    for _ in range(5):
        start = perf_counter()
        cached_tables("big", lambda: pytest.fail("must not build"))
        times.append(perf_counter() - start)
    assert min(times) < 5e-3


def test_concurrent_processes_leave_one_whole_file(folder):
    program = (
        "import numpy as np; from eqviz.groups.cache import cached_tables\n"
        "for i in range(20):\n"
        "    t = cached_tables(f'k{i % 4}', lambda: {'a': np.full((50, 50), i % 4)})\n"
        "    assert (t['a'] == i % 4).all()\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    assert len(list(folder.iterdir())) == 4 and not list(folder.glob("*.part"))
