/* The forward pass of one jet. */
#pragma once
#include "mixing.h"

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
