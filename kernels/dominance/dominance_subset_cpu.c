// dominance_subset, CPU. A thread takes states; a class compares what the classes above it left, a vector
// of pairs at a time. Bound by the arithmetic of the comparisons.
#include "../backend.h"
#include "../core/parallel.h"
#include "dominance_order_cpu.h"

// Sets --------------------------------------------------------------------------------------------

static void set_valid(dominance_state *t, int64_t b)
{
    const int A = t->args->c.num_actions;
    const uint8_t *const valid = t->args->io.valid;
    memset(t->valid, 0, sizeof t->valid);
    for (int a = 0; a < A; a++) {
        if (valid == NULL || valid[b * A + a] != 0) t->valid[a / 32] |= 1u << (a % 32);
    }
}

// Actions whose rows cannot be compared: seen, and dropped if asked for.
static void look_for_nan(dominance_state *t)
{
    const merit_dominance_compare *const c = &t->args->c;
    const int A = c->num_actions;
    for (int a = 0; a < A; a++) {
        uint32_t flags = 0;
        if (!merit_dominance_has(t->valid, a)) continue;
        for (int m = 0; m < c->num_objectives; m++) {
            flags |= t->s.flags[(int64_t)m * A + a];
        }
        if ((flags & MERIT_DOMINANCE_ROW_UNKNOWN) != 0) t->flags |= MERIT_DOMINANCE_FLAG_NAN_SEEN;
        if (t->args->drop_nan && (flags & MERIT_DOMINANCE_ROW_NAN) != 0) {
            t->valid[a / 32] &= ~(1u << (a % 32));
        }
    }
    if (t->s.bad_weights && !merit_dominance_is_empty(t->valid, t->words)) {
        t->flags |= MERIT_DOMINANCE_FLAG_NAN_SEEN;
    }
}

// Those of the set with the largest least QD, into `kept`; all if none has one.
static void keep_maximin(dominance_state *t, const uint32_t *set, uint32_t objectives,
                         uint32_t *kept)
{
    uint32_t least[MERIT_DOMINANCE_MAX_ACTIONS];
    const int A = t->args->c.num_actions;
    const int alone = merit_dominance_size(set, t->words) == 1;
    merit_dominance_choice best = {0.0, -1};
    dominance_find_least(t, set, objectives, least);
    for (int a = 0; a < A; a++) {
        if (!merit_dominance_has(set, a)) continue;
        const double score = merit_dominance_least_score(least[a], alone);
        best = merit_dominance_better(best, merit_dominance_candidate(score, a));
    }
    memcpy(kept, set, (size_t)t->words * sizeof *kept);
    for (int a = 0; a < A && best.index >= 0; a++) {
        if (!merit_dominance_has(set, a)) continue;
        const double score = merit_dominance_least_score(least[a], alone);
        if (score != best.score) kept[a / 32] &= ~(1u << (a % 32));
    }
}

// Those of the set that reach whatever reaches them, by the relation of the class.
static void keep_top_cycle(dominance_state *t, const uint32_t *set, uint32_t objectives,
                           uint32_t *kept)
{
    dominance_findings f;
    const int A = t->args->c.num_actions, words = t->words;
    dominance_compare_set(t, set, objectives, 1, &f);
    for (int k = 0; k < A; k++) { // Warshall: rows become what an action reaches
        for (int a = 0; a < A; a++) {
            uint32_t *const row = t->matrix + (int64_t)a * words;
            if (!merit_dominance_has(row, k)) continue;
            for (int w = 0; w < words; w++) {
                row[w] |= t->matrix[(int64_t)k * words + w];
            }
        }
    }
    memcpy(kept, set, (size_t)words * sizeof *kept);
    for (int a = 0; a < A; a++) {
        for (int b = 0; b < A; b++) {
            if (merit_dominance_has(t->matrix + (int64_t)b * words, a) &&
                !merit_dominance_has(t->matrix + (int64_t)a * words, b)) {
                kept[a / 32] &= ~(1u << (a % 32));
            }
        }
    }
}

// Outputs -----------------------------------------------------------------------------------------

static void write_subset(const dominance_state *t, int m, const uint32_t *set)
{
    const merit_dominance_subset_args *const args = t->args;
    if (args->io.subset == NULL) return;
    const int64_t row = t->s.state * args->c.num_objectives + m;
    memcpy(args->io.subset + row * t->words, set, (size_t)t->words * sizeof *set);
}

static void write_greedy(const dominance_state *t, int m, const uint32_t *set)
{
    const merit_dominance_compare *const c = &t->args->c;
    if (t->args->io.greedy == NULL) return;
    merit_dominance_choice best = {0.0, -1};
    for (int a = 0; a < c->num_actions; a++) {
        if (!merit_dominance_has(set, a)) continue;
        const double sum = t->s.sums[(int64_t)m * c->num_actions + a];
        best = merit_dominance_better(
            best, merit_dominance_candidate(merit_dominance_signed_sum(c, m, sum), a));
    }
    if (best.index < 0) best.index = merit_dominance_member(set, t->words, 0);
    t->args->io.greedy[t->s.state * c->num_objectives + m] = best.index;
}

static int32_t pick(dominance_state *t, const uint32_t *set)
{
    const merit_dominance_subset_args *const args = t->args;
    const int A = args->c.num_actions, size = merit_dominance_size(set, t->words);
    uint32_t least[MERIT_DOMINANCE_MAX_ACTIONS];
    if (size == 0 || args->pick == MERIT_DOMINANCE_PICK_NONE) return -1;
    if (args->pick == MERIT_DOMINANCE_PICK_RANDOM) {
        const uint64_t product = (uint64_t)args->io.random[t->s.state] * (uint64_t)size;
        return merit_dominance_member(set, t->words, (int)(product >> 32));
    }
    merit_dominance_choice best = {0.0, -1};
    if (args->pick == MERIT_DOMINANCE_PICK_MAXIMIN) {
        dominance_find_least(t, set, 0xffffffffu, least);
    }
    for (int a = 0; args->pick != MERIT_DOMINANCE_PICK_FIRST && a < A; a++) {
        if (!merit_dominance_has(set, a)) continue;
        const double score = args->pick == MERIT_DOMINANCE_PICK_MAXIMIN
                                 ? merit_dominance_least_score(least[a], size == 1)
                                 : merit_dominance_score(args, t->s.sums, a);
        best = merit_dominance_better(best, merit_dominance_candidate(score, a));
    }
    return best.index >= 0 ? best.index : merit_dominance_member(set, t->words, 0);
}

// Classes -----------------------------------------------------------------------------------------

// What the class keeps of `set`, into `kept`.
static void run_class(dominance_state *t, uint32_t objectives, const uint32_t *set, uint32_t *kept)
{
    const merit_dominance_subset_args *const args = t->args;
    const int A = args->c.num_actions;
    dominance_findings f;
    int cycle = 0;
    dominance_settle(t, set, objectives, &f);
    for (int w = 0; w < t->words; w++) {
        kept[w] = set[w] & ~f.beaten[w];
    }
    const int meets = merit_dominance_rule_of(args, objectives) == MERIT_DOMINANCE_RULE_ANY;
    const int fell =
        merit_dominance_is_empty(kept, t->words) && !merit_dominance_is_empty(set, t->words);
    if (fell) {
        t->flags |= MERIT_DOMINANCE_FLAG_FALLBACK;
        cycle = !meets;
        switch (args->on_empty) {
        case MERIT_DOMINANCE_ON_EMPTY_MAXIMIN: keep_maximin(t, set, objectives, kept); break;
        case MERIT_DOMINANCE_ON_EMPTY_TOP_CYCLE: keep_top_cycle(t, set, objectives, kept); break;
        default: memcpy(kept, set, (size_t)t->words * sizeof *kept); break;
        }
    }
    const int rulebook = args->mode == MERIT_DOMINANCE_MODE_RULEBOOK;
    const int several = (objectives & (objectives - 1)) != 0;
    for (int m = 0; m < args->c.num_objectives; m++) {
        uint32_t own[MERIT_DOMINANCE_MAX_WORDS]; // ND_m of MEET
        if ((objectives >> m & 1u) == 0) continue;
        memset(own, 0, sizeof own);
        for (int a = 0; meets && a < A; a++) {
            const int stays = merit_dominance_has(set, a) && (f.beaten_under[a] >> m & 1u) == 0;
            own[a / 32] |= (uint32_t)stays << (a % 32);
        }
        const int empty = merit_dominance_is_empty(own, t->words);
        cycle |= meets && empty && !merit_dominance_is_empty(set, t->words);
        const uint32_t *const result = meets && several && !rulebook ? own : kept;
        write_subset(t, m, result);
        write_greedy(t, m, merit_dominance_is_empty(result, t->words) ? kept : result);
    }
    if (cycle) t->flags |= MERIT_DOMINANCE_FLAG_CYCLE;
}

static void run_state(dominance_state *t, int64_t b)
{
    const merit_dominance_subset_args *const args = t->args;
    uint32_t sets[MERIT_DOMINANCE_MAX_OBJECTIVES * MERIT_DOMINANCE_MAX_WORDS];
    uint32_t set[MERIT_DOMINANCE_MAX_WORDS];
    const size_t bytes = (size_t)t->words * sizeof *set;
    t->flags = 0;
    dominance_set_state(&t->s, b);
    m_count(args->c.diagnostics, MERIT_COUNTER_BAD_WEIGHT, (uint64_t)t->s.bad_weights);
    set_valid(t, b);
    dominance_describe_state(t);
    look_for_nan(t);
    if (merit_dominance_is_empty(t->valid, t->words)) {
        t->flags |= MERIT_DOMINANCE_FLAG_NO_VALID_ACTION;
    }
    for (int i = 0; i < args->num_classes; i++) {
        const int k = args->order[i];
        const merit_dominance_class *const class = &args->classes[k];
        if (merit_dominance_walk(sets, class->above, t->words, t->valid, set)) {
            t->flags |= MERIT_DOMINANCE_FLAG_BRANCH_SKIPPED;
        }
        run_class(t, class->objectives, set, sets + k * t->words);
    }
    if (merit_dominance_walk(sets, args->last, t->words, t->valid, set)) {
        t->flags |= MERIT_DOMINANCE_FLAG_BRANCH_SKIPPED;
    }
    if (args->io.final != NULL) memcpy(args->io.final + b * t->words, set, bytes);
    if (args->io.action != NULL) args->io.action[b] = pick(t, set);
    if (args->io.flags != NULL) args->io.flags[b] = t->flags;
}

static void run_slots(void *state, int64_t begin, int64_t end)
{
    const merit_dominance_subset_args *const args = state;
    const merit_dominance_compare *const c = &args->c;
    const int64_t slots = args->scratch.num_slots;
    const int64_t A = c->num_actions;
    for (int64_t slot = begin; slot < end; slot++) {
        dominance_state t = {.args = args, .words = merit_dominance_words(c->num_actions)};
        t.s = dominance_slot_of(c, &args->scratch, slot);
        t.relations = args->relations + slot * A * 2 * MERIT_DOMINANCE_WIDEST;
        t.matrix = args->matrix == NULL ? NULL : args->matrix + slot * A * t.words;
        const int64_t first = c->num_states / slots * slot +
                              (slot < c->num_states % slots ? slot : c->num_states % slots);
        const int64_t count = c->num_states / slots + (slot < c->num_states % slots);
        for (int64_t b = first; b < first + count; b++) {
            run_state(&t, b);
        }
    }
}

// Launcher ----------------------------------------------------------------------------------------

merit_dominance_subset_launcher MERIT_BACKEND_FN(dominance_subset);

int MERIT_BACKEND_FN(dominance_subset)(const merit_dominance_subset_args *args,
                                       const merit_launch *launch)
{
    merit_parallel_ranges(launch->num_threads, args->scratch.num_slots, 1, run_slots, (void *)args);
    return 0;
}
