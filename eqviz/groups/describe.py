"""What tables and pictures show of a group: brackets, decompositions, the whole change of basis."""

from __future__ import annotations

from typing import Any

import numpy as np

from eqviz.errors import ConfigError
from eqviz.groups.base import Group, Irrep
from eqviz.groups.elements import Array

MAX_STATES = 1200


def brackets(group: Group, tolerance: float = 1e-9) -> list[dict[str, str]]:
    """The non-zero commutators [X_i, X_j], i < j, as rows ``{"bracket": "[Jx, Jy]", "value": "1 Jz"}``."""
    f, names = group.structure_constants, group.generator_names
    rows = []
    for i, j in zip(*np.triu_indices(len(names), 1)):
        terms = [(f[i, j, k], names[k]) for k in np.flatnonzero(np.abs(f[i, j]) > tolerance)]
        if terms:
            text = " ".join(f"{'-' if c < 0 else '+'} {abs(c):.4g} {name}" for c, name in terms)
            rows.append({"bracket": f"[{names[i]}, {names[j]}]", "value": text.removeprefix("+ ")})
    return rows


def product_table(first: Irrep, second: Irrep) -> list[dict[str, Any]]:
    """The decomposition of a product as rows: irrep, dimension, multiplicity, states (their product)."""
    return [
        {
            "irrep": irrep.name,
            "dimension": irrep.dimension,
            "multiplicity": count,
            "states": count * irrep.dimension,
        }
        for irrep, count in first.group.product(first, second)
    ]


def product_matrix(first: Irrep, second: Irrep) -> tuple[Array, list[tuple[str, int]]]:
    """All couplings of a product side by side.

    Returns:
        the matrix (d1 d2, n), rows (i, j) with j fastest, columns irrep by irrep and copy by copy; and
        the columns' blocks as (name, width). It is unitary where irreps are unitary and absolutely
        irreducible; real irreps of complex type (SO(2), C_n) repeat their columns.

    Raises:
        ConfigError: more than 1200 pairs of states.
    """
    size = first.dimension * second.dimension
    if size > MAX_STATES:
        raise ConfigError(f"{first.name} x {second.name} has {size} states, more than {MAX_STATES} to show")
    group = first.group
    columns, blocks = [], []
    for third, _ in group.product(first, second):
        for copy in group.clebsch_gordan(first, second, third):
            columns.append(copy.reshape(size, third.dimension))
            blocks.append((third.name, third.dimension))
    return np.concatenate(columns, axis=1), blocks
