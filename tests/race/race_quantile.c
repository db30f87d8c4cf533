// The operations of quantile critics on several threads and on the emulator, at shapes that reach every
// schedule: ThreadSanitizer watches. The bits must be those of one thread.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/internal.h"
#include "../simt/simt_control.h"

extern const merit_backend merit_backend_simt;

enum { NUM_CONTEXTS = 3 }; // one thread, four threads, the emulator
enum { MOST = 1 << 15 }; // elements of an array

typedef struct world {
    float *values, *tau, *weight, *out;
    int32_t *count, *index;
    double *loss; // and its tiles
    merit_diagnostics *diagnostics;
} world;

typedef struct shape {
    const char *name;
    int rows, levels, targets;
    float kappa;
} shape;

static int failures;

static void *memory(size_t bytes)
{
    void *const block = simt_malloc(bytes + 1);
    if (block == NULL) abort();
    memset(block, 0, bytes + 1);
    return block;
}

static world make(void)
{
    world w = {.values = memory(4 * MOST), .tau = memory(4 * MOST), .weight = memory(4 * MOST)};
    w.out = memory(4 * MOST), w.count = memory(4 * MOST), w.index = memory(4 * MOST);
    w.loss = memory(8 * 64), w.diagnostics = memory(sizeof *w.diagnostics);
    for (uint32_t i = 0; i < MOST; i++) {
        const uint32_t hash = i * 2654435761u;
        w.values[i] = (float)(hash >> 20) / 512 - 4;
        w.tau[i] = (float)(hash >> 8 & 255) / 255;
        w.weight[i] = (float)(hash >> 16 & 3);
        w.count[i] = (int32_t)(hash >> 24) % 5 - 1; // some outside
        if (hash % 1009 == 0) memset(&w.values[i], 0xff, sizeof w.values[i]);
    }
    return w;
}

static void drop(world *w)
{
    simt_free(w->values), simt_free(w->tau), simt_free(w->weight), simt_free(w->out);
    simt_free(w->count), simt_free(w->index), simt_free(w->loss), simt_free(w->diagnostics);
}

static int same(const world *a, const world *b)
{
    return memcmp(a->out, b->out, 4 * MOST) == 0 && memcmp(a->index, b->index, 4 * MOST) == 0 &&
           memcmp(a->loss, b->loss, 8 * 64) == 0 &&
           memcmp(a->diagnostics, b->diagnostics, sizeof *a->diagnostics) == 0;
}

static merit_status huber(merit_context *ctx, const shape *s, world *w)
{
    merit_dominance_quantile_huber_desc d;
    merit_dominance_quantile_huber_desc_init(&d, sizeof d);
    d.num_rows = s->rows, d.num_levels = s->levels, d.num_targets = s->targets;
    d.kappa = s->kappa;
    const merit_dominance_quantile_huber_io io = {.struct_size = sizeof io,
                                                  .quantiles = w->values,
                                                  .tau = w->tau,
                                                  .targets = w->values,
                                                  .target_count = s->targets == 3 ? w->count : NULL,
                                                  .weight = w->weight,
                                                  .loss = w->loss,
                                                  .loss_tiles = w->loss + 1,
                                                  .grad_quantiles = w->out,
                                                  .diagnostics = w->diagnostics};
    size_t bytes;
    merit_status status = merit_dominance_quantile_huber_workspace(ctx, &d, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = memory(bytes);
    status = merit_workspace_init(ctx, workspace, bytes, NULL);
    for (int time = 0; time < 2 && status == MERIT_STATUS_OK; time++) {
        status = merit_dominance_quantile_huber(ctx, &d, &io, workspace, bytes, NULL);
    }
    simt_free(workspace);
    return status;
}

static merit_status sort(merit_context *ctx, const shape *s, world *w)
{
    merit_dominance_quantile_sort_desc d;
    merit_dominance_quantile_sort_desc_init(&d, sizeof d);
    d.num_rows = s->rows, d.num_levels = s->levels;
    const merit_dominance_quantile_sort_io io = {.struct_size = sizeof io,
                                                 .values = w->values,
                                                 .sorted = w->out,
                                                 .index = s->targets == 3 ? w->index : NULL};
    size_t bytes;
    merit_status status = merit_dominance_quantile_sort_workspace(ctx, &d, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = memory(bytes);
    status = merit_workspace_init(ctx, workspace, bytes, NULL);
    if (status == MERIT_STATUS_OK) {
        status = merit_dominance_quantile_sort(ctx, &d, &io, workspace, bytes, NULL);
    }
    simt_free(workspace);
    return status;
}

// rows states of 5 actions.
static merit_status target(merit_context *ctx, const shape *s, world *w)
{
    merit_dominance_quantile_target_desc d;
    merit_dominance_quantile_target_desc_init(&d, sizeof d);
    d.num_states = s->rows, d.num_actions = 5, d.num_levels = s->levels;
    const merit_dominance_quantile_target_io io = {.struct_size = sizeof io,
                                                   .q_next = w->values,
                                                   .reward = w->weight,
                                                   .action = w->count,
                                                   .target = w->out,
                                                   .diagnostics = w->diagnostics};
    return merit_dominance_quantile_target(ctx, &d, &io, NULL, 0, NULL);
}

typedef merit_status call(merit_context *ctx, const shape *s, world *w);

static void check(merit_context *const *contexts, const char *operation, call *run, const shape *s)
{
    world all[NUM_CONTEXTS];
    static uint64_t seeds;
    for (int i = 0; i < NUM_CONTEXTS; i++) {
        all[i] = make();
        if (i == 2) simt_set_seed(seeds++ % 2 * 2); // warps ahead and uniform by turns
        const merit_status status = run(contexts[i], s, &all[i]);
        if (status == MERIT_STATUS_OK && same(&all[0], &all[i])) continue;
        failures++;
        fprintf(stderr, "FAIL %s, %s, context %d: %s\n%s", operation, s->name, i,
                status == MERIT_STATUS_OK ? "other bits than on one thread"
                                          : merit_context_last_error(contexts[i]),
                simt_last_report());
    }
    for (int i = 0; i < NUM_CONTEXTS; i++) {
        drop(&all[i]);
    }
}

int main(void)
{
    static const shape losses[] = {
        {"rows beyond a tile", 2100, 2, 3, 1},  {"rows of part of a warp", 40, 20, 17, .5f},
        {"rows of several warps", 9, 65, 3, 0}, {"levels beyond a tile", 2, 2100, 5, 0},
        {"targets by chunks", 2, 40, 4200, 1},
    };
    static const shape sorts[] = {
        {"short rows", 200, 9, 0, 0},
        {"short rows with places", 30, 70, 3, 0},
        {"long rows", 2, 4500, 3, 0},
    };
    static const shape targets[] = {{"quads", 60, 8, 0, 0}, {"odd rows", 20, 33, 0, 0}};
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
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        check(contexts, "huber", huber, &losses[i]);
    }
    for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
        check(contexts, "sort", sort, &sorts[i]);
    }
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        check(contexts, "target", target, &targets[i]);
    }
    for (int i = 0; i < NUM_CONTEXTS; i++) {
        merit_context_destroy(contexts[i]);
    }
    return failures > 0;
}
