// policy_count: one byte per token, read once.
#include <stdio.h>

#include "accuracy.h"
#include "movers.h"
#include "operations.h"
#include "random.h"

enum { AXIS_LAYOUT, AXIS_SEQUENCES, AXIS_LENGTH };
enum { PADDED = 1, PACKED };
enum { MASK, OFFSETS, COUNTS }; // arrays

static const char *const layouts[] = {"padded", "packed"};
static const bench_axis axes[] = {
    {"layout", layouts}, {"sequences", NULL}, {"length", NULL}, {NULL, NULL}};

static const bench_sweep sweeps[] = {
    {{{PADDED, PACKED}, {1024}, {1024}}, BENCH_QUICK},
    {{{PADDED}, {8192}, {8192}}, BENCH_EACH_ISA},
    {{{0}}, 0},
};

static int64_t num_tokens(bench_point p)
{
    return p.v[AXIS_SEQUENCES] * p.v[AXIS_LENGTH];
}

static bench_work work(bench_point p)
{
    const double offsets = p.v[AXIS_LAYOUT] == PACKED ? 8.0 * (double)p.v[AXIS_SEQUENCES] : 0;
    const double tokens = (double)num_tokens(p);
    return (bench_work){.items = tokens, .bytes_read = tokens + offsets, .bytes_written = 16};
}

// One token of eight masked. Packed: lengths that differ by up to a half either way.
static bool setup(bench_case *c)
{
    const int64_t tokens = num_tokens(c->point), sequences = c->point.v[AXIS_SEQUENCES];
    const int64_t length = c->point.v[AXIS_LENGTH];
    void *memory;
    bench_add_input(c, (size_t)tokens, &memory);
    uint8_t *const mask = memory;
    bench_add_input(c, (size_t)(sequences + 1) * sizeof(int64_t), &memory);
    int64_t *const offsets = memory;
    bench_add_output(c, sizeof(merit_policy_counts));
    for (int64_t t = 0; t < tokens; t++) {
        mask[t] = bench_random(c->seed, (uint64_t)t) % 8 != 0;
    }
    for (int64_t i = 0; i <= sequences; i++) {
        const uint64_t shift = bench_random(c->seed + 1, (uint64_t)i) % (uint64_t)length;
        offsets[i] = i * length + (int64_t)(shift / 2);
    }
    offsets[0] = 0;
    offsets[sequences] = tokens;
    snprintf(c->data, sizeof c->data, "generated");
    return true;
}

// Calls -------------------------------------------------------------------------------------------

typedef struct call {
    merit_policy_count_desc desc;
    merit_policy_count_io io;
} call;
_Static_assert(sizeof(call) <= BENCH_CALL_BYTES, "BENCH_CALL_BYTES is too small");

static merit_status bind(const bench_case *c, const bench_buffers *buffers, bench_call *bound)
{
    call *const made = (call *)bound;
    const merit_status status = merit_policy_count_desc_init(&made->desc, sizeof made->desc);
    made->desc.num_tokens = num_tokens(c->point);
    made->desc.sequences.num_groups = c->point.v[AXIS_SEQUENCES];
    if (c->point.v[AXIS_LAYOUT] == PACKED) {
        made->desc.sequences.offsets = buffers->array[OFFSETS];
    } else {
        made->desc.sequences.group_size = c->point.v[AXIS_LENGTH];
    }
    made->io = (merit_policy_count_io){.struct_size = sizeof made->io,
                                       .mask = buffers->array[MASK],
                                       .counts = buffers->array[COUNTS]};
    return status;
}

static merit_status workspace(merit_context *ctx, const bench_call *bound, size_t *bytes)
{
    return merit_policy_count_workspace(ctx, &((const call *)bound)->desc, bytes);
}

static merit_status run(merit_context *ctx, const bench_call *bound, void *scratch,
                        size_t scratch_bytes, merit_stream stream)
{
    const call *const made = (const call *)bound;
    return merit_policy_count(ctx, &made->desc, &made->io, scratch, scratch_bytes, stream);
}

// Reference and peer ------------------------------------------------------------------------------

static merit_policy_counts count(const bench_case *c, void *const *arrays, int64_t begin,
                                 int64_t end)
{
    const bool packed = c->point.v[AXIS_LAYOUT] == PACKED;
    const int64_t *const offsets = arrays[OFFSETS];
    const int64_t length = c->point.v[AXIS_LENGTH];
    merit_policy_counts counts = {0, 0};
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = packed ? offsets[i] : i * length;
        const int64_t last = packed ? offsets[i + 1] : (i + 1) * length;
        int64_t valid = 0;
        for (int64_t t = first; t < last; t++) {
            valid += ((const uint8_t *)arrays[MASK])[t] != 0;
        }
        counts.tokens += valid;
        counts.nonempty_sequences += valid > 0;
    }
    return counts;
}

static bool check(const bench_case *c, const bench_buffers *results, bench_error *error)
{
    void *const arrays[] = {c->arrays[MASK].host, c->arrays[OFFSETS].host};
    const merit_policy_counts expected = count(c, arrays, 0, c->point.v[AXIS_SEQUENCES]);
    const merit_policy_counts *const actual = results->array[COUNTS];
    return bench_check_i64(error, "tokens", 0, actual->tokens, expected.tokens) &
           bench_check_i64(error, "nonempty_sequences", 0, actual->nonempty_sequences,
                           expected.nonempty_sequences);
}

typedef struct peer_state {
    const bench_case *c;
    const bench_buffers *buffers;
} peer_state;

static void peer_sequences(void *state, int64_t begin, int64_t end)
{
    const peer_state *const p = state;
    const merit_policy_counts mine = count(p->c, p->buffers->array, begin, end);
    merit_policy_counts *const all = p->buffers->array[COUNTS];
    __atomic_fetch_add(&all->tokens, mine.tokens, __ATOMIC_RELAXED);
    __atomic_fetch_add(&all->nonempty_sequences, mine.nonempty_sequences, __ATOMIC_RELAXED);
}

static void peer(const bench_case *c, const bench_buffers *buffers, int num_threads)
{
    peer_state state = {c, buffers};
    *(merit_policy_counts *)buffers->array[COUNTS] = (merit_policy_counts){0, 0};
    bench_parallel(num_threads, c->point.v[AXIS_SEQUENCES], 1, peer_sequences, &state);
}

const bench_op bench_policy_count = {
    .name = "policy_count",
    .item = "token",
    .dtype = "u8",
    .model = "mask u8 [T] (packed: offsets i64 [B+1]) to 2 counts: 1 byte read per token",
    .axes = axes,
    .sweeps = sweeps,
    .work = work,
    .setup = setup,
    .bind = bind,
    .workspace = workspace,
    .run = run,
    .check = check,
    .peer = peer,
};
