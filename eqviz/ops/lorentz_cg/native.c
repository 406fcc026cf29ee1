/* A Lorentz group network's sums and products on a CPU; the contract is in __init__.py, the callers in native.py.

   bells_*: jet by jet, all functions f of a jet's pairs in memory at once, then one matrix product per channel.
   products_*, mix_*: CHUNK slots of one channel at a time. All factors z of the products lie in one block of rows
   (n, CHUNK) and so do the products: row r is sum_g z_m(g) sum_e v_e z_n(e) over the groups g and terms e of a list.

   Every lane works alike, whichever jet, slot or padding it belongs to: no answer depends on its neighbours. */
#include "bells.h"
#include "lists.h"
#include "perceptron.h"
#include "totals.h"

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
