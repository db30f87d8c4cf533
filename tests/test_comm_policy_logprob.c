// comm_policy_logprob: vocabularies cut over ranks, forward to backward, against one rank.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "logprob_case.h"
#include "ranks.h"

enum { T = 6, TILES = 7, V = TILES * 2048 - 300 };

// What all ranks share.
typedef struct batch {
    const logprob_case *c; // the whole vocabulary
    const float *by_logprob, *by_entropy;
    int64_t max_vocab_size;
    const int64_t *cuts; // rank i has cuts[i] .. cuts[i + 1]
    const logprob_result *whole; // NULL: nothing to compare with
    const uint32_t *gradient; // [T,V] words
    merit_policy_logprob_shard *shards; // [ranks,T], NULL
    logprob_result *results; // [ranks], NULL
} batch;

// Elements [begin, end) of each row, stored; freed by the caller.
static void *columns(const logprob_case *c, int64_t begin, int64_t end)
{
    float *const part = malloc((size_t)(T * (end - begin)) * sizeof *part);
    for (int64_t t = 0; t < T; t++) {
        memcpy(part + t * (end - begin), c->logits + t * V + begin,
               (size_t)(end - begin) * sizeof *part);
    }
    void *const stored = logprob_stored(part, c->d.dtype, T, end - begin, 0);
    free(part);
    return stored;
}

static merit_policy_logprob_desc desc_of(const batch *b, int rank)
{
    merit_policy_logprob_desc d = b->c->d;
    d.vocab_begin = b->cuts[rank];
    d.vocab_size = b->cuts[rank + 1] - d.vocab_begin;
    d.vocab_total = V;
    return d;
}

static void compare(rank *r, const char *name, const void *block, const void *expected,
                    size_t bytes)
{
    void *const actual = malloc(bytes);
    ranks_read(r, block, actual, bytes);
    cr_expect(memcmp(actual, expected, bytes) == 0, "%s on rank %d of %d", name, r->rank, r->size);
    free(actual);
}

// The rank's columns of the gradient.
static void compare_gradient(rank *r, const batch *b, const void *block, size_t size)
{
    const int64_t begin = b->cuts[r->rank], width = b->cuts[r->rank + 1] - begin;
    unsigned char *const part = malloc((size_t)(T * width) * size);
    ranks_read(r, block, part, (size_t)(T * width) * size);
    int64_t bad = 0;
    for (int64_t i = 0; i < T * width; i++) {
        const uint32_t *const expected = &b->gradient[i / width * V + begin + i % width];
        bad += memcmp(part + (size_t)i * size, expected, size) != 0;
    }
    cr_expect(bad == 0, "%lld elements of the gradient on rank %d of %d", (long long)bad, r->rank,
              r->size);
    free(part);
}

static void forward(rank *r, const batch *b, const merit_policy_logprob_desc *d,
                    merit_policy_logprob_forward_io *io)
{
    const logprob_case *const c = b->c;
    void *const logits = columns(c, b->cuts[r->rank], b->cuts[r->rank + 1]);
    io->logits = ranks_copy(r, logits, (size_t)(T * d->vocab_size) * logprob_element(d->dtype));
    free(logits);
    io->targets = ranks_copy(r, c->targets, T * sizeof(int64_t));
    io->temperatures = ranks_copy(r, c->temperatures, T * sizeof(float));
    if (c->keep_mask != NULL) { // one row for all
        const int64_t words = (d->vocab_size + 31) / 32;
        io->keep_mask = ranks_copy(r, c->keep_mask + d->vocab_begin / 32, (size_t)words * 4);
    }
    io->shards = ranks_room(r, T * sizeof *io->shards);
    if (d->partials == MERIT_LOGPROB_PARTIALS_SEGMENT) {
        const int64_t tiles = (d->vocab_size + 2047) / 2048;
        io->segments = ranks_room(r, (size_t)(T * tiles) * sizeof *io->segments);
    }
    size_t bytes = 0;
    cr_expect(merit_policy_logprob_forward_workspace(r->ctx, d, &bytes) == MERIT_STATUS_OK);
    void *const workspace = ranks_workspace(r, bytes);
    cr_expect(merit_policy_logprob_forward(r->ctx, d, io, workspace, bytes, NULL) ==
                  MERIT_STATUS_OK,
              "%s", merit_context_last_error(r->ctx));
}

static void backward(rank *r, const batch *b, const merit_policy_logprob_desc *d,
                     const merit_policy_logprob_forward_io *from,
                     const merit_comm_policy_logprob_io *merged)
{
    const size_t size = logprob_element(d->dtype);
    merit_policy_logprob_backward_io io = {.struct_size = sizeof io};
    io.logits = from->logits;
    io.targets = from->targets;
    io.temperatures = from->temperatures;
    io.keep_mask = from->keep_mask;
    io.state = merged->state;
    io.entropy = merged->entropy;
    io.grad_logprob = ranks_copy(r, b->by_logprob, T * sizeof(float));
    io.grad_entropy = ranks_copy(r, b->by_entropy, T * sizeof(float));
    io.grad_logits = (void *)(uintptr_t)from->logits; // in place
    cr_expect(merit_policy_logprob_backward(r->ctx, d, &io, NULL, 0, NULL) == MERIT_STATUS_OK, "%s",
              merit_context_last_error(r->ctx));
    compare_gradient(r, b, io.grad_logits, size);
}

static void run_rank(rank *r, void *state)
{
    const batch *const b = state;
    const merit_policy_logprob_desc d = desc_of(b, r->rank);
    merit_policy_logprob_forward_io from = {.struct_size = sizeof from};
    forward(r, b, &d, &from);

    merit_comm_policy_logprob_desc cd;
    merit_comm_policy_logprob_desc_init(&cd, sizeof cd);
    cd.logprob = &d;
    cd.max_vocab_size = b->max_vocab_size;
    static const merit_diagnostics zero;
    merit_comm_policy_logprob_io io = {.struct_size = sizeof io};
    io.shards = from.shards, io.segments = from.segments;
    io.targets = from.targets, io.temperatures = from.temperatures;
    io.logprob = ranks_room(r, T * 4), io.lse = ranks_room(r, T * 4);
    io.entropy = ranks_room(r, T * 4), io.sum_sq = ranks_room(r, T * 4);
    io.argmax = ranks_room(r, T * 4), io.state = ranks_room(r, T * sizeof *io.state);
    io.diagnostics = ranks_copy(r, &zero, sizeof zero);
    size_t bytes = 0;
    merit_status status = merit_comm_policy_logprob_workspace(r->ctx, r->comm, &cd, &bytes);
    void *const workspace = ranks_workspace(r, bytes);
    if (status == MERIT_STATUS_OK) {
        status = merit_comm_policy_logprob(r->ctx, r->comm, &cd, &io, workspace, bytes, NULL);
    }
    cr_expect(status == MERIT_STATUS_OK, "%s", merit_context_last_error(r->ctx));
    cr_expect(merit_comm_collectives(r->comm) == 1);
    if (status != MERIT_STATUS_OK) return;
    if (b->shards != NULL) {
        ranks_read(r, from.shards, b->shards + r->rank * T, T * sizeof *b->shards);
    }
    if (b->results != NULL) {
        logprob_result *const out = &b->results[r->rank];
        ranks_read(r, io.logprob, out->logprob, T * 4), ranks_read(r, io.lse, out->lse, T * 4);
        ranks_read(r, io.entropy, out->entropy, T * 4),
            ranks_read(r, io.sum_sq, out->sum_sq, T * 4);
        ranks_read(r, io.argmax, out->argmax, T * 4), ranks_read(r, io.state, out->state, T * 8);
    }
    if (b->whole == NULL) return;
    compare(r, "logprob", io.logprob, b->whole->logprob, T * 4);
    compare(r, "lse", io.lse, b->whole->lse, T * 4);
    compare(r, "entropy", io.entropy, b->whole->entropy, T * 4);
    compare(r, "sum_sq", io.sum_sq, b->whole->sum_sq, T * 4);
    compare(r, "argmax", io.argmax, b->whole->argmax, T * 4);
    compare(r, "state", io.state, b->whole->state, T * 8);
    compare(r, "diagnostics", io.diagnostics, &b->whole->diagnostics, sizeof(merit_diagnostics));
    backward(r, b, &d, &from, &io);
}

static const float by_logprob[T] = {1, -2, 0.5f, 1, 3, -1}, by_entropy[T] = {0.5f, 0, 1, 2, 1, 0};
static const float temperatures[T] = {1, 2, 0.5f, 1, 1, 0};
static const int64_t targets[T] = {0, 2048, V - 1, 5, -100, 6000};

// Every cut of seven tiles into 1..7 parts: bit i of `cuts` starts a part at tile i + 1.
TK_TEST(comm_policy_logprob, every_cut_has_the_bits_of_one_rank)
{
    static uint32_t keep[(V + 31) / 32];
    int shardings = 0;
    for (int kind = 0; kind < 2; kind++) { // BF16 with temperatures; F32 with a mask and a cap
        const int32_t dtype = kind == 0 ? MERIT_DTYPE_BF16 : MERIT_DTYPE_F32;
        float *const x = logprob_random((int64_t)T * V, 4, dtype, 170 + (uint64_t)kind);
        for (int v = 0; v < 4096; v++) {
            x[3 * V + v] = -INFINITY; // whole parts without weight
        }
        x[2 * V + 100] = x[2 * V + 9000] = 30; // a tie between parts
        x[4 * V + 11000] = NAN;
        logprob_case c = logprob_make(x, targets, T, V);
        c.d.dtype = dtype;
        if (kind == 0) c.temperatures = temperatures;
        if (kind == 1) {
            for (int i = 0; i < (V + 31) / 32; i++) {
                keep[i] = 0x9f3cb7e1u * (uint32_t)(i + 1);
            }
            c.keep_mask = keep;
            c.d.support = MERIT_LOGPROB_SUPPORT_MASK;
            c.d.soft_cap = 20;
        }
        logprob_result whole = logprob_run(tk, &c);
        uint32_t *const gradient = logprob_run_backward(tk, &c, by_logprob, by_entropy, 1, NULL);
        c.d.partials = MERIT_LOGPROB_PARTIALS_SEGMENT;
        const unsigned step = tk->kind != TK_CPU ? 13 : kind == 0 ? 1 : 3;
        for (unsigned cuts = 0; cuts < 64; cuts += step) {
            int64_t bounds[TILES + 1] = {0};
            int size = 0;
            int64_t most = 0;
            for (int tile = 1; tile <= TILES; tile++) {
                if (tile < TILES && (cuts >> (tile - 1) & 1) == 0) continue;
                bounds[++size] = tile < TILES ? tile * 2048 : V;
                const int64_t part = bounds[size] - bounds[size - 1];
                most = part > most ? part : most;
            }
            const int64_t equal = ((V + size - 1) / size + 2047) / 2048 * 2048;
            const batch b = {.c = &c,
                             .by_logprob = by_logprob,
                             .by_entropy = by_entropy,
                             .max_vocab_size = most <= equal ? 0 : most,
                             .cuts = bounds,
                             .whole = &whole,
                             .gradient = gradient};
            ranks_run(&(ranks){.tk = tk, .size = size}, run_rank, (void *)(uintptr_t)&b);
            shardings++;
        }
        c.d.partials = MERIT_LOGPROB_PARTIALS_NONE;
        logprob_free(&whole);
        free(x), free(gradient);
    }
    TK_EXPECT(shardings >= (tk->kind == TK_CPU ? 86 : 10), "%d shardings", shardings);
}

// The same records, gathered by hand.
static void merge_by_hand(tk_fixture *tk, const logprob_case *c,
                          const merit_policy_logprob_shard *shards, int size, logprob_result *out)
{
    merit_policy_logprob_desc d = c->d;
    d.num_shards = size;
    merit_policy_logprob_merge_io io = {.struct_size = sizeof io};
    io.shards = tk_input(tk, shards, (int64_t)T * size, sizeof *shards);
    io.targets = tk_input(tk, c->targets, T, 8);
    io.logprob = tk_output(tk, T, 4), io.entropy = tk_output(tk, T, 4);
    io.argmax = tk_output(tk, T, 4), io.state = tk_output(tk, T, 8);
    tk_expect_ok(tk->ctx, merit_policy_logprob_merge(tk->ctx, &d, &io, NULL, 0, NULL));
    tk_read(tk, io.logprob, out->logprob, T, 4), tk_read(tk, io.entropy, out->entropy, T, 4);
    tk_read(tk, io.argmax, out->argmax, T, 4), tk_read(tk, io.state, out->state, T, 8);
    tk_release(tk);
}

static logprob_result room(void)
{
    return (logprob_result){.logprob = calloc(T, 4),
                            .lse = calloc(T, 4),
                            .entropy = calloc(T, 4),
                            .sum_sq = calloc(T, 4),
                            .argmax = calloc(T, 4),
                            .state = calloc(T, 8)};
}

TK_TEST(comm_policy_logprob, shards_of_any_cut_merge_as_one_call_would)
{
    static const int64_t cuts[][6] = {
        {0, V}, {0, 1, V}, {0, 5000, V}, {0, 1301, 1302, V}, {0, 2048, 4096, 9000, 9001, V}};
    static const int sizes[] = {1, 2, 2, 3, 5};
    float *const x = logprob_random((int64_t)T * V, 4, MERIT_DTYPE_BF16, 180);
    logprob_case c = logprob_make(x, targets, T, V);
    c.d.dtype = MERIT_DTYPE_BF16;
    logprob_result whole = logprob_run(tk, &c);
    c.d.partials = MERIT_LOGPROB_PARTIALS_SHARD;
    for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        merit_policy_logprob_shard shards[5 * T];
        logprob_result results[5], expected = room();
        for (int i = 0; i < sizes[n]; i++) {
            results[i] = room();
        }
        const batch b = {.c = &c, .cuts = cuts[n], .shards = shards, .results = results};
        ranks_run(&(ranks){.tk = tk, .size = sizes[n]}, run_rank, (void *)(uintptr_t)&b);
        tk_case("%d ranks", sizes[n]);
        merge_by_hand(tk, &c, shards, sizes[n], &expected);
        for (int i = 0; i < sizes[n]; i++) {
            tk_expect_bits(results[i].logprob, expected.logprob, T, 4);
            tk_expect_bits(results[i].entropy, expected.entropy, T, 4);
            tk_expect_bits(results[i].argmax, expected.argmax, T, 4);
            tk_expect_bits(results[i].state, expected.state, T, 8);
            tk_expect_bits(results[i].argmax, whole.argmax, T, 4);
            for (int t = 0; t < T; t++) {
                TK_EXPECT(fabs(results[i].logprob[t] - whole.logprob[t]) <= 2e-6, "row %d: %.9g", t,
                          results[i].logprob[t]);
            }
            logprob_free(&results[i]);
        }
        logprob_free(&expected);
    }
    logprob_free(&whole);
    free(x);
}
