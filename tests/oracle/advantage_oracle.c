#include "advantage_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advantage_oracle_group.h"

enum { TRANSFORM_LIMIT = 4096 }; // RANK, LEAVE_ONE_OUT_LME and LEAVE_ONE_OUT_STD

typedef struct oracle_call {
    const merit_advantage_group_desc *desc;
    const merit_advantage_group_io *io;
    advantage_oracle *out;
    int64_t num_columns_read; // per set
    oracle_member *members; // [num_sets][R positions]
    oracle_group *groups; // [num_sets][N]; size -1: a group that is NaN as a whole
    unsigned char *nonfinite; // [num_sets][N]
} oracle_call;

// Reading -----------------------------------------------------------------------------------------

static int is_invalid(const merit_advantage_group_desc *d, double r)
{
    if (d->invalid == MERIT_INVALID_SKIP_NAN) return isnan(r);
    return d->invalid == MERIT_INVALID_SKIP_NONFINITE && !isfinite(r);
}

static double clip(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static int in_mask(const merit_advantage_group_io *io, int64_t row)
{
    return io->mask == NULL || io->mask[row] != 0;
}

static int in_statistics(const merit_advantage_group_io *io, int64_t row)
{
    return io->stats_mask == NULL ? in_mask(io, row) : io->stats_mask[row] != 0;
}

// x of one row in one set, from the columns of that set.
static void read_member(oracle_call *call, int64_t set, int64_t n, oracle_member *m)
{
    const merit_advantage_group_desc *const d = call->desc;
    const merit_advantage_group_io *const io = call->io;
    const int64_t row_stride = d->reward_row_stride != 0 ? d->reward_row_stride : d->num_columns;
    const int combines = d->columns == MERIT_COLUMNS_COMBINE_FIRST;
    int64_t valid = 0;
    m->is_masked_in = in_mask(io, m->row);
    if (!m->is_masked_in && !in_statistics(io, m->row)) return;
    for (int64_t k = set; k < set + call->num_columns_read; k++) {
        const double r = oracle_element(io->rewards, d->reward_dtype,
                                        m->row * row_stride + k * d->reward_column_stride);
        call->out->counters[MERIT_COUNTER_NAN_IN] += isnan(r);
        call->out->counters[MERIT_COUNTER_INF_IN] += isinf(r) != 0;
        if (!isfinite(r)) call->nonfinite[set * d->groups.num_groups + n] = 1;
        if (is_invalid(d, r)) continue;
        valid++;
        const double w = combines && io->column_weights != NULL ? io->column_weights[k] : 1.0;
        m->x = combines ? fma(w, r, m->x) : r;
    }
    m->x = clip(m->x, d->reward_low, d->reward_high);
    m->is_skipped = valid == 0;
    m->is_counted = in_statistics(io, m->row) && !m->is_skipped;
    m->weight = io->weights != NULL && m->is_counted ? io->weights[m->row] : 1.0;
    if (d->center == MERIT_CENTER_BASELINE) {
        m->baseline = io->baseline != NULL
                          ? oracle_element(io->baseline, d->baseline_dtype, m->row)
                          : oracle_element(io->baseline_per_group, d->baseline_dtype, n);
    }
}

// Groups ------------------------------------------------------------------------------------------

static void set_row_nan(oracle_call *call, int64_t row)
{
    const int64_t width = call->out->num_values / call->desc->num_rows;
    for (int64_t k = 0; k < width; k++) {
        const int64_t i = row * width + k;
        call->out->advantages[i] = NAN;
        call->out->keep[i] = 0;
        call->out->written[i] = 1;
    }
}

// Row of a position, or -1.
static int64_t row_of(const merit_advantage_group_desc *d, int64_t position)
{
    const int32_t *const index = d->groups.index;
    const int64_t row = index != NULL ? index[position] : position;
    return row >= 0 && row < d->num_rows ? row : -1;
}

static void set_positions_nan(oracle_call *call, int64_t begin, int64_t end)
{
    for (int64_t p = begin; p < end; p++) {
        const int64_t row = row_of(call->desc, p);
        if (row >= 0) set_row_nan(call, row);
    }
}

static int has_limited_size(const merit_advantage_group_desc *d)
{
    return d->transform == MERIT_TRANSFORM_RANK ||
           d->transform == MERIT_TRANSFORM_LEAVE_ONE_OUT_LME ||
           d->scale == MERIT_SCALE_LEAVE_ONE_OUT_STD;
}

// Bounds of group n; 0 when the group as a whole is NaN, its rows dealt with.
static int group_bounds(oracle_call *call, int64_t n, int64_t *begin, int64_t *end)
{
    const merit_advantage_group_desc *const d = call->desc;
    const merit_groups *const g = &d->groups;
    double *const counters = call->out->counters;
    if (g->group_size > 0) {
        *begin = n * (g->group_stride != 0 ? g->group_stride : g->group_size);
        *end = *begin + g->group_size;
        return 1;
    }
    *begin = g->offsets[n], *end = g->offsets[n + 1];
    if (*begin < 0 || *begin > *end || *end > d->num_rows) {
        counters[MERIT_COUNTER_BAD_OFFSETS]++;
        if (*begin >= 0 && *begin <= d->num_rows && *end > d->num_rows) {
            set_positions_nan(call, *begin, d->num_rows);
        }
        return 0;
    }
    int bad = 0;
    for (int64_t p = *begin; p < *end; p++) {
        bad += row_of(d, p) < 0;
    }
    counters[MERIT_COUNTER_BAD_INDEX] += bad;
    const int64_t size = *end - *begin;
    const int too_large =
        (g->max_size > 0 && size > g->max_size) || (has_limited_size(d) && size > TRANSFORM_LIMIT);
    counters[MERIT_COUNTER_GROUP_TOO_LARGE] += too_large;
    if (bad > 0 || too_large) set_positions_nan(call, *begin, *end);
    return bad == 0 && !too_large;
}

static void build_groups(oracle_call *call)
{
    const merit_advantage_group_desc *const d = call->desc;
    const int64_t N = d->groups.num_groups, sets = call->out->num_sets;
    for (int64_t n = 0; n < N; n++) {
        int64_t begin, end;
        const int is_whole = group_bounds(call, n, &begin, &end);
        for (int64_t set = 0; set < sets; set++) {
            oracle_group *const g = &call->groups[set * N + n];
            g->desc = d;
            g->has_weights = call->io->weights != NULL;
            g->size = is_whole ? end - begin : -1;
            if (!is_whole) continue;
            g->members = call->members + set * d->num_rows + begin;
            for (int64_t i = 0; i < g->size; i++) {
                // where offsets decrease, a position can be in two groups: nothing of the first stays
                g->members[i] = (oracle_member){.row = row_of(d, begin + i)};
                read_member(call, set, n, &g->members[i]);
            }
            oracle_group_transform(g);
            oracle_group_count(g);
        }
    }
}

// Rows of no group.
static void mark_ungrouped(oracle_call *call)
{
    const merit_advantage_group_desc *const d = call->desc;
    const merit_groups *const g = &d->groups;
    int64_t head = 0, tail;
    if (g->group_size > 0) {
        tail = g->num_groups * (g->group_stride != 0 ? g->group_stride : g->group_size);
    } else {
        head = g->offsets[0];
        tail = g->offsets[g->num_groups];
    }
    for (int64_t p = 0; p < d->num_rows; p++) {
        if (p >= head && p < tail) continue;
        const int64_t row = row_of(d, p);
        call->out->counters[row >= 0 ? MERIT_COUNTER_UNGROUPED : MERIT_COUNTER_BAD_INDEX]++;
        if (row >= 0) set_row_nan(call, row);
    }
}

// Outputs -----------------------------------------------------------------------------------------

static real map(const merit_advantage_group_desc *d, real a, real *error)
{
    if (d->map == MERIT_MAP_SIGN) {
        *error = fabsl(a) <= *error && *error > 0 ? INFINITY : 0;
        return a > 0 ? 1 : a < 0 ? -1 : a == 0 ? d->sign_tie : NAN;
    }
    if (d->map == MERIT_MAP_UNIT) {
        *error = *error / (2 * d->map_range) + 0x1p-52L;
        const real m = a / (2 * (real)d->map_range) + 0.5L;
        return m < 0 ? 0 : m > 1 ? 1 : m;
    }
    return a;
}

static double last_place(double a, int digits, int least)
{
    int exponent;
    frexp(a, &exponent);
    exponent = a == 0 || exponent - digits < least ? least : exponent - digits;
    return ldexp(1.0, exponent);
}

// Map, clip, gain, add and the last rounding.
static void finish(oracle_call *call, int64_t i, int64_t row, real a, real error, int is_kept)
{
    const merit_advantage_group_desc *const d = call->desc;
    const merit_advantage_group_io *const io = call->io;
    real m = map(d, a, &error);
    m = m < d->low ? d->low : m > d->high ? d->high : m;
    real value = d->gain * m;
    error *= fabsl(d->gain);
    if (io->add != NULL) {
        const int64_t at = io->add_index != NULL ? io->add_index[row] : row;
        const int is_bad = at < 0 || at >= (io->num_add != 0 ? io->num_add : d->num_rows);
        call->out->counters[MERIT_COUNTER_BAD_INDEX] += is_bad;
        error += 0x1p-52L * fabsl(value);
        value = is_bad ? NAN : value + io->add[at];
    }
    error += 0x1p-52L * fabsl(value);
    double out = (double)value;
    const int is_single = d->advantage_dtype == MERIT_DTYPE_F32;
    if (is_single && isinf((float)out)) out = (float)out;
    if (isfinite(out)) {
        error += 0.51L * (is_single ? last_place(out, 24, -149) : last_place(out, 53, -1074));
    }
    call->out->advantages[i] = out;
    call->out->limits[i] = isnan(error) ? INFINITY : (double)error;
    call->out->undecided += isinf(call->out->limits[i]) && isfinite(out);
    call->out->keep[i] = is_kept && !isnan(value);
    call->out->written[i] = 1;
}

// One row of one group: over the sets of NORMALIZE_FIRST, else of one set.
static void finish_member(oracle_call *call, int64_t n, int64_t set, int64_t position)
{
    const merit_advantage_group_desc *const d = call->desc;
    const int64_t N = d->groups.num_groups;
    const int joins = d->columns == MERIT_COLUMNS_NORMALIZE_FIRST;
    const int64_t last = joins ? call->out->num_sets : set + 1;
    const int64_t row = call->groups[set * N + n].members[position].row;
    const int64_t width = call->out->num_values / d->num_rows;
    const int64_t i = row * width + (width > 1 ? set : 0);
    real sum = 0, error = 0;
    int is_skipped = 1, is_equal = 1;
    if (!in_mask(call->io, row)) {
        call->out->advantages[i] = 0, call->out->limits[i] = 0;
        call->out->keep[i] = 0, call->out->written[i] = 1;
        return;
    }
    for (int64_t k = set; k < last; k++) {
        const oracle_group *const g = &call->groups[k * N + n];
        const oracle_member *const m = &g->members[position];
        const real w = joins && call->io->column_weights != NULL ? call->io->column_weights[k] : 1;
        is_equal &= g->stats.x_all_equal;
        if (m->is_skipped) continue;
        is_skipped = 0;
        sum += w * m->a;
        error += fabsl(w) * (m->a_error + (joins ? 0x1p-51L * fabsl(m->a) : 0));
    }
    if (is_skipped) {
        call->out->advantages[i] = 0, call->out->limits[i] = 0;
        call->out->keep[i] = 0, call->out->written[i] = 1;
        return;
    }
    finish(call, i, row, sum, error, !is_equal);
}

static int has_masked_in(const oracle_group *g)
{
    for (int64_t i = 0; i < g->size; i++) {
        if (g->members[i].is_masked_in) return 1;
    }
    return 0;
}

static void write_group(oracle_call *call, int64_t set, int64_t n)
{
    const merit_advantage_group_desc *const d = call->desc;
    advantage_oracle *const out = call->out;
    const oracle_group *const g = &call->groups[set * d->groups.num_groups + n];
    const int64_t i = n * out->num_sets + set;
    out->group_mean[i] = out->group_scale[i] = out->group_min[i] = out->group_max[i] = NAN;
    if (g->size < 0) return;
    const oracle_stats *const s = &g->stats;
    const int incomplete = d->expected_size > 0 && g->size > 0 && g->size != d->expected_size;
    if (set == 0) out->counters[MERIT_COUNTER_INCOMPLETE_GROUP] += incomplete;
    out->counters[MERIT_COUNTER_SINGLETON] += g->used_nan_singleton;
    out->counters[MERIT_COUNTER_NO_STATISTICS] += g->lacked_statistics && has_masked_in(g);
    out->group_count[i] = (double)s->count;
    out->group_flags[i] =
        MERIT_GROUP_FLAG_ALL_EQUAL * s->x_all_equal + MERIT_GROUP_FLAG_SINGLETON * (s->count == 1) +
        MERIT_GROUP_FLAG_EMPTY * (s->count == 0) +
        MERIT_GROUP_FLAG_NONFINITE * call->nonfinite[set * d->groups.num_groups + n] +
        MERIT_GROUP_FLAG_ZERO_RULE * g->used_zero_rule + MERIT_GROUP_FLAG_INCOMPLETE * incomplete;
    out->unsure_flags[i] = g->unsure_zero_rule ? MERIT_GROUP_FLAG_ZERO_RULE : 0;
    if (s->count == 0) return;
    out->group_mean[i] = (double)(g->has_weights ? s->weighted_mean : s->mean);
    out->group_scale[i] = (double)g->scale;
    out->group_min[i] = (double)s->min;
    out->group_max[i] = (double)s->max;
    out->range_limits[i] = (double)(s->u_error);
    out->mean_limits[i] = (double)(s->u_error + ORACLE_ROUNDING * s->size);
    out->scale_limits[i] = (double)(g->scale_error + 0x1p-52L * fabsl(g->scale));
}

static void write_moments(double *record, double *limits, const oracle_stats *s)
{
    const real mean_error = s->u_error + ORACLE_ROUNDING * s->size;
    record[0] = (double)s->count;
    record[1] = s->count > 0 ? (double)s->mean : NAN;
    record[2] = (double)s->m2;
    record[3] = s->count > 0 ? (double)s->min : NAN;
    record[4] = s->count > 0 ? (double)s->max : NAN;
    limits[1] = (double)mean_error;
    limits[2] = (double)(ORACLE_ROUNDING * 4 * s->m2 + s->count * mean_error * mean_error +
                         mean_error * sqrtl(s->count * s->m2));
    limits[3] = limits[4] = (double)s->u_error;
}

static void solve_set(oracle_call *call, int64_t set)
{
    const merit_advantage_group_desc *const d = call->desc;
    const int64_t N = d->groups.num_groups;
    oracle_group *const groups = call->groups + set * N;
    const oracle_stats batch = oracle_batch(groups, N);
    oracle_stats given = {0};
    if (call->io->moments != NULL) {
        const merit_moments *const m = &call->io->moments[set];
        given.count = m->count, given.mean = m->mean, given.m2 = m->m2;
        given.min = m->min, given.max = m->max, given.size = fabsl((real)m->mean);
    }
    advantage_oracle *const out = call->out;
    write_moments(out->batch + 5 * set, out->batch_limits + 5 * set, &batch);
    for (int64_t tile = 0; tile < out->num_tiles; tile++) {
        const int64_t left = N - tile * 2048, at = 5 * (tile * out->num_sets + set);
        const oracle_stats stats = oracle_batch(groups + tile * 2048, left < 2048 ? left : 2048);
        write_moments(out->tile_moments + at, out->tile_moments_limits + at, &stats);
    }
    for (int64_t n = 0; n < N; n++) {
        const int64_t at = 5 * (n * out->num_sets + set);
        const oracle_stats stats = oracle_batch(groups + n, 1);
        write_moments(out->group_moments + at, out->group_moments_limits + at, &stats);
        if (groups[n].size >= 0) oracle_group_apply(&groups[n], &batch, &given);
        write_group(call, set, n);
    }
}

// Calls -------------------------------------------------------------------------------------------

static void *zeros(int64_t count, size_t size)
{
    void *const memory = calloc((size_t)count + 1, size);
    if (memory == NULL) abort();
    return memory;
}

static advantage_oracle *allocate(int64_t values, int64_t records, int64_t sets)
{
    advantage_oracle *const out = zeros(1, sizeof *out);
    out->num_values = values, out->num_records = records, out->num_sets = sets;
    out->advantages = zeros(values, sizeof(double));
    out->limits = zeros(values, sizeof(double));
    out->keep = zeros(values, sizeof(double));
    out->written = zeros(values, 1);
    double **const per_record[] = {&out->group_count, &out->group_flags,  &out->group_mean,
                                   &out->group_scale, &out->group_min,    &out->group_max,
                                   &out->mean_limits, &out->scale_limits, &out->range_limits,
                                   &out->unsure_flags};
    for (size_t i = 0; i < sizeof per_record / sizeof per_record[0]; i++) {
        *per_record[i] = zeros(records, sizeof(double));
    }
    out->batch = zeros(5 * sets, sizeof(double));
    out->batch_limits = zeros(5 * sets, sizeof(double));
    out->group_moments = zeros(5 * records, sizeof(double));
    out->group_moments_limits = zeros(5 * records, sizeof(double));
    out->num_tiles = (records / (sets > 0 ? sets : 1) + 2047) / 2048;
    out->tile_moments = zeros(5 * out->num_tiles * sets, sizeof(double));
    out->tile_moments_limits = zeros(5 * out->num_tiles * sets, sizeof(double));
    return out;
}

void advantage_oracle_free(advantage_oracle *out)
{
    free(out->advantages), free(out->limits), free(out->keep), free(out->written);
    free(out->group_count), free(out->group_flags), free(out->group_mean), free(out->group_scale);
    free(out->group_min), free(out->group_max), free(out->mean_limits), free(out->scale_limits);
    free(out->unsure_flags), free(out->range_limits), free(out->batch), free(out->batch_limits);
    free(out->group_moments), free(out->group_moments_limits);
    free(out->tile_moments), free(out->tile_moments_limits), free(out);
}

advantage_oracle *advantage_oracle_run(const merit_advantage_group_desc *d,
                                       const merit_advantage_group_io *io)
{
    const int combines = d->columns == MERIT_COLUMNS_COMBINE_FIRST;
    const int64_t R = d->num_rows, N = d->groups.num_groups, K = d->num_columns;
    const int64_t sets = combines ? 1 : K;
    const int64_t width = d->columns == MERIT_COLUMNS_SEPARATE ? K : 1;
    oracle_call call = {.desc = d, .io = io, .num_columns_read = combines ? K : 1};
    call.out = allocate(R * width, N * sets, sets);
    call.out->is_empty = R == 0 || N == 0;
    if (call.out->is_empty) return call.out;
    call.members = zeros(sets * R, sizeof *call.members);
    call.groups = zeros(sets * N, sizeof *call.groups);
    call.nonfinite = zeros(sets * N, 1);
    build_groups(&call);
    mark_ungrouped(&call);
    for (int64_t set = 0; set < sets; set++) {
        solve_set(&call, set);
    }
    for (int64_t n = 0; n < N; n++) {
        for (int64_t set = 0; set < (width > 1 ? sets : 1); set++) {
            for (int64_t i = 0; i < call.groups[set * N + n].size; i++) {
                finish_member(&call, n, set, i);
            }
        }
    }
    free(call.members), free(call.groups), free(call.nonfinite);
    return call.out;
}
