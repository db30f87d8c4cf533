// Losses of one chosen and one rejected score.
#ifndef MERIT_PREFERENCE_PAIRS_H
#define MERIT_PREFERENCE_PAIRS_H

#include "preference_types.h"

#ifdef __cplusplus
extern "C" {
#endif

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
// NaN: where terms of either sign leave their range, the larger decides (all beyond e^485 are alike; of
// routes with infinite losses, the sum of alpha_k / D_k). grad_scale alpha_k / D_k is 0 where it is 0 / 0.
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

#ifdef __cplusplus
}
#endif

#endif
