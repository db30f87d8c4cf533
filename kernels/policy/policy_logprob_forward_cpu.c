// policy_logprob_forward, CPU. Threads own ranges of rows, or of segments where rows are few; the segments
// of a row fold in the tree of lanes.h.
#include "../backend.h"
#include "../core/parallel.h"
#include "policy_logprob_segment_cpu.h"

typedef struct forward_run {
    const merit_policy_logprob_forward_args *args;
} forward_run;

static void push(void *state, int64_t tile, const merit_logprob_segment *segment)
{
    merit_logprob_stack *const stack = state;
    merit_logprob_stack_push(stack, merit_logprob_sums_of(segment, stack->factor, tile));
}

static void keep(void *state, int64_t tile, const merit_logprob_segment *segment)
{
    ((merit_logprob_segment *)state)[tile] = *segment;
}

// The first v of the segment with the largest logit.
static int32_t find_max(const merit_policy_logprob_forward_args *args, const merit_logprob_row *row,
                        const merit_logprob_sums *support)
{
    int64_t v = (int64_t)support->tile * MERIT_TILE;
    while (v < args->d.vocab_size && merit_logprob_row_at(args, row, v, 1) != support->max) {
        v++;
    }
    return (int32_t)v;
}

// set 0 and set 1 are the sums over the vocabulary; a subset's are taken here.
static void finish_row(const merit_policy_logprob_forward_args *args, merit_logprob_row *row,
                       const merit_logprob_sums *sets)
{
    merit_logprob_sums support = sets[0];
    merit_logprob_sums all = sets[args->sets == 2];
    const int read = merit_logprob_row_is_read(row);
    const int subset = args->d.support == MERIT_LOGPROB_SUPPORT_SUBSET;
    int bad_id = 0;
    if (read && subset) {
        support = merit_logprob_subset(args, row, &bad_id);
        if (args->d.normalize == MERIT_LOGPROB_NORMALIZE_SUPPORT) all = support;
    }
    int32_t argmax = -1;
    const int has_max = read && !bad_id && !m_is_nan64(support.sum) && support.max > -m_inf32();
    if ((args->io.argmax != NULL || args->io.shards != NULL) && has_max) {
        argmax = subset ? merit_logprob_subset_argmax(args, row, support.max)
                        : find_max(args, row, &support);
    }
    if (args->io.shards != NULL) {
        merit_logprob_row_write_shard(args, row, &support, argmax);
        return;
    }
    merit_logprob_results r = merit_logprob_row_finish(row, &support, &all, argmax,
                                                       merit_logprob_target_logit(args, row));
    if (bad_id) r = merit_logprob_results_all(m_nan32(), MERIT_COUNTER_BAD_LABEL);
    merit_logprob_row_write(args, row->index, &r);
}

static void run_rows(void *state, int64_t begin, int64_t end)
{
    const merit_policy_logprob_forward_args *const args = ((const forward_run *)state)->args;
    for (int64_t t = begin; t < end; t++) {
        merit_logprob_row row = merit_logprob_row_begin(args, t);
        merit_logprob_sums sets[2] = {merit_logprob_sums_none(), merit_logprob_sums_none()};
        for (int set = 0; set < args->sets && merit_logprob_row_is_read(&row); set++) {
            merit_logprob_stack stack = merit_logprob_stack_empty(row.factor);
            segments_of_row(args, &row, set, 0, args->tiles, push, &stack);
            sets[set] = merit_logprob_stack_finish(&stack);
        }
        finish_row(args, &row, sets);
    }
}

// Items are the segments of [T, sets, tiles].
static void run_segments(void *state, int64_t begin, int64_t end)
{
    const merit_policy_logprob_forward_args *const args = ((const forward_run *)state)->args;
    while (begin < end) {
        const int64_t line = begin / args->tiles;
        const int64_t first = begin % args->tiles;
        const int64_t left = args->tiles - first;
        const int64_t count = end - begin < left ? end - begin : left;
        const merit_logprob_row row = merit_logprob_row_begin(args, line / args->sets);
        if (merit_logprob_row_is_read(&row)) {
            segments_of_row(args, &row, (int)(line % args->sets), first, first + count, keep,
                            args->partials + line * args->tiles);
        }
        begin += count;
    }
}

static void fold_rows(void *state, int64_t begin, int64_t end)
{
    const merit_policy_logprob_forward_args *const args = ((const forward_run *)state)->args;
    for (int64_t t = begin; t < end; t++) {
        merit_logprob_row row = merit_logprob_row_begin(args, t);
        merit_logprob_sums sets[2] = {merit_logprob_sums_none(), merit_logprob_sums_none()};
        for (int set = 0; set < args->sets && merit_logprob_row_is_read(&row); set++) {
            merit_logprob_stack stack = merit_logprob_stack_empty(row.factor);
            for (int64_t tile = 0; tile < args->tiles; tile++) {
                push(&stack, tile, &args->partials[(t * args->sets + set) * args->tiles + tile]);
            }
            sets[set] = merit_logprob_stack_finish(&stack);
        }
        finish_row(args, &row, sets);
    }
}

int MERIT_BACKEND_FN(policy_logprob_forward)(const merit_policy_logprob_forward_args *args,
                                             const merit_launch *launch)
{
    forward_run run = {args};
    const int64_t rows = args->d.num_tokens;
    if (args->io.segments != NULL || (args->split && rows < (int64_t)4 * launch->num_threads)) {
        merit_parallel_ranges(launch->num_threads, rows * args->sets * args->tiles, 1, run_segments,
                              &run);
        merit_parallel_ranges(launch->num_threads, rows, 1, fold_rows, &run);
    } else {
        merit_parallel_ranges(launch->num_threads, rows, 1, run_rows, &run);
    }
    return 0;
}
