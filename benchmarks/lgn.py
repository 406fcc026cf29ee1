"""LGN in real bases: speed, memory and numerics, beside the published network written out plainly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measure import benchmark_jets, interleaved, peak_memory_mb, rows
from benchmarks.registry import Row, Settings, register
from eqviz.data.jets import JetBatch
from eqviz.kinematics import boost_matrix, random_axis
from eqviz.models import build_model, n_parameters
from eqviz.models.base import JetModel

BATCHES = (8, 32, 64)
PLAIN_BATCH = 32  # the plain network's largest: beyond it needs too much memory
OURS, PLAIN = "eqviz", "plain"
# Sizes of the published code's defaults: 4,646 parameters, every pair's product in memory
PUBLISHED = {"channels": (2, 3, 4, 3), "momenta_in": False, "pad_to": None, "per_pair": True}
# What the published code took on another machine (forward, forward + backward), in ms/jet: a plain network
# that is more than 20 % slower would flatter ours and stays out of the comparison.
KNOWN = {8: (25.5, 74.7), 32: (102.3, 289.9)}


@register(
    "lgn",
    summary="LGN, 3 Clebsch-Gordan levels, 4.5k parameters, batch 8, 32 and 64",
    reference="arXiv:2006.04780",
)
def run(settings: Settings) -> list[Row]:
    jets, source = benchmark_jets()
    verify(jets)
    ours, plain = networks(settings.device)
    out = [
        Row("parameters", name, float(count), float(count), float(count), "", source)
        for name, count in ((OURS, n_parameters(ours)), (PLAIN, n_parameters(plain)))
    ]
    for size in BATCHES:
        out += speed(jets, size, source, settings, ours, plain)
    if settings.device == "cpu":
        out += memory(source)
    return out + stability(jets.select(range(64)))


def networks(device: str) -> tuple[JetModel, JetModel]:
    """Ours and the published one, freshly initialised."""
    torch.manual_seed(0)
    return build_model("lgn").to(device), build_model("lgn-original", **PUBLISHED).to(device)


def verify(jets: JetBatch) -> None:
    """The network is invariant in float64 and a jet's answer is its own; otherwise no speed is claimed."""
    model, batch = build_model("lgn").double().eval(), jets.select(range(8))
    with torch.no_grad():
        expected = model(batch)
        for same in (batch.transformed(boost_matrix(5.0, "x")), batch.permuted(0)):
            if not torch.allclose(model(same), expected, rtol=1e-9, atol=1e-9):
                raise AssertionError("the network is not invariant: times would mean nothing")
        if not torch.allclose(model(batch.select([3])), expected[3:4], rtol=1e-9, atol=1e-9):
            raise AssertionError("the answer depends on batch mates: times would mean nothing")


def speed(
    jets: JetBatch, size: int, source: str, settings: Settings, ours: JetModel, plain: JetModel
) -> list[Row]:
    """Forward, and forward with backward, per jet; the plain network in turn with ours on the first batch."""
    batches = [
        jets.select(range(start, start + size)).to(settings.device) for start in range(0, 4 * size, size)
    ]
    rounds, out = 2 if settings.quick else 10, []
    for index, (quantity, training) in enumerate((("forward", False), ("forward + backward", True))):
        setting, times = f"batch {size}, {source}, float32", {OURS: list[float]()}
        if size <= PLAIN_BATCH:
            both = {
                PLAIN: step(plain.train(training), batches[0]),
                OURS: step(ours.train(training), batches[0]),
            }
            times = interleaved(both, 1 if settings.quick else 3, settings.device)
            found, known = float(np.median(times[PLAIN])) * 1e3 / size, KNOWN[size][index]
            if found > 1.2 * known:
                del times[PLAIN]
            setting += f"; plain {found:.3g} ms/jet, the published code {known:g} where it was measured"
        for batch in batches:
            calls = {OURS: step(ours.train(training), batch)}
            times[OURS] += interleaved(calls, rounds, settings.device)[OURS]
        out += rows(quantity, times, 1e3 / size, "ms/jet", setting)
    return out


def step(model: nn.Module, batch: JetBatch) -> Callable[[], None]:
    """Forward in evaluation mode; forward, cross-entropy and backward in training mode."""

    def forward() -> None:
        with torch.no_grad():
            model(batch)

    def both() -> None:
        model.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(batch), batch.label).backward()

    return both if model.training else forward


def memory(source: str) -> list[Row]:
    """Growth of the peak memory by one training step at batch 32, in a fresh process each."""
    sizes = {name: peak_memory_mb(prepared, name) for name in (PLAIN, OURS)}
    setting = f"batch 32, {source}, float32"
    return [
        Row("memory of f + b", name, size, size, size, "MB", setting, size / sizes[PLAIN])
        for name, size in sizes.items()
    ]


def prepared(name: str) -> Callable[[], None]:
    """One training step on the first 32 jets, for the memory meter."""
    jets, _ = benchmark_jets()
    ours, plain = networks("cpu")
    return step((plain if name == PLAIN else ours).train(), jets.select(range(32)))


def stability(jets: JetBatch) -> list[Row]:
    """Relative deviation of the discriminant under boosts in float32, median over jets, worst of 3 axes."""
    out = []
    for gamma in (10.0, 1e3, 1e4):
        for name, stable in ((OURS, True), ("naive", False)):
            found = [deviation(jets, gamma, axis, stable) for axis in ("z", "x", "random")]
            medians = [float(each.median()) for each in found]
            highest = max(float(each.max()) for each in found)
            setting = f"gamma {gamma:g}, {len(jets)} jets, untrained weights; high: largest of all jets"
            out.append(Row("relative deviation", name, max(medians), min(medians), highest, "", setting))
    return out


def deviation(jets: JetBatch, gamma: float, axis: str, stable: bool) -> Tensor:
    torch.manual_seed(0)
    model = build_model("lgn", stable=stable).eval()
    rng = np.random.default_rng(0)
    axes = [random_axis(rng) if axis == "random" else axis for _ in range(len(jets))]
    boosted = jets.transformed(np.stack([boost_matrix(gamma, one) for one in axes]))
    sign = torch.tensor([-1.0, 1.0]).double()
    with torch.no_grad():
        before, after = (model(batch).double() @ sign for batch in (jets, boosted))
    return ((after - before) / before).abs()
