// merit_comm_fold_moments: batch statistics over ranks.
#include <string.h>

#include "../kernels/core/moments_cpu.h"
#include "comm_gather.h"

static const merit_comm_fold_moments_desc defaults = {.struct_size = sizeof defaults,
                                                      .num_sets = 1};

merit_status merit_comm_fold_moments_desc_init(merit_comm_fold_moments_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_comm_fold_moments_desc, num_sets));
}

static merit_status prepare(merit_context *ctx, const merit_comm *comm,
                            const merit_comm_fold_moments_desc *desc,
                            merit_comm_fold_moments_desc *d, merit_layout *layout,
                            unsigned char **messages)
{
    *d = defaults;
    MERIT_TRY(merit_comm_check(ctx, comm));
    MERIT_TRY(merit_read_struct(ctx, "desc", d, sizeof *d,
                                MERIT_SIZE_0_1(merit_comm_fold_moments_desc, num_sets), desc));
    MERIT_REQUIRE(ctx, d->num_groups >= 0, "num_groups is %lld, expected 0 or more",
                  (long long)d->num_groups);
    MERIT_REQUIRE_RANGE(ctx, d, num_sets, 1, 1 << 20);
    const size_t message = merit_comm_message_bytes((size_t)d->num_sets * sizeof(merit_moments));
    *messages = merit_layout_take(layout, (int64_t)merit_comm_size(comm) + 1, message);
    return MERIT_STATUS_OK;
}

merit_status merit_comm_fold_moments_workspace(merit_context *ctx, const merit_comm *comm,
                                               const merit_comm_fold_moments_desc *desc,
                                               size_t *bytes)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    MERIT_REQUIRE(ctx, bytes != NULL, "bytes is NULL");
    merit_comm_fold_moments_desc d;
    merit_layout layout = merit_layout_begin(NULL);
    unsigned char *messages = NULL;
    MERIT_TRY(prepare(ctx, comm, desc, &d, &layout, &messages));
    *bytes = layout.bytes;
    return MERIT_STATUS_OK;
}

// Shards must be subtrees of the tree over tiles: 2048 * 2^k groups each, but for the last.
static merit_status check_shards(merit_context *ctx, const merit_comm_header *headers, int32_t size)
{
    int32_t used = size;
    while (used > 0 && headers[used - 1].extent == 0) {
        used--;
    }
    if (used <= 1) return MERIT_STATUS_OK;
    const int64_t shard = headers[0].extent;
    const int64_t tiles = shard / MERIT_TILE;
    MERIT_REQUIRE(ctx, shard % MERIT_TILE == 0 && tiles > 0 && (tiles & (tiles - 1)) == 0,
                  "rank 0 of several has %lld groups, expected %d times a power of two",
                  (long long)shard, (int)MERIT_TILE);
    for (int32_t rank = 1; rank < used; rank++) {
        const int64_t groups = headers[rank].extent;
        const int last = rank == used - 1;
        MERIT_REQUIRE(ctx, last ? groups <= shard : groups == shard,
                      "rank %d has %lld groups, expected %s%lld as rank 0 has", (int)rank,
                      (long long)groups, last ? "at most " : "", (long long)shard);
    }
    return MERIT_STATUS_OK;
}

static merit_moments fold(const merit_comm_header *headers, const unsigned char *gathered,
                          size_t message, int32_t size, int32_t set)
{
    merit_moments_tree tree;
    tree.count = 0;
    for (int32_t rank = 0; rank < size; rank++) {
        if (headers[rank].extent == 0) continue;
        merit_moments m;
        memcpy(&m,
               gathered + (size_t)rank * message + sizeof(merit_comm_header) +
                   (size_t)set * sizeof m,
               sizeof m);
        merit_moments_tree_push(&tree, m);
    }
    return merit_moments_output(merit_moments_tree_finish(&tree));
}

merit_status merit_comm_fold_moments(merit_context *ctx, merit_comm *comm,
                                     const merit_comm_fold_moments_desc *desc,
                                     const merit_comm_fold_moments_io *io, void *workspace,
                                     size_t workspace_bytes, merit_stream stream)
{
    MERIT_TRY(merit_begin(ctx, __func__));
    merit_comm_fold_moments_desc d;
    merit_comm_fold_moments_io own = {.struct_size = sizeof own};
    merit_layout layout = merit_layout_begin(workspace);
    unsigned char *messages = NULL;
    MERIT_TRY(prepare(ctx, comm, desc, &d, &layout, &messages));
    MERIT_TRY(merit_read_struct(ctx, "io", &own, sizeof own,
                                MERIT_SIZE_0_1(merit_comm_fold_moments_io, moments), io));
    MERIT_REQUIRE(ctx, own.local != NULL, "local is NULL");
    MERIT_REQUIRE(ctx, own.moments != NULL, "moments is NULL");
    const size_t bytes = (size_t)d.num_sets * sizeof *own.local;
    const merit_region regions[] = {
        {own.moments, bytes, "moments", 1},
        {own.local == own.moments ? NULL : own.local, bytes, "local", 0},
    };
    MERIT_TRY(merit_check_overlap(ctx, regions, 2));
    MERIT_TRY(merit_layout_check(ctx, &layout, workspace, workspace_bytes));
    if (ctx->backend->on_device) {
        return merit_fail(ctx, MERIT_STATUS_UNSUPPORTED,
                          "backend is %s, but records are folded across ranks on the CPU only",
                          merit_context_backend(ctx));
    }

    const merit_comm_header header = {
        .operation = MERIT_COMM_FOLD_MOMENTS, .count = d.num_sets, .extent = d.num_groups};
    const unsigned char *gathered = NULL;
    MERIT_TRY(merit_comm_gather(ctx, comm, header, own.local, bytes, messages, stream, &gathered));
    const size_t message = merit_comm_message_bytes(bytes);
    const int32_t size = merit_comm_size(comm);
    MERIT_TRY(check_shards(ctx, merit_comm_headers(comm), size));
    for (int32_t set = 0; set < d.num_sets; set++) {
        own.moments[set] = fold(merit_comm_headers(comm), gathered, message, size, set);
    }
    return MERIT_STATUS_OK;
}
