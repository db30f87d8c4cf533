// One instruction set's loops. MATH_VARIANT names it.
#include "math_variant.h"

#include "core/exact.h"
#include "core/float16.h"
#include "core/logistic.h"
#include "core/quotient.h"

#define m_exp_lo(x) m_exp_pair(x).lo
#define m_log_lo(x) m_log_pair(x).lo
#define m_exp64_lo(x) m_exp_pair64(x).lo
#define m_log64_lo(x) m_log_pair64(x).lo
#define m_logistic_sp(x) m_logistic(x).softplus
#define m_logistic_s(x) m_logistic(x).sigmoid
#define m_logistic_any(x) (m_abs32(x) <= 80.0f ? m_logistic_near(x) : m_logistic(x))
#define m_logistic_near_sp(x) m_logistic_any(x).softplus
#define m_logistic_near_s(x) m_logistic_any(x).sigmoid
#define m_exp_or_near(x) (m_abs32(x) <= MERIT_EXP_NEAR ? m_exp_near(x) : m_exp(x))
#define m_expm1_or_near(x) (m_abs32(x) <= MERIT_EXPM1_NEAR ? m_expm1_near(x) : m_expm1(x))
#define m_expm1m_or_near(x) (m_abs32(x) <= MERIT_EXPM1_NEAR ? m_expm1m_near(x) : m_expm1m(x))

#define DEFINE_MAP(type, name)                                  \
    static void map_##name(type *out, const type *in, size_t n) \
    {                                                           \
        for (size_t i = 0; i < n; ++i)                          \
            out[i] = m_##name(in[i]);                           \
    }
#define DEFINE_MAP32(name) DEFINE_MAP(float, name)
#define DEFINE_MAP64(name) DEFINE_MAP(double, name)
MATH_MAPS32(DEFINE_MAP32)
MATH_MAPS64(DEFINE_MAP64)

#define DEFINE_CONVERSION(to, name, from)               \
    static void name(to *out, const from *in, size_t n) \
    {                                                   \
        for (size_t i = 0; i < n; ++i)                  \
            out[i] = m_##name(in[i]);                   \
    }
DEFINE_CONVERSION(uint16_t, to_bf16, float)
DEFINE_CONVERSION(uint16_t, to_f16, float)
DEFINE_CONVERSION(float, from_bf16, uint16_t)
DEFINE_CONVERSION(float, from_f16, uint16_t)

static void quotient(double *out, const double *c, double d, size_t n)
{
    const merit_divisor64 divisor = m_divisor64(d);
    for (size_t i = 0; i < n; ++i)
        out[i] = m_quotient64(c[i], divisor);
}

static void quotient_unchecked(double *out, const double *c, double d, size_t n)
{
    const merit_divisor64 divisor = m_divisor64(d);
    for (size_t i = 0; i < n; ++i)
        out[i] = m_quotient_unchecked64(c[i], divisor);
}

static int quotient_is_safe(const double *c, double d, size_t n)
{
    const merit_divisor64 divisor = m_divisor64(d);
    int safe = 1;
    for (size_t i = 0; i < n; ++i)
        safe &= m_quotient_is_safe64(c[i], divisor);
    return safe;
}

#define MATH_JOIN_(a, b) a##b
#define MATH_JOIN(a, b) MATH_JOIN_(a, b)
#define MATH_STRING_(a) #a
#define MATH_STRING(a) MATH_STRING_(a)
#define MAP_ADDRESS(name) map_##name,

extern const math_variant MATH_JOIN(math_variant_, MATH_VARIANT);
const math_variant MATH_JOIN(math_variant_, MATH_VARIANT) = {
    .name = MATH_STRING(MATH_VARIANT),
    .map32 = {MATH_MAPS32(MAP_ADDRESS)},
    .map64 = {MATH_MAPS64(MAP_ADDRESS)},
    .to_bf16 = to_bf16,
    .to_f16 = to_f16,
    .from_bf16 = from_bf16,
    .from_f16 = from_f16,
    .quotient = quotient,
    .quotient_unchecked = quotient_unchecked,
    .quotient_is_safe = quotient_is_safe,
};
