// score_readout: the formulas of one row, worked on by one thread. Sums follow the canonical order over
// columns: column k in lane k mod 256, lanes fold neighbors first.
#ifndef MERIT_SCORE_READOUT_H
#define MERIT_SCORE_READOUT_H

#include "../core/counters.h"
#include "../core/lanes.h"
#include "../core/load.h"
#include "score_readout_args.h"

typedef struct merit_readout_sum {
    int32_t count; // lanes pushed
    double level[9];
} merit_readout_sum;

MERIT_HD static inline void readout_push(merit_readout_sum *s, double value)
{
    int depth = 0;
    for (int32_t bits = s->count; bits != 0; bits &= bits - 1) {
        depth++;
    }
    for (int32_t bits = s->count; (bits & 1) != 0; bits >>= 1) {
        value = m_add64(s->level[--depth], value);
    }
    s->level[depth] = value;
    s->count++;
}

MERIT_HD static inline double readout_finish(const merit_readout_sum *s)
{
    int depth = 0;
    for (int32_t bits = s->count; bits != 0; bits &= bits - 1) {
        depth++;
    }
    double value = 0.0;
    if (depth > 0) value = s->level[--depth];
    while (depth > 0) {
        value = m_add64(s->level[--depth], value);
    }
    return m_add64(value, 0.0);
}

// result = sum over k < size of `term`, an expression of k.
#define READOUT_SUM(result, size, term)                                    \
    do {                                                                   \
        merit_readout_sum readout_lanes;                                   \
        readout_lanes.count = 0;                                           \
        for (int lane = 0; lane < MERIT_LANES && lane < (size); lane++) {  \
            double lane_sum = 0.0;                                         \
            for (int k = lane; k < (size); k += MERIT_LANES) {             \
                lane_sum = k == lane ? (term) : m_add64(lane_sum, (term)); \
            }                                                              \
            readout_push(&readout_lanes, lane_sum);                        \
        }                                                                  \
        (result) = readout_finish(&readout_lanes);                         \
    } while (0)

MERIT_HD static inline float readout_round(double value)
{
    return m_canonical32(m_round32(value));
}

MERIT_HD static inline void readout_store(void *array, int32_t dtype, int64_t i, double value)
{
    switch (dtype) {
    case MERIT_DTYPE_BF16: ((uint16_t *)array)[i] = m_to_bf16_64(value); break;
    case MERIT_DTYPE_F16: ((uint16_t *)array)[i] = m_to_f16_64(value); break;
    default: ((float *)array)[i] = readout_round(value); break;
    }
}

MERIT_HD static inline double readout_upstream(const float *gradients, int64_t i)
{
    return gradients == NULL ? 0.0 : (double)gradients[i];
}

// Column k of the inputs of row p, by level_index where there is one.
MERIT_HD static inline double readout_input(const merit_score_readout_args *a, int64_t p, int k)
{
    const int64_t column = a->io.level_index != NULL ? a->io.level_index[k] : k;
    return m_load_real(a->io.inputs, a->d.input_dtype, p * a->d.input_stride + column);
}

// LINEAR ------------------------------------------------------------------------------------------

MERIT_HD static inline double readout_direction(const merit_score_readout_args *a, int64_t p, int k)
{
    return (double)a->io.direction[p * a->d.direction_stride + k];
}

// d reward / d v of a reward along v / length.
MERIT_HD static inline double readout_unit_slope(double x, double v, double reward, double length)
{
    return m_div64(m_sub64(x, m_mul64(reward, m_div64(v, length))), length);
}

MERIT_HD static inline void readout_linear(const merit_score_readout_args *a, int64_t p)
{
    const int size = a->d.num_columns;
    double reward;
    double length = 1.0;
    READOUT_SUM(reward, size, m_mul64(readout_direction(a, p, k), readout_input(a, p, k)));
    if (a->d.unit) {
        READOUT_SUM(length, size, m_mul64(readout_direction(a, p, k), readout_direction(a, p, k)));
        length = m_sqrt64(length);
        m_count(a->io.diagnostics, MERIT_COUNTER_ZERO_DIRECTION, length == 0.0);
        reward = m_div64(reward, length);
    }
    if (a->io.reward != NULL) a->io.reward[p] = readout_round(reward);
    const double g = readout_upstream(a->grad.grad_reward, p);
    for (int k = 0; k < size && a->grad.grad_inputs != NULL; k++) {
        const double v = readout_direction(a, p, k);
        readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + k,
                      m_mul64(g, a->d.unit ? m_div64(v, length) : v));
    }
    for (int k = 0; k < size && a->grad.grad_direction != NULL; k++) {
        double slope = readout_input(a, p, k);
        if (a->d.unit) {
            slope = readout_unit_slope(slope, readout_direction(a, p, k), reward, length);
        }
        a->grad.grad_direction[p * size + k] = readout_round(m_mul64(g, slope));
    }
}

// Softmax -----------------------------------------------------------------------------------------

// logits of a row: GATE its own array, LEVELS the inputs.
MERIT_HD static inline double readout_logit(const merit_score_readout_args *a, int64_t p, int k)
{
    if (a->d.kind == MERIT_READOUT_LEVELS) return readout_input(a, p, k);
    return m_load_real(a->io.gate_logits, a->d.input_dtype, p * a->d.gate_stride + k);
}

typedef struct merit_readout_softmax {
    double max; // -inf: all are
    double sum; // of e^((y - max) / T)
} merit_readout_softmax;

MERIT_HD static inline double readout_shifted(const merit_score_readout_args *a,
                                              const merit_readout_softmax *s, int64_t p, int k)
{
    return m_div64(m_sub64(readout_logit(a, p, k), s->max), (double)a->d.temperature);
}

MERIT_HD static inline double readout_exp(const merit_score_readout_args *a,
                                          const merit_readout_softmax *s, int64_t p, int k)
{
    return (double)m_exp(m_round32(readout_shifted(a, s, p, k)));
}

MERIT_HD static inline merit_readout_softmax readout_softmax(const merit_score_readout_args *a,
                                                             int64_t p)
{
    merit_readout_softmax s;
    s.max = -m_inf64();
    for (int k = 0; k < a->d.num_columns; k++) {
        const double y = readout_logit(a, p, k);
        s.max = y > s.max || m_is_nan64(y) ? y : s.max;
        if (m_is_nan64(y)) break;
    }
    READOUT_SUM(s.sum, a->d.num_columns, readout_exp(a, &s, p, k));
    return s;
}

MERIT_HD static inline double readout_prob(const merit_score_readout_args *a,
                                           const merit_readout_softmax *s, int64_t p, int k)
{
    return m_div64(readout_exp(a, s, p, k), s->sum);
}

// GATE --------------------------------------------------------------------------------------------

// u_j = sum over k of r_k M[k,j].
MERIT_HD static inline double readout_transformed(const merit_score_readout_args *a, int64_t p,
                                                  int j)
{
    if (a->io.transform == NULL) return readout_input(a, p, j);
    const int size = a->d.num_columns;
    double u;
    READOUT_SUM(u, size,
                m_mul64(readout_input(a, p, k), (double)a->io.transform[(int64_t)k * size + j]));
    return u;
}

// d reward / d y of share `prob` of u, g the upstream times the scale.
MERIT_HD static inline double readout_gate_slope(double g, double temperature, double prob,
                                                 double u, double mixed)
{
    return m_mul64(m_div64(g, temperature), m_mul64(prob, m_sub64(u, mixed)));
}

MERIT_HD static inline void readout_gate(const merit_score_readout_args *a, int64_t p)
{
    const int size = a->d.num_columns;
    const merit_readout_softmax s = readout_softmax(a, p);
    const double scale = (double)a->d.scale;
    double mixed;
    READOUT_SUM(mixed, size, m_mul64(readout_prob(a, &s, p, k), readout_transformed(a, p, k)));
    if (a->io.reward != NULL) a->io.reward[p] = readout_round(m_mul64(scale, mixed));
    for (int k = 0; k < size && a->io.gate != NULL; k++) {
        a->io.gate[p * size + k] = readout_round(readout_prob(a, &s, p, k));
    }
    const double g = m_mul64(readout_upstream(a->grad.grad_reward, p), scale);
    for (int j = 0; j < size && a->grad.grad_inputs != NULL; j++) {
        double slope = readout_prob(a, &s, p, j);
        if (a->io.transform != NULL) {
            const float *const row = a->io.transform + (int64_t)j * size;
            READOUT_SUM(slope, size, m_mul64((double)row[k], readout_prob(a, &s, p, k)));
        }
        readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + j,
                      m_mul64(g, slope));
    }
    for (int k = 0; k < size && a->grad.grad_gate_logits != NULL; k++) {
        readout_store(a->grad.grad_gate_logits, a->d.input_dtype, p * (int64_t)size + k,
                      readout_gate_slope(g, (double)a->d.temperature, readout_prob(a, &s, p, k),
                                         readout_transformed(a, p, k), mixed));
    }
}

// LEVELS ------------------------------------------------------------------------------------------

MERIT_HD static inline double readout_level_value(const merit_score_readout_args *a, int k)
{
    return a->io.level_values != NULL ? (double)a->io.level_values[k] : (double)(k + 1);
}

// p log p, 0 for p = 0. log p = (y - max) / T - log sum.
MERIT_HD static inline double readout_surprise(double prob, double shifted, double log_sum)
{
    return prob == 0.0 ? 0.0 : m_mul64(prob, m_sub64(shifted, log_sum));
}

MERIT_HD static inline double readout_deviation(double prob, double value, double mean)
{
    const double d = m_sub64(value, mean);
    return m_mul64(prob, m_mul64(d, d));
}

// What a row of levels has in the end, and the upstreams of that.
typedef struct merit_readout_moments {
    double log_sum, mean, variance, entropy;
    double g_mean, g_variance, g_entropy;
} merit_readout_moments;

// The gradient of the logit of a level.
MERIT_HD static inline double readout_level_slope(const merit_readout_moments *m, double prob,
                                                  double shifted, double value, double temperature)
{
    const double d = m_sub64(value, m->mean);
    const double by_mean = m_mul64(m->g_mean, d);
    const double by_var = m_mul64(m->g_variance, m_sub64(m_mul64(d, d), m->variance));
    const double by_ent = m_mul64(m->g_entropy, m_add64(m_sub64(shifted, m->log_sum), m->entropy));
    const double slope = m_sub64(m_add64(by_mean, by_var), by_ent);
    return prob == 0.0 ? 0.0 : m_mul64(m_div64(prob, temperature), slope);
}

// Whether the level_index of a row lies within the logits.
MERIT_HD static inline int readout_has_bad_index(const merit_score_readout_args *a)
{
    for (int k = 0; k < a->d.num_columns && a->io.level_index != NULL; k++) {
        if (a->io.level_index[k] < 0 || a->io.level_index[k] >= a->d.num_logits) return 1;
    }
    return 0;
}

// The same values in all outputs of a row without a distribution.
MERIT_HD static inline void readout_levels_without(const merit_score_readout_args *a, int64_t p,
                                                   double mean, double gradient)
{
    if (a->io.mean != NULL) a->io.mean[p] = readout_round(mean);
    if (a->io.variance != NULL) a->io.variance[p] = m_nan32();
    if (a->io.entropy != NULL) a->io.entropy[p] = m_nan32();
    for (int k = 0; k < a->d.num_columns; k++) {
        if (a->io.prob != NULL) a->io.prob[p * a->d.num_columns + k] = m_nan32();
        if (a->grad.grad_inputs == NULL) continue;
        readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + k, gradient);
    }
}

MERIT_HD static inline void readout_levels(const merit_score_readout_args *a, int64_t p)
{
    const int size = a->d.num_columns;
    if (readout_has_bad_index(a)) {
        m_count(a->io.diagnostics, MERIT_COUNTER_BAD_INDEX, 1);
        readout_levels_without(a, p, m_nan64(), m_nan64());
        return;
    }
    const merit_readout_softmax s = readout_softmax(a, p);
    if (s.max == -m_inf64()) {
        m_count(a->io.diagnostics, MERIT_COUNTER_EMPTY_ROW, 1);
        readout_levels_without(a, p, (double)a->d.empty_value, 0.0);
        return;
    }
    merit_readout_moments m;
    m.log_sum = m_log64(s.sum);
    READOUT_SUM(m.mean, size, m_mul64(readout_level_value(a, k), readout_prob(a, &s, p, k)));
    READOUT_SUM(m.variance, size,
                readout_deviation(readout_prob(a, &s, p, k), readout_level_value(a, k), m.mean));
    READOUT_SUM(
        m.entropy, size,
        readout_surprise(readout_prob(a, &s, p, k), readout_shifted(a, &s, p, k), m.log_sum));
    m.entropy = m_sub64(0.0, m.entropy);
    if (a->io.mean != NULL) a->io.mean[p] = readout_round(m.mean);
    if (a->io.variance != NULL) a->io.variance[p] = readout_round(m.variance);
    if (a->io.entropy != NULL) a->io.entropy[p] = readout_round(m.entropy);
    m.g_mean = readout_upstream(a->grad.grad_mean, p);
    m.g_variance = readout_upstream(a->grad.grad_variance, p);
    m.g_entropy = readout_upstream(a->grad.grad_entropy, p);
    for (int k = 0; k < size; k++) {
        const double prob = readout_prob(a, &s, p, k);
        if (a->io.prob != NULL) a->io.prob[p * size + k] = readout_round(prob);
        if (a->grad.grad_inputs == NULL) continue;
        readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + k,
                      readout_level_slope(&m, prob, readout_shifted(a, &s, p, k),
                                          readout_level_value(a, k), (double)a->d.temperature));
    }
}

// QUANTILE ----------------------------------------------------------------------------------------

// Index of the level that follows level `last` in sorted order (ties: the lower index first); last -1:
// the first one.
MERIT_HD static inline int readout_next(const merit_score_readout_args *a, int64_t p, int first,
                                        int size, int last)
{
    const double before = last >= 0 ? readout_input(a, p, first + last) : 0.0;
    int best = -1;
    double least = 0.0;
    for (int n = 0; n < size; n++) {
        const double q = readout_input(a, p, first + n);
        const int later = last < 0 || q > before || (q == before && n > last);
        if (later && (best < 0 || q < least)) {
            best = n;
            least = q;
        }
    }
    return best;
}

typedef struct merit_readout_tail {
    double below; // cumulative weight before this level
    double upto; // and with it
    double weight;
    double mass; // inside (0, alpha]
    int is_low, is_high; // the quartiles
} merit_readout_tail;

// Step to sorted place `place`, which is level n.
MERIT_HD static inline void readout_step(const merit_score_readout_args *a, int size, int place,
                                         int n, merit_readout_tail *t)
{
    const double alpha = (double)a->d.alpha;
    const int uniform = a->io.level_weights == NULL;
    const double before = place == 0 ? 0.0 : t->upto;
    t->weight = uniform ? m_div64(1.0, (double)size) : (double)a->io.level_weights[n];
    t->below = before;
    t->upto = uniform ? m_div64((double)(place + 1), (double)size) : m_add64(before, t->weight);
    const int last = place + 1 == size;
    const double end = last || t->upto > alpha ? alpha : t->upto;
    t->mass = end > before ? m_sub64(end, before) : 0.0;
    if (alpha == 1.0) t->mass = t->weight; // the mean
    t->is_low = (place == 0 || before < 0.25) && (last || t->upto >= 0.25);
    t->is_high = (place == 0 || before < 0.75) && (last || t->upto >= 0.75);
}

// What a level of weight t->weight gets of the upstreams.
MERIT_HD static inline double readout_tail_slope(const merit_readout_tail *t, double alpha,
                                                 double g_mean, double g_cvar, double g_iqr)
{
    const double by_mean = m_mul64(g_mean, t->weight);
    const double by_tail = m_mul64(g_cvar, m_div64(t->mass, alpha));
    const double by_iqr = m_mul64(g_iqr, (double)(t->is_high - t->is_low));
    return m_add64(m_add64(by_mean, by_tail), by_iqr);
}

// One attribute: levels first .. first + size of row p; out: its place in [P,A].
MERIT_HD static inline void readout_attribute(const merit_score_readout_args *a, int64_t p,
                                              int first, int size, int64_t out)
{
    int bad = 0;
    int crossing = 0;
    double before = -m_inf64();
    for (int n = 0; n < size; n++) {
        const double q = readout_input(a, p, first + n);
        bad |= m_is_nan64(q);
        crossing |= q < before;
        before = q;
    }
    crossing = crossing && !bad && !a->d.sort;
    m_count(a->io.diagnostics, MERIT_COUNTER_CROSSING, (uint64_t)crossing);
    bad |= crossing;
    const double g_mean = readout_upstream(a->grad.grad_mean, out);
    const double g_cvar = readout_upstream(a->grad.grad_cvar, out);
    const double g_iqr = readout_upstream(a->grad.grad_iqr, out);
    const double alpha = (double)a->d.alpha;
    double lanes_mean = 0.0;
    double lanes_tail = 0.0;
    double low = 0.0;
    double high = 0.0;
    // Sorted place s is in lane s mod 256. Up to 256 levels one walk visits the lanes in order; beyond,
    // each lane takes a walk of its own.
    const int many = size > MERIT_LANES;
    merit_readout_sum mean_sum;
    merit_readout_sum tail_sum;
    mean_sum.count = 0;
    tail_sum.count = 0;
    for (int lane = 0; lane < (many ? (int)MERIT_LANES : 1) && !bad; lane++) {
        merit_readout_tail t;
        t.upto = 0.0;
        int n = -1;
        for (int place = 0; place < size; place++) {
            n = a->d.sort ? readout_next(a, p, first, size, n) : place;
            readout_step(a, size, place, n, &t);
            if (many && place % MERIT_LANES != lane) continue;
            const double q = readout_input(a, p, first + n);
            const double plain = a->io.level_weights == NULL ? q : m_mul64(t.weight, q);
            const double tail = t.mass == 0.0 ? 0.0 : m_mul64(t.mass, q);
            const int starts = !many || place == lane;
            lanes_mean = starts ? plain : m_add64(lanes_mean, plain);
            lanes_tail = starts ? tail : m_add64(lanes_tail, tail);
            if (!many || place + MERIT_LANES >= size) {
                readout_push(&mean_sum, lanes_mean);
                readout_push(&tail_sum, lanes_tail);
            }
            if (t.is_low) low = q;
            if (t.is_high) high = q;
            if (a->grad.grad_inputs == NULL) continue;
            readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + first + n,
                          readout_tail_slope(&t, alpha, g_mean, g_cvar, g_iqr));
        }
    }
    double mean = readout_finish(&mean_sum);
    if (a->io.level_weights == NULL) mean = m_div64(mean, (double)size);
    const double tail = m_div64(readout_finish(&tail_sum), alpha);
    const double nan = m_nan64();
    if (a->io.mean != NULL) a->io.mean[out] = readout_round(bad ? nan : mean);
    if (a->io.cvar != NULL) {
        a->io.cvar[out] = readout_round(bad ? nan : alpha == 1.0 ? mean : tail);
    }
    if (a->io.iqr != NULL) a->io.iqr[out] = readout_round(bad ? nan : m_sub64(high, low));
    for (int n = 0; n < size && bad && a->grad.grad_inputs != NULL; n++) {
        readout_store(a->grad.grad_inputs, a->d.input_dtype, p * a->d.grad_stride + first + n, nan);
    }
}

// Row p -------------------------------------------------------------------------------------------

MERIT_HD static inline void readout_row(const merit_score_readout_args *a, int64_t p)
{
    switch (a->d.kind) {
    case MERIT_READOUT_LINEAR: readout_linear(a, p); break;
    case MERIT_READOUT_GATE: readout_gate(a, p); break;
    case MERIT_READOUT_LEVELS: readout_levels(a, p); break;
    default:
        for (int i = 0; i < a->d.num_attributes; i++) {
            const int size = a->d.num_columns / a->d.num_attributes;
            readout_attribute(a, p, i * size, size, p * a->d.num_attributes + i);
        }
        break;
    }
}

#endif
