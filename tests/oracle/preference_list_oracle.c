#include "preference_list_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "preference_list_oracle_modes.h"

static double half_to_double(uint16_t w)
{
    const int exponent = w >> 10 & 31;
    const double fraction = (w & 1023) / 1024.0;
    const double sign = w >> 15 ? -1 : 1;
    if (exponent == 31) return fraction != 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, -14);
    return sign * ldexp(1 + fraction, exponent - 15);
}

static double score(const merit_preference_list_desc *d, const void *scores, int64_t row)
{
    const int64_t at = row * d->score_stride;
    if (d->score_dtype == MERIT_DTYPE_F32) return ((const float *)scores)[at];
    const uint16_t word = ((const uint16_t *)scores)[at];
    if (d->score_dtype == MERIT_DTYPE_F16) return half_to_double(word);
    const uint32_t bits = (uint32_t)word << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int positive_of(const merit_preference_list_desc *d, const group_set *g, int64_t i,
                       double best_rank, double best_label)
{
    switch (d->mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE: return g->key[i] == best_rank;
    case MERIT_LIST_MODE_ALL_PAIRS: return g->key[i] == best_label;
    case MERIT_LIST_MODE_ANCHORED: return g->key[i] > 0;
    default: return d->target == MERIT_LIST_TARGET_WEIGHTS ? g->key[i] > 0 : i == g->target;
    }
}

static void rank_metrics(const merit_preference_list_desc *d, const group_set *g,
                         merit_preference_list_metrics *metrics)
{
    double best_rank = INFINITY, best_label = -INFINITY;
    for (int64_t i = 0; i < g->n; i++) {
        if (g->member[i] && g->key[i] >= 0) best_rank = fmin(best_rank, g->key[i]);
        if (g->member[i]) best_label = fmax(best_label, g->key[i]);
    }
    // x as the operation has it: comparisons of rounded values
    double best = -INFINITY, worst = INFINITY, negative = -INFINITY;
    int64_t positives = 0, negatives = 0, above = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < g->n; i++) {
            if (!g->member[i]) continue;
            const double x = (double)g->x[i];
            if (positive_of(d, g, i, best_rank, best_label)) {
                best = fmax(best, x), worst = fmin(worst, x), positives++;
            } else if (d->mode != MERIT_LIST_MODE_ANCHORED || g->key[i] < 0) {
                negative = fmax(negative, x), negatives++;
                above += pass == 1 && x >= best;
            }
        }
    }
    if (positives == 0 || negatives == 0) return;
    metrics->ranked++;
    metrics->top1_strict += best > negative;
    metrics->top1_tie += best >= negative;
    metrics->one_to_many_strict += worst > negative;
    metrics->one_to_many_tie += worst >= negative;
    metrics->sum_reciprocal_rank += 1.0 / (double)(1 + above);
}

// What makes a group absent, empty, NaN.
typedef enum group_fate { ABSENT, EMPTY, POISONED, PRESENT } group_fate;

typedef struct oracle_run {
    const merit_preference_list_desc *d;
    const merit_preference_list_io *io;
    list_oracle *o;
} oracle_run;

static int find_span(const oracle_run *r, int64_t n, int64_t *begin, int64_t *size)
{
    const merit_groups *const groups = &r->d->groups;
    if (groups->group_size > 0) {
        *begin = n * (groups->group_stride > 0 ? groups->group_stride : groups->group_size);
        *size = groups->group_size;
        return 1;
    }
    *begin = groups->offsets[n];
    const int64_t end = groups->offsets[n + 1];
    *size = end - *begin;
    if (*begin < 0 || end < *begin || end > r->d->num_items) {
        *size = *begin >= 0 && *begin <= r->d->num_items && end > r->d->num_items
                    ? r->d->num_items - *begin
                    : 0;
        r->o->counters[MERIT_COUNTER_BAD_OFFSETS]++;
        return 0;
    }
    const int64_t mode = r->d->mode == MERIT_LIST_MODE_PLACKETT_LUCE ? 65536
                         : r->d->mode == MERIT_LIST_MODE_ALL_PAIRS   ? 8192
                                                                     : INT64_MAX;
    if (*size > mode || (groups->max_size > 0 && *size > groups->max_size)) {
        r->o->counters[MERIT_COUNTER_GROUP_TOO_LARGE]++;
        return 0;
    }
    return 1;
}

static int64_t row_of(const oracle_run *r, int64_t position)
{
    if (r->d->groups.index == NULL) return position;
    const int64_t row = r->d->groups.index[position];
    return row >= 0 && row < r->d->num_items ? row : -1;
}

// Reads the items and says what becomes of the group.
static group_fate read_group(const oracle_run *r, int64_t begin, group_set *g)
{
    const merit_preference_list_desc *const d = r->d;
    const merit_preference_list_io *const io = r->io;
    int bad_index = 0, nonfinite = 0, skipped = 0, bad_weight = 0, bad_rank = 0, bad_target = 0;
    int64_t picks = 0, positives = 0, negatives = 0;
    double low = INFINITY, high = -INFINITY;
    int finite = 0;
    for (int64_t i = 0; i < g->n; i++) {
        const int64_t row = g->row[i] = row_of(r, begin + i);
        if (row < 0) {
            bad_index = 1;
            continue;
        }
        if (io->mask != NULL && io->mask[row] == 0) continue;
        const double s = score(d, io->scores, row);
        double key = 0;
        int lost = 0;
        if (d->mode == MERIT_LIST_MODE_PLACKETT_LUCE) key = io->ranks[row];
        if (d->mode == MERIT_LIST_MODE_ALL_PAIRS) key = io->labels[row], lost = isnan(key);
        if (d->mode == MERIT_LIST_MODE_ANCHORED) key = io->signs[row];
        if (d->mode == MERIT_LIST_MODE_CROSS_ENTROPY && d->target == MERIT_LIST_TARGET_WEIGHTS) {
            key = io->weights[row], lost = !isfinite(key);
        }
        if (d->skip_invalid && (lost || !isfinite(s))) {
            skipped = 1;
            continue;
        }
        g->member[i] = 1;
        g->m++;
        g->s[i] = s;
        g->key[i] = key;
        const int minus_is_fine =
            d->center == MERIT_LIST_CENTER_NONE &&
            (d->mode == MERIT_LIST_MODE_CROSS_ENTROPY || d->mode == MERIT_LIST_MODE_PLACKETT_LUCE);
        if (lost || isnan(s) || s == INFINITY || (s == -INFINITY && !minus_is_fine)) nonfinite = 1;
        if (isfinite(s)) finite = 1;
        switch (d->mode) {
        case MERIT_LIST_MODE_PLACKETT_LUCE:
            bad_rank |= key < -1;
            picks += key < -1 || list_oracle_is_stage(d, key);
            break;
        case MERIT_LIST_MODE_ALL_PAIRS: bad_target |= isnan(key); break;
        case MERIT_LIST_MODE_ANCHORED:
            bad_target |= fabs(key) > 1;
            positives += key > 0, negatives += key < 0;
            break;
        default:
            if (d->target == MERIT_LIST_TARGET_WEIGHTS) {
                bad_weight |= !(key >= 0);
                picks += !(key == 0);
            } else {
                picks += i == g->target;
            }
        }
        low = fmin(low, key), high = fmax(high, key);
    }
    int valid = picks > 0 && g->m > 1;
    if (d->mode == MERIT_LIST_MODE_ALL_PAIRS) valid = g->m > 1 && (high > low || bad_target);
    if (d->mode == MERIT_LIST_MODE_ANCHORED) {
        valid = d->require_both ? positives > 0 && negatives > 0 : positives + negatives > 0;
    }
    if (valid && !finite) nonfinite = 1;
    double *const c = r->o->counters;
    c[MERIT_COUNTER_BAD_INDEX] += bad_index;
    if (!valid) {
        c[MERIT_COUNTER_NONFINITE] += skipped;
        return EMPTY;
    }
    c[MERIT_COUNTER_NONFINITE] += nonfinite || skipped;
    c[MERIT_COUNTER_BAD_WEIGHT] += bad_weight;
    c[MERIT_COUNTER_BAD_RANK] += bad_rank;
    c[MERIT_COUNTER_BAD_TARGET] += bad_target;
    return bad_index || nonfinite || bad_weight || bad_rank || bad_target ? POISONED : PRESENT;
}

static void write_rows(const oracle_run *r, const group_set *g, double value)
{
    for (int64_t i = 0; i < g->n; i++) {
        if (g->row[i] < 0) continue;
        const int in = r->io->mask == NULL || r->io->mask[g->row[i]] != 0;
        r->o->grad[g->row[i]] = in ? value : 0;
    }
}

static real run_present(const oracle_run *r, int64_t n, group_set *g, real weight)
{
    const merit_preference_list_desc *const d = r->d;
    real mean = 0, factor = 1, largest = 0;
    for (int64_t i = 0; i < g->n; i++)
        mean += g->member[i] ? g->s[i] : 0;
    mean /= g->m;
    if (d->center == MERIT_LIST_CENTER_NONE) mean = 0;
    if (d->center == MERIT_LIST_CENTER_LEAVE_ONE_OUT) {
        factor = g->m == 1 ? 0 : (real)g->m / (g->m - 1);
    }
    int64_t signs = 0, stages = 0, counts[3] = {0};
    for (int64_t i = 0; i < g->n; i++) {
        if (!g->member[i]) continue;
        g->x[i] = (g->s[i] - mean) * factor / d->tau;
        if (isfinite(g->x[i])) largest = fmaxl(largest, fabsl(g->x[i]));
        signs += g->key[i] != 0;
        stages += list_oracle_is_stage(d, g->key[i]);
    }
    real loss;
    real terms = 1;
    switch (d->mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE:
        loss = list_oracle_plackett_luce(d, g), terms = stages;
        break;
    case MERIT_LIST_MODE_ALL_PAIRS:
        loss = list_oracle_all_pairs(d, g, counts);
        terms = counts[0] + counts[1] + counts[2];
        break;
    case MERIT_LIST_MODE_ANCHORED: loss = list_oracle_anchored(d, g), terms = signs; break;
    default: loss = list_oracle_cross_entropy(d, g);
    }
    real count = terms;
    if (d->inner == MERIT_LIST_INNER_SUM) terms = 1;
    if (d->mode == MERIT_LIST_MODE_CROSS_ENTROPY) terms = 1, count = 1;
    loss /= terms;
    real slope_mean = 0;
    for (int64_t i = 0; i < g->n; i++) {
        if (!g->member[i]) continue;
        g->dx[i] /= terms;
        slope_mean += g->dx[i];
    }
    slope_mean = d->center == MERIT_LIST_CENTER_NONE ? 0 : slope_mean / g->m;
    // Each of the `size` terms of an item has the error of a binary32 function of a rounded argument:
    // some units of its own, and the argument's rounding, which a slope below 1 damps.
    const real unit = 0x1p-24L;
    const real size = fmaxl(count / terms, 1);
    real one = 8;
    if (d->mode == MERIT_LIST_MODE_ALL_PAIRS && d->link == MERIT_LINK_EXPONENTIAL) {
        const real z = 2 * largest + fabsl((real)d->margin);
        one = (4 + z) * expl(z);
    }
    for (int64_t i = 0; i < g->n; i++) {
        if (g->row[i] < 0) continue;
        real value = 0;
        if (g->member[i]) value = weight * factor * (g->dx[i] - slope_mean) / d->tau;
        r->o->grad[g->row[i]] = (double)value;
        r->o->grad_limit[g->row[i]] =
            (double)((fabsl(value) + weight * factor / d->tau * one * size) * unit);
    }
    r->o->group_limit[n] = (double)((weight * size * one + 4 * fabsl(weight * loss)) * unit);
    r->o->lse[n] = (double)list_oracle_log_sum_exp(g, g->member, 1, 0);
    rank_metrics(d, g, &r->o->metrics);
    r->o->metrics.concordant += counts[0];
    r->o->metrics.discordant += counts[1];
    r->o->metrics.tied += counts[2];
    r->o->metrics.sum_loss += (double)loss;
    r->o->metrics.sum_weight += (double)weight;
    return loss;
}

static void run_group(const oracle_run *r, int64_t n, real *sum)
{
    list_oracle *const o = r->o;
    int64_t begin, size;
    const double weight = r->io->group_weight == NULL ? 1 : r->io->group_weight[n];
    const double before_offsets = o->counters[MERIT_COUNTER_BAD_OFFSETS];
    const double before_large = o->counters[MERIT_COUNTER_GROUP_TOO_LARGE];
    const int fine = find_span(r, n, &begin, &size);
    const size_t count = (size_t)size + 1;
    group_set g = {.n = size, .target = -1};
    g.row = calloc(count, sizeof *g.row);
    g.member = calloc(count, sizeof *g.member);
    g.key = calloc(count, sizeof *g.key);
    real *const block = calloc(3 * count, sizeof *block);
    g.s = block, g.x = block + count, g.dx = block + 2 * count;
    group_fate fate = PRESENT;
    if (weight == 0) {
        fate = ABSENT;
        o->counters[MERIT_COUNTER_BAD_OFFSETS] = before_offsets;
        o->counters[MERIT_COUNTER_GROUP_TOO_LARGE] = before_large;
    } else if (!fine) {
        fate = POISONED;
    } else if (r->d->mode == MERIT_LIST_MODE_CROSS_ENTROPY &&
               r->d->target == MERIT_LIST_TARGET_INDEX) {
        g.target = r->io->target_index[n];
        if (g.target < 0 || size == 0) {
            fate = EMPTY;
        } else if (g.target >= size) {
            fate = POISONED;
            o->counters[MERIT_COUNTER_BAD_TARGET]++;
        }
    }
    for (int64_t i = 0; i < size; i++)
        g.row[i] = row_of(r, begin + i);
    if (fate == PRESENT) {
        fate = read_group(r, begin, &g);
        if (fate != EMPTY && !(weight >= 0 && weight < INFINITY)) fate = POISONED;
    }
    if (fate == POISONED) {
        o->counters[MERIT_COUNTER_BAD_WEIGHT] += !(weight >= 0);
        const double seen = !isfinite(weight);
        o->counters[MERIT_COUNTER_NONFINITE] += seen;
    }
    o->counters[MERIT_COUNTER_EMPTY_GROUP] += fate == EMPTY;
    o->metrics.groups += fate != EMPTY;
    o->metrics.invalid += fate == POISONED;
    if (fate == PRESENT) {
        const real loss = run_present(r, n, &g, weight);
        o->group_loss[n] = (double)(weight * loss);
        *sum += weight * loss;
        o->tiles[n / 2048] += (double)(weight * loss);
        o->loss_limit += o->group_limit[n];
    } else {
        const double value = fate == POISONED ? NAN : 0;
        write_rows(r, &g, value);
        o->group_loss[n] = o->lse[n] = value;
        *sum += value;
        o->tiles[n / 2048] += value;
    }
    free(g.row), free(g.member), free(g.key), free(block);
}

list_oracle *list_oracle_run(const merit_preference_list_desc *desc,
                             const merit_preference_list_io *io)
{
    const size_t groups = (size_t)desc->groups.num_groups + 1;
    const size_t items = (size_t)desc->num_items + 1;
    list_oracle *const o = calloc(1, sizeof *o);
    o->group_loss = calloc(groups, sizeof(double));
    o->lse = calloc(groups, sizeof(double));
    o->group_limit = calloc(groups, sizeof(double));
    o->tiles = calloc(groups, sizeof(double));
    o->grad = calloc(items, sizeof(double));
    o->grad_limit = calloc(items, sizeof(double));
    oracle_run r = {.d = desc, .io = io, .o = o};
    real sum = 0;
    for (int64_t n = 0; n < desc->groups.num_groups && desc->num_items > 0; n++) {
        run_group(&r, n, &sum);
    }
    real divisor = 1;
    const real valid = (real)o->metrics.groups;
    if (desc->reduction == MERIT_PREFERENCE_REDUCTION_MEAN_VALID) divisor = valid;
    if (desc->reduction == MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS)
        divisor = desc->groups.num_groups;
    if (desc->reduction == MERIT_PREFERENCE_REDUCTION_GIVEN) divisor = *io->denominator;
    const real upstream = io->grad_scale == NULL ? 1 : *io->grad_scale;
    const real scale = upstream == 0 && divisor == 0 ? 0 : upstream / divisor;
    o->loss = valid == 0 || sum == 0 ? 0 : (double)(sum / divisor);
    o->loss_limit = valid == 0 ? 0 : fabs((double)(o->loss_limit / divisor));
    if (valid > 0 && divisor == 0) o->counters[MERIT_COUNTER_ZERO_DENOMINATOR]++;
    for (int64_t i = 0; i < desc->num_items; i++) {
        if (o->grad[i] != 0) o->grad[i] = (double)(o->grad[i] * scale);
        if (valid > 0 && o->grad_limit[i] != 0) { // 0 of an infinite scale
            o->grad_limit[i] = fabs((double)(o->grad_limit[i] * scale));
        }
    }
    return o;
}

void list_oracle_free(list_oracle *oracle)
{
    if (oracle == NULL) return;
    free(oracle->group_loss);
    free(oracle->lse);
    free(oracle->group_limit);
    free(oracle->tiles);
    free(oracle->grad);
    free(oracle->grad_limit);
    free(oracle);
}
