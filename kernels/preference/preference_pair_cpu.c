// preference_pair, CPU. Threads own ranges of tiles of 2048 pairs; a tile leaves its sums in the cells
// of the workspace, and the calling thread folds those. Plain calls take the vector path of
// preference_pair_plain_cpu.h.
#include "../backend.h"
#include "../core/lanes_cpu.h"
#include "../core/parallel.h"
#include "preference_pair.h"
#include "preference_pair_common_cpu.h"
#include "preference_pair_plain_cpu.h"

typedef struct pair_work {
    const merit_preference_pair_args *args;
    merit_preference_pair_shared shared;
    double scales[MERIT_PREFERENCE_MAX_ROUTES];
    int32_t pass;
    uint32_t cells; // that the pass fills
    preference_plain_gain gain; // of the plain path
    int32_t is_common; // the vector path takes chunks without invalid pairs
} pair_work;

typedef struct pair_tile {
    double terms[MERIT_PREFERENCE_CELLS][MERIT_TILE];
    uint8_t routes[MERIT_TILE];
} pair_tile;

static double *cell_at(const merit_preference_pair_args *a, int cell, int32_t route, int64_t tile)
{
    return a->cells + ((int64_t)cell * a->d.num_routes + route) * a->num_tiles + tile;
}

// Tiles -------------------------------------------------------------------------------------------

static void count_diagnostics(merit_diagnostics *diagnostics, uint32_t counted)
{
    for (int bit = 0; counted != 0; bit++, counted >>= 1) {
        m_count(diagnostics, MERIT_COUNTER_NONFINITE + bit, counted & 1u);
    }
}

static void add_to_bin(const merit_preference_pair_args *a, const merit_preference_input *in,
                       double z)
{
    const merit_preference_bin_hit h = merit_preference_calibrate(&a->d, in, z);
    merit_preference_bin_count *const bin = &a->bins[in->route * a->d.calibration_bins + h.bin];
    __atomic_fetch_add(&bin->confidence, h.confidence, __ATOMIC_RELAXED);
    __atomic_fetch_add(&bin->count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&bin->hits, h.hits, __ATOMIC_RELAXED);
}

// Pair i: its outputs (main pass) and its terms at place j of the tile.
static void run_pair(const pair_work *w, int64_t i, int j, pair_tile *tile)
{
    const merit_preference_pair_args *const a = w->args;
    const merit_preference_input in = merit_preference_pair_read(a, &w->shared, i);
    merit_preference_result r = {.loss = 0.0};
    if (w->pass == MERIT_PREFERENCE_PASS_MAIN) {
        uint32_t counted = in.counted;
        if (in.state == MERIT_PREFERENCE_USABLE) {
            r = merit_preference_pair_loss(a, &w->shared, &in);
            if (r.overflows) counted |= MERIT_PREFERENCE_COUNTED(NONFINITE);
            if (a->io.calibration != NULL) add_to_bin(a, &in, r.z);
        }
        merit_preference_write(a, &w->shared, w->scales, &in, &r, i);
        if (counted != 0) count_diagnostics(a->io.diagnostics, counted);
    }
    tile->routes[j] = (uint8_t)in.route;
    for (uint32_t left = w->cells; left != 0; left &= left - 1) {
        const int cell = __builtin_ctz(left);
        tile->terms[cell][j] = in.state == MERIT_PREFERENCE_ABSENT
                                   ? merit_preference_neutral(cell)
                                   : m_add64(merit_preference_term(&a->io, cell, &in, &r), 0.0);
    }
}

// Pairs start .. start + count - 1 by vectors, as run_pair does one of them. Returns 0 when nothing was
// done.
static int run_common(const pair_work *w, int64_t start, int count, int place, pair_tile *tile)
{
    const merit_preference_pair_args *const a = w->args;
    preference_common_chunk c;
    if (!preference_common_read(a, start, count, &c, tile->routes + place)) return 0;
    if (w->pass == MERIT_PREFERENCE_PASS_MAIN) {
        preference_common_losses(a, count, &c);
        preference_common_write(a, w->scales, tile->routes + place, start, count, &c);
    }
    for (uint32_t left = w->cells; left != 0; left &= left - 1) {
        const int cell = __builtin_ctz(left);
        double *const terms = tile->terms[cell] + place;
        if (cell < MERIT_PREFERENCE_CELL_COUNTS) {
            preference_common_terms(cell, count, &c, terms);
        } else {
            preference_common_counts(cell == MERIT_PREFERENCE_CELL_MORE_COUNTS, count, &c, terms);
        }
    }
    if (a->io.calibration == NULL || w->pass != MERIT_PREFERENCE_PASS_MAIN) return 1;
    for (int j = 0; j < count; j++) {
        const merit_preference_input in = {.route = tile->routes[place + j], .p = c.p[j]};
        if (c.used[j] != 0.0) add_to_bin(a, &in, c.z[j]);
    }
    return 1;
}

static double fold_extreme(int cell, const double *terms, const uint8_t *routes, int32_t route,
                           int length)
{
    double value = merit_preference_neutral(cell);
    for (int j = 0; j < length; j++) {
        if (routes[j] == route) value = merit_preference_combine(cell, value, terms[j]);
    }
    return value;
}

// Of one route: lanes side by side, so that the loop is one of vectors.
static double fold_extreme_alone(int cell, const double *terms, int length)
{
    const double sign = cell == MERIT_PREFERENCE_CELL_MIN ? 1.0 : -1.0; // maximum: of the negatives
    double least[MERIT_LANES];
    double value = m_inf64();
    for (int j = 0; j < MERIT_LANES; j++) {
        least[j] = m_inf64();
    }
    for (int start = 0; start < length; start += MERIT_LANES) {
        const int count = length - start < MERIT_LANES ? length - start : MERIT_LANES;
        for (int j = 0; j < count; j++) {
            const double x = m_mul64(sign, terms[start + j]);
            least[j] = x < least[j] ? x : least[j];
        }
    }
    for (int j = 0; j < MERIT_LANES; j++) {
        value = least[j] < value ? least[j] : value;
    }
    return m_add64(m_mul64(sign, value), 0.0);
}

// The sums of one cell by routes.
static void fold_routes(const merit_preference_pair_args *a, int cell, int64_t tile, int length,
                        const pair_tile *t)
{
    static const double none[MERIT_LANES];
    const double *const terms = t->terms[cell];
    double lanes[MERIT_PREFERENCE_MAX_ROUTES][MERIT_LANES];
    for (int32_t k = 0; k < a->d.num_routes; k++) {
        memcpy(lanes[k], none, sizeof none);
    }
    for (int j = 0; j < length; j++) {
        double *const lane = &lanes[t->routes[j]][j % MERIT_LANES];
        *lane = m_add64(*lane, terms[j]);
    }
    for (int32_t k = 0; k < a->d.num_routes; k++) {
        *cell_at(a, cell, k, tile) = merit_lanes_fold64(lanes[k], MERIT_LANES);
    }
}

static void fold_tile(const pair_work *w, int64_t tile, int length, const pair_tile *t)
{
    const merit_preference_pair_args *const a = w->args;
    for (uint32_t left = w->cells; left != 0; left &= left - 1) {
        const int cell = __builtin_ctz(left);
        if (cell == MERIT_PREFERENCE_CELL_MIN || cell == MERIT_PREFERENCE_CELL_MAX) {
            for (int32_t k = 0; k < a->d.num_routes; k++) {
                *cell_at(a, cell, k, tile) =
                    a->d.num_routes == 1 ? fold_extreme_alone(cell, t->terms[cell], length)
                                         : fold_extreme(cell, t->terms[cell], t->routes, k, length);
            }
        } else if (a->d.num_routes == 1) {
            *cell_at(a, cell, 0, tile) = merit_tile_sum64(t->terms[cell], length);
        } else {
            fold_routes(a, cell, tile, length, t);
        }
    }
}

static void run_tiles(void *state, int64_t begin, int64_t end)
{
    const pair_work *const w = state;
    pair_tile tile;
    for (int64_t start = begin; start < end; start += MERIT_TILE) {
        const int length = (int)(end - start < MERIT_TILE ? end - start : MERIT_TILE);
        for (int place = 0; place < length; place += COMMON_PAIRS) {
            const int count = length - place < COMMON_PAIRS ? length - place : COMMON_PAIRS;
            if (w->is_common && run_common(w, start + place, count, place, &tile)) continue;
            for (int j = place; j < place + count; j++) {
                run_pair(w, start + j, j, &tile);
            }
        }
        fold_tile(w, start / MERIT_TILE, length, &tile);
    }
}

// Plain -------------------------------------------------------------------------------------------

// A chunk of at most 256 pairs, one per lane.
static void run_plain_chunk(const pair_work *w, int64_t start, int count, double *lanes,
                            pair_tile *tile)
{
    const merit_preference_pair_args *const a = w->args;
    const float *const chosen = (const float *)a->io.chosen + start;
    const float *const rejected = (const float *)a->io.rejected + start;
    const preference_plain_target target = preference_plain_target_at(a, start, count);
    preference_plain_chunk chunk;
    const preference_plain_kind kind = a->is_plain
                                           ? preference_plain_read(chosen, rejected, count, &chunk)
                                           : preference_plain_read_shifted(a, start, count, &chunk);
    if (kind == PREFERENCE_PLAIN_SPECIAL) {
        for (int j = 0; j < count; j++) {
            run_pair(w, start + j, j, tile);
            if (w->cells == 0) continue; // gradients alone
            lanes[j] = m_add64(lanes[j], tile->terms[MERIT_PREFERENCE_CELL_LOSS][j]);
        }
        return;
    }
    if (kind == PREFERENCE_PLAIN_NEAR && count == MERIT_LANES) {
        const int64_t following = start + MERIT_LANES;
        const float *next[PLAIN_INPUTS] = {chosen + MERIT_LANES, rejected + MERIT_LANES};
        if (a->io.ref_chosen != NULL) {
            next[2] = a->io.ref_chosen + following;
            next[3] = a->io.ref_rejected + following;
        }
        preference_plain_near_chunk(next, &w->gain, lanes, &target, &chunk);
        return;
    }
    preference_plain_any_chunk(&chunk, count);
    for (int j = 0; j < count; j++) {
        lanes[j] = m_add64(lanes[j], (double)chunk.loss[j]);
    }
    preference_plain_multiply(&w->gain, count, chunk.gradient);
    preference_plain_write(&target, count, &chunk);
}

static void run_plain_tiles(void *state, int64_t begin, int64_t end)
{
    const pair_work *const w = state;
    pair_tile tile; // of which the general path uses one row
    double lanes[MERIT_LANES];
    for (int64_t start = begin; start < end; start += MERIT_TILE) {
        for (int j = 0; j < MERIT_LANES; j++) {
            lanes[j] = 0.0;
        }
        for (int64_t at = start; at < end && at < start + MERIT_TILE; at += MERIT_LANES) {
            const int count = (int)(end - at < MERIT_LANES ? end - at : MERIT_LANES);
            run_plain_chunk(w, at, count, lanes, &tile);
        }
        if (w->cells != 0) {
            *cell_at(w->args, MERIT_PREFERENCE_CELL_LOSS, 0, start / MERIT_TILE) =
                merit_lanes_fold64(lanes, MERIT_LANES);
        }
    }
    preference_plain_fence();
}

// Results -----------------------------------------------------------------------------------------

static void fold_counts(const merit_preference_pair_args *a, int cell, int32_t route,
                        int64_t *counts, int num_counts)
{
    for (int64_t tile = 0; tile < a->num_tiles; tile++) {
        const double packed = *cell_at(a, cell, route, tile);
        for (int n = 0; n < num_counts; n++) {
            counts[n] += merit_preference_unpack(packed, n);
        }
    }
}

// The totals of a route; cells that the pass did not fill are neutral.
static merit_preference_totals fold_tiles(const pair_work *w, int32_t route)
{
    const merit_preference_pair_args *const a = w->args;
    merit_preference_totals t = {.count = {0}};
    for (int cell = 0; cell < MERIT_PREFERENCE_CELL_COUNTS; cell++) {
        const int extreme = cell == MERIT_PREFERENCE_CELL_MIN || cell == MERIT_PREFERENCE_CELL_MAX;
        t.cell[cell] = merit_preference_neutral(cell);
        if ((w->cells >> cell & 1u) == 0) continue;
        merit_tile_sum sum = {0};
        for (int64_t tile = 0; tile < a->num_tiles; tile++) {
            const double x = *cell_at(a, cell, route, tile);
            if (extreme) t.cell[cell] = merit_preference_combine(cell, t.cell[cell], x);
            if (!extreme) merit_tile_sum_push(&sum, x);
        }
        if (!extreme) t.cell[cell] = merit_tile_sum_finish(&sum);
    }
    if (w->cells & MERIT_PREFERENCE_CELL_BIT(COUNTS)) {
        fold_counts(a, MERIT_PREFERENCE_CELL_COUNTS, route, t.count, 4);
    }
    if (w->cells & MERIT_PREFERENCE_CELL_BIT(MORE_COUNTS)) {
        fold_counts(a, MERIT_PREFERENCE_CELL_MORE_COUNTS, route, t.count + 4, 3);
    }
    return t;
}

static void finish_count(const pair_work *w)
{
    const merit_preference_pair_args *const a = w->args;
    for (int32_t k = 0; k < a->d.num_routes; k++) {
        const merit_preference_totals t = fold_tiles(w, k);
        a->counted[k] = merit_preference_denominator(a, k, merit_preference_valid(a, &t, k),
                                                     t.cell[MERIT_PREFERENCE_CELL_WEIGHT]);
    }
}

static void finish_main(const pair_work *w)
{
    const merit_preference_pair_args *const a = w->args;
    const merit_preference_pair_io *const io = &a->io;
    const int64_t routes = a->d.num_routes;
    merit_preference_joined loss = {0.0, 0.0};
    merit_preference_joined tie = loss;
    for (int32_t k = 0; k < routes; k++) {
        const merit_preference_totals t = fold_tiles(w, k);
        merit_preference_finish_route(a, &t, k);
        loss = merit_preference_join(loss, a, &t, k, t.cell[MERIT_PREFERENCE_CELL_LOSS]);
        tie = merit_preference_join(tie, a, &t, k, t.cell[MERIT_PREFERENCE_CELL_TIE]);
    }
    if (io->loss != NULL) *io->loss = merit_preference_joined_value(loss);
    if (io->grad_tie != NULL) {
        *io->grad_tie =
            m_canonical64(m_mul64(w->shared.grad_scale, merit_preference_joined_value(tie)));
    }
    for (int64_t n = 0; n < a->num_tiles * routes && io->loss_tiles != NULL; n++) {
        const double x = *cell_at(a, MERIT_PREFERENCE_CELL_LOSS, (int32_t)(n % routes), n / routes);
        io->loss_tiles[n] = m_canonical64(x);
    }
    for (int64_t n = 0; n < routes * a->d.calibration_bins && io->calibration != NULL; n++) {
        io->calibration[n] =
            merit_preference_bin_of(a->bins[n].count, a->bins[n].confidence, a->bins[n].hits);
    }
}

// Launcher ----------------------------------------------------------------------------------------

// The scales of the routes, which are small enough for the vector path where this says so.
static int find_scales(pair_work *w)
{
    const merit_preference_pair_args *const a = w->args;
    int small = 1;
    for (int32_t k = 0; k < a->d.num_routes && merit_preference_pair_has_gradients(&a->io); k++) {
        w->scales[k] = merit_preference_scale(a, w->shared.grad_scale, k);
        small &= m_abs64(w->scales[k]) < 0x1p800; // no weight makes it infinite
    }
    return small;
}

int MERIT_BACKEND_FN(preference_pair)(const merit_preference_pair_args *args,
                                      const merit_launch *launch)
{
    pair_work w = {.args = args, .shared = merit_preference_pair_shared_of(args)};
    const int64_t pairs = args->d.num_pairs;
    w.is_common = preference_pair_is_common(args);
    if (args->needs_count) {
        w.pass = MERIT_PREFERENCE_PASS_COUNT;
        w.cells = merit_preference_cells(args, w.pass);
        merit_parallel_ranges(launch->num_threads, pairs, MERIT_TILE, run_tiles, &w);
        finish_count(&w);
    }
    w.pass = MERIT_PREFERENCE_PASS_MAIN;
    w.cells = merit_preference_cells(args, w.pass);
    const int small = find_scales(&w);
    w.is_common &= small;
    if (args->io.calibration != NULL) {
        memset(args->bins, 0,
               (size_t)(args->d.num_routes * args->d.calibration_bins) * sizeof *args->bins);
    }
    const int shifted = small && merit_preference_pair_is_shifted(args);
    w.gain = preference_plain_gain_of(w.scales[0], (double)args->d.beta);
    merit_parallel_ranges(launch->num_threads, pairs, MERIT_TILE,
                          shifted ? run_plain_tiles : run_tiles, &w);
    finish_main(&w);
    return 0;
}
