// preference_list: short lists side by side are what each of them is alone, and what the same lists are as
// indexed ones, which the CPU does one by one.
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "list_random.h"

enum { GROUPS = 53, LONGEST = 65 }; // no multiple of a block; one more item than it takes

// A permutation of 0 .. n - 1.
static void shuffle(tk_random *random, int32_t *ranks, int n)
{
    for (int i = 0; i < n; i++) {
        const int j = (int)tk_below(random, i + 1);
        ranks[i] = ranks[j];
        ranks[j] = i;
    }
}

typedef struct lists {
    float scores[GROUPS * LONGEST], weights[GROUPS * LONGEST], weight[GROUPS];
    float labels[GROUPS * LONGEST];
    int32_t ranks[GROUPS * LONGEST], targets[GROUPS];
    int8_t signs[GROUPS * LONGEST];
} lists;

// Most groups are ordinary; the others have each a thing that a block does not take.
static lists *make_lists(int n)
{
    lists *const l = calloc(1, sizeof *l);
    tk_random random = {(uint64_t)n};
    for (int i = 0; i < GROUPS * n; i++) {
        l->scores[i] = (float)(3 * tk_normal(&random));
        l->weights[i] = tk_chance(&random, 0.5) ? 0 : (float)tk_uniform(&random);
        l->signs[i] = (int8_t)(tk_below(&random, 3) - 1);
        l->labels[i] = (float)tk_below(&random, 4);
    }
    for (int g = 0; g < GROUPS; g++) {
        float *const s = l->scores + g * n;
        l->weight[g] = 0.25f + (float)tk_uniform(&random);
        l->targets[g] = (int32_t)tk_below(&random, n);
        shuffle(&random, l->ranks + g * n, n);
        switch (g) {
        case 1: s[n - 1] = -INFINITY; break;
        case 3: s[0] = NAN; break;
        case 5: s[1] = 3e38f, s[0] = -3e38f; break;
        case 7: l->weight[g] = 0, s[0] = NAN; break;
        case 8: l->weight[g] = -1; break;
        case 9: l->targets[g] = -100, l->ranks[g * n] = -1; break;
        case 11: l->targets[g] = n, l->ranks[g * n] = l->ranks[g * n + 1]; break;
        case 13: memset(s, 0, (size_t)n * sizeof *s); break;
        case 15: s[0] = -0.0f, s[1] = 0; break;
        case 17: l->ranks[g * n] += 32; break;
        case 20: l->ranks[g * n] = -2, l->weights[g * n] = -1, l->signs[g * n] = 2; break;
        case 22: l->weights[g * n] = NAN; break;
        case 24: l->weights[g * n] = INFINITY; break;
        case 26: memset(l->weights + g * n, 0, (size_t)n * sizeof(float)); break;
        case 28: memset(l->signs + g * n, 0, (size_t)n); break;
        case 30: memset(l->signs + g * n, 1, (size_t)n); break;
        case 32: memset(l->signs + g * n, -1, (size_t)n); break;
        case 34: l->labels[g * n] = NAN; break;
        case 36: memset(l->labels + g * n, 0, (size_t)n * sizeof(float)); break;
        case 38: l->labels[g * n] = INFINITY, l->labels[g * n + 1] = -INFINITY; break;
        case 40: s[0] = 1e4f, s[1] = -1e4f; break;
        default: break;
        }
    }
    return l;
}

static list_case case_of(const lists *l, const char *preset, int first, int groups, int n)
{
    list_case c = list_one(preset, l->scores + first * n, n);
    c.d.groups.num_groups = groups;
    c.d.num_items = groups * n;
    c.io.group_weight = l->weight + first;
    const int by_weight = c.d.target == MERIT_LIST_TARGET_WEIGHTS;
    switch (c.d.mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE: c.io.ranks = l->ranks + first * n; break;
    case MERIT_LIST_MODE_ANCHORED: c.io.signs = l->signs + first * n; break;
    case MERIT_LIST_MODE_ALL_PAIRS: c.io.labels = l->labels + first * n; break;
    default:
        c.io.weights = by_weight ? l->weights + first * n : NULL;
        c.io.target_index = by_weight ? NULL : l->targets + first;
        break;
    }
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
    if (!(c.d.tau > 0)) c.d.tau = 1.25f;
    c.outputs = PL_GRAD | PL_GROUP_LOSS | PL_DIAGNOSTICS;
    return c;
}

// Options that blocks treat apart.
static void set_variant(list_case *c, int variant)
{
    if (variant & 1) c->d.tau = 0.75f;
    if (variant & 1) c->d.inner = 1 - c->d.inner;
    if (variant & 1) c->d.require_both = 1 - c->d.require_both;
    if (variant & 2) c->in_place = 1;
    if (variant & 4) c->d.score_dtype = MERIT_DTYPE_BF16;
    if (variant & 8) c->d.score_dtype = MERIT_DTYPE_F16;
    if (variant & 8) c->d.score_stride = 2;
    if (variant & 16) c->d.center = MERIT_LIST_CENTER_MEAN + (c->d.mode & 1);
    if (variant & 16 && c->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY) c->d.smoothing = 0.125f;
    if (c->d.mode == MERIT_LIST_MODE_ALL_PAIRS && variant & 1) c->d.link = MERIT_LINK_HINGE;
    if (c->d.mode == MERIT_LIST_MODE_ALL_PAIRS && variant & 4) c->d.link = MERIT_LINK_EXPONENTIAL;
    if (c->d.mode == MERIT_LIST_MODE_ALL_PAIRS && variant & 1) c->d.margin = 0.5f;
    if (variant & 32) c->outputs |= PL_METRICS | PL_LSE | PL_LOSS;
}

// Adds the metrics of a group to those of a call, but for the sums of losses and weights.
static void add_metrics(merit_preference_list_metrics *all,
                        const merit_preference_list_metrics *one)
{
    all->groups += one->groups, all->ranked += one->ranked, all->invalid += one->invalid;
    all->top1_strict += one->top1_strict, all->top1_tie += one->top1_tie;
    all->one_to_many_strict += one->one_to_many_strict;
    all->one_to_many_tie += one->one_to_many_tie;
    all->concordant += one->concordant, all->discordant += one->discordant;
    all->tied += one->tied;
    all->sum_reciprocal_rank += one->sum_reciprocal_rank;
}

static void expect_each_alone(tk_fixture *tk, const lists *l, const char *preset, int n,
                              int variant)
{
    list_case whole = case_of(l, preset, 0, GROUPS, n);
    set_variant(&whole, variant);
    list_result all = list_run(tk, &whole);
    const size_t bytes = whole.d.score_dtype == MERIT_DTYPE_F32 ? 4 : 2;
    const int has_metrics = (whole.outputs & PL_METRICS) != 0;
    uint64_t counted[MERIT_NUM_COUNTERS] = {0};
    merit_preference_list_metrics sum = {0};
    for (int g = 0; g < GROUPS; g++) {
        list_case alone = case_of(l, preset, g, 1, n);
        set_variant(&alone, variant);
        list_result one = list_run(tk, &alone);
        tk_expect_bits((char *)all.grad_raw + (size_t)(g * n) * bytes, one.grad_raw, n, bytes);
        tk_expect_bits(all.group_loss + g, one.group_loss, 1, 8);
        if (has_metrics) tk_expect_bits(all.lse + g, one.lse, 1, 8);
        add_metrics(&sum, &one.metrics);
        for (int i = 0; i < MERIT_NUM_COUNTERS; i++) {
            counted[i] += one.diagnostics.count[i];
        }
        list_free(&one);
    }
    tk_expect_bits(all.diagnostics.count, counted, MERIT_NUM_COUNTERS, 8);
    if (has_metrics) {
        tk_expect_bits(&all.metrics, &sum, 1,
                       offsetof(merit_preference_list_metrics, sum_reciprocal_rank));
        tk_expect_close(&all.metrics.sum_reciprocal_rank, &sum.sum_reciprocal_rank, 1, 0, 1e-14);
    }
    list_free(&all);
}

TK_TEST(preference_list, short_lists_side_by_side_have_the_bits_of_each_alone)
{
    static const int sizes[] = {2, 3, 5, 8, 31, 33, 63, 64, LONGEST};
    static const char *const presets[] = {"yojo", "op_gfn",       "plackett_luce", "real",
                                          "pacs", "real.product", "real.bce",      "instruct_gpt"};
    static const int variants[] = {0, 32 + 3, 16 + 5, 48 + 9};
    for (int k = 0; k < 9 * 8 * 4; k++) {
        const int n = sizes[k % 9], variant = variants[k / 72];
        if (k % (tk->kind == TK_SIMT ? 11 : 2) != 0) continue; // some of all: each is many calls
        const char *const preset = presets[k / 9 % 8];
        tk_case("%s of %d, variant %d", preset, n, variant);
        lists *const l = make_lists(n);
        expect_each_alone(tk, l, preset, n, variant);
        free(l);
    }
}

// Ranks 0, 1, ... of the members of each group, in some order.
static void rank_members(list_random *l, const uint8_t *mask)
{
    tk_random random = {.state = 5};
    for (int64_t n = 0; n < l->N; n++) {
        int32_t order[LONGEST];
        int members = 0;
        for (int64_t i = l->offsets[n]; i < l->offsets[n + 1]; i++) {
            members += mask == NULL || mask[i] != 0;
        }
        shuffle(&random, order, members);
        for (int64_t i = l->offsets[n]; i < l->offsets[n + 1]; i++) {
            l->ranks[i] = mask == NULL || mask[i] != 0 ? order[--members] : -7;
        }
    }
}

// Ragged or uniform, masked or not, with every option of a mode that blocks treat apart.
static void expect_as_indexed(tk_fixture *tk, list_random *l, const char *preset, int64_t size,
                              int variant)
{
    rank_members(l, variant & 64 ? l->mask : NULL);
    list_case c = list_random_case(l, preset);
    set_variant(&c, variant);
    if (variant & 64) c.io.mask = l->mask;
    if (variant & 128) c.d.skip_invalid = 1;
    if (size > 0) c.d.groups = (merit_groups){.num_groups = l->N, .group_size = size};
    c.io.group_weight = variant & 1 ? NULL : l->group_weight; // NULL: groups are counted faster
    list_case indexed = c;
    indexed.d.groups = (merit_groups){.num_groups = l->N, .offsets = l->offsets, .index = l->index};
    list_result a = list_run(tk, &c), b = list_run(tk, &indexed);
    tk_expect_bits(&a.loss, &b.loss, 1, 8);
    tk_expect_bits(a.grad_raw, b.grad_raw, l->R, c.d.score_dtype == MERIT_DTYPE_F32 ? 4 : 2);
    tk_expect_bits(a.group_loss, b.group_loss, l->N, 8);
    tk_expect_bits(&a.diagnostics, &b.diagnostics, 1, sizeof a.diagnostics);
    if (c.outputs & PL_LSE) tk_expect_bits(a.lse, b.lse, l->N, 8);
    if (c.outputs & PL_METRICS) tk_expect_bits(&a.metrics, &b.metrics, 1, sizeof a.metrics);
    list_free(&a), list_free(&b);
}

TK_TEST(preference_list, ragged_and_masked_lists_side_by_side_have_the_bits_of_indexed_ones)
{
    enum { N = 217 };
    static const char *const presets[] = {"yojo", "op_gfn",       "plackett_luce", "real",
                                          "pacs", "real.product", "real.bce",      "instruct_gpt"};
    static const int64_t uniform[] = {0, 2, 3, 8, 47};
    static const int variants[] = {0,       64,          64 + 32 + 3, 16 + 1,
                                   64 + 16, 64 + 48 + 9, 32 + 5,      128 + 64};
    for (int j = 0; j < 5; j++) {
        int64_t sizes[N];
        for (int n = 0; n < N; n++) {
            sizes[n] = uniform[j] > 0 ? uniform[j]
                                      : (n * 7) % 13 + (n % 29 == 3   ? 20
                                                        : n % 31 == 5 ? 50
                                                                      : 0);
        }
        list_random l = list_random_make(sizes, N, 80 + (uint64_t)j);
        for (int64_t i = 0; i < l.R; i++) {
            l.index[i] = (int32_t)i;
            l.mask[i] = l.mask[i] != 0 && i % 3 != 0;
        }
        l.scores[l.R / 2] = NAN, l.scores[l.R / 3] = -INFINITY, l.scores[l.R / 5] = 3e38f;
        l.group_weight[3] = 0, l.group_weight[4] = -1;
        for (int k = 0; k < 8 * 8; k++) {
            if (k % (tk->kind == TK_SIMT ? 9 : TK_RARER) != 0) continue;
            tk_case("%s, size %d, variant %d", presets[k % 8], (int)uniform[j], variants[k / 8]);
            expect_as_indexed(tk, &l, presets[k % 8], uniform[j], variants[k / 8]);
        }
        list_random_free(&l);
    }
}
