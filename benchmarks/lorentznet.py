"""LorentzNet against a plain implementation of the published one: speed, memory, operations, numerics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measure import benchmark_jets, gemm_gflops, interleaved, peak_memory_mb, rows
from benchmarks.registry import Row, Settings, register
from eqviz.data.jets import JetBatch
from eqviz.kinematics import boost_matrix, random_axis
from eqviz.layers.events import prepare
from eqviz.models import build_model
from eqviz.models.lorentznet import LorentzNet
from eqviz.models.published.lorentznet import PublishedLorentzNet

BATCH = 32
BLOCKS, HIDDEN = 6, 72
PLAIN, OURS = "plain", "eqviz"


def multiplications_per_pair(implementation: str) -> int:
    """Multiply-adds of the forward pass that scale with the number of pairs."""
    inputs = 2 * HIDDEN + 2 if implementation == PLAIN else 2
    message = inputs * HIDDEN + HIDDEN**2 + HIDDEN
    coordinates = HIDDEN**2 + HIDDEN
    return BLOCKS * message + (BLOCKS - 1) * coordinates


@register(
    "lorentznet",
    summary="LorentzNet 6 x 72, batch 32, against a plain implementation of the published one",
    reference="arXiv:2201.08187",
)
def run(settings: Settings) -> list[Row]:
    jets, source = benchmark_jets()
    batches = [jets.select(range(start, start + BATCH)).to(settings.device) for start in range(0, 128, BATCH)]
    plain, ours = twins(settings.device)
    verify(plain, ours, batches[0])
    setting = f"batch {BATCH}, {source}, float32"
    out = against_plain(plain, ours, batches, setting, settings)
    out += floor(batches, settings, setting)
    if settings.device == "cpu":
        out += memory(setting)
    return out + stability(jets.select(range(64)))


def against_plain(
    plain: PublishedLorentzNet, ours: LorentzNet, batches: list[JetBatch], setting: str, settings: Settings
) -> list[Row]:
    """Times of both, in turn."""
    out = []
    for quantity, training in (("forward", False), ("forward + backward", True)):
        plain.train(training), ours.train(training)
        times: dict[str, list[float]] = {PLAIN: [], OURS: []}
        for batch in batches:
            inputs = padded(ours, batch)
            calls = {PLAIN: step(plain, inputs, batch.label), OURS: step(ours, (batch,), batch.label)}
            for name, seconds in interleaved(calls, 1 if settings.quick else 5, settings.device).items():
                times[name] += seconds
        out += rows(quantity, times, 1e3 / BATCH, "ms/jet", setting)
    return out


def twins(device: str) -> tuple[PublishedLorentzNet, LorentzNet]:
    """The plain network and ours, both freshly initialised."""
    torch.manual_seed(0)
    ours = build_model("lorentznet", n_blocks=BLOCKS, hidden=HIDDEN)
    assert isinstance(ours, LorentzNet)
    return PublishedLorentzNet(hidden=HIDDEN, n_blocks=BLOCKS).to(device), ours.to(device)


def verify(plain: PublishedLorentzNet, ours: LorentzNet, batch: JetBatch) -> None:
    """With the same weights and options both give the same logits; otherwise no speed is claimed."""
    same = build_model("lorentznet", clamp=plain_clamp(plain), pool_size="batch").to(batch.p4.device).eval()
    own = same.state_dict()
    for (_, value), key in zip(sorted_like(plain, own), own, strict=True):
        own[key].copy_(value)
    with torch.no_grad():
        expected, got = plain.eval()(*padded(ours, batch)), same(batch)
    if not torch.allclose(expected, got, rtol=1e-3, atol=1e-4):
        raise AssertionError("eqviz and the plain implementation disagree: times would mean nothing")


def plain_clamp(plain: PublishedLorentzNet) -> float:
    return next(plain.blocks()).clamp


def sorted_like(plain: nn.Module, own: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    """The plain network's tensors in the order of our names."""
    names = {
        "embed": "embedding",
        "head": "graph_dec",
        "edge.linear": "phi_e.0",
        "edge.norm": "phi_e.1",
        "hidden": "phi_e.3",
        "gate": "phi_m.0",
        "update": "phi_h",
        "coordinate": "phi_x",
        "blocks": "LGEBs",
    }
    state, out = plain.state_dict(), []
    for key in own:
        for ours, theirs in names.items():
            key = key.replace(f"{ours}.", f"{theirs}.")
        out.append((key, state[key]))
    return out


def padded(model: LorentzNet, batch: JetBatch) -> tuple[Tensor, Tensor, Tensor]:
    """The same nodes as our network sees, as the dense arrays that the plain one takes."""
    events = prepare(batch, stable=False)
    size = int(events.lengths.max())
    mask = torch.arange(size, device=events.p4.device) < events.lengths[:, None]
    x, scalars = (torch.zeros(*mask.shape, width, device=mask.device) for width in (4, 2))
    x[mask], scalars[mask] = events.p4.float(), model.node_scalars(batch, events).float()
    return x, scalars, mask


def step(model: nn.Module, inputs: tuple[object, ...], label: Tensor | None) -> Callable[[], None]:
    """Forward in evaluation mode; forward, cross-entropy and backward in training mode."""

    def forward() -> None:
        with torch.no_grad():
            model(*inputs)

    def both() -> None:
        model.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(*inputs), label).backward()

    return both if model.training else forward


def floor(batches: list[JetBatch], settings: Settings, setting: str) -> list[Row]:
    """Operations per pair, the machine's rate of matrix products, and the time they take at least."""
    rate = gemm_gflops(HIDDEN, settings.device)
    pairs = np.mean([((batch.lengths + 2) * (batch.lengths + 1)).double().mean().item() for batch in batches])
    out = [Row("matrix products", "machine", rate, rate, rate, "GFLOP/s", f"(4096, {HIDDEN}) float32")]
    for name in (PLAIN, OURS):
        count = multiplications_per_pair(name)
        least = 2 * count * pairs / rate / 1e6
        out.append(Row("multiply-adds per pair", name, count, count, count, "", setting))
        out.append(Row("floor of forward", name, least, least, least, "ms/jet", setting))
    return out


def memory(setting: str) -> list[Row]:
    """Growth of the peak memory by one call, in a fresh process each."""
    out = []
    for quantity, training in (("memory of forward", False), ("memory of f + b", True)):
        sizes = {name: peak_memory_mb(prepared, name, training) for name in (PLAIN, OURS)}
        for name, size in sizes.items():
            out.append(Row(quantity, name, size, size, size, "MB", setting, size / sizes[PLAIN]))
    return out


def prepared(name: str, training: bool) -> Callable[[], None]:
    """One call on the first batch, for the memory meter."""
    jets, _ = benchmark_jets()
    batch = jets.select(range(BATCH))
    plain, ours = twins("cpu")
    model: nn.Module = plain if name == PLAIN else ours
    inputs = padded(ours, batch) if name == PLAIN else (batch,)
    return step(model.train(training), inputs, batch.label)


def stability(jets: JetBatch) -> list[Row]:
    """Relative deviation of the discriminant under boosts in float32, median over jets, worst of 3 axes."""
    out = []
    for gamma in (10.0, 1e3, 1e4):
        for name in (PLAIN, OURS):
            deviations = [deviation(jets, gamma, axis, name == OURS) for axis in ("z", "x", "random")]
            medians = [float(d.median()) for d in deviations]
            highest = max(float(d.max()) for d in deviations)
            setting = f"gamma {gamma:g}, {len(jets)} jets, untrained weights; high: largest of all jets"
            label = "eqviz" if name == OURS else "naive"
            out.append(Row("relative deviation", label, max(medians), min(medians), highest, "", setting))
    return out


def deviation(jets: JetBatch, gamma: float, axis: str, stable: bool) -> Tensor:
    torch.manual_seed(0)
    model = build_model("lorentznet").eval()
    model.stable = stable
    rng = np.random.default_rng(0)
    axes = [random_axis(rng) if axis == "random" else axis for _ in range(len(jets))]
    boosted = jets.transformed(np.stack([boost_matrix(gamma, one) for one in axes]))
    with torch.no_grad():
        before, after = (
            model(batch).double() @ torch.tensor([-1.0, 1.0]).double() for batch in (jets, boosted)
        )
    return ((after - before) / before).abs()
