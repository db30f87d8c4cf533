// dominance_quantile_huber: rows that are skipped, bad or infinite; what the loss and its gradient are of each
// other.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "huber_case.h"

enum { ROWS = 9, LEVELS = 3, TARGETS = 4 };

typedef struct block {
    float z[ROWS][LEVELS], tau[ROWS][LEVELS], y[ROWS][TARGETS], weight[ROWS];
    int32_t count[ROWS];
} block;

static huber_case fill(block *b)
{
    tk_random random = {5};
    for (int r = 0; r < ROWS; r++) {
        for (int i = 0; i < LEVELS; i++) {
            b->z[r][i] = (float)tk_normal(&random);
            b->tau[r][i] = ((float)i + .5f) / LEVELS;
        }
        for (int j = 0; j < TARGETS; j++) {
            b->y[r][j] = (float)tk_normal(&random);
        }
        b->weight[r] = 1.5f;
        b->count[r] = TARGETS;
    }
    huber_case c = huber_make(NULL, ROWS, LEVELS, TARGETS);
    c.d.ld_tau = LEVELS;
    c.io.quantiles = &b->z[0][0], c.io.tau = &b->tau[0][0], c.io.targets = &b->y[0][0];
    c.io.weight = b->weight, c.io.target_count = b->count;
    return c;
}

static void expect_row(const huber_result *r, int row, float value)
{
    const float *const g = r->gradients + row * LEVELS;
    for (int i = 0; i < LEVELS; i++) {
        TK_EXPECT(memcmp(&g[i], &value, 4) == 0, "gradient %d,%d is %g", row, i, (double)g[i]);
    }
    TK_EXPECT(memcmp(&r->loss_rows[row], &value, 4) == 0, "loss of row %d is %g", row,
              (double)r->loss_rows[row]);
}

// Bad rows are NaN alone, and counted once each; rows without weight or targets read nothing.
TK_TEST(dominance_quantile_huber, bad_rows_are_nan_alone_and_skipped_rows_are_zero)
{
    block good, b;
    huber_case c = fill(&good);
    huber_result plain = huber_run(tk, &c);
    c = fill(&b);
    b.count[1] = -1, b.count[2] = TARGETS + 1;
    b.tau[3][0] = -.125f, b.tau[3][2] = 2;
    b.tau[4][2] = NAN;
    b.weight[5] = 0, b.count[5] = -7, b.tau[5][1] = NAN;
    b.count[6] = 0;
    for (int j = 0; j < TARGETS; j++) {
        b.y[5][j] = b.y[6][j] = NAN;
        b.z[5][j % LEVELS] = b.z[6][j % LEVELS] = NAN;
    }
    b.y[7][1] = NAN;
    huber_result r = huber_run(tk, &c);
    for (int row = 1; row < 8; row++) {
        expect_row(&r, row, row == 5 || row == 6 ? 0.0f : NAN);
    }
    for (int row = 0; row < ROWS; row += ROWS - 1) {
        tk_expect_bits(r.gradients + row * LEVELS, plain.gradients + row * LEVELS, LEVELS, 4);
        tk_expect_bits(r.loss_rows + row, plain.loss_rows + row, 1, 4);
    }
    TK_EXPECT(isnan(r.loss) && isnan(r.tiles[0]), "loss is %g", r.loss);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_COUNT] == 2, "two rows");
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_TAU] == 2, "two rows");
    huber_free(&r), huber_free(&plain);
}

// A NaN level: its gradient, the loss of its row, no other gradient; a target beyond the count is not read.
TK_TEST(dominance_quantile_huber, nan_levels_stay_at_their_place)
{
    for (int preset = 0; preset < 4; preset++) {
        block b;
        huber_case c = fill(&b);
        merit_dominance_quantile_huber_preset(merit_dominance_quantile_huber_preset_name(preset),
                                              &c.d);
        b.count[2] = 3, b.y[2][3] = NAN;
        huber_result plain = huber_run(tk, &c);
        TK_EXPECT(isfinite(plain.loss), "loss is %g", plain.loss);
        b.z[1][2] = NAN;
        huber_result r = huber_run(tk, &c);
        for (int i = 0; i < ROWS * LEVELS; i++) {
            const float expected = i == LEVELS + 2 ? NAN : plain.gradients[i];
            TK_EXPECT(memcmp(&r.gradients[i], &expected, 4) == 0, "gradient %d", i);
        }
        for (int row = 0; row < ROWS; row++) {
            TK_EXPECT(isnan(r.loss_rows[row]) == (row == 1), "loss of row %d", row);
        }
        huber_free(&r), huber_free(&plain);
    }
}

// Differences that overflow, infinities, tiny values, tau 0 and 1, negative zeros: as IEEE has them.
TK_TEST(dominance_quantile_huber, extreme_values_follow_ieee)
{
    static const float values[] = {0,        -0.0f,     1,         FLT_MAX,   -FLT_MAX,
                                   INFINITY, -INFINITY, 0x1p-149f, -0x1p-140f};
    enum { NUM = sizeof values / sizeof values[0] };
    static const float ends[] = {0, .5f, 1};
    for (int k = 0; k < 4; k++) {
        for (int t = 0; t < 3; t++) {
            float z[NUM * NUM], targets[NUM * NUM];
            for (int i = 0; i < NUM * NUM; i++) {
                z[i] = values[i / NUM], targets[i] = values[i % NUM];
            }
            huber_case c = huber_make("qr_dqn", NUM * NUM, 1, 1);
            c.d.kappa = (float[]){1, 0, FLT_MAX, 0x1p-130f}[k];
            c.io.quantiles = z, c.io.targets = targets, c.io.tau = &ends[t];
            tk_case("kappa %g, tau %g", (double)c.d.kappa, (double)ends[t]);
            huber_result r = huber_run(tk, &c);
            for (int i = 0; i < NUM * NUM; i++) {
                const float u = targets[i] - z[i];
                const float g = r.gradients[i];
                TK_EXPECT(isnan(g) == isnan(u), "%g, %g: gradient %g", (double)z[i],
                          (double)targets[i], (double)g);
                TK_EXPECT(g != 0 || !signbit(g), "%g, %g: -0", (double)z[i], (double)targets[i]);
                TK_EXPECT(!(r.loss_rows[i] < 0), "loss %g", (double)r.loss_rows[i]);
                if (isnan(u)) TK_EXPECT(isnan(r.loss_rows[i]), "loss %g", (double)r.loss_rows[i]);
            }
            huber_free(&r);
        }
    }
}

TK_TEST(dominance_quantile_huber, no_rows_are_fine)
{
    huber_case c = huber_make(NULL, 0, 2, 2);
    huber_result r = huber_run(tk, &c);
    TK_EXPECT(r.loss == 0, "loss is %g", r.loss);
    huber_free(&r);
}

// Each output alone has the bits that it has beside the others.
TK_TEST(dominance_quantile_huber, outputs_do_not_depend_on_each_other)
{
    block b;
    huber_case c = fill(&b);
    huber_result all = huber_run(tk, &c);
    for (int k = 0; k < 3; k++) {
        merit_dominance_quantile_huber_io io = {.struct_size = sizeof io};
        io.quantiles = tk_input(tk, b.z, ROWS * LEVELS, 4);
        io.tau = tk_input(tk, b.tau, ROWS * LEVELS, 4);
        io.targets = tk_input(tk, b.y, ROWS * TARGETS, 4);
        io.weight = tk_input(tk, b.weight, ROWS, 4);
        if (k == 0) io.loss = tk_output(tk, 1, 8);
        if (k == 1) io.loss_rows = tk_output(tk, ROWS, 4);
        if (k == 2) io.grad_quantiles = tk_output(tk, ROWS * LEVELS, 4);
        size_t bytes = 0;
        tk_expect_ok(tk->ctx, merit_dominance_quantile_huber_workspace(tk->ctx, &c.d, &bytes));
        tk_expect_ok(tk->ctx, merit_dominance_quantile_huber(tk->ctx, &c.d, &io,
                                                             tk_workspace(tk, bytes), bytes, NULL));
        double loss = 0;
        float rows[ROWS], gradients[ROWS * LEVELS];
        if (k == 0) tk_read(tk, io.loss, &loss, 1, 8);
        if (k == 1) tk_read(tk, io.loss_rows, rows, ROWS, 4);
        if (k == 2) tk_read(tk, io.grad_quantiles, gradients, ROWS * LEVELS, 4);
        if (k == 0) TK_EXPECT(loss == all.loss, "loss");
        if (k == 1) tk_expect_bits(rows, all.loss_rows, ROWS, 4);
        if (k == 2) tk_expect_bits(gradients, all.gradients, ROWS * LEVELS, 4);
        tk_release(tk);
    }
    huber_free(&all);
}

// The oracle against others -----------------------------------------------------------------------

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The loss by prefix sums of sorted targets and of their squares.
static double by_prefix_sums(double kappa, double tau, double z, const double *sorted, int n)
{
    double sums[64] = {0}, squares[64] = {0};
    const double cuts[] = {z - kappa, z, z + kappa};
    int end[3] = {0, 0, 0};
    for (int j = 0; j < n; j++) {
        sums[j + 1] = sums[j] + sorted[j];
        squares[j + 1] = squares[j] + sorted[j] * sorted[j];
        for (int k = 0; k < 3; k++) {
            end[k] += sorted[j] < cuts[k];
        }
    }
    // half the squares of y - z over [a, b), and the sum of y - z
    double half[2], far[2];
    for (int k = 0; k < 2; k++) {
        const int a = end[k], b = end[k + 1];
        half[k] = (squares[b] - squares[a] - 2 * z * (sums[b] - sums[a]) + (b - a) * z * z) / 2;
    }
    far[0] = end[0] * z - sums[end[0]];
    far[1] = sums[n] - sums[end[2]] - (n - end[2]) * z;
    const double below = kappa * (far[0] - kappa / 2 * end[0]) + half[0];
    const double above = kappa * (far[1] - kappa / 2 * (n - end[2])) + half[1];
    if (kappa == 0) return ((1 - tau) * far[0] + tau * far[1]) / n;
    return ((1 - tau) * below + tau * above) / n;
}

Test(dominance_quantile_huber, the_oracle_agrees_with_prefix_sums_and_finite_differences)
{
    enum { N = 40 };
    tk_random random = {9};
    for (int round = 0; round < 400; round++) {
        const double kappa = (const double[]){0, .5, 1, 2}[round % 4], tau = tk_uniform(&random);
        const double z = 1.5 * tk_normal(&random), h = 1e-6 * fmax(1, fabs(z));
        double targets[N];
        float as_given[N], level = (float)z, tau32 = (float)tau;
        for (int j = 0; j < N; j++) {
            do { // away from the corners of the slope
                as_given[j] = (float)(2 * tk_normal(&random));
                targets[j] = as_given[j];
            } while (fabs(targets[j] - level) < 1e-4 ||
                     fabs(fabs(targets[j] - level) - kappa) < 1e-4);
        }
        huber_case c = huber_make("qr_dqn", 1, 1, N);
        c.d.kappa = (float)kappa;
        c.io.quantiles = &level, c.io.tau = &tau32, c.io.targets = as_given;
        huber_oracle *const o = huber_oracle_new(&c.d, &c.io);
        const double up = huber_oracle_level(kappa, 1, tau32, level + h, targets, N);
        const double down = huber_oracle_level(kappa, 1, tau32, level - h, targets, N);
        const double difference = (up - down) / (2 * h);
        cr_expect(fabs(difference - o->gradients[0]) <= 1e-6 * fmax(1e-2, fabs(difference)),
                  "%g, not %g", o->gradients[0], difference);
        qsort(targets, N, sizeof targets[0], ascending);
        const double expected = by_prefix_sums(kappa, tau32, level, targets, N);
        cr_expect(fabs(o->loss_rows[0] - expected) <= 1e-12 * fmax(1, expected), "%.17g, not %.17g",
                  o->loss_rows[0], expected);
        huber_oracle_free(o);
    }
}
