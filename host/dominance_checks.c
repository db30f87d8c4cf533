#include "dominance_checks.h"

#include <math.h>

int64_t merit_dominance_product(int64_t a, int64_t b, int64_t c)
{
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product) || __builtin_mul_overflow(product, c, &product) ||
        product > (int64_t)1 << 60) {
        return -1;
    }
    return product;
}

// Elements from the first to the last of one dimension; -1 beyond 2^60.
static int64_t reach(int64_t so_far, int64_t size, int64_t stride)
{
    int64_t step;
    if (so_far < 0 || __builtin_mul_overflow(size - 1, stride, &step) ||
        __builtin_add_overflow(so_far, step, &step) || step > (int64_t)1 << 60) {
        return -1;
    }
    return step;
}

merit_status merit_dominance_check_sizes(merit_context *ctx, merit_dominance_pairwise_desc *d,
                                         int64_t *span)
{
    MERIT_REQUIRE(ctx, d->num_states >= 0, "num_states is %lld, expected 0 or more",
                  (long long)d->num_states);
    MERIT_REQUIRE_RANGE(ctx, d, num_objectives, 1, MERIT_DOMINANCE_MAX_OBJECTIVES);
    MERIT_REQUIRE_RANGE(ctx, d, num_actions, 1, MERIT_DOMINANCE_MAX_ACTIONS);
    MERIT_REQUIRE_RANGE(ctx, d, num_levels, 1, MERIT_DOMINANCE_MAX_LEVELS);
    MERIT_REQUIRE(ctx,
                  d->dtype == MERIT_DTYPE_F32 || d->dtype == MERIT_DTYPE_BF16 ||
                      d->dtype == MERIT_DTYPE_F16,
                  "dtype is %d, expected F32 (%d), BF16 (%d) or F16 (%d)", (int)d->dtype,
                  (int)MERIT_DTYPE_F32, (int)MERIT_DTYPE_BF16, (int)MERIT_DTYPE_F16);
    const struct {
        int64_t *stride;
        int64_t dense;
        const char *name;
    } strides[] = {
        {&d->stride_level, 1, "stride_level"},
        {&d->stride_action, d->num_levels, "stride_action"},
        {&d->stride_objective, (int64_t)d->num_actions * d->num_levels, "stride_objective"},
        {&d->stride_state, (int64_t)d->num_objectives * d->num_actions * d->num_levels,
         "stride_state"},
    };
    for (int i = 0; i < 4; i++) {
        MERIT_REQUIRE(ctx, *strides[i].stride >= 0, "%s is %lld, expected 0 or more",
                      strides[i].name, (long long)*strides[i].stride);
        if (*strides[i].stride == 0) *strides[i].stride = strides[i].dense;
    }
    *span = 0;
    if (d->num_states == 0) return MERIT_STATUS_OK;
    int64_t last = reach(0, d->num_levels, d->stride_level);
    last = reach(last, d->num_actions, d->stride_action);
    last = reach(last, d->num_objectives, d->stride_objective);
    last = reach(last, d->num_states, d->stride_state);
    MERIT_REQUIRE(ctx, last >= 0, "the sizes and strides span more than 2^60 elements");
    *span = last + 1;
    return MERIT_STATUS_OK;
}

static merit_status check_objectives(merit_context *ctx, const merit_dominance_pairwise_desc *d,
                                     merit_dominance_compare *c)
{
    for (int m = 0; m < d->num_objectives; m++) {
        const int32_t sign = d->sign == NULL ? 1 : d->sign[m];
        const float delta = d->delta == NULL ? 0.0f : d->delta[m];
        MERIT_REQUIRE(ctx, sign == 1 || sign == -1, "sign[%d] is %d, expected 1 or -1", m,
                      (int)sign);
        MERIT_REQUIRE(ctx, delta >= 0.0f, "delta[%d] is %g, expected 0 or more", m, (double)delta);
        c->negative |= sign < 0 ? 1u << m : 0;
        c->delta[m] = delta;
    }
    return MERIT_STATUS_OK;
}

// What MANN_WHITNEY and sort_levels do without.
static merit_status check_limits(merit_context *ctx, const merit_dominance_pairwise_desc *d,
                                 const merit_dominance_compare *c)
{
    const int ranks = d->measure == MERIT_DOMINANCE_MEASURE_MANN_WHITNEY;
    int has_delta = 0;
    for (int m = 0; m < d->num_objectives; m++) {
        has_delta |= c->delta[m] > 0.0f;
    }
    if (ranks && (d->integrate || has_delta)) {
        return merit_fail(ctx, MERIT_STATUS_UNSUPPORTED,
                          "measure is MANN_WHITNEY, which takes no %s",
                          d->integrate ? "integrate" : "delta");
    }
    if (d->sort_levels && d->num_levels > MERIT_DOMINANCE_MAX_SORTED) {
        return merit_fail(ctx, MERIT_STATUS_UNSUPPORTED,
                          "num_levels is %d, expected at most %d with sort_levels",
                          (int)d->num_levels, (int)MERIT_DOMINANCE_MAX_SORTED);
    }
    return MERIT_STATUS_OK;
}

merit_status merit_dominance_read(merit_context *ctx, const merit_dominance_pairwise_desc *desc,
                                  merit_dominance_compare *c)
{
    merit_dominance_pairwise_desc d = *desc;
    int64_t span;
    MERIT_TRY(merit_dominance_check_sizes(ctx, &d, &span));
    MERIT_REQUIRE_RANGE(ctx, &d, measure, MERIT_DOMINANCE_MEASURE_QUANTILE,
                        MERIT_DOMINANCE_MEASURE_MANN_WHITNEY);
    MERIT_REQUIRE_RANGE(ctx, &d, power, 0, 2);
    MERIT_REQUIRE_RANGE(ctx, &d, ties, MERIT_DOMINANCE_TIES_EXCLUDE, MERIT_DOMINANCE_TIES_HALF);
    MERIT_REQUIRE_FLAG(ctx, &d, integrate);
    MERIT_REQUIRE_FLAG(ctx, &d, sort_levels);
    MERIT_REQUIRE(ctx, d.weights_stride_state >= 0,
                  "weights_stride_state is %lld, expected 0 or more",
                  (long long)d.weights_stride_state);
    c->num_states = d.num_states;
    c->num_objectives = d.num_objectives;
    c->num_actions = d.num_actions;
    c->num_levels = d.num_levels;
    c->stride_state = d.stride_state;
    c->stride_objective = d.stride_objective;
    c->stride_action = d.stride_action;
    c->stride_level = d.stride_level;
    c->weights_stride_state = d.weights_stride_state;
    c->dtype = d.dtype;
    c->measure = d.measure;
    c->power = d.power;
    c->ties = d.ties;
    c->integrate = d.integrate;
    c->sort_levels = d.sort_levels;
    MERIT_TRY(check_objectives(ctx, &d, c));
    MERIT_TRY(check_limits(ctx, &d, c));
    const int ranks = d.measure == MERIT_DOMINANCE_MEASURE_MANN_WHITNEY;
    int has_delta = 0;
    for (int m = 0; m < d.num_objectives; m++) {
        has_delta |= c->delta[m] > 0.0f;
    }
    c->by_means = !ranks && d.power == 1 && !d.integrate && !has_delta;
    c->expects_order = !d.sort_levels && (ranks || d.integrate);
    return MERIT_STATUS_OK;
}

merit_status merit_dominance_check_weights(merit_context *ctx, const merit_dominance_compare *c,
                                           const float *weights)
{
    const int ranks = c->measure == MERIT_DOMINANCE_MEASURE_MANN_WHITNEY;
    if (ranks && weights != NULL) {
        return merit_fail(ctx, MERIT_STATUS_UNSUPPORTED,
                          "measure is MANN_WHITNEY, which takes no weights");
    }
    MERIT_REQUIRE(ctx, weights != NULL || c->weights_stride_state == 0,
                  "weights_stride_state is %lld, but weights is NULL",
                  (long long)c->weights_stride_state);
    MERIT_REQUIRE(ctx, merit_dominance_weights_count(c) >= 0,
                  "num_states and weights_stride_state span more than 2^60 elements");
    return MERIT_STATUS_OK;
}

int64_t merit_dominance_weights_count(const merit_dominance_compare *c)
{
    if (c->num_states == 0) return 0;
    const int64_t last = reach(0, c->num_levels, 1);
    const int64_t all = reach(last, c->num_states, c->weights_stride_state);
    return all < 0 ? -1 : all + 1;
}

void merit_dominance_bind(merit_dominance_compare *c, const void *q, const float *weights,
                          merit_diagnostics *diagnostics)
{
    const double levels = c->num_levels;
    c->q = q;
    c->weights = weights;
    c->diagnostics = diagnostics;
    c->unit = weights == NULL ? levels : 1.0;
    if (c->measure == MERIT_DOMINANCE_MEASURE_MANN_WHITNEY) c->unit = levels * levels;
    for (int p = 0; weights == NULL && c->integrate && p < c->power; p++) {
        c->unit *= levels; // running sums lack the factor, too
    }
}

void merit_dominance_layout(merit_layout *layout, const merit_dominance_compare *c, int on_device,
                            int with_sums, merit_dominance_scratch *s)
{
    const int64_t slots = s->num_slots, N = c->num_levels;
    const int64_t rows = merit_dominance_product(slots, s->rows_per_slot, N);
    if (rows < 0) layout->overflow = 1;
    if (!on_device) {
        s->columns = merit_layout_take(layout, slots * s->columns_per_slot, sizeof *s->columns);
        s->rows =
            merit_layout_take(layout, slots * N * MERIT_DOMINANCE_ROW_BUFFERS, sizeof *s->rows);
        s->flags = merit_layout_take(layout, slots * s->rows_per_slot, sizeof *s->flags);
        if (c->sort_levels) s->words = merit_layout_take(layout, 2 * slots * N, sizeof *s->words);
    }
    if (!on_device || with_sums) {
        s->sums = merit_layout_take(layout, slots * s->rows_per_slot, sizeof *s->sums);
    }
    if (c->sort_levels) s->sorted = merit_layout_take(layout, rows, sizeof *s->sorted);
}
