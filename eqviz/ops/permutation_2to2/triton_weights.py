"""Gradients of the weights of PELICAN's mixing and message on a GPU.

A program keeps the sums of one chunk of BO mixed channels, program_id(1), over its share of the tiles of
``triton_message.py``, and makes x of that chunk again; two kernels, since one has too few registers for all
three sums. Every program writes a row of its own.
"""

from __future__ import annotations

import triton
import triton.language as tl

from eqviz.ops.permutation_2to2.triton import leaky
from eqviz.ops.permutation_2to2.triton_message import load_chunk, load_parts, mixed, tile_rows, to_chunk
from eqviz.ops.triton import load_rows, store_rows

CHUNK = {"BO": 32}
OPTIONS = {"num_warps": 4, "num_stages": 1}
PART = {"BI": 4, "BJ": 8}  # half a tile: the two sums leave room for no more


@triton.jit
def outer_chunk(x, z, first, second, HI: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr):
    """x^T z for rows x and BO channels z, added to both blocks."""
    first = tl.dot(tl.trans(x[0]), z, first, input_precision=PRECISION, out_dtype=ACC)
    if HI > 0:
        second = tl.dot(tl.trans(x[1]), z, second, input_precision=PRECISION, out_dtype=ACC)
    return first, second


@triton.jit
def outer_rows(z, x, first, second, HI: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr):
    """z^T x for BO channels z and rows x, added to both blocks."""
    z = tl.trans(z)
    first = tl.dot(z, x[0], first, input_precision=PRECISION, out_dtype=ACC)
    if HI > 0:
        second = tl.dot(z, x[1], second, input_precision=PRECISION, out_dtype=ACC)
    return first, second


@triton.jit(do_not_specialize=["n_tiles"])
def mix_weight_kernel(
    a, d_y, even, odd, weight_t, u, v, d, tiles, d_weights, n_tiles,
    C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, M: tl.constexpr, MLO: tl.constexpr,
    MHI: tl.constexpr, OUT: tl.constexpr, WIDE: tl.constexpr, SLOPE: tl.constexpr, TILE: tl.constexpr,
    BI: tl.constexpr, BJ: tl.constexpr, BO: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Of even, then odd, (OUT, C) each; TILE receivers are worked on BI at a time."""
    HALF: tl.constexpr = HI if HI > 0 else 16
    PARTS: tl.constexpr = TILE // BI
    o = tl.program_id(1) * BO
    e0, e1 = tl.zeros((LO, BO), ACC), tl.zeros((HALF, BO), ACC)
    f0, f1 = tl.zeros((LO, BO), ACC), tl.zeros((HALF, BO), ACC)
    for k in range(tl.program_id(0), n_tiles * PARTS, tl.num_programs(0)):
        base, mirror, at, valid, same, inode, jnode, icount, jcount = tile_rows(
            tiles, k // PARTS, k % PARTS * BI, BI, BJ
        )
        we, wo = load_chunk(even, o, LO, HI, BO, DOT), load_chunk(odd, o, LO, HI, BO, DOT)
        e, f = load_parts(a, base, mirror, at, valid, C, LO, HI, ACC, DOT)
        x, t = mixed(
            e, f, we, wo, u, v, d, same, inode, jnode, icount, jcount, o, OUT, HI, BI, BJ, BO, ACC, PRECISION
        )
        w = load_chunk(weight_t, o, MLO, MHI, BO, DOT)
        g = to_chunk(load_rows(d_y + base * M, at, valid, M, MLO, MHI, DOT), w, MHI, ACC, PRECISION)
        g = tl.where(x > 0, g, g * SLOPE)
        h = to_chunk(load_rows(d_y + mirror * M, at, valid, M, MLO, MHI, DOT), w, MHI, ACC, PRECISION)
        h = tl.where(t > 0, h, h * SLOPE)
        # from the cache again, instead of held
        e, f = load_parts(a, base, mirror, at, valid, C, LO, HI, ACC, DOT)
        e0, e1 = outer_chunk(e, (g + h).to(DOT), e0, e1, HI, ACC, PRECISION)
        f0, f1 = outer_chunk(f, (g - h).to(DOT), f0, f1, HI, ACC, PRECISION)
    into = d_weights + tl.program_id(0).to(tl.int64) * (2 * C * OUT)
    row = o + tl.arange(0, BO)
    store_rows(into, (tl.trans(e0), tl.trans(e1)), row, row < OUT, C, LO, HI)
    store_rows(into + OUT * C, (tl.trans(f0), tl.trans(f1)), row, row < OUT, C, LO, HI)


@triton.jit(do_not_specialize=["n_tiles"])
def message_weight_kernel(
    a, d_y, even, odd, u, v, d, tiles, d_weights, n_tiles,
    C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, M: tl.constexpr, MLO: tl.constexpr,
    MHI: tl.constexpr, OUT: tl.constexpr, WIDE: tl.constexpr, SLOPE: tl.constexpr, BI: tl.constexpr,
    BJ: tl.constexpr, BO: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Of W^T, (OUT, M)."""
    HALF: tl.constexpr = MHI if MHI > 0 else 16
    o = tl.program_id(1) * BO
    w0, w1 = tl.zeros((BO, MLO), ACC), tl.zeros((BO, HALF), ACC)
    for k in range(tl.program_id(0), n_tiles, tl.num_programs(0)):
        base, mirror, at, valid, same, inode, jnode, icount, jcount = tile_rows(tiles, k, 0, BI, BJ)
        we, wo = load_chunk(even, o, LO, HI, BO, DOT), load_chunk(odd, o, LO, HI, BO, DOT)
        e, f = load_parts(a, base, mirror, at, valid, C, LO, HI, ACC, DOT)
        x, t = mixed(
            e, f, we, wo, u, v, d, same, inode, jnode, icount, jcount, o, OUT, HI, BI, BJ, BO, ACC, PRECISION
        )
        y = load_rows(d_y + base * M, at, valid, M, MLO, MHI, DOT)
        w0, w1 = outer_rows(leaky(x, SLOPE).to(DOT), y, w0, w1, MHI, ACC, PRECISION)
        y = load_rows(d_y + mirror * M, at, valid, M, MLO, MHI, DOT)
        w0, w1 = outer_rows(leaky(t, SLOPE).to(DOT), y, w0, w1, MHI, ACC, PRECISION)
    row = o + tl.arange(0, BO)
    into = d_weights + tl.program_id(0).to(tl.int64) * (OUT * M)
    store_rows(into, (w0, w1), row, row < OUT, M, MLO, MHI)
