/* The message of LorentzNet on a CPU; contract in __init__.py, formulae of the backward pass in tiled.py.

   The pairs of a jet are worked through in tiles of TILE (i, j != i), channels along the vector, padded with zeros to
   CP. A tile of one pair tensor fits into the first cache, so a pass over it costs little. Padding is never visited.

   What each jet gives depends on that jet alone and is summed in the order of its pairs: neither batch mates nor the
   number of threads change a bit of it. Gradients of weights are summed within a jet in REAL, over jets in double. */
#include "native.h"

#define TILE 60 /* a multiple of every number of rows below */

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

/* y (rows, n vectors) = x (rows, K) w (K, n vectors), `height` rows at a time in registers. */
INLINE void product_of(int n, int height, const REAL *x, const REAL *w, REAL *y, int64_t rows, int64_t K, int64_t ld) {
    for (int64_t t = 0; t < rows; t += height) {
        vec sum[12][WIDEST];
#pragma GCC unroll 12
        for (int i = 0; i < height; i++)
#pragma GCC unroll 5
            for (int k = 0; k < n; k++) sum[i][k] = (vec){0};
        const REAL *row = x + t * ld;
        for (int64_t k = 0; k < K; k++) {
            vec right[WIDEST];
#pragma GCC unroll 5
            for (int c = 0; c < n; c++) right[c] = load(w + k * ld + c * LANES);
#pragma GCC unroll 12
            for (int i = 0; i < height; i++) {
                vec left = splat(row[i * ld + k]);
#pragma GCC unroll 5
                for (int c = 0; c < n; c++) sum[i][c] += left * right[c];
            }
        }
#pragma GCC unroll 12
        for (int i = 0; i < height; i++)
#pragma GCC unroll 5
            for (int c = 0; c < n; c++) store(y + (t + i) * ld + c * LANES, sum[i][c]);
    }
}

/* out (N, n vectors) += x^T y with x (rows, N) and y (rows, n vectors), four rows of `out` at a time. */
INLINE void outer_of(int n, const REAL *x, const REAL *y, REAL *out, int64_t rows, int64_t N, int64_t ld) {
    for (int64_t m = 0; m < N; m += 4) {
        vec sum[4][WIDEST];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
#pragma GCC unroll 5
            for (int c = 0; c < n; c++) sum[i][c] = load(out + (m + i) * ld + c * LANES);
        for (int64_t t = 0; t < rows; t++) {
            vec right[WIDEST];
#pragma GCC unroll 5
            for (int c = 0; c < n; c++) right[c] = load(y + t * ld + c * LANES);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                vec left = splat(x[t * ld + m + i]);
#pragma GCC unroll 5
                for (int c = 0; c < n; c++) sum[i][c] += left * right[c];
            }
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
#pragma GCC unroll 5
            for (int c = 0; c < n; c++) store(out + (m + i) * ld + c * LANES, sum[i][c]);
    }
}

/* The next run of a row of `left` vectors: at most WIDEST, all of nearly the same length. */
INLINE int64_t run(int64_t left) {
    int64_t runs = (left + WIDEST - 1) / WIDEST;
    return (left + runs - 1) / runs;
}

static void product(const REAL *x, const REAL *w, REAL *y, int64_t rows, int64_t K, int64_t ld) {
    for (int64_t left = ld / LANES, n; left; left -= n, w += n * LANES, y += n * LANES) {
        n = run(left);
#define CASE(N, HEIGHT) \
    if (n == N) product_of(N, HEIGHT, x, w, y, rows, K, ld);
        EACH_WIDTH(CASE)
#undef CASE
    }
}

static void outer(const REAL *x, const REAL *y, REAL *out, int64_t rows, int64_t N, int64_t ld) {
    for (int64_t left = ld / LANES, n; left; left -= n, y += n * LANES, out += n * LANES) {
        n = run(left);
#define CASE(WIDTH, HEIGHT) \
    if (n == WIDTH) outer_of(WIDTH, x, y, out, rows, N, ld);
        EACH_WIDTH(CASE)
#undef CASE
    }
}

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

/* a (rows, CP) = relu(u_i + v_j + W_s s_ij) */
static void first_layer(const message *m, const tile *at, const REAL *u, const REAL *v, REAL *a) {
    for (int64_t t = 0; t < at->count; t++) {
        const REAL *ui = u + at->i[t] * m->CP, *vj = v + at->j[t] * m->CP, *s = m->s + at->pair[t] * m->s_pair;
        for (int64_t c = 0; c < m->CP; c += LANES) {
            vec sum = load(ui + c) + load(vj + c);
            for (int64_t f = 0; f < m->F; f++) sum += s[f * m->s_feature] * load(m->features + f * m->CP + c);
            store(a + t * m->CP + c, relu(sum));
        }
    }
}

/* r (rows, CP) = relu(W_h a + b_h) */
static void hidden_layer(const message *m, const tile *at, const REAL *a, REAL *r) {
    product(a, m->hidden_t, r, at->count, m->C, m->CP);
    for (int64_t t = 0; t < at->count; t++)
        for (int64_t c = 0; c < m->CP; c += LANES)
            store(r + t * m->CP + c, relu(load(r + t * m->CP + c) + load(m->hidden_bias + c)));
}

INLINE REAL dot(const REAL *x, const REAL *y, int64_t CP) {
    vec sum = {0};
    for (int64_t c = 0; c < CP; c += LANES) sum += load(x + c) * load(y + c);
    return total(sum);
}

static void gates(const message *m, const tile *at, const REAL *r, REAL *g) {
    for (int64_t t = 0; t < at->count; t++) g[t] = m->gate_bias + dot(r + t * m->CP, m->gate, m->CP);
    for (int64_t t = 0; t < at->count; t++) g[t] = 1 / (1 + EXP(-g[t]));
}

INLINE int64_t padded(int64_t C) { return up(C, LANES > 8 ? LANES : 8); }

INLINE int64_t flag_bytes(int64_t CP) { return up(CP / LANES, 8) / 8 * LANES; } /* eight vectors in a byte a lane */

/* ---- forward ------------------------------------------------------------------------------------------------- */

/* M_i += m_ij = g_ij r_ij */
static void messages(const message *m, const tile *at, const REAL *r, const REAL *g, REAL *out, REAL *sums) {
    for (int64_t t = 0; t < at->count; t++) {
        REAL *sum = sums + at->i[t] * m->CP;
        for (int64_t c = 0; c < m->CP; c += LANES) {
            vec value = g[t] * load(r + t * m->CP + c);
            store(out + t * m->CP + c, value);
            store(sum + c, load(sum + c) + value);
        }
    }
}

/* c_ij; and for the backward pass e_ij = c_ij - Q.(v_c b_c) and the bits of Q. */
static void coordinates(const message *m, const tile *at, const REAL *x, REAL *y, REAL *c_out, REAL *e, int8_t *flags) {
    product(x, m->coordinate_t, y, at->count, m->C, m->CP);
    for (int64_t t = 0; t < at->count; t++) {
        vec with = {0}, without = {0};
        mask bits = {0};
        int8_t *to = flags + t * flag_bytes(m->CP);
        for (int64_t c = 0, k = 0; c < m->CP; c += LANES, k++) {
            vec q = load(y + t * m->CP + c), scale = load(m->coordinate_out + c);
            vec biased = q + load(m->coordinate_bias + c);
            mask on = biased > 0;
            with += scale * relu(biased);
            without += scale * where(on, q, (vec){0});
            bits |= on & ((WHOLE)1 << k % 8);
            if (k % 8 == 7 || c + LANES == m->CP) store_bytes(to + k / 8 * LANES, bits), bits = (mask){0};
        }
        c_out[at->pair[t]] = total(with);
        e[t] = total(without);
    }
}

static void forward_jet(const message *m, jet of, REAL *memory, REAL *sums, REAL *c, REAL *g, REAL *e, int8_t *flags) {
    int64_t block = TILE * m->CP, n = of.nodes * m->CP;
    REAL *a = memory, *r = a + block, *u = r + block, *v = u + n, *M = v + n;
    tile at;
    padded_rows(m->u, of, m, u), padded_rows(m->v, of, m, v);
    memset(M, 0, (size_t)n * sizeof(REAL));
    for (int64_t start = 0; start < pairs_of(of); start += TILE) {
        tile_at(of, start, &at);
        first_layer(m, &at, u, v, a);
        hidden_layer(m, &at, a, r);
        gates(m, &at, r, g + at.kept);
        messages(m, &at, r, g + at.kept, a, M);
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

/* t_ij, the gradient of the gate's logit; with Q also d g Q, which leads into the coordinate weights. */
static void through_gate(const message *m, const tile *at, const REAL *r, const REAL *D, const REAL *g, const REAL *d,
                         const REAL *e, const int8_t *flags, gradient into, REAL *logit, REAL *through) {
    for (int64_t t = 0; t < at->count; t++) {
        const REAL *row = r + t * m->CP;
        REAL step = d ? d[at->pair[t]] : 0, scale = step * g[t];
        logit[t] = (1 - g[t]) * (g[t] * dot(row, D + at->i[t] * m->CP, m->CP) + (d ? step * e[t] : 0));
        into.gate_bias[0] += logit[t];
        for (int64_t c = 0; c < m->CP; c += LANES)
            store(into.gate + c, load(into.gate + c) + logit[t] * load(row + c));
        if (!d) continue;
        mask bits = {0};
        for (int64_t c = 0, k = 0; c < m->CP; c += LANES, k++) {
            if (k % 8 == 0) bits = load_bytes(flags + t * flag_bytes(m->CP) + k / 8 * LANES);
            mask on = (bits & ((WHOLE)1 << k % 8)) != 0;
            store(into.coordinate_bias + c, load(into.coordinate_bias + c) + where(on, splat(step), (vec){0}));
            store(through + t * m->CP + c, where(on, splat(scale), (vec){0}));
        }
    }
}

/* Gradient of W_h a + b_h: `grad` holds what comes through the coordinates, if there are any. */
static void through_hidden(const message *m, const tile *at, const REAL *r, const REAL *D, const REAL *g,
                           const REAL *logit, int with_coordinates, gradient into, REAL *grad) {
    for (int64_t t = 0; t < at->count; t++) {
        const REAL *Di = D + at->i[t] * m->CP;
        REAL *row = grad + t * m->CP;
        for (int64_t c = 0; c < m->CP; c += LANES) {
            vec value = g[t] * load(Di + c) + logit[t] * load(m->gate + c);
            if (with_coordinates) value += load(row + c);
            value = where(load(r + t * m->CP + c) > 0, value, (vec){0});
            store(row + c, value);
            store(into.hidden_bias + c, load(into.hidden_bias + c) + value);
        }
    }
}

/* Gradients of u, v, s and W_s from that of a, which is `grad` where a > 0. */
static void through_first(const message *m, const tile *at, const REAL *a, const REAL *grad, gradient into, REAL *du,
                          REAL *dv, REAL *ds) {
    for (int64_t t = 0; t < at->count; t++) {
        const REAL *s = m->s + at->pair[t] * m->s_pair;
        REAL *ui = du + at->i[t] * m->CP, *vj = dv + at->j[t] * m->CP, *row = (REAL *)grad + t * m->CP;
        for (int64_t c = 0; c < m->CP; c += LANES) {
            vec value = where(load(a + t * m->CP + c) > 0, load(row + c), (vec){0});
            store(ui + c, load(ui + c) + value);
            store(vj + c, load(vj + c) + value);
            store(row + c, value);
            for (int64_t f = 0; f < m->F; f++) {
                REAL *to = into.features + f * m->CP + c;
                store(to, load(to) + s[f * m->s_feature] * value);
            }
        }
        if (ds)
            for (int64_t f = 0; f < m->F; f++)
                ds[at->pair[t] * m->s_pair + f * m->s_feature] = dot(row, m->features + f * m->CP, m->CP);
    }
}

static void backward_jet(const message *m, jet of, REAL *memory, gradient into, const REAL *d_total, const REAL *d,
                         const REAL *g, const REAL *e, const int8_t *flags, REAL *du_out, REAL *dv_out, REAL *ds) {
    int64_t block = TILE * m->CP, n = of.nodes * m->CP;
    REAL *a = memory, *r = a + block, *through = r + block, *grad = through + block, *logit = grad + block;
    REAL *u = logit + TILE + LANES, *v = u + n, *D = v + n, *du = D + n, *dv = du + n;
    tile at;
    padded_rows(m->u, of, m, u), padded_rows(m->v, of, m, v), padded_rows(d_total, of, m, D);
    memset(du, 0, (size_t)(2 * n) * sizeof(REAL));
    for (int64_t start = 0; start < pairs_of(of); start += TILE) {
        tile_at(of, start, &at);
        first_layer(m, &at, u, v, a);
        hidden_layer(m, &at, a, r);
        through_gate(m, &at, r, D, g + at.kept, d, e + (d ? at.kept : 0),
                     flags + (d ? at.kept * flag_bytes(m->CP) : 0), into, logit, through);
        if (d) product(through, m->scaled, grad, at.count, m->C, m->CP);
        through_hidden(m, &at, r, D, g + at.kept, logit, d != NULL, into, grad);
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
    int64_t all = all_pairs(&m), size = 2 * TILE * m.CP + 3 * largest_jet(&m) * m.CP;
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
    int64_t size = own + 4 * TILE * m.CP + TILE + LANES + 5 * largest_jet(&m) * m.CP;
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
