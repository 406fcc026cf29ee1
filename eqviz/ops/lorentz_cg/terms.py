"""Fixed tables as lists of terms: what the kernels walk over instead of outer products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from eqviz.ops.lorentz_cg.mixing import MixPlan
from eqviz.ops.lorentz_cg.products import ProductGroup

ROUNDING = 1e-14

_MADE = WeakIdKeyDictionary()  # they live as long as the tables that they are made from


def cached(tables: Sequence[Tensor], key: Any, make: Callable[[], Any]) -> Any:
    """What ``make`` made of these tables under this key, the first time."""
    found = _MADE.setdefault(tables[0], {})
    if key not in found:
        found[key] = make()
    return found[key]


def product_terms(plan: Sequence[ProductGroup], tables: Sequence[Tensor]) -> np.ndarray:
    """Rows (r, p, q, v): product r has the term v x_p y_q."""
    parts, row = [np.zeros((0, 4))], 0
    for group, table in zip(plan, tables):
        size = group.second[1] - group.second[0]
        parts.append(table_terms(table, size, row, group.first[0], group.second[0]))
        row += len(table)
    return np.concatenate(parts)


def mix_terms(size: int, plan: MixPlan, tables: Sequence[Tensor]) -> np.ndarray:
    """The same for all products of a level of ``size`` components, r in the order of the mixing.

    First factors p are plain, x and weighted one after the other, second ones q are 1, x and p4.
    """
    linear, vector, *squares = tables
    n, moments, weighted, momenta = len(linear), len(vector), 2 * size, 1 + size
    parts = [table_terms(linear, 1, 0, 0, 0), table_terms(linear, 1, n, size, 0)]
    product = table_terms(vector, size, 2 * n, momenta, weighted)
    parts.append(product[:, [0, 2, 1, 3]])
    m = np.arange(moments)
    parts.append(np.column_stack([2 * n + m, weighted + size + m, 0 * m, 0 * m - 1.0]))
    row = 2 * n + moments
    for group, table in zip(plan.squares, squares):
        width = group.second[1] - group.second[0]
        parts.append(table_terms(table, width, row, size + group.first[0], 1 + group.second[0]))
        row += len(table)
    terms, order = np.concatenate(parts), np.asarray(plan.order)
    place = np.empty(row, np.int64)
    place[order] = np.arange(row)
    terms[:, 0] = place[terms[:, 0].astype(np.int64)]
    return terms


def table_terms(table: Tensor, n_second: int, row: int, first: int, second: int) -> np.ndarray:
    """Rows (r, p, q, v) of a table (rows, n_a n_b), counted from the given numbers."""
    values = table.detach().double().cpu().numpy()
    # Couplings are found numerically: what is this small is zero
    r, column = np.nonzero(np.abs(values) > ROUNDING * np.abs(values).max(initial=0))
    return np.column_stack(
        [r + row, column // n_second + first, column % n_second + second, values[r, column]]
    )


class Lists(NamedTuple):
    """What ``native.c`` walks over: products, then gradients of factors, packed into one tensor of indices.

    Attributes:
        packed: int32; each list is its numbers of rows, groups and terms, then the first group of each row,
            the factor and the first term of each group, and the terms.
        values: of all terms.
        rows: number of products.
    """

    packed: Tensor
    values: Tensor
    rows: int


def lists(terms: np.ndarray, n_rows: int, n_wanted: int, like: Tensor) -> Lists:
    """Lists of products and of the gradients of the first ``n_wanted`` factors.

    Args:
        terms: rows (r, p, q, v) for the term v z_p z_q of product r.
        n_rows: number of products.
        n_wanted: number of factors that have a gradient.
        like: a tensor of the precision of the values.
    """
    row, p, q = terms[:, :3].astype(np.int64).T
    row, low, high, value = _merged(row, np.minimum(p, q), np.maximum(p, q), terms[:, 3])
    # Fewer groups are faster: in each row the factor with fewer different values stands before the sum
    counts = [_distinct(row, factor, n_rows)[row] for factor in (low, high)]
    swap = counts[1] < counts[0]
    outer, inner = np.where(swap, high, low), np.where(swap, low, high)
    target, other = np.concatenate([low, high]), np.concatenate([high, low])
    keep = target < n_wanted
    packed = [
        _packed(row, outer, inner, value, n_rows),
        _packed(target[keep], other[keep], np.tile(row, 2)[keep], np.tile(value, 2)[keep], n_wanted),
    ]
    index, values = (np.concatenate(parts) for parts in zip(*packed))
    return Lists(torch.from_numpy(index.astype(np.int32)), torch.from_numpy(values).to(like.dtype), n_rows)


def _merged(*columns: np.ndarray) -> list[np.ndarray]:
    """Sorted by all columns but the last, whose values are added where the others are equal."""
    *keys, value = columns
    if not len(value):
        return list(columns)
    order = np.lexsort(keys[::-1])
    keys = [key[order] for key in keys]
    new = np.any([np.diff(key, prepend=-1) != 0 for key in keys], axis=0)
    return [*(key[new] for key in keys), np.add.reduceat(value[order], np.flatnonzero(new))]


def _distinct(row: np.ndarray, factor: np.ndarray, n_rows: int) -> np.ndarray:
    """How many different factors each row has."""
    pairs = np.unique(np.column_stack([row, factor]), axis=0)
    return np.bincount(pairs[:, 0], minlength=n_rows)


def _packed(
    row: np.ndarray, outer: np.ndarray, inner: np.ndarray, value: np.ndarray, n_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """One list and its values."""
    row, outer, inner, value = _merged(row, outer, inner, value)
    new = (np.diff(row, prepend=-1) != 0) | (np.diff(outer, prepend=-1) != 0)
    starts = np.concatenate([[0], np.cumsum(np.bincount(row[new], minlength=n_rows))])
    sizes = n_rows, int(new.sum()), len(row)
    parts = sizes, starts, outer[new], np.flatnonzero(new), [len(row)], inner
    return np.concatenate(parts), value
