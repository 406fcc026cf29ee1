"""What a run's network has learned, read once and kept: trained and as it started, shared by all sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from eqviz.dash import library, readings
from eqviz.dash.variants import is_naive, is_original
from eqviz.errors import ConfigError, EqvizError
from eqviz.evaluation.learned import LearnedLayer, Moved, initial_model, learned_layers, moved
from eqviz.evaluation.learned.lorentznet import Seen, read_block
from eqviz.evaluation.learned.pairs import Pairs, real_pairs
from eqviz.evaluation.run import Run
from eqviz.layers.events import BEAMS
from eqviz.models.base import JetModel

N_JETS = 60  # whose pairs and particles are looked at
AFTER, BEFORE, BOTH = "after", "before", "both"
STATES = {AFTER: "after training", BEFORE: "before training"}


@dataclass(frozen=True)
class Source:
    """A network of a run: which, and whether as trained or as it started; a key to what is kept."""

    folder: Path
    stamp: int
    state: str
    stable: bool


def source_of(run: Run, state: str) -> Source:
    """The network of ``run`` in the arithmetic that it was built for."""
    return Source(run.folder.resolve(), library.stamp(run), state, not (is_original(run) or is_naive(run)))


def network(run: Run, state: str) -> JetModel:
    """The network after or before training; not to be changed.

    Raises:
        EqvizError: damaged weights, or no start that could be rebuilt.
    """
    source = source_of(run, state)
    if state == AFTER:
        return library.network(run, source.stable, "float32")
    return _started(source, run)


@lru_cache(maxsize=8)
def _started(source: Source, run: Run) -> JetModel:
    model = initial_model(run)
    model.stable = source.stable
    trained = library.network(run, source.stable, "float32")
    ours = {name: value.shape for name, value in trained.named_parameters()}
    if ours != {name: value.shape for name, value in model.named_parameters()}:
        raise ConfigError(f"run {run.id!r}: its config builds another network than its weights belong to")
    return model


def problem_with_start(run: Run) -> str | None:
    """Why there is nothing to see of ``run`` before its training, or None."""
    try:
        network(run, BEFORE)
    except (EqvizError, KeyError, TypeError, ValueError) as error:
        return f"No weights before training: {error}"
    return None


@lru_cache(maxsize=32)
def _layers(source: Source, run: Run) -> tuple[LearnedLayer, ...]:
    return tuple(learned_layers(network(run, source.state)))


def layers(run: Run, state: str = AFTER) -> tuple[LearnedLayer, ...]:
    """Everything that the network can show, in order."""
    return _layers(source_of(run, state), run)


def layer(run: Run, key: str, state: str) -> LearnedLayer:
    """The layer called ``key`` in the network of ``run`` after or before training."""
    return next(entry for entry in layers(run, state) if entry.key == key)


def kept(run: Run, state: str, key: str, reader: Callable[..., Any], *arguments: Any) -> Any:
    """``reader(layer's module, *arguments)``, read once for each network."""
    return _kept(source_of(run, state), run, key, reader, arguments)


@lru_cache(maxsize=128)
def _kept(source: Source, run: Run, key: str, reader: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return reader(layer(run, key, source.state).module, *arguments)


@lru_cache(maxsize=16)
def _moved(source: Source, run: Run) -> tuple[Moved, ...]:
    return tuple(moved(network(run, AFTER), network(run, BEFORE)))


def how_far(run: Run) -> tuple[Moved, ...]:
    """How far every module moved in training."""
    return _moved(source_of(run, AFTER), run)


def n_images(run: Run) -> int:
    """Test jets that can be looked at as images; 0 where they are not on this machine."""
    try:
        return len(library.test_images(run))
    except (EqvizError, OSError):
        return 0


def sample(run: Run) -> Any:
    """Up to ``N_JETS`` test jets of the run, of both classes.

    Raises:
        EqvizError: they are not on this machine.
    """
    name = library.data_name(run)
    data = library.test_set(name)
    rows = library.shown_jets(name, readings.n_test(run))
    rows = rows[np.linspace(0, len(rows) - 1, min(N_JETS, len(rows))).astype(int)]
    return data.batch.select(rows)


def pairs(run: Run) -> Pairs:
    """Invariants of the pairs of real jets, beams among them as the network has them."""
    config = network(run, AFTER).config
    return _pairs(source_of(run, AFTER), run, bool(getattr(config, "beams", False)))


@lru_cache(maxsize=8)
def _pairs(source: Source, run: Run, beams: bool) -> Pairs:
    massless = bool(getattr(network(run, AFTER).config, "massless", True))
    return real_pairs(sample(run), BEAMS if beams else (), massless)


def seen(run: Run, state: str, key: str) -> Seen:
    """What a block of LorentzNet receives for real jets."""
    return _seen(source_of(run, state), run, key)


@lru_cache(maxsize=32)
def _seen(source: Source, run: Run, key: str) -> Seen:
    return read_block(network(run, source.state), key, sample(run))
