"""The three Lorentz families beside their originals, and what they cost against size of jets and batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from benchmarks import lgn, lorentznet, pelican
from benchmarks.measure import benchmark_jets, interleaved, rows
from benchmarks.registry import Row, Settings, register
from eqviz.data.jets import JetBatch
from eqviz.models import build_model
from eqviz.models.pelican import SIZES

OURS = "eqviz"
TARGETS = {"PELICAN 208k": "8 x", "LGN 4.5k": "batch 8 and 32: under 2 ms/jet", "LorentzNet 224k": "3 x"}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "LorentzNet 224k": ("lorentznet", {}),
    "PELICAN 208k": ("pelican", SIZES["208k"]),
    "LGN 4.5k": ("lgn", {}),
}
ROUNDS = 3
MULTIPLICITIES, MULTIPLICITY_BATCH = (10, 20, 50, 100, 200), 8
BATCHES, BATCH_MULTIPLICITY = (1, 4, 16, 64), 50


@register(
    "lorentz",
    summary="PELICAN, LGN and LorentzNet, forward and backward, beside their originals; cost against size",
    reference="arXiv:2211.00454",
)
def run(settings: Settings) -> list[Row]:
    jets, source = benchmark_jets()
    found = [
        *named("LorentzNet 224k", lorentznet_rows(jets, source, settings)),
        *named("PELICAN 208k", pelican_rows(jets, source, settings)),
        *named("LGN 4.5k", lgn_rows(jets, source, settings)),
    ]
    print(table(found))
    return found + scaling(settings)


def named(network: str, found: list[Row]) -> list[Row]:
    """The rows with the network's name before the quantity."""
    return [Row(f"{network}: {row.quantity}", *list(vars(row).values())[1:]) for row in found]


def lorentznet_rows(jets: JetBatch, source: str, settings: Settings) -> list[Row]:
    plain, ours = lorentznet.twins(settings.device)
    batch = jets.select(range(lorentznet.BATCH)).to(settings.device)
    lorentznet.verify(plain, ours, batch)
    setting = f"batch {lorentznet.BATCH}, {source}, float32"
    inputs = lorentznet.padded(ours, batch)
    out = compared({lorentznet.PLAIN: (plain, inputs), OURS: (ours, (batch,))}, batch, setting, settings)
    return out + (lorentznet.memory(setting) if settings.device == "cpu" else [])


def pelican_rows(jets: JetBatch, source: str, settings: Settings) -> list[Row]:
    ours, plain = pelican.networks(settings.device)
    pelican.verify(ours, plain, jets.select(range(pelican.PLAIN_BATCH)).to(settings.device))
    batch = jets.select(range(pelican.BATCH))
    found = pelican.peer_inputs(ours.cpu(), batch)
    inputs = tuple(x.to(settings.device) if isinstance(x, Tensor) else x for x in found)
    peer, batch = pelican.PeerTagger().to(settings.device), batch.to(settings.device)
    setting = f"batch {pelican.BATCH}, {source}, float32"
    calls = {pelican.PEER: (peer, inputs), OURS: (ours.to(settings.device), (batch,))}
    out = compared(calls, batch, setting, settings)
    return out + (pelican.memory(setting) if settings.device == "cpu" else [])


def lgn_rows(jets: JetBatch, source: str, settings: Settings) -> list[Row]:
    lgn.verify(jets)
    ours, plain = lgn.networks(settings.device)
    out = []
    for size in lgn.KNOWN:
        batch = jets.select(range(size)).to(settings.device)
        setting = f"batch {size}, {source}, float32"
        calls = {lgn.PLAIN: (plain, (batch,)), OURS: (ours, (batch,))}
        for row in compared(calls, batch, setting, settings):
            known = lgn.KNOWN[size]["backward" in row.quantity]
            if row.implementation == lgn.PLAIN and row.value > 1.2 * known:
                continue  # slower than the published code: that would flatter ours
            out.append(row)
    return out + (lgn.memory(source) if settings.device == "cpu" else [])


def compared(
    networks: dict[str, tuple[nn.Module, tuple[Any, ...]]], batch: JetBatch, setting: str, settings: Settings
) -> list[Row]:
    """Times of forward, and of forward and backward, one network after the other in turn."""
    out = []
    for quantity, training in (("forward", False), ("forward + backward", True)):
        calls = {
            name: pelican.step(network.train(training), inputs, batch.label)
            for name, (network, inputs) in networks.items()
        }
        times = interleaved(calls, 1 if settings.quick else ROUNDS, settings.device)
        out += rows(quantity, times, 1e3 / len(batch), "ms/jet", setting)
    return out


def scaling(settings: Settings) -> list[Row]:
    """Forward and backward of ours against the number of constituents and of jets."""
    multiplicities = (10, 50) if settings.quick else MULTIPLICITIES
    batches = (1, 8) if settings.quick else BATCHES
    cases = [("cost against N", MULTIPLICITY_BATCH, n) for n in multiplicities]
    cases += [("cost against batch", size, BATCH_MULTIPLICITY) for size in batches]
    networks: dict[str, nn.Module] = {
        name: build_model(model, **params).to(settings.device).train()
        for name, (model, params) in NETWORKS.items()
    }
    out = []
    for quantity, size, n in cases:
        batch = toy_batch(size, n).to(settings.device)
        calls = {name: pelican.step(net, (batch,), batch.label) for name, net in networks.items()}
        times = interleaved(calls, 1 if settings.quick else ROUNDS, settings.device)
        out += rows(quantity, times, 1e3 / size, "ms/jet", f"batch {size}, N = {n}, float32")
    return out


def toy_batch(size: int, n: int) -> JetBatch:
    """``size`` jets of ``n`` light-like constituents around one axis each."""
    rng = np.random.default_rng(n)
    p3 = rng.exponential(10, (size, n, 1)) * rng.normal([1.0, 0.0, 0.3], 0.2, (size, n, 3))
    p4 = np.concatenate([np.linalg.norm(p3, axis=2, keepdims=True), p3], axis=2)
    return JetBatch.from_arrays(list(p4), labels=np.arange(size) % 2)


def table(found: list[Row]) -> str:
    """Network by network: time of forward and backward, ratio, extra memory."""
    lines = [f"  {'':18s}{'':20s}{'peer':>10s}{'eqviz':>10s}{'ratio':>8s}  target of f + b"]
    keys = dict.fromkeys((row.quantity, row.setting, row.unit) for row in found)
    for quantity, setting, unit in keys:
        values = [row.value for row in found if (row.quantity, row.setting) == (quantity, setting)]
        peer, ours = (float("nan"), *values)[-2:]
        network, what = quantity.split(": ")
        target = TARGETS[network] if what == "forward + backward" else ""
        numbers = f"{peer:10.4g}{ours:10.4g}{peer / ours:8.2f}"
        lines.append(f"  {network:18s}{what:20s}{numbers}  {unit:7s} {setting.split(',')[0]:9s} {target}")
    return "\n".join(lines)
