// The presets of preference_list against the losses that they are named after, each written out in
// binary64: loss of each group, reduction, gradients by central differences; and every option and array
// matters.
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "list_random.h"

enum { GROUPS = 9, MOST = 7 };

// A group of n scores with what its loss takes.
typedef struct list {
    int n, target;
    double s[MOST], weights[MOST], labels[MOST];
    int ranks[MOST], signs[MOST];
} list;

static double log_sum_exp(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += exp(x[i]);
    }
    return log(sum);
}

static double softplus(double x)
{
    return log(1 + exp(x));
}

// N-way cross-entropy; the two classes of a step are the same.
static double cross_entropy(const list *l)
{
    return l->target < 0 || l->n < 2 ? 0 : log_sum_exp(l->s, l->n) - l->s[l->target];
}

// Softmax against normalized flags.
static double multi_hot(const list *l)
{
    double loss = 0, sum = 0;
    for (int i = 0; i < l->n; i++) {
        sum += l->weights[i];
    }
    for (int i = 0; i < l->n && sum > 0 && l->n > 1; i++) {
        loss -= l->weights[i] / sum * (l->s[i] - log_sum_exp(l->s, l->n));
    }
    return loss;
}

// Minus the log probability of the ranking: the best of what is left, again and again.
static double list_mle(const list *l)
{
    double sorted[MOST], loss = 0;
    for (int i = 0; i < l->n; i++) {
        sorted[l->ranks[i]] = l->s[i];
    }
    for (int i = 0; i < l->n; i++) {
        loss += log_sum_exp(sorted + i, l->n - i) - sorted[i];
    }
    return loss;
}

// The mean of -log sigmoid(winner - loser) over the pairs of a prompt.
static double all_pairs(const list *l)
{
    double loss = 0;
    int pairs = 0;
    for (int i = 0; i < l->n; i++) {
        for (int j = 0; j < l->n; j++) {
            if (!(l->labels[i] > l->labels[j])) continue;
            loss += softplus(l->s[j] - l->s[i]);
            pairs++;
        }
    }
    return pairs > 0 ? loss / pairs : 0;
}

static int has_both(const list *l)
{
    int signs = 0;
    for (int i = 0; i < l->n; i++) {
        signs |= l->signs[i] > 0 ? 1 : l->signs[i] < 0 ? 2 : 0;
    }
    return signs == 3;
}

// Sums of e^(-x / tau) over the positives and e^(x / tau) over the negatives.
static void sums(const list *l, double tau, double *positive, double *negative)
{
    *positive = *negative = 0;
    for (int i = 0; i < l->n; i++) {
        if (l->signs[i] > 0) *positive += exp(-l->s[i] / tau);
        if (l->signs[i] < 0) *negative += exp(l->s[i] / tau);
    }
}

static double real(const list *l)
{
    double positive, negative;
    sums(l, 0.5, &positive, &negative);
    return has_both(l) ? log(1 + positive) + log(1 + negative) : 0;
}

static double real_product(const list *l)
{
    double positive, negative;
    sums(l, 0.5, &positive, &negative);
    return has_both(l) ? log(1 + positive * negative) : 0;
}

static double binary_cross_entropy(const list *l)
{
    double loss = 0;
    for (int i = 0; i < l->n; i++) {
        if (l->signs[i] != 0) loss += softplus(-l->signs[i] * l->s[i]);
    }
    return loss;
}

// Scores minus the mean of the others, times beta = 0.25; the mean over signed items.
static double pacs(const list *l)
{
    double loss = 0;
    int count = 0;
    for (int i = 0; i < l->n; i++) {
        double others = 0;
        for (int j = 0; j < l->n; j++) {
            if (j != i) others += l->s[j] / (l->n - 1);
        }
        const double x = l->n == 1 ? 0 : 0.25 * (l->s[i] - others);
        if (l->signs[i] == 0) continue;
        loss += softplus(-l->signs[i] * x);
        count++;
    }
    return count > 0 ? loss / count : 0;
}

static const struct stack {
    const char *preset;
    double (*loss)(const list *l);
    int over_all; // divided by all groups, else by those that have something to say
} stacks[] = {
    {"yojo", cross_entropy, 0},
    {"prm_steps", cross_entropy, 0},
    {"op_gfn", multi_hot, 0},
    {"plackett_luce", list_mle, 0},
    {"listmle", list_mle, 0},
    {"instruct_gpt", all_pairs, 0},
    {"real", real, 1},
    {"real.product", real_product, 1},
    {"real.bce", binary_cross_entropy, 0},
    {"pacs", pacs, 0},
};

enum { NUM_STACKS = sizeof stacks / sizeof stacks[0] };

// Ragged groups from 1 to 7; one without a label, one without a negative.
typedef struct batch {
    list lists[GROUPS];
    int64_t offsets[GROUPS + 1];
    float scores[GROUPS * MOST], weights[GROUPS * MOST], labels[GROUPS * MOST];
    int32_t targets[GROUPS], ranks[GROUPS * MOST];
    int8_t signs[GROUPS * MOST];
} batch;

static void fill(batch *b, int two)
{
    tk_random random = {.state = 83};
    memset(b, 0, sizeof *b);
    for (int g = 0; g < GROUPS; g++) {
        list *const l = &b->lists[g];
        const int64_t first = b->offsets[g];
        l->n = two ? 2 : 1 + (g + 3) % MOST;
        l->target = g == 4 ? -100 : (int)tk_below(&random, l->n);
        b->targets[g] = l->target;
        b->offsets[g + 1] = first + l->n;
        for (int i = 0; i < l->n; i++) {
            const int j = (int)tk_below(&random, i + 1);
            l->ranks[i] = l->ranks[j], l->ranks[j] = i;
        }
        for (int i = 0; i < l->n; i++) {
            b->scores[first + i] = (float)tk_normal(&random), l->s[i] = b->scores[first + i];
            l->weights[i] = (double)tk_below(&random, 3),
            l->labels[i] = (double)tk_below(&random, 4);
            l->signs[i] = g == 5 ? 1 : (int)tk_below(&random, 3) - 1;
            b->weights[first + i] = (float)l->weights[i],
                               b->labels[first + i] = (float)l->labels[i];
            b->ranks[first + i] = l->ranks[i], b->signs[first + i] = (int8_t)l->signs[i];
        }
    }
}

static list_case case_of(const struct stack *s, const batch *b)
{
    list_case c = list_one(s->preset, b->scores, 1);
    const merit_preference_list_desc sizes = c.d;
    cr_assert(merit_preference_list_preset(s->preset, &c.d) == MERIT_STATUS_OK); // its reduction
    c.d.num_items = b->offsets[GROUPS];
    c.d.groups = (merit_groups){.num_groups = GROUPS, .offsets = b->offsets};
    c.d.score_stride = sizes.score_stride;
    if (strcmp(s->preset, "pacs") == 0) c.d.tau = 4; // 1 / beta
    switch (c.d.mode) {
    case MERIT_LIST_MODE_PLACKETT_LUCE: c.io.ranks = b->ranks; break;
    case MERIT_LIST_MODE_ALL_PAIRS: c.io.labels = b->labels; break;
    case MERIT_LIST_MODE_ANCHORED: c.io.signs = b->signs; break;
    default:
        if (c.d.target == MERIT_LIST_TARGET_WEIGHTS) c.io.weights = b->weights;
        if (c.d.target == MERIT_LIST_TARGET_INDEX) c.io.target_index = b->targets;
        break;
    }
    return c;
}

TK_TEST(preference_list, each_preset_is_the_loss_of_its_stack)
{
    static batch b;
    for (int k = 0; k < NUM_STACKS; k++) {
        const struct stack *const s = &stacks[k];
        fill(&b, strcmp(s->preset, "prm_steps") == 0);
        const list_case c = case_of(s, &b);
        list_result r = list_run(tk, &c);
        tk_case("%s", s->preset);
        double loss = 0;
        int valid = 0;
        for (int g = 0; g < GROUPS; g++) {
            loss += s->loss(&b.lists[g]);
            valid += s->loss(&b.lists[g]) > 1e-12; // log(e^x) - x of one item may round
        }
        const double divisor = s->over_all ? GROUPS : valid;
        loss /= divisor;
        tk_expect_close(&r.loss, &loss, 1, 0, 1e-6);
        for (int g = 0; g < GROUPS; g++) {
            list *const l = &b.lists[g];
            const double mine = s->loss(l);
            tk_expect_close(&r.group_loss[g], &mine, 1, 1e-6, 1e-6);
            for (int i = 0; i < l->n; i++) {
                const double kept = l->s[i], h = 1e-5;
                l->s[i] = kept + h;
                const double above = s->loss(l);
                l->s[i] = kept - h;
                const double slope = (above - s->loss(l)) / (2 * h);
                l->s[i] = kept;
                const double by_score = r.grad[b.offsets[g] + i] * divisor;
                tk_expect_close(&by_score, &slope, 1, 2e-6, 2e-6);
            }
        }
        list_free(&r);
    }
}

Test(preference_list, each_preset_has_its_stack)
{
    int count = 0;
    for (const char *name; (name = merit_preference_list_preset_name(count)) != NULL; count++) {
        int found = 0;
        for (int k = 0; k < NUM_STACKS; k++) {
            found += strcmp(stacks[k].preset, name) == 0;
        }
        cr_expect(found == 1, "%s has %d rows", name, found);
    }
    cr_expect(count == NUM_STACKS, "%d presets", count);
}

// Fields ------------------------------------------------------------------------------------------

// Two calls give other results, each those of the oracle.
static void expect_change(tk_fixture *tk, const char *name, const list_case *before,
                          const list_case *after)
{
    tk_case("%s", name);
    list_check(tk, before);
    list_check(tk, after);
    list_result x = list_run(tk, before), y = list_run(tk, after);
    const int64_t items = before->d.num_items;
    int same = x.loss == y.loss && memcmp(&x.metrics, &y.metrics, sizeof x.metrics) == 0;
    for (int64_t i = 0; i < items; i++) {
        same &= x.grad[i] == y.grad[i];
    }
    TK_EXPECT(!same, "%s changes nothing", name);
    list_free(&x), list_free(&y);
}

#define CHANGE(preset, field, value)                            \
    do {                                                        \
        const struct stack s = {preset, NULL, 0};               \
        const list_case before = case_of(&s, &b);               \
        list_case after = before;                               \
        after.d.field = (value);                                \
        expect_change(tk, preset ": " #field, &before, &after); \
    } while (0)

#define GIVE(preset, field, value)                              \
    do {                                                        \
        const struct stack s = {preset, NULL, 0};               \
        const list_case before = case_of(&s, &b);               \
        list_case after = before;                               \
        after.io.field = (value);                               \
        expect_change(tk, preset ": " #field, &before, &after); \
    } while (0)

TK_TEST(preference_list, every_option_and_array_matters)
{
    static batch b;
    fill(&b, 0);
    static const char *const modes[] = {"yojo", "op_gfn", "plackett_luce", "instruct_gpt", "real"};
    CHANGE("yojo", smoothing, 0.25f);
    CHANGE("op_gfn", smoothing, 0.25f);
    CHANGE("yojo", tau, 0.5f);
    CHANGE("op_gfn", tau, 0.5f);
    CHANGE("plackett_luce", tau, 0.5f);
    CHANGE("instruct_gpt", tau, 0.5f);
    CHANGE("real", tau, 1);
    CHANGE("yojo", center, MERIT_LIST_CENTER_LEAVE_ONE_OUT);
    CHANGE("plackett_luce", center, MERIT_LIST_CENTER_LEAVE_ONE_OUT);
    CHANGE("instruct_gpt", center, MERIT_LIST_CENTER_LEAVE_ONE_OUT);
    CHANGE("real", center, MERIT_LIST_CENTER_MEAN);
    CHANGE("pacs", center, MERIT_LIST_CENTER_MEAN);
    CHANGE("plackett_luce", top_k, 2);
    CHANGE("plackett_luce", inner, MERIT_LIST_INNER_MEAN);
    CHANGE("instruct_gpt", inner, MERIT_LIST_INNER_SUM);
    CHANGE("real", inner, MERIT_LIST_INNER_MEAN);
    CHANGE("instruct_gpt", link, MERIT_LINK_HINGE);
    CHANGE("instruct_gpt", link, MERIT_LINK_EXPONENTIAL);
    CHANGE("instruct_gpt", margin, 0.5f);
    CHANGE("real", anchored, MERIT_ANCHORED_PRODUCT);
    CHANGE("real", anchored, MERIT_ANCHORED_POINTWISE);
    CHANGE("real", require_both, 0);
    const float three = 3;
    float group_weight[GROUPS], damaged[GROUPS * MOST];
    uint8_t mask[GROUPS * MOST];
    for (int g = 0; g < GROUPS; g++) {
        group_weight[g] = 1 + 0.25f * (float)g;
    }
    memset(mask, 1, sizeof mask);
    for (int i = 0; i < GROUPS * MOST; i += 3) {
        mask[i] = 0;
    }
    memcpy(damaged, b.scores, sizeof damaged);
    for (int g = 0; g < GROUPS; g++) {
        damaged[b.offsets[g]] = INFINITY;
    }
    for (int k = 0; k < 5; k++) {
        const struct stack s = {modes[k], NULL, 0};
        const list_case before = case_of(&s, &b);
        list_case after = before;
        after.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
        expect_change(tk, "reduction", &before, &after);
        after = before, after.d.skip_invalid = 1;
        list_case odd = before;
        odd.scores = after.scores = damaged;
        expect_change(tk, "skip_invalid", &odd, &after);
        after = before, after.io.mask = mask;
        expect_change(tk, "mask", &before, &after);
        after = before, after.io.group_weight = group_weight;
        expect_change(tk, "group_weight", &before, &after);
        after = before, after.io.grad_scale = &three;
        expect_change(tk, "grad_scale", &before, &after);
    }
    batch other = b;
    for (int i = 0; i < GROUPS * MOST; i++) {
        other.weights[i] = (float)((i * 5) % 3), other.labels[i] = (float)((i * 5) % 7);
        other.signs[i] = (int8_t)(i % 2 * 2 - 1);
    }
    for (int g = 0; g < GROUPS; g++) {
        other.targets[g] = 0;
        for (int i = 0; i < b.lists[g].n; i++) {
            other.ranks[b.offsets[g] + i] = i;
        }
    }
    GIVE("yojo", target_index, other.targets);
    GIVE("op_gfn", weights, other.weights);
    GIVE("plackett_luce", ranks, other.ranks);
    GIVE("instruct_gpt", labels, other.labels);
    GIVE("real", signs, other.signs);
    // Modes and targets, with the arrays of the other one.
    for (int k = 0; k < 5; k++) {
        const struct stack s = {modes[k], NULL, 0}, t = {modes[(k + 1) % 5], NULL, 0};
        list_case before = case_of(&s, &b), after = case_of(&t, &b);
        before.d.reduction = after.d.reduction = MERIT_PREFERENCE_REDUCTION_SUM;
        expect_change(tk, "mode, target", &before, &after);
    }
    // Denominators, among them that of all groups.
    const struct stack s = {"yojo", NULL, 0};
    const double given = 5;
    const list_case before = case_of(&s, &b);
    list_case after = before;
    after.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS;
    expect_change(tk, "MEAN_GROUPS", &before, &after);
    after.d.reduction = MERIT_PREFERENCE_REDUCTION_GIVEN, after.io.denominator = &given;
    expect_change(tk, "denominator", &before, &after);
}
