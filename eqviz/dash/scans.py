"""Answers of networks to boosted jets, computed once in a thread of their own and kept.

The page only ever reads what is there. A thread works towards the newest wish: first the jet and the gamma
that are on the screen, then the other steps of the slider, nearest first. A new wish replaces the old one;
what was computed stays.
"""

from __future__ import annotations

import atexit
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Condition, RLock, Thread
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from eqviz.dash import library
from eqviz.dash.session import GAMMAS, Boost, Network
from eqviz.data.jets import JetBatch
from eqviz.errors import EqvizError
from eqviz.evaluation import metrics
from eqviz.evaluation.bootstrap import resamples
from eqviz.evaluation.inference import logits
from eqviz.evaluation.invariance import Deviation, transformed
from eqviz.kinematics import boost_matrix, random_axis

Array = NDArray[np.float64]
Key = tuple[str, int, bool, str]  # folder, stamp, stable, dtype: a network as it is evaluated
_CHUNK = 10  # jets between two looks at whether the wish has changed
_PAGE_FIRST = 1.5  # seconds that a new page gets for itself; Python runs one thread at a time
_PAINT_FIRST = 0.1  # seconds after a wish in which nothing is computed: what is known is shown
_HAND_FIRST = 0.4  # seconds after a wish in which only what is on the screen is computed
_MAX_KEPT = 4000


@dataclass(frozen=True)
class Unit:
    """One piece of work: a network's answers to some jets after one boost; hashable, the cache's key."""

    model: Key
    data: str
    boost: Boost
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Point:
    """What one boost does to a set of jets: median and 95 % band of the relative deviation, AUC and error."""

    gamma: float
    median: float
    low: float
    high: float
    auc: float
    auc_error: float


@dataclass(frozen=True)
class Wish:
    """What is on the screen: networks, boost, number of the jet, and the jets of the scatter plot."""

    networks: tuple[Network, ...]
    data: str
    boost: Boost
    row: int
    rows: tuple[int, ...]

    def unit(self, network: Network, gamma: float, single: bool = False) -> Unit:
        """The piece of work for ``network`` at ``gamma``, for the one jet or for all."""
        boost = Boost("z", True, 1.0) if gamma == 1.0 else replace(self.boost, gamma=gamma)
        return Unit(self._key(network), self.data, boost, (self.row,) if single else self.rows)

    def _key(self, network: Network) -> Key:
        known = (network.run.folder, network.stable, network.dtype)
        if known not in self._keys:  # asking the disk lets the scan's thread go first, each time
            self._keys[known] = key_of(network)
        return self._keys[known]

    @cached_property
    def _keys(self) -> dict[tuple[Path, bool, str], Key]:
        return {}

    def units(self) -> Iterator[tuple[Network, Unit]]:
        """All work in the order in which it should be done."""
        for single in (True, False):
            for gamma in (1.0, self.boost.gamma):
                for network in self.networks:
                    yield network, self.unit(network, gamma, single)
        for gamma in sorted(GAMMAS, key=lambda step: abs(np.log(step / self.boost.gamma))):
            for single in (True, False):
                for network in self.networks:
                    yield network, self.unit(network, gamma, single)


class Answers:
    """Logits by unit, shared by all sessions of the process; the oldest go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Unit, Array] = OrderedDict()
        self._started: OrderedDict[Unit, list[Array]] = OrderedDict()
        self._problems: dict[Key, str] = {}
        self._points: dict[tuple[Unit, Unit], Point] = {}
        self._lock = RLock()
        self.computing = RLock()

    def get(self, unit: Unit) -> Array | None:
        """Logits (n, classes) in the order of ``unit.rows``, or None where they are not computed yet."""
        with self._lock:
            return self._kept.get(unit)

    def problem(self, network: Network) -> str | None:
        """Why a network cannot be evaluated here, or None."""
        return self._problems.get(key_of(network))

    def done(self, unit: Unit) -> bool:
        """Whether nothing is left to do for ``unit``."""
        return unit in self._kept or unit.model in self._problems

    def advance(self, network: Network, unit: Unit) -> None:
        """Compute the next few jets of ``unit``."""
        with self.computing:
            parts = self._started.setdefault(unit, [])
            start = sum(len(part) for part in parts)
            try:
                model = library.network(network.run, network.stable, network.dtype)
                parts.append(logits(model, boosted(unit.data, unit.rows[start : start + _CHUNK], unit.boost)))
            except (EqvizError, ImportError, RuntimeError, OSError) as error:
                self._problems[unit.model] = str(error)
                return
            if sum(len(part) for part in parts) >= len(unit.rows):
                self._keep(unit, np.concatenate(parts))

    def point(self, wish: Wish, network: Network, gamma: float) -> Point | None:
        """Deviation and AUC of the jets in ``wish`` at ``gamma``, or None where not computed yet."""
        first, second = wish.unit(network, 1.0), wish.unit(network, gamma)
        before, after = self.get(first), self.get(second)
        if before is None or after is None:
            return None
        key = (first, second)
        if key not in self._points:
            labels = library.test_set(wish.data).labels[list(wish.rows)]
            self._points[key] = summary(gamma, labels, Deviation(before, after))
        return self._points[key]

    def _keep(self, unit: Unit, values: Array) -> None:
        values.setflags(write=False)
        with self._lock:
            self._started.pop(unit, None)
            self._kept[unit] = values
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
            while len(self._started) > 50:
                self._started.popitem(last=False)


ANSWERS = Answers()


_ALIVE: WeakSet[Scanner] = WeakSet()


@atexit.register
def _end_all() -> None:
    """Interpreters that end under a running network abort: let the threads finish their piece first."""
    scanners = list(_ALIVE)
    for scanner in scanners:
        scanner.close()
    for scanner in scanners:
        scanner.join()


class Scanner:
    """The thread that fulfils the newest wish of one session.

    Args:
        answers: where results go.
        progressed: called from the thread after every piece with (done, total).
    """

    def __init__(self, answers: Answers, progressed: Callable[[int, int], None]) -> None:
        self._answers = answers
        self._progressed = progressed
        self._condition = Condition()
        self._wish: Wish | None = None
        self._closed = False
        self._thread: Thread | None = None
        self._touched = 0.0
        self._start = time.monotonic() + _PAGE_FIRST
        _ALIVE.add(self)

    def want(self, wish: Wish) -> None:
        """Work towards ``wish`` from now on."""
        with self._condition:
            if self._closed:
                return
            self._wish = wish
            self._touched = time.monotonic()
            if self._thread is None:
                self._thread = Thread(target=self._work, name="eqviz-scan", daemon=True)
                self._thread.start()
            self._condition.notify()

    def cancel(self) -> None:
        """Stop after the piece that is being computed; a new wish starts again."""
        with self._condition:
            self._wish = None

    def close(self) -> None:
        """Stop for good."""
        with self._condition:
            self._closed, self._wish = True, None
            self._condition.notify()

    def join(self) -> None:
        """Wait for the thread to end after :meth:`close`."""
        if self._thread is not None:
            self._thread.join(timeout=10.0)

    def _work(self) -> None:
        while not self._closed:
            with self._condition:
                while self._wish is None and not self._closed:
                    self._condition.wait()
                wish = self._wish
            if wish is not None:
                self._fulfil(wish)
                with self._condition:
                    if self._wish is wish:
                        self._wish = None

    def _fulfil(self, wish: Wish) -> None:
        units = list(dict.fromkeys(wish.units()))
        done = sum(self._answers.done(unit) for _, unit in units)
        for network, unit in units:
            if self._answers.done(unit):
                continue
            while not self._answers.done(unit):
                self._give_way(wish, seen=unit.boost.gamma in (1.0, wish.boost.gamma))
                if self._wish is not wish:
                    return
                self._answers.advance(network, unit)
            done += 1
            self._progressed(done, len(units))
        self._progressed(len(units), len(units))

    def _give_way(self, wish: Wish, seen: bool) -> None:
        """Let the page go first; a new wish ends the wait."""
        until = max(self._start, self._touched + (_PAINT_FIRST if seen else _HAND_FIRST))
        with self._condition:
            self._condition.wait_for(lambda: self._wish is not wish, max(until - time.monotonic(), 0.002))


def key_of(network: Network) -> Key:
    """What tells a network's answers from all others, those of weights that have been replaced included."""
    run = network.run
    return library.place(run.folder), library.stamp(run), network.stable, network.dtype


def boosted(data: str, rows: Sequence[int], boost: Boost) -> JetBatch:
    """The jets ``rows`` of a test set after ``boost``; a random axis belongs to the number of the jet."""
    batch = library.test_set(data).batch.select(np.asarray(rows))
    if boost.gamma == 1.0:
        return batch
    return transformed(batch, np.stack([matrix(boost, row) for row in rows]), boost.moved)


def matrix(boost: Boost, row: int) -> Array:
    """The (4, 4) boost of the jet with this number."""
    axis = random_axis(np.random.default_rng(row)) if boost.axis == "random" else boost.axis
    return boost_matrix(boost.gamma, axis)


def summary(gamma: float, labels: NDArray[np.int64], found: Deviation) -> Point:
    """Median, 95 % band over jets, and AUC with its bootstrap error, of answers before and after."""
    low, median, high = np.quantile(found.relative, [0.025, 0.5, 0.975], method="nearest")
    y = discriminants(found.after)
    two_classes = set(np.unique(labels).tolist()) == {0, 1}
    auc = metrics.auc(labels, y) if two_classes else np.nan
    drawn = []
    for weights in resamples(labels, 50, 0) if two_classes else ():
        rows = np.repeat(np.arange(len(labels)), weights)
        drawn.append(metrics.auc(labels[rows], y[rows]))
    error = float(np.std(drawn, ddof=1)) if drawn else np.nan
    return Point(gamma, float(median), float(low), float(high), float(auc), error)


def discriminants(values: Array) -> Array:
    """Y = logit_1 - logit_0 per jet; what is not finite counts as the most background-like."""
    with np.errstate(invalid="ignore"):
        y = values[:, 1] - values[:, 0]
    return np.where(np.isfinite(y), y, np.finfo(np.float64).min)
