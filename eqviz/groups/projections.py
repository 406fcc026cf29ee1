"""Weights as points of a plane, for pictures: exactly in rank 1 and 2, in the Coxeter plane above."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from eqviz.errors import ConfigError
from eqviz.groups.cartan import CartanType
from eqviz.groups.elements import Array


def plane(cartan_type: CartanType) -> Array:
    """(2, r) matrix that takes Dynkin labels to the plane, where long roots have length sqrt(2).

    In rank 2 nothing is lost and the first simple root points to the right: for SU(3) the axes are isospin
    sqrt(2) T_3 and hypercharge sqrt(3/2) Y. In higher rank it is the Coxeter plane, the one with the highest
    rotational symmetry (R. Steinberg, Trans. AMS 91 (1959) 493), and lengths shrink.
    """
    roots = _root_vectors(cartan_type)
    weights = np.linalg.inv(roots).T  # dual to the roots
    weights = weights * np.array([float(d) for d in cartan_type.half_lengths])[:, None]
    if cartan_type.rank == 1:
        return np.stack([weights[:, 0], np.zeros(1)])
    if cartan_type.rank == 2:
        return weights.T
    units = roots / np.linalg.norm(roots, axis=1)[:, None]
    vector = np.abs(np.linalg.eigh(units @ units.T)[1][:, 0])
    black = _bipartition(cartan_type)
    dual = np.linalg.inv(units).T
    first = (vector * black) @ dual
    second = (vector * ~black) @ dual
    first /= np.linalg.norm(first)
    second -= (second @ first) * first
    second /= np.linalg.norm(second)
    return np.stack([first, second]) @ weights.T


def positions(cartan_type: CartanType, weights: ArrayLike) -> Array:
    """(n, 2) points of weights (n, r) in Dynkin labels.

    Raises:
        ConfigError: labels of another rank.
    """
    labels = np.asarray(weights, dtype=np.float64)
    if labels.ndim != 2 or labels.shape[1] != cartan_type.rank:
        raise ConfigError(f"expected weights of shape (n, {cartan_type.rank}), got {labels.shape}")
    return labels @ plane(cartan_type).T


def _root_vectors(cartan_type: CartanType) -> Array:
    """(r, r) simple roots in orthonormal coordinates, the first along the first axis."""
    half = np.array([float(d) for d in cartan_type.half_lengths])
    gram = cartan_type.cartan_matrix * half[None, :]  # (a_i, a_j)
    return np.linalg.cholesky(gram)


def _bipartition(cartan_type: CartanType) -> Array:
    """Every second node of the Dynkin diagram."""
    colour = {0: True}
    frontier = [0]
    while frontier:
        i = frontier.pop()
        for j in np.flatnonzero(cartan_type.cartan_matrix[i]).tolist():
            if j not in colour:
                colour[j] = not colour[i]
                frontier.append(j)
    return np.array([colour[i] for i in range(cartan_type.rank)])
