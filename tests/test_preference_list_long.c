// preference_list over groups that the CUDA backend spreads over many blocks, among small ones.
#include <math.h>
#include <stdlib.h>

#include "list_random.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

// One list of every schedule: warp, block, many blocks; sizes around where they change.
static const int64_t mixed[] = {1, 33, 20000, 0, 1025, 2, 16384, 256, 16385, 257, 5, 40000, 3, 7};

static const char *const presets[] = {"yojo", "op_gfn", "real", "real.product", "real.bce", "pacs"};

// Its max_size tells of the longest list.
static list_case long_case(const list_random *l, const char *preset)
{
    list_case c = list_random_case(l, preset);
    for (int64_t n = 0; n < l->N; n++) {
        const int64_t size = l->offsets[n + 1] - l->offsets[n];
        if (size > c.d.groups.max_size) c.d.groups.max_size = size;
    }
    return c;
}

static list_case variant_of(const list_random *l, const char *preset, int variant)
{
    list_case c = long_case(l, preset);
    if (variant == 1) { // indexed, masked, weighted
        c.d.groups.index = l->index;
        c.io.mask = l->mask;
        c.io.group_weight = l->group_weight;
        c.d.smoothing = 0.25f;
        c.d.inner = 1 - c.d.inner;
        c.d.tau = 1.5f;
    }
    if (variant == 2) { // the gradient over the scores, centered
        c.in_place = 1;
        c.d.center = MERIT_LIST_CENTER_MEAN;
        c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    }
    if (variant == 3) c.outputs = PL_LOSS | PL_GROUP_LOSS;
    if (variant == 4) c.outputs = PL_GRAD;
    return c;
}

TK_TEST(preference_list_long, long_lists_among_short_ones_agree_with_the_oracle)
{
    list_random l = list_random_make(mixed, COUNT(mixed), 31);
    for (size_t k = 0; k < sizeof presets / sizeof presets[0]; k++) {
        for (int variant = 0; variant < 5; variant++) {
            if (tk->kind == TK_SIMT && (variant + (int)k) % 2 != 0) continue; // half: slow
            tk_case("%s, variant %d", presets[k], variant);
            const list_case c = variant_of(&l, presets[k], variant);
            list_check(tk, &c);
        }
    }
    list_random_free(&l);
}

TK_TEST(preference_list_long, a_list_of_150000_agrees_with_the_oracle)
{
    const int64_t sizes[] = {33, 150000, 1};
    list_random l = list_random_make(sizes, 3, 32);
    list_case c = long_case(&l, "yojo");
    list_check(tk, &c);
    c = long_case(&l, "pacs");
    list_check(tk, &c);
    c.d.groups.max_size = 0; // one block
    list_check(tk, &c);
    list_random_free(&l);
}

TK_TEST(preference_list_long, all_pairs_of_long_lists_agree_with_the_oracle)
{
    const int64_t sizes[] = {1, 33, 2049, 2, 1025, 300};
    list_random l = list_random_make(sizes, COUNT(sizes), 33);
    for (int variant = 0; variant < 5; variant += TK_RARER) {
        tk_case("variant %d", variant);
        const list_case c = variant_of(&l, "instruct_gpt", variant);
        list_check(tk, &c);
    }
    list_random_free(&l);
}

// NaN, a label that is not there, an index entry out of range, no member, weight 0: of long lists.
TK_TEST(preference_list_long, a_bad_long_list_harms_no_other)
{
    const int64_t sizes[] = {20000, 17000, 3, 18000, 17001, 19000, 20001, 40};
    list_random l = list_random_make(sizes, COUNT(sizes), 34);
    for (int64_t i = 0; i < l.R; i++) {
        l.mask[i] = i < l.offsets[3] || i >= l.offsets[4]; // no member in the fourth
    }
    l.scores[l.offsets[1] - 1] = NAN; // in the last tile of the first
    l.targets[1] = 17000; // beyond the second
    l.targets[4] = -100;
    l.index[l.offsets[6] - 3] = -1;
    l.group_weight[6] = 0;
    for (int64_t i = 0; i < l.R; i++) {
        l.index[i] = i == l.offsets[6] - 3 ? -1 : (int32_t)i;
    }
    for (int skip = 0; skip < 2; skip++) {
        for (int k = 0; k < 2; k++) {
            tk_case("%s, skip %d", k == 0 ? "yojo" : "real", skip);
            list_case c = long_case(&l, k == 0 ? "yojo" : "real");
            c.d.groups.index = l.index;
            c.d.skip_invalid = skip;
            c.io.mask = l.mask;
            c.io.group_weight = l.group_weight;
            list_check(tk, &c);
        }
    }
    list_random_free(&l);
}

// Decreasing offsets can make more long groups than there is room to list: every second one is sound.
TK_TEST(preference_list_long, overlapping_groups_stay_inside_the_workspace)
{
    enum { GROUPS = 40, ITEMS = 17000 };
    const int64_t size = ITEMS;
    list_random l = list_random_make(&size, 1, 35);
    int64_t offsets[GROUPS + 1];
    int32_t targets[GROUPS] = {0};
    for (int n = 0; n <= GROUPS; n++) {
        offsets[n] = n % 2 == 0 ? 0 : ITEMS;
    }
    list_case c = long_case(&l, "yojo");
    c.d.groups.num_groups = GROUPS;
    c.d.groups.offsets = offsets;
    c.io.target_index = targets;
    c.outputs = PL_ALL & ~PL_GRAD; // no order among those that write one row
    list_result r = list_run(tk, &c);
    for (int n = 0; n < GROUPS; n += 2) {
        TK_EXPECT(r.group_loss[n] == r.group_loss[0] && r.group_loss[0] > 0, "group %d: %g", n,
                  r.group_loss[n]);
        TK_EXPECT(n + 1 == GROUPS || isnan(r.group_loss[n + 1]), "group %d", n + 1);
    }
    TK_EXPECT(r.diagnostics.count[MERIT_COUNTER_BAD_OFFSETS] == GROUPS / 2, "%llu bad",
              (unsigned long long)r.diagnostics.count[MERIT_COUNTER_BAD_OFFSETS]);
    list_free(&r);
    list_random_free(&l);
}

// More groups than a block counts for itself, and one that many blocks share.
TK_TEST(preference_list_long, a_long_list_among_counted_ones_takes_one_launch_more)
{
    enum { GROUPS = 16400 };
    int64_t *const sizes = malloc(GROUPS * sizeof *sizes);
    for (int64_t n = 0; n < GROUPS; n++) {
        sizes[n] = n == 9000 ? 17000 : n % 4;
    }
    list_random l = list_random_make(sizes, GROUPS, 37);
    list_case c = long_case(&l, "yojo");
    c.d.center = MERIT_LIST_CENTER_MEAN;
    tk_launches(tk);
    list_check(tk, &c);
    const int launches = tk_launches(tk);
    TK_EXPECT(launches == -1 || launches == 2, "%d launches", launches);
    list_random_free(&l);
    free(sizes);
}

typedef struct launch_case {
    const char *preset;
    int64_t size;
    int64_t max_size;
    int32_t center;
    int outputs;
    int launches;
} launch_case;

TK_TEST(preference_list_long, launches_are_as_documented)
{
    static const launch_case cases[] = {
        {"yojo", 16384, 16384, MERIT_LIST_CENTER_NONE, PL_ALL, 1},
        {"yojo", 16385, 16385, MERIT_LIST_CENTER_NONE, PL_ALL, 2},
        {"yojo", 16385, 16385, MERIT_LIST_CENTER_NONE, PL_LOSS, 2},
        {"yojo", 16385, 16385, MERIT_LIST_CENTER_MEAN, PL_ALL, 2},
        {"real", 16385, 16385, MERIT_LIST_CENTER_NONE, PL_ALL, 2},
        {"real", 16385, 16385, MERIT_LIST_CENTER_NONE, PL_LOSS, 2},
        {"yojo", 16385, 0, MERIT_LIST_CENTER_MEAN, PL_ALL, 1},
        {"instruct_gpt", 1025, 0, MERIT_LIST_CENTER_NONE, PL_ALL, 1},
        {"plackett_luce", 20000, 20000, MERIT_LIST_CENTER_NONE, PL_ALL, 1},
        {"instruct_gpt", 1024, 1024, MERIT_LIST_CENTER_NONE, PL_ALL, 1},
        {"instruct_gpt", 1025, 1025, MERIT_LIST_CENTER_NONE, PL_ALL, 2},
        {"instruct_gpt", 1025, 1025, MERIT_LIST_CENTER_NONE, PL_LOSS, 2},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const launch_case *const e = &cases[k];
        list_random l = list_random_make(&e->size, 1, 36);
        list_case c = long_case(&l, e->preset);
        c.d.groups.max_size = e->max_size;
        c.d.center = e->center;
        c.outputs = e->outputs;
        tk_launches(tk);
        list_result r = list_run(tk, &c);
        const int launches = tk_launches(tk);
        TK_EXPECT(launches == -1 || launches == e->launches, "case %d: %d launches", (int)k,
                  launches);
        list_free(&r);
        list_random_free(&l);
    }
}
