/* Products of a few rows with a small matrix, in registers: for scratch memory that stays in the first cache.

   Rows are padded with zeros to whole vectors, see `padded`. Every entry is summed in the order of k, or of rows,
   whatever else is computed with it. */
#ifndef EQVIZ_PRODUCTS_H
#define EQVIZ_PRODUCTS_H

#include "native.h"

#define TILE 60    /* rows worked on together: a multiple of every number of rows below */
#define SCALARS 64 /* room for one number per row of a tile, in whole vectors */

#if defined(__AVX512F__)
#define WIDEST 5 /* vectors of a row; with the rows at a time below they fill the 32 registers, or the 16 */
#define EACH_WIDTH(F) F(1, 12) F(2, 10) F(3, 6) F(4, 6) F(5, 5)
#else
#define WIDEST 3
#define EACH_WIDTH(F) F(1, 10) F(2, 6) F(3, 4)
#endif
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 12")
#endif

/* Channels with their padding. */
INLINE int64_t padded(int64_t C) { return up(C, LANES > 8 ? LANES : 8); }

/* Goes through the runs of a row of `ld` numbers: at most WIDEST vectors, nearly the same number in each. F(n, height)
   gives the case of n vectors, so that n is a constant and what belongs to a run stays in registers. COLUMN is the
   first column of a run, run_ its number. */
#define EACH_RUN(ld, F) \
    for (int64_t at_ = 0, vectors_ = (ld) / LANES, runs_ = (vectors_ + WIDEST - 1) / WIDEST, run_ = 0, n_; \
         at_ < vectors_; at_ += n_, runs_--, run_++) { \
        n_ = (vectors_ - at_ + runs_ - 1) / runs_; \
        switch (n_) { EACH_WIDTH(F) } \
    }
#define COLUMN (at_ * LANES)

INLINE void add(REAL *to, vec value) { store(to, load(to) + value); }

INLINE void product_of(int n, int height, const REAL *x, int64_t ldx, const REAL *w, REAL *y, int64_t ld, int64_t rows,
                       int64_t K) {
    for (int64_t t = 0; t < rows; t += height) {
        vec sum[12][WIDEST];
        UNROLL
        for (int i = 0; i < height; i++) {
            UNROLL
            for (int c = 0; c < n; c++) sum[i][c] = (vec){0};
        }
        const REAL *row = x + t * ldx;
        for (int64_t k = 0; k < K; k++) {
            vec right[WIDEST];
            UNROLL
            for (int c = 0; c < n; c++) right[c] = load(w + k * ld + c * LANES);
            UNROLL
            for (int i = 0; i < height; i++) {
                vec left = splat(row[i * ldx + k]);
                UNROLL
                for (int c = 0; c < n; c++) sum[i][c] += left * right[c];
            }
        }
        UNROLL
        for (int i = 0; i < height; i++) {
            UNROLL
            for (int c = 0; c < n; c++) store(y + (t + i) * ld + c * LANES, sum[i][c]);
        }
    }
}

/* y (rows, ld) = x (rows, K) w (K, ld). Rows up to the next multiple of the height are written, too: y and x have
   room for TILE of them. */
static void product(const REAL *x, int64_t ldx, const REAL *w, REAL *y, int64_t ld, int64_t rows, int64_t K) {
#define CASE(N, HEIGHT) \
    case N: product_of(N, HEIGHT, x, ldx, w + COLUMN, y + COLUMN, ld, rows, K); break;
    EACH_RUN(ld, CASE)
#undef CASE
}

INLINE void outer_of(int n, const REAL *x, int64_t ldx, const REAL *y, REAL *out, int64_t ld, int64_t rows, int64_t N) {
    for (int64_t m = 0; m < N; m += 4) {
        vec sum[4][WIDEST];
        UNROLL
        for (int i = 0; i < 4; i++) {
            UNROLL
            for (int c = 0; c < n; c++) sum[i][c] = load(out + (m + i) * ld + c * LANES);
        }
        for (int64_t t = 0; t < rows; t++) {
            vec right[WIDEST];
            UNROLL
            for (int c = 0; c < n; c++) right[c] = load(y + t * ld + c * LANES);
            UNROLL
            for (int i = 0; i < 4; i++) {
                vec left = splat(x[t * ldx + m + i]);
                UNROLL
                for (int c = 0; c < n; c++) sum[i][c] += left * right[c];
            }
        }
        UNROLL
        for (int i = 0; i < 4; i++) {
            UNROLL
            for (int c = 0; c < n; c++) store(out + (m + i) * ld + c * LANES, sum[i][c]);
        }
    }
}

/* out (N to a multiple of 4, ld) += x^T y with x (rows, N) and y (rows, ld) */
static void outer(const REAL *x, int64_t ldx, const REAL *y, REAL *out, int64_t ld, int64_t rows, int64_t N) {
#define CASE(WIDTH, HEIGHT) \
    case WIDTH: outer_of(WIDTH, x, ldx, y + COLUMN, out + COLUMN, ld, rows, N); break;
    EACH_RUN(ld, CASE)
#undef CASE
}

static REAL *zeros(int64_t count) {
    REAL *memory = reals(count);
    if (memory) memset(memory, 0, (size_t)count * sizeof(REAL));
    return memory;
}

/* (rows, columns) with strides from `at` on, padded to `ld` columns, each times `scale` of its row if there is one;
   moves `at` behind it. */
static REAL *packed(REAL **at, const REAL *from, int64_t rows, int64_t columns, int64_t row, int64_t column,
                    const REAL *scale, int64_t ld) {
    REAL *to = *at;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < columns; k++) to[i * ld + k] = from[i * row + k * column] * (scale ? scale[i] : 1);
    *at += rows * ld;
    return to;
}

/* (rows, C) with padding, and back */
static void pad_rows(const REAL *from, int64_t rows, int64_t C, int64_t ld, REAL *to) {
    for (int64_t i = 0; i < rows; i++) memcpy(to + i * ld, from + i * C, (size_t)C * sizeof(REAL));
}

static void cut_rows(const REAL *from, int64_t rows, int64_t C, int64_t ld, REAL *to) {
    for (int64_t i = 0; i < rows; i++) memcpy(to + i * C, from + i * ld, (size_t)C * sizeof(REAL));
}

#endif
