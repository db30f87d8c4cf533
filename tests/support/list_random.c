#include "list_random.h"

#include <stdlib.h>

list_random list_random_make(const int64_t *sizes, int64_t N, uint64_t seed)
{
    tk_random random = {seed};
    list_random l = {.N = N};
    l.offsets = calloc((size_t)N + 1, sizeof *l.offsets);
    for (int64_t n = 0; n < N; n++) {
        l.offsets[n + 1] = l.offsets[n] + sizes[n];
    }
    l.R = l.offsets[N];
    const size_t R = (size_t)l.R + 1;
    l.index = calloc(R, sizeof *l.index), l.ranks = calloc(R, sizeof *l.ranks);
    l.targets = calloc((size_t)N + 1, sizeof *l.targets);
    l.scores = calloc(R, sizeof *l.scores), l.weights = calloc(R, sizeof *l.weights);
    l.labels = calloc(R, sizeof *l.labels), l.signs = calloc(R, sizeof *l.signs);
    l.group_weight = calloc((size_t)N + 1, sizeof *l.group_weight);
    l.mask = calloc(R, sizeof *l.mask);
    for (int64_t i = 0; i < l.R; i++) {
        l.scores[i] = (float)(tk_normal(&random) * 1.5);
        if (tk_chance(&random, 0.1)) l.scores[i] = 0.5f; // ties
        l.weights[i] = tk_chance(&random, 0.5) ? 0 : (float)tk_uniform(&random);
        l.labels[i] = (float)tk_below(&random, 5);
        l.ranks[i] = (int32_t)tk_below(&random, 40) - 1;
        l.signs[i] = (int8_t)(tk_below(&random, 3) - 1);
        l.mask[i] = tk_chance(&random, 0.85);
        l.index[i] = (int32_t)i;
    }
    for (int64_t i = l.R - 1; i > 0; i--) {
        const int64_t j = tk_below(&random, i + 1);
        const int32_t other = l.index[i];
        l.index[i] = l.index[j], l.index[j] = other;
    }
    for (int64_t n = 0; n < N; n++) {
        l.targets[n] = sizes[n] == 0 ? -1 : (int32_t)tk_below(&random, sizes[n]);
        l.group_weight[n] = (float)(0.25 + tk_uniform(&random));
    }
    return l;
}

void list_random_free(list_random *l)
{
    free(l->offsets), free(l->index), free(l->ranks), free(l->targets);
    free(l->scores), free(l->weights), free(l->labels), free(l->signs);
    free(l->group_weight), free(l->mask);
}

list_case list_random_case(const list_random *l, const char *preset)
{
    list_case c = list_one(preset, l->scores, 1);
    c.d.groups.num_groups = l->N;
    c.d.groups.group_size = 0;
    c.d.groups.offsets = l->offsets;
    c.d.num_items = l->R;
    if (!(c.d.tau > 0)) c.d.tau = 0.75f;
    c.d.reduction = MERIT_PREFERENCE_REDUCTION_MEAN_VALID;
    const int weights = c.d.target == MERIT_LIST_TARGET_WEIGHTS;
    if (c.d.mode == MERIT_LIST_MODE_CROSS_ENTROPY) {
        c.io.weights = weights ? l->weights : NULL;
        c.io.target_index = weights ? NULL : l->targets;
    }
    if (c.d.mode == MERIT_LIST_MODE_PLACKETT_LUCE) c.io.ranks = l->ranks;
    if (c.d.mode == MERIT_LIST_MODE_ALL_PAIRS) c.io.labels = l->labels;
    if (c.d.mode == MERIT_LIST_MODE_ANCHORED) c.io.signs = l->signs;
    return c;
}

list_targets list_targets_make(uint64_t seed)
{
    tk_random random = {seed};
    list_targets t;
    for (int i = 0; i < 256; i++) {
        t.ranks[i] = (int32_t)tk_below(&random, 9) - 1;
        t.weights[i] = (float)tk_below(&random, 3);
        t.labels[i] = (float)tk_below(&random, 4);
        t.signs[i] = (int8_t)(tk_below(&random, 3) - 1);
    }
    t.ranks[0] = 0, t.weights[0] = 1, t.signs[0] = 1, t.signs[1] = -1;
    t.labels[0] = 5;
    for (int i = 0; i < 64; i++) {
        t.index[i] = i % 2;
    }
    return t;
}

void list_targets_set(list_case *c, const list_targets *t)
{
    const int weights = c->d.target == MERIT_LIST_TARGET_WEIGHTS;
    const int cross_entropy = c->d.mode == MERIT_LIST_MODE_CROSS_ENTROPY;
    c->io.target_index = cross_entropy && !weights ? t->index : NULL;
    c->io.weights = cross_entropy && weights ? t->weights : NULL;
    c->io.ranks = c->d.mode == MERIT_LIST_MODE_PLACKETT_LUCE ? t->ranks : NULL;
    c->io.labels = c->d.mode == MERIT_LIST_MODE_ALL_PAIRS ? t->labels : NULL;
    c->io.signs = c->d.mode == MERIT_LIST_MODE_ANCHORED ? t->signs : NULL;
    if (!(c->d.tau > 0)) c->d.tau = 1;
}

const char *const list_modes[LIST_NUM_MODES] = {
    "yojo", "op_gfn", "plackett_luce", "instruct_gpt", "real.product", "real", "real.bce", "pacs"};
