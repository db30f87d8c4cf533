// Checks of the arrays and groups that calls bring.
#include "check.h"

size_t merit_dtype_bytes(int32_t dtype)
{
    switch (dtype) {
    case MERIT_DTYPE_F32:
    case MERIT_DTYPE_I32: return 4;
    case MERIT_DTYPE_F64:
    case MERIT_DTYPE_I64: return 8;
    case MERIT_DTYPE_BF16:
    case MERIT_DTYPE_F16: return 2;
    default: return 0;
    }
}

static int overlap(const merit_region *a, const merit_region *b)
{
    if (a->data == NULL || b->data == NULL || a->bytes == 0 || b->bytes == 0) return 0;
    const uintptr_t first = (uintptr_t)a->data;
    const uintptr_t second = (uintptr_t)b->data;
    return first < second + b->bytes && second < first + a->bytes;
}

merit_status merit_check_overlap(merit_context *ctx, const merit_region *regions, int count)
{
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < i; j++) {
            if (!regions[i].written && !regions[j].written) continue;
            MERIT_REQUIRE(ctx, !overlap(&regions[i], &regions[j]),
                          "%s (%p, %zu bytes) overlaps %s (%p, %zu bytes)", regions[j].name,
                          regions[j].data, regions[j].bytes, regions[i].name, regions[i].data,
                          regions[i].bytes);
        }
    }
    return MERIT_STATUS_OK;
}

merit_status merit_check_groups(merit_context *ctx, const char *name, merit_groups *g, int64_t rows)
{
    MERIT_REQUIRE(ctx, g->num_groups >= 0, "%s.num_groups is %lld, expected 0 or more", name,
                  (long long)g->num_groups);
    MERIT_REQUIRE(ctx, g->group_size >= 0, "%s.group_size is %lld, expected 0 or more", name,
                  (long long)g->group_size);
    MERIT_REQUIRE(ctx, g->max_size >= 0, "%s.max_size is %lld, expected 0 or more", name,
                  (long long)g->max_size);
    if (g->num_groups == 0 || rows == 0) return MERIT_STATUS_OK;
    if (g->group_size == 0) {
        MERIT_REQUIRE(ctx, g->offsets != NULL,
                      "%s.offsets is NULL and %s.group_size is 0, expected one of them", name,
                      name);
        MERIT_REQUIRE(ctx, g->num_groups <= INT64_MAX / 8 - 1,
                      "%s.num_groups is %lld, expected at most %lld", name,
                      (long long)g->num_groups, (long long)(INT64_MAX / 8 - 1));
        return MERIT_STATUS_OK;
    }
    MERIT_REQUIRE(ctx, g->offsets == NULL && g->index == NULL,
                  "%s.group_size is %lld, but %s.offsets or index is given", name,
                  (long long)g->group_size, name);
    if (g->group_stride == 0) g->group_stride = g->group_size;
    MERIT_REQUIRE(ctx, g->group_stride >= g->group_size,
                  "%s.group_stride is %lld, expected 0 or at least group_size, which is %lld", name,
                  (long long)g->group_stride, (long long)g->group_size);
    int64_t last;
    const int overflows = __builtin_mul_overflow(g->num_groups - 1, g->group_stride, &last) ||
                          __builtin_add_overflow(last, g->group_size, &last);
    MERIT_REQUIRE(ctx, !overflows && last <= rows,
                  "%s has %lld groups of %lld with stride %lld, expected them within %lld rows",
                  name, (long long)g->num_groups, (long long)g->group_size,
                  (long long)g->group_stride, (long long)rows);
    return MERIT_STATUS_OK;
}
