// score_forward: hand-worked scores, the oracle over sizes and types.
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
