// Quantile critics: the loss that trains quantiles of a return on samples of it.
//
// Letters: R rows (a state and an objective each), N quantile levels, N' target samples of a row.
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

#ifdef __cplusplus
}
#endif

#endif
