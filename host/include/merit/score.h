// Scores: linear heads on selected tokens of hidden states.
#ifndef MERIT_SCORE_H
#define MERIT_SCORE_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

// score: score_forward, score_backward ------------------------------------------------------------

// Which tokens of hidden are scored. B sequences of T tokens, or a packed array of tokens.
typedef enum merit_positions {
    MERIT_POSITIONS_ALL = 0, // every token, or those with mask != 0: P = B T, or all packed tokens
    MERIT_POSITIONS_LENGTHS = 1, // lengths[b] - 1: P = B, as of the next four
    MERIT_POSITIONS_MASK = 2, // the largest t with mask[b,t] != 0
    MERIT_POSITIONS_CU_SEQLENS = 3, // packed: cu_seqlens[b + 1] - 1
    MERIT_POSITIONS_LAST_NON_PAD = 4, // the largest t with ids[b,t] != pad_id
    MERIT_POSITIONS_BEFORE_FIRST_PAD = 5, // (smallest t >= context_length with a pad, or T) - 1
    MERIT_POSITIONS_EXPLICIT = 6 // positions, see merit_position_layout
} merit_positions;

// What the numbers in positions of EXPLICIT are.
typedef enum merit_position_layout {
    MERIT_POSITION_LAYOUT_FLAT = 0, // [P] rows of hidden: b T + t, or packed tokens
    MERIT_POSITION_LAYOUT_PER_ROW = 1, // [B,N] tokens of their sequence: P = B N
    MERIT_POSITION_LAYOUT_RAGGED =
        2 // [P] tokens of sequence b: those in [offsets[b], offsets[b + 1])
} merit_position_layout;

typedef enum merit_score_path {
    MERIT_SCORE_PATH_EXACT = 0, // the canonical order: all five levels
    MERIT_SCORE_PATH_BLAS = 1, // rows are gathered, cuBLAS multiplies them
    MERIT_SCORE_PATH_AUTO = 2 // BLAS for more than 16 heads when the context has loaded it
} merit_score_path;

typedef enum merit_score_shard {
    MERIT_SCORE_SHARD_NONE = 0,
    MERIT_SCORE_SHARD_PARTIAL = 1 // binary64 tile sums, for score_finish
} merit_score_shard;

typedef enum merit_grad_layout {
    MERIT_GRAD_LAYOUT_DENSE = 0, // as hidden; rows that are not scored are 0
    MERIT_GRAD_LAYOUT_ROWS = 1 // [P,H] in the order of positions
} merit_grad_layout;

// found_positions of what has no token.
typedef enum merit_position_kind {
    MERIT_POSITION_EMPTY = -1, // nothing to score in the sequence
    MERIT_POSITION_MASKED = -2, // masked out of ALL
    MERIT_POSITION_BAD = -3 // outside hidden, or offsets that decrease
} merit_position_kind;

typedef struct merit_score_desc {
    size_t struct_size;
    int64_t num_rows; // B >= 0 sequences; default 0
    int64_t row_tokens; // T >= 1; 0: hidden is packed; default 0
    int64_t num_tokens; // packed: tokens in all; default 0
    int64_t num_positions; // P of EXPLICIT in layout FLAT or RAGGED; default 0
    int32_t positions_per_row; // N >= 1 of layout PER_ROW; default 1
    int32_t context_length; // 0..T: BEFORE_FIRST_PAD; default 0
    int64_t pad_id; // >= 0: LAST_NON_PAD, BEFORE_FIRST_PAD; default -1 = missing
    int32_t hidden_size; // H, 1..65536 (of this shard); default 0
    int32_t num_heads; // K, 1..1024; default 1
    int32_t hidden_dtype; // F32, BF16 or F16: hidden and grad_hidden; default BF16
    int32_t weight_dtype; // F32 or hidden_dtype; default F32
    int32_t index_dtype; // I32 or I64: ids, cu_seqlens, positions; default I64
    // elements from one to the next; 0 = dense; default 0
    int64_t hidden_row_stride; // sequences of hidden, >= (T - 1) * hidden_stride + H
    int64_t hidden_stride; // tokens of hidden, >= H
    int64_t weight_stride; // heads of weight, >= H
    int64_t score_stride; // positions of scores, >= K (routed: >= 1)
    int64_t grad_score_stride; // positions of grad_scores, >= K (routed: >= 1)
    int64_t grad_hidden_row_stride; // DENSE: sequences of grad_hidden
    int64_t grad_hidden_stride; // rows of grad_hidden, >= H
    int64_t grad_weight_stride; // heads of grad_weight, >= H
    // options
    int32_t positions; // merit_positions; default LENGTHS
    int32_t position_layout; // merit_position_layout; default FLAT
    int32_t routed; // 1: position p has the one head route[p]; default 0
    float empty_value; // score of an empty row; default NaN
    int32_t path; // merit_score_path; default EXACT
    int32_t shard; // merit_score_shard; default NONE
    int32_t accumulate; // 1: backward adds to grad_weight and grad_bias; default 0
    int32_t grad_layout; // merit_grad_layout; default ROWS
} merit_score_desc;

typedef struct merit_score_forward_io {
    size_t struct_size;
    const void *hidden; // in   [B,T,H] or [tokens,H] hidden_dtype, strides
    const void *weight; // in   [K,H] weight_dtype, weight_stride
    const float *bias; // in   [K], NULL = 0
    const float *post_mean; // in   [K], NULL = 0
    const float *post_std; // in   [K], NULL = 1
    const int32_t *route; // in   [P]: routed
    const int32_t *lengths; // in   [B]: LENGTHS
    const uint8_t *mask; // in   [B,T]: MASK; ALL: [P], NULL = all
    const void *cu_seqlens; // in   [B+1] index_dtype: CU_SEQLENS
    const void *ids; // in   [B,T] index_dtype: LAST_NON_PAD, BEFORE_FIRST_PAD
    const void *positions; // in   EXPLICIT: [P] or [B,N] index_dtype
    const int64_t *position_offsets; // in   [B+1]: EXPLICIT in layout RAGGED
    void *scores; // out  [P,K] f32, score_stride; routed: [P]; PARTIAL: f64 [ceil(H/2048),P,K]
    int64_t *found_positions; // out  [P], NULL: rows of hidden (b T + t), or a merit_position_kind
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_score_forward_io;

// Fills *desc with the defaults. size is sizeof *desc as compiled.
MERIT_API merit_status merit_score_desc_init(merit_score_desc *desc, size_t size);

// Overwrites every option of *desc with those of a named preset ("hf.sequence_classification",
// "trl.get_reward", "openrlhf.reward", "armo", ...); sizes, strides, dtypes, pad_id and
// context_length stay. NOT_FOUND when there is no such preset.
MERIT_API merit_status merit_score_preset(const char *name, merit_score_desc *desc);

// Name of preset i, NULL past the last.
MERIT_API const char *merit_score_preset_name(int32_t i);

MERIT_API merit_status merit_score_forward_workspace(merit_context *ctx,
                                                     const merit_score_desc *desc, size_t *bytes);

// Linear heads on the tokens that are wanted, and on no others: reward heads with one or K scores,
// value heads, process rewards.
//
//   z[p,k]     = sum over h of hidden[pos(p),h] * weight[k,h] + bias[k]
//   score[p,k] = (z[p,k] - post_mean[k]) / post_std[k]        routed: score[p] = score[p,route[p]]
//
// Nothing but the selected rows of hidden is read. A sequence without a token to score (length <= 0,
// mask 0 everywhere, only padding, an empty span, a negative position) gets empty_value (EMPTY_ROW);
// a token masked out of ALL +0; a position past the hidden states or its sequence, and a span or an
// offset that decreases or leaves the arrays, NaN (BAD_POSITION, BAD_OFFSETS). A route outside [0, K)
// is NaN (BAD_ROUTE); a post_std of 0 or NaN follows IEEE, counted once per head (BAD_STD). NaN and
// infinity stay in their row.
//
// Precision: products and lanes (256 per 2048 elements, up to 8 terms each) in binary32, everything
// behind the lanes in binary64, one rounding: within 10 * 2^-24 * sum of abs(weight * hidden). EXACT:
// run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal; a row's bits depend on
// nothing but its hidden state. BLAS: run_to_run and batch_invariant, on one GPU architecture and
// cuBLAS version. One launch; two with BLAS per 1024 positions, besides cuBLAS's.
// PARTIAL: hidden_size is that of this shard, which starts at a multiple of 2048. bias and the
// affine are left to score_finish; positions that are not scored have sums of 0, bad ones NaN.
// Statuses: INVALID_ARGUMENT (NULL where the rule needs an array, sizes or strides out of range,
// pad_id missing, context_length > T, an array that no option uses, PARTIAL with bias or affine,
// overlap), UNSUPPORTED (BLAS without a loaded library, routed or PARTIAL), WORKSPACE_TOO_SMALL,
// CUDA_ERROR, BLAS_ERROR.
MERIT_API merit_status merit_score_forward(merit_context *ctx, const merit_score_desc *desc,
                                           const merit_score_forward_io *io, void *workspace,
                                           size_t workspace_bytes, merit_stream stream);

// score_backward ----------------------------------------------------------------------------------

typedef struct merit_score_backward_io {
    size_t struct_size;
    const void *hidden; // in   as forward: for grad_weight, else NULL
    const void *weight; // in   as forward: for grad_hidden, else NULL
    const float *post_std; // in   [K], NULL = 1
    const int32_t *route; // in   as forward, as of the next six
    const int32_t *lengths;
    const uint8_t *mask;
    const void *cu_seqlens;
    const void *ids;
    const void *positions;
    const int64_t *position_offsets;
    const float *grad_scores; // in   [P,K], grad_score_stride; routed: [P]
    const uint8_t *label_mask; // in   [P,K], routed [P], NULL = all: 0 = not read, no gradient
    void *grad_hidden; // out  hidden_dtype, NULL: ROWS [P,H], DENSE as hidden, strides
    void *grad_weight; // out  [K,H] f32, stride, NULL; PARTIAL: f64 [ceil(P/2048),K,H]
    void *grad_bias; // out  [K] f32, NULL; PARTIAL: f64 [ceil(P/2048),K]
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_score_backward_io;

MERIT_API merit_status merit_score_backward_workspace(merit_context *ctx,
                                                      const merit_score_desc *desc, size_t *bytes);

// Gradients of score_forward under the same descriptor, from g = grad_scores:
//
//   u[p,k] = g[p,k] / post_std[k]    routed: u[p,route[p]] only
//   grad_hidden[pos(p),h] = sum over rising k of u[p,k] * weight[k,h]
//   grad_weight[k,h]      = sum over p of u[p,k] * hidden[pos(p),h]
//   grad_bias[k]          = sum over p of u[p,k]
//
// Empty and masked positions have gradient 0: nothing of theirs is read. A bad position makes its row
// of grad_hidden (ROWS) and the gradients of its heads NaN; a bad route its row of grad_hidden alone.
// Counters as in score_forward. DENSE: rows of hidden that are not scored get 0, rows that several
// positions name get NaN (REPEATED_POSITION counts all but the first of each; ROWS takes them). With
// accumulate, sums are added to what grad_weight and grad_bias hold, in binary64. P = 0 writes nothing.
//
// Precision: grad_hidden in binary32, rounded once more to a 16-bit hidden_dtype. grad_weight and
// grad_bias in the canonical order over p: lanes in binary32, all behind them in binary64, one
// rounding. Levels: run_to_run, batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal.
// Launches: one for grad_hidden, one for the others; DENSE two and a fill for grad_hidden.
// PARTIAL: tile sums over positions for data parallel training, which score_finish folds (with
// num_positions = K and num_heads = H). Hidden states cut over H need no PARTIAL: each rank calls this
// on its own columns.
// Statuses: as score_forward, and INVALID_ARGUMENT for accumulate with PARTIAL, and for a gradient
// whose other factor is NULL.
MERIT_API merit_status merit_score_backward(merit_context *ctx, const merit_score_desc *desc,
                                            const merit_score_backward_io *io, void *workspace,
                                            size_t workspace_bytes, merit_stream stream);

#ifdef __cplusplus
}
#endif

#endif
