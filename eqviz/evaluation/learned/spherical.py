"""Weights of Clebsch-Gordan layers on the sphere, degree by degree (arXiv:1806.09231)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eqviz.evaluation.learned.base import Array, LearnedLayer, shows, to_array
from eqviz.groups.rotations import real_cg_table
from eqviz.layers.sphere import CGLayer


@dataclass(frozen=True, eq=False)
class Degrees:
    """Root mean square weights of a mixing.

    Attributes:
        per_degree: (L + 1,) over everything that is mixed into degree l.
        direct: (L + 1,) of the input's own degree l.
        couplings: for every l a (degree + 1, degree + 1) matrix over l1 <= l2; NaN: no such product.
    """

    per_degree: Array
    direct: Array
    couplings: tuple[Array, ...]


def read_degrees(layer: CGLayer) -> Degrees:
    """The sizes of the weights that make each degree of the output."""
    per_degree, direct, couplings = [], [], []
    for l, mix in enumerate(layer.mix):  # noqa: E741
        count = layer.counts[l]
        blocks = to_array(mix).reshape(layer.channels, count + 1, -1)
        sizes = np.sqrt((blocks**2).mean((0, 2)))
        per_degree.append(float(np.sqrt((blocks**2).mean())))
        direct.append(float(sizes[count]))
        matrix = np.full((layer.degree + 1, layer.degree + 1), np.nan)
        for size, (l1, l2) in zip(sizes, coupled(layer.degree, l)):
            matrix[l1, l2] = size
        couplings.append(matrix)
    return Degrees(np.array(per_degree), np.array(direct), tuple(couplings))


def coupled(degree: int, l: int) -> list[tuple[int, int]]:  # noqa: E741
    """The pairs l1 <= l2 whose product holds degree l, in the layer's order."""
    pairs = [(a, b) for a in range(degree + 1) for b in range(a, degree + 1)]
    return [(a, b) for a, b in pairs if real_cg_table(2 * a, 2 * b, 2 * l).any() and not (a == b and l % 2)]


@shows(CGLayer)
def _cg_layer(path: str, module: Any) -> list[LearnedLayer]:
    degrees = tuple(f"l = {l}" for l in range(module.out_degree + 1))  # noqa: E741
    title = f"Clebsch-Gordan products to l = {module.out_degree}"
    return [LearnedLayer(path, title, "degrees", degrees, ("all",), module)]
