// score_forward: which token of a row is scored, and positions, routes and stds that are none.
#include <math.h>
#include <stdlib.h>

#include "score_case.h"

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
