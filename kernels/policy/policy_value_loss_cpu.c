// policy_value_loss, CPU. Threads own ranges of sequences; a sequence is swept once, in chunks whose loops
// the compiler turns into vectors.
#include "../backend.h"
#include "policy_terms_cpu.h"
#include "policy_value_loss.h"

enum { VALUE_CHUNK = 128, VALUE_AHEAD = 4 * VALUE_CHUNK, VALUE_GRAIN_TOKENS = 1 << 15 };

typedef struct value_chunk {
    int count;
    int32_t valid[VALUE_CHUNK];
    float v[VALUE_CHUNK], old[VALUE_CHUNK], R[VALUE_CHUNK];
    float loss[VALUE_CHUNK], slope[VALUE_CHUNK], error[VALUE_CHUNK];
    int32_t clipped[VALUE_CHUNK];
} value_chunk;

typedef struct value_work {
    const merit_policy_value_loss_args *a;
    value_chunk chunk;
    double lanes[MERIT_POLICY_VALUE_SUMS][MERIT_LANES];
    merit_tile_sum tiles[MERIT_POLICY_VALUE_SUMS];
    double sums[MERIT_POLICY_VALUE_SUMS];
    merit_policy_tally tally;
} value_work;

static void read_values(value_chunk *restrict c, const float *from, float *restrict to)
{
    for (int j = 0; j < c->count; j++) {
        to[j] = c->valid[j] ? from[j] : 0.0f;
    }
}

static void prefetch_values(const float *from)
{
    for (int j = 0; j < VALUE_CHUNK; j += 64 / (int)sizeof(float)) {
        __builtin_prefetch(from + j, 0, 3);
    }
}

static void read_chunk(value_chunk *restrict c, const merit_policy_value_loss_args *a,
                       int64_t start)
{
    if (start + VALUE_AHEAD + VALUE_CHUNK <= a->layout.num_tokens) {
        prefetch_values(a->io.value + start + VALUE_AHEAD);
        prefetch_values(a->io.returns + start + VALUE_AHEAD);
        if (a->d.clip > 0.0f) prefetch_values(a->io.old_value + start + VALUE_AHEAD);
    }
    const uint8_t *const mask = a->io.mask == NULL ? NULL : a->io.mask + start;
    if (mask == NULL) {
        for (int j = 0; j < c->count; j++) {
            c->valid[j] = 1;
        }
    } else {
        for (int j = 0; j < c->count; j++) {
            c->valid[j] = mask[j] != 0;
        }
    }
    read_values(c, a->io.value + start, c->v);
    read_values(c, a->io.returns + start, c->R);
    if (a->d.clip > 0.0f) {
        read_values(c, a->io.old_value + start, c->old);
    } else {
        memset(c->old, 0, sizeof c->old);
    }
}

// Inlined with the choices as constants.
__attribute__((always_inline)) static inline void work_out_as(value_chunk *restrict c, float clip,
                                                              float delta, int huber)
{
    for (int j = 0; j < c->count; j++) {
        const merit_policy_value_token t =
            merit_policy_value_token_of(clip, delta, huber, c->v[j], c->old[j], c->R[j]);
        c->loss[j] = t.loss;
        c->slope[j] = t.slope;
        c->error[j] = t.error;
        c->clipped[j] = t.clipped;
    }
}

static void work_out(value_chunk *restrict c, const merit_policy_value_loss_desc *d)
{
    if (d->huber_delta > 0.0f) {
        work_out_as(c, d->clip, d->huber_delta, 1);
    } else if (d->clip > 0.0f) {
        work_out_as(c, d->clip, 0.0f, 0);
    } else {
        work_out_as(c, 0.0f, 0.0f, 0);
    }
}

// Masked tokens hold zeros, which add nothing: their loss, value and return are 0.
static void add_chunk(value_work *restrict w, int at)
{
    const value_chunk *const c = &w->chunk;
    const int count = c->count;
    double *const loss = w->lanes[MERIT_POLICY_VALUE_SUM_LOSS] + at;
    for (int j = 0; j < count; j++) {
        loss[j] = m_add64(loss[j], c->valid[j] ? (double)c->loss[j] : 0.0);
    }
    if (w->a->io.stats == NULL) return;
    double *const value = w->lanes[MERIT_POLICY_VALUE_SUM_VALUE] + at;
    double *const error = w->lanes[MERIT_POLICY_VALUE_SUM_SQUARED_ERROR] + at;
    double *const gain = w->lanes[MERIT_POLICY_VALUE_SUM_RETURN] + at;
    double *const gain_squared = w->lanes[MERIT_POLICY_VALUE_SUM_RETURN_SQUARED] + at;
    uint32_t tokens = 0;
    uint32_t clipped = 0;
    for (int j = 0; j < count; j++) {
        value[j] = m_add64(value[j], (double)c->v[j]);
        error[j] = m_add64(error[j], m_mul64((double)c->error[j], (double)c->error[j]));
        gain[j] = m_add64(gain[j], (double)c->R[j]);
        gain_squared[j] = m_add64(gain_squared[j], m_mul64((double)c->R[j], (double)c->R[j]));
    }
    for (int j = 0; j < count; j++) {
        tokens += (uint32_t)c->valid[j];
        clipped += (uint32_t)(c->clipped[j] & c->valid[j]);
    }
    w->tally.counts[MERIT_POLICY_VALUE_COUNT_TOKENS] += tokens;
    w->tally.counts[MERIT_POLICY_VALUE_COUNT_CLIPPED] += clipped;
}

static void fill(const merit_policy_value_loss_args *a, int64_t begin, int64_t count, float value)
{
    for (int64_t i = 0; i < count && a->io.grad_value != NULL; i++) {
        a->io.grad_value[begin + i] = value;
    }
}

static void sweep(value_work *w, const merit_policy_span *span, const merit_policy_value_scale *s)
{
    const merit_policy_value_loss_args *const a = w->a;
    value_chunk *const c = &w->chunk;
    const int cells = a->terms.num_sums;
    for (int k = 0; k < cells; k++) {
        w->tiles[k].count = 0;
    }
    for (int64_t start = 0; start < span->size; start += MERIT_TILE) {
        const int64_t left = span->size - start;
        const int length = (int)(left < MERIT_TILE ? left : MERIT_TILE);
        const int width = merit_tile_width(length);
        for (int k = 0; k < cells; k++) {
            memset(w->lanes[k], 0, (size_t)width * sizeof(double));
        }
        for (int at = 0; at < length; at += VALUE_CHUNK) {
            const int64_t first = span->begin + start + at;
            c->count = length - at < VALUE_CHUNK ? length - at : VALUE_CHUNK;
            read_chunk(c, a, first);
            work_out(c, &a->d);
            add_chunk(w, at % MERIT_LANES);
            for (int j = 0; j < c->count && a->io.grad_value != NULL; j++) {
                const float g = merit_policy_value_gradient(s, c->slope[j]);
                a->io.grad_value[first + j] = c->valid[j] ? g : 0.0f;
            }
        }
        for (int k = 0; k < cells; k++) {
            merit_tile_sum_push(&w->tiles[k], merit_lanes_fold64(w->lanes[k], width));
        }
    }
    for (int k = 0; k < cells; k++) {
        w->sums[k] = merit_tile_sum_finish(&w->tiles[k]);
    }
}

static void run_sequence(value_work *w, int64_t n)
{
    const merit_policy_value_loss_args *const a = w->a;
    const merit_policy_span span = merit_policy_span_of(&a->layout, n);
    const int is_fine = span.refusal == MERIT_POLICY_FINE;
    const int64_t valid = !is_fine ? 0
                          : merit_policy_value_counts_first(a)
                              ? policy_count_valid(&span, a->io.mask)
                              : span.size;
    const merit_policy_value_scale s = merit_policy_value_scale_of(a, valid);
    memset(w->sums, 0, sizeof w->sums);
    fill(a, span.begin + span.size, span.gap, 0.0f);
    if (!is_fine) merit_policy_tell(&span, a->io.diagnostics);
    if (s.valid == 0) {
        if (span.size > 0) fill(a, span.begin, span.size, is_fine ? 0.0f : m_nan32());
    } else {
        sweep(w, &span, &s);
    }
    merit_policy_value_write_terms(a, &s, n, w->sums);
}

static void run_sequences(void *state, int64_t begin, int64_t end)
{
    merit_policy_value_loss_args *const a = state;
    value_work w;
    w.a = a;
    memset(&w.tally, 0, sizeof w.tally);
    for (int64_t n = begin; n < end; n++) {
        run_sequence(&w, n);
    }
    if (a->io.stats != NULL) policy_add_tally(&a->terms, &w.tally);
}

// Launcher ----------------------------------------------------------------------------------------

int MERIT_BACKEND_FN(policy_value_loss)(const merit_policy_value_loss_args *args,
                                        const merit_launch *launch);

int MERIT_BACKEND_FN(policy_value_loss)(const merit_policy_value_loss_args *args,
                                        const merit_launch *launch)
{
    merit_policy_value_loss_args a = *args;
    const int64_t sequences = a.terms.count;
    const int64_t per_sequence = sequences > 0 ? a.layout.num_tokens / sequences + 1 : 1;
    const int64_t grain = VALUE_GRAIN_TOKENS / per_sequence + 1;
    merit_parallel_ranges(launch->num_threads, sequences, grain, run_sequences, &a);
    const merit_policy_outside o = merit_policy_outside_of(&a.layout);
    fill(&a, 0, o.before, 0.0f);
    fill(&a, o.after, a.layout.num_tokens - o.after, 0.0f);
    merit_policy_totals totals = {{0.0}};
    merit_policy_tally tally;
    memset(&tally, 0, sizeof tally);
    if (sequences > 0) {
        if (a.io.loss != NULL || a.io.loss_tiles != NULL || a.io.stats != NULL) {
            totals = policy_fold(&a.terms, launch->num_threads);
        }
        if (a.io.stats != NULL) tally = policy_take_tally(&a.terms);
    }
    merit_policy_value_write_totals(&a, totals.sums, &tally);
    return 0;
}
