// All steps, and the arrays that they share.
#include "fault_steps.h"

#include <stdlib.h>
#include <string.h>

static merit_status create(fault_world *w)
{
    return fault_create(&w->ctx);
}

merit_status fault_reset_workspace(fault_world *w)
{
    return merit_workspace_init(w->ctx, w->workspace, WORKSPACE_BYTES, NULL);
}

static const fault_step context_steps[] = {
    {"merit_context_create", "a new context", create, 1},
    {"merit_workspace_init", "a workspace", fault_reset_workspace, 0},
    {0},
};

const fault_step *fault_step_at(int i)
{
    static const fault_step *const families[] = {
        context_steps,      fault_advantage_steps, fault_preference_steps, fault_score_steps,
        fault_policy_steps, fault_dominance_steps, fault_comm_steps,
    };
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        for (const fault_step *s = families[f]; s->call != NULL; s++) {
            if (i-- == 0) return s;
        }
    }
    return NULL;
}

// Memory ------------------------------------------------------------------------------------------

static void *take(size_t bytes)
{
    void *memory = NULL;
    if (posix_memalign(&memory, 256, bytes) != 0) abort();
    memset(memory, 0, bytes);
    return memory;
}

void fault_fill(fault_world *w)
{
    if (merit_comm_create_single(&w->comm) != MERIT_STATUS_OK) abort();
    w->rewards = take(LARGE_GROUP * sizeof *w->rewards);
    w->advantages = take(LARGE_GROUP * sizeof *w->advantages);
    w->offsets = take((NUM_GROUPS + 1) * sizeof *w->offsets);
    w->ids = take(NUM_ROWS * sizeof *w->ids);
    w->found_offsets = take((NUM_ROWS + 1) * sizeof *w->found_offsets);
    w->found_index = take(NUM_ROWS * sizeof *w->found_index);
    w->best = take(LARGE_GROUP / LIST_SIZE * sizeof *w->best);
    w->loss = take(sizeof *w->loss);
    w->moments = take(sizeof *w->moments);
    w->diagnostics = take(sizeof *w->diagnostics);
    w->workspace = take(WORKSPACE_BYTES);
    for (int i = 0; i < NUM_ROWS; i++)
        w->rewards[i] = (float)(i % 7);
    for (int i = 0; i < NUM_ROWS; i++)
        w->ids[i] = (int64_t)i * 7919 % NUM_GROUPS;
    for (int n = 0; n <= NUM_GROUPS; n++)
        w->offsets[n] = (int64_t)n * GROUP_SIZE;
}

void fault_release(fault_world *w)
{
    merit_comm_destroy(w->comm);
    free(w->rewards);
    free(w->advantages);
    free(w->offsets);
    free(w->ids);
    free(w->found_offsets);
    free(w->found_index);
    free(w->best);
    free(w->loss);
    free(w->moments);
    free(w->diagnostics);
    free(w->workspace);
}
