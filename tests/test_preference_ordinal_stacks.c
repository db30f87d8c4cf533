// The presets of preference_ordinal against sums over pairs of levels, in binary64; and every option and
// array matters.
#include <math.h>
#include <string.h>

#include "ordinal_random.h"

enum { N = 23, K = 5 };

static const struct stack {
    const char *preset;
    double tie_share;
    int has_regions;
} stacks[] = {{"oprm", 0, 0}, {"oprm.half_tie", 0.5, 0}, {"oprm.rgft", 0, 1}};

enum { NUM_STACKS = sizeof stacks / sizeof stacks[0] };

// Minus the log probability that the level of chosen is higher, inside the regions of both.
static double loss_of(const struct stack *s, const double *a, const double *b, const int32_t *upper,
                      const int32_t *lower)
{
    double all_a = 0, all_b = 0, sum = 0;
    for (int i = 0; i < K; i++) {
        all_a += exp(a[i]), all_b += exp(b[i]);
    }
    for (int i = 0; i < K; i++) {
        for (int j = 0; j <= i; j++) {
            const int inside = i >= upper[0] && i <= upper[1] && j >= lower[0] && j <= lower[1];
            const double share = i > j ? 1 : s->tie_share;
            if (inside || !s->has_regions) sum += share * exp(a[i]) / all_a * exp(b[j]) / all_b;
        }
    }
    return -log(sum);
}

typedef struct batch {
    float a[N * K], b[N * K], weights[N];
    int32_t upper[2 * N], lower[2 * N];
    uint8_t mask[N];
} batch;

static void fill(batch *x)
{
    tk_random random = {.state = 97};
    for (int n = 0; n < N; n++) {
        for (int k = 0; k < K; k++) {
            x->a[n * K + k] = (float)tk_normal(&random),
                         x->b[n * K + k] = (float)tk_normal(&random);
        }
        x->lower[2 * n] = (int32_t)tk_below(&random, 2);
        x->lower[2 * n + 1] = x->lower[2 * n] + (int32_t)tk_below(&random, 2);
        x->upper[2 * n] = 1 + (int32_t)tk_below(&random, 2);
        x->upper[2 * n + 1] = 3 + (int32_t)tk_below(&random, 2);
        x->weights[n] = 0.5f + (float)tk_uniform(&random), x->mask[n] = n % 3 != 0;
    }
}

TK_TEST(preference_ordinal, each_preset_is_the_loss_of_its_stack)
{
    batch x;
    fill(&x);
    for (int k = 0; k < NUM_STACKS; k++) {
        const struct stack *const s = &stacks[k];
        ordinal_case c = ordinal_make(s->preset, x.a, x.b, N, K);
        if (s->has_regions) c.io.chosen_region = x.upper, c.io.rejected_region = x.lower;
        ordinal_result r = ordinal_run(tk, &c);
        tk_case("%s", s->preset);
        for (int n = 0; n < N; n++) {
            double logits[2][K];
            for (int i = 0; i < K; i++) {
                logits[0][i] = x.a[n * K + i], logits[1][i] = x.b[n * K + i];
            }
            const double mine = loss_of(s, logits[0], logits[1], x.upper + 2 * n, x.lower + 2 * n);
            tk_expect_close(&r.pair_loss[n], &mine, 1, 1e-6, 1e-6);
            for (int i = 0; i < 2 * K; i++) {
                double *const logit = &logits[i / K][i % K];
                const double kept = *logit, h = 1e-5;
                *logit = kept + h;
                const double above =
                    loss_of(s, logits[0], logits[1], x.upper + 2 * n, x.lower + 2 * n);
                *logit = kept - h;
                const double below =
                    loss_of(s, logits[0], logits[1], x.upper + 2 * n, x.lower + 2 * n);
                *logit = kept;
                const double slope = (above - below) / (2 * h);
                const double *const grad = i < K ? r.grad_chosen : r.grad_rejected;
                tk_expect_close(&grad[n * K + i % K], &slope, 1, 2e-6, 2e-6);
            }
        }
        ordinal_free(&r);
    }
}

Test(preference_ordinal, each_preset_has_its_stack)
{
    for (int k = 0; k < NUM_STACKS; k++) {
        cr_expect_str_eq(merit_preference_ordinal_preset_name(k), stacks[k].preset);
    }
    cr_expect(merit_preference_ordinal_preset_name(NUM_STACKS) == NULL);
}

// Two calls give other results, each those of the oracle.
static void expect_change(tk_fixture *tk, const char *name, const ordinal_case *before,
                          const ordinal_case *after)
{
    tk_case("%s", name);
    ordinal_check(tk, before);
    ordinal_check(tk, after);
    ordinal_result p = ordinal_run(tk, before), q = ordinal_run(tk, after);
    int same = p.loss == q.loss && memcmp(&p.metrics, &q.metrics, sizeof p.metrics) == 0;
    for (int i = 0; i < N * K; i++) {
        same &= p.grad_chosen[i] == q.grad_chosen[i];
    }
    for (int i = 0; i < 2 * N; i++) {
        same &= p.mean[i] == q.mean[i];
    }
    TK_EXPECT(!same, "%s changes nothing", name);
    ordinal_free(&p), ordinal_free(&q);
}

#define CHANGE(statement)                         \
    do {                                          \
        ordinal_case c = base;                    \
        statement;                                \
        expect_change(tk, #statement, &base, &c); \
    } while (0)

TK_TEST(preference_ordinal, every_option_and_array_matters)
{
    batch x;
    fill(&x);
    static const float two = 2;
    static const double given = 7;
    static float damaged[N * K], other[N * K];
    memcpy(damaged, x.a, sizeof damaged);
    damaged[3] = NAN;
    for (int i = 0; i < N * K; i++) {
        other[i] = -x.a[i];
    }
    ordinal_case base = ordinal_make("oprm", x.a, x.b, N, K);
    CHANGE(c.chosen = other);
    CHANGE(c.rejected = other);
    CHANGE(c.d.temperature = 2);
    CHANGE(c.d.tie_share = 0.25f);
    CHANGE(c.d.first_value = 2);
    CHANGE(c.d.value_step = 0.5f);
    CHANGE(c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID);
    CHANGE(c.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN; c.io.denominator = &given);
    CHANGE(c.io.chosen_region = x.upper; c.io.rejected_region = x.lower);
    CHANGE(c.io.weights = x.weights);
    CHANGE(c.io.mask = x.mask);
    CHANGE(c.io.grad_scale = &two);
    base.io.weights = x.weights, base.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    CHANGE(c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT);
    base.chosen = damaged;
    CHANGE(c.d.skip_invalid = 1);
    base.chosen = x.a, base.io.chosen_region = x.upper, base.io.rejected_region = x.lower;
    int32_t low[2 * N], high[2 * N];
    for (int n = 0; n < N; n++) {
        low[2 * n] = low[2 * n + 1] = 0, high[2 * n] = high[2 * n + 1] = K - 1;
    }
    CHANGE(c.io.chosen_region = high);
    CHANGE(c.io.rejected_region = low);
}
