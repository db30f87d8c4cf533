// What the operations on preferences share.
#ifndef MERIT_PREFERENCE_TYPES_H
#define MERIT_PREFERENCE_TYPES_H

#include "context.h"

// What the loss is divided by. An operation names those that it takes.
typedef enum merit_preference_reduction {
    MERIT_PREFERENCE_REDUCTION_SUM = 0, // 1
    MERIT_PREFERENCE_REDUCTION_MEAN_VALID = 1, // valid pairs; groups that contributed
    MERIT_PREFERENCE_REDUCTION_MEAN_WEIGHT = 2, // sum of the weights of the valid pairs
    MERIT_PREFERENCE_REDUCTION_GIVEN = 3, // the caller's denominator: that of a larger batch
    MERIT_PREFERENCE_REDUCTION_MEAN_GROUPS = 4 // all groups of the call
} merit_preference_reduction;

// phi(z), sp(x) = log(1 + e^x), s(x) = 1 / (1 + e^-x).
typedef enum merit_link {
    MERIT_LINK_LOGISTIC = 0, // sp(-z)
    MERIT_LINK_HINGE = 1, // max(0, 1 - z); gradient 0 at z = 1
    MERIT_LINK_SQUARED = 2, // z^2  (IPO, SPPO)
    MERIT_LINK_EXPONENTIAL = 3, // exp(-z)
    MERIT_LINK_SIGMOID = 4, // s(-z)  (APO, KTO)
    MERIT_LINK_EXO = 5, // KL of (s(z), s(-z)) from (1 - e, e), e = link_param
    MERIT_LINK_DISCOPOP = 6 // u = s(z / T): (1 - u) sp(-z) + u exp(-z), T = link_param
} merit_link;

#endif
