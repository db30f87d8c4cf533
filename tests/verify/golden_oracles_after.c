// Golden cases whose outputs are compared as the call left them. Until then a call may have written over
// an input: such cases are skipped.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "golden_oracles.h"
#include "group_oracle.h"
#include "policy_value_oracle.h"

static const char overwritten[] = "the call writes over an input";

const char *golden_policy_value_loss(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_policy_value_loss_desc *const d = desc;
    const merit_policy_value_loss_io *const x = io;
    (void)tk;
    if (x->grad_value != NULL && (x->grad_value == x->old_value || x->grad_value == x->returns)) {
        return overwritten;
    }
    policy_value_oracle *const o = policy_value_oracle_run(d, x);
    // u is rounded once, h(u) of it twice more
    const double loss = (double)o->loss;
    if (x->loss != NULL) tk_expect_close(x->loss, &loss, 1, 1e-9, 1e-6);
    if (x->stats != NULL) {
        const merit_policy_value_stats *const s = x->stats;
        const double actual[] = {s->sum_value, s->sum_squared_error, s->sum_return,
                                 s->sum_return_squared};
        const double expected[] = {(double)o->sum_value, (double)o->sum_squared_error,
                                   (double)o->sum_return, (double)o->sum_return_squared};
        tk_expect_close(actual, expected, 4, 1e-9, 1e-6);
        TK_EXPECT(s->tokens == o->tokens && s->clipped == o->clipped,
                  "tokens %lld, clipped %lld, expected %lld and %lld", (long long)s->tokens,
                  (long long)s->clipped, o->tokens, o->clipped);
    }
    for (int64_t t = 0; x->grad_value != NULL && t < d->num_tokens; t++) {
        const double actual = x->grad_value[t];
        const double expected = o->valid[t] < 0 ? NAN : o->valid[t] == 0 ? 0 : (double)o->grad[t];
        tk_expect_close(&actual, &expected, 1, 1e-12, 1e-6);
    }
    policy_value_oracle_free(o);
    return NULL;
}

const char *golden_policy_count(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_policy_count_desc *const d = desc;
    const merit_policy_count_io *const x = io;
    const merit_groups *const g = &d->sequences;
    int64_t tokens = 0, sequences = 0;
    (void)tk;
    for (int64_t i = 0; i < g->num_groups; i++) {
        const int64_t stride = g->group_stride ? g->group_stride : g->group_size;
        const int64_t begin = g->group_size > 0 ? i * stride : g->offsets[i];
        const int64_t end = g->group_size > 0 ? begin + g->group_size : g->offsets[i + 1];
        if (begin < 0 || end < begin || end > d->num_tokens) continue;
        if (g->max_size > 0 && end - begin > g->max_size) continue;
        int64_t valid = 0;
        for (int64_t t = begin; t < end; t++) {
            valid += x->mask == NULL || x->mask[t] != 0;
        }
        tokens += valid;
        sequences += valid > 0;
    }
    TK_EXPECT(x->counts->tokens == tokens && x->counts->nonempty_sequences == sequences,
              "tokens %lld, sequences %lld, expected %lld and %lld", (long long)x->counts->tokens,
              (long long)x->counts->nonempty_sequences, (long long)tokens, (long long)sequences);
    return NULL;
}

const char *golden_advantage_spread(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_advantage_spread_desc *const d = desc;
    const merit_advantage_spread_io *const x = io;
    const merit_groups *const g = &d->segments;
    const int64_t T = d->num_tokens;
    (void)tk;
    if (x->out == x->add) return overwritten;
    const spread_layout layout = {
        g->num_groups, g->group_size, g->group_stride, g->max_size, g->offsets, g->index, T};
    const int is_bf16 = d->out_dtype == MERIT_DTYPE_BF16;
    const size_t size = is_bf16 ? 2 : 4;
    int32_t *const segment_of = calloc((size_t)T + 1, sizeof *segment_of);
    cr_assert_not_null(segment_of);
    spread_oracle_segments(&layout, segment_of);
    for (int64_t t = 0; t < T; t++) {
        const int32_t n = segment_of[t];
        uint32_t expected = 0, actual = 0;
        if (n == -3) continue; // not written
        if (n != -1 && (x->mask == NULL || x->mask[t] != 0)) {
            const double value = n < 0 ? NAN
                                 : d->value_dtype == MERIT_DTYPE_F64
                                     ? ((const double *)x->values)[n]
                                     : (double)((const float *)x->values)[n];
            expected = spread_oracle_word(d->gain, value, x->add != NULL,
                                          x->add != NULL ? x->add[t] : 0, is_bf16);
        }
        memcpy(&actual, (const char *)x->out + (size_t)t * size, size);
        TK_EXPECT(actual == expected, "out[%lld] has the bits 0x%x, expected 0x%x", (long long)t,
                  actual, expected);
    }
    free(segment_of);
    return NULL;
}
