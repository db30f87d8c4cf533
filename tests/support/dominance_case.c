#include "dominance_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

dominance_case dominance_make(const char *preset, const float *q, int64_t B, int M, int A, int N)
{
    dominance_case c = {.q = q};
    cr_assert(merit_dominance_pairwise_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    if (preset != NULL) {
        cr_assert(merit_dominance_pairwise_preset(preset, &c.d) == MERIT_STATUS_OK, "%s", preset);
    }
    c.d.num_states = B;
    c.d.num_objectives = M;
    c.d.num_actions = A;
    c.d.num_levels = N;
    return c;
}

// The word of a level; 16-bit levels are multiples of 1/4 below 32, infinities or NaN: exact.
static uint32_t to_word(float value, int32_t dtype)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (dtype == MERIT_DTYPE_F32) return bits;
    if (dtype == MERIT_DTYPE_BF16) return bits >> 16;
    const uint32_t sign = bits >> 16 & 0x8000;
    if (value == 0) return sign;
    if (isnan(value)) return 0x7e00;
    if (isinf(value)) return sign | 0x7c00;
    return sign | ((bits >> 23 & 255) - 112) << 10 | (bits >> 13 & 1023);
}

void *dominance_store_q(const merit_dominance_pairwise_desc *d, const float *q, int64_t *count,
                        size_t *size)
{
    const int64_t B = d->num_states, M = d->num_objectives, A = d->num_actions, N = d->num_levels;
    const int64_t level = d->stride_level ? d->stride_level : 1;
    const int64_t action = d->stride_action ? d->stride_action : N;
    const int64_t objective = d->stride_objective ? d->stride_objective : A * N;
    const int64_t state = d->stride_state ? d->stride_state : M * A * N;
    *size = d->dtype == MERIT_DTYPE_F32 ? 4 : 2;
    *count =
        B == 0 ? 0 : (B - 1) * state + (M - 1) * objective + (A - 1) * action + (N - 1) * level + 1;
    unsigned char *const memory = malloc(((size_t)*count + 1) * *size);
    memset(memory, 0xff, ((size_t)*count + 1) * *size);
    for (int64_t i = 0; i < B * M * A * N; i++) {
        const int64_t at = i / (M * A * N) * state + i / (A * N) % M * objective +
                           i / N % A * action + i % N * level;
        const uint32_t word = to_word(q[i], d->dtype);
        memcpy(memory + (size_t)at * *size, &word, *size);
    }
    return memory;
}

dominance_result dominance_run(tk_fixture *tk, const dominance_case *c)
{
    const merit_dominance_pairwise_desc *const d = &c->d;
    dominance_result r = {.qd = NULL};
    const int64_t results =
        d->num_states * d->num_objectives * d->num_actions * (int64_t)d->num_actions;
    int64_t count;
    size_t size;
    void *const stored = dominance_store_q(d, c->q, &count, &size);
    merit_dominance_pairwise_io io = {.struct_size = sizeof io};
    io.q = tk_input(tk, stored, count, size);
    free(stored);
    const int64_t weights =
        d->num_states == 0 ? 0 : (d->num_states - 1) * d->weights_stride_state + d->num_levels;
    io.weights = tk_input(tk, c->weights, weights, sizeof(float));
    io.qd = c->without_qd ? NULL : tk_output(tk, results, sizeof(float));
    io.gain = c->without_gain ? NULL : tk_output(tk, results, sizeof(float));
    io.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    size_t bytes = 0;
    merit_status status = merit_dominance_pairwise_workspace(tk->ctx, d, &bytes);
    if (status == MERIT_STATUS_OK) {
        void *const workspace = tk_workspace(tk, bytes);
        status = merit_dominance_pairwise(tk->ctx, d, &io, workspace, bytes, NULL);
    }
    tk_expect_ok(tk->ctx, status);
    if (io.qd != NULL) {
        r.qd = calloc((size_t)results + 1, sizeof *r.qd);
        tk_read(tk, io.qd, r.qd, results, sizeof *r.qd);
    }
    if (io.gain != NULL) {
        r.gain = calloc((size_t)results + 1, sizeof *r.gain);
        tk_read(tk, io.gain, r.gain, results, sizeof *r.gain);
    }
    tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    tk_release(tk);
    return r;
}

void dominance_free(dominance_result *r)
{
    free(r->qd), free(r->gain);
}

double *dominance_widen(const float *q, int64_t count)
{
    double *const wide = malloc(((size_t)count + 1) * sizeof *wide);
    for (int64_t i = 0; i < count; i++) {
        wide[i] = q[i];
    }
    return wide;
}

static double finite_part(double x)
{
    return isfinite(x) ? x : 0;
}

void dominance_check(tk_fixture *tk, const dominance_case *c)
{
    dominance_result r = dominance_run(tk, c);
    if (!tk->is_first_run) {
        dominance_free(&r);
        return;
    }
    const merit_dominance_pairwise_desc *const d = &c->d;
    const int64_t A = d->num_actions, rows = d->num_states * d->num_objectives * A;
    double *const wide = dominance_widen(c->q, rows * d->num_levels);
    dominance_oracle *const o = dominance_oracle_new(d, wide, c->weights);
    double *const values = calloc((size_t)(4 * A) + 1, sizeof *values);
    double *const qd = values, *const gain = values + A;
    double *const limit_qd = values + 2 * A, *const limit_gain = values + 3 * A;
    double *const actual = calloc((size_t)A + 1, sizeof *actual);
    const double eps = (d->num_levels / 4.0 + 6) * 0x1p-24; // of a sum on four lanes
    for (int64_t row = 0; row < rows; row++) {
        const int64_t item = row / A;
        const int a = (int)(row % A), m = (int)(item % d->num_objectives);
        const int64_t b = item / d->num_objectives;
        for (int e = 0; e < A; e++) {
            const dominance_oracle_pair p = dominance_oracle_compare(o, b, m, a, e);
            qd[e] = a == e ? 0.5 : dominance_oracle_qd(o, p);
            gain[e] = a == e ? 0 : p.gain;
            // P from the means inherits their error: 2^-52 of the levels' size, far below 1e-12
            const double size = a == e ? 0 : finite_part(p.gain) + finite_part(p.loss);
            limit_gain[e] = 2 * eps * size + 1e-12;
            limit_qd[e] = 2 * eps + (size > 0 ? 2e-12 / size : 0);
        }
        if (r.qd != NULL) {
            for (int e = 0; e < A; e++)
                actual[e] = r.qd[row * A + e];
            tk_expect_within(actual, qd, limit_qd, A);
        }
        if (r.gain != NULL) {
            for (int e = 0; e < A; e++)
                actual[e] = r.gain[row * A + e];
            tk_expect_within(actual, gain, limit_gain, A);
        }
    }
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_UNSORTED] == o->unsorted,
              "%llu unsorted rows, %llu",
              (unsigned long long)r.diagnostics.count[MERIT_COUNTER_UNSORTED],
              (unsigned long long)o->unsorted);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_WEIGHT] == o->bad_weight, "bad weights");
    dominance_oracle_free(o);
    free(values), free(actual), free(wide);
    dominance_free(&r);
}

static int by_value(const void *x, const void *y)
{
    const float a = *(const float *)x, b = *(const float *)y;
    return (a > b) - (a < b);
}

void dominance_fill(tk_random *random, float *q, int64_t rows, int N, int sorted)
{
    for (int64_t r = 0; r < rows; r++) {
        const double shift = tk_normal(random);
        for (int n = 0; n < N; n++) {
            // multiples of 1/4 with at most seven significant bits
            const double x = 4 * (shift + 3 * tk_normal(random));
            q[r * N + n] = (float)(fmax(-127, fmin(127, rint(x))) / 4);
        }
        if (sorted) qsort(q + r * N, (size_t)N, sizeof *q, by_value);
    }
}
