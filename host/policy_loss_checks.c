#include "policy_loss_checks.h"

#include <math.h>

#include "check.h"

void merit_policy_loss_bounds(const merit_policy_loss_desc *d, float low[2], float high[2])
{
    low[0] = d->ratio_low;
    high[0] = d->ratio_high;
    low[1] = isnan(d->ratio_low_negative) ? d->ratio_low : d->ratio_low_negative;
    high[1] = isnan(d->ratio_high_negative) ? d->ratio_high : d->ratio_high_negative;
}

int merit_policy_loss_needs_rollout(const merit_policy_loss_desc *d)
{
    return d->mismatch_level != MERIT_POLICY_LEVEL_NONE ||
           (d->reject_level != MERIT_POLICY_LEVEL_NONE &&
            d->reject_source == MERIT_POLICY_REJECT_SOURCE_OLD_ROLLOUT) ||
           (d->divergence != MERIT_POLICY_DIVERGENCE_NONE &&
            d->divergence_anchor == MERIT_POLICY_ANCHOR_ROLLOUT);
}

// Options -----------------------------------------------------------------------------------------

static merit_status check_enums(merit_context *ctx, const merit_policy_loss_desc *d)
{
    MERIT_REQUIRE_RANGE(ctx, d, advantage_level, MERIT_POLICY_ADVANTAGE_SEQUENCE,
                        MERIT_POLICY_ADVANTAGE_TOKEN);
    MERIT_REQUIRE_RANGE(ctx, d, ratio_level, MERIT_POLICY_LEVEL_TOKEN,
                        MERIT_POLICY_LEVEL_SEQUENCE_SUM);
    MERIT_REQUIRE_RANGE(ctx, d, ratio_gradient, MERIT_POLICY_RATIO_GRADIENT_THROUGH,
                        MERIT_POLICY_RATIO_GRADIENT_STRAIGHT);
    MERIT_REQUIRE_RANGE(ctx, d, surrogate, MERIT_POLICY_SURROGATE_CLIP,
                        MERIT_POLICY_SURROGATE_RESHAPE);
    MERIT_REQUIRE_RANGE(ctx, d, surrogate_alt, MERIT_POLICY_SURROGATE_CLIP,
                        MERIT_POLICY_SURROGATE_RESHAPE);
    MERIT_REQUIRE_RANGE(ctx, d, divergence, MERIT_POLICY_DIVERGENCE_NONE,
                        MERIT_POLICY_DIVERGENCE_KL);
    MERIT_REQUIRE_RANGE(ctx, d, divergence_anchor, MERIT_POLICY_ANCHOR_OLD,
                        MERIT_POLICY_ANCHOR_ROLLOUT);
    MERIT_REQUIRE_RANGE(ctx, d, kl, MERIT_POLICY_KL_K1, MERIT_POLICY_KL_ABS);
    MERIT_REQUIRE_RANGE(ctx, d, kl_gradient, MERIT_POLICY_KL_GRADIENT_OWN,
                        MERIT_POLICY_KL_GRADIENT_SQUARED);
    MERIT_REQUIRE_RANGE(ctx, d, kl_weight, MERIT_POLICY_KL_WEIGHT_ONE,
                        MERIT_POLICY_KL_WEIGHT_RATIO);
    MERIT_REQUIRE_RANGE(ctx, d, mismatch_level, MERIT_POLICY_LEVEL_NONE,
                        MERIT_POLICY_LEVEL_SEQUENCE_SUM);
    MERIT_REQUIRE_RANGE(ctx, d, mismatch_rule, MERIT_POLICY_MISMATCH_RULE_NONE,
                        MERIT_POLICY_MISMATCH_RULE_MASK);
    MERIT_REQUIRE_RANGE(ctx, d, mismatch_numerator, MERIT_POLICY_NUMERATOR_OLD,
                        MERIT_POLICY_NUMERATOR_CURRENT);
    MERIT_REQUIRE_RANGE(ctx, d, reject_level, MERIT_POLICY_LEVEL_NONE,
                        MERIT_POLICY_LEVEL_SEQUENCE_SUM);
    MERIT_REQUIRE_RANGE(ctx, d, reject_source, MERIT_POLICY_REJECT_SOURCE_OLD_ROLLOUT,
                        MERIT_POLICY_REJECT_SOURCE_CURRENT_OLD);
    MERIT_REQUIRE_RANGE(ctx, d, reject_when, MERIT_POLICY_REJECT_WHEN_ANY,
                        MERIT_POLICY_REJECT_WHEN_NEGATIVE);
    MERIT_REQUIRE_RANGE(ctx, d, correction_scope, MERIT_POLICY_SCOPE_POLICY,
                        MERIT_POLICY_SCOPE_ALL);
    MERIT_REQUIRE_RANGE(ctx, d, aggregation, MERIT_POLICY_AGGREGATION_TOKEN,
                        MERIT_POLICY_AGGREGATION_SEQUENCE);
    return MERIT_STATUS_OK;
}

// Bounds of a ratio: 0 <= low <= 1, low <= high, high > 0.
static merit_status check_bounds(merit_context *ctx, const char *prefix, const char *suffix,
                                 float low, float high)
{
    MERIT_REQUIRE(ctx, low >= 0.0f && low <= 1.0f,
                  "%s_low%s is %g, expected 0..1: a bound on the ratio itself", prefix, suffix,
                  (double)low);
    MERIT_REQUIRE(ctx, high > 0.0f && high >= low,
                  "%s_high%s is %g, expected more than 0 and at least %s_low%s, which is %g",
                  prefix, suffix, (double)high, prefix, suffix, (double)low);
    return MERIT_STATUS_OK;
}

// 0, or above 1.
static merit_status check_above_one(merit_context *ctx, const char *name, float value)
{
    MERIT_REQUIRE(ctx, value == 0.0f || value > 1.0f, "%s is %g, expected 0 (off) or more than 1",
                  name, (double)value);
    return MERIT_STATUS_OK;
}

static merit_status check_positive(merit_context *ctx, const char *name, float value)
{
    MERIT_REQUIRE(ctx, value > 0.0f && value < INFINITY,
                  "%s is %g, expected more than 0 and finite", name, (double)value);
    return MERIT_STATUS_OK;
}

static merit_status check_not_negative(merit_context *ctx, const char *name, float value)
{
    MERIT_REQUIRE(ctx, value >= 0.0f && value < INFINITY, "%s is %g, expected 0 or more and finite",
                  name, (double)value);
    return MERIT_STATUS_OK;
}

static merit_status check_surrogates(merit_context *ctx, const merit_policy_loss_desc *d)
{
    float low[2], high[2];
    merit_policy_loss_bounds(d, low, high);
    MERIT_TRY(check_bounds(ctx, "ratio", "", low[0], high[0]));
    MERIT_TRY(check_bounds(ctx, "ratio", "_negative", low[1], high[1]));
    MERIT_TRY(check_bounds(ctx, "alt", "", d->alt_low, d->alt_high));
    MERIT_REQUIRE(ctx, d->log_ratio_min <= 0.0f, "log_ratio_min is %g, expected 0 or less",
                  (double)d->log_ratio_min);
    MERIT_REQUIRE(ctx, d->log_ratio_max >= 0.0f, "log_ratio_max is %g, expected 0 or more",
                  (double)d->log_ratio_max);
    MERIT_TRY(check_above_one(ctx, "ratio_cap", d->ratio_cap));
    MERIT_TRY(check_above_one(ctx, "dual_clip", d->dual_clip));
    MERIT_TRY(check_positive(ctx, "gate_tau_positive", d->gate_tau_positive));
    MERIT_TRY(check_positive(ctx, "gate_tau_negative", d->gate_tau_negative));
    MERIT_TRY(check_not_negative(ctx, "quadratic", d->quadratic));
    MERIT_TRY(check_positive(ctx, "reshape", d->reshape));
    MERIT_REQUIRE(ctx, d->surrogate_alt != MERIT_POLICY_SURROGATE_GEOMETRIC,
                  "surrogate_alt is GEOMETRIC (%d), which is for whole sequences",
                  (int)d->surrogate_alt);
    MERIT_REQUIRE(ctx,
                  d->surrogate != MERIT_POLICY_SURROGATE_GEOMETRIC ||
                      d->ratio_level == MERIT_POLICY_LEVEL_TOKEN,
                  "ratio_level is %d, expected TOKEN (%d) with surrogate GEOMETRIC",
                  (int)d->ratio_level, (int)MERIT_POLICY_LEVEL_TOKEN);
    return MERIT_STATUS_OK;
}

static merit_status check_corrections(merit_context *ctx, const merit_policy_loss_desc *d)
{
    MERIT_REQUIRE(ctx, d->divergence_low >= 0.0f, "divergence_low is %g, expected 0 or more",
                  (double)d->divergence_low);
    MERIT_REQUIRE(ctx, d->divergence_high >= 0.0f, "divergence_high is %g, expected 0 or more",
                  (double)d->divergence_high);
    MERIT_REQUIRE(ctx, d->mismatch_low >= 0.0f, "mismatch_low is %g, expected 0 or more",
                  (double)d->mismatch_low);
    MERIT_REQUIRE(ctx, d->mismatch_high > d->mismatch_low,
                  "mismatch_high is %g, expected more than mismatch_low, which is %g",
                  (double)d->mismatch_high, (double)d->mismatch_low);
    MERIT_REQUIRE(ctx, d->reject_low >= 0.0f, "reject_low is %g, expected 0 or more",
                  (double)d->reject_low);
    MERIT_REQUIRE(ctx, d->reject_high > d->reject_low,
                  "reject_high is %g, expected more than reject_low, which is %g",
                  (double)d->reject_high, (double)d->reject_low);
    return MERIT_STATUS_OK;
}

merit_status merit_policy_loss_check_options(merit_context *ctx, const merit_policy_loss_desc *d)
{
    MERIT_TRY(check_enums(ctx, d));
    MERIT_TRY(check_surrogates(ctx, d));
    MERIT_TRY(check_not_negative(ctx, "kl_coef", d->kl_coef));
    MERIT_REQUIRE(ctx, d->kl_input_clamp > 0.0f, "kl_input_clamp is %g, expected more than 0",
                  (double)d->kl_input_clamp);
    MERIT_REQUIRE(ctx, d->kl_output_clamp > 0.0f, "kl_output_clamp is %g, expected more than 0",
                  (double)d->kl_output_clamp);
    MERIT_TRY(check_corrections(ctx, d));
    MERIT_REQUIRE(ctx, isfinite(d->entropy_coef), "entropy_coef is %g, expected a finite number",
                  (double)d->entropy_coef);
    return MERIT_STATUS_OK;
}

// Arrays ------------------------------------------------------------------------------------------

merit_status merit_policy_loss_check_arrays(merit_context *ctx, const merit_policy_loss_desc *d,
                                            const merit_policy_loss_io *io)
{
    if (d->num_tokens == 0 || d->sequences.num_groups == 0) return MERIT_STATUS_OK;
    const int has_alt = io->token_mode != NULL;
    MERIT_REQUIRE(ctx, io->logprob != NULL, "logprob is NULL");
    MERIT_REQUIRE(ctx, io->advantages != NULL, "advantages is NULL");
    const int quadratic = d->surrogate == MERIT_POLICY_SURROGATE_QUADRATIC ||
                          (has_alt && d->surrogate_alt == MERIT_POLICY_SURROGATE_QUADRATIC);
    MERIT_REQUIRE(ctx, io->old != NULL || !quadratic,
                  "old is NULL, but surrogate QUADRATIC (%d) needs it",
                  (int)MERIT_POLICY_SURROGATE_QUADRATIC);
    MERIT_REQUIRE(ctx,
                  io->old != NULL || !has_alt ||
                      d->surrogate_alt != MERIT_POLICY_SURROGATE_DETACHED ||
                      (d->alt_low == 1.0f && d->alt_high == 1.0f),
                  "old is NULL, but surrogate_alt DETACHED (%d) needs it unless alt_low and "
                  "alt_high are 1",
                  (int)MERIT_POLICY_SURROGATE_DETACHED);
    MERIT_REQUIRE(ctx, io->ref != NULL || d->kl_coef == 0.0f, "ref is NULL, but kl_coef is %g",
                  (double)d->kl_coef);
    MERIT_REQUIRE(ctx, io->rollout != NULL || !merit_policy_loss_needs_rollout(d),
                  "rollout is NULL, but mismatch_level %d, reject_level %d or divergence %d needs "
                  "it",
                  (int)d->mismatch_level, (int)d->reject_level, (int)d->divergence);
    MERIT_REQUIRE(ctx, io->entropy != NULL || d->entropy_coef == 0.0f,
                  "entropy is NULL, but entropy_coef is %g", (double)d->entropy_coef);
    return MERIT_STATUS_OK;
}

merit_status merit_policy_loss_check_overlap(merit_context *ctx, const merit_policy_loss_desc *d,
                                             const merit_policy_loss_io *io)
{
    const size_t tokens = (size_t)d->num_tokens * sizeof(float);
    const size_t sequences = (size_t)d->sequences.num_groups;
    const size_t advantages =
        d->advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN ? tokens : sequences * sizeof(float);
    const float *const gradient = io->grad_logprob;
    // the gradient may lie exactly on one of these
    const size_t old = io->old == gradient ? 0 : tokens;
    const size_t ref = io->ref == gradient ? 0 : tokens;
    const size_t rollout = io->rollout == gradient ? 0 : tokens;
    const merit_region regions[] = {
        {io->loss, sizeof *io->loss, "loss", 1},
        {io->loss_tiles, (sequences + 2047) / 2048 * sizeof *io->loss_tiles, "loss_tiles", 1},
        {io->grad_logprob, tokens, "grad_logprob", 1},
        {io->grad_entropy, tokens, "grad_entropy", 1},
        {io->token_loss, tokens, "token_loss", 1},
        {io->stats, sizeof *io->stats, "stats", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->logprob, tokens, "logprob", 0},
        {io->old, old, "old", 0},
        {io->ref, ref, "ref", 0},
        {io->rollout, rollout, "rollout", 0},
        {io->entropy, tokens, "entropy", 0},
        {io->token_weight, tokens, "token_weight", 0},
        {io->advantages, advantages, "advantages", 0},
        {io->mask, (size_t)d->num_tokens, "mask", 0},
        {io->token_mode, (size_t)d->num_tokens, "token_mode", 0},
        {io->sequence_weight, sequences * sizeof *io->sequence_weight, "sequence_weight", 0},
        {io->denominator, sizeof *io->denominator, "denominator", 0},
        {d->sequences.offsets, (sequences + 1) * sizeof *d->sequences.offsets, "sequences.offsets",
         0},
    };
    return merit_check_overlap(ctx, regions, (int)(sizeof regions / sizeof regions[0]));
}
