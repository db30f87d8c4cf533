// score_forward: hand-worked scores, the rules of positions, the oracle over sizes and types.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score_case.h"

static const float small_hidden[12] = {1, 2, 3, 0, -1, 2, 4, 0, -2, .5f, .5f, .5f};
static const float small_weight[6] = {1, 0, -1, .5f, 2, 0};
static const float small_bias[2] = {.25f, -1};

// By hand ------------------------------------------------------------------------------------------

// Row (1,2,3): 1 - 3 + 1/4 = -1.75 and 0.5 + 4 - 1 = 3.5.
TK_TEST(score_forward, matches_hand_worked_tokens)
{
    score_case c = score_make(small_hidden, 4, 0, 3, small_weight, 2, MERIT_POSITIONS_ALL);
    c.io.bias = small_bias;
    score_expect(tk, &c, (double[]){-1.75, 3.5, -1.75, -3, 6.25, 1, .25, .25});
}

// Last tokens of (0,2,4): rows 1 and 3, then (z - mean) / std.
TK_TEST(score_forward, matches_hand_worked_spans_with_an_affine)
{
    score_case c = score_make(small_hidden, 4, 0, 3, small_weight, 2, MERIT_POSITIONS_CU_SEQLENS);
    const int32_t spans[3] = {0, 2, 4};
    const float mean[2] = {1, 0}, std[2] = {2, .5f};
    c.d.num_rows = 2;
    c.d.index_dtype = MERIT_DTYPE_I32;
    c.io.cu_seqlens = spans;
    c.io.bias = small_bias;
    c.io.post_mean = mean;
    c.io.post_std = std;
    score_expect(tk, &c, (double[]){-1.375, -6, -.375, .5});
}

TK_TEST(score_forward, matches_hand_worked_routes)
{
    score_case c = score_make(small_hidden, 4, 0, 3, small_weight, 2, MERIT_POSITIONS_EXPLICIT);
    const int64_t positions[2] = {1, 3};
    const int32_t route[2] = {1, 0};
    c.d.num_positions = 2;
    c.d.routed = 1;
    c.io.positions = positions;
    c.io.route = route;
    c.io.bias = small_bias;
    score_expect(tk, &c, (double[]){-3, .25});
}

// Positions ---------------------------------------------------------------------------------------

// hidden[b,t] = t + 1 under one head of weight 1: the score tells the token.
static void expect_tokens(tk_fixture *tk, score_case *c, const int64_t *tokens, int64_t empty)
{
    float hidden[64];
    for (int64_t i = 0; i < c->d.num_rows * c->d.row_tokens; i++) {
        hidden[i] = (float)(i % c->d.row_tokens + 1);
    }
    static const float one = 1;
    c->hidden = hidden;
    c->weight = &one;
    score_result r = score_run(tk, c);
    for (int64_t p = 0; p < r.P; p++) {
        const double score = tokens[p] < 0 ? (double)c->d.empty_value : (double)tokens[p] + 1;
        const double actual = r.scores[p];
        tk_expect_close(&actual, &score, 1, 0, 0);
        const int64_t row = tokens[p] < 0 ? -1 : p * c->d.row_tokens + tokens[p];
        TK_EXPECT(r.positions[p] == row, "row %lld of %lld", (long long)r.positions[p],
                  (long long)row);
    }
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_EMPTY_ROW] == (uint64_t)empty, "empty rows");
    score_free(&r);
}

// Right padding, left padding, padding inside, all padding, none.
static const int64_t padded_ids[20] = {5, 7, 0, 0, 0, 0, 5, 7, 5, 0, 7, 0, 0, 0, 0, 0, 5, 7, 8, 9};

TK_TEST(score_forward, the_last_token_that_is_no_padding_is_found)
{
    score_case c = score_make(NULL, 5, 4, 1, NULL, 1, MERIT_POSITIONS_LAST_NON_PAD);
    c.d.pad_id = 0;
    c.io.ids = padded_ids;
    expect_tokens(tk, &c, (int64_t[]){1, 3, 2, -1, 3}, 1);
    c.d.empty_value = -7;
    expect_tokens(tk, &c, (int64_t[]){1, 3, 2, -1, 3}, 1);
}

TK_TEST(score_forward, the_token_before_the_first_padding_is_found)
{
    score_case c = score_make(NULL, 5, 4, 1, NULL, 1, MERIT_POSITIONS_BEFORE_FIRST_PAD);
    c.d.pad_id = 0;
    c.io.ids = padded_ids;
    expect_tokens(tk, &c, (int64_t[]){1, -1, 0, -1, 3}, 2);
    // Behind two tokens of context the first row has no response: never the token before it.
    c.d.context_length = 2;
    expect_tokens(tk, &c, (int64_t[]){-1, 3, 2, -1, 3}, 2);
    c.d.context_length = 4;
    expect_tokens(tk, &c, (int64_t[]){-1, -1, -1, -1, -1}, 5);
}

// pad == eos: the rightmost rule scores the token before the final eos; with one at a turn boundary the
// first-pad rule stops in the middle of the conversation, unless the context covers it.
TK_TEST(score_forward, padding_that_is_the_eos_token_hides_the_final_eos)
{
    const int32_t ids[12] = {5, 2, 7, 8, 2, 2, 5, 2, 2, 2, 2, 2};
    score_case c = score_make(NULL, 2, 6, 1, NULL, 1, MERIT_POSITIONS_LAST_NON_PAD);
    c.d.pad_id = 2;
    c.d.index_dtype = MERIT_DTYPE_I32;
    c.io.ids = ids;
    expect_tokens(tk, &c, (int64_t[]){3, 0}, 0);
    c.d.positions = MERIT_POSITIONS_BEFORE_FIRST_PAD;
    expect_tokens(tk, &c, (int64_t[]){0, 0}, 0);
    c.d.context_length = 2;
    expect_tokens(tk, &c, (int64_t[]){3, -1}, 1);
}

TK_TEST(score_forward, masks_and_lengths_find_last_tokens)
{
    const uint8_t mask[16] = {1, 1, 0, 0, 0, 0, 1, 9, 0, 0, 0, 0, 1, 0, 1, 0};
    score_case c = score_make(NULL, 4, 4, 1, NULL, 1, MERIT_POSITIONS_MASK);
    c.io.mask = mask;
    expect_tokens(tk, &c, (int64_t[]){1, 3, -1, 2}, 1);
    const int32_t lengths[4] = {1, 4, 0, -3};
    c.d.positions = MERIT_POSITIONS_LENGTHS;
    c.io.mask = NULL;
    c.io.lengths = lengths;
    expect_tokens(tk, &c, (int64_t[]){0, 3, -1, -1}, 2);
}

// Long rows, so that scans take more than one step of 32 tokens.
TK_TEST(score_forward, scans_reach_across_long_rows)
{
    enum { B = 9, T = 131 };
    tk_random random = {.state = 5};
    int64_t ids[B * T];
    uint8_t mask[B * T];
    float hidden[B * T];
    const float one = 1;
    for (int i = 0; i < B * T; i++) {
        const int t = i % T, b = i / T;
        ids[i] = t < 14 * b || t > 100 - b || tk_chance(&random, .05) ? 0 : 3;
        mask[i] = ids[i] != 0;
        hidden[i] = (float)i;
    }
    const int32_t rules[] = {MERIT_POSITIONS_MASK, MERIT_POSITIONS_LAST_NON_PAD,
                             MERIT_POSITIONS_BEFORE_FIRST_PAD};
    for (int i = 0; i < 3; i++) {
        score_case c = score_make(hidden, B, T, 1, &one, 1, rules[i]);
        c.d.pad_id = 0;
        c.d.context_length = i == 2 ? 57 : 0;
        c.io.mask = i == 0 ? mask : NULL;
        c.io.ids = i == 0 ? NULL : ids;
        score_check(tk, &c);
    }
}

TK_TEST(score_forward, bad_positions_are_nan_and_counted)
{
    tk_random random = {.state = 1};
    float *const hidden = score_random_values(&random, 6 * 5);
    float *const weight = score_random_values(&random, 2 * 5);
    score_case c = score_make(hidden, 2, 3, 5, weight, 2, MERIT_POSITIONS_EXPLICIT);
    const int64_t flat[6] = {0, 5, 6, -1, INT64_MIN, INT64_MAX};
    c.d.num_positions = 6;
    c.io.positions = flat;
    score_check(tk, &c);

    const int64_t per_row[6] = {0, 2, 3, -1, 1, 1};
    c.d.position_layout = MERIT_POSITION_LAYOUT_PER_ROW;
    c.d.positions_per_row = 3;
    c.io.positions = per_row;
    score_check(tk, &c);

    const int64_t offsets[3] = {1, 3, 5}; // positions 0 and 5 belong to no sequence
    c.d.position_layout = MERIT_POSITION_LAYOUT_RAGGED;
    c.io.position_offsets = offsets;
    score_check(tk, &c);
    c.io.position_offsets = NULL;

    const int32_t lengths[2] = {3, 4};
    c.d.positions = MERIT_POSITIONS_LENGTHS;
    c.io.positions = NULL;
    c.io.lengths = lengths;
    score_check(tk, &c);
    c.io.lengths = NULL;

    const int64_t spans[6] = {0, 2, 2, 1, 6, 9};
    c.d.positions = MERIT_POSITIONS_CU_SEQLENS;
    c.d.num_rows = 5;
    c.d.row_tokens = 0;
    c.d.num_tokens = 6;
    c.io.cu_seqlens = spans;
    score_check(tk, &c);
    const int64_t before[6] = {-4, 2, 3, 4, 5, INT64_MAX};
    c.io.cu_seqlens = before;
    score_check(tk, &c);
    free(hidden), free(weight);
}

TK_TEST(score_forward, bad_routes_and_stds_are_nan_or_ieee_and_counted)
{
    tk_random random = {.state = 2};
    float *const hidden = score_random_values(&random, 8 * 4);
    float *const weight = score_random_values(&random, 3 * 4);
    const int32_t route[8] = {0, 1, 2, 3, -1, 1, INT32_MAX, INT32_MIN};
    const uint8_t mask[8] = {1, 1, 1, 1, 1, 0, 1, 0};
    const float std[3] = {1, 0, NAN};
    score_case c = score_make(hidden, 8, 0, 4, weight, 3, MERIT_POSITIONS_ALL);
    c.io.post_std = std;
    score_check(tk, &c);
    c.d.routed = 1;
    c.io.mask = mask;
    c.io.route = route;
    score_check(tk, &c);
    free(hidden), free(weight);
}

// The oracle --------------------------------------------------------------------------------------

// `few` positions or more than a device has multiprocessors: both schedules of a device.
static void check_sizes(tk_fixture *tk, int32_t H, int32_t K, int64_t tokens, int32_t hidden_dtype,
                        int32_t weight_dtype, uint64_t seed)
{
    tk_case("H %d, K %d, %lld tokens, types %d and %d", H, K, (long long)tokens, hidden_dtype,
            weight_dtype);
    tk_random random = {.state = seed};
    float *const hidden = score_random_values(&random, tokens * (int64_t)H);
    float *const weight = score_random_values(&random, (int64_t)K * H);
    float *const bias = score_random_values(&random, K);
    float *const mean = score_random_values(&random, K);
    float *const std = calloc((size_t)K + 1, sizeof *std);
    uint8_t *const mask = calloc((size_t)tokens + 1, 1);
    for (int32_t k = 0; k < K; k++) {
        std[k] = (float)(tk_below(&random, 9) - 4) / 2;
    }
    for (int64_t i = 0; i < tokens; i++) {
        mask[i] = (uint8_t)tk_chance(&random, .8);
    }
    score_case c = score_make(hidden, tokens, 0, H, weight, K, MERIT_POSITIONS_ALL);
    c.d.hidden_dtype = hidden_dtype;
    c.d.weight_dtype = weight_dtype;
    c.d.hidden_stride = H + tk_below(&random, 3) * 8;
    c.d.weight_stride = H + tk_below(&random, 2) * 8;
    c.d.score_stride = K + tk_below(&random, 3);
    c.io.mask = tk_chance(&random, .5) ? mask : NULL;
    c.io.bias = tk_chance(&random, .7) ? bias : NULL;
    c.io.post_mean = tk_chance(&random, .3) ? mean : NULL;
    c.io.post_std = tk_chance(&random, .3) ? std : NULL;
    tk->shift = (int)tk_below(&random, 2);
    score_check(tk, &c);
    tk->shift = 0;
    free(hidden), free(weight), free(bias), free(mean), free(std), free(mask);
}

TK_TEST(score_forward, matches_the_oracle_over_hidden_sizes)
{
    static const int32_t sizes[] = {1, 2, 7, 31, 255, 256, 257, 600, 2047, 2048, 2049, 4100, 8192};
    static const int32_t types[] = {MERIT_DTYPE_F32, MERIT_DTYPE_BF16, MERIT_DTYPE_F16};
    for (int i = 0; i < 13; i++) {
        for (int j = 0; j < 3; j++) {
            const int32_t weight = (i + j) % 2 == 0 ? MERIT_DTYPE_F32 : types[j];
            check_sizes(tk, sizes[i], 1 + (i + j) % 3, 5 + i % 4, types[j], weight,
                        (uint64_t)(i * 3 + j));
        }
    }
}

TK_TEST(score_forward, matches_the_oracle_over_heads_and_positions)
{
    static const int32_t heads[] = {1, 2, 3, 4, 5, 8, 9, 16, 17, 64};
    static const int64_t tokens[] = {1, 2, 3, 65, 301};
    for (int i = 0; i < 10; i++) {
        check_sizes(tk, 40 + 100 * (i % 3), heads[i], tokens[i % 5], MERIT_DTYPE_BF16,
                    MERIT_DTYPE_F32, (uint64_t)(100 + i));
        check_sizes(tk, 33, heads[i], tokens[(i + 3) % 5], MERIT_DTYPE_F16, MERIT_DTYPE_F16,
                    (uint64_t)(200 + i));
    }
    check_sizes(tk, 2100, 1024, 3, MERIT_DTYPE_F32, MERIT_DTYPE_F32, 7);
    check_sizes(tk, 2100, 20, 280, MERIT_DTYPE_BF16, MERIT_DTYPE_BF16, 8); // staged tile by tile
    check_sizes(tk, 3, 1024, 270, MERIT_DTYPE_F32, MERIT_DTYPE_F32, 9);
    check_sizes(tk, 65536, 1, 2, MERIT_DTYPE_BF16, MERIT_DTYPE_BF16, 10);
}

TK_TEST(score_forward, strided_sequences_are_read_in_place)
{
    tk_random random = {.state = 3};
    float *const hidden = score_random_values(&random, 3 * 4 * 9);
    float *const weight = score_random_values(&random, 2 * 9);
    const int32_t lengths[3] = {4, 1, 3};
    score_case c = score_make(hidden, 3, 4, 9, weight, 2, MERIT_POSITIONS_LENGTHS);
    c.d.hidden_stride = 11;
    c.d.hidden_row_stride = 3 * 11 + 9 + 5;
    c.io.lengths = lengths;
    score_check(tk, &c);
    free(hidden), free(weight);
}

// Properties --------------------------------------------------------------------------------------

enum { PROPERTY_TOKENS = 300, PROPERTY_SIZE = 2300, PROPERTY_HEADS = 5 };

// Scores of the same rows: alone, among others, gathered or all, routed.
TK_TEST(score_forward, a_row_has_the_same_bits_in_any_batch)
{
    tk_random random = {.state = 11};
    const int64_t H = PROPERTY_SIZE, K = PROPERTY_HEADS, T = PROPERTY_TOKENS;
    float *const hidden = score_random_values(&random, T * H);
    float *const weight = score_random_values(&random, K * H);
    score_case all = score_make(hidden, T, 0, (int32_t)H, weight, (int32_t)K, MERIT_POSITIONS_ALL);
    score_result every = score_run(tk, &all);

    int64_t picks[290];
    int32_t route[290];
    for (int i = 0; i < 290; i++) {
        picks[i] = tk_below(&random, T);
        route[i] = (int32_t)tk_below(&random, K);
    }
    score_case some = all;
    some.d.positions = MERIT_POSITIONS_EXPLICIT;
    some.io.positions = picks;
    for (int n = 2; n <= 290; n += 288) { // few positions are spread over a device, many are not
        some.d.num_positions = n;
        some.d.routed = 0;
        some.io.route = NULL;
        score_result r = score_run(tk, &some);
        for (int64_t i = 0; i < n * K; i++) {
            tk_expect_bits(&r.scores[i], &every.scores[picks[i / K] * K + i % K], 1, 4);
        }
        score_free(&r);
        some.d.routed = 1;
        some.io.route = route;
        r = score_run(tk, &some);
        for (int64_t i = 0; i < n; i++) {
            tk_expect_bits(&r.scores[i], &every.scores[picks[i] * K + route[i]], 1, 4);
        }
        score_free(&r);
    }
    score_free(&every);
    free(hidden), free(weight);
}

TK_TEST(score_forward, the_padding_side_changes_no_bit)
{
    enum { B = 4, T = 12, H = 300 };
    tk_random random = {.state = 12};
    float *const rows = score_random_values(&random, B * H);
    float *const hidden = score_random_values(&random, B * T * H);
    float *const weight = score_random_values(&random, H);
    int64_t right[B * T] = {0}, left[B * T] = {0};
    float *const moved = score_random_values(&random, B * T * H);
    for (int b = 0; b < B; b++) {
        for (int t = 0; t <= 2 * b; t++) {
            right[b * T + t] = left[b * T + T - 1 - t] = 9;
        }
        memcpy(hidden + (b * T + 2 * b) * H, rows + b * H, H * sizeof *rows);
        memcpy(moved + (b * T + T - 1) * H, rows + b * H, H * sizeof *rows);
    }
    score_case c = score_make(hidden, B, T, H, weight, 1, MERIT_POSITIONS_LAST_NON_PAD);
    c.d.pad_id = 0;
    c.io.ids = right;
    score_result a = score_run(tk, &c);
    c.hidden = moved;
    c.io.ids = left;
    score_result b = score_run(tk, &c);
    tk_expect_bits(a.scores, b.scores, B, 4);
    score_free(&a), score_free(&b);
    free(rows), free(hidden), free(weight), free(moved);
}

TK_TEST(score_forward, tokens_that_are_not_selected_may_hold_anything)
{
    enum { B = 3, T = 5, H = 17 };
    tk_random random = {.state = 13};
    float *const hidden = score_random_values(&random, B * T * H);
    float *const weight = score_random_values(&random, 2 * H);
    const int32_t lengths[B] = {5, 2, 0};
    score_case c = score_make(hidden, B, T, H, weight, 2, MERIT_POSITIONS_LENGTHS);
    c.d.hidden_dtype = MERIT_DTYPE_BF16;
    c.io.lengths = lengths;
    score_result clean = score_run(tk, &c);
    for (int i = 0; i < B * T * H; i++) {
        const int row = i / H;
        if (row != 4 && row != 6) hidden[i] = NAN;
    }
    score_result dirty = score_run(tk, &c);
    tk_expect_bits(dirty.scores, clean.scores, B * 2, 4);
    score_free(&clean), score_free(&dirty);
    free(hidden), free(weight);
}

// Extremes ----------------------------------------------------------------------------------------

TK_TEST(score_forward, nan_and_infinity_stay_in_their_row)
{
    enum { T = 6, H = 520 };
    tk_random random = {.state = 14};
    static const int32_t types[] = {MERIT_DTYPE_F32, MERIT_DTYPE_BF16, MERIT_DTYPE_F16};
    for (int i = 0; i < 3; i++) {
        float *const hidden = score_random_values(&random, T * H);
        float *const weight = score_random_values(&random, 3 * H);
        hidden[1 * H + 300] = INFINITY;
        hidden[2 * H + 3] = NAN;
        hidden[3 * H + 519] = -INFINITY;
        weight[300] = weight[519] = 1;
        weight[H + 300] = 0; // 0 times inf
        score_case c = score_make(hidden, T, 0, H, weight, 3, MERIT_POSITIONS_ALL);
        c.d.hidden_dtype = types[i];
        score_check(tk, &c);
        free(hidden), free(weight);
    }
}

// Halves of a row under w and -w: the sum of absolute products is 10^6 times the result.
TK_TEST(score_forward, cancelling_heads_keep_their_bound)
{
    enum { H = 4096 };
    tk_random random = {.state = 15};
    float hidden[H], weight[H];
    for (int h = 0; h < H / 2; h++) {
        hidden[h] = hidden[H / 2 + h] = (float)tk_normal(&random);
        weight[h] = (float)tk_normal(&random);
        weight[H / 2 + h] = -weight[h];
    }
    hidden[77] += hidden[77] * 0x1p-12f;
    score_case c = score_make(hidden, 1, 0, H, weight, 1, MERIT_POSITIONS_ALL);
    score_check(tk, &c);
    // The largest bf16 numbers: products past binary32 are infinite or NaN, as sums of them are.
    for (int h = 0; h < H; h++) {
        hidden[h] = h % 2 ? 0x1.fep127f : -0x1.fep127f;
        weight[h] = 0x1p-20f;
    }
    c.d.hidden_dtype = MERIT_DTYPE_BF16;
    score_check(tk, &c);
}

TK_TEST(score_forward, no_positions_touch_nothing)
{
    score_case c = score_make(NULL, 0, 0, 8, NULL, 2, MERIT_POSITIONS_ALL);
    size_t bytes = 1;
    tk_expect_ok(tk->ctx, merit_score_forward_workspace(tk->ctx, &c.d, &bytes));
    TK_EXPECT(bytes == 0, "%zu bytes of workspace for nothing", bytes);
    tk_expect_ok(tk->ctx, merit_score_forward(tk->ctx, &c.d, &c.io, NULL, 0, NULL));
}

TK_TEST(score_forward, one_launch_does_it)
{
    tk_random random = {.state = 16};
    float *const hidden = score_random_values(&random, 300 * 30);
    float *const weight = score_random_values(&random, 64 * 30);
    for (int64_t tokens = 3; tokens <= 300; tokens += 297) {
        score_case c = score_make(hidden, tokens, 0, 30, weight, 64, MERIT_POSITIONS_ALL);
        tk_launches(tk);
        score_result r = score_run(tk, &c);
        const int launches = tk_launches(tk);
        TK_EXPECT(launches == 1 || launches == -1, "%d launches", launches);
        score_free(&r);
    }
    free(hidden), free(weight);
}
