// The second oracle of a golden case: the operation on the inputs of the case, its outputs held against
// the C oracle of the Criterion suites, within the bounds of those suites.
#ifndef MERIT_TESTS_GOLDEN_ORACLES_H
#define MERIT_TESTS_GOLDEN_ORACLES_H

#include "tk.h"

// desc and io in host memory. NULL: compared; else why not. The operation runs once more, on copies of
// the inputs, so this comes before the call of the case, which may write over some.
typedef const char *golden_check(tk_fixture *tk, const void *desc, const void *io);

golden_check golden_preference_pair, golden_preference_list, golden_preference_ordinal;
golden_check golden_advantage_group, golden_group_index;
golden_check golden_policy_loss, golden_policy_logprob_forward, golden_policy_logprob_backward;
golden_check golden_dominance_pairwise, golden_dominance_subset, golden_quantile_huber,
    golden_quantile_target, golden_quantile_sort;
golden_check golden_score_forward, golden_score_backward;

// These are called behind the call, with its outputs in io.
golden_check golden_advantage_spread, golden_policy_value_loss, golden_policy_count,
    golden_score_readout_forward, golden_score_readout_backward, golden_score_regression,
    golden_score_finish, golden_policy_logprob_merge;

// Whether a row of a readout is finite, with levels that are there and, unless they are sorted, rise.
bool golden_readout_applies(const merit_score_readout_desc *d, const int32_t *level_index,
                            const float *inputs, const float *gates);

// Elements of an array of F32, BF16 or F16 as floats without gaps, zeros for NULL; freed by the caller.
float *golden_floats(const void *array, int32_t dtype, const int64_t dims[4],
                     const int64_t strides[4]);
float *golden_rows(const void *array, int32_t dtype, int64_t rows, int64_t stride, int64_t columns);

// The same of I64 or I32; NULL gives NULL.
int64_t *golden_integers(const void *array, int32_t dtype, int64_t count);

#endif
