#include "policy_layout.h"

#include <math.h>

#include "check.h"

merit_status merit_policy_check_sequences(merit_context *ctx, const merit_groups *sequences,
                                          int64_t num_tokens, merit_policy_layout *out)
{
    MERIT_REQUIRE(ctx, num_tokens >= 0 && num_tokens <= INT64_MAX / 8,
                  "num_tokens is %lld, expected 0 to 2^60 - 1", (long long)num_tokens);
    MERIT_REQUIRE(ctx, sequences->index == NULL,
                  "sequences.index is given, expected NULL: tokens lie in order");
    out->groups = *sequences;
    out->num_tokens = num_tokens;
    MERIT_TRY(merit_check_groups(ctx, "sequences", &out->groups, num_tokens));
    out->has_offsets = out->groups.group_size == 0 && out->groups.offsets != NULL;
    if (num_tokens == 0) {
        out->groups.group_size = 0;
        out->groups.group_stride = 0;
    }
    return MERIT_STATUS_OK;
}

merit_status merit_policy_check_denominator(merit_context *ctx, double denominator,
                                            const double *array, int some)
{
    MERIT_REQUIRE(ctx, denominator >= 0.0 && denominator < INFINITY,
                  "denominator is %g, expected more than 0, or 0 for io.denominator", denominator);
    MERIT_REQUIRE(ctx, array == NULL || denominator == 0.0,
                  "io.denominator is given, but desc.denominator is %g, not 0", denominator);
    MERIT_REQUIRE(ctx, array != NULL || denominator != 0.0 || !some,
                  "io.denominator is NULL and desc.denominator is 0");
    return MERIT_STATUS_OK;
}

void merit_policy_lay_out_terms(merit_layout *layout, merit_policy_terms *terms, int64_t count,
                                int32_t num_sums)
{
    terms->count = count;
    const int64_t tiles = merit_policy_num_tiles(terms);
    const int near = tiles <= MERIT_POLICY_TICKET_NEAR;
    terms->tickets = merit_layout_take(layout, MERIT_POLICY_TICKET_WORDS, sizeof *terms->tickets);
    uint32_t *const far = merit_layout_take(layout, near ? 0 : tiles, sizeof *far);
    terms->tile_tickets =
        !near || terms->tickets == NULL ? far : terms->tickets + MERIT_POLICY_TICKET_TILES;
    int64_t sums;
    if (__builtin_mul_overflow(count, (int64_t)num_sums, &sums)) layout->overflow = 1;
    terms->sums = merit_layout_take(layout, sums, sizeof *terms->sums);
    terms->tiles = merit_layout_take(layout, tiles, sizeof *terms->tiles);
}
