// Each preset of policy_loss is the loss of the stack that it names. Gradients are compared with differences
// of the stacks' losses.
#include <math.h>
#include <string.h>

#include "policy_case.h"
#include "policy_stacks.h"

enum { B = STACK_ROWS, L = STACK_LENGTH, T = STACK_TOKENS };

// What the presets leave to the caller.
static void complete(merit_policy_loss_desc *d, const char *preset)
{
    if (strcmp(preset, "trl.delta") == 0) d->ratio_cap = 1.5f;
    if (strcmp(preset, "cispo.absolute") == 0) d->ratio_high = 1.5f;
    if (strcmp(preset, "offpolicy_mask") == 0) d->reject_low = (float)exp(-0.05);
    const char *const with_kl[] = {"verl.vanilla", "openrlhf", "nemo", "reinforce_pp"};
    for (int k = 0; k < 4; k++) {
        if (strcmp(preset, with_kl[k]) == 0) d->kl_coef = 0.1f;
    }
}

static void expect_stack(tk_fixture *tk, const policy_stack *stack, uint64_t seed)
{
    const char *const preset = stack->preset;
    tk_random random = {seed};
    float lp[T], old[T], ref[T], rollout[T], A[B];
    double at[T], now[T];
    uint8_t mask[T], mode[T];
    const int sequence = strstr(preset, "gspo") != NULL;
    for (int k = 0; k < T; k++) {
        lp[k] = (float)(-1.5 * tk_uniform(&random) - 0.05);
        old[k] = lp[k] + (float)((sequence ? 2e-4 : 0.3) * tk_normal(&random));
        if (old[k] > -0.01f) old[k] = -0.01f;
        ref[k] = lp[k] + (float)(0.4 * tk_normal(&random));
        rollout[k] = old[k] + (float)(0.3 * tk_normal(&random));
        if (rollout[k] > -0.01f) rollout[k] = -0.01f;
        mask[k] = k / L != 2 && tk_chance(&random, 0.8); // the third row is empty
        mode[k] = tk_chance(&random, 0.4);
        at[k] = now[k] = lp[k];
    }
    for (int i = 0; i < B; i++) {
        A[i] = (float)tk_normal(&random);
    }
    const stack_batch b = {at, now, old, ref, rollout, A, mask, mode};
    policy_case c = plc_one(preset, T, lp, old, A);
    complete(&c.d, preset);
    c.d.sequences.num_groups = B, c.d.sequences.group_size = L;
    c.d.denominator = policy_stack_denominator(stack, &b);
    c.io.ref = ref, c.io.rollout = rollout, c.io.mask = mask;
    if (strcmp(preset, "critique_grpo") == 0) c.io.token_mode = mode;
    if (strcmp(preset, "dppo.prime") == 0) c.io.old = c.io.ref = rollout;
    tk_case("preset %s, seed %d", preset, (int)seed);
    policy_result r = plc_run(tk, &c);
    tk_expect_ok(tk->ctx, r.status);
    const double loss = (double)policy_stack_loss(stack, &b);
    tk_expect_close(&r.loss, &loss, 1, 1e-7, 2e-6); // terms of size 1 cancel
    for (int k = 0; k < T; k++) {
        const double h = 1e-6, x = at[k];
        const double g = r.grad[k];
        at[k] = x + h;
        const long double above = policy_stack_loss(stack, &b);
        at[k] = x - h;
        const long double below = policy_stack_loss(stack, &b);
        at[k] = x;
        const long double middle = policy_stack_loss(stack, &b);
        const long double up = (above - middle) / h, down = (middle - below) / h;
        if (fabsl(up - down) > 1e-4L) continue; // a clip between
        const double slope = (double)((above - below) / (2 * (long double)h));
        tk_expect_close(&g, &slope, 1, 2e-8, 4e-6);
    }
    plc_free(&r);
}

TK_TEST(policy_loss, presets_are_the_losses_of_their_stacks)
{
    for (int which = 0; policy_stack_at(which) != NULL; which++) {
        for (uint64_t seed = 1; seed <= (tk->kind == TK_CPU ? 6 : 2); seed++) {
            expect_stack(tk, policy_stack_at(which), seed);
        }
    }
}

Test(policy_loss, every_preset_is_written_down)
{
    int count = 0;
    for (; merit_policy_loss_preset_name(count) != NULL; count++) {
        int found = 0;
        for (int k = 0; policy_stack_at(k) != NULL; k++) {
            found |= strcmp(merit_policy_loss_preset_name(count), policy_stack_at(k)->preset) == 0;
        }
        cr_expect(found, "%s has no formula here", merit_policy_loss_preset_name(count));
    }
    cr_assert(policy_stack_at(count - 1) != NULL && policy_stack_at(count) == NULL);
    cr_expect(merit_policy_loss_preset_name(-1) == NULL);
    merit_policy_loss_desc d;
    merit_policy_loss_desc_init(&d, sizeof d);
    cr_expect(merit_policy_loss_preset("ppo2", &d) == MERIT_STATUS_NOT_FOUND);
    cr_expect(merit_policy_loss_preset(NULL, &d) == MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(merit_policy_loss_preset("ppo", NULL) == MERIT_STATUS_INVALID_ARGUMENT);
    // sizes and D stay
    d.num_tokens = 5, d.denominator = 3, d.sequences.num_groups = 2;
    cr_expect(merit_policy_loss_preset("gspo", &d) == MERIT_STATUS_OK);
    cr_expect(d.num_tokens == 5 && d.denominator == 3 && d.sequences.num_groups == 2);
}

// What a preset requires of the caller is NaN, and rejected if left so.
TK_TEST(policy_loss, presets_require_what_they_cannot_know)
{
    const char *const names[] = {"trl.delta", "cispo.absolute", "offpolicy_mask"};
    const char *const words[] = {"ratio_cap", "ratio_high", "reject_low"};
    const float lp[] = {-1}, A[] = {1};
    for (int n = 0; n < 3; n++) {
        policy_case c = plc_one(names[n], 1, lp, lp, A);
        policy_result r = plc_run(tk, &c);
        tk_expect_rejected(tk->ctx, r.status, MERIT_STATUS_INVALID_ARGUMENT, words[n]);
        plc_free(&r);
    }
}
