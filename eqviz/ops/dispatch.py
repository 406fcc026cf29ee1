"""Which implementation of an operation runs: PyTorch, C on a CPU, or a Triton kernel on a GPU.

``EQVIZ_KERNELS`` decides, or :func:`use_kernels` inside a program:

* ``auto`` (default): Triton for tensors on a GPU where it is installed and has a kernel; C for tensors on a
  CPU where the operation has it and the machine a compiler (:mod:`eqviz.ops.native`); PyTorch otherwise;
* ``reference``: PyTorch everywhere;
* ``triton``: Triton everywhere; on a CPU that takes Triton's interpreter, ``TRITON_INTERPRET=1``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from eqviz.errors import ConfigError
from eqviz.ops import native

MODES = ("auto", "reference", "triton")
INTERPRETED = os.environ.get("TRITON_INTERPRET", "0") == "1"
INSTALLED = find_spec("triton") is not None


def _checked(mode: str, where: str) -> str:
    if mode not in MODES:
        raise ConfigError(f"expected {where} to be one of {', '.join(map(repr, MODES))}, got {mode!r}")
    return mode


_mode = _checked(os.environ.get("EQVIZ_KERNELS", "auto"), "EQVIZ_KERNELS")


@contextmanager
def use_kernels(mode: str) -> Iterator[None]:
    """Within the block every operation runs as ``mode`` says, whatever ``EQVIZ_KERNELS`` is.

    Raises:
        ConfigError: an unknown mode.
    """
    global _mode
    before, _mode = _mode, _checked(mode, "mode")
    try:
        yield
    finally:
        _mode = before


def wants_triton(x: Tensor, able: bool = True) -> bool:
    """Whether an operation on ``x`` runs as a Triton kernel.

    Args:
        x: one of the operation's inputs.
        able: whether the kernel takes these inputs (precision, width).

    Raises:
        ConfigError: Triton is asked for where it cannot run.
    """
    if _mode != "triton":
        return _mode == "auto" and x.is_cuda and INSTALLED and able
    if not INSTALLED:
        raise ConfigError("the kernels are set to 'triton', but Triton is not installed: pip install triton")
    if not (x.is_cuda or INTERPRETED):
        raise ConfigError(
            f"the kernels are set to 'triton' and the tensors are on {x.device}: move them to a GPU, set "
            "TRITON_INTERPRET=1 before Python starts, or leave EQVIZ_KERNELS at 'auto'"
        )
    if not able:
        raise ConfigError(f"no Triton kernel for this precision or width ({x.dtype}, {tuple(x.shape)})")
    return True


def wants_native(op: str, x: Tensor, able: bool = True) -> bool:
    """Whether ``op`` on ``x`` runs as compiled C: never raises, and compiles only where that is the answer.

    Args:
        op: the folder of the operation in eqviz/ops.
        x: one of the operation's inputs.
        able: whether the C takes these inputs (width, number of features).
    """
    if _mode != "auto" or not able or torch.compiler.is_compiling():
        return False
    if x.device.type != "cpu" or type(x) not in (Tensor, torch.nn.Parameter):
        return False
    if autocasts(x):  # C takes one precision, and autocast mixes them
        return False
    return native.available(op, x.dtype)


def require_native(op: str, x: Tensor) -> None:
    """Where C was asked for by name.

    Raises:
        ConfigError: there is none on this machine.
    """
    if not native.available(op, x.dtype):
        why = native.reason(op, x.dtype)
        raise ConfigError(f"backend 'native' cannot run here: {why}; leave it at 'auto'")


def autocasts(x: Tensor) -> bool:
    """Whether autocast is on for the device of ``x``; meta tensors have none."""
    return x.device.type in ("cpu", "cuda") and torch.is_autocast_enabled(x.device.type)


def full_precision(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with autocast off and what autocast has made of 16 bits in float32.

    For implementations that write into memory of their own: they sum in float32, and take one precision.
    """

    @wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        first = next(x for x in arguments if isinstance(x, Tensor))
        if not autocasts(first):
            return function(*arguments, **options)
        with torch.autocast(first.device.type, enabled=False):
            return function(*_full(arguments), **options)

    return run


def _full(value: Any) -> Any:
    """Tensors of 16 bits as float32, also in tuples and lists."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_full, value))
    return type(value)(map(_full, value)) if type(value) in (tuple, list) else value


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64, float32 for everything else."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def dot_precision() -> str:
    """How float32 matrix products run, as ``torch.set_float32_matmul_precision`` asks.

    "highest" becomes three TF32 products, which is float32 to within a few last digits at a multiple of the
    speed; "high" and "medium" become one.
    """
    return "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"


def hopper(device: torch.device) -> bool:
    """Whether a GPU is of compute capability 9 or later."""
    return torch.cuda.is_available() and torch.cuda.get_device_capability(device)[0] >= 9


def workers(device: torch.device, jets: int, split: int) -> tuple[int, int]:
    """A grid of persistent programs: (programs over jets, programs that share one jet).

    With one program a jet every sum has a fixed order; that is also what deterministic algorithms get.
    """
    if device.type != "cuda":
        return min(jets, 2), min(split, 2)
    target = 2 * torch.cuda.get_device_properties(device).multi_processor_count
    if torch.are_deterministic_algorithms_enabled() or jets >= target:
        return min(jets, target), 1
    return jets, max(1, min(split, target // jets))


def programs(device: torch.device, work: int, size: int = 1) -> tuple[int]:
    """A grid of persistent programs for ``work`` items taken ``size`` at a time."""
    if device.type != "cuda":
        return (2,)
    most = 8 * torch.cuda.get_device_properties(device).multi_processor_count
    return (min(most, -(-work // size)),)
