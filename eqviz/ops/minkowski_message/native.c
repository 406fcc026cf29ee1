/* The message of LorentzNet on a CPU; contract in __init__.py, formulae of the backward pass in tiled.py.

   The pairs of a jet are worked through in tiles of TILE (i, j != i), channels along the vector, padded with zeros to
   CP. A tile of one pair tensor fits into the first cache, so a pass over it costs little. Padding is never visited.

   What each jet gives depends on that jet alone and is summed in the order of its pairs: neither batch mates nor the
   number of threads change a bit of it. Gradients of weights are summed within a jet in REAL, over jets in double. */
#include "backward.h"
#include "forward.h"

static int64_t largest_jet(const message *m) {
    int64_t largest = 0;
    for (int64_t k = 0; k < m->n_jets; k++) largest = m->jets[4 * k + 3] > largest ? m->jets[4 * k + 3] : largest;
    return largest;
}

/* The weights as the products want them; `memory` to be freed. */
static REAL *prepare(message *m, const REAL *features, const REAL *hidden, const REAL *hidden_bias, const REAL *gate,
                     const REAL *gate_bias, const REAL *coordinate, const REAL *coordinate_bias,
                     const REAL *coordinate_out) {
    int64_t C = m->C, CP = m->CP = padded(C);
    REAL *memory = zeros((4 * C + 4 + m->F) * CP), *at = memory;
    if (!memory) return NULL;
    m->features = packed(&at, features, m->F, C, 1, m->F, NULL, CP);
    m->hidden = packed(&at, hidden, C, C, C, 1, NULL, CP);
    m->hidden_t = packed(&at, hidden, C, C, 1, C, NULL, CP);
    m->hidden_bias = packed(&at, hidden_bias, 1, C, C, 1, NULL, CP);
    m->gate = packed(&at, gate, 1, C, C, 1, NULL, CP);
    m->gate_bias = gate_bias[0];
    if (coordinate) {
        m->coordinate_t = packed(&at, coordinate, C, C, 1, C, NULL, CP);
        m->scaled = packed(&at, coordinate, C, C, C, 1, coordinate_out, CP);
        m->coordinate_bias = packed(&at, coordinate_bias, 1, C, C, 1, NULL, CP);
        m->coordinate_out = packed(&at, coordinate_out, 1, C, C, 1, NULL, CP);
    }
    return memory;
}

/* Which thread works on a jet: all get about the same number of pairs, in order. */
INLINE int64_t owner(const message *m, int64_t before, int64_t all) { return all ? before * m->threads / all : 0; }

static int64_t all_pairs(const message *m) {
    int64_t all = 0;
    for (int64_t k = 0; k < m->n_jets; k++) all += pairs_of(jet_of(m, k, 0));
    return all;
}

#define WEIGHTS \
    const REAL *features, const REAL *hidden, const REAL *hidden_bias, const REAL *gate, const REAL *gate_bias, \
        const REAL *coordinate, const REAL *coordinate_bias, const REAL *coordinate_out
#define PREPARE(M) \
    prepare(M, features, hidden, hidden_bias, gate, gate_bias, coordinate, coordinate_bias, coordinate_out)
#define SIZES \
    int64_t C, int64_t F, int64_t n_jets, int64_t s_pair, int64_t s_feature, int64_t threads
#define MESSAGE \
    {.C = C, .F = F, .n_jets = n_jets, .s_pair = s_pair, .s_feature = s_feature, .threads = threads, .u = u, .v = v, \
     .s = s, .jets = jets}

/* Sizes that depend on the machine: CP, bytes of flags per pair, numbers in the gradient of all weights. */
int sizes(int64_t C, int64_t F, int64_t *out) {
    message m = {.C = C, .F = F, .CP = padded(C)};
    out[0] = m.CP, out[1] = flag_bytes(m.CP), out[2] = gradient_size(&m);
    return 0;
}

/* total (S, C) and c (P,), both zero before; g and e (pairs of different nodes,) and flags, as `sizes` says.
   c, e and flags are NULL without coordinates. */
int forward(const REAL *u, const REAL *v, const REAL *s, const int64_t *jets, WEIGHTS, REAL *sums, REAL *c, REAL *g,
            REAL *e, int8_t *flags, SIZES) {
    message m = MESSAGE;
    REAL *weights = PREPARE(&m);
    int64_t all = all_pairs(&m), size = 2 * (TILE * m.CP + SCALARS) + 3 * largest_jet(&m) * m.CP;
    int failed = !weights;
    if (!failed) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
        for (int64_t thread = 0; thread < threads; thread++) {
            REAL *memory = zeros(size);
            failed |= !memory;
            for (int64_t k = 0, before = 0; memory && k < n_jets; k++) {
                jet of = jet_of(&m, k, before);
                if (owner(&m, before, all) == thread) forward_jet(&m, of, memory, sums, c, g, e, flags);
                before += pairs_of(of);
            }
            free(memory);
        }
    }
    free(weights);
    return failed;
}

/* Gradients of u and v (S, C) and s, or NULL, with the strides of s; of all weights, as `gradient` in doubles, one row
   of `n_weights` a thread. All zero before. */
int backward(const REAL *u, const REAL *v, const REAL *s, const int64_t *jets, WEIGHTS, const REAL *d_total,
             const REAL *d, const REAL *g, const REAL *e, const int8_t *flags, REAL *du, REAL *dv, REAL *ds,
             double *d_weights, int64_t n_weights, SIZES) {
    message m = MESSAGE;
    REAL *weights = PREPARE(&m);
    int64_t all = all_pairs(&m), own = gradient_size(&m);
    int64_t size = own + 4 * TILE * m.CP + 5 * largest_jet(&m) * m.CP;
    int failed = !weights || own != n_weights;
    if (!failed) {
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(| : failed)
        for (int64_t thread = 0; thread < threads; thread++) {
            REAL *memory = zeros(size + LANES);
            double *sum = d_weights + thread * n_weights;
            failed |= !memory;
            for (int64_t k = 0, before = 0; memory && k < n_jets; k++) {
                jet of = jet_of(&m, k, before);
                if (owner(&m, before, all) == thread && pairs_of(of)) {
                    memset(memory, 0, (size_t)own * sizeof(REAL));
                    backward_jet(&m, of, memory + up(own, LANES), gradient_at(&m, memory), d_total, d, g, e, flags, du,
                                 dv, ds);
                    for (int64_t n = 0; n < own; n++) sum[n] += memory[n];
                }
                before += pairs_of(of);
            }
            free(memory);
        }
    }
    free(weights);
    return failed;
}
