// score_finish: shards against one rank, a plain loop in long double, positions without a token.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score_case.h"

// Hidden states cut at 2048 and 4096: the bits of one rank.
TK_TEST(score_finish, shards_give_the_bits_of_one_rank)
{
    enum { T = 4, H = 4100, K = 3, TILES = 3 };
    tk_random random = {.state = 5};
    float *const hidden = score_random_values(&random, T * H);
    float *const weight = score_random_values(&random, K * H);
    const float bias[K] = {.1f, .2f, .3f}, mean[K] = {1, 2, 3}, std[K] = {3, .7f, 1};
    const uint8_t mask[T] = {1, 0, 1, 1};
    const int32_t route[T] = {0, 1, 2, 1};
    for (int routed = 0; routed < 2; routed++) {
        score_case c = score_make(hidden, T, 0, H, weight, K, MERIT_POSITIONS_ALL);
        c.d.routed = routed;
        c.io.mask = mask;
        c.io.route = routed ? route : NULL;
        score_case whole = c;
        whole.io.bias = bias, whole.io.post_mean = mean, whole.io.post_std = std;
        score_result one = score_run(tk, &whole);
        const int64_t C = one.C;
        double *const tiles = calloc((size_t)(TILES * T * C), sizeof *tiles);
        for (int rank = 0; rank < 2; rank++) { // elements [0, 2048) and [2048, 4100)
            const int32_t first = rank * 2048, size = rank ? H - 2048 : 2048;
            float *const x = calloc(T * H, sizeof *x), *const w = calloc(K * H, sizeof *w);
            for (int i = 0; i < T * size; i++) {
                x[i] = hidden[i / size * H + first + i % size];
            }
            for (int i = 0; i < K * size; i++) {
                w[i] = weight[i / size * H + first + i % size];
            }
            score_case shard = c;
            shard.hidden = x, shard.weight = w;
            shard.d.hidden_size = size;
            shard.d.shard = MERIT_SCORE_SHARD_PARTIAL;
            score_result part = score_run(tk, &shard);
            memcpy(tiles + rank * T * C, part.tile_sums,
                   (size_t)((rank ? 2 : 1) * T * C) * sizeof *tiles);
            score_free(&part);
            free(x), free(w);
        }
        merit_score_finish_desc d;
        cr_assert(merit_score_finish_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
        d.num_tiles = TILES, d.num_positions = T, d.num_heads = K, d.routed = routed;
        const merit_score_finish_io io = {.struct_size = sizeof io,
                                          .tile_sums = tk_input(tk, tiles, TILES * T * C, 8),
                                          .found_positions = tk_input(tk, one.positions, T, 8),
                                          .bias = tk_input(tk, bias, K, 4),
                                          .post_mean = tk_input(tk, mean, K, 4),
                                          .post_std = tk_input(tk, std, K, 4),
                                          .route = routed ? tk_input(tk, route, T, 4) : NULL,
                                          .scores = tk_output(tk, T * C, 4)};
        tk_expect_ok(tk->ctx, merit_score_finish(tk->ctx, &d, &io, NULL, 0, NULL));
        float scores[T * K];
        tk_read(tk, io.scores, scores, T * C, 4);
        tk_expect_bits(scores, one.scores, T * C, 4);
        tk_release(tk);
        score_free(&one);
        free(tiles);
    }
    free(hidden), free(weight);
}

TK_TEST(score_finish, positions_without_a_token_keep_their_value)
{
    merit_score_finish_desc d;
    merit_score_finish_desc_init(&d, sizeof d);
    const double tiles[4] = {1, 2, 3, 4};
    const int64_t found[4] = {7, MERIT_POSITION_EMPTY, MERIT_POSITION_MASKED, MERIT_POSITION_BAD};
    d.num_positions = 4;
    d.empty_value = -5;
    const merit_score_finish_io io = {.struct_size = sizeof io,
                                      .tile_sums = tk_input(tk, tiles, 4, 8),
                                      .found_positions = tk_input(tk, found, 4, 8),
                                      .scores = tk_output(tk, 4, 4)};
    tk_expect_ok(tk->ctx, merit_score_finish(tk->ctx, &d, &io, NULL, 0, NULL));
    float scores[4];
    tk_read(tk, io.scores, scores, 4, 4);
    double *const wide = score_widened(scores, 4);
    tk_expect_close(wide, ((double[]){1, -5, 0, NAN}), 4, 0, 0);
    free(wide);
    tk_release(tk);
}

// Scores side by side take vectors of many; rows further apart, and positions that were looked up, go one by one.
typedef struct finish {
    int64_t tiles, P;
    int32_t K;
    int64_t stride; // 0: K
    int looked_up, affine;
    const double *sums;
    const float *bias, *mean, *std;
} finish;

static void run_finish(tk_fixture *tk, const finish *c, float *scores)
{
    merit_score_finish_desc d;
    cr_assert(merit_score_finish_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
    d.num_tiles = c->tiles, d.num_positions = c->P, d.num_heads = c->K;
    d.score_stride = c->stride;
    const int64_t stride = c->stride != 0 ? c->stride : c->K;
    int64_t *const found = calloc((size_t)c->P, sizeof *found);
    const merit_score_finish_io io = {
        .struct_size = sizeof io,
        .tile_sums = tk_input(tk, c->sums, c->tiles * c->P * c->K, 8),
        .found_positions = c->looked_up ? tk_input(tk, found, c->P, 8) : NULL,
        .bias = tk_input(tk, c->bias, c->K, 4),
        .post_mean = c->affine ? tk_input(tk, c->mean, c->K, 4) : NULL,
        .post_std = c->affine ? tk_input(tk, c->std, c->K, 4) : NULL,
        .scores = tk_output(tk, c->P * stride, 4)};
    tk_expect_ok(tk->ctx, merit_score_finish(tk->ctx, &d, &io, NULL, 0, NULL));
    float *const rows = calloc((size_t)(c->P * stride), sizeof *rows);
    tk_read(tk, io.scores, rows, c->P * stride, 4);
    for (int64_t i = 0; i < c->P * c->K; i++) {
        scores[i] = rows[i / c->K * stride + i % c->K];
    }
    free(rows), free(found);
    tk_release(tk);
}

TK_TEST(score_finish, scores_side_by_side_and_one_by_one_are_a_plain_loop)
{
    enum { MAX_TILES = 6, ENTRIES = 1100, MAX_K = 300 };
    static const int32_t heads[] = {1, 3, 8, MAX_K};
    tk_random random = {.state = 11};
    float *const values = score_random_values(&random, MAX_TILES * ENTRIES);
    float *const bias = score_random_values(&random, MAX_K);
    float *const mean = score_random_values(&random, MAX_K);
    float *const std = score_random_values(&random, MAX_K);
    static double sums[MAX_TILES * ENTRIES], expected[ENTRIES];
    static float first[ENTRIES], other[ENTRIES];
    for (int i = 0; i < MAX_TILES * ENTRIES; i++) {
        sums[i] = i % 97 == 5 ? -0.0 : (double)values[i] / 3;
    }
    for (int n = 0; n < 4 * MAX_TILES * 2; n++) {
        const int32_t K = heads[n % 4];
        finish c = {.tiles = n / 4 % MAX_TILES + 1, .P = ENTRIES / K, .K = K};
        c.affine = n / 4 / MAX_TILES;
        c.sums = sums, c.bias = bias, c.mean = mean, c.std = std;
        const int64_t count = c.P * K;
        for (int64_t i = 0; i < count; i++) {
            const int64_t k = i % K;
            long double sum = bias[k];
            for (int64_t tile = 0; tile < c.tiles; tile++) {
                sum += sums[tile * count + i];
            }
            expected[i] = (double)(c.affine ? (sum - mean[k]) / std[k] : sum);
        }
        run_finish(tk, &c, first);
        double *const wide = score_widened(first, count);
        tk_expect_close(wide, expected, count, 1e-6, 1e-6);
        free(wide);
        c.looked_up = 1;
        run_finish(tk, &c, other);
        tk_expect_bits(other, first, count, 4);
        c.looked_up = 0, c.stride = K + 2;
        run_finish(tk, &c, other);
        tk_expect_bits(other, first, count, 4);
    }
    free(values), free(bias), free(mean), free(std);
}
