/* Products within a channel, by lists: products_*. */
#ifndef EQVIZ_LORENTZ_LISTS_H
#define EQVIZ_LORENTZ_LISTS_H

#include "matrix.h"

typedef struct { /* first group of each row, factor and first term of each group, terms and their values */
    const int32_t *row, *factor, *group, *term;
    const REAL *value;
    int64_t rows;
} List;

/* Lists as terms.py packs them: numbers of rows, groups and terms, then the parts one after the other. */
static void unpack(List *list, int64_t count, const int32_t *at, const REAL *value) {
    for (int64_t k = 0; k < count; k++) {
        int64_t rows = at[0], groups = at[1], terms = at[2];
        const int32_t *factor = at + 3 + rows + 1, *group = factor + groups, *term = group + groups + 1;
        list[k] = (List){at + 3, factor, group, term, value, rows};
        at = term + terms;
        value += terms;
    }
}

/* out_r = sum_g m_factor(g) sum_e value_e n_term(e), rows of CHUNK. */
static void sparse(REAL *out, const REAL *m, const REAL *n, const List *list) {
    for (int64_t r = 0; r < list->rows; r++, out += CHUNK) {
        vec all[4] = {{0}};
        for (int32_t g = list->row[r]; g < list->row[r + 1]; g++) {
            vec sum[4] = {{0}};
            for (int32_t e = list->group[g]; e < list->group[g + 1]; e++) {
                const REAL *from = n + list->term[e] * (int64_t)CHUNK;
                vec value = splat(list->value[e]);
                UNROLLED for (int j = 0; j < 4; j++) sum[j] += value * load(from + j * LANES);
            }
            const REAL *times = m + list->factor[g] * (int64_t)CHUNK;
            UNROLLED for (int j = 0; j < 4; j++) all[j] += sum[j] * load(times + j * LANES);
        }
        UNROLLED for (int j = 0; j < 4; j++) store(out + j * LANES, all[j]);
    }
}

typedef struct { /* (rows, channels, S), one channel standing for all */
    const REAL *from;
    REAL *to;
    int64_t rows, channels;
} Rows;

/* Slots at .. at + count of channel c as rows of CHUNK; returns where the next rows go. */
static REAL *gather(REAL *z, const Rows *rows, int64_t c, int64_t slots, int64_t at, int64_t count) {
    int64_t channel = rows->channels > 1 ? c : 0;
    const REAL *from = rows->from + channel * slots + at;
    for (int64_t r = 0; r < rows->rows; r++, z += CHUNK, from += rows->channels * slots) {
        if (count == CHUNK) memcpy(z, from, CHUNK * sizeof(REAL)); /* inline */
        else copy(z, CHUNK, from, count);
    }
    return z;
}

/* The reverse; gradients of a channel that stands for all add up, channel 0 first. */
static const REAL *scatter(const REAL *z, const Rows *rows, int64_t c, int64_t slots, int64_t at, int64_t count) {
    int64_t channel = rows->channels > 1 ? c : 0;
    REAL *to = rows->to + channel * slots + at;
    for (int64_t r = 0; r < rows->rows; r++, z += CHUNK, to += rows->channels * slots) {
        if (channel == c && count == CHUNK) memcpy(to, z, CHUNK * sizeof(REAL));
        else if (channel == c) memcpy(to, z, count * sizeof(REAL));
        else for (int64_t l = 0; l < count; l++) to[l] += z[l];
    }
    return z;
}

typedef struct {
    Rows factors[4];
    int64_t n_factors, width, channels, slots; /* `width` rows of factors in all */
    List list[2];                              /* products, and gradients of the first factors */
} Products;

/* All factors of some slots of a channel, and a row of ones after them. */
static void load_factors(REAL *z, const Products *p, int64_t c, int64_t at, int64_t count) {
    for (int64_t k = 0; k < p->n_factors; k++) z = gather(z, p->factors + k, c, p->slots, at, count);
    for (int64_t l = 0; l < CHUNK; l++) z[l] = 1;
}

static void store_gradients(const REAL *d_z, const Products *p, int64_t c, int64_t at, int64_t count) {
    for (int64_t k = 0; k < p->n_factors && p->factors[k].to; k++)
        d_z = scatter(d_z, p->factors + k, c, p->slots, at, count);
}

static int products_part(const Products *p, int64_t first, int64_t step, Rows out, int backward) {
    REAL *z = reals((2 * p->width + 1 + out.rows) * CHUNK);
    if (!z) return 1;
    REAL *d_z = z + (p->width + 1) * CHUNK, *stack = d_z + p->width * CHUNK;
    for (int64_t at = first * CHUNK; at < p->slots; at += step * CHUNK) {
        int64_t count = p->slots - at < CHUNK ? p->slots - at : CHUNK;
        for (int64_t c = 0; c < p->channels; c++) {
            load_factors(z, p, c, at, count);
            if (backward) {
                gather(stack, &out, c, p->slots, at, count);
                sparse(d_z, z, stack, &p->list[1]);
                store_gradients(d_z, p, c, at, count);
            } else {
                sparse(stack, z, z, &p->list[0]);
                scatter(stack, &out, c, p->slots, at, count);
            }
        }
    }
    free(z);
    return 0;
}

/* Lists over the factors y and x one after the other. */
int products_forward(const REAL *x, const REAL *y, const int32_t *index, const REAL *value, REAL *out, int64_t x_rows,
                     int64_t y_rows, int64_t x_channels, int64_t y_channels, int64_t channels, int64_t slots,
                     int64_t threads) {
    Products p = {{{y, 0, y_rows, y_channels}, {x, 0, x_rows, x_channels}}, 2, x_rows + y_rows, channels, slots, {{0}}};
    int failed = 0;
    unpack(p.list, 1, index, value);
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++)
        failed |= products_part(&p, part, threads, (Rows){0, out, p.list[0].rows, channels}, 0);
    return failed;
}

/* `d_x` may be NULL: not wanted. */
int products_backward(const REAL *x, const REAL *y, const int32_t *index, const REAL *value, const REAL *d_out,
                      REAL *d_x, REAL *d_y, int64_t x_rows, int64_t y_rows, int64_t x_channels, int64_t y_channels,
                      int64_t channels, int64_t slots, int64_t threads) {
    Products p = {{{y, d_y, y_rows, y_channels}, {x, d_x, x_rows, x_channels}}, 2, x_rows + y_rows, channels, slots,
                  {{0}}};
    int failed = 0;
    unpack(p.list, 2, index, value);
    if (!d_x) p.list[1].rows = y_rows;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++)
        failed |= products_part(&p, part, threads, (Rows){d_out, 0, p.list[0].rows, channels}, 1);
    return failed;
}

#endif
