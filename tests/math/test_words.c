// kernels/core/float16.h and quotient.h: 16-bit words against frexp and rint, shared division against
// the division instruction.
#include "math_table.h"

#include <math.h>
#include <string.h>

#include <criterion/criterion.h>

static uint32_t bits32(float a)
{
    uint32_t bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}

static uint64_t bits64(double a)
{
    uint64_t bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}

Test(words, widening_is_exact_for_every_word)
{
    static uint16_t word[65536], back[65536];
    static float bf16[65536], f16[65536];
    for (uint32_t i = 0; i <= 0xffff; ++i)
        word[i] = (uint16_t)i;
    for (const math_variant *const *variant = math_variants(); *variant != NULL; ++variant) {
        (*variant)->from_bf16(bf16, word, 65536);
        (*variant)->from_f16(f16, word, 65536);
        for (uint32_t i = 0; i <= 0xffff; ++i) {
            cr_assert_eq(bits32(bf16[i]), i << 16);
            const float expected = (float)math_decode16(word[i], 5);
            cr_assert(isnan(expected) ? bits32(f16[i]) == 0x7fc00000u
                                      : bits32(f16[i]) == bits32(expected),
                      "f16 %04x widens to %a, expected %a (%s)", i, f16[i], expected,
                      (*variant)->name);
        }
        // And back: every word that is not NaN returns.
        (*variant)->to_bf16(back, bf16, 65536);
        for (uint32_t i = 0; i <= 0xffff; ++i)
            cr_assert_eq(back[i], isnan(bf16[i]) ? 0x7fc0 : i);
        (*variant)->to_f16(back, f16, 65536);
        for (uint32_t i = 0; i <= 0xffff; ++i)
            cr_assert_eq(back[i], isnan(f16[i]) ? 0x7e00 : i);
    }
}

// By hand: the midpoint above the largest number rounds to infinity, ties go to even, the smallest
// subnormal's half goes to 0.
Test(words, narrowing_rounds_to_nearest_even)
{
    const struct {
        float a;
        uint16_t bf16, f16;
    } cases[] = {
        {1, 0x3f80, 0x3c00},
        {-0.0f, 0x8000, 0x8000},
        {0x1.008p0f, 0x3f80, 0x3c02},
        {0x1.01p0f, 0x3f80, 0x3c04},
        {0x1.03p0f, 0x3f82, 0x3c0c},
        {0x1.002p0f, 0x3f80, 0x3c00},
        {0x1.006p0f, 0x3f80, 0x3c02},
        {65519.996f, 0x4780, 0x7bff},
        {65520, 0x4780, 0x7c00},
        {0x1p-24f, 0x3380, 0x0001},
        {0x1p-25f, 0x3300, 0x0000},
        {0x1.000002p-25f, 0x3300, 0x0001},
        {0x1.ffep-15f, 0x3880, 0x0400},
        {-0x1.8p-24f, 0xb3c0, 0x8002},
        {0x1.fefffep127f, 0x7f7f, 0x7c00},
        {0x1.ffp127f, 0x7f80, 0x7c00},
        {0x1p-134f, 0x0000, 0x0000},
        {0x1.8p-133f, 0x0002, 0x0000},
        {INFINITY, 0x7f80, 0x7c00},
        {-INFINITY, 0xff80, 0xfc00},
        {-NAN, 0x7fc0, 0x7e00},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        uint16_t bf16, f16;
        math_variants()[0]->to_bf16(&bf16, &cases[i].a, 1);
        math_variants()[0]->to_f16(&f16, &cases[i].a, 1);
        cr_expect(bf16 == cases[i].bf16, "bf16(%a) is %04x, expected %04x", cases[i].a, bf16,
                  cases[i].bf16);
        cr_expect(f16 == cases[i].f16, "f16(%a) is %04x, expected %04x", cases[i].a, f16,
                  cases[i].f16);
    }
}

Test(words, narrowing_agrees_with_the_reference)
{
    enum { N = 4096 };
    float in[N];
    uint16_t bf16[N], f16[N];
    for (const math_variant *const *variant = math_variants(); *variant != NULL; ++variant) {
        for (uint64_t base = 0; base <= 0xffffffffu; base += (uint64_t)4093 * N) {
            for (uint32_t i = 0; i < N; ++i) {
                const uint32_t bits = (uint32_t)(base + 4093 * i);
                memcpy(&in[i], &bits, sizeof bits);
            }
            (*variant)->to_bf16(bf16, in, N);
            (*variant)->to_f16(f16, in, N);
            for (uint32_t i = 0; i < N; ++i) {
                cr_assert(bf16[i] == math_encode16(in[i], 8), "bf16(%a) is %04x", in[i], bf16[i]);
                cr_assert(f16[i] == math_encode16(in[i], 5), "f16(%a) is %04x", in[i], f16[i]);
            }
        }
    }
}

Test(words, shared_division_equals_division)
{
    enum { N = 64 };
    double c[N], d, q[N], unchecked[N];
    uint64_t state = 7;
    for (const math_variant *const *variant = math_variants(); *variant != NULL; ++variant) {
        for (int round = 0; round < 40000; ++round) {
            for (int i = 0; i < N; ++i)
                math_hard_quotient(&state, &c[i], &d);
            c[0] = round & 1 ? -0.0 : 0.0;
            cr_assert((*variant)->quotient_is_safe(c, d, N));
            (*variant)->quotient(q, c, d, N);
            (*variant)->quotient_unchecked(unchecked, c, d, N);
            for (int i = 0; i < N; ++i) {
                const double expected = c[i] / d;
                cr_assert(bits64(q[i]) == bits64(expected) &&
                              bits64(unchecked[i]) == bits64(expected),
                          "%a / %a: %a, unchecked %a, expected %a (%s)", c[i], d, q[i],
                          unchecked[i], expected, (*variant)->name);
            }
        }
    }
}

Test(words, shared_division_equals_division_for_every_kind_of_operand)
{
    const double values[] = {0.0,
                             -0.0,
                             1,
                             -3,
                             INFINITY,
                             -INFINITY,
                             NAN,
                             0x1p-1074,
                             -0x1.8p-1070,
                             0x1.8p-1022,
                             0x1.fffffffffffffp1023,
                             0x1p-500,
                             0x1p500,
                             0x1.8p-501,
                             0x1.8p500,
                             0x1.4p-499,
                             0x1.7p-969};
    const size_t n = sizeof values / sizeof *values;
    for (size_t j = 0; j < n; ++j) {
        for (size_t i = 0; i < n; ++i) {
            const double c = values[i], d = values[j], expected = c / d;
            double q;
            math_variants()[0]->quotient(&q, &c, d, 1);
            cr_expect(isnan(expected) ? isnan(q) : bits64(q) == bits64(expected),
                      "%a / %a: %a, expected %a", c, d, q, expected);
            const int in_range = fabs(d) >= 0x1p-500 && fabs(d) <= 0x1p500 &&
                                 (c == 0 || (fabs(c) >= 0x1p-500 && fabs(c) <= 0x1p500));
            cr_expect_eq(math_variants()[0]->quotient_is_safe(&c, d, 1), in_range);
        }
    }
}

// The proof in quotient.h holds for any precision. Here p = 9 bits and every pair of significands; the
// double arithmetic is exact, round_to does the rounding.
static double round_to(double a, int precision)
{
    int exponent;
    frexp(a, &exponent);
    return ldexp(rint(ldexp(a, precision - exponent)), exponent - precision);
}

Test(words, one_correction_is_enough_for_every_pair_of_short_significands)
{
    enum { P = 9, ONE = 1 << (P - 1) };
    for (int d = ONE; d < 2 * ONE; ++d) {
        const double y = round_to(1.0 / d, P);
        for (int c = ONE; c < 2 * ONE; ++c) {
            const double q = round_to(c * y, P);
            const double r = round_to(c - q * d, P);
            // c / d in double is near a 9-bit midpoint only if it is one, which cannot happen.
            cr_assert_eq(round_to(q + r * y, P), round_to((double)c / d, P), "%d / %d", c, d);
        }
    }
}
