"""Clocks, memory meters, the jets to measure on, and the machine's name."""

from __future__ import annotations

import multiprocessing
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.registry import Row, Settings
from eqviz.data.jets import JetBatch
from eqviz.kinematics import on_shell

REFERENCE = Path(os.environ.get("EQVIZ_REFERENCE", Path(__file__).parents[2] / "shared" / "reference"))


def interleaved(
    functions: dict[str, Callable[[], object]], rounds: int, device: str
) -> dict[str, list[float]]:
    """Seconds of every call: one call of each in turn, so that a busy moment hits all of them.

    On one CPU thread this is processor time, which waiting for a shared machine does not enter.
    """
    one_thread = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if one_thread else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()  # warm up
    for _ in range(rounds):
        for name, function in functions.items():
            synchronise(device)
            start = clock()
            function()
            synchronise(device)
            seconds[name].append(clock() - start)
    return seconds


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def rows(quantity: str, times: dict[str, list[float]], scale: float, unit: str, setting: str) -> list[Row]:
    """One row an implementation; the first one is what the others are compared with."""
    first = float(np.median(next(iter(times.values()))))
    return [
        Row(quantity, name, *_spread(values, scale), unit, setting, float(np.median(values)) / first)
        for name, values in times.items()
    ]


def _spread(values: list[float], scale: float) -> tuple[float, float, float]:
    return float(np.median(values)) * scale, min(values) * scale, max(values) * scale


def peak_memory_mb(function: Callable[..., object], *arguments: object) -> float:
    """Largest resident memory during one call, beyond that before it, in a fresh process (Linux), in MB.

    ``function`` is module-level and returns what is to be called.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return float(pool.apply(_growth, (function, *arguments)))


def _growth(function: Callable[..., object], *arguments: object) -> float:
    torch.set_num_threads(1)
    call = function(*arguments)
    assert callable(call)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    call()
    return (_status("VmHWM") - before) / 1024


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def benchmark_jets() -> tuple[JetBatch, str]:
    """512 synthetic jets of 20 to 100 constituents where they are present, else the shipped sample."""
    path = REFERENCE / "synthetic_jets.npz"
    if path.is_file():
        table = np.load(path)
        jets = [on_shell(jet[real]) for jet, real in zip(table["p4"], table["mask"].astype(bool))]
        return JetBatch.from_arrays(jets, labels=table["label"]), "synthetic"
    from eqviz.data import load

    return load("top_sample", "val").subset(512, 0).batch, "top_sample"


def gemm_gflops(width: int, device: str) -> float:
    """The machine's own rate of (4096, width) x (width, width) products in float32, best of 50."""
    a, b = torch.randn(4096, width, device=device), torch.randn(width, width, device=device)
    seconds = interleaved({"mm": lambda: a @ b}, 50, device)["mm"]
    return 2 * 4096 * width**2 / min(seconds) / 1e9


def machine(settings: Settings) -> dict[str, str]:
    """What the numbers belong to."""
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return {
        "processor": torch.cuda.get_device_name() if settings.device == "cuda" else processor,
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "threads": str(settings.threads),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
