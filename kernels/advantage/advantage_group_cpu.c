// advantage_group, CPU. Threads own ranges of groups. Small dense groups without special options take
// the vector path of advantage_group_dense_cpu.h, all others the passes of advantage_group_passes_cpu.h.
#include "../backend.h"
#include "../core/moments_cpu.h"
#include "../core/parallel.h"
#include "advantage_group.h"
#include "advantage_group_dense_cpu.h"
#include "advantage_group_long_cpu.h"
#include "advantage_group_passes_cpu.h"
#include "advantage_group_ragged_cpu.h"

// Plain options -----------------------------------------------------------------------------------

typedef struct plain_call {
    const merit_advantage_group_args *a;
    int num_threads;
} plain_call;

static int plain_takes(const merit_advantage_group_args *a)
{
    return a->d.groups.index == NULL && dense_knows(a);
}

static int plain_is_long(const merit_advantage_group_args *a, const merit_advantage_span *span)
{
    return span->refusal == MERIT_ADVANTAGE_FINE && span->size >= 2 && !dense_clips(a) &&
           a->d.scale != MERIT_SCALE_LEAVE_ONE_OUT_STD;
}

static int plain_is_shared(const plain_call *call, const merit_advantage_span *span)
{
    return call->num_threads > 1 && span->size >= LONG_SHARED && plain_is_long(call->a, span);
}

// Groups ------------------------------------------------------------------------------------------

static double *sum_of(group_work *w, int64_t i, int64_t row)
{
    return w->resident ? &w->sums[i] : &w->args->sums[row];
}

// Advantages of all members in one set, from the rule of the group.
static void apply(group_work *w, const merit_advantage_rule *rule, int keep)
{
    const merit_advantage_group_args *const a = w->args;
    const int loo_std = a->d.scale == MERIT_SCALE_LEAVE_ONE_OUT_STD;
    const int sums_sets = a->d.columns == MERIT_COLUMNS_NORMALIZE_FIRST;
    const int last = w->set == a->num_sets - 1;
    const int straight = straight_applies(a, rule);
    for (int64_t tile = 0; tile < num_tiles(w); tile++) {
        visit_tile(w, tile);
        const int64_t place = tile_place(w, tile);
        const int length = tile_length(w, tile);
        if (straight) {
            const int64_t first = w->span.begin + tile * MERIT_TILE;
            w->saw |= straight_apply(a, rule, first, length, w->u + place, keep);
            continue;
        }
        for (int j = 0; j < length; j++) {
            const int state = w->state[place + j];
            const int64_t i = tile * MERIT_TILE + j;
            const int64_t row = merit_advantage_row(a, w->span.begin, i);
            const double u = w->u[place + j];
            const int in_v = (state & IN_V) != 0;
            double value = 0.0;
            const int live = (state & IN_MASK) && !(state & SKIPPED);
            if (live) {
                double own = 0.0;
                if (loo_std && in_v) own = others_std(w, i);
                const double c = merit_advantage_centered(a, rule, u, in_v, i, row, w->group);
                value = merit_advantage_scaled(a, rule, u, c, in_v, loo_std ? &own : NULL, &w->saw);
            }
            if (!sums_sets) {
                const double result = live ? merit_advantage_finished(a, value, row) : 0.0;
                merit_advantage_write(a, row, w->set, result, live && keep);
                continue;
            }
            double *const sum = sum_of(w, i, row);
            if (w->set == 0) *sum = 0.0;
            if (live) *sum = m_fma64(merit_advantage_column_weight(a, w->set), value, *sum);
            if (!last) continue;
            const int finish = (state & IN_MASK) && !merit_advantage_row_skipped(a, row);
            const double result = finish ? merit_advantage_finished(a, *sum, row) : 0.0;
            merit_advantage_write(a, row, 0, result, finish && keep);
        }
    }
}

static void refuse(group_work *w, int32_t refusal)
{
    const merit_advantage_group_args *const a = w->args;
    if (a->first_pass == MERIT_ADVANTAGE_PASS_RECORDS) return;
    for (int64_t i = 0; i < w->span.size; i++) {
        const int64_t row = merit_advantage_row(a, w->span.begin, i);
        if (row >= 0) merit_advantage_write_nan(a, row);
    }
    merit_advantage_write_refused(a, w->group, refusal);
}

static void run_group(group_work *w, int64_t group)
{
    const merit_advantage_group_args *const a = w->args;
    w->group = group;
    w->span = merit_advantage_span_of(a, group);
    int any_unequal = 0;
    for (w->set = 0; w->set < a->num_sets; w->set++) {
        merit_advantage_record *const record =
            a->group_records == NULL ? NULL
                                     : &a->group_records[w->set * a->d.groups.num_groups + group];
        if (a->first_pass == MERIT_ADVANTAGE_PASS_RECORDS) *record = merit_advantage_record_empty();
        if (w->span.refusal != MERIT_ADVANTAGE_FINE) continue;
        w->resident = w->span.size <= RESIDENT;
        w->saw = 0;
        if (!reads_once(w)) find_shape(w);
        if (w->saw & MERIT_ADVANTAGE_SAW_BAD_INDEX) w->span.refusal = MERIT_ADVANTAGE_BAD_INDEX;
        if (w->span.refusal != MERIT_ADVANTAGE_FINE) continue;
        find_partial(w);
        if (a->first_pass == MERIT_ADVANTAGE_PASS_RECORDS) {
            *record = w->partial.record;
            continue;
        }
        merit_advantage_rule rule = merit_advantage_rule_of(a, &w->partial, w->set);
        if (merit_advantage_needs_deviations(a)) find_deviation_scale(w, &rule);
        const int equal = merit_moments_all_equal(w->shape.x_min, w->shape.x_max);
        any_unequal |= !equal;
        apply(w, &rule, a->d.columns == MERIT_COLUMNS_NORMALIZE_FIRST ? any_unequal : !equal);
        merit_advantage_write_group(a, group, w->set, w->span.size, &w->shape, &w->partial, &rule,
                                    w->saw);
    }
    if (w->span.refusal != MERIT_ADVANTAGE_FINE) refuse(w, w->span.refusal);
}

static void run_groups(void *state, int64_t begin, int64_t end)
{
    group_work w;
    w.args = state;
    w.straight = straight_takes(w.args);
    w.u = w.args->d.transform == MERIT_TRANSFORM_NONE ? w.x : w.transformed;
    for (int64_t group = begin; group < end; group++) {
        run_group(&w, group);
    }
}

static void run_dense(void *state, int64_t begin, int64_t end)
{
    const merit_advantage_group_args *const a = state;
    dense_runner *const run = dense_runner_of(a);
    const int outputs = dense_has_outputs(a);
    const int size = (int)a->d.groups.group_size;
    const int most = dense_batch_blocks(size);
    dense_batch batch;
    int64_t group = begin;
    while (group + WIDE_WIDTH <= end) {
        const int64_t left = (end - group) / WIDE_WIDTH;
        const int count = left < most ? (int)left : most;
        run(a, group, count, &batch);
        for (int b = 0; b < count; b++, group += WIDE_WIDTH) {
            if (batch.blocks[b].is_general) {
                run_groups(state, group, group + WIDE_WIDTH);
            } else if (outputs) {
                for (int l = 0; l < WIDE_WIDTH; l++) {
                    const int64_t begin_row = (group + l) * a->d.groups.group_stride;
                    dense_output(a, group + l, begin_row, size, &batch.blocks[b], l);
                }
            }
        }
    }
    run_groups(state, group, end);
}

// Groups beyond dense_takes under its options: those of one size side by side, the long one by one. Those that
// threads share are left out.
static void run_plain(void *state, int64_t begin, int64_t end)
{
    const plain_call *const call = state;
    const merit_advantage_group_args *const a = call->a;
    ragged_window window;
    for (int64_t first = begin; first < end; first += RAGGED_WINDOW) {
        const int64_t last = first + RAGGED_WINDOW < end ? first + RAGGED_WINDOW : end;
        ragged_find(&window, a, first, last);
        for (int i = 0; i < window.num_others; i++) {
            const int64_t group = window.first + window.others[i];
            const merit_advantage_span span = merit_advantage_span_of(a, group);
            if (plain_is_shared(call, &span)) continue;
            const int is_long = plain_is_long(a, &span);
            if (is_long && long_run(a, group, span.begin, span.size, 1)) continue;
            run_groups((void *)a, group, group + 1);
        }
        ragged_run(&window, a, run_groups);
    }
}

static void run_shared(const plain_call *call)
{
    const merit_advantage_group_args *const a = call->a;
    if (call->num_threads == 1 || a->size_bound < LONG_SHARED) return;
    for (int64_t group = 0; group < a->d.groups.num_groups; group++) {
        const merit_advantage_span span = merit_advantage_span_of(a, group);
        if (!plain_is_shared(call, &span)) continue;
        if (long_run(a, group, span.begin, span.size, call->num_threads)) continue;
        run_groups((void *)a, group, group + 1);
    }
}

// Rows in no group.
static void run_outside(const merit_advantage_group_args *a)
{
    int64_t before;
    int64_t after;
    merit_advantage_outside(a, &before, &after);
    for (int64_t i = 0; i < a->d.num_rows; i++) {
        if (i == before) i = after;
        if (i >= a->d.num_rows) break;
        const int64_t row = merit_advantage_row(a, 0, i);
        if (row < 0) {
            m_count(a->io.diagnostics, MERIT_COUNTER_BAD_INDEX, 1);
            continue;
        }
        m_count(a->io.diagnostics, MERIT_COUNTER_UNGROUPED, 1);
        merit_advantage_write_nan(a, row);
    }
}

// Batch -------------------------------------------------------------------------------------------

// Tiles of 2048 groups in each set. Counts of values that are not 0 are exact in any order.
static void fold_tiles(void *state, int64_t begin, int64_t end)
{
    const merit_advantage_group_args *const a = state;
    const int64_t groups = a->d.groups.num_groups;
    const int64_t tiles = (groups + MERIT_TILE - 1) / MERIT_TILE;
    for (int64_t item = begin; item < end; item++) {
        const int64_t set = item / tiles;
        const int64_t first = item % tiles * MERIT_TILE;
        const int count = (int)(groups - first < MERIT_TILE ? groups - first : MERIT_TILE);
        const merit_advantage_record *const records = &a->group_records[set * groups + first];
        merit_advantage_record *const out = &a->tile_records[item];
        out->moments = merit_moments_fold_tile(&records->moments, sizeof *records, count);
        out->nonzero = 0.0;
        for (int i = 0; i < count; i++) {
            out->nonzero += records[i].nonzero;
        }
        if (a->io.tile_moments != NULL) {
            a->io.tile_moments[item % tiles * a->num_sets + set] =
                merit_moments_output(out->moments);
        }
        for (int i = 0; i < count && a->io.group_moments != NULL; i++) {
            a->io.group_moments[(first + i) * a->num_sets + set] =
                merit_moments_output(records[i].moments);
        }
    }
}

static void fold_batch(const merit_advantage_group_args *a, int num_threads)
{
    const int64_t tiles = (a->d.groups.num_groups + MERIT_TILE - 1) / MERIT_TILE;
    merit_parallel_ranges(num_threads, tiles * a->num_sets, 1, fold_tiles, (void *)a);
    for (int32_t set = 0; set < a->num_sets; set++) {
        merit_advantage_record *const out = &a->batch_records[set];
        merit_moments_tree tree;
        tree.count = 0;
        out->nonzero = 0.0;
        for (int64_t tile = 0; tile < tiles; tile++) {
            merit_moments_tree_push(&tree, a->tile_records[set * tiles + tile].moments);
            out->nonzero += a->tile_records[set * tiles + tile].nonzero;
        }
        out->moments = merit_moments_tree_finish(&tree);
        if (a->io.batch_moments != NULL) {
            a->io.batch_moments[set] = merit_moments_output(out->moments);
        }
    }
}

// Launcher ----------------------------------------------------------------------------------------

merit_advantage_group_launcher MERIT_BACKEND_FN(advantage_group);

int MERIT_BACKEND_FN(advantage_group)(const merit_advantage_group_args *args,
                                      const merit_launch *launch)
{
    merit_advantage_group_args a = *args;
    a.first_pass = MERIT_ADVANTAGE_PASS_APPLY;
    const int64_t groups = a.d.groups.num_groups;
    if (dense_takes(&a)) {
        merit_parallel_ranges(launch->num_threads, groups, ADVANTAGE_DENSE_GRAIN, run_dense, &a);
    } else if (plain_takes(&a)) {
        plain_call call = {&a, launch->num_threads > 1 ? launch->num_threads : 1};
        merit_parallel_ranges(launch->num_threads, groups, 1, run_plain, &call);
        run_shared(&call);
    } else {
        if (a.needs_batch) {
            a.first_pass = MERIT_ADVANTAGE_PASS_RECORDS;
            merit_parallel_ranges(launch->num_threads, groups, 1, run_groups, &a);
            fold_batch(&a, launch->num_threads);
        }
        a.first_pass = MERIT_ADVANTAGE_PASS_APPLY;
        merit_parallel_ranges(launch->num_threads, groups, 1, run_groups, &a);
    }
    run_outside(&a);
    return 0;
}
