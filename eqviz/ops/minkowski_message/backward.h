/* The backward pass of one jet: a and r are made again, g, e and the bits of Q come from the forward pass. */
#pragma once
#include "layers.h"

typedef struct { /* of weights, (C, CP), (CP) or (F, CP); coordinate and its bias without the factor v_c */
    REAL *hidden, *coordinate, *hidden_bias, *gate, *coordinate_bias, *features, *gate_bias;
} gradient;

static int64_t gradient_size(const message *m) { return (2 * up(m->C, 4) + 3 + m->F) * m->CP + 1; }

static gradient gradient_at(const message *m, REAL *memory) {
    int64_t square = up(m->C, 4) * m->CP;
    REAL *rows = memory + 2 * square;
    return (gradient){memory, memory + square, rows, rows + m->CP, rows + 2 * m->CP, rows + 3 * m->CP,
                      rows + (3 + m->F) * m->CP};
}

typedef struct {
    REAL g[SCALARS], d[SCALARS], logit[SCALARS]; /* t_ij, the gradient of the gate's logit */
} scalars;

/* Adds D_i.r_ij to `out` */
INLINE void into_gate_of(int n, const message *m, const tile *at, const REAL *r, const REAL *D, REAL *out,
                         int64_t column) {
    for (int64_t t = 0; t < at->count; t++) {
        const REAL *row = r + t * m->CP + column, *Di = D + at->i[t] * m->CP + column;
        vec sum = {0};
        UNROLL
        for (int k = 0; k < n; k++) sum += load(row + k * LANES) * load(Di + k * LANES);
        out[t] += total(sum);
    }
}

static void into_gate(const message *m, const tile *at, const REAL *r, const REAL *D, const REAL *d, const REAL *g,
                      const REAL *e, scalars *of, REAL *gate_bias) {
    memset(of->logit, 0, sizeof of->logit);
#define CASE(N, HEIGHT) \
    case N: into_gate_of(N, m, at, r, D, of->logit, COLUMN); break;
    EACH_RUN(m->CP, CASE)
#undef CASE
    for (int64_t t = 0; t < at->count; t++) {
        REAL step = d ? d[at->pair[t]] : 0;
        of->g[t] = g[t], of->d[t] = step;
        of->logit[t] = (1 - g[t]) * (g[t] * of->logit[t] + (d ? step * e[t] : 0));
        *gate_bias += of->logit[t];
    }
}

/* Gradients of w_g, and of b_c without v_c; d g Q, which leads into W_c. */
INLINE void through_gate_of(int n, const message *m, const tile *at, const REAL *r, const scalars *of,
                            const int8_t *flags, gradient into, REAL *through, int64_t column, int64_t run) {
    vec gate[WIDEST], bias[WIDEST];
    UNROLL
    for (int k = 0; k < n; k++) gate[k] = bias[k] = (vec){0};
    for (int64_t t = 0; t < at->count; t++) {
        const REAL *row = r + t * m->CP + column;
        vec logit = splat(of->logit[t]);
        UNROLL
        for (int k = 0; k < n; k++) gate[k] += logit * load(row + k * LANES);
        if (!flags) continue;
        mask bits = load_bytes(flags + t * flag_bytes(m->CP) + run * LANES);
        vec step = splat(of->d[t]), scale = splat(of->d[t] * of->g[t]);
        UNROLL
        for (int k = 0; k < n; k++) {
            mask on = (bits & ((WHOLE)1 << k)) != 0;
            bias[k] += where(on, step, (vec){0});
            store(through + t * m->CP + column + k * LANES, where(on, scale, (vec){0}));
        }
    }
    UNROLL
    for (int k = 0; k < n; k++) {
        add(into.gate + column + k * LANES, gate[k]);
        add(into.coordinate_bias + column + k * LANES, bias[k]);
    }
}

static void through_gate(const message *m, const tile *at, const REAL *r, const scalars *of, const int8_t *flags,
                         gradient into, REAL *through) {
#define CASE(N, HEIGHT) \
    case N: through_gate_of(N, m, at, r, of, flags, into, through, COLUMN, run_); break;
    EACH_RUN(m->CP, CASE)
#undef CASE
}

/* Gradient of W_h a + b_h: `grad` holds what comes through the coordinates, if there are any. */
INLINE void through_hidden_of(int n, const message *m, const tile *at, const REAL *r, const REAL *D, const scalars *of,
                              int with_coordinates, gradient into, REAL *grad, int64_t column) {
    vec bias[WIDEST], gate[WIDEST];
    UNROLL
    for (int k = 0; k < n; k++) bias[k] = (vec){0}, gate[k] = load(m->gate + column + k * LANES);
    for (int64_t t = 0; t < at->count; t++) {
        const REAL *Di = D + at->i[t] * m->CP + column, *row = r + t * m->CP + column;
        REAL *to = grad + t * m->CP + column;
        vec g = splat(of->g[t]), logit = splat(of->logit[t]);
        UNROLL
        for (int k = 0; k < n; k++) {
            vec value = g * load(Di + k * LANES) + logit * gate[k];
            if (with_coordinates) value += load(to + k * LANES);
            value = where(load(row + k * LANES) > 0, value, (vec){0});
            store(to + k * LANES, value);
            bias[k] += value;
        }
    }
    UNROLL
    for (int k = 0; k < n; k++) add(into.hidden_bias + column + k * LANES, bias[k]);
}

static void through_hidden(const message *m, const tile *at, const REAL *r, const REAL *D, const scalars *of,
                           int with_coordinates, gradient into, REAL *grad) {
#define CASE(N, HEIGHT) \
    case N: \
        if (with_coordinates) \
            through_hidden_of(N, m, at, r, D, of, 1, into, grad, COLUMN); \
        else \
            through_hidden_of(N, m, at, r, D, of, 0, into, grad, COLUMN); \
        break;
    EACH_RUN(m->CP, CASE)
#undef CASE
}

/* `grad` where a > 0, summed over senders and over receivers. */
INLINE void through_first_of(int n, const message *m, const tile *at, const REAL *a, REAL *grad, REAL *du, REAL *dv,
                             int64_t column) {
    for (int64_t t = 0; t < at->count;) {
        int64_t i = at->i[t];
        vec sum[WIDEST];
        UNROLL
        for (int k = 0; k < n; k++) sum[k] = (vec){0};
        for (; t < at->count && at->i[t] == i; t++) {
            REAL *row = grad + t * m->CP + column, *to = dv + at->j[t] * m->CP + column;
            const REAL *open = a + t * m->CP + column;
            UNROLL
            for (int k = 0; k < n; k++) {
                vec value = where(load(open + k * LANES) > 0, load(row + k * LANES), (vec){0});
                store(row + k * LANES, value);
                add(to + k * LANES, value);
                sum[k] += value;
            }
        }
        UNROLL
        for (int k = 0; k < n; k++) add(du + i * m->CP + column + k * LANES, sum[k]);
    }
}

/* Gradients of one feature and of its weights. */
INLINE void through_feature_of(int n, const message *m, const tile *at, int64_t f, const REAL *grad, gradient into,
                               REAL *ds, int64_t column) {
    vec sum[WIDEST], weight[WIDEST];
    UNROLL
    for (int k = 0; k < n; k++)
        sum[k] = (vec){0}, weight[k] = load(m->features + f * m->CP + column + k * LANES);
    for (int64_t t = 0; t < at->count; t++) {
        int64_t place = at->pair[t] * m->s_pair + f * m->s_feature;
        vec s = splat(m->s[place]), change = {0};
        UNROLL
        for (int k = 0; k < n; k++) {
            vec value = load(grad + t * m->CP + column + k * LANES);
            sum[k] += s * value;
            change += weight[k] * value;
        }
        if (ds) ds[place] += total(change);
    }
    UNROLL
    for (int k = 0; k < n; k++) add(into.features + f * m->CP + column + k * LANES, sum[k]);
}

/* Gradients of u, v, s and W_s from that of a, which is `grad` where a > 0. */
static void through_first(const message *m, const tile *at, const REAL *a, REAL *grad, gradient into, REAL *du,
                          REAL *dv, REAL *ds) {
#define CASE(N, HEIGHT) \
    case N: \
        through_first_of(N, m, at, a, grad, du, dv, COLUMN); \
        for (int64_t f = 0; f < m->F; f++) through_feature_of(N, m, at, f, grad, into, ds, COLUMN); \
        break;
    EACH_RUN(m->CP, CASE)
#undef CASE
}

static void backward_jet(const message *m, jet of, REAL *memory, gradient into, const REAL *d_total, const REAL *d,
                         const REAL *g, const REAL *e, const int8_t *flags, REAL *du_out, REAL *dv_out, REAL *ds) {
    int64_t block = TILE * m->CP, n = of.nodes * m->CP;
    REAL *a = memory, *r = a + block, *through = r + block, *grad = through + block;
    REAL *u = grad + block, *v = u + n, *D = v + n, *du = D + n, *dv = du + n;
    tile at;
    scalars per_pair;
    padded_rows(m->u, of, m, u), padded_rows(m->v, of, m, v), padded_rows(d_total, of, m, D);
    memset(du, 0, (size_t)(2 * n) * sizeof(REAL));
    for (int64_t start = 0; start < pairs_of(of); start += TILE) {
        tile_at(of, start, &at);
        first_layer(m, &at, u, v, a);
        hidden_layer(m, &at, a, r, per_pair.logit);
        into_gate(m, &at, r, D, d, g + at.kept, d ? e + at.kept : NULL, &per_pair, into.gate_bias);
        through_gate(m, &at, r, &per_pair, d ? flags + at.kept * flag_bytes(m->CP) : NULL, into, through);
        if (d) product(through, m->CP, m->scaled, grad, m->CP, at.count, m->C);
        through_hidden(m, &at, r, D, &per_pair, d != NULL, into, grad);
        if (d) outer(through, m->CP, r, into.coordinate, m->CP, at.count, m->C);
        outer(grad, m->CP, a, into.hidden, m->CP, at.count, m->C);
        product(grad, m->CP, m->hidden, through, m->CP, at.count, m->C);
        through_first(m, &at, a, through, into, du, dv, ds);
    }
    unpadded_rows(du, of, m, du_out), unpadded_rows(dv, of, m, dv_out);
}
