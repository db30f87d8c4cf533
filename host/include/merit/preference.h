// Preferences: losses over pairs, lists and pairs of rating distributions, with gradients and metrics.
#ifndef MERIT_PREFERENCE_H
#define MERIT_PREFERENCE_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

// What the loss is divided by. An operation names those that it takes.
typedef enum merit_preference_reduction {
    MERIT_PREFERENCE_REDUCTION_SUM = 0, // 1
    MERIT_PREFERENCE_REDUCTION_MEAN_VALID = 1, // valid pairs; groups that contributed
    MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT = 2, // sum of the weights of the valid pairs
    MERIT_PREFERENCE_REDUCTION_GIVEN = 3, // the caller's denominator: that of a larger batch
    MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS = 4 // all groups of the call
} merit_preference_reduction;

// phi(z), sp(x) = log(1 + e^x), s(x) = 1 / (1 + e^-x).
typedef enum merit_link {
    MERIT_LINK_LOGISTIC = 0, // sp(-z)
    MERIT_LINK_HINGE = 1, // max(0, 1 - z); gradient 0 at z = 1
    MERIT_LINK_SQUARED = 2, // z^2  (IPO, SPPO)
    MERIT_LINK_EXPONENTIAL = 3, // exp(-z)
    MERIT_LINK_SIGMOID = 4, // s(-z)  (APO, KTO)
    MERIT_LINK_EXO = 5, // KL of (s(z), s(-z)) from (1 - e, e), e = link_param
    MERIT_LINK_DISCOPOP = 6 // u = s(z / T): (1 - u) sp(-z) + u exp(-z), T = link_param
} merit_link;

// preference_pair ---------------------------------------------------------------------------------

// Where beta_i comes from.
typedef enum merit_beta_map {
    MERIT_BETA_MAP_CONSTANT = 0, // beta
    MERIT_BETA_MAP_ARRAY = 1, // betas[i]
    MERIT_BETA_MAP_MARGIN_EXP =
        2 // max(0, beta (1 + map_weight (1 - exp(-map_rate beta_signal[i]))))
} merit_beta_map;

// The logit of the outcome "rejected wins".
typedef enum merit_opposite {
    MERIT_OPPOSITE_NEGATE = 0, // -z
    MERIT_OPPOSITE_SWAP = 1 // -beta d - m: the margin follows the winner
} merit_opposite;

// p, the probability that chosen wins.
typedef enum merit_pair_target {
    MERIT_PAIR_TARGET_CHOSEN = 0, // 1
    MERIT_PAIR_TARGET_OUTCOME = 1, // outcomes[i]: 1 chosen won, -1 rejected won, 0 a tie
    MERIT_PAIR_TARGET_PROBABILITY = 2 // probabilities[i] in [0, 1]
} merit_pair_target;

// q, the probability that is fitted, from p and the rate e of wrong labels.
typedef enum merit_smoothing {
    MERIT_SMOOTHING_CONSERVATIVE = 0, // (1 - e) p + e (1 - p)
    MERIT_SMOOTHING_ROBUST = 1 // (p - e) / (1 - 2 e): unbiased, may leave [0, 1]
} merit_smoothing;

// What an outcome of 0 means.
typedef enum merit_tie_model {
    MERIT_TIE_MODEL_HALF = 0, // p = 1/2
    MERIT_TIE_MODEL_DROP = 1, // the pair is not valid
    MERIT_TIE_MODEL_RAO_KUPPER = 2, // P(tie) = expm1(2 eta) s(z - eta) s(-z - eta), eta = log_tie
    MERIT_TIE_MODEL_DAVIDSON = 3 // P(tie) proportional to e^log_tie, wins to e^(z/2), e^(-z/2)
} merit_tie_model;

// Pairs may belong to K routes (heads), each a mean of its own.
typedef enum merit_route_kind {
    MERIT_ROUTE_KIND_ONE = 0, // K = 1
    MERIT_ROUTE_KIND_ARRAY = 1, // routes[i]
    MERIT_ROUTE_KIND_COLUMN = 2 // i mod K: scores [N/K,K] flattened
} merit_route_kind;

// Counts and sums over the valid pairs of a route. Sums are unweighted, in binary64; a pair of weight
// 0 is in pairs and zero_weight only, an invalid pair in no sum, minimum or maximum. Means of
// d, d^2 and so on divide by pairs - zero_weight - invalid.
typedef struct merit_preference_metrics {
    int64_t pairs; // valid pairs: the denominator of MEAN_VALID
    int64_t zero_weight; // of these, with weight 0: in nothing below but sum_weight
    int64_t decided; // p != 1/2; bad targets count as decided
    int64_t correct_strict; // of these, d on the side of p: accuracy = correct_strict / decided
    int64_t tied; // of these, d == 0: accuracy with ties = (correct_strict + tied / 2) / decided
    int64_t label_ties; // p == 1/2
    int64_t invalid; // NaN pairs; they also count as decided (or label_ties), and are not correct
    double sum_weight;
    double sum_loss; // of L
    double sum_difference; // of d
    double sum_difference_squared; // of d * d
    double sum_chosen; // of x_c
    double sum_rejected; // of x_r
    double min_score; // over x_c and x_r; inf without any
    double max_score; // -inf without any
} merit_preference_metrics;

// One bin of the confidence c = s(abs(z)) of the favored side, c in [1/2, 1]. Expected calibration
// error: sum of (n_b / n) abs(hit_b - c_b) with the means hit_b = sum_hit / count, c_b.
typedef struct merit_preference_bin {
    int64_t count;
    double sum_confidence; // exact: confidences are binary32
    double sum_hit; // 1 where the favored side has p > 1/2, 1/2 where p = 1/2
} merit_preference_bin;

typedef struct merit_preference_pair_desc {
    size_t struct_size;
    int64_t num_pairs; // N >= 0; default 0
    int64_t chosen_stride; // elements from pair to pair, >= 1; default 1, as of the next five
    int64_t rejected_stride;
    int64_t ref_chosen_stride;
    int64_t ref_rejected_stride;
    int64_t grad_chosen_stride;
    int64_t grad_rejected_stride;
    int32_t score_dtype; // F32, BF16 or F16: scores and their gradients; default F32
    int32_t link; // merit_link; default LOGISTIC
    float link_param; // EXO: 0 < e < 1/2; DISCOPOP: T > 0; else ignored; default 0
    float beta; // > 0: scale of d; default 1
    int32_t beta_map; // merit_beta_map; default CONSTANT
    float map_weight; // >= 0: MARGIN_EXP; default 0
    float map_rate; // >= 0: MARGIN_EXP; default 0
    float margin; // finite: subtracted after scaling, adds to margins[i]; default 0
    int32_t opposite; // merit_opposite; default NEGATE
    int32_t target; // merit_pair_target; default CHOSEN
    float smoothing; // e in [0, 1/2); default 0
    int32_t smoothing_kind; // merit_smoothing; default CONSERVATIVE
    int32_t tie_model; // merit_tie_model; default HALF
    float log_tie; // RAO_KUPPER: eta > 0; DAVIDSON: finite; unless log_tie_dev; default 0
    float pair_weight; // a >= 0; default 1
    int32_t unary_link; // merit_link; default LOGISTIC
    float unary[4]; // uc+, uc-, ur+, ur- >= 0: losses of one side alone; default 0
    float unary_shift; // finite, unless unary_shift_dev; default 0
    float unary_margin; // finite; default 0
    float center; // >= 0: times (x_c + x_r)^2; default 0
    int32_t num_routes; // K, 1..32; default 1
    int32_t route_kind; // merit_route_kind; default ONE
    int32_t reduction; // SUM, MEAN_VALID, MEAN_WEIGHT or GIVEN; default MEAN_VALID
    int32_t skip_invalid; // 1: a pair with a NaN or infinite input is not valid; default 0
    int32_t calibration_bins; // 0..64; default 0
} merit_preference_pair_desc;

typedef struct merit_preference_pair_io {
    size_t struct_size;
    const void *chosen; // in   [N] score_dtype, stride
    const void *rejected; // in   [N] score_dtype, stride
    const float *ref_chosen; // in   [N], stride, NULL = 0: reference scores
    const float *ref_rejected; // in   [N], stride, NULL = 0
    const int32_t *chosen_length; // in   [N] > 0, NULL = 1: x is a mean over so many tokens
    const int32_t *rejected_length; // in   [N] > 0, NULL = 1
    const float *margins; // in   [N], NULL = 0
    const float *weights; // in   [N] >= 0, NULL = 1
    const float *betas; // in   [N]: ARRAY
    const float *beta_signal; // in   [N]: MARGIN_EXP
    const int8_t *outcomes; // in   [N] in {1, 0, -1}: OUTCOME
    const float *probabilities; // in   [N] in [0, 1]: PROBABILITY
    const int32_t *routes; // in   [N] in [0, K): ARRAY
    const float *alpha; // in   [K], NULL = 1: weights of the routes
    const uint8_t *mask; // in   [N], NULL = all: 0 = the pair is absent and not read
    const double *denominators; // in   [K]: GIVEN
    const float *log_tie_dev; // in   [1], NULL: in place of log_tie
    const float *unary_shift_dev; // in   [1], NULL: in place of unary_shift
    const float *grad_scale; // in   [1], NULL = 1: gradient of what follows wrt the loss
    double *loss; // out  [1], NULL
    double *route_sum; // out  [K], NULL: sum of w_i L_i before alpha and D
    double *loss_tiles; // out  [ceil(N/2048),K], NULL: route_sum by tiles, see below
    float *pair_loss; // out  [N], NULL: w_i L_i before alpha and D
    float *pair_probability; // out  [N], NULL: s(z); P(chosen wins) under a tie model
    void *grad_chosen; // out  [N] score_dtype, stride, NULL; may be chosen itself, equal strides
    void *grad_rejected; // out  [N] score_dtype, stride, NULL; may be rejected itself
    double *grad_tie; // out  [1], NULL: d loss / d log_tie, times grad_scale
    merit_preference_metrics *metrics; // out  [K], NULL
    merit_preference_bin *calibration; // out  [K,calibration_bins], NULL
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_preference_pair_io;

// Fills *desc with the defaults, which are the preset "bt". size is sizeof *desc as compiled.
MERIT_API merit_status merit_preference_pair_desc_init(merit_preference_pair_desc *desc,
                                                       size_t size);

// Overwrites every option of *desc with those of a named preset ("bt", "dpo", "ipo", "simpo", "kto",
// ...); num_pairs, strides, score_dtype and num_routes stay. A value that the preset wants from the
// caller is set to NaN, and the call is rejected while it is. NOT_FOUND when there is no such preset.
MERIT_API merit_status merit_preference_pair_preset(const char *name,
                                                    merit_preference_pair_desc *desc);

// Name of preset i, NULL past the last.
MERIT_API const char *merit_preference_pair_preset_name(int32_t i);

// Bytes of scratch that a call with this descriptor needs. INVALID_ARGUMENT as the call.
MERIT_API merit_status merit_preference_pair_workspace(merit_context *ctx,
                                                       const merit_preference_pair_desc *desc,
                                                       size_t *bytes);

// Bradley-Terry and every loss of one chosen and one rejected score (Bradley, Terry 1952; DPO:
// Rafailov et al. 2023; ties: Rao, Kupper 1967 and Davidson 1970; the presets name the others):
//
//   x_c = (chosen - ref_chosen) / chosen_length    x_r likewise    d = x_c - x_r
//   z+  = beta_i d - m_i, m_i = margin + margins[i]    z- = -z+ or -beta_i d - m_i
//   L   = pair_weight (q+ phi(z+) + q- phi(z-)) + uc+ psi(yc+) + uc- psi(yc-) + ur+ psi(yr+)
//         + ur- psi(yr-) + center (x_c + x_r)^2    y+- = +-(beta_i x - unary_shift) - unary_margin
//   loss = sum over k of alpha_k / D_k * sum over the valid pairs of route k of w_i L_i
//
// Under RAO_KUPPER and DAVIDSON the bracket is minus the log probability of the outcome. Gradients
// are those of grad_scale * loss wrt chosen and rejected; references, beta, margins, weights,
// targets and lengths are constants. A NULL output is not computed: without gradient pointers the
// call is the forward pass, and it may then run in one launch where it needs two.
//
// Valid: in mask, not a tie under DROP, not skipped. Pairs that are not valid, and those of weight 0
// (which count in MEAN_VALID all the same), are not read beyond what tells so, may hold anything,
// and get +0 in gradients, pair_loss and pair_probability. A pair with a NaN or infinite input, a
// weight < 0, a p outside [0, 1], another outcome, a length <= 0, a route outside [0, K) (it counts
// as route 0) or a tie at eta <= 0 is NaN in pair_loss, pair_probability and gradients, makes the
// loss NaN, leaves other gradients alone and is counted (NONFINITE, BAD_WEIGHT, BAD_TARGET,
// BAD_LENGTH, BAD_ROUTE, BAD_TIE). Equal scores: loss log 2, gradients -1/2 and 1/2 of t beta
// exactly. N = 0 or no valid pair: loss 0. D_k = 0 with valid pairs: loss and gradients 0 where
// w_i L_i and its gradient are, else IEEE infinities; counted (ZERO_DENOMINATOR). EXPONENTIAL
// beyond exp(88.7) makes the loss of its pair inf and is counted (NONFINITE). Finite inputs never give
// NaN: where terms of either sign leave their range, the larger decides (all beyond e^485 are alike).
//
// chosen or rejected may be NULL when pair_weight, center and its unary coefficients are 0: its x is
// 0, and its gradient, references and lengths are NULL too. References and lengths come for all the
// sides that are there, or for none. An array that no option uses is rejected, so that a forgotten
// option shows. Shards of a batch cut at multiples of 2048 pairs: gather loss_tiles, fold them by
// the neighbours-first tree, and the loss has the bits of the undivided call.
//
// Precision: d and z in binary64 from the stored inputs. LOGISTIC, EXPONENTIAL and SIGMOID take z
// rounded to binary32, once, the others and the tie models work in binary64. Sums of losses,
// weights and metrics are binary64. Against exact functions of that z (checked with MPFR), for one
// link or outcome alone: losses of every link and tie model within 1 ulp of binary32, gradients
// within 4 (LOGISTIC: abs(z) + 4 against the unrounded z); EXO, DISCOPOP and ties lose digits where
// what they compute is nearly 0.
// Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal.
// One launch when D is known on entry (SUM, GIVEN, or MEAN_VALID without mask, DROP, routes and
// skip_invalid), when no gradient is asked for, or for N <= 16384; else two.
// Statuses: INVALID_ARGUMENT (NULL where an option needs an array, a tie model with another link,
// target or smoothing, smoothing >= 1/2, values out of their range, stride < 1, K out of range,
// unknown enum value, overlapping outputs), WORKSPACE_TOO_SMALL, CUDA_ERROR.
MERIT_API merit_status merit_preference_pair(merit_context *ctx,
                                             const merit_preference_pair_desc *desc,
                                             const merit_preference_pair_io *io, void *workspace,
                                             size_t workspace_bytes, merit_stream stream);

// preference_list ---------------------------------------------------------------------------------

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
// or 8192 (ALL_PAIRS) are NaN and counted (GROUP_TOO_LARGE). Rows in no group get +0. Groups of
// group_weight 0 are not read, add nothing, get +0 and count as valid. The two-member groups of
// CROSS_ENTROPY and ALL_PAIRS have the bits of preference_pair. EXPONENTIAL beyond exp(88.7)
// makes the loss of its group inf and is counted (NONFINITE). Finite inputs never give NaN: where slopes
// of either sign leave their range, the larger decides (all beyond e^485 are alike).
//
// Precision: centering and x in binary64, x - max rounded to binary32 before exp, PLACKETT_LUCE in
// binary64; sums of exponentials, stages and pairs in binary64. A group of m terms: loss and dx
// within 8 m 2^-24, plus 4 2^-24 of the loss. Levels: run_to_run, batch_invariant, launch_invariant,
// isa_invariant, cpu_gpu_equal. One launch; one more for MEAN_VALID with gradients over more than 16384
// groups. Groups beyond 16384 items (ALL_PAIRS: 1024) are spread over the whole GPU: two to four more
// launches, also of calls that merely may hold such a group: set groups.max_size where it is known.
// PLACKETT_LUCE always ranks a group in one block. Statuses: INVALID_ARGUMENT (NULL where a mode needs an array, tau <= 0, values out of
// their range, stride < 1, an array that the mode does not use, unknown enum value, overlap),
// UNSUPPORTED (uniform groups above the mode's limit), WORKSPACE_TOO_SMALL, CUDA_ERROR.
MERIT_API merit_status merit_preference_list(merit_context *ctx,
                                             const merit_preference_list_desc *desc,
                                             const merit_preference_list_io *io, void *workspace,
                                             size_t workspace_bytes, merit_stream stream);

// preference_ordinal ------------------------------------------------------------------------------

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
//
// Precision: logits / T minus their maximum in binary64, exp and log on that difference rounded to
// binary32, running sums in binary64. Levels: run_to_run, batch_invariant, launch_invariant,
// isa_invariant, cpu_gpu_equal. One launch; two when MEAN_VALID or MEAN_WEIGHT must be counted for
// gradients of more than 16384 pairs.
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
