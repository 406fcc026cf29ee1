"""A Lorentz group network's sums and products on a GPU.

``bells_*``: a program works on one channel of one jet. The K bells and the constant of BI * BJ pairs are one
(pairs, KP) block in registers, never in memory, and are made again in the backward pass.

``sparse_kernel``: rows of fixed sparse bilinear forms, a program per row and LANES nodes.
"""

from __future__ import annotations

import triton
import triton.language as tl

BLOCKS = {"BI": 16, "BJ": 16}
OPTIONS = {"num_warps": 4, "num_stages": 1}
BACKWARD_OPTIONS = {"num_warps": 8, "num_stages": 1}
LANES = {"LANES": 256}


@triton.jit
def bells(norm, decay, i0, j0, pair, pitch, nodes, BI: tl.constexpr, BJ: tl.constexpr, ACC: tl.constexpr):
    """g (BI * BJ, KP) of pairs, their norms, and which of them are real."""
    row = tl.arange(0, BI * BJ)
    i, j = i0 + row // BJ, j0 + row % BJ
    real = (i < nodes) & (j < nodes) & (i != j)
    x = tl.load(norm + pair + i * pitch + j, mask=real, other=0.0).to(ACC)
    return 1.0 / (1.0 + x[:, None] * decay[None, :]), x, real


@triton.jit
def load_components(
    x, channel, slot, n_slots, C, valid, D: tl.constexpr, DP: tl.constexpr, ACC: tl.constexpr
):
    """(block, DP) components of one channel at some slots of (D, C, S)."""
    d = tl.arange(0, DP)[None, :]
    at = (d * C + channel) * n_slots + slot[:, None]
    return tl.load(x + at, mask=valid[:, None] & (d < D), other=0.0).to(ACC)


@triton.jit
def load_parameters(decay, weights, channel, C, K: tl.constexpr, KP: tl.constexpr, ACC: tl.constexpr):
    """Decays, the constant's 0 last, and both rows of weights, zero beyond."""
    k = tl.arange(0, KP)
    at = weights + channel * (K + 1) + k
    return (
        tl.load(decay + k, mask=k < K, other=0.0).to(ACC),
        tl.load(at, mask=k <= K, other=0.0).to(ACC),
        tl.load(at + C * (K + 1), mask=k <= K, other=0.0).to(ACC),
    )


@triton.jit
def pair_functions(g, real, w0, w1, BI: tl.constexpr, BJ: tl.constexpr):
    """f_0 and f_1 (BI, BJ), zero where there is no pair."""
    first = tl.where(real, tl.sum(g * w0[None, :], axis=1), 0.0)
    second = tl.where(real, tl.sum(g * w1[None, :], axis=1), 0.0)
    return first.reshape(BI, BJ), second.reshape(BI, BJ)


@triton.jit(do_not_specialize=["n_jets", "n_slots"])
def bells_forward(
    x, norm, decay, weights, jets, plain, weighted, n_jets, n_slots, C,
    N_PLAIN: tl.constexpr, D: tl.constexpr, DP: tl.constexpr, K: tl.constexpr, KP: tl.constexpr,
    BI: tl.constexpr, BJ: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    channel = tl.program_id(1)
    c2, w0, w1 = load_parameters(decay, weights, channel, C, K, KP, ACC)
    d = tl.arange(0, DP)[None, :]
    for jet in range(tl.program_id(0), n_jets, tl.num_programs(0)):
        slot, pair = tl.load(jets + 4 * jet), tl.load(jets + 4 * jet + 1)
        pitch, nodes = tl.load(jets + 4 * jet + 2).to(tl.int32), tl.load(jets + 4 * jet + 3).to(tl.int32)
        for i0 in range(0, pitch, BI):
            i = i0 + tl.arange(0, BI)
            sum0, sum1 = tl.zeros((BI, DP), ACC), tl.zeros((BI, DP), ACC)
            for j0 in range(0, nodes, BJ):
                j = j0 + tl.arange(0, BJ)
                g, _, real = bells(norm, c2, i0, j0, pair, pitch, nodes, BI, BJ, ACC)
                f0, f1 = pair_functions(g, real, w0, w1, BI, BJ)
                sender = load_components(x, channel, slot + j, n_slots, C, j < nodes, D, DP, ACC).to(DOT)
                sum0 = tl.dot(f0.to(DOT), sender, sum0, input_precision=PRECISION, out_dtype=ACC)
                sum1 = tl.dot(f1.to(DOT), sender, sum1, input_precision=PRECISION, out_dtype=ACC)
            at, inside = (d * C + channel) * n_slots + (slot + i)[:, None], (i < pitch)[:, None]
            tl.store(plain + at, sum0, mask=inside & (d < N_PLAIN))
            tl.store(weighted + at, sum1, mask=inside & (d < D))


@triton.jit(do_not_specialize=["n_jets", "n_slots"])
def bells_backward(
    x, norm, decay, weights, jets, d_plain, d_weighted, d_x, d_parameters, n_jets, n_slots, C,
    N_PLAIN: tl.constexpr, D: tl.constexpr, DP: tl.constexpr, K: tl.constexpr, KP: tl.constexpr,
    BI: tl.constexpr, BJ: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """``d_parameters`` (programs, C, 3, KP): both rows of weights, then decays; f is symmetric in a pair."""
    channel = tl.program_id(1)
    c2, w0, w1 = load_parameters(decay, weights, channel, C, K, KP, ACC)
    d = tl.arange(0, DP)[None, :]
    to_w0, to_w1, to_decay = tl.zeros((KP,), ACC), tl.zeros((KP,), ACC), tl.zeros((KP,), ACC)
    for jet in range(tl.program_id(0), n_jets, tl.num_programs(0)):
        slot, pair = tl.load(jets + 4 * jet), tl.load(jets + 4 * jet + 1)
        pitch, nodes = tl.load(jets + 4 * jet + 2).to(tl.int32), tl.load(jets + 4 * jet + 3).to(tl.int32)
        for i0 in range(0, pitch, BI):
            i = i0 + tl.arange(0, BI)
            own = load_components(x, channel, slot + i, n_slots, C, i < nodes, D, DP, ACC).to(DOT)
            total = tl.zeros((BI, DP), ACC)
            for j0 in range(0, nodes, BJ):
                j = j0 + tl.arange(0, BJ)
                valid = j < nodes
                g, n, real = bells(norm, c2, i0, j0, pair, pitch, nodes, BI, BJ, ACC)
                f0, f1 = pair_functions(g, real, w0, w1, BI, BJ)
                p = load_components(d_plain, channel, slot + j, n_slots, C, valid, N_PLAIN, DP, ACC).to(DOT)
                q = load_components(d_weighted, channel, slot + j, n_slots, C, valid, D, DP, ACC).to(DOT)
                total = tl.dot(f0.to(DOT), p, total, input_precision=PRECISION, out_dtype=ACC)
                total = tl.dot(f1.to(DOT), q, total, input_precision=PRECISION, out_dtype=ACC)
                to_f0 = tl.dot(own, tl.trans(p), input_precision=PRECISION, out_dtype=ACC).reshape(BI * BJ)
                to_f1 = tl.dot(own, tl.trans(q), input_precision=PRECISION, out_dtype=ACC).reshape(BI * BJ)
                to_f0, to_f1 = tl.where(real, to_f0, 0.0)[:, None], tl.where(real, to_f1, 0.0)[:, None]
                to_w0 += tl.sum(g * to_f0, axis=0)
                to_w1 += tl.sum(g * to_f1, axis=0)
                slope = (to_f0 * w0[None, :] + to_f1 * w1[None, :]) * g * g
                to_decay -= tl.sum(slope * n[:, None], axis=0)
            at, inside = (d * C + channel) * n_slots + (slot + i)[:, None], (i < pitch)[:, None]
            tl.store(d_x + at, total, mask=inside & (d < D))
    into = d_parameters + (tl.program_id(0) * C + channel) * 3 * KP + tl.arange(0, KP)
    tl.store(into, to_w0)
    tl.store(into + KP, to_w1)
    tl.store(into + 2 * KP, to_decay)


@triton.jit(do_not_specialize=["width"])
def sparse_kernel(a, b, starts, terms, values, out, width, LANES: tl.constexpr, ACC: tl.constexpr):
    """out_r = sum_e value_e a_p b_q over the terms e = (p, q) of row r; rows are ``width`` numbers long."""
    row = tl.program_id(1)
    lane = tl.program_id(0) * LANES + tl.arange(0, LANES).to(tl.int64)
    inside = lane < width
    total = tl.zeros((LANES,), ACC)
    for e in range(tl.load(starts + row), tl.load(starts + row + 1)):
        p, q = tl.load(terms + 2 * e), tl.load(terms + 2 * e + 1)
        x = tl.load(a + p * width + lane, mask=inside, other=0.0).to(ACC)
        y = tl.load(b + q * width + lane, mask=inside, other=0.0).to(ACC)
        total += tl.load(values + e).to(ACC) * x * y
    tl.store(out + row * width + lane, total, mask=inside)
