"""C for the CPU: the ``native.c`` of an operation, compiled where it runs, at its first use.

Nothing is installed for it and nothing depends on it. Where the machine has a C compiler (``$CC``, ``cc``,
``gcc`` or ``clang``) the file is compiled for this very processor, with OpenMP if the compiler has it, and
loaded by ctypes, which releases the GIL. Where it has none, or compiling fails, :func:`library` returns
None, one line is logged, and PyTorch does the work; :func:`available` and :func:`reason` say which it is.

The library stays in the ``native`` folder of the cache (EQVIZ_CACHE, by default ``~/.cache/eqviz``), which
only its owner can read, under a name made of the source, the flags, the compiler's version and the
processor. It is written under a temporary name and renamed. Without such a folder it lives in a temporary
one and is compiled once a process.

A source is compiled once for each precision, with ``REAL`` the type and ``REAL_BITS`` its size, and may
include ``native.h``. Its functions take pointers, ``int64_t`` and ``double`` and return 0, or 1 where
memory ran out. There is no -ffast-math: NaN stays NaN, and sums keep the order in which they are written.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

import torch
from torch import Tensor

from eqviz.groups.cache import cache_folder

_log = logging.getLogger(__name__)
_HERE = Path(__file__).parent
_REAL = {torch.float32: ("float", 32), torch.float64: ("double", 64)}
_FLAGS = "-O3 -std=gnu11 -shared -fPIC -fno-math-errno -fno-trapping-math -ffp-contract=fast"
# The first set that compiles is taken: not every compiler has OpenMP or knows its own processor.
_TUNING = ("-march=native -fopenmp", "-mcpu=native -fopenmp", "-march=native", "-mcpu=native", "")
_SECONDS = 120  # for one run of the compiler

_lock = threading.RLock()
_libraries: dict[tuple[str, torch.dtype], Library | None] = {}
_reasons: dict[tuple[str, torch.dtype], str] = {}
_forked = False


class NativeError(Exception):
    """Why there is no library; its text is what :func:`reason` gives."""


class Library:
    """A loaded library; :meth:`call` runs one of its functions."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))

    def call(self, name: str, *arguments: Tensor | int | float | None) -> None:
        """Run a function: tensors go as pointers to their data, None as NULL, numbers as int64 and double.

        Tensors have to be contiguous and on the CPU; their types are the caller's to check.

        Raises:
            MemoryError: the function found no memory.
        """
        if getattr(self._library, name)(*map(_argument, arguments)):
            raise MemoryError(f"no memory for {name}")


def library(op: str, dtype: torch.dtype) -> Library | None:
    """The compiled ``native.c`` of ``op`` for tensors of ``dtype``; None where that cannot be had."""
    key = op, dtype
    if key not in _libraries:
        with _lock:
            if key not in _libraries:
                try:
                    found = _load(_HERE / op / "native.c", dtype)
                except (
                    NativeError,
                    OSError,
                    RuntimeError,
                    ValueError,
                ) as error:  # no home, no space, bad $CC
                    _log.warning("no C kernels for %s: %s; PyTorch is used, which is slower", op, error)
                    found, _reasons[key] = None, str(error)
                _libraries[key] = found
    return _libraries[key]


def available(op: str, dtype: torch.dtype = torch.float32) -> bool:
    """Whether the operation has compiled C for ``dtype`` on this machine; compiles it if need be."""
    return library(op, dtype) is not None


def reason(op: str, dtype: torch.dtype = torch.float32) -> str:
    """Why :func:`available` is False; empty where it is True."""
    library(op, dtype)
    return _reasons.get((op, dtype), "")


def threads() -> int:
    """Threads for one call: as many as PyTorch's; one in a forked process, where OpenMP's are gone."""
    return 1 if _forked else torch.get_num_threads()


def forget() -> None:
    """Look for compilers and libraries anew; what is loaded stays loaded for those who hold it."""
    with _lock:
        _libraries.clear()
        _reasons.clear()


def _argument(value: Tensor | int | float | None) -> ctypes.c_void_p | ctypes.c_int64 | ctypes.c_double:
    if isinstance(value, Tensor):
        if not (value.is_contiguous() and value.device.type == "cpu"):
            raise ValueError("C kernels take contiguous tensors on the CPU")
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, int):
        return ctypes.c_int64(value)
    return ctypes.c_void_p(None) if value is None else ctypes.c_double(value)


def _load(source: Path, dtype: torch.dtype) -> Library:
    """Raises NativeError, whatever goes wrong."""
    if dtype not in _REAL:
        raise NativeError(f"expected float32 or float64, got {dtype}")
    compiler = _compiler()
    real, bits = _REAL[dtype]
    options = [f"-DREAL={real}", f"-DREAL_BITS={bits}", f"-I{_HERE}", str(source)]
    try:
        name = f"{source.parent.name}-{bits}-{_key(source, compiler)}.so"
        path = _private_folder() / name
    except (OSError, RuntimeError) as error:  # also where there is no home folder
        _log.info("no folder for compiled libraries: %s", error)
        path = None
    try:
        if path is not None:
            return _load_stored(path, compiler, options)
    except OSError as error:
        _log.info("%s cannot be used: %s", path, error)
    with tempfile.TemporaryDirectory(prefix="eqviz-") as folder:
        built = Path(folder) / "native.so"
        _compile(compiler, options, built)
        try:
            return Library(built)
        except OSError as error:
            raise NativeError(f"the compiled library cannot be loaded: {error}") from error


def _load_stored(path: Path, compiler: list[str], options: list[str]) -> Library:
    """The library at ``path``, compiled if it is not there or damaged."""
    if path.exists():
        try:
            return Library(path)
        except OSError:
            path.unlink(missing_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(descriptor)
    try:
        _compile(compiler, options, Path(name))
        with Path(name).open("rb+") as file:
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
    return Library(path)


def _private_folder() -> Path:
    """The folder of compiled libraries: nobody else may put one there.

    Raises:
        OSError: there is none, or it belongs to somebody else.
    """
    named = os.environ.get("EQVIZ_CACHE")
    folder = (Path(named) if named else cache_folder().parent) / "native"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise OSError(f"{folder} is not a folder of this user")
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)
    return folder


def _compiler() -> list[str]:
    """The command of the C compiler."""
    if os.name != "posix":
        raise NativeError(f"C kernels are not compiled on {platform.system()}")
    named = shlex.split(os.environ.get("CC", ""))
    for command in (named, ["cc"], ["gcc"], ["clang"]):
        if command and (found := shutil.which(command[0])):
            return [found, *command[1:]]
    raise NativeError("no C compiler: neither $CC nor cc, gcc or clang is on the PATH")


def _compile(compiler: list[str], options: list[str], target: Path) -> None:
    _log.info("compiling C kernels with %s", shlex.join(compiler))
    message = ""
    for tuning in _TUNING:
        done = _run([*compiler, *_FLAGS.split(), *tuning.split(), *options, "-o", str(target), "-lm"])
        if done.returncode == 0:
            return
        message = message or done.stderr.strip()
    raise NativeError(f"{shlex.join(compiler)} failed: {message[:500] or 'it said nothing'}")


def _key(source: Path, compiler: list[str]) -> str:
    """Names everything that the library depends on."""
    version = _run([*compiler, "--version"]).stdout
    digest = hashlib.sha256()
    parts = [shlex.join(compiler), version, _FLAGS, *_TUNING, platform.machine(), _processor()]
    headers = [*sorted(_HERE.glob("*.h")), *sorted(source.parent.glob("*.h"))]
    files = [path.read_bytes() for path in (source, *headers)]
    for part in (*(part.encode() for part in parts), *files):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:32]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NativeError(f"{command[0]} cannot be run: {error}") from error


def _processor() -> str:
    """The processor's name and its instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    wanted = ("model name", "flags", "Features", "CPU part", "isa")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def _after_fork() -> None:
    """In a forked process: another thread may have held the lock, and OpenMP's threads are gone."""
    global _lock, _forked
    _lock, _forked = threading.RLock(), True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
