#include "target_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

target_case target_make(const char *preset, const float *q, int64_t B, int M, int A, int N)
{
    target_case c = {.q = q};
    cr_assert(merit_dominance_quantile_target_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    if (preset != NULL) {
        cr_assert(merit_dominance_quantile_target_preset(preset, &c.d) == MERIT_STATUS_OK, "%s",
                  preset);
    }
    c.d.num_states = B, c.d.num_objectives = M, c.d.num_actions = A, c.d.num_levels = N;
    return c;
}

static const void *store(tk_fixture *tk, const target_case *c)
{
    const merit_dominance_pairwise_desc p = {.num_states = c->d.num_states,
                                             .num_objectives = c->d.num_objectives,
                                             .num_actions = c->d.num_actions,
                                             .num_levels = c->d.num_levels,
                                             .dtype = c->d.dtype,
                                             .stride_state = c->d.stride_state,
                                             .stride_objective = c->d.stride_objective,
                                             .stride_action = c->d.stride_action,
                                             .stride_level = c->d.stride_level};
    int64_t count;
    size_t size;
    void *const stored = dominance_store_q(&p, c->q, &count, &size);
    const void *const block = tk_input(tk, stored, count, size);
    free(stored);
    return block;
}

target_result target_run(tk_fixture *tk, const target_case *c)
{
    const merit_dominance_quantile_target_desc *const d = &c->d;
    const int mixture = d->mode == MERIT_DOMINANCE_TARGET_MIXTURE;
    const int64_t B = d->num_states, rows = B * d->num_objectives;
    target_result r = {.room = (mixture ? d->num_actions : 1) * (int64_t)d->num_levels};
    const int64_t pitch = d->ld_target == 0 ? r.room : d->ld_target;
    const int64_t span = rows == 0 ? 0 : (rows - 1) * pitch + r.room;
    merit_dominance_quantile_target_io io = {.struct_size = sizeof io};
    io.q_next = store(tk, c);
    io.reward = tk_input(tk, c->io.reward, rows, sizeof(float));
    io.done = tk_input(tk, c->io.done, B, 1);
    io.discount = tk_input(tk, c->io.discount, rows, sizeof(float));
    io.action = tk_input(tk, c->io.action, B, sizeof(int32_t));
    io.greedy = tk_input(tk, c->io.greedy, rows, sizeof(int32_t));
    io.final = tk_input(tk, c->io.final, B * ((d->num_actions + 31) / 32), sizeof(uint32_t));
    io.target = tk_output(tk, span, sizeof(float));
    io.target_count = mixture ? tk_output(tk, rows, sizeof(int32_t)) : NULL;
    io.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    size_t bytes = 1;
    tk_expect_ok(tk->ctx, merit_dominance_quantile_target_workspace(tk->ctx, d, &bytes));
    TK_EXPECT(bytes == 0, "%zu bytes", bytes);
    tk_expect_ok(tk->ctx, merit_dominance_quantile_target(tk->ctx, d, &io, NULL, 0, NULL));
    float *const spread = calloc((size_t)span + 1, sizeof(float));
    r.target = calloc((size_t)(rows * r.room) + 1, sizeof(float));
    r.count = calloc((size_t)rows + 1, sizeof(int32_t));
    tk_read(tk, io.target, spread, span, sizeof(float));
    if (mixture) tk_read(tk, io.target_count, r.count, rows, sizeof(int32_t));
    tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    for (int64_t row = 0; row < rows; row++) {
        const int64_t used = mixture ? r.count[row] : r.room;
        const int64_t end = row + 1 < rows ? pitch : r.room;
        memcpy(r.target + row * r.room, spread + row * pitch, (size_t)r.room * sizeof(float));
        TK_EXPECT(used <= end && tk_untouched(spread + row * pitch + used, end - used, 4),
                  "something was written behind row %lld", (long long)row);
    }
    free(spread);
    tk_release(tk);
    return r;
}

void target_free(target_result *r)
{
    free(r->target), free(r->count);
}

void target_check(tk_fixture *tk, const target_case *c)
{
    target_result r = target_run(tk, c);
    if (tk->is_first_run) {
        const int64_t rows = c->d.num_states * c->d.num_objectives;
        const int mixture = c->d.mode == MERIT_DOMINANCE_TARGET_MIXTURE;
        target_oracle *const o = target_oracle_new(&c->d, &c->io, c->q);
        for (int64_t row = 0; row < rows; row++) {
            TK_EXPECT(!mixture || r.count[row] == o->count[row], "%d samples in row %lld, not %d",
                      r.count[row], (long long)row, o->count[row]);
            for (int64_t n = 0; n < o->count[row]; n++) {
                const float is = r.target[row * r.room + n];
                const float should = o->target[row * r.room + n];
                TK_EXPECT(is == should || (isnan(is) && isnan(should)),
                          "sample %lld of row %lld is %.9g, not %.9g", (long long)n, (long long)row,
                          (double)is, (double)should);
            }
        }
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_ACTION] == o->bad_action,
                  "%llu bad actions, not %llu",
                  (unsigned long long)r.diagnostics.count[MERIT_COUNTER_BAD_ACTION],
                  (unsigned long long)o->bad_action);
        target_oracle_free(o);
    }
    target_free(&r);
}
