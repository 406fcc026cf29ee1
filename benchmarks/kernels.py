"""The GPU kernels: right first, then timed beside eager and compiled PyTorch, pelican-lite and ceilings.

python -m benchmarks --gpu          # writes results/kernels-gpu.csv
python -m benchmarks --gpu --dry    # every check and row in Triton's interpreter, times that mean nothing
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from benchmarks.gpu import Budget, Ceilings, Meter, deadline, matmul_precision, rate, roofline
from benchmarks.kernel_cases import Case, cases
from benchmarks.measure import benchmark_jets
from benchmarks.registry import Row, Settings, register
from benchmarks.steps import (
    EAGER,
    KERNEL,
    NETWORKS,
    PEER,
    TINY,
    Networks,
    network,
    peer_rows,
    recorded_rows,
    whole_rows,
)
from eqviz.data.jets import JetBatch
from eqviz.ops import dispatch
from eqviz.ops.dispatch import use_kernels

BATCHES = (100, 512)
TOLERANCE = 3e-3  # of the largest entry: TF32 keeps 10 bits
COMPILED = "compiled"
# Longest times in seconds of a part: kernels, a network, the compiler on a plain form, pelican-lite
LIMITS = {"case": 25.0, "network": 25.0, "compiled": 60.0, "peer": 110.0}


@register(
    "kernels",
    summary="GPU kernels beside eager and compiled PyTorch, and training steps of whole networks",
    reference="arXiv:2205.14135",
)
def run(settings: Settings) -> list[Row]:
    if settings.device == "cpu" and not (settings.quick and dispatch.INTERPRETED):
        return []  # times of an interpreter mean nothing
    budget = Budget(settings.seconds, settings.report)
    jets, source = sample(settings)
    networks, tiny = (NETWORKS, False) if settings.device == "cuda" else (TINY, True)
    sizes = (2,) if settings.quick else BATCHES
    batches = {size: jets.select(range(size)).to(settings.device) for size in sizes}
    meter = Meter(settings)
    with matmul_precision("high"):  # TF32 for all alike
        with deadline(budget.left):
            verify_all(batches[sizes[0]], networks, tiny)
        budget.add(
            [Row("checks", KERNEL, 1, 1, 1, "passed", f"{TOLERANCE} of the largest entry of a result")]
        )
        rows, ceilings = meter.ceilings()
        budget.add(rows)
        for size, batch in batches.items():
            plan(budget, batch, networks, tiny, meter, ceilings, f"batch {size}, {source}")
        for size, batch in batches.items():
            compilers(budget, batch, tiny, meter, f"batch {size}, {source}")
    return budget.rows


def plan(
    budget: Budget,
    batch: JetBatch,
    networks: Networks,
    tiny: bool,
    meter: Meter,
    ceilings: Ceilings,
    setting: str,
) -> None:
    """Everything of ours on one batch; networks first, since they are what counts."""
    short, exact = f"{setting}, float32 as TF32", f"{setting}, float32"
    for name, (key, options) in networks.items():
        model = network(key, options, batch)
        for mode in ("triton", "reference"):
            work = partial(whole_rows, name, model, batch, meter, mode, short)
            budget.part(f"{name}: training, {mode}", short, LIMITS["network"], work)
        work = partial(recorded_rows, name, model, batch, meter, short)
        budget.part(f"{name}: training, recorded", short, LIMITS["network"], work)
    for case in cases(batch, tiny):
        work = partial(case_rows, case, meter, ceilings, short)
        budget.part(case.name, short, LIMITS["case"], work)
        if case.precision == "tf32" and case.name == "minkowski_message":
            with matmul_precision("highest"):
                work = partial(case_rows, case, meter, ceilings, exact)
                budget.part(case.name, exact, LIMITS["case"], work)


def compilers(budget: Budget, batch: JetBatch, tiny: bool, meter: Meter, setting: str) -> None:
    """What PyTorch's compiler makes of plain forms and of pelican-lite; last, since it may take minutes."""
    setting = f"{setting}, float32 as TF32"
    budget.part(f"PELICAN 208k, {PEER}", setting, LIMITS["peer"], partial(peer_rows, batch, meter, setting))
    for case in cases(batch, tiny):
        if case.plain is not None:
            work = partial(compiled_rows, case, meter, setting)
            budget.part(f"{case.name}, {COMPILED}", setting, LIMITS["compiled"], work)


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
                losses.append(float(nn.functional.cross_entropy(model.eval()(batch), batch.label)))
        if not abs(losses[0] - losses[1]) < 0.02 * max(abs(losses[0]), 0.1):
            raise AssertionError(f"{name}: loss {losses[1]:.4g} with kernels, {losses[0]:.4g} without")


def passes(case: Case) -> tuple[tuple[str, Callable[[], object], int], ...]:
    """Quantity, call, and work in forward passes: the backward one needs twice as much."""
    return ("forward", case.forward, 1), ("forward + backward", case.step, 3)


def case_rows(case: Case, meter: Meter, ceilings: Ceilings, setting: str) -> list[Row]:
    """Times of one operation both ways, what it reaches of the ceiling that binds it, and its memory."""
    out = []
    for quantity, function, share in passes(case):
        name = f"{case.name}: {quantity}"
        times, memory = {}, {}
        for label, mode in ((KERNEL, "triton"), (EAGER, "reference")):
            with use_kernels(mode):
                times[label], memory[label] = meter.seconds(function), meter.memory_mb(function)
        out += timed(name, times, setting)
        for label, value in memory.items():
            out.append(Row(f"{case.name}: memory of {quantity}", label, value, value, value, "MB", setting))
        ours, work, traffic = times[KERNEL], case.flops * share, case.bytes * share
        least, binding = roofline(work, traffic, ceilings, case.precision)
        out += [
            rate(name, KERNEL, traffic / 1e9, ours, "GB/s", setting),
            rate(name, KERNEL, work / 1e12, ours, "TFLOP/s", setting),
            rate(name, KERNEL, 100 * least, ours, "% roofline", f"{setting}, bound by {binding}"),
        ]
    return out


def compiled_rows(case: Case, meter: Meter, setting: str) -> list[Row]:
    """The plain form by PyTorch's compiler."""
    out = []
    for quantity, function, _ in passes(case.compiled(meter.device == "cuda")):
        seconds, memory = meter.seconds(function), meter.memory_mb(function)
        out += timed(f"{case.name}: {quantity}", {COMPILED: seconds}, setting)
        out.append(Row(f"{case.name}: memory of {quantity}", COMPILED, memory, memory, memory, "MB", setting))
    return out


def timed(name: str, times: dict[str, list[float]], setting: str) -> list[Row]:
    """Milliseconds; where there are several, ratios to the first."""
    first = float(np.median(next(iter(times.values()))))
    return [
        Row(
            name,
            label,
            float(np.median(seconds)) * 1e3,
            min(seconds) * 1e3,
            max(seconds) * 1e3,
            "ms",
            setting,
            float(np.median(seconds)) / first if len(times) > 1 else None,
        )
        for label, seconds in times.items()
    ]
