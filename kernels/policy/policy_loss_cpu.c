// policy_loss, CPU. Threads own ranges of sequences; a sequence is swept once, or first for what its
// tokens share (counts, sequence-level ratios) and again behind them where gradients go through a ratio
// of the whole sequence.
#include "../backend.h"
#include "policy_loss_common_sums_cpu.h"

enum { POLICY_GRAIN_TOKENS = 1 << 14 };

typedef struct policy_work {
    const merit_policy_loss_args *a;
    merit_policy_sequence s;
    int32_t is_common; // the call has common options
    uint32_t cells; // that it adds to: bits; the sums of the others are 0
    policy_common common;
    policy_chunk chunk;
    policy_sums sums;
    merit_policy_tally tally;
} policy_work;

// Before the main sweep ----------------------------------------------------------------------------

// Adds the terms of a tile of tokens to lanes. Inlined with each kind as a constant.
__attribute__((always_inline)) static inline void add_before_as(const merit_policy_loss_args *a,
                                                                const merit_policy_sequence *s,
                                                                int kind, int64_t first, int length,
                                                                double *restrict lanes)
{
    const uint8_t *const mask = a->io.mask == NULL ? NULL : a->io.mask + first;
    const float *const lp = a->io.logprob + first;
    const float *const old = (a->reads_old ? a->io.old : a->io.logprob) + first;
    const float *const rollout = (a->reads_rollout ? a->io.rollout : a->io.logprob) + first;
    const float *const advantages = a->io.advantages + first;
    const merit_policy_sequence sequence = *s;
    const merit_policy_loss_desc d = a->d;
    for (int start = 0; start < length; start += MERIT_LANES) {
        const int count = length - start < MERIT_LANES ? length - start : MERIT_LANES;
        for (int j = 0; j < count; j++) {
            const int i = start + j;
            const float A = kind == MERIT_POLICY_BEFORE_ADVANTAGE ? advantages[i] : 0.0f;
            const double term =
                merit_policy_before_term(&d, &sequence, kind, lp[i], old[i], rollout[i], A);
            lanes[j] = m_add64(lanes[j], mask == NULL || mask[i] != 0 ? term : 0.0);
        }
    }
}

static void add_before(const policy_work *w, int kind, int64_t first, int length, double *lanes)
{
    switch (kind) {
    case MERIT_POLICY_BEFORE_LOG_RATIO:
        add_before_as(w->a, &w->s, MERIT_POLICY_BEFORE_LOG_RATIO, first, length, lanes);
        break;
    case MERIT_POLICY_BEFORE_MISMATCH:
        add_before_as(w->a, &w->s, MERIT_POLICY_BEFORE_MISMATCH, first, length, lanes);
        break;
    case MERIT_POLICY_BEFORE_REJECT:
        add_before_as(w->a, &w->s, MERIT_POLICY_BEFORE_REJECT, first, length, lanes);
        break;
    case MERIT_POLICY_BEFORE_ADVANTAGE:
        add_before_as(w->a, &w->s, MERIT_POLICY_BEFORE_ADVANTAGE, first, length, lanes);
        break;
    default: add_before_as(w->a, &w->s, MERIT_POLICY_BEFORE_BOUNDED, first, length, lanes); break;
    }
}

static double sum_before(const policy_work *w, int kind)
{
    const merit_policy_span *const span = &w->s.span;
    double lanes[MERIT_LANES];
    merit_tile_sum tiles = {0};
    for (int64_t start = 0; start < span->size; start += MERIT_TILE) {
        const int64_t left = span->size - start;
        const int length = (int)(left < MERIT_TILE ? left : MERIT_TILE);
        const int width = merit_tile_width(length);
        memset(lanes, 0, (size_t)width * sizeof(double));
        add_before(w, kind, span->begin + start, length, lanes);
        merit_tile_sum_push(&tiles, merit_lanes_fold64(lanes, width));
    }
    return merit_tile_sum_finish(&tiles);
}

static void look_ahead(policy_work *w)
{
    merit_policy_sequence *const s = &w->s;
    s->valid = s->is_dead ? 0 : policy_count_valid(&s->span, w->a->io.mask);
    merit_policy_counted(w->a, s);
    if (s->valid == 0) return;
    for (int kind = 0; kind < MERIT_POLICY_BEFORE_KINDS; kind++) {
        if (merit_policy_needs_before(w->a, kind)) {
            merit_policy_take(w->a, s, kind, sum_before(w, kind));
        }
    }
}

// Sweeps ------------------------------------------------------------------------------------------

static uint32_t active_cells(const merit_policy_loss_args *a)
{
    const int has_kl = a->d.kl_coef > 0.0f;
    const int has_entropy = a->d.entropy_coef != 0.0f;
    const int has_mismatch = a->d.mismatch_level != MERIT_POLICY_LEVEL_NONE;
    uint32_t cells = 1u << MERIT_POLICY_CELL_POLICY;
    cells |= (uint32_t)has_kl << MERIT_POLICY_CELL_KL;
    cells |= (uint32_t)has_entropy << MERIT_POLICY_CELL_ENTROPY;
    cells |= (uint32_t)(a->goes_through != 0) << MERIT_POLICY_CELL_SLOPE;
    if (a->io.stats == NULL) return cells;
    cells |= 1u << MERIT_POLICY_CELL_RATIO | 1u << MERIT_POLICY_CELL_RATIO_SQUARED |
             1u << MERIT_POLICY_CELL_K1 | 1u << MERIT_POLICY_CELL_K3;
    cells |= (uint32_t)has_kl << MERIT_POLICY_CELL_KL_REF;
    cells |= (uint32_t)(a->reads_entropy != 0) << MERIT_POLICY_CELL_ENTROPY_SEEN;
    cells |= (uint32_t)has_mismatch << MERIT_POLICY_CELL_MISMATCH;
    cells |= (uint32_t)(a->reads_rollout != 0) << MERIT_POLICY_CELL_GAP;
    return cells;
}

static void start_tile(policy_sums *s, uint32_t cells, int length)
{
    const int width = merit_tile_width(length);
    for (; cells != 0; cells &= cells - 1) {
        memset(s->lanes[__builtin_ctz(cells)], 0, (size_t)width * sizeof(double));
    }
}

static void finish_tile(policy_sums *s, uint32_t cells, int length)
{
    const int width = merit_tile_width(length);
    for (; cells != 0; cells &= cells - 1) {
        const int k = __builtin_ctz(cells);
        merit_tile_sum_push(&s->tiles[k], merit_lanes_fold64(s->lanes[k], width));
    }
}

static void start_sums(policy_work *w)
{
    for (uint32_t left = w->cells; left != 0; left &= left - 1) {
        w->sums.tiles[__builtin_ctz(left)].count = 0;
    }
}

static void finish_sums(policy_work *w)
{
    for (uint32_t left = w->cells; left != 0; left &= left - 1) {
        const int k = __builtin_ctz(left);
        w->sums.sums[k] = merit_tile_sum_finish(&w->sums.tiles[k]);
    }
}

// adds: into the sums; writes: the outputs.
static void sweep(policy_work *w, int adds, int writes)
{
    const merit_policy_loss_args *const a = w->a;
    const merit_policy_span *const span = &w->s.span;
    policy_chunk *const p = &w->chunk;
    policy_sums *const sums = &w->sums;
    if (adds) start_sums(w);
    for (int64_t start = 0; start < span->size; start += MERIT_TILE) {
        const int64_t left = span->size - start;
        const int length = (int)(left < MERIT_TILE ? left : MERIT_TILE);
        if (adds) start_tile(sums, w->cells, length);
        for (int at = 0; at < length; at += POLICY_CHUNK) {
            p->start = span->begin + start + at;
            p->count = length - at < POLICY_CHUNK ? length - at : POLICY_CHUNK;
            policy_work_out(a, &w->s, p);
            if (adds) {
                policy_add_loss(a, p, sums, at % MERIT_LANES);
                if (a->goes_through) policy_add_slopes(a, p, sums, at % MERIT_LANES);
                if (a->io.stats != NULL) {
                    policy_add_statistics(a, p, sums, at % MERIT_LANES);
                    policy_tally(a, &w->s, p, &w->tally);
                }
            }
            if (writes) policy_write(a, &w->s, p);
        }
        if (adds) finish_tile(sums, w->cells, length);
    }
    if (adds) finish_sums(w);
}

// The common case: both at once, since what goes through the ratio of a sequence is known before.
static void sweep_common(policy_work *w)
{
    const merit_policy_loss_args *const a = w->a;
    const merit_policy_span *const span = &w->s.span;
    policy_common *const p = &w->common;
    policy_sums *const sums = &w->sums;
    const uint32_t cells = w->cells & ~(1u << MERIT_POLICY_CELL_SLOPE);
    start_sums(w);
    for (int64_t start = 0; start < span->size; start += MERIT_TILE) {
        const int64_t left = span->size - start;
        const int length = (int)(left < MERIT_TILE ? left : MERIT_TILE);
        start_tile(sums, cells, length);
        for (int at = 0; at < length; at += POLICY_CHUNK) {
            const int64_t token = span->begin + start + at;
            const int count = length - at < POLICY_CHUNK ? length - at : POLICY_CHUNK;
            policy_common_work_out(a, token, count, p);
            if (a->io.stats != NULL) {
                policy_common_statistics(a, &w->s, p, at % MERIT_LANES, sums, &w->tally);
            }
            policy_common_add(a, &w->s, p, token, at % MERIT_LANES, sums);
        }
        finish_tile(sums, cells, length);
    }
    finish_sums(w);
}

// One ratio for the sequence and nothing else that differs between its tokens.
static void write_equal(policy_work *w)
{
    const merit_policy_loss_args *const a = w->a;
    const merit_policy_span *const span = &w->s.span;
    const policy_common *const p = &w->common;
    memset(w->sums.sums, 0, sizeof w->sums.sums);
    w->sums.sums[MERIT_POLICY_CELL_POLICY] = policy_common_equal(w->s.valid, p->loss[0]);
    if (a->io.grad_logprob == NULL) return;
    const float g = merit_policy_gradient(a, &w->s, 1.0f, 1.0f, p->slope[0], 0.0f, p->shared);
    float *const to = a->io.grad_logprob + span->begin;
    const uint8_t *const mask = a->io.mask == NULL ? NULL : a->io.mask + span->begin;
    for (int64_t i = 0; i < span->size; i++) {
        to[i] = mask == NULL || mask[i] != 0 ? g : 0.0f;
    }
}

static void run_common(policy_work *w)
{
    const merit_policy_loss_args *const a = w->a;
    policy_common *const p = &w->common;
    if (!p->by_token && a->goes_through) {
        merit_policy_take_slope(a, &w->s, policy_common_equal(w->s.valid, p->ratio_slope));
        p->shared = m_round32(w->s.slope);
    }
    if (!p->by_token && !p->has_kl && a->io.stats == NULL) {
        write_equal(w);
    } else {
        sweep_common(w);
    }
}

// Writes a value to every output of tokens [begin, begin + count).
static void fill(const merit_policy_loss_args *a, int64_t begin, int64_t count, float value)
{
    float *const outputs[] = {a->io.grad_logprob, a->io.grad_entropy, a->io.token_loss};
    for (int k = 0; k < 3; k++) {
        if (outputs[k] == NULL) continue;
        for (int64_t i = 0; i < count; i++) {
            outputs[k][begin + i] = value;
        }
    }
}

static void run_tokens(policy_work *w)
{
    const merit_policy_loss_args *const a = w->a;
    if (w->is_common && policy_common_begin(a, &w->s, &w->common)) {
        run_common(w);
        return;
    }
    sweep(w, 1, !a->goes_through);
    if (!a->goes_through) return;
    merit_policy_take_slope(a, &w->s, w->sums.sums[MERIT_POLICY_CELL_SLOPE]);
    sweep(w, 0, 1);
}

static void run_sequence(policy_work *w, int64_t n)
{
    const merit_policy_loss_args *const a = w->a;
    merit_policy_sequence *const s = &w->s;
    *s = merit_policy_begin(a, n);
    memset(w->sums.sums, 0, sizeof w->sums.sums);
    fill(a, s->span.begin + s->span.size, s->span.gap, 0.0f);
    if (s->span.refusal != MERIT_POLICY_FINE) {
        merit_policy_tell(&s->span, a->io.diagnostics);
        if (s->span.size > 0) fill(a, s->span.begin, s->span.size, m_nan32());
        merit_policy_write_terms(a, s, n, w->sums.sums);
        return;
    }
    if (a->needs_sequence) look_ahead(w);
    const uint64_t tokens = w->tally.counts[MERIT_POLICY_COUNT_TOKENS];
    const uint64_t rejected = w->tally.counts[MERIT_POLICY_COUNT_REJECTED];
    if (a->needs_sequence && s->valid == 0) {
        fill(a, s->span.begin, s->span.size, 0.0f);
    } else {
        if (!a->needs_sequence) s->valid = s->span.size; // any number but 0
        run_tokens(w);
    }
    const uint64_t valid = w->tally.counts[MERIT_POLICY_COUNT_TOKENS] - tokens;
    const uint64_t lost = w->tally.counts[MERIT_POLICY_COUNT_REJECTED] - rejected;
    w->tally.counts[MERIT_POLICY_COUNT_NONEMPTY] += valid > 0;
    w->tally.counts[MERIT_POLICY_COUNT_REJECTED_SEQUENCES] += valid > 0 && lost == valid;
    merit_policy_write_terms(a, s, n, w->sums.sums);
}

static void run_sequences(void *state, int64_t begin, int64_t end)
{
    merit_policy_loss_args *const a = state;
    policy_work w;
    w.a = a;
    w.is_common = policy_is_common(a);
    w.cells = active_cells(a);
    policy_common_start(a, &w.common);
    memset(&w.sums.lanes, 0, sizeof w.sums.lanes); // vectors reach beyond the lanes of a short tile
    memset(&w.tally, 0, sizeof w.tally);
    for (int64_t n = begin; n < end; n++) {
        run_sequence(&w, n);
    }
    if (a->io.stats != NULL) policy_add_tally(&a->terms, &w.tally);
}

static void write_outside(const merit_policy_loss_args *a)
{
    const merit_policy_outside o = merit_policy_outside_of(&a->layout);
    fill(a, 0, o.before, 0.0f);
    fill(a, o.after, a->layout.num_tokens - o.after, 0.0f);
}

// Launcher ----------------------------------------------------------------------------------------

int MERIT_BACKEND_FN(policy_loss)(const merit_policy_loss_args *args, const merit_launch *launch);

int MERIT_BACKEND_FN(policy_loss)(const merit_policy_loss_args *args, const merit_launch *launch)
{
    merit_policy_loss_args a = *args;
    const int64_t sequences = a.terms.count;
    const int64_t per_sequence = sequences > 0 ? a.layout.num_tokens / sequences + 1 : 1;
    const int64_t grain = POLICY_GRAIN_TOKENS / per_sequence + 1;
    merit_parallel_ranges(launch->num_threads, sequences, grain, run_sequences, &a);
    write_outside(&a);
    merit_policy_totals totals = {{0.0}};
    merit_policy_tally tally;
    memset(&tally, 0, sizeof tally);
    if (sequences > 0) {
        if (a.io.loss != NULL || a.io.loss_tiles != NULL || a.io.stats != NULL) {
            totals = policy_fold(&a.terms, launch->num_threads);
        }
        if (a.io.stats != NULL) tally = policy_take_tally(&a.terms);
    }
    merit_policy_write_totals(&a, totals.sums, &tally);
    return 0;
}
