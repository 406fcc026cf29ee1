"""Finite groups: enumeration, multiplication table, regular representation, characters."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eqviz.errors import ConfigError
from eqviz.groups.base import Array, Element, Group, Irrep, Power, Representation

MAX_ORDER = 10_000


class FiniteGroup(Group):
    """A group with discrete generators only and at most 10,000 enumerated elements."""

    @property
    def order(self) -> int:
        """Number of elements."""
        return len(self.elements())

    def sample(self, rng: np.random.Generator) -> Element:
        """An element, uniformly."""
        elements = self.elements()
        return elements[int(rng.integers(len(elements)))]

    def elements(self) -> list[Element]:
        """All elements, shortest words first.

        Raises:
            ConfigError: more than 10,000 elements.
        """
        return self._elements

    @cached_property
    def _elements(self) -> list[Element]:
        generators = self.defining.discrete_generators
        identity = np.eye(self.defining.dimension)
        found: dict[tuple[int, ...], tuple[Power, ...]] = {_key(identity): ()}
        frontier: list[tuple[Array, tuple[Power, ...]]] = [(identity, ())]
        while frontier:
            grown = []
            for matrix, word in frontier:
                for index, generator in enumerate(generators):
                    product = generator @ matrix
                    if _key(product) not in found:
                        found[_key(product)] = longer = (Power(index), *word)
                        grown.append((product, longer))
            if len(found) > MAX_ORDER:
                raise ConfigError(f"{self.name} has more than {MAX_ORDER} elements; use samples(n, seed)")
            frontier = grown
        return [Element(self, word) for word in found.values()]

    @cached_property
    def _positions(self) -> dict[tuple[int, ...], int]:
        return {_key(element.matrix): i for i, element in enumerate(self.elements())}

    def index_of(self, element: Element) -> int:
        """Position of an element in :meth:`elements`."""
        return self._positions[_key(self.defining(element))]

    @cached_property
    def multiplication_table(self) -> NDArray[np.int64]:
        """(order, order) positions of the products g_i g_j."""
        matrices = np.stack([element.matrix for element in self.elements()])
        table = [[self._positions[_key(a @ b)] for b in matrices] for a in matrices]
        return np.array(table, dtype=np.int64)

    @cached_property
    def conjugacy_classes(self) -> list[list[int]]:
        """Positions of the elements, grouped by conjugacy class, each sorted."""
        table = self.multiplication_table
        inverse = np.argmax(table == 0, axis=1)  # the identity is element 0
        labels = [int(table[table[:, i], inverse].min()) for i in range(len(table))]
        return [[i for i, label in enumerate(labels) if label == first] for first in sorted(set(labels))]

    def character(self, representation: Representation) -> Array:
        """(order,) traces over the elements."""
        return np.array([np.trace(representation(element)) for element in self.elements()])

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """Decompose with characters; real irreps of complex type count by their own commutant."""
        self.check_irreps(first, second)
        total = self.character(first) * self.character(second)
        found = []
        for irrep in self.irreps(MAX_ORDER):
            character = self.character(irrep)
            count = round(float((np.vdot(character, total) / np.vdot(character, character)).real))
            if count:
                found.append((irrep, count))
        return found

    def regular(self) -> Representation:
        """Functions on the group: the basis vector of h goes to that of g h."""
        table = self.multiplication_table
        size = len(table)
        discrete = np.zeros((len(self.discrete_names), size, size))
        for i in range(len(discrete)):
            discrete[i, table[self.index_of(self.discrete(i))], np.arange(size)] = 1.0
        return Representation(self, (), discrete, name="regular", dimension=size)


def _key(matrix: Array) -> tuple[int, ...]:
    """A hashable rounding; adding a half-step first keeps values such as -0.0 and 0.5 on one side."""
    flat = np.asarray(matrix)
    parts = np.concatenate([flat.real.ravel(), flat.imag.ravel()]) if np.iscomplexobj(flat) else flat.ravel()
    return tuple(np.floor(parts * 1e6 + 0.321).astype(np.int64).tolist())
