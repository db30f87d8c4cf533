#include "ops.h"

#include <string.h>

extern const case_op case_advantage_group, case_group_index, case_advantage_spread,
    case_preference_pair, case_preference_list, case_preference_ordinal, case_dominance_pairwise,
    case_dominance_subset;

extern const case_op case_dominance_quantile_huber, case_dominance_quantile_target,
    case_dominance_quantile_sort;

extern const case_op case_policy_loss, case_policy_value_loss, case_policy_count;
extern const case_op case_score_forward, case_score_backward;
extern const case_op case_policy_logprob_forward, case_policy_logprob_backward,
    case_policy_logprob_merge;

extern const case_op case_score_finish, case_score_readout_forward, case_score_readout_backward,
    case_score_regression;

static const case_op *const ops[] = {
    &case_score_forward,
    &case_score_backward,
    &case_score_finish,
    &case_score_readout_forward,
    &case_score_readout_backward,
    &case_score_regression,
    &case_advantage_group,
    &case_group_index,
    &case_advantage_spread,
    &case_preference_pair,
    &case_preference_list,
    &case_preference_ordinal,
    &case_dominance_pairwise,
    &case_dominance_subset,
    &case_dominance_quantile_huber,
    &case_dominance_quantile_target,
    &case_dominance_quantile_sort,
    &case_policy_logprob_forward,
    &case_policy_logprob_backward,
    &case_policy_logprob_merge,
    &case_policy_loss,
    &case_policy_value_loss,
    &case_policy_count,
};

const case_op *case_op_at(int i)
{
    return i >= 0 && i < (int)(sizeof ops / sizeof ops[0]) ? ops[i] : NULL;
}

const case_op *case_op_by_name(const char *name)
{
    for (int i = 0; case_op_at(i) != NULL; i++) {
        if (strcmp(ops[i]->name, name) == 0) return ops[i];
    }
    return NULL;
}
