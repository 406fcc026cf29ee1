"""Local Dask workers: one process and one thread each, reachable from this machine only, gone afterwards."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from eqviz.errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client

_GRACE_SECONDS = 5.0
# One thread a kernel. By default Dask tells glibc to give memory back at once, which makes PyTorch fetch the
# pages of every temporary anew: a fifth of a LorentzNet's training time.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
    "MALLOC_TRIM_THRESHOLD_": 1 << 28,
    "MALLOC_MMAP_THRESHOLD_": 1 << 25,
}


@contextmanager
def local_workers(n_workers: int) -> Iterator[tuple[Client, Path]]:
    """A client of ``n_workers`` processes, and a scratch folder that is removed at the end.

    However the block ends, worker processes and the kernels they started are stopped.
    """
    if n_workers < 1:
        raise ConfigError(f"expected 1 or more workers, got {n_workers}")
    import dask
    from distributed import Client, LocalCluster

    before = _children()
    settings = {
        # A worker that dies takes its run with it, once: the run is recorded as failed, not tried again.
        "distributed.scheduler.allowed-failures": 0,
        "distributed.admin.tick.limit": "1 h",
        "distributed.nanny.pre-spawn-environ": _ENVIRONMENT,
    }
    with tempfile.TemporaryDirectory(prefix="eqviz-", ignore_cleanup_errors=True) as scratch:
        try:
            with dask.config.set(settings), _uninterruptible():
                cluster = LocalCluster(
                    n_workers=n_workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    memory_limit=0,
                    local_directory=scratch,
                    silence_logs=logging.CRITICAL,
                )
            with cluster, Client(cluster) as client:
                try:
                    yield client, Path(scratch)
                except BaseException:
                    _stop(_children() - before)
                    raise
        finally:
            _stop(_children() - before)


def quiet_worker(log: Path) -> None:
    """Send what this process and its kernels print to a file: the terminal belongs to the progress bars."""
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(target, stream)
    os.close(target)


@contextmanager
def _uninterruptible() -> Iterator[None]:
    """Let processes started in this block ignore Ctrl-C, which goes to them too: we stop them in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _stop(processes: set[psutil.Process]) -> None:
    """Ask kernels and workers to end, then make them."""
    for process in processes:
        with _gone_is_fine():
            if "resource_tracker" not in " ".join(process.cmdline()):
                process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=_GRACE_SECONDS)
    for process in alive:
        with _gone_is_fine():
            if "resource_tracker" not in " ".join(process.cmdline()):
                process.kill()


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return
