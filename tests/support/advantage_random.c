#include "advantage_random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void *ag_random_own(ag_random *r, int64_t count, size_t size)
{
    void *const memory = calloc((size_t)count + 1, size);
    cr_assert(memory != NULL && r->num_owned < 24);
    return r->owned[r->num_owned++] = memory;
}

void ag_random_free(ag_random *r)
{
    for (int i = 0; i < r->num_owned; i++) {
        free(r->owned[i]);
    }
    r->num_owned = 0;
}

// One of the literal values.
#define PICK(random, type, ...) \
    (((const type[]){           \
        __VA_ARGS__})[tk_below(random, sizeof((const type[]){__VA_ARGS__}) / sizeof(type))])

// Layouts -----------------------------------------------------------------------------------------

void ag_random_offsets(ag_random *r, tk_random *random, const int64_t *sizes, int64_t num_groups,
                       int with_index)
{
    merit_groups *const g = &r->c.d.groups;
    int64_t *const offsets = ag_random_own(r, num_groups + 1, sizeof *offsets);
    offsets[0] = tk_chance(random, .2) ? tk_below(random, 5) : 0; // rows before the first group
    for (int64_t n = 0; n < num_groups; n++) {
        offsets[n + 1] = offsets[n] + sizes[n];
    }
    const int64_t rows = offsets[num_groups] + (tk_chance(random, .2) ? tk_below(random, 5) : 0);
    *g = (merit_groups){.num_groups = num_groups, .offsets = offsets};
    r->c.d.num_rows = rows;
    if (!with_index) return;
    int32_t *const index = ag_random_own(r, rows, sizeof *index);
    for (int64_t i = 0; i < rows; i++) {
        index[i] = (int32_t)i;
    }
    for (int64_t i = rows - 1; i > 0; i--) {
        const int64_t j = tk_below(random, i + 1);
        const int32_t swapped = index[i];
        index[i] = index[j];
        index[j] = swapped;
    }
    g->index = index;
}

static int64_t random_size(tk_random *random, int64_t left)
{
    const int64_t size =
        tk_chance(random, .8)
            ? PICK(random, int64_t, 0, 1, 2, 3, 4, 5, 7, 8, 16, 17)
            : PICK(random, int64_t, 31, 32, 33, 64, 100, 255, 256, 257, 300, 2048, 2049, 2500);
    return size <= left ? size : tk_below(random, left + 1);
}

static void random_layout(ag_random *r, tk_random *random, int64_t max_rows)
{
    merit_groups *const g = &r->c.d.groups;
    if (tk_chance(random, .45)) {
        int64_t size = random_size(random, max_rows);
        if (size == 0) size = 1;
        const int64_t limit = max_rows / size < 40 ? max_rows / size : 40;
        g->num_groups = tk_below(random, limit + 1);
        g->group_size = size;
        if (tk_chance(random, .3)) g->group_stride = size + tk_below(random, 4);
        const int64_t stride = g->group_stride != 0 ? g->group_stride : size;
        r->c.d.num_rows =
            g->num_groups * stride + (tk_chance(random, .2) ? tk_below(random, 5) : 0);
        return;
    }
    int64_t sizes[40] = {0}, left = max_rows;
    const int64_t num_groups = tk_below(random, 40);
    for (int64_t n = 0; n < num_groups; n++) {
        sizes[n] = random_size(random, left);
        left -= sizes[n];
    }
    ag_random_offsets(r, random, sizes, num_groups, tk_chance(random, .5));
    if (tk_chance(random, .3)) g->max_size = 1 + tk_below(random, 300); // some groups are larger
    int64_t *const offsets = r->owned[0];
    if (num_groups > 0 && tk_chance(random, .05)) { // the last group leaves the rows
        offsets[num_groups] = r->c.d.num_rows + 1 + tk_below(random, 9);
    }
}

// Rewards -----------------------------------------------------------------------------------------

static uint16_t to_f16(double value)
{
    int exponent;
    if (isnan(value)) return 0x7e00;
    const uint16_t sign = signbit(value) ? 0x8000 : 0;
    const double fraction = frexp(fabs(value), &exponent); // [1/2, 1)
    if (isinf(value) || exponent > 16) return sign | 0x7c00;
    if (value == 0 || exponent < -13) return sign | (uint16_t)(fabs(value) * 0x1p24); // subnormal
    return sign | (uint16_t)((exponent + 14) << 10 | ((int)(fraction * 2048) & 1023));
}

static void store(void *array, int32_t dtype, int64_t i, double value)
{
    const float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    switch (dtype) {
    case MERIT_DTYPE_F64: ((double *)array)[i] = value; break;
    case MERIT_DTYPE_BF16: ((uint16_t *)array)[i] = (uint16_t)(bits >> 16); break;
    case MERIT_DTYPE_F16:
        if (isfinite(value) && fabs(value) > 60000) value = copysign(60000, value);
        ((uint16_t *)array)[i] = to_f16(value);
        break;
    default: ((float *)array)[i] = single; break;
    }
}

enum { COINS, STEPS, REALS, EQUAL, OUTLIERS, TINY, NUM_KINDS };

static double random_value(tk_random *random, int kind)
{
    switch (kind) {
    case COINS: return (double)tk_below(random, 2);
    case STEPS: return PICK(random, double, -1, -.5, -.0, 0, .25, 1, 2, 3);
    case EQUAL: return .7;
    case OUTLIERS:
        return tk_chance(random, .05) ? PICK(random, double, 1e20, -1e20, -100, 3e38) : .1;
    case TINY: return ldexp(tk_normal(random), -140);
    default: return tk_normal(random);
    }
}

// A fold that meets infinities depends on where they stand, so records of several groups or tiles
// get only NaN.
static int folds_records(const merit_advantage_group_desc *d)
{
    return d->batch_record || d->center_level == MERIT_LEVEL_BATCH ||
           d->scale_level == MERIT_LEVEL_BATCH || d->num_rows > 2048;
}

void ag_random_rewards(ag_random *r, tk_random *random, double nonfinite)
{
    const merit_advantage_group_desc *const d = &r->c.d;
    const int64_t row_stride = d->reward_row_stride != 0 ? d->reward_row_stride : d->num_columns;
    const int64_t count = ag_reward_count(&r->c);
    void *const rewards = ag_random_own(r, count, ag_dtype_bytes(d->reward_dtype));
    const int shared = (int)tk_below(random, NUM_KINDS);
    int kind = shared;
    memset(rewards, 0xff, (size_t)count * ag_dtype_bytes(d->reward_dtype)); // NaN: never to be read
    for (int64_t row = 0; row < d->num_rows; row++) {
        if (tk_chance(random, .1))
            kind = tk_chance(random, .7) ? shared : (int)tk_below(random, NUM_KINDS);
        const int is_read = r->c.io.mask == NULL || r->c.io.mask[row] != 0 ||
                            (r->c.io.stats_mask != NULL && r->c.io.stats_mask[row] != 0);
        for (int64_t k = 0; is_read && k < d->num_columns; k++) {
            double value = random_value(random, kind);
            if (tk_chance(random, nonfinite))
                value = PICK(random, double, NAN, NAN, INFINITY, -INFINITY);
            if (isinf(value) && folds_records(d) && d->invalid != MERIT_INVALID_SKIP_NONFINITE)
                value = NAN;
            store(rewards, d->reward_dtype, row * row_stride + k * d->reward_column_stride, value);
        }
    }
    r->c.io.rewards = rewards;
}

// Options -----------------------------------------------------------------------------------------

static void random_options(tk_random *random, merit_advantage_group_desc *d)
{
    d->columns = tk_chance(random, .5) ? 0 : (int32_t)tk_below(random, 3);
    d->transform = tk_chance(random, .6) ? 0 : (int32_t)tk_below(random, 4);
    d->rank_ties = (int32_t)tk_below(random, 3);
    d->temperature = PICK(random, float, 1, .5f, 3);
    d->center = tk_chance(random, .4) ? MERIT_CENTER_MEAN : (int32_t)tk_below(random, 5);
    d->scale = tk_chance(random, .4) ? MERIT_SCALE_STD : (int32_t)tk_below(random, 7);
    if (d->center == MERIT_CENTER_MEAN && tk_chance(random, .3)) {
        d->center_level = (int32_t)tk_below(random, 3);
    }
    if ((d->scale == MERIT_SCALE_STD || d->scale == MERIT_SCALE_MEAN ||
         d->scale == MERIT_SCALE_NONZERO_SHARE) &&
        tk_chance(random, .3)) {
        d->scale_level = (int32_t)tk_below(random, d->scale == MERIT_SCALE_NONZERO_SHARE ? 2 : 3);
    }
    d->ddof = (int32_t)tk_below(random, 2);
    d->eps_rule = (int32_t)tk_below(random, 4);
    d->eps = PICK(random, double, 0, 1e-6, 1e-4, .5);
    d->zero_rule = (int32_t)tk_below(random, 3);
    // No mean or deviation of the data equals the last two.
    d->zero_threshold = PICK(random, double, 0, 0, 1e-6, .2917);
    d->singleton = (int32_t)tk_below(random, 4);
    d->invalid = (int32_t)tk_below(random, 3);
    d->map = tk_chance(random, .7) ? 0 : (int32_t)tk_below(random, 3);
    d->map_range = PICK(random, float, 1, 2, .75f);
    d->sign_tie = PICK(random, float, 0, -1, .5f);
    if (tk_chance(random, .3)) d->low = PICK(random, float, -1, 0, -.25f);
    if (tk_chance(random, .3)) d->high = PICK(random, float, 1, .1f, 0);
    if (tk_chance(random, .3)) d->gain = PICK(random, float, 0, -1, 2, .3f);
    if (tk_chance(random, .2)) d->reward_low = PICK(random, float, 0, -.5f, -2);
    if (tk_chance(random, .2)) d->reward_high = PICK(random, float, 1, .5f, 20);
    d->expected_size = tk_chance(random, .7) ? 0 : PICK(random, int32_t, 1, 4, 8, 17);
    d->batch_record = tk_chance(random, .3);
    d->advantage_dtype = tk_chance(random, .3) ? MERIT_DTYPE_F64 : MERIT_DTYPE_F32;
    d->baseline_dtype = tk_chance(random, .5) ? MERIT_DTYPE_F64 : MERIT_DTYPE_F32;
    d->reward_dtype = tk_chance(random, .5) ? MERIT_DTYPE_F32 : (int32_t)tk_below(random, 4);
    d->num_columns = tk_chance(random, .5) ? 1 : 1 + (int32_t)tk_below(random, 4);
}

static void random_strides(ag_random *r, tk_random *random)
{
    merit_advantage_group_desc *const d = &r->c.d;
    if (tk_chance(random, .3)) d->reward_row_stride = d->num_columns + tk_below(random, 3);
    if (tk_chance(random, .2)) {
        d->reward_row_stride = 1 + tk_below(random, 2); // [K,R]
        d->reward_column_stride = d->num_rows * d->reward_row_stride + tk_below(random, 3);
        if (d->reward_column_stride == 0) d->reward_column_stride = 1;
    }
}

static const uint8_t *random_mask(ag_random *r, tk_random *random)
{
    const double share = PICK(random, double, 0, .1, .5, .9, 1);
    uint8_t *const mask = ag_random_own(r, r->c.d.num_rows, 1);
    for (int64_t i = 0; i < r->c.d.num_rows; i++) {
        mask[i] = (uint8_t)(tk_chance(random, share) ? 1 + tk_below(random, 255) : 0);
    }
    return mask;
}

static const float *random_floats(ag_random *r, tk_random *random, int64_t n)
{
    float *const values = ag_random_own(r, n, sizeof *values);
    for (int64_t i = 0; i < n; i++) {
        values[i] = tk_chance(random, .5) ? (float)tk_normal(random) : .5f;
    }
    return values;
}

static void random_weights(ag_random *r, tk_random *random)
{
    const merit_advantage_group_io *const io = &r->c.io;
    const uint8_t *const mask = io->stats_mask != NULL ? io->stats_mask : io->mask;
    float *const weights = ag_random_own(r, r->c.d.num_rows, sizeof *weights);
    const int zeros = tk_chance(random, .1);
    for (int64_t i = 0; i < r->c.d.num_rows; i++) {
        weights[i] = zeros ? 0 : (float)tk_below(random, 4) * .5f;
        if (mask != NULL && mask[i] == 0) weights[i] = NAN; // not to be read
    }
    r->c.io.weights = weights;
}

static void random_add(ag_random *r, tk_random *random)
{
    merit_advantage_group_io *const io = &r->c.io;
    const int64_t rows = r->c.d.num_rows;
    if (tk_chance(random, .5)) {
        io->add = random_floats(r, random, rows);
        return;
    }
    io->num_add = 1 + tk_below(random, 9);
    io->add = random_floats(r, random, io->num_add);
    int32_t *const index = ag_random_own(r, rows, sizeof *index);
    for (int64_t i = 0; i < rows; i++) {
        index[i] = (int32_t)tk_below(random, io->num_add);
        if (tk_chance(random, .01)) index[i] = tk_chance(random, .5) ? -1 : (int32_t)io->num_add;
    }
    io->add_index = index;
}

static void random_inputs(ag_random *r, tk_random *random)
{
    merit_advantage_group_desc *const d = &r->c.d;
    merit_advantage_group_io *const io = &r->c.io;
    const int sets = d->columns == MERIT_COLUMNS_COMBINE_FIRST ? 1 : d->num_columns;
    if (tk_chance(random, .3)) io->mask = random_mask(r, random);
    if (tk_chance(random, .3)) io->stats_mask = random_mask(r, random);
    if (d->columns != MERIT_COLUMNS_SEPARATE && tk_chance(random, .5)) {
        io->column_weights = random_floats(r, random, d->num_columns);
    }
    if (d->center == MERIT_CENTER_MEAN && d->center_level == MERIT_LEVEL_GROUP &&
        tk_chance(random, .3)) {
        random_weights(r, random);
    }
    if (d->center == MERIT_CENTER_BASELINE) {
        const int per_row = tk_chance(random, .5);
        const int64_t n = per_row ? d->num_rows : d->groups.num_groups;
        void *const baseline = ag_random_own(r, n, 8);
        for (int64_t i = 0; i < n; i++) {
            store(baseline, d->baseline_dtype, i, tk_chance(random, .5) ? .1 : tk_normal(random));
        }
        *(per_row ? &io->baseline : &io->baseline_per_group) = baseline;
    }
    if (d->center_level == MERIT_LEVEL_GIVEN || d->scale_level == MERIT_LEVEL_GIVEN) {
        merit_moments *const moments = ag_random_own(r, sets, sizeof *moments);
        for (int k = 0; k < sets; k++) {
            const double count = PICK(random, double, 0, 1, 2, 5, 1000), mean = tk_normal(random);
            moments[k] =
                (merit_moments){count, mean, tk_uniform(random) * count, mean - 3, mean + 3};
        }
        io->moments = moments;
    }
    if (tk_chance(random, .2)) random_add(r, random);
}

// An index entry out of range, away from NaN rewards (whether those count there is left open).
static void spoil_index(ag_random *r, tk_random *random)
{
    int32_t *const index = (int32_t *)(uintptr_t)r->c.d.groups.index;
    if (index == NULL || r->c.d.num_rows == 0) return;
    index[tk_below(random, r->c.d.num_rows)] =
        tk_chance(random, .5) ? -1 - (int32_t)tk_below(random, 5) : (int32_t)r->c.d.num_rows;
}

ag_random ag_random_case(tk_random *random, int64_t max_rows)
{
    ag_random r = {.c = ag_uniform(NULL, 0, 0, NULL)};
    merit_advantage_group_desc *const d = &r.c.d;
    random_options(random, d);
    // Every member needs the exponentials of all others, in software without FMA instructions.
    const int is_slow = d->transform == MERIT_TRANSFORM_LEAVE_ONE_OUT_LME && max_rows > 300;
    random_layout(&r, random, is_slow ? 300 : max_rows);
    random_strides(&r, random);
    random_inputs(&r, random);
    double nonfinite = tk_chance(random, .6) ? 0 : PICK(random, double, .01, .1, .5);
    // What exp makes of infinities is not promised.
    if (d->transform >= MERIT_TRANSFORM_SOFTMAX && d->invalid != MERIT_INVALID_SKIP_NONFINITE) {
        nonfinite = 0;
    }
    if (nonfinite == 0 && d->groups.max_size == 0 && tk_chance(random, .05))
        spoil_index(&r, random);
    ag_random_rewards(&r, random, nonfinite);
    if (tk_chance(random, .3)) r.c.outputs = (int)tk_below(random, AG_ALL) | AG_ADVANTAGES;
    const int wide = d->columns == MERIT_COLUMNS_SEPARATE;
    r.c.in_place = tk_chance(random, .3) && d->groups.index == NULL &&
                   (wide || d->num_columns == 1) && d->reward_dtype == d->advantage_dtype &&
                   (d->reward_row_stride == 0 || d->reward_row_stride == d->num_columns) &&
                   d->reward_column_stride == 1;
    return r;
}
