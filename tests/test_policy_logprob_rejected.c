// policy_logprob_forward: calls that are rejected, and presets.
#include <math.h>
#include <stdlib.h>

#include "logprob_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

// Rejected calls ----------------------------------------------------------------------------------

typedef struct call {
    merit_policy_logprob_desc d;
    merit_policy_logprob_forward_io io;
} call;

typedef void spoil(call *c);

#define SPOIL(name, statement) \
    static void name(call *c)  \
    {                          \
        statement;             \
    }

SPOIL(bad_tokens, c->d.num_tokens = -1)
SPOIL(no_vocabulary, c->d.vocab_size = 0)
SPOIL(long_vocabulary, c->d.vocab_size = (1 << 24) + 1)
SPOIL(short_rows, c->d.ld_logits = 3)
SPOIL(huge_rows, c->d.ld_logits = INT64_MAX / 4)
SPOIL(bad_dtype, c->d.dtype = MERIT_DTYPE_F64)
SPOIL(bad_target_dtype, c->d.target_dtype = MERIT_DTYPE_F32)
SPOIL(zero_temperature, c->d.temperature = 0)
SPOIL(nan_temperature, c->d.temperature = NAN)
SPOIL(infinite_temperature, c->d.temperature = INFINITY)
SPOIL(nan_scale, c->d.logit_scale = NAN)
SPOIL(infinite_scale, c->d.logit_scale = -INFINITY)
SPOIL(negative_cap, c->d.soft_cap = -1)
SPOIL(nan_cap, c->d.soft_cap = NAN)
SPOIL(bad_support, c->d.support = 3)
SPOIL(bad_normalize, c->d.normalize = -1)
SPOIL(no_mask, c->d.support = MERIT_LOGPROB_SUPPORT_MASK)
SPOIL(short_mask, (c->d.support = MERIT_LOGPROB_SUPPORT_MASK, c->d.ld_mask = -1))
SPOIL(no_subset, c->d.support = MERIT_LOGPROB_SUPPORT_SUBSET)
SPOIL(many_ids, (c->d.support = MERIT_LOGPROB_SUPPORT_SUBSET, c->d.subset_size = 65))
SPOIL(no_ids, (c->d.support = MERIT_LOGPROB_SUPPORT_SUBSET, c->d.subset_size = 1))
SPOIL(short_subset,
      (c->d.support = MERIT_LOGPROB_SUPPORT_SUBSET, c->d.subset_size = 2, c->d.ld_subset = 1))
SPOIL(no_logits, c->io.logits = NULL)
SPOIL(no_targets, c->io.targets = NULL)
SPOIL(extra_mask, c->io.keep_mask = (const uint32_t *)c->io.targets)
SPOIL(extra_ids, c->io.subset_ids = (const int32_t *)c->io.targets)
SPOIL(extra_mass, c->io.mass = c->io.lse)
SPOIL(overlap, c->io.lse = c->io.logprob)
SPOIL(over_logits, c->io.lse = (float *)(uintptr_t)c->io.logits)

static const struct rejected {
    spoil *spoil;
    const char *words;
} rejections[] = {
    {bad_tokens, "num_tokens is -1"},
    {no_vocabulary, "vocab_size is 0|1..16777216"},
    {long_vocabulary, "vocab_size is 16777217"},
    {short_rows, "ld_logits is 3|vocab_size"},
    {huge_rows, "ld_logits|2^63 bytes"},
    {bad_dtype, "dtype is 1|F32"},
    {bad_target_dtype, "target_dtype is 0|I64"},
    {zero_temperature, "temperature is 0"},
    {nan_temperature, "temperature is nan"},
    {infinite_temperature, "temperature is inf"},
    {nan_scale, "logit_scale is nan"},
    {infinite_scale, "logit_scale is -inf"},
    {negative_cap, "soft_cap is -1"},
    {nan_cap, "soft_cap is nan"},
    {bad_support, "support is 3|0..2"},
    {bad_normalize, "normalize is -1|0..1"},
    {no_mask, "keep_mask is NULL|MASK"},
    {short_mask, "ld_mask is -1"},
    {no_subset, "subset_size is 0|1..64"},
    {many_ids, "subset_size is 65|1..64"},
    {no_ids, "subset_ids is NULL|SUBSET"},
    {short_subset, "ld_subset is 1|subset_size"},
    {no_logits, "logits is NULL"},
    {no_targets, "targets is NULL|logprob"},
    {extra_mask, "keep_mask is given|MASK"},
    {extra_ids, "subset_ids is given|SUBSET"},
    {extra_mass, "mass|FULL"},
    {overlap, "lse|overlaps|logprob"},
    {over_logits, "lse|overlaps|logits"},
};

TK_TEST(policy_logprob_rejected, rejected_calls_say_why_and_write_nothing)
{
    const float logits[] = {0, 1, 2, 3, 4, 5, 6, 7};
    const int64_t targets[] = {0, 1};
    for (int64_t k = 0; k < COUNT(rejections); k++) {
        call c = {.io = {.struct_size = sizeof c.io}};
        c.d = logprob_make(logits, targets, 2, 4).d;
        float *const logprob = tk_output(tk, 2, 4), *const lse = tk_output(tk, 2, 4);
        c.io.logits = tk_input(tk, logits, 8, 4);
        c.io.targets = tk_input(tk, targets, 2, 8);
        c.io.logprob = logprob, c.io.lse = lse;
        rejections[k].spoil(&c);
        void *const workspace = tk_workspace(tk, 1 << 14);
        const merit_status status =
            merit_policy_logprob_forward(tk->ctx, &c.d, &c.io, workspace, 1 << 14, NULL);
        tk_case("rejection %lld", (long long)k);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, rejections[k].words);
        unsigned char bytes[8];
        tk_read(tk, logprob, bytes, 2, 4);
        TK_EXPECT(tk_untouched(bytes, 2, 4), "logprob was written");
        tk_read(tk, lse, bytes, 2, 4);
        TK_EXPECT(tk_untouched(bytes, 2, 4), "lse was written");
        tk_release(tk);
    }
    call c = {.io = {.struct_size = sizeof c.io}};
    c.d = logprob_make(logits, targets, 2, 4).d;
    c.d.vocab_size = 4100;
    size_t bytes = 0;
    tk_expect_ok(tk->ctx, merit_policy_logprob_forward_workspace(tk->ctx, &c.d, &bytes));
    TK_EXPECT(bytes > 0, "two rows of three segments are split");
    float *const long_rows = calloc(2 * 4100, sizeof *long_rows);
    c.io.logits = tk_input(tk, long_rows, 2 * 4100, 4);
    void *const workspace = tk_workspace(tk, bytes);
    tk_expect_rejected(
        tk->ctx, merit_policy_logprob_forward(tk->ctx, &c.d, &c.io, workspace, bytes - 1, NULL),
        MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace has");
    tk_expect_rejected(tk->ctx, merit_policy_logprob_forward_workspace(tk->ctx, &c.d, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "bytes is NULL");
    tk_release(tk);
    free(long_rows);
    c.d.num_tokens = 0; // nothing to do, nothing needed
    c.io = (merit_policy_logprob_forward_io){.struct_size = sizeof c.io};
    tk_expect_ok(tk->ctx, merit_policy_logprob_forward(tk->ctx, &c.d, &c.io, NULL, 0, NULL));
}

Test(policy_logprob_rejected, presets_leave_sizes_alone)
{
    merit_policy_logprob_desc d;
    cr_assert(merit_policy_logprob_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    cr_assert(d.dtype == MERIT_DTYPE_BF16 && d.ignore_index == -100 && d.temperature == 1);
    int count = 0;
    while (merit_policy_logprob_preset_name(count) != NULL) {
        d.num_tokens = 17, d.vocab_size = 5, d.ld_logits = 8, d.dtype = MERIT_DTYPE_F16;
        d.subset_size = 2;
        cr_assert(merit_policy_logprob_preset(merit_policy_logprob_preset_name(count), &d) ==
                  MERIT_STATUS_OK);
        cr_assert(d.num_tokens == 17 && d.vocab_size == 5 && d.ld_logits == 8 &&
                  d.dtype == MERIT_DTYPE_F16 && d.subset_size == 2);
        count++;
    }
    cr_assert(count == 3, "%d presets", count);
    cr_assert(merit_policy_logprob_preset("logprob.trl", &d) == MERIT_STATUS_OK);
    cr_assert(isnan(d.temperature) && isnan(d.logit_scale) && isnan(d.soft_cap));
    cr_assert(merit_policy_logprob_preset("logprob.genprm", &d) == MERIT_STATUS_OK);
    cr_assert(d.support == MERIT_LOGPROB_SUPPORT_SUBSET && d.temperature == 1);
    cr_assert(merit_policy_logprob_preset("nothing", &d) == MERIT_STATUS_NOT_FOUND);
    cr_assert(merit_policy_logprob_preset(NULL, &d) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_assert(merit_policy_logprob_preset("logprob.trl", NULL) == MERIT_STATUS_INVALID_ARGUMENT);
}
