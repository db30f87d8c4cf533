// Quantile critics: the loss that trains quantiles of a return on samples of it, and the samples themselves
// from the quantiles of the next state.
//
// Letters: B states, M objectives, A actions; R rows (a state and an objective each), N quantile levels,
// N' target samples of a row.
#ifndef MERIT_DOMINANCE_QUANTILE_H
#define MERIT_DOMINANCE_QUANTILE_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

// dominance_quantile_huber ------------------------------------------------------------------------

// How the losses of the levels of a row become one.
typedef enum merit_dominance_levels {
    MERIT_DOMINANCE_LEVELS_SUM = 0,
    MERIT_DOMINANCE_LEVELS_MEAN = 1
} merit_dominance_levels;

typedef struct merit_dominance_quantile_huber_desc {
    size_t struct_size;
    int64_t num_rows; // R >= 0; default 0
    int32_t num_levels; // N, 1..65536; default 1
    int32_t num_targets; // N', 1..65536: room for targets in a row; default 1
    int64_t ld_quantiles; // elements from row to row of quantiles and grad_quantiles, >= N; 0 = N
    int64_t ld_targets; // of targets, >= N'; 0 = N'
    int64_t ld_tau; // of tau, >= N; 0: one row for all
    double denominator; // > 0; default NaN = R. Of the whole batch where the call has a part of it
    float
        kappa; // >= 0, where the loss turns from squares to absolute values; 0: pinball; default 1
    int32_t
        divide_by_kappa; // 1: loss / kappa (IQN), 0: not (QR-DQN); no matter with 0 or 1; default 1
    int32_t level_reduction; // merit_dominance_levels; default SUM
} merit_dominance_quantile_huber_desc;

typedef struct merit_dominance_quantile_huber_io {
    size_t struct_size;
    const float *quantiles; // in   [R,N] ld_quantiles: z
    const float *tau; // in   [N] or [R,N] ld_tau, in [0, 1]: level i is the quantile tau[i]
    const float *targets; // in   [R,N'] ld_targets: y, samples of the return
    const int32_t *target_count; // in   [R] in [0, N'], NULL = N': samples of the row
    const float *weight; // in   [R], NULL = 1: of the row in loss and gradient
    float *loss_rows; // out  [R], NULL: without the weight
    double *loss; // out  [1], NULL
    double
        *loss_tiles; // out  [ceil(R / 2048)], NULL: sums of weight times loss over 2048 rows each
    float *grad_quantiles; // out  [R,N] ld_quantiles, NULL; may be quantiles itself
    merit_diagnostics *diagnostics; // in/out, NULL: BAD_COUNT, BAD_TAU
} merit_dominance_quantile_huber_io;

// Fills *desc with the defaults, which are the preset "iqn". size is sizeof *desc as compiled.
MERIT_API merit_status
merit_dominance_quantile_huber_desc_init(merit_dominance_quantile_huber_desc *desc, size_t size);

// Overwrites every option of *desc (kappa and all below) with those of a named preset:
//   "iqn"      loss / kappa, summed over levels (Dabney et al. 2018b)
//   "qr_dqn"   not divided (Dabney et al. 2018a)
//   "tqc"      mean over levels (Kuznetsov et al. 2020)
//   "pinball"  kappa 0: quantile regression (Koenker, Bassett 1978)
// Sizes, strides and denominator stay. NOT_FOUND when there is no such preset.
MERIT_API merit_status
merit_dominance_quantile_huber_preset(const char *name, merit_dominance_quantile_huber_desc *desc);

// Name of preset i, NULL past the last.
MERIT_API const char *merit_dominance_quantile_huber_preset_name(int32_t i);

MERIT_API merit_status merit_dominance_quantile_huber_workspace(
    merit_context *ctx, const merit_dominance_quantile_huber_desc *desc, size_t *bytes);

// The quantile Huber loss of every row and its gradient, every level against every target.
//
//   u_ij = y_j - z_i      H(u) = u^2 / 2 if |u| <= kappa, else kappa (|u| - kappa / 2)
//   loss_r = c sum_i (1/n) sum_{j < n} |tau_i - [u_ij < 0]| H(u_ij) / kappa^s      n = target_count[r]
//   loss = sum_r weight_r loss_r / denominator      grad_quantiles = its derivative by z
//
// c is 1 (SUM) or 1/N (MEAN), s is divide_by_kappa. kappa 0: H(u) = |u| with slope 1 at u = 0, nothing is
// divided. At u = 0 the weight is tau. kappa infinite, not divided: expectile regression.
//
// weight 0 or target_count 0: loss 0, gradients exactly 0, nothing of the row is read. A count outside
// [0, N'] (BAD_COUNT) or a tau outside [0, 1] (BAD_TAU) makes the row NaN and is counted once per row; so
// does a NaN target, uncounted. A NaN quantile makes its own gradient and the loss of its row NaN.
// Infinite values follow IEEE. A NaN row makes loss NaN, and no other row. R = 0: loss is 0.
//
// Differences and the sums over targets are binary32, target j on lane j mod 4: relative error of a
// gradient at most (N'/4 + 4) 2^-24 of its largest term. Sums over levels and rows, weights and divisors
// are binary64, in the canonical order; loss_tiles of the parts of a batch, cut at multiples of 2048 rows,
// fold to its loss. Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal.
// One launch (and a clearing of tickets above 491520 rows); no array of size R x N x N' exists: the
// workspace holds a number per row.
// Statuses: INVALID_ARGUMENT (NULL quantiles, tau or targets with R > 0, no output, a size, stride or
// option out of range, kappa negative or NaN, or infinite and divided by, denominator not above 0 or
// infinite, overlap), WORKSPACE_TOO_SMALL, CUDA_ERROR.
MERIT_API merit_status
merit_dominance_quantile_huber(merit_context *ctx, const merit_dominance_quantile_huber_desc *desc,
                               const merit_dominance_quantile_huber_io *io, void *workspace,
                               size_t workspace_bytes, merit_stream stream);

// dominance_quantile_target -----------------------------------------------------------------------

// Whose samples become the targets.
typedef enum merit_dominance_target {
    MERIT_DOMINANCE_TARGET_SHARED = 0, // action[b], for every objective: one behavior
    MERIT_DOMINANCE_TARGET_RESTRICTED = 1, // greedy[b,m]: the best of what more important ones left
    MERIT_DOMINANCE_TARGET_MIXTURE = 2 // all of final[b], one after the other by rising index
} merit_dominance_target;

typedef struct merit_dominance_quantile_target_desc {
    size_t struct_size;
    int64_t num_states; // B >= 0; default 0
    int32_t num_objectives; // M, 1..32; default 1
    int32_t num_actions; // A, 1..1024; default 1
    int32_t num_levels; // N', 1..65536: samples of an action; default 1
    int32_t dtype; // F32, F16 or BF16: q_next; default F32
    int64_t
        stride_state; // elements of q_next from state to state; 0 = M A N', as of the next three
    int64_t stride_objective; // 0 = A N'
    int64_t stride_action; // 0 = N'
    int64_t stride_level; // 0 = 1
    int64_t ld_target; // elements from row to row of target, >= N', MIXTURE: >= A N'; 0 = that
    int32_t mode; // merit_dominance_target; default SHARED
    const float *gamma; // [M] in [0, 1], host memory, NULL = 0.99
} merit_dominance_quantile_target_desc;

typedef struct merit_dominance_quantile_target_io {
    size_t struct_size;
    const void
        *q_next; // in   [B,M,A,N'] dtype, strides: of the next state, from the target network
    const float *reward; // in   [B,M]
    const uint8_t *done; // in   [B], NULL = 0: the episode ends here
    const float *discount; // in   [B,M], NULL = gamma: of n steps, say
    const int32_t *action; // in   [B]: SHARED
    const int32_t *greedy; // in   [B,M]: RESTRICTED
    const uint32_t *final; // in   [B,ceil(A/32)]: MIXTURE; bit a % 32 of word a / 32 = action a
    float *target; // out  [B M] rows, ld_target: samples of row b M + m
    int32_t *target_count; // out  [B M]: MIXTURE, samples of the row
    merit_diagnostics *diagnostics; // in/out, NULL: BAD_ACTION
} merit_dominance_quantile_target_io;

// Fills *desc with the defaults, which are the preset "td.shared". size is sizeof *desc as compiled.
MERIT_API merit_status
merit_dominance_quantile_target_desc_init(merit_dominance_quantile_target_desc *desc, size_t size);

// Overwrites mode and gamma of *desc with those of a named preset: "td.shared", "td.restricted",
// "td.mixture". NOT_FOUND when there is no such preset.
MERIT_API merit_status merit_dominance_quantile_target_preset(
    const char *name, merit_dominance_quantile_target_desc *desc);

// Name of preset i, NULL past the last.
MERIT_API const char *merit_dominance_quantile_target_preset_name(int32_t i);

// None is needed: 0 bytes.
MERIT_API merit_status merit_dominance_quantile_target_workspace(
    merit_context *ctx, const merit_dominance_quantile_target_desc *desc, size_t *bytes);

// Targets of distributional temporal differences, restricted to what merit_dominance_subset kept: action,
// greedy and final are its outputs for the next state (double variant: from the online network).
//
//   target[b M + m, j] = reward[b,m] + g q_next[b,m,a,j]      g = discount[b,m], or gamma[m]
//
// One fused multiply-add. done: the row is the reward, bit for bit, and neither q_next nor the action is
// looked at. MIXTURE: N' samples per action of the set; what lies behind target_count samples of a row is
// left alone. An empty set gives a count of 0, which dominance_quantile_huber takes as no row; a done row of
// an empty set holds N' times the reward. An action outside [0, A), or a bit of final beyond A, makes the
// row N' times NaN and is counted per row (BAD_ACTION). NaN and infinity follow IEEE, to their own sample.
//
// Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal. One launch.
// Statuses: INVALID_ARGUMENT (NULL q_next, reward or target, or what the mode needs; action, greedy, final or
// target_count without their mode; a size, stride or option out of range, gamma outside [0, 1] or NaN,
// overlap), CUDA_ERROR.
MERIT_API merit_status merit_dominance_quantile_target(
    merit_context *ctx, const merit_dominance_quantile_target_desc *desc,
    const merit_dominance_quantile_target_io *io, void *workspace, size_t workspace_bytes,
    merit_stream stream);

// dominance_quantile_sort -------------------------------------------------------------------------

typedef struct merit_dominance_quantile_sort_desc {
    size_t struct_size;
    int64_t num_rows; // R >= 0; default 0
    int32_t num_levels; // N, 1..65536: values of a row; default 1
    int32_t num_taus; // Q, 0..1024; 0: whole rows are wanted; default 0
    int64_t ld_values; // elements from row to row of values, >= N; 0 = N
    int64_t ld_sorted; // of sorted, >= N, or Q; 0 = that
    const double *tau; // [Q] rising, in (0, 1], host memory
} merit_dominance_quantile_sort_desc;

typedef struct merit_dominance_quantile_sort_io {
    size_t struct_size;
    const float *values; // in   [R,N] ld_values
    float *sorted; // out  [R,N] or [R,Q] ld_sorted, NULL; may be values itself if the strides agree
    int32_t *index; // out  [R,N] or [R,Q] dense, NULL: where in its row each of them stood
    merit_diagnostics *diagnostics; // in/out, NULL: nothing is counted
} merit_dominance_quantile_sort_io;

// Fills *desc with the defaults. size is sizeof *desc as compiled.
MERIT_API merit_status
merit_dominance_quantile_sort_desc_init(merit_dominance_quantile_sort_desc *desc, size_t size);

MERIT_API merit_status merit_dominance_quantile_sort_workspace(
    merit_context *ctx, const merit_dominance_quantile_sort_desc *desc, size_t *bytes);

// Rows in ascending order: what makes quantiles of samples, and sorts quantiles that cross.
//
// The order is that of the bits: -0 before +0, then numbers, infinity, NaN last whatever its sign; equal
// values keep their order, so index is unique. A NaN comes back canonical, everything else bit for bit.
// With tau, result q of a row is its sorted element ceil(tau[q] N) - 1, the product rounded to binary64: the
// left-continuous inverse of the empirical distribution (Hyndman, Fan 1996, type 1), nothing interpolated.
//
// Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal; exact. One launch.
// The workspace holds up to sixteen rows per thread (CPU), or for N > 4096 a row of 8-byte words per
// multiprocessor (CUDA).
// Statuses: INVALID_ARGUMENT (NULL values, neither sorted nor index, a size or stride out of range, tau
// outside (0, 1], NaN or not rising, tau NULL with num_taus > 0 or given without, overlap), UNSUPPORTED
// (num_taus > 1024), WORKSPACE_TOO_SMALL, CUDA_ERROR.
MERIT_API merit_status merit_dominance_quantile_sort(merit_context *ctx,
                                                     const merit_dominance_quantile_sort_desc *desc,
                                                     const merit_dominance_quantile_sort_io *io,
                                                     void *workspace, size_t workspace_bytes,
                                                     merit_stream stream);

#ifdef __cplusplus
}
#endif

#endif
