// The kernels for common calls of policy_loss give the bits of those that take any call: a call for one
// output more, which common calls have not, is no common one.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy_random.h"

static float pick(tk_random *random)
{
    static const float sizes[] = {0,  1e-7f, 0.5f, 19, 20, 21,  29.9f, 30,
                                  31, 45,    79,   81, 90, 200, 1e9,   1e30f};
    const float size = sizes[tk_below(random, sizeof sizes / sizeof *sizes)];
    if (tk_chance(random, 0.02)) return tk_chance(random, 0.5) ? NAN : INFINITY;
    return tk_chance(random, 0.5) ? -size : size;
}

// Tokens far from the rest; none in some sequences, so that both kinds of chunks are met.
static void scatter(tk_random *random, const policy_case *c, policy_random *a, double part)
{
    for (int64_t t = 0; t < c->d.num_tokens; t++) {
        if (tk_chance(random, part)) a->old[t] = a->logprob[t] - pick(random);
        if (tk_chance(random, part)) a->ref[t] = a->logprob[t] + pick(random);
        if (tk_chance(random, part / 10)) a->logprob[t] = pick(random);
    }
}

static policy_case common_case(tk_random *random, policy_random *a, int64_t sequences,
                               int64_t length)
{
    policy_case c = plr_case(random, a, sequences, length);
    merit_policy_loss_desc *const d = &c.d;
    d->surrogate = MERIT_POLICY_SURROGATE_CLIP;
    d->kl = MERIT_POLICY_KL_K3;
    d->kl_gradient = MERIT_POLICY_KL_GRADIENT_OWN;
    d->kl_weight = MERIT_POLICY_KL_WEIGHT_ONE;
    d->kl_input_clamp = tk_chance(random, 0.5) ? INFINITY : 20.0f;
    d->kl_output_clamp = tk_chance(random, 0.5) ? INFINITY : 10.0f;
    d->entropy_coef = 0;
    d->divergence = MERIT_POLICY_DIVERGENCE_NONE;
    d->reject_level = MERIT_POLICY_LEVEL_NONE;
    d->correction_scope = MERIT_POLICY_SCOPE_POLICY;
    if (tk_chance(random, 0.5)) d->mismatch_level = MERIT_POLICY_LEVEL_NONE;
    if (tk_chance(random, 0.4)) {
        d->log_ratio_min = -INFINITY, d->log_ratio_max = INFINITY;
        d->ratio_cap = 0, d->dual_clip = 0;
    }
    if (d->ratio_level != MERIT_POLICY_LEVEL_TOKEN) {
        d->advantage_level = MERIT_POLICY_ADVANTAGE_SEQUENCE;
        c.io.advantages = a->advantages + d->num_tokens;
    }
    c.io.token_mode = NULL, c.io.token_weight = NULL;
    c.io.ref = a->ref, c.io.rollout = a->rollout;
    return c;
}

static int rounds(const tk_fixture *tk)
{
    return tk->kind == TK_CPU ? 300 : 12;
}

TK_TEST(policy_loss, common_calls_have_the_bits_of_any)
{
    tk_random random = {91};
    for (int n = 0; n < rounds(tk); n++) {
        policy_random a;
        policy_case c = common_case(&random, &a, 1 + tk_below(&random, 5), n % 3 == 0 ? 2300 : 150);
        if (n % 3 != 1) scatter(&random, &c, &a, n % 2 == 0 ? 0.002 : 0.1);
        if (n % 4 != 0) c.io.entropy = NULL;
        if (c.d.mismatch_level == MERIT_POLICY_LEVEL_NONE && n % 4 != 1) c.io.rollout = NULL;
        c.outputs = PLC_LOSS | PLC_TILES | PLC_GRAD | (n % 2 ? PLC_STATS : 0);
        if (n % 16 == 5) c.outputs &= ~PLC_GRAD;
        const policy_result common = plc_run(tk, &c);
        policy_case more = c;
        more.outputs |= PLC_TOKEN_LOSS;
        const policy_result any = plc_run(tk, &more);
        tk_case("%d: %s", n, plc_describe(&c));
        tk_expect_ok(tk->ctx, common.status);
        tk_expect_ok(tk->ctx, any.status);
        tk_expect_bits(&common.loss, &any.loss, 1, 8);
        tk_expect_bits(common.tiles, any.tiles, any.num_tiles, 8);
        if (common.grad != NULL) tk_expect_bits(common.grad, any.grad, c.d.num_tokens, 4);
        if (n % 2) tk_expect_bits(&common.stats, &any.stats, 1, sizeof any.stats);
        policy_result results[] = {common, any};
        plc_free(&results[0]), plc_free(&results[1]), plr_free(&a);
    }
}
