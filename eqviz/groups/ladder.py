"""Explicit irreps by weights and lowering operators, and their Clebsch-Gordan coefficients.

The algorithm of A. Alex, M. Kalus, A. Huckleberry, J. von Delft, J. Math. Phys. 52 (2011) 023507
(arXiv:1009.0437), which needs nothing but the ladder operators of an orthonormal weight basis: states of
highest weight are annihilated by all raising operators; every other state follows by lowering, as the
solution of an overdetermined linear system for all its parents at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from eqviz.errors import ConfigError
from eqviz.groups.cartan import CartanType, Integers, Weight
from eqviz.groups.clebsch_gordan import canonical_rows
from eqviz.groups.elements import Array

MAX_TABLE = 50_000_000


@dataclass(frozen=True, eq=False)
class Ladder:
    """An irrep in an orthonormal basis of weight vectors, the highest weight first.

    Attributes:
        type: the simple Lie algebra.
        highest: Dynkin labels of the highest weight.
        weights: (d, r) Dynkin labels of the basis vectors, no weight before one that it can be lowered to it.
        lowering: (r, d, d) real matrices f_i; the raising operators e_i are their transposes, and
            [e_i, f_i] = diag(weights[:, i]).
    """

    type: CartanType
    highest: Weight
    weights: Integers
    lowering: Array

    @property
    def dimension(self) -> int:
        """Number of states."""
        return len(self.weights)

    def levels(self) -> Iterable[tuple[Weight, Array]]:
        """Weights below the highest and the positions of their states, each after all its parents."""
        distinct, place = np.unique(self.weights, axis=0, return_inverse=True)
        inverse = np.array([[float(x) for x in row] for row in self.type.inverse_cartan])
        depth = np.round((np.array(self.highest) - distinct) @ inverse).sum(axis=1)
        for i in np.argsort(depth, kind="stable")[1:]:
            yield tuple(distinct[i].tolist()), np.flatnonzero(place.ravel() == i)


def ladder_residual(ladder: Ladder) -> float:
    """Largest violation of [e_i, f_j] = delta_ij h_i."""
    f = ladder.lowering
    e = f.swapaxes(1, 2)
    products = np.einsum("iab,jbc->ijac", e, f) - np.einsum("jab,ibc->ijac", f, e)
    for i in range(len(f)):
        products[i, i] -= np.diag(ladder.weights[:, i])
    return float(np.abs(products).max(initial=0.0))


def check_table_size(first: int, second: int, third: int, copies: int) -> None:
    """Raise a ConfigError if a table would hold more than fifty million numbers."""
    size = first * second * third * copies
    if size > MAX_TABLE:
        raise ConfigError(
            f"a table of {copies} x {first} x {second} x {third} = {size} numbers is more than {MAX_TABLE}"
        )


def ladder_couplings(first: Ladder, second: Ladder, third: Ladder, copies: int) -> Array:
    """<first i, second j | third k, copy a> as (copies, d1, d2, d3), real and orthonormal.

    ``copies`` is the multiplicity, known from the decomposition. Copies are told apart by projecting
    product states, in their order, on the space of highest weight vectors (Gram-Schmidt); the first non-zero
    component of every highest weight vector is positive. In the square of an irrep the symmetric copies come
    before the antisymmetric ones.

    Raises:
        ConfigError: a table too large for memory.
    """
    check_table_size(first.dimension, second.dimension, third.dimension, copies)
    states = np.zeros((third.dimension, copies, first.dimension, second.dimension))
    if copies:
        states[0] = highest_states(first, second, third.highest, copies)
        cartan = third.type.cartan_matrix
        where = _positions(third.weights)
        for weight, children in third.levels():
            lowered, coefficients = [], []
            for i, root in enumerate(cartan):
                parents = where.get(tuple((np.array(weight) + root).tolist()))
                if parents is None:
                    continue
                above = states[parents]
                lowered.append(first.lowering[i] @ above + above @ second.lowering[i].T)
                coefficients.append(third.lowering[i][np.ix_(children, parents)].T)
            right = np.concatenate(lowered).reshape(sum(len(c) for c in coefficients), -1)
            solved = np.linalg.lstsq(np.concatenate(coefficients), right, rcond=None)[0]
            states[children] = solved.reshape(-1, *states.shape[1:])
    return np.ascontiguousarray(states.transpose(1, 2, 3, 0))


def _positions(weights: Integers) -> dict[Weight, Array]:
    distinct, place = np.unique(weights, axis=0, return_inverse=True)
    order = [np.flatnonzero(place.ravel() == i) for i in range(len(distinct))]
    return {tuple(w): at for w, at in zip(distinct.tolist(), order)}


def highest_states(first: Ladder, second: Ladder, highest: Weight, copies: int) -> Array:
    """(copies, d1, d2) orthonormal product states of a weight that every raising operator annihilates."""
    total = first.weights[:, None] + second.weights[None]
    rows, columns = np.nonzero((total == np.array(highest)).all(axis=-1))
    candidates = np.zeros((len(rows), first.dimension, second.dimension))
    candidates[np.arange(len(rows)), rows, columns] = 1.0
    raised = []
    for e, g in zip(first.lowering.swapaxes(1, 2), second.lowering.swapaxes(1, 2)):
        image = (e @ candidates + candidates @ g.T).reshape(len(rows), -1)
        raised.append(image[:, np.abs(image).max(axis=0, initial=0.0) > 0])
    found = _kernel(np.concatenate(raised, axis=1).T, len(rows))
    if len(found) != copies:
        raise ConfigError(f"expected {copies} copies of {highest} in the product, found {len(found)}")
    made = np.zeros((copies, first.dimension, second.dimension))
    made[:, rows, columns] = found
    if first.highest != second.highest:
        made[:, rows, columns] = canonical_rows(found)
        return made
    symmetric, antisymmetric = ((made + sign * made.swapaxes(1, 2))[:, rows, columns] / 2 for sign in (1, -1))
    parts = [canonical_rows(_row_space(part)) for part in (symmetric, antisymmetric)]
    made[:, rows, columns] = np.concatenate(parts)
    return made


def _kernel(matrix: Array, size: int) -> Array:
    """Orthonormal rows that the matrix annihilates."""
    if not matrix.size:
        return np.eye(size)
    _, values, rows = np.linalg.svd(matrix, full_matrices=True)
    return rows[int(np.sum(values > 1e-8 * values.max())) :]


def _row_space(matrix: Array) -> Array:
    """Orthonormal rows with the same span."""
    _, values, rows = np.linalg.svd(matrix, full_matrices=False)
    return rows[: int(np.sum(values > 1e-8))]
