/* Sums over the nodes of each jet: totals_*. */
#ifndef EQVIZ_LORENTZ_TOTALS_H
#define EQVIZ_LORENTZ_TOTALS_H

#include "lists.h"

/* out (rows, C, J): products of x and 1 summed over each jet's nodes. */
static int totals_part(const Products *p, const int64_t *jets, int64_t n_jets, int64_t first, int64_t step, REAL *out) {
    int64_t rows = p->list[0].rows;
    REAL *z = reals((p->width + 1 + rows) * CHUNK), *stack = z + (p->width + 1) * CHUNK;
    if (!z) return 1;
    for (int64_t j = first; j < n_jets; j += step) {
        for (int64_t c = 0; c < p->channels; c++) {
            for (int64_t at = 0, n = jets[4 * j + 3]; at < n; at += CHUNK) {
                load_factors(z, p, c, jets[4 * j] + at, n - at < CHUNK ? n - at : CHUNK);
                sparse(stack, z, z, &p->list[0]);
                for (int64_t r = 0; r < rows; r++) {
                    vec sum = {0};
                    for (int64_t l = 0; l < CHUNK; l += LANES) sum += load(stack + r * CHUNK + l);
                    REAL *to = out + (r * p->channels + c) * n_jets + j;
                    *to = at ? *to + total(sum) : total(sum);
                }
            }
        }
    }
    free(z);
    return 0;
}

static int totals_part_backward(const Products *p, const int64_t *jets, int64_t n_jets, int64_t first, int64_t step,
                                const REAL *d_out) {
    int64_t rows = p->list[0].rows;
    REAL *z = reals((2 * p->width + 1 + rows) * CHUNK);
    if (!z) return 1;
    REAL *d_z = z + (p->width + 1) * CHUNK, *stack = d_z + p->width * CHUNK;
    for (int64_t j = first; j < n_jets; j += step) {
        int64_t n = jets[4 * j + 3], pitch = jets[4 * j + 2];
        for (int64_t c = 0; c < p->channels; c++) {
            for (int64_t r = 0; r < rows; r++)
                for (int64_t l = 0; l < CHUNK; l++) stack[r * CHUNK + l] = d_out[(r * p->channels + c) * n_jets + j];
            for (int64_t at = 0; at < n; at += CHUNK) {
                load_factors(z, p, c, jets[4 * j] + at, n - at < CHUNK ? n - at : CHUNK);
                sparse(d_z, z, stack, &p->list[1]);
                store_gradients(d_z, p, c, jets[4 * j] + at, n - at < CHUNK ? n - at : CHUNK);
            }
            for (int64_t d = 0; d < p->width; d++)
                memset(p->factors[0].to + (d * p->channels + c) * p->slots + jets[4 * j] + n, 0, (pitch - n) * sizeof(REAL));
        }
    }
    free(z);
    return 0;
}

int totals_forward(const REAL *x, const int64_t *jets, const int32_t *index, const REAL *value, REAL *out,
                   int64_t width, int64_t channels, int64_t slots, int64_t n_jets, int64_t threads) {
    Products p = {{{x, 0, width, channels}}, 1, width, channels, slots, {{0}}};
    int failed = 0;
    unpack(p.list, 1, index, value);
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++) failed |= totals_part(&p, jets, n_jets, part, threads, out);
    return failed;
}

int totals_backward(const REAL *x, const int64_t *jets, const int32_t *index, const REAL *value, const REAL *d_out,
                    REAL *d_x, int64_t width, int64_t channels, int64_t slots, int64_t n_jets, int64_t threads) {
    Products p = {{{x, d_x, width, channels}}, 1, width, channels, slots, {{0}}};
    int failed = 0;
    unpack(p.list, 2, index, value);
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++)
        failed |= totals_part_backward(&p, jets, n_jets, part, threads, d_out);
    return failed;
}

#endif
