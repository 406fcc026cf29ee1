"""A network of particles and a jet that is boosted, rotated or reordered: node features, answers, invariants.

Features of nodes are computed in float64 in the event's own frame (``stable=False``), so that four-vectors
before and after can be compared component by component; answers along an orbit are computed in whatever
arithmetic is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import RLock
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from eqviz.data.jets import JetBatch
from eqviz.errors import ConfigError
from eqviz.evaluation.inference import arithmetic
from eqviz.evaluation.invariance import transformed
from eqviz.evaluation.nodes import NodeLayer, node_layers
from eqviz.kinematics import boost_matrix, random_axis, rotation_matrix

Array = NDArray[np.float64]
Kind = Literal["boost", "rotation", "permutation"]
_HOOKED = RLock()  # hooks belong to the network, which sessions share


@dataclass(frozen=True)
class Move:
    """A motion of a jet with its reference vectors.

    Attributes:
        kind: "boost", "rotation" or "permutation".
        axis: "x", "y", "z" or "random" (always the same) of a boost or rotation.
        amount: gamma of a boost, angle in radians of a rotation, number of a permutation (0 is none).
    """

    kind: Kind = "boost"
    axis: str = "x"
    amount: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("boost", "rotation", "permutation"):
            raise ConfigError(f"expected a boost, rotation or permutation, got {self.kind!r}")
        if self.kind == "boost" and not self.amount >= 1:
            raise ConfigError(f"expected a Lorentz factor of 1 or larger, got {self.amount}")

    @property
    def matrix(self) -> Array:
        """(4, 4) of the Lorentz group; 1 for permutations."""
        axis: Any = random_axis(np.random.default_rng(0)) if self.axis == "random" else self.axis
        if self.kind == "boost":
            return boost_matrix(self.amount, axis)
        return rotation_matrix(self.amount, axis) if self.kind == "rotation" else np.eye(4)

    def order(self, n: int) -> NDArray[np.int64]:
        """(n,) which constituent comes to each place."""
        if self.kind != "permutation" or not self.amount:
            return np.arange(n)
        return np.random.default_rng(int(self.amount)).permutation(n)

    def __str__(self) -> str:
        if self.kind == "permutation":
            return f"permutation number {self.amount:.0f}" if self.amount else "identity"
        along = {"random": "a random axis", "z": "the beam (z)"}.get(self.axis, self.axis)
        if self.kind == "boost":
            return f"boost with γ = {self.amount:,.4g} along {along}" if self.amount > 1 else "identity"
        return f"rotation by {np.degrees(self.amount):.4g}° about {along}" if self.amount else "identity"


@dataclass(frozen=True, eq=False)
class MovedNodes:
    """One feature of the constituents: after the motion, moved by rho(g), and how far these are apart.

    Attributes:
        layer, feature: their names.
        kind: "scalar" or "vector".
        places, moved_places: (n, 4) momenta of the constituents in GeV before and after.
        after: (n,) or (n, 4), f(g x).
        moved: alike, rho(g) f(x).
        gap: (n,) Euclidean distance.
        error: |gap| / |rho(g) f(x)| in the root mean square of this feature.
        layer_error: the same of all features of the layer of that kind.
    """

    layer: str
    feature: str
    kind: str
    places: Array
    moved_places: Array
    after: Array
    moved: Array
    gap: Array
    error: float
    layer_error: float


@dataclass(frozen=True, eq=False)
class JetOrbit:
    """A network along the orbit of one jet.

    Attributes:
        kind, axis: of the motions.
        at: (n,) gamma, radians, or number.
        logits: (n, classes).
        invariants: (n, F) what the head sees; (n, 0) without one.
        errors: layer -> (n,) relative error of the node features under rho(g), in float64.
        means: layer -> (n, D) node features averaged over constituents.
    """

    kind: str
    axis: str
    at: Array
    logits: Array
    invariants: Array
    errors: dict[str, Array]
    means: dict[str, Array]

    @property
    def start(self) -> int:
        """The element that does nothing."""
        return int(np.argmin(np.abs(self.at)))


def moved_jet(batch: JetBatch, move: Move) -> JetBatch:
    """One jet after the motion, masses kept, reference vectors carried along.

    Raises:
        ConfigError: not exactly one jet.
    """
    if len(batch) != 1:
        raise ConfigError(f"expected one jet to move, got {len(batch)}")
    if move.kind == "permutation":
        order = torch.from_numpy(move.order(len(batch.p4)))
        return replace(batch, p4=batch.p4[order], scalars=batch.scalars[order])
    return transformed(batch, move.matrix[None])


def still_jet(batch: JetBatch) -> JetBatch:
    """The jet itself, put on the mass shell as all moved ones are."""
    return moved_jet(batch, Move("rotation", "z", 0.0))


def plain_layers(model: nn.Module, batch: JetBatch) -> list[NodeLayer]:
    """Features of the constituents after every layer, in float64 in the event's own frame.

    Empty for a network that keeps none.
    """
    with arithmetic(model, dtype="float64", stable=False) as twin, torch.no_grad():
        return node_layers(twin, batch)


def compare_nodes(
    before: Sequence[NodeLayer],
    after: Sequence[NodeLayer],
    batch: JetBatch,
    move: Move,
    layer: str,
    feature: int = 0,
) -> MovedNodes:
    """f(g x) beside rho(g) f(x) for one feature of one layer.

    Args:
        before, after: of :func:`plain_layers` for the jet and for the moved jet.
        batch: the jet.
        feature: its number, from 0: scalars first, then vectors.

    Raises:
        ConfigError: no such layer or feature.
    """
    found = next((pair for pair in zip(before, after) if pair[0].name == layer), None)
    if found is None:
        raise ConfigError(f"expected a layer of {', '.join(one.name for one in before)}, got {layer!r}")
    names = found[0].features
    if not 0 <= feature < len(names):
        raise ConfigError(f"expected a feature from 0 to {len(names) - 1} of {layer}, got {feature}")
    order, n_scalars = move.order(len(batch.p4)), found[0].scalars.shape[1]
    if feature < n_scalars:
        kind, expected, got = "scalar", found[0].scalars[order], found[1].scalars
        at = feature
    else:
        kind, got, at = "vector", found[1].vectors, feature - n_scalars
        expected = found[0].vectors[order] @ move.matrix.T
    one, other = got[:, at], expected[:, at]
    apart = np.abs(one - other) if kind == "scalar" else np.linalg.norm(one - other, axis=1)
    return MovedNodes(
        layer, names[feature], kind, batch.p4.numpy()[order], moved_jet(batch, move).p4.numpy(),
        one, other, apart, _relative(one, other), _relative(got, expected),
    )  # fmt: skip


def jet_orbit(
    model: nn.Module,
    batch: JetBatch,
    kind: Kind = "boost",
    axis: str = "x",
    at: ArrayLike | None = None,
    *,
    dtype: str = "float32",
    stable: bool = True,
) -> JetOrbit:
    """Answers, invariants and errors of node features along an orbit.

    Args:
        batch: one jet.
        at: gammas, radians or numbers; by default 25 gammas from 1 to 10^4, every 10 degrees, or 21 orders.
        dtype, stable: arithmetic of the answers.
    """
    points = orbit_of(kind) if at is None else np.asarray(at, dtype=np.float64)
    moves = [Move(kind, axis, float(amount)) for amount in points]
    jets = [moved_jet(batch, move) for move in moves]
    with arithmetic(model, dtype=dtype, stable=stable) as twin:
        answers = [answer(twin, jet) for jet in jets]
    errors: dict[str, list[float]] = {}
    means: dict[str, list[Array]] = {}
    with arithmetic(model, dtype="float64", stable=False) as twin, torch.no_grad():
        plain = node_layers(twin, still_jet(batch))
        for move, jet in zip(moves, jets):
            for before, after in zip(plain, node_layers(twin, jet)):
                errors.setdefault(before.name, []).append(_layer_error(before, after, move))
                flat = np.concatenate([after.scalars, after.vectors.reshape(len(after.scalars), -1)], axis=1)
                means.setdefault(after.name, []).append(flat.mean(0))
    return JetOrbit(
        kind, axis, points, np.stack([a[0] for a in answers]), np.stack([a[1] for a in answers]),
        {name: np.array(values) for name, values in errors.items()},
        {name: np.stack(values) for name, values in means.items()},
    )  # fmt: skip


def answer(model: nn.Module, batch: JetBatch) -> tuple[Array, Array]:
    """Logits (classes,) of one jet, and what the last perceptron (``head``) is given, (F,)."""
    kept: list[Tensor] = []
    head = getattr(model, "head", None)
    with _HOOKED, torch.no_grad():
        handle = None
        if isinstance(head, nn.Module):
            handle = head.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
        try:
            logits = model(batch)[0].double().numpy()
        finally:
            if handle is not None:
                handle.remove()
    return logits, kept[0][0].double().numpy() if kept else np.zeros(0)


def orbit_of(kind: Kind) -> Array:
    """25 gammas from 1 to 10^4, every 10 degrees of a full turn in radians, or 21 permutations."""
    if kind == "boost":
        return np.logspace(0, 4, 25)
    return np.radians(np.arange(0.0, 360.1, 10.0)) if kind == "rotation" else np.arange(21.0)


def _layer_error(before: NodeLayer, after: NodeLayer, move: Move) -> float:
    order = move.order(len(before.scalars))
    pairs = [(after.scalars, before.scalars[order]), (after.vectors, before.vectors[order] @ move.matrix.T)]
    return max((_relative(got, expected) for got, expected in pairs if got.size), default=0.0)


def _relative(got: Array, expected: Array) -> float:
    size = float(np.sqrt((expected**2).sum()))
    apart = float(np.sqrt(((got - expected) ** 2).sum()))
    return apart / size if size > 0 else float(apart > 0)
