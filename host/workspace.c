#include "check.h"

merit_layout merit_layout_begin(void *workspace)
{
    return (merit_layout){.base = workspace};
}

void *merit_layout_take(merit_layout *layout, int64_t count, size_t element_bytes)
{
    if (count <= 0) return NULL;
    size_t bytes;
    size_t end;
    if (__builtin_mul_overflow((size_t)count, element_bytes, &bytes) ||
        __builtin_add_overflow(layout->bytes, bytes, &end) || end > SIZE_MAX - 255) {
        layout->overflow = 1;
        return NULL;
    }
    void *const place = layout->base == NULL ? NULL : layout->base + layout->bytes;
    layout->bytes = (end + 255) / 256 * 256;
    return place;
}

merit_status merit_layout_check(merit_context *ctx, const merit_layout *layout,
                                const void *workspace, size_t workspace_bytes)
{
    MERIT_REQUIRE(ctx, !layout->overflow, "the sizes need a workspace of more than 2^64 bytes");
    if (layout->bytes == 0) return MERIT_STATUS_OK;
    if (workspace == NULL || workspace_bytes < layout->bytes) {
        return merit_fail(ctx, MERIT_STATUS_WORKSPACE_TOO_SMALL,
                          "workspace has %zu bytes, expected at least %zu",
                          workspace == NULL ? (size_t)0 : workspace_bytes, layout->bytes);
    }
    MERIT_REQUIRE(ctx, (uintptr_t)workspace % 256 == 0, "workspace is not 256-byte aligned (%p)",
                  workspace);
    return MERIT_STATUS_OK;
}

merit_status merit_workspace_init(merit_context *ctx, void *workspace, size_t workspace_bytes,
                                  merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, "merit_workspace_init"));
    if (workspace_bytes == 0) return MERIT_STATUS_OK;
    MERIT_REQUIRE(ctx, workspace != NULL, "workspace is NULL");
    int previous;
    MERIT_TRY(merit_enter_device(ctx, &previous));
    const int code = ctx->backend->zero(workspace, workspace_bytes, stream);
    return merit_leave_device(ctx, previous, merit_launch_status(ctx, code));
}
