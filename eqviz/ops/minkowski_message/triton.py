"""The message on a GPU: pair activations live in registers, no tensor of size (P, C) is ever in memory.

A program works on receivers of one jet at a time, against BJ senders at a time. The backward pass makes the
activations again, in three kernels, which one alone has too few registers for: ``pairs_kernel`` for nodes,
features and gate, ``hidden_kernel`` for W_h and b_h, ``coordinate_kernel`` for what makes coordinates.
Gradients of weights are summed per program and added up afterwards; those of receivers are stored by the one
program that owns them; those of senders are added atomically, in a fixed order where one program has a jet.

HELD: square weights are loaded once and stay in shared memory; otherwise they come from the cache for every
block of pairs, which is what three TF32 products for one in float32 leave room for.

With r = relu(z) and q = W_c m + b_c before its rectifier, and d the gradient that follows, no gradient of a
message is needed for the gate, only sums over channels:

    score' = (1 - g) (m . dM + dq . W_c m),      r' = g (dM + W_c^T dq) + score' w_g
"""

from __future__ import annotations

import triton
import triton.language as tl

from eqviz.ops.triton import (
    add_matrix,
    add_rows,
    add_vector,
    dot_products,
    load_matrix,
    load_rows,
    load_vector,
    outer_sum,
    pair_rows,
    row_products,
    spread_rows,
    store_rows,
    sum_pairs,
    times,
    times_transposed,
)

# Counts differ from batch to batch: a kernel is not compiled anew for those divisible by 16.
BLOCKS = {"BI": 4, "BJ": 16}
OPTIONS = {"num_warps": 4, "num_stages": 1}
PAIRS_BLOCKS = {"BI": 8, "BJ": 16}
PAIRS_OPTIONS = {"num_warps": 8, "num_stages": 1}
HIDDEN_BLOCKS = {"BI": 4, "BJ": 16}
HIDDEN_OPTIONS = {"num_warps": 4, "num_stages": 1}
COORDINATE_BLOCKS = {"BI": 8, "BJ": 16}
COORDINATE_OPTIONS = {"num_warps": 8, "num_stages": 1}


@triton.jit
def pair_index(i0, j0, pair, pitch, nodes, BI: tl.constexpr, BJ: tl.constexpr):
    """Of BI * BJ rows: place in (P,), whether it is inside the jet's square, whether it is a real pair."""
    row = tl.arange(0, BI * BJ)
    i, j = i0 + row // BJ, j0 + row % BJ
    inside = (i < pitch) & (j < pitch)
    return pair + i * pitch + j, inside, (i < nodes) & (j < nodes) & (i != j)


@triton.jit
def first_layer(
    u, v, s, ws, slot, i, j, nodes, index, real, stride, s_feature,
    C: tl.constexpr, F: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, BI: tl.constexpr, BJ: tl.constexpr,
    ACC: tl.constexpr,
):  # fmt: skip
    """a of BI * BJ pairs. Everything is loaded anew: better than registers that are spilled."""
    receiver = load_rows(u, slot + i, i < nodes, C, LO, HI, ACC)
    sender = load_rows(v, slot + j, j < nodes, C, LO, HI, ACC)
    a = pair_rows(receiver, sender, BI, BJ, LO, HI)
    a0, a1 = a[0], a[1]
    for f in tl.static_range(F):
        feature = tl.load(s + index * stride + f * s_feature, mask=real, other=0.0).to(ACC)[:, None]
        column = load_vector(ws + f * C, C, LO, HI, ACC)
        a0 += feature * column[0][None, :]
        if HI > 0:
            a1 += feature * column[1][None, :]
    return tl.maximum(a0, 0.0), tl.maximum(a1, 0.0)


@triton.jit
def second_layer(
    a, hidden, bh, wg, bg, real, C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr,
    ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """r and the gate, which is zero where there is no pair."""
    bias, weight = load_vector(bh, C, LO, HI, ACC), load_vector(wg, C, LO, HI, ACC)
    r = times_transposed(a, hidden, HI, HI, ACC, DOT, PRECISION)
    r0, r1 = tl.maximum(r[0] + bias[0][None, :], 0.0), tl.maximum(r[1] + bias[1][None, :], 0.0)
    score = row_products((r0, r1), weight, HI) + tl.load(bg).to(ACC)
    return r0, r1, tl.where(real, 1.0 / (1.0 + tl.exp(-score)), 0.0)


@triton.jit
def coordinate_layer(
    m, second, vc, bc, d_coordinate, index, real, C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr,
    ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """W_c m, dq of both blocks, relu(q) d_c of both blocks."""
    bias, last = load_vector(bc, C, LO, HI, ACC), load_vector(vc, C, LO, HI, ACC)
    d_c = tl.load(d_coordinate + index, mask=real, other=0.0).to(ACC)[:, None]
    q = times_transposed(m, second, HI, HI, ACC, DOT, PRECISION)
    q0, q1 = q[0] + bias[0][None, :], q[1] + bias[1][None, :]
    d0, d1 = tl.where(q0 > 0, d_c * last[0][None, :], 0.0), tl.where(q1 > 0, d_c * last[1][None, :], 0.0)
    return q, d0, d1, tl.maximum(q0, 0.0) * d_c, tl.maximum(q1, 0.0) * d_c


@triton.jit
def hidden_gradient(
    r0, r1, gate, second, wg, bc, vc, d_total, d_coordinate, slot, i, nodes, index, real,
    C: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, COORDINATES: tl.constexpr, BI: tl.constexpr,
    BJ: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The gradient before the second rectifier, both blocks, and that of the score."""
    d_sum = spread_rows(load_rows(d_total, slot + i, i < nodes, C, LO, HI, ACC), BI, BJ, LO, HI)
    d_score = dot_products(d_sum, (r0, r1), HI) * gate
    # only the signs of r are needed further on: 16 bits hold them
    p0, p1 = (r0 > 0).to(tl.float16), (r1 > 0).to(tl.float16)
    if COORDINATES:
        m = (r0 * gate[:, None], r1 * gate[:, None])
        q, q0, q1, _, _ = coordinate_layer(
            m, second, vc, bc, d_coordinate, index, real, C, LO, HI, ACC, DOT, PRECISION
        )
        d_score += dot_products((q0, q1), q, HI)
        back = times((q0, q1), second, HI, ACC, DOT, PRECISION)
        d_sum = spread_rows(load_rows(d_total, slot + i, i < nodes, C, LO, HI, ACC), BI, BJ, LO, HI)
        d_sum = (d_sum[0] + back[0], d_sum[1] + back[1])
    d_score *= 1.0 - gate
    weight = load_vector(wg, C, LO, HI, ACC)
    g0 = d_sum[0] * gate[:, None] + d_score[:, None] * weight[0][None, :]
    g1 = d_sum[1] * gate[:, None] + d_score[:, None] * weight[1][None, :]
    return tl.where(p0 > 0, g0, 0.0), tl.where(p1 > 0, g1, 0.0), d_score


@triton.jit(do_not_specialize=["n_jets", "s_feature"])
def forward_kernel(
    u, v, s, jets, ws, wh, bh, wg, bg, wc, bc, vc, total, coordinate, n_jets, s_pair, s_feature,
    C: tl.constexpr, F: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, COORDINATES: tl.constexpr,
    BI: tl.constexpr, BJ: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
    HELD: tl.constexpr,
):  # fmt: skip
    HALF: tl.constexpr = HI if HI > 0 else LO
    if HELD:
        hidden = load_matrix(wh, C, C, LO, HI, LO, HI, DOT)
        if COORDINATES:
            second = load_matrix(wc, C, C, LO, HI, LO, HI, DOT)
    for jet in range(tl.program_id(0), n_jets, tl.num_programs(0)):
        slot, pair = tl.load(jets + 4 * jet), tl.load(jets + 4 * jet + 1)
        pitch, nodes = tl.load(jets + 4 * jet + 2).to(tl.int32), tl.load(jets + 4 * jet + 3).to(tl.int32)
        for i0 in range(tl.program_id(1) * BI, pitch, tl.num_programs(1) * BI):
            i = i0 + tl.arange(0, BI)
            sum0, sum1 = tl.zeros((BI, LO), ACC), tl.zeros((BI, HALF), ACC)
            for j0 in range(0, pitch, BJ):
                j = j0 + tl.arange(0, BJ)
                index, inside, real = pair_index(i0, j0, pair, pitch, nodes, BI, BJ)
                if not HELD:
                    hidden = load_matrix(wh, C, C, LO, HI, LO, HI, DOT)
                a = first_layer(
                    u, v, s, ws, slot, i, j, nodes, index, real, s_pair, s_feature, C, F, LO, HI, BI, BJ, ACC
                )
                r0, r1, gate = second_layer(a, hidden, bh, wg, bg, real, C, LO, HI, ACC, DOT, PRECISION)
                m = (r0 * gate[:, None], r1 * gate[:, None])
                part = sum_pairs(m, 1, BI, BJ, LO, HI)
                sum0, sum1 = sum0 + part[0], sum1 + part[1]
                if COORDINATES:
                    if not HELD:
                        second = load_matrix(wc, C, C, LO, HI, LO, HI, DOT)
                    bias, last = load_vector(bc, C, LO, HI, ACC), load_vector(vc, C, LO, HI, ACC)
                    q = times_transposed(m, second, HI, HI, ACC, DOT, PRECISION)
                    q0, q1 = q[0] + bias[0][None, :], q[1] + bias[1][None, :]
                    c = row_products((tl.maximum(q0, 0.0), tl.maximum(q1, 0.0)), last, HI)
                    tl.store(coordinate + index, tl.where(real, c, 0.0), mask=inside)
            store_rows(total, (sum0, sum1), slot + i, i < pitch, C, LO, HI)


@triton.jit(do_not_specialize=["n_jets", "s_feature", "n_weights", "n_pairs"])
def pairs_kernel(
    u, v, s, jets, ws, wh, bh, wg, bg, wc, bc, vc, d_total, d_coordinate, d_u, d_v, d_s, d_weights,
    n_jets, s_pair, s_feature, n_weights, n_pairs,
    C: tl.constexpr, F: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, COORDINATES: tl.constexpr,
    FEATURES: tl.constexpr, BI: tl.constexpr, BJ: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr,
    PRECISION: tl.constexpr, HELD: tl.constexpr,
):  # fmt: skip
    """Of u, v, s, W_s, w_g and b_g; ``d_weights`` has one row of all weights per program, zero before."""
    HALF: tl.constexpr = HI if HI > 0 else LO
    into = d_weights + (tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)).to(tl.int64) * n_weights
    gate_into = into + F * C + C * C + C  # w_g, then b_g
    if HELD:
        hidden = load_matrix(wh, C, C, LO, HI, LO, HI, DOT)
        second = load_matrix(wc, C, C, LO, HI, LO, HI, DOT) if COORDINATES else hidden
    for jet in range(tl.program_id(0), n_jets, tl.num_programs(0)):
        slot, pair = tl.load(jets + 4 * jet), tl.load(jets + 4 * jet + 1)
        pitch, nodes = tl.load(jets + 4 * jet + 2).to(tl.int32), tl.load(jets + 4 * jet + 3).to(tl.int32)
        for i0 in range(tl.program_id(1) * BI, pitch, tl.num_programs(1) * BI):
            i = i0 + tl.arange(0, BI)
            du0, du1 = tl.zeros((BI, LO), ACC), tl.zeros((BI, HALF), ACC)
            for j0 in range(0, pitch, BJ):
                j = j0 + tl.arange(0, BJ)
                index, inside, real = pair_index(i0, j0, pair, pitch, nodes, BI, BJ)
                if not HELD:
                    hidden = load_matrix(wh, C, C, LO, HI, LO, HI, DOT)
                    second = hidden
                a = first_layer(
                    u, v, s, ws, slot, i, j, nodes, index, real, s_pair, s_feature, C, F, LO, HI, BI, BJ, ACC
                )
                r0, r1, gate = second_layer(a, hidden, bh, wg, bg, real, C, LO, HI, ACC, DOT, PRECISION)
                if COORDINATES and not HELD:
                    second = load_matrix(wc, C, C, LO, HI, LO, HI, DOT)
                g0, g1, d_score = hidden_gradient(
                    r0, r1, gate, second, wg, bc, vc, d_total, d_coordinate, slot, i, nodes, index, real,
                    C, LO, HI, COORDINATES, BI, BJ, ACC, DOT, PRECISION,
                )  # fmt: skip
                row = d_score[:, None]
                add_vector(gate_into, (tl.sum(r0 * row, axis=0), tl.sum(r1 * row, axis=0)), C, LO, HI)
                tl.atomic_add(gate_into + C, tl.sum(d_score, axis=0), sem="relaxed")
                if not HELD:
                    hidden = load_matrix(wh, C, C, LO, HI, LO, HI, DOT)
                g = times((g0, g1), hidden, HI, ACC, DOT, PRECISION)
                a = first_layer(
                    u, v, s, ws, slot, i, j, nodes, index, real, s_pair, s_feature, C, F, LO, HI, BI, BJ, ACC
                )
                g0, g1 = tl.where(a[0] > 0, g[0], 0.0), tl.where(a[1] > 0, g[1], 0.0)
                part = sum_pairs((g0, g1), 1, BI, BJ, LO, HI)
                du0, du1 = du0 + part[0], du1 + part[1]
                add_rows(d_v, sum_pairs((g0, g1), 0, BI, BJ, LO, HI), slot + j, j < nodes, C, LO, HI)
                for f in tl.static_range(F):
                    feature = tl.load(s + index * s_pair + f * s_feature, mask=real, other=0.0).to(ACC)
                    row = feature[:, None]
                    add_vector(into + f * C, (tl.sum(g0 * row, axis=0), tl.sum(g1 * row, axis=0)), C, LO, HI)
                    if FEATURES:
                        d_feature = row_products((g0, g1), load_vector(ws + f * C, C, LO, HI, ACC), HI)
                        tl.store(d_s + f * n_pairs + index, tl.where(real, d_feature, 0.0), mask=inside)
            store_rows(d_u, (du0, du1), slot + i, i < pitch, C, LO, HI)


@triton.jit(do_not_specialize=["n_jets", "s_feature", "n_weights"])
def hidden_kernel(
    u, v, s, jets, ws, wh, bh, wg, bg, wc, bc, vc, d_total, d_coordinate, d_weights,
    n_jets, s_pair, s_feature, n_weights,
    C: tl.constexpr, F: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, COORDINATES: tl.constexpr,
    BI: tl.constexpr, BJ: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
    HELD: tl.constexpr,
):  # fmt: skip
    """Of b_h and W_h, for which a^T (gradient before the second rectifier) is summed in registers."""
    HALF: tl.constexpr = HI if HI > 0 else 16
    into = d_weights + (tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)).to(tl.int64) * n_weights
    into += F * C
    h0, h1 = tl.zeros((LO, LO), ACC), tl.zeros((LO, HALF), ACC)
    h2, h3 = tl.zeros((LO, HALF), ACC), tl.zeros((HALF, HALF), ACC)
    if HELD:
        hidden = load_matrix(wh, C, C, LO, HI, LO, HI, DOT)
        second = load_matrix(wc, C, C, LO, HI, LO, HI, DOT) if COORDINATES else hidden
    for jet in range(tl.program_id(0), n_jets, tl.num_programs(0)):
        slot, pair = tl.load(jets + 4 * jet), tl.load(jets + 4 * jet + 1)
        pitch, nodes = tl.load(jets + 4 * jet + 2).to(tl.int32), tl.load(jets + 4 * jet + 3).to(tl.int32)
        for i0 in range(tl.program_id(1) * BI, pitch, tl.num_programs(1) * BI):
            i = i0 + tl.arange(0, BI)
            for j0 in range(0, pitch, BJ):
                j = j0 + tl.arange(0, BJ)
                index, _, real = pair_index(i0, j0, pair, pitch, nodes, BI, BJ)
                if not HELD:
                    hidden = load_matrix(wh, C, C, LO, HI, LO, HI, DOT)
                    second = hidden
                a = first_layer(
                    u, v, s, ws, slot, i, j, nodes, index, real, s_pair, s_feature, C, F, LO, HI, BI, BJ, ACC
                )
                r0, r1, gate = second_layer(a, hidden, bh, wg, bg, real, C, LO, HI, ACC, DOT, PRECISION)
                if COORDINATES and not HELD:
                    second = load_matrix(wc, C, C, LO, HI, LO, HI, DOT)
                g0, g1, _ = hidden_gradient(
                    r0, r1, gate, second, wg, bc, vc, d_total, d_coordinate, slot, i, nodes, index, real,
                    C, LO, HI, COORDINATES, BI, BJ, ACC, DOT, PRECISION,
                )  # fmt: skip
                add_vector(into + C * C, (tl.sum(g0, axis=0), tl.sum(g1, axis=0)), C, LO, HI)
                a = first_layer(
                    u, v, s, ws, slot, i, j, nodes, index, real, s_pair, s_feature, C, F, LO, HI, BI, BJ, ACC
                )
                h0, h1, h2, h3 = outer_sum(a, (g0, g1), h0, h1, h2, h3, HI, ACC, DOT, PRECISION)
    add_matrix(into, tl.trans(h0), h2, tl.trans(h1), tl.trans(h3), C, LO, HI)


@triton.jit(do_not_specialize=["n_jets", "s_feature", "n_weights"])
def coordinate_kernel(
    u, v, s, jets, ws, wh, bh, wg, bg, wc, bc, vc, d_coordinate, d_weights,
    n_jets, s_pair, s_feature, n_weights,
    C: tl.constexpr, F: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr,
    BI: tl.constexpr, BJ: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
    HELD: tl.constexpr,
):  # fmt: skip
    """Of W_c, b_c and v_c."""
    HALF: tl.constexpr = HI if HI > 0 else 16
    into = d_weights + (tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)).to(tl.int64) * n_weights
    into += F * C + C * C + 2 * C + 1
    c0, c1 = tl.zeros((LO, LO), ACC), tl.zeros((LO, HALF), ACC)
    c2, c3 = tl.zeros((LO, HALF), ACC), tl.zeros((HALF, HALF), ACC)
    if HELD:
        hidden = load_matrix(wh, C, C, LO, HI, LO, HI, DOT)
        second = load_matrix(wc, C, C, LO, HI, LO, HI, DOT)
    for jet in range(tl.program_id(0), n_jets, tl.num_programs(0)):
        slot, pair = tl.load(jets + 4 * jet), tl.load(jets + 4 * jet + 1)
        pitch, nodes = tl.load(jets + 4 * jet + 2).to(tl.int32), tl.load(jets + 4 * jet + 3).to(tl.int32)
        for i0 in range(tl.program_id(1) * BI, pitch, tl.num_programs(1) * BI):
            i = i0 + tl.arange(0, BI)
            for j0 in range(0, pitch, BJ):
                j = j0 + tl.arange(0, BJ)
                index, _, real = pair_index(i0, j0, pair, pitch, nodes, BI, BJ)
                if not HELD:
                    hidden = load_matrix(wh, C, C, LO, HI, LO, HI, DOT)
                a = first_layer(
                    u, v, s, ws, slot, i, j, nodes, index, real, s_pair, s_feature, C, F, LO, HI, BI, BJ, ACC
                )
                r0, r1, gate = second_layer(a, hidden, bh, wg, bg, real, C, LO, HI, ACC, DOT, PRECISION)
                m = (r0 * gate[:, None], r1 * gate[:, None])
                if not HELD:
                    second = load_matrix(wc, C, C, LO, HI, LO, HI, DOT)
                _, q0, q1, o0, o1 = coordinate_layer(
                    m, second, vc, bc, d_coordinate, index, real, C, LO, HI, ACC, DOT, PRECISION
                )
                add_vector(into + C * C + C, (tl.sum(o0, axis=0), tl.sum(o1, axis=0)), C, LO, HI)
                add_vector(into + C * C, (tl.sum(q0, axis=0), tl.sum(q1, axis=0)), C, LO, HI)
                c0, c1, c2, c3 = outer_sum((q0, q1), m, c0, c1, c2, c3, HI, ACC, DOT, PRECISION)
    add_matrix(into, c0, c1, tl.trans(c2), c3, C, LO, HI)
