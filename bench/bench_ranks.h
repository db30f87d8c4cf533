// Ranks of one process for the operations that cross them. Rank 0 is the caller; the others are threads
// that do nothing but take part in the all-gather, each with the message that it recorded. So a call of
// merit and a bare all-gather of the same bytes differ by what merit does on one rank.
#ifndef MERIT_BENCH_RANKS_H
#define MERIT_BENCH_RANKS_H

#include "bench.h"

enum { BENCH_MAX_RANKS = 16 };

typedef struct bench_ranks bench_ranks;

// Calls the operation as one rank. What comes of it does not matter: its message is recorded, and the
// collective ends with COMM_ERROR.
typedef merit_status bench_rank_call(void *state, merit_context *ctx, merit_comm *comm);

// Records the messages of all ranks and starts their threads. NULL with the reason.
bench_ranks *bench_start_ranks(int size, bench_rank_call *call, void *state,
                               char reason[BENCH_TEXT]);
void bench_stop_ranks(bench_ranks *ranks); // NULL is accepted

merit_comm *bench_comm_of(bench_ranks *ranks); // of rank 0
size_t bench_message_bytes(const bench_ranks *ranks); // of one rank

// The all-gather alone.
void bench_bare_allgather(bench_ranks *ranks);

#endif
