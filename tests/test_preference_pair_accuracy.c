// preference_pair: the bounds that the header states for LOGISTIC, against 64-bit significands, which
// measure a unit of binary32 to one part in 2^40.
#include <math.h>
#include <stdlib.h>

#include "preference_case.h"

typedef struct worst {
    double loss, gradient; // in ulp
} worst;

static double ulps(double actual, long double exact)
{
    return (double)(fabsl(actual - exact) / pc_ulp(MERIT_DTYPE_F32, exact));
}

// Scores (z, 0): d is z itself.
static void measure(tk_fixture *tk, const float *z, int64_t n, worst *w)
{
    float *const zeros = calloc((size_t)n, sizeof *zeros);
    pc_case c = pc_scores("bt", n, z, zeros);
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    c.outputs = PC_PAIR_LOSS | PC_GRADS;
    pc_result general = pc_run(tk, &c);
    c.outputs = PC_GRADS; // the path of plain Bradley-Terry
    pc_result plain = pc_run(tk, &c);
    tk_expect_ok(tk->ctx, general.status);
    tk_expect_bits(plain.grad_chosen, general.grad_chosen, n, 8);
    tk_expect_bits(plain.grad_rejected, general.grad_rejected, n, 8);
    for (int64_t i = 0; i < n && tk->is_first_run; i++) {
        w->loss = fmax(w->loss, ulps(general.pair_loss[i], po_sp(-(long double)z[i])));
        w->gradient = fmax(w->gradient, ulps(general.grad_chosen[i], -po_s(-(long double)z[i])));
        w->gradient = fmax(w->gradient, ulps(general.grad_rejected[i], po_s(-(long double)z[i])));
    }
    pc_free(&general), pc_free(&plain);
    free(zeros);
}

// All of [-104, 104] at steps that reach every binade, 16384 to each.
TK_TEST(preference_pair, losses_within_one_ulp_and_gradients_within_four)
{
    enum { BLOCK = 1 << 16 };
    float *const z = malloc(BLOCK * sizeof *z);
    worst w = {0};
    const int binades = tk->kind == TK_SIMT ? 2 : 36;
    for (int b = 0; b < binades; b++) {
        tk_random random = {.state = (uint64_t)b};
        const double top = b < 9 ? 104.0 / (1 << b) : ldexp(1, -(b - 8) * 4);
        const int64_t count = tk->kind == TK_SIMT ? 3000 : BLOCK;
        for (int64_t i = 0; i < count; i++) {
            z[i] = (float)((b < 9 ? 1 - tk_uniform(&random) : ldexp(1 + tk_uniform(&random), -1)) *
                           top);
            if (i % 2 == 1) z[i] = -z[i];
        }
        measure(tk, z, count, &w);
    }
    tk_case("worst loss %.4f ulp, gradient %.4f ulp", w.loss, w.gradient);
    TK_EXPECT(w.loss <= 1, "a loss is off by %.4f ulp", w.loss);
    TK_EXPECT(w.gradient <= 4, "a gradient is off by %.4f ulp", w.gradient);
    free(z);
}

// With everything that comes before z: within abs(z) + 4 ulp of the unrounded z.
TK_TEST(preference_pair, gradients_within_the_stated_distance_of_the_unrounded_logit)
{
    enum { N = 20000 };
    static float values[5][N];
    static int32_t lengths[2][N];
    tk_random random = {.state = 9};
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 4; k++) {
            values[k][i] = (float)(-500 + 30 * tk_normal(&random));
        }
        values[4][i] = (float)tk_uniform(&random);
        lengths[0][i] = (int32_t)(1 + tk_below(&random, 900));
        lengths[1][i] = (int32_t)(1 + tk_below(&random, 900));
    }
    for (int k = 0; k < 3; k++) {
        pc_case c = pc_scores("dpo", tk->kind == TK_SIMT ? 500 : N, values[0], values[1]);
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
        c.io.ref_chosen = values[2], c.io.ref_rejected = values[3], c.io.margins = values[4];
        if (k == 1) c.d.beta = 1;
        if (k == 2) c.io.chosen_length = lengths[0], c.io.rejected_length = lengths[1];
        pc_result r = pc_run(tk, &c);
        double worst_share = 0;
        for (int64_t i = 0; i < c.d.num_pairs && tk->is_first_run; i++) {
            const po_point point = {.chosen = values[0][i],
                                    .rejected = values[1][i],
                                    .ref_chosen = values[2][i],
                                    .ref_rejected = values[3][i],
                                    .chosen_length = k == 2 ? lengths[0][i] : 1,
                                    .rejected_length = k == 2 ? lengths[1][i] : 1,
                                    .margin = values[4][i],
                                    .p = 1,
                                    .is_exact = 1};
            const po_pair v = po_evaluate(&c.d, &point);
            const double limit = fabs((double)v.z) + 4;
            worst_share = fmax(worst_share, ulps(r.grad_chosen[i], v.by_chosen.value) / limit);
            worst_share = fmax(worst_share, ulps(r.grad_rejected[i], v.by_rejected.value) / limit);
        }
        TK_EXPECT(worst_share <= 1, "case %d: %.3f of the bound", k, worst_share);
        pc_free(&r);
    }
}
