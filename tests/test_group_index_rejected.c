// group_index: the errors of its page, and that nothing is written on any of them.
#include "group_case.h"

typedef struct call {
    merit_group_index_desc d;
    merit_group_index_io io;
    size_t bytes;
    void *workspace;
} call;

static call valid_call(tk_fixture *tk)
{
    static const int64_t ids[] = {1, 0, 1, 1};
    call c = {.io = {.struct_size = sizeof c.io}};
    c.d = gi_make(MERIT_GROUP_KIND_DENSE, ids, 4, 2).d;
    c.io.ids = tk_input(tk, ids, 4, sizeof(int64_t));
    c.io.offsets = tk_output(tk, 5, sizeof(int64_t));
    c.io.index = tk_output(tk, 4, sizeof(int32_t));
    c.io.group_of = tk_output(tk, 4, sizeof(int32_t));
    c.io.num_groups = tk_output(tk, 1, sizeof(int64_t));
    c.io.max_size = tk_output(tk, 1, sizeof(int32_t));
    tk_expect_ok(tk->ctx, merit_group_index_workspace(tk->ctx, &c.d, &c.bytes));
    c.workspace = tk_workspace(tk, c.bytes);
    return c;
}

static void expect_rejected(tk_fixture *tk, const call *c, merit_status expected, const char *words)
{
    unsigned char bytes[40];
    const merit_status status =
        merit_group_index(tk->ctx, &c->d, &c->io, c->workspace, c->bytes, NULL);
    tk_expect_rejected(tk->ctx, status, expected, words);
    if (c->io.offsets != NULL) {
        tk_read(tk, c->io.offsets, bytes, 5, sizeof(int64_t));
        TK_EXPECT(tk_untouched(bytes, 40, 1), "offsets were written");
    }
    if (c->io.index != NULL && (void *)c->io.index != (void *)c->io.offsets) {
        tk_read(tk, c->io.index, bytes, 4, sizeof(int32_t));
        TK_EXPECT(tk_untouched(bytes, 16, 1), "index was written");
    }
    tk_release(tk);
}

#define EXPECT_INVALID(change, words)                                  \
    do {                                                               \
        call c = valid_call(tk);                                       \
        change;                                                        \
        expect_rejected(tk, &c, MERIT_STATUS_INVALID_ARGUMENT, words); \
    } while (0)

TK_TEST(group_index, rejects_bad_arguments_and_writes_nothing)
{
    EXPECT_INVALID(c.d.kind = 3, "merit_group_index|kind is 3|0..2");
    EXPECT_INVALID(c.d.kind = -1, "merit_group_index|kind is -1");
    EXPECT_INVALID(c.d.id_dtype = MERIT_DTYPE_F32, "merit_group_index|id_dtype is 0|4..5");
    EXPECT_INVALID(c.d.num_rows = -1, "merit_group_index|num_rows is -1|2^31 - 1");
    EXPECT_INVALID(c.d.num_rows = (int64_t)1 << 31, "num_rows is 2147483648|2^31 - 1");
    EXPECT_INVALID(c.d.num_groups = -2, "merit_group_index|num_groups is -2|2^31 - 1");
    EXPECT_INVALID(c.d.num_groups = (int64_t)1 << 31, "num_groups is 2147483648");
    EXPECT_INVALID(c.io.ids = NULL, "merit_group_index|ids is NULL");
    EXPECT_INVALID(c.io.offsets = NULL, "merit_group_index|offsets is NULL");
    EXPECT_INVALID(c.io.index = NULL, "merit_group_index|index is NULL");
    EXPECT_INVALID(c.io.index = (int32_t *)c.io.offsets, "offsets|overlaps|index");
    EXPECT_INVALID(c.io.group_of = c.io.index, "index|overlaps|group_of");
    EXPECT_INVALID(c.io.max_size = c.io.index + 3, "index|overlaps|max_size");
    EXPECT_INVALID(c.io.struct_size = 8, "io->struct_size is 8");
    EXPECT_INVALID(c.d.struct_size = 8, "desc->struct_size is 8");
    EXPECT_INVALID(c.workspace = (char *)c.workspace + 8, "workspace|256-byte aligned");
}

TK_TEST(group_index, rejects_a_small_workspace)
{
    call c = valid_call(tk);
    c.bytes--;
    expect_rejected(tk, &c, MERIT_STATUS_WORKSPACE_TOO_SMALL, "merit_group_index|workspace");
    c = valid_call(tk);
    c.workspace = NULL;
    expect_rejected(tk, &c, MERIT_STATUS_WORKSPACE_TOO_SMALL, "workspace|0 bytes");
}

TK_TEST(group_index, rejects_missing_structs)
{
    call c = valid_call(tk);
    size_t bytes;
    merit_context *const ctx = tk->ctx;
    const merit_status invalid = MERIT_STATUS_INVALID_ARGUMENT;
    TK_EXPECT(merit_group_index(NULL, &c.d, &c.io, c.workspace, c.bytes, NULL) == invalid, "ctx");
    tk_expect_rejected(ctx, merit_group_index(ctx, NULL, &c.io, c.workspace, c.bytes, NULL),
                       invalid, "desc is NULL");
    tk_expect_rejected(ctx, merit_group_index(ctx, &c.d, NULL, c.workspace, c.bytes, NULL), invalid,
                       "io is NULL");
    tk_expect_rejected(ctx, merit_group_index_workspace(ctx, NULL, &bytes), invalid,
                       "desc is NULL");
    tk_expect_rejected(ctx, merit_group_index_workspace(ctx, &c.d, NULL), invalid, "bytes is NULL");
    TK_EXPECT(merit_group_index_desc_init(NULL, sizeof c.d) == invalid, "desc_init of NULL");
    TK_EXPECT(merit_group_index_desc_init(&c.d, 8) == invalid, "desc_init of 8 bytes");
}
