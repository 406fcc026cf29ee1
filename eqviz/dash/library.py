"""Test jets and trained networks, loaded once a process and shared read-only between sessions."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqviz.errors import DataError, EqvizError
from eqviz.evaluation.store import Run

if TYPE_CHECKING:
    from eqviz.data.dataset import JetDataset
    from eqviz.data.image_batch import ImageBatch
    from eqviz.data.image_dataset import ImageDataset
    from eqviz.data.jets import JetBatch
    from eqviz.models.base import JetModel

N_SHOWN = 200
_MAX_MODELS = 12
_models: OrderedDict[tuple[str, int, bool, str], JetModel] = OrderedDict()
_lock = RLock()


@lru_cache(maxsize=4)
def test_set(name: str) -> JetDataset:
    """The test jets of a data set; raises EqvizError where it is not on this machine."""
    from eqviz.data import load

    return load(name, "test")


@lru_cache(maxsize=16)
def shown_jets(name: str, n_test: int) -> NDArray[np.int64]:
    """Rows of up to ``N_SHOWN`` jets of the first ``n_test``, half of each class where both are there."""
    data = test_set(name)
    n = min(n_test, len(data)) if n_test else len(data)
    labels = data.labels[:n]
    rng = np.random.default_rng(0)
    per_class = [rng.permutation(np.flatnonzero(labels == value)) for value in np.unique(labels)]
    rows = np.concatenate([members[: N_SHOWN // len(per_class)] for members in per_class])
    rows.sort()
    rows.setflags(write=False)
    return rows


@lru_cache(maxsize=4)
def _images(name: str) -> ImageDataset:
    from eqviz.data import load_images

    return load_images(name, "test")


def test_images(run: Run) -> JetBatch | ImageBatch:
    """What networks on images see of the test jets of ``run``: detector images, or constituents to be drawn.

    Raises:
        EqvizError: they are not on this machine.
    """
    name = data_name(run)
    if run.config.get("data", {}).get("images"):
        return _images(name).batch
    return test_set(name).batch


def n_images(run: Run) -> int:
    """How many of them there are."""
    return len(test_images(run))


def data_name(run: Run) -> str:
    """Name or path of the data set that a run was tested on."""
    return str(run.config.get("data", {}).get("name", ""))


def stamp(run: Run) -> int:
    """A number that changes when the run is replaced."""
    return (run.folder / "weights.safetensors").stat().st_mtime_ns


@lru_cache(maxsize=1024)
def place(folder: Path) -> str:
    """The folder without links: part of every key of what is kept, and slow to find out each time."""
    return str(folder.resolve())


def network(run: Run, stable: bool, dtype: str) -> JetModel:
    """The trained network of ``run`` in the given arithmetic; not to be changed.

    Raises:
        EqvizError: damaged weights, or a library that the network needs is missing.
    """
    key = (place(run.folder), stamp(run), stable, dtype)
    with _lock:
        if key in _models:
            _models.move_to_end(key)
            return _models[key]
        model = run.model()
        model = model.double() if dtype == "float64" else model.float()
        model.stable = stable
        _models[key] = model.eval()
        while len(_models) > _MAX_MODELS:
            _models.popitem(last=False)
        return model


def problem_with_jets(run: Run) -> str | None:
    """What keeps the jets of a run from being shown, and what to do about it; None if nothing does."""
    try:
        n_test = len(test_set(data_name(run)))
    except (EqvizError, OSError) as error:
        return f"The test jets of {run.id} are not on this machine: {error}"
    return None if n_test else f"The test set {data_name(run)!r} of {run.id} is empty."


def check_row(run: Run, row: int) -> int:
    """``row`` if the run's test set has such a jet; raises DataError otherwise."""
    n = len(test_set(data_name(run)))
    if not 0 <= row < n:
        raise DataError(f"expected a jet number from 0 to {n - 1}, got {row}")
    return row
