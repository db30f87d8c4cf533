#include "dominance_preorder.h"

static merit_status read_matrix(merit_context *ctx, const uint8_t *above, int M, uint32_t *over)
{
    for (int m = 0; m < M; m++) {
        for (int k = 0; k < M; k++) {
            const uint8_t value = above[m * M + k];
            MERIT_REQUIRE(ctx, value <= 1, "above[%d][%d] is %d, expected 0 or 1", m, k, value);
            over[k] |= value ? 1u << m : 0;
        }
        MERIT_REQUIRE(ctx, above[m * M + m] == 0,
                      "above[%d][%d] is 1, expected no objective above itself", m, m);
    }
    for (int m = 0; m < M; m++) {
        for (int k = 0; k < M; k++) {
            if ((over[k] >> m & 1u) == 0) continue;
            MERIT_REQUIRE(ctx, (over[m] >> k & 1u) == 0,
                          "above[%d][%d] and above[%d][%d] are 1, expected no cycle", m, k, k, m);
            MERIT_REQUIRE(ctx, (over[m] & ~over[k]) == 0,
                          "above is not transitive: what is above %d is not all above %d, but "
                          "above[%d][%d] is 1",
                          m, k, m, k);
        }
    }
    return MERIT_STATUS_OK;
}

// Objectives that have the same above and below them.
static int are_equal(const uint32_t *over, int M, int m, int k)
{
    if (over[m] != over[k]) return 0;
    for (int j = 0; j < M; j++) {
        if ((over[j] >> m & 1u) != (over[j] >> k & 1u)) return 0;
    }
    return 1;
}

static void find_classes(const uint32_t *over, int M, merit_dominance_subset_args *args)
{
    int class_of[MERIT_DOMINANCE_MAX_OBJECTIVES];
    int level[MERIT_DOMINANCE_MAX_OBJECTIVES] = {0};
    uint32_t all_above[MERIT_DOMINANCE_MAX_OBJECTIVES] = {0}; // classes, directly or not
    int count = 0;
    for (int m = 0; m < M; m++) {
        class_of[m] = -1;
        for (int k = 0; k < m && class_of[m] < 0; k++) {
            if (are_equal(over, M, m, k)) class_of[m] = class_of[k];
        }
        if (class_of[m] < 0) class_of[m] = count++;
        args->classes[class_of[m]].objectives |= 1u << m;
    }
    for (int m = 0; m < M; m++) {
        for (int k = 0; k < M; k++) {
            if (over[m] >> k & 1u) all_above[class_of[m]] |= 1u << class_of[k];
        }
    }
    args->last = count == 32 ? 0xffffffffu : (1u << count) - 1;
    for (int i = 0; i < count; i++) {
        args->classes[i].above = all_above[i];
        for (int j = 0; j < count; j++) {
            if ((all_above[i] >> j & 1u) == 0) continue;
            args->classes[i].above &= ~all_above[j]; // not directly
            args->last &= ~(1u << j);
            level[i]++; // more lie above those below
        }
    }
    args->num_classes = count;
    int placed = 0;
    for (int at = 0; at < MERIT_DOMINANCE_MAX_OBJECTIVES; at++) {
        for (int i = 0; i < count; i++) {
            if (level[i] == at) args->order[placed++] = (uint8_t)i;
        }
    }
}

merit_status merit_dominance_read_preorder(merit_context *ctx, const merit_dominance_subset_desc *d,
                                           merit_dominance_subset_args *args)
{
    const int M = d->num_objectives;
    uint32_t *const over = args->strictly_above;
    MERIT_REQUIRE(ctx, d->rank == NULL || d->above == NULL,
                  "rank and above are both given, expected at most one");
    if (d->above != NULL) {
        MERIT_TRY(read_matrix(ctx, d->above, M, over));
    } else {
        for (int m = 0; m < M; m++) {
            for (int k = 0; k < M; k++) {
                const int before = d->rank == NULL ? k < m : d->rank[k] < d->rank[m];
                over[m] |= before ? 1u << k : 0;
            }
        }
    }
    find_classes(over, M, args);
    args->lowest_objectives = args->classes[args->order[args->num_classes - 1]].objectives;
    if (d->mode == MERIT_DOMINANCE_MODE_RULEBOOK) { // one relation over all objectives
        args->num_classes = 1;
        args->last = 1;
        args->order[0] = 0;
        args->classes[0].above = 0;
        args->classes[0].objectives = M == 32 ? 0xffffffffu : (1u << M) - 1;
    }
    return MERIT_STATUS_OK;
}
