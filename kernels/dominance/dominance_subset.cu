// dominance_subset, CUDA. A group of 64 or 256 threads takes a state of at most 16, or more, actions from
// its levels to its masks. Levels are read class by class, once each as long as the actions fit one tile;
// the relation of a pair is a bit in a register, then an integer OR into shared memory.
#include "../backend.h"
#include "dominance_sort.cuh"
#include "dominance_state.cuh"

namespace
{

constexpr int kThreads = kDominanceThreads;

template <int kEdge>
constexpr int kStep = TileShape<kEdge>::kGroup; // threads of a group

// Sets --------------------------------------------------------------------------------------------

template <int kEdge>
MERIT_DEVICE void fill_words(const DominanceState<kEdge> &t, uint32_t *words, int count,
                             uint32_t value)
{
    for (int i = t.rank; i < count; i += kStep<kEdge>) {
        words[i] = value;
    }
}

template <int kEdge>
MERIT_DEVICE void read_valid(const DominanceState<kEdge> &t)
{
    const int A = t.args->c.num_actions;
    const uint8_t *const valid = t.args->io.valid;
    for (int w = t.rank; w < t.words; w += kStep<kEdge>) {
        uint32_t word = 0;
        for (int bit = 0; bit < 32 && 32 * w + bit < A && t.live; bit++) {
            if (valid == NULL || valid[t.index * A + 32 * w + bit] != 0) word |= 1u << bit;
        }
        t.s->valid[w] = word;
    }
}

// Takes actions with a NaN level out of the valid ones.
template <int kEdge>
MERIT_DEVICE void drop_nan(const DominanceState<kEdge> &t)
{
    const merit_dominance_compare &c = t.args->c;
    fill_words(t, t.s->own, t.words, 0);
    __syncthreads(); // before they are marked
    for (int i = t.rank; i < c.num_actions * c.num_objectives; i += kStep<kEdge>) {
        const int a = i % c.num_actions;
        if (!merit_dominance_has(t.s->valid, a)) continue;
        const DominanceSource source = state_source(t, i / c.num_actions, false);
        int found = 0;
        for (int n = 0; n < c.num_levels; n++) {
            found |= m_is_nan32(source_level(source, a, n));
        }
        if (found) atomicOr(&t.s->own[a / 32], 1u << (a % 32));
    }
    __syncthreads(); // all are marked
    for (int w = t.rank; w < t.words; w += kStep<kEdge>) {
        const uint32_t dropped = t.s->own[w];
        t.s->valid[w] &= ~dropped;
        if (dropped != 0) atomicOr(&t.s->flags, (uint32_t)MERIT_DOMINANCE_FLAG_NAN_SEEN);
    }
}

// On empty ----------------------------------------------------------------------------------------

// kept = those of set with the largest least QD; for the groups that fell.
template <int kEdge>
MERIT_DEVICE void keep_maximin(const DominanceState<kEdge> &t)
{
    const int alone = merit_dominance_size(t.s->set, t.words) == 1;
    const auto score = [&](int a) { return merit_dominance_least_score(t.s->least[a], alone); };
    const merit_dominance_choice best = choose(t, t.s->set, score);
    for (int w = t.rank; w < t.words && t.s->fell; w += kStep<kEdge>) {
        uint32_t word = t.s->set[w];
        for (int bit = 0; bit < 32 && best.index >= 0; bit++) {
            if ((word >> bit & 1u) != 0 && score(32 * w + bit) != best.score) word &= ~(1u << bit);
        }
        t.s->kept[w] = word;
    }
}

// kept = those of set that reach whatever reaches them; for the groups that fell.
template <int kEdge>
MERIT_DEVICE void keep_top_cycle(const DominanceState<kEdge> &t)
{
    const int A = t.args->c.num_actions;
    uint32_t *const matrix = state_matrix(t);
    for (int k = 0; k < A; k++) { // Warshall: rows become what an action reaches
        for (int a = t.rank; a < A; a += kStep<kEdge>) {
            uint32_t *const row = matrix + (int64_t)a * t.words;
            if (a == k || !merit_dominance_has(row, k)) continue; // row k stays as it is
            for (int w = 0; w < t.words; w++) {
                row[w] |= matrix[(int64_t)k * t.words + w];
            }
        }
        __syncthreads(); // this k is done
    }
    for (int w = t.rank; w < t.words && t.s->fell; w += kStep<kEdge>) {
        t.s->kept[w] = t.s->set[w];
    }
    __syncthreads(); // before some leave
    for (int a = t.rank; a < A && t.s->fell; a += kStep<kEdge>) {
        int leaves = 0;
        for (int b = 0; b < A; b++) {
            leaves |= merit_dominance_has(matrix + (int64_t)b * t.words, a) &&
                      !merit_dominance_has(matrix + (int64_t)a * t.words, b);
        }
        if (leaves) atomicAnd(&t.s->kept[a / 32], ~(1u << (a % 32)));
    }
}

// Outputs -----------------------------------------------------------------------------------------

template <int kEdge>
MERIT_DEVICE void write_greedy(const DominanceState<kEdge> &t, int m, const uint32_t *set)
{
    const merit_dominance_compare &c = t.args->c;
    const double *const sums = state_sums(t) + (int64_t)m * c.num_actions;
    const merit_dominance_choice best =
        choose(t, set, [&](int a) { return merit_dominance_signed_sum(&c, m, sums[a]); });
    if (t.rank != 0 || !t.live) return;
    t.args->io.greedy[t.index * c.num_objectives + m] =
        best.index >= 0 ? best.index : merit_dominance_member(set, t.words, 0);
}

// subset[m] and greedy of the objectives of a class.
template <int kEdge>
MERIT_DEVICE void write_class(const DominanceState<kEdge> &t, uint32_t objectives)
{
    const SubsetArgs &args = *t.args;
    const bool meets = merit_dominance_rule_of(&args, objectives) == MERIT_DOMINANCE_RULE_ANY;
    const bool own_sets = meets && (objectives & (objectives - 1)) != 0;
    for (int m = 0; m < args.c.num_objectives; m++) {
        if ((objectives >> m & 1u) == 0) continue;
        for (int w = t.rank; w < t.words; w += kStep<kEdge>) {
            uint32_t word = t.s->set[w]; // becomes ND_m
            for (int bit = 0; bit < 32; bit++) {
                if ((t.s->beaten_under[32 * w + bit] >> m & 1u) != 0) word &= ~(1u << bit);
            }
            t.s->own[w] = word;
        }
        __syncthreads(); // ND_m is there
        const int empty = merit_dominance_is_empty(t.s->own, t.words);
        if (t.rank == 0 && meets && empty && !merit_dominance_is_empty(t.s->set, t.words)) {
            t.s->flags |= MERIT_DOMINANCE_FLAG_CYCLE;
        }
        const uint32_t *const result = own_sets ? t.s->own : t.s->kept;
        if (args.io.subset != NULL && t.live) {
            const int64_t row = t.index * args.c.num_objectives + m;
            for (int w = t.rank; w < t.words; w += kStep<kEdge>) {
                args.io.subset[row * t.words + w] = result[w];
            }
        }
        if (args.io.greedy != NULL) write_greedy(t, m, own_sets && !empty ? result : t.s->kept);
        __syncthreads(); // own is read, before the next objective overwrites it
    }
}

// action from the set that is left.
template <int kEdge>
MERIT_DEVICE void write_action(const DominanceState<kEdge> &t)
{
    const SubsetArgs &args = *t.args;
    const uint32_t *const set = t.s->set;
    const int size = merit_dominance_size(set, t.words);
    const double *const sums = state_sums(t);
    merit_dominance_choice best;
    best.score = 0.0;
    best.index = -1;
    if (args.pick == MERIT_DOMINANCE_PICK_MEAN || args.pick == MERIT_DOMINANCE_PICK_MAXIMIN) {
        best = choose(t, set, [&](int a) {
            return args.pick == MERIT_DOMINANCE_PICK_MEAN
                       ? merit_dominance_score(&args, sums, a)
                       : merit_dominance_least_score(t.s->least[a], size == 1);
        });
    }
    if (t.rank != 0 || !t.live) return;
    int32_t action = best.index;
    if (args.pick == MERIT_DOMINANCE_PICK_RANDOM && size > 0) {
        const uint64_t product = (uint64_t)args.io.random[t.index] * (uint64_t)size;
        action = merit_dominance_member(set, t.words, (int)(product >> 32));
    } else if (args.pick != MERIT_DOMINANCE_PICK_NONE && action < 0) {
        action = merit_dominance_member(set, t.words, 0);
    }
    args.io.action[t.index] = action;
}

// Classes -----------------------------------------------------------------------------------------

// The set of a class, or the final one, and a clean start.
template <int kEdge>
MERIT_DEVICE void begin_class(const DominanceState<kEdge> &t, uint32_t above)
{
    if (t.rank == 0 && merit_dominance_walk(t.s->sets, above, t.words, t.s->valid, t.s->set)) {
        t.s->flags |= MERIT_DOMINANCE_FLAG_BRANCH_SKIPPED;
    }
    fill_words(t, t.s->beaten, t.words, 0);
    fill_words(t, t.s->beaten_under, 32 * t.words, 0);
    __syncthreads(); // the set is there, the rest is clear
}

// What the class keeps, from `beaten`. Returns whether a group of the block needs on_empty.
template <int kEdge>
MERIT_DEVICE bool keep_unbeaten(const DominanceState<kEdge> &t, uint32_t objectives)
{
    StateMemory<kEdge> &s = *t.s;
    if (t.rank == 0) {
        uint32_t left = 0;
        uint32_t all = 0;
        for (int w = 0; w < t.words; w++) {
            s.kept[w] = s.set[w] & ~s.beaten[w];
            left |= s.kept[w];
            all |= s.set[w];
        }
        s.fell = left == 0 && all != 0;
        for (int w = 0; w < t.words && s.fell; w++) {
            s.kept[w] = s.set[w];
        }
        const bool any = merit_dominance_rule_of(t.args, objectives) == MERIT_DOMINANCE_RULE_ANY;
        if (s.fell) s.flags |= MERIT_DOMINANCE_FLAG_FALLBACK;
        if (s.fell && !any) s.flags |= MERIT_DOMINANCE_FLAG_CYCLE;
    }
    __syncthreads(); // kept and fell are there
    return __syncthreads_or(s.fell) != 0;
}

// Classes in turn, then the action. Each takes up to two comparisons of a set.
template <int kEdge>
MERIT_DEVICE void run_state(const DominanceState<kEdge> &t)
{
    const SubsetArgs &args = *t.args;
    StateMemory<kEdge> &s = *t.s;
    for (int i = 0; i <= args.num_classes; i++) {
        const bool last = i == args.num_classes; // the action
        const int k = last ? 0 : args.order[i];
        const uint32_t objectives = last ? 0xffffffffu : args.classes[k].objectives;
        const bool compares =
            !last || (args.io.action != NULL && args.pick == MERIT_DOMINANCE_PICK_MAXIMIN);
        StatePass pass = !compares ? kPassDone : last ? kPassLeast : kPassRelation;
        begin_class(t, last ? args.last : args.classes[k].above);
        while (pass != kPassDone) {
            if (pass == kPassLeast) {
                fill_words(t, s.least, args.c.num_actions, MERIT_DOMINANCE_NOTHING_YET);
            }
            if (pass == kPassMatrix) {
                fill_words(t, state_matrix(t), args.c.num_actions * t.words, 0);
            }
            __syncthreads(); // before something is found
            compare_set(t, objectives, pass);
            if (pass == kPassRelation) {
                const bool fell = keep_unbeaten(t, objectives);
                pass = !fell || args.on_empty == MERIT_DOMINANCE_ON_EMPTY_KEEP ? kPassDone
                       : args.on_empty == MERIT_DOMINANCE_ON_EMPTY_MAXIMIN     ? kPassLeast
                                                                               : kPassMatrix;
                continue;
            }
            if (pass == kPassLeast && !last) keep_maximin(t);
            if (pass == kPassMatrix) keep_top_cycle(t);
            __syncthreads(); // kept is there
            pass = kPassDone;
        }
        if (last) continue;
        for (int w = t.rank; w < t.words; w += kStep<kEdge>) {
            s.sets[k * t.words + w] = s.kept[w];
        }
        write_class(t, objectives);
        __syncthreads(); // the class's set is there
    }
    if (args.io.action != NULL) write_action(t);
    if (args.io.final != NULL && t.live) {
        for (int w = t.rank; w < t.words; w += kStep<kEdge>) {
            args.io.final[t.index * t.words + w] = s.set[w];
        }
    }
    if (args.io.flags != NULL && t.live && t.rank == 0) args.io.flags[t.index] = s.flags;
}

// grid: at most the slots over the groups of a block; block: kThreads.
template <int kEdge>
MERIT_KERNEL(kThreads, 1)
dominance_subset_kernel(const MERIT_GRID_CONSTANT SubsetArgs args)
{
    constexpr int kGroups = TileShape<kEdge>::kGroups;
    MERIT_SHARED(StateMemory<kEdge>, groups, [kGroups]);
    MERIT_SHARED(uint32_t, keys, [kEdge == 32 ? MERIT_DOMINANCE_MAX_SORTED : 1]);
    const merit_dominance_compare &c = args.c;
    const int group = threadIdx.x / kStep<kEdge>;
    DominanceState<kEdge> t;
    t.args = &args;
    t.s = &groups[group];
    t.slot = (int64_t)blockIdx.x * kGroups + group;
    t.rank = threadIdx.x % kStep<kEdge>;
    t.words = merit_dominance_words(c.num_actions);
    for (int64_t base = (int64_t)blockIdx.x * kGroups; base < c.num_states;
         base += (int64_t)gridDim.x * kGroups) {
        t.live = base + group < c.num_states;
        t.index = t.live ? base + group : 0;
        read_valid(t);
        if (t.rank == 0) t.s->flags = 0;
        __syncthreads(); // the valid actions are there
        if (args.drop_nan) drop_nan(t);
        __syncthreads(); // some may have gone
        if (t.rank == 0 && merit_dominance_is_empty(t.s->valid, t.words)) {
            t.s->flags |= MERIT_DOMINANCE_FLAG_NO_VALID_ACTION;
        }
        for (int m = 0; kEdge == 32 && c.sort_levels && m < c.num_objectives; m++) {
            const DominanceSource to = state_source(t, m, true);
            sort_rows(to, t.s->valid, keys, const_cast<float *>(to.sorted));
        }
        run_state(t);
        __syncthreads(); // all is read, before the next state
    }
}

template <int kEdge>
static int launch_states(const SubsetArgs &a, const merit_launch *launch)
{
    const int64_t groups = TileShape<kEdge>::kGroups;
    const int64_t blocks = (a.c.num_states + groups - 1) / groups;
    const int64_t limit = a.scratch.num_slots / groups;
    return MERIT_LAUNCH(dominance_subset_kernel<kEdge>,
                        dim3((unsigned)(blocks < limit ? blocks : limit)), dim3(kThreads), 0,
                        launch->stream, a);
}

} // namespace

// Launchers ---------------------------------------------------------------------------------------

extern "C" int MERIT_BACKEND_FN(dominance_subset)(const merit_dominance_subset_args *args,
                                                  const merit_launch *launch)
{
    if (merit_dominance_subset_edge(&args->c) == 16) return launch_states<16>(*args, launch);
    return launch_states<32>(*args, launch);
}

extern "C" int MERIT_BACKEND_FN(dominance_subset_load)(const merit_launch *limits)
{
    (void)limits;
    cudaFuncAttributes attributes;
    const int code = (int)cudaFuncGetAttributes(&attributes, dominance_subset_kernel<16>);
    if (code != 0) return code;
    return (int)cudaFuncGetAttributes(&attributes, dominance_subset_kernel<32>);
}
