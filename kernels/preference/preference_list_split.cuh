// preference_list, CUDA: groups too large for one block. The first launch lists them, a second one does them,
// in two to four phases: each needs what all blocks found in the one before (the mean of the scores, the
// maximum, the sums of exponentials relative to it, the mean slope), and no order of the sums would give
// the same bits without. A phase spreads the units of every listed group (tiles of 2048 items; runs of 256
// where items meet all others) over the blocks, and the last block to finish a group's units closes the
// phase: it folds the partials by the tree over tiles, and tells the others that the next phase can begin.
// Blocks take units in the order of the phases (block_claim), so they wait only for blocks that run.
#ifndef MERIT_PREFERENCE_LIST_SPLIT_CUH
#define MERIT_PREFERENCE_LIST_SPLIT_CUH

#include "preference_list_team.cuh"
#include "preference_terms.cuh"

namespace
{

typedef ListWork<kTeamBlockWide> BlockWork;

struct MergePartials {
    MERIT_HD merit_list_partial operator()(merit_list_partial a, merit_list_partial b) const
    {
        a.shape = merit_list_shape_merge(a.shape, b.shape);
        a.extremes = merit_list_extremes_merge(a.extremes, b.extremes);
        for (int k = 0; k < MERIT_LIST_SPLIT_SUMS; k++) {
            a.sums[k] = m_add64(a.sums[k], b.sums[k]);
        }
        return a;
    }
};

// Listing -----------------------------------------------------------------------------------------

MERIT_DEVICE int64_t alone_items(const ListArgs &a)
{
    return a.d.mode == MERIT_LIST_MODE_ALL_PAIRS ? MERIT_LIST_PAIRS_ALONE : MERIT_LIST_ALONE;
}

constexpr uint32_t kNoGroup = 0xffffffffu;

// Where a block lists a group.
struct ListPlace {
    int64_t first; // of its tiles
    uint32_t at; // in the list, or kNoGroup
};

MERIT_DEVICE int64_t split_tiles_of(int64_t size)
{
    return (size + MERIT_TILE - 1) / MERIT_TILE;
}

// By one thread.
MERIT_DEVICE ListPlace take_place(const ListArgs &a, int64_t group)
{
    ListPlace p = {a.split_tile_capacity, kNoGroup};
    const merit_list_span span = merit_list_span_of(&a, group);
    if (span.refusal != MERIT_LIST_FINE || span.size <= alone_items(a)) return p;
    merit_list_group g;
    merit_list_begin(&a, &g, group);
    if (g.fate != MERIT_LIST_PRESENT) return p; // its items are not read
    const int64_t tiles = split_tiles_of(span.size);
    unsigned long long *const taken = reinterpret_cast<unsigned long long *>(
        a.terms.tickets + MERIT_PREFERENCE_TICKET_SPLIT_TILES);
    p.first = (int64_t)atomicAdd(taken, (unsigned long long)tiles);
    if (p.first + tiles > a.split_tile_capacity) return p;
    const uint32_t at = atomicAdd(&a.terms.tickets[MERIT_PREFERENCE_TICKET_SPLIT], 1u);
    if (at >= a.split_capacity) return p;
    p.at = at;
    merit_list_split *const entry = &a.split_groups[at];
    entry->g = g;
    entry->outcome = merit_list_outcome_empty();
    entry->size = span.size;
    entry->first_tile = p.first;
    entry->done = 0;
    entry->ready = MERIT_LIST_PHASE_SHAPE;
    return p;
}

// By a block: lists a group for the split schedule. The order of the list reaches no result. Only groups
// that overlap, because offsets decrease, can be more than the list holds: then false, and the block goes on
// with the group alone. place: shared.
MERIT_DEVICE_CALL bool list_for_split(const ListArgs &a, int64_t group, ListPlace *place)
{
    if (threadIdx.x == 0) place[0] = take_place(a, group);
    __syncthreads(); // the place is known
    const ListPlace p = place[0];
    __syncthreads(); // and read, before the next group's
    const int64_t tiles = split_tiles_of(merit_list_span_of(&a, group).size);
    for (int64_t tile = p.first + threadIdx.x;
         tile < p.first + tiles && tile < a.split_tile_capacity; tile += kTeamBlock) {
        a.split_owners[tile] = p.at;
    }
    return p.at != kNoGroup;
}

// Phases ------------------------------------------------------------------------------------------

MERIT_HD static inline bool list_centers(const ListArgs &a)
{
    return a.d.center != MERIT_LIST_CENTER_NONE;
}

MERIT_HD static inline bool list_by_pairs(const ListArgs &a)
{
    return a.d.mode == MERIT_LIST_MODE_ALL_PAIRS;
}

// Gradients that need the mean slope, or the slopes of all blocks, wait for a phase of their own.
MERIT_HD static inline int writing_phase(const ListArgs &a)
{
    return list_centers(a) || list_by_pairs(a) ? MERIT_LIST_PHASE_WRITE : MERIT_LIST_PHASE_TERMS;
}

// ANCHORED has its loss from the phase before.
MERIT_HD static inline int last_phase(const ListArgs &a)
{
    if (a.io.grad_scores != NULL) return writing_phase(a);
    return a.d.mode == MERIT_LIST_MODE_ANCHORED ? MERIT_LIST_PHASE_SUMS : MERIT_LIST_PHASE_TERMS;
}

MERIT_HD static inline bool phase_meets(const ListArgs &a, int phase)
{
    return list_by_pairs(a) && phase == MERIT_LIST_PHASE_TERMS;
}

// The kinds of terms that a phase adds up.
struct PhaseSums {
    merit_list_term_kind kind[MERIT_LIST_SPLIT_SUMS];
};

MERIT_DEVICE PhaseSums phase_sums(const ListArgs &a, const merit_list_group &g, int phase)
{
    PhaseSums s = {{MERIT_LIST_TERM_NONE, MERIT_LIST_TERM_NONE, MERIT_LIST_TERM_NONE}};
    const bool cross_entropy = a.d.mode == MERIT_LIST_MODE_CROSS_ENTROPY;
    const bool anchored = a.d.mode == MERIT_LIST_MODE_ANCHORED;
    const bool pointwise = anchored && a.d.anchored == MERIT_ANCHORED_POINTWISE;
    const bool slopes = list_centers(a) && a.io.grad_scores != NULL;
    switch (phase) {
    case MERIT_LIST_PHASE_SHAPE:
        if (list_centers(a)) s.kind[0] = MERIT_LIST_TERM_SCORE;
        if (cross_entropy && a.d.target == MERIT_LIST_TARGET_WEIGHTS) {
            s.kind[1] = MERIT_LIST_TERM_WEIGHT;
        }
        break;
    case MERIT_LIST_PHASE_SUMS:
        if (a.io.lse != NULL || (cross_entropy && !g.is_pair)) s.kind[0] = MERIT_LIST_TERM_EXP;
        if (anchored) s.kind[1] = MERIT_LIST_TERM_EXP_POSITIVE;
        if (anchored) s.kind[2] = MERIT_LIST_TERM_EXP_NEGATIVE;
        if (pointwise) s.kind[1] = MERIT_LIST_TERM_LOSS;
        if (pointwise) s.kind[2] = slopes ? MERIT_LIST_TERM_SLOPE : MERIT_LIST_TERM_NONE;
        break;
    default:
        if (cross_entropy) s.kind[0] = MERIT_LIST_TERM_LOSS;
        if (slopes && !pointwise) s.kind[1] = MERIT_LIST_TERM_SLOPE;
        break;
    }
    return s;
}

// Of scores, which the positives of ALL_PAIRS, found by the labels of the whole group, do not allow.
MERIT_HD static inline bool needs_extremes(const ListArgs &a)
{
    return !list_by_pairs(a) && (a.io.metrics != NULL || a.d.mode == MERIT_LIST_MODE_ANCHORED);
}

MERIT_DEVICE void add_above(BlockWork *w, merit_list_split *entry, int64_t first, int64_t count)
{
    if (w->a->io.metrics == NULL || !merit_list_has_both(&w->g)) return;
    const int64_t above = list_count_above(w, first, count);
    if (w->team.rank != 0 || above == 0) return;
    atomicAdd(reinterpret_cast<unsigned long long *>(&entry->outcome.above),
              (unsigned long long)above);
}

// One tile of a phase other than the meeting of pairs.
MERIT_DEVICE_CALL void run_tile(BlockWork *w, merit_list_split *entry, int64_t tile, int phase)
{
    const ListArgs &a = *w->a;
    const int64_t first = tile * MERIT_TILE;
    const int64_t left = w->g.span.size - first;
    const int64_t count = left < MERIT_TILE ? left : (int64_t)MERIT_TILE;
    const bool writes = a.io.grad_scores != NULL && phase == writing_phase(a);
    if (w->g.fate != MERIT_LIST_PRESENT) {
        const double value = w->g.fate == MERIT_LIST_NAN ? m_nan64() : 0.0;
        if (writes) list_fill(w, first, count, value);
        return;
    }
    merit_list_partial *const partial = &a.split_tiles[entry->first_tile + tile];
    if (phase == MERIT_LIST_PHASE_SHAPE) {
        list_find_shape(w, first, count); // in place of the group's, which is not known yet
        const merit_list_extremes e =
            needs_extremes(a) ? list_find_extremes(w, first, count) : merit_list_extremes_empty();
        if (w->team.rank == 0) partial->shape = w->g.shape;
        if (w->team.rank == 0) partial->extremes = e;
    }
    if (phase == MERIT_LIST_PHASE_SUMS && list_by_pairs(a)) {
        list_lay_out(w, first, count);
        if (a.io.metrics != NULL) {
            const merit_list_extremes e = list_find_extremes(w, first, count);
            if (w->team.rank == 0) partial->extremes = e;
        }
    }
    if (phase == MERIT_LIST_PHASE_SUMS && !list_by_pairs(a)) add_above(w, entry, first, count);
    const PhaseSums sums = phase_sums(a, w->g, phase);
    for (int k = 0; k < MERIT_LIST_SPLIT_SUMS && phase != MERIT_LIST_PHASE_WRITE; k++) {
        const bool wanted = sums.kind[k] != MERIT_LIST_TERM_NONE;
        const double sum = wanted ? list_tile_sum(w, tile, sums.kind[k]) : 0.0;
        if (w->team.rank == 0) partial->sums[k] = sum;
    }
    if (writes) {
        __syncthreads(); // the loss terms are read: gradients may lie over their scores
        list_write_gradients(w, first, count);
    }
}

// 256 items meet all others.
MERIT_DEVICE_CALL void run_meeting(BlockWork *w, merit_list_split *entry, int64_t unit)
{
    const int64_t first = unit * kTeamBlock;
    const int64_t left = w->g.span.size - first;
    const int64_t count = left < kTeamBlock ? left : (int64_t)kTeamBlock;
    merit_list_gathered counts = {0.0, 0.0, 0, 0, 0};
    list_meet(w, first, count, &counts);
    add_above(w, entry, first, count);
    const int64_t concordant = list_total(w, counts.concordant);
    const int64_t discordant = list_total(w, counts.discordant);
    const int64_t tied = list_total(w, counts.tied);
    if (w->team.rank != 0) return;
    merit_list_outcome *const o = &entry->outcome;
    atomicAdd(reinterpret_cast<unsigned long long *>(&o->concordant),
              (unsigned long long)concordant);
    atomicAdd(reinterpret_cast<unsigned long long *>(&o->discordant),
              (unsigned long long)discordant);
    atomicAdd(reinterpret_cast<unsigned long long *>(&o->tied), (unsigned long long)tied);
}

// Closing -----------------------------------------------------------------------------------------

MERIT_DEVICE_CALL void fold_list_partials(merit_list_partial *partials, int64_t tiles)
{
    block_fold_records(partials, tiles, MergePartials());
}

// The group's loss, metrics and counters, and the fold of all groups if they are complete.
MERIT_DEVICE void record_split(BlockWork *w, const merit_list_split *entry)
{
    const ListArgs &a = *w->a;
    if (w->team.rank == 0) {
        const merit_list_outcome o = entry->outcome;
        if (w->g.fate == MERIT_LIST_PRESENT) {
            merit_list_record(&a, &w->g, &o);
        } else {
            merit_list_record_unread(&a, &w->g);
        }
    }
    if (a.needs_fold && finish_terms(a.terms, w->team, w->g.group, 1) && w->team.rank == 0) {
        merit_list_write_totals(&a, &a.terms.tiles[0]);
    }
}

MERIT_DEVICE void close_shape(BlockWork *w, const merit_list_partial &all)
{
    merit_list_group *const g = &w->g;
    g->shape = all.shape;
    merit_list_judge(w->a, g);
    if (g->fate != MERIT_LIST_PRESENT) return;
    g->sum_weight = all.sums[1];
    merit_list_settle(w->a, g, all.sums[0]);
    if (list_by_pairs(*w->a)) return;
    g->extremes = all.extremes;
    merit_list_settle_extremes(w->a, g);
    if (w->a->d.mode == MERIT_LIST_MODE_ANCHORED) merit_list_place_anchors(w->a, g);
}

MERIT_DEVICE void close_sums(BlockWork *w, const merit_list_partial &all)
{
    const ListArgs &a = *w->a;
    merit_list_group *const g = &w->g;
    if (a.io.lse != NULL && w->team.rank == 0) {
        a.io.lse[g->group] = merit_list_lse(g, all.sums[0]);
    }
    switch (a.d.mode) {
    case MERIT_LIST_MODE_ALL_PAIRS: g->extremes = all.extremes; break;
    case MERIT_LIST_MODE_ANCHORED:
        merit_list_close_anchored(&a, g, all.sums[1], all.sums[2]);
        g->slope_mean = m_div64(all.sums[2], (double)g->shape.content.members); // POINTWISE
        break;
    default:
        if (g->is_pair) break;
        g->sum_exp = all.sums[0];
        g->log_sum = m_log64(g->sum_exp);
        break;
    }
}

MERIT_DEVICE void close_terms(BlockWork *w, const merit_list_split *entry,
                              const merit_list_partial &all)
{
    const ListArgs &a = *w->a;
    merit_list_group *const g = &w->g;
    if (list_by_pairs(a)) {
        const merit_list_outcome o = entry->outcome;
        list_close_pairs(w, o.concordant + o.discordant + o.tied);
        return;
    }
    const bool anchored = a.d.mode == MERIT_LIST_MODE_ANCHORED;
    if (!anchored) g->loss = all.sums[0];
    if (anchored && a.d.anchored == MERIT_ANCHORED_POINTWISE) return;
    g->slope_mean = m_div64(all.sums[1], (double)g->shape.content.members);
}

// By the last block of the group in this phase.
MERIT_DEVICE_CALL void close_phase(BlockWork *w, merit_list_split *entry, int phase)
{
    const ListArgs &a = *w->a;
    merit_list_partial *const partials = &a.split_tiles[entry->first_tile];
    if (!phase_meets(a, phase)) fold_list_partials(partials, split_tiles_of(entry->size));
    const merit_list_partial all = partials[0];
    switch (phase) {
    case MERIT_LIST_PHASE_SHAPE: close_shape(w, all); break;
    case MERIT_LIST_PHASE_SUMS: close_sums(w, all); break;
    default: close_terms(w, entry, all); break;
    }
    const int recording = w->g.fate != MERIT_LIST_PRESENT        ? MERIT_LIST_PHASE_SHAPE
                          : a.d.mode == MERIT_LIST_MODE_ANCHORED ? MERIT_LIST_PHASE_SUMS
                                                                 : MERIT_LIST_PHASE_TERMS;
    if (phase == recording) record_split(w, entry);
    __syncthreads(); // all have read the entry
    if (w->team.rank != 0) return;
    entry->g = w->g;
    // a group found wanting has no phase to close any more
    block_tell(&entry->ready, w->g.fate == MERIT_LIST_PRESENT ? (uint32_t)phase + 1
                                                              : (uint32_t)MERIT_LIST_PHASE_WRITE);
}

// Units -------------------------------------------------------------------------------------------

constexpr int kMeetings = MERIT_TILE / kTeamBlock; // units of a tile where items meet

// Unit `unit` of a phase of all listed groups.
MERIT_DEVICE_CALL void run_unit(BlockWork *w, int phase, int64_t unit)
{
    const ListArgs &a = *w->a;
    const bool meets = phase_meets(a, phase);
    const int per_tile = meets ? kMeetings : 1;
    const uint32_t owner = a.split_owners[unit / per_tile];
    if (owner == kNoGroup) return;
    merit_list_split *const entry = &a.split_groups[owner];
    const int64_t unit_items = MERIT_TILE / per_tile;
    const int64_t units = (entry->size + unit_items - 1) / unit_items;
    unit -= entry->first_tile * per_tile;
    if (unit >= units) return; // behind the last item of its tile
    if (phase != MERIT_LIST_PHASE_SHAPE) block_wait(&entry->ready, (uint32_t)phase);
    w->g = entry->g; // written again only when this unit, too, is done
    if (a.keys != NULL) {
        w->keys = a.keys + w->g.span.begin;
        w->xs = a.xs + w->g.span.begin;
        w->slopes = a.slopes + w->g.span.begin;
        w->losses = a.losses + w->g.span.begin;
    }
    const bool present = w->g.fate == MERIT_LIST_PRESENT;
    if (meets && present) run_meeting(w, entry, unit);
    if (!meets) run_tile(w, entry, unit, phase);
    if (!present || phase == MERIT_LIST_PHASE_WRITE) return;
    if (block_is_last(&entry->done, 1, (uint32_t)units)) close_phase(w, entry, phase);
}

// All phases. A block takes at most twice its share of the units, so that the emulator, too, spreads them.
MERIT_DEVICE void run_split(BlockWork *w)
{
    const ListArgs &a = *w->a;
    uint32_t *const tickets = a.terms.tickets;
    uint64_t *const claims =
        reinterpret_cast<uint64_t *>(tickets + MERIT_PREFERENCE_TICKET_SPLIT_CLAIMS);
    const uint64_t taken =
        *reinterpret_cast<uint64_t *>(tickets + MERIT_PREFERENCE_TICKET_SPLIT_TILES);
    const uint64_t room = (uint64_t)a.split_tile_capacity;
    const int64_t tiles = (int64_t)(taken < room ? taken : room);
    const int last = last_phase(a);
    int64_t total = 0;
    for (int phase = 0; phase <= last; phase++) {
        total += phase_meets(a, phase) ? tiles * kMeetings : tiles;
    }
    const int64_t share = 2 * (total / (int64_t)gridDim.x + 1);
    for (int64_t n = 0; n < share; n++) {
        int64_t unit = block_claim(claims);
        if (unit >= total) return;
        int phase = 0;
        for (;; phase++) {
            const int64_t units = phase_meets(a, phase) ? tiles * kMeetings : tiles;
            if (unit < units) break;
            unit -= units;
        }
        run_unit(w, phase, unit);
    }
}

} // namespace

#endif
