/* The pairs of a jet in tiles, and the mixing step that both passes need. */
#pragma once
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

/* What the nodes of a jet bring, padded: `count` arrays (n, width) one after the other. */
static void pad_nodes(jet of, int64_t count, const REAL **from, int64_t width, int64_t ld, REAL *to) {
    for (int64_t k = 0; k < count; k++)
        pad_rows(from[k] + of.node * width, of.nodes, width, ld, to + k * of.nodes * ld);
}

static void cut_nodes(jet of, int64_t count, const REAL *from, int64_t width, int64_t ld, REAL **to) {
    for (int64_t k = 0; k < count; k++)
        cut_rows(from + k * of.nodes * ld, of.nodes, width, ld, to[k] + of.node * width);
}
