"""Pair tensors in mirrored rows on a GPU: what a mixing does around its matrix products, and sums over pairs.

Pair t = (i, j), i <= j, has its two rows at ``base + t`` and ``base + t + half``; ``places`` (n, 5) holds for
each node the first node, the size and the first pair of its jet, and that base and half.
"""

from __future__ import annotations

import triton
import triton.language as tl

from eqviz.ops.triton import load_rows, store_rows, store_vector

ROWS = {"R": 16}
OPTIONS = {"num_warps": 4, "num_stages": 1}
NODE_BLOCK = {"BJ": 16}


@triton.jit
def leaky(x, SLOPE: tl.constexpr):
    return tl.where(x > 0, x, x * SLOPE)


@triton.jit
def through_leaky(grad, x, SLOPE: tl.constexpr):
    """The gradient before the rectifier, from its results x."""
    return (
        tl.where(x[0] > 0, grad[0], grad[0] * SLOPE),
        tl.where(x[1] > 0, grad[1], grad[1] * SLOPE),
    )


@triton.jit
def pair_places(first, second, places, t, valid):
    """Nodes i and j of pairs t and the places of their two rows."""
    i, j = tl.load(first + t, mask=valid, other=0), tl.load(second + t, mask=valid, other=0)
    at = tl.load(places + 5 * i + 3, mask=valid, other=0) + t
    return i, j, at, at + tl.load(places + 5 * i + 4, mask=valid, other=0)


@triton.jit(do_not_specialize=["n_pairs"])
def mix_kernel(
    even, odd, u, v, d, first, second, places, out, n_pairs,
    C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, R: tl.constexpr, SLOPE: tl.constexpr,
    ACC: tl.constexpr,
):  # fmt: skip
    """leaky(even + odd + u_i + v_j + delta_ij D_i), and with -odd, u_j and v_i for the row (j, i)."""
    for t0 in range(tl.program_id(0) * R, n_pairs, tl.num_programs(0) * R):
        t = t0 + tl.arange(0, R)
        valid = t < n_pairs
        i, j, at, mirror = pair_places(first, second, places, t, valid)
        e, o = load_rows(even, t, valid, C, LO, HI, ACC), load_rows(odd, t, valid, C, LO, HI, ACC)
        same = load_rows(d, i, valid & (i == j), C, LO, HI, ACC)
        e0, e1 = e[0] + same[0], e[1] + same[1]
        r, s = load_rows(u, i, valid, C, LO, HI, ACC), load_rows(v, j, valid, C, LO, HI, ACC)
        z = (leaky(e0 + o[0] + r[0] + s[0], SLOPE), leaky(e1 + o[1] + r[1] + s[1], SLOPE))
        store_rows(out, z, at, valid, C, LO, HI)
        r, s = load_rows(u, j, valid, C, LO, HI, ACC), load_rows(v, i, valid, C, LO, HI, ACC)
        z = (leaky(e0 - o[0] + r[0] + s[0], SLOPE), leaky(e1 - o[1] + r[1] + s[1], SLOPE))
        store_rows(out, z, mirror, valid, C, LO, HI)


@triton.jit(do_not_specialize=["n_nodes"])
def sums_kernel(
    x, y, places, rows, columns, diagonal, n_nodes,
    C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, BJ: tl.constexpr, ACC: tl.constexpr,
    SLOPE: tl.constexpr, GRADIENT: tl.constexpr,
):  # fmt: skip
    """Row sums, column sums and diagonal of x (R, C), a program per node, in a fixed order.

    GRADIENT: of what :func:`mix_kernel` spreads, from the gradient x of its results y; a pair (i, i) then
    counts with the sum of its two rows, otherwise with their mean.
    """
    H: tl.constexpr = HI if HI > 0 else LO
    for node in range(tl.program_id(0), n_nodes, tl.num_programs(0)):
        size, start = tl.load(places + 5 * node + 1), tl.load(places + 5 * node)
        pair, half = tl.load(places + 5 * node + 2), tl.load(places + 5 * node + 4)
        base = tl.load(places + 5 * node + 3) + pair
        own = node - start
        r0, r1 = tl.zeros((LO,), ACC), tl.zeros((H,), ACC)
        c0, c1 = tl.zeros((LO,), ACC), tl.zeros((H,), ACC)
        d0, d1 = tl.zeros((LO,), ACC), tl.zeros((H,), ACC)
        for j0 in range(0, size.to(tl.int32), BJ):
            j = j0 + tl.arange(0, BJ).to(tl.int64)
            low, high = tl.minimum(own, j), tl.maximum(own, j)
            at = base + low * size - low * (low - 1) // 2 + high - low
            row, column = tl.where(own <= j, at, at + half), tl.where(own <= j, at + half, at)
            a, b = load_rows(x, row, j < size, C, LO, HI, ACC), load_rows(x, column, j < size, C, LO, HI, ACC)
            if GRADIENT:
                a = through_leaky(a, load_rows(y, row, j < size, C, LO, HI, ACC), SLOPE)
                b = through_leaky(b, load_rows(y, column, j < size, C, LO, HI, ACC), SLOPE)
            same = (j == own)[:, None]
            r0, r1 = (
                r0 + tl.sum(tl.where(same, 0.0, a[0]), axis=0),
                r1 + tl.sum(tl.where(same, 0.0, a[1]), axis=0),
            )
            c0, c1 = (
                c0 + tl.sum(tl.where(same, 0.0, b[0]), axis=0),
                c1 + tl.sum(tl.where(same, 0.0, b[1]), axis=0),
            )
            d0 += tl.sum(tl.where(same, a[0] + b[0], 0.0), axis=0)
            d1 += tl.sum(tl.where(same, a[1] + b[1], 0.0), axis=0)
        if not GRADIENT:
            d0, d1 = d0 * 0.5, d1 * 0.5
        store_vector(rows + node * C, (r0 + d0, r1 + d1), C, LO, HI)
        store_vector(columns + node * C, (c0 + d0, c1 + d1), C, LO, HI)
        store_vector(diagonal + node * C, (d0, d1), C, LO, HI)


@triton.jit(do_not_specialize=["n_pairs"])
def spread_kernel(
    rows, columns, diagonal, first, second, places, out, n_pairs,
    C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, R: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """The gradient of x (R, C) from those of its row sums, column sums and diagonal."""
    for t0 in range(tl.program_id(0) * R, n_pairs, tl.num_programs(0) * R):
        t = t0 + tl.arange(0, R)
        valid = t < n_pairs
        i, j, at, mirror = pair_places(first, second, places, t, valid)
        same = load_rows(diagonal, i, valid & (i == j), C, LO, HI, ACC)
        factor = tl.where(i == j, 0.5, 1.0)[:, None]
        r, c = load_rows(rows, i, valid, C, LO, HI, ACC), load_rows(columns, j, valid, C, LO, HI, ACC)
        z = ((r[0] + c[0] + same[0]) * factor, (r[1] + c[1] + same[1]) * factor)
        store_rows(out, z, at, valid, C, LO, HI)
        r, c = load_rows(rows, j, valid, C, LO, HI, ACC), load_rows(columns, i, valid, C, LO, HI, ACC)
        z = ((r[0] + c[0] + same[0]) * factor, (r[1] + c[1] + same[1]) * factor)
        store_rows(out, z, mirror, valid, C, LO, HI)


@triton.jit(do_not_specialize=["n_pairs"])
def split_kernel(
    x, y, first, second, places, even, odd, n_pairs,
    C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, R: tl.constexpr, ACC: tl.constexpr,
    SLOPE: tl.constexpr, GRADIENT: tl.constexpr,
):  # fmt: skip
    """x_ij + x_ji and x_ij - x_ji, (T, C) each; GRADIENT: of x taken through the rectifier with results y."""
    for t0 in range(tl.program_id(0) * R, n_pairs, tl.num_programs(0) * R):
        t = t0 + tl.arange(0, R)
        valid = t < n_pairs
        _, _, at, mirror = pair_places(first, second, places, t, valid)
        a, b = load_rows(x, at, valid, C, LO, HI, ACC), load_rows(x, mirror, valid, C, LO, HI, ACC)
        if GRADIENT:
            a = through_leaky(a, load_rows(y, at, valid, C, LO, HI, ACC), SLOPE)
            b = through_leaky(b, load_rows(y, mirror, valid, C, LO, HI, ACC), SLOPE)
        store_rows(even, (a[0] + b[0], a[1] + b[1]), t, valid, C, LO, HI)
        store_rows(odd, (a[0] - b[0], a[1] - b[1]), t, valid, C, LO, HI)


@triton.jit(do_not_specialize=["n_pairs"])
def join_kernel(
    even, odd, first, second, places, out, n_pairs,
    C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, R: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Rows even + odd for (i, j) and even - odd for (j, i): :func:`split_kernel`, transposed."""
    for t0 in range(tl.program_id(0) * R, n_pairs, tl.num_programs(0) * R):
        t = t0 + tl.arange(0, R)
        valid = t < n_pairs
        _, _, at, mirror = pair_places(first, second, places, t, valid)
        a, b = load_rows(even, t, valid, C, LO, HI, ACC), load_rows(odd, t, valid, C, LO, HI, ACC)
        store_rows(out, (a[0] + b[0], a[1] + b[1]), at, valid, C, LO, HI)
        store_rows(out, (a[0] - b[0], a[1] - b[1]), mirror, valid, C, LO, HI)
