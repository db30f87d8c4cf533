// group_index, CPU: few dense ids by counting, few labels by a table, else the passes of group_index.h, one tile after
// another, tiles spread over threads.
// Memory-bound: a pass reads and writes 12 bytes per row and reads the keys once more to count.
#include "../backend.h"
#include "../core/counters.h"
#include "../core/parallel.h"
#include "group_index.h"
#include "group_index_dense_cpu.h"
#include "group_index_labels_cpu.h"
#include "group_index_runs_cpu.h"

enum { DIGITS = MERIT_GROUP_INDEX_DIGITS, TILE = MERIT_GROUP_INDEX_TILE };

// One call under way.
typedef struct work {
    const merit_group_index_args *a;
    int num_threads;
    merit_group_index_state s;
    merit_group_index_pass p;
    const uint64_t *sorted;
    uint64_t all; // heads and grouped rows of all tiles, packed
    int32_t max_size;
} work;

static int64_t tile_end(const merit_group_index_args *a, int64_t tile)
{
    const int64_t end = (tile + 1) * TILE;
    return end < a->d.num_rows ? end : a->d.num_rows;
}

static void over_tiles(work *w, merit_range_body *body)
{
    merit_parallel_ranges(w->num_threads, w->a->num_tiles, 1, body, w);
}

// Survey: counters, group_of of DENSE, the bits of LABELS ------------------------------------------

static void survey_tiles(void *state, int64_t begin, int64_t end)
{
    const merit_group_index_args *const a = ((work *)state)->a;
    uint64_t ungrouped = 0;
    uint64_t bad = 0;
    for (int64_t tile = begin; tile < end; tile++) {
        uint64_t ones = 0;
        uint64_t zeros = 0;
        uint64_t outside = 0;
        for (int64_t i = tile * TILE; i < tile_end(a, tile); i++) {
            const int64_t id = merit_group_index_id(a, i);
            const int is_bad = merit_group_index_bad(a, id);
            const int is_outside = id < 0;
            ones |= is_outside ? 0 : (uint64_t)id;
            zeros |= is_outside ? 0 : ~(uint64_t)id;
            outside += (uint64_t)is_outside;
            bad += (uint64_t)is_bad;
            if (a->d.kind == MERIT_GROUP_KIND_DENSE && a->io.group_of != NULL) {
                a->io.group_of[i] = is_outside || is_bad ? -1 : (int32_t)id;
            }
        }
        ungrouped += outside;
        if (a->d.kind == MERIT_GROUP_KIND_LABELS) {
            // Labels leave the highest bit free.
            a->words[2 * tile] = ones | (outside != 0 ? (uint64_t)1 << 63 : 0);
            a->words[2 * tile + 1] = zeros;
        }
    }
    m_count(a->io.diagnostics, MERIT_COUNTER_UNGROUPED, ungrouped);
    m_count(a->io.diagnostics, MERIT_COUNTER_BAD_ID, bad);
}

static void survey(work *w)
{
    over_tiles(w, survey_tiles);
    uint64_t ones = 0;
    uint64_t zeros = 0;
    if (w->a->d.kind == MERIT_GROUP_KIND_LABELS) {
        for (int64_t tile = 0; tile < w->a->num_tiles; tile++) {
            ones |= w->a->words[2 * tile];
            zeros |= w->a->words[2 * tile + 1];
        }
    }
    w->s = merit_group_index_state_of(w->a, ones & ~((uint64_t)1 << 63), zeros, ones >> 63 != 0);
}

// Sort --------------------------------------------------------------------------------------------

static void count_tiles(void *state, int64_t begin, int64_t end)
{
    const work *const w = state;
    const merit_group_index_args *const a = w->a;
    for (int64_t tile = begin; tile < end; tile++) {
        uint32_t counts[DIGITS] = {0};
        for (int64_t i = tile * TILE; i < tile_end(a, tile); i++) {
            counts[merit_group_index_digit(merit_group_index_key_at(a, &w->s, w->p, i), w->p)]++;
        }
        for (int digit = 0; digit < DIGITS; digit++) {
            a->counts[digit * a->num_tiles + tile] = counts[digit];
        }
    }
}

static void scatter_tiles(void *state, int64_t begin, int64_t end)
{
    const work *const w = state;
    const merit_group_index_args *const a = w->a;
    for (int64_t tile = begin; tile < end; tile++) {
        uint32_t next[DIGITS];
        for (int digit = 0; digit < DIGITS; digit++) {
            next[digit] = a->counts[digit * a->num_tiles + tile];
        }
        for (int64_t i = tile * TILE; i < tile_end(a, tile); i++) {
            const uint64_t key = merit_group_index_key_at(a, &w->s, w->p, i);
            const int32_t row = merit_group_index_row_at(a, w->p, i);
            merit_group_index_put(a, w->p, next[merit_group_index_digit(key, w->p)]++, key, row);
        }
    }
}

static void sort(work *w)
{
    const int32_t num_passes = merit_group_index_pass_of(w->s.mask, 0).num_passes;
    for (int32_t pass = 0; pass < num_passes; pass++) {
        w->p = merit_group_index_pass_of(w->s.mask, pass);
        over_tiles(w, count_tiles);
        uint32_t sum = 0;
        for (int64_t i = 0; i < DIGITS * w->a->num_tiles; i++) {
            const uint32_t count = w->a->counts[i];
            w->a->counts[i] = sum;
            sum += count;
        }
        over_tiles(w, scatter_tiles);
    }
    w->sorted = merit_group_index_sorted(w->a, &w->s);
}

// Offsets of DENSE --------------------------------------------------------------------------------

// Between the keys at positions p - 1 and p begin the groups of all ids in between.
static void write_dense_offsets(void *state, int64_t begin, int64_t end)
{
    const work *const w = state;
    const merit_group_index_args *const a = w->a;
    for (int64_t p = begin; p < end; p++) {
        const int64_t first = p == 0 ? 0 : (int64_t)w->sorted[p - 1] + 1;
        const int64_t last = p == a->d.num_rows ? a->d.num_groups : (int64_t)w->sorted[p];
        for (int64_t n = first; n <= last; n++) {
            a->io.offsets[n] = p;
        }
    }
}

// Heads: RUNS and sorted LABELS -------------------------------------------------------------------

static void count_heads(void *state, int64_t begin, int64_t end)
{
    const work *const w = state;
    const merit_group_index_args *const a = w->a;
    for (int64_t tile = begin; tile < end; tile++) {
        if (a->d.kind == MERIT_GROUP_KIND_RUNS) {
            a->words[tile] = merit_group_index_count_runs(a, tile * TILE, tile_end(a, tile));
            continue;
        }
        uint32_t heads = 0;
        uint32_t grouped = 0;
        for (int64_t i = tile * TILE; i < tile_end(a, tile); i++) {
            const merit_group_index_place place =
                merit_group_index_place_at(a, &w->s, w->sorted, i);
            heads += (uint32_t)place.head;
            grouped += (uint32_t)place.grouped;
        }
        a->words[tile] = merit_group_index_pack(heads, grouped);
    }
}

// Behind the last group.
static void fill_offsets(const work *w, int64_t tile)
{
    const int64_t first = w->s.num_groups > tile * TILE ? w->s.num_groups : tile * TILE;
    const int64_t end = tile_end(w->a, tile);
    const int64_t grouped = w->s.grouped;
    int64_t *const offsets = w->a->io.offsets;
    for (int64_t i = first; i < end; i++) {
        offsets[i] = grouped;
    }
}

static void write_heads(void *state, int64_t begin, int64_t end)
{
    const work *const w = state;
    const merit_group_index_args *const a = w->a;
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t heads = (int64_t)(a->words[tile] >> 32);
        int64_t grouped = (int64_t)(uint32_t)a->words[tile];
        const uint64_t following = tile + 1 < a->num_tiles ? a->words[tile + 1] : w->all;
        const int64_t rows = tile_end(a, tile) - tile * TILE;
        if (a->d.kind == MERIT_GROUP_KIND_RUNS && (uint32_t)following - (uint32_t)grouped == rows) {
            merit_group_index_write_runs(a, tile * TILE, tile_end(a, tile), heads, grouped);
            fill_offsets(w, tile);
            continue;
        }
        for (int64_t i = tile * TILE; i < tile_end(a, tile); i++) {
            const merit_group_index_place place =
                merit_group_index_place_at(a, &w->s, w->sorted, i);
            merit_group_index_write(a, &w->s, place, i, heads, grouped);
            heads += place.head;
            grouped += place.grouped;
        }
    }
}

static void number_heads(work *w)
{
    over_tiles(w, count_heads);
    uint64_t sum = 0;
    for (int64_t tile = 0; tile < w->a->num_tiles; tile++) {
        const uint64_t word = w->a->words[tile];
        w->a->words[tile] = sum;
        sum += word;
    }
    w->all = sum;
    w->s.num_groups = (int64_t)(sum >> 32);
    w->s.grouped = (int64_t)(uint32_t)sum;
    over_tiles(w, write_heads);
    w->a->io.offsets[w->a->d.num_rows] = w->s.grouped;
}

// The largest group -------------------------------------------------------------------------------

static void find_max_size(void *state, int64_t begin, int64_t end)
{
    work *const w = state;
    int64_t largest = 0;
    for (int64_t n = begin; n < end; n++) {
        const int64_t size = w->a->io.offsets[n + 1] - w->a->io.offsets[n];
        if (size > largest) largest = size;
    }
    int32_t seen = __atomic_load_n(&w->max_size, __ATOMIC_RELAXED);
    while ((int32_t)largest > seen &&
           !__atomic_compare_exchange_n(&w->max_size, &seen, (int32_t)largest, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
}

// All but the survey, in passes over rows.
static void by_passes(work *w)
{
    const merit_group_index_args *const a = w->a;
    if (a->d.kind != MERIT_GROUP_KIND_RUNS) sort(w);
    if (a->d.kind == MERIT_GROUP_KIND_DENSE) {
        merit_parallel_ranges(w->num_threads, a->d.num_rows + 1, TILE, write_dense_offsets, w);
    } else {
        number_heads(w);
    }
}

// Entry -------------------------------------------------------------------------------------------

merit_group_index_launcher MERIT_BACKEND_FN(group_index);

int MERIT_BACKEND_FN(group_index)(const merit_group_index_args *a, const merit_launch *launch)
{
    work w = {.a = a, .num_threads = launch->num_threads};
    merit_group_index_count count;
    if (merit_group_index_can_count(a, launch->num_threads, &count)) {
        merit_group_index_by_counting(&count);
        w.s.num_groups = a->d.num_groups;
    } else {
        const int sorts = a->d.kind != MERIT_GROUP_KIND_RUNS;
        if (sorts) survey(&w);
        if (!sorts || !merit_group_index_by_labels(a, w.num_threads, &w.s)) {
            by_passes(&w);
        }
        if (a->d.kind == MERIT_GROUP_KIND_RUNS) {
            m_count(a->io.diagnostics, MERIT_COUNTER_UNGROUPED,
                    (uint64_t)(a->d.num_rows - w.s.grouped));
        }
    }
    if (a->io.num_groups != NULL) *a->io.num_groups = w.s.num_groups;
    if (a->io.max_size != NULL) {
        merit_parallel_ranges(w.num_threads, w.s.num_groups, TILE, find_max_size, &w);
        *a->io.max_size = w.max_size;
    }
    return 0;
}
