// score_readout_forward and score_readout_backward, CPU. Threads own ranges of rows and take them in
// blocks; row by row what blocks do not take.
#include "../backend.h"
#include "../core/parallel.h"
#include "score_readout_kinds_cpu.h"
#include "score_readout_quantile_cpu.h"

// Whether the rows of a call may come in blocks; weights of levels move with the sort, and an index
// outside the logits leaves nothing to compute.
static int block_takes(const merit_score_readout_args *a)
{
    return a->d.num_columns <= MERIT_LANES && a->io.level_weights == NULL &&
           !readout_has_bad_index(a);
}

static void block_begin(readout_block *b, const merit_score_readout_args *a)
{
    b->a = a;
    if (a->d.kind != MERIT_READOUT_QUANTILE) return;
    const int size = a->d.num_columns / a->d.num_attributes;
    merit_readout_tail t = {.upto = 0.0};
    for (int s = 0; s < size; s++) {
        readout_step(a, size, s, s, &t);
        b->steps[s] = t;
    }
}

static void block_run(readout_block *b, int64_t first, int rows)
{
    b->first = first;
    b->rows = rows;
    switch (b->a->d.kind) {
    case MERIT_READOUT_LINEAR: block_linear(b); break;
    case MERIT_READOUT_GATE: block_gate(b); break;
    case MERIT_READOUT_LEVELS: block_levels(b); break;
    default: block_quantile(b); break;
    }
}

static void run_rows(void *state, int64_t begin, int64_t end)
{
    const merit_score_readout_args *const a = state;
    if (!block_takes(a)) {
        for (int64_t p = begin; p < end; p++) {
            readout_row(a, p);
        }
        return;
    }
    readout_block block;
    block_begin(&block, a);
    for (int64_t p = begin; p < end; p += READOUT_ROWS) {
        block_run(&block, p, end - p < READOUT_ROWS ? (int)(end - p) : READOUT_ROWS);
    }
}

merit_score_readout_forward_launcher MERIT_BACKEND_FN(score_readout_forward);
merit_score_readout_backward_launcher MERIT_BACKEND_FN(score_readout_backward);

int MERIT_BACKEND_FN(score_readout_forward)(const merit_score_readout_forward_args *args,
                                            const merit_launch *launch)
{
    merit_parallel_ranges(launch->num_threads, args->a.d.num_rows, 16, run_rows, (void *)&args->a);
    return 0;
}

int MERIT_BACKEND_FN(score_readout_backward)(const merit_score_readout_backward_args *args,
                                             const merit_launch *launch)
{
    merit_parallel_ranges(launch->num_threads, args->a.d.num_rows, 16, run_rows, (void *)&args->a);
    return 0;
}
