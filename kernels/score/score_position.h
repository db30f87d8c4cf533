// Which row of hidden a position is: the rules, once for both backends. Rules that scan a sequence
// (MASK, LAST_NON_PAD, BEFORE_FIRST_PAD) leave the loop to the backend: it asks score_is_hit of tokens
// and hands the token it found to score_from_scan.
#ifndef MERIT_SCORE_POSITION_H
#define MERIT_SCORE_POSITION_H

#include <merit/score.h>

#include "../core/counters.h"

typedef struct merit_score_finder {
    int32_t rule; // merit_positions
    int32_t layout; // merit_position_layout
    int32_t is_wide; // index_dtype is I64
    int32_t positions_per_row;
    int64_t context_length;
    int64_t pad_id;
    int64_t num_sequences; // B
    int64_t row_tokens; // T, 0: packed
    int64_t num_tokens; // rows of hidden that exist
    int64_t num_positions; // P
    const int32_t *lengths;
    const uint8_t *mask;
    const void *cu_seqlens;
    const void *ids;
    const void *positions;
    const int64_t *offsets;
} merit_score_finder;

// A found position: a row of hidden >= 0, a merit_position_kind, or this: BAD_OFFSETS is counted
// instead of BAD_POSITION.
enum { MERIT_SCORE_BAD_OFFSETS = -4 };

MERIT_HD static inline int64_t score_index_at(const void *array, int32_t is_wide, int64_t i)
{
    return is_wide ? ((const int64_t *)array)[i] : ((const int32_t *)array)[i];
}

MERIT_HD static inline int score_rule_scans(const merit_score_finder *f)
{
    return f->rule == MERIT_POSITIONS_MASK || f->rule == MERIT_POSITIONS_LAST_NON_PAD ||
           f->rule == MERIT_POSITIONS_BEFORE_FIRST_PAD;
}

// Scanning rules ----------------------------------------------------------------------------------

// BEFORE_FIRST_PAD looks for the smallest t from here on, the others for the largest t of all.
MERIT_HD static inline int score_scans_forward(const merit_score_finder *f)
{
    return f->rule == MERIT_POSITIONS_BEFORE_FIRST_PAD;
}

MERIT_HD static inline int score_is_hit(const merit_score_finder *f, int64_t sequence, int64_t t)
{
    const int64_t i = sequence * f->row_tokens + t;
    if (f->rule == MERIT_POSITIONS_MASK) return f->mask[i] != 0;
    const int is_pad = score_index_at(f->ids, f->is_wide, i) == f->pad_id;
    return score_scans_forward(f) ? is_pad : !is_pad;
}

// t: the token found, -1: none.
MERIT_HD static inline int64_t score_from_scan(const merit_score_finder *f, int64_t sequence,
                                               int64_t t)
{
    if (score_scans_forward(f)) {
        t = (t < 0 ? f->row_tokens : t) - 1;
        if (t < f->context_length) return MERIT_POSITION_EMPTY;
    }
    return t < 0 ? (int64_t)MERIT_POSITION_EMPTY : sequence * f->row_tokens + t;
}

// The others --------------------------------------------------------------------------------------

// A token of a sequence as a row of hidden.
MERIT_HD static inline int64_t score_in_sequence(const merit_score_finder *f, int64_t sequence,
                                                 int64_t t)
{
    if (t < 0) return MERIT_POSITION_EMPTY;
    return t < f->row_tokens ? sequence * f->row_tokens + t : (int64_t)MERIT_POSITION_BAD;
}

MERIT_HD static inline int64_t score_end_of_span(const merit_score_finder *f, int64_t sequence)
{
    const int64_t begin = score_index_at(f->cu_seqlens, f->is_wide, sequence);
    const int64_t end = score_index_at(f->cu_seqlens, f->is_wide, sequence + 1);
    if (begin < 0 || end < begin) return MERIT_SCORE_BAD_OFFSETS;
    if (end == begin) return MERIT_POSITION_EMPTY;
    return end <= f->num_tokens ? end - 1 : (int64_t)MERIT_POSITION_BAD;
}

// The sequence that position p of a ragged list belongs to, by bisection: num_sequences where none does.
MERIT_HD static inline int64_t score_sequence_of(const merit_score_finder *f, int64_t p)
{
    int64_t low = 0;
    int64_t high = f->num_sequences; // offsets[low] <= p < offsets[high], if they rise
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (f->offsets[middle] <= p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const int inside = f->offsets[low] <= p && p < f->offsets[low + 1];
    return inside ? low : f->num_sequences;
}

MERIT_HD static inline int64_t score_explicit(const merit_score_finder *f, int64_t p)
{
    const int64_t given = score_index_at(f->positions, f->is_wide, p);
    if (f->layout == MERIT_POSITION_LAYOUT_PER_ROW) {
        return score_in_sequence(f, p / f->positions_per_row, given);
    }
    if (f->layout == MERIT_POSITION_LAYOUT_RAGGED) {
        const int64_t sequence = f->num_sequences > 0 ? score_sequence_of(f, p) : 0;
        if (sequence >= f->num_sequences) return MERIT_SCORE_BAD_OFFSETS;
        return score_in_sequence(f, sequence, given);
    }
    if (given < 0) return MERIT_POSITION_EMPTY;
    return given < f->num_tokens ? given : (int64_t)MERIT_POSITION_BAD;
}

// Rules that do not scan.
MERIT_HD static inline int64_t score_look_up(const merit_score_finder *f, int64_t p)
{
    switch (f->rule) {
    case MERIT_POSITIONS_LENGTHS: return score_in_sequence(f, p, (int64_t)f->lengths[p] - 1);
    case MERIT_POSITIONS_CU_SEQLENS: return score_end_of_span(f, p);
    case MERIT_POSITIONS_EXPLICIT: return score_explicit(f, p);
    default: return f->mask != NULL && f->mask[p] == 0 ? (int64_t)MERIT_POSITION_MASKED : p;
    }
}

// Results -----------------------------------------------------------------------------------------

MERIT_HD static inline void score_count_position(merit_diagnostics *diagnostics, int64_t position)
{
    m_count(diagnostics, MERIT_COUNTER_EMPTY_ROW, position == MERIT_POSITION_EMPTY);
    m_count(diagnostics, MERIT_COUNTER_BAD_POSITION, position == MERIT_POSITION_BAD);
    m_count(diagnostics, MERIT_COUNTER_BAD_OFFSETS, position == MERIT_SCORE_BAD_OFFSETS);
}

MERIT_HD static inline int64_t score_public_position(int64_t position)
{
    return position == MERIT_SCORE_BAD_OFFSETS ? (int64_t)MERIT_POSITION_BAD : position;
}

// The first element of a row of hidden (or of a gradient laid out like it).
MERIT_HD static inline int64_t score_row_start(const merit_score_finder *f, int64_t position,
                                               int64_t row_stride, int64_t stride)
{
    if (f->row_tokens == 0 || row_stride == f->row_tokens * stride) return position * stride;
    return position / f->row_tokens * row_stride + position % f->row_tokens * stride;
}

#endif
