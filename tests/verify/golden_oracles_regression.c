// Golden cases of score_regression and score_finish against their formulas in long double, as the call
// left the outputs.
#include <math.h>
#include <stdlib.h>

#include "golden_oracles.h"

typedef long double real;

// The loss of an entry and its derivative.
static real link_of(const merit_score_regression_desc *d, real s, real y, real *slope)
{
    const real e = s - y, delta = d->huber_delta;
    switch (d->link) {
    case MERIT_REGRESSION_BCE:
        if (!(y >= 0 && y <= 1)) return *slope = NAN;
        *slope = 1 / (1 + expl(-s)) - y;
        return y * log1pl(expl(-s)) + (1 - y) * log1pl(expl(s));
    case MERIT_REGRESSION_HUBER:
        *slope = fabsl(e) <= delta ? e : copysignl(delta, e);
        return fabsl(e) <= delta ? e * e / 2 : delta * (fabsl(e) - delta / 2);
    default: *slope = d->half ? e : 2 * e; return d->half ? e * e / 2 : e * e;
    }
}

typedef struct regression {
    const merit_score_regression_desc *d;
    const merit_score_regression_io *x;
    int64_t entries, heads, rows; // valid entries, and heads and rows with one
    int64_t count[1024];
} regression;

static int is_valid(const regression *r, int64_t p, int64_t k)
{
    const int64_t K = r->d->num_heads;
    const int64_t stride = r->d->label_stride ? r->d->label_stride : K;
    const float y = r->x->labels[p * stride + k];
    if (isnan(y) || (r->d->use_sentinel && y == r->d->sentinel)) return 0;
    return r->x->mask == NULL || r->x->mask[p * K + k] != 0;
}

static void count_valid(regression *r)
{
    for (int64_t p = 0; p < r->d->num_rows; p++) {
        int64_t of_row = 0;
        for (int k = 0; k < r->d->num_heads; k++) {
            const int valid = is_valid(r, p, k);
            r->count[k] += valid, of_row += valid;
        }
        r->entries += of_row, r->rows += of_row > 0;
    }
    for (int k = 0; k < r->d->num_heads; k++) {
        r->heads += r->count[k] > 0;
    }
}

static real denominator(const regression *r, int k)
{
    switch (r->d->reduction) {
    case MERIT_REGRESSION_MEAN_VALID: return r->entries;
    case MERIT_REGRESSION_MEAN_HEAD: return (real)r->count[k] * r->heads;
    case MERIT_REGRESSION_MEAN_ROW: return r->rows;
    case MERIT_REGRESSION_GIVEN: return r->x->denominators[k];
    default: return 1;
    }
}

// A binary32 softplus or sigmoid in each term; sums of them.
static void expect(const char *name, double actual, real expected, real size)
{
    const double e = (double)expected, limit = (double)(1e-6L * size) + 1e-12;
    tk_expect_within_at(__FILE__, __LINE__, name, &actual, &e, &limit, 1);
}

// One head; returns its part of the loss.
static real check_head(const regression *r, int k)
{
    const merit_score_regression_desc *const d = r->d;
    const merit_score_regression_io *const x = r->x;
    const int64_t K = d->num_heads;
    const real factor = (x->alpha != NULL ? (real)x->alpha[k] : 1) / denominator(r, k);
    real sum = 0, squares = 0;
    for (int64_t p = 0; p < d->num_rows; p++) {
        const float *const grad =
            x->grad_scores != NULL ? x->grad_scores + p * (d->grad_stride ? d->grad_stride : K) + k
                                   : NULL;
        if (!is_valid(r, p, k)) {
            if (grad != NULL)
                TK_EXPECT(*grad == 0 && !signbit(*grad), "a missing entry's gradient");
            continue;
        }
        const real w = x->row_weight != NULL ? (real)x->row_weight[p] : 1;
        real slope;
        sum += w * link_of(d, x->scores[p * (d->score_stride ? d->score_stride : K) + k],
                           x->labels[p * (d->label_stride ? d->label_stride : K) + k], &slope);
        squares += w * slope * w * slope;
        if (grad != NULL) {
            expect("grad_scores", *grad, factor * w * slope, fabsl(factor * w));
        }
    }
    if (r->count[k] == 0) sum = 0;
    if (x->head_count != NULL) TK_EXPECT(x->head_count[k] == r->count[k], "head_count[%d]", k);
    if (x->head_loss != NULL) {
        const real mean = r->count[k] > 0 ? sum / r->count[k] : 0;
        expect("head_loss", x->head_loss[k], mean, 1 + fabsl(mean));
    }
    if (x->grad_norm_sq != NULL) {
        expect("grad_norm_sq", x->grad_norm_sq[k], squares, 1 + squares);
    }
    return r->count[k] > 0 ? factor * sum : 0;
}

const char *golden_score_regression(tk_fixture *tk, const void *desc, const void *io)
{
    regression r = {.d = desc, .x = io};
    (void)tk;
    if (r.x->grad_scores == r.x->scores) return "the call writes over an input";
    count_valid(&r);
    real loss = 0;
    for (int k = 0; k < r.d->num_heads; k++) {
        loss += check_head(&r, k);
    }
    if (r.x->loss != NULL) expect("loss", *r.x->loss, loss, 1 + fabsl(loss));
    return NULL;
}

const char *golden_score_finish(tk_fixture *tk, const void *desc, const void *io)
{
    const merit_score_finish_desc *const d = desc;
    const merit_score_finish_io *const x = io;
    const int64_t P = d->num_positions, C = d->routed ? 1 : d->num_heads;
    (void)tk;
    for (int64_t i = 0; i < P * C; i++) {
        const int64_t p = i / C, k = d->routed ? x->route[p] : i % C;
        const int64_t found = x->found_positions != NULL ? x->found_positions[p] : 0;
        real sum = 0, size = 0;
        for (int64_t tile = 0; tile < d->num_tiles; tile++) {
            sum += x->tile_sums[tile * P * C + i];
            size += fabsl((real)x->tile_sums[tile * P * C + i]);
        }
        if (found == MERIT_POSITION_BAD || k < 0 || k >= d->num_heads) {
            sum = NAN;
        } else if (found >= 0) {
            const real std = x->post_std != NULL ? (real)x->post_std[k] : 1;
            if (x->bias != NULL) sum += x->bias[k];
            if (x->post_mean != NULL) sum -= x->post_mean[k];
            sum /= std, size /= fabsl(std);
        } else {
            sum = found == MERIT_POSITION_EMPTY ? (real)d->empty_value : 0;
        }
        const double actual = x->scores[p * (d->score_stride ? d->score_stride : C) + i % C];
        const double expected = (double)sum;
        const double limit = 0x1p-24 * fabs(expected) + (double)(0x1p-48L * size);
        tk_expect_within(&actual, &expected, &limit, 1);
    }
    return NULL;
}
