// preference_pair, CPU, the common options (merit_preference_pair_is_common) by vectors: 256 pairs at a
// time go through the steps of preference_pair_input.h, _loss.h and _output.h together, each step a
// loop over arrays that the compiler turns into vectors. Pairs that are masked or of weight 0 go along
// with zeros. A chunk in which a used pair is invalid, or its logit infinite, is left to the general
// path; nothing of it is written before that is known.
#ifndef MERIT_PREFERENCE_PAIR_COMMON_CPU_H
#define MERIT_PREFERENCE_PAIR_COMMON_CPU_H

#include "preference_pair.h"

enum { COMMON_PAIRS = 256 };

// Options whose formula is that of LOGISTIC, with references, lengths, margins, weights, masks, targets,
// routes and centering.
static int preference_pair_is_common(const merit_preference_pair_args *a)
{
    const merit_preference_pair_desc *const d = &a->d;
    const int models_ties =
        d->tie_model == MERIT_TIE_MODEL_RAO_KUPPER || d->tie_model == MERIT_TIE_MODEL_DAVIDSON;
    return d->link == MERIT_LINK_LOGISTIC && !models_ties && d->pair_weight > 0.0f &&
           d->unary[0] == 0.0f && d->unary[1] == 0.0f && d->unary[2] == 0.0f && d->unary[3] == 0.0f;
}

typedef struct preference_common_chunk {
    double valid[COMMON_PAIRS]; // 1 or 0
    double used[COMMON_PAIRS]; // valid and of a weight other than 0
    double weight[COMMON_PAIRS]; // 0 where not used, as are x and beta
    double p[COMMON_PAIRS];
    double x_chosen[COMMON_PAIRS];
    double x_rejected[COMMON_PAIRS];
    double beta[COMMON_PAIRS];
    double z[COMMON_PAIRS];
    double opposite[COMMON_PAIRS];
    double loss[COMMON_PAIRS]; // L
    double grad_chosen[COMMON_PAIRS]; // dL / dx_c
    double grad_rejected[COMMON_PAIRS];
    float softplus[COMMON_PAIRS];
    float sigmoid[COMMON_PAIRS];
} preference_common_chunk;

// Inputs ------------------------------------------------------------------------------------------

// Each loop is one array. What it finds wrong with a used pair makes *special nonzero.

static void common_mark(const merit_preference_pair_args *a, int64_t start, int count,
                        preference_common_chunk *c, int *special)
{
    const merit_preference_pair_io *const io = &a->io;
    for (int j = 0; j < count; j++) {
        c->valid[j] = 1.0;
        c->used[j] = 1.0;
        c->weight[j] = 1.0;
        c->p[j] = 1.0;
    }
    for (int j = 0; j < count && io->mask != NULL; j++) {
        c->valid[j] = io->mask[start + j] != 0 ? 1.0 : 0.0;
    }
    int wrong = 0;
    for (int j = 0; j < count && io->weights != NULL; j++) {
        const float w = io->weights[start + j];
        c->weight[j] = w == 0.0f ? 0.0 : (double)w;
        wrong |= c->valid[j] != 0.0 && !(w >= 0.0f && w <= 0x1.fffffep127f);
    }
    const int drops = a->d.tie_model == MERIT_TIE_MODEL_DROP;
    for (int j = 0; j < count && io->outcomes != NULL; j++) {
        const int outcome = io->outcomes[start + j];
        const int dropped = drops && outcome == 0 && c->weight[j] != 0.0;
        c->p[j] = outcome > 0 ? 1.0 : outcome < 0 ? 0.0 : 0.5;
        c->valid[j] = dropped ? 0.0 : c->valid[j];
        wrong |= c->valid[j] != 0.0 && c->weight[j] != 0.0 && (outcome < -1 || outcome > 1);
    }
    for (int j = 0; j < count && io->probabilities != NULL; j++) {
        const float p = io->probabilities[start + j];
        c->p[j] = (double)p;
        wrong |= c->valid[j] != 0.0 && c->weight[j] != 0.0 && !(p >= 0.0f && p <= 1.0f);
    }
    for (int j = 0; j < count; j++) {
        c->used[j] = c->weight[j] != 0.0 ? c->valid[j] : 0.0;
        c->weight[j] = c->used[j] != 0.0 ? c->weight[j] : 0.0;
        c->p[j] = c->used[j] != 0.0 ? c->p[j] : 1.0;
    }
    *special |= wrong;
}

static void common_load_scores(const void *scores, int32_t dtype, int64_t stride, int64_t start,
                               int count, double *x)
{
    if (dtype == MERIT_DTYPE_F32 && stride == 1) {
        const float *const from = (const float *)scores + start;
        for (int j = 0; j < count; j++) {
            x[j] = (double)from[j];
        }
    } else if (dtype == MERIT_DTYPE_BF16 && stride == 1) {
        const uint16_t *const from = (const uint16_t *)scores + start;
        for (int j = 0; j < count; j++) {
            x[j] = (double)m_from_bf16(from[j]);
        }
    } else {
        int unused = 0;
        for (int j = 0; j < count; j++) {
            x[j] = merit_preference_read_score(scores, dtype, (start + j) * stride, &unused);
        }
    }
}

// Zero where the pair is not used. A NaN or an infinity times 0 is no 0.
static int common_clear_unused(const preference_common_chunk *c, int count, double *x)
{
    int wrong = 0;
    for (int j = 0; j < count; j++) {
        const double value = c->used[j] != 0.0 ? x[j] : 0.0;
        wrong |= m_mul64(value, 0.0) != 0.0;
        x[j] = value;
    }
    return wrong;
}

static void common_read_side(const void *scores, int32_t dtype, int64_t stride,
                             const float *references, int64_t reference_stride,
                             const int32_t *lengths, int64_t start, int count,
                             preference_common_chunk *c, double *x, int *special)
{
    common_load_scores(scores, dtype, stride, start, count, x);
    if (references != NULL && reference_stride == 1) {
        for (int j = 0; j < count; j++) {
            x[j] = m_sub64(x[j], (double)references[start + j]);
        }
    } else if (references != NULL) {
        for (int j = 0; j < count; j++) {
            x[j] = m_sub64(x[j], (double)references[(start + j) * reference_stride]);
        }
    }
    int wrong = 0;
    for (int j = 0; j < count && lengths != NULL; j++) {
        const int32_t length = lengths[start + j];
        wrong |= c->used[j] != 0.0 && length <= 0;
        x[j] = m_div64(x[j], (double)length);
    }
    wrong |= common_clear_unused(c, count, x);
    *special |= wrong;
}

static void common_betas(const merit_preference_pair_args *a, int64_t start, int count,
                         preference_common_chunk *c, int *special)
{
    const float *const betas = a->io.betas != NULL ? a->io.betas : a->io.beta_signal;
    for (int j = 0; j < count; j++) {
        c->beta[j] = betas != NULL ? (double)betas[start + j] : (double)a->d.beta;
    }
    *special |= common_clear_unused(c, count, c->beta);
    for (int j = 0; j < count && a->io.beta_signal != NULL; j++) {
        c->beta[j] = merit_preference_mapped_beta(&a->d, c->beta[j]);
    }
}

static void common_logits(const merit_preference_pair_args *a, int64_t start, int count,
                          preference_common_chunk *c, int *special)
{
    const float *const margins = a->io.margins;
    const int swap = a->d.opposite == MERIT_OPPOSITE_SWAP;
    double margin[COMMON_PAIRS];
    for (int j = 0; j < count; j++) {
        margin[j] = (double)a->d.margin;
    }
    for (int j = 0; j < count && margins != NULL; j++) {
        margin[j] = m_add64(margin[j], (double)margins[start + j]);
    }
    *special |= common_clear_unused(c, count, margin);
    int wrong = 0;
    for (int j = 0; j < count; j++) {
        const double scaled = m_mul64(c->beta[j], m_sub64(c->x_chosen[j], c->x_rejected[j]));
        c->z[j] = m_sub64(scaled, margin[j]);
        c->opposite[j] = swap ? m_sub64(-scaled, margin[j]) : -c->z[j];
        wrong |= !(m_abs64(c->z[j]) < 0x1p127) | !(m_abs64(c->opposite[j]) < 0x1p127);
    }
    *special |= wrong;
}

// Returns 0 when the general path has to take the chunk.
static int preference_common_read(const merit_preference_pair_args *a, int64_t start, int count,
                                  preference_common_chunk *c, uint8_t *routes)
{
    const merit_preference_pair_desc *const d = &a->d;
    const merit_preference_pair_io *const io = &a->io;
    int special = 0;
    common_mark(a, start, count, c, &special);
    if (d->route_kind == MERIT_ROUTE_KIND_ONE) memset(routes, 0, (size_t)count);
    for (int j = 0; j < count && d->route_kind != MERIT_ROUTE_KIND_ONE; j++) {
        uint32_t counted = 0;
        routes[j] = (uint8_t)merit_preference_read_route(a, start + j, &counted);
        if (counted != 0 && c->valid[j] != 0.0) special = 1;
    }
    common_read_side(io->chosen, d->score_dtype, d->chosen_stride, io->ref_chosen,
                     d->ref_chosen_stride, io->chosen_length, start, count, c, c->x_chosen,
                     &special);
    common_read_side(io->rejected, d->score_dtype, d->rejected_stride, io->ref_rejected,
                     d->ref_rejected_stride, io->rejected_length, start, count, c, c->x_rejected,
                     &special);
    common_betas(a, start, count, c, &special);
    common_logits(a, start, count, c, &special);
    return !special;
}

// Losses ------------------------------------------------------------------------------------------

// softplus and sigmoid of -z, z rounded to binary32.
static void common_logistic(preference_common_chunk *c, int count, const double *z)
{
    float logit[COMMON_PAIRS];
    uint32_t largest = 0; // the order of binary32 words without a sign is that of their values
    for (int j = 0; j < count; j++) {
        logit[j] = -m_round32(z[j]);
        const uint32_t size = m_bits32(logit[j]) & 0x7fffffffu;
        largest = size > largest ? size : largest;
    }
    if (largest <= m_bits32(80.0f)) {
        float t[COMMON_PAIRS], t_lo[COMMON_PAIRS]; // two loops: see preference_pair_plain_cpu.h
        for (int j = 0; j < count; j++) {
            const merit_pair32 e = m_logistic_near_exp(logit[j]);
            t[j] = e.hi;
            t_lo[j] = e.lo;
        }
        for (int j = 0; j < count; j++) {
            const merit_logistic l = m_logistic_of(logit[j], t[j], t_lo[j]);
            c->softplus[j] = l.softplus;
            c->sigmoid[j] = l.sigmoid;
        }
    } else {
        for (int j = 0; j < count; j++) {
            const merit_logistic l = m_logistic(logit[j]);
            c->softplus[j] = l.softplus;
            c->sigmoid[j] = l.sigmoid;
        }
    }
}

static void preference_common_losses(const merit_preference_pair_args *a, int count,
                                     preference_common_chunk *c)
{
    const merit_preference_pair_desc *const d = &a->d;
    const double pair_weight = (double)d->pair_weight;
    const double center = (double)d->center;
    double q[COMMON_PAIRS];
    double slope[COMMON_PAIRS]; // wrt beta d
    for (int j = 0; j < count; j++) {
        q[j] = d->smoothing == 0.0f ? c->p[j] : merit_preference_fitted(d, c->p[j]);
    }
    double wins = 0.0; // terms that some pair has
    double losses = 0.0;
    for (int j = 0; j < count; j++) {
        wins = c->used[j] != 0.0 && q[j] != 0.0 ? 1.0 : wins;
        losses = c->used[j] != 0.0 && q[j] != 1.0 ? 1.0 : losses;
        c->loss[j] = 0.0;
        slope[j] = 0.0;
    }
    if (wins != 0.0) {
        common_logistic(c, count, c->z);
        for (int j = 0; j < count; j++) {
            const double change = m_mul64(q[j], -(double)c->sigmoid[j]);
            c->loss[j] = m_add64(0.0, m_mul64(q[j], (double)c->softplus[j]));
            slope[j] = q[j] != 0.0 ? change : 0.0;
        }
    }
    if (losses != 0.0) {
        common_logistic(c, count, c->opposite);
        for (int j = 0; j < count; j++) {
            const double rest = m_sub64(1.0, q[j]);
            const double value = m_add64(c->loss[j], m_mul64(rest, (double)c->softplus[j]));
            const double change = m_add64(slope[j], m_mul64(-rest, -(double)c->sigmoid[j]));
            c->loss[j] = rest != 0.0 ? value : c->loss[j];
            slope[j] = rest != 0.0 ? change : slope[j];
        }
    }
    for (int j = 0; j < count; j++) {
        const double both = m_mul64(c->beta[j], m_mul64(pair_weight, slope[j]));
        c->loss[j] = m_mul64(pair_weight, c->loss[j]);
        c->grad_chosen[j] = c->beta[j] != 0.0 ? both : 0.0;
        c->grad_rejected[j] = -c->grad_chosen[j];
    }
    for (int j = 0; j < count && center > 0.0; j++) {
        const double sum = m_add64(c->x_chosen[j], c->x_rejected[j]);
        const double pull = m_mul64(m_mul64(2.0, center), sum);
        c->loss[j] = m_add64(c->loss[j], m_mul64(center, m_mul64(sum, sum)));
        c->grad_chosen[j] = m_add64(c->grad_chosen[j], pull);
        c->grad_rejected[j] = m_add64(c->grad_rejected[j], pull);
    }
}

// Outputs -----------------------------------------------------------------------------------------

static void common_store(void *gradients, int32_t dtype, int64_t stride, int64_t start, int count,
                         const double *values)
{
    if (dtype == MERIT_DTYPE_F32 && stride == 1) {
        float *const to = (float *)gradients + start;
        for (int j = 0; j < count; j++) {
            to[j] = m_round32(values[j]);
        }
    } else if (dtype == MERIT_DTYPE_BF16 && stride == 1) {
        uint16_t *const to = (uint16_t *)gradients + start;
        for (int j = 0; j < count; j++) {
            to[j] = m_to_bf16_64(values[j]);
        }
    } else {
        for (int j = 0; j < count; j++) {
            merit_preference_store(gradients, dtype, (start + j) * stride, values[j]);
        }
    }
}

// t gradient / length, +0 where the pair is not used.
static void common_write_side(const merit_preference_pair_args *a, void *gradients, int64_t stride,
                              const int32_t *lengths, int64_t start, int count, const double *t,
                              const double *gradient, const preference_common_chunk *c)
{
    double out[COMMON_PAIRS];
    if (gradients == NULL) return;
    for (int j = 0; j < count; j++) {
        out[j] = m_mul64(t[j], gradient[j]);
    }
    for (int j = 0; j < count && lengths != NULL; j++) {
        out[j] = m_div64(out[j], (double)lengths[start + j]);
    }
    for (int j = 0; j < count; j++) {
        out[j] = c->used[j] != 0.0 ? out[j] : 0.0;
    }
    common_store(gradients, a->d.score_dtype, stride, start, count, out);
}

static void preference_common_write(const merit_preference_pair_args *a, const double *scales,
                                    const uint8_t *routes, int64_t start, int count,
                                    const preference_common_chunk *c)
{
    const merit_preference_pair_io *const io = &a->io;
    double t[COMMON_PAIRS];
    if (merit_preference_pair_has_gradients(io)) {
        for (int j = 0; j < count; j++) {
            t[j] = m_mul64(a->d.num_routes == 1 ? scales[0] : scales[routes[j]], c->weight[j]);
        }
        common_write_side(a, io->grad_chosen, a->d.grad_chosen_stride, io->chosen_length, start,
                          count, t, c->grad_chosen, c);
        common_write_side(a, io->grad_rejected, a->d.grad_rejected_stride, io->rejected_length,
                          start, count, t, c->grad_rejected, c);
    }
    for (int j = 0; j < count && io->pair_loss != NULL; j++) {
        const double loss = m_mul64(c->weight[j], c->loss[j]);
        io->pair_loss[start + j] = c->used[j] != 0.0 ? m_round32(loss) : 0.0f;
    }
    for (int j = 0; j < count && io->pair_probability != NULL; j++) {
        const float p = m_sigmoid(m_round32(c->z[j]));
        io->pair_probability[start + j] = c->used[j] != 0.0 ? p : 0.0f;
    }
}

// The terms of one cell; see merit_preference_term. `+ 0` takes the sign off a zero.
static void preference_common_terms(int cell, int count, const preference_common_chunk *c,
                                    double *terms)
{
    const double *const xc = c->x_chosen;
    const double *const xr = c->x_rejected;
    const double *values = NULL;
    switch (cell) {
    case MERIT_PREFERENCE_CELL_WEIGHT:
    case MERIT_PREFERENCE_CELL_WEIGHT_SEEN: values = c->weight; break;
    case MERIT_PREFERENCE_CELL_CHOSEN: values = xc; break;
    case MERIT_PREFERENCE_CELL_REJECTED: values = xr; break;
    default: break;
    }
    for (int j = 0; j < count && values != NULL; j++) {
        terms[j] = m_add64(values[j], 0.0);
    }
    for (int j = 0; j < count && cell == MERIT_PREFERENCE_CELL_LOSS; j++) {
        terms[j] = m_add64(m_mul64(c->weight[j], c->loss[j]), 0.0);
    }
    for (int j = 0; j < count && cell == MERIT_PREFERENCE_CELL_LOSS_ALONE; j++) {
        terms[j] = m_add64(c->used[j] != 0.0 ? c->loss[j] : 0.0, 0.0);
    }
    for (int j = 0; j < count && cell == MERIT_PREFERENCE_CELL_DIFFERENCE; j++) {
        terms[j] = m_add64(m_sub64(xc[j], xr[j]), 0.0);
    }
    for (int j = 0; j < count && cell == MERIT_PREFERENCE_CELL_DIFFERENCE_SQUARED; j++) {
        const double d = m_sub64(xc[j], xr[j]);
        terms[j] = m_mul64(d, d);
    }
    for (int j = 0; j < count && cell == MERIT_PREFERENCE_CELL_MIN; j++) {
        const double least = xr[j] < xc[j] ? xr[j] : xc[j];
        terms[j] = m_add64(c->used[j] != 0.0 ? least : m_inf64(), 0.0);
    }
    for (int j = 0; j < count && cell == MERIT_PREFERENCE_CELL_MAX; j++) {
        const double most = xr[j] > xc[j] ? xr[j] : xc[j];
        terms[j] = m_add64(c->used[j] != 0.0 ? most : -m_inf64(), 0.0);
    }
}

// The two cells of counts: what merit_preference_pack makes of 0 and 1, in binary64.
static void preference_common_counts(int more, int count, const preference_common_chunk *c,
                                     double *terms)
{
    for (int j = 0; j < count; j++) {
        const double d = m_sub64(c->x_chosen[j], c->x_rejected[j]);
        const double ties = c->p[j] == 0.5 ? c->used[j] : 0.0;
        const double decided = c->p[j] == 0.5 ? 0.0 : c->used[j];
        const double right = (c->p[j] > 0.5 ? d > 0.0 : d < 0.0) ? decided : 0.0;
        const double tied = d == 0.0 ? decided : 0.0;
        const double low = more ? tied : c->valid[j];
        const double next = more ? ties : m_sub64(c->valid[j], c->used[j]);
        const double high = more ? 0.0 : m_fma64(right, 0x1p36, m_mul64(decided, 0x1p24));
        terms[j] = m_add64(m_fma64(next, 0x1p12, low), high);
    }
}

#endif
