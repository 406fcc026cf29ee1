"""What the Orbits tab asks of a network of particles; answers are shared by all sessions, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from eqviz.dash import library
from eqviz.dash.orbits.jetframes import jet_animation
from eqviz.data.jets import JetBatch
from eqviz.evaluation.jet_orbits import (
    JetOrbit,
    Kind,
    Move,
    MovedNodes,
    compare_nodes,
    jet_orbit,
    moved_jet,
    plain_layers,
    still_jet,
)
from eqviz.evaluation.nodes import NodeLayer
from eqviz.evaluation.run import Run


@dataclass(frozen=True)
class JetSubject:
    """One jet and one network; hashable, the key of all caches."""

    run: Run
    stamp: int
    row: int
    dtype: str
    stable: bool

    @property
    def batch(self) -> JetBatch:
        """The jet."""
        return library.test_set(library.data_name(self.run)).batch.select([self.row])


def jet_subject(run: Run, row: int, dtype: str, stable: bool) -> JetSubject:
    """The jet ``row`` of the test set of ``run``; the last one where there are fewer."""
    n = len(library.test_set(library.data_name(run)))
    return JetSubject(run, library.stamp(run), min(row, n - 1), dtype, stable)


@dataclass(frozen=True)
class NodeQuestion:
    """f(g x) and rho(g) f(x) of one feature of the constituents."""

    subject: JetSubject
    move: Move
    layer: str
    feature: int

    def quick(self) -> bool:
        """One jet takes some ten milliseconds."""
        return len(self.subject.batch.p4) <= 120

    def answer(self) -> MovedNodes:
        """Work it out."""
        before, after = layers_of(self.subject), _moved_layers(self.subject, self.move)
        return compare_nodes(before, after, self.subject.batch, self.move, self.layer, self.feature)


@dataclass(frozen=True)
class JetOrbitQuestion:
    """The network along the whole orbit."""

    subject: JetSubject
    kind: Kind
    axis: str

    def quick(self) -> bool:
        """Dozens of jets: never on the page's thread."""
        return False

    def answer(self) -> JetOrbit:
        """Work it out."""
        model = library.network(self.subject.run, True, self.subject.dtype)
        return jet_orbit(
            model, self.subject.batch, self.kind, self.axis,
            dtype=self.subject.dtype, stable=self.subject.stable,
        )  # fmt: skip


@dataclass(frozen=True)
class JetAnimationQuestion:
    """The orbit as a GIF or MP4 file."""

    orbit: JetOrbitQuestion
    layer: str
    feature: int
    suffix: str
    dark: bool

    def quick(self) -> bool:
        """Seconds."""
        return False

    def answer(self) -> bytes:
        """Work it out."""
        subject = self.orbit.subject
        model = library.network(subject.run, True, subject.dtype)
        return jet_animation(
            model, subject.batch, self.orbit.answer(), self.layer, self.feature,
            suffix=self.suffix, dark=self.dark,
        )  # fmt: skip


@lru_cache(maxsize=16)
def layers_of(subject: JetSubject) -> list[NodeLayer]:
    """Node features of the jet itself, in float64 in its own frame."""
    return plain_layers(library.network(subject.run, True, subject.dtype), still_jet(subject.batch))


@lru_cache(maxsize=16)
def _moved_layers(subject: JetSubject, move: Move) -> list[NodeLayer]:
    model = library.network(subject.run, True, subject.dtype)
    return plain_layers(model, moved_jet(subject.batch, move))
