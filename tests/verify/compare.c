#include "compare.h"

#include <math.h>
#include <string.h>

#include "number.h"

// Rules -------------------------------------------------------------------------------------------

static bool read_tolerance(double *to, json_t *value, const char *output, const char *name,
                           case_error *error)
{
    const double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= 0) || isinf(number)) {
        return case_fail(error, "merit.check.%.80s.%s is not a finite number >= 0", output, name);
    }
    *to = number;
    return true;
}

bool compare_rule_read(compare_rule *rule, json_t *entry, const char *output, case_error *error)
{
    *rule = (compare_rule){0};
    if (entry == NULL) {
        rule->bits = true;
        return true;
    }
    if (!json_is_object(entry)) {
        return case_fail(error, "merit.check.%.80s is no JSON object", output);
    }
    const char *key;
    json_t *value;
    json_object_foreach(entry, key, value)
    {
        if (strcmp(key, "atol") == 0 || strcmp(key, "rtol") == 0) {
            rule->has_tolerance = true;
            double *const to = key[0] == 'a' ? &rule->atol : &rule->rtol;
            if (!read_tolerance(to, value, output, key, error)) return false;
        } else if (strcmp(key, "ulp") == 0) {
            if (!json_is_integer(value) || json_integer_value(value) < 0) {
                return case_fail(error, "merit.check.%.80s.ulp is not an integer >= 0", output);
            }
            rule->has_ulp = true;
            rule->ulp = (uint64_t)json_integer_value(value);
        } else if (strcmp(key, "bits") == 0) {
            if (!json_is_boolean(value)) {
                return case_fail(error, "merit.check.%.80s.bits is not true or false", output);
            }
            rule->bits = json_is_true(value);
        } else {
            return case_fail(error,
                             "merit.check.%.80s has the unknown rule \"%.80s\", expected atol, "
                             "rtol, ulp or bits",
                             output, key);
        }
    }
    if (!rule->has_tolerance && !rule->has_ulp && !rule->bits) {
        return case_fail(error, "merit.check.%.80s sets no rule, expected atol, rtol, ulp or bits",
                         output);
    }
    return true;
}

// Elements ----------------------------------------------------------------------------------------

// 0 when they agree as values; NaN when only one is a NaN.
static double error_of(st_dtype dtype, uint64_t expected, uint64_t actual)
{
    const bool nan_expected = number_is_nan(dtype, expected);
    if (nan_expected && number_is_nan(dtype, actual)) return 0;
    if (expected == actual) return 0;
    // Integers of 64 bits do not fit a double: their difference does.
    if (!number_is_float(dtype)) return (double)number_steps(dtype, expected, actual);
    return fabs(number_value(dtype, actual) - number_value(dtype, expected));
}

static bool holds(const compare_rule *rule, st_dtype dtype, uint64_t expected, uint64_t actual,
                  double error)
{
    const bool nan = number_is_nan(dtype, expected);
    if (rule->bits) {
        const uint64_t wanted = nan ? number_canonical_nan(dtype) : expected;
        if (actual != wanted) return false;
    }
    if (nan) return number_is_nan(dtype, actual);
    if (number_is_inf(dtype, expected)) return actual == expected;
    if (rule->has_tolerance) {
        const double limit = rule->atol + rule->rtol * fabs(number_value(dtype, expected));
        if (!(error <= limit)) return false;
    }
    return !rule->has_ulp || number_steps(dtype, expected, actual) <= rule->ulp;
}

// Orders errors for "worst": a NaN is worse than any number.
static bool worse(double a, double b)
{
    return isnan(a) ? !isnan(b) : a > b;
}

static void add_element(compare_result *r, const compare_rule *rule, st_dtype dtype, int64_t i,
                        uint64_t expected, uint64_t actual, double *worst_failing)
{
    const bool both_nan = number_is_nan(dtype, expected) && number_is_nan(dtype, actual);
    const uint64_t wanted = both_nan && rule->bits ? number_canonical_nan(dtype) : expected;
    if (wanted != actual && (!both_nan || rule->bits)) {
        r->differing++;
        r->differing_bits += (uint64_t)__builtin_popcountll(wanted ^ actual);
    }
    const double error = error_of(dtype, expected, actual);
    const uint64_t steps = both_nan ? 0 : number_steps(dtype, expected, actual);
    if (worse(error, r->worst_error)) r->worst_error = error;
    if (steps > r->worst_ulp) r->worst_ulp = steps;
    if (holds(rule, dtype, expected, actual, error)) return;
    if (r->failing++ == 0) {
        r->first = i;
        r->first_expected = expected;
        r->first_actual = actual;
    }
    if (r->worst < 0 || worse(error, *worst_failing)) {
        *worst_failing = error;
        r->worst = i;
        r->worst_expected = expected;
        r->worst_actual = actual;
    }
}

bool compare_arrays(compare_result *result, const compare_rule *rule, const st_tensor *expected,
                    st_dtype dtype, const void *actual, case_error *error)
{
    *result = (compare_result){.elements = expected->count, .first = -1, .worst = -1};
    double worst_failing = 0;
    for (int64_t i = 0; i < expected->count; i++) {
        uint64_t word = number_bits(expected->dtype, expected->data, i);
        if (expected->dtype != dtype) {
            const double value = number_value(expected->dtype, word);
            if (!number_round(dtype, value, &word)) {
                return case_fail(error, "tensor \"%.80s\": element %lld is %g, which is no %s",
                                 expected->name, (long long)i, value, st_dtype_name(dtype));
            }
        }
        add_element(result, rule, dtype, i, word, number_bits(dtype, actual, i), &worst_failing);
    }
    return true;
}
