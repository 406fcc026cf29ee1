/* Matrix products of rows of whole vectors, with everything that is summed in registers. */
#ifndef EQVIZ_LORENTZ_MATRIX_H
#define EQVIZ_LORENTZ_MATRIX_H

#include "native.h"

#define VECS (VECTOR_BYTES == 64 ? 4 : 2) /* registers side by side, so that ROWS * VECS sums stay in registers */
#define ROWS 6
#define DOTS (VECTOR_BYTES == 64 ? 4 : 2)
#define CHUNK (4 * LANES)
#define UNROLLED _Pragma("GCC unroll 8")

/* c_ml (+)= sum_k a_mk b_kl for `rows` rows and `vecs` vectors, both known to the compiler. */
INLINE void tile(const int rows, const int vecs, int64_t depth, const REAL *a, int64_t am, int64_t ak, const REAL *b,
                 int64_t ldb, REAL *c, int64_t ldc, int add) {
    vec sum[ROWS][4] = {{{0}}};
    for (int64_t k = 0; k < depth; k++, a += ak, b += ldb) {
        vec right[4];
        UNROLLED for (int j = 0; j < vecs; j++) right[j] = load(b + j * LANES);
        UNROLLED for (int i = 0; i < rows; i++) {
            vec left = splat(a[i * am]);
            UNROLLED for (int j = 0; j < vecs; j++) sum[i][j] += left * right[j];
        }
    }
    UNROLLED for (int i = 0; i < rows; i++) {
        UNROLLED for (int j = 0; j < vecs; j++) {
            REAL *to = c + i * ldc + j * LANES;
            store(to, add ? load(to) + sum[i][j] : sum[i][j]);
        }
    }
}

/* Any number of rows; `width` in lanes, a multiple of LANES. */
INLINE void strip(const int vecs, int64_t rows, int64_t depth, const REAL *a, int64_t am, int64_t ak, const REAL *b,
                  int64_t ldb, REAL *c, int64_t ldc, int add) {
    int64_t i = 0;
    for (; i + ROWS <= rows; i += ROWS) tile(ROWS, vecs, depth, a + i * am, am, ak, b, ldb, c + i * ldc, ldc, add);
    if (i + 4 <= rows) tile(4, vecs, depth, a + i * am, am, ak, b, ldb, c + i * ldc, ldc, add), i += 4;
    if (i + 2 <= rows) tile(2, vecs, depth, a + i * am, am, ak, b, ldb, c + i * ldc, ldc, add), i += 2;
    if (i < rows) tile(1, vecs, depth, a + i * am, am, ak, b, ldb, c + i * ldc, ldc, add);
}

static void product(int64_t rows, int64_t depth, int64_t width, const REAL *a, int64_t am, int64_t ak, const REAL *b,
                    int64_t ldb, REAL *c, int64_t ldc, int add) {
    int64_t l = 0;
    for (; l + VECS * LANES <= width; l += VECS * LANES)
        strip(VECS, rows, depth, a, am, ak, b + l, ldb, c + l, ldc, add);
    for (; l + 2 * LANES <= width; l += 2 * LANES) strip(2, rows, depth, a, am, ak, b + l, ldb, c + l, ldc, add);
    if (l < width) strip(1, rows, depth, a, am, ak, b + l, ldb, c + l, ldc, add);
}

/* out_ij += sum_tl a_til b_tjl over `times` blocks of (m, width) and (n, width); `out` holds vectors, whose lanes
   `collect` adds up at the very end: a sum over lanes costs as much as a row. */
INLINE void dots_tile(const int rows, const int columns, int64_t times, const REAL *a, int64_t m, const REAL *b,
                      int64_t n, int64_t width, REAL *out, int64_t oi, int64_t oj) {
    vec sum[4][4] = {{{0}}};
    for (int64_t t = 0; t < times; t++, a += m * width, b += n * width) {
        for (int64_t l = 0; l < width; l += LANES) {
            vec right[4];
            UNROLLED for (int j = 0; j < columns; j++) right[j] = load(b + j * width + l);
            UNROLLED for (int i = 0; i < rows; i++) {
                vec left = load(a + i * width + l);
                UNROLLED for (int j = 0; j < columns; j++) sum[i][j] += left * right[j];
            }
        }
    }
    UNROLLED for (int i = 0; i < rows; i++) {
        UNROLLED for (int j = 0; j < columns; j++) {
            REAL *to = out + (i * oi + j * oj) * LANES;
            store(to, load(to) + sum[i][j]);
        }
    }
}

INLINE void dots_strip(const int rows, int64_t times, const REAL *a, int64_t m, const REAL *b, int64_t n,
                       int64_t width, REAL *out, int64_t oi, int64_t oj) {
    int64_t j = 0, step = oj * LANES;
    for (; j + 4 <= n; j += 4) dots_tile(rows, 4, times, a, m, b + j * width, n, width, out + j * step, oi, oj);
    if (j + 2 <= n) dots_tile(rows, 2, times, a, m, b + j * width, n, width, out + j * step, oi, oj), j += 2;
    if (j < n) dots_tile(rows, 1, times, a, m, b + j * width, n, width, out + j * step, oi, oj);
}

static void dots(int64_t times, const REAL *a, int64_t m, const REAL *b, int64_t n, int64_t width, REAL *out,
                 int64_t oi, int64_t oj) {
    int64_t i = 0, step = oi * LANES;
    for (; i + DOTS <= m; i += DOTS) dots_strip(DOTS, times, a + i * width, m, b, n, width, out + i * step, oi, oj);
    if (DOTS > 2 && i + 2 <= m) dots_strip(2, times, a + i * width, m, b, n, width, out + i * step, oi, oj), i += 2;
    if (i < m) dots_strip(1, times, a + i * width, m, b, n, width, out + i * step, oi, oj);
}

static void collect(const REAL *sums, int64_t count, double *out) {
    for (int64_t k = 0; k < count; k++) out[k] += total(load(sums + k * LANES));
}

/* Rows of `count` numbers into rows of `width`, the rest zero; and back, from rows of `width`, into `space`. */
INLINE void copy(REAL *to, int64_t width, const REAL *from, int64_t count) {
    memcpy(to, from, count * sizeof(REAL));
    memset(to + count, 0, (width - count) * sizeof(REAL));
}

#endif
