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

#ifdef __cplusplus
}
#endif

#endif
