// What preference_list knows of a group: records without arithmetic, which the driver sizes too.
#ifndef MERIT_PREFERENCE_LIST_STATE_H
#define MERIT_PREFERENCE_LIST_STATE_H

#include <stdint.h>

typedef enum merit_list_refusal {
    MERIT_LIST_FINE = 0,
    MERIT_LIST_BAD_OFFSETS = 1,
    MERIT_LIST_TOO_LARGE = 2
} merit_list_refusal;

// Where a group lies. A refused group is NaN; its size is that of its known rows.
typedef struct merit_list_span {
    int64_t begin;
    int64_t size;
    int64_t gap; // rows behind a uniform group that belong to none
    int32_t refusal;
} merit_list_span;

// What decides whether a group has anything to take a loss of, item by item.
typedef struct merit_list_content {
    int64_t members;
    int64_t positives; // ANCHORED; else items that make a target
    int64_t negatives; // ANCHORED; else 0
    int32_t differs; // ALL_PAIRS: two labels differ
} merit_list_content;

// What a group holds: counts and ranges, which need no order.
typedef struct merit_list_shape {
    merit_list_content content;
    int64_t in_sets; // stages, or signed items
    int32_t saw;
    double s_min, s_max; // scores of members
    double key_min, key_max; // keys of members; PLACKETT_LUCE: of ranked ones
} merit_list_shape;

// How a group takes part.
typedef enum merit_list_fate {
    MERIT_LIST_ABSENT = 0, // group_weight 0: valid, not read
    MERIT_LIST_EMPTY = 1, // not valid
    MERIT_LIST_NAN = 2,
    MERIT_LIST_PRESENT = 3
} merit_list_fate;

// Of x (of a score, before it is settled): best and worst of the positives, best of the negatives.
typedef struct merit_list_extremes {
    double best_positive; // -inf without any
    double worst_positive; // inf
    double best_negative; // -inf
    int32_t found; // MERIT_LIST_POSITIVE, MERIT_LIST_NEGATIVE
} merit_list_extremes;

typedef struct merit_list_group {
    int64_t group;
    merit_list_span span;
    double weight;
    int64_t target;
    merit_list_shape shape;
    int32_t fate;
    int32_t settled; // items are x, no longer scores
    int32_t is_pair; // CROSS_ENTROPY over two members: the pair loss
    int64_t terms; // what inner MEAN divides by; 1 for SUM
    double mean; // of the scores
    double factor; // n / (n - 1), or 1
    double x_min, x_max;
    double sum_weight; // WEIGHTS
    double log_sum; // of exp(x - x_max)
    double sum_exp;
    double top_positive, sum_positive; // ANCHORED: of exp(-x - top) over the positive set
    double top_negative, sum_negative;
    double joint; // PRODUCT: s(A + B)
    double slope_mean; // of dx
    merit_list_extremes extremes;
    double loss;
} merit_list_group;

// What the metrics count in a group.
typedef struct merit_list_outcome {
    int64_t above; // negatives at or above the best positive
    int64_t concordant, discordant, tied; // ALL_PAIRS
} merit_list_outcome;

// A tile of a group of the split schedule. sums: what the phase adds up.
enum { MERIT_LIST_SPLIT_SUMS = 3 };

typedef struct merit_list_partial {
    merit_list_shape shape;
    merit_list_extremes extremes;
    double sums[MERIT_LIST_SPLIT_SUMS];
} merit_list_partial;

// A group of the split schedule, between its phases.
typedef struct merit_list_split {
    merit_list_group g;
    merit_list_outcome outcome;
    int64_t size; // of the group; with the next, never written again
    int64_t first_tile; // of its partials
    uint32_t done; // units of the phase that are finished
    uint32_t ready; // the phase that can begin
} merit_list_split;

// Phases of the split schedule; WRITE is part of TERMS where it need not wait for it.
enum {
    MERIT_LIST_PHASE_SHAPE = 0, // counts, ranges, sums of scores and weights
    MERIT_LIST_PHASE_SUMS = 1, // of exponentials; ALL_PAIRS: xs and keys
    MERIT_LIST_PHASE_TERMS = 2, // losses of items, mean slope; ALL_PAIRS: pairs
    MERIT_LIST_PHASE_WRITE = 3 // gradients
};

#endif
