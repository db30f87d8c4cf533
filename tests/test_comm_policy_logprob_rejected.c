// What comm_policy_logprob rejects: mistakes of one rank, and ranks that disagree.
#include <string.h>

#include "ranks.h"

enum { T = 2, MOST = 16 };

static merit_policy_logprob_shard no_shards[MOST];
static merit_policy_logprob_segment no_segments[MOST];
static const int64_t targets[MOST];

// A call of a rank that holds 2048 of 2048 * size logits.
typedef struct call {
    merit_policy_logprob_desc d;
    merit_comm_policy_logprob_desc c;
    merit_comm_policy_logprob_io io;
    size_t short_of; // bytes the workspace lacks
} call;

static void make(rank *r, call *c)
{
    merit_policy_logprob_desc_init(&c->d, sizeof c->d);
    c->d.num_tokens = T;
    c->d.vocab_size = 2048;
    c->d.vocab_begin = 2048 * r->rank;
    c->d.vocab_total = 2048 * r->size;
    c->d.partials = MERIT_LOGPROB_PARTIALS_SEGMENT;
    merit_comm_policy_logprob_desc_init(&c->c, sizeof c->c);
    c->c.logprob = &c->d;
    c->io = (merit_comm_policy_logprob_io){.struct_size = sizeof c->io};
    c->io.shards = ranks_copy(r, no_shards, sizeof no_shards);
    c->io.segments = ranks_copy(r, no_segments, sizeof no_segments);
    c->io.targets = ranks_copy(r, targets, sizeof targets);
    c->io.logprob = ranks_room(r, MOST * sizeof(float));
    c->io.state = ranks_room(r, MOST * sizeof(merit_policy_logprob_state));
    c->short_of = 0;
}

static merit_status run(rank *r, merit_comm *comm, const call *c)
{
    size_t bytes = 0;
    const merit_status status = merit_comm_policy_logprob_workspace(r->ctx, comm, &c->c, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = ranks_workspace(r, bytes);
    return merit_comm_policy_logprob(r->ctx, comm, &c->c, &c->io, workspace, bytes - c->short_of,
                                     NULL);
}

typedef void spoil(call *c);

#define SPOIL(name, statement) \
    static void name(call *c)  \
    {                          \
        statement;             \
    }

typedef struct rejected {
    spoil *spoil;
    merit_status status;
    const char *words; // separated by '|'
} rejected;

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

static void expect_untouched(rank *r, const call *c)
{
    unsigned char bytes[MOST * sizeof(float)];
    ranks_read(r, c->io.logprob, bytes, sizeof bytes);
    cr_expect(tk_untouched(bytes, 1, sizeof bytes), "rank %d wrote logprob", r->rank);
}

// One rank -----------------------------------------------------------------------------------------

SPOIL(no_logprob, c->c.logprob = NULL)
SPOIL(no_partials, c->d.partials = MERIT_LOGPROB_PARTIALS_NONE)
SPOIL(odd_begin, (c->d.vocab_begin = 1, c->d.vocab_total = 2049))
SPOIL(small_most, c->c.max_vocab_size = 2047)
SPOIL(negative_most, c->c.max_vocab_size = -1)
SPOIL(huge_most, c->c.max_vocab_size = (1 << 24) + 1)
SPOIL(no_shards_given, c->io.shards = NULL)
SPOIL(no_segments_given, c->io.segments = NULL)
SPOIL(extra_segments, c->d.partials = MERIT_LOGPROB_PARTIALS_SHARD)
SPOIL(no_targets, c->io.targets = NULL)
SPOIL(overlap, c->io.lse = c->io.logprob)
SPOIL(records_overlap, c->io.state = (void *)(uintptr_t)c->io.shards)
SPOIL(many_rows, (c->d.vocab_size = c->d.vocab_total = 1, c->d.num_tokens = INT64_MAX / 8))
SPOIL(short_workspace, c->short_of = 1)

static const rejected mistakes[] = {
    {no_logprob, MERIT_STATUS_INVALID_ARGUMENT, "logprob is NULL"},
    {no_partials, MERIT_STATUS_INVALID_ARGUMENT, "partials is NONE"},
    {odd_begin, MERIT_STATUS_INVALID_ARGUMENT, "vocab_begin is 1|2048"},
    {small_most, MERIT_STATUS_INVALID_ARGUMENT, "vocab_size is 2048|max_vocab_size|2047"},
    {negative_most, MERIT_STATUS_INVALID_ARGUMENT, "max_vocab_size is -1"},
    {huge_most, MERIT_STATUS_INVALID_ARGUMENT, "max_vocab_size is 16777217"},
    {no_shards_given, MERIT_STATUS_INVALID_ARGUMENT, "shards is NULL"},
    {no_segments_given, MERIT_STATUS_INVALID_ARGUMENT, "segments is NULL|SEGMENT"},
    {extra_segments, MERIT_STATUS_INVALID_ARGUMENT, "segments is given|SEGMENT"},
    {no_targets, MERIT_STATUS_INVALID_ARGUMENT, "targets is NULL|logprob"},
    {overlap, MERIT_STATUS_INVALID_ARGUMENT, "logprob|overlaps|lse"},
    {records_overlap, MERIT_STATUS_INVALID_ARGUMENT, "state|overlaps|shards"},
    {many_rows, MERIT_STATUS_INVALID_ARGUMENT, "num_tokens|2^62"},
    {short_workspace, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace"},
};

static void make_mistakes(rank *r, void *state)
{
    (void)state;
    call c;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        make(r, &c);
        mistakes[i].spoil(&c);
        cr_expect(run(r, r->comm, &c) == mistakes[i].status, "mistake %d: %s", (int)i,
                  merit_context_last_error(r->ctx));
        expect_words(r, mistakes[i].words);
        expect_untouched(r, &c);
    }
    make(r, &c);
    cr_expect(run(r, NULL, &c) == MERIT_STATUS_INVALID_ARGUMENT);
    expect_words(r, "comm is NULL");
    cr_expect(merit_comm_policy_logprob_workspace(r->ctx, r->comm, &c.c, NULL) ==
              MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(merit_comm_policy_logprob(NULL, r->comm, &c.c, &c.io, NULL, 0, NULL) ==
              MERIT_STATUS_INVALID_ARGUMENT);
    cr_expect(merit_comm_collectives(r->comm) == 0, "a rejected call starts no collective");
    c.d.num_tokens = 0, c.io.shards = NULL, c.io.segments = NULL;
    cr_expect(run(r, r->comm, &c) == MERIT_STATUS_OK, "%s", merit_context_last_error(r->ctx));
    expect_untouched(r, &c);
    cr_expect(merit_comm_collectives(r->comm) == 1, "no rows: one all the same");
}

TK_TEST(comm_policy_logprob_rejected, each_mistake_is_named_before_the_collective)
{
    ranks_run(&(ranks){.tk = tk, .size = 1}, make_mistakes, NULL);
}

// Ranks that disagree ------------------------------------------------------------------------------

SPOIL(fewer_rows, c->d.num_tokens = 1)
SPOIL(longer_vocabulary, c->d.vocab_total += 2048)
SPOIL(gap, (c->d.vocab_begin += 2048, c->c.max_vocab_size = 2048))
SPOIL(short_part, c->d.vocab_size = 2047)
SPOIL(other_partials, (c->d.partials = MERIT_LOGPROB_PARTIALS_SHARD, c->io.segments = NULL))
SPOIL(other_temperature, c->d.temperature = 2)
SPOIL(other_scale, c->d.logit_scale = 2)
SPOIL(other_cap, c->d.soft_cap = 2)
SPOIL(other_ignored, c->d.ignore_index = -1)
SPOIL(other_most, c->c.max_vocab_size = 4096)
SPOIL(without_targets, (c->io.targets = NULL, c->io.logprob = NULL))
SPOIL(other_support, c->d.support = MERIT_LOGPROB_SUPPORT_MASK)
SPOIL(with_temperatures, c->io.temperatures = (const float *)c->io.targets) // never read
SPOIL(longer_messages, c->d.num_tokens = MOST)

static const rejected disagreements[] = {
    {fewer_rows, MERIT_STATUS_INVALID_ARGUMENT, "records, this rank"},
    {longer_vocabulary, MERIT_STATUS_INVALID_ARGUMENT, "of the vocabulary in all, this rank"},
    {short_part, MERIT_STATUS_INVALID_ARGUMENT, "rank 2 begins at|expected"},
    {other_partials, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|partials"},
    {other_temperature, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|temperature"},
    {other_scale, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|logit_scale"},
    {other_cap, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|soft_cap"},
    {other_ignored, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|ignore_index"},
    {other_most, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|max_vocab_size"},
    {other_support, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|support"},
    {with_temperatures, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|arrays"},
    {without_targets, MERIT_STATUS_INVALID_ARGUMENT, "differs from this rank|arrays"},
    {gap, MERIT_STATUS_INVALID_ARGUMENT, "rank 1 begins at 4096 of the vocabulary, expected 2048"},
    {longer_messages, MERIT_STATUS_COMM_ERROR, "all-gather"},
};

static void disagree(rank *r, void *state)
{
    const rejected *const row = state;
    call c;
    make(r, &c);
    if (r->rank == 1) row->spoil(&c);
    cr_expect(run(r, r->comm, &c) == row->status, "%s on rank %d: %s", row->words, r->rank,
              merit_context_last_error(r->ctx));
    expect_words(r, row->words);
    if (c.io.logprob != NULL) expect_untouched(r, &c);
    cr_expect(merit_comm_collectives(r->comm) == 1);
}

TK_TEST(comm_policy_logprob_rejected, ranks_that_disagree_are_told_on_every_rank)
{
    for (size_t i = 0; i < sizeof disagreements / sizeof disagreements[0]; i++) {
        rejected row = disagreements[i];
        ranks_run(&(ranks){.tk = tk, .size = 3}, disagree, &row);
    }
}

// Ranks in another order than their parts.
static void turn_round(rank *r, void *state)
{
    (void)state;
    call c;
    make(r, &c);
    c.d.vocab_begin = 2048 * (r->size - 1 - r->rank);
    cr_expect(run(r, r->comm, &c) == MERIT_STATUS_INVALID_ARGUMENT);
    expect_words(r, "rank 0 begins at 2048 of the vocabulary, expected 0");
}

// What the others sum to less than the whole.
static void leave_out(rank *r, void *state)
{
    (void)state;
    call c;
    make(r, &c);
    c.d.vocab_total = 2048 * 3;
    c.c.max_vocab_size = 2048;
    cr_expect(run(r, r->comm, &c) == MERIT_STATUS_INVALID_ARGUMENT);
    expect_words(r, "the ranks have 4096 of the vocabulary together, expected 6144");
}

TK_TEST(comm_policy_logprob_rejected, parts_that_are_not_the_whole_in_order_are_refused)
{
    ranks_run(&(ranks){.tk = tk, .size = 2}, turn_round, NULL);
    ranks_run(&(ranks){.tk = tk, .size = 2}, leave_out, NULL);
}

static void fail(rank *r, void *state)
{
    (void)state;
    call c;
    make(r, &c);
    cr_expect(run(r, r->comm, &c) == MERIT_STATUS_COMM_ERROR);
    cr_expect(run(r, r->comm, &c) == MERIT_STATUS_COMM_ERROR);
    expect_words(r, "comm is in error");
    expect_untouched(r, &c);
}

TK_TEST(comm_policy_logprob_rejected, a_failed_all_gather_ends_the_communicator)
{
    ranks_run(&(ranks){.tk = tk, .size = 2, .code = 5}, fail, NULL);
}
