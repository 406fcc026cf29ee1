"""The message as one GPU kernel each way: pair activations live in registers only, forward and backward.

Programs are persistent: each walks over jets, over blocks of BI receivers and over blocks of BJ senders, with
the weights loaded once. The backward pass recomputes the activations. Gradients of weights are summed per
program and added up afterwards; those of receivers are stored by the one program that owns them; those of
senders are added atomically, in a fixed order where one program has the whole jet.
"""

from __future__ import annotations

import triton
import triton.language as tl

from eqviz.ops.triton import (
    add_matrix,
    add_rows,
    add_vector,
    load_matrix,
    load_rows,
    load_vector,
    outer_sum,
    pair_rows,
    row_products,
    store_rows,
    sum_pairs,
    times,
    times_transposed,
)

BLOCKS = {"BI": 4, "BJ": 16}
OPTIONS = {"num_warps": 8, "num_stages": 1}
BACKWARD_BLOCKS = {"BI": 2, "BJ": 16}
BACKWARD_OPTIONS = {"num_warps": 8, "num_stages": 1}


@triton.jit
def pair_index(i0, j0, pair, pitch, nodes, BI: tl.constexpr, BJ: tl.constexpr):
    """Of BI * BJ rows: place in (P,), whether it is inside the jet's square, whether it is a real pair."""
    row = tl.arange(0, BI * BJ)
    i, j = i0 + row // BJ, j0 + row % BJ
    inside = (i < pitch) & (j < pitch)
    return pair + i * pitch + j, inside, (i < nodes) & (j < nodes) & (i != j)


@triton.jit
def activations(
    receiver, sender, s, index, real, stride, s_feature, ws, hidden, bias, gate_weight, gate_bias,
    C: tl.constexpr, F: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, BI: tl.constexpr, BJ: tl.constexpr,
    ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """a, r and the gate of BI * BJ pairs; the gate is zero where there is no pair."""
    a = pair_rows(receiver, sender, BI, BJ, LO, HI)
    a0, a1 = a[0], a[1]
    for f in tl.static_range(F):
        feature = tl.load(s + index * stride + f * s_feature, mask=real, other=0.0).to(ACC)[:, None]
        column = load_vector(ws + f * C, C, LO, HI, ACC)
        a0 += feature * column[0][None, :]
        if HI > 0:
            a1 += feature * column[1][None, :]
    a0, a1 = tl.maximum(a0, 0.0), tl.maximum(a1, 0.0)
    r = times_transposed((a0, a1), hidden, HI, HI, ACC, DOT, PRECISION)
    r0, r1 = tl.maximum(r[0] + bias[0][None, :], 0.0), tl.maximum(r[1] + bias[1][None, :], 0.0)
    score = row_products((r0, r1), gate_weight, HI) + gate_bias
    gate = tl.where(real, 1.0 / (1.0 + tl.exp(-score)), 0.0)
    return a0, a1, r0, r1, gate


@triton.jit
def forward_kernel(
    u, v, s, jets, ws, wh, bh, wg, bg, wc, bc, vc, total, coordinate, n_jets, s_pair, s_feature,
    C: tl.constexpr, F: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, COORDINATES: tl.constexpr,
    BI: tl.constexpr, BJ: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    HALF: tl.constexpr = HI if HI > 0 else LO
    hidden = load_matrix(wh, C, C, LO, HI, LO, HI, DOT)
    bias = load_vector(bh, C, LO, HI, ACC)
    gate_weight, gate_bias = load_vector(wg, C, LO, HI, ACC), tl.load(bg).to(ACC)
    if COORDINATES:
        second = load_matrix(wc, C, C, LO, HI, LO, HI, DOT)
        second_bias = load_vector(bc, C, LO, HI, ACC)
        last = load_vector(vc, C, LO, HI, ACC)
    for jet in range(tl.program_id(0), n_jets, tl.num_programs(0)):
        slot, pair = tl.load(jets + 4 * jet), tl.load(jets + 4 * jet + 1)
        pitch, nodes = tl.load(jets + 4 * jet + 2).to(tl.int32), tl.load(jets + 4 * jet + 3).to(tl.int32)
        for i0 in range(tl.program_id(1) * BI, pitch, tl.num_programs(1) * BI):
            i = i0 + tl.arange(0, BI)
            receiver = load_rows(u, slot + i, i < nodes, C, LO, HI, ACC)
            sum0, sum1 = tl.zeros((BI, LO), ACC), tl.zeros((BI, HALF), ACC)
            for j0 in range(0, pitch, BJ):
                j = j0 + tl.arange(0, BJ)
                sender = load_rows(v, slot + j, j < nodes, C, LO, HI, ACC)
                index, inside, real = pair_index(i0, j0, pair, pitch, nodes, BI, BJ)
                _, _, r0, r1, gate = activations(
                    receiver, sender, s, index, real, s_pair, s_feature, ws, hidden, bias, gate_weight,
                    gate_bias, C, F, LO, HI, BI, BJ, ACC, DOT, PRECISION,
                )  # fmt: skip
                m = (r0 * gate[:, None], r1 * gate[:, None])
                part = sum_pairs(m, 1, BI, BJ, LO, HI)
                sum0, sum1 = sum0 + part[0], sum1 + part[1]
                if COORDINATES:
                    q = times_transposed(m, second, HI, HI, ACC, DOT, PRECISION)
                    q0, q1 = q[0] + second_bias[0][None, :], q[1] + second_bias[1][None, :]
                    c = row_products((tl.maximum(q0, 0.0), tl.maximum(q1, 0.0)), last, HI)
                    tl.store(coordinate + index, tl.where(real, c, 0.0), mask=inside)
            store_rows(total, (sum0, sum1), slot + i, i < pitch, C, LO, HI)


@triton.jit
def backward_kernel(
    u, v, s, jets, ws, wh, bh, wg, bg, wc, bc, vc, d_total, d_coordinate, d_u, d_v, d_s, d_weights,
    n_jets, s_pair, s_feature, n_weights, n_pairs,
    C: tl.constexpr, F: tl.constexpr, LO: tl.constexpr, HI: tl.constexpr, COORDINATES: tl.constexpr,
    FEATURES: tl.constexpr, BI: tl.constexpr, BJ: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """As the contract, differentiated; ``d_weights`` has one row of all weights per program, zero before."""
    HALF: tl.constexpr = HI if HI > 0 else 16
    into = d_weights + (tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)).to(tl.int64) * n_weights
    hidden = load_matrix(wh, C, C, LO, HI, LO, HI, DOT)
    bias = load_vector(bh, C, LO, HI, ACC)
    gate_weight, gate_bias = load_vector(wg, C, LO, HI, ACC), tl.load(bg).to(ACC)
    h0, h1 = tl.zeros((LO, LO), ACC), tl.zeros((LO, HALF), ACC)
    h2, h3 = tl.zeros((HALF, LO), ACC), tl.zeros((HALF, HALF), ACC)
    if COORDINATES:
        second = load_matrix(wc, C, C, LO, HI, LO, HI, DOT)
        second_bias = load_vector(bc, C, LO, HI, ACC)
        last = load_vector(vc, C, LO, HI, ACC)
        c0, c1 = tl.zeros((LO, LO), ACC), tl.zeros((LO, HALF), ACC)
        c2, c3 = tl.zeros((HALF, LO), ACC), tl.zeros((HALF, HALF), ACC)
    # where each weight's gradient begins in a row
    o_hidden = F * C
    o_bias = o_hidden + C * C
    o_second = o_bias + 2 * C + 1
    for jet in range(tl.program_id(0), n_jets, tl.num_programs(0)):
        slot, pair = tl.load(jets + 4 * jet), tl.load(jets + 4 * jet + 1)
        pitch, nodes = tl.load(jets + 4 * jet + 2).to(tl.int32), tl.load(jets + 4 * jet + 3).to(tl.int32)
        for i0 in range(tl.program_id(1) * BI, pitch, tl.num_programs(1) * BI):
            i = i0 + tl.arange(0, BI)
            receiver = load_rows(u, slot + i, i < nodes, C, LO, HI, ACC)
            d_sum = load_rows(d_total, slot + i, i < nodes, C, LO, HI, ACC)
            du0, du1 = tl.zeros((BI, LO), ACC), tl.zeros((BI, HI if HI > 0 else LO), ACC)
            for j0 in range(0, pitch, BJ):
                j = j0 + tl.arange(0, BJ)
                sender = load_rows(v, slot + j, j < nodes, C, LO, HI, ACC)
                index, inside, real = pair_index(i0, j0, pair, pitch, nodes, BI, BJ)
                a0, a1, r0, r1, gate = activations(
                    receiver, sender, s, index, real, s_pair, s_feature, ws, hidden, bias, gate_weight,
                    gate_bias, C, F, LO, HI, BI, BJ, ACC, DOT, PRECISION,
                )  # fmt: skip
                g0 = tl.broadcast_to(d_sum[0][:, None, :], (BI, BJ, LO)).reshape(BI * BJ, LO)
                g1 = g0
                if HI > 0:
                    g1 = tl.broadcast_to(d_sum[1][:, None, :], (BI, BJ, HI)).reshape(BI * BJ, HI)
                if COORDINATES:
                    m = (r0 * gate[:, None], r1 * gate[:, None])
                    d_c = tl.load(d_coordinate + index, mask=real, other=0.0).to(ACC)[:, None]
                    q = times_transposed(m, second, HI, HI, ACC, DOT, PRECISION)
                    q0 = tl.maximum(q[0] + second_bias[0][None, :], 0.0)
                    q1 = tl.maximum(q[1] + second_bias[1][None, :], 0.0)
                    # gradients of v_c, then of b_c
                    d_last = (tl.sum(q0 * d_c, axis=0), tl.sum(q1 * d_c, axis=0))
                    add_vector(into + o_second + C * C + C, d_last, C, LO, HI)
                    q0 = tl.where(q0 > 0, d_c * last[0][None, :], 0.0)
                    q1 = tl.where(q1 > 0, d_c * last[1][None, :], 0.0)
                    add_vector(into + o_second + C * C, (tl.sum(q0, axis=0), tl.sum(q1, axis=0)), C, LO, HI)
                    c0, c1, c2, c3 = outer_sum((q0, q1), m, c0, c1, c2, c3, HI, ACC, DOT, PRECISION)
                    back = times((q0, q1), second, HI, ACC, DOT, PRECISION)
                    g0, g1 = g0 + back[0], g1 + back[1]
                d_gate = tl.sum(g0 * r0, axis=1)
                if HI > 0:
                    d_gate += tl.sum(g1 * r1, axis=1)
                d_score = d_gate * gate * (1.0 - gate)
                add_vector(
                    into + o_bias + C,
                    (tl.sum(r0 * d_score[:, None], axis=0), tl.sum(r1 * d_score[:, None], axis=0)), C, LO, HI,
                )  # fmt: skip
                tl.atomic_add(into + o_bias + 2 * C, tl.sum(d_score, axis=0), sem="relaxed")
                g0 = g0 * gate[:, None] + d_score[:, None] * gate_weight[0][None, :]
                g1 = g1 * gate[:, None] + d_score[:, None] * gate_weight[1][None, :]
                g0, g1 = tl.where(r0 > 0, g0, 0.0), tl.where(r1 > 0, g1, 0.0)
                add_vector(into + o_bias, (tl.sum(g0, axis=0), tl.sum(g1, axis=0)), C, LO, HI)
                h0, h1, h2, h3 = outer_sum((g0, g1), (a0, a1), h0, h1, h2, h3, HI, ACC, DOT, PRECISION)
                g = times((g0, g1), hidden, HI, ACC, DOT, PRECISION)
                g0, g1 = tl.where(a0 > 0, g[0], 0.0), tl.where(a1 > 0, g[1], 0.0)
                part = sum_pairs((g0, g1), 1, BI, BJ, LO, HI)
                du0, du1 = du0 + part[0], du1 + part[1]
                add_rows(d_v, sum_pairs((g0, g1), 0, BI, BJ, LO, HI), slot + j, j < nodes, C, LO, HI)
                for f in tl.static_range(F):
                    feature = tl.load(s + index * s_pair + f * s_feature, mask=real, other=0.0).to(ACC)[
                        :, None
                    ]
                    add_vector(
                        into + f * C, (tl.sum(g0 * feature, axis=0), tl.sum(g1 * feature, axis=0)), C, LO, HI
                    )
                    if FEATURES:
                        d_feature = row_products((g0, g1), load_vector(ws + f * C, C, LO, HI, ACC), HI)
                        tl.store(d_s + f * n_pairs + index, tl.where(real, d_feature, 0.0), mask=inside)
            store_rows(d_u, (du0, du1), slot + i, i < pitch, C, LO, HI)
    add_matrix(into + o_hidden, h0, h1, h2, h3, C, LO, HI)
    if COORDINATES:
        add_matrix(into + o_second, c0, c1, c2, c3, C, LO, HI)
