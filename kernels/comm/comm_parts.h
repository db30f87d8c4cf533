// What the ranks of a communicator hold of a batch, in gathered messages.
#ifndef MERIT_COMM_PARTS_H
#define MERIT_COMM_PARTS_H

#include "../core/gathered.h"

typedef struct merit_comm_parts {
    const int64_t *rows; // of rank 0 in its message; NULL: one rank, which has own_rows
    int64_t own_rows;
    int64_t step; // bytes from message to message
    int32_t num_ranks;
} merit_comm_parts;

MERIT_HD static inline int64_t merit_comm_rows_of(const merit_comm_parts *parts, int32_t rank)
{
    return parts->rows == NULL
               ? parts->own_rows
               : *(const int64_t *)merit_gathered_at(parts->rows, parts->step, rank);
}

// A walk over the records of all ranks, one per `rows_per_record` rows, in rising order.
typedef struct merit_comm_walk {
    int32_t rank;
    int64_t first; // record of the rank
    int64_t end; // first record of the next rank
} merit_comm_walk;

MERIT_HD static inline merit_comm_walk merit_comm_walk_begin(void)
{
    merit_comm_walk walk;
    walk.rank = -1;
    walk.first = walk.end = 0;
    return walk;
}

// Goes to the rank of record i, which there is and lies not before the one of the last call.
MERIT_HD static inline void merit_comm_walk_to(merit_comm_walk *walk, const merit_comm_parts *parts,
                                               int64_t rows_per_record, int64_t i)
{
    while (i >= walk->end) {
        walk->rank++;
        walk->first = walk->end;
        const int64_t rows = merit_comm_rows_of(parts, walk->rank);
        walk->end += (rows + rows_per_record - 1) / rows_per_record;
    }
}

#endif
