// Losses over sets of scores.
#ifndef MERIT_PREFERENCE_LISTS_H
#define MERIT_PREFERENCE_LISTS_H

#include "preference_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum merit_list_mode {
    MERIT_LIST_MODE_CROSS_ENTROPY = 0, // lse(x) - sum q_i x_i
    MERIT_LIST_MODE_PLACKETT_LUCE = 1, // sum over stages j of lse(x over risk set j) - x_j
    MERIT_LIST_MODE_ALL_PAIRS = 2, // sum over label_i > label_j of phi(x_i - x_j - margin)
    MERIT_LIST_MODE_ANCHORED = 3 // positive and negative sets, each against 0
} merit_list_mode;

typedef enum merit_list_target {
    MERIT_LIST_TARGET_INDEX = 0, // target_index[group]: one-hot
    MERIT_LIST_TARGET_WEIGHTS = 1 // weights[item], normalized inside the group
} merit_list_target;

typedef enum merit_list_center {
    MERIT_LIST_CENTER_NONE = 0, // u = s
    MERIT_LIST_CENTER_MEAN = 1, // u_i = s_i - mean(s)
    MERIT_LIST_CENTER_LEAVE_ONE_OUT = 2 // u_i = (s_i - mean(s)) n / (n - 1)
} merit_list_center;

typedef enum merit_anchored {
    MERIT_ANCHORED_SPLIT = 0, // lse(0, -x : positive) + lse(0, x : negative)  (REAL)
    MERIT_ANCHORED_PRODUCT = 1, // sp(lse(-x : positive) + lse(x : negative))
    MERIT_ANCHORED_POINTWISE = 2 // sum of sp(-x) over positive + sp(x) over negative  (PACS)
} merit_anchored;

typedef enum merit_list_inner {
    MERIT_LIST_INNER_SUM = 0,
    MERIT_LIST_INNER_MEAN = 1 // divided by the stages, pairs or signed items of the group
} merit_list_inner;

// Counts over the valid groups. Positives of a group: the target item (INDEX), items of positive
// weight (WEIGHTS), of the best rank (PLACKETT_LUCE), of the highest label (ALL_PAIRS), of positive
// sign (ANCHORED); negatives: its other items (ANCHORED: those of negative sign). A group without
// both is in groups and sum_loss only.
typedef struct merit_preference_list_metrics {
    int64_t groups; // valid: they contributed to the loss
    int64_t ranked; // of these, with positives and negatives, and not NaN
    int64_t invalid; // NaN groups
    int64_t top1_strict; // best positive > best negative
    int64_t top1_tie; // best positive >= best negative
    int64_t one_to_many_strict; // worst positive > best negative
    int64_t one_to_many_tie; // worst positive >= best negative
    int64_t concordant; // ALL_PAIRS: pairs with x_i > x_j; else 0, as of the next two
    int64_t discordant; // x_i < x_j
    int64_t tied; // x_i == x_j
    double sum_reciprocal_rank; // of 1 / (1 + negatives >= best positive); mrr divides by ranked
    double sum_weight; // of group_weight
    double sum_loss; // of the group losses before group_weight
} merit_preference_list_metrics;

typedef struct merit_preference_list_desc {
    size_t struct_size;
    merit_groups groups; // the sets
    int64_t num_items; // R >= 0: scores; default 0
    int64_t score_stride; // elements from item to item, >= 1; default 1
    int64_t grad_stride; // >= 1; default 1
    int32_t score_dtype; // F32, BF16 or F16: scores and their gradient; default F32
    int32_t mode; // merit_list_mode; default CROSS_ENTROPY
    int32_t target; // merit_list_target: CROSS_ENTROPY; default INDEX
    float tau; // > 0: x = u / tau; default 1
    int32_t center; // merit_list_center, carries gradient; default NONE
    float smoothing; // e in [0, 1), q <- (1 - e) q + e / n: CROSS_ENTROPY; default 0
    int32_t top_k; // >= 0: PLACKETT_LUCE, stages of rank < top_k; 0 = all; default 0
    int32_t link; // LOGISTIC, HINGE or EXPONENTIAL: ALL_PAIRS; default LOGISTIC
    float margin; // finite: ALL_PAIRS; default 0
    int32_t anchored; // merit_anchored: ANCHORED; default SPLIT
    int32_t inner; // merit_list_inner; default SUM
    int32_t require_both; // 1: ANCHORED groups without both signs do not contribute; default 0
    int32_t reduction; // SUM, MEAN_GROUPS, MEAN_VALID or GIVEN; default MEAN_VALID
    int32_t skip_invalid; // 1: non-finite items are left out of their set; default 0
} merit_preference_list_desc;

typedef struct merit_preference_list_io {
    size_t struct_size;
    const void *scores; // in   [R] score_dtype, stride
    const int32_t *target_index; // in   [N]: INDEX; position in the group, negative = no label
    const float *weights; // in   [R] >= 0: WEIGHTS
    const int32_t *ranks; // in   [R]: PLACKETT_LUCE; 0 = best, -1 = unranked
    const float *labels; // in   [R]: ALL_PAIRS
    const int8_t *signs; // in   [R] in {1, 0, -1}: ANCHORED; 0 = outside the sets
    const uint8_t *mask; // in   [R], NULL = all: 0 = the item is absent and not read
    const float *group_weight; // in   [N] >= 0, NULL = 1
    const double *denominator; // in   [1]: GIVEN
    const float *grad_scale; // in   [1], NULL = 1: gradient of what follows wrt the loss
    double *loss; // out  [1], NULL
    double *loss_tiles; // out  [ceil(N/2048)], NULL: weighted sums by tiles of groups, before D
    float *group_loss; // out  [N], NULL: group_weight times the loss of the group, before D
    void *grad_scores; // out  [R] score_dtype, stride, NULL; may be scores itself, equal strides
    float *lse; // out  [N], NULL: log-sum-exp of x over the items of the group
    merit_preference_list_metrics *metrics; // out  [1], NULL
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_preference_list_io;

// Fills *desc with the defaults, which are the preset "yojo". size is sizeof *desc as compiled.
MERIT_API merit_status merit_preference_list_desc_init(merit_preference_list_desc *desc,
                                                       size_t size);

// Overwrites every option of *desc with those of a named preset ("op_gfn", "plackett_luce", "real",
// "pacs", ...); sizes, groups, strides and score_dtype stay. A value that the preset wants from the
// caller is set to NaN, and the call is rejected while it is. NOT_FOUND when there is no such preset.
MERIT_API merit_status merit_preference_list_preset(const char *name,
                                                    merit_preference_list_desc *desc);

// Name of preset i, NULL past the last.
MERIT_API const char *merit_preference_list_preset_name(int32_t i);

MERIT_API merit_status merit_preference_list_workspace(merit_context *ctx,
                                                       const merit_preference_list_desc *desc,
                                                       size_t *bytes);

// One loss over each set of scores (Plackett 1975, Luce 1959; ListMLE: Xia et al. 2008; all pairs:
// Ouyang et al. 2022; the presets name the others). x = u / tau, u the scores, centered or not.
// Gradients are those of grad_scale * loss wrt scores:
//
//   CROSS_ENTROPY  sum of q_i (lse(x) - x_i) over q_i != 0          dx_i = softmax_i - q_i
//   PLACKETT_LUCE  risk set of stage j: items of rank >= rank_j or unranked (equal ranks share it:
//                  Breslow 1974)    dx_i = sum over stages with i at risk of exp(x_i - lse_j) - [i is a stage]
//   ALL_PAIRS      phi is link, z = x_i - x_j - margin over label_i > label_j
//   ANCHORED       see merit_anchored
//   ds = f (dx - [center] mean(dx)) / tau, f = n / (n - 1) for LEAVE_ONE_OUT, else 1
//
//   loss = 1 / D * sum over groups of group_weight * L
//
// Masked items are not in the group: they are not read, may hold anything and get +0. A group that
// is empty, has no label (target_index < 0, or that of an item outside the group), no stage, no pair
// or no signed item, whose weights are all 0, that lacks a sign under require_both, or that has one
// item alone in CROSS_ENTROPY or PLACKETT_LUCE is not valid: loss and gradients 0, counted
// (EMPTY_GROUP). A NaN or +inf score (unless skipped), a group without a finite score, a bad
// target_index, weight, rank, sign, label or index entry makes its group NaN and no other, and is
// counted (NONFINITE, BAD_TARGET, BAD_WEIGHT, BAD_RANK, BAD_INDEX). -inf is a member of probability
// 0 in CROSS_ENTROPY and PLACKETT_LUCE without centering, and as bad as +inf elsewhere. Offsets
// that decrease or leave the items (BAD_OFFSETS) and groups above max_size, 65536 (PLACKETT_LUCE)
// or 8192 (ALL_PAIRS) are NaN and counted (GROUP_TOO_LARGE). Rows in no group get +0; with
// groups.index, a row that no entry names is left as it was. Groups of
// group_weight 0 are not read, add nothing, get +0 and count as valid. The two-member groups of
// CROSS_ENTROPY and ALL_PAIRS have the bits of preference_pair. EXPONENTIAL beyond exp(88.7)
// makes the loss of its group inf and is counted (NONFINITE). Finite inputs never give NaN: where slopes
// of either sign leave their range, the larger decides (all beyond e^485 are alike). D = 0 with valid
// groups: loss and gradients 0 where group_weight * L and its gradient are, else IEEE infinities; counted
// (ZERO_DENOMINATOR). grad_scale / D is 0 where it is 0 / 0. No valid group: loss 0.
//
// Precision: centering and x in binary64, x - max rounded to binary32 before exp, PLACKETT_LUCE in
// binary64; sums of exponentials, stages and pairs in binary64. A group of m terms: loss and dx
// within 8 m 2^-24, plus 4 2^-24 of the loss. Levels: run_to_run, batch_invariant, launch_invariant,
// isa_invariant, cpu_gpu_equal. One launch; one more where group_size or max_size says that groups may
// hold more than 16384 items (ALL_PAIRS: 1024), which are then spread over the whole GPU. Where nothing is
// said, a block takes each group, however long. PLACKETT_LUCE always ranks a group in one block.
// Statuses: INVALID_ARGUMENT (NULL where a mode needs an array, tau <= 0, values out of their range,
// stride < 1, an array that the mode does not use, unknown enum value, overlap), UNSUPPORTED (uniform
// groups above the mode's limit), WORKSPACE_TOO_SMALL, CUDA_ERROR.
MERIT_API merit_status merit_preference_list(merit_context *ctx,
                                             const merit_preference_list_desc *desc,
                                             const merit_preference_list_io *io, void *workspace,
                                             size_t workspace_bytes, merit_stream stream);

#ifdef __cplusplus
}
#endif

#endif
