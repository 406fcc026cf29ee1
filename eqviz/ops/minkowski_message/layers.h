/* The pairs of a jet in tiles, and the two layers that both passes need: a, r and the gate g. */
#pragma once
#include "products.h"


typedef struct {
    int64_t C, CP, F; /* channels, padded; features */
    const REAL *u, *v, *s;
    int64_t s_pair, s_feature; /* strides of s */
    const int64_t *jets;       /* rows: first slot, first pair, slots, nodes */
    int64_t n_jets, threads;
    REAL *features, *hidden, *hidden_t, *hidden_bias, *gate, gate_bias; /* W_s^T, W_h, W_h^T, b_h, w_g, b_g */
    REAL *coordinate_t, *coordinate_bias, *coordinate_out, *scaled;     /* W_c^T, b_c, v_c, v_c W_c; or NULL */
} message;

typedef struct { /* the pairs of a tile: receiver, sender, row in (P, ...) and in memory kept for the backward pass */
    int64_t count, i[TILE], j[TILE], pair[TILE], kept;
} tile;

typedef struct {
    int64_t slot, pair, size, nodes, kept; /* of one jet: first slot and pair; slots, nodes; pairs of jets before it */
} jet;

INLINE int64_t flag_bytes(int64_t CP) { return (CP / LANES + WIDEST - 1) / WIDEST * LANES; } /* of one pair */

INLINE jet jet_of(const message *m, int64_t index, int64_t kept) {
    const int64_t *row = m->jets + 4 * index;
    return (jet){row[0], row[1], row[2], row[3], kept};
}

INLINE int64_t pairs_of(jet of) { return of.nodes * (of.nodes - 1); }

static void tile_at(jet of, int64_t start, tile *out) {
    int64_t others = of.nodes - 1, end = pairs_of(of), i = start / others, k = start % others;
    out->count = end - start < TILE ? end - start : TILE;
    out->kept = of.kept + start;
    for (int64_t t = 0; t < out->count; t++) {
        int64_t j = k + (k >= i);
        out->i[t] = i, out->j[t] = j, out->pair[t] = of.pair + i * of.size + j;
        if (++k == others) k = 0, i++;
    }
}

/* The rows of a jet in (S, C), padded to CP, and back. */
INLINE void padded_rows(const REAL *from, jet of, const message *m, REAL *to) {
    pad_rows(from + of.slot * m->C, of.nodes, m->C, m->CP, to);
}

INLINE void unpadded_rows(const REAL *from, jet of, const message *m, REAL *to) {
    cut_rows(from, of.nodes, m->C, m->CP, to + of.slot * m->C);
}

/* a (rows, CP) = relu(u_i + v_j + W_s s_ij), some columns of it */
INLINE void first_layer_of(int n, int64_t F, const message *m, const tile *at, const REAL *u, const REAL *v, REAL *a,
                           int64_t column) {
    const REAL *weights = m->features + column;
    for (int64_t t = 0; t < at->count; t++) {
        const REAL *ui = u + at->i[t] * m->CP + column, *vj = v + at->j[t] * m->CP + column;
        const REAL *s = m->s + at->pair[t] * m->s_pair;
        vec sum[WIDEST];
        UNROLL
        for (int k = 0; k < n; k++) sum[k] = load(ui + k * LANES) + load(vj + k * LANES);
        for (int64_t f = 0; f < F; f++) {
            vec value = splat(s[f * m->s_feature]);
            UNROLL
            for (int k = 0; k < n; k++) sum[k] += value * load(weights + f * m->CP + k * LANES);
        }
        UNROLL
        for (int k = 0; k < n; k++) store(a + t * m->CP + column + k * LANES, relu(sum[k]));
    }
}

static void first_layer(const message *m, const tile *at, const REAL *u, const REAL *v, REAL *a) {
#define CASE(N, HEIGHT) \
    case N: \
        if (m->F == 2) \
            first_layer_of(N, 2, m, at, u, v, a, COLUMN); \
        else \
            first_layer_of(N, m->F, m, at, u, v, a, COLUMN); \
        break;
    EACH_RUN(m->CP, CASE)
#undef CASE
}

/* r = relu(r + b_h), in place, and w_g.r on top of `logit`; some columns of it */
INLINE void activate_of(int n, const message *m, const tile *at, REAL *r, REAL *logit, int64_t column) {
    vec bias[WIDEST], gate[WIDEST];
    UNROLL
    for (int k = 0; k < n; k++)
        bias[k] = load(m->hidden_bias + column + k * LANES), gate[k] = load(m->gate + column + k * LANES);
    for (int64_t t = 0; t < at->count; t++) {
        REAL *row = r + t * m->CP + column;
        vec sum = {0};
        UNROLL
        for (int k = 0; k < n; k++) {
            vec value = relu(load(row + k * LANES) + bias[k]);
            store(row + k * LANES, value);
            sum += value * gate[k];
        }
        logit[t] += total(sum);
    }
}

/* r (rows, CP) = relu(W_h a + b_h) and the gate's logits */
static void hidden_layer(const message *m, const tile *at, const REAL *a, REAL *r, REAL *logit) {
    product(a, m->CP, m->hidden_t, r, m->CP, at->count, m->C);
    for (int64_t t = 0; t < SCALARS; t++) logit[t] = m->gate_bias;
#define CASE(N, HEIGHT) \
    case N: activate_of(N, m, at, r, logit, COLUMN); break;
    EACH_RUN(m->CP, CASE)
#undef CASE
}

/* g_ij */
static void gates(const REAL *logit, REAL *g) {
    for (int64_t t = 0; t < SCALARS; t += LANES) store(g + t, 1 / (1 + exponential(-load(logit + t))));
}
