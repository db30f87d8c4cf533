#include "list_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

list_case list_one(const char *preset, const float *scores, int64_t n)
{
    list_case c = {.scores = scores, .outputs = PL_ALL};
    cr_assert(merit_preference_list_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    if (preset != NULL) {
        cr_assert(merit_preference_list_preset(preset, &c.d) == MERIT_STATUS_OK, "%s", preset);
    }
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    c.d.groups.num_groups = 1;
    c.d.groups.group_size = n;
    c.d.num_items = n;
    c.io.struct_size = sizeof c.io;
    return c;
}

static size_t element(const list_case *c)
{
    return c->d.score_dtype == MERIT_DTYPE_F32 ? 4 : 2;
}

// Conversions of the test's own: values that fit exactly are given, others are cut.
static uint16_t to_word(float value, int32_t dtype)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (dtype == MERIT_DTYPE_BF16) return (uint16_t)(bits >> 16);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (isnan(value)) return 0x7e00;
    if (isinf(value)) return sign | 0x7c00;
    int exponent;
    const double fraction = frexp(fabs((double)value), &exponent);
    if (value == 0 || exponent < -13) return sign;
    return (uint16_t)(sign | (exponent + 14) << 10 | ((int)(fraction * 2048) & 1023));
}

static double from_word(uint16_t word, int32_t dtype)
{
    if (dtype == MERIT_DTYPE_BF16) {
        const uint32_t bits = (uint32_t)word << 16;
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    const int exponent = word >> 10 & 31;
    const double sign = word >> 15 ? -1 : 1;
    if (exponent == 31) return (word & 1023) != 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(word & 1023, -24);
    return sign * ldexp(1024 + (word & 1023), exponent - 25);
}

// scores in storage form: [(R - 1) * stride + 1], NaN between.
static void *stored(const list_case *c, int64_t *count)
{
    const int64_t n = c->d.num_items;
    *count = n == 0 ? 0 : (n - 1) * c->d.score_stride + 1;
    unsigned char *const memory = malloc((size_t)(*count + 1) * 4);
    cr_assert(memory != NULL);
    memset(memory, 0xff, (size_t)(*count + 1) * 4);
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = i * c->d.score_stride;
        if (c->d.score_dtype == MERIT_DTYPE_F32) {
            memcpy(memory + 4 * at, &c->scores[i], 4);
        } else {
            const uint16_t word = to_word(c->scores[i], c->d.score_dtype);
            memcpy(memory + 2 * at, &word, 2);
        }
    }
    return memory;
}

static double *widened(const float *values, int64_t count)
{
    double *const wide = malloc(((size_t)count + 1) * sizeof *wide);
    for (int64_t i = 0; i < count; i++) {
        wide[i] = values[i];
    }
    return wide;
}

static void *output(tk_fixture *tk, const list_case *c, int bit, int64_t count, size_t size)
{
    return c->outputs & bit ? tk_output(tk, count, size) : NULL;
}

static double *read_floats(tk_fixture *tk, const float *block, int64_t count)
{
    if (block == NULL) return NULL;
    float *const values = calloc((size_t)count + 1, sizeof *values);
    tk_read(tk, block, values, count, sizeof *values);
    double *const wide = widened(values, count);
    free(values);
    return wide;
}

static void read_gradient(tk_fixture *tk, const list_case *c, const void *block, int64_t count,
                          list_result *r)
{
    const size_t size = element(c);
    const int64_t n = c->d.num_items, stride = c->d.grad_stride;
    unsigned char *const raw = calloc((size_t)count + 1, size);
    tk_read(tk, block, raw, count, size);
    r->grad = calloc((size_t)n + 1, sizeof *r->grad);
    unsigned char *const packed = calloc((size_t)n + 1, size);
    for (int64_t i = 0; i < n; i++) {
        const unsigned char *const from = raw + (size_t)(i * stride) * size;
        memcpy(packed + (size_t)i * size, from, size);
        if (size == 4) {
            float value;
            memcpy(&value, from, 4);
            r->grad[i] = value;
        } else {
            uint16_t word;
            memcpy(&word, from, 2);
            r->grad[i] = from_word(word, c->d.score_dtype);
        }
        for (int64_t k = 1; k < stride && i + 1 < n && !c->in_place; k++) {
            TK_EXPECT(tk_untouched(from + (size_t)k * size, 1, size), "a gap behind row %lld",
                      (long long)i);
        }
    }
    r->grad_raw = packed;
    free(raw);
}

list_result list_run_on(tk_fixture *tk, merit_context *ctx, const list_case *c)
{
    list_result r = {0};
    merit_preference_list_desc d = c->d;
    merit_preference_list_io io = c->io;
    const int64_t R = d.num_items, N = d.groups.num_groups;
    d.groups.offsets = tk_input(tk, d.groups.offsets, N + 1, sizeof(int64_t));
    d.groups.index = tk_input(tk, d.groups.index, R, sizeof(int32_t));
    int64_t count;
    void *const scores = stored(c, &count);
    const int64_t grads = R == 0 ? 0 : (R - 1) * d.grad_stride + 1;
    if (c->in_place) {
        io.grad_scores = tk_inout(tk, scores, count, element(c));
        io.scores = io.grad_scores;
    } else {
        io.scores = c->scores == NULL ? NULL : tk_input(tk, scores, count, element(c));
        io.grad_scores = output(tk, c, PL_GRAD, grads, element(c));
    }
    free(scores);
    io.target_index = tk_input(tk, io.target_index, N, sizeof(int32_t));
    io.weights = tk_input(tk, io.weights, R, sizeof(float));
    io.ranks = tk_input(tk, io.ranks, R, sizeof(int32_t));
    io.labels = tk_input(tk, io.labels, R, sizeof(float));
    io.signs = tk_input(tk, io.signs, R, 1);
    io.mask = tk_input(tk, io.mask, R, 1);
    io.group_weight = tk_input(tk, io.group_weight, N, sizeof(float));
    io.denominator = tk_input(tk, io.denominator, 1, sizeof(double));
    io.grad_scale = tk_input(tk, io.grad_scale, 1, sizeof(float));
    io.loss = output(tk, c, PL_LOSS, 1, sizeof(double));
    io.loss_tiles = output(tk, c, PL_TILES, (N + 2047) / 2048, sizeof(double));
    io.group_loss = output(tk, c, PL_GROUP_LOSS, N, sizeof(float));
    io.lse = output(tk, c, PL_LSE, N, sizeof(float));
    io.metrics = output(tk, c, PL_METRICS, 1, sizeof *io.metrics);
    io.diagnostics =
        c->outputs & PL_DIAGNOSTICS ? tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics) : NULL;
    size_t bytes = 0;
    r.status = merit_preference_list_workspace(ctx, &d, &bytes);
    if (r.status == MERIT_STATUS_OK) {
        void *const workspace = tk_workspace(tk, bytes);
        r.status = merit_preference_list(ctx, &d, &io, workspace, bytes, NULL);
        if (r.status == MERIT_STATUS_OK && bytes >= 1024) {
            uint32_t tickets[256];
            tk_read(tk, workspace, tickets, 256, sizeof *tickets);
            for (int i = 0; i < 256; i++) {
                TK_EXPECT(tickets[i] == 0, "ticket %d is left at %u", i, tickets[i]);
            }
        }
    }
    if (io.loss != NULL) tk_read(tk, io.loss, &r.loss, 1, sizeof r.loss);
    if (io.loss_tiles != NULL) {
        r.tiles = calloc((size_t)N + 1, sizeof *r.tiles);
        tk_read(tk, io.loss_tiles, r.tiles, (N + 2047) / 2048, sizeof *r.tiles);
    }
    r.group_loss = read_floats(tk, io.group_loss, N);
    r.lse = read_floats(tk, io.lse, N);
    if (io.grad_scores != NULL) read_gradient(tk, c, io.grad_scores, grads, &r);
    if (io.metrics != NULL) tk_read(tk, io.metrics, &r.metrics, 1, sizeof r.metrics);
    if (io.diagnostics != NULL) {
        tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    }
    tk_release(tk);
    return r;
}

list_result list_run(tk_fixture *tk, const list_case *c)
{
    list_result r = list_run_on(tk, tk->ctx, c);
    tk_expect_ok(tk->ctx, r.status);
    return r;
}

void list_free(list_result *r)
{
    free(r->tiles);
    free(r->grad);
    free(r->grad_raw);
    free(r->group_loss);
    free(r->lse);
}

static void expect_counts(const list_result *r, const list_oracle *o)
{
    const merit_preference_list_metrics *const a = &r->metrics, *const b = &o->metrics;
    const double actual[] = {(double)a->groups,          (double)a->ranked,
                             (double)a->invalid,         (double)a->top1_strict,
                             (double)a->top1_tie,        (double)a->one_to_many_strict,
                             (double)a->one_to_many_tie, (double)a->concordant,
                             (double)a->discordant,      (double)a->tied};
    const double expected[] = {(double)b->groups,          (double)b->ranked,
                               (double)b->invalid,         (double)b->top1_strict,
                               (double)b->top1_tie,        (double)b->one_to_many_strict,
                               (double)b->one_to_many_tie, (double)b->concordant,
                               (double)b->discordant,      (double)b->tied};
    tk_expect_close(actual, expected, 10, 0, 0);
    tk_expect_close(&a->sum_reciprocal_rank, &b->sum_reciprocal_rank, 1, 0, 1e-12);
    tk_expect_close(&a->sum_weight, &b->sum_weight, 1, 0, 1e-12);
    tk_expect_close(&a->sum_loss, &b->sum_loss, 1, 1e-6 * (double)(b->groups + 1), 1e-6);
}

// [R], 1: an index entry leads to the row; nothing writes it else.
static uint8_t *named_rows(const list_case *c)
{
    const int64_t R = c->d.num_items;
    uint8_t *const named = calloc((size_t)R + 1, 1);
    for (int64_t i = 0; i < R; i++) {
        const int64_t row = c->d.groups.index == NULL ? i : c->d.groups.index[i];
        if (row >= 0 && row < R) named[row] = 1;
    }
    return named;
}

void list_check(tk_fixture *tk, const list_case *c)
{
    list_result r = list_run(tk, c);
    if (!tk->is_first_run) {
        list_free(&r);
        return;
    }
    merit_preference_list_io io = c->io;
    int64_t count;
    void *const scores = stored(c, &count);
    io.scores = scores;
    list_oracle *const o = list_oracle_run(&c->d, &io);
    const int64_t N = c->d.groups.num_groups, R = c->d.num_items;
    if (c->outputs & PL_LOSS) tk_expect_within(&r.loss, &o->loss, &o->loss_limit, 1);
    if (r.group_loss != NULL) tk_expect_within(r.group_loss, o->group_loss, o->group_limit, N);
    if (r.lse != NULL) tk_expect_close(r.lse, o->lse, N, 4e-7, 2e-7);
    if (r.tiles != NULL) tk_expect_close(r.tiles, o->tiles, (N + 2047) / 2048, 1e-3, 1e-5);
    if (r.grad != NULL) {
        const double step = c->d.score_dtype == MERIT_DTYPE_F32    ? 0x1p-24
                            : c->d.score_dtype == MERIT_DTYPE_BF16 ? 0x1p-8
                                                                   : 0x1p-11;
        const double least = c->d.score_dtype == MERIT_DTYPE_F16 ? 0x1p-25 : 0x1p-133;
        uint8_t *const named = named_rows(c);
        for (int64_t i = 0; i < R; i++) {
            o->grad_limit[i] += fabs(o->grad[i]) * step + least;
            if (named[i]) continue;
            TK_EXPECT(tk_untouched((char *)r.grad_raw + (size_t)i * element(c), 1, element(c)),
                      "row %lld, which no index entry names, was written", (long long)i);
            o->grad[i] = r.grad[i];
        }
        free(named);
        tk_expect_within(r.grad, o->grad, o->grad_limit, R);
    }
    if (c->outputs & PL_METRICS) expect_counts(&r, o);
    if (c->outputs & PL_DIAGNOSTICS) {
        for (int i = 0; i < MERIT_NUM_COUNTERS; i++) {
            TK_EXPECT((double)r.diagnostics.count[i] == o->counters[i],
                      "counter %d is %llu, expected %g", i,
                      (unsigned long long)r.diagnostics.count[i], o->counters[i]);
        }
    }
    list_oracle_free(o);
    free(scores);
    list_free(&r);
}

void list_expect_at(const char *file, int line, tk_fixture *tk, const list_case *c, double loss,
                    const double *grad)
{
    list_result r = list_run(tk, c);
    tk_expect_close_at(file, line, "loss", &r.loss, &loss, 1, 1e-7, 4e-7);
    if (grad != NULL) {
        tk_expect_close_at(file, line, "gradient", r.grad, grad, c->d.num_items, 1e-7, 4e-7);
    }
    list_free(&r);
}
