#include "subset_case.h"

#include <stdlib.h>
#include <string.h>

subset_case subset_make(const char *preset, const float *q, int64_t B, int M, int A, int N)
{
    subset_case c = {.q = q};
    cr_assert(merit_dominance_subset_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    if (preset != NULL) {
        cr_assert(merit_dominance_subset_preset(preset, &c.d) == MERIT_STATUS_OK, "%s", preset);
    }
    c.d.num_states = B;
    c.d.num_objectives = M;
    c.d.num_actions = A;
    c.d.num_levels = N;
    return c;
}

static merit_dominance_pairwise_desc pairwise_of(const merit_dominance_subset_desc *d)
{
    merit_dominance_pairwise_desc p = {.struct_size = sizeof p};
    p.num_states = d->num_states, p.num_objectives = d->num_objectives;
    p.num_actions = d->num_actions, p.num_levels = d->num_levels, p.dtype = d->dtype;
    p.stride_state = d->stride_state, p.stride_objective = d->stride_objective;
    p.stride_action = d->stride_action, p.stride_level = d->stride_level;
    p.weights_stride_state = d->weights_stride_state;
    p.measure = d->measure, p.power = d->power, p.ties = d->ties;
    p.integrate = d->integrate, p.sort_levels = d->sort_levels;
    p.sign = d->sign, p.delta = d->delta;
    return p;
}

static void *read_back(tk_fixture *tk, const void *block, int64_t count)
{
    void *const host = calloc((size_t)count + 1, 4);
    tk_read(tk, block, host, count, 4);
    return host;
}

subset_result subset_run(tk_fixture *tk, const subset_case *c)
{
    const merit_dominance_subset_desc *const d = &c->d;
    const merit_dominance_pairwise_desc p = pairwise_of(d);
    subset_result r = {.words = (d->num_actions + 31) / 32};
    const int64_t B = d->num_states, M = d->num_objectives, W = r.words;
    int64_t count;
    size_t size;
    void *const stored = dominance_store_q(&p, c->q, &count, &size);
    merit_dominance_subset_io io = {.struct_size = sizeof io};
    io.q = tk_input(tk, stored, count, size);
    free(stored);
    const int64_t weights = B == 0 ? 0 : (B - 1) * d->weights_stride_state + d->num_levels;
    io.weights = tk_input(tk, c->weights, weights, sizeof(float));
    io.valid = tk_input(tk, c->valid, B * d->num_actions, 1);
    io.random = tk_input(tk, c->random, B, 4);
    io.subset = tk_output(tk, B * M * W, 4);
    io.final = tk_output(tk, B * W, 4);
    io.action = tk_output(tk, B, 4);
    io.greedy = tk_output(tk, B * M, 4);
    io.flags = tk_output(tk, B, 4);
    io.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    size_t bytes = 0;
    merit_status status = merit_dominance_subset_workspace(tk->ctx, d, &bytes);
    if (status == MERIT_STATUS_OK) {
        void *const workspace = tk_workspace(tk, bytes);
        status = merit_dominance_subset(tk->ctx, d, &io, workspace, bytes, NULL);
    }
    tk_expect_ok(tk->ctx, status);
    r.subset = read_back(tk, io.subset, B * M * W);
    r.final = read_back(tk, io.final, B * W);
    r.action = read_back(tk, io.action, B);
    r.greedy = read_back(tk, io.greedy, B * M);
    r.flags = read_back(tk, io.flags, B);
    tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    tk_release(tk);
    return r;
}

void subset_free(subset_result *r)
{
    free(r->subset), free(r->final), free(r->action), free(r->greedy), free(r->flags);
}

int8_t *subset_relation(tk_fixture *tk, const subset_case *options, const float *q, int64_t pairs,
                        int N)
{
    int8_t *const relation = calloc((size_t)pairs + 1, 1);
    subset_case c = *options;
    c.q = q;
    c.d.num_states = pairs, c.d.num_objectives = 1, c.d.num_actions = 2, c.d.num_levels = N;
    subset_result r = subset_run(tk, &c);
    for (int64_t i = 0; i < pairs; i++) {
        const int fell = r.flags[i] & (MERIT_DOMINANCE_FLAG_FALLBACK | MERIT_DOMINANCE_FLAG_CYCLE);
        TK_EXPECT(!fell, "pair %lld: both beat each other", (long long)i);
        relation[i] = (int8_t)((r.final[i] == 1) - (r.final[i] == 2));
    }
    subset_free(&r);
    return relation;
}

uint32_t subset_of(const subset_case *c, const subset_result *r, int64_t b, int m)
{
    return r->subset[(b * c->d.num_objectives + m) * r->words];
}

static void compare_set(const char *name, int64_t b, const uint32_t *words, const uint8_t *expected,
                        int A)
{
    for (int a = 0; a < (A + 31) / 32 * 32; a++) {
        const int is = words[a / 32] >> (a % 32) & 1, should = a < A && expected[a];
        if (is == should) continue;
        TK_EXPECT(is == should, "%s of state %lld: action %d is %d", name, (long long)b, a, is);
        return;
    }
}

int64_t subset_check(tk_fixture *tk, const subset_case *c)
{
    subset_result r = subset_run(tk, c);
    int64_t compared = 0;
    if (tk->is_first_run) {
        const merit_dominance_pairwise_desc p = pairwise_of(&c->d);
        const int M = c->d.num_objectives, A = c->d.num_actions;
        double *const wide =
            dominance_widen(c->q, c->d.num_states * M * A * (int64_t)c->d.num_levels);
        dominance_oracle *const o = dominance_oracle_new(&p, wide, c->weights);
        subset_oracle *const s = malloc(sizeof *s);
        for (int64_t b = 0; b < c->d.num_states; b++) {
            subset_oracle_run(&c->d, o, b, c->valid == NULL ? NULL : c->valid + b * A,
                              c->random == NULL ? 0 : c->random[b], s);
            if (s->near) continue;
            compared++;
            compare_set("final", b, r.final + b * r.words, s->final, A);
            for (int m = 0; m < M; m++) {
                compare_set("subset", b, r.subset + (b * M + m) * r.words, s->subset[m], A);
                TK_EXPECT(r.greedy[b * M + m] == s->greedy[m], "greedy %lld,%d is %d, not %d",
                          (long long)b, m, r.greedy[b * M + m], s->greedy[m]);
            }
            TK_EXPECT(r.action[b] == s->action, "action of %lld is %d, not %d", (long long)b,
                      r.action[b], s->action);
            TK_EXPECT(r.flags[b] == s->flags, "flags of %lld are %u, not %u", (long long)b,
                      r.flags[b], s->flags);
        }
        TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_WEIGHT] == o->bad_weight, "bad weights");
        dominance_oracle_free(o);
        free(wide), free(s);
    }
    subset_free(&r);
    return compared;
}
