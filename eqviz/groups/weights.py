"""Weight systems of irreps of simple Lie algebras: Freudenthal's recursion on dominant weights.

Only dominant weights are computed; every other weight has the multiplicity of the dominant one in its orbit
(R. Moody, J. Patera, Bull. AMS 7 (1982) 237).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from eqviz.errors import ConfigError
from eqviz.groups.cartan import CartanType, Integers, Weight

MAX_DOMINANT = 5000


def dominant_weights_below(cartan_type: CartanType, highest: Weight) -> list[Weight]:
    """Dominant weights of an irrep, highest first (reached by subtracting positive roots).

    Raises:
        ConfigError: more than 5,000 of them, which would take minutes and more.
    """
    roots = cartan_type.positive_roots_dynkin
    found = {highest}
    frontier = [highest]
    while frontier:
        lower = np.array(frontier.pop()) - roots
        for row in lower[(lower >= 0).all(axis=1)].tolist():
            if tuple(row) not in found:
                found.add(tuple(row))
                frontier.append(tuple(row))
        if len(found) > MAX_DOMINANT:
            raise ConfigError(
                f"the irrep {highest} of {cartan_type.group_name} has more than {MAX_DOMINANT} dominant "
                "weights: too large to work out"
            )
    levels = np.array([[float(x) for x in row] for row in cartan_type.inverse_cartan]).sum(axis=1)
    return sorted(found, key=lambda weight: (-round(float(np.dot(weight, levels)), 6), weight))


@lru_cache(maxsize=1024)
def weight_count(cartan_type: CartanType, highest: Weight) -> int:
    """Number of different weights of an irrep, from the sizes of the orbits."""
    return sum(cartan_type.orbit_size(w) for w in dominant_weights_below(cartan_type, highest))


@lru_cache(maxsize=1024)
def _dominant_multiplicities(cartan_type: CartanType, highest: Weight) -> tuple[tuple[Weight, int], ...]:
    # inner products scaled to integers
    form = np.array(cartan_type.quadratic_form, dtype=object)
    scale = int(np.lcm.reduce([x.denominator for x in form.ravel()]))
    form = np.array([[int(x * scale) for x in row] for row in form], dtype=np.int64)
    roots = cartan_type.positive_roots_dynkin
    rooted = roots @ form
    multiplicities: dict[Weight, int] = {highest: 1}
    top = np.array(highest) + 1
    norm = int(top @ form @ top)
    for weight in dominant_weights_below(cartan_type, highest)[1:]:
        total, current, alive = 0, np.array(weight) + roots, np.arange(len(roots))
        while len(alive):
            dominant = cartan_type.to_dominant(current)[0].tolist()
            found = [multiplicities.get(tuple(row), 0) for row in dominant]
            inner = np.einsum("nr,nr->n", current, rooted[alive]).tolist()
            total += sum(m * x for m, x in zip(found, inner))
            still = np.array([m > 0 for m in found])
            alive, current = alive[still], current[still]
            current = current + roots[alive]
        shifted = np.array(weight) + 1
        multiplicities[weight] = 2 * total // (norm - int(shifted @ form @ shifted))
    return tuple(multiplicities.items())


def dominant_multiplicities(cartan_type: CartanType, highest: Weight) -> dict[Weight, int]:
    """Dominant weight -> multiplicity of the irrep with that highest weight."""
    return dict(_dominant_multiplicities(cartan_type, highest))


def weyl_orbit(cartan_type: CartanType, dominant: Weight) -> Integers:
    """(n, r) the Weyl orbit of a dominant weight."""
    a = cartan_type.cartan_matrix
    level = np.array([dominant], dtype=np.int64)
    found = [level]
    while len(level):
        below = [level[level[:, i] > 0] - level[level[:, i] > 0][:, i : i + 1] * a[i] for i in range(len(a))]
        stacked = np.concatenate(below)
        # a simple reflection s_i with positive label lowers the length by one: each level is new
        level = np.unique(stacked, axis=0) if len(stacked) else stacked
        found.append(level)
    return np.concatenate(found)


@lru_cache(maxsize=64)
def weight_system(cartan_type: CartanType, highest: Weight) -> tuple[Integers, Integers]:
    """All different weights (n, r) and their multiplicities (n,), read-only."""
    parts = dominant_multiplicities(cartan_type, highest)
    orbits = [weyl_orbit(cartan_type, weight) for weight in parts]
    counts = np.repeat(list(parts.values()), [len(orbit) for orbit in orbits])
    weights = np.concatenate(orbits)
    weights.setflags(write=False)
    counts.setflags(write=False)
    return weights, counts
