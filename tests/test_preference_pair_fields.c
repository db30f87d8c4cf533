// preference_pair: each option and each array matters, as the oracle says.
#include <math.h>
#include <string.h>

#include "preference_random.h"

enum { N = 64 };

// Everything a changed option may show in.
static int same_results(const pc_result *a, const pc_result *b, const pc_case *c)
{
    const size_t n = N * sizeof(double);
    return memcmp(a->grad_chosen, b->grad_chosen, n) == 0 &&
           memcmp(a->grad_rejected, b->grad_rejected, n) == 0 && a->loss == b->loss &&
           memcmp(a->pair_loss, b->pair_loss, N * sizeof(float)) == 0 &&
           memcmp(a->metrics, b->metrics, (size_t)c->d.num_routes * sizeof *a->metrics) == 0;
}

static void expect_change(tk_fixture *tk, const char *name, const pc_case *before,
                          const pc_case *after)
{
    tk_case("%s: %s", name, pc_describe(after));
    pc_result a = pc_run(tk, before), b = pc_run(tk, after);
    tk_expect_ok(tk->ctx, a.status);
    tk_expect_ok(tk->ctx, b.status);
    if (a.status == MERIT_STATUS_OK && b.status == MERIT_STATUS_OK) {
        TK_EXPECT(!same_results(&a, &b, before), "%s changes nothing", name);
        if (tk->is_first_run) pc_expect_oracle(before, &a);
        if (tk->is_first_run) pc_expect_oracle(after, &b);
    }
    pc_free(&a), pc_free(&b);
}

// Base cases in which every option below has something to act on.
static pc_random base_case(tk_random *random)
{
    pc_random r = {.c = pc_scores(NULL, N, NULL, NULL)};
    int8_t *const outcomes = pc_random_own(&r, N, 1);
    int32_t *const lengths = pc_random_own(&r, N, 4);
    for (int i = 0; i < N; i++) {
        outcomes[i] = (int8_t)(tk_below(random, 3) - 1);
        lengths[i] = (int32_t)(1 + tk_below(random, 4));
    }
    pc_random_scores(&r, random, 2, 0);
    r.c.d.target = MERIT_PAIR_TARGET_OUTCOME;
    r.c.io.outcomes = outcomes;
    r.c.d.margin = .25f;
    r.c.d.unary[0] = .5f, r.c.d.unary[3] = .25f;
    r.c.io.chosen_length = r.c.io.rejected_length = lengths;
    return r;
}

#define CHANGE(field, value)                     \
    do {                                         \
        pc_case after = r.c;                     \
        after.d.field = (value);                 \
        expect_change(tk, #field, &r.c, &after); \
    } while (0)

#define CHANGE_IN(base, field, value)               \
    do {                                            \
        pc_case after = (base);                     \
        after.d.field = (value);                    \
        expect_change(tk, #field, &(base), &after); \
    } while (0)

TK_TEST(preference_pair, every_option_matters)
{
    tk_random random = {.state = 1};
    pc_random r = base_case(&random);
    for (int32_t link = 1; link <= MERIT_LINK_SIGMOID; link++) {
        CHANGE(link, link);
        CHANGE(unary_link, link);
    }
    CHANGE(beta, 2);
    CHANGE(margin, .5f);
    CHANGE(opposite, MERIT_OPPOSITE_SWAP);
    CHANGE(smoothing, .1f);
    CHANGE(tie_model, MERIT_TIE_MODEL_DROP);
    CHANGE(tie_model, MERIT_TIE_MODEL_DAVIDSON);
    CHANGE(pair_weight, 2);
    CHANGE(unary[0], 1);
    CHANGE(unary[1], 1);
    CHANGE(unary[2], 1);
    CHANGE(unary[3], 1);
    CHANGE(unary_shift, .5f);
    CHANGE(unary_margin, .5f);
    CHANGE(center, .5f);
    CHANGE(reduction, MERIT_PREFERENCE_REDUCTION_SUM);

    pc_case smooth = r.c;
    smooth.d.smoothing = .1f;
    CHANGE_IN(smooth, smoothing_kind, MERIT_SMOOTHING_ROBUST);
    pc_case rao = r.c;
    rao.d.tie_model = MERIT_TIE_MODEL_RAO_KUPPER, rao.d.log_tie = 1;
    CHANGE_IN(rao, log_tie, 2);
    CHANGE_IN(rao, tie_model, MERIT_TIE_MODEL_DAVIDSON);
    pc_case exo = r.c;
    exo.d.link = MERIT_LINK_EXO, exo.d.link_param = .1f;
    CHANGE_IN(exo, link_param, .2f);
    CHANGE_IN(exo, link, MERIT_LINK_DISCOPOP);
    pc_case unary = exo;
    unary.d.link = MERIT_LINK_LOGISTIC, unary.d.unary_link = MERIT_LINK_EXO;
    CHANGE_IN(unary, link_param, .2f);
    pc_case map = r.c;
    map.d.beta_map = MERIT_BETA_MAP_MARGIN_EXP, map.d.map_weight = .5f, map.d.map_rate = .5f;
    map.io.beta_signal = pc_random_floats(&r, &random, N, -1, 2);
    CHANGE_IN(map, map_weight, 1);
    CHANGE_IN(map, map_rate, 1);
    CHANGE_IN(map, beta, 2);
    pc_random_free(&r);
}

TK_TEST(preference_pair, routes_reductions_and_skipping_matter)
{
    tk_random random = {.state = 2};
    pc_random r = base_case(&random);
    int32_t *const routes = pc_random_own(&r, N, 4);
    double *const given = pc_random_own(&r, 2, 8);
    given[0] = 5, given[1] = 7;
    for (int i = 0; i < N; i++) {
        routes[i] = i % 3 == 0;
    }
    pc_case two = r.c;
    two.d.num_routes = 2, two.d.route_kind = MERIT_ROUTE_KIND_COLUMN;
    expect_change(tk, "num_routes", &r.c, &two);
    pc_case by_array = two;
    by_array.d.route_kind = MERIT_ROUTE_KIND_ARRAY, by_array.io.routes = routes;
    expect_change(tk, "route_kind", &two, &by_array);
    pc_case weighted = two;
    weighted.io.weights = pc_random_floats(&r, &random, N, .5, 2);
    expect_change(tk, "weights", &two, &weighted);
    CHANGE_IN(weighted, reduction, MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT);
    pc_case fixed = weighted;
    fixed.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN, fixed.io.denominators = given;
    expect_change(tk, "denominators", &weighted, &fixed);
    pc_case alpha = two;
    alpha.io.alpha = pc_random_floats(&r, &random, 2, .1, .2);
    expect_change(tk, "alpha", &two, &alpha);
    pc_case odd = r.c;
    float *const margins = pc_random_floats(&r, &random, N, 0, 1);
    margins[3] = INFINITY;
    odd.io.margins = margins;
    CHANGE_IN(odd, skip_invalid, 1);
    pc_random_free(&r);
}

TK_TEST(preference_pair, every_array_matters)
{
    tk_random random = {.state = 3};
    pc_random r = base_case(&random);
    float *const some = pc_random_floats(&r, &random, N, .1, 2), *const other = pc_random_floats(
                                                                     &r, &random, N, .1, .9);
    uint8_t *const mask = pc_random_own(&r, N, 1);
    memset(mask, 1, N), mask[5] = 0;
    const float scale = 3, shift = .125f;
    pc_case c;
#define WITH(statement, name)              \
    do {                                   \
        c = r.c;                           \
        statement;                         \
        expect_change(tk, name, &r.c, &c); \
    } while (0)
    WITH(c.io.ref_chosen = some; c.io.ref_rejected = other, "references");
    pc_case swapped = c;
    swapped.io.ref_chosen = other, swapped.io.ref_rejected = some;
    expect_change(tk, "ref_chosen, ref_rejected", &c, &swapped);
    WITH(c.io.chosen_length = c.io.rejected_length = NULL, "lengths");
    WITH(c.io.margins = some, "margins");
    WITH(c.io.weights = some, "weights");
    WITH(c.io.mask = mask, "mask");
    WITH(c.io.grad_scale = &scale, "grad_scale");
    WITH(c.io.unary_shift_dev = &shift, "unary_shift_dev");
    WITH(c.d.beta_map = MERIT_BETA_MAP_ARRAY; c.io.betas = some, "betas");
    WITH(c.d.target = MERIT_PAIR_TARGET_PROBABILITY; c.io.outcomes = NULL;
         c.io.probabilities = other, "probabilities");
    WITH(c.d.target = MERIT_PAIR_TARGET_CHOSEN; c.io.outcomes = NULL, "outcomes");
    pc_case rao = r.c, dev;
    rao.d.tie_model = MERIT_TIE_MODEL_RAO_KUPPER, rao.d.log_tie = 1;
    dev = rao, dev.io.log_tie_dev = &shift;
    expect_change(tk, "log_tie_dev", &rao, &dev);
    pc_random_free(&r);
}

// Strides and types are what the random calls use most; here one by one.
TK_TEST(preference_pair, strides_and_types_are_followed)
{
    for (int k = 0; k < 9; k++) {
        tk_random random = {.state = 4};
        pc_random r = {.c = pc_scores("dpo", N, NULL, NULL)};
        merit_preference_pair_desc *const d = &r.c.d;
        int64_t *const strides[] = {&d->chosen_stride,      &d->rejected_stride,
                                    &d->ref_chosen_stride,  &d->ref_rejected_stride,
                                    &d->grad_chosen_stride, &d->grad_rejected_stride};
        if (k < 6) *strides[k] = 3;
        if (k == 6) d->score_dtype = MERIT_DTYPE_BF16;
        if (k == 7) d->score_dtype = MERIT_DTYPE_F16;
        pc_random_scores(&r, &random, 3, 0);
        r.c.io.ref_chosen = pc_random_floats(&r, &random, 3 * N, -1, 1);
        r.c.io.ref_rejected = pc_random_floats(&r, &random, 3 * N, -1, 1);
        tk_case("stride or type %d", k);
        pc_check(tk, &r.c);
        pc_random_free(&r);
    }
}
