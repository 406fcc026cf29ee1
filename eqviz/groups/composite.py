"""Representations made of others: duals, conjugates, sums, tensor products, invariant subspaces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, reduce
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import block_diag

from eqviz.errors import ConfigError
from eqviz.groups.elements import Array, Element
from eqviz.groups.representation import Representation, as_matrices

if TYPE_CHECKING:
    from eqviz.groups.base import Group


class Dual(Representation):
    """rho(g^-1)^T."""

    def __init__(self, parent: Representation) -> None:
        self.parent = parent
        self._describe(parent.group, f"dual of {parent.name}", parent.dimension, parent.is_complex)

    @cached_property
    def generators(self) -> Array:
        return as_matrices(-self.parent.generators.swapaxes(1, 2), self.dimension)

    @cached_property
    def discrete_generators(self) -> Array:
        return as_matrices(np.linalg.inv(self.parent.discrete_generators).swapaxes(1, 2), self.dimension)

    def _matrix(self, element: Element) -> Array:
        return self.parent(element.inverse()).T

    def dual(self) -> Representation:
        return self.parent


class Conjugate(Representation):
    """rho(g)^*."""

    def __init__(self, parent: Representation) -> None:
        self.parent = parent
        self._describe(parent.group, f"conjugate of {parent.name}", parent.dimension, parent.is_complex)

    @cached_property
    def generators(self) -> Array:
        return as_matrices(self.parent.generators.conj(), self.dimension)

    @cached_property
    def discrete_generators(self) -> Array:
        return as_matrices(self.parent.discrete_generators.conj(), self.dimension)

    def _matrix(self, element: Element) -> Array:
        return self.parent(element).conj()

    def conjugate(self) -> Representation:
        return self.parent


class SubRepresentation(Representation):
    """The restriction to an invariant subspace.

    Attributes:
        embedding: (D, d) orthonormal columns that span the subspace of the parent's vectors.

    Raises:
        ConfigError: the columns are not orthonormal or the subspace is not invariant.
    """

    def __init__(self, parent: Representation, embedding: Array, name: str) -> None:
        self.parent = parent
        self.embedding = np.array(embedding)
        is_complex = parent.is_complex or np.iscomplexobj(self.embedding)
        self._describe(parent.group, name, self.embedding.shape[1], is_complex)
        gram = self.embedding.conj().T @ self.embedding
        if not np.allclose(gram, np.eye(self.dimension), atol=1e-10):
            raise ConfigError(f"expected orthonormal columns for {name!r}")
        for x in [*parent.generators, *parent.discrete_generators]:
            inside = self.embedding @ (self.embedding.conj().T @ (x @ self.embedding))
            if not np.allclose(x @ self.embedding, inside, atol=1e-9 * max(1.0, np.abs(x).max())):
                raise ConfigError(f"the subspace {name!r} of {parent.name} is not invariant")

    @cached_property
    def generators(self) -> Array:
        return as_matrices(self._restrict(self.parent.generators), self.dimension)

    @cached_property
    def discrete_generators(self) -> Array:
        return as_matrices(self._restrict(self.parent.discrete_generators), self.dimension)

    def _restrict(self, matrices: Array) -> Array:
        return self.embedding.conj().T @ matrices @ self.embedding

    def _matrix(self, element: Element) -> Array:
        return self._restrict(self.parent(element))


def _check_parts(parts: Sequence[Representation], what: str) -> Group:
    if not parts:
        raise ConfigError(f"expected at least one representation for a {what}, got none")
    groups = {part.group for part in parts}
    if len(groups) > 1:
        names = ", ".join(sorted({group.name for group in groups}))
        raise ConfigError(f"expected representations of one group for a {what}, got {names}")
    return parts[0].group


class DirectSum(Representation):
    """Block-diagonal sum; ``parts`` are the blocks, ``slices`` where each sits."""

    def __init__(self, *parts: Representation) -> None:
        group = _check_parts(parts, "direct sum")
        self.parts = parts
        ends = np.cumsum([0, *(part.dimension for part in parts)]).tolist()
        self.slices = [slice(a, b) for a, b in pairwise(ends)]
        name = " + ".join(part.name for part in parts)
        self._describe(group, name, ends[-1], any(part.is_complex for part in parts))

    @cached_property
    def generators(self) -> Array:
        blocks = zip(*(part.generators for part in self.parts))
        return as_matrices([block_diag(*row) for row in blocks], self.dimension)

    @cached_property
    def discrete_generators(self) -> Array:
        blocks = zip(*(part.discrete_generators for part in self.parts))
        return as_matrices([block_diag(*row) for row in blocks], self.dimension)

    def _matrix(self, element: Element) -> Array:
        return block_diag(*(part(element) for part in self.parts))

    def _apply(self, element: Element, rows: Array) -> Array:
        moved = [part._apply(element, rows[..., at]) for part, at in zip(self.parts, self.slices)]
        return np.concatenate(moved, axis=-1)


class TensorProduct(Representation):
    """Kronecker product; vectors are flattened row-major, the last factor's index running fastest."""

    def __init__(self, *parts: Representation) -> None:
        group = _check_parts(parts, "tensor product")
        self.parts = parts
        dimension = int(np.prod([part.dimension for part in parts]))
        name = " x ".join(f"({p.name})" if isinstance(p, DirectSum) else p.name for p in parts)
        self._describe(group, name, dimension, any(part.is_complex for part in parts))

    @cached_property
    def generators(self) -> Array:
        ones = [np.eye(part.dimension) for part in self.parts]
        made = [
            sum(reduce(np.kron, [*ones[:i], x[a], *ones[i + 1 :]]) for i, x in enumerate(self._stacks()))
            for a in range(self.group.algebra_dimension)
        ]
        return as_matrices(made, self.dimension)

    def _stacks(self) -> list[Array]:
        return [part.generators for part in self.parts]

    @cached_property
    def discrete_generators(self) -> Array:
        stacks = [part.discrete_generators for part in self.parts]
        return as_matrices([reduce(np.kron, row) for row in zip(*stacks)], self.dimension)

    def _matrix(self, element: Element) -> Array:
        return reduce(np.kron, [part(element) for part in self.parts])

    def _apply(self, element: Element, rows: Array) -> Array:
        out = rows.reshape((*rows.shape[:-1], *(part.dimension for part in self.parts)))
        for offset, part in enumerate(reversed(self.parts)):
            axis = out.ndim - 1 - offset
            out = np.moveaxis(part._apply(element, np.moveaxis(out, axis, -1)), -1, axis)
        return out.reshape(rows.shape)


def direct_sum(*parts: Representation) -> Representation:
    """The direct sum of representations of one group."""
    return parts[0] if len(parts) == 1 else DirectSum(*parts)


def tensor_product(*parts: Representation) -> Representation:
    """The tensor product of representations of one group."""
    return parts[0] if len(parts) == 1 else TensorProduct(*parts)
