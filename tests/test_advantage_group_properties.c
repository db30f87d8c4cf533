// advantage_group: what must not change a result, bit for bit, and identities of the formula.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advantage_random.h"

// One of each schedule-relevant kind at GROUP level.
static const char *const presets[] = {"grpo",     "rloo",       "nemo.grpo", "areal.loo",  "maxrl",
                                      "arena_rl", "verl.passk", "jepo",      "oi.standard"};
enum { NUM_PRESETS = sizeof presets / sizeof presets[0] };

enum { GROUPS = 13, SIZE = 9, ROWS = GROUPS * SIZE };

// Small integers: their sums are exact, so no order of summation shows.
static void fill_integers(float *rewards, int64_t n, uint64_t seed)
{
    tk_random random = {.state = seed};
    for (int64_t i = 0; i < n; i++) {
        rewards[i] = (float)tk_below(&random, 7);
    }
}

static void fill_reals(float *rewards, int64_t n, uint64_t seed)
{
    tk_random random = {.state = seed};
    for (int64_t i = 0; i < n; i++) {
        rewards[i] = (float)tk_normal(&random);
    }
}

TK_TEST(advantage_group, shifting_all_rewards_changes_no_bit)
{
    float rewards[ROWS], shifted[ROWS];
    fill_integers(rewards, ROWS, 1);
    for (int i = 0; i < ROWS; i++) {
        shifted[i] = rewards[i] + 64;
    }
    for (int p = 0; p < NUM_PRESETS; p++) {
        if (strcmp(presets[p], "maxrl") == 0) continue; // divides by the mean
        // exp of other differences of sums: not the same bits
        if (strcmp(presets[p], "jepo") == 0) continue;
        tk_case("%s", presets[p]);
        ag_case a = ag_uniform(presets[p], GROUPS, SIZE, rewards);
        ag_case b = ag_uniform(presets[p], GROUPS, SIZE, shifted);
        a.d.reward_high = b.d.reward_high = INFINITY; // areal clips at 20
        ag_expect_same(tk, &a, &b, NULL);
    }
}

TK_TEST(advantage_group, scaling_by_a_power_of_two_changes_no_bit_of_a_quotient)
{
    float rewards[ROWS], scaled[ROWS];
    fill_reals(rewards, ROWS, 2);
    for (int k = -60; k <= 60; k += 40) {
        for (int i = 0; i < ROWS; i++) {
            scaled[i] = ldexpf(rewards[i], k);
        }
        static const char *const quotients[] = {"grpo", "nemo.grpo", "maxrl", "oi.standard"};
        for (int p = 0; p < 4; p++) {
            tk_case("%s, 2^%d", quotients[p], k);
            ag_case a = ag_uniform(quotients[p], GROUPS, SIZE, rewards);
            ag_case b = ag_uniform(quotients[p], GROUPS, SIZE, scaled);
            a.d.eps = b.d.eps = 0;
            ag_expect_same(tk, &a, &b, NULL);
        }
    }
}

// The same groups in another order, then the same members in another order.
TK_TEST(advantage_group, permuting_groups_or_members_permutes_the_advantages)
{
    float rewards[ROWS], permuted[ROWS];
    int32_t order[ROWS];
    for (int members = 0; members < 2; members++) {
        if (members)
            fill_integers(rewards, ROWS, 3);
        else
            fill_reals(rewards, ROWS, 3);
        for (int n = 0; n < GROUPS; n++) {
            for (int i = 0; i < SIZE; i++) {
                order[n * SIZE + i] =
                    members ? n * SIZE + (i * 4 + n) % SIZE : (n * 5 + 2) % GROUPS * SIZE + i;
            }
        }
        for (int i = 0; i < ROWS; i++) {
            permuted[i] = rewards[order[i]];
        }
        for (int p = 0; p < NUM_PRESETS; p++) {
            // Not what a permuted member keeps: the first best, sums of exponentials.
            if (members &&
                (strcmp(presets[p], "verl.passk") == 0 || strcmp(presets[p], "jepo") == 0))
                continue;
            tk_case("%s, %s", presets[p], members ? "members" : "groups");
            ag_case a = ag_uniform(presets[p], GROUPS, SIZE, rewards);
            ag_case b = ag_uniform(presets[p], GROUPS, SIZE, permuted);
            ag_expect_same(tk, &a, &b, order);
        }
    }
}

TK_TEST(advantage_group, a_group_does_not_depend_on_how_many_others_are_in_the_call)
{
    float rewards[ROWS];
    fill_reals(rewards, ROWS, 4);
    for (int p = 0; p < NUM_PRESETS; p++) {
        for (int groups = 1; groups < GROUPS; groups += 3) {
            tk_case("%s, %d of %d groups", presets[p], groups, GROUPS);
            ag_case all = ag_uniform(presets[p], GROUPS, SIZE, rewards);
            ag_case some = ag_uniform(presets[p], groups, SIZE, rewards);
            ag_expect_same(tk, &all, &some, NULL);
        }
    }
}

// Dense, strided groups, a padded row stride, [K,R], offsets, offsets over an index.
TK_TEST(advantage_group, the_layout_changes_no_bit)
{
    enum { K = 2, PAD = 3 };
    float rewards[ROWS * K], padded[ROWS * (K + PAD)], columns[ROWS * K],
        gaps[GROUPS * (SIZE + 2) * K];
    float shuffled[ROWS * K];
    int64_t offsets[GROUPS + 1];
    int32_t index[ROWS], identity[ROWS], gap_row[GROUPS * (SIZE + 2)];
    fill_reals(rewards, ROWS * K, 5);
    memset(gaps, 0xff, sizeof gaps);
    memset(padded, 0xff, sizeof padded);
    for (int i = 0; i < ROWS; i++) {
        const int moved = (i * 40 + 7) % ROWS; // 40 and 117 have no common factor
        index[i] = moved, identity[i] = i;
        gap_row[i / SIZE * (SIZE + 2) + i % SIZE] = i;
        for (int k = 0; k < K; k++) {
            const float r = rewards[i * K + k];
            padded[i * (K + PAD) + k] = r, columns[k * ROWS + i] = r, shuffled[moved * K + k] = r;
            gaps[(i / SIZE * (SIZE + 2) + i % SIZE) * K + k] = r;
        }
    }
    for (int n = 0; n <= GROUPS; n++) {
        offsets[n] = n * SIZE;
    }
    for (int p = 0; p < NUM_PRESETS; p++) {
        for (int mode = MERIT_COLUMNS_COMBINE_FIRST; mode <= MERIT_COLUMNS_NORMALIZE_FIRST;
             mode++) {
            ag_case dense = ag_uniform(presets[p], GROUPS, SIZE, rewards);
            dense.d.num_columns = K, dense.d.columns = mode;
            ag_case strided = dense, tall = dense, ragged = dense, indexed = dense, gapped = dense;
            strided.d.reward_row_stride = K + PAD, strided.io.rewards = padded;
            tall.d.reward_row_stride = 1, tall.d.reward_column_stride = ROWS,
            tall.io.rewards = columns;
            ragged.d.groups = (merit_groups){.num_groups = GROUPS, .offsets = offsets};
            indexed.d.groups = ragged.d.groups, indexed.d.groups.index = index;
            indexed.io.rewards = shuffled;
            gapped.d.groups.group_stride = SIZE + 2, gapped.d.num_rows = GROUPS * (SIZE + 2);
            gapped.io.rewards = gaps;
            tk_case("%s, columns %d", presets[p], mode);
            ag_expect_same(tk, &dense, &strided, NULL);
            ag_expect_same(tk, &dense, &tall, NULL);
            ag_expect_same(tk, &dense, &ragged, identity);
            ragged.d.groups.max_size = SIZE;
            ag_expect_same(tk, &dense, &ragged, NULL);
            ag_expect_same(tk, &indexed, &dense, index);
            ag_result a = ag_run(tk, &dense), b = ag_run(tk, &gapped);
            for (int i = 0; i < GROUPS * (SIZE + 2); i++) {
                const float *const row = (const float *)b.advantages + i;
                if (i % (SIZE + 2) >= SIZE)
                    TK_EXPECT(tk_untouched(row, 1, 4), "gap %d", i);
                else
                    tk_expect_bits(row, (const float *)a.advantages + gap_row[i], 1, 4);
            }
            ag_free(&a), ag_free(&b);
        }
    }
}

// n/(n-1) of the centered reward, rounded two times more.
TK_TEST(advantage_group, leave_one_out_is_the_mean_scaled)
{
    float rewards[ROWS];
    fill_reals(rewards, ROWS, 6);
    for (int n = 2; n <= SIZE; n++) {
        ag_case mean = ag_uniform("dr_grpo", ROWS / n, n, rewards);
        ag_case others = ag_uniform("rloo", ROWS / n, n, rewards);
        mean.d.advantage_dtype = others.d.advantage_dtype = MERIT_DTYPE_F64;
        ag_result a = ag_run(tk, &mean), b = ag_run(tk, &others);
        for (int i = 0; i < n; i++) {
            a.values[i] *= (double)n / (n - 1);
        }
        tk_expect_close(b.values, a.values, n, 0, 4 * 0x1p-53);
        ag_free(&a), ag_free(&b);
    }
}

TK_TEST(advantage_group, centered_advantages_add_up_to_zero)
{
    static const char *const centered[] = {"dr_grpo", "rloo", "grpo", "areal.loo", "nemo.grpo_all"};
    float rewards[ROWS];
    fill_reals(rewards, ROWS, 7);
    for (int p = 0; p < 5; p++) {
        ag_case c = ag_uniform(centered[p], GROUPS, SIZE, rewards);
        ag_result r = ag_run(tk, &c);
        for (int n = 0; n < GROUPS; n++) {
            double sum = 0, limit = 0;
            for (int i = n * SIZE; i < (n + 1) * SIZE; i++) {
                sum += r.values[i], limit += tk_ulp32(r.values[i]);
            }
            TK_EXPECT(fabs(sum) <= limit, "%s, group %d: %g > %g", centered[p], n, sum, limit);
        }
        ag_free(&r);
    }
}

TK_TEST(advantage_group, ranks_do_not_change_under_monotone_maps)
{
    float rewards[ROWS], mapped[ROWS];
    fill_integers(rewards, ROWS, 8);
    for (int i = 0; i < ROWS; i++) {
        mapped[i] = expf(rewards[i]) - 100;
    }
    for (int ties = 0; ties < 3; ties++) {
        ag_case a = ag_uniform("arena_rl", GROUPS, SIZE, rewards);
        ag_case b = ag_uniform("arena_rl", GROUPS, SIZE, mapped);
        a.d.rank_ties = b.d.rank_ties = ties;
        ag_expect_same(tk, &a, &b, NULL);
    }
}

// Every bit pattern that a reward, weight or baseline of a row outside both masks may hold.
TK_TEST(advantage_group, masked_slots_may_hold_anything)
{
    static const uint32_t patterns[] = {0x7f800001, 0xffffffff, 0x7f800000,
                                        0xff800000, 0x7f7fffff, 0x80000001};
    float rewards[ROWS], dirty[ROWS];
    uint8_t mask[ROWS];
    tk_random random = {.state = 9};
    fill_reals(rewards, ROWS, 9);
    for (int i = 0; i < ROWS; i++) {
        mask[i] = tk_chance(&random, .7);
    }
    for (int p = 0; p < NUM_PRESETS; p++) {
        for (int pattern = 0; pattern < 6; pattern++) {
            memcpy(dirty, rewards, sizeof dirty);
            for (int i = 0; i < ROWS; i++) {
                if (!mask[i]) memcpy(&dirty[i], &patterns[pattern], sizeof dirty[i]);
            }
            ag_case clean = ag_uniform(presets[p], GROUPS, SIZE, rewards);
            clean.io.mask = mask;
            ag_case other = clean;
            other.io.rewards = dirty;
            tk_case("%s, pattern %x", presets[p], patterns[pattern]);
            ag_expect_same(tk, &clean, &other, NULL);
            ag_result r = ag_run(tk, &other);
            TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_NAN_IN] == 0, "a masked NaN was counted");
            ag_free(&r);
        }
    }
}

TK_TEST(advantage_group, a_group_among_nan_groups_keeps_its_bits)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    float rewards[ROWS], poisoned[ROWS];
    fill_reals(rewards, ROWS, 10);
    for (int p = 0; p < NUM_PRESETS; p++) {
        for (int needle = 0; needle < GROUPS; needle += 4) {
            for (int i = 0; i < ROWS; i++) {
                poisoned[i] = i / SIZE == needle ? rewards[i] : bad[i % 3];
            }
            ag_case clean = ag_uniform(presets[p], GROUPS, SIZE, rewards), other = clean;
            other.io.rewards = poisoned;
            ag_result a = ag_run(tk, &clean), b = ag_run(tk, &other);
            tk_case("%s, group %d", presets[p], needle);
            tk_expect_bits((float *)b.advantages + needle * SIZE,
                           (float *)a.advantages + needle * SIZE, SIZE, sizeof(float));
            TK_EXPECT(isnan(b.values[(needle + 1) % GROUPS * SIZE]), "the others are not NaN");
            ag_free(&a), ag_free(&b);
        }
    }
}
