"""Irreps (k, n) of the Lorentz group, their couplings, real forms and behaviour under P and T.

so(1,3) is two copies of su(2): k is the spin under J + iK, n under J - iK, so that (1/2, 0) is the
left-handed Weyl spinor (boost exp(-rapidity.sigma / 2)), (0, 1/2) the right-handed one and (1/2, 1/2) the
four-vector.
The basis is |k, a> (x) |n, b> with a = k ... -k and b = n ... -n, b running fastest. Half-integer k + n are
representations of the double cover SL(2, C). Source: arXiv:2006.04780, section 2; Weinberg I, section 5.6.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from scipy.linalg import expm

from eqviz.errors import ConfigError
from eqviz.groups.cache import cached_tables
from eqviz.groups.elements import Array
from eqviz.groups.rotations import cg_table, spin_matrices, spin_text, twice_spin

Label = tuple[Fraction, Fraction]


def parse_label(label: tuple[Any, ...], group: str) -> tuple[int, int]:
    """(2k, 2n) from a label (k, n) of half-integers."""
    if len(label) != 2:
        raise ConfigError(f"expected an irrep label (k, n) of two spins for {group}, got {label!r}")
    return twice_spin(label[0], "spin k"), twice_spin(label[1], "spin n")


def label_text(k: int, n: int) -> str:
    """``(1/2, 0)`` from (2k, 2n) = (1, 0)."""
    return f"({spin_text(k)}, {spin_text(n)})"


@lru_cache(maxsize=256)
def irrep_generators(k: int, n: int) -> Array:
    """(6, d, d) Jx, Jy, Jz, Kx, Ky, Kz for (2k, 2n); exp(rapidity.K) is an active boost."""
    left = np.kron(spin_matrices(k), np.eye(n + 1))
    right = np.stack([np.kron(np.eye(k + 1), j) for j in spin_matrices(n)])
    made = np.concatenate([-1j * (left + right), right - left])
    made.setflags(write=False)
    return made


def irrep_exponential(k: int, n: int, coefficients: tuple[float, ...]) -> Array:
    """exp of the generators as the product of its two commuting halves."""
    angle, rapidity = np.array(coefficients[:3]), np.array(coefficients[3:])
    return np.kron(_half(k, angle, -rapidity), _half(n, angle, rapidity))


def _half(twice: int, angle: Array, rapidity: Array) -> Array:
    """exp((-i angle + rapidity).J)."""
    j = spin_matrices(twice)
    if not rapidity.any() or not angle.any():  # Hermitian up to a factor: exact eigenvectors
        factor = 1.0 if rapidity.any() else -1j
        values, vectors = np.linalg.eigh(np.tensordot(rapidity if rapidity.any() else angle, j, axes=1))
        return (vectors * np.exp(factor * values)) @ vectors.conj().T
    return expm(np.tensordot(rapidity - 1j * angle, j, axes=1))


def product_labels(first: tuple[int, int], second: tuple[int, int]) -> list[tuple[int, int]]:
    """(2k, 2n) of all irreps in a product, once each."""
    left, right = (range(abs(a - b), a + b + 1, 2) for a, b in zip(first, second))
    return [(k, n) for k in left for n in right]


def lorentz_cg_table(first: tuple[int, int], second: tuple[int, int], third: tuple[int, int]) -> Array:
    """(d1, d2, d3) real couplings: the product of two SU(2) tables; labels are (2k, 2n)."""
    left = cg_table(first[0], second[0], third[0])
    right = cg_table(first[1], second[1], third[1])
    table = np.einsum("abc,def->adbecf", left, right)
    sizes = [(k + 1) * (n + 1) for k, n in (first, second, third)]
    return table.reshape(sizes)


def all_tables(spin: Any = "3/2") -> dict[str, Array]:
    """Every coupling among the irreps with k, n <= spin, keyed ``"(1/2, 1/2) x (1/2, 1/2) -> (1, 1)"``.

    Read from the cache, or worked out and stored there.
    """
    top = twice_spin(spin)
    if top > 6:
        raise ConfigError(f"expected a largest spin of at most 3 (the tables grow as spin^9), got {spin}")
    return cached_tables(f"lorentz couplings up to {spin_text(top)}", lambda: build_tables(top))


def build_tables(top: int) -> dict[str, Array]:
    """The tables of :func:`all_tables`, computed; ``top`` is twice the largest spin."""
    labels = [(k, n) for k in range(top + 1) for n in range(top + 1)]
    made = {}
    for first, second in product(labels, repeat=2):
        for third in product_labels(first, second):
            if max(third) <= top:
                key = f"{label_text(*first)} x {label_text(*second)} -> {label_text(*third)}"
                made[key] = lorentz_cg_table(first, second, third)
    return made


def swap_matrix(k: int, n: int) -> Array:
    """The map |a> (x) |b> to |b> (x) |a> from (k, n) to (n, k), for (2k, 2n)."""
    size = (k + 1) * (n + 1)
    swap = np.zeros((size, size))
    a, b = np.divmod(np.arange(size), n + 1)
    swap[b * (k + 1) + a, np.arange(size)] = 1.0
    return swap


def full_irrep_matrices(k: int, n: int, parity: int, time_reversal: int) -> tuple[Array, Array, str]:
    """Generators, P and T of an irrep of O(1,3), and its name; labels (2k, 2n) with k >= n.

    P exchanges J + iK and J - iK, so that k != n come in pairs (k, n) + (n, k). For k = n, ``parity`` +1 is
    that of a tensor of rank 2k (time components even). ``time_reversal`` is the sign of P T relative to the
    tensor's (-1)^(2k): +1 for tensors made of momenta.
    """
    base = irrep_generators(k, n)
    sign = parity * (-1) ** k
    if k == n:
        generators, p = base, sign * swap_matrix(k, n)
        name = f"({spin_text(k)}, {spin_text(n)})"
    else:
        other = irrep_generators(n, k)
        size = base.shape[1]
        generators = np.zeros((6, 2 * size, 2 * size), dtype=np.complex128)
        generators[:, :size, :size], generators[:, size:, size:] = base, other
        p = np.zeros((2 * size, 2 * size))
        p[size:, :size], p[:size, size:] = swap_matrix(k, n), swap_matrix(n, k)
        name = f"({spin_text(k)}, {spin_text(n)}) + ({spin_text(n)}, {spin_text(k)})"
    total = time_reversal * (-1) ** k
    marks = ("" if parity > 0 else " odd P") + ("" if time_reversal > 0 else " odd PT")
    return generators, np.stack([p, total * p]), name + marks
