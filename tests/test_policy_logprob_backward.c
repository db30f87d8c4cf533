// policy_logprob_backward: rows worked by hand, finite differences, the oracle over types, sizes and options.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "logprob_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

static void expect_row(tk_fixture *tk, const logprob_case *c, float by_logprob, float by_entropy,
                       const double *expected)
{
    uint32_t *const words = logprob_run_backward(tk, c, &by_logprob, &by_entropy, 0, NULL);
    for (int64_t v = 0; v < c->d.vocab_size; v++) {
        const double g = logprob_from_word(words[v], c->d.dtype);
        TK_EXPECT(fabs(g - expected[v]) <= 2e-6, "element %lld is %.9g, expected %.9g",
                  (long long)v, g, expected[v]);
    }
    free(words);
}

// By hand -----------------------------------------------------------------------------------------

/* p = 0.0900306, 0.2447285, 0.6652410 for logits 0, 1, 2. */
TK_TEST(policy_logprob_backward, worked_rows)
{
    const float x[] = {0, 1, 2}, bent[] = {0, 2, -4}, masked[] = {0, 1, 2, 3};
    const int64_t two[] = {2}, zero[] = {0}, one[] = {1}, three[] = {3};
    logprob_case c = logprob_make(x, two, 1, 3);
    expect_row(tk, &c, 1, 0, (const double[]){-0.090030573, -0.244728471, 0.334759044});
    expect_row(tk, &c, 0, 1, (const double[]){0.141817094, 0.140770357, -0.282587451});
    c = logprob_make(x, zero, 1, 3);
    expect_row(tk, &c, 0.5f, 0.1f, (const double[]){0.469166423, -0.108287200, -0.360879223});
    c = logprob_make(x, two, 1, 3);
    c.d.temperature = 2;
    expect_row(tk, &c, 1, 0, (const double[]){-0.093161862, -0.153597943, 0.246759804});
    expect_row(tk, &c, 0, 1, (const double[]){0.061494126, 0.024587703, -0.086081829});
    c = logprob_make(bent, one, 1, 3);
    c.d.soft_cap = 2;
    expect_row(tk, &c, 1, 0, (const double[]){-0.174451358, 0.083920093, -0.001792453});
    const uint32_t mask[] = {0xb};
    c = logprob_make(masked, three, 1, 4);
    c.d.support = MERIT_LOGPROB_SUPPORT_MASK;
    c.keep_mask = mask;
    float g = 1;
    uint32_t *const words = logprob_run_backward(tk, &c, &g, &g, 0, NULL);
    TK_EXPECT(words[2] == 0, "outside the support: +0");
    free(words);
}

// Finite differences ------------------------------------------------------------------------------

static double value_of(const merit_policy_logprob_desc *d, const logprob_inputs *in,
                       double by_logprob, double by_entropy)
{
    logprob_oracle *const o = logprob_oracle_run(d, in);
    const double value = by_logprob * o->logprob[0] + by_entropy * o->entropy[0];
    logprob_oracle_free(o);
    return value;
}

/* Central differences of the oracle's values against the oracle's formulas: the two share nothing but the
 * logits. */
Test(policy_logprob_backward, formulas_are_the_derivatives)
{
    enum { V = 7 };
    const int64_t target[] = {3};
    const uint32_t mask[] = {0x5e};
    const int32_t ids[] = {3, 5, 3, 1};
    const float by_logprob = 0.7f, by_entropy = -1.3f;
    tk_random random = {11};
    for (int k = 0; k < 24; k++) {
        merit_policy_logprob_desc d;
        cr_assert(merit_policy_logprob_desc_init(&d, sizeof d) == MERIT_STATUS_OK);
        d.num_tokens = 1, d.vocab_size = V;
        d.support = k % 3, d.normalize = k / 3 % 2, d.subset_size = 4;
        d.soft_cap = k / 6 % 2 ? 3 : 0;
        d.logit_scale = k / 12 % 2 ? -0.8f : 1.5f;
        d.temperature = 1.25f;
        double x[V];
        for (int v = 0; v < V; v++) {
            x[v] = 2 * tk_normal(&random);
        }
        const logprob_inputs in = {x, target, NULL, mask, ids};
        logprob_oracle *const o = logprob_oracle_run(&d, &in);
        logprob_oracle_gradient(&d, &in, o, &by_logprob, &by_entropy);
        for (int v = 0; v < V; v++) {
            const double h = 1e-5, middle = x[v];
            x[v] = middle + h;
            const double above = value_of(&d, &in, by_logprob, by_entropy);
            x[v] = middle - h;
            const double below = value_of(&d, &in, by_logprob, by_entropy);
            x[v] = middle;
            const double slope = (above - below) / (2 * h);
            cr_expect(fabs(slope - o->grad[v]) <= 1e-6 * fabs(slope) + 1e-9,
                      "case %d, element %d: %.12g, expected %.12g", k, v, o->grad[v], slope);
        }
        logprob_oracle_free(o);
    }
}

// Oracle ------------------------------------------------------------------------------------------

TK_TEST(policy_logprob_backward, follows_the_oracle_over_types_and_sizes)
{
    static const int64_t sizes[] = {1, 2, 7, 8, 9, 100, 1023, 1024, 2049, 4107};
    static const int32_t types[] = {MERIT_DTYPE_BF16, MERIT_DTYPE_F16, MERIT_DTYPE_F32};
    const float by_logprob[] = {1, -0.5f, 3}, by_entropy[] = {0.25f, 0, -2};
    for (int64_t i = 0; i < COUNT(sizes); i++) {
        for (int j = 0; j < 3; j++) {
            const int64_t V = sizes[i], T = 3;
            float *const x = logprob_random(T * V, 1 + (double)(i % 3) * 2, types[j], 10 * i + j);
            const int64_t targets[] = {0, V / 2, V - 1};
            logprob_case c = logprob_make(x, targets, T, V);
            c.d.dtype = types[j];
            c.d.target_dtype = j == 1 ? MERIT_DTYPE_I32 : MERIT_DTYPE_I64;
            tk_case("V %lld type %d", (long long)V, (int)types[j]);
            logprob_check_backward(tk, &c, by_logprob, NULL, 0);
            logprob_check_backward(tk, &c, by_logprob, by_entropy, 1);
            if (i % 3 == 0) logprob_check_backward(tk, &c, NULL, by_entropy, 0);
            free(x);
        }
    }
}

TK_TEST(policy_logprob_backward, in_place_and_every_address_give_the_same_bits)
{
    enum { V = 4100, T = 3 };
    static const int32_t types[] = {MERIT_DTYPE_BF16, MERIT_DTYPE_F16, MERIT_DTYPE_F32};
    const int64_t targets[T] = {0, 2047, 4099};
    const float by_logprob[] = {1, -0.5f, 3}, by_entropy[] = {0.25f, 0, -2};
    for (int j = 0; j < 3; j++) {
        float *const x = logprob_random(T * V, 4, types[j], 77 + j);
        logprob_case c = logprob_make(x, targets, T, V);
        c.d.dtype = types[j];
        uint32_t *const first = logprob_run_backward(tk, &c, by_logprob, by_entropy, 0, NULL);
        for (int k = 0; k < 8; k++) {
            c.d.ld_logits = V + k;
            tk->shift = k;
            tk_case("type %d shift %d", (int)types[j], k);
            uint32_t *const words =
                logprob_run_backward(tk, &c, by_logprob, by_entropy, k % 3 != 1, NULL);
            tk_expect_bits(words, first, (int64_t)T * V, 4);
            free(words);
        }
        tk->shift = 0;
        free(first), free(x);
    }
}

TK_TEST(policy_logprob_backward, options_follow_the_oracle)
{
    enum { V = 2300, T = 4 };
    float *const x = logprob_random(T * V, 3, MERIT_DTYPE_F32, 91);
    const int64_t targets[T] = {17, 2299, 2048, 999};
    const float temperatures[T] = {0.7f, 1, 1.3f, 20};
    const float by_logprob[] = {1, -0.5f, 3, 1}, by_entropy[] = {0.25f, 0, -2, 1};
    uint32_t mask[T * 80];
    tk_random random = {3};
    for (int64_t i = 0; i < COUNT(mask); i++) {
        mask[i] = (uint32_t)tk_bits(&random) & (uint32_t)tk_bits(&random);
    }
    static const float scales[] = {1, -0.5f, 0, 3};
    for (int j = 0; j < 4; j++) {
        for (int k = 0; k < 8; k++) {
            logprob_case c = logprob_make(x, targets, T, V);
            c.d.logit_scale = scales[j];
            c.d.soft_cap = k & 1 ? 8 : 0;
            if (k & 2) c.temperatures = temperatures;
            if (k & 4) {
                c.d.support = MERIT_LOGPROB_SUPPORT_MASK;
                c.keep_mask = mask;
                c.d.ld_mask = j % 2 == 0 ? 0 : 80;
                c.d.normalize = j / 2 % 2;
            }
            tk_case("scale %g options %d", (double)scales[j], k);
            logprob_check_backward(tk, &c, by_logprob, by_entropy, k % 2);
        }
    }
    free(x);
}

TK_TEST(policy_logprob_backward, subsets_follow_the_oracle)
{
    enum { V = 900, T = 4 };
    float *const x = logprob_random(T * V, 2, MERIT_DTYPE_BF16, 92);
    const int64_t targets[T] = {3, 1, 2, 899};
    const float by_logprob[] = {1, -0.5f, 3, 1}, by_entropy[] = {0.25f, 0, -2, 1};
    int32_t ids[T * 70];
    tk_random random = {4};
    for (int64_t i = 0; i < COUNT(ids); i++) {
        ids[i] = (int32_t)tk_below(&random, V);
    }
    ids[5] = 3, ids[70 + 7] = 1;
    ids[140 + 1] = ids[140 + 2]; // twice
    for (int size = 1; size <= 64; size += 21) {
        for (int k = 0; k < 4; k++) {
            logprob_case c = logprob_make(x, targets, T, V);
            c.d.dtype = MERIT_DTYPE_BF16;
            c.d.support = MERIT_LOGPROB_SUPPORT_SUBSET;
            c.d.subset_size = size;
            c.d.ld_subset = k & 1 ? 70 : 0;
            c.d.normalize = k / 2;
            c.subset_ids = ids;
            tk_case("size %d options %d", size, k);
            logprob_check_backward(tk, &c, by_logprob, by_entropy, k % 2);
        }
    }
    free(x);
}

// Rows that are special -----------------------------------------------------------------------------

TK_TEST(policy_logprob_backward, special_rows_are_filled_or_nan_alone)
{
    enum { V = 9 };
    float x[8 * V];
    tk_random random = {9};
    for (int i = 0; i < 8 * V; i++) {
        x[i] = (float)tk_normal(&random);
    }
    for (int v = 0; v < V; v++) {
        x[v] = NAN; // ignored
        x[6 * V + v] = -INFINITY; // empty
    }
    x[3 * V + 4] = NAN;
    x[4 * V] = x[4 * V + 1] = -INFINITY;
    x[5 * V] = 1e4f; // peaked
    const int64_t targets[] = {-100, -1, V, 0, 0, 1, 0, 2};
    const float by_logprob[] = {1, 1, 1, 1, 1, 1, 1, INFINITY},
                by_entropy[] = {1, 1, 1, 1, 1, 1, 1, 1};
    logprob_case c = logprob_make(x, targets, 8, V);
    for (int in_place = 0; in_place < 2; in_place++) {
        merit_diagnostics found;
        uint32_t *const words =
            logprob_run_backward(tk, &c, by_logprob, by_entropy, in_place, &found);
        TK_EXPECT(found.count[MERIT_COUNTER_BAD_LABEL] == 2, "bad labels");
        for (int v = 0; v < V; v++) {
            TK_EXPECT(words[v] == 0, "the ignored row is +0");
            const int nan_rows[] = {1, 2, 3, 6};
            for (int k = 0; k < 4; k++) {
                TK_EXPECT(words[nan_rows[k] * V + v] == 0x7fc00000, "row %d is NaN", nan_rows[k]);
            }
            const double g = logprob_from_word(words[4 * V + v], c.d.dtype);
            TK_EXPECT(isfinite(g) && (v > 1 || g == 0), "-inf beside numbers: %g", g);
            const double p = logprob_from_word(words[5 * V + v], c.d.dtype);
            TK_EXPECT(p == (v == 0 ? -1 : v == 1 ? 1 : 0), "peaked: %g", p);
        }
        free(words);
    }
    logprob_check_backward(tk, &c, by_entropy, by_entropy, 0);
}

TK_TEST(policy_logprob_backward, gradients_of_a_row_add_up_to_zero)
{
    enum { V = 3000 };
    float *const x = logprob_random(V, 3, MERIT_DTYPE_F32, 60);
    const int64_t target[] = {7};
    const float one = 1, half = 0.5f;
    logprob_case c = logprob_make(x, target, 1, V);
    uint32_t *const words = logprob_run_backward(tk, &c, &one, &half, 1, NULL);
    double sum = 0;
    for (int v = 0; v < V; v++) {
        sum += logprob_from_word(words[v], MERIT_DTYPE_F32);
    }
    TK_EXPECT(fabs(sum) < 2e-6, "%g", sum);
    free(words), free(x);
}

// Rejected calls ------------------------------------------------------------------------------------

typedef struct call {
    merit_policy_logprob_desc d;
    merit_policy_logprob_backward_io io;
} call;

typedef void spoil(call *c);

#define SPOIL(name, statement) \
    static void name(call *c)  \
    {                          \
        statement;             \
    }

SPOIL(no_logits, c->io.logits = NULL)
SPOIL(no_grad, c->io.grad_logits = NULL)
SPOIL(no_state, c->io.state = NULL)
SPOIL(no_targets, c->io.targets = NULL)
SPOIL(no_entropy, c->io.entropy = NULL)
SPOIL(no_mass, c->d.normalize = MERIT_LOGPROB_NORMALIZE_FULL)
SPOIL(no_gradient, (c->io.grad_logprob = NULL, c->io.grad_entropy = NULL))
SPOIL(no_mask, c->d.support = MERIT_LOGPROB_SUPPORT_MASK)
SPOIL(bad_scale, c->d.logit_scale = NAN)
SPOIL(other_place, c->io.grad_logits = (char *)(uintptr_t)c->io.logits + 4)
SPOIL(over_state, c->io.grad_logits = (void *)(uintptr_t)c->io.state)

static const struct rejected {
    spoil *spoil;
    const char *words;
} rejections[] = {
    {no_logits, "logits is NULL"},
    {no_grad, "grad_logits is NULL"},
    {no_state, "state is NULL"},
    {no_targets, "targets is NULL|grad_logprob"},
    {no_entropy, "entropy is NULL|grad_entropy"},
    {no_mass, "mass is NULL|FULL"},
    {no_gradient, "grad_logprob and grad_entropy are NULL"},
    {no_mask, "keep_mask is NULL"},
    {bad_scale, "logit_scale is nan"},
    {other_place, "grad_logits|overlaps|logits"},
    {over_state, "grad_logits|overlaps|state"},
};

TK_TEST(policy_logprob_backward, rejected_calls_say_why_and_write_nothing)
{
    const float logits[] = {0, 1, 2, 3, 4, 5, 6, 7}, ones[] = {1, 1};
    const int64_t targets[] = {0, 1};
    const merit_policy_logprob_state states[2] = {{0, 1}, {0, 1}};
    for (int64_t k = 0; k < COUNT(rejections); k++) {
        call c = {.io = {.struct_size = sizeof c.io}};
        c.d = logprob_make(logits, targets, 2, 4).d;
        void *const grad = tk_output(tk, 8, 4);
        c.io.logits = tk_input(tk, logits, 8, 4);
        c.io.targets = tk_input(tk, targets, 2, 8);
        c.io.state = tk_input(tk, states, 2, 8);
        c.io.grad_logprob = tk_input(tk, ones, 2, 4);
        c.io.grad_entropy = tk_input(tk, ones, 2, 4);
        c.io.entropy = tk_input(tk, ones, 2, 4);
        c.io.grad_logits = grad;
        rejections[k].spoil(&c);
        const merit_status status =
            merit_policy_logprob_backward(tk->ctx, &c.d, &c.io, NULL, 0, NULL);
        tk_case("rejection %lld", (long long)k);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, rejections[k].words);
        unsigned char bytes[32];
        tk_read(tk, grad, bytes, 8, 4);
        TK_EXPECT(tk_untouched(bytes, 8, 4), "the gradient was written");
        tk_release(tk);
    }
}
