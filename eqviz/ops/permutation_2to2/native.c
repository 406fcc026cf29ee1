/* A mixing step and the next message of PELICAN on a CPU; contract in __init__.py, rows of pairs in layout.py.

   The pairs i <= j of a jet are worked through in tiles; rows "ij" of a tile are followed by its rows "ji". The pair
   tensor x between mixing and message lives in such a tile alone, and is made again in the backward pass.

   What each jet gives depends on that jet alone and is summed in the order of its pairs: neither batch mates nor the
   number of threads change a bit of it. Sums over jets are in double. */
#include "products.h"

typedef struct {
    int64_t C, O, M, CP, OP, MP; /* channels of a, x and a'; padded */
    const REAL *a, *u, *v, *D;   /* (R, C), (n, O) */
    const int64_t *jets;         /* rows: first node, nodes, first row "ij", first row "ji" */
    int64_t n_jets, threads;
    REAL slope;
    REAL *even, *odd, *even_t, *odd_t; /* (O, CP), and (C, OP) */
    REAL *weight, *weight_t, *bias;    /* (M, OP), (O, MP), (MP) */
} step;

typedef struct {
    int64_t node, nodes, first, second;
} jet;

typedef struct { /* the pairs of a tile; its rows "ij" and "ji" start at `first` and `second` */
    int64_t count, first, second, i[TILE], j[TILE];
} tile;

INLINE int64_t pairs_of(jet of) { return of.nodes * (of.nodes + 1) / 2; }

INLINE jet jet_of(const step *m, int64_t k) {
    const int64_t *row = m->jets + 4 * k;
    return (jet){row[0], row[1], row[2], row[3]};
}

/* The tile after the one before it; an empty one has i = j = 0 as the next pair. */
static int next_tile(jet of, int64_t *done, int64_t *i, int64_t *j, tile *out) {
    int64_t left = pairs_of(of) - *done;
    out->count = left < TILE ? left : TILE;
    out->first = of.first + *done, out->second = of.second + *done;
    for (int64_t t = 0; t < out->count; t++) {
        out->i[t] = *i, out->j[t] = *j;
        if (++*j == of.nodes) *j = ++*i;
    }
    *done += out->count;
    return out->count > 0;
}

INLINE vec leaky(vec x, REAL slope) { return where(x < 0, slope * x, x); }

INLINE vec leaky_back(vec grad, vec result, REAL slope) { return where(result > 0, grad, slope * grad); }

/* Of x and y, without touching what lies behind C numbers: the last vector may overlap the one before. */
INLINE void sums_and_differences(const REAL *x, const REAL *y, REAL *sum, REAL *difference, int64_t C) {
    if (C < LANES) {
        for (int64_t c = 0; c < C; c++) sum[c] = x[c] + y[c], difference[c] = x[c] - y[c];
        return;
    }
    for (int64_t c = 0, end = 0; !end; c += LANES) {
        if ((end = c + LANES >= C)) c = C - LANES;
        vec p = load(x + c), q = load(y + c);
        store(sum + c, p + q), store(difference + c, p - q);
    }
}

/* ---- forward ------------------------------------------------------------------------------------------------- */

/* Sums and differences of rows "ij" and "ji", with padding; `parts` holds those, then these. */
static void even_odd(const step *m, const tile *at, REAL *parts) {
    for (int64_t t = 0; t < at->count; t++) {
        const REAL *x = m->a + (at->first + t) * m->C, *y = m->a + (at->second + t) * m->C;
        REAL *even = parts + t * m->CP, *odd = even + TILE * m->CP;
        sums_and_differences(x, y, even, odd, m->C);
    }
}

/* x = leaky(even + odd and even - odd, + u_i + v_j + delta_ij D_i), in place. */
INLINE void activate_of(int n, const step *m, const tile *at, const REAL *u, const REAL *v, const REAL *D, REAL *x,
                        int64_t column) {
    for (int64_t t = 0; t < at->count; t++) {
        REAL *first = x + t * m->OP + column, *second = first + TILE * m->OP;
        const REAL *ui = u + at->i[t] * m->OP + column, *vi = v + at->i[t] * m->OP + column;
        const REAL *uj = u + at->j[t] * m->OP + column, *vj = v + at->j[t] * m->OP + column;
        const REAL *same = at->i[t] == at->j[t] ? D + at->i[t] * m->OP + column : NULL;
        UNROLL
        for (int k = 0; k < n * LANES; k += LANES) {
            vec even = load(first + k), odd = load(second + k);
            if (same) even += load(same + k);
            store(first + k, leaky(even + odd + load(ui + k) + load(vj + k), m->slope));
            store(second + k, leaky(even - odd + load(uj + k) + load(vi + k), m->slope));
        }
    }
}

/* x of a tile (2 TILE, OP), from `parts`. */
static void mix(const step *m, const tile *at, const REAL *parts, const REAL *nodes, int64_t size, REAL *x) {
    product(parts, m->CP, m->even_t, x, m->OP, at->count, m->C);
    product(parts + TILE * m->CP, m->CP, m->odd_t, x + TILE * m->OP, m->OP, at->count, m->C);
#define CASE(N, HEIGHT) \
    case N: activate_of(N, m, at, nodes, nodes + size, nodes + 2 * size, x, COLUMN); break;
    EACH_RUN(m->OP, CASE)
#undef CASE
}

/* a' = leaky(y + b), in place, and its aggregates; squares of a' - shift where there is one. */
INLINE void observe_of(int n, const step *m, const tile *at, const REAL *shift, REAL *y, REAL *rows, REAL *columns,
                       REAL *diagonal, REAL *square, int64_t column) {
    vec squares[WIDEST], bias[WIDEST], centre[WIDEST];
    UNROLL
    for (int k = 0; k < n; k++) {
        squares[k] = (vec){0}, bias[k] = load(m->bias + column + k * LANES);
        centre[k] = shift ? load(shift + column + k * LANES) : (vec){0};
    }
    for (int64_t t = 0; t < at->count; t++) {
        REAL *first = y + t * m->MP + column, *second = first + TILE * m->MP;
        int64_t i = at->i[t] * m->MP + column, j = at->j[t] * m->MP + column;
        UNROLL
        for (int k = 0; k < n; k++) {
            int64_t c = k * LANES;
            vec p = leaky(load(first + c) + bias[k], m->slope), q = leaky(load(second + c) + bias[k], m->slope);
            store(first + c, p), store(second + c, q);
            squares[k] += (p - centre[k]) * (p - centre[k]) + (q - centre[k]) * (q - centre[k]);
            add(rows + i + c, p), add(columns + i + c, q);
            if (i == j)
                store(diagonal + i + c, (p + q) / 2);
            else
                add(rows + j + c, q), add(columns + j + c, p);
        }
    }
    UNROLL
    for (int k = 0; k < n; k++)
        if (shift) add(square + column + k * LANES, squares[k]);
}

/* What the nodes of a jet bring, padded: `count` arrays (n, width) one after the other. */
static void pad_nodes(jet of, int64_t count, const REAL **from, int64_t width, int64_t ld, REAL *to) {
    for (int64_t k = 0; k < count; k++)
        pad_rows(from[k] + of.node * width, of.nodes, width, ld, to + k * of.nodes * ld);
}

static void cut_nodes(jet of, int64_t count, const REAL *from, int64_t width, int64_t ld, REAL **to) {
    for (int64_t k = 0; k < count; k++)
        cut_rows(from + k * of.nodes * ld, of.nodes, width, ld, to[k] + of.node * width);
}

static void forward_jet(const step *m, jet of, REAL *memory, const REAL *shift, REAL *out, REAL **sums, REAL *square) {
    REAL *parts = memory, *x = parts + 2 * TILE * m->CP, *y = x + 2 * TILE * m->OP;
    REAL *nodes = y + 2 * TILE * m->MP, *found = nodes + 3 * of.nodes * m->OP;
    int64_t size = of.nodes * m->MP, done = 0, i = 0, j = 0;
    tile at;
    pad_nodes(of, 3, (const REAL *[]){m->u, m->v, m->D}, m->O, m->OP, nodes);
    memset(found, 0, (size_t)(3 * size) * sizeof(REAL));
    while (next_tile(of, &done, &i, &j, &at)) {
        even_odd(m, &at, parts);
        mix(m, &at, parts, nodes, of.nodes * m->OP, x);
        for (int half = 0; half < 2; half++)
            product(x + half * TILE * m->OP, m->OP, m->weight_t, y + half * TILE * m->MP, m->MP, at.count, m->O);
#define CASE(N, HEIGHT) \
    case N: observe_of(N, m, &at, shift, y, found, found + size, found + 2 * size, square, COLUMN); break;
        EACH_RUN(m->MP, CASE)
#undef CASE
        cut_rows(y, at.count, m->M, m->MP, out + at.first * m->M);
        cut_rows(y + TILE * m->MP, at.count, m->M, m->MP, out + at.second * m->M);
    }
    cut_nodes(of, 3, found, m->M, m->MP, sums);
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

typedef struct { /* what reaches a': gradients of itself (R, M) or NULL, of its row sums, column sums and diagonal
                    (n, M) or NULL, and a factor (M) by which a' itself comes in, or NULL */
    const REAL *out, *to_out, *rows, *columns, *diagonal, *factor;
} incoming;

typedef struct { /* of weights, for one jet: even, odd (O, CP), weight (M, OP), bias (MP) */
    REAL *even, *odd, *weight, *bias;
} gradient;

static int64_t gradient_size(const step *m) {
    return 2 * up(m->O, 4) * m->CP + up(m->M, 4) * m->OP + m->MP;
}

static gradient gradient_at(const step *m, REAL *memory) {
    int64_t mix = up(m->O, 4) * m->CP, message = up(m->M, 4) * m->OP;
    return (gradient){memory, memory + mix, memory + 2 * mix, memory + 2 * mix + message};
}

/* The gradient of W x + b, (2 TILE, MP), from `to_y` = that of a' (or zero), `result` = a' and those of nodes. */
INLINE void through_message_of(int n, const step *m, const tile *at, const REAL *nodes, int64_t size,
                               const REAL *factor, const REAL *result, REAL *to_y, REAL *to_bias, int64_t column) {
    vec sum[WIDEST], scale[WIDEST];
    UNROLL
    for (int k = 0; k < n; k++)
        sum[k] = (vec){0}, scale[k] = factor ? load(factor + column + k * LANES) : (vec){0};
    for (int64_t t = 0; t < at->count; t++) {
        int64_t i = at->i[t] * m->MP + column, j = at->j[t] * m->MP + column, same = i == j;
        int64_t first = t * m->MP + column, second = first + TILE * m->MP;
        UNROLL
        for (int k = 0; k < n; k++) {
            int64_t c = k * LANES;
            vec p = load(to_y + first + c), q = load(to_y + second + c);
            if (nodes) {
                vec half = same ? load(nodes + 2 * size + i + c) / 2 : (vec){0};
                p += load(nodes + i + c) + (same ? half : load(nodes + size + j + c));
                q += load(nodes + size + i + c) + (same ? half : load(nodes + j + c));
            }
            p = leaky_back(p + scale[k] * load(result + first + c), load(result + first + c), m->slope);
            q = leaky_back(q + scale[k] * load(result + second + c), load(result + second + c), m->slope);
            store(to_y + first + c, p), store(to_y + second + c, q);
            sum[k] += p + q;
        }
    }
    UNROLL
    for (int k = 0; k < n; k++) add(to_bias + column + k * LANES, sum[k]);
}

/* Through x: `to_x` becomes sums and differences of its halves; what goes to u, v and D is added to `nodes`. */
INLINE void through_mix_of(int n, const step *m, const tile *at, const REAL *x, REAL *to_x, REAL *nodes, int64_t size,
                           int64_t column) {
    for (int64_t t = 0; t < at->count; t++) {
        int64_t first = t * m->OP + column, second = first + TILE * m->OP;
        REAL *i = nodes + at->i[t] * m->OP + column, *j = nodes + at->j[t] * m->OP + column;
        UNROLL
        for (int k = 0; k < n * LANES; k += LANES) {
            vec p = leaky_back(load(to_x + first + k), load(x + first + k), m->slope);
            vec q = leaky_back(load(to_x + second + k), load(x + second + k), m->slope);
            add(i + k, p), add(i + size + k, q);
            add(j + k, q), add(j + size + k, p);
            if (i == j) store(i + 2 * size + k, p + q);
            store(to_x + first + k, p + q), store(to_x + second + k, p - q);
        }
    }
}

/* Gradient of a (R, C), from those of sums and differences of its rows. */
static void to_rows(const step *m, const tile *at, const REAL *parts, REAL *to_a) {
    for (int64_t t = 0; t < at->count; t++) {
        const REAL *even = parts + t * m->CP, *odd = even + TILE * m->CP;
        REAL *x = to_a + (at->first + t) * m->C, *y = to_a + (at->second + t) * m->C;
        sums_and_differences(even, odd, x, y, m->C);
    }
}

static void backward_jet(const step *m, jet of, REAL *memory, const incoming *from, gradient into, REAL *to_a,
                         REAL **to_nodes) {
    int64_t halfC = TILE * m->CP, halfO = TILE * m->OP, halfM = TILE * m->MP, n = of.nodes;
    REAL *parts = memory, *x = parts + 2 * halfC, *to_x = x + 2 * halfO, *to_y = to_x + 2 * halfO;
    REAL *result = to_y + 2 * halfM, *nodes = result + 2 * halfM, *back = nodes + 3 * n * m->OP;
    REAL *given = back + 3 * n * m->OP;
    int64_t done = 0, i = 0, j = 0;
    tile at;
    pad_nodes(of, 3, (const REAL *[]){m->u, m->v, m->D}, m->O, m->OP, nodes);
    if (from->rows) pad_nodes(of, 3, (const REAL *[]){from->rows, from->columns, from->diagonal}, m->M, m->MP, given);
    memset(back, 0, (size_t)(3 * n * m->OP) * sizeof(REAL));
    memset(to_y, 0, (size_t)(2 * halfM) * sizeof(REAL));
    while (next_tile(of, &done, &i, &j, &at)) {
        const int64_t starts[] = {at.first, at.second};
        for (int half = 0; half < 2; half++) {
            pad_rows(from->out + starts[half] * m->M, at.count, m->M, m->MP, result + half * halfM);
            if (from->to_out)
                pad_rows(from->to_out + starts[half] * m->M, at.count, m->M, m->MP, to_y + half * halfM);
            else
                memset(to_y + half * halfM, 0, (size_t)halfM * sizeof(REAL));
        }
#define CASE(N, HEIGHT) \
    case N: \
        through_message_of(N, m, &at, from->rows ? given : NULL, n * m->MP, from->factor, result, to_y, into.bias, \
                           COLUMN); \
        break;
        EACH_RUN(m->MP, CASE)
#undef CASE
        even_odd(m, &at, parts);
        mix(m, &at, parts, nodes, n * m->OP, x);
        for (int half = 0; half < 2; half++) {
            outer(to_y + half * halfM, m->MP, x + half * halfO, into.weight, m->OP, at.count, m->M);
            product(to_y + half * halfM, m->MP, m->weight, to_x + half * halfO, m->OP, at.count, m->M);
        }
#define CASE(N, HEIGHT) \
    case N: through_mix_of(N, m, &at, x, to_x, back, n * m->OP, COLUMN); break;
        EACH_RUN(m->OP, CASE)
#undef CASE
        outer(to_x, m->OP, parts, into.even, m->CP, at.count, m->O);
        outer(to_x + halfO, m->OP, parts + halfC, into.odd, m->CP, at.count, m->O);
        product(to_x, m->OP, m->even, parts, m->CP, at.count, m->O);
        product(to_x + halfO, m->OP, m->odd, parts + halfC, m->CP, at.count, m->O);
        to_rows(m, &at, parts, to_a);
    }
    cut_nodes(of, 3, back, m->O, m->OP, to_nodes);
}

/* ---- entry points -------------------------------------------------------------------------------------------- */

/* The weights as the products want them; the memory is to be freed. */
static REAL *prepare(step *m, const REAL *even, const REAL *odd, const REAL *weight, const REAL *bias) {
    int64_t C = m->C, O = m->O, M = m->M;
    m->CP = padded(C), m->OP = padded(O), m->MP = padded(M);
    REAL *memory = zeros(2 * O * m->CP + 2 * C * m->OP + M * m->OP + O * m->MP + m->MP), *at = memory;
    if (!memory) return NULL;
    m->even = packed(&at, even, O, C, C, 1, NULL, m->CP), m->odd = packed(&at, odd, O, C, C, 1, NULL, m->CP);
    m->even_t = packed(&at, even, C, O, 1, C, NULL, m->OP), m->odd_t = packed(&at, odd, C, O, 1, C, NULL, m->OP);
    m->weight = packed(&at, weight, M, O, O, 1, NULL, m->OP);
    m->weight_t = packed(&at, weight, O, M, 1, O, NULL, m->MP);
    m->bias = packed(&at, bias, 1, M, M, 1, NULL, m->MP);
    return memory;
}

static int64_t largest_jet(const step *m) {
    int64_t largest = 0;
    for (int64_t k = 0; k < m->n_jets; k++) largest = m->jets[4 * k + 1] > largest ? m->jets[4 * k + 1] : largest;
    return largest;
}

/* The first jet of a thread: all get about the same number of pairs, in order. */
static int64_t first_jet(const step *m, int64_t thread) {
    int64_t all = 0, before = 0, k = 0;
    for (int64_t n = 0; n < m->n_jets; n++) all += pairs_of(jet_of(m, n));
    while (k < m->n_jets && before * m->threads < thread * all) before += pairs_of(jet_of(m, k++));
    return thread == m->threads ? m->n_jets : k;
}

#define INPUTS \
    const REAL *a, const REAL *even, const REAL *odd, const REAL *weight, const REAL *bias, const REAL *u, \
        const REAL *v, const REAL *D, const int64_t *jets
#define SIZES int64_t C, int64_t O, int64_t M, int64_t n_jets, int64_t threads, double slope
#define STEP \
    {.C = C, .O = O, .M = M, .a = a, .u = u, .v = v, .D = D, .jets = jets, .n_jets = n_jets, .threads = threads, \
     .slope = (REAL)slope}

/* Padded widths of a, x and a', and how many numbers the gradient of all weights has. */
int sizes(int64_t C, int64_t O, int64_t M, int64_t *out) {
    step m = {.C = C, .O = O, .M = M, .CP = padded(C), .OP = padded(O), .MP = padded(M)};
    out[0] = m.CP, out[1] = m.OP, out[2] = m.MP, out[3] = gradient_size(&m);
    return 0;
}

/* a' (R, M); row sums, column sums and diagonal (n, M); squares in doubles (threads, MP), zero before. `shift` (MP) or
   NULL. */
int forward(INPUTS, const REAL *shift, REAL *out, REAL *rows, REAL *columns, REAL *diagonal, double *squares, SIZES) {
    step m = STEP;
    REAL *weights = prepare(&m, even, odd, weight, bias);
    int64_t size = 2 * TILE * (m.CP + m.OP + m.MP) + 3 * largest_jet(&m) * (m.OP + m.MP);
    int failed = !weights;
    if (!failed) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
        for (int64_t thread = 0; thread < threads; thread++) {
            REAL *memory = zeros(size + m.MP), *square = memory + size;
            failed |= !memory;
            for (int64_t k = first_jet(&m, thread); memory && k < first_jet(&m, thread + 1); k++) {
                memset(square, 0, (size_t)m.MP * sizeof(REAL));
                forward_jet(&m, jet_of(&m, k), memory, shift, out, (REAL *[]){rows, columns, diagonal}, square);
                for (int64_t c = 0; c < m.MP; c++) squares[thread * m.MP + c] += square[c];
            }
            free(memory);
        }
    }
    free(weights);
    return failed;
}

/* Gradients of a (R, C), of u, v and D (n, O), and of all weights, as `gradient` in doubles (threads, n_weights), which
   is zero before. What comes in is described at `incoming`; its factor has MP numbers. */
int backward(INPUTS, const REAL *out, const REAL *to_out, const REAL *rows, const REAL *columns, const REAL *diagonal,
             const REAL *factor, REAL *to_a, REAL *to_u, REAL *to_v, REAL *to_D, double *to_weights, int64_t n_weights,
             SIZES) {
    step m = STEP;
    REAL *weights = prepare(&m, even, odd, weight, bias);
    incoming from = {out, to_out, rows, columns, diagonal, factor};
    int64_t own = gradient_size(&m), start = up(own, 64);
    int64_t size = start + 2 * TILE * (m.CP + 2 * m.OP + 2 * m.MP) + 3 * largest_jet(&m) * (2 * m.OP + m.MP);
    int failed = !weights || own != n_weights;
    if (!failed) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
        for (int64_t thread = 0; thread < threads; thread++) {
            REAL *memory = zeros(size);
            failed |= !memory;
            for (int64_t k = first_jet(&m, thread); memory && k < first_jet(&m, thread + 1); k++) {
                memset(memory, 0, (size_t)own * sizeof(REAL));
                backward_jet(&m, jet_of(&m, k), memory + start, &from, gradient_at(&m, memory), to_a,
                             (REAL *[]){to_u, to_v, to_D});
                for (int64_t n = 0; n < own; n++) to_weights[thread * n_weights + n] += memory[n];
            }
            free(memory);
        }
    }
    free(weights);
    return failed;
}
