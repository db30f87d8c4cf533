// Axes cut over ranks: headers and their checks.
#include "comm_cut.h"

enum { BEGIN, TOTAL, OPTIONS }; // reserved words of the header

// FNV-1a (Fowler, Noll, Vo).
uint64_t merit_comm_mix(uint64_t fingerprint, const void *option, size_t bytes)
{
    uint64_t h = fingerprint ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes; i++) {
        h = (h ^ ((const unsigned char *)option)[i]) * 0x100000001b3u;
    }
    return h;
}

int64_t merit_comm_largest_part(int64_t total, int32_t ranks)
{
    const int64_t part = total / ranks + (total % ranks != 0);
    return (part + MERIT_TILE - 1) / MERIT_TILE * MERIT_TILE;
}

merit_comm_header merit_comm_cut_header(const merit_comm_cut *cut, merit_comm_operation operation,
                                        int64_t count)
{
    return (merit_comm_header){
        .operation = operation,
        .count = count,
        .extent = cut->size,
        .reserved = {
            [BEGIN] = cut->begin, [TOTAL] = cut->total, [OPTIONS] = (int64_t)cut->options}};
}

merit_status merit_comm_cut_check(merit_context *ctx, const merit_comm *comm,
                                  const merit_comm_cut *cut, int64_t *total)
{
    const merit_comm_header *const headers = merit_comm_headers(comm);
    const int32_t ranks = merit_comm_size(comm);
    int64_t end = 0;
    for (int32_t rank = 0; rank < ranks; rank++) {
        const merit_comm_header *const h = &headers[rank];
        MERIT_REQUIRE(ctx, h->reserved[TOTAL] == cut->total,
                      "rank %d says %lld of %s in all, this rank %lld", (int)rank,
                      (long long)h->reserved[TOTAL], cut->axis, (long long)cut->total);
        MERIT_REQUIRE(ctx, h->reserved[OPTIONS] == (int64_t)cut->options,
                      "rank %d differs from this rank in one of %s", (int)rank, cut->option_names);
        const int64_t begin = h->reserved[BEGIN] < 0 ? end : h->reserved[BEGIN];
        MERIT_REQUIRE(ctx, begin == end,
                      "rank %d begins at %lld of %s, expected %lld, where the ranks before end",
                      (int)rank, (long long)begin, cut->axis, (long long)end);
        MERIT_REQUIRE(ctx, h->extent == 0 || begin % cut->unit == 0,
                      "rank %d begins at %lld of %s, expected a multiple of %lld", (int)rank,
                      (long long)begin, cut->axis, (long long)cut->unit);
        const int overflows = h->extent < 0 || __builtin_add_overflow(end, h->extent, &end);
        MERIT_REQUIRE(ctx, !overflows, "rank %d has %lld of %s", (int)rank, (long long)h->extent,
                      cut->axis);
    }
    MERIT_REQUIRE(ctx, cut->total < 0 || end == cut->total,
                  "the ranks have %lld of %s together, expected %lld", (long long)end, cut->axis,
                  (long long)cut->total);
    if (total != NULL) *total = end;
    return MERIT_STATUS_OK;
}

const int64_t *merit_comm_cut_sizes(int32_t ranks, const unsigned char *gathered)
{
    if (ranks == 1) return NULL;
    return (const int64_t *)(const void *)(gathered + offsetof(merit_comm_header, extent));
}
