// group_index: the arguments of its launchers and what both backends compute from them.
//
// DENSE and LABELS sort (key, row) pairs by the key, stably, in passes of at most 8 bits from the
// lowest bit up. RUNS, and LABELS once sorted, number the heads of runs of equal values.
//
// Rows are cut into tiles; a pass counts the digits of each tile, sums the counts digit by digit
// and tile by tile, and moves each row to where its digit stands then. Integers only, so the cut
// shows nowhere.
#ifndef MERIT_ADVANTAGE_GROUP_INDEX_H
#define MERIT_ADVANTAGE_GROUP_INDEX_H

#include <merit/advantage.h>

#include "../core/portable.h"

enum {
    MERIT_GROUP_INDEX_TILE = 8192, // rows
    MERIT_GROUP_INDEX_DIGITS = 256 // of a pass
};

// What the data decide. On devices it lies in the workspace.
typedef struct merit_group_index_state {
    uint64_t mask; // bits in which two keys may differ, the ungrouped bit of LABELS included
    uint64_t ungrouped; // LABELS: the key of rows in no group, one bit above all labels; 0 = none
    int64_t num_groups;
    int64_t grouped; // rows in a group
} merit_group_index_state;

typedef struct merit_group_index_args {
    merit_group_index_desc d;
    merit_group_index_io io;
    int64_t num_tiles;
    int32_t max_passes; // passes that the keys may need, whatever the data
    // workspace
    uint64_t *keys[2]; // [R] each: pass j writes keys[j % 2]
    int32_t *rows; // [R]: the passes alternate between this and index, and end in index
    uint32_t *counts; // [256, tiles]: rows of a tile with a digit, then where they go
    uint32_t *totals; // [256]: rows with a digit
    uint64_t *words; // [2, tiles]: bits seen in a tile, later heads and grouped rows of a tile
    merit_group_index_state *state;
} merit_group_index_args;

// Bits --------------------------------------------------------------------------------------------

MERIT_HD static inline int32_t merit_group_index_low_bit(uint64_t word)
{
#if defined(__CUDA_ARCH__)
    return __ffsll((long long)word) - 1;
#else
    return __builtin_ctzll(word);
#endif
}

// Bits of the smallest field that holds `word`.
MERIT_HD static inline int32_t merit_group_index_bit_length(uint64_t word)
{
    if (word == 0) return 0;
#if defined(__CUDA_ARCH__)
    return 64 - __clzll((long long)word);
#else
    return 64 - __builtin_clzll(word);
#endif
}

// Keys --------------------------------------------------------------------------------------------

MERIT_HD static inline int64_t merit_group_index_id(const merit_group_index_args *a, int64_t row)
{
    if (a->d.id_dtype == MERIT_DTYPE_I32) return ((const int32_t *)a->io.ids)[row];
    return ((const int64_t *)a->io.ids)[row];
}

MERIT_HD static inline int merit_group_index_bad(const merit_group_index_args *a, int64_t id)
{
    return a->d.kind == MERIT_GROUP_KIND_DENSE && id >= a->d.num_groups;
}

// Bits of the key in which sorting has to look. With `ones` and `zeros` the bits that were seen set
// and clear among the labels; the ungrouped key is the next bit above those that differ.
MERIT_HD static inline merit_group_index_state
merit_group_index_state_of(const merit_group_index_args *a, uint64_t ones, uint64_t zeros,
                           int any_ungrouped)
{
    merit_group_index_state s;
    s.ungrouped = 0;
    if (a->d.kind == MERIT_GROUP_KIND_DENSE) {
        // The ungrouped key is N.
        const int32_t bits = merit_group_index_bit_length((uint64_t)a->d.num_groups);
        s.mask = ((uint64_t)1 << bits) - 1;
    } else {
        s.mask = ones & zeros;
        if (any_ungrouped) s.ungrouped = (uint64_t)1 << merit_group_index_bit_length(s.mask);
        s.mask |= s.ungrouped;
    }
    s.num_groups = a->d.num_groups;
    s.grouped = 0;
    return s;
}

// Bits that are the same in all labels are dropped: they change neither order nor equality.
MERIT_HD static inline uint64_t merit_group_index_key(const merit_group_index_args *a,
                                                      const merit_group_index_state *s, int64_t id)
{
    if (a->d.kind == MERIT_GROUP_KIND_DENSE) {
        return (uint64_t)(id < 0 || id >= a->d.num_groups ? a->d.num_groups : id);
    }
    return id < 0 ? s->ungrouped : (uint64_t)id & (s->mask ^ s->ungrouped);
}

// Passes ------------------------------------------------------------------------------------------

typedef struct merit_group_index_pass {
    int32_t pass;
    int32_t num_passes;
    int32_t shift;
    int32_t bits; // 0 when there is no such pass
} merit_group_index_pass;

// Pass `pass` over the bits of mask: each begins at the lowest set bit that is left and takes 8
// bits. There is at least one, which brings the rows into index.
MERIT_HD static inline merit_group_index_pass merit_group_index_pass_of(uint64_t mask, int32_t pass)
{
    merit_group_index_pass p;
    p.pass = pass;
    p.num_passes = 0;
    p.shift = 0;
    p.bits = 0;
    uint64_t left = mask == 0 ? 1 : mask;
    while (left != 0) {
        const int32_t shift = merit_group_index_low_bit(left);
        if (p.num_passes == pass) {
            const int32_t bits = merit_group_index_bit_length(left) - shift;
            p.shift = shift;
            p.bits = bits < 8 ? bits : 8;
        }
        p.num_passes++;
        left = shift + 8 >= 64 ? 0 : left >> (shift + 8) << (shift + 8);
    }
    return p;
}

MERIT_HD static inline uint32_t merit_group_index_digit(uint64_t key, merit_group_index_pass p)
{
    return (uint32_t)(key >> p.shift) & ((1u << p.bits) - 1u);
}

// Key that pass p finds at a position: the first reads the ids, the others what the pass before
// wrote.
MERIT_HD static inline uint64_t merit_group_index_key_at(const merit_group_index_args *a,
                                                         const merit_group_index_state *s,
                                                         merit_group_index_pass p, int64_t position)
{
    if (p.pass > 0) return a->keys[(p.pass - 1) % 2][position];
    return merit_group_index_key(a, s, merit_group_index_id(a, position));
}

MERIT_HD static inline int32_t merit_group_index_row_at(const merit_group_index_args *a,
                                                        merit_group_index_pass p, int64_t position)
{
    if (p.pass == 0) return (int32_t)position;
    return (p.num_passes - p.pass) % 2 == 0 ? a->io.index[position] : a->rows[position];
}

MERIT_HD static inline void merit_group_index_put(const merit_group_index_args *a,
                                                  merit_group_index_pass p, int64_t position,
                                                  uint64_t key, int32_t row)
{
    a->keys[p.pass % 2][position] = key;
    if ((p.num_passes - p.pass) % 2 != 0) {
        a->io.index[position] = row;
    } else {
        a->rows[position] = row;
    }
}

// The sorted keys of DENSE and LABELS.
MERIT_HD static inline const uint64_t *merit_group_index_sorted(const merit_group_index_args *a,
                                                                const merit_group_index_state *s)
{
    return a->keys[(merit_group_index_pass_of(s->mask, 0).num_passes - 1) % 2];
}

// Heads -------------------------------------------------------------------------------------------

// One position of RUNS or of sorted LABELS.
typedef struct merit_group_index_place {
    int32_t grouped; // 1: in a group
    int32_t head; // 1: the first of its group
} merit_group_index_place;

// Counts of two kinds in one word; both stay below 2^32.
MERIT_HD static inline uint64_t merit_group_index_pack(uint32_t heads, uint32_t grouped)
{
    return (uint64_t)heads << 32 | grouped;
}

// The group of a RUNS id or of a sorted key, as a number that is negative outside all groups.
MERIT_HD static inline int64_t merit_group_index_value(const merit_group_index_args *a,
                                                       const merit_group_index_state *s,
                                                       const uint64_t *sorted, int64_t position)
{
    if (a->d.kind == MERIT_GROUP_KIND_RUNS) return merit_group_index_id(a, position);
    const uint64_t key = sorted[position];
    return (key & s->ungrouped) != 0 ? -1 : (int64_t)key;
}

MERIT_HD static inline merit_group_index_place
merit_group_index_place_at(const merit_group_index_args *a, const merit_group_index_state *s,
                           const uint64_t *sorted, int64_t position)
{
    merit_group_index_place place;
    const int64_t value = merit_group_index_value(a, s, sorted, position);
    place.grouped = value >= 0;
    place.head = place.grouped &&
                 (position == 0 || merit_group_index_value(a, s, sorted, position - 1) != value);
    return place;
}

// Writes what one position decides. heads and grouped count those before it.
MERIT_HD static inline void merit_group_index_write(const merit_group_index_args *a,
                                                    const merit_group_index_state *s,
                                                    merit_group_index_place place, int64_t position,
                                                    int64_t heads, int64_t grouped)
{
    const int64_t group = place.grouped ? heads + place.head - 1 : -1;
    int64_t row = position;
    if (a->d.kind == MERIT_GROUP_KIND_RUNS) {
        const int64_t target = place.grouped ? grouped : s->grouped + (position - grouped);
        a->io.index[target] = (int32_t)row;
    } else {
        row = a->io.index[position]; // sorted: already in its place
    }
    if (a->io.group_of != NULL) a->io.group_of[row] = (int32_t)group;
    if (place.head) a->io.offsets[group] = grouped;
    if (position >= s->num_groups) a->io.offsets[position] = s->grouped;
}

#endif
