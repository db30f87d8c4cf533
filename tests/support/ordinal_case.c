#include "ordinal_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

ordinal_case ordinal_make(const char *preset, const float *chosen, const float *rejected, int64_t N,
                          int K)
{
    ordinal_case c = {.chosen = chosen, .rejected = rejected, .outputs = PO_ALL};
    cr_assert(merit_preference_ordinal_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    if (preset != NULL) {
        cr_assert(merit_preference_ordinal_preset(preset, &c.d) == MERIT_STATUS_OK, "%s", preset);
    }
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    c.d.num_pairs = N;
    c.d.num_levels = K;
    c.io.struct_size = sizeof c.io;
    return c;
}

static size_t element(const ordinal_case *c)
{
    return c->d.logit_dtype == MERIT_DTYPE_F32 ? 4 : 2;
}

// The word of a logit. 16-bit logits are given as multiples of 1/4 below 64: exact in both types.
static uint32_t to_word(float value, int32_t dtype)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (dtype == MERIT_DTYPE_F32) return bits;
    if (dtype == MERIT_DTYPE_BF16) return bits >> 16;
    const uint32_t sign = bits >> 16 & 0x8000;
    if (value == 0) return sign;
    return sign | ((bits >> 23 & 255) - 112) << 10 | (bits >> 13 & 1023);
}

static double from_word(uint32_t word, int32_t dtype)
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

static int64_t row_stride(const ordinal_case *c, int64_t stride)
{
    return stride == 0 ? c->d.num_levels : stride;
}

static int64_t row_count(const ordinal_case *c, int64_t stride)
{
    return c->d.num_pairs == 0 ? 0 : (c->d.num_pairs - 1) * row_stride(c, stride) + c->d.num_levels;
}

// Rows in storage form, 0xff between them.
static void *stored(const ordinal_case *c, const float *logits, int64_t stride)
{
    if (logits == NULL) return NULL;
    const size_t size = element(c);
    unsigned char *const memory = malloc(((size_t)row_count(c, stride) + 1) * size);
    memset(memory, 0xff, ((size_t)row_count(c, stride) + 1) * size);
    for (int64_t n = 0; n < c->d.num_pairs; n++) {
        for (int k = 0; k < c->d.num_levels; k++) {
            const uint32_t word = to_word(logits[n * c->d.num_levels + k], c->d.logit_dtype);
            memcpy(memory + (size_t)(n * row_stride(c, stride) + k) * size, &word, size);
        }
    }
    return memory;
}

static void *output(tk_fixture *tk, const ordinal_case *c, int bit, int64_t count, size_t size)
{
    return c->outputs & bit ? tk_output(tk, count, size) : NULL;
}

static double *read_floats(tk_fixture *tk, const float *block, int64_t count)
{
    if (block == NULL) return NULL;
    float *const values = calloc((size_t)count + 1, sizeof *values);
    double *const wide = calloc((size_t)count + 1, sizeof *wide);
    tk_read(tk, block, values, count, sizeof *values);
    for (int64_t i = 0; i < count; i++) {
        wide[i] = values[i];
    }
    free(values);
    return wide;
}

static double *read_rows(tk_fixture *tk, const ordinal_case *c, const void *block, int64_t stride,
                         float **words)
{
    if (block == NULL) return NULL;
    const size_t size = element(c);
    const int64_t count = row_count(c, stride), N = c->d.num_pairs, K = c->d.num_levels;
    unsigned char *const raw = calloc((size_t)count + 1, size);
    double *const wide = calloc((size_t)(N * K) + 1, sizeof *wide);
    *words = calloc((size_t)(N * K) + 1, sizeof **words);
    tk_read(tk, block, raw, count, size);
    for (int64_t n = 0; n < N; n++) {
        for (int64_t k = 0; k < row_stride(c, stride); k++) {
            const int64_t at = n * row_stride(c, stride) + k;
            if (at >= count) break;
            uint32_t word = 0;
            memcpy(&word, raw + (size_t)at * size, size);
            if (k < K) {
                wide[n * K + k] = from_word(word, c->d.logit_dtype);
                memcpy(&(*words)[n * K + k], &word, sizeof word);
            } else if (!c->in_place) {
                TK_EXPECT(tk_untouched(raw + (size_t)at * size, 1, size), "the gap behind row %lld",
                          (long long)n);
            }
        }
    }
    free(raw);
    return wide;
}

ordinal_result ordinal_run(tk_fixture *tk, const ordinal_case *c)
{
    ordinal_result r = {0};
    const merit_preference_ordinal_desc *const d = &c->d;
    merit_preference_ordinal_io io = c->io;
    const int64_t N = d->num_pairs;
    void *const chosen = stored(c, c->chosen, d->chosen_stride);
    void *const rejected = stored(c, c->rejected, d->rejected_stride);
    if (c->in_place) {
        io.grad_chosen_logits = tk_inout(tk, chosen, row_count(c, d->chosen_stride), element(c));
        io.grad_rejected_logits =
            tk_inout(tk, rejected, row_count(c, d->rejected_stride), element(c));
        io.chosen_logits = io.grad_chosen_logits;
        io.rejected_logits = io.grad_rejected_logits;
    } else {
        io.chosen_logits = tk_input(tk, chosen, row_count(c, d->chosen_stride), element(c));
        io.rejected_logits = tk_input(tk, rejected, row_count(c, d->rejected_stride), element(c));
        io.grad_chosen_logits =
            output(tk, c, PO_GRAD_CHOSEN, row_count(c, d->grad_chosen_stride), element(c));
        io.grad_rejected_logits =
            output(tk, c, PO_GRAD_REJECTED, row_count(c, d->grad_rejected_stride), element(c));
    }
    free(chosen), free(rejected);
    io.chosen_region = tk_input(tk, io.chosen_region, 2 * N, sizeof(int32_t));
    io.rejected_region = tk_input(tk, io.rejected_region, 2 * N, sizeof(int32_t));
    io.weights = tk_input(tk, io.weights, N, sizeof(float));
    io.mask = tk_input(tk, io.mask, N, 1);
    io.denominator = tk_input(tk, io.denominator, 1, sizeof(double));
    io.grad_scale = tk_input(tk, io.grad_scale, 1, sizeof(float));
    io.loss = output(tk, c, PO_LOSS, 1, sizeof(double));
    io.loss_tiles = output(tk, c, PO_TILES, (N + 2047) / 2048, sizeof(double));
    io.pair_loss = output(tk, c, PO_PAIR_LOSS, N, sizeof(float));
    io.win = output(tk, c, PO_WIN, N, sizeof(float));
    io.tie = output(tk, c, PO_TIE, N, sizeof(float));
    io.mean = output(tk, c, PO_MEAN, 2 * N, sizeof(float));
    io.metrics = output(tk, c, PO_METRICS, 1, sizeof *io.metrics);
    io.diagnostics =
        c->outputs & PO_DIAGNOSTICS ? tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics) : NULL;
    size_t bytes = 0;
    r.status = merit_preference_ordinal_workspace(tk->ctx, d, &bytes);
    if (r.status == MERIT_STATUS_OK) {
        void *const workspace = tk_workspace(tk, bytes);
        r.status = merit_preference_ordinal(tk->ctx, d, &io, workspace, bytes, NULL);
        if (r.status == MERIT_STATUS_OK && bytes >= 1024) {
            uint32_t tickets[256];
            tk_read(tk, workspace, tickets, 256, sizeof *tickets);
            for (int i = 0; i < 256; i++) {
                TK_EXPECT(tickets[i] == 0, "ticket %d is left at %u", i, tickets[i]);
            }
        }
    }
    tk_expect_ok(tk->ctx, r.status);
    if (io.loss != NULL) tk_read(tk, io.loss, &r.loss, 1, sizeof r.loss);
    if (io.loss_tiles != NULL) {
        r.tiles = calloc((size_t)N + 1, sizeof *r.tiles);
        tk_read(tk, io.loss_tiles, r.tiles, (N + 2047) / 2048, sizeof *r.tiles);
    }
    r.pair_loss = read_floats(tk, io.pair_loss, N);
    r.win = read_floats(tk, io.win, N);
    r.tie = read_floats(tk, io.tie, N);
    r.mean = read_floats(tk, io.mean, 2 * N);
    const int64_t chosen_stride = c->in_place ? d->chosen_stride : d->grad_chosen_stride;
    const int64_t rejected_stride = c->in_place ? d->rejected_stride : d->grad_rejected_stride;
    r.grad_chosen = read_rows(tk, c, io.grad_chosen_logits, chosen_stride, &r.chosen_words);
    r.grad_rejected = read_rows(tk, c, io.grad_rejected_logits, rejected_stride, &r.rejected_words);
    if (io.metrics != NULL) tk_read(tk, io.metrics, &r.metrics, 1, sizeof r.metrics);
    if (io.diagnostics != NULL) {
        tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    }
    tk_release(tk);
    return r;
}

void ordinal_free(ordinal_result *r)
{
    free(r->tiles), free(r->pair_loss), free(r->win), free(r->tie), free(r->mean);
    free(r->grad_chosen), free(r->grad_rejected);
    free(r->chosen_words), free(r->rejected_words);
}

static double *widened(const ordinal_case *c, const float *logits)
{
    const int64_t count = c->d.num_pairs * c->d.num_levels;
    double *const wide = calloc((size_t)count + 1, sizeof *wide);
    for (int64_t i = 0; i < count; i++) {
        wide[i] = logits[i];
    }
    return wide;
}

static void expect_metrics(const ordinal_result *r, const ordinal_oracle *o)
{
    const merit_preference_ordinal_metrics *const a = &r->metrics, *const b = &o->metrics;
    const double actual[] = {(double)a->pairs, (double)a->zero_weight, (double)a->invalid,
                             (double)(a->correct_strict)};
    const double expected[] = {(double)b->pairs, (double)b->zero_weight, (double)b->invalid,
                               (double)b->correct_strict};
    tk_expect_close(actual, expected, 4, 0, 0);
    tk_expect_close(&a->sum_weight, &b->sum_weight, 1, 0, 1e-12);
    tk_expect_close(&a->sum_loss, &b->sum_loss, 1, 1e-7 * (double)(b->pairs + 1), 1e-7);
    tk_expect_close(&a->sum_difference, &b->sum_difference, 1, 1e-6 * (double)(b->pairs + 1), 0);
}

void ordinal_check(tk_fixture *tk, const ordinal_case *c)
{
    ordinal_result r = ordinal_run(tk, c);
    if (!tk->is_first_run) {
        ordinal_free(&r);
        return;
    }
    double *const a = widened(c, c->chosen), *const b = widened(c, c->rejected);
    ordinal_oracle *const o = ordinal_oracle_run(&c->d, &c->io, a, b);
    const int64_t N = c->d.num_pairs, K = c->d.num_levels;
    // sums of exponentials good to 2^-26, one rounding to the output type behind
    const double step = c->d.logit_dtype == MERIT_DTYPE_F32    ? 0x1p-24
                        : c->d.logit_dtype == MERIT_DTYPE_BF16 ? 0x1p-8
                                                               : 0x1p-11;
    if (c->outputs & PO_LOSS) tk_expect_close(&r.loss, &o->loss, 1, 1e-7 * (double)(N + 1), 1e-7);
    if (r.pair_loss != NULL) tk_expect_close(r.pair_loss, o->pair_loss, N, 2e-7, 2e-7);
    if (r.win != NULL) tk_expect_close(r.win, o->win, N, 1e-12, 2e-7);
    if (r.tie != NULL) tk_expect_close(r.tie, o->tie, N, 1e-12, 2e-7);
    if (r.mean != NULL) tk_expect_close(r.mean, o->mean, 2 * N, 1e-6, 2e-7);
    if (r.grad_chosen != NULL) {
        tk_expect_close(r.grad_chosen, o->grad_chosen, N * K, 6e-8, 1.5 * step);
    }
    if (r.grad_rejected != NULL) {
        tk_expect_close(r.grad_rejected, o->grad_rejected, N * K, 6e-8, 1.5 * step);
    }
    if (c->outputs & PO_METRICS) expect_metrics(&r, o);
    if (c->outputs & PO_DIAGNOSTICS) {
        for (int i = 0; i < MERIT_NUM_COUNTERS; i++) {
            TK_EXPECT((double)r.diagnostics.count[i] == o->counters[i],
                      "counter %d is %llu, expected %g", i,
                      (unsigned long long)r.diagnostics.count[i], o->counters[i]);
        }
    }
    ordinal_oracle_free(o);
    free(a), free(b);
    ordinal_free(&r);
}
