// preference_pair: broken pairs, and pairs that must not be looked at.
#include <math.h>
#include <string.h>

#include "preference_random.h"

// Broken pairs ------------------------------------------------------------------------------------

// One odd pair between two good ones, whose gradients keep their bits.
static void expect_alone(tk_fixture *tk, const pc_case *good, const pc_case *odd, int counter)
{
    pc_result a = pc_run(tk, good), b = pc_run(tk, odd);
    tk_expect_ok(tk->ctx, a.status);
    tk_expect_ok(tk->ctx, b.status);
    TK_EXPECT(isnan(b.pair_loss[1]) && isnan(b.probability[1]) && isnan(b.grad_chosen[1]) &&
                  isnan(b.grad_rejected[1]) && isnan(b.loss) && isnan(b.route_sum[0]) &&
                  isnan(b.tiles[0]),
              "not NaN: %g %g %g %g, loss %g", (double)b.pair_loss[1], (double)b.probability[1],
              b.grad_chosen[1], b.grad_rejected[1], b.loss);
    for (int i = 0; i < 3; i += 2) {
        tk_expect_bits(&b.grad_chosen[i], &a.grad_chosen[i], 1, 8);
        tk_expect_bits(&b.grad_rejected[i], &a.grad_rejected[i], 1, 8);
        tk_expect_bits(&b.pair_loss[i], &a.pair_loss[i], 1, 4);
        tk_expect_bits(&b.probability[i], &a.probability[i], 1, 4);
    }
    TK_EXPECT(b.diagnostics.count[counter] == 1, "counter %d is %llu", counter,
              (unsigned long long)b.diagnostics.count[counter]);
    TK_EXPECT(a.diagnostics.count[counter] == 0, "the good call counted");
    TK_EXPECT(b.metrics->invalid == 1 && b.metrics->pairs == 3, "invalid %lld of %lld",
              (long long)b.metrics->invalid, (long long)b.metrics->pairs);
    if (tk->is_first_run) pc_expect_oracle(odd, &b);
    pc_free(&a), pc_free(&b);
}

static const float three_chosen[] = {1, 2, 3}, three_rejected[] = {0, 2.5f, -1};

TK_TEST(preference_pair, a_nonfinite_score_stays_with_its_pair)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    for (int side = 0; side < 3; side++) {
        for (int k = 0; k < 3; k++) {
            const pc_case good = pc_scores("bt", 3, three_chosen, three_rejected);
            const float chosen[] = {1, side != 1 ? odd[k] : 2, 3};
            const float rejected[] = {0, side != 0 ? odd[k] : 2, -1}; // inf - inf
            pc_case bad = good;
            bad.io.chosen = chosen, bad.io.rejected = rejected;
            tk_case("side %d, %g", side, (double)odd[k]);
            expect_alone(tk, &good, &bad, MERIT_COUNTER_NONFINITE);
        }
    }
}

TK_TEST(preference_pair, bad_weights_targets_lengths_and_routes_stay_with_their_pair)
{
    pc_case good = pc_scores("bt", 3, three_chosen, three_rejected), bad;
    const float ones[] = {1, 1, 1}, negative[] = {1, -1, 1}, nan[] = {1, NAN, 1};
    good.io.weights = ones, bad = good, bad.io.weights = negative;
    expect_alone(tk, &good, &bad, MERIT_COUNTER_BAD_WEIGHT);
    bad.io.weights = nan;
    expect_alone(tk, &good, &bad, MERIT_COUNTER_BAD_WEIGHT);
    expect_alone(tk, &good, &bad, MERIT_COUNTER_NONFINITE);

    good = pc_scores("bt", 3, three_chosen, three_rejected);
    const int8_t won[] = {1, 1, 1}, two[] = {1, 2, 1}, least[] = {1, -128, 1};
    good.d.target = MERIT_PAIR_TARGET_OUTCOME;
    good.io.outcomes = won, bad = good, bad.io.outcomes = two;
    expect_alone(tk, &good, &bad, MERIT_COUNTER_BAD_TARGET);
    bad.io.outcomes = least;
    expect_alone(tk, &good, &bad, MERIT_COUNTER_BAD_TARGET);

    good = pc_scores("oni.soft", 3, three_chosen, three_rejected);
    const float above[] = {1, 1.0000001f, 1}, below[] = {1, -0x1p-149f, 1};
    good.io.probabilities = ones, bad = good, bad.io.probabilities = above;
    expect_alone(tk, &good, &bad, MERIT_COUNTER_BAD_TARGET);
    bad.io.probabilities = below;
    expect_alone(tk, &good, &bad, MERIT_COUNTER_BAD_TARGET);
    bad.io.probabilities = nan;
    expect_alone(tk, &good, &bad, MERIT_COUNTER_BAD_TARGET);

    good = pc_scores("bt", 3, three_chosen, three_rejected);
    const int32_t lengths[] = {1, 1, 1}, none[] = {1, 0, 1}, minus[] = {1, -7, 1};
    good.io.chosen_length = good.io.rejected_length = lengths, bad = good;
    bad.io.chosen_length = none;
    expect_alone(tk, &good, &bad, MERIT_COUNTER_BAD_LENGTH);
    bad = good, bad.io.rejected_length = minus;
    expect_alone(tk, &good, &bad, MERIT_COUNTER_BAD_LENGTH);

    good = pc_scores("bt", 3, three_chosen, three_rejected);
    const int32_t zeros[] = {0, 0, 0}, far[] = {0, 1 << 30, 0}, before[] = {0, -1, 0},
                  next[] = {0, 1, 0};
    good.d.route_kind = MERIT_ROUTE_KIND_ARRAY;
    good.io.routes = zeros, bad = good;
    const int32_t *const odd[] = {far, before, next};
    for (int k = 0; k < 3; k++) {
        bad.io.routes = odd[k];
        expect_alone(tk, &good, &bad, MERIT_COUNTER_BAD_ROUTE);
    }
}

TK_TEST(preference_pair, a_tie_without_a_positive_threshold_is_nan)
{
    const int8_t won[] = {1, 1, 1}, tied[] = {1, 0, 1};
    static const float etas[] = {0, -0.5f};
    for (int k = 0; k < 2; k++) {
        pc_case good = pc_scores("bt", 3, three_chosen, three_rejected);
        good.d.target = MERIT_PAIR_TARGET_OUTCOME;
        good.d.tie_model = MERIT_TIE_MODEL_RAO_KUPPER;
        good.io.log_tie_dev = &etas[k];
        good.io.outcomes = won;
        pc_case bad = good;
        bad.io.outcomes = tied;
        expect_alone(tk, &good, &bad, MERIT_COUNTER_BAD_TIE);
    }
}

TK_TEST(preference_pair, skip_invalid_leaves_nonfinite_pairs_out)
{
    const float chosen[] = {1, NAN, 3, 2}, rejected[] = {0, 2, -INFINITY, 5};
    const float good_chosen[] = {1, 2}, good_rejected[] = {0, 5};
    pc_case c = pc_scores("bt", 4, chosen, rejected);
    c.d.skip_invalid = 1;
    const pc_case good = pc_scores("bt", 2, good_chosen, good_rejected);
    pc_result a = pc_run(tk, &c), b = pc_run(tk, &good);
    tk_expect_ok(tk->ctx, a.status);
    tk_expect_close(&a.loss, &b.loss, 1, 0, 1e-15);
    TK_EXPECT(a.metrics->pairs == 2 && a.diagnostics.count[MERIT_COUNTER_NONFINITE] == 2,
              "%lld pairs", (long long)a.metrics->pairs);
    const double expected[] = {b.grad_chosen[0], 0, 0, b.grad_chosen[1]};
    tk_expect_bits(a.grad_chosen, expected, 4, 8);
    pc_free(&a), pc_free(&b);
}

// Absent pairs ------------------------------------------------------------------------------------

// Copies an array of the case with what absent pairs hold overwritten.
static const void *overwritten(pc_random *r, const void *array, int64_t stride, size_t size,
                               const unsigned char *absent, int byte)
{
    const int64_t count = pc_extent(r->c.d.num_pairs, stride);
    if (array == NULL) return NULL;
    unsigned char *const copy = pc_random_own(r, count, size);
    memcpy(copy, array, (size_t)count * size);
    for (int64_t i = 0; i < r->c.d.num_pairs; i++) {
        if (absent[i]) memset(copy + i * stride * (int64_t)size, byte, size);
    }
    return copy;
}

static pc_case with_absent(pc_random *r, const unsigned char *absent, const unsigned char *masked,
                           int byte)
{
    pc_case c = r->c;
    const merit_preference_pair_desc *const d = &c.d;
    const size_t size = pc_dtype_bytes(d->score_dtype);
    merit_preference_pair_io *const io = &c.io;
    io->chosen = overwritten(r, io->chosen, d->chosen_stride, size, absent, byte);
    io->rejected = overwritten(r, io->rejected, d->rejected_stride, size, absent, byte);
    io->ref_chosen = overwritten(r, io->ref_chosen, d->ref_chosen_stride, 4, absent, byte);
    io->ref_rejected = overwritten(r, io->ref_rejected, d->ref_rejected_stride, 4, absent, byte);
    io->chosen_length = overwritten(r, io->chosen_length, 1, 4, absent, byte);
    io->rejected_length = overwritten(r, io->rejected_length, 1, 4, absent, byte);
    io->margins = overwritten(r, io->margins, 1, 4, absent, byte);
    io->betas = overwritten(r, io->betas, 1, 4, absent, byte);
    io->beta_signal = overwritten(r, io->beta_signal, 1, 4, absent, byte);
    io->probabilities = overwritten(r, io->probabilities, 1, 4, absent, byte);
    io->outcomes = overwritten(r, io->outcomes, 1, 1, absent, byte);
    io->weights = overwritten(r, io->weights, 1, 4, masked, byte);
    io->routes = overwritten(r, io->routes, 1, 4, masked, byte);
    return c;
}

// Bytes 0xff are NaN in every format, -1 as a length, a route or an outcome.
TK_TEST(preference_pair, what_masked_and_weightless_pairs_hold_changes_no_bit)
{
    const uint64_t count = tk->kind == TK_SIMT ? 30 : 400;
    for (uint64_t seed = 0; seed < count; seed++) {
        enum { N = 90 };
        tk_random random = {.state = seed};
        pc_random r = pc_random_case(&random, N, 0);
        unsigned char absent[N], masked[N];
        uint8_t mask[N];
        float weights[N];
        for (int i = 0; i < N; i++) {
            mask[i] = tk_chance(&random, .7);
            weights[i] = tk_chance(&random, .3) ? 0 : (float)tk_uniform(&random) + .5f;
            masked[i] = !mask[i];
            absent[i] = masked[i] || weights[i] == 0;
        }
        r.c.io.mask = mask, r.c.io.weights = weights, r.c.in_place = 0;
        r.c.outputs = PC_ALL;
        const pc_case a = with_absent(&r, absent, masked, 0xff),
                      b = with_absent(&r, absent, masked, 0);
        pc_result first = pc_run(tk, &a), second = pc_run(tk, &b);
        tk_case("seed %llu: %s", (unsigned long long)seed, pc_describe(&r.c));
        tk_expect_ok(tk->ctx, first.status);
        tk_expect_ok(tk->ctx, second.status);
        pc_expect_same(&first, &second, &r.c, PC_ALL);
        if (tk->is_first_run) pc_expect_oracle(&a, &first);
        pc_free(&first), pc_free(&second);
        pc_random_free(&r);
    }
}

TK_TEST(preference_pair, nothing_valid_and_zero_denominators)
{
    const uint8_t none[3] = {0};
    const float zeros[3] = {0};
    const double nothing = 0;
    const double no_gradient[3] = {0};
    for (int32_t reduction = 0; reduction < 4; reduction++) {
        pc_case c = pc_scores("bt", 3, three_chosen, three_rejected);
        c.d.reduction = reduction;
        if (reduction == MERIT_PREFERENCE_REDUCTION_GIVEN) c.io.denominators = &nothing;
        c.io.mask = none;
        tk_case("reduction %d, all masked", reduction);
        pc_expect(tk, &c, 0, no_gradient, no_gradient);
        pc_result r = pc_run(tk, &c);
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_ZERO_DENOMINATOR] == 0, "counted");
        pc_free(&r);
        c.io.mask = NULL, c.io.weights = zeros;
        tk_case("reduction %d, weights 0", reduction);
        pc_expect(tk, &c, 0, no_gradient, no_gradient);
        r = pc_run(tk, &c);
        const uint64_t expected = reduction >= MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_ZERO_DENOMINATOR] == expected, "counted %llu",
                  (unsigned long long)r.diagnostics.count[MERIT_COUNTER_ZERO_DENOMINATOR]);
        pc_free(&r);
    }
    pc_case c = pc_scores("bt", 3, three_chosen, three_rejected);
    const double infinite[] = {-INFINITY, -INFINITY, -INFINITY};
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN;
    c.io.denominators = &nothing;
    pc_expect(tk, &c, INFINITY, infinite, NULL);
    c.d.num_pairs = 0; // N = 0
    c.io.chosen = c.io.rejected = NULL;
    pc_check(tk, &c);
}
