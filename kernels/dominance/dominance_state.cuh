// One state of dominance_subset by a group of threads: comparing all pairs of a set of actions, and what
// the group finds by it. Every thread of the block takes part in everything; a group without a state
// brings empty sets to the barriers.
#ifndef MERIT_DOMINANCE_STATE_CUH
#define MERIT_DOMINANCE_STATE_CUH

#include "../core/counters.h"
#include "dominance_subset.h"
#include "dominance_tile.cuh"

typedef merit_dominance_subset_args SubsetArgs;

// The shared memory of a group; sets are [words].
template <int kEdge>
struct StateMemory {
    static constexpr int kActions = kEdge == 32 ? MERIT_DOMINANCE_MAX_ACTIONS : kEdge;
    static constexpr int kWords = (kActions + 31) / 32;
    float levels[TileShape<kEdge>::kRows * kDominanceStride];
    float weights[kDominanceChunk];
    double row_sums[TileShape<kEdge>::kRows];
    uint32_t row_flags[TileShape<kEdge>::kRows];
    int bad_weights;
    int fell; // the class kept nothing
    uint32_t flags; // MERIT_DOMINANCE_FLAG_ bits
    uint32_t valid[kWords], set[kWords], kept[kWords], beaten[kWords], own[kWords];
    uint32_t sets[MERIT_DOMINANCE_MAX_OBJECTIVES * kWords]; // [classes, words]: what they kept
    uint32_t beaten_under[kWords * 32]; // per action: objectives
    uint32_t least[kActions]; // bits of the least QD
    merit_dominance_choice choices[TileShape<kEdge>::kGroup];
};

template <int kEdge>
struct DominanceState {
    const SubsetArgs *args;
    StateMemory<kEdge> *s;
    int64_t slot; // of the group in the workspace
    int64_t index; // of the state
    int rank; // in the group
    int words;
    bool live;
};

template <int kEdge>
MERIT_DEVICE double *state_sums(const DominanceState<kEdge> &t)
{
    return t.args->scratch.sums + t.slot * t.args->scratch.rows_per_slot;
}

template <int kEdge>
MERIT_DEVICE uint32_t *state_matrix(const DominanceState<kEdge> &t)
{
    return t.args->matrix + t.slot * t.args->c.num_actions * t.words;
}

// The rows of the state under objective m.
template <int kEdge>
MERIT_DEVICE DominanceSource state_source(const DominanceState<kEdge> &t, int m, bool sorted)
{
    const merit_dominance_compare &c = t.args->c;
    const int64_t rows = t.slot * t.args->scratch.rows_per_slot + (int64_t)m * c.num_actions;
    DominanceSource source;
    source.c = &c;
    source.sorted = sorted && c.sort_levels ? t.args->scratch.sorted + rows * c.num_levels : NULL;
    source.state = t.index;
    source.objective = m;
    return source;
}

template <int kEdge>
MERIT_DEVICE TileMemory state_tile(const DominanceState<kEdge> &t)
{
    TileMemory memory;
    memory.levels = t.s->levels;
    memory.weights = t.s->weights;
    memory.sums = t.s->row_sums;
    memory.flags = t.s->row_flags;
    memory.bad_weights = &t.s->bad_weights;
    return memory;
}

// What a comparison is for.
enum StatePass {
    kPassRelation, // beaten, beaten_under; and, once per objective, the sums and flags of its rows
    kPassMatrix, // who beats whom
    kPassLeast, // the least QD of every action
    kPassDone
};

// What the rows of a tile on the diagonal tell, once per objective.
template <int kEdge>
MERIT_DEVICE void note_rows(const DominanceState<kEdge> &t, const DominanceSource &source,
                            const TileWork &w)
{
    const merit_dominance_compare &c = t.args->c;
    const bool bad = t.s->bad_weights != 0;
    const int a = w.rank < kEdge ? tile_action<kEdge>(source, w, w.rank) : -1;
    if (a >= 0) {
        const uint32_t flags = t.s->row_flags[w.rank];
        if (t.args->wants_means) {
            state_sums(t)[(int64_t)source.objective * c.num_actions + a] =
                bad ? m_nan64() : t.s->row_sums[w.rank];
        }
        if (bad || (flags & MERIT_DOMINANCE_ROW_UNKNOWN) != 0) {
            atomicOr(&t.s->flags, (uint32_t)MERIT_DOMINANCE_FLAG_NAN_SEEN);
        }
        m_count(c.diagnostics, MERIT_COUNTER_UNSORTED, (flags & MERIT_DOMINANCE_ROW_UNSORTED) != 0);
    }
    if (w.rank == 0 && w.live && w.first_a == 0 && source.objective == 0) {
        m_count(c.diagnostics, MERIT_COUNTER_BAD_WEIGHT, bad);
    }
}

// The thread's pairs under the objective: bits of the relation, or least QD.
template <int kEdge>
MERIT_DEVICE void judge_pairs(const DominanceState<kEdge> &t, const DominanceSource &source,
                              const TileWork &w, const TileMemory &memory, const TileSums &sums,
                              StatePass pass, uint32_t *ahead, uint32_t *behind)
{
    const merit_dominance_compare &c = t.args->c;
    const int m = source.objective;
#pragma unroll 1
    for (int p = 0; p < 4; p++) {
        const int a = tile_action<kEdge>(source, w, tile_row_a<kEdge>(w, p / 2));
        const int b = tile_action<kEdge>(source, w, tile_row_b<kEdge>(w, p % 2));
        if (a < 0 || b < 0 || a >= b) continue; // one of both orders
        if (!merit_dominance_has(t.s->set, a) || !merit_dominance_has(t.s->set, b)) continue;
        const merit_dominance_pair pair = tile_pair<kEdge>(source, w, memory, sums, p);
        const merit_dominance_pair turned = merit_dominance_turned(pair);
        if (pass == kPassLeast) {
            const float over = merit_dominance_qd(&c, pair);
            const float under = merit_dominance_qd(&c, turned);
            if (!m_is_nan32(over)) atomicMin(&t.s->least[a], m_bits32(over));
            if (!m_is_nan32(under)) atomicMin(&t.s->least[b], m_bits32(under));
        } else {
            const double theta = (double)t.args->theta[m];
            const double eta = (double)t.args->eta[m];
            ahead[p] |= (uint32_t)merit_dominance_beats(&c, theta, eta, pair) << m;
            behind[p] |= (uint32_t)merit_dominance_beats(&c, theta, eta, turned) << m;
        }
    }
}

// What the thread's pairs come to under all objectives.
template <int kEdge>
MERIT_DEVICE void note_pairs(const DominanceState<kEdge> &t, const DominanceSource &source,
                             const TileWork &w, merit_dominance_rule rule, StatePass pass,
                             const uint32_t *ahead, const uint32_t *behind)
{
#pragma unroll 1
    for (int p = 0; p < 4; p++) {
        if ((ahead[p] | behind[p]) == 0) continue;
        const int a = tile_action<kEdge>(source, w, tile_row_a<kEdge>(w, p / 2));
        const int b = tile_action<kEdge>(source, w, tile_row_b<kEdge>(w, p % 2));
        const int wins = merit_dominance_beats_by(t.args, rule, ahead[p], behind[p]);
        const int loses = merit_dominance_beats_by(t.args, rule, behind[p], ahead[p]);
        const uint32_t bit_a = 1u << (a % 32);
        const uint32_t bit_b = 1u << (b % 32);
        if (pass == kPassMatrix) {
            uint32_t *const matrix = state_matrix(t);
            if (wins) atomicOr(&matrix[(int64_t)a * t.words + b / 32], bit_b);
            if (loses) atomicOr(&matrix[(int64_t)b * t.words + a / 32], bit_a);
        } else {
            if (ahead[p] != 0) atomicOr(&t.s->beaten_under[b], ahead[p]);
            if (behind[p] != 0) atomicOr(&t.s->beaten_under[a], behind[p]);
            if (wins) atomicOr(&t.s->beaten[b / 32], bit_b);
            if (loses) atomicOr(&t.s->beaten[a / 32], bit_a);
        }
    }
}

// Compares all pairs of the set under the objectives; its writers have synchronized. Inlined at one
// place: the functions of a tile are calls already, and calls within calls would save registers.
template <int kEdge>
MERIT_DEVICE void compare_set(const DominanceState<kEdge> &t, uint32_t objectives, StatePass pass)
{
    const SubsetArgs &args = *t.args;
    const int A = args.c.num_actions;
    const merit_dominance_rule rule = merit_dominance_rule_of(&args, objectives);
    const int tiles = tile_count(kEdge, A);
    const TileMemory memory = state_tile(t);
    for (int tile = 0; tile < tiles; tile++) {
        TileWork w;
        uint32_t ahead[4] = {0, 0, 0, 0}; // local memory: they outlive calls
        uint32_t behind[4] = {0, 0, 0, 0};
        w.rank = t.rank;
        w.live = t.live;
        w.present = t.s->valid;
        tile_place(kEdge, A, tile, &w.first_a, &w.first_b);
        // Several tiles: one group, so this is decided for the block. The diagonal is always looked at,
        // for the rows' sake.
        const bool apart = w.first_a != w.first_b;
        if (apart && (t.s->set[w.first_a / 32] == 0 || t.s->set[w.first_b / 32] == 0)) continue;
        for (int m = 0; m < args.c.num_objectives; m++) {
            if ((objectives >> m & 1u) == 0) continue;
            TileSums sums;
            const DominanceSource source = state_source(t, m, true);
            tile_sums<kEdge>(source, w, memory, &sums);
            if (pass == kPassRelation && !apart) note_rows(t, source, w);
            judge_pairs(t, source, w, memory, sums, pass, ahead, behind);
            __syncthreads(); // the tile's shared results are read
        }
        note_pairs(t, state_source(t, 0, false), w, rule, pass, ahead, behind);
    }
    __syncthreads(); // what was found is there
}

// The best of the members of `set` by score(a); index -1 if none has a score. Every thread gets it.
template <int kEdge, typename Score>
MERIT_DEVICE merit_dominance_choice choose(const DominanceState<kEdge> &t, const uint32_t *set,
                                           Score score)
{
    merit_dominance_choice best;
    best.score = 0.0;
    best.index = -1;
    for (int a = t.rank; a < t.args->c.num_actions; a += TileShape<kEdge>::kGroup) {
        if (!merit_dominance_has(set, a)) continue;
        best = merit_dominance_better(best, merit_dominance_candidate(score(a), a));
    }
    t.s->choices[t.rank] = best;
    __syncthreads(); // all have theirs
    if (t.rank == 0) {
        for (int i = 1; i < TileShape<kEdge>::kGroup; i++) {
            best = merit_dominance_better(best, t.s->choices[i]);
        }
        t.s->choices[0] = best;
    }
    __syncthreads(); // the result is there
    const merit_dominance_choice result = t.s->choices[0];
    __syncthreads(); // and read
    return result;
}

#endif
