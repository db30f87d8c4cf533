#include "score_checks.h"

#include "../kernels/score/score_args.h"

// Sizes -------------------------------------------------------------------------------------------

// P, and how many rows of hidden there are.
static merit_status count_positions(merit_context *ctx, const merit_score_desc *d,
                                    merit_score_finder *find)
{
    const int packed = d->row_tokens == 0;
    int64_t tokens = d->num_tokens;
    int overflows = 0;
    if (!packed) overflows = __builtin_mul_overflow(d->num_rows, d->row_tokens, &tokens);
    find->num_tokens = tokens;
    find->num_positions = d->num_rows;
    if (d->positions == MERIT_POSITIONS_ALL) find->num_positions = tokens;
    if (d->positions == MERIT_POSITIONS_EXPLICIT) {
        find->num_positions = d->num_positions;
        if (d->position_layout == MERIT_POSITION_LAYOUT_PER_ROW) {
            overflows |= __builtin_mul_overflow(d->num_rows, (int64_t)d->positions_per_row,
                                                &find->num_positions);
        }
    }
    int64_t elements;
    overflows |= __builtin_mul_overflow(find->num_positions,
                                        (int64_t)d->num_heads * MERIT_SCORE_MAX_TILES, &elements);
    MERIT_REQUIRE(ctx, !overflows && elements <= INT64_MAX / 16 && tokens <= INT64_MAX / 16,
                  "num_rows, row_tokens and num_heads span more than 2^63 bytes");
    return MERIT_STATUS_OK;
}

static merit_status check_rule(merit_context *ctx, const merit_score_desc *d)
{
    const int packed = d->row_tokens == 0;
    switch (d->positions) {
    case MERIT_POSITIONS_ALL: return MERIT_STATUS_OK;
    case MERIT_POSITIONS_CU_SEQLENS:
        MERIT_REQUIRE(ctx, packed, "row_tokens is %lld, but CU_SEQLENS (3) takes packed hidden: 0",
                      (long long)d->row_tokens);
        return MERIT_STATUS_OK;
    case MERIT_POSITIONS_EXPLICIT:
        if (d->position_layout == MERIT_POSITION_LAYOUT_FLAT) return MERIT_STATUS_OK;
        break;
    default: break;
    }
    MERIT_REQUIRE(ctx, !packed || d->num_rows == 0,
                  "row_tokens is 0, but positions %d in this layout needs sequences of row_tokens",
                  (int)d->positions);
    if (d->positions == MERIT_POSITIONS_LAST_NON_PAD ||
        d->positions == MERIT_POSITIONS_BEFORE_FIRST_PAD) {
        MERIT_REQUIRE(ctx, d->pad_id >= 0, "pad_id is %lld, expected 0 or more with positions %d",
                      (long long)d->pad_id, (int)d->positions);
    }
    if (d->positions == MERIT_POSITIONS_BEFORE_FIRST_PAD) {
        MERIT_REQUIRE(ctx, d->context_length <= d->row_tokens || d->num_rows == 0,
                      "context_length is %d, expected at most row_tokens, which is %lld",
                      (int)d->context_length, (long long)d->row_tokens);
    }
    return MERIT_STATUS_OK;
}

// Strides -----------------------------------------------------------------------------------------

// 0 becomes `least`; `rows` of them must fit an address space.
static merit_status check_stride(merit_context *ctx, const char *name, int64_t *stride,
                                 int64_t least, int64_t rows)
{
    if (*stride == 0) *stride = least;
    int64_t elements;
    MERIT_REQUIRE(ctx, *stride >= least, "%s is %lld, expected 0 or at least %lld", name,
                  (long long)*stride, (long long)least);
    const int overflows =
        __builtin_mul_overflow(rows, *stride, &elements) || elements > INT64_MAX / 16;
    MERIT_REQUIRE(ctx, !overflows, "%s is %lld, which spans more than 2^63 bytes", name,
                  (long long)*stride);
    return MERIT_STATUS_OK;
}

static merit_status check_strides(merit_context *ctx, merit_score_desc *d,
                                  const merit_score_finder *find)
{
    const int64_t size = d->hidden_size;
    const int64_t heads = d->num_heads;
    const int64_t tokens = find->num_tokens;
    const int64_t columns = score_num_columns(d);
    const int64_t last = d->row_tokens > 0 ? d->row_tokens - 1 : 0;
    const int dense = d->grad_layout == MERIT_GRAD_LAYOUT_DENSE;
    const int64_t grad_rows = dense ? tokens : find->num_positions;
    MERIT_TRY(check_stride(ctx, "hidden_stride", &d->hidden_stride, size, tokens));
    MERIT_TRY(check_stride(ctx, "weight_stride", &d->weight_stride, size, heads));
    MERIT_TRY(check_stride(ctx, "score_stride", &d->score_stride, columns, find->num_positions));
    MERIT_TRY(check_stride(ctx, "grad_score_stride", &d->grad_score_stride, columns,
                           find->num_positions));
    MERIT_TRY(check_stride(ctx, "grad_hidden_stride", &d->grad_hidden_stride, size, grad_rows));
    MERIT_TRY(check_stride(ctx, "grad_weight_stride", &d->grad_weight_stride, size, heads));
    if (d->row_tokens == 0) return MERIT_STATUS_OK;
    if (d->hidden_row_stride == 0) d->hidden_row_stride = d->row_tokens * d->hidden_stride;
    if (d->grad_hidden_row_stride == 0) {
        d->grad_hidden_row_stride = dense ? d->row_tokens * d->grad_hidden_stride : size;
    }
    MERIT_TRY(check_stride(ctx, "hidden_row_stride", &d->hidden_row_stride,
                           last * d->hidden_stride + size, d->num_rows));
    return check_stride(ctx, "grad_hidden_row_stride", &d->grad_hidden_row_stride,
                        dense ? last * d->grad_hidden_stride + size : size, d->num_rows);
}

// Options -----------------------------------------------------------------------------------------

static merit_status check_ranges(merit_context *ctx, const merit_score_desc *d)
{
    MERIT_REQUIRE(ctx, d->num_rows >= 0, "num_rows is %lld, expected 0 or more",
                  (long long)d->num_rows);
    MERIT_REQUIRE(ctx, d->row_tokens >= 0, "row_tokens is %lld, expected 0 or more",
                  (long long)d->row_tokens);
    MERIT_REQUIRE(ctx, d->num_tokens >= 0, "num_tokens is %lld, expected 0 or more",
                  (long long)d->num_tokens);
    MERIT_REQUIRE(ctx, d->num_positions >= 0, "num_positions is %lld, expected 0 or more",
                  (long long)d->num_positions);
    MERIT_REQUIRE(ctx, d->positions_per_row >= 1, "positions_per_row is %d, expected 1 or more",
                  (int)d->positions_per_row);
    MERIT_REQUIRE(ctx, d->context_length >= 0, "context_length is %d, expected 0 or more",
                  (int)d->context_length);
    MERIT_REQUIRE_RANGE(ctx, d, hidden_size, 1, MERIT_SCORE_MAX_HIDDEN);
    MERIT_REQUIRE_RANGE(ctx, d, num_heads, 1, MERIT_SCORE_MAX_HEADS);
    MERIT_REQUIRE(ctx,
                  d->hidden_dtype == MERIT_DTYPE_F32 || d->hidden_dtype == MERIT_DTYPE_BF16 ||
                      d->hidden_dtype == MERIT_DTYPE_F16,
                  "hidden_dtype is %d, expected F32 (%d), BF16 (%d) or F16 (%d)",
                  (int)d->hidden_dtype, (int)MERIT_DTYPE_F32, (int)MERIT_DTYPE_BF16,
                  (int)MERIT_DTYPE_F16);
    MERIT_REQUIRE(ctx, d->weight_dtype == MERIT_DTYPE_F32 || d->weight_dtype == d->hidden_dtype,
                  "weight_dtype is %d, expected F32 (%d) or hidden_dtype, which is %d",
                  (int)d->weight_dtype, (int)MERIT_DTYPE_F32, (int)d->hidden_dtype);
    MERIT_REQUIRE(ctx, d->index_dtype == MERIT_DTYPE_I32 || d->index_dtype == MERIT_DTYPE_I64,
                  "index_dtype is %d, expected I32 (%d) or I64 (%d)", (int)d->index_dtype,
                  (int)MERIT_DTYPE_I32, (int)MERIT_DTYPE_I64);
    MERIT_REQUIRE_RANGE(ctx, d, positions, MERIT_POSITIONS_ALL, MERIT_POSITIONS_EXPLICIT);
    MERIT_REQUIRE_RANGE(ctx, d, position_layout, MERIT_POSITION_LAYOUT_FLAT,
                        MERIT_POSITION_LAYOUT_RAGGED);
    MERIT_REQUIRE_FLAG(ctx, d, routed);
    MERIT_REQUIRE_RANGE(ctx, d, path, MERIT_SCORE_PATH_EXACT, MERIT_SCORE_PATH_AUTO);
    MERIT_REQUIRE_RANGE(ctx, d, shard, MERIT_SCORE_SHARD_NONE, MERIT_SCORE_SHARD_PARTIAL);
    MERIT_REQUIRE_FLAG(ctx, d, accumulate);
    MERIT_REQUIRE_RANGE(ctx, d, grad_layout, MERIT_GRAD_LAYOUT_DENSE, MERIT_GRAD_LAYOUT_ROWS);
    return MERIT_STATUS_OK;
}

merit_status merit_score_read_desc(merit_context *ctx, const merit_score_desc *desc,
                                   merit_score_desc *d, merit_score_finder *find)
{
    *d = merit_score_defaults;
    MERIT_TRY(merit_read_struct(ctx, "desc", d, sizeof *d,
                                MERIT_SIZE_0_1(merit_score_desc, grad_layout), desc));
    MERIT_TRY(check_ranges(ctx, d));
    MERIT_TRY(check_rule(ctx, d));
    *find = (merit_score_finder){.rule = d->positions,
                                 .layout = d->position_layout,
                                 .is_wide = d->index_dtype == MERIT_DTYPE_I64,
                                 .positions_per_row = d->positions_per_row,
                                 .context_length = d->context_length,
                                 .pad_id = d->pad_id,
                                 .num_sequences = d->num_rows,
                                 .row_tokens = d->row_tokens};
    MERIT_TRY(count_positions(ctx, d, find));
    return check_strides(ctx, d, find);
}

// Arrays ------------------------------------------------------------------------------------------

// An array is there if and only if the options use it. optional: it may be missing all the same.
static merit_status check_use(merit_context *ctx, const void *array, const char *name, int used,
                              int optional, int some)
{
    MERIT_REQUIRE(ctx, array == NULL || used, "%s is given, but no option uses it", name);
    MERIT_REQUIRE(ctx, array != NULL || !used || optional || !some,
                  "%s is NULL, but positions or routed needs it", name);
    return MERIT_STATUS_OK;
}

merit_status merit_score_check_index_arrays(merit_context *ctx, const merit_score_desc *d,
                                            const merit_score_index_arrays *a,
                                            merit_score_finder *find)
{
    const int some = find->num_positions > 0;
    const int32_t rule = d->positions;
    const int all = rule == MERIT_POSITIONS_ALL;
    const int with_ids =
        rule == MERIT_POSITIONS_LAST_NON_PAD || rule == MERIT_POSITIONS_BEFORE_FIRST_PAD;
    const int given = rule == MERIT_POSITIONS_EXPLICIT;
    const int ragged = given && d->position_layout == MERIT_POSITION_LAYOUT_RAGGED;
    MERIT_TRY(check_use(ctx, a->route, "route", d->routed, 0, some));
    MERIT_TRY(check_use(ctx, a->lengths, "lengths", rule == MERIT_POSITIONS_LENGTHS, 0, some));
    MERIT_TRY(check_use(ctx, a->mask, "mask", all || rule == MERIT_POSITIONS_MASK, all, some));
    MERIT_TRY(
        check_use(ctx, a->cu_seqlens, "cu_seqlens", rule == MERIT_POSITIONS_CU_SEQLENS, 0, some));
    MERIT_TRY(check_use(ctx, a->ids, "ids", with_ids, 0, some));
    MERIT_TRY(check_use(ctx, a->positions, "positions", given, 0, some));
    MERIT_TRY(check_use(ctx, a->position_offsets, "position_offsets", ragged, 0, some));
    find->lengths = a->lengths;
    find->mask = a->mask;
    find->cu_seqlens = a->cu_seqlens;
    find->ids = a->ids;
    find->positions = a->positions;
    find->offsets = a->position_offsets;
    return MERIT_STATUS_OK;
}

size_t merit_score_rows_bytes(int64_t rows, int64_t stride, int64_t columns, size_t element)
{
    return rows <= 0 ? 0 : (size_t)((rows - 1) * stride + columns) * element;
}

size_t merit_score_hidden_bytes(const merit_score_desc *d, const merit_score_finder *find,
                                int64_t row_stride, int64_t stride)
{
    const size_t element = merit_dtype_bytes(d->hidden_dtype);
    if (d->row_tokens == 0) {
        return merit_score_rows_bytes(find->num_tokens, stride, d->hidden_size, element);
    }
    return merit_score_rows_bytes(d->num_rows, row_stride,
                                  (d->row_tokens - 1) * stride + d->hidden_size, element);
}

merit_region merit_score_hidden_region(const merit_score_desc *d, const merit_score_finder *find,
                                       const void *hidden)
{
    const size_t bytes = merit_score_hidden_bytes(d, find, d->hidden_row_stride, d->hidden_stride);
    return (merit_region){hidden, bytes, "hidden", 0};
}

merit_region merit_score_weight_region(const merit_score_desc *d, const void *weight)
{
    const size_t bytes = merit_score_rows_bytes(d->num_heads, d->weight_stride, d->hidden_size,
                                                merit_dtype_bytes(d->weight_dtype));
    return (merit_region){weight, bytes, "weight", 0};
}

void merit_score_index_regions(const merit_score_desc *d, const merit_score_finder *find,
                               const merit_score_index_arrays *a, merit_region *regions)
{
    const size_t index = merit_dtype_bytes(d->index_dtype);
    const size_t rows = (size_t)d->num_rows;
    const size_t tokens = (size_t)find->num_tokens;
    const size_t positions = (size_t)find->num_positions;
    const merit_region all[MERIT_SCORE_INDEX_REGIONS] = {
        {a->route, 4 * positions, "route", 0},
        {a->lengths, 4 * rows, "lengths", 0},
        {a->mask, tokens, "mask", 0},
        {a->cu_seqlens, (rows + 1) * index, "cu_seqlens", 0},
        {a->ids, tokens * index, "ids", 0},
        {a->positions, positions * index, "positions", 0},
        {a->position_offsets, (rows + 1) * 8, "position_offsets", 0},
    };
    for (int i = 0; i < MERIT_SCORE_INDEX_REGIONS; i++) {
        regions[i] = all[i];
    }
}

int merit_score_is_aligned(const void *array, int64_t stride, int32_t dtype)
{
    return (uintptr_t)array % 16 == 0 && (size_t)stride * merit_dtype_bytes(dtype) % 16 == 0;
}
