// policy_logprob_forward, CPU. Threads own ranges of rows, or of segments where rows are few; the segments
// of a row fold in the tree of lanes.h.
#include "../backend.h"
#include "../core/parallel.h"
#include "policy_logprob_segment_cpu.h"

typedef struct forward_run {
    const merit_policy_logprob_forward_args *args;
} forward_run;

// The tree over segments, one at a time: as merit_tile_sum.
typedef struct segment_stack {
    float factor;
    int64_t count;
    merit_logprob_sums level[MERIT_TILE_LEVELS];
} segment_stack;

static void push(void *state, int64_t tile, const merit_logprob_segment *segment)
{
    segment_stack *const stack = state;
    merit_logprob_sums s = merit_logprob_sums_of(segment, stack->factor, tile);
    int depth = 0;
    for (int64_t bits = stack->count; bits != 0; bits &= bits - 1) {
        depth++;
    }
    for (int64_t bits = stack->count; (bits & 1) != 0; bits >>= 1) {
        s = merit_logprob_sums_merge(stack->level[--depth], s);
    }
    stack->level[depth] = s;
    stack->count++;
}

static void keep(void *state, int64_t tile, const merit_logprob_segment *segment)
{
    ((merit_logprob_segment *)state)[tile] = *segment;
}

static merit_logprob_sums finish(const segment_stack *stack)
{
    int depth = 0;
    for (int64_t bits = stack->count; bits != 0; bits &= bits - 1) {
        depth++;
    }
    if (depth == 0) return merit_logprob_sums_none();
    merit_logprob_sums s = stack->level[--depth];
    while (depth > 0) {
        s = merit_logprob_sums_merge(stack->level[--depth], s);
    }
    return s;
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
    if (args->io.argmax != NULL && has_max) {
        argmax = subset ? merit_logprob_subset_argmax(args, row, support.max)
                        : find_max(args, row, &support);
    }
    merit_logprob_results r = merit_logprob_row_finish(args, row, &support, &all, argmax);
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
            segment_stack stack;
            stack.factor = row.factor;
            stack.count = 0;
            segments_of_row(args, &row, set, 0, args->tiles, push, &stack);
            sets[set] = finish(&stack);
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
            segment_stack stack;
            stack.factor = row.factor;
            stack.count = 0;
            for (int64_t tile = 0; tile < args->tiles; tile++) {
                push(&stack, tile, &args->partials[(t * args->sets + set) * args->tiles + tile]);
            }
            sets[set] = finish(&stack);
        }
        finish_row(args, &row, sets);
    }
}

int MERIT_BACKEND_FN(policy_logprob_forward)(const merit_policy_logprob_forward_args *args,
                                             const merit_launch *launch)
{
    forward_run run = {args};
    const int64_t rows = args->d.num_tokens;
    if (args->split && rows < (int64_t)4 * launch->num_threads) {
        merit_parallel_ranges(launch->num_threads, rows * args->sets * args->tiles, 1, run_segments,
                              &run);
        merit_parallel_ranges(launch->num_threads, rows, 1, fold_rows, &run);
    } else {
        merit_parallel_ranges(launch->num_threads, rows, 1, run_rows, &run);
    }
    return 0;
}
