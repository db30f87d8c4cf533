// preference_list, CPU. Threads own ranges of groups; a group of at most 2048 items is read once, larger
// ones tile by tile for each pass.
#include "../backend.h"
#include "preference_list_block_cpu.h"
#include "preference_list_count_cpu.h"
#include "preference_terms_cpu.h"

enum { RESIDENT = MERIT_LIST_RESIDENT, PAIR_BLOCK = 16 };

typedef struct list_work {
    const merit_preference_list_args *a;
    merit_list_group g;
    double scale;
    int resident; // x, key and state hold the whole group
    double x[RESIDENT]; // a tile
    double key[RESIDENT];
    uint8_t state[RESIDENT];
    uint64_t *keys;
    double *xs, *slopes, *losses; // of the group, in near or in the workspace
    uint64_t near_keys[RESIDENT];
    double near[3][RESIDENT];
} list_work;

#define LIST_FUNCTION static
#define LIST_WORK list_work
#define LIST_EACH(w, i, n) for (int64_t i = 0; i < (n); i++)

// Items -------------------------------------------------------------------------------------------

static merit_list_item read_item(list_work *w, int64_t i, int *saw)
{
    const merit_list_group *const g = &w->g;
    merit_list_item item = merit_list_load(w->a, g->span.begin, i, g->target, saw);
    if (g->settled) item.x = merit_list_x(w->a, g, item.x);
    return item;
}

static void keep_item(list_work *w, int64_t place, merit_list_item item)
{
    w->x[place] = item.x;
    w->key[place] = item.key;
    w->state[place] = (uint8_t)item.state;
}

static merit_list_item kept_item(const list_work *w, int64_t place)
{
    const merit_list_item item = {w->x[place], w->key[place], w->state[place]};
    return item;
}

static merit_list_item list_read(list_work *w, int64_t i, int *saw)
{
    const merit_list_item item = read_item(w, i, saw);
    if (w->resident) keep_item(w, i, item);
    return item;
}

static merit_list_item list_item(list_work *w, int64_t i, int *saw)
{
    return w->resident ? kept_item(w, i) : read_item(w, i, saw);
}

static void list_settle(list_work *w)
{
    if (!w->resident) return;
    for (int64_t i = 0; i < w->g.span.size; i++) {
        w->x[i] = merit_list_x(w->a, &w->g, w->x[i]);
    }
}

// Reductions --------------------------------------------------------------------------------------

// Inlined with each kind as a constant, so that the loop over items vectorizes.
__attribute__((always_inline)) static inline void
tile_terms(list_work *w, int length, merit_list_term_kind kind, double *terms)
{
    for (int j = 0; j < length; j++) {
        terms[j] = merit_list_term(w->a, &w->g, kind, kept_item(w, j));
    }
}

static double list_sum(list_work *w, merit_list_term_kind kind)
{
    const int64_t size = w->g.span.size;
    double terms[MERIT_TILE];
    merit_tile_sum tiles = {0};
    for (int64_t start = 0; start < size; start += MERIT_TILE) {
        const int length = (int)(size - start < MERIT_TILE ? size - start : MERIT_TILE);
        int saw = 0;
        for (int j = 0; !w->resident && j < length; j++) {
            keep_item(w, j, read_item(w, start + j, &saw));
        }
        switch (kind) {
        case MERIT_LIST_TERM_SCORE: tile_terms(w, length, MERIT_LIST_TERM_SCORE, terms); break;
        case MERIT_LIST_TERM_WEIGHT: tile_terms(w, length, MERIT_LIST_TERM_WEIGHT, terms); break;
        case MERIT_LIST_TERM_EXP: tile_terms(w, length, MERIT_LIST_TERM_EXP, terms); break;
        default: tile_terms(w, length, kind, terms); break;
        }
        merit_tile_sum_push(&tiles, merit_tile_sum64(terms, length));
    }
    return merit_tile_sum_finish(&tiles);
}

static double list_sum_of(list_work *w, const double *values, int64_t count)
{
    (void)w;
    return merit_sum64(values, count);
}

static int64_t list_total(list_work *w, int64_t mine)
{
    (void)w;
    return mine;
}

static double list_top(list_work *w, double mine)
{
    (void)w;
    return mine;
}

static double list_bottom(list_work *w, double mine)
{
    (void)w;
    return mine;
}

static int list_or(list_work *w, int mine)
{
    (void)w;
    return mine;
}

static void list_sync(list_work *w)
{
    (void)w;
}

static int list_leads(list_work *w)
{
    (void)w;
    return 1;
}

// Ranks and pairs ---------------------------------------------------------------------------------

// Bitonic, every exchange toward rising order: positions beyond the count need not exist.
static void list_sort(list_work *w, int64_t count)
{
    uint64_t *const keys = w->keys;
    for (int64_t width = 2; width / 2 < count; width *= 2) {
        for (int64_t step = width - 1; step > 0; step = step == width - 1 ? width / 4 : step / 2) {
            for (int64_t i = 0; i < count; i++) {
                const int64_t j = i ^ step;
                if (j <= i || j >= count) continue;
                const uint64_t low = keys[i] < keys[j] ? keys[i] : keys[j];
                const uint64_t high = keys[i] < keys[j] ? keys[j] : keys[i];
                keys[i] = low;
                keys[j] = high;
            }
        }
    }
}

enum { CHUNK = 32 };

static void list_run_back(list_work *w, int64_t count)
{
    merit_list_running carry = merit_list_running_of(-m_inf64());
    for (int64_t start = (count - 1) / CHUNK * CHUNK; start >= 0; start -= CHUNK) {
        merit_list_running lane[CHUNK];
        for (int l = 0; l < CHUNK; l++) {
            lane[l] = merit_list_running_of(start + l < count ? w->xs[start + l] : -m_inf64());
        }
        for (int distance = 1; distance < CHUNK; distance *= 2) {
            for (int l = 0; l + distance < CHUNK; l++) {
                lane[l] = merit_list_running_merge(lane[l], lane[l + distance]);
            }
        }
        for (int l = 0; l < CHUNK; l++) {
            lane[l] = merit_list_running_merge(lane[l], carry);
            if (start + l < count) w->slopes[start + l] = merit_list_running_log(lane[l]);
        }
        carry = lane[0];
    }
}

static void list_run_forth(list_work *w, int64_t count)
{
    merit_list_running carry = merit_list_running_of(-m_inf64());
    for (int64_t start = 0; start < count; start += CHUNK) {
        merit_list_running lane[CHUNK];
        for (int l = 0; l < CHUNK; l++) {
            lane[l] = merit_list_running_of(start + l < count ? w->losses[start + l] : -m_inf64());
        }
        for (int distance = 1; distance < CHUNK; distance *= 2) {
            for (int l = CHUNK - 1; l >= distance; l--) {
                lane[l] = merit_list_running_merge(lane[l], lane[l - distance]);
            }
        }
        for (int l = 0; l < CHUNK; l++) {
            lane[l] = merit_list_running_merge(lane[l], carry);
            if (start + l < count) w->losses[start + l] = merit_list_running_log(lane[l]);
        }
        carry = lane[CHUNK - 1];
    }
}

// A block of items, in arrays of their own: the loop over it vectorizes.
typedef struct pair_block {
    double x[PAIR_BLOCK], key[PAIR_BLOCK], loss[PAIR_BLOCK], slope[PAIR_BLOCK];
    int32_t concordant[PAIR_BLOCK], discordant[PAIR_BLOCK], tied[PAIR_BLOCK];
} pair_block;

// The block meets one other item. Inlined with each link as a constant.
__attribute__((always_inline)) static inline void meet_one(const merit_preference_list_args *a,
                                                           int32_t kind, pair_block *b,
                                                           double other_x, double other_key)
{
    merit_preference_link link = a->link;
    link.link = kind;
    const double margin = (double)a->d.margin;
    for (int i = 0; i < PAIR_BLOCK; i++) {
        merit_list_gathered m = {b->loss[i], b->slope[i], b->concordant[i], b->discordant[i],
                                 b->tied[i]};
        merit_list_meet(&link, margin, &m, b->x[i], b->key[i], other_x, other_key);
        b->loss[i] = m.loss;
        b->slope[i] = m.slope;
        b->concordant[i] = m.concordant;
        b->discordant[i] = m.discordant;
        b->tied[i] = m.tied;
    }
}

static void list_meet(list_work *w, int64_t first, int64_t count, merit_list_gathered *counts)
{
    const int64_t size = w->g.span.size;
    for (int64_t start = first; start < first + count; start += PAIR_BLOCK) {
        const int64_t left = first + count - start;
        const int length = (int)(left < PAIR_BLOCK ? left : PAIR_BLOCK);
        pair_block b;
        memset(&b, 0, sizeof b);
        for (int i = 0; i < PAIR_BLOCK; i++) {
            b.x[i] = i < length ? w->xs[start + i] : 0.0;
            b.key[i] = i < length ? m_from_bits64(w->keys[start + i]) : m_nan64(); // meets nobody
        }
        for (int64_t j = 0; j < size; j++) {
            const double other_x = w->xs[j];
            const double other_key = m_from_bits64(w->keys[j]);
            switch (w->a->d.link) {
            case MERIT_LINK_HINGE: meet_one(w->a, MERIT_LINK_HINGE, &b, other_x, other_key); break;
            case MERIT_LINK_EXPONENTIAL:
                meet_one(w->a, MERIT_LINK_EXPONENTIAL, &b, other_x, other_key);
                break;
            default: meet_one(w->a, MERIT_LINK_LOGISTIC, &b, other_x, other_key); break;
            }
        }
        for (int i = 0; i < length; i++) {
            w->losses[start + i] = b.loss[i];
            w->slopes[start + i] = b.slope[i];
            counts->concordant += b.concordant[i];
            counts->discordant += b.discordant[i];
            counts->tied += b.tied[i];
        }
    }
}

#include "preference_list_group.h"

// Groups ------------------------------------------------------------------------------------------

// Where the arrays of a group lie.
static void place_arrays(list_work *w, int64_t group)
{
    const merit_preference_list_args *const a = w->a;
    const merit_list_span span = merit_list_span_of(a, group);
    w->resident = span.size <= RESIDENT;
    const int near = w->resident || a->xs == NULL;
    w->keys = near ? w->near_keys : a->keys + span.begin;
    w->xs = near ? w->near[0] : a->xs + span.begin;
    w->slopes = near ? w->near[1] : a->slopes + span.begin;
    w->losses = near ? w->near[2] : a->losses + span.begin;
}

static void run_alone(list_work *w, int64_t group)
{
    place_arrays(w, group);
    list_run_group(w, group);
}

// Groups of one size without a mask. dtype: a literal, which loops depend on.
BLOCK_INLINE void run_uniform(list_work *w, int32_t dtype, int64_t begin, int64_t end,
                              list_block *block)
{
    const merit_preference_list_args *const a = w->a;
    merit_list_span span = {.begin = 0, .size = a->d.groups.group_size};
    const int is_pair = span.size == 2 && a->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY;
    for (int64_t group = begin; group < end; group++) {
        span.begin = group * span.size;
        if (!block_take(a, dtype, group, &span, is_pair, 1, block)) run_alone(w, group);
        const int is_last = group == end - 1 && block->count > 0;
        if (block->count < LIST_BLOCK && !is_last) continue;
        list_run_block(a, dtype, is_pair, 1, w->scale, block);
    }
}

static void run_block(const list_work *w, int is_pair, list_block *block)
{
    list_run_block(w->a, w->a->d.score_dtype, is_pair, 0, w->scale, block);
}

// Whether the group is done, or will be when its block is full.
static int try_block(list_work *w, int64_t group, list_block *blocks)
{
    const merit_preference_list_args *const a = w->a;
    const merit_list_span span = merit_list_span_of(a, group);
    if (span.refusal != MERIT_LIST_FINE || span.size < 2 || span.size > LIST_BLOCK_SIZE) return 0;
    int members = a->io.mask == NULL ? (int)span.size : 0;
    for (int i = 0; a->io.mask != NULL && i < span.size; i++) {
        members += a->io.mask[span.begin + i] != 0;
    }
    if (members < 2) return 0;
    const int is_pair = members == 2 && a->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY;
    list_block *const block = &blocks[list_block_of((int)span.size, is_pair)];
    if (!block_take(a, a->d.score_dtype, group, &span, is_pair, 0, block)) return 0;
    if (block->count == LIST_BLOCK) run_block(w, is_pair, block);
    return 1;
}

static void run_groups(void *state, int64_t begin, int64_t end)
{
    list_work w;
    w.a = state;
    w.scale = merit_list_scale(w.a, w.a->num_valid);
    list_block blocks[LIST_BLOCKS];
    for (int n = 0; n < LIST_BLOCKS; n++) {
        blocks[n].count = blocks[n].size = blocks[n].is_sparse = 0;
    }
    const int by_blocks = list_block_suits(w.a);
    if (by_blocks && w.a->d.groups.group_size > 0 && w.a->io.mask == NULL) {
        switch (w.a->d.score_dtype) {
        case MERIT_DTYPE_BF16: run_uniform(&w, MERIT_DTYPE_BF16, begin, end, blocks); break;
        case MERIT_DTYPE_F16: run_uniform(&w, MERIT_DTYPE_F16, begin, end, blocks); break;
        default: run_uniform(&w, MERIT_DTYPE_F32, begin, end, blocks); break;
        }
        return;
    }
    for (int64_t group = begin; group < end; group++) {
        if (!by_blocks || !try_block(&w, group, blocks)) run_alone(&w, group);
    }
    for (int n = 0; n < LIST_BLOCKS; n++) {
        if (blocks[n].count > 0) run_block(&w, n == 0, &blocks[n]);
    }
}

static void write_outside(const merit_preference_list_args *a)
{
    int64_t before;
    int64_t after;
    merit_list_outside(a, &before, &after);
    for (int64_t i = 0; i < a->d.num_items; i++) {
        if (i == before) i = after;
        if (i >= a->d.num_items) break;
        const int64_t row = merit_list_row(a, 0, i);
        if (row >= 0) merit_list_store(a, row, 0.0);
    }
}

// Launcher ----------------------------------------------------------------------------------------

merit_preference_list_launcher MERIT_BACKEND_FN(preference_list);

int MERIT_BACKEND_FN(preference_list)(const merit_preference_list_args *args,
                                      const merit_launch *launch)
{
    merit_preference_list_args a = *args;
    const int64_t groups = a.d.groups.num_groups;
    a.num_valid = 0;
    if (a.needs_count) {
        merit_parallel_ranges(launch->num_threads, groups, 64, count_groups, &a);
    }
    merit_parallel_ranges(launch->num_threads, groups, 1, run_groups, &a);
    if (a.io.grad_scores != NULL) write_outside(&a);
    for (int64_t n = 0; n < a.empty_groups; n++) {
        if (a.io.group_loss != NULL) a.io.group_loss[n] = 0.0f;
        if (a.io.lse != NULL) a.io.lse[n] = 0.0f;
    }
    if (a.needs_fold) {
        const merit_preference_totals totals = preference_fold(&a.terms, launch->num_threads);
        merit_list_write_totals(&a, &totals);
    }
    return 0;
}
