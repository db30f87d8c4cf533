// score_backward: hand-worked gradients, the oracle, finite differences, repeats, shards.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score_case.h"

static const float small_hidden[12] = {1, 2, 3, 0, -1, 2, 4, 0, -2, .5f, .5f, .5f};
static const float small_weight[6] = {1, 0, -1, .5f, 2, 0};

// Rows 1 and 3 with g = (1,2), (-1,.5): row 1 gets 1 (1,0,-1) + 2 (.5,2,0) = (2,4,-1).
TK_TEST(score_backward, matches_hand_worked_gradients)
{
    score_case c = score_make(small_hidden, 4, 0, 3, small_weight, 2, MERIT_POSITIONS_EXPLICIT);
    const int64_t positions[2] = {1, 3};
    const float gradients[4] = {1, 2, -1, .5f};
    c.d.num_positions = 2;
    c.io.positions = positions;
    c.grad_scores = gradients;
    c.outputs = SB_ALL;
    for (int dense = 0; dense < 2; dense++) {
        c.d.grad_layout = dense ? MERIT_GRAD_LAYOUT_DENSE : MERIT_GRAD_LAYOUT_ROWS;
        score_gradients g = score_run_backward(tk, &c);
        const double rows[6] = {2, 4, -1, -.75, 1, 1};
        const double all[12] = {0, 0, 0, 2, 4, -1, 0, 0, 0, -.75, 1, 1};
        tk_expect_close(g.hidden, dense ? all : rows, dense ? 12 : 6, 0, 0);
        double *const weight = score_widened(g.weight, 6), *const bias = score_widened(g.bias, 2);
        tk_expect_close(weight, ((double[]){-.5, -1.5, 1.5, .25, -1.75, 4.25}), 6, 0, 0);
        tk_expect_close(bias, ((double[]){0, 2.5}), 2, 0, 0);
        free(weight), free(bias);
        score_free_gradients(&g);
    }
}

// The oracle --------------------------------------------------------------------------------------

typedef struct arrays {
    float *hidden, *weight, *gradients, *std, *old_weight, *old_bias;
    uint8_t *mask, *labels;
    int32_t *route;
} arrays;

static arrays make_arrays(tk_random *random, int64_t tokens, int64_t H, int64_t K)
{
    arrays a = {.hidden = score_random_values(random, tokens * H),
                .weight = score_random_values(random, K * H),
                .gradients = score_random_values(random, tokens * K),
                .std = calloc((size_t)K, sizeof(float)),
                .old_weight = score_random_values(random, K * H),
                .old_bias = score_random_values(random, K),
                .mask = calloc((size_t)tokens, 1),
                .labels = calloc((size_t)(tokens * K), 1),
                .route = calloc((size_t)tokens, sizeof(int32_t))};
    for (int64_t k = 0; k < K; k++) {
        a.std[k] = (float)(1 + tk_below(random, 9)) / 4;
    }
    for (int64_t i = 0; i < tokens; i++) {
        a.mask[i] = (uint8_t)tk_chance(random, .8);
        a.route[i] = (int32_t)tk_below(random, K + 1) - (int32_t)tk_chance(random, .1);
    }
    for (int64_t i = 0; i < tokens * K; i++) {
        a.labels[i] = (uint8_t)tk_chance(random, .7);
    }
    return a;
}

static void free_arrays(arrays *a)
{
    free(a->hidden), free(a->weight), free(a->gradients), free(a->std);
    free(a->old_weight), free(a->old_bias), free(a->mask), free(a->labels), free(a->route);
}

static void check_sizes(tk_fixture *tk, int32_t H, int32_t K, int64_t tokens, int32_t dtype,
                        int32_t weight_dtype, uint64_t seed)
{
    tk_case("H %d, K %d, %lld tokens, types %d and %d, seed %d", H, K, (long long)tokens, dtype,
            weight_dtype, (int)seed);
    tk_random random = {.state = seed};
    arrays a = make_arrays(&random, tokens, H, K);
    score_case c = score_make(a.hidden, tokens, 0, H, a.weight, K, MERIT_POSITIONS_ALL);
    c.d.hidden_dtype = dtype;
    c.d.weight_dtype = weight_dtype;
    c.d.hidden_stride = H + tk_below(&random, 2) * 3;
    c.d.weight_stride = H + tk_below(&random, 2) * 3;
    c.d.grad_hidden_stride = H + tk_below(&random, 2) * 5;
    c.d.grad_weight_stride = H + tk_below(&random, 2) * 5;
    c.d.grad_layout = (int32_t)tk_below(&random, 2);
    c.d.accumulate = (int32_t)tk_below(&random, 2);
    c.d.routed = tk_chance(&random, .3);
    c.d.grad_score_stride = c.d.routed ? 2 : K + tk_below(&random, 2);
    c.io.mask = tk_chance(&random, .6) ? a.mask : NULL;
    c.io.post_std = tk_chance(&random, .5) ? a.std : NULL;
    c.io.route = c.d.routed ? a.route : NULL;
    c.label_mask = tk_chance(&random, .6) ? a.labels : NULL;
    c.grad_scores = a.gradients;
    c.old_weight = a.old_weight;
    c.old_bias = a.old_bias;
    c.outputs = seed % 4 == 3 ? (int)tk_below(&random, SB_ALL + 1) : SB_ALL;
    score_check_backward(tk, &c);
    free_arrays(&a);
}

TK_TEST(score_backward, matches_the_oracle_over_sizes_and_types)
{
    static const int32_t sizes[] = {1, 3, 31, 32, 33, 100, 255, 257, 600};
    static const int32_t heads[] = {1, 2, 4, 5, 9};
    static const int64_t tokens[] = {1, 2, 31, 257, 300};
    static const int32_t types[] = {MERIT_DTYPE_F32, MERIT_DTYPE_BF16, MERIT_DTYPE_F16};
    for (int i = 0; i < 36; i++) {
        const int32_t type = types[i % 3];
        const int32_t size = sizes[i % 9];
        check_sizes(tk, size, heads[i * 7 % 5], size > 200 ? tokens[i % 3] : tokens[i % 5], type,
                    i % 2 ? type : MERIT_DTYPE_F32, (uint64_t)i);
    }
}

// More than a tile of positions: few columns, so that a device shares the tiles out.
TK_TEST(score_backward, matches_the_oracle_over_tiles_of_positions)
{
    check_sizes(tk, 3, 1, 2049, MERIT_DTYPE_BF16, MERIT_DTYPE_F32, 100);
    check_sizes(tk, 5, 2, 3 * 2048 + 77, MERIT_DTYPE_F32, MERIT_DTYPE_F32, 101);
    check_sizes(tk, 40, 1, 5 * 2048, MERIT_DTYPE_F16, MERIT_DTYPE_F16, 102);
}

TK_TEST(score_backward, every_rule_finds_the_tokens_of_the_forward_pass)
{
    enum { B = 4, T = 6, H = 5, K = 2 };
    tk_random random = {.state = 3};
    arrays a = make_arrays(&random, B * T, H, K);
    const int64_t ids[B * T] = {1, 1, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2,
                                0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 1};
    const int32_t lengths[B] = {6, 0, 3, 7};
    const int64_t spans[B + 1] = {0, 3, 3, 2, 30};
    const int64_t positions[B] = {0, 7, -1, 24};
    for (int32_t rule = MERIT_POSITIONS_LENGTHS; rule <= MERIT_POSITIONS_EXPLICIT; rule++) {
        tk_case("rule %d", rule);
        score_case c = score_make(a.hidden, B, T, H, a.weight, K, rule);
        uint8_t mask[B * T];
        for (int i = 0; i < B * T; i++) {
            mask[i] = ids[i] != 0;
        }
        c.d.pad_id = 0;
        c.d.num_positions = B;
        c.io.lengths = rule == MERIT_POSITIONS_LENGTHS ? lengths : NULL;
        c.io.mask = rule == MERIT_POSITIONS_MASK ? mask : NULL;
        c.io.positions = rule == MERIT_POSITIONS_EXPLICIT ? positions : NULL;
        if (rule == MERIT_POSITIONS_LAST_NON_PAD || rule == MERIT_POSITIONS_BEFORE_FIRST_PAD) {
            c.io.ids = ids;
        }
        if (rule == MERIT_POSITIONS_CU_SEQLENS) {
            c.d.row_tokens = 0;
            c.d.num_tokens = B * T;
            c.io.cu_seqlens = spans;
        }
        c.grad_scores = a.gradients;
        c.outputs = SB_ALL;
        score_check_backward(tk, &c);
        c.d.grad_layout = MERIT_GRAD_LAYOUT_DENSE;
        if (c.d.row_tokens > 0) {
            c.d.grad_hidden_stride = H + 1;
            c.d.grad_hidden_row_stride = T * (H + 1) + 4;
        }
        score_check_backward(tk, &c);
    }
    free_arrays(&a);
}

// Derivatives of sum(g * score) by the oracle of the forward pass.
TK_TEST(score_backward, agrees_with_finite_differences)
{
    enum { P = 3, H = 7, K = 2 };
    if (!tk->is_first_run) return;
    tk_random random = {.state = 4};
    arrays a = make_arrays(&random, P, H, K);
    score_case c = score_make(a.hidden, P, 0, H, a.weight, K, MERIT_POSITIONS_ALL);
    c.io.post_std = a.std;
    c.grad_scores = a.gradients;
    double *const hidden = score_widened(a.hidden, P * H), *const weight =
                                                               score_widened(a.weight, K * H);
    double *const g = score_widened(a.gradients, P * K);
    score_oracle_arrays x = {.hidden = hidden, .weight = weight, .grad_scores = g};
    score_oracle *const o = score_oracle_backward(&c.d, &c.io, &x);
    for (int which = 0; which < 2; which++) {
        double *const values = which ? weight : hidden;
        const double *const slopes = which ? o->grad_weight : o->grad_hidden;
        for (int i = 0; i < (which ? K * H : P * H); i++) {
            const double step = 1e-5 * fmax(1, fabs(values[i])), old = values[i];
            double sum[2] = {0, 0};
            for (int side = 0; side < 2; side++) {
                values[i] = side ? old + step : old - step;
                score_oracle *const f = score_oracle_forward(&c.d, &c.io, &x);
                for (int n = 0; n < P * K; n++) {
                    sum[side] += g[n] * f->scores[n];
                }
                score_oracle_free(f);
            }
            values[i] = old;
            const double slope = (sum[1] - sum[0]) / (2 * step);
            tk_expect_close(&slope, &slopes[i], 1, 1e-7, 1e-7);
        }
    }
    score_oracle_free(o);
    free(hidden), free(weight), free(g);
    free_arrays(&a);
}

// Properties --------------------------------------------------------------------------------------

TK_TEST(score_backward, repeated_positions_are_nan_when_dense_and_kept_in_rows)
{
    tk_random random = {.state = 6};
    arrays a = make_arrays(&random, 5, 40, 2);
    const int64_t positions[5] = {3, 1, 3, 3, -1};
    score_case c = score_make(a.hidden, 5, 0, 40, a.weight, 2, MERIT_POSITIONS_EXPLICIT);
    c.d.num_positions = 5;
    c.io.positions = positions;
    c.grad_scores = a.gradients;
    c.outputs = SB_ALL;
    score_check_backward(tk, &c);
    c.d.grad_layout = MERIT_GRAD_LAYOUT_DENSE;
    score_check_backward(tk, &c);
    free_arrays(&a);
}

// An entry without a label is not read, nor is the hidden row of a position without any.
TK_TEST(score_backward, masked_entries_and_empty_rows_may_hold_anything)
{
    enum { P = 4, H = 12, K = 2 };
    tk_random random = {.state = 7};
    arrays a = make_arrays(&random, P, H, K);
    const uint8_t labels[P * K] = {1, 0, 0, 0, 1, 1, 1, 1};
    const uint8_t mask[P] = {1, 1, 1, 0};
    score_case c = score_make(a.hidden, P, 0, H, a.weight, K, MERIT_POSITIONS_ALL);
    c.io.mask = mask;
    c.label_mask = labels;
    c.grad_scores = a.gradients;
    c.outputs = SB_ALL;
    score_gradients clean = score_run_backward(tk, &c);
    a.gradients[1] = a.gradients[2] = a.gradients[3] = a.gradients[6] = a.gradients[7] = NAN;
    for (int h = 0; h < H; h++) {
        a.hidden[H + h] = a.hidden[3 * H + h] = NAN;
    }
    score_gradients dirty = score_run_backward(tk, &c);
    tk_expect_bits(dirty.hidden, clean.hidden, P * H, 8);
    tk_expect_bits(dirty.weight, clean.weight, K * H, 4);
    tk_expect_bits(dirty.bias, clean.bias, K, 4);
    TK_EXPECT(!isnan(clean.weight[0]), "a number");
    score_free_gradients(&clean), score_free_gradients(&dirty);
    free_arrays(&a);
}

// Tile sums of a position shard, folded by hand, are the sums of one call.
TK_TEST(score_backward, tile_sums_of_positions_fold_to_the_whole)
{
    enum { P = 2048 * 2 + 5, H = 3, K = 2 };
    tk_random random = {.state = 8};
    arrays a = make_arrays(&random, P, H, K);
    score_case c = score_make(a.hidden, P, 0, H, a.weight, K, MERIT_POSITIONS_ALL);
    c.grad_scores = a.gradients;
    c.outputs = SB_WEIGHT | SB_BIAS;
    score_gradients whole = score_run_backward(tk, &c);
    c.d.shard = MERIT_SCORE_SHARD_PARTIAL;
    score_gradients parts = score_run_backward(tk, &c);
    for (int i = 0; i < K * H; i++) {
        const double *const t = parts.weight_tiles + i;
        const float sum = (float)((t[0] + t[K * H]) + t[2 * K * H]);
        tk_expect_bits(&whole.weight[i], &sum, 1, 4);
    }
    for (int k = 0; k < K; k++) {
        const double *const t = parts.bias_tiles + k;
        const float sum = (float)((t[0] + t[K]) + t[2 * K]);
        tk_expect_bits(&whole.bias[k], &sum, 1, 4);
    }
    score_free_gradients(&whole), score_free_gradients(&parts);
    free_arrays(&a);
}

TK_TEST(score_backward, launches_are_as_documented)
{
    tk_random random = {.state = 9};
    arrays a = make_arrays(&random, 6, 4, 2);
    score_case c = score_make(a.hidden, 6, 0, 4, a.weight, 2, MERIT_POSITIONS_ALL);
    c.grad_scores = a.gradients;
    static const struct {
        int outputs, dense, launches;
    } rows[] = {{SB_HIDDEN, 0, 1}, {SB_ALL, 0, 2}, {SB_HIDDEN, 1, 2}, {SB_ALL, 1, 3}};
    for (int i = 0; i < 4; i++) {
        c.outputs = rows[i].outputs;
        c.d.grad_layout = rows[i].dense ? MERIT_GRAD_LAYOUT_DENSE : MERIT_GRAD_LAYOUT_ROWS;
        tk_launches(tk);
        score_gradients g = score_run_backward(tk, &c);
        const int launches = tk_launches(tk);
        TK_EXPECT(launches == rows[i].launches || launches == -1, "%d launches", launches);
        score_free_gradients(&g);
    }
    free_arrays(&a);
}

TK_TEST(score_backward, nan_stays_in_its_row_and_head)
{
    enum { P = 3, H = 9, K = 2 };
    tk_random random = {.state = 10};
    arrays a = make_arrays(&random, P, H, K);
    score_case c = score_make(a.hidden, P, 0, H, a.weight, K, MERIT_POSITIONS_ALL);
    a.gradients[1 * K + 1] = NAN;
    a.hidden[2 * H + 4] = INFINITY;
    c.grad_scores = a.gradients;
    c.outputs = SB_ALL;
    score_check_backward(tk, &c);
    free_arrays(&a);
}
