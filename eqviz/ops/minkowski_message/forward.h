/* The forward pass of one jet. */
#pragma once
#include "layers.h"

/* m_ij = g_ij r_ij and M_i += m_ij; the sum of a receiver stays in registers */
INLINE void messages_of(int n, const message *m, const tile *at, const REAL *r, const REAL *g, REAL *out, REAL *sums,
                        int64_t column) {
    for (int64_t t = 0; t < at->count;) {
        int64_t i = at->i[t];
        REAL *to = sums + i * m->CP + column;
        vec sum[WIDEST];
        UNROLL
        for (int k = 0; k < n; k++) sum[k] = load(to + k * LANES);
        for (; t < at->count && at->i[t] == i; t++) {
            vec gate = splat(g[t]);
            UNROLL
            for (int k = 0; k < n; k++) {
                int64_t place = t * m->CP + column + k * LANES;
                vec value = gate * load(r + place);
                store(out + place, value);
                sum[k] += value;
            }
        }
        UNROLL
        for (int k = 0; k < n; k++) store(to + k * LANES, sum[k]);
    }
}

static void messages(const message *m, const tile *at, const REAL *r, const REAL *g, REAL *out, REAL *sums) {
#define CASE(N, HEIGHT) \
    case N: messages_of(N, m, at, r, g, out, sums, COLUMN); break;
    EACH_RUN(m->CP, CASE)
#undef CASE
}

/* Adds to c_ij and e_ij = c_ij - Q.(v_c b_c); the bits of Q, one byte a lane for every run of columns. */
INLINE void coordinates_of(int n, const message *m, const tile *at, const REAL *y, REAL *c, REAL *e, int8_t *flags,
                           int64_t column, int64_t run) {
    vec bias[WIDEST], scale[WIDEST];
    UNROLL
    for (int k = 0; k < n; k++) {
        bias[k] = load(m->coordinate_bias + column + k * LANES);
        scale[k] = load(m->coordinate_out + column + k * LANES);
    }
    for (int64_t t = 0; t < at->count; t++) {
        vec with = {0}, without = {0};
        mask bits = {0};
        UNROLL
        for (int k = 0; k < n; k++) {
            vec q = load(y + t * m->CP + column + k * LANES), biased = q + bias[k];
            mask on = biased > 0;
            with += scale[k] * relu(biased);
            without += scale[k] * where(on, q, (vec){0});
            bits |= on & ((WHOLE)1 << k);
        }
        store_bytes(flags + t * flag_bytes(m->CP) + run * LANES, bits);
        c[at->pair[t]] += total(with);
        e[t] += total(without);
    }
}

static void coordinates(const message *m, const tile *at, const REAL *x, REAL *y, REAL *c, REAL *e, int8_t *flags) {
    product(x, m->CP, m->coordinate_t, y, m->CP, at->count, m->C);
    memset(e, 0, (size_t)at->count * sizeof(REAL));
#define CASE(N, HEIGHT) \
    case N: coordinates_of(N, m, at, y, c, e, flags, COLUMN, run_); break;
    EACH_RUN(m->CP, CASE)
#undef CASE
}

static void forward_jet(const message *m, jet of, REAL *memory, REAL *sums, REAL *c, REAL *kept_g, REAL *e,
                        int8_t *flags) {
    int64_t block = TILE * m->CP, n = of.nodes * m->CP;
    REAL *a = memory, *r = a + block, *logit = r + block, *g = logit + SCALARS;
    REAL *u = g + SCALARS, *v = u + n, *M = v + n;
    tile at;
    padded_rows(m->u, of, m, u), padded_rows(m->v, of, m, v);
    memset(M, 0, (size_t)n * sizeof(REAL));
    for (int64_t start = 0; start < pairs_of(of); start += TILE) {
        tile_at(of, start, &at);
        first_layer(m, &at, u, v, a);
        hidden_layer(m, &at, a, r, logit);
        gates(logit, g);
        memcpy(kept_g + at.kept, g, (size_t)at.count * sizeof(REAL));
        messages(m, &at, r, g, a, M);
        if (c) coordinates(m, &at, a, r, c, e + at.kept, flags + at.kept * flag_bytes(m->CP));
    }
    unpadded_rows(M, of, m, sums);
}
