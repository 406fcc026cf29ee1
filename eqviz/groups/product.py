"""Direct products: every factor acts on its own tensor index. SU(3) x SU(2) x U(1), S_n x SO+(1,3) ..."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, reduce
from itertools import product
from math import prod
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from eqviz.errors import ConfigError
from eqviz.groups.base import Array, Element, Exp, Factor, Group, Irrep, Power, Representation
from eqviz.groups.representation import as_matrices

MAX_GENERATORS = 30_000_000


class ProductGroup(Group):
    """G_1 x G_2 x ...; its irreps are outer products, labelled by one label per factor.

    Attributes:
        factors: the groups.
    """

    def __init__(self, *factors: Group, name: str = "") -> None:
        if len(factors) < 2:
            raise ConfigError(f"expected at least two groups for a direct product, got {len(factors)}")
        self.factors = factors
        sizes = [factor.defining.dimension for factor in factors]
        generators, discrete = [], []
        for i, factor in enumerate(factors):
            before, after = np.eye(sum(sizes[:i])), np.eye(sum(sizes[i + 1 :]))
            for x in factor.defining.generators:
                generators.append(block_diag(0 * before, x, 0 * after))
            for h in factor.defining.discrete_generators:
                discrete.append(block_diag(before, h, after))
        super().__init__(
            name or " x ".join(factor.name for factor in factors),
            generators,
            discrete,
            generator_names=self._names([factor.generator_names for factor in factors]),
            discrete_names=self._names([factor.discrete_names for factor in factors]),
            compact=all(factor.compact for factor in factors),
            defining_name=" + ".join(factor.defining.name for factor in factors),
        )

    def _names(self, names: Sequence[Sequence[str]]) -> tuple[str, ...]:
        together = [name for part in names for name in part]
        if len(set(together)) == len(together):
            return tuple(together)
        return tuple(f"{name}[{i + 1}]" for i, part in enumerate(names) for name in part)

    @property
    def order(self) -> int | None:
        """Product of the factors' orders, None if one is infinite."""
        orders = [factor.order for factor in self.factors]
        return None if None in orders else prod(order for order in orders if order is not None)

    def component(self, element: Element, index: int) -> Element:
        """What an element is in one factor."""
        k = [factor.algebra_dimension for factor in self.factors]
        m = [len(factor.discrete_names) for factor in self.factors]
        first, start = sum(k[:index]), sum(m[:index])
        factors: list[Factor] = []
        for factor in element.factors:
            if isinstance(factor, Exp):
                part = factor.coefficients[first : first + k[index]]
                factors += [Exp(part)] if any(part) else []
            elif start <= factor.index < start + m[index]:
                factors.append(Power(factor.index - start, factor.exponent))
        return Element(self.factors[index], tuple(factors))

    def join(self, *elements: Element) -> Element:
        """The element with one given component per factor."""
        if [element.group for element in elements] != list(self.factors):
            names = ", ".join(element.group.name for element in elements)
            raise ConfigError(f"expected one element per factor of {self.name}, got {names}")
        word: list[Factor] = []
        for index, element in enumerate(elements):
            word += [self._embedded(factor, index) for factor in element.factors]
        labels = [str(element) for element in elements if element.factors]
        return Element(self, tuple(word), "; ".join(labels))

    def _embedded(self, factor: Factor, index: int) -> Factor:
        if isinstance(factor, Power):
            shift = sum(len(group.discrete_names) for group in self.factors[:index])
            return Power(factor.index + shift, factor.exponent)
        before = sum(group.algebra_dimension for group in self.factors[:index])
        after = self.algebra_dimension - before - len(factor.coefficients)
        return Exp((0.0,) * before + factor.coefficients + (0.0,) * after)

    def sample(self, rng: np.random.Generator) -> Element:
        """A random element of every factor."""
        return self.join(*(factor.sample(rng) for factor in self.factors))

    def outer(self, *representations: Representation) -> OuterProduct:
        """The outer product of one representation per factor."""
        return OuterProduct(self, representations)

    def irrep(self, *label: Any) -> OuterIrrep:
        """By one label per factor: ``irrep("3", "2", 1)`` or ``irrep((1, 0), (1,), (1,))``.

        Raises:
            ConfigError: another number of labels, or an irrep that a factor does not have.
        """
        if len(label) != len(self.factors):
            raise ConfigError(
                f"expected {len(self.factors)} labels, one per factor of {self.name}, got {label!r}"
            )
        parts = [
            factor.irrep(*(part if isinstance(part, tuple) else (part,)))
            for factor, part in zip(self.factors, label)
        ]
        return OuterIrrep(self, parts)

    def trivial(self) -> OuterIrrep:
        """Scalars of every factor."""
        return OuterIrrep(self, [factor.trivial() for factor in self.factors])

    def irreps(self, limit: int = 6) -> list[Irrep]:
        """The smallest combinations of the factors' irreps."""
        choices = product(*(factor.irreps(limit) for factor in self.factors))
        made = sorted((OuterIrrep(self, parts) for parts in choices), key=lambda irrep: irrep.dimension)
        return list(made[:limit])

    def product(self, first: Irrep, second: Irrep) -> list[tuple[Irrep, int]]:
        """Factor by factor."""
        a, b = self._parts(first), self._parts(second)
        choices = [group.product(x, y) for group, x, y in zip(self.factors, a, b)]
        return [
            (OuterIrrep(self, [irrep for irrep, _ in row]), prod(count for _, count in row))
            for row in product(*choices)
        ]

    def clebsch_gordan(self, first: Irrep, second: Irrep, third: Irrep) -> Array:
        """Products of the factors' tables."""
        rows = zip(self.factors, *(self._parts(irrep) for irrep in (first, second, third)))
        tables = [group.clebsch_gordan(*irreps) for group, *irreps in rows]
        return reduce(_outer_table, tables)

    def _parts(self, irrep: Irrep) -> Sequence[Irrep]:
        self.check_irreps(irrep)
        if isinstance(irrep, OuterIrrep):
            return irrep.parts
        raise ConfigError(f"expected an irrep made by {self.name}.irrep(...), got {irrep!r}")


def _outer_table(a: Array, b: Array) -> Array:
    joined = np.einsum("aijk,bxyz->abixjykz", a, b)
    return joined.reshape([m * n for m, n in zip(a.shape, b.shape)])


class OuterProduct(Representation):
    """rho_1(g_1) (x) rho_2(g_2) (x) ...; the last factor's index runs fastest."""

    def __init__(self, group: ProductGroup, parts: Sequence[Representation]) -> None:
        if [part.group for part in parts] != list(group.factors):
            names = ", ".join(part.group.name for part in parts)
            raise ConfigError(f"expected one representation per factor of {group.name}, got those of {names}")
        self.product_group = group
        self.parts = tuple(parts)
        dimension = prod(part.dimension for part in parts)
        name = f"({', '.join(part.name for part in parts)})"
        self._describe(group, name, dimension, any(part.is_complex for part in parts))

    @cached_property
    def generators(self) -> Array:
        self._check_size(self.group.algebra_dimension)
        return as_matrices(self._embedded([part.generators for part in self.parts]), self.dimension)

    @cached_property
    def discrete_generators(self) -> Array:
        self._check_size(len(self.group.discrete_names))
        stacks = [part.discrete_generators for part in self.parts]
        return as_matrices(self._embedded(stacks), self.dimension)

    def _check_size(self, count: int) -> None:
        size = count * self.dimension**2
        if size > MAX_GENERATORS:
            raise ConfigError(f"{count} generators of {self.name} hold {size} numbers, over {MAX_GENERATORS}")

    def _embedded(self, stacks: Sequence[Array]) -> list[Array]:
        ones = [np.eye(part.dimension) for part in self.parts]
        return [
            reduce(np.kron, [*ones[:i], matrix, *ones[i + 1 :]])
            for i, stack in enumerate(stacks)
            for matrix in stack
        ]

    def _components(self, element: Element) -> list[Element]:
        return [self.product_group.component(element, i) for i in range(len(self.parts))]

    def _matrix(self, element: Element) -> Array:
        return reduce(np.kron, [part(g) for part, g in zip(self.parts, self._components(element))])

    def _apply(self, element: Element, rows: Array) -> Array:
        out = rows.reshape((*rows.shape[:-1], *(part.dimension for part in self.parts)))
        start = rows.ndim - 1
        for i, (part, g) in enumerate(zip(self.parts, self._components(element))):
            moved = part._apply(g, np.moveaxis(out, start + i, -1))
            out = np.moveaxis(moved, -1, start + i)
        return out.reshape(rows.shape)


class OuterIrrep(OuterProduct, Irrep):
    """An outer product of irreps."""

    parts: tuple[Irrep, ...]

    def __init__(self, group: ProductGroup, parts: Sequence[Irrep]) -> None:
        OuterProduct.__init__(self, group, parts)
        self.label = tuple(part.label for part in parts)


def direct_product(*factors: Group, name: str = "") -> ProductGroup:
    """The direct product of groups, in this order."""
    return ProductGroup(*factors, name=name)
