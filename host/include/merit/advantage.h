// Advantages: group statistics to advantages, groups from ids, values spread over tokens.
#ifndef MERIT_ADVANTAGE_H
#define MERIT_ADVANTAGE_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

// advantage_group ---------------------------------------------------------------------------------

// How K reward columns become one advantage.
typedef enum merit_columns {
    MERIT_COLUMNS_COMBINE_FIRST = 0, // x = sum_k w_k r_k, then one advantage
    MERIT_COLUMNS_NORMALIZE_FIRST = 1, // A = sum_k w_k A_k, each column normalized by itself (GDPO)
    MERIT_COLUMNS_SEPARATE = 2 // K advantages per row: A is [R,K]
} merit_columns;

typedef enum merit_transform {
    MERIT_TRANSFORM_NONE = 0,
    MERIT_TRANSFORM_RANK = 1, // u = 1 - k / (n - 1), k = members with a larger reward
    MERIT_TRANSFORM_SOFTMAX = 2, // u = exp((x - max) / temperature) / sum
    MERIT_TRANSFORM_LEAVE_ONE_OUT_LME = 3 // u = log mean exp(all) - log mean exp(others)  (JEPO)
} merit_transform;

typedef enum merit_rank_ties {
    MERIT_RANK_TIES_MIN = 0, // equal rewards share the best rank
    MERIT_RANK_TIES_AVERAGE = 1, // equal rewards share the mean rank
    MERIT_RANK_TIES_ORDINAL = 2 // the earlier member ranks higher
} merit_rank_ties;

typedef enum merit_center {
    MERIT_CENTER_NONE = 0,
    MERIT_CENTER_MEAN = 1, // with weights: sum(w u) / sum(w)
    MERIT_CENTER_LEAVE_ONE_OUT = 2, // mean of the other members (RLOO)
    MERIT_CENTER_RUNNER_UP = 3, // best minus second for the best member, 0 for the others
    MERIT_CENTER_BASELINE = 4 // baseline[row] or baseline_per_group[group]
} merit_center;

typedef enum merit_scale {
    MERIT_SCALE_NONE = 0,
    MERIT_SCALE_STD = 1, // sqrt(m2 / (n - ddof))
    MERIT_SCALE_LEAVE_ONE_OUT_STD = 2, // deviation of the other members; groups of at most 4096
    MERIT_SCALE_RMS = 3, // sqrt(sum c^2 / (n - ddof)) about the center in use
    MERIT_SCALE_MEAN = 4, // (MaxRL)
    MERIT_SCALE_MEAN_ABS = 5, // mean of abs(u - mean)
    MERIT_SCALE_NONZERO_SHARE = 6 // max(count of u != 0, 1) / n  (GPG)
} merit_scale;

// What population a center or scale is taken over.
typedef enum merit_level {
    MERIT_LEVEL_GROUP = 0,
    MERIT_LEVEL_BATCH = 1, // all groups of the call
    MERIT_LEVEL_GIVEN = 2 // io.moments: running, or gathered from other ranks
} merit_level;

// The divisor d from the scale s.
typedef enum merit_eps_rule {
    MERIT_EPS_RULE_ADD = 0, // s + eps
    MERIT_EPS_RULE_FLOOR = 1, // max(s, eps)
    MERIT_EPS_RULE_ROOT = 2, // sqrt(s * s + eps)
    MERIT_EPS_RULE_ROOT_FLOOR = 3 // sqrt(max(s * s, eps))
} merit_eps_rule;

// What a member gets when s <= zero_threshold.
typedef enum merit_zero_rule {
    MERIT_ZERO_RULE_DIVIDE = 0, // c / d
    MERIT_ZERO_RULE_UNSCALED = 1, // c
    MERIT_ZERO_RULE_ZERO = 2 // 0
} merit_zero_rule;

// What the only member of a statistic gets, and every member when count <= ddof.
typedef enum merit_singleton {
    MERIT_SINGLETON_ZERO = 0,
    MERIT_SINGLETON_RAW = 1, // its value u
    MERIT_SINGLETON_UNIT = 2, // undefined center 0, undefined scale 1, then the eps rule
    MERIT_SINGLETON_NAN = 3
} merit_singleton;

typedef enum merit_invalid {
    MERIT_INVALID_PROPAGATE = 0,
    MERIT_INVALID_SKIP_NAN = 1, // NaN rewards stay out of the statistics and get 0
    MERIT_INVALID_SKIP_NONFINITE = 2 // so do infinite ones
} merit_invalid;

typedef enum merit_map {
    MERIT_MAP_IDENTITY = 0,
    MERIT_MAP_SIGN = 1, // +1, -1; sign_tie at 0
    MERIT_MAP_UNIT = 2 // clip(a / (2 map_range) + 1/2, 0, 1)
} merit_map;

// group_flags of merit_advantage_group_io.
typedef enum merit_group_flag {
    MERIT_GROUP_FLAG_ALL_EQUAL = 1,
    MERIT_GROUP_FLAG_SINGLETON = 2,
    MERIT_GROUP_FLAG_EMPTY = 4,
    MERIT_GROUP_FLAG_NONFINITE = 8,
    MERIT_GROUP_FLAG_ZERO_RULE = 16,
    MERIT_GROUP_FLAG_INCOMPLETE = 32
} merit_group_flag;

typedef struct merit_advantage_group_desc {
    size_t struct_size;
    merit_groups groups; // who belongs together
    int64_t num_rows; // R >= 0; default 0
    int32_t num_columns; // K, 1..1024 (SEPARATE: 1..2^20); default 1
    int32_t reward_dtype; // merit_dtype F32, F64, BF16 or F16; default F32
    int64_t reward_row_stride; // elements from row to row; 0 = K; default 0
    int64_t reward_column_stride; // elements from column to column; default 1
    int32_t advantage_dtype; // F32 or F64; default F32
    int32_t baseline_dtype; // F32 or F64; default F32
    int32_t columns; // merit_columns; default COMBINE_FIRST
    int32_t transform; // merit_transform; default NONE
    int32_t rank_ties; // merit_rank_ties; default MIN
    float temperature; // > 0; default 1
    int32_t center; // merit_center; default MEAN
    int32_t center_level; // merit_level; default GROUP
    int32_t scale; // merit_scale; default STD
    int32_t scale_level; // merit_level; default GROUP
    int32_t ddof; // 0: population, 1: sample; default 1
    int32_t eps_rule; // merit_eps_rule; default ADD
    double eps; // >= 0, in reward units; default 1e-6
    double zero_threshold; // >= 0; default 0
    int32_t zero_rule; // merit_zero_rule; default DIVIDE
    int32_t singleton; // merit_singleton; default ZERO
    int32_t invalid; // merit_invalid; default PROPAGATE
    int32_t map; // merit_map; default IDENTITY
    float reward_low, reward_high; // rewards are clipped into this range; default -inf, inf
    float map_range; // > 0; default 1
    float sign_tie; // default 0
    float low, high; // clip of the advantage before gain; default -inf, inf
    float gain; // default 1
    int32_t expected_size; // members a group should have; 0 = any; default 0
    int32_t
        batch_record; // 1: io.batch_, group_ and tile_moments may be given, as with a BATCH level;
    // default 0
} merit_advantage_group_desc;

typedef struct merit_advantage_group_io {
    size_t struct_size;
    const void *rewards; // in   [R,K] reward_dtype, by the two strides
    const float *column_weights; // in   [K], NULL = 1
    const uint8_t *mask; // in   [R], NULL = all: who gets an advantage
    const uint8_t *stats_mask; // in   [R], NULL = mask: who enters the statistics
    const float *weights; // in   [R] >= 0, NULL = 1: weights of the group mean
    const void *baseline; // in   [R] baseline_dtype
    const void *baseline_per_group; // in   [N] baseline_dtype; one of the two for BASELINE
    const merit_moments
        *moments; // in   [1], or [K] with NORMALIZE_FIRST and SEPARATE: GIVEN levels
    const float *add; // in   NULL = nothing: added to the advantage
    const int32_t *add_index; // in   [R] into add, NULL = the row
    int64_t num_add; // in   length of add; 0 = R
    void *advantages; // out  [R] ([R,K] SEPARATE) advantage_dtype, dense, at the member's row
    uint8_t *keep; // out  [R], NULL: 1 = has an advantage and its group is not all equal
    int32_t *group_count; // out  [N], NULL: members in the statistics
    double *group_mean; // out  [N], NULL: mean of the transformed rewards
    double *group_scale; // out  [N], NULL: s
    double *group_min; // out  [N], NULL
    double *group_max; // out  [N], NULL
    uint8_t *group_flags; // out  [N], NULL: merit_group_flag bits
    merit_moments *batch_moments; // out  [1] or [K], NULL: record of all V; see batch_record
    merit_diagnostics *diagnostics; // in/out, NULL
    merit_moments *group_moments; // out  [N,1] or [N,K], NULL: of each group; see batch_record
    merit_moments
        *tile_moments; // out  [ceil(N/2048),1] or [.,K], NULL: of 2048 groups each; likewise
} merit_advantage_group_io;

// Fills *desc with the defaults, which are the preset "grpo". size is sizeof *desc as compiled.
MERIT_API merit_status merit_advantage_group_desc_init(merit_advantage_group_desc *desc,
                                                       size_t size);

// Overwrites every option of *desc with those of a named preset ("trl.group", "verl.rloo", "opo",
// ...); sizes, groups, strides and dtypes stay. A value that the preset wants from the caller is
// set to NaN, and the call is rejected while it is. NOT_FOUND when there is no preset of this name.
MERIT_API merit_status merit_advantage_group_preset(const char *name,
                                                    merit_advantage_group_desc *desc);

// Name of preset i, NULL past the last.
MERIT_API const char *merit_advantage_group_preset_name(int32_t i);

// Bytes of scratch that a call with this descriptor needs; 0 is common. INVALID_ARGUMENT as the
// call.
MERIT_API merit_status merit_advantage_group_workspace(merit_context *ctx,
                                                       const merit_advantage_group_desc *desc,
                                                       size_t *bytes);

// Advantages of the members of each group (GRPO: Shao et al. 2024; RLOO: Ahmadian et al. 2024; the
// presets name the others):
//
//   x = clip(r, reward_low, reward_high)    u = transform(x)    c = u - center    a = c / d(scale)
//   A = gain * clip(map(a), low, high) + add[add_index]
//
// over V, the members in stats_mask that are not skipped. Statistics, deviations and quotients are
// binary64; A is rounded once. c == 0 gives a = 0 without dividing, so all-equal rewards are
// exactly 0 whatever eps is. A NaN or infinite reward makes its own group NaN and no other (BATCH
// levels: every group). Rows outside mask get +0 and are not read; rows in no group get NaN.
// advantages may be rewards itself when K is 1 or SEPARATE, the rewards are dense, the dtypes agree
// and groups have no index. No other overlap is allowed.
// Empty group: nothing written but count 0, NaN statistics, the EMPTY flag. V empty with members in
// mask: NaN. RANK, LEAVE_ONE_OUT_STD and LEAVE_ONE_OUT_LME take groups of at most 4096: larger ones
// are NaN and counted (uniform size: rejected). group_* outputs of NORMALIZE_FIRST and SEPARATE
// with K > 1 are [N,K]. batch_moments is the canonical fold of group_moments, in which no members in
// V is count 0, NaN and m2 0; tile_moments are its parts by 2048 groups (merit_comm_fold_moments).
// A row that lies in two groups (offsets that decrease, an index that repeats) gets the value of
// one of them, which may differ from call to call. Levels, where no row does: run_to_run,
// batch_invariant, launch_invariant, isa_invariant, cpu_gpu_equal. Error: 0.51 ulp(A) +
// 2^-50 max|x| / d; SOFTMAX and LEAVE_ONE_OUT_LME 1 ulp. One launch for groups up to 65536; BATCH
// levels one more (none for R <= 8192). Statuses:
// INVALID_ARGUMENT (NULL where needed, unknown enum value, ddof not 0 or 1, eps < 0, low > high,
// temperature <= 0, K out of range, stride 0, weights without CENTER MEAN at GROUP level, a BATCH
// or GIVEN level for a center or scale that has none, GIVEN without moments, overlap),
// WORKSPACE_TOO_SMALL, CUDA_ERROR.
MERIT_API merit_status merit_advantage_group(merit_context *ctx,
                                             const merit_advantage_group_desc *desc,
                                             const merit_advantage_group_io *io, void *workspace,
                                             size_t workspace_bytes, merit_stream stream);

// group_index -------------------------------------------------------------------------------------

typedef enum merit_group_kind {
    MERIT_GROUP_KIND_DENSE = 0, // ids are 0 .. N-1; group n is id n, empty ones allowed
    MERIT_GROUP_KIND_RUNS = 1, // a new group wherever the id changes
    MERIT_GROUP_KIND_LABELS = 2 // any ids; groups in ascending id order
} merit_group_kind;

typedef struct merit_group_index_desc {
    size_t struct_size;
    int64_t num_rows; // R, 0 .. 2^31 - 1; default 0
    int64_t num_groups; // DENSE: N, 0 .. 2^31 - 1; others: ignored; default 0
    int32_t kind; // merit_group_kind; default DENSE
    int32_t id_dtype; // I32 or I64; default I64
} merit_group_index_desc;

typedef struct merit_group_index_io {
    size_t struct_size;
    const void *ids; // in   [R] id_dtype; negative = in no group
    int64_t *offsets; // out  [N+1] DENSE, else [R+1]; entries past N hold offsets[N]
    int32_t *index; // out  [R]: rows by group, rising inside a group; then ungrouped rows
    int32_t *group_of; // out  [R], NULL: group of each row, -1 = none
    int64_t *num_groups; // out  [1], NULL: N
    int32_t *max_size; // out  [1], NULL: members of the largest group
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_group_index_io;

MERIT_API merit_status merit_group_index_desc_init(merit_group_index_desc *desc, size_t size);

MERIT_API merit_status merit_group_index_workspace(merit_context *ctx,
                                                   const merit_group_index_desc *desc,
                                                   size_t *bytes);

// Ids to the offsets and index of a merit_groups. Integers only, so exact everywhere. Stable: rows
// of a group keep their order. A negative id puts the row in no group (UNGROUPED), and ends a run;
// an id >= N does too (DENSE, BAD_ID). Such rows fill the tail of index, in rising order, beyond
// offsets[N]. RUNS and LABELS have at most R groups, so offsets and index can be given on with
// num_groups = R: the groups past N are empty. R = 0: offsets[0] = 0 (DENSE: all N+1), num_groups N
// or 0, max_size 0; ids and index may be NULL. No aliasing. One launch for R <= 16384 and
// N <= 65536. Levels: all five.
// Statuses: INVALID_ARGUMENT (NULL ids, offsets or index, R or N out of range, unknown enum value,
// overlap), WORKSPACE_TOO_SMALL, CUDA_ERROR.
MERIT_API merit_status merit_group_index(merit_context *ctx, const merit_group_index_desc *desc,
                                         const merit_group_index_io *io, void *workspace,
                                         size_t workspace_bytes, merit_stream stream);

// advantage_spread --------------------------------------------------------------------------------

typedef struct merit_advantage_spread_desc {
    size_t struct_size;
    merit_groups segments; // tokens of each value: sequences, turns or held spans
    int64_t num_tokens; // T >= 0: length of out; default 0
    int32_t value_dtype; // F32 or F64; default F32
    int32_t out_dtype; // F32 or BF16; default F32
    float gain; // default 1
} merit_advantage_spread_desc;

typedef struct merit_advantage_spread_io {
    size_t struct_size;
    const void *values; // in   [N] value_dtype: one per segment
    const uint8_t *mask; // in   [T], NULL = all
    const float *add; // in   [T], NULL = nothing
    void *out; // out  [T] out_dtype
    merit_diagnostics *diagnostics; // in/out, NULL
} merit_advantage_spread_io;

MERIT_API merit_status merit_advantage_spread_desc_init(merit_advantage_spread_desc *desc,
                                                        size_t size);

MERIT_API merit_status merit_advantage_spread_workspace(merit_context *ctx,
                                                        const merit_advantage_spread_desc *desc,
                                                        size_t *bytes);

// Values of segments over their tokens, for stacks that want [B,T]:
//
//   out[t] = mask[t] ? gain * values[segment(t)] + add[t] : +0
//
// Product and sum in binary64, one rounding. Masked tokens are not read and may hold anything. With
// segments.index, position p is token index[p]. Tokens in no segment are +0: the padding of a
// uniform layout with group_stride > group_size, and positions before offsets[0] or from offsets[N]
// on. A token that no entry of segments.index names is left as it was. A segment whose offsets
// decrease or leave the tokens writes nothing, so that its tokens are left as they were too, and is
// counted (BAD_OFFSETS); where offsets decrease, a token inside several other segments gets the value of
// one of them or +0, the same on every backend. A segment above max_size is NaN
// (GROUP_TOO_LARGE); an index entry out of range is skipped (BAD_INDEX). A NaN is canonical and
// stays in its segment. T = 0: nothing written, pointers may be NULL; N = 0: zeros.
// add may be out itself when out is F32; no other overlap is allowed. The workspace is always 0
// bytes. One launch. Levels: all five.
// Statuses: INVALID_ARGUMENT (NULL values or out, T or sizes out of range, unknown enum value, NaN
// gain, overlap), CUDA_ERROR.
MERIT_API merit_status merit_advantage_spread(merit_context *ctx,
                                              const merit_advantage_spread_desc *desc,
                                              const merit_advantage_spread_io *io, void *workspace,
                                              size_t workspace_bytes, merit_stream stream);

#ifdef __cplusplus
}
#endif

#endif
