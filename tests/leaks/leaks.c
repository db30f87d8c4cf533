// Contexts made, refused and destroyed, on several threads: LeakSanitizer looks at what is left when
// this program ends. Criterion cannot: its tests pass on leaks.
#include <merit/merit.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { NUM_THREADS = 4, NUM_ROUNDS = 20, NUM_ROWS = 4096 };

static int use_context(merit_context *ctx, const float *rewards, float *advantages)
{
    merit_advantage_group_desc desc;
    merit_advantage_group_desc_init(&desc, sizeof desc);
    desc.num_rows = NUM_ROWS;
    desc.groups.num_groups = NUM_ROWS / 8;
    desc.groups.group_size = 8;
    merit_advantage_group_io io = {
        .struct_size = sizeof io, .rewards = rewards, .advantages = advantages};
    if (merit_advantage_group(ctx, &desc, &io, NULL, 0, NULL) != MERIT_STATUS_OK) return 0;
    io.rewards = NULL;
    return merit_advantage_group(ctx, &desc, &io, NULL, 0, NULL) == MERIT_STATUS_INVALID_ARGUMENT &&
           strlen(merit_context_last_error(ctx)) > 0;
}

static int run_rounds(void)
{
    static const float rewards[NUM_ROWS];
    float advantages[NUM_ROWS];
    merit_context_desc desc;
    merit_context_desc_init(&desc, sizeof desc);
    for (int round = 0; round < NUM_ROUNDS; round++) {
        merit_context *ctx = NULL;
        desc.backend = MERIT_BACKEND_CPU;
        desc.num_threads = 1 + round % 4;
        if (merit_context_create(&desc, &ctx) != MERIT_STATUS_OK) return 0;
        if (!use_context(ctx, rewards, advantages)) return 0;
        merit_context_destroy(ctx);

        desc.num_threads = -1;
        if (merit_context_create(&desc, &ctx) != MERIT_STATUS_INVALID_ARGUMENT || ctx != NULL)
            return 0;
        // A device that no machine has: refused with or without CUDA.
        desc.num_threads = 0;
        desc.backend = MERIT_BACKEND_CUDA;
        desc.device = 1000;
        if (merit_context_create(&desc, &ctx) == MERIT_STATUS_OK || ctx != NULL) return 0;
        desc.device = 0;
    }
    merit_context_destroy(NULL);
    return 1;
}

static void *run_thread(void *passed)
{
    *(int *)passed = run_rounds();
    return NULL;
}

int main(void)
{
    pthread_t threads[NUM_THREADS];
    int passed[NUM_THREADS] = {0};
    for (int i = 0; i < NUM_THREADS; i++) {
        if (pthread_create(&threads[i], NULL, run_thread, &passed[i]) != 0) return 1;
    }
    int failed = !run_rounds();
    for (int i = 0; i < NUM_THREADS; i++) {
        pthread_join(threads[i], NULL);
        failed += !passed[i];
    }
    if (failed > 0) fprintf(stderr, "%d threads met a wrong status\n", failed);
    return failed > 0;
}
