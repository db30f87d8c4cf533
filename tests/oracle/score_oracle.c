#include "score_oracle.h"

#include <math.h>
#include <stdlib.h>

typedef long double real;

static int64_t index_at(const merit_score_desc *d, const void *array, int64_t i)
{
    return d->index_dtype == MERIT_DTYPE_I64 ? ((const int64_t *)array)[i]
                                             : ((const int32_t *)array)[i];
}

static int64_t score_oracle_tokens(const merit_score_desc *d)
{
    return d->row_tokens > 0 ? d->num_rows * d->row_tokens : d->num_tokens;
}

static int64_t score_oracle_positions(const merit_score_desc *d)
{
    if (d->positions == MERIT_POSITIONS_ALL) return score_oracle_tokens(d);
    if (d->positions != MERIT_POSITIONS_EXPLICIT) return d->num_rows;
    return d->position_layout == MERIT_POSITION_LAYOUT_PER_ROW ? d->num_rows * d->positions_per_row
                                                               : d->num_positions;
}

// Positions ---------------------------------------------------------------------------------------

static int64_t token_of_sequence(const merit_score_desc *d, int64_t sequence, int64_t t)
{
    if (t < 0) return MERIT_POSITION_EMPTY;
    if (t >= d->row_tokens) return MERIT_POSITION_BAD;
    return sequence * d->row_tokens + t;
}

static int64_t last_token(const merit_score_desc *d, const merit_score_forward_io *io, int64_t b)
{
    int64_t last = -1;
    for (int64_t t = 0; t < d->row_tokens; t++) {
        const int64_t i = b * d->row_tokens + t;
        const int wanted = d->positions == MERIT_POSITIONS_MASK
                               ? io->mask[i] != 0
                               : index_at(d, io->ids, i) != d->pad_id;
        if (wanted) last = t;
    }
    return token_of_sequence(d, b, last);
}

static int64_t before_first_pad(const merit_score_desc *d, const merit_score_forward_io *io,
                                int64_t b)
{
    int64_t pad = d->context_length;
    while (pad < d->row_tokens && index_at(d, io->ids, b * d->row_tokens + pad) != d->pad_id) {
        pad++;
    }
    return pad - 1 < d->context_length ? MERIT_POSITION_EMPTY : token_of_sequence(d, b, pad - 1);
}

static int64_t explicit_position(const merit_score_desc *d, const merit_score_forward_io *io,
                                 int64_t p, int *bad_offsets)
{
    const int64_t given = index_at(d, io->positions, p);
    if (d->position_layout == MERIT_POSITION_LAYOUT_PER_ROW) {
        return token_of_sequence(d, p / d->positions_per_row, given);
    }
    if (d->position_layout == MERIT_POSITION_LAYOUT_RAGGED) {
        for (int64_t b = 0; b < d->num_rows; b++) {
            if (p >= io->position_offsets[b] && p < io->position_offsets[b + 1]) {
                return token_of_sequence(d, b, given);
            }
        }
        *bad_offsets = 1;
        return MERIT_POSITION_BAD;
    }
    if (given < 0) return MERIT_POSITION_EMPTY;
    return given < score_oracle_tokens(d) ? given : MERIT_POSITION_BAD;
}

static int64_t find(const merit_score_desc *d, const merit_score_forward_io *io, int64_t p,
                    int *bad_offsets)
{
    switch (d->positions) {
    case MERIT_POSITIONS_ALL:
        return io->mask != NULL && io->mask[p] == 0 ? MERIT_POSITION_MASKED : p;
    case MERIT_POSITIONS_LENGTHS: return token_of_sequence(d, p, io->lengths[p] - (int64_t)1);
    case MERIT_POSITIONS_CU_SEQLENS: {
        const int64_t begin = index_at(d, io->cu_seqlens, p);
        const int64_t end = index_at(d, io->cu_seqlens, p + 1);
        *bad_offsets = begin < 0 || end < begin;
        if (*bad_offsets) return MERIT_POSITION_BAD;
        if (end == begin) return MERIT_POSITION_EMPTY;
        return end > d->num_tokens ? MERIT_POSITION_BAD : end - 1;
    }
    case MERIT_POSITIONS_EXPLICIT: return explicit_position(d, io, p, bad_offsets);
    case MERIT_POSITIONS_BEFORE_FIRST_PAD: return before_first_pad(d, io, p);
    default: return last_token(d, io, p);
    }
}

// Scores ------------------------------------------------------------------------------------------

static void score_one(const merit_score_desc *d, const merit_score_forward_io *io,
                      const score_oracle_arrays *a, int64_t row, int64_t k, double *score,
                      double *size)
{
    real sum = 0, total = 0;
    for (int64_t h = 0; h < d->hidden_size; h++) {
        const real term =
            (real)a->hidden[row * d->hidden_size + h] * a->weight[k * d->hidden_size + h];
        sum += term;
        total += fabsl(term);
    }
    if (io->bias != NULL) sum += io->bias[k];
    if (io->post_mean != NULL) sum -= io->post_mean[k];
    if (io->post_std != NULL) sum /= io->post_std[k], total /= fabsl((real)io->post_std[k]);
    *score = (double)sum;
    *size = (double)total;
}

score_oracle *score_oracle_forward(const merit_score_desc *d, const merit_score_forward_io *io,
                                   const score_oracle_arrays *a)
{
    score_oracle *const o = calloc(1, sizeof *o);
    o->P = score_oracle_positions(d);
    o->C = d->routed ? 1 : d->num_heads;
    o->positions = calloc((size_t)o->P + 1, sizeof *o->positions);
    o->scores = calloc((size_t)(o->P * o->C) + 1, sizeof *o->scores);
    o->size = calloc((size_t)(o->P * o->C) + 1, sizeof *o->size);
    for (int32_t k = 0; o->P > 0 && io->post_std != NULL && k < d->num_heads; k++) {
        o->counters[MERIT_COUNTER_BAD_STD] += io->post_std[k] == 0 || isnan(io->post_std[k]);
    }
    for (int64_t p = 0; p < o->P; p++) {
        int bad_offsets = 0;
        const int64_t row = o->positions[p] = find(d, io, p, &bad_offsets);
        o->counters[MERIT_COUNTER_EMPTY_ROW] += row == MERIT_POSITION_EMPTY;
        o->counters[MERIT_COUNTER_BAD_OFFSETS] += bad_offsets;
        o->counters[MERIT_COUNTER_BAD_POSITION] += row == MERIT_POSITION_BAD && !bad_offsets;
        const int64_t head = d->routed && row >= 0 ? io->route[p] : 0;
        const int bad_route = head < 0 || head >= d->num_heads;
        o->counters[MERIT_COUNTER_BAD_ROUTE] += bad_route;
        for (int64_t k = 0; k < o->C; k++) {
            double *const score = &o->scores[p * o->C + k];
            if (row == MERIT_POSITION_EMPTY) {
                *score = d->empty_value;
            } else if (row == MERIT_POSITION_BAD || bad_route) {
                *score = NAN;
            } else if (row >= 0) {
                score_one(d, io, a, row, head + k, score, &o->size[p * o->C + k]);
            }
        }
    }
    return o;
}

// Gradients ---------------------------------------------------------------------------------------

typedef struct gradient_sums {
    real *hidden, *hidden_size; // [tokens or P,H]
    real *weight, *weight_size; // [K,H]
    real *bias, *bias_size; // [K]
} gradient_sums;

// Adds entry (p, column), whose row of grad_hidden is `to`.
static void add_entry(const merit_score_desc *d, const merit_score_forward_io *io,
                      const score_oracle_arrays *a, int64_t p, int64_t column, int64_t row,
                      int64_t to, gradient_sums *s)
{
    const int64_t C = d->routed ? 1 : d->num_heads, H = d->hidden_size;
    const int64_t k = d->routed ? io->route[p] : column;
    const int known = k >= 0 && k < d->num_heads;
    real u = a->grad_scores[p * C + column];
    if (row < 0) u = NAN;
    if (row >= 0 && known && io->post_std != NULL) u /= io->post_std[k];
    for (int64_t h = 0; h < H; h++) {
        const real w = known && row >= 0 ? u * a->weight[k * H + h] : NAN;
        if (to >= 0) s->hidden[to * H + h] += w, s->hidden_size[to * H + h] += fabsl(w);
        if (!known) continue;
        const real x = u * (row >= 0 ? a->hidden[row * H + h] : 0);
        s->weight[k * H + h] += x;
        s->weight_size[k * H + h] += fabsl(x);
    }
    if (known) s->bias[k] += u, s->bias_size[k] += fabsl(u);
}

static double *narrowed(real *values, int64_t count, const double *old)
{
    double *const out = calloc((size_t)count + 1, sizeof *out);
    for (int64_t i = 0; i < count; i++) {
        out[i] = (double)(values[i] + (old != NULL ? old[i] : 0));
    }
    free(values);
    return out;
}

score_oracle *score_oracle_backward(const merit_score_desc *d, const merit_score_forward_io *io,
                                    const score_oracle_arrays *a)
{
    score_oracle *const o = score_oracle_forward(d, io, a);
    const int64_t H = d->hidden_size, K = d->num_heads, tokens = score_oracle_tokens(d);
    const int dense = d->grad_layout == MERIT_GRAD_LAYOUT_DENSE;
    const int64_t rows = dense ? tokens : o->P;
    int64_t *const named = calloc((size_t)tokens + 1, sizeof *named);
    gradient_sums s = {
        .hidden = calloc((size_t)(rows * H) + 1, sizeof(real)),
        .hidden_size = calloc((size_t)(rows * H) + 1, sizeof(real)),
        .weight = calloc((size_t)(K * H) + 1, sizeof(real)),
        .weight_size = calloc((size_t)(K * H) + 1, sizeof(real)),
        .bias = calloc((size_t)K + 1, sizeof(real)),
        .bias_size = calloc((size_t)K + 1, sizeof(real)),
    };
    for (int64_t p = 0; p < o->P; p++) {
        const int64_t row = o->positions[p];
        if (row >= 0) named[row]++;
        if (row == MERIT_POSITION_EMPTY || row == MERIT_POSITION_MASKED) continue;
        for (int64_t column = 0; column < o->C; column++) {
            if (a->label_mask != NULL && a->label_mask[p * o->C + column] == 0) continue;
            add_entry(d, io, a, p, column, row, dense ? row : p, &s);
        }
    }
    for (int64_t row = 0; row < tokens && dense; row++) {
        if (named[row] > 1) o->counters[MERIT_COUNTER_REPEATED_POSITION] += (double)named[row] - 1;
        for (int64_t h = 0; named[row] > 1 && h < H; h++) {
            s.hidden[row * H + h] = NAN;
        }
    }
    free(named);
    o->grad_hidden = narrowed(s.hidden, rows * H, NULL);
    o->grad_hidden_size = narrowed(s.hidden_size, rows * H, NULL);
    o->grad_weight = narrowed(s.weight, K * H, d->accumulate ? a->old_weight : NULL);
    o->grad_weight_size = narrowed(s.weight_size, K * H, NULL);
    o->grad_bias = narrowed(s.bias, K, d->accumulate ? a->old_bias : NULL);
    o->grad_bias_size = narrowed(s.bias_size, K, NULL);
    return o;
}

void score_oracle_free(score_oracle *o)
{
    free(o->positions), free(o->scores), free(o->size);
    free(o->grad_hidden), free(o->grad_hidden_size);
    free(o->grad_weight), free(o->grad_weight_size);
    free(o->grad_bias), free(o->grad_bias_size);
    free(o);
}
