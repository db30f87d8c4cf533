// policy_loss against the oracle, and the oracle's gradients against differences of its loss.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy_random.h"

// Random options over sequences of every schedule, with all outputs and with few.
TK_TEST(policy_loss, matches_the_oracle)
{
    const int64_t lengths[] = {1, 8, 31, 32, 33, 100, 257, 2500};
    const int cases = tk->kind == TK_CPU ? 150 : 24;
    tk_random random = {1};
    for (int n = 0; n < cases; n++) {
        policy_random arrays;
        const int64_t length = lengths[tk_below(&random, 8)];
        const int64_t most = length > 1000 ? 3 : length > 60 ? 8 : 20;
        policy_case c = plr_case(&random, &arrays, 1 + tk_below(&random, most), length);
        if (tk_chance(&random, 0.3)) c.outputs = (int)tk_below(&random, PLC_ALL + 1);
        plc_check(tk, &c);
        plr_free(&arrays);
    }
}

// n_i 0, 1, 31, 32, 33, 4097 in one call, packed.
TK_TEST(policy_loss, takes_sequences_of_any_length)
{
    const int64_t lengths[] = {0, 1, 31, 32, 33, 4097, 255, 256, 257, 2047, 2048, 2049};
    tk_random random = {2};
    for (int n = 0; n < (tk->kind == TK_CPU ? 8 : 2); n++) {
        policy_random arrays;
        policy_case c = plr_case(&random, &arrays, 12, 900);
        int64_t offsets[13] = {0};
        for (int i = 0; i < 12; i++) {
            offsets[i + 1] = offsets[i] + lengths[i];
        }
        policy_random long_arrays;
        policy_case filler = plr_case(&random, &long_arrays, 12, 20000);
        while (filler.d.num_tokens < offsets[12] || filler.io.mask == NULL) {
            plr_free(&long_arrays);
            filler = plr_case(&random, &long_arrays, 12, 20000);
        }
        c = filler;
        c.d.sequences.group_size = 0, c.d.sequences.group_stride = 0;
        c.d.sequences.offsets = offsets;
        c.d.num_tokens = offsets[12];
        plc_check(tk, &c);
        plr_free(&arrays);
        plr_free(&long_arrays);
    }
}

// More than one tile of sequences.
TK_TEST(policy_loss, folds_many_sequences)
{
    tk_random random = {3};
    for (int n = 0; n < (tk->kind == TK_CPU ? 4 : 1); n++) {
        policy_random arrays;
        policy_case c = plr_case(&random, &arrays, 2048 * 2 + 700, 3);
        plc_check(tk, &c);
        plr_free(&arrays);
    }
}

// Moves tokens away from edges, where a difference would straddle it.
static int near_edge(const policy_case *c, int64_t t, double rho)
{
    const merit_policy_loss_desc *const d = &c->d;
    const double r = exp(rho);
    const double edges[] = {d->ratio_low,           d->ratio_high, d->ratio_low_negative,
                            d->ratio_high_negative, d->alt_low,    d->alt_high,
                            d->ratio_cap,           d->dual_clip};
    for (int k = 0; k < 8; k++) {
        if (fabs(r - edges[k]) < 1e-3) return 1;
    }
    if (fabs(rho - d->log_ratio_min) < 1e-3 || fabs(rho - d->log_ratio_max) < 1e-3) return 1;
    if (c->io.ref == NULL) return 0;
    const double diff = (double)c->io.ref[t] - c->io.logprob[t];
    const double k3 = expm1(diff) - diff;
    const double values[] = {diff, diff * diff / 2, k3};
    for (int k = 0; k < 3; k++) {
        if (fabs(fabs(values[k]) - d->kl_output_clamp) < 1e-3) return 1;
    }
    return fabs(fabs(diff) - d->kl_input_clamp) < 1e-3 || fabs(diff) < 1e-3;
}

// Central differences, h = 1e-6. STRAIGHT and SQUARED state their gradients, and so does RATIO where a
// KL clamp bites.
Test(policy_loss_oracle, gradients_are_the_slopes_of_the_loss)
{
    tk_random random = {4};
    int compared = 0;
    for (int n = 0; n < 300; n++) {
        policy_random arrays;
        policy_case c = plr_case(&random, &arrays, 3, 6);
        c.d.ratio_gradient = MERIT_POLICY_RATIO_GRADIENT_THROUGH;
        c.d.kl_gradient = MERIT_POLICY_KL_GRADIENT_OWN;
        if (c.d.kl_weight == MERIT_POLICY_KL_WEIGHT_RATIO) {
            c.d.kl_input_clamp = c.d.kl_output_clamp = INFINITY;
        }
        policy_loss_oracle *const o = policy_loss_oracle_run(&c.d, &c.io);
        double lp[64];
        int edge = 0;
        cr_assert(c.d.num_tokens < 64);
        for (int64_t t = 0; t < c.d.num_tokens; t++) {
            lp[t] = c.io.logprob[t];
            const double old = c.io.old != NULL ? c.io.old[t] : lp[t];
            if (o->valid[t]) edge |= near_edge(&c, t, lp[t] - old);
        }
        // of a shared ratio
        const merit_policy_loss_desc *const d = &c.d;
        if (d->ratio_level != MERIT_POLICY_LEVEL_TOKEN) {
            edge |= o->stats.ratio_min.value < expl(d->log_ratio_min) + 1e-3L;
        }
        for (int64_t t = 0; t < c.d.num_tokens && !edge; t++) {
            if (o->valid[t] != 1) continue;
            const double h = 1e-6, at = lp[t];
            lp[t] = at + h;
            const long double above = policy_loss_oracle_at(&c.d, &c.io, lp);
            lp[t] = at - h;
            const long double below = policy_loss_oracle_at(&c.d, &c.io, lp);
            lp[t] = at;
            const long double slope = (above - below) / (2 * (long double)h);
            const long double g = o->grad[t].value;
            const long double error = fabsl(slope - g);
            cr_expect(error <= 1e-6L * fabsl(g) + 1e-9L + 1e-12L * fabsl(above),
                      "case %d token %lld: %.9Lg, differences %.9Lg (%s)", n, (long long)t, g,
                      slope, plc_describe(&c));
            compared++;
        }
        policy_loss_oracle_free(o);
        plr_free(&arrays);
    }
    cr_assert(compared > 500, "%d gradients compared", compared);
}
