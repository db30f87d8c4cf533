#include "advantage_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t ag_dtype_bytes(int32_t dtype)
{
    switch (dtype) {
    case MERIT_DTYPE_F64: return 8;
    case MERIT_DTYPE_BF16:
    case MERIT_DTYPE_F16: return 2;
    default: return 4;
    }
}

ag_case ag_uniform(const char *preset, int64_t num_groups, int64_t group_size, const float *rewards)
{
    ag_case c = {.outputs = AG_ALL};
    cr_assert(merit_advantage_group_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    if (preset != NULL) {
        cr_assert(merit_advantage_group_preset(preset, &c.d) == MERIT_STATUS_OK, "preset %s",
                  preset);
    }
    c.d.groups.num_groups = num_groups;
    c.d.groups.group_size = group_size;
    c.d.num_rows = num_groups * group_size;
    c.io.struct_size = sizeof c.io;
    c.io.rewards = rewards;
    return c;
}

int64_t ag_reward_count(const ag_case *c)
{
    const merit_advantage_group_desc *const d = c->sized_by != NULL ? c->sized_by : &c->d;
    const int64_t row = d->reward_row_stride != 0 ? d->reward_row_stride : d->num_columns;
    if (c->reward_count != 0) return c->reward_count;
    if (d->num_rows == 0) return 0;
    return 1 + (d->num_rows - 1) * row + (d->num_columns - 1) * d->reward_column_stride;
}

const char *ag_describe(const ag_case *c)
{
    static char text[512];
    const merit_advantage_group_desc *const d = &c->d;
    const merit_advantage_group_io *const io = &c->io;
    snprintf(text, sizeof text,
             "N %lld G %lld R %lld K %d dtypes %d %d columns %d transform %d ties %d center %d/%d "
             "scale %d/%d ddof %d eps %g/%d zero %d/%g singleton %d invalid %d map %d [%g,%g] "
             "[%g,%g] gain %g%s%s%s%s%s%s%s%s",
             (long long)d->groups.num_groups, (long long)d->groups.group_size,
             (long long)d->num_rows, d->num_columns, d->reward_dtype, d->advantage_dtype,
             d->columns, d->transform, d->rank_ties, d->center, d->center_level, d->scale,
             d->scale_level, d->ddof, d->eps, d->eps_rule, d->zero_rule, d->zero_threshold,
             d->singleton, d->invalid, d->map, (double)d->reward_low, (double)d->reward_high,
             (double)d->low, (double)d->high, (double)d->gain, io->mask ? " mask" : "",
             io->stats_mask ? " stats_mask" : "", io->weights ? " weights" : "",
             io->column_weights ? " column_weights" : "", io->add ? " add" : "",
             io->add_index ? " add_index" : "", d->groups.index ? " index" : "",
             c->in_place ? " in place" : "");
    return text;
}

// Moves the inputs of a case into the backend's memory.
static void move_inputs(tk_fixture *tk, const ag_case *c, merit_advantage_group_desc *d,
                        merit_advantage_group_io *io)
{
    const merit_advantage_group_desc *const s = c->sized_by != NULL ? c->sized_by : d;
    const int64_t R = s->num_rows, N = s->groups.num_groups;
    const size_t baseline_bytes = ag_dtype_bytes(s->baseline_dtype);
    const int is_combined = s->columns == MERIT_COLUMNS_COMBINE_FIRST;
    d->groups.offsets = tk_input(tk, d->groups.offsets, N + 1, sizeof(int64_t));
    d->groups.index = tk_input(tk, d->groups.index, R, sizeof(int32_t));
    const size_t reward_bytes = ag_dtype_bytes(s->reward_dtype);
    io->rewards = c->in_place ? tk_inout(tk, io->rewards, ag_reward_count(c), reward_bytes)
                              : tk_input(tk, io->rewards, ag_reward_count(c), reward_bytes);
    io->column_weights = tk_input(tk, io->column_weights, s->num_columns, sizeof(float));
    io->mask = tk_input(tk, io->mask, R, 1);
    io->stats_mask = tk_input(tk, io->stats_mask, R, 1);
    io->weights = tk_input(tk, io->weights, R, sizeof(float));
    io->baseline = tk_input(tk, io->baseline, R, baseline_bytes);
    io->baseline_per_group = tk_input(tk, io->baseline_per_group, N, baseline_bytes);
    io->moments =
        tk_input(tk, io->moments, is_combined ? 1 : s->num_columns, sizeof(merit_moments));
    io->add = tk_input(tk, io->add, io->num_add > 0 ? io->num_add : R, sizeof(float));
    io->add_index = tk_input(tk, io->add_index, R, sizeof(int32_t));
}

static void *output(tk_fixture *tk, const ag_case *c, int bit, int64_t count, size_t size)
{
    return c->outputs & bit ? tk_output(tk, count, size) : NULL;
}

static void *read_back(tk_fixture *tk, const void *block, int64_t count, size_t size)
{
    if (block == NULL) return NULL;
    void *const host = calloc((size_t)count + 1, size);
    cr_assert(host != NULL);
    tk_read(tk, block, host, count, size);
    return host;
}

static void widen(ag_result *r, int32_t dtype)
{
    if (r->advantages == NULL) return;
    r->values = calloc((size_t)r->num_values + 1, sizeof *r->values);
    cr_assert(r->values != NULL);
    for (int64_t i = 0; i < r->num_values; i++) {
        r->values[i] = dtype == MERIT_DTYPE_F64 ? ((const double *)r->advantages)[i]
                                                : ((const float *)r->advantages)[i];
    }
}

ag_result ag_run_on(tk_fixture *tk, merit_context *ctx, const ag_case *c)
{
    merit_advantage_group_desc d = c->d;
    merit_advantage_group_io io = c->io;
    const merit_advantage_group_desc *const s = c->sized_by != NULL ? c->sized_by : &c->d;
    const int64_t R = s->num_rows, K = s->num_columns;
    ag_result r = {.num_sets = s->columns == MERIT_COLUMNS_COMBINE_FIRST ? 1 : K};
    r.num_values = s->columns == MERIT_COLUMNS_SEPARATE ? R * K : R;
    r.num_records = s->groups.num_groups * r.num_sets;
    r.num_tiles = (s->groups.num_groups + 2047) / 2048 * r.num_sets;
    const size_t bytes = ag_dtype_bytes(s->advantage_dtype);
    move_inputs(tk, c, &d, &io);
    io.advantages = c->in_place ? (void *)(uintptr_t)io.rewards
                                : output(tk, c, AG_ADVANTAGES, r.num_values, bytes);
    io.keep = output(tk, c, AG_KEEP, r.num_values, 1);
    io.group_count = output(tk, c, AG_COUNT, r.num_records, sizeof(int32_t));
    io.group_mean = output(tk, c, AG_MEAN, r.num_records, sizeof(double));
    io.group_scale = output(tk, c, AG_SCALE, r.num_records, sizeof(double));
    io.group_min = output(tk, c, AG_MIN, r.num_records, sizeof(double));
    io.group_max = output(tk, c, AG_MAX, r.num_records, sizeof(double));
    io.group_flags = output(tk, c, AG_FLAGS, r.num_records, 1);
    if (d.batch_record || d.center_level == MERIT_LEVEL_BATCH ||
        d.scale_level == MERIT_LEVEL_BATCH) {
        io.batch_moments = output(tk, c, AG_BATCH, r.num_sets, sizeof(merit_moments));
        io.group_moments = output(tk, c, AG_BATCH, r.num_records, sizeof(merit_moments));
        io.tile_moments = output(tk, c, AG_BATCH, r.num_tiles, sizeof(merit_moments));
    }
    if (c->outputs & AG_DIAGNOSTICS) {
        io.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    }

    size_t workspace_bytes = c->workspace_bytes;
    if (!c->no_query) r.status = merit_advantage_group_workspace(ctx, &d, &workspace_bytes);
    if (r.status == MERIT_STATUS_OK) {
        void *const workspace = tk_workspace(tk, workspace_bytes);
        for (int call = 0; call <= c->repeats && r.status == MERIT_STATUS_OK; call++) {
            r.status = merit_advantage_group(ctx, &d, &io, workspace, workspace_bytes, NULL);
        }
    }
    r.advantages = read_back(tk, io.advantages, r.num_values, bytes);
    r.keep = read_back(tk, io.keep, r.num_values, 1);
    r.group_count = read_back(tk, io.group_count, r.num_records, sizeof(int32_t));
    r.group_mean = read_back(tk, io.group_mean, r.num_records, sizeof(double));
    r.group_scale = read_back(tk, io.group_scale, r.num_records, sizeof(double));
    r.group_min = read_back(tk, io.group_min, r.num_records, sizeof(double));
    r.group_max = read_back(tk, io.group_max, r.num_records, sizeof(double));
    r.group_flags = read_back(tk, io.group_flags, r.num_records, 1);
    r.batch = read_back(tk, io.batch_moments, r.num_sets, sizeof(merit_moments));
    r.groups = read_back(tk, io.group_moments, r.num_records, sizeof(merit_moments));
    r.tiles = read_back(tk, io.tile_moments, r.num_tiles, sizeof(merit_moments));
    if (io.diagnostics != NULL)
        tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    tk_release(tk);
    widen(&r, s->advantage_dtype);
    return r;
}

ag_result ag_run(tk_fixture *tk, const ag_case *c)
{
    return ag_run_on(tk, tk->ctx, c);
}

void ag_free(ag_result *r)
{
    free(r->advantages), free(r->values), free(r->keep), free(r->group_count);
    free(r->group_mean), free(r->group_scale), free(r->group_min), free(r->group_max);
    free(r->group_flags), free(r->batch), free(r->groups), free(r->tiles);
    memset(r, 0, sizeof *r);
}

// Comparison --------------------------------------------------------------------------------------

static void expect_counts(const ag_result *r, const advantage_oracle *o)
{
    for (int64_t i = 0; i < r->num_records && r->group_count != NULL; i++) {
        TK_EXPECT(r->group_count[i] == o->group_count[i], "group_count[%lld] is %d, expected %g",
                  (long long)i, r->group_count[i], o->group_count[i]);
    }
    for (int64_t i = 0; i < r->num_records && r->group_flags != NULL; i++) {
        const int unsure = (int)o->unsure_flags[i];
        TK_EXPECT((r->group_flags[i] | unsure) == ((int)o->group_flags[i] | unsure),
                  "group_flags[%lld] is %d, expected %g", (long long)i, r->group_flags[i],
                  o->group_flags[i]);
    }
}

// Elements that the call must write are compared, the others must hold the guard pattern.
static void expect_values(const ag_case *c, const ag_result *r, const advantage_oracle *o)
{
    const size_t bytes = ag_dtype_bytes(c->d.advantage_dtype);
    int reported = 0;
    for (int64_t i = 0; i < r->num_values && reported < 3; i++) {
        if (!o->written[i]) {
            const char *const raw = r->advantages;
            const int kept =
                c->in_place || raw == NULL || tk_untouched(raw + i * (int64_t)bytes, 1, bytes);
            if (kept && (r->keep == NULL || tk_untouched(&r->keep[i], 1, 1))) continue;
            tk_fail(__FILE__, __LINE__, "element %lld was written, it belongs to nobody",
                    (long long)i);
            reported++;
            continue;
        }
        // A result that rounding alone decides may be any number.
        const double e = o->advantages[i];
        const int undecided = isinf(o->limits[i]) && !isnan(e);
        if (r->values != NULL && !(undecided && !isnan(r->values[i]))) {
            tk_expect_within_at(__FILE__, __LINE__, "advantages", &r->values[i], &e, &o->limits[i],
                                1);
            if (!(isnan(e) ? isnan(r->values[i])
                           : r->values[i] == e || fabs(r->values[i] - e) <= o->limits[i])) {
                tk_fail(__FILE__, __LINE__, "(that was element %lld of %lld)", (long long)i,
                        (long long)r->num_values);
                reported++;
            }
        }
        if (r->keep != NULL && (double)r->keep[i] != o->keep[i]) {
            tk_fail(__FILE__, __LINE__, "keep[%lld] is %d, expected %g", (long long)i, r->keep[i],
                    o->keep[i]);
            reported++;
        }
    }
}

static void expect_records(const ag_result *r, const advantage_oracle *o)
{
    const int64_t n = r->num_records;
    expect_counts(r, o);
    if (r->group_mean != NULL) tk_expect_within(r->group_mean, o->group_mean, o->mean_limits, n);
    if (r->group_scale != NULL)
        tk_expect_within(r->group_scale, o->group_scale, o->scale_limits, n);
    if (r->group_min != NULL) tk_expect_within(r->group_min, o->group_min, o->range_limits, n);
    if (r->group_max != NULL) tk_expect_within(r->group_max, o->group_max, o->range_limits, n);
    if (r->batch != NULL) {
        tk_expect_within((const double *)r->batch, o->batch, o->batch_limits, 5 * r->num_sets);
        tk_expect_within((const double *)r->groups, o->group_moments, o->group_moments_limits,
                         5 * r->num_records);
        tk_expect_within((const double *)r->tiles, o->tile_moments, o->tile_moments_limits,
                         5 * r->num_tiles);
    }
}

static void expect_counters(const ag_result *r, const advantage_oracle *o)
{
    for (int i = 0; i < MERIT_NUM_COUNTERS; i++) {
        if ((double)r->diagnostics.count[i] == o->counters[i]) continue;
        tk_fail(__FILE__, __LINE__, "counter %d is %llu, expected %g", i,
                (unsigned long long)r->diagnostics.count[i], o->counters[i]);
    }
}

void ag_expect_oracle(const ag_case *c, const ag_result *r)
{
    advantage_oracle *const o = advantage_oracle_run(&c->d, &c->io);
    expect_values(c, r, o);
    if (!o->is_empty) expect_records(r, o);
    if (o->is_empty && r->batch != NULL) {
        TK_EXPECT(tk_untouched(r->batch, r->num_sets, sizeof *r->batch) &&
                      tk_untouched(r->groups, r->num_records, sizeof *r->groups) &&
                      tk_untouched(r->tiles, r->num_tiles, sizeof *r->tiles),
                  "moments are written");
    }
    if (c->outputs & AG_DIAGNOSTICS) expect_counters(r, o);
    advantage_oracle_free(o);
}

void ag_expect_untouched_at(const char *file, int line, const ag_case *c, const ag_result *r)
{
    const struct {
        const char *name;
        const void *array;
        int64_t count;
        size_t size;
    } outputs[] = {
        {"advantages", c->in_place ? NULL : r->advantages, r->num_values,
         ag_dtype_bytes(c->d.advantage_dtype)},
        {"keep", r->keep, r->num_values, 1},
        {"group_count", r->group_count, r->num_records, sizeof(int32_t)},
        {"group_mean", r->group_mean, r->num_records, sizeof(double)},
        {"group_scale", r->group_scale, r->num_records, sizeof(double)},
        {"group_min", r->group_min, r->num_records, sizeof(double)},
        {"group_max", r->group_max, r->num_records, sizeof(double)},
        {"group_flags", r->group_flags, r->num_records, 1},
        {"batch_moments", r->batch, r->num_sets, sizeof(merit_moments)},
        {"group_moments", r->groups, r->num_records, sizeof(merit_moments)},
        {"tile_moments", r->tiles, r->num_tiles, sizeof(merit_moments)},
    };
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        if (outputs[i].array == NULL) continue;
        if (tk_untouched(outputs[i].array, outputs[i].count, outputs[i].size)) continue;
        tk_fail(file, line, "%s was written", outputs[i].name);
    }
    for (int i = 0; i < MERIT_NUM_COUNTERS; i++) {
        if (r->diagnostics.count[i] != 0) tk_fail(file, line, "counter %d moved", i);
    }
}

void ag_check(tk_fixture *tk, const ag_case *c)
{
    ag_result r = ag_run(tk, c);
    tk_expect_ok(tk->ctx, r.status);
    if (tk->is_first_run && r.status == MERIT_STATUS_OK) ag_expect_oracle(c, &r);
    ag_free(&r);
}

void ag_expect_at(const char *file, int line, tk_fixture *tk, const ag_case *c,
                  const double *expected, double atol)
{
    ag_result r = ag_run(tk, c);
    tk_expect_rejected_at(file, line, tk->ctx, r.status, MERIT_STATUS_OK, NULL);
    tk_expect_close_at(file, line, "advantages", r.values, expected, r.num_values, atol, 0);
    if (tk->is_first_run && r.status == MERIT_STATUS_OK) ag_expect_oracle(c, &r);
    ag_free(&r);
}

void ag_expect_same_at(const char *file, int line, tk_fixture *tk, const ag_case *a,
                       const ag_case *b, const int32_t *order)
{
    ag_result first = ag_run(tk, a), second = ag_run(tk, b);
    tk_expect_rejected_at(file, line, tk->ctx, first.status, MERIT_STATUS_OK, NULL);
    tk_expect_rejected_at(file, line, tk->ctx, second.status, MERIT_STATUS_OK, NULL);
    const size_t bytes = ag_dtype_bytes(a->d.advantage_dtype);
    const int64_t rows = b->d.num_rows;
    const size_t row_bytes = rows > 0 ? bytes * (size_t)(second.num_values / rows) : 0;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t from = order != NULL ? order[i] : i;
        const char *const left = (const char *)second.advantages + (size_t)i * row_bytes;
        const char *const right = (const char *)first.advantages + (size_t)from * row_bytes;
        if (memcmp(left, right, row_bytes) == 0) continue;
        tk_fail(file, line, "row %lld has other bits: %.17g, expected %.17g", (long long)i,
                second.values[i * (second.num_values / rows)],
                first.values[from * (second.num_values / rows)]);
        break;
    }
    ag_free(&first);
    ag_free(&second);
}
