// policy_logprob_merge over many rows: each has the bits of a call of its own, whatever its neighbors hold.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "logprob_case.h"

enum { T = 213, MOST_RANKS = 7 };

typedef struct records {
    int ranks;
    merit_policy_logprob_shard shards[MOST_RANKS * T]; // [ranks, rows]
    int64_t targets[T];
    float temperatures[T];
} records;

typedef struct results {
    float logprob[T], lse[T], entropy[T], sum_sq[T];
    int32_t argmax[T];
    merit_policy_logprob_state state[T];
    merit_diagnostics diagnostics;
} results;

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static double draw_unit(uint32_t *state)
{
    return draw(state) * 0x1p-24;
}

static void spoil_row(records *r, int t, int rank, uint32_t kind)
{
    merit_policy_logprob_shard *const s = &r->shards[rank * T + t];
    switch (kind) {
    case 0: s->sum = NAN, s->max = NAN; break;
    case 1: // no weight
        *s = (merit_policy_logprob_shard){
            .exponent = INT32_MIN, .argmax = -1, .max = -INFINITY, .target = -INFINITY};
        break;
    case 2: r->targets[t] = -100; break;
    case 3: r->targets[t] = 1 << 20; break;
    case 4: r->temperatures[t] = (float)(t % 3 - 1) / 0.0f; break;
    case 5: s->exponent = 1 << 24, s->max = 0x1p24f; break;
    case 6: // the target is nowhere
        for (int p = 0; p < r->ranks; p++)
            r->shards[p * T + t].target = -INFINITY;
        break;
    case 7: // all the weight on one logit
        for (int p = 0; p < r->ranks; p++)
            spoil_row(r, t, p, 1);
        s->sum = s->squares = 1, s->exponent = 3, s->max = s->target = 3 * (float)M_LN2;
        s->moment = 0, s->argmax = 7;
        break;
    case 8: // nothing is kept
        for (int p = 0; p < r->ranks; p++)
            spoil_row(r, t, p, 1);
        break;
    case 9: s->exponent -= 400; break;
    case 10: s->exponent -= 700; break;
    case 11: s->exponent -= 5000; break;
    default: s->target = NAN; break;
    }
}

static void make_records(records *r, int ranks, uint32_t seed)
{
    r->ranks = ranks;
    for (int t = 0; t < T; t++) {
        r->targets[t] = draw(&seed) % 1000;
        r->temperatures[t] = (float)(0.5 + draw_unit(&seed));
        for (int p = 0; p < ranks; p++) {
            merit_policy_logprob_shard *const s = &r->shards[p * T + t];
            s->exponent = (int32_t)(draw(&seed) % 6) - 2;
            s->sum = 1 + 60 * draw_unit(&seed);
            s->moment = -s->sum * 5 * draw_unit(&seed);
            s->squares = s->sum / (1 + 3 * draw_unit(&seed));
            s->argmax = (int32_t)(draw(&seed) % 1000);
            s->max = (float)(int)(draw(&seed) % 4); // ties
            s->target = p == t % ranks ? (float)(4 * draw_unit(&seed) - 2) : -INFINITY;
        }
        if (t % 5 == 0) spoil_row(r, t, (int)(draw(&seed) % (uint32_t)ranks), draw(&seed) % 13);
    }
}

// Rows [first, first + count) in one call. narrow: targets of 32 bits, and one temperature.
static void run_rows(tk_fixture *tk, const records *r, int first, int count, int narrow,
                     results *out)
{
    merit_policy_logprob_desc d;
    tk_expect_ok(tk->ctx, merit_policy_logprob_desc_init(&d, sizeof d));
    d.num_tokens = count, d.vocab_size = 1000, d.vocab_total = 1000 * r->ranks;
    d.num_shards = r->ranks, d.partials = MERIT_LOGPROB_PARTIALS_SHARD;
    d.target_dtype = narrow ? MERIT_DTYPE_I32 : MERIT_DTYPE_I64;
    merit_policy_logprob_shard *const shards =
        malloc((size_t)(r->ranks * count) * sizeof *shards); // [ranks, count]
    int32_t targets[T];
    for (int p = 0; p < r->ranks; p++) {
        memcpy(shards + p * count, r->shards + p * T + first, (size_t)count * sizeof *shards);
    }
    for (int t = 0; t < T; t++) {
        targets[t] = (int32_t)r->targets[t];
    }
    merit_policy_logprob_merge_io io = {.struct_size = sizeof io};
    io.shards = tk_input(tk, shards, r->ranks * count, sizeof *shards);
    io.targets = narrow ? tk_input(tk, targets + first, count, 4)
                        : tk_input(tk, r->targets + first, count, 8);
    if (!narrow) io.temperatures = tk_input(tk, r->temperatures + first, count, 4);
    io.logprob = tk_output(tk, count, 4), io.lse = tk_output(tk, count, 4);
    io.entropy = tk_output(tk, count, 4), io.sum_sq = tk_output(tk, count, 4);
    io.argmax = tk_output(tk, count, 4), io.state = tk_output(tk, count, 8);
    io.diagnostics = tk_inout(tk, &out->diagnostics, 1, sizeof out->diagnostics);
    tk_expect_ok(tk->ctx, merit_policy_logprob_merge(tk->ctx, &d, &io, NULL, 0, NULL));
    tk_read(tk, io.logprob, out->logprob + first, count, 4);
    tk_read(tk, io.lse, out->lse + first, count, 4);
    tk_read(tk, io.entropy, out->entropy + first, count, 4);
    tk_read(tk, io.sum_sq, out->sum_sq + first, count, 4);
    tk_read(tk, io.argmax, out->argmax + first, count, 4);
    tk_read(tk, io.state, out->state + first, count, 8);
    tk_read(tk, io.diagnostics, &out->diagnostics, 1, sizeof out->diagnostics);
    tk_release(tk);
    free(shards);
}

TK_TEST(policy_logprob_merge, rows_do_not_depend_on_their_neighbors)
{
    static records r;
    static results together, alone;
    static const int ranks[] = {1, 2, 3, MOST_RANKS};
    for (int k = 0; k < 8; k++) {
        tk_case("%d ranks, targets of %d bits", ranks[k / 2], k % 2 ? 32 : 64);
        make_records(&r, ranks[k / 2], 19 + (uint32_t)k);
        memset(&together, 0, sizeof together), memset(&alone, 0, sizeof alone);
        run_rows(tk, &r, 0, T, k % 2, &together);
        for (int t = 0; t < T; t++) {
            run_rows(tk, &r, t, 1, k % 2, &alone);
        }
        TK_EXPECT(memcmp(&together.diagnostics, &(merit_diagnostics){0}, sizeof alone.diagnostics),
                  "nothing was counted");
        tk_expect_bits(together.logprob, alone.logprob, T, 4);
        tk_expect_bits(together.lse, alone.lse, T, 4);
        tk_expect_bits(together.entropy, alone.entropy, T, 4);
        tk_expect_bits(together.sum_sq, alone.sum_sq, T, 4);
        tk_expect_bits(together.argmax, alone.argmax, T, 4);
        tk_expect_bits(together.state, alone.state, T, 8);
        tk_expect_bits(&together.diagnostics, &alone.diagnostics, 1, sizeof alone.diagnostics);
    }
}
