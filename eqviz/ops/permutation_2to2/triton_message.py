"""PELICAN's mixing and message on a GPU in one go: the mixed pair tensor exists for BO channels at a time.

A program works on BI x BJ pairs i <= j of one jet, both rows of each. For every BO of the O mixed channels it
makes x of both rows, in registers, and adds its part of the message; the backward pass makes x again.

``tiles`` (K, 6) holds first node, size, first row "ij" of the jet, rows from "ij" to "ji", and where in the
jet receivers and senders of a tile start. Weights are padded with zeros and come twice, as they are and
transposed, so that every product reads them along its sum. ``arrive_kernel`` makes the gradient before the
last rectifier, ``gradient_kernel`` those of pairs and nodes; ``triton_weights.py`` those of weights.
"""

from __future__ import annotations

import triton
import triton.language as tl

from eqviz.ops.permutation_2to2.triton import leaky, pair_places
from eqviz.ops.triton import load_rows, load_vector, store_rows, store_vector

TILE = {"BI": 8, "BJ": 8}
CHUNK = {"BO": 32}
OPTIONS = {"num_warps": 8, "num_stages": 1}
GRADIENT_CHUNK = {"BO": 16}
GRADIENT_OPTIONS = {"num_warps": 4, "num_stages": 1}


@triton.jit
def tile_rows(tiles, k, part, BI: tl.constexpr, BJ: tl.constexpr):
    """Of BI * BJ pairs, from receiver ``part`` of tile k on: the jet's first rows of both kinds, rows from
    there on, which are pairs, which are (i, i); first receiver and sender, and nodes from there on.

    Places within a jet are 32 bits: addresses of 64 bits are what registers run out for.
    """
    size, half = tl.load(tiles + 6 * k + 1).to(tl.int32), tl.load(tiles + 6 * k + 3)
    i0, j0 = tl.load(tiles + 6 * k + 4).to(tl.int32) + part, tl.load(tiles + 6 * k + 5).to(tl.int32)
    start, base = tl.load(tiles + 6 * k), tl.load(tiles + 6 * k + 2)
    row = tl.arange(0, BI * BJ)
    i, j = i0 + row // BJ, j0 + row % BJ
    at = i * size - i * (i - 1) // 2 + j - i
    valid, same = (i <= j) & (j < size), i == j
    return base, base + half, at, valid, same, start + i0, start + j0, size - i0, size - j0


@triton.jit
def load_parts(
    a, base, mirror, at, valid, C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, ACC: tl.constexpr,
    DOT: tl.constexpr,
):  # fmt: skip
    """a_ij + a_ji and a_ij - a_ji as factors of products."""
    x = load_rows(a + base * C, at, valid, C, LO, HI, ACC)
    y = load_rows(a + mirror * C, at, valid, C, LO, HI, ACC)
    even = (x[0] + y[0]).to(DOT), (x[1] + y[1]).to(DOT)
    return even, ((x[0] - y[0]).to(DOT), (x[1] - y[1]).to(DOT))


@triton.jit
def load_columns(
    w, o, WIDE: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, BO: tl.constexpr, DOT: tl.constexpr
):
    """Columns o .. o + BO of padded weights (LO + HI, WIDE), as (LO, BO) and (HI, BO)."""
    place = tl.arange(0, LO)[:, None] * WIDE + tl.arange(0, BO)[None, :]
    first = tl.load(w + o + place).to(DOT)
    second = first
    if HI > 0:
        place = (LO + tl.arange(0, HI)[:, None]) * WIDE + tl.arange(0, BO)[None, :]
        second = tl.load(w + o + place).to(DOT)
    return first, second


@triton.jit
def load_chunk(w, o, LO: tl.constexpr, HI: tl.constexpr, BO: tl.constexpr, DOT: tl.constexpr):
    """Rows o .. o + BO of padded weights (WIDE, LO + HI)."""
    row = tl.arange(0, BO)[:, None] * (LO + HI)
    first = tl.load(w + o * (LO + HI) + (row + tl.arange(0, LO)[None, :])).to(DOT)
    second = first
    if HI > 0:
        second = tl.load(w + o * (LO + HI) + (row + LO + tl.arange(0, HI)[None, :])).to(DOT)
    return first, second


@triton.jit
def to_chunk(x, w, HI: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr):
    """x w^T for rows x and BO rows w."""
    out = tl.dot(x[0], tl.trans(w[0]), input_precision=PRECISION, out_dtype=ACC)
    if HI > 0:
        out = tl.dot(x[1], tl.trans(w[1]), out, input_precision=PRECISION, out_dtype=ACC)
    return out


@triton.jit
def from_chunk(z, w, first, second, HI: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr):
    """z w^T for BO channels z and columns w, added to both blocks."""
    first = tl.dot(z, tl.trans(w[0]), first, input_precision=PRECISION, out_dtype=ACC)
    if HI > 0:
        second = tl.dot(z, tl.trans(w[1]), second, input_precision=PRECISION, out_dtype=ACC)
    return first, second


@triton.jit
def load_nodes(x, node, count, o, OUT: tl.constexpr, N: tl.constexpr, BO: tl.constexpr, ACC: tl.constexpr):
    """Channels o .. o + BO of N nodes, ``count`` of which there are."""
    row, column = tl.arange(0, N)[:, None], tl.arange(0, BO)[None, :]
    inside = (row < count) & (column < OUT - o)
    return tl.load(x + node * OUT + o + (row * OUT + column), mask=inside, other=0.0).to(ACC)


@triton.jit
def add_nodes(x, value, node, count, o, OUT: tl.constexpr, N: tl.constexpr, BO: tl.constexpr):
    """Add to channels o .. o + BO of N nodes; other programs do so, too."""
    row, column = tl.arange(0, N)[:, None], tl.arange(0, BO)[None, :]
    inside = (row < count) & (column < OUT - o)
    tl.atomic_add(x + node * OUT + o + (row * OUT + column), value, mask=inside, sem="relaxed")


@triton.jit
def mixed(
    even, odd, we, wo, u, v, d, same, inode, jnode, icount, jcount, o,
    OUT: tl.constexpr, HI: tl.constexpr, BI: tl.constexpr, BJ: tl.constexpr, BO: tl.constexpr,
    ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Channels o .. o + BO of both rows of x, before the rectifier."""
    e, f = to_chunk(even, we, HI, ACC, PRECISION), to_chunk(odd, wo, HI, ACC, PRECISION)
    own = load_nodes(d, inode, icount, o, OUT, BI, BO, ACC)
    own = tl.broadcast_to(own[:, None, :], (BI, BJ, BO)).reshape(BI * BJ, BO)
    e += tl.where(same[:, None], own, 0.0)
    ui, vi = (
        load_nodes(u, inode, icount, o, OUT, BI, BO, ACC),
        load_nodes(v, inode, icount, o, OUT, BI, BO, ACC),
    )
    uj, vj = (
        load_nodes(u, jnode, jcount, o, OUT, BJ, BO, ACC),
        load_nodes(v, jnode, jcount, o, OUT, BJ, BO, ACC),
    )
    there = (ui[:, None, :] + vj[None, :, :]).reshape(BI * BJ, BO)
    back = (vi[:, None, :] + uj[None, :, :]).reshape(BI * BJ, BO)
    return e + f + there, e - f + back


@triton.jit(do_not_specialize=["n_tiles"])
def message_kernel(
    a, even, odd, u, v, d, weight, bias, shift, tiles, out, squares, n_tiles,
    C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, M: tl.constexpr, MLO: tl.constexpr,
    MHI: tl.constexpr, OUT: tl.constexpr, WIDE: tl.constexpr, SQUARES: tl.constexpr, SLOPE: tl.constexpr,
    BI: tl.constexpr, BJ: tl.constexpr, BO: tl.constexpr, ACC: tl.constexpr,
    DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """leaky(W x + b) of all rows, and of each program the sum of its squares, taken from ``shift``."""
    R: tl.constexpr = BI * BJ
    HALF: tl.constexpr = MHI if MHI > 0 else MLO
    s0, s1 = tl.zeros((MLO,), ACC), tl.zeros((HALF,), ACC)
    for k in range(tl.program_id(0), n_tiles, tl.num_programs(0)):
        base, mirror, at, valid, same, inode, jnode, icount, jcount = tile_rows(tiles, k, 0, BI, BJ)
        e, f = load_parts(a, base, mirror, at, valid, C, LO, HI, ACC, DOT)
        y0, y1 = tl.zeros((R, MLO), ACC), tl.zeros((R, HALF), ACC)
        z0, z1 = tl.zeros((R, MLO), ACC), tl.zeros((R, HALF), ACC)
        for o in range(0, OUT, BO):
            we, wo = load_chunk(even, o, LO, HI, BO, DOT), load_chunk(odd, o, LO, HI, BO, DOT)
            x, t = mixed(
                e, f, we, wo, u, v, d, same, inode, jnode, icount, jcount, o, OUT, HI, BI, BJ, BO, ACC,
                PRECISION,
            )  # fmt: skip
            w = load_columns(weight, o, WIDE, MLO, MHI, BO, DOT)
            y0, y1 = from_chunk(leaky(x, SLOPE).to(DOT), w, y0, y1, MHI, ACC, PRECISION)
            z0, z1 = from_chunk(leaky(t, SLOPE).to(DOT), w, z0, z1, MHI, ACC, PRECISION)
        b, centre = load_vector(bias, M, MLO, MHI, ACC), load_vector(shift, M, MLO, MHI, ACC)
        y0, y1 = leaky(y0 + b[0][None, :], SLOPE), leaky(y1 + b[1][None, :], SLOPE)
        store_rows(out + base * M, (y0, y1), at, valid, M, MLO, MHI)
        z0, z1 = leaky(z0 + b[0][None, :], SLOPE), leaky(z1 + b[1][None, :], SLOPE)
        store_rows(out + mirror * M, (z0, z1), at, valid, M, MLO, MHI)
        if SQUARES:
            real = valid[:, None]
            y0, z0 = (
                tl.where(real, y0 - centre[0][None, :], 0.0),
                tl.where(real, z0 - centre[0][None, :], 0.0),
            )
            s0 += tl.sum(y0 * y0 + z0 * z0, axis=0)
            if MHI > 0:
                y1 = tl.where(real, y1 - centre[1][None, :], 0.0)
                z1 = tl.where(real, z1 - centre[1][None, :], 0.0)
                s1 += tl.sum(y1 * y1 + z1 * z1, axis=0)
    store_vector(squares + tl.program_id(0) * M, (s0, s1), M, MLO, MHI)


@triton.jit
def arrived(
    grad, out, at, valid, rows, columns, diagonal, i, j, same, factor, centre, square,
    M: tl.constexpr, MLO: tl.constexpr, MHI: tl.constexpr, SLOPE: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """The gradient of one row from everything that it goes into, before the rectifier."""
    g, y = load_rows(grad, at, valid, M, MLO, MHI, ACC), load_rows(out, at, valid, M, MLO, MHI, ACC)
    r, c = load_rows(rows, i, valid, M, MLO, MHI, ACC), load_rows(columns, j, valid, M, MLO, MHI, ACC)
    own = load_rows(diagonal, i, valid & same, M, MLO, MHI, ACC)
    g0 = g[0] + (r[0] + c[0] + own[0]) * factor + 2 * square[0][None, :] * (y[0] - centre[0][None, :])
    g1 = g[1] + (r[1] + c[1] + own[1]) * factor + 2 * square[1][None, :] * (y[1] - centre[1][None, :])
    g0, g1 = tl.where(y[0] > 0, g0, g0 * SLOPE), tl.where(y[1] > 0, g1, g1 * SLOPE)
    return tl.where(valid[:, None], g0, 0.0), tl.where(valid[:, None], g1, 0.0)


@triton.jit(do_not_specialize=["n_pairs"])
def arrive_kernel(
    grad, out, rows, columns, diagonal, square, shift, first, second, places, d_y, d_bias, n_pairs,
    M: tl.constexpr, MLO: tl.constexpr, MHI: tl.constexpr, R: tl.constexpr, SLOPE: tl.constexpr,
    ACC: tl.constexpr,
):  # fmt: skip
    """Gradient of W x + b, (R, M), and of each program the sum over its rows."""
    HALF: tl.constexpr = MHI if MHI > 0 else MLO
    b0, b1 = tl.zeros((MLO,), ACC), tl.zeros((HALF,), ACC)
    centre, weight = load_vector(shift, M, MLO, MHI, ACC), load_vector(square, M, MLO, MHI, ACC)
    for t0 in range(tl.program_id(0) * R, n_pairs, tl.num_programs(0) * R):
        t = t0 + tl.arange(0, R)
        valid = t < n_pairs
        i, j, at, mirror = pair_places(first, second, places, t, valid)
        same = i == j
        factor = tl.where(same, 0.5, 1.0)[:, None]
        g = arrived(
            grad, out, at, valid, rows, columns, diagonal, i, j, same, factor, centre, weight,
            M, MLO, MHI, SLOPE, ACC,
        )  # fmt: skip
        store_rows(d_y, g, at, valid, M, MLO, MHI)
        b0, b1 = b0 + tl.sum(g[0], axis=0), b1 + tl.sum(g[1], axis=0)
        g = arrived(
            grad, out, mirror, valid, rows, columns, diagonal, j, i, same, factor, centre, weight,
            M, MLO, MHI, SLOPE, ACC,
        )  # fmt: skip
        store_rows(d_y, g, mirror, valid, M, MLO, MHI)
        b0, b1 = b0 + tl.sum(g[0], axis=0), b1 + tl.sum(g[1], axis=0)
    store_vector(d_bias + tl.program_id(0) * M, (b0, b1), M, MLO, MHI)


@triton.jit(do_not_specialize=["n_tiles"])
def gradient_kernel(
    a, d_y, even, odd, even_t, odd_t, weight_t, u, v, d, tiles, d_a, d_u, d_v, d_d, n_tiles,
    C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, M: tl.constexpr, MLO: tl.constexpr,
    MHI: tl.constexpr, OUT: tl.constexpr, WIDE: tl.constexpr, SLOPE: tl.constexpr, BI: tl.constexpr,
    BJ: tl.constexpr, BO: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Of a, and of u, v and D, which are zero before."""
    R: tl.constexpr = BI * BJ
    HALF: tl.constexpr = HI if HI > 0 else 16
    for k in range(tl.program_id(0), n_tiles, tl.num_programs(0)):
        base, mirror, at, valid, same, inode, jnode, icount, jcount = tile_rows(tiles, k, 0, BI, BJ)
        e, f = load_parts(a, base, mirror, at, valid, C, LO, HI, ACC, DOT)
        y = load_rows(d_y + base * M, at, valid, M, MLO, MHI, DOT)
        z = load_rows(d_y + mirror * M, at, valid, M, MLO, MHI, DOT)
        e0, e1 = tl.zeros((R, LO), ACC), tl.zeros((R, HALF), ACC)
        f0, f1 = tl.zeros((R, LO), ACC), tl.zeros((R, HALF), ACC)
        for o in range(0, OUT, BO):
            we, wo = load_chunk(even, o, LO, HI, BO, DOT), load_chunk(odd, o, LO, HI, BO, DOT)
            x, t = mixed(
                e, f, we, wo, u, v, d, same, inode, jnode, icount, jcount, o, OUT, HI, BI, BJ, BO, ACC,
                PRECISION,
            )  # fmt: skip
            w = load_chunk(weight_t, o, MLO, MHI, BO, DOT)
            g = to_chunk(y, w, MHI, ACC, PRECISION)
            g = tl.where(x > 0, g, g * SLOPE)
            h = to_chunk(z, w, MHI, ACC, PRECISION)
            h = tl.where(t > 0, h, h * SLOPE)
            cube = g.reshape(BI, BJ, BO)
            add_nodes(d_u, tl.sum(cube, axis=1), inode, icount, o, OUT, BI, BO)
            add_nodes(d_v, tl.sum(cube, axis=0), jnode, jcount, o, OUT, BJ, BO)
            cube = h.reshape(BI, BJ, BO)
            add_nodes(d_v, tl.sum(cube, axis=1), inode, icount, o, OUT, BI, BO)
            add_nodes(d_u, tl.sum(cube, axis=0), jnode, jcount, o, OUT, BJ, BO)
            if inode == jnode:
                cube = tl.where(same[:, None], g + h, 0.0).reshape(BI, BJ, BO)
                add_nodes(d_d, tl.sum(cube, axis=1), inode, icount, o, OUT, BI, BO)
            w = load_columns(even_t, o, WIDE, LO, HI, BO, DOT)
            e0, e1 = from_chunk((g + h).to(DOT), w, e0, e1, HI, ACC, PRECISION)
            w = load_columns(odd_t, o, WIDE, LO, HI, BO, DOT)
            f0, f1 = from_chunk((g - h).to(DOT), w, f0, f1, HI, ACC, PRECISION)
        store_rows(d_a + base * C, (e0 + f0, e1 + f1), at, valid, C, LO, HI)
        store_rows(d_a + mirror * C, (e0 - f0, e1 - f1), at, valid, C, LO, HI)
