"""PELICAN 208k against pelican-lite and a plain form of the published network: speed and memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measure import benchmark_jets, gemm_gflops, interleaved, peak_memory_mb, rows
from benchmarks.registry import Row, Settings, register
from eqviz.data.jets import JetBatch
from eqviz.models import build_model
from eqviz.models.pelican import SIZES, Pelican
from eqviz.models.published.pelican import PublishedPelican

BATCH, PLAIN_BATCH = 32, 2
HIDDEN, MESSAGE, BLOCKS = 132, 78, 5
PEER, PLAIN, OURS = "pelican-lite", "plain", "eqviz"
FLOOR = 1e-10  # pelican-lite takes the logarithm of squared pair masses above this


class PeerTagger(nn.Module):
    """pelican-lite at its published tagging configuration (172,082 parameters), on the same nodes."""

    def __init__(self) -> None:
        super().__init__()
        from pelican.nets import PELICAN

        self.net = PELICAN(
            in_channels_rank2=1,
            in_channels_rank1=1,
            in_channels_rank0=0,
            out_rank=0,
            out_channels=1,
            num_blocks=BLOCKS,
            hidden_channels=HIDDEN,
            increase_hidden_channels=0.59,
            factorize=True,
        )

    def forward(self, edges: Tensor, batch: Tensor, squares: Tensor, label: Tensor, n_jets: int) -> Tensor:
        logit = self.net(edges, batch, in_rank2=squares, in_rank1=label, num_graphs=n_jets)
        return torch.cat([-logit, logit], 1) / 2


def peer_inputs(ours: Pelican, batch: JetBatch) -> tuple[Any, ...]:
    """All ordered pairs of nodes, and log (p_i + p_j)^2, standardised as in its example."""
    events = ours.events(batch)
    start = events.lengths.cumsum(0) - events.lengths
    grids = [torch.cartesian_prod(*[torch.arange(n)] * 2) + s for n, s in zip(events.lengths, start)]
    edges = torch.cat(grids).T.contiguous()
    total = events.p4[edges[0]] + events.p4[edges[1]]
    square = total[:, 0].square() - total[:, 1:].square().sum(1)
    logs = square.clamp(min=FLOOR).log()
    standard = ((logs - logs.mean()) / logs.std())[:, None].float()
    return edges, events.jet, standard, events.is_reference.float()[:, None], len(batch)


def operations_per_pair(implementation: str) -> int:
    """Multiply-adds of the forward pass for every ordered pair of nodes."""
    mixing = MESSAGE * HIDDEN * (1 if implementation == OURS else 15)
    message = HIDDEN * MESSAGE
    first = message // 2 if implementation == OURS else message
    if implementation == PEER:
        return BLOCKS * (message + mixing) + 15 * 2 * HIDDEN
    return BLOCKS * (message + mixing) + first


@register(
    "pelican",
    summary="PELICAN 208k, batch 32, against pelican-lite and a plain implementation of the published one",
    reference="arXiv:2307.16506",
)
def run(settings: Settings) -> list[Row]:
    jets, source = benchmark_jets()
    ours, plain = networks(settings.device)
    verify(ours, plain, jets.select(range(PLAIN_BATCH)).to(settings.device))
    out = against_peer(jets, source, ours, settings) + against_plain(jets, source, ours, plain, settings)
    rate = gemm_gflops(HIDDEN, settings.device)
    for name in (PEER, PLAIN, OURS):
        count = operations_per_pair(name)
        out.append(Row("multiply-adds per pair", name, count, count, count, "", "forward"))
    out.append(Row("matrix products", "machine", rate, rate, rate, "GFLOP/s", f"(4096, {HIDDEN}) float32"))
    if not settings.quick:
        out += against_size(jets, source, ours, settings)
    return out + (memory(f"batch {BATCH}, {source}, float32") if settings.device == "cpu" else [])


def against_peer(jets: JetBatch, source: str, ours: Pelican, settings: Settings) -> list[Row]:
    """Times beside pelican-lite, in turn."""
    peer = PeerTagger().to(settings.device)
    starts = range(0, BATCH if settings.quick else 3 * BATCH, BATCH)
    batches = [jets.select(range(start, start + BATCH)).to(settings.device) for start in starts]
    out = []
    for quantity, training in (("forward", False), ("forward + backward", True)):
        times: dict[str, list[float]] = {PEER: [], OURS: []}
        for batch in batches:
            inputs = tuple(
                x.to(settings.device) if isinstance(x, Tensor) else x for x in peer_inputs(ours, batch)
            )
            calls = {
                PEER: step(peer.train(training), inputs, batch.label),
                OURS: step(ours.train(training), (batch,), batch.label),
            }
            for name, found in interleaved(calls, 1 if settings.quick else 3, settings.device).items():
                times[name] += found
        out += rows(quantity, times, 1e3 / BATCH, "ms/jet", f"batch {BATCH}, {source}, float32")
    return out


def against_plain(
    jets: JetBatch, source: str, ours: Pelican, plain: PublishedPelican, settings: Settings
) -> list[Row]:
    """Times beside the published network, on a batch that leaves room for its 15 maps of all channels."""
    batch = jets.select(range(PLAIN_BATCH)).to(settings.device)
    out = []
    for quantity, training in (("forward", False), ("forward + backward", True)):
        networks = {PLAIN: plain.train(training), OURS: ours.train(training)}
        calls = {name: step(network, (batch,), batch.label) for name, network in networks.items()}
        times = interleaved(calls, 1 if settings.quick else 3, settings.device)
        out += rows(quantity, times, 1e3 / PLAIN_BATCH, "ms/jet", f"batch {PLAIN_BATCH}, {source}, float32")
    return out


def against_size(jets: JetBatch, source: str, ours: Pelican, settings: Settings) -> list[Row]:
    """Ours alone: cost against multiplicity and against batch size."""
    rng = np.random.default_rng(0)
    cases: dict[str, JetBatch] = {}
    for n in (10, 25, 50, 100, 200):
        p3 = rng.normal(0, 10, size=(8, n, 3))
        p4 = np.concatenate([np.linalg.norm(p3, axis=2, keepdims=True), p3], 2)
        cases[f"{n} constituents, batch 8"] = JetBatch.from_arrays(list(p4), labels=np.arange(8) % 2)
    for size in (1, 8, 32, 128):
        cases[f"batch {size}, {source}"] = jets.select(range(size))
    out = []
    for setting, batch in cases.items():
        batch = batch.to(settings.device)
        times = interleaved({OURS: step(ours.train(), (batch,), batch.label)}, 2, settings.device)
        found = rows("forward + backward", times, 1e3 / len(batch), "ms/jet", f"{setting}, float32")
        out += [replace(row, relative=None) for row in found]
    return out


def networks(device: str) -> tuple[Pelican, PublishedPelican]:
    """Ours and the plain one, freshly initialised."""
    torch.manual_seed(0)
    ours, plain = build_model("pelican", **SIZES["208k"]), build_model("pelican-original", **PLAIN_SIZE)
    assert isinstance(ours, Pelican) and isinstance(plain, PublishedPelican)
    return ours.to(device), plain.to(device)


PLAIN_SIZE = {"hidden": HIDDEN, "message": MESSAGE, "max_constituents": None}


def verify(ours: Pelican, plain: PublishedPelican, batch: JetBatch) -> None:
    """With the same weights both give the same logits up to the last rectifier, or no speed is claimed."""
    from eqviz.models.published.pelican_weights import to_clean

    same = build_model("pelican", **SIZES["208k"]).to(batch.p4.device).eval().double()
    same.load_state_dict(to_clean(plain.state_dict()))
    wide = PublishedPelican(plain.config).to(batch.p4.device).eval().double()
    wide.load_state_dict(plain.state_dict())
    with torch.no_grad():
        expected = wide(batch)
        got = nn.functional.leaky_relu(same(batch), 0.01)
    if not torch.allclose(expected, got, rtol=1e-6, atol=1e-9):
        raise AssertionError("eqviz and the plain implementation disagree: times would mean nothing")


def step(model: nn.Module, inputs: tuple[Any, ...], label: Tensor | None) -> Callable[[], None]:
    """Forward in evaluation mode; forward, cross-entropy and backward in training mode."""
    training = model.training

    def forward() -> None:
        model.eval()
        with torch.no_grad():
            model(*inputs)

    def both() -> None:
        model.train()
        model.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(*inputs), label).backward()

    return both if training else forward


def memory(setting: str) -> list[Row]:
    """Growth of the peak memory by one call, in a fresh process each."""
    out = []
    for quantity, training in (("memory of forward", False), ("memory of f + b", True)):
        sizes = {name: peak_memory_mb(prepared, name, training) for name in (PEER, OURS)}
        for name, size in sizes.items():
            out.append(Row(quantity, name, size, size, size, "MB", setting, size / sizes[PEER]))
    return out


def prepared(name: str, training: bool) -> Callable[[], None]:
    """One call on the first batch, for the memory meter."""
    jets, _ = benchmark_jets()
    batch = jets.select(range(BATCH))
    ours, _ = networks("cpu")
    if name == PEER:
        return step(PeerTagger().train(training), peer_inputs(ours, batch), batch.label)
    return step(ours.train(training), (batch,), batch.label)
