/* The backward pass of one jet: x is made again. */
#pragma once
#include "mixing.h"

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
