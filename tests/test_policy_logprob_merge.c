// policy_logprob with the vocabulary split over ranks: forward with partials, merge, backward on each part.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "logprob_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

enum { MAX_RANKS = 8 };

// Ranks of the split: the first logit of each, and of none.
typedef struct split {
    int ranks;
    int64_t begin[MAX_RANKS + 1];
} split;

// The columns [begin, end) of dense rows.
static float *columns(const float *x, int64_t T, int64_t V, int64_t begin, int64_t end)
{
    float *const part = malloc((size_t)(T * (end - begin)) * sizeof *part);
    for (int64_t t = 0; t < T; t++) {
        memcpy(part + t * (end - begin), x + t * V + begin, (size_t)(end - begin) * sizeof *part);
    }
    return part;
}

static merit_policy_logprob_desc desc_of_rank(const logprob_case *c, const split *s, int p)
{
    merit_policy_logprob_desc d = c->d;
    d.vocab_begin = s->begin[p];
    d.vocab_size = s->begin[p + 1] - s->begin[p];
    d.vocab_total = c->d.vocab_size;
    d.num_shards = s->ranks;
    return d;
}

// The records of all ranks, gathered: shards [P,T], segments [P, T, tiles of the first rank].
typedef struct gathered {
    merit_policy_logprob_shard *shards;
    merit_policy_logprob_segment *segments;
    int64_t tiles;
} gathered;

static gathered gather(tk_fixture *tk, const logprob_case *c, const split *s)
{
    const int64_t T = c->d.num_tokens;
    const int by_segment = c->d.partials == MERIT_LOGPROB_PARTIALS_SEGMENT;
    gathered g = {.tiles = (s->begin[1] - s->begin[0] + 2047) / 2048};
    g.shards = calloc((size_t)(T * s->ranks), sizeof *g.shards);
    g.segments = calloc((size_t)(T * s->ranks * g.tiles), sizeof *g.segments);
    for (int p = 0; p < s->ranks; p++) {
        const merit_policy_logprob_desc d = desc_of_rank(c, s, p);
        float *const x = columns(c->logits, T, c->d.vocab_size, s->begin[p], s->begin[p + 1]);
        void *const stored = logprob_stored(x, d.dtype, T, d.vocab_size, 0);
        const int64_t tiles = (d.vocab_size + 2047) / 2048;
        merit_policy_logprob_forward_io io = {.struct_size = sizeof io};
        io.logits = tk_input(tk, stored, T * d.vocab_size, logprob_element(d.dtype));
        io.targets = tk_input(tk, c->targets, T, sizeof(int64_t));
        io.temperatures = tk_input(tk, c->temperatures, T, sizeof(float));
        io.shards = tk_output(tk, T, sizeof *io.shards);
        if (by_segment) io.segments = tk_output(tk, T * tiles, sizeof *io.segments);
        size_t bytes = 0;
        tk_expect_ok(tk->ctx, merit_policy_logprob_forward_workspace(tk->ctx, &d, &bytes));
        void *const workspace = tk_workspace(tk, bytes);
        tk_expect_ok(tk->ctx,
                     merit_policy_logprob_forward(tk->ctx, &d, &io, workspace, bytes, NULL));
        tk_read(tk, io.shards, g.shards + p * T, T, sizeof *g.shards);
        if (by_segment) {
            tk_read(tk, io.segments, g.segments + p * T * g.tiles, T * tiles, sizeof *g.segments);
        }
        tk_release(tk);
        free(stored), free(x);
    }
    return g;
}

static logprob_result merge(tk_fixture *tk, const logprob_case *c, const split *s)
{
    const int64_t T = c->d.num_tokens;
    gathered g = gather(tk, c, s);
    merit_policy_logprob_desc d = desc_of_rank(c, s, 0);
    logprob_result r = {0};
    merit_policy_logprob_merge_io io = {.struct_size = sizeof io};
    io.shards = tk_input(tk, g.shards, T * s->ranks, sizeof *g.shards);
    if (d.partials == MERIT_LOGPROB_PARTIALS_SEGMENT) {
        io.segments = tk_input(tk, g.segments, T * s->ranks * g.tiles, sizeof *g.segments);
    }
    io.targets = tk_input(tk, c->targets, T, sizeof(int64_t));
    io.temperatures = tk_input(tk, c->temperatures, T, sizeof(float));
    io.logprob = tk_output(tk, T, 4), io.lse = tk_output(tk, T, 4);
    io.entropy = tk_output(tk, T, 4), io.sum_sq = tk_output(tk, T, 4);
    io.argmax = tk_output(tk, T, 4), io.state = tk_output(tk, T, 8);
    io.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    size_t bytes = 1;
    tk_expect_ok(tk->ctx, merit_policy_logprob_merge_workspace(tk->ctx, &d, &bytes));
    TK_EXPECT(bytes == 0, "a workspace of %zu bytes", bytes);
    tk_expect_ok(tk->ctx, merit_policy_logprob_merge(tk->ctx, &d, &io, NULL, 0, NULL));
    r.logprob = calloc((size_t)T, 4), r.lse = calloc((size_t)T, 4);
    r.entropy = calloc((size_t)T, 4), r.sum_sq = calloc((size_t)T, 4);
    r.argmax = calloc((size_t)T, 4), r.state = calloc((size_t)T, 8);
    tk_read(tk, io.logprob, r.logprob, T, 4), tk_read(tk, io.lse, r.lse, T, 4);
    tk_read(tk, io.entropy, r.entropy, T, 4), tk_read(tk, io.sum_sq, r.sum_sq, T, 4);
    tk_read(tk, io.argmax, r.argmax, T, 4), tk_read(tk, io.state, r.state, T, 8);
    tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    tk_release(tk);
    free(g.shards), free(g.segments);
    return r;
}

/* Shards {0, 1} and {2, 3}: (M, S) = (2, .929570457), (5, .858581032). */
TK_TEST(policy_logprob_merge, worked_shards)
{
    const float x[] = {0, 1, 2, 3};
    const int64_t target[] = {2};
    const split two = {2, {0, 2, 4}};
    logprob_case c = logprob_make(x, target, 1, 4);
    c.d.partials = MERIT_LOGPROB_PARTIALS_SHARD;
    gathered g = gather(tk, &c, &two);
    const double actual[] = {g.shards[0].exponent, g.shards[0].sum, g.shards[0].moment,
                             g.shards[1].exponent, g.shards[1].sum, g.shards[1].moment};
    const double expected[] = {2, .929570457, -.878727982, 5, .858581032, -.910023200};
    tk_expect_close(actual, expected, 6, 2e-6, 0);
    TK_EXPECT(g.shards[1].argmax == 3 && g.shards[1].target == 2 && g.shards[0].target == -INFINITY,
              "argmax %d", (int)g.shards[1].argmax);
    logprob_result r = merge(tk, &c, &two);
    const double merged[] = {r.lse[0], r.entropy[0], r.logprob[0], r.argmax[0]};
    const double results[] = {3.440189699, .947536964, -1.440189699, 3};
    tk_expect_close(merged, results, 4, 2e-6, 0);
    logprob_free(&r);
    free(g.shards), free(g.segments);
}

TK_TEST(policy_logprob_merge, segments_give_the_bits_of_the_unsplit_call)
{
    enum { T = 9, V = 7 * 2048 - 300 };
    static const int32_t types[] = {MERIT_DTYPE_BF16, MERIT_DTYPE_F32};
    const float temperatures[T] = {1, 2, 0.5f, 0, 1, 1, 3, 1, 1};
    const int64_t targets[T] = {0, 2048, V - 1, 5, -100, V, 4096, 6000, -7};
    const int widths[] = {7, 4, 2, 1}; // segments of a rank: 1, 2, 4 and 7 ranks
    for (int j = 0; j < 2; j++) {
        float *const x = logprob_random((int64_t)T * V, 4, types[j], 70 + j);
        for (int v = 0; v < 4096; v++) {
            x[6 * V + v] = -INFINITY; // whole ranks without weight
        }
        x[7 * V + 9000] = NAN;
        x[2 * V + 100] = x[2 * V + 9000] = 30; // a tie between ranks
        logprob_case c = logprob_make(x, targets, T, V);
        c.d.dtype = types[j];
        c.temperatures = temperatures;
        logprob_result whole = logprob_run(tk, &c);
        for (int64_t k = 0; k < COUNT(widths); k++) {
            split s = {0, {0}};
            while (s.begin[s.ranks] < V) {
                const int64_t end = s.begin[s.ranks] + 2048 * widths[k];
                s.begin[++s.ranks] = end < V ? end : V;
            }
            c.d.partials = MERIT_LOGPROB_PARTIALS_SEGMENT;
            tk_case("type %d, %d ranks", (int)types[j], s.ranks);
            logprob_result r = merge(tk, &c, &s);
            tk_expect_bits(r.logprob, whole.logprob, T, 4);
            tk_expect_bits(r.lse, whole.lse, T, 4);
            tk_expect_bits(r.entropy, whole.entropy, T, 4);
            tk_expect_bits(r.sum_sq, whole.sum_sq, T, 4);
            tk_expect_bits(r.argmax, whole.argmax, T, 4);
            tk_expect_bits(r.state, whole.state, T, 8);
            tk_expect_bits(&r.diagnostics, &whole.diagnostics, 1, sizeof r.diagnostics);
            logprob_free(&r);
            c.d.partials = MERIT_LOGPROB_PARTIALS_NONE;
        }
        logprob_free(&whole);
        free(x);
    }
}

TK_TEST(policy_logprob_merge, shards_of_any_bounds_are_within_the_bound)
{
    enum { T = 4, V = 5000 };
    float *const x = logprob_random(T * V, 4, MERIT_DTYPE_BF16, 72);
    const int64_t targets[T] = {0, 1300, 1301, V - 1};
    const split three = {3, {0, 1301, 1302, V}};
    logprob_case c = logprob_make(x, targets, T, V);
    c.d.dtype = MERIT_DTYPE_BF16;
    logprob_result whole = logprob_run(tk, &c);
    c.d.partials = MERIT_LOGPROB_PARTIALS_SHARD;
    logprob_result r = merge(tk, &c, &three);
    for (int t = 0; t < T; t++) {
        TK_EXPECT(fabs(r.logprob[t] - whole.logprob[t]) <= 2e-6, "row %d: %.9g", t, r.logprob[t]);
        TK_EXPECT(fabs(r.entropy[t] - whole.entropy[t]) <= 2e-5, "row %d: %.9g", t, r.entropy[t]);
        TK_EXPECT(r.argmax[t] == whole.argmax[t], "row %d: %d", t, (int)r.argmax[t]);
    }
    logprob_free(&r), logprob_free(&whole);
    free(x);
}

TK_TEST(policy_logprob_merge, each_rank_writes_its_part_of_the_gradient)
{
    enum { T = 3, V = 5000 };
    float *const x = logprob_random(T * V, 3, MERIT_DTYPE_F32, 73);
    const int64_t targets[T] = {0, 4096, -100};
    const float by_logprob[T] = {1, -2, 1}, by_entropy[T] = {0.5f, 0, 1};
    const split two = {2, {0, 4096, V}};
    logprob_case c = logprob_make(x, targets, T, V);
    logprob_result whole = logprob_run(tk, &c);
    uint32_t *const expected = logprob_run_backward(tk, &c, by_logprob, by_entropy, 0, NULL);
    c.d.partials = MERIT_LOGPROB_PARTIALS_SEGMENT;
    for (int p = 0; p < 2; p++) {
        const merit_policy_logprob_desc d = desc_of_rank(&c, &two, p);
        const int64_t width = d.vocab_size;
        float *const part = columns(x, T, V, two.begin[p], two.begin[p + 1]);
        merit_policy_logprob_backward_io io = {.struct_size = sizeof io};
        io.grad_logits = tk_inout(tk, part, T * width, 4);
        io.logits = io.grad_logits;
        io.targets = tk_input(tk, targets, T, 8);
        io.state = tk_input(tk, whole.state, T, 8);
        io.grad_logprob = tk_input(tk, by_logprob, T, 4);
        io.grad_entropy = tk_input(tk, by_entropy, T, 4);
        io.entropy = tk_input(tk, whole.entropy, T, 4);
        tk_expect_ok(tk->ctx, merit_policy_logprob_backward(tk->ctx, &d, &io, NULL, 0, NULL));
        tk_read(tk, io.grad_logits, part, T * width, 4);
        tk_case("rank %d", p);
        for (int t = 0; t < T; t++) {
            tk_expect_bits(part + t * width, expected + t * V + two.begin[p], width, 4);
        }
        tk_release(tk);
        free(part);
    }
    logprob_free(&whole);
    free(x), free(expected);
}

// Rejected calls ------------------------------------------------------------------------------------

typedef struct call {
    merit_policy_logprob_desc d;
    merit_policy_logprob_merge_io io;
} call;

typedef void spoil(call *c);

#define SPOIL(name, statement) \
    static void name(call *c)  \
    {                          \
        statement;             \
    }

SPOIL(no_partials, c->d.partials = MERIT_LOGPROB_PARTIALS_NONE)
SPOIL(bad_partials, c->d.partials = 3)
SPOIL(no_shards, c->d.num_shards = 0)
SPOIL(other_shards, (c->d.partials = MERIT_LOGPROB_PARTIALS_SEGMENT, c->d.num_shards = 3))
SPOIL(odd_size, c->d.partials = MERIT_LOGPROB_PARTIALS_SEGMENT)
SPOIL(subset, (c->d.support = MERIT_LOGPROB_SUPPORT_SUBSET, c->d.subset_size = 2))
SPOIL(full, c->d.normalize = MERIT_LOGPROB_NORMALIZE_FULL)
SPOIL(beyond, c->d.vocab_begin = 3)
SPOIL(long_total, c->d.vocab_total = (1 << 24) + 1)
SPOIL(no_records, c->io.shards = NULL)
SPOIL(extra_segments, c->io.segments = (const merit_policy_logprob_segment *)c->io.shards)
SPOIL(no_targets, c->io.targets = NULL)
SPOIL(overlap, c->io.lse = c->io.logprob)

static const struct rejected {
    spoil *spoil;
    const char *words;
} rejections[] = {
    {no_partials, "partials is NONE"},
    {bad_partials, "partials is 3|0..2"},
    {no_shards, "num_shards is 0"},
    {other_shards, "num_shards is 3|4 logits"},
    {odd_size, "vocab_size is 2|2048"},
    {subset, "support is SUBSET"},
    {full, "normalize is FULL"},
    {beyond, "vocab_begin is 3|vocab_total"},
    {long_total, "vocab_total is 16777217"},
    {no_records, "shards is NULL"},
    {extra_segments, "segments is given|SEGMENT"},
    {no_targets, "targets is NULL|logprob"},
    {overlap, "lse|overlaps|logprob"},
};

TK_TEST(policy_logprob_merge, rejected_calls_say_why_and_write_nothing)
{
    const merit_policy_logprob_shard shards[2] = {{0}};
    const int64_t targets[] = {0};
    for (int64_t k = 0; k < COUNT(rejections); k++) {
        call c = {.io = {.struct_size = sizeof c.io}};
        c.d = logprob_make(NULL, targets, 1, 2).d;
        c.d.vocab_total = 4, c.d.num_shards = 2, c.d.partials = MERIT_LOGPROB_PARTIALS_SHARD;
        float *const logprob = tk_output(tk, 1, 4);
        c.io.shards = tk_input(tk, shards, 2, sizeof shards[0]);
        c.io.targets = tk_input(tk, targets, 1, 8);
        c.io.logprob = logprob;
        rejections[k].spoil(&c);
        const merit_status status = merit_policy_logprob_merge(tk->ctx, &c.d, &c.io, NULL, 0, NULL);
        tk_case("rejection %lld", (long long)k);
        tk_expect_rejected(tk->ctx, status, MERIT_STATUS_INVALID_ARGUMENT, rejections[k].words);
        unsigned char bytes[4];
        tk_read(tk, logprob, bytes, 1, 4);
        TK_EXPECT(tk_untouched(bytes, 1, 4), "logprob was written");
        tk_release(tk);
    }
}
