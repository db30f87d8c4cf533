// score_readout: hand-worked rewards, the oracle and differences of it, closed forms, rejections.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "readout_case.h"
#include "score_case.h"

#define NEAR(actual, ...)                                                                      \
    do {                                                                                       \
        const double expected[] = {__VA_ARGS__};                                               \
        tk_expect_close(actual, expected, (int64_t)(sizeof expected / sizeof *expected), 1e-7, \
                        2e-7);                                                                 \
    } while (0)

static const float one[1] = {1};

// By hand -----------------------------------------------------------------------------------------

TK_TEST(score_readout, matches_hand_worked_directions)
{
    const float r[2] = {3, 2}, v[2] = {3, 4};
    readout_case c = readout_make(NULL, MERIT_READOUT_LINEAR, 1, 2, r);
    c.direction = v;
    c.grad[0] = one;
    readout_result x = readout_run(tk, &c);
    NEAR(x.reward, 17);
    NEAR(x.grad_inputs, 3, 4);
    NEAR(x.grad_direction, 3, 2);
    readout_free(&x);
    c.d.unit = 1;
    x = readout_run(tk, &c);
    NEAR(x.reward, 3.4);
    NEAR(x.grad_inputs, .6, .8);
    readout_free(&x);
    const float angle[2] = {(float)cos(M_PI / 6), .5f};
    c = readout_make("dpa", 0, 1, 2, r);
    c.direction = angle;
    x = readout_run(tk, &c);
    NEAR(x.reward, 3.598076211353);
    readout_free(&x);
}

TK_TEST(score_readout, matches_hand_worked_gates)
{
    const float r[3] = {1, 2, 3}, y[3] = {0, 10, 20};
    const float transform[9] = {1, 0, 0, -.1f, 1, -.3f, 0, 0, 1};
    readout_case c = readout_make("armo", 0, 1, 3, r);
    c.d.scale = 1;
    c.gate_logits = y;
    c.grad[0] = one;
    readout_result x = readout_run(tk, &c);
    NEAR(x.gate, 0.09003057317, 0.244728471055, 0.665240955775);
    NEAR(x.reward, 2.575210382604);
    readout_free(&x);
    c.d.scale = 1.5f;
    x = readout_run(tk, &c);
    NEAR(x.reward, 3.862815573907);
    readout_free(&x);
    c.d.scale = 1;
    c.io.transform = transform;
    x = readout_run(tk, &c);
    NEAR(x.reward, 2.158059694505);
    NEAR(x.grad_inputs, 0.09003057317, 0.036153127005, 0.665240955775);
    NEAR(x.grad_gate, -0.01222668927, -0.003868170737, 0.016094860007);
    readout_free(&x);
}

TK_TEST(score_readout, matches_hand_worked_levels)
{
    const float y[3] = {logf(.2f), logf(.3f), logf(.5f)};
    readout_case c = readout_make("oprm", 0, 1, 3, y);
    c.grad[1] = one;
    readout_result x = readout_run(tk, &c);
    NEAR(x.mean, 2.3);
    NEAR(x.variance, .61);
    NEAR(x.entropy, 1.029653014065);
    NEAR(x.prob, .2, .3, .5);
    NEAR(x.grad_inputs, -.26, -.09, .35);
    readout_free(&x);
    c.grad[1] = NULL, c.grad[2] = one;
    x = readout_run(tk, &c);
    NEAR(x.grad_inputs, .216, -.156, -.06);
    readout_free(&x);
    c.grad[2] = NULL, c.grad[3] = one;
    x = readout_run(tk, &c);
    NEAR(x.grad_inputs, 0.115956979674, 0.052295937078, -0.168252916752);
    readout_free(&x);
    c.d.temperature = 2;
    x = readout_run(tk, &c);
    NEAR(x.prob, 0.262751066096, 0.321803020654, 0.415445913250);
    NEAR(x.mean, 2.152694847154);
    readout_free(&x);
}

// sigmoid(z_yes - z_no), whatever the rest of the vocabulary.
TK_TEST(score_readout, two_tokens_are_a_sigmoid_of_their_difference)
{
    const float z[3 * 4] = {9, 1, 8, -1, NAN, -3, 7, 2, 0, -INFINITY, 4, -INFINITY};
    const int32_t index[2] = {1, 3};
    const float values[2] = {1, 0};
    readout_case c = readout_make("genprm", 0, 3, 2, z);
    c.d.num_logits = 4;
    c.io.level_index = index;
    c.io.level_values = values;
    readout_result x = readout_run(tk, &c);
    NEAR(x.mean, 0.880797077978, 0.006692850924, .5);
    TK_EXPECT(x.diagnostics.count[MERIT_COUNTER_EMPTY_ROW] == 1, "one row is empty");
    TK_EXPECT(x.grad_inputs[4] == 0 && x.grad_inputs[5] == 0, "no gradient in an empty row");
    readout_free(&x);
    const int32_t outside[2] = {1, 4};
    c.io.level_index = outside;
    x = readout_run(tk, &c);
    TK_EXPECT(isnan(x.mean[0]) && x.diagnostics.count[MERIT_COUNTER_BAD_INDEX] == 3, "bad index");
    readout_free(&x);
}

TK_TEST(score_readout, matches_hand_worked_quantiles)
{
    const float q[4] = {4, -2, 1, 9};
    static const struct {
        float alpha;
        double cvar;
    } rows[] = {{.1f, -2}, {.25f, -2}, {.5f, -.5}, {.6f, .25}, {1, 3}};
    for (int i = 0; i < 5; i++) {
        readout_case c = readout_make(NULL, MERIT_READOUT_QUANTILE, 1, 4, q);
        c.d.sort = 1;
        c.d.alpha = rows[i].alpha;
        readout_result x = readout_run(tk, &c);
        NEAR(x.mean, 3);
        NEAR(x.iqr, 6);
        tk_expect_close(x.cvar, &rows[i].cvar, 1, 1e-7, 2e-7);
        readout_free(&x);
    }
    readout_case c = readout_make(NULL, MERIT_READOUT_QUANTILE, 1, 4, q);
    readout_result x = readout_run(tk, &c);
    TK_EXPECT(isnan(x.mean[0]) && isnan(x.cvar[0]) && isnan(x.iqr[0]) && isnan(x.grad_inputs[2]),
              "levels that do not rise");
    TK_EXPECT(x.diagnostics.count[MERIT_COUNTER_CROSSING] == 1, "and are counted");
    readout_free(&x);
}

// The oracle --------------------------------------------------------------------------------------

// Rows go in blocks on a CPU; alone, each is none.
static void expect_rows_alone(tk_fixture *tk, const readout_case *c, const readout_result *all,
                              int64_t width)
{
    const int64_t P = c->d.num_rows, K = c->d.num_columns, A = c->d.num_attributes;
    for (int64_t p = 0; p < P; p += P / 5 + 1) {
        readout_case alone = *c;
        alone.d.num_rows = 1;
        alone.inputs = c->inputs + p * width;
        if (c->direction != NULL && c->d.direction_stride != 0) alone.direction += p * K;
        if (c->gate_logits != NULL) alone.gate_logits += p * K;
        for (int i = 0; i < 6; i++) {
            if (c->grad[i] != NULL) alone.grad[i] += p * A;
        }
        readout_result r = readout_run(tk, &alone);
        const struct {
            const double *actual, *among;
            int64_t count;
        } outputs[] = {
            {r.reward, all->reward, 1},
            {r.mean, all->mean, A},
            {r.variance, all->variance, 1},
            {r.entropy, all->entropy, 1},
            {r.cvar, all->cvar, A},
            {r.iqr, all->iqr, A},
            {r.prob, all->prob, K},
            {r.gate, all->gate, K},
            {r.grad_inputs, all->grad_inputs, K},
            {r.grad_gate, all->grad_gate, K},
            {r.grad_direction, all->grad_direction, K},
        };
        for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
            const int64_t count = outputs[i].count;
            if (outputs[i].among == NULL) continue;
            tk_expect_bits(outputs[i].actual, outputs[i].among + p * count, count, 8);
        }
        readout_free(&r);
    }
}

static void check_kind(tk_fixture *tk, int32_t kind, int64_t P, int32_t K, uint64_t seed)
{
    tk_case("kind %d, %lld rows of %d, seed %d", kind, (long long)P, K, (int)seed);
    tk_random random = {.state = seed};
    const int32_t V = K + (int32_t)tk_below(&random, 5);
    float *const x = score_random_values(&random, P * V);
    float *const y = score_random_values(&random, P * K);
    float *const v = score_random_values(&random, P * K);
    float *const transform = score_random_values(&random, (int64_t)K * K);
    float *const values = score_random_values(&random, K);
    float *const weights = score_random_values(&random, K);
    int32_t *const index = calloc((size_t)K, sizeof *index);
    readout_case c = readout_make(NULL, kind, P, K, x);
    float *gradients[6];
    const int linear = kind == MERIT_READOUT_LINEAR, gate = kind == MERIT_READOUT_GATE;
    const int levels = kind == MERIT_READOUT_LEVELS, quantile = kind == MERIT_READOUT_QUANTILE;
    if (quantile && K % 3 == 0) c.d.num_attributes = 3;
    const int64_t A = c.d.num_attributes, N = K / A;
    double total = 0;
    for (int i = 0; i < 6; i++) {
        gradients[i] = score_random_values(&random, P * A);
        const int belongs = i == 0   ? linear || gate
                            : i == 1 ? levels || quantile
                            : i < 4  ? levels
                                     : quantile;
        c.grad[i] = belongs ? gradients[i] : NULL;
    }
    for (int32_t k = 0; k < K; k++) {
        index[k] = (int32_t)tk_below(&random, V);
        weights[k] = 1 + (float)tk_below(&random, 8);
    }
    for (int64_t n = 0; n < N; n++) {
        total += weights[n];
    }
    for (int64_t n = 0; n < N; n++) {
        weights[n] = (float)(weights[n] / total);
    }
    if (levels && tk_chance(&random, .5)) c.io.level_index = index, c.d.num_logits = V;
    if (levels && tk_chance(&random, .5)) c.io.level_values = values;
    if (quantile && tk_chance(&random, .5)) c.io.level_weights = weights;
    if (gate && tk_chance(&random, .5)) c.io.transform = transform;
    c.direction = linear ? v : NULL;
    c.gate_logits = gate ? y : NULL;
    c.d.direction_stride = tk_chance(&random, .5) ? K : 0;
    c.d.unit = linear && tk_chance(&random, .5);
    c.d.temperature = tk_chance(&random, .5) ? 1 : 2.5f;
    c.d.scale = gate ? 1.5f : 1;
    c.d.alpha = quantile && tk_chance(&random, .7) ? .4f : 1;
    c.d.sort = 1;
    const int64_t width = c.d.num_logits > 0 ? c.d.num_logits : K;
    readout_result r = readout_run(tk, &c);
    for (int64_t p = 0; p < P && tk->is_first_run; p++) {
        readout_oracle o;
        double *const row = score_widened(x + p * width, width);
        double *const logits = score_widened(y + p * K, K);
        double *const direction = score_widened(v + (c.d.direction_stride ? p * K : 0), K);
        readout_oracle_row(&c.d, &c.io, row, logits, direction, &o);
        // exp in binary32: 2^-23 relative in each share
        if (r.reward) tk_expect_close(r.reward + p, &o.reward, 1, 4e-6 * K, 1e-6);
        if (r.mean) tk_expect_close(r.mean + p * A, o.mean, A, 1e-6, 1e-6);
        if (r.variance) tk_expect_close(r.variance + p, &o.variance, 1, 1e-5, 1e-6);
        if (r.entropy) tk_expect_close(r.entropy + p, &o.entropy, 1, 1e-6, 1e-6);
        if (r.cvar) tk_expect_close(r.cvar + p * A, o.cvar, A, 1e-6, 1e-6);
        if (r.iqr) tk_expect_close(r.iqr + p * A, o.iqr, A, 1e-6, 1e-6);
        if (r.prob) tk_expect_close(r.prob + p * K, o.prob, K, 0, 5e-7);
        if (r.gate) tk_expect_close(r.gate + p * K, o.prob, K, 0, 5e-7);
        free(row), free(logits), free(direction);
    }
    if (P > 3) expect_rows_alone(tk, &c, &r, width);
    readout_free(&r);
    free(x), free(y), free(v), free(transform), free(values), free(weights), free(index);
    for (int i = 0; i < 6; i++) {
        free(gradients[i]);
    }
}

TK_TEST(score_readout, matches_the_oracle)
{
    static const int32_t sizes[] = {1, 2, 9, 19, 33, 64, 255, 257, 300};
    for (int i = 0; i < 36; i++) {
        check_kind(tk, i % 4, 1 + i % 3, sizes[i / 4], (uint64_t)i);
    }
}

TK_TEST(score_readout, rows_of_blocks_are_rows_alone)
{
    static const int32_t sizes[] = {1, 3, 4, 5, 7, 19, 66};
    for (int i = 0; i < 28; i++) {
        check_kind(tk, i % 4, 37, sizes[i / 4], (uint64_t)(100 + i));
    }
}

// Objective sum of g * outputs, by the oracle, differentiated in input k.
static double objective(const readout_case *c, const double *x, const double *y, const double *v)
{
    readout_oracle o;
    readout_oracle_row(&c->d, &c->io, x, y, v, &o);
    const double values[6] = {o.reward, 0, o.variance, o.entropy, 0, 0};
    double sum = 0;
    for (int i = 0; i < 6; i++) {
        if (c->grad[i] == NULL) continue;
        for (int a = 0; a < (i == 1 || i > 3 ? c->d.num_attributes : 1); a++) {
            sum += c->grad[i][a] * (i == 1   ? o.mean[a]
                                    : i == 4 ? o.cvar[a]
                                    : i == 5 ? o.iqr[a]
                                             : values[i]);
        }
    }
    return sum;
}

static void expect_slopes(const readout_case *c, double *x, double *y, double *v, double *moved,
                          const double *slopes)
{
    for (int k = 0; k < c->d.num_columns; k++) {
        const double old = moved[k], step = 1e-5 * fmax(1, fabs(old));
        moved[k] = old + step;
        const double high = objective(c, x, y, v);
        moved[k] = old - step;
        const double low = objective(c, x, y, v);
        moved[k] = old;
        const double slope = (high - low) / (2 * step);
        tk_expect_close(&slopes[k], &slope, 1, 2e-6, 2e-6); // exp of binary32 in the slopes
    }
}

TK_TEST(score_readout, gradients_agree_with_differences_of_the_oracle)
{
    enum { K = 6 };
    const float x[K] = {.5f, -1.25f, 2, .75f, -.5f, 1.5f}, y[K] = {1, .5f, -2, 0, .25f, -.75f};
    const float v[K] = {1, -2, .5f, 3, .25f, 1}, transform[K * K] = {1, .5f, 0, 0, 0, -1, 0, 2};
    const float values[K] = {3, 1, 4, 1, 5, 9}, g[4] = {.75f, -.5f, 1.25f, 2};
    const float weights[K] = {.1f, .3f, .1f, .2f, .2f, .1f};
    for (int kind = 0; kind < 4; kind++) {
        tk_case("kind %d", kind);
        readout_case c = readout_make(NULL, kind, 1, K, x);
        const int mixed = kind < 2, levels = kind == 2, quantile = kind == 3;
        c.direction = kind == 0 ? v : NULL;
        c.gate_logits = kind == 1 ? y : NULL;
        c.io.transform = kind == 1 ? transform : NULL;
        c.io.level_values = levels ? values : NULL;
        c.io.level_weights = quantile ? weights : NULL;
        c.d.unit = kind == 0;
        c.d.temperature = 1.5f;
        c.d.scale = 2;
        c.d.alpha = .45f;
        c.d.sort = 1;
        c.grad[0] = mixed ? g : NULL;
        c.grad[1] = mixed ? NULL : g + 1;
        c.grad[2] = levels ? g + 2 : NULL;
        c.grad[3] = levels ? g + 3 : NULL;
        c.grad[4] = quantile ? g + 2 : NULL;
        c.grad[5] = quantile ? g + 3 : NULL;
        readout_result r = readout_run(tk, &c);
        double wx[K], wy[K], wv[K];
        for (int k = 0; k < K; k++) {
            wx[k] = x[k], wy[k] = y[k], wv[k] = v[k];
        }
        if (tk->is_first_run) {
            expect_slopes(&c, wx, wy, wv, wx, r.grad_inputs);
            if (kind == 0) expect_slopes(&c, wx, wy, wv, wv, r.grad_direction);
            if (kind == 1) expect_slopes(&c, wx, wy, wv, wy, r.grad_gate);
        }
        readout_free(&r);
    }
}

// Closed forms ------------------------------------------------------------------------------------

// sum w_i (W_i h) = (sum w_i W_i) h: the readout of head outputs is one merged head.
TK_TEST(score_readout, a_direction_over_heads_is_a_merged_head)
{
    enum { H = 6, K = 3 };
    tk_random random = {.state = 3};
    float *const hidden = score_random_values(&random, H), *const weight =
                                                               score_random_values(&random, K * H);
    const float v[K] = {.5f, .25f, -2};
    score_case heads = score_make(hidden, 1, 0, H, weight, K, MERIT_POSITIONS_ALL);
    score_result z = score_run(tk, &heads);
    readout_case c = readout_make("wildbench", 0, 1, K, z.scores);
    c.direction = v;
    readout_result r = readout_run(tk, &c);
    float merged[H] = {0};
    for (int i = 0; i < K * H; i++) {
        merged[i % H] += v[i / H] * weight[i]; // exact
    }
    score_case one_head = score_make(hidden, 1, 0, H, merged, 1, MERIT_POSITIONS_ALL);
    score_result m = score_run(tk, &one_head);
    const double expected = m.scores[0];
    tk_expect_close(r.reward, &expected, 1, 0, 0); // all exact in binary32
    score_free(&z), score_free(&m);
    readout_free(&r);
    free(hidden), free(weight);
}

TK_TEST(score_readout, equal_gates_take_the_mean_and_levels_have_balanced_gradients)
{
    const float r[4] = {1, 2, 3, 6}, y[4] = {7, 7, 7, 7}, g[1] = {1};
    readout_case c = readout_make("armo", 0, 1, 4, r);
    c.d.scale = 1;
    c.gate_logits = y;
    readout_result x = readout_run(tk, &c);
    NEAR(x.reward, 3);
    readout_free(&x);
    c = readout_make("oprm", 0, 1, 4, r);
    for (int i = 1; i < 4; i++) {
        c.grad[1] = c.grad[2] = c.grad[3] = NULL;
        c.grad[i] = g;
        x = readout_run(tk, &c);
        const double sum =
            x.grad_inputs[0] + x.grad_inputs[1] + x.grad_inputs[2] + x.grad_inputs[3];
        TK_EXPECT(fabs(sum) < 1e-6, "gradients sum to %g", sum);
        readout_free(&x);
    }
}

TK_TEST(score_readout, sorted_quantiles_do_not_depend_on_their_order)
{
    enum { N = 300 };
    tk_random random = {.state = 4};
    float *const q = score_random_values(&random, N);
    readout_case c = readout_make(NULL, MERIT_READOUT_QUANTILE, 1, N, q);
    c.d.sort = 1;
    c.d.alpha = .3f;
    readout_result a = readout_run(tk, &c);
    for (int i = N - 1; i > 0; i--) {
        const int j = (int)tk_below(&random, i + 1);
        const float t = q[i];
        q[i] = q[j], q[j] = t;
    }
    readout_result b = readout_run(tk, &c);
    tk_expect_bits(a.mean, b.mean, 1, 8);
    tk_expect_bits(a.cvar, b.cvar, 1, 8);
    tk_expect_bits(a.iqr, b.iqr, 1, 8);
    readout_free(&a), readout_free(&b);
    free(q);
}

TK_TEST(score_readout, sixteen_bit_inputs_and_strides_are_read_and_written)
{
    const float r[6] = {1.5f, -2, .25f, 3, .5f, -1}, v[3] = {1, 2, 4}, g[2] = {1, 2};
    for (int dtype = MERIT_DTYPE_BF16; dtype <= MERIT_DTYPE_F16; dtype++) {
        readout_case c = readout_make(NULL, MERIT_READOUT_LINEAR, 2, 3, r);
        c.d.input_dtype = dtype;
        c.d.input_stride = 5;
        c.d.grad_stride = 4;
        c.direction = v;
        c.grad[0] = g;
        readout_result x = readout_run(tk, &c);
        NEAR(x.reward, -1.5, 0);
        const double rows[7] = {1, 2, 4, x.grad_inputs[3], 2, 4, 8};
        tk_expect_close(x.grad_inputs, rows, 7, 0, 0);
        readout_free(&x);
    }
}

TK_TEST(score_readout, hostile_rows_are_nan_alone)
{
    const float r[6] = {1, 2, 3, 4, NAN, 6}, zero[6] = {0, 0, 0, 1, 1, 1};
    readout_case c = readout_make("dpa", 0, 2, 3, r);
    c.direction = zero;
    c.d.direction_stride = 3;
    readout_result x = readout_run(tk, &c);
    TK_EXPECT(isnan(x.reward[0]) && isnan(x.reward[1]), "0 / 0 and NaN");
    TK_EXPECT(x.diagnostics.count[MERIT_COUNTER_ZERO_DIRECTION] == 1, "one direction is 0");
    readout_free(&x);
    const float y[6] = {1, INFINITY, 0, 1, -INFINITY, 0};
    c = readout_make("oprm", 0, 2, 3, y);
    x = readout_run(tk, &c);
    TK_EXPECT(isnan(x.prob[0]) && isnan(x.mean[0]) && x.prob[4] == 0 && !isnan(x.entropy[1]),
              "+inf is NaN, -inf has probability 0");
    readout_free(&x);
}
