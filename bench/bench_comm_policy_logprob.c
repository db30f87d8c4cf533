// comm_policy_logprob: what policy_logprob_forward leaves of a vocabulary cut over ranks, to the results of all
// of it. Ranks are threads; the peer is the bare all-gather of the same bytes.
#include <stdlib.h>

#include "bench_policy_logits.h"
#include "bench_ranks.h"
#include "device.h"
#include "operations.h"

enum { AXIS_TOKENS = AXIS_RANKS + 1, AXIS_PARTIALS };
enum { SHARD = 1, SEGMENT }; // as merit_logprob_partials
enum { SHARDS, TARGETS, LOGPROB, ENTROPY, SEGMENTS }; // arrays; the last for SEGMENT
enum { TILES = 2, VOCAB = TILES * 2048 }; // of a rank

static const char *const partials[] = {"shard", "segment"};
static const bench_axis axes[] = {
    {"ranks", NULL}, {"tokens", NULL}, {"partials", partials}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{2}, {64}, {SHARD}}, BENCH_QUICK},
    {{{2}, {256}, {SEGMENT}}, 0},
    {{{2}, {256}, {SHARD}}, BENCH_FULL},
    {{{4, 16}, {64, 512}, {SHARD, SEGMENT}}, BENCH_FULL},
    {{{0}}, 0},
};

static bench_work work(bench_point p)
{
    const double tokens = (double)p.v[AXIS_TOKENS], size = (double)p.v[AXIS_RANKS];
    const double of_row =
        sizeof(merit_policy_logprob_shard) + (p.v[AXIS_PARTIALS] == SEGMENT ? 16 * TILES : 0);
    return (bench_work){
        .items = tokens, .bytes_read = tokens * (of_row * size + 8), .bytes_written = 8 * tokens};
}

static logits_shape whole_of(const bench_case *c)
{
    return (logits_shape){c->point.v[AXIS_TOKENS], VOCAB * c->point.v[AXIS_RANKS], LOGITS_F32,
                          LOGITS_NORMAL, c->seed};
}

static void *allocate_logits(const logits_shape *s)
{
    void *const logits = malloc(logits_bytes(s));
    if (logits == NULL) bench_die("no memory for logits of %zu bytes", logits_bytes(s));
    return logits;
}

// Calls ---------------------------------------------------------------------------------------------

typedef struct call {
    merit_comm_policy_logprob_desc desc;
    merit_comm_policy_logprob_io io;
    merit_policy_logprob_desc part; // desc.logprob
} call;
BENCH_CALL_OF_RANK(comm_policy_logprob)

static merit_status describe_part(const bench_case *c, merit_policy_logprob_desc *d)
{
    const merit_status status = merit_policy_logprob_desc_init(d, sizeof *d);
    d->num_tokens = c->point.v[AXIS_TOKENS];
    d->vocab_size = VOCAB;
    d->vocab_begin = (int64_t)VOCAB * merit_comm_rank(bench_comm());
    d->vocab_total = VOCAB * c->point.v[AXIS_RANKS];
    d->ld_logits = d->vocab_total;
    d->dtype = MERIT_DTYPE_F32;
    d->partials = (int32_t)c->point.v[AXIS_PARTIALS];
    return status;
}

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    merit_status status = describe_part(c, &made->part);
    if (status == MERIT_STATUS_OK) {
        status = merit_comm_policy_logprob_desc_init(&made->desc, sizeof made->desc);
    }
    made->desc.logprob = &made->part;
    made->io = (merit_comm_policy_logprob_io){.struct_size = sizeof made->io,
                                              .shards = buffers->array[SHARDS],
                                              .segments = buffers->array[SEGMENTS],
                                              .targets = buffers->array[TARGETS],
                                              .logprob = buffers->array[LOGPROB],
                                              .entropy = buffers->array[ENTROPY]};
    return status;
}

// Columns of the whole logits, through forward.
static void fill(const bench_rank *rank)
{
    const logits_shape whole = whole_of(rank->c);
    float *const logits = allocate_logits(&whole);
    logits_fill(&whole, logits, rank->arrays.array[TARGETS]);
    merit_policy_logprob_desc d;
    size_t bytes = 0;
    merit_status status = describe_part(rank->c, &d);
    const merit_policy_logprob_forward_io io = {.struct_size = sizeof io,
                                                .logits = logits + d.vocab_begin,
                                                .targets = rank->arrays.array[TARGETS],
                                                .shards = rank->arrays.array[SHARDS],
                                                .segments = rank->arrays.array[SEGMENTS]};
    if (status == MERIT_STATUS_OK) {
        status = merit_policy_logprob_forward_workspace(rank->ctx, &d, &bytes);
    }
    void *const scratch = bench_device_host()->alloc(bytes);
    if (status == MERIT_STATUS_OK) {
        status = merit_policy_logprob_forward(rank->ctx, &d, &io, scratch, bytes, NULL);
    }
    if (status != MERIT_STATUS_OK) bench_die("%s", merit_context_last_error(rank->ctx));
    bench_device_host()->release(scratch, bytes);
    free(logits);
}

static bool setup(bench_case *c)
{
    const size_t tokens = (size_t)c->point.v[AXIS_TOKENS];
    bench_add_input(c, tokens * sizeof(merit_policy_logprob_shard), NULL);
    bench_add_input(c, tokens * sizeof(int64_t), NULL);
    bench_add_output(c, tokens * sizeof(float));
    bench_add_output(c, tokens * sizeof(float));
    if (c->point.v[AXIS_PARTIALS] == SEGMENT) {
        bench_add_input(c, tokens * TILES * sizeof(merit_policy_logprob_segment), NULL);
    }
    return bench_start_ranks(c, fill);
}

// Reference: the whole logits, in double ------------------------------------------------------------

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    const logits_shape whole = whole_of(c);
    void *const logits = allocate_logits(&whole);
    int64_t *const targets = calloc((size_t)whole.tokens, sizeof *targets);
    if (targets == NULL) bench_die("no memory for %lld targets", (long long)whole.tokens);
    logits_fill(&whole, logits, targets);
    const bool good = logits_check(&whole, logits, targets, results->array[LOGPROB],
                                   results->array[ENTROPY], error);
    free(targets);
    free(logits);
    return good;
}

const bench_op bench_comm_policy_logprob = {
    .name = "comm_policy_logprob",
    .item = "row",
    .dtype = "record",
    .model = "records of 40 bytes [ranks,T], segments of 16 bytes [ranks,T,2], targets i64 [T] of "
             "ranks that are threads, one all-gather, log-probs and entropies f32 [T] written; "
             "naive: the bare all-gather",
    BENCH_OP_OF_RANKS,
};
