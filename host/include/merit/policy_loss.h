// Losses of policy optimization over tokens: the policy loss, the value loss, and their denominators.
#ifndef MERIT_POLICY_LOSS_H
#define MERIT_POLICY_LOSS_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

// Tokens lie in sequences: merit_groups over the T tokens of a call, uniform (padded, group_stride is
// the row length) or by offsets (packed, cu_seqlens). groups.index is not taken. Only valid tokens count:
// a masked one is not read and may hold any bits; tokens in no sequence are like masked ones.

// What the terms are divided by besides D.
typedef enum merit_policy_aggregation {
    MERIT_POLICY_AGGREGATION_TOKEN = 0, // a_t = s_i / D
    MERIT_POLICY_AGGREGATION_SEQUENCE = 1 // a_t = s_i / (n_i D), n_i: valid tokens of sequence i
} merit_policy_aggregation;

// Whether a quantity is one per token or one per sequence.
typedef enum merit_policy_level {
    MERIT_POLICY_LEVEL_NONE = 0, // mismatch_level, reject_level: off
    MERIT_POLICY_LEVEL_TOKEN = 1,
    MERIT_POLICY_LEVEL_SEQUENCE_MEAN = 2, // of log-ratios over the valid tokens
    MERIT_POLICY_LEVEL_SEQUENCE_SUM = 3
} merit_policy_level;

// policy_loss -------------------------------------------------------------------------------------

typedef enum merit_policy_advantage {
    MERIT_POLICY_ADVANTAGE_SEQUENCE = 0, // advantages [B]
    MERIT_POLICY_ADVANTAGE_TOKEN = 1 // advantages [T]
} merit_policy_advantage;

// The gradient of a ratio that a whole sequence shares.
typedef enum merit_policy_ratio_gradient {
    MERIT_POLICY_RATIO_GRADIENT_THROUGH = 0, // of each token through the ratio of all
    MERIT_POLICY_RATIO_GRADIENT_STRAIGHT = 1 // as if r were r_t with the same value (GSPO-token)
} merit_policy_ratio_gradient;

// l_t. lo, hi are the bounds for the sign of A; q(r) = min(max(r, lo), hi); sg: held fixed.
typedef enum merit_policy_surrogate {
    // max(-A min(r, ratio_cap), -A q(r)), for A < 0 and dual_clip > 0 at most -dual_clip A
    MERIT_POLICY_SURROGATE_CLIP = 0,
    MERIT_POLICY_SURROGATE_DETACHED = 1, // -sg(q(r)) A lp  (CISPO; [1, 1]: REINFORCE)
    MERIT_POLICY_SURROGATE_GATE = 2, // -A (4 / tau) sigmoid(tau (r - 1))  (SAPO)
    // -A_i exp((1/n_i) sum u_t), u = min(rho, ln hi) if A_i > 0, else max(rho, ln lo)  (GMPO)
    MERIT_POLICY_SURROGATE_GEOMETRIC = 3,
    MERIT_POLICY_SURROGATE_QUADRATIC = 4, // -(A lp - (quadratic / 2) rho^2)  (DRO, Kimi)
    MERIT_POLICY_SURROGATE_RESHAPE = 5 // -A p / (p + reshape), p = e^lp
} merit_policy_surrogate;

// Stops the policy term, value and gradient, where the policy is too far from the anchor.
// pi = e^lp, o = e^anchor, D = o (anchor - lp) + (1 - o) log((1 - o + 1e-8) / (1 - pi + 1e-8)).
typedef enum merit_policy_divergence {
    MERIT_POLICY_DIVERGENCE_NONE = 0,
    // keeps A > 0: pi - o <= divergence_high; else pi - o >= -divergence_low
    MERIT_POLICY_DIVERGENCE_TV = 1,
    // keeps A > 0: D <= divergence_high or pi <= o; else D <= divergence_low or pi >= o
    MERIT_POLICY_DIVERGENCE_KL = 2
} merit_policy_divergence;

typedef enum merit_policy_anchor {
    MERIT_POLICY_ANCHOR_OLD = 0,
    MERIT_POLICY_ANCHOR_ROLLOUT = 1
} merit_policy_anchor;

// Estimators of the divergence from the reference (Schulman 2020), of d = ref - lp.
typedef enum merit_policy_kl {
    MERIT_POLICY_KL_K1 = 0, // -d
    MERIT_POLICY_KL_K2 = 1, // d^2 / 2
    MERIT_POLICY_KL_K3 = 2, // expm1(d) - d
    MERIT_POLICY_KL_ABS = 3 // abs(d), gradient 0 at 0
} merit_policy_kl;

typedef enum merit_policy_kl_gradient {
    MERIT_POLICY_KL_GRADIENT_OWN = 0,
    MERIT_POLICY_KL_GRADIENT_SQUARED = 1 // that of K2, whatever the value
} merit_policy_kl_gradient;

typedef enum merit_policy_kl_weight {
    MERIT_POLICY_KL_WEIGHT_ONE = 0,
    MERIT_POLICY_KL_WEIGHT_RATIO = 1 // KL r: gradient r (KL' + KL)
} merit_policy_kl_weight;

// What becomes of W = exp of the mismatch between rollout engine and trainer. Fixed for the gradient.
typedef enum merit_policy_mismatch_rule {
    MERIT_POLICY_MISMATCH_RULE_NONE = 0, // w = 1: statistics only
    MERIT_POLICY_MISMATCH_RULE_TRUNCATE = 1, // w = min(max(W, mismatch_low), mismatch_high)
    MERIT_POLICY_MISMATCH_RULE_MASK = 2 // w = W inside [mismatch_low, mismatch_high], else 0
} merit_policy_mismatch_rule;

typedef enum merit_policy_numerator {
    MERIT_POLICY_NUMERATOR_OLD = 0,
    MERIT_POLICY_NUMERATOR_CURRENT = 1
} merit_policy_numerator;

typedef enum merit_policy_reject_source {
    MERIT_POLICY_REJECT_SOURCE_OLD_ROLLOUT = 0, // old - rollout
    MERIT_POLICY_REJECT_SOURCE_CURRENT_OLD = 1 // lp - old
} merit_policy_reject_source;

typedef enum merit_policy_reject_when {
    MERIT_POLICY_REJECT_WHEN_ANY = 0,
    MERIT_POLICY_REJECT_WHEN_NEGATIVE = 1 // only tokens with A < 0
} merit_policy_reject_when;

// k_t, the weight of the KL and entropy terms.
typedef enum merit_policy_scope {
    MERIT_POLICY_SCOPE_POLICY = 0, // 1
    MERIT_POLICY_SCOPE_ALL = 1 // w_t keep_t, like the policy term
} merit_policy_scope;

typedef struct merit_policy_loss_desc {
    size_t struct_size;
    int64_t num_tokens; // T >= 0; default 0
    merit_groups sequences; // B sequences
    double denominator; // D > 0; 0 = io.denominator; required, so default NaN; presets leave it
    // options
    int32_t advantage_level; // merit_policy_advantage; default SEQUENCE
    int32_t ratio_level; // merit_policy_level, not NONE; default TOKEN
    int32_t ratio_gradient; // merit_policy_ratio_gradient; default THROUGH
    float log_ratio_min; // <= 0; default -inf
    float log_ratio_max; // >= 0; default inf
    int32_t surrogate; // merit_policy_surrogate; default CLIP
    int32_t surrogate_alt; // where token_mode is 1; not GEOMETRIC; default DETACHED
    float ratio_low; // 0..1: bounds on r itself, not epsilons; default 0.8
    float ratio_high; // > 0; default 1.2
    float ratio_low_negative; // bounds where A < 0; NaN = as above; default NaN
    float ratio_high_negative;
    float alt_low; // bounds of surrogate_alt; default 1
    float alt_high; // default 1
    float ratio_cap; // > 1, 0 = off; default 0
    float dual_clip; // > 1, 0 = off; default 0
    float gate_tau_positive; // > 0, where A > 0; default 1
    float gate_tau_negative; // > 0; default 1.05
    float quadratic; // >= 0; default 0.1
    float reshape; // > 0; default 0.1
    int32_t divergence; // merit_policy_divergence; default NONE
    float divergence_low; // >= 0; default 0.2
    float divergence_high; // >= 0; default 0.2
    int32_t divergence_anchor; // merit_policy_anchor; default OLD
    int32_t kl; // merit_policy_kl; default K3
    float kl_coef; // >= 0, finite; 0: ref is not read; default 0
    int32_t kl_gradient; // merit_policy_kl_gradient; default OWN
    int32_t kl_weight; // merit_policy_kl_weight; default ONE
    float kl_input_clamp; // > 0: d into [-clamp, clamp], gradient 0 where it bites; default inf
    float kl_output_clamp; // > 0: KL likewise; default inf
    int32_t mismatch_level; // merit_policy_level; default NONE
    int32_t mismatch_rule; // merit_policy_mismatch_rule; default TRUNCATE
    float mismatch_low; // 0 <= low < high; default 0
    float mismatch_high; // default 2
    int32_t mismatch_numerator; // merit_policy_numerator; default OLD
    int32_t reject_level; // merit_policy_level; default NONE
    float reject_low; // 0 <= low < high; default 0
    float reject_high; // default inf
    int32_t reject_source; // merit_policy_reject_source; default OLD_ROLLOUT
    int32_t reject_when; // merit_policy_reject_when; default ANY
    int32_t correction_scope; // merit_policy_scope; default POLICY
    float entropy_coef; // finite; not 0 needs entropy; default 0
    int32_t aggregation; // merit_policy_aggregation; default TOKEN
} merit_policy_loss_desc;

// Sums and counts over the valid tokens, so that micro-batches and ranks add; minima and maxima merge.
// Of a ratio that a sequence shares, each of its tokens counts. Bounds are compared strictly.
typedef struct merit_policy_stats {
    int64_t tokens; // valid
    int64_t sequences;
    int64_t nonempty_sequences;
    int64_t clipped_low; // A < 0 and r below its bound, where the surrogate has bounds
    int64_t clipped_high; // A > 0 and r above its bound
    int64_t capped; // CLIP: r above ratio_cap
    int64_t dual_clipped;
    int64_t log_clamped; // rho outside [log_ratio_min, log_ratio_max]
    int64_t divergence_masked;
    int64_t mismatch_truncated;
    int64_t mismatch_masked;
    int64_t rejected_tokens;
    int64_t rejected_sequences; // that lost every valid token
    int64_t nan_tokens; // whose loss is NaN
    double policy_loss; // the three parts of the loss
    double kl_loss;
    double entropy_loss;
    double sum_ratio;
    double sum_ratio_squared;
    double sum_k1; // old - lp
    double sum_k3; // expm1(lp - old) - (lp - old)
    double sum_kl_ref; // KL after its clamps, unweighted; 0 with kl_coef 0
    double sum_entropy; // 0 without entropy
    double sum_mismatch; // W; 0 with mismatch_level NONE
    double sum_abs_logprob_gap; // abs(num - rollout) of the tokens; 0 without rollout
    float ratio_min; // inf without a ratio that is not NaN
    float ratio_max; // -inf likewise
    float mismatch_min;
    float mismatch_max;
} merit_policy_stats;

typedef struct merit_policy_loss_io {
    size_t struct_size;
    const float *logprob; // in   [T] lp: of the policy that is trained
    const float *old; // in   [T] of the policy at the last synchronization; NULL = sg(lp)
    const float *ref; // in   [T] of the reference policy: needed with kl_coef > 0
    const float *rollout; // in   [T] as the sampling engine reported them, NULL
    const float *entropy; // in   [T], NULL
    const float *token_weight; // in   [T], NULL = 1
    const float *advantages; // in   [B] or [T]: A
    const uint8_t *mask; // in   [T] 0 or not 0, NULL = all valid
    const uint8_t *token_mode; // in   [T] 1: surrogate_alt, NULL = 0
    const float *sequence_weight; // in   [B] s, NULL = 1
    const double *denominator; // in   [1]: D when desc.denominator is 0
    double *loss; // out  [1], NULL
    double *loss_tiles; // out  [ceil(B/2048)]: sums of 2048 sequences, see below; NULL
    float *grad_logprob; // out  [T], NULL; may be old, ref or rollout, not logprob
    float *grad_entropy; // out  [T], NULL
    float *token_loss; // out  [T] a_t included, NULL
    merit_policy_stats *stats; // out  [1], NULL
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_policy_loss_io;

// Loss, gradients and statistics of a policy in one launch:
//
//   rho_t = lp_t - old_t, or its mean or sum over the sequence;   r_t = exp(clamp(rho, log_ratio_min, _max))
//   L = sum over valid t of a_t [ c_t l_t + kl_coef k_t KL_t - entropy_coef k_t H_t ]
//   c_t = token_weight_t w_t keep_t;   a_t by aggregation;   D by the caller, so that any split of a batch
//   into calls gives the same gradients, bit for bit, and losses that add up
//
// At equality with a bound or a clamp the gradient is that of the unclipped branch, whole; the ratio's
// is 0 strictly outside [log_ratio_min, log_ratio_max]. A = 0: l = 0, gradient 0 (but QUADRATIC). A
// bound's comparison with NaN changes nothing, so NaN reaches the loss. QUADRATIC and GEOMETRIC take rho
// unclamped.
// A term whose weight (s, c or k) is 0 is left out, whatever it holds. kl_gradient SQUARED obeys the
// clamps like OWN; with kl_weight RATIO both parts of the gradient stop where a KL clamp bites.
//
// No valid token, or D = 0 in device memory: loss 0, gradients +0, counts 0. A NaN in a valid token makes
// the loss and that token's gradient NaN (a sequence-level ratio: its sequence's), nothing else. A
// sequence with bad offsets or above sequences.max_size is left out: its gradients and token losses are
// NaN, counters BAD_OFFSETS and GROUP_TOO_LARGE. Gradients of masked tokens are +0; of every element
// something is written.
//
// Ratios, KL and sigmoids are binary32 with at most 1 ulp each; everything that is summed over a
// sequence or the batch, binary64. loss_tiles of calls that hold multiples of 2048 sequences, put one
// after the other and folded by the tree of merit, give the bits of the undivided call.
// Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal. One launch.
// Statuses: INVALID_ARGUMENT (a bound, clamp or coefficient out of its range or NaN, low above high, a
// required array NULL, GEOMETRIC with a sequence-level ratio, overlapping arrays, ...),
// WORKSPACE_TOO_SMALL.
MERIT_API merit_status merit_policy_loss(merit_context *ctx, const merit_policy_loss_desc *desc,
                                         const merit_policy_loss_io *io, void *workspace,
                                         size_t workspace_bytes, merit_stream stream);
MERIT_API merit_status merit_policy_loss_workspace(merit_context *ctx,
                                                   const merit_policy_loss_desc *desc,
                                                   size_t *bytes);
MERIT_API merit_status merit_policy_loss_desc_init(merit_policy_loss_desc *desc, size_t size);

// Overwrites the options, leaves num_tokens, sequences and denominator. NOT_FOUND: no such preset. By the
// stacks' conventions D is
//   sequences, empty ones included    grpo, trl.grpo, gspo, gmpo, verl.gmpo, rloo.trl, sapo, critique_grpo
//   sequences that are not empty      gspo_token, verl.gspo
//   sequences times the longest length that may be sampled    dr_grpo, trl.dr_grpo
//   valid tokens of this call         trl.bnpo
//   valid tokens of the global batch  all others
MERIT_API merit_status merit_policy_loss_preset(const char *name, merit_policy_loss_desc *desc);
MERIT_API const char *merit_policy_loss_preset_name(int32_t i); // NULL past the last

// policy_value_loss -------------------------------------------------------------------------------

typedef struct merit_policy_value_loss_desc {
    size_t struct_size;
    int64_t num_tokens; // T >= 0; default 0
    merit_groups sequences; // B sequences
    double denominator; // D > 0; 0 = io.denominator; required, so default NaN; presets leave it
    // options
    float clip; // c >= 0; 0 = unclipped; default 0.2
    float huber_delta; // delta >= 0; 0 = square; default 0
    float scale; // > 0; default 0.5
    int32_t aggregation; // merit_policy_aggregation; default TOKEN
} merit_policy_value_loss_desc;

// Sums and counts over the valid tokens.
typedef struct merit_policy_value_stats {
    int64_t tokens;
    int64_t clipped; // the clipped branch is larger
    double sum_value;
    double sum_squared_error; // (v - R)^2
    double sum_return;
    double sum_return_squared;
} merit_policy_value_stats;

typedef struct merit_policy_value_loss_io {
    size_t struct_size;
    const float *value; // in   [T] v
    const float *old_value; // in   [T]: needed with clip > 0
    const float *returns; // in   [T] R
    const uint8_t *mask; // in   [T] 0 or not 0, NULL = all valid
    const double *denominator; // in   [1]: D when desc.denominator is 0
    double *loss; // out  [1], NULL
    double *loss_tiles; // out  [ceil(B/2048)], NULL: as of merit_policy_loss
    float *grad_value; // out  [T], NULL; may be old_value or returns, not value
    merit_policy_value_stats *stats; // out  [1], NULL
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_policy_value_loss_io;

// Loss of a value head (PPO: Schulman et al. 2017, clipped as in their code):
//
//   L = sum over valid t of a_t scale max(h(v - R), h(min(max(v, old - c), old + c) - R))
//   h(u) = u^2, or with huber_delta u^2 / 2 up to delta and delta (abs(u) - delta / 2) beyond
//
// Gradient: a_t scale h'(v - R) where the first is at least the second, else 0. Sequences, masks, D, a_t,
// NaN and refused sequences are those of merit_policy_loss. h is binary32, sums are binary64.
// Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal. One launch.
// Statuses: INVALID_ARGUMENT (clip or huber_delta negative, scale not positive, NaN, a required array NULL,
// overlapping arrays, ...), WORKSPACE_TOO_SMALL.
MERIT_API merit_status merit_policy_value_loss(merit_context *ctx,
                                               const merit_policy_value_loss_desc *desc,
                                               const merit_policy_value_loss_io *io,
                                               void *workspace, size_t workspace_bytes,
                                               merit_stream stream);
MERIT_API merit_status merit_policy_value_loss_workspace(merit_context *ctx,
                                                         const merit_policy_value_loss_desc *desc,
                                                         size_t *bytes);
MERIT_API merit_status merit_policy_value_loss_desc_init(merit_policy_value_loss_desc *desc,
                                                         size_t size);

// Overwrites the options, leaves num_tokens, sequences and denominator. NOT_FOUND: no such preset.
MERIT_API merit_status merit_policy_value_loss_preset(const char *name,
                                                      merit_policy_value_loss_desc *desc);
MERIT_API const char *merit_policy_value_loss_preset_name(int32_t i); // NULL past the last

// policy_count ------------------------------------------------------------------------------------

typedef struct merit_policy_count_desc {
    size_t struct_size;
    int64_t num_tokens; // T >= 0; default 0
    merit_groups sequences; // B sequences
} merit_policy_count_desc;

// What denominators are made of. Integers, so that ranks and micro-batches add.
typedef struct merit_policy_counts {
    int64_t tokens; // valid
    int64_t nonempty_sequences;
} merit_policy_counts;

typedef struct merit_policy_count_io {
    size_t struct_size;
    const uint8_t *mask; // in   [T] 0 or not 0, NULL = all valid
    merit_policy_counts *counts; // out  [1]
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_policy_count_io;

// Counts the valid tokens and the sequences that have any: run it over the whole batch, add over ranks,
// and give the sum to the calls of its parts as their denominator. Refused sequences (see
// merit_policy_loss) do not count. Levels: all five. One launch.
// Statuses: INVALID_ARGUMENT (counts NULL, bad sizes, overlapping arrays), WORKSPACE_TOO_SMALL.
MERIT_API merit_status merit_policy_count(merit_context *ctx, const merit_policy_count_desc *desc,
                                          const merit_policy_count_io *io, void *workspace,
                                          size_t workspace_bytes, merit_stream stream);
MERIT_API merit_status merit_policy_count_workspace(merit_context *ctx,
                                                    const merit_policy_count_desc *desc,
                                                    size_t *bytes);
MERIT_API merit_status merit_policy_count_desc_init(merit_policy_count_desc *desc, size_t size);

#ifdef __cplusplus
}
#endif

#endif
