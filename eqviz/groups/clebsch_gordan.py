"""Equivariant linear maps and Clebsch-Gordan coefficients of any group, from its generators alone.

A map M from one representation to another is equivariant if M rho(X) = sigma(X) M for every generator. A
generic element of the Lie algebra (or a discrete generator) is diagonalized first: M can only connect equal
eigenvalues, which leaves a small null space to solve. Closed forms elsewhere are checked against this.
"""

from __future__ import annotations

import numpy as np

from eqviz.errors import ConfigError
from eqviz.groups.base import Array, Representation
from eqviz.groups.composite import tensor_product

MAX_UNKNOWNS = 3000
MAX_ENTRIES = 200_000
TOLERANCE = 1e-9


def intertwiners(source: Representation, target: Representation) -> Array:
    """A basis of the equivariant linear maps, (m, d_target, d_source), orthonormal and reproducible.

    Real if both representations are. m = 0 if there is none.

    Raises:
        ConfigError: representations of different groups, or a problem too large for the solver.
    """
    if source.group != target.group:
        raise ConfigError(
            f"expected two representations of one group, got {source.group.name} and {target.group.name}"
        )
    size = source.dimension * target.dimension
    if size > MAX_ENTRIES:
        raise ConfigError(
            f"maps from {source.name} to {target.name} have {size} entries, more than the general solver's "
            f"{MAX_ENTRIES}; use the group's own closed form"
        )
    pairs = _constraints(source, target)
    start = _first_subspace(pairs, source, target)
    basis = start
    for x, y in pairs:
        if basis.shape[1]:
            basis = basis @ _null_space(_defect(basis, x, y))
    is_complex = source.is_complex or target.is_complex
    return _canonical(basis, is_complex).reshape(-1, target.dimension, source.dimension)


def invariants(representation: Representation) -> Array:
    """A basis of the invariant vectors, (m, d)."""
    return intertwiners(representation.group.trivial(), representation)[:, :, 0]


def clebsch_gordan(first: Representation, second: Representation, third: Representation) -> Array:
    """All equivariant bilinear maps z_k = sum_ij C[a, i, j, k] x_i y_j, shape (m, d1, d2, d3).

    The copies a are orthonormal: sum_ij C[a, i, j, k] C[b, i, j, l]^* = delta_ab delta_kl for unitary irreps.

    Raises:
        ConfigError: representations of different groups, or a problem too large for the solver.
    """
    sizes = first.dimension, second.dimension, third.dimension
    maps = intertwiners(tensor_product(first, second), third)
    table = maps.transpose(0, 2, 1).reshape(-1, *sizes)
    return table * np.sqrt(third.dimension)


def multiplicity(irrep: Representation, representation: Representation) -> int:
    """How often an irrep (absolutely irreducible) occurs in a representation."""
    return len(intertwiners(irrep, representation))


def decompose(representation: Representation, irreps: list[Representation]) -> dict[str, int]:
    """Multiplicities by name of the given irreps that occur."""
    counts = {irrep.name: multiplicity(irrep, representation) for irrep in irreps}
    return {name: count for name, count in counts.items() if count}


def intertwining_residual(table: Array, *representations: Representation) -> float:
    """Largest violation of C[a, i, j, k] covariance over all generators, for (m, d1, d2, d3) tables."""
    first, second, third = representations
    worst = 0.0
    for x, y, z in zip(first.generators, second.generators, third.generators):
        left = np.einsum("aijk,im->amjk", table, x) + np.einsum("aijk,jm->aimk", table, y)
        worst = max(worst, float(np.abs(left - np.einsum("km,aijm->aijk", z, table)).max(initial=0)))
    stacks = (rep.discrete_generators for rep in representations)
    for x, y, z in zip(*stacks):
        left = np.einsum("aijk,im,jn->amnk", table, x, y)
        worst = max(worst, float(np.abs(left - np.einsum("km,aijm->aijk", z, table)).max(initial=0)))
    return worst


def _constraints(source: Representation, target: Representation) -> list[tuple[Array, Array]]:
    """Pairs (x, y) with M x = y M: two generic algebra elements, then every generator."""
    pairs: list[tuple[Array, Array]] = []
    if len(source.generators):
        rng = np.random.default_rng(20)
        for _ in range(2):
            c = rng.normal(size=len(source.generators))
            pairs.append((np.tensordot(c, source.generators, 1), np.tensordot(c, target.generators, 1)))
        pairs += list(zip(source.generators, target.generators))
    return pairs + list(zip(source.discrete_generators, target.discrete_generators))


def _first_subspace(
    pairs: list[tuple[Array, Array]], source: Representation, target: Representation
) -> Array:
    """Orthonormal columns that contain every solution of the first constraint, from its eigenvectors."""
    size = source.dimension * target.dimension
    best: Array | None = None
    for x, y in pairs[:1] + pairs[len(source.generators) + 2 :] if len(source.generators) else pairs:
        found = _matching_eigenvectors(x, y)
        if found is not None and (best is None or found.shape[1] < best.shape[1]):
            best = found
    if best is not None:
        return best
    if size > MAX_UNKNOWNS:
        raise ConfigError(
            f"maps from {source.name} to {target.name} have {size} unknowns, more than {MAX_UNKNOWNS}, "
            "and no generator can be diagonalized to reduce them"
        )
    return np.eye(size)


def _matching_eigenvectors(x: Array, y: Array) -> Array | None:
    """Columns v (x) w with y v = a v and x^T w = a w; None if a matrix cannot be diagonalized well."""
    left, right = _eigen(y), _eigen(x.T)
    if left is None or right is None:
        return None
    (a, v), (b, w) = left, right
    scale = max(1.0, float(np.abs(a).max()), float(np.abs(b).max()))
    rows, columns = np.nonzero(np.abs(a[:, None] - b[None, :]) < 1e-7 * scale)
    if len(rows) * v.shape[0] * w.shape[0] > 1e7:
        return None
    products = np.einsum("ik,jk->ijk", v[:, rows], w[:, columns]).reshape(len(y) * len(x), len(rows))
    if not len(rows):
        return products
    return products if _is_normal(x) and _is_normal(y) else np.linalg.qr(products)[0]


def _is_normal(matrix: Array) -> bool:
    adjoint = matrix.conj().T
    return bool(np.allclose(matrix @ adjoint, adjoint @ matrix, atol=1e-12))


def _eigen(matrix: Array) -> tuple[Array, Array] | None:
    adjoint = matrix.conj().T
    if np.allclose(matrix, -adjoint, atol=1e-13):
        values, vectors = np.linalg.eigh(1j * matrix)
        return -1j * values, vectors
    if np.allclose(matrix, adjoint, atol=1e-13):
        return np.linalg.eigh(matrix)
    values, vectors = np.linalg.eig(matrix)
    if np.linalg.cond(vectors) > 1e6:
        return None
    return values, vectors


def _defect(basis: Array, x: Array, y: Array) -> Array:
    """Columns M x - y M for the maps M in the columns of ``basis``."""
    maps = basis.T.reshape(-1, len(y), len(x))
    return (maps @ x - y @ maps).reshape(basis.shape[1], -1).T


def _null_space(matrix: Array) -> Array:
    """Orthonormal columns on which the matrix vanishes."""
    # the Gram matrix would square the condition number: triangularize the tall matrix instead
    small = np.linalg.qr(matrix, mode="r") if matrix.shape[0] > matrix.shape[1] else matrix
    _, values, rows = np.linalg.svd(small)
    rank = int(np.sum(values > TOLERANCE * max(1.0, values.max(initial=0.0))))
    return rows[rank:].conj().T


def _canonical(basis: Array, is_complex: bool) -> Array:
    rows = basis.T
    if not is_complex:  # a real problem has as many real solutions: the span of all real and imaginary parts
        stacked = np.concatenate([rows.real, rows.imag])
        rows = np.linalg.svd(stacked, full_matrices=False)[2][: len(rows)]
    return canonical_rows(rows)


def canonical_rows(rows: Array) -> Array:
    """An orthonormal basis that depends on the space of the rows alone, not on the basis that came.

    Unit vectors are projected on the space in turn (Gram-Schmidt); every leading entry is positive.
    """
    rows = np.array(rows)
    count = len(rows)
    for i in range(count):
        norms = np.linalg.norm(rows[i:], axis=0)
        pivot = int(np.argmax(norms > 1e-6 * max(norms.max(), 1e-300)))
        weights = rows[i:, pivot] / norms[pivot]
        row = weights.conj() @ rows[i:]
        rest = rows[i:] - np.outer(weights, row)
        rows[i] = row / np.linalg.norm(row)
        if i + 1 < count:
            rows[i + 1 :] = np.linalg.svd(rest, full_matrices=False)[2][: count - i - 1]
    return rows
