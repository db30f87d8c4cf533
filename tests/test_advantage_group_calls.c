// advantage_group: how a call is made must not show: threads, places, workspaces, launches, ranks.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advantage_random.h"

// ROOM: one group of 2049 members in three columns
enum { ROWS = 4001, ROOM = 3 * 2049 };

static float rewards[ROOM];

static void fill(uint64_t seed)
{
    tk_random random = {.state = seed};
    for (int i = 0; i < ROOM; i++) {
        rewards[i] = (float)tk_normal(&random);
    }
}

TK_TEST(advantage_group, any_number_of_threads_gives_the_same_bits)
{
    static const char *const presets[] = {"grpo", "trl.batch", "nemo.grpo", "gpg"};
    static const int sizes[] = {1, 8, 30, 257, 3000};
    fill(1);
    if (tk->kind == TK_SIMT) return; // one thread runs the emulator
    for (int p = 0; p < 4; p++) {
        for (int s = 0; s < 5; s++) {
            ag_case c = ag_uniform(presets[p], ROWS / sizes[s], sizes[s], rewards);
            c.d.batch_record = 1;
            ag_result one = {0};
            for (int threads = 1; threads <= 16; threads += TK_RARER) {
                merit_context *const ctx = tk_context(tk, threads);
                ag_result r = ag_run_on(tk, ctx, &c);
                tk_case("%s, size %d, %d threads", presets[p], sizes[s], threads);
                tk_expect_ok(ctx, r.status);
                merit_context_destroy(ctx);
                if (threads == 1) {
                    one = r;
                    continue;
                }
                tk_expect_bits(r.advantages, one.advantages, r.num_values, sizeof(float));
                tk_expect_bits(r.group_scale, one.group_scale, r.num_records, sizeof(double));
                tk_expect_bits(r.batch, one.batch, 1, sizeof(merit_moments));
                ag_free(&r);
            }
            ag_free(&one);
        }
    }
}

// A group beyond the caches, at a line of the cache and one reward further on.
TK_TEST(advantage_group, a_group_past_the_caches_gives_the_same_bits_anywhere)
{
    enum { MEMBERS = (1 << 22) + 11 };
    if (tk->kind != TK_CPU) return;
    tk_random random = {.state = 4};
    float *const x = malloc(MEMBERS * sizeof *x);
    float *const places[2] = {aligned_alloc(64, 4 * MEMBERS + 84), malloc(4 * MEMBERS + 68)};
    float *out[2];
    cr_assert(x != NULL && places[0] != NULL && places[1] != NULL);
    for (int i = 0; i < MEMBERS; i++) {
        x[i] = (float)tk_below(&random, 1000);
    }
    for (int way = 0; way < 2; way++) {
        ag_case c = ag_uniform("grpo", 1, MEMBERS, x);
        c.d.num_rows = MEMBERS;
        merit_advantage_group_io io = {.struct_size = sizeof io, .rewards = x};
        size_t bytes;
        merit_context *const ctx = tk_context(tk, 1 + way);
        out[way] = places[way] + (way == 1 && (uintptr_t)places[1] % 64 == 0);
        io.advantages = out[way];
        tk_expect_ok(ctx, merit_advantage_group_workspace(ctx, &c.d, &bytes));
        void *const workspace = aligned_alloc(256, (bytes + 256) / 256 * 256);
        tk_expect_ok(ctx, merit_advantage_group(ctx, &c.d, &io, workspace, bytes, NULL));
        merit_context_destroy(ctx);
        free(workspace);
    }
    tk_expect_bits(out[0], out[1], MEMBERS, sizeof(float));
    TK_EXPECT(fabsf(out[0][MEMBERS - 1]) < 2.0f && out[0][0] != 0.0f, "not normalized");
    free(x);
    free(places[0]);
    free(places[1]);
}

TK_TEST(advantage_group, in_place_gives_the_same_bits)
{
    static const char *const presets[] = {"grpo",  "trl.batch", "nemo.grpo",
                                          "maxrl", "tilted",    "jepo"};
    static const int sizes[] = {1, 8, 30, 257, 2049};
    const int rows = tk->kind == TK_SIMT ? 1000 : ROWS;
    fill(2);
    for (int p = 0; p < 6; p++) {
        for (int s = 0; s < 5; s++) {
            const int slow = sizes[s] > 30 && (tk->kind == TK_SIMT ? p >= 2 : p == 5);
            for (int columns = 1; columns <= 3 && !slow; columns += 2) {
                const int groups = rows / sizes[s] / columns;
                ag_case apart = ag_uniform(presets[p], groups > 0 ? groups : 1, sizes[s], rewards);
                apart.d.temperature = 1;
                apart.d.num_columns = columns;
                if (columns > 1) apart.d.columns = MERIT_COLUMNS_SEPARATE;
                ag_case together = apart;
                together.in_place = 1;
                tk_case("%s, size %d, %d columns", presets[p], sizes[s], columns);
                ag_expect_same(tk, &apart, &together, NULL);
            }
        }
    }
}

// Each call leaves its workspace as it needs to find it.
TK_TEST(advantage_group, a_workspace_is_initialized_once)
{
    static const char *const presets[] = {"trl.batch", "gpg", "grpo"};
    static const int sizes[] = {2, 30, 300};
    fill(3);
    for (int p = 0; p < 3; p++) {
        for (int s = 0; s < 3; s++) {
            ag_case once = ag_uniform(presets[p], ROWS / sizes[s], sizes[s], rewards);
            once.d.batch_record = 1;
            ag_case often = once;
            often.repeats = 3;
            tk_case("%s, size %d", presets[p], sizes[s]);
            ag_expect_same(tk, &once, &often, NULL);
        }
    }
}

TK_TEST(advantage_group, outputs_that_are_not_asked_for_change_nothing)
{
    fill(4);
    for (int outputs = 0; outputs < AG_ALL; outputs += 37) {
        ag_case all = ag_uniform("grpo", 30, 16, rewards), some = all;
        all.d.batch_record = some.d.batch_record = 1;
        some.outputs = outputs | AG_ADVANTAGES;
        ag_expect_same(tk, &all, &some, NULL);
        some.outputs = (outputs & ~(AG_ADVANTAGES | AG_DIAGNOSTICS)) | AG_MEAN;
        ag_result r = ag_run(tk, &some), full = ag_run(tk, &all);
        tk_expect_ok(tk->ctx, r.status);
        tk_expect_bits(r.group_mean, full.group_mean, r.num_records, sizeof(double));
        ag_free(&r), ag_free(&full);
    }
}

// The call for nothing but advantages has loops of its own for common options and sizes.
TK_TEST(advantage_group, advantages_alone_are_those_of_the_call_for_everything)
{
    static const int32_t centers[] = {MERIT_CENTER_NONE, MERIT_CENTER_MEAN,
                                      MERIT_CENTER_LEAVE_ONE_OUT};
    static const int32_t scales[] = {MERIT_SCALE_NONE, MERIT_SCALE_STD,
                                     MERIT_SCALE_LEAVE_ONE_OUT_STD};
    static const int64_t sizes[] = {2, 3, 4, 7, 8, 16, 21, 32, 33, 128};
    enum { GROUPS_ALONE = 37, WIDEST = 129 };
    float many[GROUPS_ALONE * WIDEST];
    tk_random random = {.state = 37};
    for (int i = 0; i < GROUPS_ALONE * WIDEST; i++) {
        many[i] = i / WIDEST == 1 ? .3f : (float)tk_normal(&random); // equal rewards among others
    }
    const int64_t groups = tk->kind == TK_SIMT ? 9 : GROUPS_ALONE; // whole batches on the CPU
    for (int i = 0; i < 10 * 3 * 3 * 2 * 4; i++) {
        ag_case alone = ag_uniform(NULL, groups, sizes[i % 10], many);
        alone.d.center = centers[i / 10 % 3];
        alone.d.scale = scales[i / 30 % 3];
        alone.d.groups.group_stride = sizes[i % 10] + i / 90 % 2;
        alone.d.num_rows = groups * alone.d.groups.group_stride;
        alone.d.eps_rule = i / 180;
        if (alone.d.eps_rule != 0 && alone.d.scale == MERIT_SCALE_NONE) continue;
        if (tk->kind == TK_SIMT && (i + i / 10) % 2 != 0) continue; // half: slow
        ag_case all = alone;
        alone.outputs = AG_ADVANTAGES;
        tk_case("center %d, scale %d, size %lld, stride %lld, eps rule %d", alone.d.center,
                alone.d.scale, (long long)sizes[i % 10], (long long)alone.d.groups.group_stride,
                alone.d.eps_rule);
        ag_expect_same(tk, &all, &alone, NULL);
    }
}

// Shards by group: the record of the whole batch, given to each, makes the bits of the whole call.
TK_TEST(advantage_group, shards_with_the_gathered_record_give_the_bits_of_one_call)
{
    enum { GROUPS = 100, SIZE = 30, SHARD = 25 };
    fill(5);
    ag_case whole = ag_uniform("trl.batch", GROUPS, SIZE, rewards);
    whole.d.center_level = MERIT_LEVEL_BATCH;
    ag_result all = ag_run(tk, &whole);
    tk_expect_ok(tk->ctx, all.status);
    for (int shard = 0; shard < GROUPS / SHARD; shard++) {
        ag_case part = ag_uniform("trl.batch", SHARD, SIZE, rewards + shard * SHARD * SIZE);
        part.d.center_level = part.d.scale_level = MERIT_LEVEL_GIVEN;
        part.io.moments = all.batch;
        ag_result r = ag_run(tk, &part);
        tk_expect_ok(tk->ctx, r.status);
        tk_expect_bits(r.advantages, (float *)all.advantages + shard * SHARD * SIZE, SHARD * SIZE,
                       sizeof(float));
        ag_free(&r);
    }
    ag_free(&all);
}

// Splitting a population into other groups moves its record by rounding only.
TK_TEST(advantage_group, the_batch_record_hardly_depends_on_the_grouping)
{
    fill(6);
    merit_moments first = {0};
    for (int size = 1; size <= 3000; size = size * 3 + 1) {
        ag_case c = ag_uniform("trl.batch", 1, 3000 - 3000 % size, rewards);
        c.d.groups.num_groups = 2160 / size; // 2160 rows at least where size divides it
        c.d.groups.group_size = size;
        c.d.num_rows = 2160 / size * size;
        ag_result r = ag_run(tk, &c);
        tk_expect_ok(tk->ctx, r.status);
        if (2160 % size == 0) {
            if (first.count == 0) first = r.batch[0];
            const double actual[] = {r.batch->count, r.batch->mean, r.batch->m2};
            const double expected[] = {first.count, first.mean, first.m2};
            tk_expect_close(actual, expected, 3, 1e-14, 1e-13);
        }
        ag_free(&r);
    }
}

// How many kernels a call starts, on the emulator. Above 65536 members: one lists such groups, one
// takes their records, one writes.
TK_TEST(advantage_group, launches_are_as_few_as_promised)
{
    static const struct {
        const char *preset;
        int groups, size, launches;
    } rows[] = {{"grpo", 100, 8, 1},       {"grpo", 9, 31, 1},        {"rloo", 3, 300, 1},
                {"nemo.grpo", 8, 64, 1},   {"grpo", 2, 4096, 1},      {"grpo", 1, 65536, 1},
                {"grpo", 1, 65537, 3},     {"trl.batch", 100, 8, 1},  {"trl.batch", 1024, 8, 1},
                {"trl.batch", 1025, 8, 2}, {"trl.batch", 10, 3000, 2}};
    float *const many = calloc(65537, sizeof *many);
    cr_assert(many != NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ag_case c = ag_uniform(rows[i].preset, rows[i].groups, rows[i].size, many);
        tk_launches(tk);
        ag_result r = ag_run(tk, &c);
        const int launches = tk_launches(tk);
        tk_expect_ok(tk->ctx, r.status);
        TK_EXPECT(launches < 0 || launches == rows[i].launches, "%s, %d groups of %d: %d launches",
                  rows[i].preset, rows[i].groups, rows[i].size, launches);
        ag_free(&r);
    }
    free(many);
}
