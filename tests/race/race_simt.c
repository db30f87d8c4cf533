// The CUDA kernels on the emulator, at sizes that reach every schedule and several blocks:
// ThreadSanitizer watches every thread of every block. The bits must be those of the CPU backend.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/internal.h"
#include "../simt/simt_control.h"

extern const merit_backend merit_backend_simt;

enum { NUM_SEEDS = 1 };

static merit_context *cpu, *simt;
static int failures;

static void *memory(size_t bytes)
{
    void *const block = simt_malloc(bytes);
    if (block == NULL) abort();
    return block;
}

// Warps ahead and uniform by turns: ThreadSanitizer looks at what orders accesses, hardly at their order.
static uint64_t next_seed(void)
{
    static uint64_t calls;
    return calls++ % 2 * 2;
}

static void judge(const char *what, const merit_context *ctx, merit_status status, int same)
{
    if (status == MERIT_STATUS_OK && same) return;
    failures++;
    fprintf(stderr, "FAIL %s: %s\n%s", what,
            status == MERIT_STATUS_OK ? "not the bits of the CPU backend"
                                      : merit_context_last_error(ctx),
            simt_last_report());
}

static uint32_t random_state = 1;

static uint32_t draw(uint32_t limit)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % limit;
}

// Groups of uneven sizes around `size`; [num_groups + 1].
static int64_t *uneven_offsets(int64_t num_groups, int64_t size)
{
    int64_t *const offsets = memory((size_t)(num_groups + 1) * sizeof *offsets);
    offsets[0] = 0;
    for (int64_t n = 0; n < num_groups; n++) {
        offsets[n + 1] = offsets[n] + size - draw((uint32_t)size / 4 + 1);
    }
    return offsets;
}

// advantage_group ---------------------------------------------------------------------------------

typedef struct group_outputs {
    float *advantages;
    double *mean, *scale;
    uint8_t *keep, *flags;
    merit_moments batch;
    merit_diagnostics diagnostics;
} group_outputs;

static group_outputs group_outputs_create(int64_t num_rows, int64_t num_groups)
{
    group_outputs o;
    memset(&o, 0, sizeof o);
    o.advantages = memory((size_t)num_rows * sizeof *o.advantages);
    o.mean = memory((size_t)num_groups * sizeof *o.mean);
    o.scale = memory((size_t)num_groups * sizeof *o.scale);
    o.keep = memory((size_t)num_rows);
    o.flags = memory((size_t)num_groups);
    return o;
}

static void group_outputs_free(group_outputs *o)
{
    simt_free(o->advantages);
    simt_free(o->mean);
    simt_free(o->scale);
    simt_free(o->keep);
    simt_free(o->flags);
}

static int group_outputs_equal(const group_outputs *a, const group_outputs *b, int64_t num_rows,
                               int64_t num_groups)
{
    return memcmp(a->advantages, b->advantages, (size_t)num_rows * sizeof *a->advantages) == 0 &&
           memcmp(a->mean, b->mean, (size_t)num_groups * sizeof *a->mean) == 0 &&
           memcmp(a->scale, b->scale, (size_t)num_groups * sizeof *a->scale) == 0 &&
           memcmp(a->keep, b->keep, (size_t)num_rows) == 0 &&
           memcmp(a->flags, b->flags, (size_t)num_groups) == 0 &&
           memcmp(&a->batch, &b->batch, sizeof a->batch) == 0 &&
           memcmp(&a->diagnostics, &b->diagnostics, sizeof a->diagnostics) == 0;
}

static merit_status group_call(merit_context *ctx, const merit_advantage_group_desc *desc,
                               const float *rewards, group_outputs *o)
{
    size_t bytes = 0;
    merit_status status = merit_advantage_group_workspace(ctx, desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = memory(bytes);
    status = merit_workspace_init(ctx, workspace, bytes, NULL);
    const merit_advantage_group_io io = {.struct_size = sizeof io,
                                         .rewards = rewards,
                                         .advantages = o->advantages,
                                         .group_mean = o->mean,
                                         .group_scale = o->scale,
                                         .keep = o->keep,
                                         .group_flags = o->flags,
                                         .batch_moments = desc->batch_record ? &o->batch : NULL,
                                         .diagnostics = &o->diagnostics};
    if (status == MERIT_STATUS_OK) {
        status = merit_advantage_group(ctx, desc, &io, workspace, bytes, NULL);
    }
    simt_free(workspace);
    return status;
}

static void check_group(const char *preset, int64_t num_groups, int64_t size, int uneven)
{
    char what[128];
    snprintf(what, sizeof what, "advantage_group %s, %d groups of %d%s", preset, (int)num_groups,
             (int)size, uneven ? ", uneven" : "");
    int64_t *const offsets = uneven ? uneven_offsets(num_groups, size) : NULL;
    merit_advantage_group_desc desc;
    merit_advantage_group_desc_init(&desc, sizeof desc);
    merit_advantage_group_preset(preset, &desc);
    desc.groups.num_groups = num_groups;
    desc.groups.group_size = uneven ? 0 : size;
    desc.groups.offsets = offsets;
    desc.groups.max_size = uneven ? size : 0;
    desc.num_rows = uneven ? offsets[num_groups] : num_groups * size;
    desc.batch_record = 1;
    float *const rewards = memory((size_t)desc.num_rows * sizeof *rewards);
    for (int64_t i = 0; i < desc.num_rows; i++) {
        rewards[i] = (float)draw(1000) / 250.0f;
    }
    group_outputs expected = group_outputs_create(desc.num_rows, num_groups);
    judge(what, cpu, group_call(cpu, &desc, rewards, &expected), 1);
    for (uint64_t seed = 0; seed < NUM_SEEDS; seed++) {
        simt_set_seed(next_seed());
        group_outputs o = group_outputs_create(desc.num_rows, num_groups);
        const merit_status status = group_call(simt, &desc, rewards, &o);
        judge(what, simt, status, group_outputs_equal(&expected, &o, desc.num_rows, num_groups));
        group_outputs_free(&o);
    }
    group_outputs_free(&expected);
    simt_free(rewards);
    simt_free(offsets);
}

// group_index -------------------------------------------------------------------------------------

typedef struct index_outputs {
    int64_t *offsets;
    int32_t *index, *group_of;
    int64_t num_groups;
    int32_t max_size;
} index_outputs;

static merit_status index_call(merit_context *ctx, const merit_group_index_desc *desc,
                               const int64_t *ids, index_outputs *o)
{
    size_t bytes = 0;
    merit_status status = merit_group_index_workspace(ctx, desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = memory(bytes);
    status = merit_workspace_init(ctx, workspace, bytes, NULL);
    const merit_group_index_io io = {.struct_size = sizeof io,
                                     .ids = ids,
                                     .offsets = o->offsets,
                                     .index = o->index,
                                     .group_of = o->group_of,
                                     .num_groups = &o->num_groups,
                                     .max_size = &o->max_size};
    if (status == MERIT_STATUS_OK) {
        status = merit_group_index(ctx, desc, &io, workspace, bytes, NULL);
    }
    simt_free(workspace);
    return status;
}

static void check_index(int32_t kind, int64_t num_rows, int64_t num_ids)
{
    char what[128];
    snprintf(what, sizeof what, "group_index kind %d, %d rows, %d ids", (int)kind, (int)num_rows,
             (int)num_ids);
    merit_group_index_desc desc;
    merit_group_index_desc_init(&desc, sizeof desc);
    desc.num_rows = num_rows;
    desc.num_groups = kind == MERIT_GROUP_KIND_DENSE ? num_ids : 0;
    desc.kind = kind;
    const size_t num_offsets = (size_t)(kind == MERIT_GROUP_KIND_DENSE ? num_ids : num_rows) + 1;
    const size_t rows = (size_t)num_rows;
    int64_t *const ids = memory(rows * sizeof *ids);
    for (size_t i = 0; i < rows; i++) {
        ids[i] = (int64_t)draw((uint32_t)num_ids + 1) - 1; // some in no group
    }
    index_outputs all[1 + NUM_SEEDS];
    memset(all, 0, sizeof all);
    for (uint64_t i = 0; i <= NUM_SEEDS; i++) {
        index_outputs *const o = &all[i];
        merit_context *const ctx = i == 0 ? cpu : simt;
        o->offsets = memory(num_offsets * sizeof *o->offsets);
        o->index = memory(rows * sizeof *o->index);
        o->group_of = memory(rows * sizeof *o->group_of);
        if (i > 0) simt_set_seed(next_seed());
        const merit_status status = index_call(ctx, &desc, ids, o);
        judge(what, ctx, status,
              memcmp(all[0].offsets, o->offsets, num_offsets * sizeof *o->offsets) == 0 &&
                  memcmp(all[0].index, o->index, rows * sizeof *o->index) == 0 &&
                  memcmp(all[0].group_of, o->group_of, rows * sizeof *o->group_of) == 0 &&
                  all[0].num_groups == o->num_groups && all[0].max_size == o->max_size);
    }
    for (int i = 0; i <= NUM_SEEDS; i++) {
        simt_free(all[i].offsets);
        simt_free(all[i].index);
        simt_free(all[i].group_of);
    }
    simt_free(ids);
}

// advantage_spread --------------------------------------------------------------------------------

static void check_spread(int64_t num_segments, int64_t size)
{
    char what[128];
    snprintf(what, sizeof what, "advantage_spread, %d segments of %d", (int)num_segments,
             (int)size);
    int64_t *const offsets = uneven_offsets(num_segments, size);
    merit_advantage_spread_desc desc;
    merit_advantage_spread_desc_init(&desc, sizeof desc);
    desc.segments.num_groups = num_segments;
    desc.segments.offsets = offsets;
    desc.num_tokens = offsets[num_segments];
    float *const values = memory((size_t)num_segments * sizeof *values);
    for (int64_t n = 0; n < num_segments; n++) {
        values[n] = (float)draw(1000);
    }
    const size_t bytes = (size_t)desc.num_tokens * sizeof(float);
    float *const expected = memory(bytes), *const out = memory(bytes);
    merit_advantage_spread_io io = {.struct_size = sizeof io, .values = values, .out = expected};
    judge(what, cpu, merit_advantage_spread(cpu, &desc, &io, NULL, 0, NULL), 1);
    for (uint64_t seed = 0; seed < NUM_SEEDS; seed++) {
        simt_set_seed(next_seed());
        io.out = out;
        const merit_status status = merit_advantage_spread(simt, &desc, &io, NULL, 0, NULL);
        judge(what, simt, status, memcmp(expected, out, bytes) == 0);
    }
    simt_free(offsets);
    simt_free(values);
    simt_free(expected);
    simt_free(out);
}

// preference_list ---------------------------------------------------------------------------------

typedef struct list_outputs {
    float *grad, *group_loss;
    double loss;
    merit_preference_list_metrics metrics;
} list_outputs;

static merit_status list_call(merit_context *ctx, const merit_preference_list_desc *desc,
                              const float *scores, const int32_t *ranks, list_outputs *o)
{
    size_t bytes = 0;
    merit_status status = merit_preference_list_workspace(ctx, desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = memory(bytes);
    status = merit_workspace_init(ctx, workspace, bytes, NULL);
    merit_preference_list_io io = {.struct_size = sizeof io,
                                   .scores = scores,
                                   .grad_scores = o->grad,
                                   .group_loss = o->group_loss,
                                   .loss = &o->loss,
                                   .metrics = &o->metrics};
    if (desc->mode == MERIT_LIST_MODE_CROSS_ENTROPY) io.target_index = ranks;
    if (desc->mode == MERIT_LIST_MODE_ALL_PAIRS) io.labels = scores;
    if (desc->mode == MERIT_LIST_MODE_PLACKETT_LUCE) io.ranks = ranks;
    if (status == MERIT_STATUS_OK) {
        status = merit_preference_list(ctx, desc, &io, workspace, bytes, NULL);
    }
    simt_free(workspace);
    return status;
}

static void check_lists(const char *preset, int64_t num_groups, int64_t size)
{
    char what[128];
    snprintf(what, sizeof what, "preference_list %s, %d groups of %d", preset, (int)num_groups,
             (int)size);
    int64_t *const offsets = uneven_offsets(num_groups, size);
    merit_preference_list_desc desc;
    merit_preference_list_desc_init(&desc, sizeof desc);
    merit_preference_list_preset(preset, &desc);
    desc.center = MERIT_LIST_CENTER_MEAN;
    desc.groups.num_groups = num_groups;
    desc.groups.offsets = offsets;
    desc.groups.max_size = size;
    desc.num_items = offsets[num_groups];
    const size_t items = (size_t)desc.num_items, groups = (size_t)num_groups;
    float *const scores = memory(items * sizeof *scores);
    int32_t *const ranks = memory(items * sizeof *ranks);
    for (size_t i = 0; i < items; i++) {
        scores[i] = (float)draw(1000) / 250.0f;
        ranks[i] = (int32_t)draw(size < 16 ? 2 : 12);
    }
    list_outputs all[1 + NUM_SEEDS];
    memset(all, 0, sizeof all);
    for (uint64_t i = 0; i <= NUM_SEEDS; i++) {
        list_outputs *const o = &all[i];
        merit_context *const ctx = i == 0 ? cpu : simt;
        o->grad = memory(items * sizeof *o->grad);
        o->group_loss = memory(groups * sizeof *o->group_loss);
        if (i > 0) simt_set_seed(next_seed());
        const merit_status status = list_call(ctx, &desc, scores, ranks, o);
        judge(what, ctx, status,
              memcmp(all[0].grad, o->grad, items * sizeof *o->grad) == 0 &&
                  memcmp(all[0].group_loss, o->group_loss, groups * sizeof *o->group_loss) == 0 &&
                  memcmp(&all[0].metrics, &o->metrics, sizeof o->metrics) == 0 &&
                  all[0].loss == o->loss);
    }
    for (int i = 0; i <= NUM_SEEDS; i++) {
        simt_free(all[i].grad);
        simt_free(all[i].group_loss);
    }
    simt_free(offsets);
    simt_free(scores);
    simt_free(ranks);
}

int main(void)
{
    if (merit_context_create_on(merit_backend_best_cpu(NULL), NULL, &cpu) != MERIT_STATUS_OK ||
        merit_context_create_on(&merit_backend_simt, NULL, &simt) != MERIT_STATUS_OK) {
        return 1;
    }
    static const char *const presets[] = {"grpo", "trl.batch", "maxrl"};
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        check_group(presets[i], 300, 8, 0);
        check_group(presets[i], 30, 40, 1);
        check_group(presets[i], 5, 700, 1);
    }
    static const char *const pairwise[] = {"nemo.grpo", "arena_rl", "jepo"};
    for (size_t i = 0; i < sizeof pairwise / sizeof pairwise[0]; i++) {
        check_group(pairwise[i], 60, 8, 0);
        check_group(pairwise[i], 10, 40, 1);
        check_group(pairwise[i], 2, 150, 1);
    }
    check_group("grpo", 2, 9000, 1); // tiles of 2048
    check_group("trl.batch", 2, 9000, 1);
    check_group("grpo", 1, 70000, 0); // several blocks for one group
    check_group("trl.batch", 1, 70000, 0);
    check_group("trl.batch", 5000, 2, 0); // tiles of groups
    for (int32_t kind = MERIT_GROUP_KIND_DENSE; kind <= MERIT_GROUP_KIND_LABELS; kind++) {
        check_index(kind, 900, 100);
        check_index(kind, 20000, 3000); // several blocks
    }
    check_spread(40, 300);
    check_spread(2000, 3);
    check_lists("yojo", 20, 40); // a warp each
    check_lists("yojo", 16400, 3); // counted by all blocks
    check_lists("yojo", 3, 3000); // a block
    check_lists("yojo", 2, 25000); // several blocks for one group
    check_lists("instruct_gpt", 9, 300);
    check_lists("instruct_gpt", 2, 1400);
    check_lists("plackett_luce", 3, 500);
    merit_context_destroy(cpu);
    merit_context_destroy(simt);
    return failures > 0;
}
