// Expectations and random numbers.
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tk.h"

enum { MAX_FAILURES = 20, MAX_PER_ARRAY = 3 };

static char current_case[640];

void tk_case(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(current_case, sizeof current_case, format, list);
    va_end(list);
}

void tk_fail(const char *file, int line, const char *format, ...)
{
    static int failures;
    char message[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    cr_expect_fail("%s:%d: [%s] %s", file, line, current_case, message);
    if (++failures >= MAX_FAILURES) cr_assert_fail("%d failures: stopped here", failures);
}

static int matches(double actual, double expected, double limit)
{
    if (isnan(expected)) return isnan(actual);
    if (isinf(expected)) return actual == expected;
    return fabs(actual - expected) <= limit;
}

static void report(const char *file, int line, const char *name, int64_t i, double actual,
                   double expected, double limit)
{
    tk_fail(file, line, "%s[%lld] is %.17g, expected %.17g: off by %.3g, limit %.3g", name,
            (long long)i, actual, expected, fabs(actual - expected), limit);
}

void tk_expect_close_at(const char *file, int line, const char *name, const double *actual,
                        const double *expected, int64_t n, double atol, double rtol)
{
    int reported = 0;
    for (int64_t i = 0; i < n && reported < MAX_PER_ARRAY; i++) {
        const double limit = atol + rtol * fabs(expected[i]);
        if (matches(actual[i], expected[i], limit)) continue;
        report(file, line, name, i, actual[i], expected[i], limit);
        reported++;
    }
}

void tk_expect_within_at(const char *file, int line, const char *name, const double *actual,
                         const double *expected, const double *limits, int64_t n)
{
    int reported = 0;
    for (int64_t i = 0; i < n && reported < MAX_PER_ARRAY; i++) {
        if (matches(actual[i], expected[i], limits[i])) continue;
        report(file, line, name, i, actual[i], expected[i], limits[i]);
        reported++;
    }
}

void tk_expect_bits_at(const char *file, int line, const char *name, const void *actual,
                       const void *expected, int64_t count, size_t size)
{
    int reported = 0;
    if (count == 0 || memcmp(actual, expected, (size_t)count * size) == 0) return;
    for (int64_t i = 0; i < count && reported < MAX_PER_ARRAY; i++) {
        const unsigned char *const a = (const unsigned char *)actual + (size_t)i * size;
        const unsigned char *const e = (const unsigned char *)expected + (size_t)i * size;
        if (memcmp(a, e, size) == 0) continue;
        char left[2 * 16 + 1] = "", right[2 * 16 + 1] = "";
        for (size_t b = 0; b < size && b < 16; b++) { // most significant byte first
            snprintf(left + 2 * b, 3, "%02x", a[size - 1 - b]);
            snprintf(right + 2 * b, 3, "%02x", e[size - 1 - b]);
        }
        tk_fail(file, line, "%s[%lld of %lld] is 0x%s, expected the bits 0x%s", name, (long long)i,
                (long long)count, left, right);
        reported++;
    }
}

void tk_expect_rejected_at(const char *file, int line, merit_context *ctx, merit_status status,
                           merit_status expected, const char *words)
{
    const char *const sentence = merit_context_last_error(ctx);
    if (status != expected) {
        tk_fail(file, line, "status is %s, expected %s (last error: %s)",
                merit_status_string(status), merit_status_string(expected), sentence);
        return;
    }
    while (words != NULL && *words != '\0') {
        const size_t length = strcspn(words, "|");
        char word[128];
        snprintf(word, sizeof word, "%.*s", (int)length, words);
        if (strstr(sentence, word) == NULL) {
            tk_fail(file, line, "the error does not name \"%s\": %s", word, sentence);
        }
        words += length + (words[length] == '|');
    }
}

static double ulp(double a, int digits, int least)
{
    int exponent;
    if (!isfinite(a)) return 0.0;
    if (a == 0.0) return ldexp(1.0, least);
    frexp(a, &exponent); // abs(a) in [2^(exponent-1), 2^exponent)
    return ldexp(1.0, exponent - digits > least ? exponent - digits : least);
}

double tk_ulp32(double a)
{
    return ulp(a, 24, -149);
}

double tk_ulp64(double a)
{
    return ulp(a, 53, -1074);
}

uint64_t tk_bits(tk_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t tk_below(tk_random *random, int64_t n)
{
    return (int64_t)(tk_bits(random) % (uint64_t)n);
}

double tk_uniform(tk_random *random)
{
    return (double)(tk_bits(random) >> 11) * 0x1p-53;
}

double tk_normal(tk_random *random)
{
    const double u = 1.0 - tk_uniform(random); // (0, 1]
    const double v = tk_uniform(random);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

int tk_chance(tk_random *random, double probability)
{
    return tk_uniform(random) < probability;
}
