// advantage_spread: the errors of its page, and that nothing is written on any of them.
#include <math.h>

#include "tk.h"

typedef struct call {
    merit_advantage_spread_desc d;
    merit_advantage_spread_io io;
} call;

static call valid_call(tk_fixture *tk)
{
    static const float values[] = {1, 2};
    static const float add[] = {1, 2, 3, 4};
    call c = {.io = {.struct_size = sizeof c.io}};
    cr_assert(merit_advantage_spread_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.num_tokens = 4;
    c.d.segments.num_groups = 2;
    c.d.segments.group_size = 2;
    c.io.values = tk_input(tk, values, 2, sizeof(float));
    c.io.add = tk_input(tk, add, 4, sizeof(float));
    c.io.out = tk_output(tk, 4, sizeof(float));
    return c;
}

static void expect_rejected(tk_fixture *tk, const call *c, const char *words)
{
    unsigned char bytes[16];
    tk_expect_rejected(tk->ctx, merit_advantage_spread(tk->ctx, &c->d, &c->io, NULL, 0, NULL),
                       MERIT_STATUS_INVALID_ARGUMENT, words);
    if (c->io.out != NULL && c->io.out != c->io.values) {
        tk_read(tk, c->io.out, bytes, 4, sizeof(float));
        TK_EXPECT(tk_untouched(bytes, 16, 1), "out was written");
    }
    tk_release(tk);
}

#define EXPECT_INVALID(change, words)   \
    do {                                \
        call c = valid_call(tk);        \
        change;                         \
        expect_rejected(tk, &c, words); \
    } while (0)

TK_TEST(advantage_spread, rejects_bad_arguments_and_writes_nothing)
{
    static const int64_t offsets[] = {0, 2, 4};
    EXPECT_INVALID(c.d.num_tokens = -1, "merit_advantage_spread|num_tokens is -1");
    EXPECT_INVALID(c.d.num_tokens = INT64_MAX, "num_tokens is 9223372036854775807|2^60");
    EXPECT_INVALID(c.d.value_dtype = MERIT_DTYPE_BF16, "value_dtype is 2|0..1");
    EXPECT_INVALID(c.d.out_dtype = MERIT_DTYPE_F64, "out_dtype is 1|F32 (0)|BF16 (2)");
    EXPECT_INVALID(c.d.out_dtype = -1, "out_dtype is -1");
    EXPECT_INVALID(c.d.gain = NAN, "merit_advantage_spread|gain is NaN");
    EXPECT_INVALID(c.d.segments.num_groups = -1, "segments.num_groups is -1");
    EXPECT_INVALID(c.d.segments.num_groups = 3, "segments has 3 groups of 2|4 rows");
    EXPECT_INVALID(c.d.segments.group_stride = 1, "segments.group_stride is 1");
    EXPECT_INVALID(c.d.segments.group_size = 0, "segments.offsets is NULL");
    EXPECT_INVALID(c.d.segments.offsets = offsets, "segments.group_size is 2|offsets");
    EXPECT_INVALID(c.io.values = NULL, "merit_advantage_spread|values is NULL");
    EXPECT_INVALID(c.io.out = NULL, "merit_advantage_spread|out is NULL");
    EXPECT_INVALID(c.io.mask = (uint8_t *)c.io.out + 3, "out|overlaps|mask");
    EXPECT_INVALID(c.io.add = (float *)c.io.out + 1, "out|overlaps|add");
    EXPECT_INVALID((c.d.out_dtype = MERIT_DTYPE_BF16, c.io.add = c.io.out), "out|overlaps|add");
    EXPECT_INVALID(c.io.struct_size = 0, "io->struct_size is 0");
    EXPECT_INVALID(c.d.struct_size = 8, "desc->struct_size is 8");
}

TK_TEST(advantage_spread, rejects_missing_structs)
{
    call c = valid_call(tk);
    size_t bytes;
    merit_context *const ctx = tk->ctx;
    const merit_status invalid = MERIT_STATUS_INVALID_ARGUMENT;
    TK_EXPECT(merit_advantage_spread(NULL, &c.d, &c.io, NULL, 0, NULL) == invalid, "ctx");
    tk_expect_rejected(ctx, merit_advantage_spread(ctx, NULL, &c.io, NULL, 0, NULL), invalid,
                       "desc is NULL");
    tk_expect_rejected(ctx, merit_advantage_spread(ctx, &c.d, NULL, NULL, 0, NULL), invalid,
                       "io is NULL");
    tk_expect_rejected(ctx, merit_advantage_spread_workspace(ctx, NULL, &bytes), invalid,
                       "desc is NULL");
    tk_expect_rejected(ctx, merit_advantage_spread_workspace(ctx, &c.d, NULL), invalid,
                       "bytes is NULL");
    TK_EXPECT(merit_advantage_spread_desc_init(NULL, sizeof c.d) == invalid, "desc_init of NULL");
}
