// policy_logprob_merge in long double: every record moved to the exponent 0 of the row and summed.
#include <math.h>

#include "golden_oracles.h"

typedef struct merged {
    long double sum, moment, squares; // of 2^y, y 2^y and 4^y, y measured from `top`
    long double top; // the largest exponent of a record
    long double target; // as it enters, -inf: nowhere
    long double max;
} merged;

static long double factor_of(const merit_policy_logprob_desc *d, const float *temperatures,
                             int64_t t)
{
    const long double temperature = temperatures != NULL ? temperatures[t] : d->temperature;
    const long double scale = d->soft_cap > 0 ? 1 : d->logit_scale; // capped logits are scaled
    return scale / temperature * 1.4426950408889634073599246810018921L;
}

static void add(merged *m, long double exponent, double sum, double moment, double squares)
{
    const long double y = exponent - m->top;
    m->sum += sum * exp2l(y);
    m->moment += (moment + y * sum) * exp2l(y);
    m->squares += squares * exp2l(2 * y);
}

// Exponents of segments are integers above max times the factor; one that rounding decides is no row
// to look at.
static bool exponent_of(float max, long double factor, long double *exponent)
{
    const long double y = max * factor;
    *exponent = ceill(y);
    return fabsl(y - rintl(y)) > 1e-5L * (1 + fabsl(y)) || (long double)max == 0;
}

static bool each_segment(const merit_policy_logprob_desc *d, const merit_policy_logprob_merge_io *x,
                         int64_t t, long double factor, merged *m)
{
    const int64_t tile = 2048, widest = (d->vocab_size + tile - 1) / tile;
    for (int32_t p = 0; p < d->num_shards; p++) {
        const int64_t left = d->vocab_total - p * d->vocab_size;
        const int64_t width = ((left < d->vocab_size ? left : d->vocab_size) + tile - 1) / tile;
        const merit_policy_logprob_segment *const s =
            x->segments + p * d->num_tokens * widest + t * width;
        for (int64_t i = 0; i < width; i++) {
            long double exponent;
            if (s[i].max == -INFINITY) continue;
            if (!exponent_of(s[i].max, factor, &exponent)) return false;
            if (m->top < exponent) { // what was added so far moves along
                const merged before = *m;
                *m = (merged){.top = exponent, .target = m->target, .max = m->max};
                if (before.sum > 0) {
                    const long double y = before.top - exponent;
                    m->sum = before.sum * exp2l(y);
                    m->moment = (before.moment + y * before.sum) * exp2l(y);
                    m->squares = before.squares * exp2l(2 * y);
                }
            }
            add(m, exponent, s[i].sum, s[i].moment, s[i].squares);
        }
    }
    return true;
}

// Rows that are read, with a target that may be found and sums that are numbers.
static bool is_usual(const merit_policy_logprob_desc *d, const merit_policy_logprob_merge_io *x,
                     int64_t t, long double factor, merged *m)
{
    const int64_t T = d->num_tokens;
    const int64_t target = x->targets == NULL                   ? 0
                           : d->target_dtype == MERIT_DTYPE_I64 ? ((const int64_t *)x->targets)[t]
                                                                : ((const int32_t *)x->targets)[t];
    if (target < 0 || target >= (d->vocab_total ? d->vocab_total : d->vocab_size)) return false;
    *m = (merged){.top = -INFINITY, .target = -INFINITY, .max = -INFINITY};
    for (int32_t p = 0; p < d->num_shards; p++) {
        const merit_policy_logprob_shard *const s = &x->shards[p * T + t];
        if (!isfinite(s->sum) || isnan(s->max) || s->max == INFINITY || isnan(s->target))
            return false;
        if (s->target > m->target) m->target = s->target;
        if (s->max > m->max) m->max = s->max;
        if (x->segments == NULL && s->sum > 0 && s->exponent > m->top) m->top = s->exponent;
    }
    const bool is_positive = factor > 0 && isfinite(factor);
    if (!is_positive || !isfinite(m->max) || fabsl(m->max * factor) >= 4e6L) return false;
    if (x->segments != NULL) return each_segment(d, x, t, factor, m);
    for (int32_t p = 0; p < d->num_shards; p++) {
        const merit_policy_logprob_shard *const s = &x->shards[p * T + t];
        if (s->sum > 0) add(m, s->exponent, s->sum, s->moment, s->squares);
    }
    return true;
}

static void expect(const float *array, int64_t t, long double expected, double slack)
{
    if (array == NULL) return;
    const double actual = array[t], wanted = (double)expected;
    tk_expect_close(&actual, &wanted, 1, slack, 6e-8);
}

const char *golden_policy_logprob_merge(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_policy_logprob_desc *const d = desc;
    const merit_policy_logprob_merge_io *const x = io;
    const long double ln2 = 0.69314718055994530941723212145817657L;
    int64_t rows = 0;
    (void)tk;
    for (int64_t t = 0; t < d->num_tokens; t++) {
        const long double factor = factor_of(d, x->temperatures, t);
        merged m;
        if (!is_usual(d, x, t, factor, &m)) continue;
        const long double bits = log2l(m.sum), lse = ln2 * (m.top + bits);
        // the factor is rounded to binary32 before logits are multiplied by it
        const double slack = (double)(1e-7L * (1 + fabsl(m.max * factor)));
        expect(x->lse, t, lse, slack);
        expect(x->entropy, t, ln2 * (bits - m.moment / m.sum), 1e-6);
        expect(x->sum_sq, t, m.squares / (m.sum * m.sum), 1e-7);
        if (x->targets != NULL) {
            const long double logprob = m.target * factor * ln2 - lse;
            expect(x->logprob, t, logprob < 0 ? logprob : 0, 2 * slack);
        }
        if (x->argmax != NULL) {
            int32_t first = INT32_MAX;
            for (int32_t p = 0; p < d->num_shards; p++) {
                const merit_policy_logprob_shard *const s = &x->shards[p * d->num_tokens + t];
                if ((long double)s->max == m.max && s->argmax < first) first = s->argmax;
            }
            TK_EXPECT(x->argmax[t] == first, "argmax of row %lld is %d, expected %d", (long long)t,
                      x->argmax[t], first);
        }
        if (x->state != NULL) {
            const merit_policy_logprob_state s = x->state[t];
            const double weight = s.inverse, wanted = (double)(exp2l(s.exponent - m.top) / m.sum);
            tk_expect_close(&weight, &wanted, 1, 0, 1.2e-7);
        }
        rows++;
    }
    return rows > 0 || d->num_tokens == 0 ? NULL : "no usual row";
}
