// policy_value_loss and policy_count.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy_value_oracle.h"
#include "tk.h"

typedef struct value_case {
    merit_policy_value_loss_desc d;
    merit_policy_value_loss_io io;
    int on; // the gradient: 0 apart, 1 on old_value, 2 on returns
} value_case;

typedef struct value_result {
    merit_status status;
    double loss;
    double tiles[8];
    float *grad;
    merit_policy_value_stats stats;
    merit_diagnostics diagnostics;
} value_result;

static value_case one_sequence(const char *preset, int64_t n, const float *value, const float *old,
                               const float *returns)
{
    value_case c;
    memset(&c, 0, sizeof c);
    cr_assert(merit_policy_value_loss_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    if (preset != NULL) {
        cr_assert(merit_policy_value_loss_preset(preset, &c.d) == MERIT_STATUS_OK);
    }
    c.d.num_tokens = n, c.d.denominator = 1;
    c.d.sequences.num_groups = 1, c.d.sequences.group_size = n;
    c.io.struct_size = sizeof c.io;
    c.io.value = value, c.io.old_value = old, c.io.returns = returns;
    return c;
}

static value_result run(tk_fixture *tk, const value_case *c)
{
    value_result r;
    memset(&r, 0, sizeof r);
    merit_policy_value_loss_desc d = c->d;
    merit_policy_value_loss_io io = c->io;
    const int64_t T = d.num_tokens, B = d.sequences.num_groups;
    io.value = tk_input(tk, io.value, T, 4);
    io.old_value = c->on == 1 ? tk_inout(tk, io.old_value, T, 4) : tk_input(tk, io.old_value, T, 4);
    io.returns = c->on == 2 ? tk_inout(tk, io.returns, T, 4) : tk_input(tk, io.returns, T, 4);
    io.mask = tk_input(tk, io.mask, T, 1);
    io.denominator = tk_input(tk, io.denominator, 1, 8);
    if (d.sequences.offsets != NULL)
        d.sequences.offsets = tk_input(tk, d.sequences.offsets, B + 1, 8);
    io.loss = tk_output(tk, 1, 8);
    io.loss_tiles = tk_output(tk, (B + 2047) / 2048, 8);
    io.grad_value = c->on == 1   ? (float *)(uintptr_t)io.old_value
                    : c->on == 2 ? (float *)(uintptr_t)io.returns
                                 : tk_output(tk, T, 4);
    io.stats = tk_output(tk, 1, sizeof *io.stats);
    io.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    size_t bytes = 0;
    r.status = merit_policy_value_loss_workspace(tk->ctx, &d, &bytes);
    if (r.status == MERIT_STATUS_OK) {
        r.status = merit_policy_value_loss(tk->ctx, &d, &io, tk_workspace(tk, bytes), bytes, NULL);
    }
    r.grad = calloc((size_t)T + 1, 4);
    cr_assert(r.grad != NULL && B <= 8 * 2048);
    tk_read(tk, io.loss, &r.loss, 1, 8);
    tk_read(tk, io.loss_tiles, r.tiles, (B + 2047) / 2048, 8);
    tk_read(tk, io.grad_value, r.grad, T, 4);
    tk_read(tk, io.stats, &r.stats, 1, sizeof r.stats);
    tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    tk_release(tk);
    return r;
}

static void check(tk_fixture *tk, const value_case *c)
{
    value_result r = run(tk, c);
    tk_expect_ok(tk->ctx, r.status);
    if (tk->is_first_run && r.status == MERIT_STATUS_OK) {
        policy_value_oracle *const o = policy_value_oracle_run(&c->d, &c->io);
        // u is rounded once, h(u) of it twice more: cancellation in u is what costs
        const double actual[] = {r.loss, r.stats.sum_value, r.stats.sum_squared_error,
                                 r.stats.sum_return, r.stats.sum_return_squared};
        const double expected[] = {(double)o->loss, (double)o->sum_value,
                                   (double)o->sum_squared_error, (double)o->sum_return,
                                   (double)o->sum_return_squared};
        tk_expect_close(actual, expected, 5, 1e-9, 1e-6);
        TK_EXPECT(r.stats.tokens == o->tokens, "tokens %lld", (long long)r.stats.tokens);
        TK_EXPECT(r.stats.clipped == o->clipped, "clipped %lld, expected %lld",
                  (long long)r.stats.clipped, o->clipped);
        TK_EXPECT((long long)r.diagnostics.count[MERIT_COUNTER_BAD_OFFSETS] == o->refused,
                  "refused %llu",
                  (unsigned long long)r.diagnostics.count[MERIT_COUNTER_BAD_OFFSETS]);
        for (int64_t t = 0; t < c->d.num_tokens; t++) {
            const double g = r.grad[t];
            if (o->valid[t] == 0) TK_EXPECT(g == 0 && !signbit(g), "gradient %g, masked", g);
            if (o->valid[t] < 0) TK_EXPECT(isnan(g), "gradient %g, refused", g);
            const double e = (double)o->grad[t];
            if (o->valid[t] == 1) tk_expect_close(&g, &e, 1, 1e-12, 1e-6);
        }
        policy_value_oracle_free(o);
    }
    free(r.grad);
}

TK_TEST(policy_value_loss, matches_hand_worked_tokens)
{
    // v, old, R, loss, gradient; the tie of the last row is exact in binary, its clip 1/4
    const double rows[][5] = {
        {1, 0, 2, 1.62, 0}, {1, 0, -1, 2, 2}, {.1, 0, 1, .405, -.9}, {1, 0, .625, .0703125, .375}};
    for (int i = 0; i < 4; i++) {
        const float v = (float)rows[i][0], old = (float)rows[i][1], R = (float)rows[i][2];
        value_case c = one_sequence("ppo", 1, &v, &old, &R);
        if (i == 3) c.d.clip = 0.25f;
        value_result r = run(tk, &c);
        const double actual[] = {r.loss, r.grad[0]};
        tk_expect_close(actual, rows[i] + 3, 2, 1e-9, 2e-6);
        TK_EXPECT(r.stats.clipped == (i == 0), "row %d: clipped %lld", i,
                  (long long)r.stats.clipped);
        free(r.grad);
    }
    const float v = 13, old = 13, R = 1;
    value_case c = one_sequence("areal", 1, &v, &old, &R);
    value_result r = run(tk, &c);
    TK_EXPECT(r.loss == 70 && r.grad[0] == 10, "huber %g %g", r.loss, (double)r.grad[0]);
    free(r.grad);
    c = one_sequence("slime", 1, &v, &old, &R);
    r = run(tk, &c);
    TK_EXPECT(r.loss == 144 && r.grad[0] == 24, "square %g %g", r.loss, (double)r.grad[0]);
    free(r.grad);
}

enum { MOST = 6000 };

typedef struct value_arrays {
    float v[MOST], old[MOST], R[MOST];
    uint8_t mask[MOST];
    int64_t offsets[1002];
    double D;
} value_arrays;

static value_case random_case(tk_random *random, value_arrays *a, int64_t sequences,
                              int64_t longest)
{
    value_case c = one_sequence(NULL, 1, a->v, a->old, a->R);
    c.d.sequences.num_groups = sequences;
    if (tk_chance(random, 0.5)) {
        c.d.sequences.group_size = 1 + tk_below(random, longest);
        c.d.sequences.group_stride = c.d.sequences.group_size + tk_below(random, 2);
        c.d.num_tokens = sequences * c.d.sequences.group_stride;
    } else {
        c.d.sequences.group_size = 0, c.d.sequences.offsets = a->offsets;
        a->offsets[0] = 1;
        for (int64_t i = 0; i < sequences; i++) {
            a->offsets[i + 1] = a->offsets[i] + tk_below(random, longest + 1);
        }
        c.d.num_tokens = a->offsets[sequences] + 1;
    }
    cr_assert(c.d.num_tokens <= MOST);
    for (int64_t t = 0; t < c.d.num_tokens; t++) {
        a->v[t] = (float)tk_normal(random);
        a->old[t] = a->v[t] + (float)(0.3 * tk_normal(random));
        a->R[t] = (float)(2 * tk_normal(random));
        a->mask[t] = (uint8_t)(tk_chance(random, 0.7) ? 1 + tk_below(random, 255) : 0);
    }
    if (tk_chance(random, 0.6)) c.io.mask = a->mask;
    c.d.clip = tk_chance(random, 0.3) ? 0.0f : (float)tk_uniform(random);
    c.d.huber_delta = tk_chance(random, 0.5) ? 0.0f : (float)(0.1 + tk_uniform(random));
    c.d.scale = (float)(0.1 + tk_uniform(random));
    c.d.aggregation = (int32_t)tk_below(random, 2);
    c.d.denominator = 3.5;
    if (tk_chance(random, 0.3)) c.d.denominator = 0, a->D = 2.25, c.io.denominator = &a->D;
    if (c.d.clip == 0) c.io.old_value = NULL;
    c.on = c.io.old_value != NULL ? (int)tk_below(random, 3) : 0;
    return c;
}

TK_TEST(policy_value_loss, matches_the_oracle)
{
    static value_arrays a;
    tk_random random = {1};
    for (int n = 0; n < (tk->kind == TK_CPU ? 120 : 20); n++) {
        const int64_t lengths[] = {1, 7, 32, 33, 300, 2900};
        const int64_t longest = lengths[tk_below(&random, 6)];
        const int64_t most = longest > 1000 ? 2 : longest > 100 ? 12 : 40;
        value_case c = random_case(&random, &a, 1 + tk_below(&random, most), longest);
        check(tk, &c);
    }
    for (int n = 0; n < 2; n++) {
        value_case c = random_case(&random, &a, 1000, 4);
        check(tk, &c);
    }
}

TK_TEST(policy_value_loss, masked_tokens_hold_anything)
{
    static value_arrays a;
    tk_random random = {2};
    value_case c = random_case(&random, &a, 20, 40);
    c.io.mask = a.mask, c.on = 0, c.d.clip = 0.2f, c.io.old_value = a.old;
    value_result r = run(tk, &c);
    for (int64_t t = 0; t < c.d.num_tokens; t++) {
        if (!a.mask[t]) a.v[t] = NAN, a.old[t] = INFINITY, a.R[t] = NAN;
    }
    value_result s = run(tk, &c);
    tk_expect_bits(&s.loss, &r.loss, 1, 8);
    tk_expect_bits(s.grad, r.grad, c.d.num_tokens, 4);
    tk_expect_bits(&s.stats, &r.stats, 1, sizeof r.stats);
    free(r.grad), free(s.grad);
}

TK_TEST(policy_value_loss, nan_stays_with_its_token)
{
    float v[6] = {1, 2, NAN, 4, 5, 6}, old[6] = {1, NAN, 3, 4, 5, 6}, R[6] = {0, 0, 0, NAN, 0, 0};
    value_case c = one_sequence(NULL, 6, v, old, R);
    value_result r = run(tk, &c);
    TK_EXPECT(isnan(r.loss), "loss %g", r.loss);
    for (int t = 0; t < 6; t++) {
        TK_EXPECT(isnan(r.grad[t]) == (t >= 1 && t <= 3), "gradient %d is %g", t,
                  (double)r.grad[t]);
    }
    free(r.grad);
    const double zero = 0;
    c.d.denominator = 0, c.io.denominator = &zero;
    r = run(tk, &c);
    TK_EXPECT(r.loss == 0 && r.stats.tokens == 0 && r.grad[0] == 0 && r.grad[2] == 0,
              "a denominator of 0 gives %g", r.loss);
    free(r.grad);
}

TK_TEST(policy_value_loss, refuses_bad_offsets)
{
    float v[8] = {1, 2, 3, 4, 5, 6, 7, 8}, R[8] = {0};
    const int64_t offsets[] = {0, 3, 20};
    value_case c = one_sequence(NULL, 8, v, v, R);
    c.d.sequences.group_size = 0, c.d.sequences.num_groups = 2, c.d.sequences.offsets = offsets;
    check(tk, &c);
}

TK_TEST(policy_value_loss, rejects_bad_input)
{
    float v[4] = {0}, old[4] = {0}, R[4] = {0};
    const double D = 1;
    struct {
        const char *words;
        value_case c;
    } rows[12];
    for (int i = 0; i < 12; i++) {
        rows[i].c = one_sequence(NULL, 4, v, old, R);
    }
    rows[0].words = "clip|0 or more", rows[0].c.d.clip = -1;
    rows[1].words = "clip", rows[1].c.d.clip = NAN;
    rows[2].words = "huber_delta", rows[2].c.d.huber_delta = -1;
    rows[3].words = "huber_delta", rows[3].c.d.huber_delta = NAN;
    rows[4].words = "scale", rows[4].c.d.scale = 0;
    rows[5].words = "scale", rows[5].c.d.scale = INFINITY;
    rows[6].words = "aggregation", rows[6].c.d.aggregation = 2;
    rows[7].words = "denominator", rows[7].c.d.denominator = NAN;
    rows[8].words = "denominator|NULL", rows[8].c.d.denominator = 0;
    rows[9].words = "denominator|given", rows[9].c.io.denominator = &D;
    rows[10].words = "old_value is NULL", rows[10].c.io.old_value = NULL;
    rows[11].words = "returns is NULL", rows[11].c.io.returns = NULL;
    for (int i = 0; i < 12; i++) {
        value_result r = run(tk, &rows[i].c);
        tk_expect_rejected(tk->ctx, r.status, MERIT_STATUS_INVALID_ARGUMENT, rows[i].words);
        TK_EXPECT(tk_untouched(r.grad, 4, 4) && tk_untouched(&r.loss, 1, 8), "row %d wrote", i);
        free(r.grad);
    }
}

// Counts ------------------------------------------------------------------------------------------

TK_TEST(policy_count, counts_tokens_and_sequences)
{
    static uint8_t mask[20000];
    static int64_t offsets[600];
    tk_random random = {3};
    for (int n = 0; n < 12; n++) {
        merit_policy_count_desc d;
        cr_assert(merit_policy_count_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
        merit_policy_counts expected = {0, 0}, counts;
        const int64_t B = n == 0 ? 0 : 1 + tk_below(&random, 500);
        for (int64_t i = 0; i < B; i++) {
            offsets[i + 1] = offsets[i] + tk_below(&random, 40);
        }
        d.num_tokens = offsets[B];
        d.sequences.num_groups = B, d.sequences.offsets = offsets;
        for (int64_t t = 0; t < d.num_tokens; t++) {
            mask[t] = (uint8_t)(tk_chance(&random, 0.1) ? 7 : 0);
        }
        if (n == 3) offsets[B] += 5; // bad: the last sequence is left out
        for (int64_t i = 0; i < B; i++) {
            int64_t some = 0;
            if (offsets[i + 1] > d.num_tokens) continue;
            for (int64_t t = offsets[i]; t < offsets[i + 1]; t++) {
                some += n == 5 || mask[t];
            }
            expected.tokens += some, expected.nonempty_sequences += some > 0;
        }
        d.sequences.offsets = tk_input(tk, offsets, B + 1, 8);
        merit_diagnostics diagnostics = {{0}};
        merit_policy_count_io io = {.struct_size = sizeof io};
        io.mask = n == 5 ? NULL : tk_input(tk, mask, d.num_tokens, 1);
        io.counts = tk_output(tk, 1, sizeof counts);
        io.diagnostics = tk_inout(tk, &diagnostics, 1, sizeof diagnostics);
        size_t bytes = 0;
        tk_expect_ok(tk->ctx, merit_policy_count_workspace(tk->ctx, &d, &bytes));
        void *const workspace = tk_workspace(tk, bytes);
        for (int again = 0; again < 2; again++) { // the second call finds its words at zero
            tk_expect_ok(tk->ctx, merit_policy_count(tk->ctx, &d, &io, workspace, bytes, NULL));
        }
        tk_read(tk, io.counts, &counts, 1, sizeof counts);
        tk_read(tk, io.diagnostics, &diagnostics, 1, sizeof diagnostics);
        tk_release(tk);
        TK_EXPECT(counts.tokens == expected.tokens &&
                      counts.nonempty_sequences == expected.nonempty_sequences,
                  "case %d: %lld %lld", n, (long long)counts.tokens,
                  (long long)counts.nonempty_sequences);
        TK_EXPECT(diagnostics.count[MERIT_COUNTER_BAD_OFFSETS] == (n == 3 ? 2u : 0u), "case %d", n);
    }
    merit_policy_count_desc d;
    merit_policy_count_desc_init(&d, sizeof d);
    const merit_policy_count_io io = {.struct_size = sizeof io};
    tk_expect_rejected(tk->ctx, merit_policy_count(tk->ctx, &d, &io, NULL, 0, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, "counts is NULL");
}
