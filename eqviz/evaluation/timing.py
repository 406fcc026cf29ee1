"""How fast a network is and how much memory it takes, measured on jets like those it will see."""

from __future__ import annotations

import ctypes
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import psutil
import torch
from torch import nn

from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError
from eqviz.evaluation.inference import device_of, evaluating


@dataclass(frozen=True)
class Timing:
    """Time of a forward pass per jet.

    Attributes:
        value: median over the repeats, ms per jet.
        error: half the interquartile range over the repeats, ms per jet.
        threads: CPU threads that PyTorch used.
        batch_size: jets in the batch.
    """

    value: float
    error: float
    threads: int
    batch_size: int


def ms_per_jet(model: nn.Module, batch: JetBatch, *, repeats: int = 5, warm_up: int = 2) -> Timing:
    """Time a forward pass of ``batch`` without gradients, on the network's own device, data already there.

    Raises:
        ConfigError: an empty batch or no repeats.
    """
    if not len(batch) or repeats < 1:
        raise ConfigError(f"expected jets and one repeat or more to time, got {len(batch)} and {repeats}")
    device = device_of(model)
    jets = batch.to(device)
    seconds = []
    with evaluating(model), torch.no_grad():
        for index in range(warm_up + repeats):
            start = time.perf_counter()
            model(jets)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if index >= warm_up:
                seconds.append(time.perf_counter() - start)
    low, median, high = np.quantile(np.array(seconds) * 1e3 / len(batch), [0.25, 0.5, 0.75])
    return Timing(float(median), float(high - low) / 2, torch.get_num_threads(), len(batch))


def peak_memory_mb(model: nn.Module, batch: JetBatch) -> float:
    """Memory in MiB that a forward pass of ``batch`` without gradients takes at most, beyond what was there.

    On a GPU what PyTorch allocates; on a CPU the growth of the process's resident memory, sampled every
    millisecond after free memory was given back to the system: good to some MiB.
    """
    device = device_of(model)
    jets = batch.to(device)
    with evaluating(model), torch.no_grad():
        model(jets)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
            model(jets)
            return (torch.cuda.max_memory_allocated(device) - before) / 2**20
        with _ResidentPeak() as peak:
            model(jets)
    return peak.growth_mb


class _ResidentPeak:
    """Samples the resident memory of this process from a thread while the block runs."""

    def __enter__(self) -> _ResidentPeak:
        _give_back_free_memory()
        self._process = psutil.Process()
        self._start = self._largest = self._process.memory_info().rss
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()
        self._note()

    @property
    def growth_mb(self) -> float:
        return (self._largest - self._start) / 2**20

    def _sample(self) -> None:
        while not self._done.wait(0.001):
            self._note()

    def _note(self) -> None:
        self._largest = max(self._largest, self._process.memory_info().rss)


def _give_back_free_memory() -> None:
    """Without this glibc serves the pass from memory that it kept, and no growth is seen."""
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
