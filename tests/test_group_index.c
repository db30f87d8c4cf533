// group_index: ids to offsets and a stable index.
#include <stdlib.h>
#include <string.h>

#include "advantage_case.h"
#include "group_case.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

static int64_t *new_ids(int64_t count)
{
    int64_t *const ids = calloc((size_t)count + 1, sizeof *ids);
    cr_assert(ids != NULL);
    return ids;
}

// By hand -----------------------------------------------------------------------------------------

static void expect_hand(tk_fixture *tk, const gi_case *c, const int64_t *offsets,
                        const int32_t *index, const int32_t *group_of, int64_t num_groups,
                        int32_t max_size)
{
    gi_result r = gi_run_on(tk, tk->ctx, c);
    tk_expect_ok(tk->ctx, r.status);
    tk_expect_bits(r.offsets, offsets, r.num_offsets, sizeof(int64_t));
    tk_expect_bits(r.index, index, c->d.num_rows, sizeof(int32_t));
    tk_expect_bits(r.group_of, group_of, c->d.num_rows, sizeof(int32_t));
    TK_EXPECT(r.num_groups == num_groups, "num_groups is %lld", (long long)r.num_groups);
    TK_EXPECT(r.max_size == max_size, "max_size is %d", (int)r.max_size);
    gi_free(&r);
}

// Id 3 has no row: its group is empty.
TK_TEST(group_index, dense_ids_give_groups_in_id_order)
{
    const int64_t ids[] = {2, 0, 2, 1, 0};
    const int64_t offsets[] = {0, 2, 3, 5, 5};
    const int32_t index[] = {1, 4, 3, 0, 2};
    const int32_t group_of[] = {2, 0, 2, 1, 0};
    gi_case c = gi_make(MERIT_GROUP_KIND_DENSE, ids, 5, 4);
    expect_hand(tk, &c, offsets, index, group_of, 4, 2);
    c.d.id_dtype = MERIT_DTYPE_I32;
    expect_hand(tk, &c, offsets, index, group_of, 4, 2);
}

// The second 7 is another group. Offsets past the last group repeat it.
TK_TEST(group_index, a_run_begins_wherever_the_id_changes)
{
    const int64_t ids[] = {7, 7, 3, 7};
    const int64_t offsets[] = {0, 2, 3, 4, 4};
    const int32_t index[] = {0, 1, 2, 3};
    const int32_t group_of[] = {0, 0, 1, 2};
    const gi_case c = gi_make(MERIT_GROUP_KIND_RUNS, ids, 4, 0);
    expect_hand(tk, &c, offsets, index, group_of, 3, 2);
}

// A row in no group ends the run before it.
TK_TEST(group_index, a_negative_id_splits_a_run)
{
    const int64_t ids[] = {-1, 7, 7, -2, 7, -2, 5};
    const int64_t offsets[] = {0, 2, 3, 4, 4, 4, 4, 4};
    const int32_t index[] = {1, 2, 4, 6, 0, 3, 5};
    const int32_t group_of[] = {-1, 0, 0, -1, 1, -1, 2};
    const gi_case c = gi_make(MERIT_GROUP_KIND_RUNS, ids, 7, 0);
    expect_hand(tk, &c, offsets, index, group_of, 3, 2);
}

TK_TEST(group_index, labels_come_in_ascending_order)
{
    const int64_t ids[] = {9000000000000, -5, 9000000000000, 4};
    const int64_t offsets[] = {0, 1, 3, 3, 3};
    const int32_t index[] = {3, 0, 2, 1};
    const int32_t group_of[] = {1, -1, 1, 0};
    const gi_case c = gi_make(MERIT_GROUP_KIND_LABELS, ids, 4, 0);
    expect_hand(tk, &c, offsets, index, group_of, 2, 2);
}

TK_TEST(group_index, only_negative_ids_make_no_group)
{
    const int64_t ids[] = {-1, INT64_MIN, -7};
    const int64_t zeros[4] = {0};
    const int32_t index[] = {0, 1, 2};
    const int32_t group_of[] = {-1, -1, -1};
    const gi_case dense = gi_make(MERIT_GROUP_KIND_DENSE, ids, 3, 2);
    const gi_case runs = gi_make(MERIT_GROUP_KIND_RUNS, ids, 3, 0);
    const gi_case labels = gi_make(MERIT_GROUP_KIND_LABELS, ids, 3, 0);
    expect_hand(tk, &dense, zeros, index, group_of, 2, 0);
    expect_hand(tk, &runs, zeros, index, group_of, 0, 0);
    expect_hand(tk, &labels, zeros, index, group_of, 0, 0);
}

TK_TEST(group_index, an_id_at_or_above_n_puts_the_row_in_no_group_and_is_counted)
{
    const int64_t ids[] = {3, 1, INT64_MAX, -1, 2};
    const int64_t offsets[] = {0, 0, 1, 2};
    const int32_t index[] = {1, 4, 0, 2, 3};
    const int32_t group_of[] = {-1, 1, -1, -1, 2};
    const gi_case c = gi_make(MERIT_GROUP_KIND_DENSE, ids, 5, 3);
    expect_hand(tk, &c, offsets, index, group_of, 3, 1);
    gi_result r = gi_run_on(tk, tk->ctx, &c);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_ID] == 2, "bad ids: %d",
              (int)r.diagnostics.count[MERIT_COUNTER_BAD_ID]);
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_UNGROUPED] == 1, "ungrouped: %d",
              (int)r.diagnostics.count[MERIT_COUNTER_UNGROUPED]);
    gi_free(&r);
}

TK_TEST(group_index, no_rows_give_empty_groups)
{
    for (int32_t kind = MERIT_GROUP_KIND_DENSE; kind <= MERIT_GROUP_KIND_LABELS; kind++) {
        gi_case c = gi_make(kind, NULL, 0, kind == MERIT_GROUP_KIND_DENSE ? 3 : 0);
        gi_expect_oracle(tk, tk->ctx, &c);
        merit_group_index_io io = {.struct_size = sizeof io};
        io.offsets = tk_output(tk, 4, sizeof(int64_t));
        size_t bytes;
        tk_expect_ok(tk->ctx, merit_group_index_workspace(tk->ctx, &c.d, &bytes));
        tk_expect_ok(tk->ctx, merit_group_index(tk->ctx, &c.d, &io, tk_workspace(tk, bytes), bytes,
                                                NULL)); // ids and index NULL
        tk_release(tk);
    }
}

// The oracle --------------------------------------------------------------------------------------

typedef enum fill {
    ALL_SAME,
    ALL_DISTINCT,
    FEW,
    MANY,
    SORTED,
    SPARSE_BITS,
    ANY_LABEL,
    REPEATED_LABEL,
    WITH_HOLES,
    NUM_FILLS
} fill;

// Ids in [0, groups) except for the labels, SPARSE_BITS and the holes.
static void fill_ids(int64_t *ids, int64_t rows, int64_t groups, fill how, tk_random *random)
{
    for (int64_t i = 0; i < rows; i++) {
        switch (how) {
        case ALL_SAME: ids[i] = groups - 1; break;
        case ALL_DISTINCT: ids[i] = (i * 7919 + 5) % (rows == 7919 ? rows + 1 : rows); break;
        case FEW: ids[i] = tk_below(random, groups < 3 ? groups : 3); break;
        case SORTED: ids[i] = i * groups / rows; break;
        case SPARSE_BITS: ids[i] = tk_below(random, 4) << 29 | tk_below(random, 3) << 7; break;
        case ANY_LABEL: ids[i] = (int64_t)(tk_bits(random) >> 1); break;
        case REPEATED_LABEL: {
            const uint64_t one =
                (uint64_t)tk_below(random, groups < rows / 8 ? groups : rows / 8 + 1);
            ids[i] = (int64_t)(one * 0xd1342543de82ef95u >> 1);
            if (tk_chance(random, 0.05)) ids[i] = -1 - tk_below(random, 9);
            break;
        }
        case WITH_HOLES:
            ids[i] = tk_chance(random, 0.2) ? -1 - tk_below(random, 9) : tk_below(random, groups);
            if (tk_chance(random, 0.05)) ids[i] = groups + tk_below(random, 300);
            break;
        default: ids[i] = tk_below(random, groups); break;
        }
    }
}

// Every `step`-th fill; the type of the ids alternates.
static void expect_fills(tk_fixture *tk, int64_t rows, int64_t groups, int step)
{
    tk_random random = {(uint64_t)(rows * 131 + groups)};
    int64_t *const ids = new_ids(rows);
    for (int how = (int)(rows % step); how < NUM_FILLS; how += step) {
        fill_ids(ids, rows, groups, (fill)how, &random);
        for (int32_t kind = MERIT_GROUP_KIND_DENSE; kind <= MERIT_GROUP_KIND_LABELS; kind++) {
            gi_case c = gi_make(kind, ids, rows, groups);
            const int is_long = how == ANY_LABEL || how == REPEATED_LABEL || how == SPARSE_BITS;
            const int wide = is_long || (rows + how + kind) % 2 == 0;
            c.d.id_dtype = wide ? MERIT_DTYPE_I64 : MERIT_DTYPE_I32;
            tk_case("%lld rows, %lld groups, fill %d, kind %d, %s ids", (long long)rows,
                    (long long)groups, how, (int)kind, wide ? "i64" : "i32");
            gi_expect_oracle(tk, tk->ctx, &c);
        }
    }
    free(ids);
}

TK_TEST(group_index, agrees_with_sorting_at_small_sizes)
{
    static const int64_t rows[] = {1, 2, 31, 32, 33, 255, 256, 257, 1023, 1025, 7919};
    static const int64_t groups[] = {1, 2, 255, 256, 300, 70000};
    const int step = tk->kind == TK_SIMT ? 3 : 1;
    for (int i = 0; i < COUNT(rows); i++) {
        for (int j = i % step; j < COUNT(groups); j += step) {
            expect_fills(tk, rows[i], groups[j], rows[i] > 300 ? step : 1);
        }
    }
}

TK_TEST(group_index, agrees_with_sorting_around_tile_and_block_limits)
{
    static const int64_t rows[] = {8191, 8192, 8193, 16383, 16384, 16385, 24577};
    for (int i = 0; i < COUNT(rows); i++) {
        expect_fills(tk, rows[i], 1000, 3);
    }
}

TK_TEST(group_index, agrees_with_sorting_at_large_sizes)
{
    expect_fills(tk, 65537, 5000, tk->kind == TK_SIMT ? 5 : 1); // holes among them
    if (tk->kind == TK_SIMT) return;
    expect_fills(tk, 65535, 65536, 2);
    expect_fills(tk, 300000, 70000, 3);
}

// More ids than one block writes, and far more than rows.
TK_TEST(group_index, takes_many_more_groups_than_rows)
{
    const int64_t ids[] = {99999, 3, 99999, 65536, -1};
    for (int64_t rows = 0; rows <= 5; rows += 5) {
        gi_case c = gi_make(MERIT_GROUP_KIND_DENSE, ids, rows, 100000);
        gi_expect_oracle(tk, tk->ctx, &c);
    }
}

// Each label differs from another in a single bit, the highest and the lowest among them.
TK_TEST(group_index, orders_labels_that_differ_in_one_bit)
{
    int64_t ids[126];
    for (int bit = 0; bit < 63; bit++) {
        ids[2 * bit] = (int64_t)1 << bit;
        ids[2 * bit + 1] = INT64_MAX - ((int64_t)1 << (62 - bit));
    }
    gi_case c = gi_make(MERIT_GROUP_KIND_LABELS, ids, 126, 0);
    gi_expect_oracle(tk, tk->ctx, &c);
    ids[60] = -3;
    gi_expect_oracle(tk, tk->ctx, &c);
    for (int bit = 0; bit < 63; bit++) { // one bit, with and without rows in no group
        int64_t two[] = {(int64_t)1 << bit, 0, (int64_t)1 << bit, 0};
        gi_case d = gi_make(MERIT_GROUP_KIND_LABELS, two, 4, 0);
        gi_expect_oracle(tk, tk->ctx, &d);
        two[2] = -1;
        gi_expect_oracle(tk, tk->ctx, &d);
    }
}

// Labels that one table of a CPU keeps in the same place, which makes it slow: hash is k for small k.
TK_TEST(group_index, orders_labels_of_one_slot)
{
    enum { ROWS = 12000, LABELS = 2000 };
    const uint64_t factor = 0x9e3779b97f4a7c15u;
    uint64_t inverse = factor;
    for (int step = 0; step < 5; step++) {
        inverse *= 2 - factor * inverse;
    }
    int64_t *const ids = new_ids(ROWS);
    uint64_t k = 0;
    for (int i = 0; i < LABELS; i++) {
        uint64_t mixed;
        do {
            mixed = ++k * inverse;
        } while (mixed >> 63 != 0);
        ids[i] = (int64_t)(mixed ^ mixed >> 32);
    }
    tk_random random = {17};
    for (int i = LABELS; i < ROWS; i++) {
        ids[i] = tk_chance(&random, 0.01) ? -1 : ids[tk_below(&random, LABELS)];
    }
    const gi_case few = gi_make(MERIT_GROUP_KIND_LABELS, ids, 2 * LABELS, 0);
    gi_expect_oracle(tk, tk->ctx, &few);
    const gi_case all = gi_make(MERIT_GROUP_KIND_LABELS, ids, ROWS, 0);
    gi_expect_oracle(tk, tk->ctx, &all);
    free(ids);
}

// Properties --------------------------------------------------------------------------------------

TK_TEST(group_index, the_optional_outputs_may_be_absent)
{
    tk_random random = {3};
    int64_t *const ids = new_ids(20000);
    fill_ids(ids, 20000, 500, WITH_HOLES, &random);
    for (int outputs = 0; outputs < GI_ALL; outputs++) {
        for (int32_t kind = MERIT_GROUP_KIND_DENSE; kind <= MERIT_GROUP_KIND_LABELS; kind++) {
            gi_case c = gi_make(kind, ids, outputs % 5 == kind ? 20000 : 600, 500);
            c.outputs = outputs;
            gi_expect_oracle(tk, tk->ctx, &c);
        }
    }
    for (int wide = 0; wide <= 1; wide++) { // runs without a hole
        fill_ids(ids, 20000, 1500, wide ? SORTED : FEW, &random);
        gi_case c = gi_make(MERIT_GROUP_KIND_RUNS, ids, 20000, 0);
        c.outputs = 0;
        c.d.id_dtype = wide ? MERIT_DTYPE_I64 : MERIT_DTYPE_I32;
        gi_expect_oracle(tk, tk->ctx, &c);
    }
    free(ids);
}

TK_TEST(group_index, permuted_ids_give_permuted_groups)
{
    enum { ROWS = 3000, GROUPS = 40 };
    tk_random random = {8};
    int64_t ids[ROWS], renamed[ROWS], name[GROUPS];
    fill_ids(ids, ROWS, GROUPS, MANY, &random);
    for (int n = 0; n < GROUPS; n++) {
        name[n] = (n * 11 + 7) % GROUPS;
    }
    for (int i = 0; i < ROWS; i++) {
        renamed[i] = name[ids[i]];
    }
    const gi_case c = gi_make(MERIT_GROUP_KIND_DENSE, ids, ROWS, GROUPS);
    const gi_case d = gi_make(MERIT_GROUP_KIND_DENSE, renamed, ROWS, GROUPS);
    gi_result r = gi_run_on(tk, tk->ctx, &c), s = gi_run_on(tk, tk->ctx, &d);
    for (int n = 0; n < GROUPS; n++) {
        const int64_t size = r.offsets[n + 1] - r.offsets[n];
        TK_EXPECT(s.offsets[name[n] + 1] - s.offsets[name[n]] == size, "group %d has another size",
                  n);
        tk_expect_bits(s.index + s.offsets[name[n]], r.index + r.offsets[n], size, 4);
    }
    gi_free(&r);
    gi_free(&s);
}

TK_TEST(group_index, gives_the_same_with_any_number_of_threads)
{
    static const int threads[] = {1, 2, 5, 16};
    tk_random random = {4};
    int64_t *const ids = new_ids(70000);
    fill_ids(ids, 70000, 9000, WITH_HOLES, &random);
    for (int i = 0; i < (tk->kind == TK_CPU ? COUNT(threads) : 1); i++) {
        merit_context *const ctx = tk_context(tk, threads[i]);
        for (int32_t kind = MERIT_GROUP_KIND_DENSE; kind <= MERIT_GROUP_KIND_LABELS; kind++) {
            gi_case c = gi_make(kind, ids, 70000, 9000);
            gi_expect_oracle(tk, ctx, &c);
        }
        merit_context_destroy(ctx);
    }
    free(ids);
}

TK_TEST(group_index, a_workspace_serves_one_call_after_another)
{
    enum { ROWS = 17000, GROUPS = 700 };
    tk_random random = {12};
    int64_t *const ids = new_ids(ROWS);
    fill_ids(ids, ROWS, GROUPS, WITH_HOLES, &random);
    merit_group_index_desc d = gi_make(MERIT_GROUP_KIND_LABELS, ids, ROWS, GROUPS).d;
    size_t bytes;
    tk_expect_ok(tk->ctx, merit_group_index_workspace(tk->ctx, &d, &bytes));
    void *const workspace = tk_workspace(tk, bytes);
    merit_group_index_io io = {.struct_size = sizeof io};
    io.ids = tk_input(tk, ids, ROWS, sizeof *ids);
    int32_t *first = NULL;
    for (int call = 0; call < 3; call++) {
        io.offsets = tk_output(tk, ROWS + 1, sizeof(int64_t));
        io.index = tk_output(tk, ROWS, sizeof(int32_t));
        d.kind = call == 1 ? MERIT_GROUP_KIND_DENSE : MERIT_GROUP_KIND_LABELS;
        tk_expect_ok(tk->ctx, merit_group_index(tk->ctx, &d, &io, workspace, bytes, NULL));
        int32_t *const index = calloc(ROWS, sizeof *index);
        tk_read(tk, io.index, index, ROWS, sizeof *index);
        if (call == 2) tk_expect_bits(index, first, ROWS, sizeof *index);
        if (call == 0) {
            first = index;
        } else {
            free(index);
        }
    }
    free(first);
    free(ids);
}

TK_TEST(group_index, one_block_in_one_launch_does_up_to_16384_rows)
{
    int64_t *const ids = new_ids(16385);
    for (int32_t kind = MERIT_GROUP_KIND_DENSE; kind <= MERIT_GROUP_KIND_LABELS; kind++) {
        for (int64_t rows = 16384; rows <= 16385; rows++) {
            gi_case c = gi_make(kind, ids, rows, 1);
            tk_launches(tk);
            gi_expect_oracle(tk, tk->ctx, &c);
            const int launches = tk_launches(tk);
            if (tk->emulated) {
                TK_EXPECT((launches == 1) == (rows == 16384), "%d launches", launches);
            }
        }
    }
    free(ids);
}

// With advantage_group ----------------------------------------------------------------------------

// Offsets and index go straight into a merit_groups; with labels, the rows bound the groups.
TK_TEST(group_index, advantages_through_index_equal_those_of_sorted_rows)
{
    enum { ROWS = 600, GROUPS = 90 };
    tk_random random = {21};
    int64_t ids[ROWS];
    float rewards[ROWS], sorted[ROWS], expected[ROWS], scattered[ROWS];
    for (int i = 0; i < ROWS; i++) {
        ids[i] = tk_below(&random, GROUPS);
        rewards[i] = (float)tk_normal(&random);
    }
    for (int32_t kind = MERIT_GROUP_KIND_DENSE; kind <= MERIT_GROUP_KIND_LABELS; kind += 2) {
        const gi_case c = gi_make(kind, ids, ROWS, GROUPS);
        gi_result r = gi_run_on(tk, tk->ctx, &c);
        for (int p = 0; p < ROWS; p++) {
            sorted[p] = rewards[r.index[p]];
        }
        ag_case by_index = ag_uniform("grpo", 0, 0, rewards);
        by_index.d.groups.num_groups = r.num_offsets - 1;
        by_index.d.groups.offsets = r.offsets;
        by_index.d.num_rows = ROWS;
        by_index.outputs = AG_ADVANTAGES;
        ag_case in_order = by_index;
        in_order.io.rewards = sorted;
        by_index.d.groups.index = r.index;
        ag_result a = ag_run_on(tk, tk->ctx, &by_index), b = ag_run_on(tk, tk->ctx, &in_order);
        tk_expect_ok(tk->ctx, a.status);
        tk_expect_ok(tk->ctx, b.status);
        memcpy(expected, b.advantages, sizeof expected);
        for (int p = 0; p < ROWS; p++) {
            scattered[r.index[p]] = expected[p];
        }
        tk_expect_bits(a.advantages, scattered, ROWS, sizeof(float));
        ag_free(&a);
        ag_free(&b);
        gi_free(&r);
    }
}
