// Structs that grow: reading an older or newer caller's, filling defaults.
#include <string.h>

#include "check.h"

merit_status merit_read_struct(merit_context *ctx, const char *name, void *out, size_t size,
                               size_t oldest, const void *in)
{
    MERIT_REQUIRE(ctx, in != NULL, "%s is NULL", name);
    size_t theirs;
    memcpy(&theirs, in, sizeof theirs);
    MERIT_REQUIRE(ctx, theirs >= oldest, "%s->struct_size is %zu, expected at least %zu", name,
                  theirs, oldest);
    MERIT_REQUIRE(ctx, theirs <= size + 4096, "%s->struct_size is %zu, expected at most %zu", name,
                  theirs, size + 4096);
    for (size_t i = size; i < theirs; i++) {
        MERIT_REQUIRE(
            ctx, ((const unsigned char *)in)[i] == 0,
            "%s has a field of a newer version set (byte %zu), this library knows %zu bytes", name,
            i, size);
    }
    memcpy(out, in, theirs < size ? theirs : size);
    memcpy(out, &size, sizeof size);
    return MERIT_STATUS_OK;
}

merit_status merit_init_struct(const char *function, void *desc, size_t size, const void *defaults,
                               size_t ours, size_t oldest)
{
    if (desc == NULL) return merit_fail_in(function, MERIT_STATUS_INVALID_ARGUMENT, "desc is NULL");
    if (size < oldest || size > ours + 4096) {
        return merit_fail_in(function, MERIT_STATUS_INVALID_ARGUMENT,
                             "size is %zu, expected %zu..%zu", size, oldest, ours + 4096);
    }
    memset(desc, 0, size);
    memcpy(desc, defaults, size < ours ? size : ours);
    memcpy(desc, &size, sizeof size);
    return MERIT_STATUS_OK;
}

void merit_copy_fields(void *desc, const void *from, size_t begin, size_t end)
{
    size_t theirs;
    memcpy(&theirs, desc, sizeof theirs);
    const size_t stop = end < theirs ? end : theirs;
    if (stop > begin) {
        memcpy((unsigned char *)desc + begin, (const unsigned char *)from + begin, stop - begin);
    }
}
