// Policy optimization: log-probabilities of tokens with their gradients.
#ifndef MERIT_POLICY_H
#define MERIT_POLICY_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

// policy_logprob ----------------------------------------------------------------------------------

// Which vocabulary entries a token may be: the support K of its row.
typedef enum merit_logprob_support {
    MERIT_LOGPROB_SUPPORT_ALL = 0, // every v
    MERIT_LOGPROB_SUPPORT_MASK =
        1, // the bits of keep_mask: what top-k or top-p of the sampler kept
    MERIT_LOGPROB_SUPPORT_SUBSET = 2 // subset_ids: only their logits are read
} merit_logprob_support;

// What probabilities are normalized over.
typedef enum merit_logprob_normalize {
    MERIT_LOGPROB_NORMALIZE_SUPPORT = 0, // K
    MERIT_LOGPROB_NORMALIZE_FULL = 1 // every v
} merit_logprob_normalize;

// What forward gives where the vocabulary is split over ranks.
typedef enum merit_logprob_partials {
    MERIT_LOGPROB_PARTIALS_NONE = 0, // results: the whole vocabulary is here
    MERIT_LOGPROB_PARTIALS_SHARD = 1, // a record per row and rank
    MERIT_LOGPROB_PARTIALS_SEGMENT =
        2 // and the sums of each 2048 logits: merged, the bits of an unsplit call
} merit_logprob_partials;

// Of 2048 logits: sums of e = 2^(logit - M), e (logit - M) and e^2, in base 2, M following from max.
typedef struct merit_policy_logprob_segment {
    float max, sum, moment, squares;
} merit_policy_logprob_segment;

// Of the vocabulary of one rank: the same under 2^exponent, and what else of it the merged row needs.
typedef struct merit_policy_logprob_shard {
    double sum, moment, squares;
    int32_t exponent;
    int32_t argmax; // global; -1: none
    float max; // as it enters: capped under a soft cap, else the logit
    float target; // likewise, of the target; -inf: not here
} merit_policy_logprob_shard;

// What forward hands to the backward pass: pi_v = 2^(logit_v - exponent) * inverse.
typedef struct merit_policy_logprob_state {
    int32_t exponent;
    float inverse;
} merit_policy_logprob_state;

// Shared by forward and backward.
typedef struct merit_policy_logprob_desc {
    size_t struct_size;
    int64_t num_tokens; // T >= 0; default 0
    int64_t vocab_size; // V, 1..2^24; default 1
    int64_t ld_logits; // elements from row to row of logits and grad_logits, >= V; 0 = V; default 0
    int64_t ld_mask; // words from row to row of keep_mask, >= ceil(V/32); 0 = one row for all
    int64_t ld_subset; // ids from row to row of subset_ids, >= S; 0 = one row for all
    int32_t dtype; // F32, F16 or BF16: logits and grad_logits; default BF16
    int32_t target_dtype; // I32 or I64; default I64
    int32_t subset_size; // S, 1..64 with SUBSET: ids per row; default 0
    float temperature; // > 0: of every row if temperatures is NULL; default 1
    float logit_scale; // finite; default 1
    float soft_cap; // >= 0, 0 = none; default 0
    int32_t support; // merit_logprob_support; default ALL
    int32_t normalize; // merit_logprob_normalize; default SUPPORT
    int64_t ignore_index; // a target that says: skip this row; default -100
    int64_t
        vocab_begin; // global id of the first logit here; default 0; a multiple of 2048 with SEGMENT
    int64_t vocab_total; // of all ranks, 0 = V; default 0. Targets are global ids
    int32_t partials; // merit_logprob_partials; default NONE
    int32_t num_shards; // P >= 1: ranks whose records merge takes; default 1
} merit_policy_logprob_desc;

typedef struct merit_policy_logprob_forward_io {
    size_t struct_size;
    const void *logits; // in   [T,V] dtype, ld_logits
    const void *targets; // in   [T] target_dtype, NULL: no logprob, no row is ignored
    const float *temperatures; // in   [T] > 0, NULL = temperature
    const uint32_t
        *keep_mask; // in   [T, ceil(V/32)] or [ceil(V/32)]: MASK. Bit v mod 32 of word v / 32
    const int32_t *subset_ids; // in   [T,S] or [S]: SUBSET
    float *logprob; // out  [T], NULL
    float *lse; // out  [T], NULL: log of the sum of e^z, z as below
    float *entropy; // out  [T], NULL
    float *sum_sq; // out  [T], NULL: sum over K of pi^2
    float *mass; // out  [T], NULL: log of the probability of K; needs FULL
    int32_t *argmax; // out  [T], NULL: the lowest v in K of the largest z; -1 if there is none
    merit_policy_logprob_state *state; // out  [T], NULL: for backward
    merit_diagnostics *diagnostics; // in/out, NULL
    merit_policy_logprob_shard
        *shards; // out  [T]: partials not NONE; the results above are NULL then
    merit_policy_logprob_segment *segments; // out  [T, ceil(V/2048)], 16-byte aligned: SEGMENT
} merit_policy_logprob_forward_io;

typedef struct merit_policy_logprob_backward_io {
    size_t struct_size;
    const void *logits; // in   [T,V] dtype, ld_logits
    const void *targets; // in   [T] target_dtype; NULL with grad_logprob NULL
    const float *temperatures; // in   [T] > 0, NULL = temperature
    const uint32_t *keep_mask; // in   [T, ceil(V/32)] or [ceil(V/32)]: MASK
    const int32_t *subset_ids; // in   [T,S] or [S]: SUBSET
    const merit_policy_logprob_state *state; // in   [T]: of forward, with the same options
    const float *grad_logprob; // in   [T], NULL = 0: gradient of what follows wrt logprob
    const float *grad_entropy; // in   [T], NULL = 0
    const float *entropy; // in   [T]: of forward; grad_entropy needs it
    const float *mass; // in   [T]: of forward; grad_entropy under FULL needs it
    void *grad_logits; // out  [T,V] dtype, ld_logits; may be logits
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_policy_logprob_backward_io;

typedef struct merit_policy_logprob_merge_io {
    size_t struct_size;
    const merit_policy_logprob_shard
        *shards; // in   [P,T]: of every rank, in the order of their ids
    const merit_policy_logprob_segment
        *segments; // in   SEGMENT: per rank p, T ceil(V/2048) apart, [T, its own]
    const void *targets; // in   [T] target_dtype, NULL: no logprob
    const float *temperatures; // in   [T] > 0, NULL = temperature
    float *logprob; // out  [T], NULL
    float *lse; // out  [T], NULL
    float *entropy; // out  [T], NULL
    float *sum_sq; // out  [T], NULL
    int32_t *argmax; // out  [T], NULL: global
    merit_policy_logprob_state *state; // out  [T], NULL: for backward on every rank
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_policy_logprob_merge_io;

// Fills *desc with the defaults, which are the preset "logprob.default". size is sizeof *desc as compiled.
MERIT_API merit_status merit_policy_logprob_desc_init(merit_policy_logprob_desc *desc, size_t size);

// Overwrites every option of *desc (from temperature on) with those of a named preset; sizes, strides and
// types stay. "logprob.default"; "logprob.trl": logit_scale, soft_cap and temperature are the model's and
// have to be set (NaN until then); "logprob.genprm": SUBSET of yes and no, so that logprob of yes is
// log sigmoid(z_yes - z_no). NOT_FOUND when there is no such preset.
MERIT_API merit_status merit_policy_logprob_preset(const char *name,
                                                   merit_policy_logprob_desc *desc);

// Name of preset i, NULL past the last.
MERIT_API const char *merit_policy_logprob_preset_name(int32_t i);

MERIT_API merit_status merit_policy_logprob_forward_workspace(merit_context *ctx,
                                                              const merit_policy_logprob_desc *desc,
                                                              size_t *bytes);

// One read of the logits of each row:
//
//   z_v = u(logit_scale x_v) / temperature    u(a) = soft_cap tanh(a / soft_cap), or a without a cap
//   Z = log sum of e^(z_v) over K (over every v: FULL)    pi_v = e^(z_v - Z)
//   logprob = z_target - Z    entropy = -sum over K of pi log pi    sum_sq = sum over K of pi^2
//   mass = log sum over K of pi
//
// A row whose target is ignore_index is not read: outputs 0, argmax -1. A target outside [0, V): logprob
// NaN (BAD_LABEL), the rest as ever. A logit of -inf has weight exactly 0, capped or not; a target there or
// outside K: logprob -inf (TARGET_OUTSIDE_SUPPORT). K without a finite logit: lse -inf, everything else NaN,
// argmax -1 (EMPTY_SUPPORT). One finite logit: logprob 0, entropy 0, sum_sq 1, exactly. NaN or +inf in
// what is summed (NONFINITE), abs(largest z) log2 e >= 2^22 (LOGIT_RANGE), a temperature that is not
// positive and finite (BAD_TEMPERATURE), an id outside [0, V) (BAD_LABEL): every output of that row is NaN,
// argmax -1, of that row alone. A duplicate id counts twice. Counters count rows.
//
// Errors: abs(logprob - exact) <= 1.5e-6 + 6e-8 abs(z_max - z_target) + 1/2 ulp, 1.4e-8 in place of 6e-8
// for logit_scale / temperature = 1; under a soft cap 4e-7 soft_cap / temperature more. lse likewise;
// entropy <= 3e-6 (1 + entropy). Temperatures act as if rounded by a relative 6e-8 at most, the same for every
// output. 2^x is a polynomial of degree 5 of binary32; sums of 2048 logits in binary32, of rows in binary64.
// Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal. One launch; rows
// of more than 524288 logits, if there are more than 256 of them, take a memset besides. Workspace: none,
// but for at most 256 rows, rows of more than 524288 logits, and SEGMENT: 36 bytes per 2048 logits.
//
// With partials, V logits from vocab_begin on are here and K is what of it is here: forward writes the records
// that merit_policy_logprob_merge turns into results; see there.
// Statuses: INVALID_ARGUMENT (NULL logits, ld_logits < V, temperature <= 0, logit_scale not finite,
// soft_cap < 0, MASK without keep_mask, SUBSET without ids, S outside 1..64, ld_mask or ld_subset too
// small, logprob without targets, mass without FULL, results together with partials, a part that leaves
// vocab_total, unknown enum value, overlap), WORKSPACE_TOO_SMALL,
// CUDA_ERROR.
MERIT_API merit_status merit_policy_logprob_forward(merit_context *ctx,
                                                    const merit_policy_logprob_desc *desc,
                                                    const merit_policy_logprob_forward_io *io,
                                                    void *workspace, size_t workspace_bytes,
                                                    merit_stream stream);

MERIT_API merit_status merit_policy_logprob_backward_workspace(
    merit_context *ctx, const merit_policy_logprob_desc *desc, size_t *bytes);

// The gradient wrt the logits of sum_t grad_logprob[t] logprob[t] + grad_entropy[t] entropy[t], from
// another read of the logits, which it may be written over:
//
//   g_v = g_lp ([v = target] - pi_v) - g_H pi_v (log pi_v + entropy)
//   grad_v = g_v (logit_scale / temperature) (1 - tanh(logit_scale x_v / soft_cap)^2)
//
// Under FULL, pi is that of the whole: logprob pulls on every v, and the entropy of K, P = e^mass, gives
// -g_H pi_v (log pi_v + 1 + entropy - P) in K and -g_H pi_v (entropy - P) outside.
//
// Every element of a row is written, gaps between rows are not: zeros for a row whose target is ignore_index
// (not read) and, with SUPPORT, outside K. The logprob of a target of probability 0 pulls on the other v
// alone, with -g_lp pi_v; its own logit gets 0, under FULL what the entropy says. A row whose target is outside [0, V) (BAD_LABEL), whose temperature (BAD_TEMPERATURE) or ids
// (BAD_LABEL) are bad, or whose forward results were NaN, is NaN throughout. An id that occurs m times
// counts m times. NaN and infinite g_lp, g_H follow IEEE, in their row alone.
//
// Errors: at most 1e-6 pi_v abs(g_lp) + 2e-6 pi_v (abs(log pi_v) + entropy + 1) abs(g_H), each times
// abs(logit_scale) / temperature, and the rounding to dtype. binary32 throughout.
// Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal. One launch, no
// workspace. Statuses: those of forward, and INVALID_ARGUMENT for NULL state or grad_logits,
// grad_logprob without targets, grad_entropy without entropy (FULL: or mass), neither gradient.
MERIT_API merit_status merit_policy_logprob_backward(merit_context *ctx,
                                                     const merit_policy_logprob_desc *desc,
                                                     const merit_policy_logprob_backward_io *io,
                                                     void *workspace, size_t workspace_bytes,
                                                     merit_stream stream);

MERIT_API merit_status merit_policy_logprob_merge_workspace(merit_context *ctx,
                                                            const merit_policy_logprob_desc *desc,
                                                            size_t *bytes);

// Results of rows whose vocabulary P ranks hold: each calls forward on its own with partials, the records are
// gathered (in order of their ids, never summed), merge gives every rank the results, and backward runs on
// each with the merged state and its own vocab_begin.
//
// SEGMENT: vocab_size is that of every rank but the last, a multiple of 2048, P = ceil(vocab_total /
// vocab_size); bits are those of the unsplit call, whatever P is. SHARD: any bounds, which the bits depend on in
// their last places. Ties of argmax go to the lowest id. Options, special rows and counters as in forward; only
// SUPPORT, without SUBSET. Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant,
// cpu_gpu_equal. One launch, no workspace. Statuses: INVALID_ARGUMENT (partials NONE, NULL shards,
// SEGMENT without segments or with another P, logprob without targets, options of forward), CUDA_ERROR.
MERIT_API merit_status merit_policy_logprob_merge(merit_context *ctx,
                                                  const merit_policy_logprob_desc *desc,
                                                  const merit_policy_logprob_merge_io *io,
                                                  void *workspace, size_t workspace_bytes,
                                                  merit_stream stream);

#ifdef __cplusplus
}
#endif

#endif
