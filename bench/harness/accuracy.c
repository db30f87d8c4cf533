#include "accuracy.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

double bench_ulp32(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023; // |x| in [2^exponent, 2^(exponent+1))
    if (exponent < -126) exponent = -126;
    bits = (uint64_t)(exponent - 23 + 1023) << 52;
    double ulp;
    memcpy(&ulp, &bits, sizeof ulp);
    return ulp;
}

// At most max_ulp of `ulp` plus max_abs apart.
static bool check_within(bench_error *error, int64_t index, float actual, double expected,
                         double ulp, double max_ulp, double max_abs)
{
    if (isnan(expected) && isnan(actual)) return true;
    if ((double)actual == expected) return true; // infinities too
    const double difference = fabs((double)actual - expected);
    if (difference / ulp > error->max_ulp) error->max_ulp = difference / ulp;
    if (difference > error->max_abs) error->max_abs = difference;
    if (difference <= max_ulp * ulp + max_abs) return true;
    if (isnan(difference)) error->max_ulp = error->max_abs = HUGE_VAL;
    if (error->text[0] == '\0') {
        snprintf(error->text, sizeof error->text,
                 "element %" PRId64 " is %.9g, expected %.9g within %.3g", index, (double)actual,
                 expected, max_ulp * ulp + max_abs);
    }
    return false;
}

bool bench_check_f32(bench_error *error, int64_t index, float actual, double expected,
                     double max_ulp, double max_abs)
{
    return check_within(error, index, actual, expected, bench_ulp32(expected), max_ulp, max_abs);
}

bool bench_check_sum_f32(bench_error *error, int64_t index, float actual, double expected,
                         double largest, double max_ulp)
{
    const double size = fmax(fabs(expected), fabs(largest));
    return check_within(error, index, actual, expected, bench_ulp32(size), max_ulp, 0);
}

bool bench_check_loss(bench_error *error, double actual, double expected, double max_abs)
{
    if (fabs(actual - expected) <= max_abs) return true;
    if (error->text[0] == '\0') {
        snprintf(error->text, sizeof error->text, "loss is %.9g, expected %.9g", actual, expected);
    }
    return false;
}

bool bench_check_i64(bench_error *error, const char *array, int64_t index, int64_t actual,
                     int64_t expected)
{
    if (actual == expected) return true;
    const double difference = fabs((double)actual - (double)expected);
    if (difference > error->max_abs) error->max_abs = difference;
    if (error->text[0] == '\0') {
        snprintf(error->text, sizeof error->text,
                 "%s[%" PRId64 "] is %" PRId64 ", expected %" PRId64, array, index, actual,
                 expected);
    }
    return false;
}

int64_t bench_first_difference(const void *a, const void *b, size_t bytes)
{
    if (bytes == 0 || memcmp(a, b, bytes) == 0) return -1;
    const unsigned char *const x = a;
    const unsigned char *const y = b;
    size_t i = 0;
    while (x[i] == y[i])
        i++;
    return (int64_t)i;
}
