// Scores: linear heads on selected tokens of hidden states, what is read out of them, their regression.
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
// cuBLAS version, for weights that are as aligned. One launch; two with BLAS per 1024 positions, besides
// cuBLAS's. The query of the workspace makes the objects of cuBLAS (a context keeps those of the last
// eight shapes), so that calls of aligned weights create none.
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

// score_finish ------------------------------------------------------------------------------------

typedef struct merit_score_finish_desc {
    size_t struct_size;
    int64_t num_tiles; // >= 1 in all shards; default 1
    int64_t num_positions; // P >= 0; default 0
    int32_t num_heads; // K, 1..65536; default 1
    int32_t routed; // 1: one column, of head route[p]; default 0
    int64_t score_stride; // >= K (routed: >= 1), 0 = dense; default 0
    float empty_value; // score of an empty row; default NaN
} merit_score_finish_desc;

typedef struct merit_score_finish_io {
    size_t struct_size;
    const double
        *tile_sums; // in   [tiles,P,K], routed [tiles,P]: of PARTIAL calls, shard after shard
    const int64_t
        *found_positions; // in   [P], NULL = all have a token: as score_forward wrote them
    const float *bias; // in   [K], NULL = 0
    const float *post_mean; // in   [K], NULL = 0
    const float *post_std; // in   [K], NULL = 1
    const int32_t *route; // in   [P]: routed
    float *scores; // out  [P,K], score_stride; routed: [P]
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_score_finish_io;

MERIT_API merit_status merit_score_finish_desc_init(merit_score_finish_desc *desc, size_t size);
MERIT_API merit_status merit_score_finish_workspace(merit_context *ctx,
                                                    const merit_score_finish_desc *desc,
                                                    size_t *bytes);

// Folds the tile sums of PARTIAL calls by the tree over tiles, adds bias and affine, rounds once: the
// bits of one rank. Shards start at multiples of 2048 elements, so their tiles in a row are those of the
// whole. Tile sums of score_backward fold the same way: P = K heads, K = H columns.
// Counts BAD_STD and BAD_ROUTE as score_forward does. Levels: all five. One launch, no workspace.
// Statuses: INVALID_ARGUMENT (NULL tile_sums, scores or route, sizes out of range, overlap), CUDA_ERROR.
MERIT_API merit_status merit_score_finish(merit_context *ctx, const merit_score_finish_desc *desc,
                                          const merit_score_finish_io *io, void *workspace,
                                          size_t workspace_bytes, merit_stream stream);

// score_readout -----------------------------------------------------------------------------------

typedef enum merit_readout_kind {
    MERIT_READOUT_LINEAR = 0, // reward along a direction: sum of v_k r_k
    MERIT_READOUT_GATE = 1, // gated mixture: scale * sum of p_k u_k, p = softmax(y / T), u = r M
    MERIT_READOUT_LEVELS = 2, // distribution over levels, softmax(y / T), of values v
    MERIT_READOUT_QUANTILE = 3 // quantile heads: means, lower tails, quartiles
} merit_readout_kind;

typedef struct merit_score_readout_desc {
    size_t struct_size;
    int64_t num_rows; // P >= 0; default 0
    int32_t num_columns; // K, 1..1024; QUANTILE: A N; default 1
    int32_t num_logits; // V >= 1 with level_index, else 0 or K; default 0
    int32_t input_dtype; // F32, BF16 or F16: inputs, gate_logits and their gradients; default F32
    // elements from row to row; 0 = dense (one row for all: direction_stride); default 0
    int64_t input_stride; // >= K, or V with level_index
    int64_t gate_stride; // >= K
    int64_t direction_stride; // >= K
    int64_t grad_stride; // of grad_inputs, >= K
    // options
    int32_t kind; // merit_readout_kind; default LINEAR
    int32_t unit; // LINEAR, 1: divided by the length of v; default 0
    float temperature; // T > 0: GATE, LEVELS; default 1
    float scale; // finite: GATE; default 1
    int32_t num_attributes; // A >= 1, divides K: QUANTILE; default 1
    float alpha; // in (0, 1]: QUANTILE; default 1
    int32_t sort; // QUANTILE, 1: levels need not rise; default 0
    float empty_value; // LEVELS, mean of a row whose logits are all -inf; default NaN
} merit_score_readout_desc;

typedef struct merit_score_readout_forward_io {
    size_t struct_size;
    const void *inputs; // in   [P,K] or [P,V] input_dtype: r, logits or quantiles
    const float *direction; // in   [P,K] or [K]: LINEAR
    const void *gate_logits; // in   [P,K] input_dtype: GATE
    const float *transform; // in   [K,K], NULL = identity: GATE
    const int32_t *level_index; // in   [K], NULL = all in order: LEVELS
    const float *level_values; // in   [K], NULL = 1, 2, ..., K: LEVELS
    const float *level_weights; // in   [N], NULL = 1 / N: QUANTILE, sum 1
    float *reward; // out  [P], NULL: LINEAR, GATE
    float *gate; // out  [P,K], NULL: GATE, p
    float *mean; // out  [P] or [P,A], NULL: LEVELS, QUANTILE
    float *variance; // out  [P], NULL: LEVELS
    float *entropy; // out  [P], NULL: LEVELS
    float *prob; // out  [P,K], NULL: LEVELS
    float *cvar; // out  [P,A], NULL: QUANTILE
    float *iqr; // out  [P,A], NULL: QUANTILE
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_score_readout_forward_io;

typedef struct merit_score_readout_backward_io {
    size_t struct_size;
    const void *inputs; // in   as forward, as of the next six
    const float *direction;
    const void *gate_logits;
    const float *transform;
    const int32_t *level_index;
    const float *level_values;
    const float *level_weights;
    const float *grad_reward; // in   [P], NULL = 0, as of the next five
    const float *grad_mean; // in   [P] or [P,A]
    const float *grad_variance; // in   [P]
    const float *grad_entropy; // in   [P]
    const float *grad_cvar; // in   [P,A]
    const float *grad_iqr; // in   [P,A]
    void *grad_inputs; // out  [P,K] input_dtype, grad_stride, NULL; in the order of level_index
    float *grad_direction; // out  [P,K], NULL: LINEAR, also of a shared direction
    void *grad_gate_logits; // out  [P,K] input_dtype, NULL: GATE
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_score_readout_backward_io;

MERIT_API merit_status merit_score_readout_desc_init(merit_score_readout_desc *desc, size_t size);

// Overwrites every option of *desc with those of a named preset ("dpa", "armo", "oprm", "genprm",
// "qrm", ...); sizes, strides and input_dtype stay. The scale of "armo" is NaN: the caller's to give.
MERIT_API merit_status merit_score_readout_preset(const char *name, merit_score_readout_desc *desc);
MERIT_API const char *merit_score_readout_preset_name(int32_t i);
MERIT_API merit_status merit_score_readout_forward_workspace(merit_context *ctx,
                                                             const merit_score_readout_desc *desc,
                                                             size_t *bytes);
MERIT_API merit_status merit_score_readout_backward_workspace(merit_context *ctx,
                                                              const merit_score_readout_desc *desc,
                                                              size_t *bytes);

// Rewards from the outputs of heads (DPA: Wang et al. 2024; ArmoRM: Wang et al. 2024; QRM: Dorka 2024).
//
//   LINEAR    reward = sum v_k r_k (unit: / sqrt(sum v_k^2))
//   GATE      p = softmax(y / T), u_k = sum over j of r_j M[j,k], reward = scale * sum p_k u_k
//   LEVELS    p = softmax(y / T), mean = sum v_k p_k, variance = sum p_k (v_k - mean)^2,
//             entropy = -sum p_k log p_k. y_yes against y_no alone: mean of values 1, 0 is
//             sigmoid(y_yes - y_no), whatever the rest of a vocabulary
//   QUANTILE  levels q, sorted (ties: the lower index first) with their weights; mean = sum w q,
//             cvar = 1 / alpha * integral of Q over (0, alpha], iqr = Q(3/4) - Q(1/4), Q the
//             left-continuous step inverse of the cumulative weights
//
// -inf logits have probability 0 and add nothing to the entropy; +inf and NaN make their row NaN. A
// LEVELS row of -inf alone: mean empty_value, the others NaN (EMPTY_ROW). A level_index outside [0, V)
// makes every row NaN (BAD_INDEX, per row), a direction of length 0 with unit its row (ZERO_DIRECTION).
// Levels that do not rise without sort, or NaN, make their attribute NaN (CROSSING counts the former).
// cvar with alpha 1 is the mean.
//
// Precision: (y - max) / T in binary64, rounded for a binary32 exp; everything else, and every sum, in
// binary64 and canonical order, one rounding. Levels: all five. One launch, no workspace.
// Statuses: INVALID_ARGUMENT (NULL where the kind needs an array, an array of another kind, sizes,
// strides or options out of range, V != K without level_index, overlap), CUDA_ERROR.
MERIT_API merit_status merit_score_readout_forward(merit_context *ctx,
                                                   const merit_score_readout_desc *desc,
                                                   const merit_score_readout_forward_io *io,
                                                   void *workspace, size_t workspace_bytes,
                                                   merit_stream stream);

// Gradients of the readouts, g of each output:
//
//   LINEAR    dr_k = g v_k, dv_k = g r_k (unit: g v_k / |v|, g (r_k - reward v_k / |v|) / |v|)
//   GATE      dr_j = g scale sum over k of M[j,k] p_k, dy_k = g scale / T p_k (u_k - sum p u)
//   LEVELS    dy_k = p_k / T (g_mean (v_k - mean) + g_var ((v_k - mean)^2 - variance)
//             - g_ent (log p_k + entropy)); 0 where p_k is 0, and in a row of -inf alone
//   QUANTILE  w of the level for the mean, its mass inside (0, alpha] / alpha for cvar, +1 and -1 on
//             the quartiles for iqr, through the sort
//
// Else as the forward pass; the same counters.
MERIT_API merit_status merit_score_readout_backward(merit_context *ctx,
                                                    const merit_score_readout_desc *desc,
                                                    const merit_score_readout_backward_io *io,
                                                    void *workspace, size_t workspace_bytes,
                                                    merit_stream stream);

// score_regression --------------------------------------------------------------------------------

typedef enum merit_regression_link {
    MERIT_REGRESSION_MSE = 0, // (s - y)^2
    MERIT_REGRESSION_BCE = 1, // y softplus(-s) + (1 - y) softplus(s), y in [0, 1]
    MERIT_REGRESSION_HUBER = 2 // e^2 / 2 up to delta, delta (abs(e) - delta / 2) beyond
} merit_regression_link;

typedef enum merit_regression_reduction {
    MERIT_REGRESSION_SUM = 0, // D_k = 1
    MERIT_REGRESSION_MEAN_VALID = 1, // all valid entries
    MERIT_REGRESSION_MEAN_HEAD = 2, // valid entries of head k times the number of heads with one
    MERIT_REGRESSION_MEAN_ROW = 3, // rows with a valid entry
    MERIT_REGRESSION_GIVEN = 4 // denominators[k]
} merit_regression_reduction;

typedef struct merit_score_regression_desc {
    size_t struct_size;
    int64_t num_rows; // P >= 0; default 0
    int32_t num_heads; // K, 1..1024; default 1
    int64_t score_stride; // >= K, 0 = K; default 0, as of the next two
    int64_t label_stride;
    int64_t grad_stride;
    // options
    int32_t link; // merit_regression_link; default MSE
    float huber_delta; // > 0; default 1
    int32_t half; // 1: MSE times 1/2; default 0
    float sentinel; // label of a missing entry, besides NaN; default -100
    int32_t use_sentinel; // default 0
    int32_t reduction; // merit_regression_reduction; default MEAN_VALID
} merit_score_regression_desc;

typedef struct merit_score_regression_io {
    size_t struct_size;
    const float *scores; // in   [P,K], score_stride
    const float *labels; // in   [P,K], label_stride; NaN = missing
    const uint8_t *mask; // in   [P,K], NULL = all
    const float *row_weight; // in   [P], NULL = 1
    const float *alpha; // in   [K], NULL = 1
    const double *denominators; // in   [K]: GIVEN
    double *loss; // out  [1], NULL
    double *head_loss; // out  [K], NULL: sum over valid p of w l, over head_count; no entry: 0
    int64_t *head_count; // out  [K], NULL: valid entries
    float *grad_scores; // out  [P,K], grad_stride, NULL; may be scores
    double *grad_norm_sq; // out  [K], NULL: sum of (w dl/ds)^2, before alpha and D
    merit_diagnostics *diagnostics; // in/out, NULL
    double *loss_tiles; // out  [ceil(P/2048),K], NULL: sums of w l over 2048 rows each
} merit_score_regression_io;

MERIT_API merit_status merit_score_regression_desc_init(merit_score_regression_desc *desc,
                                                        size_t size);

// "aligner.regression", "dpa.regression", "armo.regression", "unimod", "prm.mse"; sizes and strides stay.
MERIT_API merit_status merit_score_regression_preset(const char *name,
                                                     merit_score_regression_desc *desc);
MERIT_API const char *merit_score_regression_preset_name(int32_t i);
MERIT_API merit_status merit_score_regression_workspace(merit_context *ctx,
                                                        const merit_score_regression_desc *desc,
                                                        size_t *bytes);

// Regression of K attributes whose labels have gaps, with a denominator for each head:
//
//   loss = sum over k of alpha_k / D_k * sum over valid p of w_p l(s[p,k], y[p,k])
//
// An entry is valid if its label is neither NaN nor the sentinel and its mask is not 0; the score of
// another one is not read, its gradient is +0. No valid entry at all: loss and gradients 0
// (EMPTY_STATISTICS). A BCE label outside [0, 1] is NaN (BAD_TARGET), and so are the sums of its head.
// loss_tiles of the parts of a batch, cut at multiples of 2048 rows, fold to the sums of the heads before
// alpha and D. Precision: BCE by binary32 softplus and sigmoid, all else in binary64; sums in canonical
// order over p. Levels: all five. One launch for SUM and GIVEN, else one more that counts.
// Statuses: INVALID_ARGUMENT (NULL scores, labels or denominators, sizes, strides or options out of
// range, denominators without GIVEN, overlap), WORKSPACE_TOO_SMALL, CUDA_ERROR.
MERIT_API merit_status merit_score_regression(merit_context *ctx,
                                              const merit_score_regression_desc *desc,
                                              const merit_score_regression_io *io, void *workspace,
                                              size_t workspace_bytes, merit_stream stream);

#ifdef __cplusplus
}
#endif

#endif
