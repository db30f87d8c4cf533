#include "preference_pair_checks.h"

#include <math.h>

#include "../kernels/preference/preference_pair_args.h"

#define REQUIRE_AT_LEAST_ZERO(ctx, d, field)                        \
    MERIT_REQUIRE(ctx, (d)->field >= 0.0f && (d)->field < INFINITY, \
                  #field " is %g, expected a finite number of 0 or more", (double)(d)->field)

#define REQUIRE_FINITE(ctx, d, field)                                                   \
    MERIT_REQUIRE(ctx, isfinite((d)->field), #field " is %g, expected a finite number", \
                  (double)(d)->field)

#define REQUIRE_UNUSED(ctx, io, field, used, reason) \
    MERIT_REQUIRE(ctx, (io)->field == NULL || (used), #field " is given, but " reason)

// Options -----------------------------------------------------------------------------------------

static int models_ties(const merit_preference_pair_desc *d)
{
    return d->tie_model == MERIT_TIE_MODEL_RAO_KUPPER || d->tie_model == MERIT_TIE_MODEL_DAVIDSON;
}

static int has_unary(const merit_preference_pair_desc *d, int first, int last)
{
    int any = 0;
    for (int i = first; i < last; i++) {
        any |= d->unary[i] > 0.0f;
    }
    return any;
}

static merit_status check_enums(merit_context *ctx, const merit_preference_pair_desc *d)
{
    MERIT_REQUIRE(ctx,
                  d->score_dtype == MERIT_DTYPE_F32 || d->score_dtype == MERIT_DTYPE_BF16 ||
                      d->score_dtype == MERIT_DTYPE_F16,
                  "score_dtype is %d, expected F32 (0), BF16 (2) or F16 (3)", (int)d->score_dtype);
    MERIT_REQUIRE_RANGE(ctx, d, link, MERIT_LINK_LOGISTIC, MERIT_LINK_DISCOPOP);
    MERIT_REQUIRE_RANGE(ctx, d, beta_map, MERIT_BETA_MAP_CONSTANT, MERIT_BETA_MAP_MARGIN_EXP);
    MERIT_REQUIRE_RANGE(ctx, d, opposite, MERIT_OPPOSITE_NEGATE, MERIT_OPPOSITE_SWAP);
    MERIT_REQUIRE_RANGE(ctx, d, target, MERIT_PAIR_TARGET_CHOSEN, MERIT_PAIR_TARGET_PROBABILITY);
    MERIT_REQUIRE_RANGE(ctx, d, smoothing_kind, MERIT_SMOOTHING_CONSERVATIVE,
                        MERIT_SMOOTHING_ROBUST);
    MERIT_REQUIRE_RANGE(ctx, d, tie_model, MERIT_TIE_MODEL_HALF, MERIT_TIE_MODEL_DAVIDSON);
    MERIT_REQUIRE_RANGE(ctx, d, unary_link, MERIT_LINK_LOGISTIC, MERIT_LINK_DISCOPOP);
    MERIT_REQUIRE_RANGE(ctx, d, route_kind, MERIT_ROUTE_KIND_ONE, MERIT_ROUTE_KIND_COLUMN);
    MERIT_REQUIRE_RANGE(ctx, d, reduction, MERIT_PREFERENCE_REDUCTION_SUM,
                        MERIT_PREFERENCE_REDUCTION_GIVEN);
    MERIT_REQUIRE_FLAG(ctx, d, skip_invalid);
    MERIT_REQUIRE_RANGE(ctx, d, num_routes, 1, MERIT_PREFERENCE_MAX_ROUTES);
    MERIT_REQUIRE_RANGE(ctx, d, calibration_bins, 0, MERIT_PREFERENCE_MAX_BINS);
    MERIT_REQUIRE(ctx, d->route_kind != MERIT_ROUTE_KIND_ONE || d->num_routes == 1,
                  "num_routes is %d with route_kind ONE (0), expected 1", (int)d->num_routes);
    return MERIT_STATUS_OK;
}

static merit_status check_links(merit_context *ctx, const merit_preference_pair_desc *d)
{
    const float parameter = d->link_param;
    if (d->link == MERIT_LINK_EXO || d->unary_link == MERIT_LINK_EXO) {
        MERIT_REQUIRE(ctx, parameter > 0.0f && parameter < 0.5f,
                      "link_param is %g with link EXO (5), expected more than 0 and less than 1/2",
                      (double)parameter);
    }
    if (d->link == MERIT_LINK_DISCOPOP || d->unary_link == MERIT_LINK_DISCOPOP) {
        MERIT_REQUIRE(ctx, parameter > 0.0f && parameter < INFINITY,
                      "link_param is %g with link DISCOPOP (6), expected more than 0",
                      (double)parameter);
    }
    return MERIT_STATUS_OK;
}

static merit_status check_ties(merit_context *ctx, const merit_preference_pair_desc *d)
{
    if (d->tie_model == MERIT_TIE_MODEL_HALF) return MERIT_STATUS_OK;
    MERIT_REQUIRE(ctx, d->target == MERIT_PAIR_TARGET_OUTCOME,
                  "tie_model is %d with target %d, expected target OUTCOME (1)", (int)d->tie_model,
                  (int)d->target);
    if (!models_ties(d)) return MERIT_STATUS_OK;
    MERIT_REQUIRE(ctx, d->link == MERIT_LINK_LOGISTIC,
                  "tie_model is %d with link %d, expected link LOGISTIC (0)", (int)d->tie_model,
                  (int)d->link);
    MERIT_REQUIRE(ctx, d->smoothing == 0.0f, "tie_model is %d with smoothing %g, expected 0",
                  (int)d->tie_model, (double)d->smoothing);
    return MERIT_STATUS_OK;
}

static merit_status check_numbers(merit_context *ctx, const merit_preference_pair_desc *d)
{
    MERIT_REQUIRE(ctx, d->beta > 0.0f && d->beta < INFINITY, "beta is %g, expected more than 0",
                  (double)d->beta);
    REQUIRE_AT_LEAST_ZERO(ctx, d, map_weight);
    REQUIRE_AT_LEAST_ZERO(ctx, d, map_rate);
    REQUIRE_FINITE(ctx, d, margin);
    MERIT_REQUIRE(ctx, d->smoothing >= 0.0f && d->smoothing < 0.5f,
                  "smoothing is %g, expected 0 or more and less than 1/2", (double)d->smoothing);
    REQUIRE_AT_LEAST_ZERO(ctx, d, pair_weight);
    for (int i = 0; i < 4; i++) {
        MERIT_REQUIRE(ctx, d->unary[i] >= 0.0f && d->unary[i] < INFINITY,
                      "unary[%d] is %g, expected a finite number of 0 or more", i,
                      (double)d->unary[i]);
    }
    REQUIRE_FINITE(ctx, d, unary_margin);
    REQUIRE_AT_LEAST_ZERO(ctx, d, center);
    return MERIT_STATUS_OK;
}

static merit_status check_stride(merit_context *ctx, const char *name, int64_t stride,
                                 int64_t pairs)
{
    MERIT_REQUIRE(ctx, stride >= 1, "%s is %lld, expected 1 or more", name, (long long)stride);
    int64_t elements;
    const int overflows =
        __builtin_mul_overflow(pairs, stride, &elements) || elements > INT64_MAX / 8;
    MERIT_REQUIRE(ctx, !overflows, "num_pairs and %s span more than 2^63 bytes", name);
    return MERIT_STATUS_OK;
}

merit_status merit_preference_pair_check_options(merit_context *ctx,
                                                 const merit_preference_pair_desc *d)
{
    MERIT_REQUIRE(ctx, d->num_pairs >= 0, "num_pairs is %lld, expected 0 or more",
                  (long long)d->num_pairs);
    MERIT_TRY(check_stride(ctx, "chosen_stride", d->chosen_stride, d->num_pairs));
    MERIT_TRY(check_stride(ctx, "rejected_stride", d->rejected_stride, d->num_pairs));
    MERIT_TRY(check_stride(ctx, "ref_chosen_stride", d->ref_chosen_stride, d->num_pairs));
    MERIT_TRY(check_stride(ctx, "ref_rejected_stride", d->ref_rejected_stride, d->num_pairs));
    MERIT_TRY(check_stride(ctx, "grad_chosen_stride", d->grad_chosen_stride, d->num_pairs));
    MERIT_TRY(check_stride(ctx, "grad_rejected_stride", d->grad_rejected_stride, d->num_pairs));
    MERIT_TRY(check_enums(ctx, d));
    MERIT_TRY(check_links(ctx, d));
    MERIT_TRY(check_ties(ctx, d));
    return check_numbers(ctx, d);
}

// Arrays ------------------------------------------------------------------------------------------

static merit_status check_scalars(merit_context *ctx, const merit_preference_pair_desc *d,
                                  const merit_preference_pair_io *io)
{
    if (io->log_tie_dev == NULL && d->tie_model == MERIT_TIE_MODEL_RAO_KUPPER) {
        MERIT_REQUIRE(ctx, d->log_tie > 0.0f && d->log_tie < INFINITY,
                      "log_tie is %g with tie_model RAO_KUPPER (2), expected more than 0",
                      (double)d->log_tie);
    }
    if (io->log_tie_dev == NULL) REQUIRE_FINITE(ctx, d, log_tie);
    if (io->unary_shift_dev == NULL) REQUIRE_FINITE(ctx, d, unary_shift);
    REQUIRE_UNUSED(ctx, io, log_tie_dev, models_ties(d),
                   "tie_model is not RAO_KUPPER (2) or DAVIDSON (3)");
    REQUIRE_UNUSED(ctx, io, grad_tie, models_ties(d),
                   "tie_model is not RAO_KUPPER (2) or DAVIDSON (3)");
    REQUIRE_UNUSED(ctx, io, unary_shift_dev, has_unary(d, 0, 4), "unary is 0");
    REQUIRE_UNUSED(ctx, io, calibration, d->calibration_bins > 0, "calibration_bins is 0");
    return MERIT_STATUS_OK;
}

static merit_status check_used(merit_context *ctx, const merit_preference_pair_desc *d,
                               const merit_preference_pair_io *io)
{
    REQUIRE_UNUSED(ctx, io, betas, d->beta_map == MERIT_BETA_MAP_ARRAY,
                   "beta_map is not ARRAY (1)");
    REQUIRE_UNUSED(ctx, io, beta_signal, d->beta_map == MERIT_BETA_MAP_MARGIN_EXP,
                   "beta_map is not MARGIN_EXP (2)");
    REQUIRE_UNUSED(ctx, io, outcomes, d->target == MERIT_PAIR_TARGET_OUTCOME,
                   "target is not OUTCOME (1)");
    REQUIRE_UNUSED(ctx, io, probabilities, d->target == MERIT_PAIR_TARGET_PROBABILITY,
                   "target is not PROBABILITY (2)");
    REQUIRE_UNUSED(ctx, io, routes, d->route_kind == MERIT_ROUTE_KIND_ARRAY,
                   "route_kind is not ARRAY (1)");
    REQUIRE_UNUSED(ctx, io, denominators, d->reduction == MERIT_PREFERENCE_REDUCTION_GIVEN,
                   "reduction is not GIVEN (3)");
    return MERIT_STATUS_OK;
}

// One side: its scores and what comes with them.
static merit_status check_side(merit_context *ctx, const char *side, const void *scores,
                               const float *references, int wants_references,
                               const int32_t *lengths, int wants_lengths, const void *gradients)
{
    if (scores == NULL) {
        MERIT_REQUIRE(ctx, references == NULL && lengths == NULL && gradients == NULL,
                      "%s is NULL, but ref_%s, %s_length or grad_%s is given", side, side, side,
                      side);
        return MERIT_STATUS_OK;
    }
    MERIT_REQUIRE(ctx, (references != NULL) == wants_references,
                  "ref_%s is NULL, but the other side has references", side);
    MERIT_REQUIRE(ctx, (lengths != NULL) == wants_lengths,
                  "%s_length is NULL, but the other side has lengths", side);
    return MERIT_STATUS_OK;
}

static merit_status check_needed(merit_context *ctx, const merit_preference_pair_desc *d,
                                 const merit_preference_pair_io *io)
{
    const int alone = d->pair_weight == 0.0f && d->center == 0.0f;
    MERIT_REQUIRE(ctx, io->chosen != NULL || (alone && !has_unary(d, 0, 2)),
                  "chosen is NULL, expected it unless pair_weight, center, unary[0] and unary[1] "
                  "are 0");
    MERIT_REQUIRE(ctx, io->rejected != NULL || (alone && !has_unary(d, 2, 4)),
                  "rejected is NULL, expected it unless pair_weight, center, unary[2] and unary[3] "
                  "are 0");
    MERIT_REQUIRE(ctx, io->chosen != NULL || io->rejected != NULL, "chosen and rejected are NULL");
    MERIT_REQUIRE(ctx, d->beta_map != MERIT_BETA_MAP_ARRAY || io->betas != NULL,
                  "betas is NULL with beta_map ARRAY (1)");
    MERIT_REQUIRE(ctx, d->beta_map != MERIT_BETA_MAP_MARGIN_EXP || io->beta_signal != NULL,
                  "beta_signal is NULL with beta_map MARGIN_EXP (2)");
    MERIT_REQUIRE(ctx, d->target != MERIT_PAIR_TARGET_OUTCOME || io->outcomes != NULL,
                  "outcomes is NULL with target OUTCOME (1)");
    MERIT_REQUIRE(ctx, d->target != MERIT_PAIR_TARGET_PROBABILITY || io->probabilities != NULL,
                  "probabilities is NULL with target PROBABILITY (2)");
    MERIT_REQUIRE(ctx, d->route_kind != MERIT_ROUTE_KIND_ARRAY || io->routes != NULL,
                  "routes is NULL with route_kind ARRAY (1)");
    MERIT_REQUIRE(ctx, d->reduction != MERIT_PREFERENCE_REDUCTION_GIVEN || io->denominators != NULL,
                  "denominators is NULL with reduction GIVEN (3)");
    const int references = io->ref_chosen != NULL || io->ref_rejected != NULL;
    const int lengths = io->chosen_length != NULL || io->rejected_length != NULL;
    MERIT_TRY(check_side(ctx, "chosen", io->chosen, io->ref_chosen, references, io->chosen_length,
                         lengths, io->grad_chosen));
    return check_side(ctx, "rejected", io->rejected, io->ref_rejected, references,
                      io->rejected_length, lengths, io->grad_rejected);
}

merit_status merit_preference_pair_check_arrays(merit_context *ctx,
                                                const merit_preference_pair_desc *d,
                                                const merit_preference_pair_io *io)
{
    MERIT_TRY(check_scalars(ctx, d, io));
    MERIT_TRY(check_used(ctx, d, io));
    if (d->num_pairs == 0) return MERIT_STATUS_OK;
    return check_needed(ctx, d, io);
}

// Overlap -----------------------------------------------------------------------------------------

// A strided array of scores or gradients.
typedef struct strided {
    merit_region region;
    int64_t stride;
} strided;

static strided strided_array(const merit_preference_pair_desc *d, const void *data, int64_t stride,
                             const char *name, int written)
{
    const size_t elements = d->num_pairs == 0 ? 0 : (size_t)((d->num_pairs - 1) * stride + 1);
    return (strided){{data, elements * merit_dtype_bytes(d->score_dtype), name, written}, stride};
}

// Whether no element of one is an element of the other, byte ranges aside: equal strides, and starts
// that differ by elements but not by strides.
static int interleaved(const strided *a, const strided *b, size_t element)
{
    if (a->stride != b->stride) return 0;
    const uintptr_t first = (uintptr_t)a->region.data;
    const uintptr_t second = (uintptr_t)b->region.data;
    const uintptr_t apart = first < second ? second - first : first - second;
    return apart % element == 0 && apart % (element * (size_t)a->stride) != 0;
}

merit_status merit_preference_pair_check_overlap(merit_context *ctx,
                                                 const merit_preference_pair_desc *d,
                                                 const merit_preference_pair_io *io)
{
    enum { SCORES = 4, OTHERS = 25 };
    const size_t pairs = (size_t)d->num_pairs;
    const size_t routes = (size_t)d->num_routes;
    const size_t tiles = (pairs + 2047) / 2048;
    const strided scores[SCORES] = {
        strided_array(d, io->grad_chosen, d->grad_chosen_stride, "grad_chosen", 1),
        strided_array(d, io->grad_rejected, d->grad_rejected_stride, "grad_rejected", 1),
        strided_array(d, io->chosen, d->chosen_stride, "chosen", 0),
        strided_array(d, io->rejected, d->rejected_stride, "rejected", 0),
    };
    const merit_region others[OTHERS] = {
        {io->loss, 8, "loss", 1},
        {io->route_sum, routes * 8, "route_sum", 1},
        {io->loss_tiles, tiles * routes * 8, "loss_tiles", 1},
        {io->pair_loss, pairs * 4, "pair_loss", 1},
        {io->pair_probability, pairs * 4, "pair_probability", 1},
        {io->grad_tie, 8, "grad_tie", 1},
        {io->metrics, routes * sizeof *io->metrics, "metrics", 1},
        {io->calibration, routes * (size_t)d->calibration_bins * sizeof *io->calibration,
         "calibration", 1},
        {io->diagnostics, sizeof *io->diagnostics, "diagnostics", 1},
        {io->ref_chosen, pairs * 4 * (size_t)d->ref_chosen_stride, "ref_chosen", 0},
        {io->ref_rejected, pairs * 4 * (size_t)d->ref_rejected_stride, "ref_rejected", 0},
        {io->chosen_length, pairs * 4, "chosen_length", 0},
        {io->rejected_length, pairs * 4, "rejected_length", 0},
        {io->margins, pairs * 4, "margins", 0},
        {io->weights, pairs * 4, "weights", 0},
        {io->betas, pairs * 4, "betas", 0},
        {io->beta_signal, pairs * 4, "beta_signal", 0},
        {io->outcomes, pairs, "outcomes", 0},
        {io->probabilities, pairs * 4, "probabilities", 0},
        {io->routes, pairs * 4, "routes", 0},
        {io->alpha, routes * 4, "alpha", 0},
        {io->mask, pairs, "mask", 0},
        {io->denominators, routes * 8, "denominators", 0},
        {io->log_tie_dev, 4, "log_tie_dev", 0},
        {io->unary_shift_dev, 4, "unary_shift_dev", 0},
    };
    merit_region regions[OTHERS + 2];
    for (int i = 0; i < OTHERS; i++) {
        regions[i] = others[i];
    }
    regions[OTHERS] = (merit_region){io->grad_scale, 4, "grad_scale", 0};
    for (int i = 0; i < SCORES; i++) { // each against all that are not scores
        regions[OTHERS + 1] = scores[i].region;
        MERIT_TRY(merit_check_overlap(ctx, regions, OTHERS + 2));
    }
    const size_t element = merit_dtype_bytes(d->score_dtype);
    for (int i = 0; i < SCORES; i++) { // and against each other
        for (int j = 0; j < i; j++) {
            const int in_place = i == j + 2 && scores[i].region.data == scores[j].region.data &&
                                 scores[i].stride == scores[j].stride;
            if (in_place || interleaved(&scores[i], &scores[j], element)) continue;
            const merit_region two[2] = {scores[i].region, scores[j].region};
            MERIT_TRY(merit_check_overlap(ctx, two, 2));
        }
    }
    return MERIT_STATUS_OK;
}
