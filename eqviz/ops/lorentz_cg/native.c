/* A Lorentz group network's sums and products on a CPU; the contract is in __init__.py, the callers in native.py.

   bells_*: jet by jet, all functions f of a jet's pairs in memory at once, then one matrix product per channel.
   products_*, mix_*: CHUNK slots of one channel at a time. All factors z of the products lie in one block of rows
   (n, CHUNK) and so do the products: row r is sum_g z_m(g) sum_e v_e z_n(e) over the groups g and terms e of a list.

   Every lane works alike, whichever jet, slot or padding it belongs to: no answer depends on its neighbours. */
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

/* ---- Sums over pairs ---- */

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

/* ---- Products within a channel ---- */

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

/* ---- All products of a level, and the mixing of channels and blocks ---- */

typedef struct {
    Products p;
    const REAL *weights;
    const int64_t *irreps; /* dimension and blocks of each */
    int64_t n_irreps, c_out, d_out;
} Mix;

/* Adds channel c to the mixed rows (d_out C_out, CHUNK). */
static void mix_channel(const Mix *m, int64_t c, const REAL *stack, REAL *out) {
    const REAL *w = m->weights;
    int64_t channels = m->p.channels;
    for (int64_t i = 0; i < m->n_irreps; i++) {
        int64_t dimension = m->irreps[2 * i], blocks = m->irreps[2 * i + 1];
        for (int64_t d = 0; d < dimension; d++, stack += blocks * CHUNK, out += m->c_out * CHUNK)
            product(m->c_out, blocks, CHUNK, w + c, blocks * channels, channels, stack, CHUNK, out, CHUNK, c > 0);
        w += m->c_out * blocks * channels;
    }
}

/* Gradients of the products of channel c, and of the weights (as vectors), from those of the mixed rows. */
static void mix_gradients(const Mix *m, int64_t c, const REAL *stack, const REAL *d_out, REAL *d_stack, REAL *d_w) {
    const REAL *w = m->weights;
    int64_t channels = m->p.channels, c_out = m->c_out;
    for (int64_t i = 0; i < m->n_irreps; i++) {
        int64_t dimension = m->irreps[2 * i], blocks = m->irreps[2 * i + 1];
        dots(dimension, d_out, c_out, stack, blocks, CHUNK, d_w + c * LANES, blocks * channels, channels);
        stack += dimension * blocks * CHUNK;
        for (int64_t d = 0; d < dimension; d++, d_stack += blocks * CHUNK, d_out += c_out * CHUNK)
            product(blocks, c_out, CHUNK, w + c, channels, blocks * channels, d_out, CHUNK, d_stack, CHUNK, 0);
        w += c_out * blocks * channels;
        d_w += c_out * blocks * channels * LANES;
    }
}

static int mix_part(const Mix *m, int64_t first, int64_t step, REAL *out) {
    const Products *p = &m->p;
    Rows rows = {0, out, m->d_out * m->c_out, 1};
    REAL *z = reals((p->width + 1 + p->list[0].rows + rows.rows) * CHUNK);
    if (!z) return 1;
    REAL *stack = z + (p->width + 1) * CHUNK, *mixed = stack + p->list[0].rows * CHUNK;
    for (int64_t at = first * CHUNK; at < p->slots; at += step * CHUNK) {
        int64_t count = p->slots - at < CHUNK ? p->slots - at : CHUNK;
        for (int64_t c = 0; c < p->channels; c++) {
            load_factors(z, p, c, at, count);
            sparse(stack, z, z, &p->list[0]);
            mix_channel(m, c, stack, mixed);
        }
        scatter(mixed, &rows, 0, p->slots, at, count);
    }
    free(z);
    return 0;
}

static int mix_part_backward(const Mix *m, int64_t first, int64_t step, const REAL *d_out, int64_t n_weights,
                             double *d_w) {
    const Products *p = &m->p;
    Rows rows = {d_out, 0, m->d_out * m->c_out, 1};
    int64_t space = p->width + 1 + 2 * p->list[0].rows + p->list[1].rows + rows.rows;
    REAL *sums = reals(space * CHUNK + n_weights * LANES), *z = sums + n_weights * LANES;
    if (!sums) return 1;
    memset(sums, 0, n_weights * LANES * sizeof(REAL));
    REAL *stack = z + (p->width + 1) * CHUNK, *d_stack = stack + p->list[0].rows * CHUNK;
    REAL *d_z = d_stack + p->list[0].rows * CHUNK, *d_mixed = d_z + p->list[1].rows * CHUNK;
    for (int64_t at = first * CHUNK; at < p->slots; at += step * CHUNK) {
        int64_t count = p->slots - at < CHUNK ? p->slots - at : CHUNK;
        gather(d_mixed, &rows, 0, p->slots, at, count);
        for (int64_t c = 0; c < p->channels; c++) {
            load_factors(z, p, c, at, count);
            sparse(stack, z, z, &p->list[0]); /* again, since keeping them costs more memory than time is saved */
            mix_gradients(m, c, stack, d_mixed, d_stack, sums);
            sparse(d_z, z, d_stack, &p->list[1]);
            store_gradients(d_z, p, c, at, count);
        }
    }
    collect(sums, n_weights, d_w);
    free(sums);
    return 0;
}

/* Factors in the order x, plain, weighted, p4 and 1. */
int mix_forward(const REAL *x, const REAL *plain, const REAL *weighted, const REAL *p4, const REAL *weights,
                const int64_t *irreps, const int32_t *index, const REAL *value, REAL *out, int64_t width,
                int64_t moments, int64_t channels, int64_t slots, int64_t n_irreps, int64_t c_out, int64_t d_out,
                int64_t threads) {
    Mix m = {{{{x, 0, width, channels}, {plain, 0, width, channels}, {weighted, 0, width + moments, channels},
               {p4, 0, 4, 1}}, 4, 3 * width + moments + 4, channels, slots, {{0}}},
             weights, irreps, n_irreps, c_out, d_out};
    int failed = 0;
    unpack(m.p.list, 1, index, value);
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++) failed |= mix_part(&m, part, threads, out);
    return failed;
}

/* `d_weights`: (threads, number of weights) doubles, zero before. */
int mix_backward(const REAL *x, const REAL *plain, const REAL *weighted, const REAL *p4, const REAL *weights,
                 const int64_t *irreps, const int32_t *index, const REAL *value, const REAL *d_out, REAL *d_x,
                 REAL *d_plain, REAL *d_weighted, double *d_weights, int64_t width, int64_t moments, int64_t channels,
                 int64_t slots, int64_t n_irreps, int64_t c_out, int64_t d_rows, int64_t n_weights, int64_t threads) {
    Mix m = {{{{x, d_x, width, channels}, {plain, d_plain, width, channels},
               {weighted, d_weighted, width + moments, channels}, {p4, 0, 4, 1}}, 4, 3 * width + moments + 4, channels,
              slots, {{0}}},
             weights, irreps, n_irreps, c_out, d_rows};
    int failed = 0;
    unpack(m.p.list, 2, index, value);
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++)
        failed |= mix_part_backward(&m, part, threads, d_out, n_weights, d_weights + part * n_weights);
    return failed;
}

/* ---- Sums over the nodes of each jet ---- */

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

/* ---- The perceptron on scalars ---- */

typedef struct {
    const REAL *weights;   /* W (out, in) and bias (out) of every layer */
    const int64_t *widths; /* n_layers + 1 */
    int64_t n_layers, slots;
} Perceptron;

static int64_t units(const Perceptron *p) { /* of all layers, the input's among them */
    int64_t sum = 0;
    for (int64_t k = 0; k <= p->n_layers; k++) sum += p->widths[k];
    return sum;
}

static int64_t numbers(const Perceptron *p) { /* weights and biases */
    int64_t sum = 0;
    for (int64_t k = 0; k < p->n_layers; k++) sum += p->widths[k + 1] * (p->widths[k] + 1);
    return sum;
}

/* All layers' values one after the other, from those of the input; returns where the last ones are. */
static REAL *layers_forward(const Perceptron *p, REAL *h) {
    const REAL *w = p->weights;
    for (int64_t k = 0; k < p->n_layers; k++) {
        int64_t in = p->widths[k], out = p->widths[k + 1];
        REAL *next = h + in * CHUNK;
        for (int64_t o = 0; o < out; o++)
            for (int64_t l = 0; l < CHUNK; l += LANES) store(next + o * CHUNK + l, splat(w[out * in + o]));
        product(out, in, CHUNK, w, in, 1, h, CHUNK, next, CHUNK, 1);
        for (int64_t l = 0; k + 1 < p->n_layers && l < out * CHUNK; l += LANES) {
            vec x = load(next + l);
            store(next + l, where(x > 0, x, (REAL)0.01 * x));
        }
        w += out * (in + 1);
        h = next;
    }
    return h;
}

/* From d, the gradients of the last layer's values, to those of the first ones, in place; h as the forward left it. */
static void layers_backward(const Perceptron *p, const REAL *h, REAL *d, REAL *space, REAL *d_w) {
    const REAL *w = p->weights, *ones = space;
    int64_t offset = numbers(p);
    space += CHUNK;
    for (int64_t k = p->n_layers; k--;) {
        int64_t in = p->widths[k], out = p->widths[k + 1];
        offset -= out * (in + 1);
        h -= in * CHUNK;
        dots(1, d, out, h, in, CHUNK, d_w + offset * LANES, in, 1);
        dots(1, d, out, ones, 1, CHUNK, d_w + (offset + out * in) * LANES, 1, 1);
        product(in, out, CHUNK, w + offset, 1, in, d, CHUNK, space, CHUNK, 0);
        for (int64_t l = 0; l < in * CHUNK; l += LANES) {
            vec x = load(space + l);
            store(d + l, k ? where(load(h + l) > 0, x, (REAL)0.01 * x) : x);
        }
    }
}

static int perceptron_part(const Perceptron *p, int64_t first, int64_t step, Rows x, const REAL *d_out, double *d_w) {
    int64_t sum = units(p), last = p->widths[p->n_layers], n_weights = numbers(p);
    REAL *sums = reals((3 * sum + 1) * CHUNK + n_weights * LANES), *h = sums + n_weights * LANES;
    REAL *d = h + sum * CHUNK, *space = d + sum * CHUNK;
    if (!sums) return 1;
    memset(sums, 0, n_weights * LANES * sizeof(REAL));
    for (int64_t l = 0; l < CHUNK; l++) space[l] = 1;
    for (int64_t at = first * CHUNK; at < p->slots; at += step * CHUNK) {
        int64_t count = p->slots - at < CHUNK ? p->slots - at : CHUNK;
        gather(h, &x, 0, p->slots, at, count);
        REAL *end = layers_forward(p, h);
        if (d_out) {
            gather(d, &(Rows){d_out, 0, last, 1}, 0, p->slots, at, count);
            layers_backward(p, end, d, space, sums);
            scatter(d, &x, 0, p->slots, at, count);
        } else {
            scatter(end, &(Rows){0, x.to, last, 1}, 0, p->slots, at, count);
        }
    }
    if (d_out) collect(sums, n_weights, d_w);
    free(sums);
    return 0;
}

int perceptron_forward(const REAL *x, const REAL *weights, const int64_t *widths, REAL *out, int64_t n_layers,
                       int64_t slots, int64_t threads) {
    Perceptron p = {weights, widths, n_layers, slots};
    int failed = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++)
        failed |= perceptron_part(&p, part, threads, (Rows){x, out, widths[0], 1}, 0, 0);
    return failed;
}

/* `d_weights`: (threads, n_weights) doubles, zero before. */
int perceptron_backward(const REAL *x, const REAL *weights, const int64_t *widths, const REAL *d_out, REAL *d_x,
                        double *d_weights, int64_t n_layers, int64_t slots, int64_t n_weights, int64_t threads) {
    Perceptron p = {weights, widths, n_layers, slots};
    int failed = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++)
        failed |= perceptron_part(&p, part, threads, (Rows){x, d_x, widths[0], 1}, d_out, d_weights + part * n_weights);
    return failed;
}
