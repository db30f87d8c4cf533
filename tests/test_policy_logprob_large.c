// policy_logprob_forward: vocabularies as models have them, many rows and far ones.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "logprob_case.h"

/* abs(error) of logprob <= 1.5e-6 + 1.4e-8 abs(z_max - z_target) + 1/2 ulp, here against 160 bits. */
TK_TEST(policy_logprob_large, a_real_vocabulary_is_within_the_stated_bound)
{
    enum { V = 151936 };
    static const int32_t types[] = {MERIT_DTYPE_BF16, MERIT_DTYPE_F32};
    for (int j = 0; j < 2; j++) {
        for (int k = tk->kind == TK_SIMT; k < 2; k++) { // the emulator takes the harder one
            float *const x = logprob_random(V, k == 0 ? 2 : 8, types[j], 40 + 2 * j + k);
            const int64_t target[] = {V - 1};
            logprob_case c = logprob_make(x, target, 1, V);
            c.d.dtype = types[j];
            logprob_check(tk, &c);
            free(x);
        }
    }
    float *const zeros = calloc(V, sizeof *zeros);
    const int64_t target[] = {5};
    logprob_case c = logprob_make(zeros, target, 1, V);
    logprob_result r = logprob_run(tk, &c);
    TK_EXPECT(fabs(r.logprob[0] + 11.931214659) < 2e-6, "%.9g", r.logprob[0]);
    logprob_free(&r);
    c.d.vocab_size = 128256;
    r = logprob_run(tk, &c);
    TK_EXPECT(fabs(r.logprob[0] + 11.761783546) < 2e-6, "%.9g", r.logprob[0]);
    logprob_free(&r);
    free(zeros);
}

/* The largest vocabulary in use, forward and backward, against sums in binary64. */
TK_TEST(policy_logprob_large, a_vocabulary_of_262144_is_right_both_ways)
{
    enum { T = 3, V = 262144 };
    float *const x = logprob_random((int64_t)T * V, 3, MERIT_DTYPE_BF16, 60);
    const int64_t targets[T] = {V - 1, 4097, 0};
    const float by_logprob[T] = {1, -0.5f, 2};
    logprob_case c = logprob_make(x, targets, T, V);
    c.d.dtype = MERIT_DTYPE_BF16;
    logprob_result r = logprob_run(tk, &c);
    uint32_t *const grad = logprob_run_backward(tk, &c, by_logprob, NULL, 1, NULL);
    for (int t = 0; t < T && tk->is_first_run; t++) {
        const float *const row = x + (int64_t)t * V;
        double top = -INFINITY, sum = 0, moment = 0, worst = 0;
        for (int v = 0; v < V; v++) {
            top = fmax(top, row[v]);
        }
        for (int v = 0; v < V; v++) {
            sum += exp(row[v] - top);
            moment += exp(row[v] - top) * (row[v] - top);
        }
        const double lse = top + log(sum), logprob = row[targets[t]] - lse;
        const double bound = 1.5e-6 + 1.4e-8 * (top - row[targets[t]]) + 0x1p-24 * fabs(logprob);
        TK_EXPECT(fabs(r.logprob[t] - logprob) <= bound, "row %d is %.9g, expected %.9g", t,
                  r.logprob[t], logprob);
        const double entropy = log(sum) - moment / sum;
        TK_EXPECT(fabs(r.entropy[t] - entropy) <= 3e-6 * (1 + entropy), "row %d: %.9g, %.9g", t,
                  r.entropy[t], entropy);
        TK_EXPECT(row[r.argmax[t]] == top, "argmax %d", (int)r.argmax[t]);
        for (int v = 0; v < V; v++) {
            const double pi = exp(row[v] - lse);
            const double g = by_logprob[t] * ((v == targets[t]) - pi);
            const uint32_t word = grad[(int64_t)t * V + v] << 16;
            float actual;
            memcpy(&actual, &word, 4);
            const double limit = fabs(g) * 0x1p-8 + 2e-6 * pi; // of bf16
            worst = fmax(worst, fabs(actual - g) / limit);
        }
        TK_EXPECT(worst <= 1, "row %d: a gradient %g times its bound away", t, worst);
    }
    logprob_free(&r);
    free(x), free(grad);
}

TK_TEST(policy_logprob_large, vocabularies_beyond_a_block_are_spread)
{
    enum { V = 524288 + 2048 + 5 };
    float *const x = logprob_random(V, 2, MERIT_DTYPE_BF16, 50);
    const int64_t target[] = {V - 3};
    logprob_case c = logprob_make(x, target, 1, V);
    c.d.dtype = MERIT_DTYPE_BF16;
    logprob_result r = logprob_run(tk, &c);
    double top = -INFINITY, sum = 0;
    for (int v = 0; v < V; v++) {
        top = fmax(top, x[v]);
    }
    for (int v = 0; v < V; v++) {
        sum += exp(x[v] - top);
    }
    TK_EXPECT(fabs(r.lse[0] - (top + log(sum))) < 3e-6, "%.9g", r.lse[0]);
    TK_EXPECT(x[r.argmax[0]] == top, "argmax %d", (int)r.argmax[0]);
    logprob_free(&r);
    free(x);
}

/* Most rows are ignored, so that the emulator has less to do. */
TK_TEST(policy_logprob_large, more_than_65535_rows_are_all_worked_on)
{
    enum { T = 70000, V = 3, IGNORED = -100 };
    float *const x = logprob_random((int64_t)T * V, 2, MERIT_DTYPE_BF16, 51);
    int64_t *const targets = malloc(T * sizeof *targets);
    for (int t = 0; t < T; t++) {
        targets[t] = t % 32 == 0 || t > T - 500 ? t % V : IGNORED;
    }
    logprob_case c = logprob_make(x, targets, T, V);
    c.d.dtype = MERIT_DTYPE_BF16;
    logprob_result r = logprob_run(tk, &c);
    for (int t = 0; t < T && tk->is_first_run; t++) {
        double sum = 0;
        if (targets[t] == IGNORED) {
            TK_EXPECT(r.logprob[t] == 0 && r.argmax[t] == -1, "row %d is %g", t, r.logprob[t]);
            continue;
        }
        for (int v = 0; v < V; v++) {
            sum += exp(x[t * V + v]);
        }
        const double e = x[t * V + t % V] - log(sum);
        TK_EXPECT(fabs(r.logprob[t] - e) < 2e-6, "row %d is %.9g, expected %.9g", t, r.logprob[t],
                  e);
    }
    logprob_free(&r);
    free(x), free(targets);
}

/* Rows 2^31 + 8 elements apart, in memory that is reserved but not there until touched. */
TK_TEST(policy_logprob_large, offsets_beyond_two_to_the_31_reach_their_rows)
{
    enum { T = 2, V = 2100 };
    if (tk->on_device && !tk->emulated) return;
    const int64_t ld = ((int64_t)1 << 31) + 8;
    const size_t bytes = (size_t)(ld + V) * 2;
    uint16_t *const far = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert(far != MAP_FAILED);
    float *const x = logprob_random(T * V, 2, MERIT_DTYPE_BF16, 52);
    uint16_t *const near = logprob_stored(x, MERIT_DTYPE_BF16, T, V, 0);
    memcpy(far, near, V * 2), memcpy(far + ld, near + V, V * 2);
    const int64_t targets[T] = {5, 2099};
    const float ones[T] = {1, -0.5f};
    logprob_case c = logprob_make(x, targets, T, V);
    c.d.dtype = MERIT_DTYPE_BF16;
    logprob_result expected = logprob_run(tk, &c);
    uint32_t *const grad = logprob_run_backward(tk, &c, ones, NULL, 1, NULL);
    c.d.ld_logits = ld;
    float logprob[T];
    merit_policy_logprob_state states[T];
    const merit_policy_logprob_forward_io forward = {.struct_size = sizeof forward,
                                                     .logits = far,
                                                     .targets = targets,
                                                     .logprob = logprob,
                                                     .state = states};
    size_t needed = 0;
    tk_expect_ok(tk->ctx, merit_policy_logprob_forward_workspace(tk->ctx, &c.d, &needed));
    void *const workspace = tk_workspace(tk, needed);
    tk_expect_ok(tk->ctx,
                 merit_policy_logprob_forward(tk->ctx, &c.d, &forward, workspace, needed, NULL));
    tk_expect_bits(logprob, expected.logprob, T, 4);
    tk_expect_bits(states, expected.state, T, sizeof states[0]);
    const merit_policy_logprob_backward_io backward = {.struct_size = sizeof backward,
                                                       .logits = far,
                                                       .targets = targets,
                                                       .state = states,
                                                       .grad_logprob = ones,
                                                       .grad_logits = far};
    tk_expect_ok(tk->ctx, merit_policy_logprob_backward(tk->ctx, &c.d, &backward, NULL, 0, NULL));
    for (int i = 0; i < T * V; i++) {
        const uint16_t word = far[i / V * ld + i % V];
        TK_EXPECT(word == grad[i], "element %d is %x, expected %x", i, word, (unsigned)grad[i]);
    }
    tk_release(tk);
    logprob_free(&expected);
    munmap(far, bytes);
    free(x), free(near), free(grad);
}
