"""Pieces that the Triton kernels share: rows of C channels as two blocks, and products of them.

Triton's blocks have sizes that are powers of 2. C = 72 channels padded to 128 would make a product 3 times as
expensive as it is, so a row is a pair of blocks of LO and HI channels (64 and 16 for 72); HI = 0 where one
block is enough, and the second entry then repeats the first. A matrix is four blocks, row by row.

ACC is the type of sums, DOT that of the factors of matrix products, PRECISION how Triton multiplies float32.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from eqviz.ops.dispatch import INTERPRETED, accumulator, dot_precision

TYPES = {
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
    torch.float32: tl.float32,
    torch.float64: tl.float64,
}


def channel_blocks(width: int) -> tuple[int, int]:
    """LO and HI for C = ``width``: powers of 2 from 16 on, with the least padding."""
    single = max(16, triton.next_power_of_2(width))
    low = single // 2
    high = max(16, triton.next_power_of_2(width - low)) if width > low >= 16 else single
    return (low, high) if low + high < single else (single, 0)


def kernel_types(x: Tensor) -> dict[str, Any]:
    """ACC, DOT and PRECISION for an operation on ``x``.

    The interpreter's matrix products do not know bfloat16: there its factors are float32.
    """
    sums = accumulator(x.dtype)
    factors = sums if INTERPRETED and x.dtype == torch.bfloat16 else x.dtype
    return {"ACC": TYPES[sums], "DOT": TYPES[factors], "PRECISION": dot_precision()}


@triton.jit
def load_rows(x, index, valid, C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, ACC: tl.constexpr):
    """Rows ``index`` of x (., C), zero where not ``valid`` and beyond C."""
    lo = tl.arange(0, LO)[None, :]
    first = tl.load(x + index[:, None] * C + lo, mask=valid[:, None] & (lo < C), other=0.0).to(ACC)
    second = first
    if HI > 0:
        hi = LO + tl.arange(0, HI)[None, :]
        second = tl.load(x + index[:, None] * C + hi, mask=valid[:, None] & (hi < C), other=0.0).to(ACC)
    return first, second


@triton.jit
def store_rows(x, value, index, valid, C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr):
    """Write rows ``index`` of x (., C) where ``valid``."""
    lo = tl.arange(0, LO)[None, :]
    tl.store(x + index[:, None] * C + lo, value[0], mask=valid[:, None] & (lo < C))
    if HI > 0:
        hi = LO + tl.arange(0, HI)[None, :]
        tl.store(x + index[:, None] * C + hi, value[1], mask=valid[:, None] & (hi < C))


@triton.jit
def store_vector(x, value, C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr):
    """Write x (C,)."""
    lo = tl.arange(0, LO)
    tl.store(x + lo, value[0], mask=lo < C)
    if HI > 0:
        hi = LO + tl.arange(0, HI)
        tl.store(x + hi, value[1], mask=hi < C)


@triton.jit
def add_rows(x, value, index, valid, C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr):
    """Add to rows ``index`` of x (., C) where ``valid``; other programs may do so, too."""
    lo = tl.arange(0, LO)[None, :]
    tl.atomic_add(x + index[:, None] * C + lo, value[0], mask=valid[:, None] & (lo < C), sem="relaxed")
    if HI > 0:
        hi = LO + tl.arange(0, HI)[None, :]
        tl.atomic_add(x + index[:, None] * C + hi, value[1], mask=valid[:, None] & (hi < C), sem="relaxed")


@triton.jit
def load_vector(x, C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, ACC: tl.constexpr):
    """x (C,)."""
    lo = tl.arange(0, LO)
    first = tl.load(x + lo, mask=lo < C, other=0.0).to(ACC)
    second = first
    if HI > 0:
        hi = LO + tl.arange(0, HI)
        second = tl.load(x + hi, mask=hi < C, other=0.0).to(ACC)
    return first, second


@triton.jit
def add_vector(x, value, C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr):
    """Add to x (C,)."""
    lo = tl.arange(0, LO)
    tl.atomic_add(x + lo, value[0], mask=lo < C, sem="relaxed")
    if HI > 0:
        hi = LO + tl.arange(0, HI)
        tl.atomic_add(x + hi, value[1], mask=hi < C, sem="relaxed")


@triton.jit
def load_matrix(
    w, ROWS: tl.constexpr, COLUMNS: tl.constexpr, RLO: tl.constexpr, RHI: tl.constexpr,
    CLO: tl.constexpr, CHI: tl.constexpr, DOT: tl.constexpr,
):  # fmt: skip
    """w (ROWS, COLUMNS) as blocks (lo, lo), (lo, hi), (hi, lo), (hi, hi)."""
    r, c = tl.arange(0, RLO)[:, None], tl.arange(0, CLO)[None, :]
    a = tl.load(w + r * COLUMNS + c, mask=(r < ROWS) & (c < COLUMNS), other=0.0).to(DOT)
    b, d, e = a, a, a
    if CHI > 0:
        ch = CLO + tl.arange(0, CHI)[None, :]
        b = tl.load(w + r * COLUMNS + ch, mask=(r < ROWS) & (ch < COLUMNS), other=0.0).to(DOT)
    if RHI > 0:
        rh = RLO + tl.arange(0, RHI)[:, None]
        d = tl.load(w + rh * COLUMNS + c, mask=(rh < ROWS) & (c < COLUMNS), other=0.0).to(DOT)
        if CHI > 0:
            e = tl.load(w + rh * COLUMNS + ch, mask=(rh < ROWS) & (ch < COLUMNS), other=0.0).to(DOT)
    return a, b, d, e


@triton.jit
def add_matrix(x, a, b, d, e, C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr):
    """Add four blocks to x (C, C)."""
    lo = tl.arange(0, LO)
    r, c = lo[:, None], lo[None, :]
    tl.atomic_add(x + r * C + c, a, mask=(r < C) & (c < C), sem="relaxed")
    if HI > 0:
        hi = LO + tl.arange(0, HI)
        rh, ch = hi[:, None], hi[None, :]
        tl.atomic_add(x + r * C + ch, b, mask=(r < C) & (ch < C), sem="relaxed")
        tl.atomic_add(x + rh * C + c, d, mask=(rh < C) & (c < C), sem="relaxed")
        tl.atomic_add(x + rh * C + ch, e, mask=(rh < C) & (ch < C), sem="relaxed")


@triton.jit
def times_transposed(
    x, w, HI: tl.constexpr, OUT: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr
):
    """x W^T for rows x with a second block of HI and results with a second block of OUT channels."""
    x0, x1 = x[0].to(DOT), x[1].to(DOT)
    first = tl.dot(x0, tl.trans(w[0]), input_precision=PRECISION, out_dtype=ACC)
    if HI > 0:
        first = tl.dot(x1, tl.trans(w[1]), first, input_precision=PRECISION, out_dtype=ACC)
    second = first
    if OUT > 0:
        second = tl.dot(x0, tl.trans(w[2]), input_precision=PRECISION, out_dtype=ACC)
        if HI > 0:
            second = tl.dot(x1, tl.trans(w[3]), second, input_precision=PRECISION, out_dtype=ACC)
    return first, second


@triton.jit
def times(x, w, HI: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr):
    """x W for rows x and a matrix W."""
    x0, x1 = x[0].to(DOT), x[1].to(DOT)
    first = tl.dot(x0, w[0], input_precision=PRECISION, out_dtype=ACC)
    second = first
    if HI > 0:
        first = tl.dot(x1, w[2], first, input_precision=PRECISION, out_dtype=ACC)
        second = tl.dot(x0, w[1], input_precision=PRECISION, out_dtype=ACC)
        second = tl.dot(x1, w[3], second, input_precision=PRECISION, out_dtype=ACC)
    return first, second


@triton.jit
def outer_sum(
    x, y, a, b, d, e, HI: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr
):
    """x^T y, summed over rows, added to four blocks; the block (hi, lo) is kept transposed.

    As (lo, hi) it has the rows that tensor cores want.
    """
    x0, x1 = tl.trans(x[0].to(DOT)), x[1].to(DOT)
    y0, y1 = y[0].to(DOT), y[1].to(DOT)
    a = tl.dot(x0, y0, a, input_precision=PRECISION, out_dtype=ACC)
    if HI > 0:
        b = tl.dot(x0, y1, b, input_precision=PRECISION, out_dtype=ACC)
        d = tl.dot(tl.trans(y0), x1, d, input_precision=PRECISION, out_dtype=ACC)
        e = tl.dot(tl.trans(x1), y1, e, input_precision=PRECISION, out_dtype=ACC)
    return a, b, d, e


@triton.jit
def row_products(x, vector, HI: tl.constexpr):
    """x . vector for every row."""
    out = tl.sum(x[0] * vector[0][None, :], axis=1)
    if HI > 0:
        out += tl.sum(x[1] * vector[1][None, :], axis=1)
    return out


@triton.jit
def dot_products(x, y, HI: tl.constexpr):
    """x . y, row by row."""
    out = tl.sum(x[0] * y[0], axis=1)
    if HI > 0:
        out += tl.sum(x[1] * y[1], axis=1)
    return out


@triton.jit
def spread_rows(x, BI: tl.constexpr, BJ: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr):
    """BI rows, each repeated BJ times."""
    first = tl.broadcast_to(x[0][:, None, :], (BI, BJ, LO)).reshape(BI * BJ, LO)
    second = first
    if HI > 0:
        second = tl.broadcast_to(x[1][:, None, :], (BI, BJ, HI)).reshape(BI * BJ, HI)
    return first, second


@triton.jit
def pair_rows(receiver, sender, BI: tl.constexpr, BJ: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr):
    """receiver_i + sender_j for BI receivers and BJ senders: BI * BJ rows, the sender fast."""
    first = (receiver[0][:, None, :] + sender[0][None, :, :]).reshape(BI * BJ, LO)
    second = first
    if HI > 0:
        second = (receiver[1][:, None, :] + sender[1][None, :, :]).reshape(BI * BJ, HI)
    return first, second


@triton.jit
def sum_pairs(x, AXIS: tl.constexpr, BI: tl.constexpr, BJ: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr):
    """Sums of BI * BJ rows over senders (AXIS = 1) or receivers (AXIS = 0)."""
    first = tl.sum(x[0].reshape(BI, BJ, LO), axis=AXIS)
    second = first
    if HI > 0:
        second = tl.sum(x[1].reshape(BI, BJ, HI), axis=AXIS)
    return first, second
