// The fold of policy_terms.h as C loops.
#ifndef MERIT_POLICY_TERMS_CPU_H
#define MERIT_POLICY_TERMS_CPU_H

#include "../core/lanes_cpu.h"
#include "../core/parallel.h"
#include "policy_sequences.h"
#include "policy_terms.h"

// Bytes that are not 0 among up to MERIT_TILE: counted in bytes, none of which reaches 256.
static inline int64_t policy_count_bytes(const uint8_t *bytes, int length)
{
    enum { SIDE_BY_SIDE = 64 };
    uint8_t some[SIDE_BY_SIDE] = {0};
    int start = 0;
    for (; start + SIDE_BY_SIDE <= length; start += SIDE_BY_SIDE) {
        for (int j = 0; j < SIDE_BY_SIDE; j++) {
            some[j] = (uint8_t)(some[j] + (bytes[start + j] != 0));
        }
    }
    uint32_t all = 0;
    for (int j = 0; j < SIDE_BY_SIDE; j++) {
        all += some[j];
    }
    for (; start < length; start++) {
        all += bytes[start] != 0;
    }
    return all;
}

// Valid tokens of a sequence.
static inline int64_t policy_count_valid(const merit_policy_span *span, const uint8_t *mask)
{
    if (mask == NULL) return span->size;
    int64_t valid = 0;
    for (int64_t start = 0; start < span->size; start += MERIT_TILE) {
        const int64_t left = span->size - start;
        const int length = (int)(left < MERIT_TILE ? left : MERIT_TILE);
        valid += policy_count_bytes(mask + span->begin + start, length);
    }
    return valid;
}

static void policy_fold_tiles(void *state, int64_t begin, int64_t end)
{
    const merit_policy_terms *const t = state;
    for (int64_t tile = begin; tile < end; tile++) {
        const int64_t first = tile * MERIT_TILE;
        const int64_t left = t->count - first;
        const int length = (int)(left < MERIT_TILE ? left : MERIT_TILE);
        merit_policy_totals totals = {{0.0}};
        for (int k = 0; k < t->num_sums; k++) {
            totals.sums[k] = merit_tile_sum64(t->sums + k * t->count + first, length);
        }
        t->tiles[tile] = totals;
        if (t->loss_tiles != NULL) {
            t->loss_tiles[tile] = m_canonical64(totals.sums[MERIT_POLICY_SUM_LOSS]);
        }
    }
}

static inline merit_policy_totals policy_fold(merit_policy_terms *t, int num_threads)
{
    const int64_t tiles = merit_policy_num_tiles(t);
    if (tiles == 0) return (merit_policy_totals){{0.0}};
    merit_policy_totals *const all = t->tiles;
    merit_parallel_ranges(num_threads, tiles, 1, policy_fold_tiles, t);
    // in place: a round writes no tile that it reads later
    for (int64_t count = tiles; count > 1; count = (count + 1) / 2) {
        for (int64_t i = 0; i < (count + 1) / 2; i++) {
            all[i] = 2 * i + 1 < count ? merit_policy_totals_merge(all[2 * i], all[2 * i + 1])
                                       : all[2 * i];
        }
    }
    return all[0];
}

// Adds a thread's tally to that of the call, whose words it shares with the others.
static inline void policy_add_tally(merit_policy_terms *t, const merit_policy_tally *mine)
{
    uint64_t *const counts = (uint64_t *)(void *)(t->tickets + MERIT_POLICY_TICKET_COUNTS);
    for (int k = 0; k < MERIT_POLICY_MAX_COUNTS; k++) {
        if (mine->counts[k] != 0) {
            __atomic_fetch_add(&counts[k], mine->counts[k], __ATOMIC_RELAXED);
        }
    }
    for (int k = 0; k < MERIT_POLICY_MAX_EXTREMES; k++) {
        uint32_t *const word = &t->tickets[MERIT_POLICY_TICKET_EXTREMES + k];
        uint32_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
        while (seen < mine->extremes[k] &&
               !__atomic_compare_exchange_n(word, &seen, mine->extremes[k], 1, __ATOMIC_RELAXED,
                                            __ATOMIC_RELAXED)) {
        }
    }
}

// The tally of the call; its words are back at zero.
static inline merit_policy_tally policy_take_tally(merit_policy_terms *t)
{
    merit_policy_tally tally;
    uint64_t *const counts = (uint64_t *)(void *)(t->tickets + MERIT_POLICY_TICKET_COUNTS);
    uint32_t *const extremes = t->tickets + MERIT_POLICY_TICKET_EXTREMES;
    memcpy(tally.counts, counts, sizeof tally.counts);
    memcpy(tally.extremes, extremes, sizeof tally.extremes);
    memset(counts, 0, sizeof tally.counts);
    memset(extremes, 0, sizeof tally.extremes);
    return tally;
}

#endif
