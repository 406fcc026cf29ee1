"""What networks of particles keep for each constituent after every layer: scalars and four-vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.layers.events import BEAMS, prepare
from eqviz.models.lgn import LGN, TILE_PAIRS
from eqviz.ops.lorentz_cg import cg_block

Array = NDArray[np.float64]
SCALAR, VECTOR = (0, 0), (1, 1)


@dataclass(frozen=True, eq=False)
class NodeLayer:
    """Features of the n constituents of one jet: (n, S) scalars and (n, V, 4) four-vectors."""

    name: str
    scalars: Array
    vectors: Array

    @property
    def features(self) -> list[str]:
        """A name for each, scalars first."""
        names = [f"scalar {i + 1}" for i in range(self.scalars.shape[1])]
        return names + [f"four-vector {i + 1}" for i in range(self.vectors.shape[1])]


def node_layers(model: nn.Module, batch: JetBatch) -> list[NodeLayer]:
    """Node features of one jet layer by layer, constituents only; [] for networks that keep none.

    Known are networks with ``blocks`` that give scalars and momenta of nodes (LorentzNet), with
    Clebsch-Gordan ``levels`` (LGN), and with a perceptron ``phi`` on every constituent (PFN).
    """
    if isinstance(model, LGN):
        return _of_levels(model, batch)
    for attribute, read in _READERS.items():
        if isinstance(getattr(model, attribute, None), nn.Module):
            return read(model, batch)
    return []


@contextmanager
def _listening(modules: Sequence[nn.Module]) -> Iterator[list[tuple[tuple[Any, ...], Any]]]:
    """Inputs and outputs of modules in the order in which they are called."""
    heard: list[tuple[tuple[Any, ...], Any]] = []
    handles = [
        module.register_forward_hook(lambda _, inputs, output: heard.append((inputs, output)))
        for module in modules
    ]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def _of_blocks(model: Any, batch: JetBatch) -> list[NodeLayer]:
    with _listening(list(model.blocks)) as heard:
        model(batch)
    if not heard or not isinstance(heard[0][1], tuple):
        return []
    n, layers = len(batch.p4), []
    states = [heard[0][0][:2], *(output[:2] for _, output in heard)]
    for number, (h, x) in enumerate(states):
        name = f"block {number}" if number else "input"
        layers.append(NodeLayer(name, _array(h[-n:]), _array(x[-n:])[:, None]))
    return layers


def _of_levels(model: Any, batch: JetBatch) -> list[NodeLayer]:
    config = model.config
    events = prepare(batch, BEAMS if config.beams else (), config.massless, model.stable, TILE_PAIRS)
    with _listening([model.first_invariants]) as heard:
        model(batch)
    x, layout = heard[0][0]  # what the first level starts from
    p4 = layout.to_slots((events.p4 * config.scale).to(model.dtype)).T.unsqueeze(1).contiguous()
    norm = (events.products(model.dtype)[1] * config.scale**2).abs()
    n, layers = len(batch.p4), []
    stages = zip(model.levels, model.perceptrons, model.invariants)
    for number, (level, perceptron, forms) in enumerate(stages):
        parts = (level.level(x), perceptron.parameters_of_layers(), forms.forms(x))
        x, _ = cg_block(x, p4, norm, layout, *parts)  # (D, C, S)
        depth, channels, _ = x.shape
        rows = layout.to_nodes(x.permute(2, 1, 0).flatten(1)).unflatten(1, (channels, depth))[-n:]
        start = _offset(level.outs)
        vectors = _array(rows[:, :, start : start + 4])
        layers.append(NodeLayer(f"level {number + 1}", _array(rows[:, :, 0]), vectors))
    return layers


def _offset(labels: Any) -> int:
    sizes = {SCALAR: 1, VECTOR: 4}
    start = 0
    for label in labels:
        if tuple(label) == VECTOR:
            return start
        start += sizes[tuple(label)]
    return start


def _of_phi(model: Any, batch: JetBatch) -> list[NodeLayer]:
    relus = [module for module in model.phi if isinstance(module, nn.ReLU)]
    with _listening(relus) as heard:
        model(batch)
    nothing = np.zeros((len(batch.p4), 0, 4))
    return [NodeLayer(f"Φ layer {i + 1}", _array(output), nothing) for i, (_, output) in enumerate(heard)]


def _array(values: Tensor) -> Array:
    return values.detach().double().cpu().numpy()


_READERS: dict[str, Callable[[Any, JetBatch], list[NodeLayer]]] = {
    "blocks": _of_blocks,
    "phi": _of_phi,
}
