"""Which products a Clebsch-Gordan level forms: tables for the fused operations, built once per network.

Components of all irreps lie one after the other. Every product that yields an irrep is a *block* of it; its
rows are ordered component first, block second, so that the mixing of channels is one batched product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from eqviz.groups.elements import Array
from eqviz.layers.lorentz_basis import VECTOR, Label, couplings, dimension, self_maps, square_couplings
from eqviz.ops.lorentz_cg import MixPlan, ProductGroup

Table = Callable[[Label, Label, Label], Array]


@dataclass(frozen=True)
class ProductPlan:
    """Groups of products with one table each, and where the rows of every result go.

    Attributes:
        groups: ranges of components that are multiplied.
        tables: (rows, n_a n_b) float64 each.
        rows: for each group the rows (start, stop) and blocks that belong to an irrep.
    """

    groups: tuple[ProductGroup, ...]
    tables: tuple[Array, ...]
    rows: tuple[dict[Label, tuple[int, int, int]], ...]

    def blocks(self, label: Label) -> int:
        """How many products yield this irrep."""
        return sum(rows[label][2] for rows in self.rows if label in rows)


def offsets(labels: Sequence[Label]) -> dict[Label, tuple[int, int]]:
    """The components (start, stop) of every irrep."""
    ends = np.cumsum([dimension(label) for label in labels]).tolist()
    return {label: (end - dimension(label), end) for label, end in zip(labels, ends)}


def product_plan(
    first: Sequence[Label], second: Sequence[Label], outs: Sequence[Label], table: Table, ordered: bool = True
) -> ProductPlan:
    """Every irrep of ``first`` times those of ``second``; each unordered pair once if not ``ordered``.

    ``table(a, b, out)`` gives the couplings (m, d_a, d_b, d_out).
    """
    groups, tables, rows = [], [], []
    left, right = offsets(first), offsets(second)
    for index, a in enumerate(first):
        partners = list(second) if ordered else list(second[index:])
        useful = [k for k, b in enumerate(partners) if any(len(table(a, b, out)) for out in outs)]
        if not useful:
            continue
        partners = partners[useful[0] : useful[-1] + 1]
        start, stop = right[partners[0]][0], right[partners[-1]][1]
        parts, where, row = [], {}, 0
        for out in outs:
            blocks = []
            for b in partners:
                whole = np.zeros((len(found := table(a, b, out)), dimension(a), stop - start, dimension(out)))
                whole[:, :, right[b][0] - start : right[b][1] - start] = found
                blocks.append(whole)
            joint = np.concatenate(blocks)
            if len(joint):
                size = dimension(out) * len(joint)
                parts.append(joint.transpose(3, 0, 1, 2).reshape(size, -1))
                where[out] = (row, row + size, len(joint))
                row += size
        groups.append(ProductGroup(left[a], (start, stop)))
        tables.append(np.concatenate(parts))
        rows.append(where)
    return ProductPlan(tuple(groups), tuple(tables), tuple(rows))


def square_plan(labels: Sequence[Label], outs: Sequence[Label], parity: bool) -> ProductPlan:
    """x (x) x in one channel: pairs of irreps counted once, and squares without what vanishes."""

    def table(a: Label, b: Label, out: Label) -> Array:
        return square_couplings(a, out, parity) if a == b else couplings(a, b, out, parity)

    return product_plan(labels, labels, outs, table, ordered=False)


def mix_plan(
    labels: Sequence[Label], outs: Sequence[Label], parity: bool
) -> tuple[MixPlan, tuple[Label, ...], list[Array]]:
    """The plan of a level, the irreps it yields, and its tables."""
    vectors = product_plan([VECTOR], labels, outs, lambda a, b, out: couplings(a, b, out, parity))
    squares = square_plan(labels, outs, parity)
    copies = {label: len(self_maps(label, parity)) for label in labels}
    blocks = {out: 2 * copies.get(out, 0) + vectors.blocks(out) + squares.blocks(out) for out in outs}
    made = tuple(out for out in outs if blocks[out])
    table, rows = _linear(labels, outs, parity)
    # For each output irrep, the rows (d, blocks) of every table that holds products of it
    found: dict[Label, list[Array]] = {out: [] for out in made}
    start = 0
    for part, where in zip(
        [table, table, *vectors.tables, *squares.tables], [rows, rows, *vectors.rows, *squares.rows]
    ):
        for out, (first, last, count) in where.items():
            found[out].append(np.arange(start + first, start + last).reshape(-1, count))
        start += len(part)
    plan = MixPlan(
        outs=tuple((dimension(out), blocks[out]) for out in made),
        squares=squares.groups,
        order=tuple(np.concatenate([np.concatenate(found[out], axis=1).ravel() for out in made]).tolist()),
    )
    return plan, made, [table, *vectors.tables, *squares.tables]


def _linear(
    labels: Sequence[Label], outs: Sequence[Label], parity: bool
) -> tuple[Array, dict[Label, tuple[int, int, int]]]:
    """The maps of each irrep to itself as one table, and their rows: the dual is a second block of a pair."""
    where = offsets(labels)
    parts, rows, row = [], {}, 0
    for label in (label for label in labels if label in outs):
        maps = self_maps(label, parity)
        size = len(maps) * dimension(label)
        part = np.zeros((size, where[labels[-1]][1]))
        part[:, slice(*where[label])] = maps.transpose(1, 0, 2).reshape(size, -1)
        parts.append(part)
        rows[label] = (row, row + size, len(maps))
        row += size
    return np.concatenate(parts), rows
