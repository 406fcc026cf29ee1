/* What the C kernels share: REAL, vectors of it as wide as the processor's, and sums in a fixed order.

   REAL and REAL_BITS come from the command line (eqviz/ops/native.py). Vectors are GCC's and Clang's own, so there is
   no code for any particular processor. */
#ifndef EQVIZ_NATIVE_H
#define EQVIZ_NATIVE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define LANES (VECTOR_BYTES * 8 / REAL_BITS)
#define INLINE static inline __attribute__((always_inline))

#if REAL_BITS == 32
typedef int32_t WHOLE; /* as wide as REAL */
#else
typedef int64_t WHOLE;
#endif
typedef REAL vec __attribute__((vector_size(VECTOR_BYTES)));
typedef WHOLE mask __attribute__((vector_size(VECTOR_BYTES))); /* 0 or -1 in every lane */

INLINE vec load(const REAL *from) { /* from any address */
    vec v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void store(REAL *to, vec v) { memcpy(to, &v, sizeof v); }

INLINE vec splat(REAL x) { return x - (vec){0}; }

INLINE vec where(mask m, vec yes, vec no) { return (vec)((m & (mask)yes) | (~m & (mask)no)); }

INLINE vec relu(vec x) { return where(x < 0, (vec){0}, x); } /* NaN stays NaN, as in PyTorch */

INLINE mask first(int64_t count) { /* true in the first `count` lanes */
    mask lane;
    for (int k = 0; k < LANES; k++) lane[k] = k;
    return lane < (WHOLE)count;
}

INLINE REAL total(vec v) { /* of all lanes, always in the same order */
    REAL part[LANES];
    store(part, v);
    for (int width = LANES / 2; width; width /= 2)
        for (int k = 0; k < width; k++) part[k] += part[k + width];
    return part[0];
}

#if REAL_BITS == 32
/* exp x to one or two units in the last place; 0 and infinity a little early (|x| > 87), NaN for NaN. */
INLINE vec exponential(vec x) {
    x = where(x > 88.0f, splat(88.0f), where(x < -87.0f, splat(-87.0f), x));
    vec shifted = x * 1.44269504f + 12582912.0f; /* rounds to an integer in the low bits */
    mask power = ((mask)shifted) << 23;
    vec whole = shifted - 12582912.0f;
    vec rest = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    vec sum = rest * 1.9875691e-4f + 1.3981999e-3f;
    sum = sum * rest + 8.3334519e-3f;
    sum = sum * rest + 4.1665795e-2f;
    sum = sum * rest + 1.6666665e-1f;
    sum = sum * rest + 0.5f;
    sum = sum * rest * rest + rest + 1;
    return (vec)((mask)sum + power);
}
#else
INLINE vec exponential(vec x) {
    for (int k = 0; k < LANES; k++) x[k] = exp(x[k]);
    return x;
}
#endif

/* The low byte of every lane, LANES bytes; and back. */
typedef int8_t bytes __attribute__((vector_size(LANES)));

INLINE void store_bytes(int8_t *to, mask values) {
    bytes low = __builtin_convertvector(values, bytes);
    memcpy(to, &low, sizeof low);
}

INLINE mask load_bytes(const int8_t *from) {
    bytes low;
    memcpy(&low, from, sizeof low);
    return __builtin_convertvector(low, mask);
}

INLINE int64_t up(int64_t n, int64_t step) { return (n + step - 1) / step * step; } /* to a multiple */

/* Memory at an address that suits vectors; `free` gives it back. NULL where there is none. */
INLINE REAL *reals(int64_t count) {
    return aligned_alloc(64, (size_t)up((count + 16) * (int64_t)sizeof(REAL), 64));
}

#endif
