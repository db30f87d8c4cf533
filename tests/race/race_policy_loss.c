// policy_loss, policy_value_loss and policy_count on several threads and on the emulator, at shapes that
// reach every schedule: ThreadSanitizer watches. The bits must be those of one thread.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/internal.h"
#include "../simt/simt_control.h"

extern const merit_backend merit_backend_simt;

enum { NUM_CONTEXTS = 3 }; // one thread, four threads, the emulator

typedef struct shape {
    const char *preset;
    int64_t sequences, length;
} shape;

typedef struct arrays {
    float *logprob, *old, *ref, *rollout, *entropy, *advantages, *gradient;
    uint8_t *mask;
} arrays;

typedef struct results {
    double loss, value_loss;
    merit_policy_stats stats;
    merit_policy_value_stats value_stats;
    merit_policy_counts counts;
    merit_diagnostics diagnostics;
} results;

static int failures;

static void *memory(size_t bytes)
{
    void *const block = simt_malloc(bytes + 1);
    if (block == NULL) abort();
    memset(block, 0, bytes + 1);
    return block;
}

// A hash of the place: -2 .. 0.
static float number(int64_t i, uint32_t salt)
{
    return (float)(((uint32_t)i + salt) * 2654435761u >> 8) * -0x1p-23f;
}

static arrays make(const shape *s)
{
    const size_t tokens = (size_t)(s->sequences * s->length);
    arrays a = {memory(tokens * 4), memory(tokens * 4), memory(tokens * 4),
                memory(tokens * 4), memory(tokens * 4), memory((size_t)s->sequences * 4),
                memory(tokens * 4), memory(tokens)};
    for (int64_t t = 0; t < (int64_t)tokens; t++) {
        a.logprob[t] = number(t, 1);
        a.old[t] = a.logprob[t] - 0.2f * (1 + number(t, 7));
        a.ref[t] = a.logprob[t] - 0.2f * (1 + number(t, 77));
        a.rollout[t] = a.old[t] - 0.2f * (1 + number(t, 777));
        a.entropy[t] = -number(t, 7777);
        a.mask[t] = t % 11 != 3;
    }
    for (int64_t i = 0; i < s->sequences; i++)
        a.advantages[i] = 1 + number(i, 5);
    return a;
}

static void drop(arrays *a)
{
    simt_free(a->logprob), simt_free(a->old), simt_free(a->ref), simt_free(a->rollout);
    simt_free(a->entropy), simt_free(a->advantages), simt_free(a->gradient), simt_free(a->mask);
}

static merit_status loss_call(merit_context *ctx, const shape *s, const arrays *a, results *r)
{
    merit_policy_loss_desc d;
    merit_policy_loss_desc_init(&d, sizeof d);
    merit_policy_loss_preset(s->preset, &d);
    d.num_tokens = s->sequences * s->length, d.denominator = 7;
    d.sequences.num_groups = s->sequences, d.sequences.group_size = s->length;
    d.entropy_coef = 0.01f;
    size_t bytes;
    merit_status status = merit_policy_loss_workspace(ctx, &d, &bytes);
    void *const workspace = memory(bytes);
    if (status == MERIT_STATUS_OK) status = merit_workspace_init(ctx, workspace, bytes, NULL);
    const merit_policy_loss_io io = {.struct_size = sizeof io,
                                     .logprob = a->logprob,
                                     .old = a->old,
                                     .ref = a->ref,
                                     .rollout = a->rollout,
                                     .entropy = a->entropy,
                                     .advantages = a->advantages,
                                     .mask = a->mask,
                                     .loss = &r->loss,
                                     .grad_logprob = a->gradient,
                                     .stats = &r->stats,
                                     .diagnostics = &r->diagnostics};
    if (status == MERIT_STATUS_OK) status = merit_policy_loss(ctx, &d, &io, workspace, bytes, NULL);
    simt_free(workspace);
    return status;
}

// The value loss over the same arrays, its gradient over the old values; then the counts.
static merit_status value_call(merit_context *ctx, const shape *s, const arrays *a, results *r)
{
    merit_policy_value_loss_desc d;
    merit_policy_value_loss_desc_init(&d, sizeof d);
    d.num_tokens = s->sequences * s->length, d.denominator = 7;
    d.sequences.num_groups = s->sequences, d.sequences.group_size = s->length;
    merit_policy_count_desc c;
    merit_policy_count_desc_init(&c, sizeof c);
    c.num_tokens = d.num_tokens, c.sequences = d.sequences;
    size_t bytes, count_bytes;
    merit_status status = merit_policy_value_loss_workspace(ctx, &d, &bytes);
    if (status == MERIT_STATUS_OK) status = merit_policy_count_workspace(ctx, &c, &count_bytes);
    if (status != MERIT_STATUS_OK) return status;
    void *const workspace = memory(bytes), *const count_workspace = memory(count_bytes);
    status = merit_workspace_init(ctx, workspace, bytes, NULL);
    if (status == MERIT_STATUS_OK) {
        status = merit_workspace_init(ctx, count_workspace, count_bytes, NULL);
    }
    const merit_policy_value_loss_io io = {.struct_size = sizeof io,
                                           .value = a->logprob,
                                           .old_value = a->old,
                                           .returns = a->ref,
                                           .mask = a->mask,
                                           .loss = &r->value_loss,
                                           .grad_value = a->old,
                                           .stats = &r->value_stats,
                                           .diagnostics = &r->diagnostics};
    if (status == MERIT_STATUS_OK) {
        status = merit_policy_value_loss(ctx, &d, &io, workspace, bytes, NULL);
    }
    const merit_policy_count_io count = {.struct_size = sizeof count,
                                         .mask = a->mask,
                                         .counts = &r->counts,
                                         .diagnostics = &r->diagnostics};
    if (status == MERIT_STATUS_OK) {
        status = merit_policy_count(ctx, &c, &count, count_workspace, count_bytes, NULL);
    }
    simt_free(workspace), simt_free(count_workspace);
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
    const size_t bytes = (size_t)(s->sequences * s->length) * 4;
    arrays all[NUM_CONTEXTS];
    results *const found = memory(NUM_CONTEXTS * sizeof *found);
    for (int i = 0; i < NUM_CONTEXTS; i++) {
        all[i] = make(s);
        if (i == 2) simt_set_seed(next_seed());
        merit_status status = loss_call(contexts[i], s, &all[i], &found[i]);
        if (status == MERIT_STATUS_OK) status = value_call(contexts[i], s, &all[i], &found[i]);
        const int same = memcmp(all[0].gradient, all[i].gradient, bytes) == 0 &&
                         memcmp(all[0].old, all[i].old, bytes) == 0 &&
                         memcmp(&found[0], &found[i], sizeof found[0]) == 0;
        if (status == MERIT_STATUS_OK && same) continue;
        failures++;
        fprintf(stderr, "FAIL %s %lld of %lld, context %d: %s\n%s", s->preset,
                (long long)s->sequences, (long long)s->length, i,
                status == MERIT_STATUS_OK ? "other bits than on one thread"
                                          : merit_context_last_error(contexts[i]),
                simt_last_report());
    }
    for (int i = 0; i < NUM_CONTEXTS; i++)
        drop(&all[i]);
    simt_free(found);
}

int main(void)
{
    static const shape shapes[] = {
        {"grpo", 2100, 3}, {"grpo", 40, 31},     {"gspo", 40, 20}, {"gspo", 5, 3000},
        {"gmpo", 9, 700},  {"trl.dapo", 30, 90}, {"ppo", 3, 2500},
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
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        check(contexts, &shapes[i]);
    for (int i = 0; i < 3; i++)
        merit_context_destroy(contexts[i]);
    return failures > 0;
}
