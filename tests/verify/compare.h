// One output against what a case expects.
#ifndef MERIT_CASE_COMPARE_H
#define MERIT_CASE_COMPARE_H

#include "safetensors.h"

// All rules that are given must hold. Without any: bits.
//   atol, rtol   abs(actual - expected) <= atol + rtol * abs(expected)
//   ulp          at most so many steps of the output's own type
//   bits         the same word; an expected NaN asks for the canonical one
// Without bits, an expected NaN matches any NaN and -0 is +0. An expected infinity matches only
// itself.
typedef struct compare_rule {
    bool has_tolerance, has_ulp, bits;
    double atol, rtol;
    uint64_t ulp;
} compare_rule;

// NULL: no entry, so bits.
bool compare_rule_read(compare_rule *rule, json_t *entry, const char *output, case_error *error);

typedef struct compare_result {
    int64_t elements;
    int64_t failing; // elements that break a rule
    int64_t differing; // elements whose words differ (NaN for NaN aside, unless under bits)
    uint64_t differing_bits; // bits of those words
    double worst_error; // NaN: a NaN met a number
    uint64_t worst_ulp; // UINT64_MAX likewise
    int64_t first; // index of the first failing element, -1 if none
    int64_t worst; // of the failing element with the largest error, -1 if none
    uint64_t first_expected, first_actual, worst_expected, worst_actual; // words
} compare_result;

// `expected` has the output's dtype, or is F64 and is rounded to it. False when an integer output
// cannot hold an expected value.
bool compare_arrays(compare_result *result, const compare_rule *rule, const st_tensor *expected,
                    st_dtype dtype, const void *actual, case_error *error);

#endif
