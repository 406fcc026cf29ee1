"""All permutation-equivariant linear maps between tensors over n particles, for any n.

There is one map per partition of the input's and output's indices into sets: indices of a set are equal, sets
of input indices alone are summed over, sets of output indices alone are filled. From order a to order b this
gives Bell(a + b) maps, 1, 2, 5, 15 ... (fewer if n < a + b). Source: H. Maron et al., arXiv:1812.09902; the
channels may carry any other group, whose own equivariant maps multiply these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from eqviz.errors import ConfigError
from eqviz.groups.clebsch_gordan import intertwiners
from eqviz.groups.elements import Array
from eqviz.groups.representation import Representation

MAX_INDICES = 8
MAX_NUMBERS = 50_000_000


def set_partitions(m: int) -> Iterator[tuple[int, ...]]:
    """Partitions of m indices as restricted growth strings: ``(0, 1, 0)`` puts indices 0 and 2 together."""
    if m == 0:
        yield ()
        return
    for rest in set_partitions(m - 1):
        for block in range(max(rest, default=-1) + 2):
            yield (*rest, block)


@lru_cache(maxsize=64)
def equivariant_partitions(n: int, order_in: int, order_out: int) -> tuple[tuple[int, ...], ...]:
    """The partitions that label the maps; input indices first. With n particles at most n sets are different.

    Raises:
        ConfigError: negative orders, more than 8 indices, or no particles.
    """
    orders = (order_in, order_out)
    if not all(isinstance(o, int) and o >= 0 for o in orders) or sum(orders) > MAX_INDICES or n < 1:
        raise ConfigError(
            f"expected n >= 1 and orders >= 0 of together at most {MAX_INDICES}, got n = {n}, orders {orders}"
        )
    return tuple(p for p in set_partitions(sum(orders)) if max(p, default=-1) < n)


def equivariant_maps(x: Array, order_in: int, order_out: int) -> Array:
    """Every map applied to ``x``, without building matrices.

    Args:
        x: (..., n, ..., n) with ``order_in`` particle axes last (channels come before them).
        order_in, order_out: orders of the tensors.

    Returns:
        (m, ..., n, ..., n) with ``order_out`` particle axes, m as in :func:`equivariant_partitions`.
    """
    array = np.asarray(x)
    if array.ndim < order_in or len(set(array.shape[array.ndim - order_in :])) > 1:
        raise ConfigError(f"expected {order_in} particle axes of one length at the end, got {array.shape}")
    if not order_in:
        raise ConfigError("an order-0 input does not say how many particles there are; use fill_maps")
    n = array.shape[-1]
    lead = array.shape[: array.ndim - order_in]
    partitions = equivariant_partitions(n, order_in, order_out)
    out = np.zeros((len(partitions), *lead, *[n] * order_out), dtype=np.result_type(array, np.float64))
    for target, partition in zip(out, partitions):
        _apply(array, partition[:order_in], partition[order_in:], target)
    return out


def fill_maps(x: Array, n: int, order_out: int) -> Array:
    """The same from order 0: ``x`` (...) spread over the diagonals of (m, ..., n, ..., n)."""
    array = np.asarray(x)
    partitions = equivariant_partitions(n, 0, order_out)
    out = np.zeros((len(partitions), *array.shape, *[n] * order_out), dtype=np.result_type(array, np.float64))
    for target, partition in zip(out, partitions):
        _apply(array, (), partition, target)
    return out


def _apply(x: Array, source: Sequence[int], goal: Sequence[int], out: Array) -> None:
    """Diagonals and sums of ``x`` by the sets of ``source``, written on the diagonals of ``out``."""
    lead = list(range(20, 20 + x.ndim - len(source)))
    shared = [block for block in dict.fromkeys(goal) if block in source]
    reduced = np.einsum(x, [*lead, *source], [*lead, *shared])
    order = list(dict.fromkeys(goal))
    view = np.einsum(out, [*lead, *goal], [*lead, *order])  # a writable view of the diagonals
    missing = tuple(len(lead) + i for i, block in enumerate(order) if block not in shared)
    view[...] = np.expand_dims(reduced, missing)


def equivariant_basis(n: int, order_in: int, order_out: int) -> Array:
    """(m, n^order_out, n^order_in) matrices of the maps, entries 0 and 1; linearly independent.

    For n < order_in + order_out the partitions with more than n sets are left out.

    Raises:
        ConfigError: as :func:`equivariant_partitions`, or more than fifty million numbers.
    """
    partitions = equivariant_partitions(n, order_in, order_out)
    size = len(partitions) * n ** (order_in + order_out)
    if size > MAX_NUMBERS:
        raise ConfigError(
            f"the matrices of {len(partitions)} maps for n = {n} hold {size} numbers, over {MAX_NUMBERS}; "
            "use equivariant_maps, which needs none"
        )
    if not order_in:
        return fill_maps(np.ones(1), n, order_out).reshape(len(partitions), 1, -1).swapaxes(1, 2)
    units = np.eye(n**order_in).reshape(-1, *[n] * order_in)
    images = equivariant_maps(units, order_in, order_out)
    return images.reshape(len(partitions), n**order_in, -1).swapaxes(1, 2)


def channel_maps(
    n: int, order_in: int, order_out: int, channels_in: Representation, channels_out: Representation
) -> tuple[Array, Array]:
    """Maps that respect permutations of particles and another group's action on the channels.

    Returns:
        the particle part (m, n^order_out, n^order_in) and the channel part (c, d_out, d_in): all m c
        products (Kronecker) are the equivariant maps.
    """
    return equivariant_basis(n, order_in, order_out), intertwiners(channels_in, channels_out)
