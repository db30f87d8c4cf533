#include "group_case.h"

#include <stdlib.h>
#include <string.h>

static int64_t offset_count(const merit_group_index_desc *d)
{
    return (d->kind == MERIT_GROUP_KIND_DENSE ? d->num_groups : d->num_rows) + 1;
}

gi_case gi_make(int32_t kind, const int64_t *ids, int64_t num_rows, int64_t num_groups)
{
    gi_case c = {.ids = ids, .outputs = GI_ALL};
    cr_assert(merit_group_index_desc_init(&c.d, sizeof c.d) == MERIT_STATUS_OK);
    c.d.kind = kind;
    c.d.num_rows = num_rows;
    c.d.num_groups = num_groups;
    return c;
}

static const void *move_ids(tk_fixture *tk, const gi_case *c)
{
    const int64_t R = c->d.num_rows;
    if (c->d.id_dtype == MERIT_DTYPE_I64) return tk_input(tk, c->ids, R, sizeof(int64_t));
    int32_t *const narrow = calloc((size_t)R + 1, sizeof *narrow);
    cr_assert(narrow != NULL);
    for (int64_t i = 0; i < R; i++) {
        narrow[i] = (int32_t)c->ids[i];
    }
    const void *const block = tk_input(tk, narrow, R, sizeof *narrow);
    free(narrow);
    return block;
}

static void *read_back(tk_fixture *tk, const void *block, int64_t count, size_t size)
{
    if (block == NULL) return NULL;
    void *const host = calloc((size_t)count + 1, size);
    cr_assert(host != NULL);
    tk_read(tk, block, host, count, size);
    return host;
}

gi_result gi_run_on(tk_fixture *tk, merit_context *ctx, const gi_case *c)
{
    const merit_group_index_desc d = c->d;
    gi_result r = {.num_offsets = offset_count(&d)};
    merit_group_index_io io = {.struct_size = sizeof io};
    io.ids = move_ids(tk, c);
    io.offsets = tk_output(tk, r.num_offsets, sizeof(int64_t));
    io.index = tk_output(tk, d.num_rows, sizeof(int32_t));
    if (c->outputs & GI_GROUP_OF) io.group_of = tk_output(tk, d.num_rows, sizeof(int32_t));
    if (c->outputs & GI_NUM_GROUPS) io.num_groups = tk_output(tk, 1, sizeof(int64_t));
    if (c->outputs & GI_MAX_SIZE) io.max_size = tk_output(tk, 1, sizeof(int32_t));
    if (c->outputs & GI_DIAGNOSTICS) {
        io.diagnostics = tk_inout(tk, &r.diagnostics, 1, sizeof r.diagnostics);
    }
    size_t bytes = 0;
    r.status = merit_group_index_workspace(ctx, &d, &bytes);
    if (r.status == MERIT_STATUS_OK) {
        r.status = merit_group_index(ctx, &d, &io, tk_workspace(tk, bytes), bytes, NULL);
    }
    r.offsets = read_back(tk, io.offsets, r.num_offsets, sizeof(int64_t));
    r.index = read_back(tk, io.index, d.num_rows, sizeof(int32_t));
    r.group_of = read_back(tk, io.group_of, d.num_rows, sizeof(int32_t));
    if (io.num_groups != NULL) tk_read(tk, io.num_groups, &r.num_groups, 1, sizeof r.num_groups);
    if (io.max_size != NULL) tk_read(tk, io.max_size, &r.max_size, 1, sizeof r.max_size);
    if (io.diagnostics != NULL) {
        tk_read(tk, io.diagnostics, &r.diagnostics, 1, sizeof r.diagnostics);
    }
    tk_release(tk);
    return r;
}

void gi_free(gi_result *r)
{
    free(r->offsets);
    free(r->index);
    free(r->group_of);
}

static group_oracle_kind oracle_kind(int32_t kind)
{
    return kind == MERIT_GROUP_KIND_DENSE  ? GROUP_ORACLE_DENSE
           : kind == MERIT_GROUP_KIND_RUNS ? GROUP_ORACLE_RUNS
                                           : GROUP_ORACLE_LABELS;
}

void gi_expect_oracle(tk_fixture *tk, merit_context *ctx, const gi_case *c)
{
    gi_result r = gi_run_on(tk, ctx, c);
    tk_expect_ok(ctx, r.status);
    if (tk->is_first_run) {
        group_oracle o =
            group_oracle_index(oracle_kind(c->d.kind), c->ids, c->d.num_rows, c->d.num_groups);
        tk_expect_bits(r.offsets, o.offsets, o.num_offsets, sizeof(int64_t));
        tk_expect_bits(r.index, o.index, c->d.num_rows, sizeof(int32_t));
        if (c->outputs & GI_GROUP_OF) {
            tk_expect_bits(r.group_of, o.group_of, c->d.num_rows, sizeof(int32_t));
        }
        if (c->outputs & GI_NUM_GROUPS) tk_expect_bits(&r.num_groups, &o.num_groups, 1, 8);
        if (c->outputs & GI_MAX_SIZE) tk_expect_bits(&r.max_size, &o.max_size, 1, 4);
        if (c->outputs & GI_DIAGNOSTICS) {
            merit_diagnostics expected = {{0}};
            expected.count[MERIT_COUNTER_UNGROUPED] = o.ungrouped;
            expected.count[MERIT_COUNTER_BAD_ID] = o.bad_ids;
            tk_expect_bits(r.diagnostics.count, expected.count, MERIT_NUM_COUNTERS, 8);
        }
        group_oracle_free(&o);
    }
    gi_free(&r);
}
