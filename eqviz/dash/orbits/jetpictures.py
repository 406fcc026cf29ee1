"""Pictures of the features of constituents, drawn once and refilled while the element is dialled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eqviz.dash.cards import Refilled
from eqviz.dash.orbits.jetframes import relative_nodes
from eqviz.evaluation.jet_orbits import MovedNodes
from eqviz.kinematics import random_axis, unit_vector
from eqviz.plots import nodes

Array = NDArray[np.float64]
Plane = tuple[tuple[Array, Array], tuple[str, str]]


class NodePicture(Refilled):
    """A card with one feature of all constituents."""

    def show(
        self, found: MovedNodes, values: Array, plane: Plane, symmetry: str, dark: bool, code: str
    ) -> None:
        """f(g x) or rho(g) f(x)."""
        if found.kind == "scalar":
            self._scalars(found, values, symmetry, dark, code)
        else:
            self._vectors(values, plane, symmetry, dark, code)
        self.card.csv_from(lambda: values_csv(values))
        self.card.repeat = code

    def gap(self, found: MovedNodes, dark: bool, code: str) -> None:
        """The difference on a logarithmic scale."""
        values, key = relative_nodes(found), ("gap", dark)
        if self._key == key:
            nodes.replace_scalars(self.model, found.moved_places, values)
        else:
            figure = nodes.node_scalars(found.moved_places, values, log=True, dark=dark)
            self._draw(figure, key, code)
        self.card.csv_from(lambda: values_csv(values))
        self.card.repeat = code

    def _scalars(self, found: MovedNodes, values: Array, symmetry: str, dark: bool, code: str) -> None:
        both = np.concatenate([found.after, found.moved])
        top, signed = float(np.abs(both).max(initial=0.0)) or 1.0, bool(both.min(initial=0.0) < 0)
        key = ("scalar", signed, dark, symmetry)
        if self._key != key:
            first = values.copy()
            first[:1] = -top if signed else abs(first[:1])  # decides the colours; replaced below
            figure = nodes.node_scalars(found.moved_places, first, limit=top, symmetry=symmetry, dark=dark)
            self._draw(figure, key, code)
        nodes.replace_scalars(self.model, found.moved_places, values, top)

    def _vectors(self, values: Array, plane: Plane, symmetry: str, dark: bool, code: str) -> None:
        directions, names = plane
        key = ("vector", names, dark, symmetry)
        if self._key == key:
            nodes.replace_vectors(self.model, values, directions)
            return
        figure = nodes.node_vectors(values, directions, names, symmetry=symmetry, dark=dark)
        self._draw(figure, key, code)


def plane_of(axis: str, momenta: bool) -> Plane:
    """The directions of space in which four-vectors are drawn, along the motion's axis and across.

    Args:
        axis: "x", "y", "z" or "random".
        momenta: whether the vectors are momenta in GeV.
    """
    if axis == "random":
        along = random_axis(np.random.default_rng(0))
        across = np.cross(along, [0.0, 0.0, 1.0])
        return (along, across / np.linalg.norm(across)), ("along the axis", "across the axis")
    other = {"x": "y", "y": "x", "z": "x"}[axis]
    first, second = (f"p{one} [GeV]" if momenta else one for one in (axis, other))
    return (unit_vector(axis), unit_vector(other)), (first, second)


def momenta_csv(p4: Array) -> str:
    """Constituents as text."""
    rows = ["E [GeV],px [GeV],py [GeV],pz [GeV]"]
    return "\n".join(rows + [",".join(f"{part:.12g}" for part in row) for row in p4]) + "\n"


def values_csv(values: Array) -> str:
    """A feature of every constituent as text."""
    table = values.reshape(len(values), -1)
    names = ["value"] if table.shape[1] == 1 else ["E", "x", "y", "z"]
    rows = [",".join(["constituent", *names])]
    rows += [",".join([str(i), *(f"{part:.12g}" for part in row)]) for i, row in enumerate(table)]
    return "\n".join(rows) + "\n"
