"""Real and self-dual tensor forms of Lorentz irreps as subspaces of products of four-vectors."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, combinations_with_replacement, permutations

import numpy as np

from eqviz.groups.elements import Array
from eqviz.kinematics import METRIC

PAIRS = tuple(combinations(range(4), 2))  # 01, 02, 03 (electric), 12, 13, 23 (magnetic)


@lru_cache(maxsize=8)
def symmetric_basis(rank: int) -> Array:
    """(4^rank, n) orthonormal symmetric tensors, one for each sorted set of indices."""
    columns = []
    for indices in combinations_with_replacement(range(4), rank):
        tensor = np.zeros((4,) * rank)
        for order in set(permutations(indices)):
            tensor[order] = 1.0
        columns.append(tensor.ravel() / np.linalg.norm(tensor))
    return np.stack(columns, axis=1)


@lru_cache(maxsize=8)
def traceless_symmetric_basis(rank: int) -> Array:
    """(4^rank, (rank + 1)^2) orthonormal symmetric tensors with vanishing Minkowski traces."""
    symmetric = symmetric_basis(rank)
    if rank == 1:
        return symmetric
    tensors = symmetric.T.reshape(-1, 4, 4, 4 ** (rank - 2))
    traces = np.einsum("nijr,ij->rn", tensors, METRIC)
    inside = np.linalg.svd(traces)[2][np.linalg.matrix_rank(traces) :]
    # projections of the symmetric tensors in turn: the same basis on every machine
    basis: list[Array] = []
    for column in inside.T @ inside:
        rest = column - sum((np.dot(column, b) * b for b in basis), np.zeros_like(column))
        if np.linalg.norm(rest) > 1e-8:
            rest = rest / np.linalg.norm(rest)
            basis.append(rest - sum((np.dot(rest, b) * b for b in basis), np.zeros_like(rest)))
    return symmetric @ np.stack([b / np.linalg.norm(b) for b in basis], axis=1)


def antisymmetric_basis() -> Array:
    """(16, 6) orthonormal antisymmetric tensors in the order 01, 02, 03, 12, 13, 23."""
    basis = np.zeros((4, 4, 6))
    for column, (i, j) in enumerate(PAIRS):
        basis[i, j, column], basis[j, i, column] = np.sqrt(0.5), -np.sqrt(0.5)
    return basis.reshape(16, 6)


def self_dual_basis(sign: int) -> Array:
    """(16, 3) tensors with F^0i = v_i and F^jk = sign i epsilon_ijk v_i, up to normalization, for x, y, z."""
    basis = np.zeros((4, 4, 3), dtype=np.complex128)
    for i, (j, k) in enumerate(((2, 3), (3, 1), (1, 2))):
        basis[0, i + 1, i], basis[i + 1, 0, i] = 0.5, -0.5
        basis[j, k, i], basis[k, j, i] = 0.5j * sign, -0.5j * sign
    return basis.reshape(16, 3)
