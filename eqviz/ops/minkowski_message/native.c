/* The message of LorentzNet on a CPU; contract in __init__.py, formulae of the backward pass in tiled.py.

   The pairs of a jet are worked through in tiles of TILE (i, j != i), channels along the vector, padded with zeros to
   CP. A tile of one pair tensor fits into the first cache, so a pass over it costs little. Padding is never visited.

   What each jet gives depends on that jet alone and is summed in the order of its pairs: neither batch mates nor the
   number of threads change a bit of it. Gradients of weights are summed within a jet in REAL, over jets in double. */
#include "native.h"

#define TILE 60 /* a multiple of every number of rows below */
#define SCALARS 64 /* room for one number per pair of a tile, in whole vectors */

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

/* ---- products of matrices ---------------------------------------------------------------------------------- */

#if defined(__AVX512F__)
#define WIDEST 5 /* vectors of a row; with the rows at a time below they fill the 32 registers, or the 16 */
#define EACH_WIDTH(F) F(1, 12) F(2, 10) F(3, 6) F(4, 6) F(5, 5)
#else
#define WIDEST 3
#define EACH_WIDTH(F) F(1, 10) F(2, 6) F(3, 4)
#endif

#define UNROLL _Pragma("GCC unroll 5")

/* y (rows, n vectors) = x (rows, K) w (K, n vectors), `height` rows at a time in registers. */
INLINE void product_of(int n, int height, const REAL *x, const REAL *w, REAL *y, int64_t rows, int64_t K, int64_t ld) {
    for (int64_t t = 0; t < rows; t += height) {
        vec sum[12][WIDEST];
#pragma GCC unroll 12
        for (int i = 0; i < height; i++)
UNROLL
            for (int k = 0; k < n; k++) sum[i][k] = (vec){0};
        const REAL *row = x + t * ld;
        for (int64_t k = 0; k < K; k++) {
            vec right[WIDEST];
UNROLL
            for (int c = 0; c < n; c++) right[c] = load(w + k * ld + c * LANES);
#pragma GCC unroll 12
            for (int i = 0; i < height; i++) {
                vec left = splat(row[i * ld + k]);
UNROLL
                for (int c = 0; c < n; c++) sum[i][c] += left * right[c];
            }
        }
#pragma GCC unroll 12
        for (int i = 0; i < height; i++)
UNROLL
            for (int c = 0; c < n; c++) store(y + (t + i) * ld + c * LANES, sum[i][c]);
    }
}

/* out (N, n vectors) += x^T y with x (rows, N) and y (rows, n vectors), four rows of `out` at a time. */
INLINE void outer_of(int n, const REAL *x, const REAL *y, REAL *out, int64_t rows, int64_t N, int64_t ld) {
    for (int64_t m = 0; m < N; m += 4) {
        vec sum[4][WIDEST];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
UNROLL
            for (int c = 0; c < n; c++) sum[i][c] = load(out + (m + i) * ld + c * LANES);
        for (int64_t t = 0; t < rows; t++) {
            vec right[WIDEST];
UNROLL
            for (int c = 0; c < n; c++) right[c] = load(y + t * ld + c * LANES);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                vec left = splat(x[t * ld + m + i]);
UNROLL
                for (int c = 0; c < n; c++) sum[i][c] += left * right[c];
            }
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
UNROLL
            for (int c = 0; c < n; c++) store(out + (m + i) * ld + c * LANES, sum[i][c]);
    }
}

/* Calls F(vectors, first column) for the runs of a row of CP numbers: at most WIDEST vectors, nearly the same in each.
   The number of vectors is a constant in every call, so that what belongs to a run of columns stays in registers. */
#define EACH_RUN(CP, F) \
    for (int64_t at_ = 0, vectors_ = (CP) / LANES, runs_ = (vectors_ + WIDEST - 1) / WIDEST, run_ = 0, n_; \
         at_ < vectors_; at_ += n_, runs_--, run_++) { \
        n_ = (vectors_ - at_ + runs_ - 1) / runs_; \
        switch (n_) { EACH_WIDTH(F) } \
    }
#define COLUMN (at_ * LANES)

static void product(const REAL *x, const REAL *w, REAL *y, int64_t rows, int64_t K, int64_t ld) {
#define CASE(N, HEIGHT) \
    case N: product_of(N, HEIGHT, x, w + COLUMN, y + COLUMN, rows, K, ld); break;
    EACH_RUN(ld, CASE)
#undef CASE
}

static void outer(const REAL *x, const REAL *y, REAL *out, int64_t rows, int64_t N, int64_t ld) {
#define CASE(WIDTH, HEIGHT) \
    case WIDTH: outer_of(WIDTH, x, y + COLUMN, out + COLUMN, rows, N, ld); break;
    EACH_RUN(ld, CASE)
#undef CASE
}

INLINE int64_t padded(int64_t C) { return up(C, LANES > 8 ? LANES : 8); }

INLINE int64_t flag_bytes(int64_t CP) { return (CP / LANES + WIDEST - 1) / WIDEST * LANES; } /* of one pair */

INLINE void add(REAL *to, vec value) { store(to, load(to) + value); }

/* ---- pairs --------------------------------------------------------------------------------------------------- */

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

/* The rows of a jet in (S, C), padded to CP. */
static void padded_rows(const REAL *from, jet of, const message *m, REAL *to) {
    for (int64_t i = 0; i < of.nodes; i++)
        memcpy(to + i * m->CP, from + (of.slot + i) * m->C, (size_t)m->C * sizeof(REAL));
}

static void unpadded_rows(const REAL *from, jet of, const message *m, REAL *to) {
    for (int64_t i = 0; i < of.nodes; i++)
        memcpy(to + (of.slot + i) * m->C, from + i * m->CP, (size_t)m->C * sizeof(REAL));
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
    product(a, m->hidden_t, r, at->count, m->C, m->CP);
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

/* ---- forward ------------------------------------------------------------------------------------------------- */

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
    product(x, m->coordinate_t, y, at->count, m->C, m->CP);
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

/* ---- backward ------------------------------------------------------------------------------------------------ */

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
        if (d) product(through, m->scaled, grad, at.count, m->C, m->CP);
        through_hidden(m, &at, r, D, &per_pair, d != NULL, into, grad);
        if (d) outer(through, r, into.coordinate, at.count, m->C, m->CP);
        outer(grad, a, into.hidden, at.count, m->C, m->CP);
        product(grad, m->hidden, through, at.count, m->C, m->CP);
        through_first(m, &at, a, through, into, du, dv, ds);
    }
    unpadded_rows(du, of, m, du_out), unpadded_rows(dv, of, m, dv_out);
}

/* ---- entry points -------------------------------------------------------------------------------------------- */

static int64_t largest_jet(const message *m) {
    int64_t largest = 0;
    for (int64_t k = 0; k < m->n_jets; k++) largest = m->jets[4 * k + 3] > largest ? m->jets[4 * k + 3] : largest;
    return largest;
}

static REAL *zeros(int64_t count) {
    REAL *memory = reals(count);
    if (memory) memset(memory, 0, (size_t)count * sizeof(REAL));
    return memory;
}

/* (rows, columns) with strides, padded to `CP` columns, each times `scale` of its row if there is one. */
static REAL *packed(REAL **free_space, const REAL *from, int64_t rows, int64_t columns, int64_t row, int64_t column,
                    const REAL *scale, int64_t CP) {
    REAL *to = *free_space;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < columns; k++) to[i * CP + k] = from[i * row + k * column] * (scale ? scale[i] : 1);
    *free_space += rows * CP;
    return to;
}

/* The weights as the products want them; `memory` to be freed. */
static REAL *prepare(message *m, const REAL *features, const REAL *hidden, const REAL *hidden_bias, const REAL *gate,
                     const REAL *gate_bias, const REAL *coordinate, const REAL *coordinate_bias,
                     const REAL *coordinate_out) {
    int64_t C = m->C, CP = m->CP = padded(C);
    REAL *memory = zeros((4 * C + 4 + m->F) * CP), *at = memory;
    if (!memory) return NULL;
    m->features = packed(&at, features, m->F, C, 1, m->F, NULL, CP);
    m->hidden = packed(&at, hidden, C, C, C, 1, NULL, CP);
    m->hidden_t = packed(&at, hidden, C, C, 1, C, NULL, CP);
    m->hidden_bias = packed(&at, hidden_bias, 1, C, C, 1, NULL, CP);
    m->gate = packed(&at, gate, 1, C, C, 1, NULL, CP);
    m->gate_bias = gate_bias[0];
    if (coordinate) {
        m->coordinate_t = packed(&at, coordinate, C, C, 1, C, NULL, CP);
        m->scaled = packed(&at, coordinate, C, C, C, 1, coordinate_out, CP);
        m->coordinate_bias = packed(&at, coordinate_bias, 1, C, C, 1, NULL, CP);
        m->coordinate_out = packed(&at, coordinate_out, 1, C, C, 1, NULL, CP);
    }
    return memory;
}

/* Which thread works on a jet: all get about the same number of pairs, in order. */
INLINE int64_t owner(const message *m, int64_t before, int64_t all) { return all ? before * m->threads / all : 0; }

static int64_t all_pairs(const message *m) {
    int64_t all = 0;
    for (int64_t k = 0; k < m->n_jets; k++) all += pairs_of(jet_of(m, k, 0));
    return all;
}

#define WEIGHTS \
    const REAL *features, const REAL *hidden, const REAL *hidden_bias, const REAL *gate, const REAL *gate_bias, \
        const REAL *coordinate, const REAL *coordinate_bias, const REAL *coordinate_out
#define PREPARE(M) \
    prepare(M, features, hidden, hidden_bias, gate, gate_bias, coordinate, coordinate_bias, coordinate_out)
#define SIZES \
    int64_t C, int64_t F, int64_t n_jets, int64_t s_pair, int64_t s_feature, int64_t threads
#define MESSAGE \
    {.C = C, .F = F, .n_jets = n_jets, .s_pair = s_pair, .s_feature = s_feature, .threads = threads, .u = u, .v = v, \
     .s = s, .jets = jets}

/* Sizes that depend on the machine: CP, bytes of flags per pair, numbers in the gradient of all weights. */
int sizes(int64_t C, int64_t F, int64_t *out) {
    message m = {.C = C, .F = F, .CP = padded(C)};
    out[0] = m.CP, out[1] = flag_bytes(m.CP), out[2] = gradient_size(&m);
    return 0;
}

/* total (S, C) and c (P,), both zero before; g and e (pairs of different nodes,) and flags, as `sizes` says.
   c, e and flags are NULL without coordinates. */
int forward(const REAL *u, const REAL *v, const REAL *s, const int64_t *jets, WEIGHTS, REAL *sums, REAL *c, REAL *g,
            REAL *e, int8_t *flags, SIZES) {
    message m = MESSAGE;
    REAL *weights = PREPARE(&m);
    int64_t all = all_pairs(&m), size = 2 * (TILE * m.CP + SCALARS) + 3 * largest_jet(&m) * m.CP;
    int failed = !weights;
    if (!failed) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
        for (int64_t thread = 0; thread < threads; thread++) {
            REAL *memory = zeros(size);
            failed |= !memory;
            for (int64_t k = 0, before = 0; memory && k < n_jets; k++) {
                jet of = jet_of(&m, k, before);
                if (owner(&m, before, all) == thread) forward_jet(&m, of, memory, sums, c, g, e, flags);
                before += pairs_of(of);
            }
            free(memory);
        }
    }
    free(weights);
    return failed;
}

/* Gradients of u and v (S, C) and s, or NULL, with the strides of s; of all weights, as `gradient` in doubles, one row
   of `n_weights` a thread. All zero before. */
int backward(const REAL *u, const REAL *v, const REAL *s, const int64_t *jets, WEIGHTS, const REAL *d_total,
             const REAL *d, const REAL *g, const REAL *e, const int8_t *flags, REAL *du, REAL *dv, REAL *ds,
             double *d_weights, int64_t n_weights, SIZES) {
    message m = MESSAGE;
    REAL *weights = PREPARE(&m);
    int64_t all = all_pairs(&m), own = gradient_size(&m);
    int64_t size = own + 4 * TILE * m.CP + 5 * largest_jet(&m) * m.CP;
    int failed = !weights || own != n_weights;
    if (!failed) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
        for (int64_t thread = 0; thread < threads; thread++) {
            REAL *memory = zeros(size + LANES);
            double *sum = d_weights + thread * n_weights;
            failed |= !memory;
            for (int64_t k = 0, before = 0; memory && k < n_jets; k++) {
                jet of = jet_of(&m, k, before);
                if (owner(&m, before, all) == thread && pairs_of(of)) {
                    memset(memory, 0, (size_t)own * sizeof(REAL));
                    backward_jet(&m, of, memory + up(own, LANES), gradient_at(&m, memory), d_total, d, g, e, flags, du,
                                 dv, ds);
                    for (int64_t n = 0; n < own; n++) sum[n] += memory[n];
                }
                before += pairs_of(of);
            }
            free(memory);
        }
    }
    free(weights);
    return failed;
}
