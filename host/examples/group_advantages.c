// Rewards of a few prompts, in the order in which rollouts came back, to advantages under three
// published conventions. Prompt 2 got equal rewards: its advantages are 0 whatever the convention.
#include <merit/merit.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 12 };

static void check(merit_context *ctx, merit_status status)
{
    if (status == MERIT_STATUS_OK) return;
    fprintf(stderr, "%s: %s\n", merit_status_string(status), merit_context_last_error(ctx));
    exit(1);
}

// Workspace as the CPU backend takes it; a CUDA program uses cudaMalloc.
static void *new_workspace(merit_context *ctx, size_t bytes)
{
    if (bytes == 0) return NULL;
    void *const memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (memory == NULL) exit(1);
    check(ctx, merit_workspace_init(ctx, memory, bytes, NULL));
    return memory;
}

int main(void)
{
    const int64_t prompts[ROWS] = {7, 7, 3, 2, 3, 2, 7, 3, 2, 7, 2, 2};
    const float rewards[ROWS] = {1, 0, 0.5f, 0.7f, 1, 0.7f, 0, 0.25f, 0.7f, 1, 0.7f, 0.7f};
    const char *const presets[] = {"grpo", "rloo", "nemo.grpo"};

    merit_context *ctx;
    merit_context_desc context = {.struct_size = sizeof context, .backend = MERIT_BACKEND_CPU};
    check(NULL, merit_context_create(&context, &ctx));

    // Who belongs together: prompt ids to offsets and index.
    int64_t offsets[ROWS + 1];
    int32_t index[ROWS];
    int64_t num_groups;
    int32_t max_size;
    merit_group_index_desc by_prompt;
    check(NULL, merit_group_index_desc_init(&by_prompt, sizeof by_prompt));
    by_prompt.kind = MERIT_GROUP_KIND_LABELS;
    by_prompt.num_rows = ROWS;
    const merit_group_index_io grouping = {.struct_size = sizeof grouping,
                                           .ids = prompts,
                                           .offsets = offsets,
                                           .index = index,
                                           .num_groups = &num_groups,
                                           .max_size = &max_size};
    size_t bytes;
    check(ctx, merit_group_index_workspace(ctx, &by_prompt, &bytes));
    void *const scratch = new_workspace(ctx, bytes);
    check(ctx, merit_group_index(ctx, &by_prompt, &grouping, scratch, bytes, NULL));
    printf("%lld prompts, at most %d rollouts each\n", (long long)num_groups, (int)max_size);

    for (size_t p = 0; p < sizeof presets / sizeof presets[0]; p++) {
        float advantages[ROWS];
        uint8_t keep[ROWS];
        merit_advantage_group_desc desc;
        check(NULL, merit_advantage_group_desc_init(&desc, sizeof desc));
        check(NULL, merit_advantage_group_preset(presets[p], &desc));
        desc.num_rows = ROWS;
        desc.groups.num_groups = num_groups;
        desc.groups.offsets = offsets;
        desc.groups.index = index;
        desc.groups.max_size = max_size;
        const merit_advantage_group_io io = {
            .struct_size = sizeof io, .rewards = rewards, .advantages = advantages, .keep = keep};
        size_t needed;
        check(ctx, merit_advantage_group_workspace(ctx, &desc, &needed));
        void *const workspace = new_workspace(ctx, needed);
        check(ctx, merit_advantage_group(ctx, &desc, &io, workspace, needed, NULL));
        printf("\n%s\n  prompt  reward  advantage  trains\n", presets[p]);
        for (int i = 0; i < ROWS; i++) {
            printf("  %6lld  %6.2f  %9.6f  %s\n", (long long)prompts[i], rewards[i], advantages[i],
                   keep[i] ? "yes" : "no");
        }
        free(workspace);
    }
    free(scratch);
    merit_context_destroy(ctx);
    return 0;
}
