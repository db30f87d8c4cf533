#include "policy_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

policy_case plc_one(const char *preset, int64_t n, const float *logprob, const float *old,
                    const float *advantages)
{
    policy_case c = {.outputs = PLC_ALL};
    cr_assert(merit_policy_loss_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    if (preset != NULL) {
        cr_assert(merit_policy_loss_preset(preset, &c.d) == MERIT_STATUS_OK, "preset %s", preset);
    }
    c.d.num_tokens = n;
    c.d.sequences.num_groups = 1, c.d.sequences.group_size = n;
    c.d.denominator = 1;
    c.io.struct_size = sizeof c.io;
    c.io.logprob = logprob, c.io.old = old, c.io.advantages = advantages;
    return c;
}

const char *plc_describe(const policy_case *c)
{
    static char text[640];
    const merit_policy_loss_desc *const d = &c->d;
    const merit_policy_loss_io *const io = &c->io;
    snprintf(text, sizeof text,
             "T %lld B %lld size %lld D %g adv %d ratio %d/%d log %g %g surrogate %d/%d bounds %g "
             "%g %g %g alt %g %g cap %g dual %g tau %g %g quad %g reshape %g div %d/%g/%g/%d kl "
             "%d/%g/%d/%d clamps %g %g mis %d/%d/%g/%g/%d rej %d/%g/%g/%d/%d scope %d ent %g agg "
             "%d%s%s%s%s%s%s%s%s",
             (long long)d->num_tokens, (long long)d->sequences.num_groups,
             (long long)d->sequences.group_size, d->denominator, d->advantage_level, d->ratio_level,
             d->ratio_gradient, (double)d->log_ratio_min, (double)d->log_ratio_max, d->surrogate,
             d->surrogate_alt, (double)d->ratio_low, (double)d->ratio_high,
             (double)d->ratio_low_negative, (double)d->ratio_high_negative, (double)d->alt_low,
             (double)d->alt_high, (double)d->ratio_cap, (double)d->dual_clip,
             (double)d->gate_tau_positive, (double)d->gate_tau_negative, (double)d->quadratic,
             (double)d->reshape, d->divergence, (double)d->divergence_low,
             (double)d->divergence_high, d->divergence_anchor, d->kl, (double)d->kl_coef,
             d->kl_gradient, d->kl_weight, (double)d->kl_input_clamp, (double)d->kl_output_clamp,
             d->mismatch_level, d->mismatch_rule, (double)d->mismatch_low, (double)d->mismatch_high,
             d->mismatch_numerator, d->reject_level, (double)d->reject_low, (double)d->reject_high,
             d->reject_source, d->reject_when, d->correction_scope, (double)d->entropy_coef,
             d->aggregation, io->old ? " old" : "", io->ref ? " ref" : "",
             io->rollout ? " rollout" : "", io->entropy ? " entropy" : "",
             io->token_weight ? " weight" : "", io->mask ? " mask" : "",
             io->token_mode ? " mode" : "", io->sequence_weight ? " sweight" : "");
    return text;
}

// Running -----------------------------------------------------------------------------------------

static void move_inputs(tk_fixture *tk, const policy_case *c, merit_policy_loss_desc *d,
                        merit_policy_loss_io *io)
{
    const int64_t T = d->num_tokens, B = d->sequences.num_groups;
    const int by_token = d->advantage_level == MERIT_POLICY_ADVANTAGE_TOKEN;
    io->logprob = tk_input(tk, io->logprob, T, 4);
    io->old = c->place == PLC_ON_OLD ? tk_inout(tk, io->old, T, 4) : tk_input(tk, io->old, T, 4);
    io->ref = c->place == PLC_ON_REF ? tk_inout(tk, io->ref, T, 4) : tk_input(tk, io->ref, T, 4);
    io->rollout = c->place == PLC_ON_ROLLOUT ? tk_inout(tk, io->rollout, T, 4)
                                             : tk_input(tk, io->rollout, T, 4);
    io->entropy = tk_input(tk, io->entropy, T, 4);
    io->token_weight = tk_input(tk, io->token_weight, T, 4);
    io->advantages = tk_input(tk, io->advantages, by_token ? T : B, 4);
    io->mask = tk_input(tk, io->mask, T, 1);
    io->token_mode = tk_input(tk, io->token_mode, T, 1);
    io->sequence_weight = tk_input(tk, io->sequence_weight, B, 4);
    io->denominator = tk_input(tk, io->denominator, 1, 8);
    if (d->sequences.offsets != NULL) {
        d->sequences.offsets = tk_input(tk, d->sequences.offsets, B + 1, 8);
    }
}

static void *output(tk_fixture *tk, const policy_case *c, int bit, int64_t count, size_t size)
{
    return c->outputs & bit ? tk_output(tk, count, size) : NULL;
}

static void *gradient(tk_fixture *tk, const policy_case *c, const merit_policy_loss_io *io)
{
    const float *const on[] = {NULL, io->old, io->ref, io->rollout};
    if (c->place != PLC_APART) return (void *)(uintptr_t)on[c->place];
    return output(tk, c, PLC_GRAD, c->d.num_tokens, 4);
}

static void *read_back(tk_fixture *tk, const void *block, int64_t count, size_t size)
{
    if (block == NULL) return NULL;
    void *const host = calloc((size_t)count + 1, size);
    cr_assert(host != NULL);
    tk_read(tk, block, host, count, size);
    return host;
}

policy_result plc_run_on(tk_fixture *tk, merit_context *ctx, const policy_case *c)
{
    merit_policy_loss_desc d = c->d;
    merit_policy_loss_io io = c->io;
    const int64_t T = d.num_tokens;
    policy_result r = {.num_tokens = T,
                       .num_tiles = (d.sequences.num_groups + PLO_TILE - 1) / PLO_TILE};
    move_inputs(tk, c, &d, &io);
    io.loss = output(tk, c, PLC_LOSS, 1, 8);
    io.loss_tiles = output(tk, c, PLC_TILES, r.num_tiles, 8);
    io.grad_logprob = gradient(tk, c, &io);
    io.grad_entropy = output(tk, c, PLC_GRAD_ENTROPY, T, 4);
    io.token_loss = output(tk, c, PLC_TOKEN_LOSS, T, 4);
    io.stats = output(tk, c, PLC_STATS, 1, sizeof *io.stats);
    if (c->outputs & PLC_DIAGNOSTICS) {
        io.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    }
    size_t bytes = 0;
    r.status = merit_policy_loss_workspace(ctx, &d, &bytes);
    if (r.status == MERIT_STATUS_OK) {
        void *const workspace = tk_workspace(tk, bytes);
        r.status = merit_policy_loss(ctx, &d, &io, workspace, bytes, NULL);
    }
    if (io.loss != NULL) tk_read(tk, io.loss, &r.loss, 1, 8);
    r.tiles = read_back(tk, io.loss_tiles, r.num_tiles, 8);
    r.grad = read_back(tk, io.grad_logprob, T, 4);
    r.grad_entropy = read_back(tk, io.grad_entropy, T, 4);
    r.token_loss = read_back(tk, io.token_loss, T, 4);
    if (io.stats != NULL) tk_read(tk, io.stats, &r.stats, 1, sizeof r.stats);
    if (io.diagnostics != NULL)
        tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    tk_release(tk);
    return r;
}

policy_result plc_run(tk_fixture *tk, const policy_case *c)
{
    return plc_run_on(tk, tk->ctx, c);
}

void plc_free(policy_result *r)
{
    free(r->tiles), free(r->grad), free(r->grad_entropy), free(r->token_loss);
    memset(r, 0, sizeof *r);
}

// Comparing ---------------------------------------------------------------------------------------

static int same_kind(double actual, long double expected)
{
    if (isnan(expected)) return isnan(actual);
    if (isinf(expected)) return isinf(actual) && (actual > 0) == (expected > 0);
    return isfinite(actual);
}

static void expect_number(const char *name, int64_t i, double actual, plo_number e, double ulp)
{
    // beyond the range of binary32 a result may be infinite
    if (fabsl(e.value) > 3.4e38L) return;
    const long double limit = e.noise + fabsl(e.value) * (long double)ulp + 1e-37L;
    const int is_close = isfinite(e.value) && fabsl(actual - e.value) <= limit;
    if (same_kind(actual, e.value) && (!isfinite(e.value) || is_close)) return;
    tk_fail(__FILE__, __LINE__, "%s[%lld] is %.9g, expected %.9Lg within %.3Lg", name, (long long)i,
            actual, e.value, limit);
}

static void expect_count(const char *name, int64_t actual, long long expected)
{
    TK_EXPECT(actual == expected, "%s is %lld, expected %lld", name, (long long)actual, expected);
}

static void expect_stats(const merit_policy_stats *a, const plo_stats *e)
{
    expect_count("tokens", a->tokens, e->tokens);
    expect_count("sequences", a->sequences, e->sequences);
    expect_count("nonempty_sequences", a->nonempty_sequences, e->nonempty_sequences);
    expect_count("clipped_low", a->clipped_low, e->clipped_low);
    expect_count("clipped_high", a->clipped_high, e->clipped_high);
    expect_count("capped", a->capped, e->capped);
    expect_count("dual_clipped", a->dual_clipped, e->dual_clipped);
    expect_count("log_clamped", a->log_clamped, e->log_clamped);
    expect_count("divergence_masked", a->divergence_masked, e->divergence_masked);
    expect_count("mismatch_truncated", a->mismatch_truncated, e->mismatch_truncated);
    expect_count("mismatch_masked", a->mismatch_masked, e->mismatch_masked);
    expect_count("rejected_tokens", a->rejected_tokens, e->rejected_tokens);
    expect_count("rejected_sequences", a->rejected_sequences, e->rejected_sequences);
    expect_count("nan_tokens", a->nan_tokens, e->nan_tokens);
    expect_number("policy_loss", 0, a->policy_loss, e->policy_loss, 1e-14);
    expect_number("kl_loss", 0, a->kl_loss, e->kl_loss, 1e-14);
    expect_number("entropy_loss", 0, a->entropy_loss, e->entropy_loss, 1e-14);
    expect_number("sum_ratio", 0, a->sum_ratio, e->sum_ratio, 1e-14);
    expect_number("sum_ratio_squared", 0, a->sum_ratio_squared, e->sum_ratio_squared, 1e-14);
    expect_number("sum_k1", 0, a->sum_k1, e->sum_k1, 1e-14);
    expect_number("sum_k3", 0, a->sum_k3, e->sum_k3, 1e-14);
    expect_number("sum_kl_ref", 0, a->sum_kl_ref, e->sum_kl_ref, 1e-14);
    expect_number("sum_entropy", 0, a->sum_entropy, e->sum_entropy, 1e-14);
    expect_number("sum_mismatch", 0, a->sum_mismatch, e->sum_mismatch, 1e-14);
    expect_number("sum_abs_logprob_gap", 0, a->sum_abs_logprob_gap, e->sum_abs_logprob_gap, 1e-14);
    expect_number("ratio_min", 0, (double)a->ratio_min, e->ratio_min, 2e-7);
    expect_number("ratio_max", 0, (double)a->ratio_max, e->ratio_max, 2e-7);
    expect_number("mismatch_min", 0, (double)a->mismatch_min, e->mismatch_min, 2e-7);
    expect_number("mismatch_max", 0, (double)a->mismatch_max, e->mismatch_max, 2e-7);
}

static void expect_tokens(const char *name, const float *actual, const plo_number *expected,
                          const policy_loss_oracle *o)
{
    for (int64_t t = 0; actual != NULL && t < o->num_tokens; t++) {
        const float x = actual[t];
        if (o->valid[t] < 0) {
            TK_EXPECT(isnan(x), "%s[%lld] is %g in a refused sequence", name, (long long)t,
                      (double)x);
        } else if (o->valid[t] == 0) {
            TK_EXPECT(x == 0 && !signbit(x), "%s[%lld] is %g, masked", name, (long long)t,
                      (double)x);
        } else {
            expect_number(name, t, (double)x, expected[t], 2e-7);
        }
    }
}

void plc_expect_oracle(const policy_case *c, const policy_result *r)
{
    policy_loss_oracle *const o = policy_loss_oracle_run(&c->d, &c->io);
    if (c->outputs & PLC_LOSS) expect_number("loss", 0, r->loss, o->loss, 1e-14);
    for (int64_t i = 0; r->tiles != NULL && i < r->num_tiles; i++) {
        expect_number("loss_tiles", i, r->tiles[i], o->tiles[i], 1e-14);
    }
    expect_tokens("grad_logprob", r->grad, o->grad, o);
    expect_tokens("grad_entropy", r->grad_entropy, o->grad_entropy, o);
    expect_tokens("token_loss", r->token_loss, o->token_loss, o);
    if (c->outputs & PLC_STATS) expect_stats(&r->stats, &o->stats);
    if (c->outputs & PLC_DIAGNOSTICS) {
        const uint64_t *const count = r->diagnostics.count;
        expect_count("BAD_OFFSETS", (int64_t)count[MERIT_COUNTER_BAD_OFFSETS], o->bad_offsets);
        expect_count("GROUP_TOO_LARGE", (int64_t)count[MERIT_COUNTER_GROUP_TOO_LARGE],
                     o->too_large);
    }
    policy_loss_oracle_free(o);
}

void plc_check(tk_fixture *tk, const policy_case *c)
{
    tk_case("%s", plc_describe(c));
    policy_result r = plc_run(tk, c);
    tk_expect_ok(tk->ctx, r.status);
    if (tk->is_first_run && r.status == MERIT_STATUS_OK) plc_expect_oracle(c, &r);
    plc_free(&r);
}

void plc_expect_at(const char *file, int line, tk_fixture *tk, const policy_case *c, double loss,
                   const double *gradient)
{
    tk_case("%s", plc_describe(c));
    policy_result r = plc_run(tk, c);
    tk_expect_rejected_at(file, line, tk->ctx, r.status, MERIT_STATUS_OK, NULL);
    tk_expect_close_at(file, line, "loss", &r.loss, &loss, 1, 1e-9, 2e-6);
    for (int64_t t = 0; gradient != NULL && t < r.num_tokens; t++) {
        const double actual = r.grad[t];
        tk_expect_close_at(file, line, "grad_logprob", &actual, &gradient[t], 1, 1e-9, 2e-6);
    }
    if (tk->is_first_run && r.status == MERIT_STATUS_OK) plc_expect_oracle(c, &r);
    plc_free(&r);
}
