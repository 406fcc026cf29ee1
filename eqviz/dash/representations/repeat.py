"""How to repeat the figures of the Representations tab: a few lines of Python, and the notebook."""

from __future__ import annotations

from string import Template
from typing import Any

_HEAD = """\
# the lesson around it: notebooks/groups_and_representations.ipynb
from eqviz.groups.irrep_names import named_irrep, named_symmetry, named_weight
from eqviz.groups.simple import SimpleAlgebra

group = named_symmetry($group)
find = named_weight if isinstance(group, SimpleAlgebra) else named_irrep
"""
_BODIES = {
    "table": """\
first, second = find(group, $first), find(group, $second)
if isinstance(group, SimpleAlgebra):
    print(group.tensor(first, second))
else:
    print(*(f"{count} x {irrep.name}" for irrep, count in group.product(first, second)), sep="\\n")
""",
    "weights": """\
from eqviz.groups.weight_points import weight_points
from eqviz.plots.representations import weight_diagram

found = weight_points(group, find(group, $first))
figure = weight_diagram(
    found.points, found.counts, symmetry=group.name, names=found.names, outline=True,
    xlabel=found.xlabel, ylabel=found.ylabel,
)
""",
    "roots": """\
from eqviz.groups.weight_points import root_points
from eqviz.plots.representations import weight_diagram

found = root_points(group)
figure = weight_diagram(found.points, found.counts, symmetry=group.name, names=found.names, outline=True)
""",
    "couplings": """\
from eqviz.groups.describe import product_matrix
from eqviz.plots.representations import coupling_matrix

matrix, blocks = product_matrix(find(group, $first), find(group, $second))
figure = coupling_matrix(matrix.real, blocks)
""",
    "brackets": """\
from eqviz.groups.describe import brackets

if isinstance(group, SimpleAlgebra):
    print(group.type.cartan_matrix)
elif group.algebra_dimension:
    print(*(f"{row['bracket']} = {row['value']}" for row in brackets(group)), sep="\\n")
else:
    print(*map(str, group.elements()), group.multiplication_table, sep="\\n")
""",
    "orbit": """\
import numpy as np
from eqviz.groups.orbits import finite_orbit, flow, start_vector, vector_form

found = vector_form(named_irrep(group, $irrep)) if $irrep else group.defining
start = start_vector(found, $start)
if group.algebra_dimension:
    values = np.zeros(group.algebra_dimension)
    values[: len($values)] = $values
    print(flow(found, values, start).moved)
else:
    print(finite_orbit(found, start)[0][int($values[0])])
""",
}


def group_code(kind: str, group: str, first: str, second: str = "") -> str:
    """Python for ``"table"``, ``"weights"``, ``"couplings"``, ``"brackets"`` or ``"roots"``."""
    return _fill(kind, group=group, first=first, second=second)


def orbit_code(group: str, irrep: str, values: list[float], start: str) -> str:
    """Python for the moved vector; ``irrep`` is empty for the defining representation."""
    return _fill("orbit", group=group, irrep=irrep, values=values, start=start)


def _fill(kind: str, **values: Any) -> str:
    return Template(_HEAD + _BODIES[kind]).substitute({key: repr(value) for key, value in values.items()})
