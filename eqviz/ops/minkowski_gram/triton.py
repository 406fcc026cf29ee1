"""Pair products on a GPU in one pass: read momenta, write finished numbers, psi included if wanted."""

from __future__ import annotations

import triton
import triton.language as tl

MATRIX, DIFFERENCE, DIRECTION = 0, 1, 2  # forms
BLOCKS = {"BI": 16, "BJ": 64}
OPTIONS = {"num_warps": 4, "num_stages": 1}


@triton.jit
def load_momenta(p4, slot, valid, ACC: tl.constexpr):
    """Energy and three components, zero where not valid."""
    return (
        tl.load(p4 + 4 * slot, mask=valid, other=0.0).to(ACC),
        tl.load(p4 + 4 * slot + 1, mask=valid, other=0.0).to(ACC),
        tl.load(p4 + 4 * slot + 2, mask=valid, other=0.0).to(ACC),
        tl.load(p4 + 4 * slot + 3, mask=valid, other=0.0).to(ACC),
    )


@triton.jit
def directions(p):
    """|p| and p / |p|, 0 for a particle at rest."""
    size = tl.sqrt(p[1] * p[1] + p[2] * p[2] + p[3] * p[3])
    divisor = tl.where(size > 0, size, 1.0)
    return size, p[1] / divisor, p[2] / divisor, p[3] / divisor


@triton.jit
def products(a, b, mass_a, mass_b, FORM: tl.constexpr, MASSIVE: tl.constexpr):
    """p_i.p_j and (p_i - p_j)^2 of receivers a (BI, 1) and senders b (1, BJ)."""
    if FORM == 2:
        n, m = directions(a), directions(b)
        x, y, z = n[1] - m[1], n[2] - m[2], n[3] - m[3]
        lengths = n[0] * m[0]
        dot = lengths * (x * x + y * y + z * z) * 0.5
        norm = -2 * dot
        if MASSIVE:
            size = a[0] * b[0] + lengths
            extra = (mass_a * b[0] * b[0] + mass_b * n[0] * n[0]) / tl.where(size > 0, size, 1.0)
            dot += extra
            norm = mass_a + mass_b - 2 * dot
    else:
        dot = a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3]
        if FORM == 0:
            squares = a[0] * a[0] - a[1] * a[1] - a[2] * a[2] - a[3] * a[3]
            norm = squares + (b[0] * b[0] - b[1] * b[1] - b[2] * b[2] - b[3] * b[3]) - 2 * dot
        else:
            t, x, y, z = a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]
            norm = t * t - x * x - y * y - z * z
    return dot, norm


@triton.jit
def compressed(x):
    """sign(x) log(1 + |x|), exact for small x."""
    size = tl.abs(x)
    one = 1.0 + size
    close = one == 1.0
    value = tl.where(close, size, tl.log(one) * (size / tl.where(close, 1.0, one - 1.0)))
    return tl.where(x < 0, -value, value)


@triton.jit(do_not_specialize=["n_jets", "n_pairs"])
def forward_kernel(
    p4, mass2, jets, out, n_jets, n_pairs,
    FORM: tl.constexpr, MASSIVE: tl.constexpr, COMPRESS: tl.constexpr, ACC: tl.constexpr,
    BI: tl.constexpr, BJ: tl.constexpr,
):  # fmt: skip
    """Row 0 of ``out`` (2, P): norm; row 1: dot."""
    for jet in range(tl.program_id(0), n_jets, tl.num_programs(0)):
        slot, pair = tl.load(jets + 4 * jet), tl.load(jets + 4 * jet + 1)
        pitch, nodes = tl.load(jets + 4 * jet + 2).to(tl.int32), tl.load(jets + 4 * jet + 3).to(tl.int32)
        for i0 in range(tl.program_id(1) * BI, pitch, tl.num_programs(1) * BI):
            i = (i0 + tl.arange(0, BI))[:, None]
            a = load_momenta(p4, slot + i, i < nodes, ACC)
            mass_a = tl.load(mass2 + slot + i, mask=i < nodes, other=0.0).to(ACC)
            for j0 in range(0, pitch, BJ):
                j = (j0 + tl.arange(0, BJ))[None, :]
                b = load_momenta(p4, slot + j, j < nodes, ACC)
                mass_b = tl.load(mass2 + slot + j, mask=j < nodes, other=0.0).to(ACC)
                dot, norm = products(a, b, mass_a, mass_b, FORM, MASSIVE)
                if COMPRESS:
                    real = (i < nodes) & (j < nodes) & (i != j)
                    dot = tl.where(real, compressed(dot), 0.0)
                    norm = tl.where(real, compressed(norm), 0.0)
                index, inside = pair + i * pitch + j, (i < pitch) & (j < pitch)
                tl.store(out + index, norm, mask=inside)
                tl.store(out + n_pairs + index, dot, mask=inside)


@triton.jit
def load_gradients(grad, n_pairs, at, mirrored, real, dot, norm, COMPRESS: tl.constexpr, ACC: tl.constexpr):
    """Gradients of dot and norm, those of pairs (i, j) and (j, i) added."""
    d_norm = tl.load(grad + at, mask=real, other=0.0).to(ACC) + tl.load(
        grad + mirrored, mask=real, other=0.0
    ).to(ACC)
    d_dot = tl.load(grad + n_pairs + at, mask=real, other=0.0).to(ACC) + tl.load(
        grad + n_pairs + mirrored, mask=real, other=0.0
    ).to(ACC)
    if COMPRESS:
        d_norm, d_dot = d_norm / (1.0 + tl.abs(norm)), d_dot / (1.0 + tl.abs(dot))
    return d_dot, d_norm


@triton.jit(do_not_specialize=["n_jets", "n_pairs"])
def backward_kernel(
    p4, jets, grad, d_p4, n_jets, n_pairs,
    FORM: tl.constexpr, COMPRESS: tl.constexpr, ACC: tl.constexpr, BI: tl.constexpr, BJ: tl.constexpr,
):  # fmt: skip
    """Without masses. A program owns its receivers: products are symmetric, so it reads (i, j) and (j, i)."""
    for jet in range(tl.program_id(0), n_jets, tl.num_programs(0)):
        slot, pair = tl.load(jets + 4 * jet), tl.load(jets + 4 * jet + 1)
        pitch, nodes = tl.load(jets + 4 * jet + 2).to(tl.int32), tl.load(jets + 4 * jet + 3).to(tl.int32)
        for i0 in range(tl.program_id(1) * BI, pitch, tl.num_programs(1) * BI):
            own = i0 + tl.arange(0, BI)
            i = own[:, None]
            a = load_momenta(p4, slot + i, i < nodes, ACC)
            t, x = tl.zeros((BI,), ACC), tl.zeros((BI,), ACC)
            y, z = tl.zeros((BI,), ACC), tl.zeros((BI,), ACC)
            for j0 in range(0, nodes, BJ):
                j = (j0 + tl.arange(0, BJ))[None, :]
                b = load_momenta(p4, slot + j, j < nodes, ACC)
                real = (i < nodes) & (j < nodes)
                if COMPRESS:
                    real = real & (i != j)
                dot, norm = products(a, b, 0.0, 0.0, FORM, False)
                at, mirrored = pair + i * pitch + j, pair + j * pitch + i
                d_dot, d_norm = load_gradients(grad, n_pairs, at, mirrored, real, dot, norm, COMPRESS, ACC)
                if FORM == 2:
                    n, m = directions(a), directions(b)
                    scale = (d_dot - 2 * d_norm) * m[0]
                    x += tl.sum(scale * (n[1] - m[1]), axis=1)
                    y += tl.sum(scale * (n[2] - m[2]), axis=1)
                    z += tl.sum(scale * (n[3] - m[3]), axis=1)
                else:
                    t += tl.sum(d_dot * b[0] + 2 * d_norm * (a[0] - b[0]), axis=1)
                    x -= tl.sum(d_dot * b[1] + 2 * d_norm * (a[1] - b[1]), axis=1)
                    y -= tl.sum(d_dot * b[2] + 2 * d_norm * (a[2] - b[2]), axis=1)
                    z -= tl.sum(d_dot * b[3] + 2 * d_norm * (a[3] - b[3]), axis=1)
            into, valid = d_p4 + 4 * (slot + own), own < pitch
            tl.store(into, t, mask=valid)
            tl.store(into + 1, x, mask=valid)
            tl.store(into + 2, y, mask=valid)
            tl.store(into + 3, z, mask=valid)
