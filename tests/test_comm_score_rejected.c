// What comm_score and comm_score_gradients reject: mistakes of one rank, and ranks that disagree.
#include <string.h>

#include "ranks.h"

enum { WIDE = 2048, K = 2, P = 3, MOST = 4096 };

static const double no_sums[MOST];
static const float no_numbers[16];
static const int32_t no_routes[16];

// Of rank r: columns [2048 r, 2048 (r + 1)), or positions.
typedef struct call {
    merit_score_desc d;
    merit_comm_score_desc c;
    merit_comm_score_io io;
    merit_comm_score_gradients_desc gc;
    merit_comm_score_gradients_io gio;
    size_t short_of; // bytes the workspace lacks
    int of_gradients;
} call;

static void make(rank *r, call *c, int of_gradients)
{
    merit_score_desc_init(&c->d, sizeof c->d);
    c->d.positions = MERIT_POSITIONS_ALL;
    c->d.num_tokens = P;
    c->d.hidden_size = WIDE;
    c->d.num_heads = K;
    c->d.shard = MERIT_SCORE_SHARD_PARTIAL;
    merit_comm_score_desc_init(&c->c, sizeof c->c);
    c->c.score = &c->d;
    c->c.hidden_begin = WIDE * r->rank;
    c->c.hidden_total = WIDE * r->size;
    c->io = (merit_comm_score_io){.struct_size = sizeof c->io};
    c->io.tile_sums = ranks_copy(r, no_sums, sizeof no_sums);
    c->io.scores = ranks_room(r, MOST * 4);
    merit_comm_score_gradients_desc_init(&c->gc, sizeof c->gc);
    c->gc.score = &c->d;
    c->gio = (merit_comm_score_gradients_io){.struct_size = sizeof c->gio};
    c->gio.weight_tiles = c->io.tile_sums;
    c->gio.bias_tiles = ranks_copy(r, no_sums, sizeof no_sums);
    c->gio.grad_weight = ranks_room(r, MOST * 4);
    c->gio.grad_bias = ranks_room(r, 16 * 4);
    if (of_gradients) { // 2048 positions of two elements each, so that messages stay short
        c->d.num_tokens = 2048;
        c->d.hidden_size = 2;
    }
    c->short_of = 0;
    c->of_gradients = of_gradients;
}

static merit_status run(rank *r, merit_comm *comm, const call *c)
{
    size_t bytes = 0;
    if (c->of_gradients) {
        const merit_status status =
            merit_comm_score_gradients_workspace(r->ctx, comm, &c->gc, &bytes);
        if (status != MERIT_STATUS_OK) return status;
        return merit_comm_score_gradients(r->ctx, comm, &c->gc, &c->gio, ranks_workspace(r, bytes),
                                          bytes - c->short_of, NULL);
    }
    const merit_status status = merit_comm_score_workspace(r->ctx, comm, &c->c, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_comm_score(r->ctx, comm, &c->c, &c->io, ranks_workspace(r, bytes),
                            bytes - c->short_of, NULL);
}

typedef void spoil(rank *r, call *c);

#define SPOIL(name, statement)         \
    static void name(rank *r, call *c) \
    {                                  \
        (void)r;                       \
        statement;                     \
    }

typedef struct rejected {
    spoil *spoil;
    merit_status status;
    const char *words; // separated by '|'
} rejected;

#define COUNT(rows) ((int)(sizeof(rows) / sizeof(rows)[0]))

static void expect_words(rank *r, const char *words)
{
    char copy[256], *save = NULL;
    strncpy(copy, words, sizeof copy - 1);
    copy[sizeof copy - 1] = 0;
    for (char *word = strtok_r(copy, "|", &save); word != NULL; word = strtok_r(NULL, "|", &save)) {
        cr_expect(strstr(merit_context_last_error(r->ctx), word) != NULL, "rank %d: \"%s\" in: %s",
                  r->rank, word, merit_context_last_error(r->ctx));
    }
}

static void expect_untouched(rank *r, const void *block)
{
    unsigned char bytes[16 * 4];
    if (block == NULL) return;
    ranks_read(r, block, bytes, sizeof bytes);
    cr_expect(tk_untouched(bytes, 1, sizeof bytes), "rank %d wrote a result", r->rank);
}

// One rank -----------------------------------------------------------------------------------------

SPOIL(no_score, c->c.score = NULL)
SPOIL(no_shard, c->d.shard = MERIT_SCORE_SHARD_NONE)
SPOIL(no_total, c->c.hidden_total = 0)
SPOIL(huge_total, c->c.hidden_total = (int64_t)1 << 31)
SPOIL(odd_begin, (c->c.hidden_begin = 1, c->c.hidden_total = 2049))
SPOIL(negative_begin, c->c.hidden_begin = -2048)
SPOIL(beyond, c->c.hidden_begin = 2048)
SPOIL(small_most, c->c.max_hidden_size = 2047)
SPOIL(huge_most, c->c.max_hidden_size = 65537)
SPOIL(no_tiles, c->io.tile_sums = NULL)
SPOIL(no_scores, c->io.scores = NULL)
SPOIL(extra_route, c->io.route = ranks_copy(r, no_routes, sizeof no_routes))
SPOIL(no_route, c->d.routed = 1)
SPOIL(overlap, c->io.bias = c->io.scores)
SPOIL(short_workspace, c->short_of = 1)

static const rejected score_mistakes[] = {
    {no_score, MERIT_STATUS_INVALID_ARGUMENT, "score is NULL"},
    {no_shard, MERIT_STATUS_INVALID_ARGUMENT, "shard is NONE|PARTIAL"},
    {no_total, MERIT_STATUS_INVALID_ARGUMENT, "hidden_total is 0"},
    {huge_total, MERIT_STATUS_INVALID_ARGUMENT, "hidden_total is 2147483648"},
    {odd_begin, MERIT_STATUS_INVALID_ARGUMENT, "hidden_begin is 1|2048"},
    {negative_begin, MERIT_STATUS_INVALID_ARGUMENT, "hidden_begin is -2048"},
    {beyond, MERIT_STATUS_INVALID_ARGUMENT, "hidden_begin is 2048|hidden_total"},
    {small_most, MERIT_STATUS_INVALID_ARGUMENT, "hidden_size is 2048|max_hidden_size|2047"},
    {huge_most, MERIT_STATUS_INVALID_ARGUMENT, "max_hidden_size is 65537"},
    {no_tiles, MERIT_STATUS_INVALID_ARGUMENT, "tile_sums is NULL"},
    {no_scores, MERIT_STATUS_INVALID_ARGUMENT, "scores is NULL"},
    {extra_route, MERIT_STATUS_INVALID_ARGUMENT, "route is given"},
    {no_route, MERIT_STATUS_INVALID_ARGUMENT, "route is NULL"},
    {overlap, MERIT_STATUS_INVALID_ARGUMENT, "scores|overlaps|bias"},
    {short_workspace, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace"},
};

SPOIL(no_descriptor, c->gc.score = NULL)
SPOIL(bad_flag, c->gc.accumulate = 2)
SPOIL(negative_positions, c->gc.max_positions = -1)
SPOIL(many_positions, c->gc.max_positions = 2047)
SPOIL(endless_positions,
      (c->d.num_heads = 1024, c->d.hidden_size = 65536, c->gc.max_positions = INT64_MAX))
SPOIL(no_results, (c->gio.grad_weight = NULL, c->gio.grad_bias = NULL))
SPOIL(no_weight_tiles, c->gio.weight_tiles = NULL)
SPOIL(no_bias_tiles, c->gio.bias_tiles = NULL)
SPOIL(extra_weight_tiles, c->gio.grad_weight = NULL)
SPOIL(extra_bias_tiles, c->gio.grad_bias = NULL)
SPOIL(same_results, c->gio.grad_bias = c->gio.grad_weight)

static const rejected gradient_mistakes[] = {
    {no_descriptor, MERIT_STATUS_INVALID_ARGUMENT, "score is NULL"},
    {no_shard, MERIT_STATUS_INVALID_ARGUMENT, "shard is NONE|PARTIAL"},
    {bad_flag, MERIT_STATUS_INVALID_ARGUMENT, "accumulate is 2"},
    {negative_positions, MERIT_STATUS_INVALID_ARGUMENT, "max_positions is -1"},
    {many_positions, MERIT_STATUS_INVALID_ARGUMENT, "2048 positions|max_positions|2047"},
    {endless_positions, MERIT_STATUS_INVALID_ARGUMENT, "max_positions|2^"},
    {no_results, MERIT_STATUS_INVALID_ARGUMENT, "grad_weight and grad_bias are NULL"},
    {no_weight_tiles, MERIT_STATUS_INVALID_ARGUMENT, "weight_tiles is NULL"},
    {no_bias_tiles, MERIT_STATUS_INVALID_ARGUMENT, "bias_tiles is NULL"},
    {extra_weight_tiles, MERIT_STATUS_INVALID_ARGUMENT, "weight_tiles is given"},
    {extra_bias_tiles, MERIT_STATUS_INVALID_ARGUMENT, "bias_tiles is given"},
    {same_results, MERIT_STATUS_INVALID_ARGUMENT, "grad_weight|overlaps|grad_bias"},
    {short_workspace, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace"},
};

static void make_mistakes(rank *r, const rejected *rows, int count, int of_gradients)
{
    call c;
    for (int i = 0; i < count; i++) {
        make(r, &c, of_gradients);
        void *const out = of_gradients ? c.gio.grad_weight : c.io.scores;
        rows[i].spoil(r, &c);
        cr_expect(run(r, r->comm, &c) == rows[i].status, "mistake %d: %s", i,
                  merit_context_last_error(r->ctx));
        expect_words(r, rows[i].words);
        expect_untouched(r, out);
    }
    make(r, &c, of_gradients);
    cr_expect(run(r, NULL, &c) == MERIT_STATUS_INVALID_ARGUMENT);
    expect_words(r, "comm is NULL");
    cr_expect(merit_comm_collectives(r->comm) == 0, "a rejected call starts no collective");
    c.d.num_tokens = 0;
    cr_expect(run(r, r->comm, &c) == MERIT_STATUS_OK, "%s", merit_context_last_error(r->ctx));
    expect_untouched(r, of_gradients ? (void *)c.gio.grad_weight : (void *)c.io.scores);
    cr_expect(merit_comm_collectives(r->comm) == 1, "no positions: one all the same");
}

static void all_mistakes(rank *r, void *state)
{
    (void)state;
    make_mistakes(r, score_mistakes, COUNT(score_mistakes), 0);
}

static void all_gradient_mistakes(rank *r, void *state)
{
    (void)state;
    make_mistakes(r, gradient_mistakes, COUNT(gradient_mistakes), 1);
}

TK_TEST(comm_score_rejected, each_mistake_is_named_before_the_collective)
{
    ranks_run(&(ranks){.tk = tk, .size = 1}, all_mistakes, NULL);
    ranks_run(&(ranks){.tk = tk, .size = 1}, all_gradient_mistakes, NULL);
}

// Ranks that disagree ------------------------------------------------------------------------------

SPOIL(fewer_positions, c->d.num_tokens = 2)
SPOIL(other_heads, c->d.num_heads = 3)
SPOIL(longer, c->c.hidden_total += 2048)
SPOIL(gap, c->c.hidden_begin += 2048)
SPOIL(short_part, c->d.hidden_size = 2047)
SPOIL(other_most, c->c.max_hidden_size = 4096)
SPOIL(with_bias, c->io.bias = ranks_copy(r, no_numbers, sizeof no_numbers))
SPOIL(with_mean, c->io.post_mean = ranks_copy(r, no_numbers, sizeof no_numbers))
SPOIL(with_std, c->io.post_std = ranks_copy(r, no_numbers, sizeof no_numbers))
SPOIL(with_positions, c->io.found_positions = ranks_copy(r, no_sums, sizeof no_sums))
SPOIL(routed, (c->d.routed = 1, c->io.route = ranks_copy(r, no_routes, sizeof no_routes)))

static const rejected disagreements[] = {
    {fewer_positions, MERIT_STATUS_INVALID_ARGUMENT, "records, this rank"},
    {other_heads, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|num_heads"},
    {longer, MERIT_STATUS_INVALID_ARGUMENT, "of hidden in all, this rank"},
    {gap, MERIT_STATUS_INVALID_ARGUMENT, "rank 1 begins at 4096 of hidden, expected 2048"},
    {short_part, MERIT_STATUS_INVALID_ARGUMENT, "rank 2 begins at 4096 of hidden, expected 4095"},
    {other_most, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|max_hidden_size"},
    {with_bias, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|arrays"},
    {with_mean, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|arrays"},
    {with_std, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|arrays"},
    {with_positions, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|arrays"},
    {routed, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|routed"},
};

SPOIL(odd_positions, (c->d.num_tokens = 2047, c->gc.max_positions = 2048))
SPOIL(narrower, (c->d.num_heads = 1, c->d.hidden_size = 4))
SPOIL(other_positions, c->gc.max_positions = 4096)
SPOIL(without_bias, (c->gio.bias_tiles = NULL, c->gio.grad_bias = NULL))
SPOIL(without_weight, (c->gio.weight_tiles = NULL, c->gio.grad_weight = NULL))

static const rejected gradient_disagreements[] = {
    {odd_positions, MERIT_STATUS_INVALID_ARGUMENT, "rank 2 begins at 4095|multiple of 2048"},
    {narrower, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|num_heads"},
    {other_positions, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|max_positions"},
    {without_bias, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|arrays"},
    {without_weight, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|arrays"},
};

typedef struct disagreement {
    const rejected *row;
    int of_gradients;
} disagreement;

static void disagree(rank *r, void *state)
{
    const disagreement *const d = state;
    call c;
    make(r, &c, d->of_gradients);
    if (r->rank == 1) d->row->spoil(r, &c);
    cr_expect(run(r, r->comm, &c) == d->row->status, "%s on rank %d: %s", d->row->words, r->rank,
              merit_context_last_error(r->ctx));
    expect_words(r, d->row->words);
    void *const out = d->of_gradients ? (void *)c.gio.grad_weight : (void *)c.io.scores;
    if (out != NULL) expect_untouched(r, out);
    cr_expect(merit_comm_collectives(r->comm) == 1);
}

// One rank scores, the other takes gradients.
static void call_another(rank *r, void *state)
{
    (void)state;
    call c;
    make(r, &c, r->rank);
    cr_expect(run(r, r->comm, &c) == MERIT_STATUS_INVALID_ARGUMENT);
    expect_words(r, "called operation");
}

TK_TEST(comm_score_rejected, ranks_that_disagree_are_told_on_every_rank)
{
    for (int i = 0; i < COUNT(disagreements); i++) {
        disagreement d = {&disagreements[i], 0};
        ranks_run(&(ranks){.tk = tk, .size = 3}, disagree, &d);
    }
    for (int i = 0; i < COUNT(gradient_disagreements); i++) {
        disagreement d = {&gradient_disagreements[i], 1};
        ranks_run(&(ranks){.tk = tk, .size = 3}, disagree, &d);
    }
    ranks_run(&(ranks){.tk = tk, .size = 2}, call_another, NULL);
}
