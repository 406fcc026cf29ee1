"""C kernels: compiled once, kept privately, and never in the way where they cannot be had."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from eqviz.ops import native
from eqviz.ops.dispatch import use_kernels, wants_native

SOURCE = """
#include "native.h"
int twice(const REAL *x, REAL *out, int64_t n, double factor) {
    if (n < 0) return 1;
    for (int64_t k = 0; k < n; k++) out[k] = factor * x[k];
    return 0;
}
int parts(const REAL *x, REAL *out) {
    vec v = load(x);
    out[0] = total(v);
    store(out + 1, where(first(1), relu(v), splat(7)));
    return 0;
}
int team(REAL *out, int64_t threads) {
    int sum = 0;
#pragma omp parallel for num_threads(threads) reduction(+ : sum)
    for (int k = 0; k < 100; k++) sum += k;
    *out = sum;
    return 0;
}
"""
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler on this machine"
)


@pytest.fixture
def ops(tmp_path, monkeypatch):
    """A folder of operations with one called "double", and a cache of its own."""
    folder = tmp_path / "ops"
    (folder / "double").mkdir(parents=True)
    (folder / "double" / "native.c").write_text(SOURCE)
    shutil.copy(native._HERE / "native.h", folder)
    monkeypatch.setattr(native, "_HERE", folder)
    monkeypatch.setenv("EQVIZ_CACHE", str(tmp_path / "cache"))
    native.forget()
    yield folder
    native.forget()


def twice(dtype=torch.float32):
    x = torch.arange(5, dtype=dtype)
    out = torch.full_like(x, float("nan"))
    native.library("double", dtype).call("twice", x, out, len(x), 2.0)
    return out


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiles_once_into_a_private_folder(ops, tmp_path, dtype, monkeypatch):
    assert twice(dtype).tolist() == [0, 2, 4, 6, 8]
    assert native.available("double", dtype) and native.reason("double", dtype) == ""
    folder = tmp_path / "cache" / "native"
    assert folder.stat().st_mode & 0o777 == 0o700
    (stored,) = folder.iterdir()
    assert stored.suffix == ".so", "no temporary file is left"
    native.forget()
    monkeypatch.setattr(native, "_compile", None)  # another compilation would fail
    assert twice(dtype).tolist() == [0, 2, 4, 6, 8]
    (ops / "double" / "native.c").write_text(SOURCE + "/* changed */")
    native.forget()
    with pytest.raises(TypeError):
        twice(dtype)


@needs_compiler
def test_a_damaged_library_is_compiled_again(ops, tmp_path):
    for dtype in (torch.float32, torch.float64):
        twice(dtype)
    for stored in (tmp_path / "cache" / "native").iterdir():
        stored.unlink()  # what is loaded stays mapped
        stored.write_bytes(b"no library")
    native.forget()
    assert twice().tolist() == [0, 2, 4, 6, 8]


@needs_compiler
def test_without_a_folder_it_is_compiled_for_the_process(ops, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("EQVIZ_CACHE", str(blocked))
    assert twice().tolist() == [0, 2, 4, 6, 8]
    somewhere = tmp_path / "elsewhere"
    somewhere.mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "native").symlink_to(somewhere)
    monkeypatch.setenv("EQVIZ_CACHE", str(tmp_path / "linked"))
    native.forget()
    assert twice().tolist() == [0, 2, 4, 6, 8]
    assert not list(somewhere.iterdir()), "nothing is put where a link leads"


@needs_compiler
def test_without_a_home_folder_it_is_compiled_for_the_process(ops, monkeypatch):
    monkeypatch.delenv("EQVIZ_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", staticmethod(lambda: (_ for _ in ()).throw(RuntimeError("no home"))))
    assert twice().tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"PATH": "/nonexistent", "CC": ""}, "no C compiler"),
        ({"CC": "false"}, "false failed"),
        ({"CC": "sleep 5"}, "cannot be run|failed"),
        ({"CC": "cc 'unclosed"}, "quotation"),
        ({"TMPDIR": "/nonexistent", "EQVIZ_CACHE": "/proc/nowhere", "CC": "false"}, "false failed|temporary"),
    ],
)
def test_without_a_working_compiler_there_is_a_reason_and_no_error(ops, variables, why, monkeypatch, caplog):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(native, "_SECONDS", 0.2)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert not native.available("double")
    assert len(caplog.records) == 1, "said once"
    assert re.search(why, native.reason("double"))
    assert not wants_native("double", torch.ones(1))


@needs_compiler
def test_a_source_that_does_not_compile_is_no_error(ops):
    (ops / "double" / "native.c").write_text("int broken(")
    assert native.library("double", torch.float32) is None
    assert "failed" in native.reason("double")


@needs_compiler
def test_what_runs_natively(ops, monkeypatch):
    x = torch.ones(3)
    assert wants_native("double", x) and wants_native("double", x.double())
    assert not wants_native("double", x, able=False)
    assert not wants_native("double", x.half()) and not wants_native("double", x.to("meta"))
    with use_kernels("reference"):
        assert not wants_native("double", x)


@needs_compiler
def test_arguments_are_checked(ops):
    loaded = native.library("double", torch.float32)
    x = torch.ones(4, 4)
    with pytest.raises(ValueError, match="contiguous"):
        loaded.call("twice", x.T, x, 3, 2.0)
    with pytest.raises(MemoryError):
        loaded.call("twice", x, x, -1, 2.0)


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vectors(ops, dtype):
    lanes = 512 // torch.finfo(dtype).bits  # of the widest vector
    x = torch.arange(lanes, dtype=dtype) - 1
    out = torch.full((1 + lanes,), 9, dtype=dtype)
    call = native.library("double", dtype).call
    call("parts", x, out)
    width = int((out[1:] != 9).sum())  # of this machine
    assert out[0] == x[:width].sum() and out[1] == 0 and (out[2 : 1 + width] == 7).all() and width > 1
    x[0] = float("nan")
    call("parts", x, out)
    assert out[0].isnan() and out[1].isnan(), "a rectifier keeps NaN"


@needs_compiler
def test_exponential(ops):
    (ops / "double" / "native.c").write_text(
        '#include "native.h"\nint run(const REAL *x, REAL *y, int64_t n) {'
        "for (int64_t k = 0; k < n; k += LANES) store(y + k, exponential(load(x + k))); return 0; }"
    )
    for dtype, last in ((torch.float32, 4e-7), (torch.float64, 1e-15)):
        x = torch.cat(
            [torch.linspace(-86, 86, 4094, dtype=dtype), torch.tensor([0, float("nan")], dtype=dtype)]
        )
        y = torch.empty_like(x)
        native.library("double", dtype).call("run", x, y, len(x))
        torch.testing.assert_close(y.double(), x.double().exp(), rtol=last, atol=0, equal_nan=True)


@needs_compiler
def test_many_threads_and_a_forked_process(ops):
    barrier = threading.Barrier(8)

    def work(_):
        barrier.wait()
        return twice().sum().item()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [20.0] * 8
    # a process of its own, because this one has threads that a fork would cut off
    code = f"""
import os, sys, torch
from pathlib import Path
from eqviz.ops import native
native._HERE = Path({str(ops)!r})
def run():
    out = torch.zeros(1)
    native.library("double", torch.float32).call("team", out, native.threads())
    return out.item() == 4950
torch.set_num_threads(2)
assert native.threads() == 2 and run()
child = os.fork()
if child == 0:
    os._exit(0 if native.threads() == 1 and run() else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=60, capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr


def test_sources_are_part_of_the_package():
    root = Path(native.__file__).parents[2]
    if not (root / "pyproject.toml").exists():
        pytest.skip("an installed package")
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "eqviz"
    ]
    package = root / "eqviz"
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    assert {*package.rglob("*.c"), *package.rglob("*.h")} <= shipped
