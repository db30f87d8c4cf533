// score_regression: hand-worked losses, a plain loop in long double, shards.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score_case.h"

// Calls -------------------------------------------------------------------------------------------

typedef struct regression {
    merit_score_regression_desc d;
    const float *scores, *labels, *row_weight, *alpha;
    const uint8_t *mask;
    const double *denominators;
    int in_place;
} regression;

typedef struct regression_result {
    double loss;
    double *head_loss, *norm, *grad;
    int64_t *count;
    merit_diagnostics diagnostics;
    int launches;
} regression_result;

static regression make(const float *scores, const float *labels, int64_t P, int32_t K)
{
    regression c = {.scores = scores, .labels = labels};
    cr_assert(merit_score_regression_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.num_rows = P;
    c.d.num_heads = K;
    return c;
}

// Tiles of every head, neighbors first, are what head_loss is the mean of.
static void expect_tiles(const regression_result *r, double *tiles, int64_t count, int64_t K)
{
    for (; count > 1; count = (count + 1) / 2) {
        for (int64_t i = 0; i < (count + 1) / 2 * K; i++) {
            const int64_t at = 2 * (i / K) * K + i % K;
            tiles[i] = at / K + 1 < count ? tiles[at] + tiles[at + K] : tiles[at];
        }
    }
    for (int64_t k = 0; k < K && count > 0; k++) {
        const double mean = r->count[k] == 0 ? 0 : tiles[k] / (double)r->count[k];
        const int same = memcmp(&mean, &r->head_loss[k], sizeof mean) == 0;
        TK_EXPECT(same || (isnan(mean) && isnan(r->head_loss[k])),
                  "tiles of head %lld give %a, not %a", (long long)k, mean, r->head_loss[k]);
    }
}

static regression_result run(tk_fixture *tk, const regression *c)
{
    const int64_t P = c->d.num_rows, K = c->d.num_heads;
    regression_result r = {.head_loss = calloc((size_t)K, 8), .norm = calloc((size_t)K, 8)};
    float *const grad = calloc((size_t)(P * K) + 1, sizeof *grad);
    r.count = calloc((size_t)K, 8);
    float *const scores = c->in_place ? tk_inout(tk, c->scores, P * K, 4) : NULL;
    merit_score_regression_io io = {
        .struct_size = sizeof io,
        .scores = c->in_place ? scores : tk_input(tk, c->scores, P * K, 4),
        .labels = tk_input(tk, c->labels, P * K, 4),
        .mask = tk_input(tk, c->mask, P * K, 1),
        .row_weight = tk_input(tk, c->row_weight, P, 4),
        .alpha = tk_input(tk, c->alpha, K, 4),
        .denominators = tk_input(tk, c->denominators, K, 8),
        .loss = tk_output(tk, 1, 8),
        .head_loss = tk_output(tk, K, 8),
        .head_count = tk_output(tk, K, 8),
        .grad_scores = c->in_place ? scores : tk_output(tk, P * K, 4),
        .grad_norm_sq = tk_output(tk, K, 8),
        .diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics),
        .loss_tiles = tk_output(tk, (P + 2047) / 2048 * K, 8)};
    size_t bytes = 0;
    tk_expect_ok(tk->ctx, merit_score_regression_workspace(tk->ctx, &c->d, &bytes));
    void *const workspace = tk_workspace(tk, bytes);
    tk_launches(tk);
    tk_expect_ok(tk->ctx, merit_score_regression(tk->ctx, &c->d, &io, workspace, bytes, NULL));
    r.launches = tk_launches(tk);
    tk_read(tk, io.loss, &r.loss, 1, 8);
    tk_read(tk, io.head_loss, r.head_loss, K, 8);
    tk_read(tk, io.head_count, r.count, K, 8);
    tk_read(tk, io.grad_norm_sq, r.norm, K, 8);
    tk_read(tk, io.grad_scores, grad, P * K, 4);
    double *const tiles = calloc((size_t)((P + 2047) / 2048 * K) + 1, sizeof *tiles);
    tk_read(tk, io.loss_tiles, tiles, (P + 2047) / 2048 * K, 8);
    expect_tiles(&r, tiles, (P + 2047) / 2048, K);
    free(tiles);
    tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    r.grad = score_widened(grad, P * K);
    free(grad);
    tk_release(tk);
    return r;
}

static void release(regression_result *r)
{
    free(r->head_loss), free(r->norm), free(r->grad), free(r->count);
}

// By hand -----------------------------------------------------------------------------------------

static const float hand_scores[6] = {1, 2, .5f, 0, -1, 3};
static const float hand_labels[6] = {0, NAN, 1, NAN, 1, 1};

static void expect(tk_fixture *tk, const regression *c, double loss, const double *grad)
{
    regression_result r = run(tk, c);
    tk_expect_close(&r.loss, &loss, 1, 0, 2e-7);
    tk_expect_close(r.grad, grad, 6, 1e-9, 2e-7);
    release(&r);
}

TK_TEST(score_regression, matches_hand_worked_losses)
{
    regression c = make(hand_scores, hand_labels, 2, 3);
    c.d.reduction = MERIT_REGRESSION_SUM;
    expect(tk, &c, 9.25, (double[]){2, 0, -1, 0, -4, 4});
    c.d.reduction = MERIT_REGRESSION_MEAN_VALID;
    expect(tk, &c, 2.3125, (double[]){.5, 0, -.25, 0, -1, 1});
    c.d.half = 1;
    expect(tk, &c, 1.15625, (double[]){.25, 0, -.125, 0, -.5, .5});
    c.d.half = 0;
    c.d.reduction = MERIT_REGRESSION_MEAN_HEAD;
    expect(tk, &c, 2.375, (double[]){2.0 / 3, 0, -1.0 / 6, 0, -4.0 / 3, 2.0 / 3});
    regression_result r = run(tk, &c);
    tk_expect_close(r.head_loss, ((double[]){1, 4, 2.125}), 3, 0, 0);
    tk_expect_close(r.norm, ((double[]){4, 16, 17}), 3, 0, 0);
    TK_EXPECT(r.count[0] == 1 && r.count[1] == 1 && r.count[2] == 2, "counts");
    release(&r);
    c.d.reduction = MERIT_REGRESSION_MEAN_ROW;
    expect(tk, &c, 4.625, (double[]){1, 0, -.5, 0, -2, 2});
    c.d.reduction = MERIT_REGRESSION_SUM;
    c.d.link = MERIT_REGRESSION_BCE;
    expect(tk, &c, 3.149187710790,
           (double[]){0.73105857863, 0, -0.377540668798, 0, -0.73105857863, -0.047425873178});
    c.d.link = MERIT_REGRESSION_HUBER;
    expect(tk, &c, 3.625, (double[]){1, 0, -.5, 0, -1, 1});
    const double given[3] = {2, 4, 8};
    const float alpha[3] = {1, 2, 4};
    c.d.link = MERIT_REGRESSION_MSE;
    c.d.reduction = MERIT_REGRESSION_GIVEN;
    c.denominators = given;
    c.alpha = alpha;
    expect(tk, &c, 4.625, (double[]){1, 0, -.5, 0, -2, 2});
}

TK_TEST(score_regression, missing_labels_are_not_read_as_numbers)
{
    const float scores[6] = {1, NAN, .5f, INFINITY, NAN, NAN};
    const float labels[6] = {0, NAN, 1, -100, -100, 1};
    const uint8_t mask[6] = {1, 1, 1, 1, 1, 0};
    regression c = make(scores, labels, 2, 3);
    cr_assert(merit_score_regression_preset("aligner.regression", &c.d) == MERIT_STATUS_OK);
    c.mask = mask;
    for (c.in_place = 0; c.in_place < 2; c.in_place++) {
        expect(tk, &c, .625, (double[]){1, 0, -.5, 0, 0, 0});
    }
}

TK_TEST(score_regression, no_label_at_all_is_zero_and_counted)
{
    const float labels[6] = {NAN, NAN, NAN, NAN, NAN, NAN};
    regression c = make(hand_scores, labels, 2, 3);
    for (int32_t reduction = 0; reduction < 4; reduction++) {
        c.d.reduction = reduction;
        regression_result r = run(tk, &c);
        TK_EXPECT(r.loss == 0 && r.grad[0] == 0 && r.head_loss[1] == 0, "zeros");
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_EMPTY_STATISTICS] == 1, "counted");
        release(&r);
    }
    c.d.num_rows = 0;
    regression_result r = run(tk, &c);
    TK_EXPECT(r.loss == 0 && r.count[2] == 0, "no rows");
    release(&r);
}

TK_TEST(score_regression, bad_targets_are_nan_in_their_head)
{
    const float labels[6] = {0, 1, 1.5f, NAN, 1, 1};
    regression c = make(hand_scores, labels, 2, 3);
    cr_assert(merit_score_regression_preset("unimod", &c.d) == MERIT_STATUS_OK);
    regression_result r = run(tk, &c);
    TK_EXPECT(isnan(r.grad[2]) && isnan(r.head_loss[2]) && !isnan(r.head_loss[1]),
              "the third head");
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_TARGET] == 1, "counted");
    release(&r);
}

// A plain loop ------------------------------------------------------------------------------------

static void check(tk_fixture *tk, int64_t P, int32_t K, uint64_t seed)
{
    tk_case("%lld rows, %d heads, seed %d", (long long)P, K, (int)seed);
    tk_random random = {.state = seed};
    float *const scores = score_random_values(&random, P * K);
    float *const labels = score_random_values(&random, P * K);
    float *const weight = score_random_values(&random, P);
    float *const alpha = score_random_values(&random, K);
    uint8_t *const mask = calloc((size_t)(P * K), 1);
    regression c = make(scores, labels, P, K);
    c.d.link = (int32_t)(seed % 3);
    c.d.reduction = (int32_t)tk_below(&random, 4);
    c.d.huber_delta = 1.5f;
    c.d.half = tk_chance(&random, .5);
    c.d.use_sentinel = 1;
    c.d.sentinel = .5f;
    for (int64_t i = 0; i < P * K; i++) {
        mask[i] = (uint8_t)tk_chance(&random, .8);
        if (c.d.link == MERIT_REGRESSION_BCE) labels[i] = (float)tk_below(&random, 9) / 8;
        if (tk_chance(&random, .3)) labels[i] = NAN, scores[i] = NAN;
    }
    c.mask = tk_chance(&random, .7) ? mask : NULL;
    c.row_weight = tk_chance(&random, .7) ? weight : NULL;
    c.alpha = tk_chance(&random, .7) ? alpha : NULL;
    regression_result r = run(tk, &c);
    const int counted = c.d.reduction != MERIT_REGRESSION_SUM;
    TK_EXPECT(r.launches == 1 + counted || r.launches == -1, "%d launches", r.launches);
    if (tk->is_first_run) {
        long double total = 0, loss = 0, size = 0;
        int64_t rows = 0, heads = 0;
        int64_t *const counts = calloc((size_t)K, sizeof *counts);
        for (int64_t p = 0; p < P; p++) {
            int seen = 0;
            for (int32_t k = 0; k < K; k++) {
                const float y = labels[p * K + k];
                const int valid = !isnan(y) && y != .5f && (c.mask == NULL || mask[p * K + k]);
                counts[k] += valid;
                seen |= valid;
            }
            rows += seen;
        }
        for (int32_t k = 0; k < K; k++) {
            total += counts[k];
            heads += counts[k] > 0;
            TK_EXPECT(r.count[k] == counts[k], "count of head %d", k);
        }
        for (int64_t i = 0; i < P * K; i++) {
            const int64_t p = i / K, k = i % K;
            const long double s = scores[i], y = labels[i], e = s - y;
            const int valid = !isnan(labels[i]) && labels[i] != .5f && (c.mask == NULL || mask[i]);
            double slope = 0, room = 1e-7;
            if (valid) {
                const long double D = c.d.reduction == MERIT_REGRESSION_SUM          ? 1
                                      : c.d.reduction == MERIT_REGRESSION_MEAN_VALID ? total
                                      : c.d.reduction == MERIT_REGRESSION_MEAN_HEAD
                                          ? (long double)counts[k] * heads
                                          : (long double)rows;
                const long double scale = (c.alpha ? (long double)alpha[k] : 1) / D *
                                          (c.row_weight ? (long double)weight[p] : 1);
                long double l = e * e, g = 2 * e;
                if (c.d.link == MERIT_REGRESSION_MSE && c.d.half) l /= 2, g /= 2;
                if (c.d.link == MERIT_REGRESSION_BCE) {
                    l = log1pl(expl(s)) - y * s;
                    g = 1 / (1 + expl(-s)) - y;
                }
                if (c.d.link == MERIT_REGRESSION_HUBER) {
                    l = fabsl(e) <= 1.5L ? e * e / 2 : 1.5L * (fabsl(e) - .75L);
                    g = fmaxl(-1.5L, fminl(1.5L, e));
                }
                loss += scale * l;
                size += fabsl(scale * l);
                slope = (double)(scale * g);
                room *= 1 + fabs((double)scale);
            }
            tk_expect_close(&r.grad[i], &slope, 1, room, 2e-7); // sigmoid minus label
        }
        const double expected = (double)loss;
        tk_expect_close(&r.loss, &expected, 1, 2e-7 * (double)size, 1e-12);
        free(counts);
    }
    release(&r);
    free(scores), free(labels), free(weight), free(alpha), free(mask);
}

TK_TEST(score_regression, matches_a_plain_loop)
{
    static const int64_t rows[] = {1, 2, 33, 255, 257, 700};
    for (int i = 0; i < 18; i++) {
        check(tk, rows[i % 6], 1 + i % 5, (uint64_t)i);
    }
    check(tk, 4099, 3, 100);
    check(tk, 3, 300, 101);
}

// Properties --------------------------------------------------------------------------------------

// Labels of one head alone: the loss, gradients and norm of that head by itself.
TK_TEST(score_regression, a_head_with_the_only_labels_is_that_head_alone)
{
    enum { P = 2100, K = 3 };
    tk_random random = {.state = 6};
    float *const scores = score_random_values(&random, P * K);
    float *const labels = calloc(P * K, sizeof *labels);
    float *const one_score = calloc(P, sizeof *one_score);
    float *const one_label = calloc(P, sizeof *one_label);
    for (int64_t i = 0; i < P * K; i++) {
        labels[i] = i % K == 1 && !tk_chance(&random, .2) ? (float)tk_uniform(&random) : NAN;
        if (i % K == 1) one_score[i / K] = scores[i], one_label[i / K] = labels[i];
    }
    for (int32_t link = 0; link < 3; link++) {
        for (int32_t reduction = 0; reduction < 4; reduction++) {
            regression all = make(scores, labels, P, K), alone = make(one_score, one_label, P, 1);
            all.d.link = alone.d.link = link;
            all.d.reduction = alone.d.reduction = reduction;
            regression_result a = run(tk, &all), b = run(tk, &alone);
            tk_expect_bits(&a.loss, &b.loss, 1, 8);
            tk_expect_bits(&a.head_loss[1], b.head_loss, 1, 8);
            tk_expect_bits(&a.norm[1], b.norm, 1, 8);
            TK_EXPECT(a.count[1] == b.count[0] && a.count[0] == 0, "counts");
            for (int64_t p = 0; p < P; p++) {
                tk_expect_bits(&a.grad[p * K + 1], &b.grad[p], 1, 8);
            }
            release(&a), release(&b);
        }
    }
    free(scores), free(labels), free(one_score), free(one_label);
}

// Under a given denominator a gradient depends on its own entry alone.
TK_TEST(score_regression, gradients_do_not_depend_on_their_batch)
{
    enum { P = 37, K = 2 };
    tk_random random = {.state = 7};
    float *const scores = score_random_values(&random, P * K);
    float *const labels = score_random_values(&random, P * K);
    const double given[K] = {37, 12.5};
    regression c = make(scores, labels, P, K);
    c.d.reduction = MERIT_REGRESSION_GIVEN;
    c.d.link = MERIT_REGRESSION_HUBER;
    c.denominators = given;
    regression_result whole = run(tk, &c);
    for (int64_t first = 0; first < P; first += 9) {
        const int64_t count = P - first < 9 ? P - first : 9;
        regression part = c;
        part.d.num_rows = count;
        part.scores = scores + first * K, part.labels = labels + first * K;
        regression_result r = run(tk, &part);
        tk_expect_bits(r.grad, whole.grad + first * K, count * K, 8);
        release(&r);
    }
    release(&whole);
    free(scores), free(labels);
}
