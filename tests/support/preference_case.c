#include "preference_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t pc_dtype_bytes(int32_t dtype)
{
    return dtype == MERIT_DTYPE_F32 ? 4 : 2;
}

int64_t pc_extent(int64_t num_pairs, int64_t stride)
{
    return num_pairs == 0 ? 0 : 1 + (num_pairs - 1) * stride;
}

pc_case pc_scores(const char *preset, int64_t num_pairs, const float *chosen, const float *rejected)
{
    pc_case c = {.outputs = PC_ALL};
    cr_assert(merit_preference_pair_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    if (preset != NULL) {
        cr_assert(merit_preference_pair_preset(preset, &c.d) == MERIT_STATUS_OK, "preset %s",
                  preset);
    }
    c.d.num_pairs = num_pairs;
    c.io.struct_size = sizeof c.io;
    c.io.chosen = chosen;
    c.io.rejected = rejected;
    return c;
}

const char *pc_describe(const pc_case *c)
{
    static char text[640];
    const merit_preference_pair_desc *const d = &c->d;
    const merit_preference_pair_io *const io = &c->io;
    snprintf(
        text, sizeof text,
        "N %lld dtype %d strides %lld %lld link %d/%g beta %g map %d/%g/%g margin %g opposite "
        "%d target %d smoothing %g/%d tie %d/%g weight %g unary %d/%g,%g,%g,%g shift %g margin "
        "%g center %g routes %d/%d reduction %d skip %d bins %d%s%s%s%s%s%s%s%s%s%s%s%s",
        (long long)d->num_pairs, d->score_dtype, (long long)d->chosen_stride,
        (long long)d->rejected_stride, d->link, (double)d->link_param, (double)d->beta, d->beta_map,
        (double)d->map_weight, (double)d->map_rate, (double)d->margin, d->opposite, d->target,
        (double)d->smoothing, d->smoothing_kind, d->tie_model, (double)d->log_tie,
        (double)d->pair_weight, d->unary_link, (double)d->unary[0], (double)d->unary[1],
        (double)d->unary[2], (double)d->unary[3], (double)d->unary_shift, (double)d->unary_margin,
        (double)d->center, d->num_routes, d->route_kind, d->reduction, d->skip_invalid,
        d->calibration_bins, io->chosen ? "" : " no chosen", io->rejected ? "" : " no rejected",
        io->ref_chosen || io->ref_rejected ? " refs" : "",
        io->chosen_length || io->rejected_length ? " lengths" : "", io->margins ? " margins" : "",
        io->weights ? " weights" : "", io->mask ? " mask" : "", io->alpha ? " alpha" : "",
        io->log_tie_dev ? " log_tie" : "", io->unary_shift_dev ? " shift" : "",
        io->grad_scale ? " grad_scale" : "", c->in_place ? " in place" : "");
    return text;
}

// Running -----------------------------------------------------------------------------------------

static const void *scores_of(tk_fixture *tk, const pc_case *c, const void *scores, int64_t stride,
                             int bit)
{
    const int64_t count = pc_extent(c->d.num_pairs, stride);
    const size_t size = pc_dtype_bytes(c->d.score_dtype);
    return c->in_place & bit ? tk_inout(tk, scores, count, size)
                             : tk_input(tk, scores, count, size);
}

// Moves the inputs of a case into the backend's memory.
static void move_inputs(tk_fixture *tk, const pc_case *c, merit_preference_pair_io *io)
{
    const merit_preference_pair_desc *const d = &c->d;
    const int64_t N = d->num_pairs, K = d->num_routes;
    io->chosen = scores_of(tk, c, io->chosen, d->chosen_stride, PC_GRAD_CHOSEN);
    io->rejected = scores_of(tk, c, io->rejected, d->rejected_stride, PC_GRAD_REJECTED);
    io->ref_chosen = tk_input(tk, io->ref_chosen, pc_extent(N, d->ref_chosen_stride), 4);
    io->ref_rejected = tk_input(tk, io->ref_rejected, pc_extent(N, d->ref_rejected_stride), 4);
    io->chosen_length = tk_input(tk, io->chosen_length, N, 4);
    io->rejected_length = tk_input(tk, io->rejected_length, N, 4);
    io->margins = tk_input(tk, io->margins, N, 4);
    io->weights = tk_input(tk, io->weights, N, 4);
    io->betas = tk_input(tk, io->betas, N, 4);
    io->beta_signal = tk_input(tk, io->beta_signal, N, 4);
    io->outcomes = tk_input(tk, io->outcomes, N, 1);
    io->probabilities = tk_input(tk, io->probabilities, N, 4);
    io->routes = tk_input(tk, io->routes, N, 4);
    io->alpha = tk_input(tk, io->alpha, K, 4);
    io->mask = tk_input(tk, io->mask, N, 1);
    io->denominators = tk_input(tk, io->denominators, K, 8);
    io->log_tie_dev = tk_input(tk, io->log_tie_dev, 1, 4);
    io->unary_shift_dev = tk_input(tk, io->unary_shift_dev, 1, 4);
    io->grad_scale = tk_input(tk, io->grad_scale, 1, 4);
}

static void *output(tk_fixture *tk, const pc_case *c, int bit, int64_t count, size_t size)
{
    return c->outputs & bit ? tk_output(tk, count, size) : NULL;
}

static void *read_back(tk_fixture *tk, const void *block, int64_t count, size_t size)
{
    if (block == NULL) return NULL;
    void *const host = calloc((size_t)count + 1, size);
    cr_assert(host != NULL);
    tk_read(tk, block, host, count, size);
    return host;
}

static void *gradient_of(tk_fixture *tk, const pc_case *c, int bit, const void *scores,
                         int64_t stride)
{
    if (scores == NULL) return NULL;
    if (c->in_place & bit) return (void *)(uintptr_t)scores;
    return output(tk, c, bit, pc_extent(c->d.num_pairs, stride), pc_dtype_bytes(c->d.score_dtype));
}

static void set_outputs(tk_fixture *tk, const pc_case *c, merit_preference_pair_desc *d,
                        merit_preference_pair_io *io, pc_result *r)
{
    const int64_t N = d->num_pairs, K = d->num_routes;
    const int has_tie =
        d->tie_model == MERIT_TIE_MODEL_RAO_KUPPER || d->tie_model == MERIT_TIE_MODEL_DAVIDSON;
    if (c->in_place & PC_GRAD_CHOSEN) d->grad_chosen_stride = d->chosen_stride;
    if (c->in_place & PC_GRAD_REJECTED) d->grad_rejected_stride = d->rejected_stride;
    io->loss = output(tk, c, PC_LOSS, 1, 8);
    io->route_sum = output(tk, c, PC_ROUTE_SUM, K, 8);
    io->loss_tiles = output(tk, c, PC_TILES, r->num_tiles * K, 8);
    io->pair_loss = output(tk, c, PC_PAIR_LOSS, N, 4);
    io->pair_probability = output(tk, c, PC_PROBABILITY, N, 4);
    io->grad_chosen = gradient_of(tk, c, PC_GRAD_CHOSEN, io->chosen, d->grad_chosen_stride);
    io->grad_rejected = gradient_of(tk, c, PC_GRAD_REJECTED, io->rejected, d->grad_rejected_stride);
    if (has_tie) io->grad_tie = output(tk, c, PC_GRAD_TIE, 1, 8);
    io->metrics = output(tk, c, PC_METRICS, K, sizeof *io->metrics);
    if (d->calibration_bins > 0) {
        io->calibration =
            output(tk, c, PC_CALIBRATION, K * d->calibration_bins, sizeof *io->calibration);
    }
    if (c->outputs & PC_DIAGNOSTICS) {
        io->diagnostics = tk_inout(tk, &r->diagnostics, 1, sizeof r->diagnostics);
    }
}

static double *widen(const void *array, const pc_case *c, int64_t stride)
{
    if (array == NULL) return NULL;
    double *const values = calloc((size_t)c->d.num_pairs + 1, sizeof *values);
    cr_assert(values != NULL);
    for (int64_t i = 0; i < c->d.num_pairs; i++) {
        values[i] = po_element(array, c->d.score_dtype, i * stride);
    }
    return values;
}

static void read_outputs(tk_fixture *tk, const pc_case *c, const merit_preference_pair_desc *d,
                         const merit_preference_pair_io *io, pc_result *r)
{
    const int64_t N = d->num_pairs, K = d->num_routes;
    const size_t size = pc_dtype_bytes(d->score_dtype);
    if (io->loss != NULL) tk_read(tk, io->loss, &r->loss, 1, 8);
    r->route_sum = read_back(tk, io->route_sum, K, 8);
    r->tiles = read_back(tk, io->loss_tiles, r->num_tiles * K, 8);
    r->pair_loss = read_back(tk, io->pair_loss, N, 4);
    r->probability = read_back(tk, io->pair_probability, N, 4);
    r->chosen_array = read_back(tk, io->grad_chosen, pc_extent(N, d->grad_chosen_stride), size);
    r->rejected_array =
        read_back(tk, io->grad_rejected, pc_extent(N, d->grad_rejected_stride), size);
    if (io->grad_tie != NULL) tk_read(tk, io->grad_tie, &r->grad_tie, 1, 8);
    r->metrics = read_back(tk, io->metrics, K, sizeof *r->metrics);
    r->bins = read_back(tk, io->calibration, K * d->calibration_bins, sizeof *r->bins);
    if (io->diagnostics != NULL) {
        tk_read(tk, io->diagnostics, &r->diagnostics, 1, sizeof r->diagnostics);
    }
    r->grad_chosen = widen(r->chosen_array, c, d->grad_chosen_stride);
    r->grad_rejected = widen(r->rejected_array, c, d->grad_rejected_stride);
}

pc_result pc_run_on(tk_fixture *tk, merit_context *ctx, const pc_case *c)
{
    merit_preference_pair_desc d = c->d;
    merit_preference_pair_io io = c->io;
    pc_result r = {.num_pairs = d.num_pairs, .num_tiles = (d.num_pairs + PO_TILE - 1) / PO_TILE};
    move_inputs(tk, c, &io);
    set_outputs(tk, c, &d, &io, &r);
    size_t bytes = 0;
    r.status = merit_preference_pair_workspace(ctx, &d, &bytes);
    if (r.status == MERIT_STATUS_OK) {
        void *const workspace = tk_workspace(tk, bytes);
        r.status = merit_preference_pair(ctx, &d, &io, workspace, bytes, NULL);
    }
    read_outputs(tk, c, &d, &io, &r);
    tk_release(tk);
    return r;
}

pc_result pc_run(tk_fixture *tk, const pc_case *c)
{
    return pc_run_on(tk, tk->ctx, c);
}

void pc_free(pc_result *r)
{
    free(r->route_sum), free(r->tiles), free(r->pair_loss), free(r->probability);
    free(r->chosen_array), free(r->rejected_array), free(r->grad_chosen), free(r->grad_rejected);
    free(r->metrics), free(r->bins);
    memset(r, 0, sizeof *r);
}

void pc_check(tk_fixture *tk, const pc_case *c)
{
    pc_result r = pc_run(tk, c);
    tk_expect_ok(tk->ctx, r.status);
    if (tk->is_first_run && r.status == MERIT_STATUS_OK) pc_expect_oracle(c, &r);
    pc_free(&r);
}

void pc_expect_at(const char *file, int line, tk_fixture *tk, const pc_case *c, double loss,
                  const double *chosen, const double *rejected)
{
    pc_result r = pc_run(tk, c);
    const int64_t N = r.num_pairs;
    tk_expect_rejected_at(file, line, tk->ctx, r.status, MERIT_STATUS_OK, NULL);
    tk_expect_close_at(file, line, "loss", &r.loss, &loss, 1, 1e-7, 4e-7);
    if (chosen != NULL) {
        tk_expect_close_at(file, line, "grad_chosen", r.grad_chosen, chosen, N, 1e-7, 4e-7);
    }
    if (rejected != NULL) {
        tk_expect_close_at(file, line, "grad_rejected", r.grad_rejected, rejected, N, 1e-7, 4e-7);
    }
    if (tk->is_first_run && r.status == MERIT_STATUS_OK) pc_expect_oracle(c, &r);
    pc_free(&r);
}

static void same(const char *file, int line, const char *name, const void *a, const void *b,
                 int64_t count, size_t size)
{
    if (a != NULL || b != NULL) tk_expect_bits_at(file, line, name, a, b, count, size);
}

void pc_expect_same_at(const char *file, int line, const pc_result *a, const pc_result *b,
                       const pc_case *c, int outputs)
{
    const int64_t N = c->d.num_pairs, K = c->d.num_routes;
    if (outputs & PC_LOSS) same(file, line, "loss", &a->loss, &b->loss, 1, 8);
    if (outputs & PC_ROUTE_SUM) same(file, line, "route_sum", a->route_sum, b->route_sum, K, 8);
    if (outputs & PC_TILES) same(file, line, "tiles", a->tiles, b->tiles, a->num_tiles * K, 8);
    if (outputs & PC_PAIR_LOSS) same(file, line, "pair_loss", a->pair_loss, b->pair_loss, N, 4);
    if (outputs & PC_PROBABILITY) {
        same(file, line, "probability", a->probability, b->probability, N, 4);
    }
    if (outputs & PC_GRAD_CHOSEN) {
        same(file, line, "grad_chosen", a->grad_chosen, b->grad_chosen, N, 8);
    }
    if (outputs & PC_GRAD_REJECTED) {
        same(file, line, "grad_rejected", a->grad_rejected, b->grad_rejected, N, 8);
    }
    if (outputs & PC_GRAD_TIE) same(file, line, "grad_tie", &a->grad_tie, &b->grad_tie, 1, 8);
    if (outputs & PC_METRICS) {
        same(file, line, "metrics", a->metrics, b->metrics, K, sizeof *a->metrics);
    }
    if (outputs & PC_CALIBRATION) {
        same(file, line, "calibration", a->bins, b->bins, K * c->d.calibration_bins,
             sizeof *a->bins);
    }
    if (outputs & PC_DIAGNOSTICS) {
        same(file, line, "diagnostics", &a->diagnostics, &b->diagnostics, 1, sizeof a->diagnostics);
    }
}
