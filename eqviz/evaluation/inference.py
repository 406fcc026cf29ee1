"""Running a trained network over jets, in a chosen arithmetic, without touching the network itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from eqviz.data.image_dataset import ImageDataset
from eqviz.data.labelled import LabelledSet
from eqviz.errors import ConfigError

if TYPE_CHECKING:
    from eqviz.data.image_batch import ImageBatch
    from eqviz.data.jets import JetBatch

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def predict(model: nn.Module, dataset: LabelledSet[Any], batch_size: int = 256) -> NDArray[np.float64]:
    """Logits (n, classes) in the order of the data set, computed on the network's own device.

    Jets are batched by multiplicity; no answer depends on that. The network's training mode is put back.
    """
    if not len(dataset):
        raise ConfigError("expected one jet or more to predict, got an empty data set")
    loader = dataset.loader(batch_size, shuffle=False, bucket=True)
    rows = np.concatenate(list(loader.sampler))
    with evaluating(model):
        parts = [logits(model, batch) for batch in loader]
    result = np.empty((len(dataset), parts[0].shape[1]))
    result[rows] = np.concatenate(parts)
    return result


def as_seen(model: nn.Module, dataset: LabelledSet[Any]) -> LabelledSet[Any]:
    """Images in the network's pixels, so that no pass has to make them again; jets as they are."""
    size = getattr(getattr(model, "config", None), "n_pixels", 0)
    if not isinstance(dataset, ImageDataset) or dataset.batch.layout.width <= size:
        return dataset
    return dataset.coarser(size)


def predict_batch(model: nn.Module, batch: JetBatch, batch_size: int = 64) -> NDArray[np.float64]:
    """Logits (B, classes) of one big batch, ``batch_size`` jets at a time, in its order."""
    with evaluating(model):
        chunks = [np.arange(i, min(i + batch_size, len(batch))) for i in range(0, len(batch), batch_size)]
        return np.concatenate([logits(model, batch.select(rows)) for rows in chunks])


def logits(model: nn.Module, batch: JetBatch | ImageBatch) -> NDArray[np.float64]:
    """One forward pass without gradients, as float64 on the CPU."""
    with torch.no_grad():
        return model(batch.to(device_of(model))).double().cpu().numpy()


def device_of(model: nn.Module) -> torch.device:
    """Where the network's parameters are."""
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode; its mode is put back at the end."""
    training = model.training
    try:
        with torch.no_grad():  # escnn computes its filters when the mode changes
            model.eval()
        yield model
    finally:
        if training:
            model.train()


@contextmanager
def arithmetic(model: nn.Module, *, dtype: str = "float32", stable: bool = True) -> Iterator[Any]:
    """A copy of the network in the given arithmetic; the original never changes.

    Args:
        dtype: "float32" or "float64", the type of parameters and activations.
        stable: for networks that have the switch: canonical frame and cancellation-free invariants, or the
            plain arithmetic of the originals. Networks without the switch ignore it.

    Raises:
        ConfigError: another dtype.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"expected dtype 'float32' or 'float64', got {dtype!r}")
    twin = _copy(model).to(DTYPES[dtype])
    if hasattr(twin, "stable"):
        setattr(twin, "stable", stable)  # noqa: B010 (nn.Module types its attributes as tensors)
    with evaluating(twin):
        yield twin


def _copy(model: nn.Module) -> nn.Module:
    # Non-leaf tensors that a network cached cannot be copied; training mode drops them.
    training = model.training
    try:
        return copy.deepcopy(model)
    except RuntimeError:
        model.train()
        twin = copy.deepcopy(model)
        with torch.no_grad():
            model.train(training)
        return twin
