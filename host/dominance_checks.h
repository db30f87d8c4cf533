// What the drivers of the dominance family share: the options of a comparison, sizes, scratch.
#ifndef MERIT_DOMINANCE_CHECKS_H
#define MERIT_DOMINANCE_CHECKS_H

#include "../kernels/dominance/dominance_scratch.h"
#include "check.h"

// Checks the sizes, strides and options of a comparison and fills *c but q, weights, diagnostics.
merit_status merit_dominance_read(merit_context *ctx, const merit_dominance_pairwise_desc *d,
                                  merit_dominance_compare *c);

// Sizes and strides alone: strides of 0 are replaced. span: elements from the first to the last, 0 if
// there are none.
merit_status merit_dominance_check_sizes(merit_context *ctx, merit_dominance_pairwise_desc *d,
                                         int64_t *span);

// Adds the arrays of the call. unit comes from whether there are weights.
void merit_dominance_bind(merit_dominance_compare *c, const void *q, const float *weights,
                          merit_diagnostics *diagnostics);

// Options that weights go with.
merit_status merit_dominance_check_weights(merit_context *ctx, const merit_dominance_compare *c,
                                           const float *weights);

int64_t merit_dominance_weights_count(const merit_dominance_compare *c);

// Lays out num_slots slots of rows_per_slot rows and columns_per_slot floats of columns. with_sums: on a
// device, too.
void merit_dominance_layout(merit_layout *layout, const merit_dominance_compare *c, int on_device,
                            int with_sums, merit_dominance_scratch *s);

// A product of sizes, -1 beyond 2^60.
int64_t merit_dominance_product(int64_t a, int64_t b, int64_t c);

#endif
