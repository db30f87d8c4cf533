#include "preference_random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// One of the literal values.
#define PICK(random, type, ...) \
    (((const type[]){           \
        __VA_ARGS__})[tk_below(random, sizeof((const type[]){__VA_ARGS__}) / sizeof(type))])

void *pc_random_own(pc_random *r, int64_t count, size_t size)
{
    void *const memory = calloc((size_t)count + 1, size);
    cr_assert(memory != NULL && r->num_owned < 32);
    return r->owned[r->num_owned++] = memory;
}

void pc_random_free(pc_random *r)
{
    for (int i = 0; i < r->num_owned; i++) {
        free(r->owned[i]);
    }
    r->num_owned = 0;
}

static double between(tk_random *random, double low, double high)
{
    return low + (high - low) * tk_uniform(random);
}

float *pc_random_floats(pc_random *r, tk_random *random, int64_t count, double low, double high)
{
    float *const values = pc_random_own(r, count, sizeof *values);
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)between(random, low, high);
    }
    return values;
}

// Some values of an array become what a call must count.
static void break_floats(tk_random *random, float *values, int64_t count, double broken)
{
    for (int64_t i = 0; i < count; i++) {
        if (tk_chance(random, broken)) {
            values[i] = PICK(random, float, NAN, INFINITY, -INFINITY, -NAN);
        }
    }
}

// Scores ------------------------------------------------------------------------------------------

static double a_score(tk_random *random, int kind, double scale)
{
    if (kind == 0) return scale * floor(between(random, -2, 3)); // ties
    if (kind == 1) return scale * tk_normal(random) * pow(10, between(random, -3, 2));
    return scale * tk_normal(random);
}

// bf16 and f16 words of numbers that they hold.
static void store(void *array, int32_t dtype, int64_t i, double value)
{
    float single = (float)value;
    uint32_t bits;
    if (dtype == MERIT_DTYPE_F32) {
        ((float *)array)[i] = single;
        return;
    }
    memcpy(&bits, &single, sizeof bits);
    if (dtype == MERIT_DTYPE_BF16) {
        ((uint16_t *)array)[i] = (uint16_t)(isnan(single) ? 0x7fc1 : bits >> 16);
        return;
    }
    int exponent;
    uint16_t word = signbit(value) ? 0x8000 : 0;
    const double fraction = frexp(fabs(value), &exponent); // [1/2, 1)
    if (isnan(value)) {
        word |= 0x7e01;
    } else if (isinf(value)) {
        word |= 0x7c00;
    } else if (exponent > 15) {
        word |= 0x7bff;
    } else if (value == 0 || exponent < -13) {
        word |= (uint16_t)(fabs(value) * 0x1p24); // subnormal
    } else {
        word |= (uint16_t)((exponent + 14) << 10 | ((int)(fraction * 2048) & 1023));
    }
    ((uint16_t *)array)[i] = word;
}

static void *some_scores(pc_random *r, tk_random *random, int64_t stride, double scale,
                         double broken)
{
    const int64_t count = pc_extent(r->c.d.num_pairs, stride);
    const int kind = (int)tk_below(random, 4);
    void *const array = pc_random_own(r, count, pc_dtype_bytes(r->c.d.score_dtype));
    for (int64_t i = 0; i < count; i++) {
        const double value = i % stride != 0 ? NAN : a_score(random, kind, scale);
        const double odd = PICK(random, double, NAN, INFINITY, -INFINITY);
        store(array, r->c.d.score_dtype, i, tk_chance(random, broken) ? odd : value);
    }
    return array;
}

void pc_random_scores(pc_random *r, tk_random *random, double scale, double broken)
{
    r->c.io.chosen = some_scores(r, random, r->c.d.chosen_stride, scale, broken);
    r->c.io.rejected = some_scores(r, random, r->c.d.rejected_stride, scale, broken);
}

static float *some_references(pc_random *r, tk_random *random, int64_t stride, double scale,
                              double broken)
{
    const int64_t count = pc_extent(r->c.d.num_pairs, stride);
    float *const values = pc_random_own(r, count, sizeof *values);
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)(scale * tk_normal(random));
    }
    break_floats(random, values, count, broken);
    return values;
}

static int32_t *some_lengths(pc_random *r, tk_random *random, double broken)
{
    int32_t *const lengths = pc_random_own(r, r->c.d.num_pairs, sizeof *lengths);
    for (int64_t i = 0; i < r->c.d.num_pairs; i++) {
        lengths[i] = (int32_t)(1 + tk_below(random, 50));
        if (tk_chance(random, broken)) lengths[i] = PICK(random, int32_t, 0, -1, INT32_MIN);
    }
    return lengths;
}

static int64_t a_stride(tk_random *random)
{
    return tk_chance(random, .6) ? 1 : 1 + tk_below(random, 3);
}

// References and lengths come for both sides or for none.
static void random_sides(pc_random *r, tk_random *random, double broken)
{
    merit_preference_pair_desc *const d = &r->c.d;
    merit_preference_pair_io *const io = &r->c.io;
    const double scale = PICK(random, double, .1, 1, 1, 3, 20);
    d->score_dtype =
        PICK(random, int32_t, MERIT_DTYPE_F32, MERIT_DTYPE_F32, MERIT_DTYPE_BF16, MERIT_DTYPE_F16);
    d->chosen_stride = a_stride(random), d->rejected_stride = a_stride(random);
    d->ref_chosen_stride = a_stride(random), d->ref_rejected_stride = a_stride(random);
    d->grad_chosen_stride = a_stride(random), d->grad_rejected_stride = a_stride(random);
    pc_random_scores(r, random, scale, broken);
    if (tk_chance(random, .4)) {
        io->ref_chosen = some_references(r, random, d->ref_chosen_stride, scale, broken);
        io->ref_rejected = some_references(r, random, d->ref_rejected_stride, scale, broken);
    }
    if (tk_chance(random, .3)) {
        io->chosen_length = some_lengths(r, random, broken);
        io->rejected_length = some_lengths(r, random, broken);
    }
    if (tk_chance(random, .15)) r->c.in_place = PICK(random, int, 32, 64, 96);
}

// Options -----------------------------------------------------------------------------------------

static float link_param(tk_random *random, int32_t link)
{
    if (link == MERIT_LINK_EXO) return (float)between(random, .001, .499);
    if (link == MERIT_LINK_DISCOPOP) return (float)PICK(random, double, .05, .3, 1, 2.5);
    return 0;
}

static void random_target(pc_random *r, tk_random *random, double broken)
{
    merit_preference_pair_desc *const d = &r->c.d;
    const int64_t N = d->num_pairs;
    d->target = (int32_t)tk_below(random, 3);
    if (d->target == MERIT_PAIR_TARGET_OUTCOME) {
        int8_t *const outcomes = pc_random_own(r, N, 1);
        for (int64_t i = 0; i < N; i++) {
            outcomes[i] = (int8_t)(tk_below(random, 3) - 1);
            if (tk_chance(random, broken)) outcomes[i] = PICK(random, int8_t, 2, -2, 127, -128);
        }
        r->c.io.outcomes = outcomes;
        d->tie_model = (int32_t)tk_below(random, 4);
    }
    if (d->target == MERIT_PAIR_TARGET_PROBABILITY) {
        float *const p = pc_random_floats(r, random, N, 0, 1);
        for (int64_t i = 0; i < N; i++) {
            if (tk_chance(random, .2)) p[i] = PICK(random, float, 0, 1, .5f, -0.0f);
            if (tk_chance(random, broken)) p[i] = PICK(random, float, -1e-9f, 1.0001f, 7, -3);
        }
        break_floats(random, p, N, broken);
        r->c.io.probabilities = p;
    }
    if (d->tie_model >= MERIT_TIE_MODEL_RAO_KUPPER) {
        d->link = MERIT_LINK_LOGISTIC, d->link_param = 0;
        d->log_tie = d->tie_model == MERIT_TIE_MODEL_RAO_KUPPER ? (float)between(random, .01, 3)
                                                                : (float)between(random, -3, 3);
        if (tk_chance(random, .5)) {
            float *const log_tie = pc_random_floats(r, random, 1, .01, 2);
            if (tk_chance(random, broken)) *log_tie = -*log_tie;
            r->c.io.log_tie_dev = log_tie;
            if (tk_chance(random, .5)) d->log_tie = NAN; // not looked at
        }
    } else if (tk_chance(random, .4)) {
        d->smoothing = (float)between(random, 0, .45);
        d->smoothing_kind = (int32_t)tk_below(random, 2);
    }
}

static void random_beta(pc_random *r, tk_random *random, double broken)
{
    merit_preference_pair_desc *const d = &r->c.d;
    if (tk_chance(random, .7)) d->beta = (float)between(random, .05, 3);
    if (tk_chance(random, .6)) return;
    float *const values = pc_random_floats(r, random, d->num_pairs, -1, 3);
    break_floats(random, values, d->num_pairs, broken);
    if (tk_chance(random, .5)) {
        d->beta_map = MERIT_BETA_MAP_ARRAY;
        r->c.io.betas = values;
        return;
    }
    d->beta_map = MERIT_BETA_MAP_MARGIN_EXP;
    d->map_weight = (float)PICK(random, double, 0, .5, 1, 3);
    d->map_rate = (float)PICK(random, double, 0, .5, 2);
    r->c.io.beta_signal = values;
}

static void random_unary(pc_random *r, tk_random *random)
{
    merit_preference_pair_desc *const d = &r->c.d;
    if (tk_chance(random, .3)) d->pair_weight = PICK(random, float, 0, .5f, 2);
    if (tk_chance(random, .3)) d->center = (float)between(random, 0, .1);
    if (tk_chance(random, .6)) return;
    d->unary_link = (int32_t)tk_below(random, 7);
    for (int i = 0; i < 4; i++) {
        d->unary[i] = tk_chance(random, .5) ? 0 : (float)between(random, 0, 2);
    }
    // One parameter serves both links.
    if (d->unary_link >= MERIT_LINK_EXO && d->link >= MERIT_LINK_EXO) d->unary_link = d->link;
    if (d->unary_link >= MERIT_LINK_EXO) d->link_param = link_param(random, d->unary_link);
    d->unary_shift = (float)between(random, -1, 1);
    d->unary_margin = (float)between(random, -1, 1);
    const int is_used =
        d->unary[0] != 0 || d->unary[1] != 0 || d->unary[2] != 0 || d->unary[3] != 0;
    if (is_used && tk_chance(random, .4)) {
        r->c.io.unary_shift_dev = pc_random_floats(r, random, 1, -1, 1);
    }
}

static void random_reduction(pc_random *r, tk_random *random, double broken)
{
    merit_preference_pair_desc *const d = &r->c.d;
    merit_preference_pair_io *const io = &r->c.io;
    const int64_t N = d->num_pairs;
    if (tk_chance(random, .4)) {
        d->num_routes = (int32_t)PICK(random, int, 1, 2, 3, 8, 9, 32);
        d->route_kind =
            (int32_t)(d->num_routes == 1 ? tk_below(random, 3) : 1 + tk_below(random, 2));
    }
    if (d->route_kind == MERIT_ROUTE_KIND_ARRAY) {
        int32_t *const routes = pc_random_own(r, N, sizeof *routes);
        for (int64_t i = 0; i < N; i++) {
            routes[i] = (int32_t)tk_below(random, d->num_routes);
            if (tk_chance(random, broken)) {
                routes[i] = PICK(random, int32_t, -1, d->num_routes, INT32_MAX, INT32_MIN);
            }
        }
        io->routes = routes;
    }
    if (tk_chance(random, .4)) io->alpha = pc_random_floats(r, random, d->num_routes, -1, 2);
    d->reduction = (int32_t)tk_below(random, 4);
    if (d->reduction == MERIT_PREFERENCE_REDUCTION_GIVEN) {
        double *const given = pc_random_own(r, d->num_routes, sizeof *given);
        for (int k = 0; k < d->num_routes; k++) {
            given[k] = tk_chance(random, .1) ? 0 : between(random, .5, 3000);
        }
        io->denominators = given;
    }
    if (tk_chance(random, .5)) {
        float *const weights = pc_random_floats(r, random, N, 0, 3);
        for (int64_t i = 0; i < N; i++) {
            if (tk_chance(random, .2)) weights[i] = PICK(random, float, 0, -0.0f);
            if (tk_chance(random, broken)) weights[i] = PICK(random, float, -1, -1e-30f);
        }
        break_floats(random, weights, N, broken);
        io->weights = weights;
    }
    if (tk_chance(random, .4)) {
        uint8_t *const mask = pc_random_own(r, N, 1);
        const double share = PICK(random, double, .1, .5, .9, 1, 0);
        for (int64_t i = 0; i < N; i++) {
            mask[i] = (uint8_t)(tk_chance(random, share) ? 1 + tk_below(random, 255) : 0);
        }
        io->mask = mask;
    }
    if (tk_chance(random, .3)) io->grad_scale = pc_random_floats(r, random, 1, -2, 300);
}

// One side alone, where the options allow it.
static void drop_side(pc_random *r, tk_random *random)
{
    merit_preference_pair_desc *const d = &r->c.d;
    merit_preference_pair_io *const io = &r->c.io;
    if (d->pair_weight != 0 || d->center != 0 || tk_chance(random, .3)) return;
    const int is_chosen = (int)tk_below(random, 2);
    if (is_chosen) {
        d->unary[0] = d->unary[1] = 0;
        io->chosen = NULL, io->ref_chosen = NULL, io->chosen_length = NULL;
        r->c.in_place &= ~PC_GRAD_CHOSEN;
    } else {
        d->unary[2] = d->unary[3] = 0;
        io->rejected = NULL, io->ref_rejected = NULL, io->rejected_length = NULL;
        r->c.in_place &= ~PC_GRAD_REJECTED;
    }
    if (d->unary[0] + d->unary[1] + d->unary[2] + d->unary[3] == 0) io->unary_shift_dev = NULL;
}

pc_random pc_random_case(tk_random *random, int64_t num_pairs, double broken)
{
    pc_random r = {.c = pc_scores(NULL, num_pairs, NULL, NULL)};
    merit_preference_pair_desc *const d = &r.c.d;
    if (tk_chance(random, .6)) d->link = (int32_t)tk_below(random, 7);
    d->link_param = link_param(random, d->link);
    random_sides(&r, random, broken);
    random_beta(&r, random, broken);
    random_target(&r, random, broken);
    random_unary(&r, random);
    random_reduction(&r, random, broken);
    if (tk_chance(random, .4)) {
        d->margin = (float)between(random, -1, 1);
        d->opposite = (int32_t)tk_below(random, 2);
    }
    if (tk_chance(random, .3)) {
        float *const margins = pc_random_floats(&r, random, num_pairs, -1, 2);
        break_floats(random, margins, num_pairs, broken);
        r.c.io.margins = margins;
    }
    d->skip_invalid = tk_chance(random, .4);
    if (tk_chance(random, .4)) d->calibration_bins = (int32_t)PICK(random, int, 1, 5, 10, 64);
    drop_side(&r, random);
    if (tk_chance(random, .5)) r.c.outputs = (int)tk_below(random, PC_ALL + 1);
    return r;
}
