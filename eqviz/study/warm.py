"""A process that has imported the heavy modules and forks a Jupyter kernel for every request.

Started by :mod:`eqviz.study.kernels`, which calls :func:`main` with the number of a Unix socket. It says
"ready", or why it cannot serve, and then answers requests until that socket closes, when it kills the kernels
that are left. It has no threads (a fork would lose them) and no shell of IPython: a kernel from here is one
started from the command line, minus the time of its imports.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Not holoviews, and nothing that imports it: what it becomes depends on the shell in which it finds itself.
MODULES = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "IPython.core.interactiveshell",
    "torch",
    "lightning",
    "sklearn.metrics",
    "torchmetrics",
    "pyarrow.parquet",
    "bokeh.embed",
    "panel",
    "eqviz.data",
    "eqviz.evaluation",
    "eqviz.layers.steerable",
    "eqviz.models",
    "eqviz.training",
    "eqviz.training.loop",
)
# These ask at their import whether they are in a notebook.
_ASKED_ANEW = ("tqdm.auto", "tqdm.autonotebook")
_GPU = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd")
_LARGEST_REQUEST = 1 << 20  # bytes


@dataclass(frozen=True)
class Job:
    """A kernel to become: arguments after ``-m ipykernel_launcher``, environment, working folder."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str


def main() -> None:
    """Serve the socket whose file descriptor is the first argument; in a fork, be the kernel."""
    control = socket.socket(fileno=int(sys.argv[1]))
    environment = dict(os.environ)
    preload()
    os.environ.clear()
    os.environ.update(environment)
    trouble = unfit()
    control.sendall(f"{trouble or 'ready'}\n".encode())
    if trouble is None:
        gc.collect()
        gc.freeze()  # the collector of a kernel need not write to the pages that it shares
        job = serve(control)
        if job is not None:
            become_kernel(job)


def preload() -> None:
    """Import what a run needs and is installed, as it would be in a kernel."""
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # ipykernel's choice
    # libarrow starts a thread when it is loaded, unless it is told not to
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    sys.ps1, sys.ps2 = "In : ", "...: "  # by which modules know that they are in a notebook
    show, warnings.showwarning = warnings.showwarning, lambda *_, **__: None
    for name in MODULES:
        with suppress(ImportError):
            importlib.import_module(name)
    if steerable := sys.modules.get("eqviz.layers.steerable"):
        with suppress(ImportError):
            steerable.load_escnn()
    warnings.showwarning = show
    del sys.ps1, sys.ps2
    for name in _ASKED_ANEW:
        sys.modules.pop(name, None)


def unfit() -> str | None:
    """Why no kernel can be forked from this process, or None."""
    if not (hasattr(os, "fork") and hasattr(os, "pidfd_open")):
        return "this system has no fork or no pidfd_open"
    if "ipykernel.kernelapp" not in sys.modules:
        return "ipykernel is not installed"
    names = [_thread_name(task) for task in Path("/proc/self/task").iterdir()]
    if len(names) > 1:
        return f"the imported modules started threads ({', '.join(sorted(names))})"
    torch = sys.modules.get("torch")
    if torch is not None and (torch.version.cuda or torch.version.hip) and any(map(os.path.exists, _GPU)):
        return "a GPU's driver does not survive a fork"
    return None


def _thread_name(task: Path) -> str:
    with suppress(OSError):
        return (task / "comm").read_text().strip()
    return task.name


def serve(control: socket.socket) -> Job | None:
    """Fork kernels until ``control`` closes. Returns None in this process, in a fork what it shall become.

    A request is a line of JSON (a :class:`Job`) that comes with the writing end of a pipe. Into the pipe go
    the kernel's process id and, when it has ended, the exit code (negative: the signal); or 0, where the
    kernel would import other modules from its folder than those that are here.
    """
    with selectors.DefaultSelector() as events:
        events.register(control, selectors.EVENT_READ)
        kernels: dict[int, tuple[int, int]] = {}  # pidfd -> process id, pipe
        while True:
            for key, _ in events.select():
                if key.fd in kernels:
                    events.unregister(key.fd)
                    _report(key.fd, *kernels.pop(key.fd))
                    continue
                request = _receive(control)
                if request is None:
                    _kill(pid for pid, _ in kernels.values())
                    return None
                job, pipe = request
                if shadows(job.folder):
                    os.write(pipe, b"0\n")
                    os.close(pipe)
                    continue
                pid = os.fork()
                if pid == 0:
                    for number in (pipe, *kernels, *(end for _, end in kernels.values())):
                        os.close(number)
                    control.close()
                    return job
                os.write(pipe, f"{pid}\n".encode())
                watch = os.pidfd_open(pid)
                kernels[watch] = (pid, pipe)
                events.register(watch, selectors.EVENT_READ)


def shadows(folder: str) -> list[str]:
    """Modules in ``folder``, where a kernel looks first, that were imported from elsewhere."""
    found = []
    for path in Path(folder).iterdir():
        source = path if path.suffix == ".py" else path / "__init__.py"
        module = sys.modules.get(path.stem if path.suffix == ".py" else path.name)
        if module is not None and path.stem != "__main__" and source.is_file():
            origin = getattr(module, "__file__", None)
            if origin is None or not source.samefile(origin):
                found.append(path.name)
    return found


def _receive(control: socket.socket) -> tuple[Job, int] | None:
    """The next request; None where the other side has gone."""
    try:
        text, pipes, _, _ = socket.recv_fds(control, _LARGEST_REQUEST, 1)
        while text and not text.endswith(b"\n"):
            text += control.recv(_LARGEST_REQUEST)
    except OSError:
        return None
    return (Job(**json.loads(text)), pipes[0]) if text and pipes else None


def _report(watch: int, pid: int, pipe: int) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(OSError):  # nobody asks any more
        os.write(pipe, f"{code}\n".encode())
    os.close(watch)
    os.close(pipe)


def _kill(pids: Iterator[int]) -> None:
    for pid in pids:
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:  # it has not made its group yet
            os.kill(pid, signal.SIGKILL)
        with suppress(OSError):
            os.waitpid(pid, 0)


def become_kernel(job: Job) -> None:
    """Do in this fork what ``python -m ipykernel_launcher`` does in a new process."""
    from ipykernel import kernelapp

    os.setsid()  # Ctrl-C on the terminal is not for kernels
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.environ.clear()
    parent = str(os.getppid())
    os.environ.update(job.environment | {"JPY_PARENT_PID": parent})
    os.chdir(job.folder)
    sys.argv = [str(Path(kernelapp.__file__).parents[1] / "ipykernel_launcher.py"), *job.arguments]
    # The kernel ends when its parent has gone; the environment was read when ipykernel was imported.
    sys.argv.append(f"--IPKernelApp.parent_handle={parent}")
    seed_anew()
    kernelapp.launch_new_instance()


def seed_anew() -> None:
    """Give NumPy and PyTorch the random start that a new process has; :mod:`random` does so by itself."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()
