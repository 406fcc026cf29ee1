"""Kernels for runs: forked, where that is possible, from a process that has imported the heavy modules.

Inside :func:`warm_kernels` Jupyter gets its kernels from :class:`WarmProvisioner`. The kernels' parent
(:mod:`eqviz.study.warm`) is started with the first of them, serves this process only and ends with it. Where
it cannot serve (no fork, threads, a GPU), or for another kernel than Python's, an ordinary kernel is started.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

log = logging.getLogger(__name__)
NAME = "eqviz-warm"
SWITCH = "EQVIZ_WARM_KERNELS"  # 0 in the environment: ordinary kernels
_START_SECONDS, _FORK_SECONDS = 180.0, 30.0
# like ipykernel's launcher, without the folder in which it happens to be
_PROGRAM = "import sys; sys.path.remove(''); from eqviz.study.warm import main; main()"
_LAUNCHER = ["-m", "ipykernel_launcher"]
_OWN = ("JPY_PARENT_PID", "JPY_SESSION_NAME", "PYTEST_CURRENT_TEST", "PWD", "OLDPWD")  # matter to no import


@contextmanager
def warm_kernels() -> Iterator[None]:
    """Kernels that are started in this block are forked from one that has its modules imported."""
    if os.environ.get(SWITCH) == "0":
        yield
        return
    factory = KernelProvisionerFactory.instance()
    place = EntryPoint(NAME, f"{__name__}:{WarmProvisioner.__name__}", KernelProvisionerFactory.GROUP_NAME)
    factory.provisioners[NAME] = place
    before, factory.default_provisioner_name = factory.default_provisioner_name, NAME
    try:
        yield
    finally:
        factory.default_provisioner_name = before


class WarmProvisioner(LocalProvisioner):
    """Starts a kernel as a fork, or as jupyter_client's own provisioner does where that fails."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Launch the kernel of command line ``cmd``."""
        try:
            process = fork_kernel(cmd, kwargs.get("env") or os.environ, os.fspath(kwargs.get("cwd") or "."))
        except (OSError, ValueError) as error:
            _say_once(f"ordinary kernels, which import everything anew: {error}")
            return await super().launch_kernel(cmd, **kwargs)
        # ForkedProcess has what LocalProvisioner uses of Popen
        self.process = process  # type: ignore[assignment]
        self.pid = self.pgid = process.pid
        self.cwd = kwargs.get("cwd") or str(Path.cwd())
        return self.connection_info


class ForkedProcess:
    """A kernel that another process has forked, with the interface of a :class:`subprocess.Popen`.

    Args:
        pipe: reading end of the pipe into which the parent writes process id and exit code.
    """

    stdin = stdout = stderr = None

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._text = b""
        self.returncode: int | None = None
        deadline = time.monotonic() + _FORK_SECONDS
        while b"\n" not in self._text:
            if not self._read(deadline - time.monotonic()):
                os.close(self._pipe)
                raise OSError("the process that forks kernels does not answer")
        line, _, self._text = self._text.partition(b"\n")
        self.pid = int(line)
        if not self.pid:
            os.close(self._pipe)
            raise OSError("the kernel's folder holds modules of the same names as installed ones")

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        while self.returncode is None and self._read(0.0):
            pass
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if deadline is None else deadline - time.monotonic()
            if not self._read(left) and left is not None and self.returncode is None:
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _read(self, seconds: float | None) -> bool:
        """Read what comes within ``seconds``; False where nothing did, or nothing can come any more."""
        if not select.select([self._pipe], [], [], seconds if seconds is None else max(seconds, 0.0))[0]:
            return False
        found = os.read(self._pipe, 64)
        self._text += found
        if found and not self._text.endswith(b"\n"):
            return True
        if hasattr(self, "pid"):
            # The parent has died without a word: it takes its kernels along.
            self.returncode = int(self._text) if self._text.endswith(b"\n") else -signal.SIGKILL
            os.close(self._pipe)
        return bool(found)


class _Warm:
    """The process that forks, for one Python and environment."""

    def __init__(self, python: str, environment: Mapping[str, str]) -> None:
        self.key = (python, dict(environment))
        self.control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [python, "-c", _PROGRAM, str(theirs.fileno())],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.trouble = self._greeting()

    @property
    def ended(self) -> bool:
        """Whether it served once and does no more."""
        return self.trouble is None and self.process.poll() is not None

    def _greeting(self) -> str | None:
        self.control.settimeout(_START_SECONDS)
        said = b""
        with suppress(OSError):
            while not said.endswith(b"\n") and (part := self.control.recv(1024)):
                said += part
        self.control.settimeout(_FORK_SECONDS)
        word = said.decode().strip()
        return None if word == "ready" else word or "the process that forks kernels did not start"

    def fork(self, arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> ForkedProcess:
        request = {"arguments": list(arguments), "environment": dict(environment), "folder": folder}
        ours, theirs = os.pipe()
        try:
            text = json.dumps(request).encode() + b"\n"
            sent = socket.send_fds(self.control, [text], [theirs])
            self.control.sendall(text[sent:])
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return ForkedProcess(ours)

    def close(self) -> None:
        """End it and the kernels that are left."""
        self.control.close()
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


_lock = threading.Lock()
_state: dict[str, _Warm] = {}
_said: set[str] = set()


def fork_kernel(cmd: Sequence[str], environment: Mapping[str, str], folder: str) -> ForkedProcess:
    """Fork a kernel.

    Args:
        cmd: the command line that would start it.

    Raises:
        OSError: no kernel can be forked, with the reason.
    """
    if not hasattr(socket, "send_fds") or not sys.platform.startswith("linux"):
        raise OSError("kernels are forked on Linux only")
    python, *rest = cmd
    if rest[:2] != _LAUNCHER:
        raise OSError(f"expected the command of an IPython kernel, got {' '.join(cmd)}")
    folder = str(Path(folder).resolve())
    shared = {name: value for name, value in environment.items() if name not in _OWN}
    with _lock:
        warm = _state.get(NAME)
        if warm is None or warm.key != (python, shared) or warm.ended:
            shut_down()
            warm = _state[NAME] = _Warm(python, shared)
        if warm.trouble is not None:
            raise OSError(warm.trouble)
        return warm.fork(rest[2:], environment, folder)


def shut_down() -> None:
    """End the process that forks kernels, where there is one, and its kernels."""
    warm = _state.pop(NAME, None)
    if warm is not None:
        warm.close()


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        log.warning(text)


atexit.register(shut_down)
