// advantage_spread, CPU: tiles of positions over threads, inside a tile one loop per span.
// Write-bound.
#include "../backend.h"
#include "../core/parallel.h"
#include "advantage_spread.h"

enum { TILE = MERIT_ADVANTAGE_SPREAD_TILE };

// Spans of an order-preserving layout -------------------------------------------------------------

// Without add, a span is one word under the mask.
static void fill32(const merit_advantage_spread_args *a, int64_t begin, int64_t end, uint32_t word)
{
    float *const out = a->io.out;
    const uint8_t *const mask = a->io.mask;
    const float value = m_from_bits32(word);
    if (mask == NULL) {
        for (int64_t t = begin; t < end; t++) {
            out[t] = value;
        }
        return;
    }
    for (int64_t t = begin; t < end; t++) {
        out[t] = mask[t] != 0 ? value : 0.0f;
    }
}

static void fill16(const merit_advantage_spread_args *a, int64_t begin, int64_t end, uint32_t word)
{
    uint16_t *const out = a->io.out;
    const uint8_t *const mask = a->io.mask;
    const uint16_t value = (uint16_t)word;
    if (mask == NULL) {
        for (int64_t t = begin; t < end; t++) {
            out[t] = value;
        }
        return;
    }
    for (int64_t t = begin; t < end; t++) {
        out[t] = mask[t] != 0 ? value : 0;
    }
}

// add may be out itself.
static void add32(const merit_advantage_spread_args *a, int64_t begin, int64_t end, double value)
{
    float *const out = a->io.out;
    const float *const add = a->io.add;
    const uint8_t *const mask = a->io.mask;
    for (int64_t t = begin; t < end; t++) {
        const double sum = mask == NULL || mask[t] != 0 ? m_add64(value, (double)add[t]) : 0.0;
        out[t] = m_canonical32(m_round32(sum));
    }
}

static void add16(const merit_advantage_spread_args *a, int64_t begin, int64_t end, double value)
{
    uint16_t *const out = a->io.out;
    const float *const add = a->io.add;
    const uint8_t *const mask = a->io.mask;
    for (int64_t t = begin; t < end; t++) {
        const double sum = mask == NULL || mask[t] != 0 ? m_add64(value, (double)add[t]) : 0.0;
        out[t] = m_to_bf16_64(sum);
    }
}

static void write_span(const merit_advantage_spread_args *a, merit_advantage_spread_span span,
                       int64_t begin)
{
    const int is_bf16 = a->d.out_dtype == MERIT_DTYPE_BF16;
    if (span.fate == MERIT_ADVANTAGE_SPREAD_KEEP) return;
    if (span.fate == MERIT_ADVANTAGE_SPREAD_VALUE && a->io.add != NULL) {
        if (is_bf16) {
            add16(a, begin, span.end, span.value);
        } else {
            add32(a, begin, span.end, span.value);
        }
        return;
    }
    merit_advantage_spread_args plain = *a;
    plain.io.mask = NULL;
    plain.io.add = NULL;
    const uint32_t word = merit_advantage_spread_word(&plain, span.fate, span.value, begin);
    if (is_bf16) {
        fill16(a, begin, span.end, word);
    } else {
        fill32(a, begin, span.end, word);
    }
}

// Tiles -------------------------------------------------------------------------------------------

static merit_advantage_spread_reach reach_of(const merit_advantage_spread_args *a, int64_t begin,
                                             int64_t end)
{
    merit_advantage_spread_reach reach = {.low = 0, .high = 0, .rising = 1};
    const int64_t num = a->d.segments.num_groups;
    const int64_t *const offsets = a->d.segments.offsets;
    if (num == 0 || a->d.segments.group_size > 0) return reach;
    reach.low = merit_advantage_spread_bisect(offsets, -1, num + 1, begin);
    reach.high = merit_advantage_spread_bisect(offsets, -1, num + 1, end - 1) + 1;
    for (int64_t n = reach.low < 0 ? 0 : reach.low; n < reach.high && n < num; n++) {
        if (offsets[n] > offsets[n + 1]) reach.rising = 0;
    }
    return reach;
}

static void spread_tile(const merit_advantage_spread_args *a, int64_t begin, int64_t end)
{
    const merit_advantage_spread_reach reach = reach_of(a, begin, end);
    uint64_t bad_index = 0;
    for (int64_t p = begin; p < end;) {
        merit_advantage_spread_span span = merit_advantage_spread_span_at(a, reach, p);
        if (span.end > end) span.end = end;
        if (a->d.segments.index == NULL) {
            write_span(a, span, p);
            p = span.end;
            continue;
        }
        for (; p < span.end; p++) {
            const int64_t token = merit_advantage_spread_token(a, p);
            bad_index += token < 0;
            if (token < 0 || span.fate == MERIT_ADVANTAGE_SPREAD_KEEP) continue;
            merit_advantage_spread_store(
                a, token, merit_advantage_spread_word(a, span.fate, span.value, token));
        }
    }
    m_count(a->io.diagnostics, MERIT_COUNTER_BAD_INDEX, bad_index);
}

static void spread_tiles(void *state, int64_t begin, int64_t end)
{
    const merit_advantage_spread_args *const a = state;
    for (int64_t p = begin; p < end; p += TILE) {
        spread_tile(a, p, p + TILE < end ? p + TILE : end);
    }
}

static void check_segments(void *state, int64_t begin, int64_t end)
{
    const merit_advantage_spread_args *const a = state;
    uint64_t bad = 0;
    uint64_t too_large = 0;
    for (int64_t n = begin; n < end; n++) {
        merit_advantage_spread_check(a, n, &bad, &too_large);
    }
    m_count(a->io.diagnostics, MERIT_COUNTER_BAD_OFFSETS, bad);
    m_count(a->io.diagnostics, MERIT_COUNTER_GROUP_TOO_LARGE, too_large);
}

// Entry -------------------------------------------------------------------------------------------

merit_advantage_spread_launcher MERIT_BACKEND_FN(advantage_spread);

int MERIT_BACKEND_FN(advantage_spread)(const merit_advantage_spread_args *args,
                                       const merit_launch *launch)
{
    merit_advantage_spread_args a = *args;
    merit_parallel_ranges(launch->num_threads, a.d.num_tokens, 4 * TILE, spread_tiles, &a);
    if (a.d.segments.group_size == 0 && a.io.diagnostics != NULL) {
        merit_parallel_ranges(launch->num_threads, a.d.segments.num_groups, TILE, check_segments,
                              &a);
    }
    return 0;
}
