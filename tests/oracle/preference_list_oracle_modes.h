// The losses of preference_list_oracle.c, of one group.
#ifndef MERIT_TESTS_PREFERENCE_LIST_ORACLE_MODES_H
#define MERIT_TESTS_PREFERENCE_LIST_ORACLE_MODES_H

#include <merit/merit.h>

typedef long double real;

// One group, items in the order of the group.
typedef struct group_set {
    int64_t n; // items
    int64_t m; // members
    int64_t *row; // [n]
    int *member; // [n]
    real *s, *x, *dx; // [n]
    double *key; // [n] weight, rank, label or sign
    int64_t target;
} group_set;

// Log-sum-exp of sign * x over the items whose `in` is set, with `anchor` for a further 0.
real list_oracle_log_sum_exp(const group_set *g, const int *in, real sign, int anchor);

int list_oracle_is_stage(const merit_preference_list_desc *d, double rank);

// Each adds to g->dx and returns the loss; counts: concordant, discordant, tied.
real list_oracle_cross_entropy(const merit_preference_list_desc *d, group_set *g);
real list_oracle_plackett_luce(const merit_preference_list_desc *d, group_set *g);
real list_oracle_all_pairs(const merit_preference_list_desc *d, group_set *g, int64_t counts[3]);
real list_oracle_anchored(const merit_preference_list_desc *d, group_set *g);

#endif
