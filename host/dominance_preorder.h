// The ranking of objectives as classes in the order in which they are settled.
#ifndef MERIT_DOMINANCE_PREORDER_H
#define MERIT_DOMINANCE_PREORDER_H

#include "../kernels/dominance/dominance_subset_args.h"
#include "check.h"

// From rank, above, or neither; fills strictly_above, classes, order, num_classes and last. The sizes
// have been checked.
merit_status merit_dominance_read_preorder(merit_context *ctx, const merit_dominance_subset_desc *d,
                                           merit_dominance_subset_args *args);

#endif
