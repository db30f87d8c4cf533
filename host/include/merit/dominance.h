// Dominance: comparing distributions of returns given as quantiles, actions that survive a ranking of
// objectives, and the targets and losses of quantile critics.
//
// Letters: B states (prompts), M objectives, A actions (responses), N quantile levels. Q[b,m,a,n] is
// level n of the return of action a under objective m; all actions of a state share one grid.
#ifndef MERIT_DOMINANCE_H
#define MERIT_DOMINANCE_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

// What a pair of actions is compared by.
typedef enum merit_dominance_measure {
    MERIT_DOMINANCE_MEASURE_QUANTILE = 0, // level by level
    MERIT_DOMINANCE_MEASURE_MANN_WHITNEY = 1 // every sample with every sample, coupling ignored
} merit_dominance_measure;

// What a tied level is with power 0.
typedef enum merit_dominance_ties {
    MERIT_DOMINANCE_TIES_EXCLUDE = 0, // nothing
    MERIT_DOMINANCE_TIES_HALF = 1 // half a win for both
} merit_dominance_ties;

// dominance_pairwise ------------------------------------------------------------------------------

// Arrays of per-objective values are host memory, copied by the call.
typedef struct merit_dominance_pairwise_desc {
    size_t struct_size;
    int64_t num_states; // B >= 0; default 0
    int32_t num_objectives; // M, 1..32; default 1
    int32_t num_actions; // A, 1..1024; default 1
    int32_t num_levels; // N, 1..65536; default 1
    int32_t dtype; // F32, F16 or BF16: quantiles; default F32
    int64_t stride_state; // elements from state to state; 0 = M A N; default 0, as of the next four
    int64_t stride_objective; // 0 = A N
    int64_t stride_action; // 0 = N
    int64_t stride_level; // 0 = 1
    int64_t weights_stride_state; // elements of weights from state to state; 0: one row for all
    int32_t measure; // merit_dominance_measure; default QUANTILE
    int32_t power; // p: 0, 1 or 2; default 1
    int32_t ties; // merit_dominance_ties; default EXCLUDE; of power 0
    int32_t integrate; // 1: second order, running sums of the differences; default 0
    int32_t sort_levels; // 1: each row is sorted first, N at most 4096; default 0
    const int32_t *sign; // [M] 1 or -1, NULL = 1: -1 where smaller is better
    const float *delta; // [M] >= 0, NULL = 0: dead zone, in units of Q
} merit_dominance_pairwise_desc;

typedef struct merit_dominance_pairwise_io {
    size_t struct_size;
    const void *q; // in   [B,M,A,N] dtype, strides
    const float *weights; // in   [N] or [B,N] >= 0, NULL = 1/N; used as given
    float *qd; // out  [B,M,A,A], NULL: QD(a,b)
    float *gain; // out  [B,M,A,A], NULL: P(a,b); M(a,b) is its transpose
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_dominance_pairwise_io;

// Fills *desc with the defaults, which are the preset "qd.area". size is sizeof *desc as compiled.
MERIT_API merit_status merit_dominance_pairwise_desc_init(merit_dominance_pairwise_desc *desc,
                                                          size_t size);

// Overwrites every option of *desc (measure and all below) with those of a named preset:
//   "qd.area"       power 1: share of the area between the quantile curves
//   "qd.win_rate"   power 0, ties half      "qd.strict"  power 0, ties excluded
//   "aso"           power 2: 1 - QD is the violation ratio of almost stochastic order
//   "second_order"  integrate               "mann_whitney"
// Sizes, strides and dtype stay. NOT_FOUND when there is no such preset.
MERIT_API merit_status merit_dominance_pairwise_preset(const char *name,
                                                       merit_dominance_pairwise_desc *desc);

// Name of preset i, NULL past the last.
MERIT_API const char *merit_dominance_pairwise_preset_name(int32_t i);

MERIT_API merit_status merit_dominance_pairwise_workspace(merit_context *ctx,
                                                          const merit_dominance_pairwise_desc *desc,
                                                          size_t *bytes);

// Quantile dominance of every action over every other under one objective (definition: stochastic
// dominance and its "almost" forms; Leshno, Levy 2002; del Barrio et al. 2018; Dror et al. 2019).
//
//   d_n = sign (Q[a,n] - Q[b,n])      x = d - delta if d > delta, d + delta if d < -delta, else 0
//   P(a,b) = sum_n w_n [x_n > 0] |x_n|^p     M(a,b) = P(b,a)     T(a,b) = sum_n w_n [x_n = 0]
//   QD(a,b) = P / (P + M), 1/2 if P + M = 0;   power 0 and ties HALF: (P + T/2) / (P + M + T)
//
// integrate: d_n is sum_{k<=n} w_k d_k instead. MANN_WHITNEY: QD = (#{a_i > b_j} + #{a_i = b_j} / 2) /
// N^2, P = #{a_i > b_j} / N^2. P + M with power 1 is the W1 distance, 1 - QD with power 2 the W2
// violation ratio. With power 1, delta 0 and no integration P - M is exactly the difference of two
// binary64 means, so "P > M" cannot cycle.
//
// Diagonal: QD 1/2, P 0. A NaN level makes every pair with its row NaN, and no other. Infinite levels:
// power 0 and MANN_WHITNEY compare as usual (an infinity ties with itself); power 1 and 2 follow IEEE,
// QD is NaN where P is infinite, and P and QD are NaN where the rows hold the same infinity at one
// level. MANN_WHITNEY and integrate expect rising
// levels: without sort_levels, a row that falls anywhere counts as a row of NaN (UNSORTED, per row).
// A negative or NaN weight makes all pairs of its states NaN (BAD_WEIGHT, per state).
//
// Precision: differences in binary32, one rounding; sums over levels in binary32 on four lanes, level
// n on lane n mod 4 (relative error (N/4 + 4) 2^-24), means and integration in binary64; counts are
// exact; one rounding to the result. Levels: run_to_run, batch_invariant, launch_invariant,
// isa_invariant, cpu_gpu_equal. One launch; no array of size A x A x N exists. The workspace holds a
// few rows per thread (CPU) or, with sort_levels, A rows per block (CUDA).
// Statuses: INVALID_ARGUMENT (NULL q, no output, a size, stride or option out of range, sign not 1
// or -1, delta negative or NaN, overlap), UNSUPPORTED (MANN_WHITNEY with weights, integrate or delta;
// sort_levels with N > 4096), WORKSPACE_TOO_SMALL, CUDA_ERROR.
MERIT_API merit_status merit_dominance_pairwise(merit_context *ctx,
                                                const merit_dominance_pairwise_desc *desc,
                                                const merit_dominance_pairwise_io *io,
                                                void *workspace, size_t workspace_bytes,
                                                merit_stream stream);

// dominance_subset --------------------------------------------------------------------------------

typedef enum merit_dominance_mode {
    MERIT_DOMINANCE_MODE_CASCADE = 0, // class after class, each on what those above left
    MERIT_DOMINANCE_MODE_RULEBOOK = 1 // one relation: an objective excuses those below it
} merit_dominance_mode;

// Several objectives of equal importance.
typedef enum merit_dominance_within {
    MERIT_DOMINANCE_WITHIN_PARETO = 0, // drop what is beaten under one of them and wins under none
    MERIT_DOMINANCE_WITHIN_MEET = 1 // what no objective drops
} merit_dominance_within;

// What a class keeps when it would drop everything.
typedef enum merit_dominance_on_empty {
    MERIT_DOMINANCE_ON_EMPTY_KEEP = 0, // everything: the class abstains
    MERIT_DOMINANCE_ON_EMPTY_MAXIMIN = 1, // those with the largest least QD over the others
    MERIT_DOMINANCE_ON_EMPTY_TOP_CYCLE = 2 // those that reach whatever reaches them
} merit_dominance_on_empty;

// The action to take of those that are left; ties: the lowest index.
typedef enum merit_dominance_pick {
    MERIT_DOMINANCE_PICK_NONE = 0,
    MERIT_DOMINANCE_PICK_MEAN = 1, // largest weighted sum of means
    MERIT_DOMINANCE_PICK_MAXIMIN = 2, // largest least QD over the others, under any objective
    MERIT_DOMINANCE_PICK_RANDOM = 3, // member floor(random * size / 2^32)
    MERIT_DOMINANCE_PICK_FIRST = 4
} merit_dominance_pick;

// Bits of `flags`.
enum {
    MERIT_DOMINANCE_FLAG_FALLBACK = 1, // a class fell back on on_empty
    MERIT_DOMINANCE_FLAG_BRANCH_SKIPPED =
        2, // two branches had nothing in common: the later was left out
    MERIT_DOMINANCE_FLAG_NAN_SEEN = 4, // a valid action has a row that cannot be compared
    MERIT_DOMINANCE_FLAG_NO_VALID_ACTION = 8,
    MERIT_DOMINANCE_FLAG_CYCLE = 16 // everything was beaten by something
};

typedef struct merit_dominance_subset_desc {
    size_t struct_size;
    // As in merit_dominance_pairwise_desc, with the same defaults.
    int64_t num_states;
    int32_t num_objectives;
    int32_t num_actions;
    int32_t num_levels;
    int32_t dtype;
    int64_t stride_state;
    int64_t stride_objective;
    int64_t stride_action;
    int64_t stride_level;
    int64_t weights_stride_state;
    int32_t measure;
    int32_t power;
    int32_t ties;
    int32_t integrate;
    int32_t sort_levels;
    const int32_t *sign;
    const float *delta;
    // The relation and the ranking.
    const float *theta; // [M] in [0.5, 1], NULL = 0.75: share of P + M that P must reach
    const float *eta; // [M] >= 0, NULL = 0: P - M must exceed it where it is above 0
    int32_t mode; // merit_dominance_mode; default CASCADE
    int32_t within_class; // merit_dominance_within; default PARETO
    const int32_t *rank; // [M], NULL: smaller = more important, equal = one class
    const uint8_t
        *above; // [M,M], NULL: above[m M + k] = 1 if m comes before k; strict, transitive.
    // Neither: rank m
    int32_t on_empty; // merit_dominance_on_empty; default KEEP
    int32_t pick; // merit_dominance_pick; default MEAN
    const float *pick_weights; // [M], NULL = 1 on the last class, 0 elsewhere; MEAN
    int32_t drop_nan; // 1: an action with a NaN level is not valid; default 0
} merit_dominance_subset_desc;

typedef struct merit_dominance_subset_io {
    size_t struct_size;
    const void *q; // in   [B,M,A,N] dtype, strides
    const float *weights; // in   [N] or [B,N] >= 0, NULL = 1/N
    const uint8_t *valid; // in   [B,A], NULL = all; the levels of the others are never read
    const uint32_t *random; // in   [B]: RANDOM
    uint32_t *subset; // out  [B,M,ceil(A/32)], NULL: bit a % 32 of word a / 32 = action a is kept
    uint32_t *final; // out  [B,ceil(A/32)], NULL; bits beyond A are 0
    int32_t *action; // out  [B], NULL: -1 if no action is valid, or with pick NONE
    int32_t *greedy; // out  [B,M], NULL: argmax of sign * mean over subset[m]; -1 if none is valid
    uint32_t *flags; // out  [B], NULL: MERIT_DOMINANCE_FLAG_ bits
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_dominance_subset_io;

// Fills *desc with the defaults, which are the preset "subset.lexicographic".
MERIT_API merit_status merit_dominance_subset_desc_init(merit_dominance_subset_desc *desc,
                                                        size_t size);

// Overwrites every option of *desc (measure and all below) with those of a named preset:
//   "subset.lexicographic"  objective 0 first, then 1, ...
//   "subset.pareto"         all equal, PARETO     "subset.independent"  all equal, MEET
//   "subset.rulebook"       mode RULEBOOK
//   "subset.slack"          theta 1/2: keeps all whose mean is at most eta (the caller's) below the best
MERIT_API merit_status merit_dominance_subset_preset(const char *name,
                                                     merit_dominance_subset_desc *desc);

// Name of preset i, NULL past the last.
MERIT_API const char *merit_dominance_subset_preset_name(int32_t i);

MERIT_API merit_status merit_dominance_subset_workspace(merit_context *ctx,
                                                        const merit_dominance_subset_desc *desc,
                                                        size_t *bytes);

// Keeps, state by state, the actions that no other action beats, objective by objective in their order of
// importance (lexicographic filters and rulebooks: Censi et al. 2019; slack: Wray et al. 2015).
//
//   a > b  <=>  P > M,  P - M > eta (if eta > 0),  and (1 - theta) P >= theta M  (theta = 1: M = 0;
//               ties HALF and MANN_WHITNEY: P + T/2 >= theta (P + M + T))
//   ND_m(C) = { a in C: no b in C with b > a under m }
//
// CASCADE: a class K of equal objectives starts from C = the intersection of what the classes directly
// above it kept (in index order; one that would empty it is skipped, BRANCH_SKIPPED), the first from the
// valid actions. One objective keeps ND_m(C); PARETO drops b if some a in C beats b under an objective
// of K and b beats a under none; MEET keeps the intersection of ND_m(C), and subset[m] is ND_m(C) before
// it. Nothing kept: on_empty, FALLBACK. final is the intersection over the classes with nothing below.
// RULEBOOK: b beats a if b > a somewhere and every m with a > b has an m' strictly above with b > a;
// final, and every subset[m], is what nothing beats.
//
// Power 1 without delta cannot cycle: P - M is the difference of two means, so ND_m is never empty.
// An action with a NaN row (or UNSORTED levels) beats nobody and is beaten by nobody: it stays,
// NAN_SEEN; so is every action of a state with a bad weight. MEAN and greedy skip NaN means unless
// all are NaN, then the lowest index counts; means are the sums of the levels (times weights) in
// binary64, so a common factor 1/N is left out. MAXIMIN compares QD rounded to binary32 and skips NaN.
// greedy where subset[m] is empty under MEET: over what the class kept. No valid action: final 0, action
// and greedy -1, NO_VALID_ACTION.
//
// Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal: all outputs are
// discrete and equal on every backend. One launch; no array of size A x A x N exists, and the relation
// of two actions is a bit.
// Statuses: INVALID_ARGUMENT (as dominance_pairwise; NULL q, no output, theta outside [0.5, 1], eta
// negative or NaN, eta with MANN_WHITNEY, both rank and above, above not 0 or 1, reflexive, symmetric
// somewhere or not transitive, RANDOM without random or random without RANDOM, pick_weights not
// finite, overlap), UNSUPPORTED (as dominance_pairwise),
// WORKSPACE_TOO_SMALL, CUDA_ERROR.
MERIT_API merit_status merit_dominance_subset(merit_context *ctx,
                                              const merit_dominance_subset_desc *desc,
                                              const merit_dominance_subset_io *io, void *workspace,
                                              size_t workspace_bytes, merit_stream stream);

#ifdef __cplusplus
}
#endif

#endif
