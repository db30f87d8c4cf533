// Several contexts at work at once, each on several threads, with one diagnostics struct between them:
// ThreadSanitizer watches. Results must be the bits of a lone call on one thread.
#include <merit/merit.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUM_CONTEXTS = 4, NUM_ROUNDS = 3, NUM_ROWS = 100000, GROUP_SIZE = 8 };
enum { NUM_GROUPS = NUM_ROWS / GROUP_SIZE, NAN_EVERY = 1000 };

static float rewards[NUM_ROWS];
static int64_t offsets[NUM_GROUPS + 1];
static float expected[4][NUM_ROWS]; // uniform groups, offsets; gradients of pairs; scores
static merit_diagnostics diagnostics;

static int complain(const merit_context *ctx, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, merit_context_last_error(ctx));
    return 0;
}

static merit_context *create(int num_threads)
{
    merit_context_desc desc;
    merit_context_desc_init(&desc, sizeof desc);
    desc.backend = MERIT_BACKEND_CPU;
    desc.num_threads = num_threads;
    merit_context *ctx = NULL;
    if (merit_context_create(&desc, &ctx) != MERIT_STATUS_OK) complain(NULL, "no context");
    return ctx;
}

static int compute(merit_context *ctx, int with_offsets, float *advantages)
{
    merit_advantage_group_desc desc;
    merit_advantage_group_desc_init(&desc, sizeof desc);
    if (merit_advantage_group_preset("trl.group", &desc) != MERIT_STATUS_OK) return 0;
    desc.num_rows = NUM_ROWS;
    desc.groups.num_groups = NUM_GROUPS;
    desc.groups.group_size = with_offsets ? 0 : GROUP_SIZE;
    desc.groups.offsets = with_offsets ? offsets : NULL;
    size_t bytes;
    if (merit_advantage_group_workspace(ctx, &desc, &bytes) != MERIT_STATUS_OK) {
        return complain(ctx, "workspace");
    }
    void *workspace = NULL;
    if (bytes > 0 && posix_memalign(&workspace, 256, bytes) != 0) return 0;
    const merit_advantage_group_io io = {.struct_size = sizeof io,
                                         .rewards = rewards,
                                         .advantages = advantages,
                                         .diagnostics = &diagnostics};
    int ok = merit_workspace_init(ctx, workspace, bytes, NULL) == MERIT_STATUS_OK &&
             merit_advantage_group(ctx, &desc, &io, workspace, bytes, NULL) == MERIT_STATUS_OK;
    if (!ok) complain(ctx, "group");
    free(workspace);
    return ok;
}

// Pairs of neighbors, with everything that threads add up together.
static int compute_pairs(merit_context *ctx, float *gradients)
{
    enum { NUM_PAIRS = NUM_ROWS / 2, NUM_BINS = 8 };
    merit_preference_pair_desc desc;
    merit_preference_pair_desc_init(&desc, sizeof desc);
    desc.num_pairs = NUM_PAIRS;
    desc.chosen_stride = desc.rejected_stride = 2;
    desc.grad_chosen_stride = desc.grad_rejected_stride = 2;
    desc.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT;
    desc.skip_invalid = 1;
    desc.calibration_bins = NUM_BINS;
    size_t bytes;
    void *workspace = NULL;
    if (merit_preference_pair_workspace(ctx, &desc, &bytes) != MERIT_STATUS_OK ||
        posix_memalign(&workspace, 256, bytes) != 0) {
        return complain(ctx, "workspace");
    }
    double loss;
    merit_preference_metrics metrics;
    merit_preference_bin bins[NUM_BINS];
    const merit_preference_pair_io io = {.struct_size = sizeof io,
                                         .chosen = rewards,
                                         .rejected = rewards + 1,
                                         .loss = &loss,
                                         .grad_chosen = gradients,
                                         .grad_rejected = gradients + 1,
                                         .metrics = &metrics,
                                         .calibration = bins,
                                         .diagnostics = &diagnostics};
    int64_t binned = 0;
    int ok = merit_workspace_init(ctx, workspace, bytes, NULL) == MERIT_STATUS_OK &&
             merit_preference_pair(ctx, &desc, &io, workspace, bytes, NULL) == MERIT_STATUS_OK;
    if (!ok) complain(ctx, "pairs");
    for (int i = 0; i < NUM_BINS && ok; i++)
        binned += bins[i].count;
    free(workspace);
    return ok && binned == metrics.pairs;
}

// Scores of rows of the rewards, and their gradients.
static int compute_scores(merit_context *ctx, float *out)
{
    enum { SIZE = 20, TOKENS = NUM_ROWS / SIZE };
    merit_score_desc desc;
    merit_score_desc_init(&desc, sizeof desc);
    desc.num_tokens = TOKENS;
    desc.hidden_size = SIZE;
    desc.hidden_dtype = MERIT_DTYPE_F32;
    desc.positions = MERIT_POSITIONS_ALL;
    size_t bytes, more;
    if (merit_score_forward_workspace(ctx, &desc, &bytes) != MERIT_STATUS_OK ||
        merit_score_backward_workspace(ctx, &desc, &more) != MERIT_STATUS_OK) {
        return complain(ctx, "workspace");
    }
    bytes = bytes > more ? bytes : more;
    void *workspace = NULL;
    if (posix_memalign(&workspace, 256, bytes) != 0) return 0;
    const merit_score_forward_io forward = {
        .struct_size = sizeof forward, .hidden = rewards, .weight = rewards + SIZE, .scores = out};
    const merit_score_backward_io backward = {.struct_size = sizeof backward,
                                              .hidden = rewards,
                                              .grad_scores = rewards + SIZE,
                                              .grad_weight = out + TOKENS};
    const int ok =
        merit_workspace_init(ctx, workspace, bytes, NULL) == MERIT_STATUS_OK &&
        merit_score_forward(ctx, &desc, &forward, workspace, bytes, NULL) == MERIT_STATUS_OK &&
        merit_score_backward(ctx, &desc, &backward, workspace, bytes, NULL) == MERIT_STATUS_OK;
    if (!ok) complain(ctx, "scores");
    free(workspace);
    return ok;
}

static int run_rounds(void)
{
    float *const advantages = malloc(sizeof expected[0]);
    int ok = advantages != NULL;
    for (int round = 0; round < NUM_ROUNDS && ok; round++) {
        merit_context *const ctx = create(4);
        ok = ctx != NULL;
        for (int with_offsets = 0; with_offsets < 2 && ok; with_offsets++) {
            memset(advantages, 0, sizeof expected[0]);
            ok = compute(ctx, with_offsets, advantages);
            if (memcmp(advantages, expected[with_offsets], sizeof expected[0]) != 0) {
                fprintf(stderr, "other bits than on one thread\n");
                ok = 0;
            }
        }
        ok = ok && compute_pairs(ctx, advantages);
        if (ok && memcmp(advantages, expected[2], sizeof expected[0]) != 0) {
            fprintf(stderr, "other bits of pairs than on one thread\n");
            ok = 0;
        }
        memset(advantages, 0, sizeof expected[0]);
        ok = ok && compute_scores(ctx, advantages);
        if (ok && memcmp(advantages, expected[3], sizeof expected[0]) != 0) {
            fprintf(stderr, "other bits of scores than on one thread\n");
            ok = 0;
        }
        merit_context_destroy(ctx);
        // Each thread has its own last error.
        merit_advantage_group_desc desc;
        merit_advantage_group_desc_init(&desc, sizeof desc);
        ok = ok && merit_advantage_group_preset("none", &desc) == MERIT_STATUS_NOT_FOUND &&
             strlen(merit_context_last_error(NULL)) > 0;
    }
    free(advantages);
    return ok;
}

static void *run_thread(void *passed)
{
    *(int *)passed = run_rounds();
    return NULL;
}

int main(void)
{
    for (int i = 0; i < NUM_ROWS; i++)
        rewards[i] = (float)(i % 7) + (float)(i % 5) / 3.0f;
    for (int i = 0; i < NUM_ROWS; i += NAN_EVERY)
        memset(&rewards[i], 0xff, sizeof rewards[i]);
    for (int n = 0; n <= NUM_GROUPS; n++)
        offsets[n] = (int64_t)n * GROUP_SIZE;
    merit_context *const ctx = create(1);
    if (ctx == NULL || !compute(ctx, 0, expected[0]) || !compute(ctx, 1, expected[1]) ||
        !compute_pairs(ctx, expected[2]) || !compute_scores(ctx, expected[3])) {
        return 1;
    }
    merit_context_destroy(ctx);

    pthread_t threads[NUM_CONTEXTS];
    int passed[NUM_CONTEXTS] = {0};
    for (int i = 0; i < NUM_CONTEXTS; i++) {
        if (pthread_create(&threads[i], NULL, run_thread, &passed[i]) != 0) return 1;
    }
    int failed = 0;
    for (int i = 0; i < NUM_CONTEXTS; i++) {
        pthread_join(threads[i], NULL);
        failed += !passed[i];
    }
    const uint64_t calls = 2 + NUM_CONTEXTS * NUM_ROUNDS * 2;
    const uint64_t nans = calls * (NUM_ROWS / NAN_EVERY);
    if (diagnostics.count[MERIT_COUNTER_NAN_IN] != nans) {
        fprintf(stderr, "%llu NaN counted, expected %llu\n",
                (unsigned long long)diagnostics.count[MERIT_COUNTER_NAN_IN],
                (unsigned long long)nans);
        failed++;
    }
    const uint64_t pairs = (1 + NUM_CONTEXTS * NUM_ROUNDS) * (NUM_ROWS / NAN_EVERY);
    if (diagnostics.count[MERIT_COUNTER_NONFINITE] != pairs) {
        fprintf(stderr, "%llu pairs with a NaN counted, expected %llu\n",
                (unsigned long long)diagnostics.count[MERIT_COUNTER_NONFINITE],
                (unsigned long long)pairs);
        failed++;
    }
    return failed > 0;
}
