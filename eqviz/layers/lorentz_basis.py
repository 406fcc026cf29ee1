"""Real bases of Lorentz irreps and the real couplings between them, from the tables of :mod:`eqviz.groups`.

Labels (k, n) are twice the spins, k >= n and k + n even: what four-momenta can make.

    (k, k)             traceless symmetric tensors of rank k: scalar, four-vector, (2, 2) ...
    (k, n), k != n     the pair (k, n) + (n, k) as one real irrep: (2, 0) is the antisymmetric tensor F

Everything is real: a linear map that commutes with SO+(1,3) is a number on (k, k), and on (k, n) a *complex*
number: a F + b *F with the dual *F, since multiplication of (k, n) by i and of (n, k) by -i is a real map.
These maps, and the copies of a coupling, are counted by ``parity``: with it only those stay that commute
with space reflection, too (F alone, no dual). Source: arXiv:2006.04780, section 2 and appendix A.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from eqviz.errors import ConfigError
from eqviz.groups.base import Representation
from eqviz.groups.cache import cached_tables
from eqviz.groups.clebsch_gordan import canonical_rows, clebsch_gordan, intertwiners
from eqviz.groups.composite import SubRepresentation
from eqviz.groups.elements import Array
from eqviz.groups.lorentz import full_lorentz, lorentz
from eqviz.groups.lorentz_irreps import product_labels

Label = tuple[int, int]
SCALAR: Label = (0, 0)
VECTOR: Label = (1, 1)
MAX_WEIGHT = 3


def tensor_labels(max_weight: int) -> tuple[Label, ...]:
    """The real irreps with k <= ``max_weight`` that momenta can make, smallest first.

    >>> tensor_labels(2)
    ((0, 0), (1, 1), (2, 0), (2, 2))
    """
    return tuple((k, n) for k in range(max_weight + 1) for n in range(k % 2, k + 1, 2))


def check_label(label: Label) -> Label:
    """``label`` as a tuple of two integers; a ConfigError for any other thing."""
    sound = len(label) == 2 and all(isinstance(spin, int) for spin in label)
    if not sound or not MAX_WEIGHT >= label[0] >= label[1] >= 0 or sum(label) % 2:
        raise ConfigError(
            f"expected a label (k, n) of twice the spins with {MAX_WEIGHT} >= k >= n >= 0 and k + n even, "
            f"for instance (1, 1) for four-vectors, got {label!r}"
        )
    return label[0], label[1]


def dimension(label: Label) -> int:
    """Real dimension: (k + 1)^2, or 2 (k + 1)(n + 1) for a pair."""
    k, n = label
    return (k + 1) * (n + 1) * (1 if k == n else 2)


@lru_cache(maxsize=32)
def real_irrep(label: Label, parity: bool = False) -> Representation:
    """The real irrep as a representation of SO+(1,3), or with ``parity`` of O(1,3)."""
    k, n = check_label(label)
    group = full_lorentz() if parity else lorentz()
    if label == SCALAR:
        return group.trivial()
    if label == VECTOR:
        return group.vector()
    if label == (2, 0):
        return group.antisymmetric()
    if k == n:
        return group.traceless_symmetric(k)
    low, high = (VECTOR, (k - 1, n - 1)) if n else ((2, 0), (k - 2, 0))
    parent = real_irrep(low, parity) * real_irrep(high, parity)
    return SubRepresentation(parent, _highest(low, high).T, f"({k}/2, {n}/2) + ({n}/2, {k}/2), real")


@lru_cache(maxsize=512)
def couplings(first: Label, second: Label, out: Label, parity: bool = False) -> Array:
    """(m, d_1, d_2, d_out) real, read-only: all m independent equivariant products, orthonormal."""
    if out not in _real_products(first, second):
        return np.zeros((0, dimension(first), dimension(second), dimension(out)))
    key = f"real lorentz coupling {first} x {second} -> {out}, parity {parity}"
    reps = [real_irrep(label, parity) for label in (first, second, out)]
    return cached_tables(key, lambda: {"table": clebsch_gordan(*reps)})["table"]


@lru_cache(maxsize=128)
def square_couplings(label: Label, out: Label, parity: bool = False) -> Array:
    """(m, d, d, d_out): those products of a feature with itself that do not vanish, symmetric in both."""
    table = couplings(label, label, out, parity)
    symmetric = (table + table.transpose(0, 2, 1, 3)) / 2
    if not len(table):
        return symmetric
    rows = symmetric.reshape(len(table), -1)
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    kept = canonical_rows(basis[sizes > 1e-9]) if (sizes > 1e-9).any() else basis[:0]
    return (kept * np.sqrt(dimension(out))).reshape(-1, *symmetric.shape[1:])


@lru_cache(maxsize=32)
def self_maps(label: Label, parity: bool = False) -> Array:
    """(m, d, d): the linear maps of an irrep to itself, the identity first, then for pairs the dual."""
    size = dimension(label)
    maps = intertwiners(real_irrep(label, parity), real_irrep(label, parity)).reshape(-1, size * size)
    one = np.eye(size).ravel()
    rest = maps - np.outer(maps @ one, one) / size
    _, sizes, basis = np.linalg.svd(rest, full_matrices=False)
    others = canonical_rows(basis[sizes > 1e-9]) * np.sqrt(size) if (sizes > 1e-9).any() else rest[:0]
    return np.concatenate([one[None], others]).reshape(-1, size, size)


@lru_cache(maxsize=8)
def _highest(low: Label, high: Label) -> Array:
    """Orthonormal rows that span the highest irrep in a product: what all maps to the others send to 0."""
    parent = real_irrep(low) * real_irrep(high)
    top = (low[0] + high[0], low[1] + high[1])
    rest = [real_irrep(other) for other in _real_products(low, high) if other != top]
    traces = np.concatenate([intertwiners(parent, other).reshape(-1, parent.dimension) for other in rest])
    return canonical_rows(np.linalg.svd(traces)[2][np.linalg.matrix_rank(traces) :])


def _real_products(first: Label, second: Label) -> list[Label]:
    """Labels of the real irreps in a product of two, once each."""
    found = set()
    for a in {first, first[::-1]}:
        for b in {second, second[::-1]}:
            found |= {(max(c), min(c)) for c in product_labels(a, b)}
    return sorted(found)
