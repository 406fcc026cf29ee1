/* Sums over the other nodes of each jet, weighted by functions of the pairs: bells_*. */
#ifndef EQVIZ_LORENTZ_BELLS_H
#define EQVIZ_LORENTZ_BELLS_H

#include "matrix.h"

typedef struct {
    const REAL *x, *norm, *decay, *weights;
    const int64_t *jets; /* first slot, first pair, slots, nodes */
    int64_t n_jets, channels, slots, width, plain, bells;
} Sums;

/* Norms, bells and a row of ones, (K + 2, n pad), and functions (2 C, n pad) with zeros where i = j. */
static void functions(const Sums *s, const int64_t *jet, REAL *g, REAL *f) {
    int64_t pitch = jet[2], n = jet[3], pad = up(n, LANES), size = n * pad, k_all = s->bells, q_all = 2 * s->channels;
    for (int64_t i = 0; i < n; i++) {
        copy(g + i * pad, pad, s->norm + jet[1] + i * pitch, n);
        g[i * pad + i] = 0;
    }
    for (int64_t l = 0; l < size; l += LANES) {
        vec x = load(g + l), one = splat(1);
        for (int64_t k = 0; k < k_all; k++) store(g + (k + 1) * size + l, one / (one + s->decay[k] * x));
        store(g + (k_all + 1) * size + l, one);
    }
    product(q_all, k_all + 1, size, s->weights, k_all + 1, 1, g + size, size, f, size, 0);
    for (int64_t q = 0; q < q_all; q++)
        for (int64_t i = 0; i < n; i++) f[q * size + i * pad + i] = 0;
}

/* Rows (rows, pad) of a jet back to their channel of (rows, C, S), zero on padding. */
static void put(REAL *to, const Sums *s, const int64_t *jet, int64_t c, const REAL *from, int64_t rows) {
    int64_t pad = up(jet[3], LANES);
    for (int64_t d = 0; d < rows; d++)
        copy(to + (d * s->channels + c) * s->slots + jet[0], jet[2], from + d * pad, jet[3]);
}

static int64_t largest(const Sums *s) { /* nodes */
    int64_t n = 0;
    for (int64_t j = 0; j < s->n_jets; j++) n = s->jets[4 * j + 3] > n ? s->jets[4 * j + 3] : n;
    return n;
}

static int sums_forward(const Sums *s, int64_t first, int64_t step, REAL *plain, REAL *weighted) {
    int64_t n_max = largest(s), pad_max = up(n_max, LANES), row = s->channels * s->slots;
    REAL *g = reals((s->bells + 2 + 2 * s->channels) * n_max * pad_max + s->width * pad_max);
    if (!g) return 1;
    for (int64_t j = first; j < s->n_jets; j += step) {
        const int64_t *jet = s->jets + 4 * j, n = jet[3], pad = up(n, LANES), size = n * pad;
        REAL *f = g + (s->bells + 2) * size, *sums = f + 2 * s->channels * size;
        functions(s, jet, g, f);
        for (int64_t c = 0; c < s->channels; c++) {
            const REAL *x = s->x + c * s->slots + jet[0];
            product(s->plain, n, pad, x, row, 1, f + c * size, pad, sums, pad, 0);
            put(plain, s, jet, c, sums, s->plain);
            product(s->width, n, pad, x, row, 1, f + (s->channels + c) * size, pad, sums, pad, 0);
            put(weighted, s, jet, c, sums, s->width);
        }
    }
    free(g);
    return 0;
}

/* Gradients of weights and decays from those of the functions: into vectors (2 C, K + 1) and (K). */
static void parameters(const Sums *s, int64_t size, const REAL *g, const REAL *d_f, REAL *d_g, REAL *out) {
    int64_t k_all = s->bells, q_all = 2 * s->channels, step = 16 * LANES;
    dots(1, d_f, q_all, g + size, k_all + 1, size, out, k_all + 1, 1);
    out += q_all * (k_all + 1) * LANES;
    for (int64_t l = 0; l < size; l += step) {
        int64_t count = size - l < step ? size - l : step;
        product(k_all, q_all, count, s->weights, 1, k_all + 1, d_f + l, size, d_g, step, 0);
        for (int64_t k = 0; k < k_all; k++) {
            vec sum = {0};
            for (int64_t at = 0; at < count; at += LANES) {
                vec bell = load(g + (k + 1) * size + l + at);
                sum += load(d_g + k * step + at) * bell * bell * load(g + l + at);
            }
            store(out + k * LANES, load(out + k * LANES) - sum);
        }
    }
}

static int sums_backward(const Sums *s, int64_t first, int64_t step, const REAL *d_plain, const REAL *d_weighted,
                         REAL *d_x, double *out) {
    int64_t n_max = largest(s), pad_max = up(n_max, LANES), row = s->channels * s->slots;
    int64_t space = (s->bells + 2 + 2 * s->channels) * n_max * pad_max + (2 * s->width + s->plain) * pad_max;
    int64_t n_sums = 2 * s->channels * (s->bells + 1) + s->bells;
    REAL *totals = reals(space + (s->bells * 16 + n_sums) * LANES), *g = totals + n_sums * LANES;
    if (!totals) return 1;
    memset(totals, 0, n_sums * LANES * sizeof(REAL));
    for (int64_t j = first; j < s->n_jets; j += step) {
        const int64_t *jet = s->jets + 4 * j, n = jet[3], pad = up(n, LANES), size = n * pad;
        REAL *f = g + (s->bells + 2) * size, *sums = f + 2 * s->channels * size;
        REAL *to_plain = sums + s->width * pad, *to_weighted = to_plain + s->plain * pad;
        functions(s, jet, g, f);
        for (int64_t c = 0; c < s->channels; c++) {
            int64_t at = c * s->slots + jet[0];
            REAL *f0 = f + c * size, *f1 = f0 + s->channels * size;
            for (int64_t d = 0; d < s->plain; d++) copy(to_plain + d * pad, pad, d_plain + d * row + at, n);
            for (int64_t d = 0; d < s->width; d++) copy(to_weighted + d * pad, pad, d_weighted + d * row + at, n);
            product(s->width, n, pad, to_weighted, pad, 1, f1, pad, sums, pad, 0); /* f is symmetric in a pair */
            product(s->plain, n, pad, to_plain, pad, 1, f0, pad, sums, pad, 1);
            put(d_x, s, jet, c, sums, s->width);
            product(n, s->plain, pad, s->x + at, 1, row, to_plain, pad, f0, pad, 0);
            product(n, s->width, pad, s->x + at, 1, row, to_weighted, pad, f1, pad, 0);
            for (int64_t i = 0; i < n; i++) f0[i * pad + i] = f1[i * pad + i] = 0;
        }
        parameters(s, size, g, f, to_weighted + s->width * pad, totals);
    }
    collect(totals, n_sums, out);
    free(totals);
    return 0;
}

int bells_forward(const REAL *x, const REAL *norm, const REAL *decay, const REAL *weights, const int64_t *jets,
                  REAL *plain, REAL *weighted, int64_t n_jets, int64_t channels, int64_t slots, int64_t width,
                  int64_t n_plain, int64_t bells, int64_t threads) {
    Sums s = {x, norm, decay, weights, jets, n_jets, channels, slots, width, n_plain, bells};
    int failed = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++) failed |= sums_forward(&s, part, threads, plain, weighted);
    return failed;
}

/* `parameters`: (threads, 2 C (K + 1) + K) doubles, zero before. */
int bells_backward(const REAL *x, const REAL *norm, const REAL *decay, const REAL *weights, const int64_t *jets,
                   const REAL *d_plain, const REAL *d_weighted, REAL *d_x, double *d_parameters, int64_t n_jets,
                   int64_t channels, int64_t slots, int64_t width, int64_t n_plain, int64_t bells, int64_t threads) {
    Sums s = {x, norm, decay, weights, jets, n_jets, channels, slots, width, n_plain, bells};
    int64_t size = 2 * channels * (bells + 1) + bells;
    int failed = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++)
        failed |= sums_backward(&s, part, threads, d_plain, d_weighted, d_x, d_parameters + part * size);
    return failed;
}

#endif
