// The smallest user: the CPU backend must work on any machine, with or without a driver.
#include <merit/merit.h>
#include <stdio.h>

static int complain(const merit_context *ctx)
{
    fprintf(stderr, "%s\n", merit_context_last_error(ctx));
    return 1;
}

int main(void)
{
    merit_context_desc context_desc;
    merit_context_desc_init(&context_desc, sizeof context_desc);
    context_desc.backend = MERIT_BACKEND_CPU;
    merit_context *ctx;
    if (merit_context_create(&context_desc, &ctx) != MERIT_STATUS_OK) return complain(NULL);

    // Rewards 0, 0, 1, 1 have mean 1/2 and population deviation 1/2.
    const float rewards[4] = {0, 0, 1, 1};
    float advantages[4] = {0};
    merit_advantage_group_desc desc;
    merit_advantage_group_desc_init(&desc, sizeof desc);
    desc.groups.num_groups = 1;
    desc.groups.group_size = 4;
    desc.num_rows = 4;
    desc.ddof = 0;
    desc.eps = 0;
    const merit_advantage_group_io io = {
        .struct_size = sizeof io, .rewards = rewards, .advantages = advantages};
    if (merit_advantage_group(ctx, &desc, &io, NULL, 0, NULL) != MERIT_STATUS_OK) {
        return complain(ctx);
    }
    for (int i = 0; i < 4; i++) {
        if (advantages[i] != (i < 2 ? -1.0f : 1.0f)) {
            fprintf(stderr, "advantage %d is %g\n", i, (double)advantages[i]);
            return 1;
        }
    }
    printf("%s on %s\n", merit_build_info(), merit_context_backend(ctx));
    merit_context_destroy(ctx);

    // AUTO finds a usable device or falls back to the CPU; a missing driver is no error.
    if (merit_context_create(NULL, &ctx) != MERIT_STATUS_OK) return complain(NULL);
    merit_context_destroy(ctx);
    return merit_version() ==
                   MERIT_VERSION_MAJOR * 10000 + MERIT_VERSION_MINOR * 100 + MERIT_VERSION_PATCH
               ? 0
               : 1;
}
