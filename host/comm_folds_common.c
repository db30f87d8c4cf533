// Rows cut over ranks: sizes, messages and what kernels are told of them.
#include "comm_folds_common.h"

merit_status merit_comm_check_rows(merit_context *ctx, const char *axis, int64_t rows, int64_t *max)
{
    MERIT_REQUIRE(ctx, rows >= 0 && rows <= INT64_MAX / 4, "num_%s is %lld, expected 0..2^61", axis,
                  (long long)rows);
    MERIT_REQUIRE(ctx, *max >= 0 && *max <= INT64_MAX / 4, "max_%s is %lld, expected 0..2^61", axis,
                  (long long)*max);
    if (*max == 0) *max = rows;
    MERIT_REQUIRE(ctx, rows <= *max, "num_%s is %lld, expected at most max_%s, which is %lld", axis,
                  (long long)rows, axis, (long long)*max);
    return MERIT_STATUS_OK;
}

merit_comm_cut merit_comm_row_cut(const char *axis, int64_t rows, int64_t unit,
                                  const int64_t *agree, int count, const char *names)
{
    return (merit_comm_cut){.axis = axis,
                            .begin = -1,
                            .size = rows,
                            .total = -1,
                            .unit = unit,
                            .options = merit_comm_mix(0, agree, (size_t)count * sizeof *agree),
                            .option_names = names};
}

merit_comm_parts merit_comm_parts_in(const merit_comm *comm, const unsigned char *gathered,
                                     size_t bytes, int64_t own_rows)
{
    const int32_t ranks = merit_comm_size(comm);
    return (merit_comm_parts){.rows = merit_comm_cut_sizes(ranks, gathered),
                              .own_rows = own_rows,
                              .step = (int64_t)merit_comm_message_bytes(bytes),
                              .num_ranks = ranks};
}
