// preference_pair: what a pair is, from the arrays of the call.
#ifndef MERIT_PREFERENCE_PAIR_INPUT_H
#define MERIT_PREFERENCE_PAIR_INPUT_H

#include "../core/float16.h"
#include "preference_pair_args.h"
#include "preference_tie.h"

// What all pairs share. Made once per block or thread.
typedef struct merit_preference_pair_shared {
    merit_preference_link link;
    merit_preference_link unary_link;
    merit_preference_tie tie;
    int32_t models_ties; // RAO_KUPPER or DAVIDSON
    int32_t has_unary;
    double unary_shift;
    double grad_scale;
} merit_preference_pair_shared;

MERIT_HD static inline merit_preference_pair_shared
merit_preference_pair_shared_of(const merit_preference_pair_args *a)
{
    const merit_preference_pair_desc *const d = &a->d;
    const merit_preference_pair_io *const io = &a->io;
    merit_preference_pair_shared s;
    s.link = merit_preference_link_of(d->link, d->link_param);
    s.unary_link = merit_preference_link_of(d->unary_link, d->link_param);
    s.tie = merit_preference_tie_of(d->tie_model,
                                    io->log_tie_dev != NULL ? *io->log_tie_dev : d->log_tie);
    s.models_ties =
        d->tie_model == MERIT_TIE_MODEL_RAO_KUPPER || d->tie_model == MERIT_TIE_MODEL_DAVIDSON;
    s.has_unary =
        d->unary[0] > 0.0f || d->unary[1] > 0.0f || d->unary[2] > 0.0f || d->unary[3] > 0.0f;
    s.unary_shift = (double)(io->unary_shift_dev != NULL ? *io->unary_shift_dev : d->unary_shift);
    s.grad_scale = io->grad_scale != NULL ? (double)*io->grad_scale : 1.0;
    return s;
}

typedef enum merit_preference_state {
    MERIT_PREFERENCE_ABSENT = 0, // not valid
    MERIT_PREFERENCE_UNWEIGHTED = 1, // valid, of weight 0
    MERIT_PREFERENCE_INVALID = 2, // valid, NaN
    MERIT_PREFERENCE_USABLE = 3
} merit_preference_state;

typedef struct merit_preference_input {
    int32_t state;
    int32_t route;
    int32_t outcome; // 1, 0 (tie), -1 under OUTCOME; else 1
    uint32_t counted; // bits MERIT_PREFERENCE_COUNTED(counter)
    double weight;
    double p;
    double x_chosen;
    double x_rejected;
    double beta;
    double margin;
} merit_preference_input;

#define MERIT_PREFERENCE_COUNTED(word) (1u << (MERIT_COUNTER_##word - MERIT_COUNTER_NONFINITE))

MERIT_HD static inline int merit_preference_is_finite32(float a)
{
    return (m_bits32(a) & 0x7f800000u) != 0x7f800000u;
}

// A float that decides the pair; *nonfinite becomes 1 for NaN and infinity.
MERIT_HD static inline double merit_preference_read(const float *array, int64_t i, int *nonfinite)
{
    const float a = array[i];
    if (!merit_preference_is_finite32(a)) *nonfinite = 1;
    return (double)a;
}

MERIT_HD static inline double merit_preference_read_score(const void *scores, int32_t dtype,
                                                          int64_t i, int *nonfinite)
{
    float a;
    if (dtype == MERIT_DTYPE_F32) {
        a = ((const float *)scores)[i];
    } else {
        const uint16_t word = ((const uint16_t *)scores)[i];
        a = dtype == MERIT_DTYPE_BF16 ? m_from_bf16(word) : m_from_f16(word);
    }
    if (!merit_preference_is_finite32(a)) *nonfinite = 1;
    return (double)a;
}

// x of one side: (score - reference) / length.
MERIT_HD static inline double merit_preference_read_side(const void *scores, int32_t dtype,
                                                         int64_t stride, const float *references,
                                                         int64_t reference_stride,
                                                         const int32_t *lengths, int64_t i,
                                                         int *nonfinite, int *bad_length)
{
    if (scores == NULL) return 0.0;
    double x = merit_preference_read_score(scores, dtype, i * stride, nonfinite);
    if (references != NULL) {
        x = m_sub64(x, merit_preference_read(references, i * reference_stride, nonfinite));
    }
    if (lengths == NULL) return x;
    const int32_t length = lengths[i];
    if (length <= 0) *bad_length = 1;
    return m_div64(x, (double)length);
}

// max(0, beta (1 + map_weight (1 - exp(-map_rate signal))))  (MM-RLHF)
MERIT_HD static inline double merit_preference_mapped_beta(const merit_preference_pair_desc *d,
                                                           double signal)
{
    if (d->map_weight == 0.0f) return (double)d->beta; // however far exp goes
    const double power = -m_mul64((double)d->map_rate, signal);
    const double gain = m_mul64((double)d->map_weight, -m_expm1_64(power));
    const double beta = m_mul64((double)d->beta, m_add64(1.0, gain));
    return beta > 0.0 ? beta : 0.0;
}

MERIT_HD static inline int32_t merit_preference_read_route(const merit_preference_pair_args *a,
                                                           int64_t i, uint32_t *counted)
{
    if (a->d.route_kind == MERIT_ROUTE_KIND_ONE) return 0;
    if (a->d.route_kind == MERIT_ROUTE_KIND_COLUMN) return (int32_t)(i % a->d.num_routes);
    const int32_t route = a->io.routes[i];
    if (route >= 0 && route < a->d.num_routes) return route;
    *counted |= MERIT_PREFERENCE_COUNTED(BAD_ROUTE);
    return 0;
}

MERIT_HD static inline merit_preference_input
merit_preference_pair_read(const merit_preference_pair_args *a,
                           const merit_preference_pair_shared *s, int64_t i)
{
    const merit_preference_pair_desc *const d = &a->d;
    const merit_preference_pair_io *const io = &a->io;
    merit_preference_input in;
    in.state = MERIT_PREFERENCE_ABSENT;
    in.route = 0;
    in.outcome = 1;
    in.counted = 0;
    in.weight = 1.0;
    in.p = 1.0;
    in.x_chosen = 0.0;
    in.x_rejected = 0.0;
    in.beta = (double)d->beta;
    in.margin = (double)d->margin;
    if (io->mask != NULL && io->mask[i] == 0) return in;

    int nonfinite = 0;
    int bad_length = 0;
    uint32_t counted = 0;
    in.route = merit_preference_read_route(a, i, &counted);
    if (io->weights != NULL) in.weight = merit_preference_read(io->weights, i, &nonfinite);
    if (in.weight == 0.0) {
        in.weight = 0.0; // not -0
        in.counted = counted;
        in.state = MERIT_PREFERENCE_UNWEIGHTED;
        return in;
    }
    if (!(in.weight >= 0.0)) counted |= MERIT_PREFERENCE_COUNTED(BAD_WEIGHT);
    if (d->target == MERIT_PAIR_TARGET_OUTCOME) {
        in.outcome = io->outcomes[i];
        if (in.outcome == 0 && d->tie_model == MERIT_TIE_MODEL_DROP) return in;
        in.p = in.outcome > 0 ? 1.0 : in.outcome < 0 ? 0.0 : 0.5;
        if (in.outcome < -1 || in.outcome > 1) counted |= MERIT_PREFERENCE_COUNTED(BAD_TARGET);
        if (in.outcome == 0 && d->tie_model == MERIT_TIE_MODEL_RAO_KUPPER &&
            !(s->tie.log_tie > 0.0)) {
            counted |= MERIT_PREFERENCE_COUNTED(BAD_TIE);
        }
    } else if (d->target == MERIT_PAIR_TARGET_PROBABILITY) {
        in.p = merit_preference_read(io->probabilities, i, &nonfinite);
        if (!(in.p >= 0.0 && in.p <= 1.0)) counted |= MERIT_PREFERENCE_COUNTED(BAD_TARGET);
    }
    in.x_chosen = merit_preference_read_side(io->chosen, d->score_dtype, d->chosen_stride,
                                             io->ref_chosen, d->ref_chosen_stride,
                                             io->chosen_length, i, &nonfinite, &bad_length);
    in.x_rejected = merit_preference_read_side(io->rejected, d->score_dtype, d->rejected_stride,
                                               io->ref_rejected, d->ref_rejected_stride,
                                               io->rejected_length, i, &nonfinite, &bad_length);
    if (bad_length) counted |= MERIT_PREFERENCE_COUNTED(BAD_LENGTH);
    if (d->beta_map == MERIT_BETA_MAP_ARRAY) {
        in.beta = merit_preference_read(io->betas, i, &nonfinite);
    } else if (d->beta_map == MERIT_BETA_MAP_MARGIN_EXP) {
        in.beta =
            merit_preference_mapped_beta(d, merit_preference_read(io->beta_signal, i, &nonfinite));
    }
    if (io->margins != NULL) {
        in.margin = m_add64(in.margin, merit_preference_read(io->margins, i, &nonfinite));
    }
    if (nonfinite && d->skip_invalid) {
        in.counted = MERIT_PREFERENCE_COUNTED(NONFINITE);
        return in;
    }
    if (nonfinite) counted |= MERIT_PREFERENCE_COUNTED(NONFINITE);
    in.counted = counted;
    in.state = counted != 0 ? MERIT_PREFERENCE_INVALID : MERIT_PREFERENCE_USABLE;
    return in;
}

#endif
