"""Gelfand-Tsetlin patterns: the orthonormal basis of any irrep of SU(N), with explicit ladder operators.

A pattern has rows of N, N - 1, ..., 1 integers, each row interlacing the one above. Formulas (20)-(28) of
A. Alex et al., arXiv:1009.0437.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

from eqviz.groups.cartan import CartanType, Weight
from eqviz.groups.ladder import Ladder

Pattern = tuple[tuple[int, ...], ...]


def patterns(top: tuple[int, ...]) -> list[Pattern]:
    """All patterns under a top row, rows from N down to 1, the highest weight first."""
    if len(top) == 1:
        return [(top,)]
    ranges = [range(top[k], top[k + 1] - 1, -1) for k in range(len(top) - 1)]
    return [(top, *rest) for row in product(*ranges) for rest in patterns(row)]


def _lowered(pattern: Pattern, row: int, k: int) -> tuple[float, Pattern]:
    """Coefficient and pattern of J_-^(l) for entry k of the row of length l (from 0), l >= 1."""
    n = len(pattern)
    rows = {len(r): r for r in pattern}
    m = rows[row][k]
    above, here, below = rows[row + 1], rows[row], rows.get(row - 1, ())
    numerator = 1
    for q, x in enumerate(above):
        numerator *= x - m + k - q + 1
    for q, x in enumerate(below):
        numerator *= x - m + k - q
    denominator = 1
    for q, x in enumerate(here):
        if q != k:
            denominator *= (x - m + k - q + 1) * (x - m + k - q)
    moved = (*here[:k], m - 1, *here[k + 1 :])
    at = n - row
    return float(np.sqrt(-numerator / denominator)), (*pattern[:at], moved, *pattern[at + 1 :])


@lru_cache(maxsize=64)
def gelfand_tsetlin(n: int, highest: Weight) -> Ladder:
    """The irrep of SU(n) with highest weight ``highest`` (n - 1 Dynkin labels) in its pattern basis."""
    top = tuple(sum(highest[k:]) for k in range(n))
    basis = patterns(top)
    index = {pattern: i for i, pattern in enumerate(basis)}
    lowering = np.zeros((n - 1, len(basis), len(basis)))
    sums = np.array([[sum(row) for row in reversed(pattern)] for pattern in basis], dtype=np.int64)
    for column, pattern in enumerate(basis):
        for row in range(1, n):
            for k in range(row):
                m, below = pattern[n - row][k], pattern[n - row + 1] if row > 1 else ()
                allowed = m > pattern[n - row - 1][k + 1] and (k >= len(below) or m > below[k])
                if allowed:
                    value, lowered = _lowered(pattern, row, k)
                    lowering[row - 1, index[lowered], column] = value
    padded = np.concatenate([np.zeros((len(basis), 1), dtype=np.int64), sums], axis=1)
    weights = 2 * padded[:, 1:-1] - padded[:, 2:] - padded[:, :-2]
    lowering.setflags(write=False)
    return Ladder(CartanType("A", n - 1), highest, weights, lowering)
