// Rejecting a call.
#ifndef MERIT_CHECK_H
#define MERIT_CHECK_H

#include "internal.h"

// Bytes of a struct in version 0.1, whose last field was `last`.
#define MERIT_SIZE_0_1(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))

// Passes a failure up.
#define MERIT_TRY(expression)                                             \
    do {                                                                  \
        const merit_status merit_try_status = (expression);               \
        if (merit_try_status != MERIT_STATUS_OK) return merit_try_status; \
    } while (0)

// Rejects the caller's mistake with a sentence. Write conditions so that NaN fails them.
#define MERIT_REQUIRE(ctx, condition, ...)                                                    \
    do {                                                                                      \
        if (!(condition)) return merit_fail(ctx, MERIT_STATUS_INVALID_ARGUMENT, __VA_ARGS__); \
    } while (0)

// An enum or range of an int32 field: value in [low, high].
#define MERIT_REQUIRE_RANGE(ctx, desc, field, low, high)                  \
    MERIT_REQUIRE(ctx, (desc)->field >= (low) && (desc)->field <= (high), \
                  #field " is %d, expected %d..%d", (int)(desc)->field, (int)(low), (int)(high))

#define MERIT_REQUIRE_FLAG(ctx, desc, field) MERIT_REQUIRE_RANGE(ctx, desc, field, 0, 1)

#endif
