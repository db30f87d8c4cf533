// An axis cut over ranks: what each rank's message says of its part, and whether the parts are the whole.
#ifndef MERIT_COMM_CUT_H
#define MERIT_COMM_CUT_H

#include "../kernels/core/lanes.h"
#include "comm_gather.h"

typedef struct merit_comm_cut {
    const char *axis; // in sentences
    int64_t begin; // of this rank's part; -1: behind that of the rank before
    int64_t size;
    int64_t total; // of all parts; -1: whatever they hold
    int64_t unit; // parts begin at multiples of it
    uint64_t options; // merit_comm_mix of what has to agree besides
    const char *option_names; // for the sentence
} merit_comm_cut;

// Mixes `bytes` of an option into a fingerprint, which starts at 0.
uint64_t merit_comm_mix(uint64_t fingerprint, const void *option, size_t bytes);

// The largest of equal parts in whole tiles.
int64_t merit_comm_largest_part(int64_t total, int32_t ranks);

merit_comm_header merit_comm_cut_header(const merit_comm_cut *cut, merit_comm_operation operation,
                                        int64_t count);

// Checks what the last gather brought against `cut`. *total, if not NULL: of all parts.
merit_status merit_comm_cut_check(merit_context *ctx, const merit_comm *comm,
                                  const merit_comm_cut *cut, int64_t *total);

// Sizes of the parts in gathered messages, for kernels that read them in place. NULL for one rank, whose
// message has no header.
const int64_t *merit_comm_cut_sizes(int32_t ranks, const unsigned char *gathered);

#endif
