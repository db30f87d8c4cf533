// preference_pair: the bounds that the header states, against MPFR.
#include <math.h>
#include <stdlib.h>

#include "preference_case.h"
#include "preference_exact.h"

typedef struct worst {
    double loss, gradient; // in ulp
} worst;

static void keep(double *worst, double ulps)
{
    if (!(ulps <= *worst)) *worst = ulps; // NaN is the worst of all
}

// Scores (z, 0): d is z itself.
static void measure(tk_fixture *tk, pc_case c, const pe_function *f, const float *z, worst *w)
{
    const int64_t n = c.d.num_pairs;
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    c.outputs = PC_PAIR_LOSS | PC_GRADS;
    pc_result r = pc_run(tk, &c);
    tk_expect_ok(tk->ctx, r.status);
    for (int64_t i = 0; i < n && tk->is_first_run; i++) {
        keep(&w->loss, pe_ulps(f, PE_LOSS, z[i], r.pair_loss[i]));
        keep(&w->gradient, pe_ulps(f, PE_SLOPE, z[i], r.grad_chosen[i]));
        TK_EXPECT(r.grad_rejected[i] == -r.grad_chosen[i], "pair %lld", (long long)i);
    }
    c.outputs = PC_GRADS; // of plain Bradley-Terry, a path of its own
    pc_result plain = pc_run(tk, &c);
    tk_expect_bits(plain.grad_chosen, r.grad_chosen, n, 8);
    tk_expect_bits(plain.grad_rejected, r.grad_rejected, n, 8);
    pc_free(&r), pc_free(&plain);
}

// Logits of both signs: of the b-th of 36 ranges that reach from 104 down to 2^-108.
static void fill_range(float *z, int64_t count, int b)
{
    tk_random random = {.state = (uint64_t)b};
    const double top = b < 9 ? 104.0 / (1 << b) : ldexp(1, -(b - 8) * 4);
    for (int64_t i = 0; i < count; i++) {
        const double size =
            (b < 9 ? 1 - tk_uniform(&random) : ldexp(1 + tk_uniform(&random), -1)) * top;
        z[i] = (float)(i % 2 == 0 ? size : -size);
    }
}

TK_TEST(preference_pair, logistic_losses_within_one_ulp_and_gradients_within_four)
{
    enum { BLOCK = 1 << 13, RANGES = 36 };
    static float z[BLOCK], zeros[BLOCK];
    const pe_function f = {.link = MERIT_LINK_LOGISTIC};
    worst w = {0};
    const int64_t count = tk->kind == TK_SIMT ? 500 : BLOCK;
    for (int b = 0; b < RANGES; b += tk->kind == TK_SIMT ? 9 : TK_RARER) {
        fill_range(z, count, b);
        measure(tk, pc_scores("bt", count, z, zeros), &f, z, &w);
    }
    tk_case("worst loss %.4f ulp, gradient %.4f ulp", w.loss, w.gradient);
    TK_EXPECT(w.loss <= 1, "a loss is off by %.4f ulp", w.loss);
    TK_EXPECT(w.gradient <= 4, "a gradient is off by %.4f ulp", w.gradient);
}

typedef struct bound {
    pe_function f;
    double loss, gradient; // ulp
    double range; // of abs(z)
} bound;

// Every link and outcome. EXO, DISCOPOP and ties lose digits only near a zero of what they compute.
static const bound bounds[] = {
    {{MERIT_LINK_HINGE, 0, 0, 0, 0}, 0.5, 0, 104},
    {{MERIT_LINK_SQUARED, 0, 0, 0, 0}, 0.51, 0.5, 104},
    {{MERIT_LINK_EXPONENTIAL, 0, 0, 0, 0}, 1, 1, 104},
    {{MERIT_LINK_SIGMOID, 0, 0, 0, 0}, 1, 4, 104},
    {{MERIT_LINK_EXO, 0.125f, 0, 0, 0}, 1, 1, 104},
    {{MERIT_LINK_DISCOPOP, 0.05f, 0, 0, 0}, 1, 1, 80},
    {{0, 0, MERIT_TIE_MODEL_RAO_KUPPER, 0.75f, 0}, 1, 1, 104},
    {{0, 0, MERIT_TIE_MODEL_RAO_KUPPER, 0.75f, 1}, 1, 1, 104},
    {{0, 0, MERIT_TIE_MODEL_DAVIDSON, -0.25f, 0}, 1, 1, 104},
    {{0, 0, MERIT_TIE_MODEL_DAVIDSON, -0.25f, 1}, 1, 1, 104},
};

TK_TEST(preference_pair, every_link_and_tie_model_is_within_its_bound)
{
    enum { N = 1 << 11, RANGES = 12 };
    static float z[N], zeros[N];
    static int8_t outcomes[N];
    const int64_t count = tk->kind == TK_SIMT ? 300 : N;
    for (size_t k = 0; k < sizeof bounds / sizeof bounds[0]; k++) {
        const bound *const e = &bounds[k];
        worst w = {0};
        for (int b = 0; b < RANGES; b += TK_RARER) {
            fill_range(z, count, b);
            for (int64_t i = 0; i < count; i++) {
                z[i] = fabsf(z[i]) > (float)e->range ? 1 : z[i];
                outcomes[i] = !e->f.is_tie;
            }
            pc_case c = pc_scores("bt", count, z, zeros);
            c.d.link = e->f.link, c.d.link_param = e->f.link_param;
            c.d.tie_model = e->f.tie_model, c.d.log_tie = e->f.log_tie;
            if (e->f.tie_model != MERIT_TIE_MODEL_HALF) {
                c.d.target = MERIT_PAIR_TARGET_OUTCOME;
                c.io.outcomes = outcomes;
            }
            measure(tk, c, &e->f, z, &w);
        }
        tk_case("link %d, tie model %d, tie %d: loss %.4f ulp, gradient %.4f ulp", (int)e->f.link,
                (int)e->f.tie_model, e->f.is_tie, w.loss, w.gradient);
        TK_EXPECT(w.loss <= e->loss, "a loss is off by %.4f ulp", w.loss);
        TK_EXPECT(w.gradient <= e->gradient, "a gradient is off by %.4f ulp", w.gradient);
    }
}

static double ulps(double actual, long double exact)
{
    return (double)(fabsl(actual - exact) / pc_ulp(MERIT_DTYPE_F32, exact));
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
