"""Massless particles: the conformal group on wave functions over the light cone of momenta.

A massless particle of helicity h is a unitary, infinite-dimensional irrep of SU(2,2). It is written with two
pairs of oscillators: with psi = (a_1, a_2, b_1^+, b_2^+) every generator x acts as psi^+ h x psi, where
h = diag(1, 1, -1, -1) is the invariant form. States have n_b - n_a = 2h; momenta satisfy P^2 = 0
identically. States up to a level are kept: matrix elements are exact, products are exact below the edge.
Source: G. Mack, I. Todorov, J. Math. Phys. 10 (1969) 2078.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, spmatrix

from eqviz.errors import ConfigError
from eqviz.groups.conformal import twistor_generators
from eqviz.groups.elements import Array

State = tuple[int, int, int, int]
MAX_LEVELS = 40


@dataclass(frozen=True, eq=False)
class MasslessParticle:
    """A truncated massless irrep.

    Attributes:
        helicity: h.
        levels: highest n_a + n_b above the lowest one that is kept, divided by two.
        states: occupation numbers (n_a1, n_a2, n_b1, n_b2).
        generators: fifteen sparse anti-Hermitian matrices in the order of ``conformal.NAMES``.
        level: (D,) the level of each state, from 0.
    """

    helicity: Fraction
    levels: int
    states: tuple[State, ...]
    generators: tuple[spmatrix, ...]
    level: NDArray[np.int64]


def massless_particle(helicity: Any, levels: int = 8) -> MasslessParticle:
    """The massless particle of a helicity 0, +-1/2, +-1 ..., cut at a level.

    Raises:
        ConfigError: a helicity that is no half-integer, or not 2 to 40 levels.
    """
    try:
        twice = Fraction(helicity) * 2
    except (TypeError, ValueError) as error:
        raise ConfigError(f"expected a helicity 0, 1/2, -1 ..., got {helicity!r}") from error
    if twice.denominator != 1 or abs(twice) > 20:
        raise ConfigError(f"expected a half-integer helicity up to 10, got {helicity!r}")
    if not isinstance(levels, int) or not 2 <= levels <= MAX_LEVELS:
        raise ConfigError(f"expected 2 to {MAX_LEVELS} levels, got {levels!r}")
    states = _states(int(twice), levels)
    index = {state: i for i, state in enumerate(states)}
    level = np.array([min(s[0] + s[1], s[2] + s[3]) for s in states])
    bilinears = {(i, j): _bilinear(states, index, i, j) for i in range(4) for j in range(4)}
    made = []
    for x in diagonal_twistor_generators():
        total = sum(x[i, j] * bilinears[i, j] for i, j in bilinears if abs(x[i, j]) > 1e-13)
        made.append(csr_matrix(total))
    return MasslessParticle(twice / 2, levels, tuple(states), tuple(made), level)


def diagonal_twistor_generators() -> Array:
    """(15, 4, 4) twistor generators in a basis with x^+ h + h x = 0 for h = diag(1, 1, -1, -1)."""
    x = twistor_generators()
    # the invariant Hermitian form: x^+ h + h x = 0 for all generators, unique up to a factor
    equations = [np.kron(m.conj().T, np.eye(4)) + np.kron(np.eye(4), m.T) for m in x]
    form = np.linalg.svd(np.concatenate(equations))[2][-1].conj().reshape(4, 4)
    pivot = form.ravel()[np.argmax(np.abs(form))]
    hermitian = form * np.conj(pivot) / abs(pivot)
    if not np.allclose(hermitian, hermitian.conj().T, atol=1e-9):
        hermitian = hermitian * 1j
    values, vectors = np.linalg.eigh(hermitian)
    order = np.argsort(-values)
    basis = vectors[:, order] / np.sqrt(np.abs(values[order]))
    moved = np.linalg.inv(basis) @ x @ basis
    # exp(t P_t) is exp(i E t): of the two orders of the blocks one has positive energies
    return moved if _energy_sign(moved) > 0 else moved[:, [2, 3, 0, 1]][:, :, [2, 3, 0, 1]]


def _energy_sign(x: Array) -> float:
    """The sign of E = -i P_t in the vacuum of the oscillators."""
    return float(np.real(-1j * (np.trace(x[7, :2, :2]) - np.trace(x[7, 2:, 2:]))))


def _states(twice: int, levels: int) -> list[State]:
    found = []
    for pairs in range(levels + 1):
        n_a, n_b = pairs + max(-twice, 0), pairs + max(twice, 0)
        found += [(i, n_a - i, j, n_b - j) for i in range(n_a, -1, -1) for j in range(n_b, -1, -1)]
    return found


def _bilinear(states: list[State], index: dict[State, int], i: int, j: int) -> csr_matrix:
    """phi_i psi_j with phi = (a_1^+, a_2^+, -b_1, -b_2) and psi = (a_1, a_2, b_1^+, b_2^+)."""
    rows, columns, values = [], [], []
    for column, state in enumerate(states):
        factor, moved = _ladder(1.0, state, j, raising=j >= 2)
        factor, moved = _ladder(factor, moved, i, raising=i < 2)
        row = index.get(moved)
        if factor and row is not None:
            rows.append(row)
            columns.append(column)
            values.append(factor if i < 2 else -factor)
    return csr_matrix((values, (rows, columns)), shape=(len(states), len(states)))


def _ladder(factor: float, state: State, mode: int, raising: bool) -> tuple[float, State]:
    n = state[mode]
    moved = list(state)
    moved[mode] = n + 1 if raising else n - 1
    factor *= np.sqrt(n + 1 if raising else n)
    return factor, (moved[0], moved[1], moved[2], moved[3])
