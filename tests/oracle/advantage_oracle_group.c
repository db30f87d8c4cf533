#include "advantage_oracle_group.h"

#include <math.h>

// Statistics --------------------------------------------------------------------------------------

static real lowest_bit(real u)
{
    int exponent;
    if (u == 0 || !isfinite(u)) return INFINITY;
    uint64_t bits = (uint64_t)(frexpl(fabsl(u), &exponent) * 0x1p64L);
    for (exponent -= 64; bits % 2 == 0; bits /= 2) {
        exponent++;
    }
    return ldexpl(1, exponent);
}

static void add_extremes(oracle_stats *s, real u)
{
    s->lowest_bit = fminl(s->lowest_bit, lowest_bit(u));
    s->min = isnan(u) || isnan(s->min) ? NAN : fminl(s->min, u);
    s->max = isnan(u) || isnan(s->max) ? NAN : fmaxl(s->max, u);
    if (fabsl(u) > s->size) s->size = fabsl(u);
}

// Two passes over V of every group.
static oracle_stats count(const oracle_group *groups, int64_t num_groups)
{
    oracle_stats s = {.min = INFINITY, .max = -INFINITY, .lowest_bit = INFINITY};
    real sum = 0, weights = 0, weighted = 0;
    for (int64_t n = 0; n < num_groups; n++) {
        for (int64_t i = 0; i < groups[n].size; i++) {
            const oracle_member *const m = &groups[n].members[i];
            if (!m->is_counted) continue;
            s.count++;
            sum += m->u;
            weights += m->weight;
            weighted += m->weight * m->u;
            s.nonzero += m->u != 0;
            s.unsure += m->u_error > 0 && fabsl(m->u) <= m->u_error;
            if (m->u_error > s.u_error) s.u_error = m->u_error;
            add_extremes(&s, m->u);
        }
    }
    if (s.count == 0) return s;
    s.mean = sum / s.count;
    s.weighted_mean = weights == 0 ? NAN : weighted / weights;
    if (s.min == s.max && isfinite(s.min)) {
        s.mean = s.min;
        if (weights > 0) s.weighted_mean = s.min;
    }
    for (int64_t n = 0; n < num_groups; n++) {
        for (int64_t i = 0; i < groups[n].size; i++) {
            const oracle_member *const m = &groups[n].members[i];
            if (!m->is_counted) continue;
            s.m2 += (m->u - s.mean) * (m->u - s.mean);
            s.mean_abs += fabsl(m->u - s.mean);
        }
    }
    s.mean_abs /= s.count;
    return s;
}

void oracle_group_count(oracle_group *g)
{
    const int all_equal = g->stats.x_all_equal;
    g->stats = count(g, 1);
    g->stats.x_all_equal = all_equal;
}

oracle_stats oracle_batch(const oracle_group *groups, int64_t num_groups)
{
    return count(groups, num_groups);
}

// Centers -----------------------------------------------------------------------------------------

// Best minus second of V; NaN with a NaN in V.
static void find_runner_up(oracle_group *g)
{
    real second = -INFINITY;
    int has_nan = 0;
    g->best = -1, g->gap = NAN;
    for (int64_t j = 0; j < g->size; j++) {
        const oracle_member *const m = &g->members[j];
        if (!m->is_counted) continue;
        has_nan |= isnan(m->u);
        if (g->best < 0 || m->u > g->members[g->best].u) g->best = j;
    }
    for (int64_t j = 0; j < g->size; j++) {
        const oracle_member *const m = &g->members[j];
        if (m->is_counted && j != g->best && m->u > second) second = m->u;
    }
    if (g->best >= 0 && !has_nan) g->gap = g->members[g->best].u - second;
}

static int needs_center_statistics(const merit_advantage_group_desc *d)
{
    return d->center == MERIT_CENTER_MEAN || d->center == MERIT_CENTER_LEAVE_ONE_OUT ||
           d->center == MERIT_CENTER_RUNNER_UP;
}

// The only member of the population behind its center: an undefined center counts as 0.
static int lacks_center(const oracle_group *g, int64_t i, const oracle_stats *level)
{
    return needs_center_statistics(g->desc) && g->members[i].is_counted && level->count == 1;
}

static real centered(const oracle_group *g, int64_t i, const oracle_stats *level, real *error)
{
    const oracle_member *const m = &g->members[i];
    if (lacks_center(g, i, level)) {
        *error = m->u_error;
        return m->u;
    }
    const real n = level->count;
    const real size = fabsl(m->u) > level->size ? fabsl(m->u) : level->size;
    *error = m->u_error + level->u_error + ORACLE_ROUNDING * size;
    if (level->min == level->max && level->u_error == 0) *error = m->u_error; // the mean is exact
    switch (g->desc->center) {
    case MERIT_CENTER_MEAN: return m->u - (g->has_weights ? level->weighted_mean : level->mean);
    case MERIT_CENTER_LEAVE_ONE_OUT:
        if (!m->is_counted) return m->u - level->mean;
        *error *= n / (n - 1);
        return (m->u - level->mean) * n / (n - 1);
    case MERIT_CENTER_RUNNER_UP: return isnan(g->gap) || i == g->best ? g->gap : 0;
    case MERIT_CENTER_BASELINE:
        *error = m->u_error + 0x1p-52L * (fabsl(m->u) + fabsl(m->baseline));
        return m->u - m->baseline;
    default: *error = m->u_error; return m->u;
    }
}

// Scales ------------------------------------------------------------------------------------------

// Rounding of the mean moves m2 by n e^2 only; that of u moves s by as much.
static real deviation(real m2, real divisor, real mean_error, real u_error, real *error)
{
    const real s = sqrtl(m2 / divisor);
    *error = ORACLE_ROUNDING * s + 2 * u_error;
    if (s > 0) *error += fminl(mean_error, mean_error * mean_error / s);
    return s;
}

static real deviation_without(const oracle_group *g, int64_t i, real mean_error, real *error)
{
    real n = 0, mean = 0, m2 = 0, min = INFINITY, max = -INFINITY;
    *error = 0;
    for (int64_t j = 0; j < g->size; j++) {
        const oracle_member *const m = &g->members[j];
        if (!m->is_counted || j == i) continue;
        n++;
        mean += m->u;
        min = isnan(m->u) || isnan(min) ? NAN : fminl(min, m->u);
        max = isnan(m->u) || isnan(max) ? NAN : fmaxl(max, m->u);
    }
    if (n < 2) return 0;
    mean /= n;
    if (min == max && isfinite(min)) return 0;
    for (int64_t j = 0; j < g->size; j++) {
        const oracle_member *const m = &g->members[j];
        if (m->is_counted && j != i) m2 += (m->u - mean) * (m->u - mean);
    }
    return deviation(m2, n - g->desc->ddof, mean_error, g->stats.u_error, error);
}

static real root_mean_square(const oracle_group *g, const oracle_stats *center_level, real *error)
{
    real sum = 0, worst = 0;
    for (int64_t i = 0; i < g->size; i++) {
        if (!g->members[i].is_counted) continue;
        real c_error;
        const real c = centered(g, i, center_level, &c_error);
        sum += c * c;
        if (c_error > worst) worst = c_error;
    }
    return deviation(sum, g->stats.count - g->desc->ddof, worst, g->stats.u_error, error);
}

// s of a level for a member of V's group; i is -1 for the group's own figure.
static real scale_of(const oracle_group *g, int64_t i, const oracle_stats *level,
                     const oracle_stats *center_level, real *error)
{
    const real mean_error = level->u_error + ORACLE_ROUNDING * level->size;
    const int leave_out = i >= 0 && g->members[i].is_counted;
    *error = 0;
    switch (g->desc->scale) {
    case MERIT_SCALE_LEAVE_ONE_OUT_STD:
        if (leave_out) return deviation_without(g, i, mean_error, error);
        return deviation(level->m2, level->count - g->desc->ddof, mean_error, level->u_error,
                         error);
    case MERIT_SCALE_STD:
        return deviation(level->m2, level->count - g->desc->ddof, mean_error, level->u_error,
                         error);
    case MERIT_SCALE_RMS: return root_mean_square(g, center_level, error);
    case MERIT_SCALE_MEAN: *error = mean_error; return level->mean;
    case MERIT_SCALE_MEAN_ABS: *error = 2 * mean_error; return level->mean_abs;
    case MERIT_SCALE_NONZERO_SHARE:
        if (isnan(level->max)) return NAN;
        *error = 0x1p-53L + level->unsure / level->count;
        return (level->nonzero > 1 ? level->nonzero : 1) / level->count;
    default: return NAN;
    }
}

static real divisor_of(const merit_advantage_group_desc *d, real s)
{
    const real eps = d->eps;
    switch (d->eps_rule) {
    case MERIT_EPS_RULE_FLOOR: return isnan(s) || s > eps ? s : eps;
    case MERIT_EPS_RULE_ROOT: return sqrtl(s * s + eps);
    case MERIT_EPS_RULE_ROOT_FLOOR: return isnan(s) || s * s > eps ? sqrtl(s * s) : sqrtl(eps);
    default: return s + eps;
    }
}

// Advantages --------------------------------------------------------------------------------------

static const oracle_stats *level_of(int32_t level, const oracle_group *g, const oracle_stats *batch,
                                    const oracle_stats *given)
{
    return level == MERIT_LEVEL_BATCH ? batch : level == MERIT_LEVEL_GIVEN ? given : &g->stats;
}

// c over d by the eps and zero rules.
static void quotient(oracle_group *g, oracle_member *m, const oracle_stats *scale_level, real c,
                     real c_error, real s, real s_error, int is_singleton)
{
    const merit_advantage_group_desc *const d = g->desc;
    const oracle_stats *const v = scale_level;
    const int is_exact = !g->has_weights && d->transform == MERIT_TRANSFORM_NONE &&
                         v->count * v->size < 0x1p53L * v->lowest_bit;
    m->a = c;
    m->a_error = c_error;
    if (d->scale == MERIT_SCALE_NONE) return;
    if (isnan(s)) {
        m->a = NAN;
        return;
    }
    const real threshold = d->zero_threshold;
    const int is_close = s_error > 0 && fabsl(s - threshold) <= s_error;
    const int undecided = is_close && !(is_exact && s == threshold);
    g->unsure_zero_rule |= undecided;
    if (c == 0) {
        m->a = 0;
        if (c_error == 0 || is_exact) m->a_error = 0;
    }
    if (s <= threshold && d->zero_rule != MERIT_ZERO_RULE_DIVIDE) {
        if (!is_singleton && m->is_masked_in) g->used_zero_rule = 1;
        if (d->zero_rule == MERIT_ZERO_RULE_ZERO) m->a = 0, m->a_error = 0;
    } else if (c != 0 || m->a_error > 0) {
        const real divisor = divisor_of(d, s);
        const real size = fabsl(divisor);
        const real divisor_error = s_error + 0x1p-51L * size;
        if (c != 0) m->a = c / divisor;
        m->a_error = (c_error + fabsl(m->a) * divisor_error) / size + 0x1p-51L * fabsl(m->a);
        if (s_error > 0 && !(divisor_error < size / 2)) m->a_error = INFINITY;
    }
    if (undecided && d->zero_rule != MERIT_ZERO_RULE_DIVIDE) m->a_error = INFINITY;
}

static void apply(oracle_group *g, int64_t i, const oracle_stats *center_level,
                  const oracle_stats *scale_level, real group_scale, real group_scale_error)
{
    const merit_advantage_group_desc *const d = g->desc;
    oracle_member *const m = &g->members[i];
    const int needs_center = needs_center_statistics(d), needs_scale = d->scale != MERIT_SCALE_NONE;
    if ((d->transform != MERIT_TRANSFORM_NONE && g->stats.count == 0) ||
        (needs_center && center_level->count == 0) || (needs_scale && scale_level->count == 0)) {
        m->a = NAN;
        g->lacked_statistics = 1;
        return;
    }
    const int lone_lme =
        d->transform == MERIT_TRANSFORM_LEAVE_ONE_OUT_LME && m->is_counted && g->stats.count == 1;
    const int no_center = lacks_center(g, i, center_level);
    const int is_deviation = d->scale == MERIT_SCALE_STD || d->scale == MERIT_SCALE_RMS ||
                             (d->scale == MERIT_SCALE_LEAVE_ONE_OUT_STD && !m->is_counted);
    const int no_scale = is_deviation && scale_level->count <= d->ddof;
    const int is_singleton = lone_lme || no_center || no_scale;
    m->a_error = m->u_error;
    if (is_singleton) {
        switch (d->singleton) {
        case MERIT_SINGLETON_ZERO: m->a = 0, m->a_error = 0; return;
        case MERIT_SINGLETON_RAW: m->a = m->u; return;
        case MERIT_SINGLETON_NAN:
            m->a = NAN;
            g->used_nan_singleton = 1;
            return;
        default: break;
        }
    }
    real c_error = m->u_error, s_error = no_scale ? 0 : group_scale_error;
    real s = no_scale ? 1 : group_scale;
    const real c = centered(g, i, center_level, &c_error);
    if (d->scale == MERIT_SCALE_LEAVE_ONE_OUT_STD && m->is_counted) {
        s = scale_of(g, i, scale_level, center_level, &s_error);
    }
    quotient(g, m, scale_level, c, c_error, s, s_error, is_singleton);
}

void oracle_group_apply(oracle_group *g, const oracle_stats *batch, const oracle_stats *given)
{
    const merit_advantage_group_desc *const d = g->desc;
    const oracle_stats *const center_level = level_of(d->center_level, g, batch, given);
    const oracle_stats *const scale_level = level_of(d->scale_level, g, batch, given);
    real error;
    if (d->center == MERIT_CENTER_RUNNER_UP) find_runner_up(g);
    const real scale = scale_of(g, -1, scale_level, center_level, &error);
    for (int64_t i = 0; i < g->size; i++) {
        oracle_member *const m = &g->members[i];
        m->a = 0, m->a_error = 0;
        if (m->is_masked_in && !m->is_skipped) {
            apply(g, i, center_level, scale_level, scale, error);
        }
    }
    g->scale = NAN, g->scale_error = 0;
    const int is_deviation = d->scale == MERIT_SCALE_STD || d->scale == MERIT_SCALE_RMS ||
                             d->scale == MERIT_SCALE_LEAVE_ONE_OUT_STD;
    const int no_center =
        d->scale == MERIT_SCALE_RMS && needs_center_statistics(d) && center_level->count == 0;
    if (g->stats.count > 0 && d->scale != MERIT_SCALE_NONE && scale_level->count > 0 &&
        !no_center && !(is_deviation && scale_level->count <= d->ddof)) {
        g->scale = scale, g->scale_error = error;
    }
}
