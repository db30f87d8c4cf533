// Ranks of one process for the operations that cross them. Rank 0 is the caller; the others are threads
// that do nothing but take part in the all-gather, each with the message that it recorded. So a call of
// merit and a bare all-gather of the same bytes differ by what merit does on one rank.
//
// All ranks have arrays as large as those of the case; their number is the first axis.
#ifndef MERIT_BENCH_RANKS_H
#define MERIT_BENCH_RANKS_H

#include "bench.h"

enum { AXIS_RANKS, BENCH_MAX_RANKS = 16 };

typedef struct bench_rank {
    const bench_case *c;
    int rank;
    merit_context *ctx; // on the CPU, for what makes the inputs
    bench_buffers arrays;
} bench_rank;

typedef void bench_fill_rank(const bench_rank *rank);

// For setup, when the arrays are added: fills the inputs of every rank, those of the case for rank 0, has
// each bind and make its call up to the message, and starts the threads. False with c->reason.
bool bench_start_ranks(bench_case *c, bench_fill_rank *fill);

// The rank that binds or calls: each in turn while the ranks start, then rank 0.
merit_comm *bench_comm(void);

// What check compares with: an input of a rank.
const void *bench_rank_input(int64_t rank, int array);

// Teardown and peer of an operation: the end of the ranks, the all-gather alone.
void bench_stop_ranks(bench_case *c);
void bench_bare_allgather(const bench_case *c, const bench_buffers *buffers, int num_threads);

// Inputs that are binary64 tiles [., entries] of each rank, one rank's behind those of the one before ------

// Anywhere in [-1, 1).
void bench_fill_tiles(const bench_rank *rank, int array);

// The sum of an entry over the tiles of all ranks, one after the other.
double bench_sum_of_tiles(const bench_case *c, int array, int64_t entries, int64_t entry);

// workspace and run of merit_<name>, where `call` is a struct with desc and io -----------------------------

#define BENCH_CALL_OF_RANK(name)                                                                 \
    _Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");           \
    static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)    \
    {                                                                                            \
        return merit_##name##_workspace(ctx, bench_comm(), &((const call *)bound)->desc, bytes); \
    }                                                                                            \
    static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,          \
                            size_t scratch_bytes, merit_stream stream)                           \
    {                                                                                            \
        const call *const made = (const call *)bound;                                            \
        return merit_##name(ctx, bench_comm(), &made->desc, &made->io, scratch, scratch_bytes,   \
                            stream);                                                             \
    }

// What all these operations are made of, in bench_op.
#define BENCH_OP_OF_RANKS                                                               \
    .axes = axes, .sweeps = sweeps, .across_ranks = true, .work = work, .setup = setup, \
    .bind = bind, .workspace = workspace, .run = run, .check = check,                   \
    .peer = bench_bare_allgather, .teardown = bench_stop_ranks

#endif
