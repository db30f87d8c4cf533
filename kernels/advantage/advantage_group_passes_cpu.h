// advantage_group, CPU: the passes over one group. A group of at most 4096 members stays in a buffer on
// the stack; a larger one is read again, tile by tile, for each pass over it.
#ifndef MERIT_ADVANTAGE_GROUP_PASSES_CPU_H
#define MERIT_ADVANTAGE_GROUP_PASSES_CPU_H

#include "../core/lanes_cpu.h"
#include "advantage_group.h"
#include "advantage_group_straight_cpu.h"

enum { RESIDENT = MERIT_ADVANTAGE_PAIRS_LIMIT };

enum { IN_MASK = 1, IN_V = 2, SKIPPED = 4, NO_ROW = 8 };

typedef struct group_work {
    const merit_advantage_group_args *args;
    int64_t group;
    merit_advantage_span span;
    int32_t set;
    int32_t resident;
    int32_t straight; // straight_takes
    merit_advantage_shape shape;
    merit_advantage_partial partial;
    int saw;
    double x[RESIDENT];
    double *u; // x itself without a transform
    double transformed[RESIDENT];
    double sums[RESIDENT]; // NORMALIZE_FIRST
    uint8_t state[RESIDENT];
    double terms[MERIT_TILE];
} group_work;

// Tiles -------------------------------------------------------------------------------------------

static int64_t num_tiles(const group_work *w)
{
    return (w->span.size + MERIT_TILE - 1) / MERIT_TILE;
}

static int tile_length(const group_work *w, int64_t tile)
{
    const int64_t left = w->span.size - tile * MERIT_TILE;
    return (int)(left < MERIT_TILE ? left : MERIT_TILE);
}

// Where a tile lies in the buffers.
static int64_t tile_place(const group_work *w, int64_t tile)
{
    return w->resident ? tile * MERIT_TILE : 0;
}

static void read_tile(group_work *w, int64_t tile, int counting)
{
    const merit_advantage_group_args *const a = w->args;
    const int64_t place = tile_place(w, tile);
    const int length = tile_length(w, tile);
    uint64_t nans = 0;
    uint64_t infs = 0;
    uint64_t lost = 0;
    if (w->straight) {
        straight_read(a, w->span.begin + tile * MERIT_TILE, length, w->x + place, &nans, &infs);
        memset(w->state + place, IN_MASK | IN_V, (size_t)length);
    }
    for (int j = 0; j < length && !w->straight; j++) {
        const int64_t row = merit_advantage_row(a, w->span.begin, tile * MERIT_TILE + j);
        if (row < 0) {
            w->x[place + j] = 0.0;
            w->state[place + j] = NO_ROW;
            lost++;
            continue;
        }
        const merit_advantage_member m = merit_advantage_load(a, row, w->set);
        w->x[place + j] = m.x;
        w->state[place + j] =
            (uint8_t)((m.in_mask ? IN_MASK : 0) | (m.in_v ? IN_V : 0) | (m.skipped ? SKIPPED : 0));
        nans += (uint64_t)m.nans;
        infs += (uint64_t)m.infs;
    }
    if (nans + infs > 0) w->saw |= MERIT_ADVANTAGE_SAW_NONFINITE;
    if (lost > 0) w->saw |= MERIT_ADVANTAGE_SAW_BAD_INDEX;
    if (!counting) return;
    m_count(a->io.diagnostics, MERIT_COUNTER_NAN_IN, nans);
    m_count(a->io.diagnostics, MERIT_COUNTER_INF_IN, infs);
    if (w->set == 0) m_count(a->io.diagnostics, MERIT_COUNTER_BAD_INDEX, lost);
}

// Sum over the tile of terms[j], j = 0 .. length - 1, set by the caller.
static double sum_terms(const group_work *w, int length)
{
    return merit_tile_sum64(w->terms, length);
}

// Passes ------------------------------------------------------------------------------------------

// First pass: count and range of x over V. Without a transform a straight group gets them from its
// statistics instead, in the same reading.
static void find_shape(group_work *w)
{
    merit_advantage_shape s = {.count = 0, .x_min = m_inf64(), .x_max = -m_inf64()};
    for (int64_t tile = 0; tile < num_tiles(w); tile++) {
        read_tile(w, tile, w->args->first_pass == MERIT_ADVANTAGE_PASS_APPLY);
        const int64_t place = tile_place(w, tile);
        const int length = tile_length(w, tile);
        if (w->straight) {
            s.count += length;
            straight_range(w->x + place, length, &s.x_min, &s.x_max);
        }
        for (int j = 0; j < length && !w->straight; j++) {
            if (!(w->state[place + j] & IN_V)) continue;
            s.count++;
            s.x_min = m_min64(s.x_min, w->x[place + j]);
            s.x_max = m_max64(s.x_max, w->x[place + j]);
        }
    }
    w->shape = s;
}

static void find_exp_sum(group_work *w)
{
    merit_tile_sum sum = {0};
    for (int64_t tile = 0; tile < num_tiles(w); tile++) {
        if (!w->resident) read_tile(w, tile, 0);
        const int64_t place = tile_place(w, tile);
        const int length = tile_length(w, tile);
        for (int j = 0; j < length; j++) {
            const double e = merit_advantage_softmax_term(w->x[place + j], w->shape.x_max,
                                                          (double)w->args->d.temperature);
            w->terms[j] = w->state[place + j] & IN_V ? e : 0.0;
        }
        merit_tile_sum_push(&sum, sum_terms(w, length));
    }
    w->shape.exp_sum = merit_tile_sum_finish(&sum);
}

// Log-sum-exp over the members of V other than i, of a resident group.
static double others_lse(group_work *w, int64_t i)
{
    double max = -m_inf64();
    for (int64_t j = 0; j < w->span.size; j++) {
        if (j != i && (w->state[j] & IN_V)) max = m_max64(max, w->x[j]);
    }
    merit_tile_sum sum = {0};
    for (int64_t tile = 0; tile < num_tiles(w); tile++) {
        const int64_t place = tile_place(w, tile);
        const int length = tile_length(w, tile);
        for (int j = 0; j < length; j++) {
            const int counts = place + j != i && (w->state[place + j] & IN_V);
            w->terms[j] = counts ? m_exp64(m_sub64(w->x[place + j], max)) : 0.0;
        }
        merit_tile_sum_push(&sum, sum_terms(w, length));
    }
    return m_add64(max, m_log64(merit_tile_sum_finish(&sum)));
}

static double loo_lme_of(group_work *w, int64_t i)
{
    const int in_v = (w->state[i] & IN_V) != 0;
    const int64_t others = w->shape.count - in_v;
    if (others == 0) return w->x[i];
    const int all_equal = merit_moments_all_equal(w->shape.x_min, w->shape.x_max);
    if (all_equal && w->x[i] == w->shape.x_min) return 0.0;
    return merit_advantage_loo_lme(w->x[i], others_lse(w, i), others);
}

static double rank_of(const group_work *w, int64_t i)
{
    int64_t above = 0;
    int64_t equal = 0;
    int64_t earlier = 0;
    for (int64_t j = 0; j < w->span.size; j++) {
        if (!(w->state[j] & IN_V) || j == i) continue;
        above += w->x[j] > w->x[i];
        equal += w->x[j] == w->x[i];
        earlier += w->x[j] == w->x[i] && j < i;
    }
    return merit_advantage_rank(w->args->d.rank_ties, above, equal, earlier, w->shape.count);
}

// u of a tile whose x is in the buffers.
static void transform_tile(group_work *w, int64_t tile)
{
    const merit_advantage_group_desc *const d = &w->args->d;
    const int64_t place = tile_place(w, tile);
    const int length = tile_length(w, tile);
    if (d->transform == MERIT_TRANSFORM_NONE) return;
    for (int64_t i = place; i < place + length; i++) {
        if (!(w->state[i] & (IN_MASK | IN_V)) || (w->state[i] & SKIPPED)) {
            w->u[i] = w->x[i];
        } else if (m_is_nan64(w->shape.x_max) || m_is_nan64(w->x[i])) {
            w->u[i] = m_nan64();
        } else if (d->transform == MERIT_TRANSFORM_RANK) {
            w->u[i] = rank_of(w, i);
        } else if (d->transform == MERIT_TRANSFORM_SOFTMAX) {
            const double e =
                merit_advantage_softmax_term(w->x[i], w->shape.x_max, (double)d->temperature);
            w->u[i] = m_div64(e, w->shape.exp_sum);
        } else {
            w->u[i] = loo_lme_of(w, i);
        }
    }
}

// x and u of a tile; of a resident group they are there after the first visit.
static void visit_tile(group_work *w, int64_t tile)
{
    if (w->resident) return;
    read_tile(w, tile, 0);
    transform_tile(w, tile);
}

static merit_moments tile_moments(group_work *w, int64_t tile, int64_t left_out)
{
    const int64_t place = tile_place(w, tile);
    const int length = tile_length(w, tile);
    merit_moments r = merit_moments_empty();
    if (w->straight && left_out < 0) return straight_moments(w->u + place, length);
    for (int j = 0; j < length; j++) {
        const int counts = (w->state[place + j] & IN_V) && place + j != left_out;
        w->terms[j] = counts ? w->u[place + j] : 0.0;
        if (!counts) continue;
        r.count += 1.0;
        r.min = m_min64(r.min, w->u[place + j]);
        r.max = m_max64(r.max, w->u[place + j]);
    }
    if (r.count == 0.0) return r;
    const int equal = merit_moments_all_equal(r.min, r.max);
    r.mean = equal ? r.min : m_div64(sum_terms(w, length), r.count);
    if (equal) return r;
    for (int j = 0; j < length; j++) {
        const int counts = (w->state[place + j] & IN_V) && place + j != left_out;
        const double deviation = m_sub64(w->u[place + j], r.mean);
        w->terms[j] = counts ? m_mul64(deviation, deviation) : 0.0;
    }
    r.m2 = sum_terms(w, length);
    return r;
}

static merit_advantage_partial tile_partial(group_work *w, int64_t tile)
{
    const float *const weights = w->args->io.weights;
    const int64_t place = tile_place(w, tile);
    const int length = tile_length(w, tile);
    merit_advantage_partial p = merit_advantage_partial_empty();
    p.record.moments = tile_moments(w, tile, -1);
    const int nonzero = w->args->d.scale == MERIT_SCALE_NONZERO_SHARE;
    const int best = w->args->d.center == MERIT_CENTER_RUNNER_UP;
    for (int j = 0; j < length && (nonzero || best); j++) {
        const double u = w->u[place + j];
        if (!(w->state[place + j] & IN_V)) continue;
        if (u != 0.0) p.record.nonzero += 1.0;
        if (best) p = merit_advantage_merge_best(p, u, -m_inf64(), tile * MERIT_TILE + j);
    }
    if (weights == NULL) return p;
    for (int sum = 0; sum < 2; sum++) {
        for (int j = 0; j < length; j++) {
            const int64_t row = merit_advantage_row(w->args, w->span.begin, tile * MERIT_TILE + j);
            const int counts = w->state[place + j] & IN_V;
            const double weight = counts ? (double)weights[row] : 0.0;
            w->terms[j] = !counts ? 0.0 : sum == 0 ? weight : m_mul64(weight, w->u[place + j]);
        }
        *(sum == 0 ? &p.sum_w : &p.sum_wu) = sum_terms(w, length);
    }
    return p;
}

// A group whose first reading is that of its statistics.
static int reads_once(const group_work *w)
{
    return w->straight && w->args->d.transform == MERIT_TRANSFORM_NONE;
}

static void find_partial(group_work *w)
{
    merit_advantage_tiles tiles;
    tiles.count = 0;
    if (reads_once(w)) {
        for (int64_t tile = 0; tile < num_tiles(w); tile++) {
            read_tile(w, tile, w->args->first_pass == MERIT_ADVANTAGE_PASS_APPLY);
            merit_advantage_tiles_push(&tiles, tile_partial(w, tile));
        }
        w->partial = merit_advantage_tiles_finish(&tiles);
        w->shape.count = (int64_t)w->partial.record.moments.count;
        w->shape.x_min = w->partial.record.moments.min;
        w->shape.x_max = w->partial.record.moments.max;
        return;
    }
    if (w->args->d.transform == MERIT_TRANSFORM_SOFTMAX && w->shape.count > 0) find_exp_sum(w);
    if (w->resident) {
        for (int64_t tile = 0; tile < num_tiles(w); tile++) {
            transform_tile(w, tile);
        }
    }
    for (int64_t tile = 0; tile < num_tiles(w); tile++) {
        visit_tile(w, tile);
        merit_advantage_tiles_push(&tiles, tile_partial(w, tile));
    }
    w->partial = merit_advantage_tiles_finish(&tiles);
}

static void find_deviation_scale(group_work *w, merit_advantage_rule *rule)
{
    merit_tile_sum sum = {0};
    for (int64_t tile = 0; tile < num_tiles(w); tile++) {
        visit_tile(w, tile);
        const int64_t place = tile_place(w, tile);
        const int length = tile_length(w, tile);
        for (int j = 0; j < length; j++) {
            const int64_t i = tile * MERIT_TILE + j;
            const int64_t row = merit_advantage_row(w->args, w->span.begin, i);
            w->terms[j] =
                w->state[place + j] & IN_V
                    ? merit_advantage_deviation(w->args, rule, w->u[place + j], i, row, w->group)
                    : 0.0;
        }
        merit_tile_sum_push(&sum, sum_terms(w, length));
    }
    merit_advantage_set_deviation_scale(w->args, merit_tile_sum_finish(&sum), rule);
}

// Deviation of the members of V other than i, of a resident group.
static double others_std(group_work *w, int64_t i)
{
    merit_moments r = merit_moments_empty();
    for (int64_t tile = 0; tile < num_tiles(w); tile++) {
        r = merit_moments_merge(r, tile_moments(w, tile, i));
    }
    if (r.count < 2.0) return 0.0;
    return merit_advantage_std(r.m2, r.count, w->args->d.ddof);
}

#endif
