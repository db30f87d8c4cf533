// Losses of pairs of distributions over rating levels.
#ifndef MERIT_PREFERENCE_LEVELS_H
#define MERIT_PREFERENCE_LEVELS_H

#include "preference_types.h"

#ifdef __cplusplus
extern "C" {
#endif

// Over the valid pairs; a pair of weight 0 is in pairs and zero_weight only, an invalid one in no sum.
typedef struct merit_preference_ordinal_metrics {
    int64_t pairs; // valid pairs
    int64_t zero_weight; // of these, with weight 0: in nothing below but sum_weight
    int64_t correct_strict; // P(i > j) > P(i < j); accuracy divides by pairs - zero_weight
    int64_t tied; // P(i > j) == P(i < j)
    int64_t invalid; // NaN pairs: not correct
    double sum_weight;
    double sum_loss; // of L
    double sum_difference; // of the mean level of chosen minus that of rejected
} merit_preference_ordinal_metrics;

typedef struct merit_preference_ordinal_desc {
    size_t struct_size;
    int64_t num_pairs; // N >= 0; default 0
    int32_t num_levels; // K, 2..64; default 9
    int32_t logit_dtype; // F32, BF16 or F16: logits and their gradients; default F32
    int64_t chosen_stride; // elements from row to row, >= K; 0 = K; default 0, as of the next three
    int64_t rejected_stride;
    int64_t grad_chosen_stride;
    int64_t grad_rejected_stride;
    float temperature; // T > 0; default 1
    float tie_share; // h in [0, 1]: part of P(i = j) that counts as a win; default 0
    float first_value; // finite: value of level 0; default 1
    float value_step; // > 0: from level to level; default 1
    int32_t reduction; // SUM, MEAN_VALID, MEAN_WEIGHT or GIVEN; default MEAN_VALID
    int32_t skip_invalid; // 1: a pair with a NaN or +inf logit is not valid; default 0
} merit_preference_ordinal_desc;

typedef struct merit_preference_ordinal_io {
    size_t struct_size;
    const void *chosen_logits; // in   [N,K] logit_dtype, row stride
    const void *rejected_logits; // in   [N,K] logit_dtype, row stride
    const int32_t *chosen_region; // in   [N,2], NULL = all levels: inclusive lo, hi
    const int32_t *rejected_region; // in   [N,2], NULL; both or neither
    const float *weights; // in   [N] >= 0, NULL = 1
    const uint8_t *mask; // in   [N], NULL = all: 0 = the pair is absent and not read
    const double *denominator; // in   [1]: GIVEN
    const float *grad_scale; // in   [1], NULL = 1: gradient of what follows wrt the loss
    double *loss; // out  [1], NULL
    double *loss_tiles; // out  [ceil(N/2048)], NULL: weighted sums by tiles, before D
    float *pair_loss; // out  [N], NULL: w_i L_i before D
    void *grad_chosen_logits; // out  [N,K] logit_dtype, row stride, NULL; may be chosen_logits
    void *grad_rejected_logits; // out  [N,K] logit_dtype, row stride, NULL; may be rejected_logits
    float *win; // out  [N], NULL: P(i > j), whatever the regions
    float *tie; // out  [N], NULL: P(i = j)
    float *mean; // out  [N,2], NULL: mean level value of chosen, of rejected
    merit_preference_ordinal_metrics *metrics; // out  [1], NULL
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_preference_ordinal_io;

// Fills *desc with the defaults, which are the preset "oprm". size is sizeof *desc as compiled.
MERIT_API merit_status merit_preference_ordinal_desc_init(merit_preference_ordinal_desc *desc,
                                                          size_t size);

// Overwrites every option of *desc with those of a named preset ("oprm", "oprm.half_tie",
// "oprm.rgft"); sizes, strides and logit_dtype stay. NOT_FOUND when there is no such preset.
MERIT_API merit_status merit_preference_ordinal_preset(const char *name,
                                                       merit_preference_ordinal_desc *desc);

// Name of preset i, NULL past the last.
MERIT_API const char *merit_preference_ordinal_preset_name(int32_t i);

MERIT_API merit_status merit_preference_ordinal_workspace(merit_context *ctx,
                                                          const merit_preference_ordinal_desc *desc,
                                                          size_t *bytes);

// Reward models that give a distribution over rating levels (OPRM): minus the log probability that
// the level of chosen is higher, inside the regions if there are any.
//
//   p = softmax(chosen / T)    r = softmax(rejected / T)
//   S = sum over i in R_c, j in R_r, i > j of p_i r_j + h * sum over i in both of p_i r_i
//   L = -log S    loss = 1 / D * sum of w_i L_i
//   dL/da_i = (p_i - P(i | S)) / T    dL/db_j = (r_j - P(j | S)) / T    (P: share of S, 0 outside R)
//
// Gradients are those of grad_scale * loss. Log domain throughout: probabilities may underflow. -inf
// logits are legal: probability and gradient 0. Masked pairs and pairs of weight 0 (which count in
// MEAN_VALID) are not read and get +0 in every output. A pair with a NaN or +inf logit (unless
// skipped), a side whose logits are all -inf (NONFINITE), a region with lo > hi or outside [0, K),
// no admissible pair of levels (S = 0; BAD_REGION), or a weight that is negative or NaN (BAD_WEIGHT)
// is NaN, alone, and counted. win, tie and mean of a pair with a bad region are still defined.
// Finite logits never give NaN. D = 0 with valid pairs: loss and gradients 0 where w_i L_i and its gradient
// are, else IEEE infinities; counted (ZERO_DENOMINATOR). grad_scale / D is 0 where it is 0 / 0. No valid
// pair: loss 0. Of pairs over ranks, as in preference_pairs.h: loss_tiles fold to the bits of one call.
//
// Precision: logits / T minus their maximum, logarithms and running sums in binary64, exp within 2^-25
// of it (a power of two, and the remainder rounded to binary32). Levels: run_to_run,
// batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal. One launch.
// Statuses: INVALID_ARGUMENT (NULL logits, K out of range, temperature <= 0, tie_share outside
// [0, 1], value_step <= 0, stride < K, one region without the other, unknown enum value, overlap),
// WORKSPACE_TOO_SMALL, CUDA_ERROR.
MERIT_API merit_status merit_preference_ordinal(merit_context *ctx,
                                                const merit_preference_ordinal_desc *desc,
                                                const merit_preference_ordinal_io *io,
                                                void *workspace, size_t workspace_bytes,
                                                merit_stream stream);

#ifdef __cplusplus
}
#endif

#endif
