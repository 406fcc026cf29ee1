"""Training steps of whole networks on a GPU: as written, recorded as a CUDA graph, and of pelican-lite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.gpu import Meter, rate, replayed, waiting_refused
from benchmarks.registry import Row
from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError
from eqviz.models import JetModel, build_model
from eqviz.models.pelican import SIZES
from eqviz.ops.dispatch import use_kernels

EPOCH_JETS = 1_200_000
KERNEL, EAGER, GRAPH = "kernel", "eager", "kernel, recorded"
PEER = "pelican-lite compiled"
Networks = dict[str, tuple[str, dict[str, Any]]]
NETWORKS: Networks = {
    "LorentzNet": ("lorentznet", {}),
    "PELICAN 208k": ("pelican", SIZES["208k"]),
    "LGN": ("lgn", {}),
}
TINY: Networks = {
    "LorentzNet": ("lorentznet", {"n_blocks": 2, "hidden": 8}),
    "PELICAN 208k": ("pelican", SIZES["326"]),
    "LGN": ("lgn", {"channels": (2, 2), "n_bells": 2, "max_weight": 1}),
}


def network(key: str, options: dict[str, Any], batch: JetBatch) -> JetModel:
    torch.manual_seed(0)
    return build_model(key, **options).to(batch.p4.device)


def training_step(
    model: nn.Module, forward: Callable[[], Tensor], label: Tensor | None
) -> Callable[[], None]:
    """Forward, loss, backward and an AdamW step that a CUDA graph can hold."""
    on_gpu = next(model.parameters()).is_cuda
    optimiser = torch.optim.AdamW(model.parameters(), fused=True, capturable=on_gpu)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(forward(), label).backward()
        optimiser.step()

    return step


def whole_rows(name: str, model: Any, batch: JetBatch, meter: Meter, mode: str, setting: str) -> list[Row]:
    """A step with all that belongs to a batch, as training runs it."""
    step = training_step(model.train(), lambda: model(batch), batch.label)
    label = KERNEL if mode == "triton" else EAGER
    with use_kernels(mode):
        return step_rows(name, label, step, len(batch), meter, setting)


def recorded_rows(name: str, model: Any, batch: JetBatch, meter: Meter, setting: str) -> list[Row]:
    """What the GPU itself needs: the step of a prepared batch as a graph, and the preparation apart from it.

    Raises:
        RuntimeError: the step waits for the GPU.
    """
    with use_kernels("triton"):
        seconds = meter.seconds(lambda: model.prepare(batch))
        prepared = model.prepare(batch)
        step = training_step(model.train(), lambda: model.network(prepared), batch.label)
        for _ in range(2):
            step()  # what a layout computes once is computed here
        with waiting_refused(meter.device):
            step()
        count = operations(step)
        # a recorded step holds its memory before it begins: what it needs is seen in the step as written
        out = step_rows(name, GRAPH, replayed(step, meter.device), len(batch), meter, setting)[:2]
    scaled = [float(f(seconds)) * 1e3 for f in (np.median, np.min, np.max)]
    return [
        *(replace(row, note="without preparing") for row in out),
        Row(f"{name}: preparing a batch", KERNEL, *scaled, "ms", setting),
        Row(
            f"{name}: operations of a step",
            KERNEL,
            count,
            count,
            count,
            "",
            setting,
            note="without preparing",
        ),
    ]


def step_rows(
    name: str, label: str, step: Callable[[], object], size: int, meter: Meter, setting: str
) -> list[Row]:
    """Jets per second, seconds of an epoch, peak memory."""
    seconds = meter.seconds(step)
    memory = meter.memory_mb(step)
    epoch = [float(f(seconds)) * EPOCH_JETS / size for f in (np.median, np.min, np.max)]
    return [
        rate(f"{name}: training", label, size, seconds, "jets/s", setting),
        Row(f"{name}: epoch of 1.2M jets", label, *epoch, "s", setting),
        Row(f"{name}: memory of a step", label, memory, memory, memory, "MB", setting),
    ]


def peer_rows(batch: JetBatch, meter: Meter, setting: str) -> list[Row]:
    """pelican-lite at its published tagging configuration, compiled.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    from benchmarks import pelican

    peer: Any = pelican.PeerTagger().to(meter.device)
    if meter.device == "cuda":
        peer = torch.compile(peer, dynamic=True)
    ours = build_model("pelican", **SIZES["208k"])
    if not isinstance(ours, pelican.Pelican):
        raise ConfigError("expected PELICAN to prepare the peer's events")
    inputs = pelican.peer_inputs(ours, batch.to("cpu"))
    moved = tuple(value.to(meter.device) if isinstance(value, Tensor) else value for value in inputs)
    step = training_step(peer, lambda: peer(*moved), batch.label)
    return step_rows("PELICAN 208k", PEER, step, len(batch), meter, setting)


class _Count(TorchDispatchMode):
    """Operations that compute something: no views, no empty memory."""

    FREE = ("empty", "detach", "alias", "new_empty", "sym_", "_local_scalar")

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if not func.is_view and not name.startswith(self.FREE):
            self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def operations(step: Callable[[], object]) -> int:
    """How many operations a step hands to the device, one of ours counted as one."""
    with _Count() as found:
        step()
    return len(found.names)
