"""What measuring on a GPU takes: clocks and memory of the device, its ceilings, and a budget of time."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import nan

import numpy as np
import torch
from torch import Tensor

from benchmarks.registry import Row, Settings

WARM_UP = 3
Ceilings = dict[str, float]  # bytes per second under "bytes"; operations per second under each precision


class Overrun(Exception):
    """A part took longer than it may."""


class Meter:
    """Clocks and memory of one device: CUDA events and the caching allocator's peak on a GPU."""

    def __init__(self, settings: Settings) -> None:
        self.device = settings.device
        self.rounds = 1 if settings.quick else 20
        self.large = 1 << (12 if settings.quick else 29)
        self.order = 64 if settings.quick else 8192

    def seconds(self, function: Callable[[], object]) -> list[float]:
        """Of every call, after warm-up calls."""
        if self.device != "cuda":
            start = time.perf_counter()
            function()
            return [time.perf_counter() - start]
        for _ in range(WARM_UP):
            function()
        torch.cuda.synchronize()
        events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(self.rounds)]
        for first, last in events:
            first.record()
            function()
            last.record()
        torch.cuda.synchronize()
        return [first.elapsed_time(last) / 1e3 for first, last in events]

    def memory_mb(self, function: Callable[[], object]) -> float:
        """Largest growth of allocated GPU memory during a call; 0 without a GPU."""
        if self.device != "cuda":
            function()
            return 0.0
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20

    def ceilings(self) -> tuple[list[Row], Ceilings]:
        """A large copy, and large matrix products of random numbers in each precision."""
        source = torch.rand(self.large, device=self.device)
        target = torch.empty_like(source)
        amount, setting = 2 * source.nbytes, f"{source.nbytes} bytes, read and written"
        out = [
            rate("copy", "machine", amount / 1e9, self.seconds(lambda: target.copy_(source)), "GB/s", setting)
        ]
        found = {"bytes": out[0].value * 1e9}
        for name, dtype, precision, share in (
            ("fp32", torch.float32, "highest", 2),
            ("tf32", torch.float32, "high", 1),
            ("bf16", torch.bfloat16, "high", 1),
            ("fp64", torch.float64, "highest", 4),
        ):
            order = self.order // share
            with matmul_precision(precision):
                a, b = torch.randn(2, order, order, device=self.device, dtype=dtype)
                times = self.seconds(lambda a=a, b=b: a @ b)
            out.append(
                rate(f"matrix product {name}", "machine", 2 * order**3 / 1e12, times, "TFLOP/s", f"{order}^3")
            )
            found[name] = out[-1].value * 1e12
        return out, found


@contextlib.contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """How float32 matrix products run within the block: "highest" as they are, "high" as TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def rate(quantity: str, name: str, amount: float, seconds: list[float], unit: str, setting: str) -> Row:
    """``amount`` per second, the median of calls."""
    return Row(
        quantity,
        name,
        amount / float(np.median(seconds)),
        amount / max(seconds),
        amount / min(seconds),
        unit,
        setting,
    )


def roofline(flops: float, traffic: float, ceilings: Ceilings, precision: str) -> tuple[float, str]:
    """The least time in seconds, and what binds: "bytes" or the precision's arithmetic."""
    arithmetic, movement = flops / ceilings[precision], traffic / ceilings["bytes"]
    return max(arithmetic, movement), precision if arithmetic > movement else "bytes"


@dataclass
class Budget:
    """Time for everything; every part says how long it may take.

    A part that fails, runs out of memory or out of time becomes a row that says so, and the rest goes on.

    Attributes:
        seconds: for all parts together.
        report: is told the rows of each part as it ends.
        rows: all of them.
    """

    seconds: float
    report: Callable[[list[Row]], None]
    rows: list[Row] = field(default_factory=list)
    start: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.seconds - (time.monotonic() - self.start)

    def part(self, name: str, setting: str, limit: float, work: Callable[[], list[Row]]) -> None:
        """Do ``work`` within ``limit`` seconds, or less where less is left; with under a third, not at all.

        Raises:
            AssertionError: a check found a wrong result: nothing may be timed after that.
        """
        allowed = min(limit, self.left)
        if allowed < limit / 3:
            return self._note(
                name, setting, f"not measured: {max(allowed, 0):.0f} s left, it may take {limit:.0f}"
            )
        try:
            with deadline(allowed):
                found = work()
        except AssertionError:
            raise
        except Overrun:
            self._note(name, setting, f"not measured: stopped after {allowed:.0f} s")
        except torch.OutOfMemoryError:
            self._note(name, setting, "not measured: out of GPU memory")
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0]
            self._note(name, setting, f"not measured: {type(error).__name__}: {first[:200]}")
        else:
            self.add(found)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None

    def add(self, rows: list[Row]) -> None:
        self.rows += rows
        self.report(rows)

    def _note(self, name: str, setting: str, note: str) -> None:
        self.add([Row(name, "", nan, nan, nan, "", setting, note=note)])


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise :class:`Overrun` when the block takes longer; outside of the main thread it may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise Overrun

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def replayed(step: Callable[[], Tensor | None], device: str) -> Callable[[], object]:
    """The same work recorded once as a CUDA graph and replayed; on a CPU the step itself.

    Raises:
        RuntimeError: the step waits for the GPU or copies from the host, which cannot be recorded.
    """
    if device != "cuda":
        return step
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


@contextlib.contextmanager
def waiting_refused(device: str) -> Iterator[None]:
    """An error inside the block wherever the host waits for the GPU."""
    if device != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
