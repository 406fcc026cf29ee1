"""Every kernel compiles for GPUs that need not be here, and fits into them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import run_without

pytest.importorskip("triton", reason="Triton is not installed")
ROOT = Path(__file__).resolve().parents[2]
SHARED_MEMORY = {80: 166_912, 90: 232_448}
SPILLED = {
    "message 72 hidden": 1200,
    "message 72 pairs": 500,
}  # bytes a thread, with room for Triton's versions
PROGRAM = """
import json
from benchmarks.resources.__main__ import kernels, resources, targets
for kernel in kernels():
    # messages take seconds each: at 72 channels once is enough, other types and widths are for the command
    message, wanted = kernel.name.startswith("message"), kernel.name.split()[1:2] == ["72"]
    if message and (not wanted or "float32" in kernel.name) or "bf16" in kernel.name:
        continue
    for capability in (90,) if message else targets(kernel):
        print(json.dumps([kernel.name, capability, *resources(kernel, capability)]))
"""


@pytest.mark.slow
def test_kernels_compile_ahead_of_time(capsys):
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    command = [sys.executable, "-c", PROGRAM]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    found = [json.loads(line) for line in result.stdout.splitlines()]
    with capsys.disabled():
        print(f"\n{'kernel':24s} {'target':6s} registers stack shared")
        for name, capability, registers, stack, shared in found:
            print(f"{name:24s} sm_{capability} {registers:9d} {stack:5d} {shared:6d}")
    names = {name for name, *_ in found}
    assert {"gram matrix", "message 72 hidden", "mix", "pair sums", "bells backward", "sparse"} <= names
    assert {
        f"joined{part}" for part in ("", " arrive", " gradient", " mix weight", " message weight")
    } <= names
    for name, capability, registers, stack, shared in found:
        assert 0 < registers <= 255 and shared <= SHARED_MEMORY[capability], name
        assert stack <= SPILLED.get(name, 400), name


def test_library_imports_without_triton():
    """And without the other packages that a bare GPU machine lacks; PyTorch then does everything."""
    program = """
import torch
from eqviz.data.jets import JetBatch
from eqviz.kinematics import from_ptetaphim
from eqviz.models import build_model
import benchmarks.kernels, benchmarks.lorentz, benchmarks.lorentznet, benchmarks.pelican
from eqviz.ops import dispatch
assert not dispatch.INSTALLED
batch = JetBatch.from_arrays([from_ptetaphim([50, 30, 20], [0.1, 0, -0.2], [0, 0.3, -0.1])] * 2)
for name in ("lorentznet", "pelican", "lgn"):
    assert build_model(name).eval()(batch).shape[0] == 2
assert not hidden & {name.split(".")[0] for name in sys.modules}
"""
    lacking = ("triton", "escnn", "lie_learn", "panel", "holoviews")
    result = run_without(lacking, program, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-2000:]
