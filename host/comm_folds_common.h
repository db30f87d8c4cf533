// What the operations of comm_folds.h share.
#ifndef MERIT_COMM_FOLDS_COMMON_H
#define MERIT_COMM_FOLDS_COMMON_H

#include "../kernels/comm/comm_parts.h"
#include "comm_cut.h"

// Checks the rows of this rank against the most of any; *max 0 becomes rows. `axis`: groups, rows.
merit_status merit_comm_check_rows(merit_context *ctx, const char *axis, int64_t rows,
                                   int64_t *max);

// `rows` cut over ranks at multiples of `unit`, with a fingerprint of what has to agree.
merit_comm_cut merit_comm_row_cut(const char *axis, int64_t rows, int64_t unit,
                                  const int64_t *agree, int count, const char *names);

// The parts in gathered messages, for kernels.
merit_comm_parts merit_comm_parts_in(const merit_comm *comm, const unsigned char *gathered,
                                     size_t bytes, int64_t own_rows);

#endif
