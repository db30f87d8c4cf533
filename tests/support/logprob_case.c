#include "logprob_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

logprob_case logprob_make(const float *logits, const int64_t *targets, int64_t T, int64_t V)
{
    logprob_case c = {.logits = logits, .targets = targets, .outputs = LP_ALL & ~LP_MASS};
    cr_assert(merit_policy_logprob_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.num_tokens = T;
    c.d.vocab_size = V;
    c.d.dtype = MERIT_DTYPE_F32;
    if (targets == NULL) c.outputs &= ~LP_LOGPROB;
    return c;
}

// Storage -----------------------------------------------------------------------------------------

size_t logprob_element(int32_t dtype)
{
    return dtype == MERIT_DTYPE_F32 ? 4 : 2;
}

// The word of a number that the type has.
static uint32_t to_word(float value, int32_t dtype)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (dtype == MERIT_DTYPE_F32) return bits;
    if (dtype == MERIT_DTYPE_BF16) return bits >> 16;
    const uint32_t sign = bits >> 16 & 0x8000;
    if (isnan(value)) return 0x7e00;
    if (isinf(value)) return sign | 0x7c00;
    int exponent;
    const double fraction = frexp(fabs((double)value), &exponent); // [0.5, 1)
    if (fraction == 0) return sign;
    if (exponent < -13) return sign | (uint32_t)ldexp(fraction, exponent + 24);
    return sign | (uint32_t)(exponent + 14) << 10 | ((uint32_t)ldexp(fraction, 11) & 1023);
}

double logprob_from_word(uint32_t word, int32_t dtype)
{
    float value;
    if (dtype != MERIT_DTYPE_F16) {
        const uint32_t bits = dtype == MERIT_DTYPE_F32 ? word : word << 16;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    const int exponent = word >> 10 & 31;
    const double sign = word >> 15 ? -1 : 1;
    if (exponent == 31) return (word & 1023) != 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(word & 1023, -24);
    return sign * ldexp(1024 + (word & 1023), exponent - 25);
}

float logprob_rounded(float x, int32_t dtype)
{
    if (dtype == MERIT_DTYPE_F32 || isnan(x)) return x;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= dtype == MERIT_DTYPE_BF16 ? 0xffff0000u : 0xffffe000u;
    memcpy(&x, &bits, sizeof x);
    if (dtype == MERIT_DTYPE_BF16 || isinf(x)) return x;
    return (float)(trunc((double)x * 0x1p24) * 0x1p-24); // subnormals of f16
}

static int64_t stored_count(int64_t T, int64_t V, int64_t ld)
{
    return T == 0 ? 0 : (T - 1) * (ld == 0 ? V : ld) + V;
}

void *logprob_stored(const float *logits, int32_t dtype, int64_t T, int64_t V, int64_t ld)
{
    const size_t size = logprob_element(dtype);
    const int64_t count = stored_count(T, V, ld);
    unsigned char *const memory = malloc(((size_t)count + 1) * size);
    memset(memory, 0xff, ((size_t)count + 1) * size);
    for (int64_t t = 0; t < T; t++) {
        for (int64_t v = 0; v < V; v++) {
            const uint32_t word = to_word(logits[t * V + v], dtype);
            memcpy(memory + (size_t)(t * (ld == 0 ? V : ld) + v) * size, &word, size);
        }
    }
    return memory;
}

double *logprob_widened(const void *stored, int32_t dtype, int64_t T, int64_t V, int64_t ld)
{
    const size_t size = logprob_element(dtype);
    double *const wide = calloc((size_t)(T * V) + 1, sizeof *wide);
    for (int64_t t = 0; t < T; t++) {
        for (int64_t v = 0; v < V; v++) {
            uint32_t word = 0;
            memcpy(&word, (const char *)stored + (size_t)(t * (ld == 0 ? V : ld) + v) * size, size);
            wide[t * V + v] = logprob_from_word(word, dtype);
        }
    }
    return wide;
}

float *logprob_random(int64_t count, double spread, int32_t dtype, uint64_t seed)
{
    tk_random random = {seed};
    float *const x = malloc(((size_t)count + 1) * sizeof *x);
    for (int64_t i = 0; i < count; i++) {
        x[i] = logprob_rounded((float)(spread * tk_normal(&random)), dtype);
    }
    return x;
}

// Calls -------------------------------------------------------------------------------------------

static void *output(tk_fixture *tk, const logprob_case *c, int bit, size_t size)
{
    return c->outputs & bit ? tk_output(tk, c->d.num_tokens, size) : NULL;
}

static void *read_back(tk_fixture *tk, const void *block, int64_t count, size_t size)
{
    if (block == NULL) return NULL;
    void *const values = calloc((size_t)count + 1, size);
    tk_read(tk, block, values, count, size);
    return values;
}

static const void *stored_targets(tk_fixture *tk, const logprob_case *c)
{
    const int64_t T = c->d.num_tokens;
    if (c->targets == NULL || c->d.target_dtype == MERIT_DTYPE_I64) {
        return tk_input(tk, c->targets, T, sizeof(int64_t));
    }
    int32_t *const narrow = calloc((size_t)T + 1, sizeof *narrow);
    for (int64_t t = 0; t < T; t++) {
        narrow[t] = (int32_t)c->targets[t];
    }
    const void *const block = tk_input(tk, narrow, T, sizeof *narrow);
    free(narrow);
    return block;
}

static int64_t rows_of(int64_t T, int64_t ld, int64_t count)
{
    return T == 0 ? 0 : (T - 1) * ld + count;
}

logprob_result logprob_run(tk_fixture *tk, const logprob_case *c)
{
    logprob_result r = {0};
    const merit_policy_logprob_desc *const d = &c->d;
    const int64_t T = d->num_tokens, V = d->vocab_size;
    void *const logits = logprob_stored(c->logits, d->dtype, T, V, d->ld_logits);
    merit_policy_logprob_forward_io io = {.struct_size = sizeof io};
    io.logits = tk_input(tk, logits, stored_count(T, V, d->ld_logits), logprob_element(d->dtype));
    free(logits);
    io.targets = stored_targets(tk, c);
    io.temperatures = tk_input(tk, c->temperatures, T, sizeof(float));
    io.keep_mask = tk_input(tk, c->keep_mask, rows_of(T, d->ld_mask, (V + 31) / 32), 4);
    io.subset_ids = tk_input(tk, c->subset_ids, rows_of(T, d->ld_subset, d->subset_size), 4);
    io.logprob = output(tk, c, LP_LOGPROB, sizeof(float));
    io.lse = output(tk, c, LP_LSE, sizeof(float));
    io.entropy = output(tk, c, LP_ENTROPY, sizeof(float));
    io.sum_sq = output(tk, c, LP_SUM_SQ, sizeof(float));
    io.mass = output(tk, c, LP_MASS, sizeof(float));
    io.argmax = output(tk, c, LP_ARGMAX, sizeof(int32_t));
    io.state = output(tk, c, LP_STATE, sizeof *io.state);
    io.diagnostics =
        c->outputs & LP_DIAGNOSTICS ? tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics) : NULL;
    size_t bytes = 0;
    r.status = merit_policy_logprob_forward_workspace(tk->ctx, d, &bytes);
    if (r.status == MERIT_STATUS_OK) {
        void *const workspace = tk_workspace(tk, bytes);
        r.status = merit_policy_logprob_forward(tk->ctx, d, &io, workspace, bytes, NULL);
        if (r.status == MERIT_STATUS_OK && bytes >= 1024) {
            uint32_t tickets[256];
            tk_read(tk, workspace, tickets, 256, sizeof *tickets);
            for (int i = 0; i < 256; i++) {
                TK_EXPECT(tickets[i] == 0, "ticket %d is left at %u", i, tickets[i]);
            }
        }
    }
    tk_expect_ok(tk->ctx, r.status);
    r.logprob = read_back(tk, io.logprob, T, sizeof(float));
    r.lse = read_back(tk, io.lse, T, sizeof(float));
    r.entropy = read_back(tk, io.entropy, T, sizeof(float));
    r.sum_sq = read_back(tk, io.sum_sq, T, sizeof(float));
    r.mass = read_back(tk, io.mass, T, sizeof(float));
    r.argmax = read_back(tk, io.argmax, T, sizeof(int32_t));
    r.state = read_back(tk, io.state, T, sizeof *io.state);
    if (io.diagnostics != NULL) {
        tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    }
    tk_release(tk);
    return r;
}

void logprob_free(logprob_result *r)
{
    free(r->logprob), free(r->lse), free(r->entropy), free(r->sum_sq), free(r->mass);
    free(r->argmax), free(r->state);
}

// Comparison --------------------------------------------------------------------------------------

static void expect(const char *name, const float *actual, const double *expected,
                   const double *limits, int64_t T)
{
    for (int64_t t = 0; actual != NULL && t < T; t++) {
        const double a = actual[t], e = expected[t];
        const int good = isnan(e) ? isnan(a) : a == e || fabs(a - e) <= limits[t];
        TK_EXPECT(good, "%s[%lld] is %.9g, expected %.9g within %g", name, (long long)t, a, e,
                  limits[t]);
    }
}

void logprob_check(tk_fixture *tk, const logprob_case *c)
{
    logprob_result r = logprob_run(tk, c);
    if (!tk->is_first_run) {
        logprob_free(&r);
        return;
    }
    const merit_policy_logprob_desc *const d = &c->d;
    const int64_t T = d->num_tokens, V = d->vocab_size;
    double *const wide = calloc((size_t)(T * V) + 1, sizeof *wide);
    for (int64_t i = 0; i < T * V; i++) {
        wide[i] = c->logits[i];
    }
    const logprob_inputs in = {wide, c->targets, c->temperatures, c->keep_mask, c->subset_ids};
    logprob_oracle *const o = logprob_oracle_run(d, &in);
    double *const limits = calloc((size_t)T + 1, sizeof *limits);
    // The stated bounds. c is rounded to binary32: 1.4e-8 of log2(e) itself, 6e-8 of any other.
    const int unit = d->logit_scale == 1 && d->temperature == 1 && c->temperatures == NULL;
    for (int64_t t = 0; t < T; t++) {
        const float temperature = c->temperatures != NULL ? c->temperatures[t] : d->temperature;
        const double cap = d->soft_cap > 0 ? 4e-7 * d->soft_cap / temperature : 0;
        const double spread = o->spread[t] * (unit ? 1.4e-8 : 6e-8);
        limits[t] = 1.5e-6 + cap + spread + 0.5 * tk_ulp32(o->logprob[t]);
    }
    expect("logprob", r.logprob, o->logprob, limits, T);
    for (int64_t t = 0; t < T; t++) {
        const double top = fabs(o->lse[t]); // as far as Z is above or below 0, c's error counts
        limits[t] += (unit ? 1.4e-8 : 6e-8) * top + 0.5 * tk_ulp32(o->lse[t]);
    }
    expect("lse", r.lse, o->lse, limits, T);
    const double slack = d->soft_cap > 0 ? 1e-5 : 0;
    for (int64_t t = 0; t < T; t++) {
        limits[t] = (3e-6 + slack) * (1 + o->entropy[t]);
    }
    expect("entropy", r.entropy, o->entropy, limits, T);
    for (int64_t t = 0; t < T; t++) {
        limits[t] = (4e-6 + slack) * o->sum_sq[t];
    }
    expect("sum_sq", r.sum_sq, o->sum_sq, limits, T);
    for (int64_t t = 0; t < T; t++) {
        limits[t] = 3e-6 + slack + 1e-7 * fabs(o->mass[t]);
    }
    expect("mass", r.mass, o->mass, limits, T);
    for (int64_t t = 0; r.argmax != NULL && t < T; t++) {
        TK_EXPECT(r.argmax[t] == o->argmax[t], "argmax[%lld] is %d, expected %d", (long long)t,
                  (int)r.argmax[t], (int)o->argmax[t]);
    }
    for (int i = 0; i < MERIT_NUM_COUNTERS && c->outputs & LP_DIAGNOSTICS; i++) {
        TK_EXPECT((double)r.diagnostics.count[i] == o->counters[i],
                  "counter %d is %llu, expected %g", i, (unsigned long long)r.diagnostics.count[i],
                  o->counters[i]);
    }
    logprob_oracle_free(o);
    free(wide), free(limits);
    logprob_free(&r);
}

// Backward ----------------------------------------------------------------------------------------

uint32_t *logprob_run_backward(tk_fixture *tk, const logprob_case *c, const float *by_logprob,
                               const float *by_entropy, int in_place, merit_diagnostics *found)
{
    const merit_policy_logprob_desc *const d = &c->d;
    const int64_t T = d->num_tokens, V = d->vocab_size, ld = d->ld_logits == 0 ? V : d->ld_logits;
    const int full = d->normalize == MERIT_LOGPROB_NORMALIZE_FULL;
    logprob_case forward = *c;
    forward.outputs = LP_STATE | LP_ENTROPY | (full ? LP_MASS : 0);
    logprob_result r = logprob_run(tk, &forward);
    const size_t size = logprob_element(d->dtype);
    const int64_t count = stored_count(T, V, d->ld_logits);
    void *const logits = logprob_stored(c->logits, d->dtype, T, V, d->ld_logits);
    merit_policy_logprob_backward_io io = {.struct_size = sizeof io};
    if (in_place) {
        io.grad_logits = tk_inout(tk, logits, count, size);
        io.logits = io.grad_logits;
    } else {
        io.logits = tk_input(tk, logits, count, size);
        io.grad_logits = tk_output(tk, count, size);
    }
    free(logits);
    io.targets = stored_targets(tk, c);
    io.temperatures = tk_input(tk, c->temperatures, T, sizeof(float));
    io.keep_mask = tk_input(tk, c->keep_mask, rows_of(T, d->ld_mask, (V + 31) / 32), 4);
    io.subset_ids = tk_input(tk, c->subset_ids, rows_of(T, d->ld_subset, d->subset_size), 4);
    io.state = tk_input(tk, r.state, T, sizeof *r.state);
    io.grad_logprob = tk_input(tk, by_logprob, T, sizeof(float));
    io.grad_entropy = tk_input(tk, by_entropy, T, sizeof(float));
    io.entropy = tk_input(tk, r.entropy, T, sizeof(float));
    io.mass = full ? tk_input(tk, r.mass, T, sizeof(float)) : NULL;
    if (found != NULL) {
        memset(found, 0, sizeof *found);
        io.diagnostics = tk_inout(tk, found, 1, sizeof *found);
    }
    size_t bytes = 1;
    tk_expect_ok(tk->ctx, merit_policy_logprob_backward_workspace(tk->ctx, d, &bytes));
    TK_EXPECT(bytes == 0, "a workspace of %zu bytes", bytes);
    tk_expect_ok(tk->ctx, merit_policy_logprob_backward(tk->ctx, d, &io, NULL, 0, NULL));
    unsigned char *const stored = calloc((size_t)count + 1, size);
    tk_read(tk, io.grad_logits, stored, count, size);
    uint32_t *const words = calloc((size_t)(T * V) + 1, sizeof *words);
    for (int64_t t = 0; t < T; t++) {
        for (int64_t v = 0; v < ld && t * ld + v < count; v++) {
            const unsigned char *const from = stored + (size_t)(t * ld + v) * size;
            if (v < V) {
                memcpy(&words[t * V + v], from, size);
            } else if (!in_place) {
                TK_EXPECT(tk_untouched(from, 1, size), "the gap behind row %lld", (long long)t);
            }
        }
    }
    if (found != NULL) tk_read(tk, io.diagnostics, found, 1, sizeof *found);
    free(stored);
    logprob_free(&r);
    tk_release(tk);
    return words;
}

void logprob_check_backward(tk_fixture *tk, const logprob_case *c, const float *by_logprob,
                            const float *by_entropy, int in_place)
{
    uint32_t *const words = logprob_run_backward(tk, c, by_logprob, by_entropy, in_place, NULL);
    if (!tk->is_first_run) {
        free(words);
        return;
    }
    const merit_policy_logprob_desc *const d = &c->d;
    const int64_t T = d->num_tokens, V = d->vocab_size;
    double *const wide = calloc((size_t)(T * V) + 1, sizeof *wide);
    for (int64_t i = 0; i < T * V; i++) {
        wide[i] = c->logits[i];
    }
    const logprob_inputs in = {wide, c->targets, c->temperatures, c->keep_mask, c->subset_ids};
    logprob_oracle *const o = logprob_oracle_run(d, &in);
    logprob_oracle_gradient(d, &in, o, by_logprob, by_entropy);
    const double step = d->dtype == MERIT_DTYPE_F32    ? 0x1p-23
                        : d->dtype == MERIT_DTYPE_BF16 ? 0x1p-8
                                                       : 0x1p-11;
    for (int64_t i = 0; i < T * V; i++) {
        const int64_t t = i / V;
        const double temperature = c->temperatures != NULL ? c->temperatures[t] : d->temperature;
        const double rate = fabs((double)d->logit_scale / temperature);
        const double pi = exp(o->log_pi[i]);
        const double size = o->entropy[t] + 1 + (pi > 0 ? fabs(o->log_pi[i]) : 0);
        const double a = by_logprob == NULL ? 0 : fabs((double)by_logprob[t]);
        const double b = by_entropy == NULL ? 0 : fabs((double)by_entropy[t]);
        // The stated bound; probabilities move with the rounded temperature, too.
        const double cap = d->soft_cap > 0 ? 1e-5 * (a + b) * rate : 0;
        const double limit =
            rate * (pi * (1e-6 + 6e-8 * size) * a + 2e-6 * (pi + 1e-7) * size * b) + cap +
            step * fabs(o->grad[i]) + (d->dtype == MERIT_DTYPE_F16 ? 0x1p-25 : 0x1p-149);
        const double g = logprob_from_word(words[i], d->dtype), e = o->grad[i];
        const int good = isnan(e) ? isnan(g) : fabs(g - e) <= limit;
        TK_EXPECT(good, "gradient of %lld in row %lld is %.9g, expected %.9g within %g",
                  (long long)(i % V), (long long)t, g, e, limit);
    }
    logprob_oracle_free(o);
    free(wide), free(words);
}
