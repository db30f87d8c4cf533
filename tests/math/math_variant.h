// The functions of kernels/core/exact.h, float16.h and quotient.h as loops over arrays, compiled
// once per instruction set. The bits must not depend on which.
#ifndef MERIT_TESTS_MATH_VARIANT_H
#define MERIT_TESTS_MATH_VARIANT_H

#include <stddef.h>
#include <stdint.h>

// Names without the m_; _lo is the second word of a _pair, _sp and _s are the results of m_logistic, _near
// and _or_near those of a function for small arguments where that is defined.
#define MATH_MAPS32(X)  \
    X(exp)              \
    X(exp_lo)           \
    X(exp2)             \
    X(expm1)            \
    X(expm1m)           \
    X(log)              \
    X(log_lo)           \
    X(log2)             \
    X(log1p)            \
    X(sigmoid)          \
    X(log_sigmoid)      \
    X(softplus)         \
    X(tanh)             \
    X(exp2_p5)          \
    X(logistic_sp)      \
    X(logistic_s)       \
    X(logistic_near_sp) \
    X(logistic_near_s)  \
    X(exp_or_near)      \
    X(expm1_or_near)    \
    X(expm1m_or_near)

#define MATH_MAPS64(X) \
    X(exp64)           \
    X(exp64_lo)        \
    X(exp2_64)         \
    X(expm1_64)        \
    X(log64)           \
    X(log64_lo)        \
    X(log2_64)         \
    X(log1p64)         \
    X(softplus64)      \
    X(log_sigmoid64)

#define MATH_ENUM(name) MATH_##name,
enum { MATH_MAPS32(MATH_ENUM) MATH_NUM_MAPS32 };
enum { MATH_MAPS64(MATH_ENUM) MATH_NUM_MAPS64 };

typedef void math_map32(float *out, const float *in, size_t n);
typedef void math_map64(double *out, const double *in, size_t n);

typedef struct math_variant {
    const char *name;
    math_map32 *map32[MATH_NUM_MAPS32];
    math_map64 *map64[MATH_NUM_MAPS64];
    void (*to_bf16)(uint16_t *out, const float *in, size_t n);
    void (*to_f16)(uint16_t *out, const float *in, size_t n);
    void (*from_bf16)(float *out, const uint16_t *in, size_t n);
    void (*from_f16)(float *out, const uint16_t *in, size_t n);
    // c[i] / d: checked one by one; and unchecked, for blocks that are safe as a whole.
    void (*quotient)(double *out, const double *c, double d, size_t n);
    void (*quotient_unchecked)(double *out, const double *c, double d, size_t n);
    int (*quotient_is_safe)(const double *c, double d, size_t n);
} math_variant;

// The variants that this machine can run; the first one is the fastest. Ends with NULL.
const math_variant *const *math_variants(void);

#endif
