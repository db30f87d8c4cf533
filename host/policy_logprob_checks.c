#include "policy_logprob_checks.h"

#include <math.h>

#include "../kernels/core/lanes.h"
#include "../kernels/policy/policy_logprob_args.h"
#include "policy_logprob_presets.h"

static int64_t mask_words(const merit_policy_logprob_desc *d)
{
    return (d->vocab_size + 31) / 32;
}

// rows of `count` elements, `ld` apart, in less than 2^63 bytes
static merit_status check_rows(merit_context *ctx, int64_t rows, int64_t ld, int64_t count,
                               const char *name, const char *least)
{
    int64_t elements;
    MERIT_REQUIRE(ctx, ld >= count, "%s is %lld, expected 0 or at least %s, which is %lld", name,
                  (long long)ld, least, (long long)count);
    const int overflows = __builtin_mul_overflow(rows, ld, &elements) || elements > INT64_MAX / 8;
    MERIT_REQUIRE(ctx, !overflows, "num_tokens and %s span more than 2^63 bytes", name);
    return MERIT_STATUS_OK;
}

static merit_status check_sizes(merit_context *ctx, merit_policy_logprob_desc *d)
{
    MERIT_REQUIRE(ctx, d->num_tokens >= 0, "num_tokens is %lld, expected 0 or more",
                  (long long)d->num_tokens);
    MERIT_REQUIRE(ctx, d->vocab_size >= 1 && d->vocab_size <= MERIT_LOGPROB_MAX_VOCAB,
                  "vocab_size is %lld, expected 1..%d", (long long)d->vocab_size,
                  (int)MERIT_LOGPROB_MAX_VOCAB);
    if (d->ld_logits == 0) d->ld_logits = d->vocab_size;
    MERIT_TRY(
        check_rows(ctx, d->num_tokens, d->ld_logits, d->vocab_size, "ld_logits", "vocab_size"));
    if (d->support == MERIT_LOGPROB_SUPPORT_MASK && d->ld_mask != 0) {
        MERIT_TRY(check_rows(ctx, d->num_tokens, d->ld_mask, mask_words(d), "ld_mask",
                             "ceil(vocab_size / 32)"));
    }
    if (d->support != MERIT_LOGPROB_SUPPORT_SUBSET) return MERIT_STATUS_OK;
    MERIT_REQUIRE_RANGE(ctx, d, subset_size, 1, MERIT_LOGPROB_MAX_SUBSET);
    if (d->ld_subset == 0) return MERIT_STATUS_OK;
    return check_rows(ctx, d->num_tokens, d->ld_subset, d->subset_size, "ld_subset", "subset_size");
}

// The part of the vocabulary that is here.
static merit_status check_shard(merit_context *ctx, merit_policy_logprob_desc *d)
{
    MERIT_REQUIRE_RANGE(ctx, d, partials, MERIT_LOGPROB_PARTIALS_NONE,
                        MERIT_LOGPROB_PARTIALS_SEGMENT);
    MERIT_REQUIRE(ctx, d->num_shards >= 1 && d->num_shards <= 1024,
                  "num_shards is %d, expected 1..1024", (int)d->num_shards);
    const int whole = d->vocab_total == 0 || d->vocab_total == d->vocab_size;
    if (d->vocab_total == 0) d->vocab_total = d->vocab_size;
    MERIT_REQUIRE(ctx, d->vocab_total >= 1 && d->vocab_total <= MERIT_LOGPROB_MAX_VOCAB,
                  "vocab_total is %lld, expected 0..%d", (long long)d->vocab_total,
                  (int)MERIT_LOGPROB_MAX_VOCAB);
    MERIT_REQUIRE(ctx,
                  d->vocab_begin >= 0 && d->vocab_size <= d->vocab_total &&
                      d->vocab_begin <= d->vocab_total - d->vocab_size,
                  "vocab_begin is %lld, expected %lld logits from there within vocab_total, which "
                  "is %lld",
                  (long long)d->vocab_begin, (long long)d->vocab_size, (long long)d->vocab_total);
    if (d->partials == MERIT_LOGPROB_PARTIALS_NONE) {
        MERIT_REQUIRE(ctx, whole, "vocab_total is %lld, but partials is NONE",
                      (long long)d->vocab_total);
        return MERIT_STATUS_OK;
    }
    MERIT_REQUIRE(ctx, d->normalize == MERIT_LOGPROB_NORMALIZE_SUPPORT,
                  "normalize is FULL, but partials takes SUPPORT only");
    MERIT_REQUIRE(ctx, d->support != MERIT_LOGPROB_SUPPORT_SUBSET,
                  "support is SUBSET, but partials takes whole rows");
    MERIT_REQUIRE(ctx,
                  d->partials == MERIT_LOGPROB_PARTIALS_SHARD || d->vocab_begin % MERIT_TILE == 0,
                  "vocab_begin is %lld, expected a multiple of %d with SEGMENT",
                  (long long)d->vocab_begin, (int)MERIT_TILE);
    return MERIT_STATUS_OK;
}

merit_status merit_logprob_read_desc(merit_context *ctx, const merit_policy_logprob_desc *desc,
                                     merit_policy_logprob_desc *d)
{
    *d = merit_policy_logprob_defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", d, sizeof *d,
                                MERIT_SIZE_0_1(merit_policy_logprob_desc, num_shards), desc));
    MERIT_REQUIRE(ctx,
                  d->dtype == MERIT_DTYPE_F32 || d->dtype == MERIT_DTYPE_BF16 ||
                      d->dtype == MERIT_DTYPE_F16,
                  "dtype is %d, expected F32 (%d), BF16 (%d) or F16 (%d)", (int)d->dtype,
                  (int)MERIT_DTYPE_F32, (int)MERIT_DTYPE_BF16, (int)MERIT_DTYPE_F16);
    MERIT_REQUIRE(ctx, d->target_dtype == MERIT_DTYPE_I32 || d->target_dtype == MERIT_DTYPE_I64,
                  "target_dtype is %d, expected I32 (%d) or I64 (%d)", (int)d->target_dtype,
                  (int)MERIT_DTYPE_I32, (int)MERIT_DTYPE_I64);
    MERIT_REQUIRE_RANGE(ctx, d, support, MERIT_LOGPROB_SUPPORT_ALL, MERIT_LOGPROB_SUPPORT_SUBSET);
    MERIT_REQUIRE_RANGE(ctx, d, normalize, MERIT_LOGPROB_NORMALIZE_SUPPORT,
                        MERIT_LOGPROB_NORMALIZE_FULL);
    MERIT_TRY(check_sizes(ctx, d));
    MERIT_TRY(check_shard(ctx, d));
    MERIT_REQUIRE(ctx, d->temperature > 0.0f && d->temperature < INFINITY,
                  "temperature is %g, expected more than 0", (double)d->temperature);
    MERIT_REQUIRE(ctx, isfinite(d->logit_scale), "logit_scale is %g, expected a finite number",
                  (double)d->logit_scale);
    MERIT_REQUIRE(ctx, d->soft_cap >= 0.0f && d->soft_cap < INFINITY,
                  "soft_cap is %g, expected 0 or more", (double)d->soft_cap);
    return MERIT_STATUS_OK;
}

merit_status merit_logprob_check_support(merit_context *ctx, const merit_policy_logprob_desc *d,
                                         const uint32_t *keep_mask, const int32_t *subset_ids)
{
    const int mask = d->support == MERIT_LOGPROB_SUPPORT_MASK;
    const int subset = d->support == MERIT_LOGPROB_SUPPORT_SUBSET;
    MERIT_REQUIRE(ctx, !mask || keep_mask != NULL, "keep_mask is NULL, but support MASK needs it");
    MERIT_REQUIRE(ctx, mask || keep_mask == NULL,
                  "keep_mask is given, but only support MASK takes it");
    MERIT_REQUIRE(ctx, !subset || subset_ids != NULL,
                  "subset_ids is NULL, but support SUBSET needs it");
    MERIT_REQUIRE(ctx, subset || subset_ids == NULL,
                  "subset_ids is given, but only support SUBSET takes it");
    return MERIT_STATUS_OK;
}

size_t merit_logprob_logits_bytes(const merit_policy_logprob_desc *d)
{
    if (d->num_tokens == 0) return 0;
    return (size_t)((d->num_tokens - 1) * d->ld_logits + d->vocab_size) *
           merit_dtype_bytes(d->dtype);
}

size_t merit_logprob_targets_bytes(const merit_policy_logprob_desc *d)
{
    return (size_t)d->num_tokens * merit_dtype_bytes(d->target_dtype);
}

size_t merit_logprob_mask_bytes(const merit_policy_logprob_desc *d)
{
    if (d->num_tokens == 0) return 0;
    return (size_t)((d->num_tokens - 1) * d->ld_mask + mask_words(d)) * sizeof(uint32_t);
}

size_t merit_logprob_subset_bytes(const merit_policy_logprob_desc *d)
{
    if (d->num_tokens == 0) return 0;
    return (size_t)((d->num_tokens - 1) * d->ld_subset + d->subset_size) * sizeof(int32_t);
}
