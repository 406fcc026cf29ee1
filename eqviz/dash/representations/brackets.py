"""Structure constants, Cartan matrices and multiplication tables as square pictures with texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eqviz.dash.representations.catalogue import symmetry
from eqviz.errors import ConfigError
from eqviz.groups.base import Array, Group
from eqviz.groups.finite import FiniteGroup
from eqviz.groups.simple import SimpleAlgebra

MAX_GENERATORS = 40
MAX_TABLE = 24


@dataclass(frozen=True)
class Brackets:
    """All pairs of generators (or elements) as the cells of a square table.

    Attributes:
        names: of rows and columns.
        values: (n, n) what colours a cell.
        texts, marks: n x n texts for hover and short ones for the cell.
        note: half a sentence about the whole.
    """

    names: tuple[str, ...]
    values: Array
    texts: tuple[tuple[str, ...], ...]
    marks: tuple[tuple[str, ...], ...]
    note: str


@lru_cache(maxsize=32)
def bracket_table(name: str) -> Brackets:
    """Structure constants of a group, Cartan matrix of an algebra, or multiplication table of a finite group.

    Raises:
        EqvizError: more than 40 generators or 24 elements.
    """
    found = symmetry(name)
    if isinstance(found, SimpleAlgebra):
        return _cartan(found)
    if not found.algebra_dimension:
        return _multiplication(found)
    k, names = found.algebra_dimension, found.generator_names
    if k > MAX_GENERATORS:
        raise ConfigError(f"{name} has {k} generators, more than {MAX_GENERATORS} to draw all brackets of")
    f = found.structure_constants
    strongest = np.argmax(np.abs(f) > np.abs(f).max(axis=2, keepdims=True) - 1e-9, axis=2)
    values = np.take_along_axis(f, strongest[:, :, None], axis=2)[:, :, 0]
    values = np.where(np.abs(values) < 1e-9, 0.0, values)
    texts, marks = [], []
    for i in range(k):
        texts.append(tuple(f"[{names[i]}, {names[j]}] = {_combination(f[i, j], names)}" for j in range(k)))
        marks.append(tuple(_mark(f[i, j], names, strongest[i, j]) for j in range(k)))
    return Brackets(names, values, tuple(texts), tuple(marks), _killing(f))


def _combination(coefficients: Array, names: tuple[str, ...]) -> str:
    terms = [(c, n) for c, n in zip(coefficients.tolist(), names) if abs(c) > 1e-9]
    return " ".join(f"{'−' if c < 0 else '+'} {abs(c):.4g} {n}" for c, n in terms).removeprefix("+ ") or "0"


def _mark(coefficients: Array, names: tuple[str, ...], strongest: int) -> str:
    several = int((np.abs(coefficients) > 1e-9).sum())
    return "" if not several else names[strongest].partition("[")[0] + ("+" if several > 1 else "")


def _killing(f: Array) -> str:
    if not f.any():
        return "the algebra is abelian: all brackets vanish"
    values = np.linalg.eigvalsh(np.einsum("iab,jba->ij", f, f))
    scale = 1e-9 * max(1.0, float(np.abs(values).max(initial=0.0)))
    negative, positive = int((values < -scale).sum()), int((values > scale).sum())
    zero = len(values) - negative - positive
    named = {"negative (compact)": negative, "positive (non-compact)": positive, "zero": zero}
    parts = [f"{count} {text}" for text, count in named.items() if count]
    return "eigenvalues of the Killing form: " + ", ".join(parts)


def _cartan(algebra: SimpleAlgebra) -> Brackets:
    matrix, names = algebra.type.cartan_matrix, tuple(f"{i + 1}" for i in range(algebra.rank))
    texts = tuple(
        tuple(f"[h{j + 1}, e{i + 1}] = {x} e{i + 1}" for j, x in enumerate(row))
        for i, row in enumerate(matrix.tolist())
    )
    marks = tuple(tuple(str(x) if x else "" for x in row) for row in matrix.tolist())
    note = f"{algebra.dimension} generators, {len(algebra.type.positive_roots)} positive roots"
    return Brackets(names, matrix.astype(np.float64), texts, marks, note)


def _multiplication(group: Group) -> Brackets:
    assert isinstance(group, FiniteGroup) or group.order is not None
    order = int(group.order or 0)
    if order > MAX_TABLE or not isinstance(group, FiniteGroup):
        raise ConfigError(f"{group.name} has {order} elements, more than {MAX_TABLE} to draw all products of")
    product, names = group.multiplication_table, [str(g) for g in group.elements()]
    names = ["1" if name == "identity" else name for name in names]
    texts = tuple(
        tuple(f"{names[i]} · {names[j]} = {names[product[i, j]]}" for j in range(order)) for i in range(order)
    )
    short = order <= 16 and max(map(len, names)) <= 5
    marks = tuple(tuple(names[product[i, j]] if short else "" for j in range(order)) for i in range(order))
    labels = tuple(names) if max(map(len, names)) <= 8 else tuple(str(i) for i in range(order))
    return Brackets(labels, product.astype(np.float64), texts, marks, f"{order} elements")
