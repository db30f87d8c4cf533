// dominance on several threads and on the emulator, at shapes that reach every schedule: ThreadSanitizer
// watches. The bits must be those of one thread.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/internal.h"
#include "../simt/simt_control.h"

extern const merit_backend merit_backend_simt;

enum { NUM_CONTEXTS = 3 }; // one thread, four threads, the emulator

typedef struct shape {
    const char *name;
    int B, M, A, N;
    int power, sort, ranks; // ranks: MANN_WHITNEY
    int mode, on_empty, pick;
} shape;

// Everything that both calls write.
typedef struct outputs {
    float *qd, *gain;
    uint32_t *subset, *final, *flags;
    int32_t *action, *greedy;
    merit_diagnostics diagnostics;
} outputs;

static int failures;

static void *memory(size_t bytes)
{
    void *const block = simt_malloc(bytes + 1);
    if (block == NULL) abort();
    memset(block, 0, bytes + 1);
    return block;
}

static size_t states(const shape *s)
{
    return (size_t)s->B;
}

static size_t pairs(const shape *s)
{
    return states(s) * (size_t)(s->M * s->A * s->A);
}

static size_t words(const shape *s)
{
    return (size_t)(s->A + 31) / 32;
}

// A few values, so that levels tie and relations cycle; some NaN. Rows fall: MANN_WHITNEY counts them.
static float *make_levels(const shape *s)
{
    const int64_t count = (int64_t)s->B * s->M * s->A * s->N;
    float *const q = memory((size_t)count * sizeof *q);
    for (int64_t i = 0; i < count; i++) {
        const uint32_t hash = (uint32_t)i * 2654435761u;
        q[i] = (float)(hash >> 28);
        if (hash % 1009 == 0) memset(&q[i], 0xff, sizeof q[i]);
    }
    return q;
}

static outputs make(const shape *s)
{
    const size_t objectives = states(s) * (size_t)s->M;
    outputs o = {.qd = memory(4 * pairs(s)), .gain = memory(4 * pairs(s))};
    o.subset = memory(4 * objectives * words(s));
    o.final = memory(4 * states(s) * words(s));
    o.flags = memory(4 * states(s));
    o.action = memory(4 * states(s));
    o.greedy = memory(4 * objectives);
    return o;
}

static void drop(outputs *o)
{
    simt_free(o->qd), simt_free(o->gain), simt_free(o->subset), simt_free(o->final);
    simt_free(o->flags), simt_free(o->action), simt_free(o->greedy);
}

static int same(const shape *s, const outputs *a, const outputs *b)
{
    const size_t objectives = states(s) * (size_t)s->M;
    return memcmp(a->qd, b->qd, 4 * pairs(s)) == 0 && memcmp(a->gain, b->gain, 4 * pairs(s)) == 0 &&
           memcmp(a->subset, b->subset, 4 * objectives * words(s)) == 0 &&
           memcmp(a->final, b->final, 4 * states(s) * words(s)) == 0 &&
           memcmp(a->flags, b->flags, 4 * states(s)) == 0 &&
           memcmp(a->action, b->action, 4 * states(s)) == 0 &&
           memcmp(a->greedy, b->greedy, 4 * objectives) == 0 &&
           memcmp(&a->diagnostics, &b->diagnostics, sizeof a->diagnostics) == 0;
}

static merit_status call_pairwise(merit_context *ctx, const shape *s, const float *q, outputs *o)
{
    merit_dominance_pairwise_desc d;
    merit_dominance_pairwise_desc_init(&d, sizeof d);
    d.num_states = s->B, d.num_objectives = s->M, d.num_actions = s->A, d.num_levels = s->N;
    d.power = s->power, d.sort_levels = s->sort, d.measure = s->ranks;
    const merit_dominance_pairwise_io io = {.struct_size = sizeof io,
                                            .q = q,
                                            .qd = o->qd,
                                            .gain = o->gain,
                                            .diagnostics = &o->diagnostics};
    size_t bytes;
    merit_status status = merit_dominance_pairwise_workspace(ctx, &d, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = memory(bytes);
    status = merit_workspace_init(ctx, workspace, bytes, NULL);
    if (status == MERIT_STATUS_OK) {
        status = merit_dominance_pairwise(ctx, &d, &io, workspace, bytes, NULL);
    }
    simt_free(workspace);
    return status;
}

static merit_status call_subset(merit_context *ctx, const shape *s, const float *q, outputs *o)
{
    merit_dominance_subset_desc d;
    merit_dominance_subset_desc_init(&d, sizeof d);
    d.num_states = s->B, d.num_objectives = s->M, d.num_actions = s->A, d.num_levels = s->N;
    d.power = s->power, d.sort_levels = s->sort, d.measure = s->ranks;
    d.mode = s->mode, d.on_empty = s->on_empty, d.pick = s->pick;
    const merit_dominance_subset_io io = {.struct_size = sizeof io,
                                          .q = q,
                                          .subset = o->subset,
                                          .final = o->final,
                                          .action = o->action,
                                          .greedy = o->greedy,
                                          .flags = o->flags,
                                          .diagnostics = &o->diagnostics};
    size_t bytes;
    merit_status status = merit_dominance_subset_workspace(ctx, &d, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = memory(bytes);
    status = merit_workspace_init(ctx, workspace, bytes, NULL);
    if (status == MERIT_STATUS_OK) {
        status = merit_dominance_subset(ctx, &d, &io, workspace, bytes, NULL);
    }
    simt_free(workspace);
    return status;
}

// Warps ahead and uniform by turns.
static uint64_t next_seed(void)
{
    static uint64_t calls;
    return calls++ % 2 * 2;
}

static void check(merit_context *const *contexts, const shape *s)
{
    float *const q = make_levels(s);
    outputs all[NUM_CONTEXTS];
    for (int i = 0; i < NUM_CONTEXTS; i++) {
        all[i] = make(s);
        if (i == 2) simt_set_seed(next_seed());
        merit_status status = call_pairwise(contexts[i], s, q, &all[i]);
        if (status == MERIT_STATUS_OK) status = call_subset(contexts[i], s, q, &all[i]);
        if (status == MERIT_STATUS_OK && same(s, &all[0], &all[i])) continue;
        failures++;
        fprintf(stderr, "FAIL %s, context %d: %s\n%s", s->name, i,
                status == MERIT_STATUS_OK ? "other bits than on one thread"
                                          : merit_context_last_error(contexts[i]),
                simt_last_report());
    }
    for (int i = 0; i < NUM_CONTEXTS; i++) {
        drop(&all[i]);
    }
    simt_free(q);
}

int main(void)
{
    static const shape shapes[] = {
        {"several states in a block", 21, 2, 5, 7, 1, 0, 0, 0, 0, 1},
        {"half a tile, wins", 9, 3, 16, 9, 0, 0, 0, 0, MERIT_DOMINANCE_ON_EMPTY_TOP_CYCLE, 1},
        {"a tile", 2, 2, 31, 19, 2, 0, 0, MERIT_DOMINANCE_MODE_RULEBOOK,
         MERIT_DOMINANCE_ON_EMPTY_MAXIMIN, MERIT_DOMINANCE_PICK_MAXIMIN},
        {"several tiles", 2, 2, 70, 6, 1, 0, 0, 0, 0, 1},
        {"several tiles, wins", 1, 1, 70, 6, 0, 0, 0, 0, MERIT_DOMINANCE_ON_EMPTY_TOP_CYCLE, 1},
        {"rows sorted in the workspace", 3, 2, 20, 70, 1, 1, 0, 0, 0, 1},
        {"every sample with every sample", 2, 1, 9, 33, 1, 1, 1, 0, 0, 1},
        {"rows that fall", 5, 1, 9, 33, 1, 0, 1, 0, 0, 1},
    };
    merit_context_desc one, four;
    merit_context_desc_init(&one, sizeof one), merit_context_desc_init(&four, sizeof four);
    one.num_threads = 1, four.num_threads = 4;
    merit_context *contexts[NUM_CONTEXTS];
    const merit_backend *const cpu = merit_backend_best_cpu(NULL);
    if (merit_context_create_on(cpu, &one, &contexts[0]) != MERIT_STATUS_OK ||
        merit_context_create_on(cpu, &four, &contexts[1]) != MERIT_STATUS_OK ||
        merit_context_create_on(&merit_backend_simt, NULL, &contexts[2]) != MERIT_STATUS_OK) {
        return 1;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        check(contexts, &shapes[i]);
    }
    for (int i = 0; i < NUM_CONTEXTS; i++) {
        merit_context_destroy(contexts[i]);
    }
    return failures > 0;
}
