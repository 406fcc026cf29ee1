/* The perceptron on scalars: perceptron_*. */
#ifndef EQVIZ_LORENTZ_PERCEPTRON_H
#define EQVIZ_LORENTZ_PERCEPTRON_H

#include "lists.h"

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

#endif
