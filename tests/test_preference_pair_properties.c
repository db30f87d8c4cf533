// preference_pair: what holds whatever the numbers are.
#include <math.h>
#include <string.h>

#include "preference_random.h"

enum { N = 700 };

static pc_random plain(tk_random *random, int64_t num_pairs, double scale)
{
    pc_random r = {.c = pc_scores(NULL, num_pairs, NULL, NULL)};
    pc_random_scores(&r, random, scale, 0);
    r.c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    return r;
}

// Runs two cases and expects equal bits of some outputs.
static void expect_same_calls(tk_fixture *tk, const pc_case *a, const pc_case *b, int outputs)
{
    pc_result first = pc_run(tk, a), second = pc_run(tk, b);
    tk_expect_ok(tk->ctx, first.status);
    tk_expect_ok(tk->ctx, second.status);
    pc_expect_same(&first, &second, a, outputs);
    pc_free(&first), pc_free(&second);
}

// L(z) - L(-z) = -z.
TK_TEST(preference_pair, win_and_loss_differ_by_the_difference)
{
    tk_random random = {.state = 1};
    pc_random r = plain(&random, N, 4);
    pc_case back = r.c;
    back.io.chosen = r.c.io.rejected, back.io.rejected = r.c.io.chosen;
    pc_result win = pc_run(tk, &r.c), loss = pc_run(tk, &back);
    for (int i = 0; i < N; i++) {
        const float z = (float)((double)((const float *)r.c.io.chosen)[i] -
                                (double)((const float *)r.c.io.rejected)[i]);
        const double difference = (double)win.pair_loss[i] - (double)loss.pair_loss[i];
        const double limit = 2 * tk_ulp32(fmax(win.pair_loss[i], loss.pair_loss[i]));
        TK_EXPECT(fabs(difference + z) <= limit, "pair %d: %.9g, expected %.9g", i, difference, -z);
    }
    pc_free(&win), pc_free(&loss);
    pc_random_free(&r);
}

TK_TEST(preference_pair, gradients_of_the_two_sides_are_opposite)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        tk_random random = {.state = seed};
        pc_random r = pc_random_case(&random, 50, 0);
        memset(r.c.d.unary, 0, sizeof r.c.d.unary);
        r.c.d.center = 0;
        r.c.d.pair_weight = 2;
        r.c.io.unary_shift_dev = NULL, r.c.io.chosen_length = r.c.io.rejected_length = NULL;
        r.c.outputs = PC_GRADS, r.c.in_place = 0;
        if (r.c.io.chosen == NULL || r.c.io.rejected == NULL)
            r.c.io.ref_chosen = r.c.io.ref_rejected = NULL;
        if (r.c.io.chosen == NULL)
            r.c.io.chosen = r.c.io.rejected, r.c.d.chosen_stride = r.c.d.rejected_stride;
        if (r.c.io.rejected == NULL)
            r.c.io.rejected = r.c.io.chosen, r.c.d.rejected_stride = r.c.d.chosen_stride;
        tk_case("seed %llu: %s", (unsigned long long)seed, pc_describe(&r.c));
        pc_result result = pc_run(tk, &r.c);
        tk_expect_ok(tk->ctx, result.status);
        for (int i = 0; i < 50 && result.status == MERIT_STATUS_OK; i++) {
            TK_EXPECT(result.grad_chosen[i] == -result.grad_rejected[i], "pair %d: %g and %g", i,
                      result.grad_chosen[i], result.grad_rejected[i]);
        }
        pc_free(&result);
        pc_random_free(&r);
    }
}

// Multiples of 1/64 stay exact when 512 is added.
TK_TEST(preference_pair, adding_a_constant_that_is_exact_changes_no_bit)
{
    float chosen[N], rejected[N], up_chosen[N], up_rejected[N];
    tk_random random = {.state = 2};
    for (int i = 0; i < N; i++) {
        chosen[i] = (float)(tk_below(&random, 1000) - 500) / 64;
        rejected[i] = (float)(tk_below(&random, 1000) - 500) / 64;
        up_chosen[i] = chosen[i] + 512, up_rejected[i] = rejected[i] + 512;
    }
    const pc_case a = pc_scores(NULL, N, chosen, rejected),
                  b = pc_scores(NULL, N, up_chosen, up_rejected);
    expect_same_calls(tk, &a, &b, PC_ALL & ~PC_METRICS);
}

TK_TEST(preference_pair, swapped_sides_and_one_minus_p_are_the_same_pair)
{
    tk_random random = {.state = 3};
    pc_random r = plain(&random, N, 3);
    float p[N], rest[N];
    for (int i = 0; i < N; i++) {
        p[i] = (float)tk_below(&random, 257) / 256;
        rest[i] = 1 - p[i];
    }
    r.c.d.target = MERIT_PAIR_TARGET_PROBABILITY;
    pc_case back = r.c;
    r.c.io.probabilities = p, back.io.probabilities = rest;
    back.io.chosen = r.c.io.rejected, back.io.rejected = r.c.io.chosen;
    pc_result a = pc_run(tk, &r.c), b = pc_run(tk, &back);
    tk_expect_bits(a.pair_loss, b.pair_loss, N, sizeof(float));
    tk_expect_close(a.grad_chosen, b.grad_rejected, N, 0, 0);
    pc_free(&a), pc_free(&b);
    pc_random_free(&r);
}

// 300 pairs of weight 2 against 600 pairs, all within one tile.
TK_TEST(preference_pair, weight_two_is_the_pair_twice)
{
    tk_random random = {.state = 4};
    pc_random r = plain(&random, 300, 2);
    float chosen[600], rejected[600], twos[300];
    for (int i = 0; i < 300; i++) {
        chosen[2 * i] = chosen[2 * i + 1] = ((const float *)r.c.io.chosen)[i];
        rejected[2 * i] = rejected[2 * i + 1] = ((const float *)r.c.io.rejected)[i];
        twos[i] = 2;
    }
    pc_case twice = pc_scores(NULL, 600, chosen, rejected);
    twice.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    r.c.io.weights = twos;
    pc_result a = pc_run(tk, &r.c), b = pc_run(tk, &twice);
    tk_expect_close(&a.loss, &b.loss, 1, 0, 1e-15);
    for (int i = 0; i < 300; i++) {
        TK_EXPECT(a.grad_chosen[i] == 2 * b.grad_chosen[2 * i], "pair %d", i);
    }
    pc_free(&a), pc_free(&b);
    pc_random_free(&r);
}

TK_TEST(preference_pair, a_half_tie_is_the_average_of_win_and_loss)
{
    tk_random random = {.state = 5};
    pc_random r = plain(&random, N, 3);
    int8_t outcomes[3][N];
    pc_result results[3];
    r.c.d.target = MERIT_PAIR_TARGET_OUTCOME;
    for (int k = 0; k < 3; k++) {
        memset(outcomes[k], k - 1, N);
        r.c.io.outcomes = outcomes[k];
        results[k] = pc_run(tk, &r.c);
    }
    for (int i = 0; i < N; i++) {
        const double mean = ((double)results[0].pair_loss[i] + (double)results[2].pair_loss[i]) / 2;
        const double slope = (results[0].grad_chosen[i] + results[2].grad_chosen[i]) / 2;
        const double values[] = {results[1].pair_loss[i], results[1].grad_chosen[i]};
        const double expected[] = {mean, slope};
        tk_expect_close(values, expected, 2, 6e-8, 6e-8);
    }
    for (int k = 0; k < 3; k++) {
        pc_free(&results[k]);
    }
    pc_random_free(&r);
}

TK_TEST(preference_pair, win_loss_and_tie_are_a_distribution)
{
    static const int32_t models[] = {MERIT_TIE_MODEL_RAO_KUPPER, MERIT_TIE_MODEL_DAVIDSON};
    for (int m = 0; m < 2; m++) {
        tk_random random = {.state = 6};
        pc_random r = plain(&random, N, 3);
        r.c.d.target = MERIT_PAIR_TARGET_OUTCOME;
        r.c.d.tie_model = models[m];
        r.c.d.log_tie = .7f;
        double sums[N] = {0}, ones[N];
        for (int k = -1; k <= 1; k++) {
            int8_t outcomes[N];
            memset(outcomes, k, N);
            r.c.io.outcomes = outcomes;
            pc_result result = pc_run(tk, &r.c);
            for (int i = 0; i < N; i++) {
                sums[i] += exp(-(double)result.pair_loss[i]), ones[i] = 1;
            }
            pc_free(&result);
        }
        tk_case("tie model %d", models[m]);
        tk_expect_close(sums, ones, N, 2e-6, 0); // losses carry half an ulp of binary32
        pc_random_free(&r);
    }
}

// q(1) flipped with probability e: (1 - e) L(p) + e L(1 - p) is the loss without noise.
TK_TEST(preference_pair, robust_smoothing_is_unbiased)
{
    tk_random random = {.state = 7};
    pc_random r = plain(&random, N, 3);
    const double e = (double)0.2f;
    int8_t outcomes[N];
    pc_result clean = pc_run(tk, &r.c);
    r.c.d.target = MERIT_PAIR_TARGET_OUTCOME;
    r.c.d.smoothing = .2f;
    r.c.d.smoothing_kind = MERIT_SMOOTHING_ROBUST;
    r.c.io.outcomes = outcomes;
    memset(outcomes, 1, N);
    pc_result right = pc_run(tk, &r.c);
    memset(outcomes, -1, N);
    pc_result wrong = pc_run(tk, &r.c);
    const double averages[] = {(1 - e) * right.loss + e * wrong.loss};
    tk_expect_close(averages, &clean.loss, 1, 0, 1e-13);
    pc_free(&clean), pc_free(&right), pc_free(&wrong);
    pc_random_free(&r);
}

TK_TEST(preference_pair, permuted_pairs_have_permuted_results)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        tk_random random = {.state = seed};
        pc_random r = plain(&random, 500, 5);
        float chosen[500], rejected[500];
        int order[500];
        for (int i = 0; i < 500; i++) {
            order[i] = i;
        }
        for (int i = 499; i > 0; i--) {
            const int j = (int)tk_below(&random, i + 1), k = order[i];
            order[i] = order[j], order[j] = k;
        }
        for (int i = 0; i < 500; i++) {
            chosen[i] = ((const float *)r.c.io.chosen)[order[i]];
            rejected[i] = ((const float *)r.c.io.rejected)[order[i]];
        }
        pc_case b = r.c;
        b.io.chosen = chosen, b.io.rejected = rejected;
        b.d.link = r.c.d.link = (int32_t)(seed % 5);
        pc_result first = pc_run(tk, &r.c), second = pc_run(tk, &b);
        for (int i = 0; i < 500; i++) {
            tk_expect_bits(&second.pair_loss[i], &first.pair_loss[order[i]], 1, 4);
            tk_expect_bits(&second.probability[i], &first.probability[order[i]], 1, 4);
            tk_expect_bits(&second.grad_chosen[i], &first.grad_chosen[order[i]], 1, 8);
        }
        pc_free(&first), pc_free(&second);
        pc_random_free(&r);
    }
}

TK_TEST(preference_pair, routes_of_one_pair_are_calls_of_one_pair)
{
    tk_random random = {.state = 8};
    pc_random r = plain(&random, 32, 3);
    int32_t routes[32];
    for (int i = 0; i < 32; i++) {
        routes[i] = 31 - i;
    }
    r.c.d.num_routes = 32;
    r.c.d.route_kind = MERIT_ROUTE_KIND_ARRAY;
    r.c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    r.c.io.routes = routes;
    pc_result all = pc_run(tk, &r.c);
    for (int i = 0; i < 32; i++) {
        const pc_case one = pc_scores(NULL, 1, (const float *)r.c.io.chosen + i,
                                      (const float *)r.c.io.rejected + i);
        pc_result single = pc_run(tk, &one);
        tk_expect_bits(&single.loss, &all.route_sum[31 - i], 1, 8);
        tk_expect_bits(single.grad_chosen, &all.grad_chosen[i], 1, 8);
        tk_expect_bits(single.metrics, &all.metrics[31 - i], 1, sizeof *all.metrics);
        pc_free(&single);
    }
    pc_free(&all);
    pc_random_free(&r);
}

TK_TEST(preference_pair, the_number_of_threads_changes_no_bit)
{
    if (tk->kind != TK_CPU) return;
    for (uint64_t seed = 0; seed < 12; seed += TK_RARER) {
        tk_random random = {.state = seed};
        pc_random r = pc_random_case(&random, 20000 + (int64_t)seed, 0);
        pc_result first = pc_run(tk, &r.c);
        for (int threads = 1; threads <= 16; threads++) {
            merit_context *const ctx = tk_context(tk, threads);
            pc_result other = pc_run_on(tk, ctx, &r.c);
            tk_case("%d threads: %s", threads, pc_describe(&r.c));
            pc_expect_same(&first, &other, &r.c, PC_ALL);
            pc_free(&other);
            merit_context_destroy(ctx);
        }
        pc_free(&first);
        pc_random_free(&r);
    }
}
