/* A mixing step and the next message of PELICAN on a CPU; contract in __init__.py, rows of pairs in layout.py.

   The pairs i <= j of a jet are worked through in tiles; rows "ij" of a tile are followed by its rows "ji". The pair
   tensor x between mixing and message lives in such a tile alone, and is made again in the backward pass.

   What each jet gives depends on that jet alone and is summed in the order of its pairs: neither batch mates nor the
   number of threads change a bit of it. Sums over jets are in double. */
#include "backward.h"
#include "forward.h"

/* The weights as the products want them; the memory is to be freed. */
static REAL *prepare(step *m, const REAL *even, const REAL *odd, const REAL *weight, const REAL *bias) {
    int64_t C = m->C, O = m->O, M = m->M;
    m->CP = padded(C), m->OP = padded(O), m->MP = padded(M);
    REAL *memory = zeros(2 * O * m->CP + 2 * C * m->OP + M * m->OP + O * m->MP + m->MP), *at = memory;
    if (!memory) return NULL;
    m->even = packed(&at, even, O, C, C, 1, NULL, m->CP), m->odd = packed(&at, odd, O, C, C, 1, NULL, m->CP);
    m->even_t = packed(&at, even, C, O, 1, C, NULL, m->OP), m->odd_t = packed(&at, odd, C, O, 1, C, NULL, m->OP);
    m->weight = packed(&at, weight, M, O, O, 1, NULL, m->OP);
    m->weight_t = packed(&at, weight, O, M, 1, O, NULL, m->MP);
    m->bias = packed(&at, bias, 1, M, M, 1, NULL, m->MP);
    return memory;
}

static int64_t largest_jet(const step *m) {
    int64_t largest = 0;
    for (int64_t k = 0; k < m->n_jets; k++) largest = m->jets[4 * k + 1] > largest ? m->jets[4 * k + 1] : largest;
    return largest;
}

/* The first jet of a thread: all get about the same number of pairs, in order. */
static int64_t first_jet(const step *m, int64_t thread) {
    int64_t all = 0, before = 0, k = 0;
    for (int64_t n = 0; n < m->n_jets; n++) all += pairs_of(jet_of(m, n));
    while (k < m->n_jets && before * m->threads < thread * all) before += pairs_of(jet_of(m, k++));
    return thread == m->threads ? m->n_jets : k;
}

#define INPUTS \
    const REAL *a, const REAL *even, const REAL *odd, const REAL *weight, const REAL *bias, const REAL *u, \
        const REAL *v, const REAL *D, const int64_t *jets
#define SIZES int64_t C, int64_t O, int64_t M, int64_t n_jets, int64_t threads, double slope
#define STEP \
    {.C = C, .O = O, .M = M, .a = a, .u = u, .v = v, .D = D, .jets = jets, .n_jets = n_jets, .threads = threads, \
     .slope = (REAL)slope}

/* Padded widths of a, x and a', and how many numbers the gradient of all weights has. */
int sizes(int64_t C, int64_t O, int64_t M, int64_t *out) {
    step m = {.C = C, .O = O, .M = M, .CP = padded(C), .OP = padded(O), .MP = padded(M)};
    out[0] = m.CP, out[1] = m.OP, out[2] = m.MP, out[3] = gradient_size(&m);
    return 0;
}

/* a' (R, M); row sums, column sums and diagonal (n, M); squares in doubles (threads, MP), zero before. `shift` (MP) or
   NULL. */
int forward(INPUTS, const REAL *shift, REAL *out, REAL *rows, REAL *columns, REAL *diagonal, double *squares, SIZES) {
    step m = STEP;
    REAL *weights = prepare(&m, even, odd, weight, bias);
    int64_t size = 2 * TILE * (m.CP + m.OP + m.MP) + 3 * largest_jet(&m) * (m.OP + m.MP);
    int failed = !weights;
    if (!failed) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
        for (int64_t thread = 0; thread < threads; thread++) {
            REAL *memory = zeros(size + m.MP), *square = memory + size;
            failed |= !memory;
            for (int64_t k = first_jet(&m, thread); memory && k < first_jet(&m, thread + 1); k++) {
                memset(square, 0, (size_t)m.MP * sizeof(REAL));
                forward_jet(&m, jet_of(&m, k), memory, shift, out, (REAL *[]){rows, columns, diagonal}, square);
                for (int64_t c = 0; c < m.MP; c++) squares[thread * m.MP + c] += square[c];
            }
            free(memory);
        }
    }
    free(weights);
    return failed;
}

/* Gradients of a (R, C), of u, v and D (n, O), and of all weights, as `gradient` in doubles (threads, n_weights), which
   is zero before. What comes in is described at `incoming`; its factor has MP numbers. */
int backward(INPUTS, const REAL *out, const REAL *to_out, const REAL *rows, const REAL *columns, const REAL *diagonal,
             const REAL *factor, REAL *to_a, REAL *to_u, REAL *to_v, REAL *to_D, double *to_weights, int64_t n_weights,
             SIZES) {
    step m = STEP;
    REAL *weights = prepare(&m, even, odd, weight, bias);
    incoming from = {out, to_out, rows, columns, diagonal, factor};
    int64_t own = gradient_size(&m), start = up(own, 64);
    int64_t size = start + 2 * TILE * (m.CP + 2 * m.OP + 2 * m.MP) + 3 * largest_jet(&m) * (2 * m.OP + m.MP);
    int failed = !weights || own != n_weights;
    if (!failed) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
        for (int64_t thread = 0; thread < threads; thread++) {
            REAL *memory = zeros(size);
            failed |= !memory;
            for (int64_t k = first_jet(&m, thread); memory && k < first_jet(&m, thread + 1); k++) {
                memset(memory, 0, (size_t)own * sizeof(REAL));
                backward_jet(&m, jet_of(&m, k), memory + start, &from, gradient_at(&m, memory), to_a,
                             (REAL *[]){to_u, to_v, to_D});
                for (int64_t n = 0; n < own; n++) to_weights[thread * n_weights + n] += memory[n];
            }
            free(memory);
        }
    }
    free(weights);
    return failed;
}
