"""What the released LGN fixes by convention: the basis, the couplings in it, and the order of its channels.

Irreps are labelled (k, n) by twice their spins. Their *canonical* basis is reduced under rotations: total
spin j = |k - n|/2 ... (k + n)/2, within it m = -j ... j. A four-vector is (t, (x - iy)/sqrt 2, z,
-(x + iy)/sqrt 2) there. Source: arXiv:2006.04780, sections 3.1 and A.1.

The released code kept its irreps in dictionaries, and the order of their keys, which is the order in which
products are concatenated, came out of the hash of a tuple in CPython 3.7. Other versions of Python hash
tuples differently and would read the same weights in another order, so here the order is written down.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from eqviz.groups.elements import Array
from eqviz.groups.lorentz_irreps import lorentz_cg_table
from eqviz.groups.rotations import cg_table

Label = tuple[int, int]

SCALAR: Label = (0, 0)
VECTOR: Label = (1, 1)
INPUT_ORDER: tuple[Label, ...] = (SCALAR, VECTOR)
EDGE_ORDER: tuple[Label, ...] = (SCALAR, VECTOR)
# After every perceptron the scalars are put back at the end.
LEVEL_ORDER: tuple[Label, ...] = ((2, 0), VECTOR, (2, 2), (0, 2), SCALAR)
OUTPUT_ORDER: tuple[Label, ...] = (SCALAR, (2, 0), VECTOR, (2, 2), (0, 2))
IRREPS: tuple[Label, ...] = LEVEL_ORDER


def dimension(label: Label) -> int:
    """(k + 1)(n + 1)."""
    return (label[0] + 1) * (label[1] + 1)


@lru_cache(maxsize=64)
def canonical_basis(label: Label) -> Array:
    """(d, d) orthogonal: rows (j, m), columns the product basis |k, a> |n, b> of :mod:`eqviz.groups`."""
    k, n = label
    spins = range(abs(k - n), k + n + 1, 2)
    return np.concatenate([cg_table(k, n, j).reshape(dimension(label), j + 1).T[::-1] for j in spins])


@lru_cache(maxsize=256)
def coupling(first: Label, second: Label, out: Label) -> Array:
    """(d_out, d_1, d_2) real couplings in the canonical basis, zero where ``out`` is not in the product."""
    table = lorentz_cg_table(first, second, out)
    u, v, w = canonical_basis(first), canonical_basis(second), canonical_basis(out)
    return np.einsum("xi,yj,zk,ijk->zxy", u, v, w, table)


@lru_cache(maxsize=64)
def invariant_metric(label: Label) -> Array:
    """(d, d) real symmetric form, not Hermitian: (-1)^int(j + m) between m and -m of equal j."""
    k, n = label
    states = [(j, m) for j in range(abs(k - n), k + n + 1, 2) for m in range(-j, j + 1, 2)]
    metric = np.zeros((len(states), len(states)))
    for row, (j, m) in enumerate(states):
        metric[row, states.index((j, -m))] = (-1) ** ((j + m) // 2)
    return metric


def vector_to_canonical() -> Array:
    """(4, 4) complex: the four-vector (E, px, py, pz) in the canonical basis of (1, 1)."""
    root = np.sqrt(0.5)
    return np.array([[1, 0, 0, 0], [0, root, -1j * root, 0], [0, 0, 0, 1], [0, -root, -1j * root, 0]])


def terms(first: tuple[Label, ...], second: tuple[Label, ...], out: Label) -> list[tuple[Label, Label]]:
    """The pairs of irreps whose product holds ``out``, in the order in which they are concatenated."""
    return [(a, b) for a in first for b in second if coupling(a, b, out).any()]
