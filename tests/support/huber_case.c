#include "huber_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

huber_case huber_make(const char *preset, int64_t rows, int levels, int targets)
{
    huber_case c = {.in_place = 0};
    cr_assert(merit_dominance_quantile_huber_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    if (preset != NULL) {
        cr_assert(merit_dominance_quantile_huber_preset(preset, &c.d) == MERIT_STATUS_OK, "%s",
                  preset);
    }
    c.d.num_rows = rows, c.d.num_levels = levels, c.d.num_targets = targets;
    return c;
}

static int64_t span(int64_t rows, int64_t stride, int64_t row)
{
    return rows == 0 ? 0 : (rows - 1) * (stride == 0 ? row : stride) + row;
}

huber_result huber_run(tk_fixture *tk, const huber_case *c)
{
    const merit_dominance_quantile_huber_desc *const d = &c->d;
    const int64_t R = d->num_rows, N = d->num_levels, tiles = (R + 2047) / 2048;
    const int64_t levels = span(R, d->ld_quantiles, N),
                  pitch = d->ld_quantiles == 0 ? N : d->ld_quantiles;
    huber_result r = {.loss = 0};
    merit_dominance_quantile_huber_io io = {.struct_size = sizeof io};
    io.grad_quantiles = c->in_place ? tk_inout(tk, c->io.quantiles, levels, sizeof(float))
                                    : tk_output(tk, levels, sizeof(float));
    io.quantiles =
        c->in_place ? io.grad_quantiles : tk_input(tk, c->io.quantiles, levels, sizeof(float));
    io.tau = tk_input(tk, c->io.tau, d->ld_tau == 0 ? N : span(R, d->ld_tau, N), sizeof(float));
    io.targets = tk_input(tk, c->io.targets, span(R, d->ld_targets, d->num_targets), sizeof(float));
    io.target_count = tk_input(tk, c->io.target_count, R, sizeof(int32_t));
    io.weight = tk_input(tk, c->io.weight, R, sizeof(float));
    io.loss_rows = tk_output(tk, R, sizeof(float));
    io.loss = tk_output(tk, 1, sizeof(double));
    io.loss_tiles = tk_output(tk, tiles, sizeof(double));
    io.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    size_t bytes = 0;
    merit_status status = merit_dominance_quantile_huber_workspace(tk->ctx, d, &bytes);
    if (status == MERIT_STATUS_OK) {
        void *const workspace = tk_workspace(tk, bytes);
        for (int time = 0; time < 2 - c->in_place; time++) { // tickets are left at zero
            if (time > 0) tk_write(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
            status = merit_dominance_quantile_huber(tk->ctx, d, &io, workspace, bytes, NULL);
        }
    }
    tk_expect_ok(tk->ctx, status);
    float *const spread = calloc((size_t)levels + 1, sizeof(float));
    r.loss_rows = calloc((size_t)R + 1, sizeof(float));
    r.gradients = calloc((size_t)(R * N) + 1, sizeof(float));
    r.tiles = calloc((size_t)tiles + 1, sizeof(double));
    tk_read(tk, io.grad_quantiles, spread, levels, sizeof(float));
    tk_read(tk, io.loss_rows, r.loss_rows, R, sizeof(float));
    tk_read(tk, io.loss, &r.loss, 1, sizeof r.loss);
    tk_read(tk, io.loss_tiles, r.tiles, tiles, sizeof(double));
    tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    for (int64_t row = 0; row < R; row++) {
        memcpy(r.gradients + row * N, spread + row * pitch, (size_t)N * sizeof(float));
        const int between = row + 1 < R && pitch > N && !c->in_place;
        TK_EXPECT(!between || tk_untouched(spread + row * pitch + N, pitch - N, sizeof(float)),
                  "something was written behind row %lld", (long long)row);
    }
    free(spread);
    tk_release(tk);
    return r;
}

void huber_free(huber_result *r)
{
    free(r->loss_rows), free(r->gradients), free(r->tiles);
}

void huber_check(tk_fixture *tk, const huber_case *c)
{
    huber_result r = huber_run(tk, c);
    if (tk->is_first_run) {
        const int64_t R = c->d.num_rows, N = c->d.num_levels;
        const double steps = (double)c->d.num_targets / 4 + 4;
        huber_oracle *const o = huber_oracle_new(&c->d, &c->io);
        double *const actual = calloc((size_t)(R * N) + 1, sizeof(double));
        double *const limits = calloc((size_t)(R * N) + 1, sizeof(double));
        for (int64_t i = 0; i < R * N; i++) {
            actual[i] = r.gradients[i];
            limits[i] = steps * 0x1p-24 * o->largest[i] + 0x1p-149;
        }
        tk_expect_within(actual, o->gradients, limits, R * N);
        for (int64_t i = 0; i < R; i++) {
            actual[i] = r.loss_rows[i];
        }
        // terms >= 0: four more roundings than the gradient, one of them of the result
        tk_expect_close(actual, o->loss_rows, R, 0x1p-149, (steps + 4) * 0x1p-24);
        tk_expect_close(&r.loss, &o->loss, 1, (steps + 3) * 0x1p-24 * o->size, 0);
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_COUNT] == o->bad_count, "bad counts");
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_TAU] == o->bad_tau, "bad taus");
        free(actual), free(limits);
        huber_oracle_free(o);
    }
    huber_free(&r);
}
