// preference_pair: denominators, gradients, cells, and the results of a call from its cells.
#ifndef MERIT_PREFERENCE_PAIR_OUTPUT_H
#define MERIT_PREFERENCE_PAIR_OUTPUT_H

#include "../core/counters.h"
#include "../core/lanes.h"
#include "preference_pair_loss.h"

// Gradients ---------------------------------------------------------------------------------------

MERIT_HD static inline int merit_preference_pair_has_gradients(const merit_preference_pair_io *io)
{
    return io->grad_chosen != NULL || io->grad_rejected != NULL;
}

// Valid pairs of a route where every pair is valid.
MERIT_HD static inline double merit_preference_known_valid(const merit_preference_pair_desc *d,
                                                           int32_t route)
{
    const int64_t k = d->num_routes;
    return (double)((d->num_pairs + k - 1 - route) / k); // pairs i with i mod K == route
}

// D_k, from `valid` pairs of weight `weight`.
MERIT_HD static inline double merit_preference_denominator(const merit_preference_pair_args *a,
                                                           int32_t route, double valid,
                                                           double weight)
{
    switch (a->d.reduction) {
    case MERIT_PREFERENCE_REDUCTION_MEAN_VALID: return valid;
    case MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT: return weight;
    case MERIT_PREFERENCE_REDUCTION_GIVEN: return a->io.denominators[route];
    default: return 1.0;
    }
}

MERIT_HD static inline double merit_preference_alpha(const merit_preference_pair_args *a,
                                                     int32_t route)
{
    return a->io.alpha != NULL ? (double)a->io.alpha[route] : 1.0;
}

// grad_scale alpha_k / D_k before the main pass.
MERIT_HD static inline double merit_preference_scale(const merit_preference_pair_args *a,
                                                     double grad_scale, int32_t route)
{
    const double known = merit_preference_known_valid(&a->d, route);
    const double d =
        a->needs_count ? a->counted[route] : merit_preference_denominator(a, route, known, 0.0);
    const double numerator = m_mul64(grad_scale, merit_preference_alpha(a, route));
    return numerator == 0.0 && d == 0.0 ? numerator : m_div64(numerator, d);
}

// t g / length. A gradient of 0 stays 0 whatever the scale, which may be infinite.
MERIT_HD static inline double merit_preference_scaled(double gradient, double t,
                                                      const int32_t *lengths, int64_t i)
{
    const double scaled = gradient == 0.0 && !m_is_finite64(t) ? gradient : m_mul64(t, gradient);
    return lengths != NULL ? m_div64(scaled, (double)lengths[i]) : scaled;
}

// Rounds once.
MERIT_HD static inline void merit_preference_store(void *gradients, int32_t dtype, int64_t i,
                                                   double value)
{
    if (gradients == NULL) return;
    switch (dtype) {
    case MERIT_DTYPE_BF16: ((uint16_t *)gradients)[i] = m_to_bf16_64(value); break;
    case MERIT_DTYPE_F16: ((uint16_t *)gradients)[i] = m_to_f16_64(value); break;
    default: ((float *)gradients)[i] = m_canonical32(m_round32(value)); break;
    }
}

// Everything that is written for pair i. r is used for a usable pair only.
MERIT_HD static inline void merit_preference_write(const merit_preference_pair_args *a,
                                                   const merit_preference_pair_shared *s,
                                                   const double *scales,
                                                   const merit_preference_input *in,
                                                   const merit_preference_result *r, int64_t i)
{
    const merit_preference_pair_desc *const d = &a->d;
    const merit_preference_pair_io *const io = &a->io;
    const int usable = in->state == MERIT_PREFERENCE_USABLE;
    const double other = in->state == MERIT_PREFERENCE_INVALID ? m_nan64() : 0.0;
    if (merit_preference_pair_has_gradients(io)) {
        double chosen = other;
        double rejected = other;
        if (usable) {
            const double t = m_mul64(scales[in->route], in->weight);
            chosen = merit_preference_scaled(r->grad_chosen, t, io->chosen_length, i);
            rejected = merit_preference_scaled(r->grad_rejected, t, io->rejected_length, i);
        }
        merit_preference_store(io->grad_chosen, d->score_dtype, i * d->grad_chosen_stride, chosen);
        merit_preference_store(io->grad_rejected, d->score_dtype, i * d->grad_rejected_stride,
                               rejected);
    }
    if (io->pair_loss != NULL) {
        const double loss = usable ? m_mul64(in->weight, r->loss) : other;
        io->pair_loss[i] = m_canonical32(m_round32(loss));
    }
    if (io->pair_probability != NULL) {
        float p = m_round32(other);
        if (usable && s->models_ties) {
            p = m_round32(merit_preference_win_probability(&s->tie, r->z));
        } else if (usable) {
            p = m_sigmoid(m_round32(r->z));
        }
        io->pair_probability[i] = m_canonical32(p);
    }
}

// Cells -------------------------------------------------------------------------------------------

#define MERIT_PREFERENCE_CELL_BIT(word) (1u << MERIT_PREFERENCE_CELL_##word)

// The cells that a pass fills, as bits.
MERIT_HD static inline uint32_t merit_preference_cells(const merit_preference_pair_args *a,
                                                       int32_t pass)
{
    const merit_preference_pair_io *const io = &a->io;
    const int by_weight = a->d.reduction == MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
    const int divides =
        io->loss != NULL || io->grad_tie != NULL || merit_preference_pair_has_gradients(io);
    uint32_t cells = 0;
    if (pass == MERIT_PREFERENCE_PASS_COUNT || divides) {
        if (by_weight) cells |= MERIT_PREFERENCE_CELL_BIT(WEIGHT);
        if (!a->valid_is_known) cells |= MERIT_PREFERENCE_CELL_BIT(COUNTS);
    }
    if (pass == MERIT_PREFERENCE_PASS_COUNT) return cells;
    if (io->loss != NULL || io->route_sum != NULL || io->loss_tiles != NULL) {
        cells |= MERIT_PREFERENCE_CELL_BIT(LOSS);
    }
    if (io->grad_tie != NULL) cells |= MERIT_PREFERENCE_CELL_BIT(TIE);
    if (io->metrics != NULL) {
        const uint32_t all = (1u << MERIT_PREFERENCE_CELLS) - 1u;
        cells |= all & ~((1u << MERIT_PREFERENCE_CELL_WEIGHT_SEEN) - 1u);
    }
    return cells;
}

// Four counts of 12 bits.
MERIT_HD static inline double merit_preference_pack(int a, int b, int c, int d)
{
    return (double)((int64_t)a | (int64_t)b << 12 | (int64_t)c << 24 | (int64_t)d << 36);
}

MERIT_HD static inline double merit_preference_neutral(int cell)
{
    if (cell == MERIT_PREFERENCE_CELL_MIN) return m_inf64();
    return cell == MERIT_PREFERENCE_CELL_MAX ? -m_inf64() : 0.0;
}

MERIT_HD static inline double merit_preference_combine(int cell, double x, double y)
{
    if (cell == MERIT_PREFERENCE_CELL_MIN) return y < x ? y : x;
    if (cell == MERIT_PREFERENCE_CELL_MAX) return y > x ? y : x;
    return m_add64(x, y);
}

// What a pair adds to the counts of MORE_COUNTS or COUNTS.
MERIT_HD static inline double merit_preference_counts(const merit_preference_input *in, int more)
{
    const int usable = in->state == MERIT_PREFERENCE_USABLE;
    const int invalid = in->state == MERIT_PREFERENCE_INVALID;
    const int tie = (usable || invalid) && in->p == 0.5 &&
                    (in->counted & MERIT_PREFERENCE_COUNTED(BAD_TARGET)) == 0;
    const int decided = (usable || invalid) && !tie;
    const double d = m_sub64(in->x_chosen, in->x_rejected);
    if (more) return merit_preference_pack(decided && usable && d == 0.0, tie, invalid, 0);
    const int right = in->p > 0.5 ? d > 0.0 : d < 0.0;
    return merit_preference_pack(in->state != MERIT_PREFERENCE_ABSENT,
                                 in->state == MERIT_PREFERENCE_UNWEIGHTED, decided,
                                 decided && usable && right);
}

// What a pair that is not absent brings to a cell; neutral where it brings nothing.
MERIT_HD static inline double merit_preference_term(const merit_preference_pair_io *io, int cell,
                                                    const merit_preference_input *in,
                                                    const merit_preference_result *r)
{
    const int invalid = in->state == MERIT_PREFERENCE_INVALID;
    const int usable = in->state == MERIT_PREFERENCE_USABLE;
    if (cell == MERIT_PREFERENCE_CELL_COUNTS) return merit_preference_counts(in, 0);
    if (cell == MERIT_PREFERENCE_CELL_MORE_COUNTS) return merit_preference_counts(in, 1);
    if (cell == MERIT_PREFERENCE_CELL_WEIGHT) return in->weight;
    if (cell == MERIT_PREFERENCE_CELL_LOSS && invalid) return m_nan64();
    if (cell == MERIT_PREFERENCE_CELL_TIE && invalid) return m_nan64();
    if (!usable) return merit_preference_neutral(cell);
    const double d = m_sub64(in->x_chosen, in->x_rejected);
    double chosen = in->x_chosen;
    double rejected = in->x_rejected;
    switch (cell) {
    case MERIT_PREFERENCE_CELL_LOSS: return m_mul64(in->weight, r->loss);
    case MERIT_PREFERENCE_CELL_TIE: return m_mul64(in->weight, r->grad_tie);
    case MERIT_PREFERENCE_CELL_WEIGHT_SEEN: return in->weight;
    case MERIT_PREFERENCE_CELL_LOSS_ALONE: return r->loss;
    case MERIT_PREFERENCE_CELL_DIFFERENCE: return d;
    case MERIT_PREFERENCE_CELL_DIFFERENCE_SQUARED: return m_mul64(d, d);
    case MERIT_PREFERENCE_CELL_CHOSEN: return chosen;
    case MERIT_PREFERENCE_CELL_REJECTED: return rejected;
    default: break;
    }
    if (io->chosen == NULL) chosen = rejected;
    if (io->rejected == NULL) rejected = chosen;
    return merit_preference_combine(cell, chosen, rejected); // MIN, MAX
}

// Calibration -------------------------------------------------------------------------------------

typedef struct merit_preference_bin_hit {
    int32_t bin;
    uint64_t hits; // in halves
    uint64_t confidence; // in units of 2^-24
} merit_preference_bin_hit;

// Confidences are multiples of 2^-24, so their sums are integers: any order will do.
MERIT_HD static inline merit_preference_bin_hit
merit_preference_calibrate(const merit_preference_pair_desc *d, const merit_preference_input *in,
                           double z)
{
    const double bins = (double)d->calibration_bins;
    const double c = (double)m_sigmoid(m_round32(m_abs64(z)));
    const int32_t bin = (int32_t)m_mul64(m_sub64(c, 0.5), m_mul64(2.0, bins));
    merit_preference_bin_hit h;
    h.bin = bin < d->calibration_bins ? bin : d->calibration_bins - 1;
    h.confidence = (uint64_t)m_mul64(c, 0x1p24);
    h.hits = z == 0.0 || in->p == 0.5 ? 1u : (z > 0.0) == (in->p > 0.5) ? 2u : 0u;
    return h;
}

MERIT_HD static inline merit_preference_bin
merit_preference_bin_of(uint64_t count, uint64_t confidence, uint64_t hits)
{
    merit_preference_bin b;
    b.count = (int64_t)count;
    b.sum_confidence = m_mul64((double)confidence, 0x1p-24);
    b.sum_hit = m_mul64((double)hits, 0.5);
    return b;
}

// Results -----------------------------------------------------------------------------------------

// Of one route, from its folded cells.
typedef struct merit_preference_totals {
    double cell[MERIT_PREFERENCE_CELL_COUNTS]; // those before the counts
    int64_t count[7]; // pairs ... invalid, as in merit_preference_metrics
} merit_preference_totals;

MERIT_HD static inline int64_t merit_preference_unpack(double packed, int which)
{
    return (int64_t)packed >> (12 * which) & 0xfff;
}

MERIT_HD static inline double merit_preference_valid(const merit_preference_pair_args *a,
                                                     const merit_preference_totals *t,
                                                     int32_t route)
{
    return a->valid_is_known ? merit_preference_known_valid(&a->d, route) : (double)t->count[0];
}

// alpha_k x / D_k. 0 / 0 is 0, and so is a route without a valid pair.
MERIT_HD static inline double merit_preference_reduced(const merit_preference_pair_args *a,
                                                       const merit_preference_totals *t,
                                                       int32_t route, double x)
{
    const double valid = merit_preference_valid(a, t, route);
    if (valid == 0.0 || x == 0.0) return 0.0;
    const double d =
        merit_preference_denominator(a, route, valid, t->cell[MERIT_PREFERENCE_CELL_WEIGHT]);
    const double alpha = merit_preference_alpha(a, route);
    if (alpha == 0.0 && !m_is_nan64(x)) return 0.0; // a route of no weight
    return m_div64(m_mul64(alpha, x), d);
}

// The sum over routes. alpha may be negative, so infinite terms of either sign may meet: sums beyond the
// range are taken as alike, and the sign of what alpha_k / D_k they come to decides.
typedef struct merit_preference_joined {
    double finite;
    double infinite; // sum of alpha_k / D_k of the infinite terms
} merit_preference_joined;

MERIT_HD static inline merit_preference_joined
merit_preference_join(merit_preference_joined j, const merit_preference_pair_args *a,
                      const merit_preference_totals *t, int32_t route, double x)
{
    const double term = merit_preference_reduced(a, t, route, x);
    if (m_abs64(term) == m_inf64()) {
        const double valid = merit_preference_valid(a, t, route);
        const double d =
            merit_preference_denominator(a, route, valid, t->cell[MERIT_PREFERENCE_CELL_WEIGHT]);
        const double share = m_div64(merit_preference_alpha(a, route), d); // D_k may be 0
        j.infinite = m_add64(j.infinite, m_clip64(x > 0.0 ? share : -share, -0x1p1000, 0x1p1000));
    } else {
        j.finite = m_add64(j.finite, term);
    }
    return j;
}

MERIT_HD static inline double merit_preference_joined_value(merit_preference_joined j)
{
    if (j.infinite == 0.0 || m_is_nan64(j.finite)) return m_canonical64(j.finite);
    return j.infinite > 0.0 ? m_inf64() : -m_inf64();
}

// Whether route k has valid pairs and a denominator of 0.
MERIT_HD static inline int merit_preference_divides_by_zero(const merit_preference_pair_args *a,
                                                            const merit_preference_totals *t,
                                                            int32_t route)
{
    const int asked =
        a->io.loss != NULL || a->io.grad_tie != NULL || merit_preference_pair_has_gradients(&a->io);
    const double valid = merit_preference_valid(a, t, route);
    return asked && valid > 0.0 &&
           merit_preference_denominator(a, route, valid, t->cell[MERIT_PREFERENCE_CELL_WEIGHT]) ==
               0.0;
}

MERIT_HD static inline merit_preference_metrics
merit_preference_metrics_of(const merit_preference_totals *t)
{
    merit_preference_metrics m;
    m.pairs = t->count[0];
    m.zero_weight = t->count[1];
    m.decided = t->count[2];
    m.correct_strict = t->count[3];
    m.tied = t->count[4];
    m.label_ties = t->count[5];
    m.invalid = t->count[6];
    m.sum_weight = t->cell[MERIT_PREFERENCE_CELL_WEIGHT_SEEN];
    m.sum_loss = m_canonical64(t->cell[MERIT_PREFERENCE_CELL_LOSS_ALONE]);
    m.sum_difference = t->cell[MERIT_PREFERENCE_CELL_DIFFERENCE];
    m.sum_difference_squared = t->cell[MERIT_PREFERENCE_CELL_DIFFERENCE_SQUARED];
    m.sum_chosen = t->cell[MERIT_PREFERENCE_CELL_CHOSEN];
    m.sum_rejected = t->cell[MERIT_PREFERENCE_CELL_REJECTED];
    m.min_score = t->cell[MERIT_PREFERENCE_CELL_MIN];
    m.max_score = t->cell[MERIT_PREFERENCE_CELL_MAX];
    return m;
}

// Writes what depends on route k alone; loss and grad_tie need all routes, in rising order.
MERIT_HD static inline void merit_preference_finish_route(const merit_preference_pair_args *a,
                                                          const merit_preference_totals *t,
                                                          int32_t route)
{
    const merit_preference_pair_io *const io = &a->io;
    if (io->route_sum != NULL) {
        io->route_sum[route] = m_canonical64(t->cell[MERIT_PREFERENCE_CELL_LOSS]);
    }
    if (io->metrics != NULL) io->metrics[route] = merit_preference_metrics_of(t);
    if (merit_preference_divides_by_zero(a, t, route)) {
        m_count(io->diagnostics, MERIT_COUNTER_ZERO_DENOMINATOR, 1);
    }
}

#endif
