// What the operations on descriptor merit_score_desc reject, and what they share besides.
#ifndef MERIT_SCORE_CHECKS_H
#define MERIT_SCORE_CHECKS_H

#include <merit/score.h>

#include "../kernels/score/score_position.h"
#include "check.h"

extern const merit_score_desc merit_score_defaults;

// The arrays that rules of positions read.
typedef struct merit_score_index_arrays {
    const int32_t *route;
    const int32_t *lengths;
    const uint8_t *mask;
    const void *cu_seqlens;
    const void *ids;
    const void *positions;
    const int64_t *position_offsets;
} merit_score_index_arrays;

// Those of an io of either pass.
#define MERIT_SCORE_INDEX_ARRAYS(io)                            \
    ((merit_score_index_arrays){.route = (io)->route,           \
                                .lengths = (io)->lengths,       \
                                .mask = (io)->mask,             \
                                .cu_seqlens = (io)->cu_seqlens, \
                                .ids = (io)->ids,               \
                                .positions = (io)->positions,   \
                                .position_offsets = (io)->position_offsets})

// Reads a descriptor and checks it alone; strides of 0 become dense ones. Fills the sizes of *find.
merit_status merit_score_read_desc(merit_context *ctx, const merit_score_desc *desc,
                                   merit_score_desc *d, merit_score_finder *find);

// Arrays that the rule needs or does not use. Fills the arrays of *find.
merit_status merit_score_check_index_arrays(merit_context *ctx, const merit_score_desc *d,
                                            const merit_score_index_arrays *arrays,
                                            merit_score_finder *find);

enum { MERIT_SCORE_INDEX_REGIONS = 7 };

// Regions of those arrays, for the overlap check, and of what both passes read besides.
void merit_score_index_regions(const merit_score_desc *d, const merit_score_finder *find,
                               const merit_score_index_arrays *arrays, merit_region *regions);
merit_region merit_score_hidden_region(const merit_score_desc *d, const merit_score_finder *find,
                                       const void *hidden);
merit_region merit_score_weight_region(const merit_score_desc *d, const void *weight);
size_t merit_score_hidden_bytes(const merit_score_desc *d, const merit_score_finder *find,
                                int64_t row_stride, int64_t stride);
size_t merit_score_rows_bytes(int64_t rows, int64_t stride, int64_t columns, size_t element);

// Whether each row of hidden or weight starts at a multiple of 16 bytes.
int merit_score_is_aligned(const void *array, int64_t stride, int32_t dtype);

#endif
