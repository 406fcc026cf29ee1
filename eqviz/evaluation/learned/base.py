"""What a network has learned, layer by layer: which layers have something to show, found by their types.

A new kind of layer says what it shows in one place: a function that makes :class:`LearnedLayer` entries of
it, registered with :func:`shows`. Every model that is built of known layers then needs nothing of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eqviz.errors import UnknownNameError
from eqviz.models.base import JetModel

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LearnedLayer:
    """One layer with something to show.

    Attributes:
        key: its place in the network, the name of the module; the same before and after training.
        title: in words.
        family: which pictures it takes: "kernels", "group", "steerable", "harmonic", "patches", "attention",
            "degrees", "bells", "gate", "mixing", "encoding", "phi" or "formula".
        channels: names of its outputs, one of which is looked at.
        sources: names of its inputs.
        module: the layer itself.
    """

    key: str
    title: str
    family: str
    channels: tuple[str, ...]
    sources: tuple[str, ...]
    module: nn.Module


Maker = Callable[[str, nn.Module], list[LearnedLayer]]
_MAKERS: dict[type[nn.Module], Maker] = {}


def shows(*kinds: type[nn.Module]) -> Callable[[Maker], Maker]:
    """Register what modules of these classes (and of their subclasses) show; their parts are then theirs."""

    def register(maker: Maker) -> Maker:
        _MAKERS.update(dict.fromkeys(kinds, maker))
        return maker

    return register


def learned_layers(model: JetModel) -> list[LearnedLayer]:
    """Everything that ``model`` can show, from input to output; empty for an unknown kind of network."""
    found = [entry for path, module, maker in _makers(model) for entry in maker(path, module)]
    return [replace(entry, title=f"{number}. {entry.title}") for number, entry in enumerate(found, 1)]


def find_layer(model: JetModel, key: str) -> LearnedLayer:
    """The layer called ``key``; raises UnknownNameError listing the known ones."""
    layers = {layer.key: layer for layer in learned_layers(model)}
    if key not in layers:
        raise UnknownNameError(f"layer of {model.name}", key, layers)
    return layers[key]


def _makers(model: JetModel) -> Iterator[tuple[str, nn.Module, Maker]]:
    taken: list[str] = []
    for path, module in model.named_modules():
        if any(path.startswith(f"{owner}.") for owner in taken):
            continue
        maker = next((_MAKERS[kind] for kind in type(module).__mro__ if kind in _MAKERS), None)
        if maker is not None:
            taken += [path] if path else []  # a whole network may add to what its layers show
            yield path, module, maker


def to_array(values: Tensor) -> Array:
    """A tensor as float64 NumPy, without its graph."""
    return np.asarray(values.detach().cpu().double().numpy())


def numbered(word: str, count: int) -> tuple[str, ...]:
    """``word 1`` .. ``word count``."""
    return tuple(f"{word} {number}" for number in range(1, count + 1))


@dataclass(frozen=True)
class Moved:
    """How far one tensor of weights went: |W - W_0| / |W_0| and its number of weights."""

    name: str
    relative: float
    n_weights: int


def moved(model: nn.Module, initial: nn.Module) -> list[Moved]:
    """The relative change of every module's trainable weights (its own, not its parts'), in their order.

    Tensors that started at zero count through the others of the module; a module that was all zero has an
    infinite change.
    """
    before = {name: value.detach().double() for name, value in initial.named_parameters()}
    change: dict[str, list[float]] = {}
    for name, value in model.named_parameters():
        if name not in before or before[name].shape != value.shape:
            continue
        owner = name.rpartition(".")[0]
        parts = any(True for _ in model.get_submodule(owner).children())
        owner = name if parts or not owner else owner  # a network's own parameters by their names
        row = change.setdefault(owner, [0.0, 0.0, 0.0])
        row[0] += float((value.detach().double() - before[name]).square().sum())
        row[1] += float(before[name].square().sum())
        row[2] += value.numel()
    return [
        Moved(name, float(np.sqrt(a / b)) if b else (float("inf") if a else 0.0), int(n))
        for name, (a, b, n) in change.items()
    ]


@torch.no_grad()
def singular_values(layer: nn.Linear) -> Array:
    """Singular values of a linear layer's matrix, the largest first."""
    return to_array(torch.linalg.svdvals(layer.weight.double()))
