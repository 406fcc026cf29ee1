"""The GPU kernels: right first, then timed beside eager and compiled PyTorch, pelican-lite and ceilings.

    python -m benchmarks --gpu kernels

On a machine without a GPU only ``--quick`` runs: tiny jets and networks in Triton's interpreter
(TRITON_INTERPRET=1), every check and every row, and times that mean nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.kernel_cases import Case, cases
from benchmarks.measure import benchmark_jets
from benchmarks.registry import Row, Settings, register
from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError
from eqviz.models import JetModel, build_model
from eqviz.models.pelican import SIZES
from eqviz.ops import dispatch
from eqviz.ops.dispatch import use_kernels

EPOCH_JETS = 1_200_000
BATCHES = (100, 512)
TOLERANCE = 3e-3  # of the largest entry: TF32 keeps 10 bits
SECONDS = 420  # no further comparison is started after this long
KERNEL, EAGER, COMPILED, PEER = "kernel", "eager", "compiled", "pelican-lite compiled"
Networks = dict[str, tuple[str, dict[str, Any]]]
NETWORKS: Networks = {
    "LorentzNet": ("lorentznet", {}),
    "PELICAN 208k": ("pelican", SIZES["208k"]),
    "LGN": ("lgn", {}),
}
TINY: Networks = {
    "LorentzNet": ("lorentznet", {"n_blocks": 1, "hidden": 8}),
    "PELICAN 208k": ("pelican", SIZES["326"]),
    "LGN": ("lgn", {"channels": (2, 2), "n_bells": 2, "max_weight": 1}),
}


@register(
    "kernels",
    summary="GPU kernels beside eager and compiled PyTorch, and training steps of whole networks",
    reference="arXiv:2205.14135",
)
def run(settings: Settings) -> list[Row]:
    if settings.device == "cpu" and not (settings.quick and dispatch.INTERPRETED):
        return []  # times of an interpreter mean nothing
    start = time.monotonic()
    jets, source = sample(settings)
    networks, tiny = (NETWORKS, False) if settings.device == "cuda" else (TINY, True)
    sizes = (2,) if settings.quick else BATCHES
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")  # TF32 for all alike
    try:
        verify_all(jets.select(range(sizes[0])).to(settings.device), networks, tiny)
        meter = Meter(settings)
        out = meter.ceilings()
        bytes_s, flops = out[0].value * 1e9, out[1].value * 1e12
        for size in sizes:
            batch = jets.select(range(size)).to(settings.device)
            setting = f"batch {size}, {source}, float32 as TF32"
            for case in cases(batch, tiny):
                out += case_rows(case, meter, bytes_s, flops, setting)
            compiled = settings.device == "cuda" and time.monotonic() - start < SECONDS
            out += network_rows(batch, networks, meter, setting, compiled)
        return out
    finally:
        torch.set_float32_matmul_precision(before)


def sample(settings: Settings) -> tuple[JetBatch, str]:
    """The benchmark's jets; for a quick look without a GPU, a few of their particles."""
    jets, source = benchmark_jets()
    if settings.device == "cuda":
        return jets, source
    few = [jets.p4[start : start + n].numpy() for start, n in zip(jets.offsets[:2].tolist(), (3, 2))]
    return JetBatch.from_arrays(few, labels=np.array([0, 1])), "two tiny jets"


def verify_all(batch: JetBatch, networks: Networks, tiny: bool) -> None:
    """Outputs and gradients of every kernel against float64, and training losses of every network.

    Raises:
        AssertionError: a kernel is wrong; nothing is timed then.
    """
    for case in cases(batch, tiny):
        exact = case.double()
        with use_kernels("reference"):
            expected = exact.results()
        with use_kernels("triton"):
            got = case.results()
        for index, (ours, theirs) in enumerate(zip(got, expected, strict=True)):
            scale = max(float(theirs.abs().max()), 1e-30) if theirs.numel() else 1.0
            error = float((ours.double() - theirs).abs().max()) / scale if theirs.numel() else 0.0
            if not error < TOLERANCE:
                raise AssertionError(f"{case.name}: result {index} is wrong by {error:.1e} of its scale")
    for name, (key, options) in networks.items():
        model = network(key, options, batch)
        losses = []
        for mode in ("reference", "triton"):
            with use_kernels(mode), torch.no_grad():
                losses.append(float(loss(model.eval(), batch)))
        if not abs(losses[0] - losses[1]) < 0.02 * max(abs(losses[0]), 0.1):
            raise AssertionError(f"{name}: loss {losses[1]:.4g} with kernels, {losses[0]:.4g} without")


class Meter:
    """Clocks and memory of one device: CUDA events on a GPU."""

    def __init__(self, settings: Settings) -> None:
        self.device = settings.device
        self.rounds = 1 if settings.quick else 20
        self.large = 1 << (12 if settings.quick else 29)
        self.order = 64 if settings.quick else 8192

    def seconds(self, function: Callable[[], object]) -> list[float]:
        """Of every call after three warm-up calls."""
        for _ in range(3 if self.device == "cuda" else 0):
            function()
        if self.device != "cuda":
            start = time.perf_counter()
            function()
            return [time.perf_counter() - start]
        out = []
        for _ in range(self.rounds):
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            function()
            last.record()
            last.synchronize()
            out.append(first.elapsed_time(last) / 1e3)
        return out

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

    def ceilings(self) -> list[Row]:
        """Bytes per second of a large copy, and TF32 operations per second of a large matrix product."""
        source = torch.rand(self.large, device=self.device)
        target = torch.empty_like(source)
        copy = self.seconds(lambda: target.copy_(source))
        a, b = torch.randn(2, self.order, self.order, device=self.device)
        product = self.seconds(lambda: a @ b)
        return [
            rate("copy", "machine", 2 * source.nbytes / 1e9, copy, "GB/s", f"{source.nbytes} bytes"),
            rate(
                "matrix product", "machine", 2 * self.order**3 / 1e12, product, "TFLOP/s", f"{self.order}^3"
            ),
        ]


def rate(quantity: str, name: str, amount: float, seconds: list[float], unit: str, setting: str) -> Row:
    """Amount per second, median and range."""
    values = [amount / value for value in seconds]
    return Row(quantity, name, float(np.median(values)), min(values), max(values), unit, setting)


def timed(quantity: str, times: dict[str, list[float]], setting: str) -> Iterator[Row]:
    first = float(np.median(next(iter(times.values()))))
    for name, values in times.items():
        middle = float(np.median(values))
        spread = min(values) * 1e3, max(values) * 1e3
        yield Row(quantity, name, middle * 1e3, *spread, "ms", setting, middle / first)


def case_rows(case: Case, meter: Meter, bytes_s: float, flops: float, setting: str) -> list[Row]:
    """Times of one operation each way, what it reaches of the ceiling that binds it, and its memory."""
    out, both = [], (("forward", case.forward), ("forward + backward", case.step))
    for quantity, function in both:
        times, memory = {}, {}
        for name, mode in ((KERNEL, "triton"), (EAGER, "reference")):
            with use_kernels(mode):
                times[name], memory[name] = meter.seconds(function), meter.memory_mb(function)
        if case.plain is not None:
            plain = case.compiled(meter.device == "cuda")
            call = plain.forward if quantity == "forward" else plain.step
            times[COMPILED], memory[COMPILED] = meter.seconds(call), meter.memory_mb(call)
        out += timed(f"{case.name}: {quantity}", times, setting)
        for name, value in memory.items():
            out.append(Row(f"{case.name}: memory of {quantity}", name, value, value, value, "MB", setting))
        backward = quantity != "forward"
        work, traffic = case.flops * (3 if backward else 1), case.bytes * (3 if backward else 1)
        out.append(rate(f"{case.name}: {quantity}", KERNEL, traffic / 1e9, times[KERNEL], "GB/s", setting))
        out.append(rate(f"{case.name}: {quantity}", KERNEL, work / 1e12, times[KERNEL], "TFLOP/s", setting))
        least = max(work / flops, traffic / bytes_s)
        out.append(
            rate(f"{case.name}: {quantity}", KERNEL, 100 * least, times[KERNEL], "% roofline", setting)
        )
    return out


def network(key: str, options: dict[str, Any], batch: JetBatch) -> JetModel:
    torch.manual_seed(0)
    return build_model(key, **options).to(batch.p4.device)


def loss(model: nn.Module, batch: JetBatch) -> Tensor:
    return nn.functional.cross_entropy(model(batch), batch.label)


def training_step(model: nn.Module, inputs: tuple[Any, ...], label: Tensor | None) -> Callable[[], None]:
    """Forward, loss, backward and an AdamW step."""
    optimiser = torch.optim.AdamW(model.parameters(), fused=next(model.parameters()).is_cuda)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(*inputs), label).backward()
        optimiser.step()

    return step


def network_rows(
    batch: JetBatch, networks: Networks, meter: Meter, setting: str, compiled: bool
) -> list[Row]:
    """Training steps: jets per second, seconds of an epoch, peak memory."""
    out: list[Row] = []
    for name, (key, options) in networks.items():
        model = network(key, options, batch).train()
        for label, mode in ((KERNEL, "triton"), (EAGER, "reference")):
            step = training_step(model, (batch,), batch.label)
            with use_kernels(mode):
                out += step_rows(name, label, step, len(batch), meter, setting)
    if compiled:
        out += peer_rows(batch, meter, setting)
    return out


def step_rows(
    name: str, label: str, step: Callable[[], None], size: int, meter: Meter, setting: str
) -> list[Row]:
    seconds = meter.seconds(step)
    middle, memory = float(np.median(seconds)), meter.memory_mb(step)
    epoch = [value * EPOCH_JETS / size for value in (middle, min(seconds), max(seconds))]
    return [
        rate(f"{name}: training", label, size, seconds, "jets/s", setting),
        Row(f"{name}: epoch of 1.2M jets", label, epoch[0], epoch[1], epoch[2], "s", setting),
        Row(f"{name}: memory of a step", label, memory, memory, memory, "MB", setting),
    ]


def peer_rows(batch: JetBatch, meter: Meter, setting: str) -> list[Row]:
    """pelican-lite at its published tagging configuration, compiled, where it is installed."""
    from benchmarks import pelican

    try:
        peer = torch.compile(pelican.PeerTagger().to(meter.device), dynamic=True)
    except ModuleNotFoundError:
        return []
    ours = build_model("pelican", **SIZES["208k"])
    if not hasattr(ours, "events"):
        raise ConfigError("expected PELICAN to prepare the peer's events")
    inputs = pelican.peer_inputs(ours, batch.to("cpu"))
    moved = tuple(value.to(meter.device) if isinstance(value, Tensor) else value for value in inputs)
    step = training_step(peer, moved, batch.label)
    return step_rows("PELICAN 208k", PEER, step, len(batch), meter, setting)
