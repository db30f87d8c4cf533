// How far results are from an independent computation.
#ifndef MERIT_BENCH_ACCURACY_H
#define MERIT_BENCH_ACCURACY_H

#include "bench.h"

// One binary32 ulp at x: the distance of neighbors in x's binade, 2^-149 at least.
double bench_ulp32(double x);

// Compares a binary32 result with the exact-enough value: |actual - expected| must be at most
// max_ulp ulps of expected plus max_abs. NaN agrees with NaN only. False, with the index and both
// values in error->text (first time only), when it is not; both maxima are kept up to date.
bool bench_check_f32(bench_error *error, int64_t index, float actual, double expected,
                     double max_ulp, double max_abs);

// The same for a sum whose terms may cancel: max_ulp and what is kept count ulps of the larger of
// expected and `largest`, the largest of its terms.
bool bench_check_sum_f32(bench_error *error, int64_t index, float actual, double expected,
                         double largest, double max_ulp);

// A binary64 loss, within max_abs of the expected one; not among the maxima.
bool bench_check_loss(bench_error *error, double actual, double expected, double max_abs);

// Integers must be equal.
bool bench_check_i64(bench_error *error, const char *array, int64_t index, int64_t actual,
                     int64_t expected);

// Index of the first byte that differs, or -1.
int64_t bench_first_difference(const void *a, const void *b, size_t bytes);

#endif
