#include "preference_layout.h"

void merit_preference_layout(merit_layout *layout, merit_preference_terms *terms, int64_t count,
                             int32_t num_sums)
{
    terms->count = count;
    const int64_t tiles = merit_preference_num_tiles(terms);
    const int near = tiles <= MERIT_PREFERENCE_TICKET_NEAR;
    terms->tickets =
        merit_layout_take(layout, MERIT_PREFERENCE_TICKET_WORDS, sizeof *terms->tickets);
    uint32_t *const far = merit_layout_take(layout, near ? 0 : tiles, sizeof *far);
    terms->tile_tickets =
        !near || terms->tickets == NULL ? far : terms->tickets + MERIT_PREFERENCE_TICKET_TILES;
    int64_t sums;
    if (__builtin_mul_overflow(count, (int64_t)num_sums, &sums)) layout->overflow = 1;
    terms->sums = merit_layout_take(layout, sums, sizeof *terms->sums);
    terms->flags = merit_layout_take(layout, count, sizeof *terms->flags);
    terms->tiles = merit_layout_take(layout, tiles, sizeof *terms->tiles);
}
