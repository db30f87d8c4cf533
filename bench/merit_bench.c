// merit_bench: the operations of merit, checked and timed. bench/README.md defines every number.
#include "operations.h"
#include "program.h"

static const bench_op *const ops[] = {
    &bench_score_forward,
    &bench_score_backward,
    &bench_score_finish,
    &bench_score_readout_forward,
    &bench_score_readout_backward,
    &bench_score_regression,
    &bench_advantage_group,
    &bench_advantage_spread,
    &bench_group_index,
    &bench_preference_pair,
    &bench_preference_list,
    &bench_preference_ordinal,
    &bench_dominance_pairwise,
    &bench_dominance_subset,
    &bench_dominance_quantile_huber,
    &bench_dominance_quantile_target,
    &bench_dominance_quantile_sort,
    &bench_policy_logprob_forward,
    &bench_policy_logprob_backward,
    &bench_policy_logprob_merge,
    &bench_policy_loss,
    &bench_policy_value_loss,
    &bench_policy_count,
    &bench_comm_fold_moments,
    &bench_comm_fold_sums,
    &bench_comm_fold_stats,
    &bench_comm_gather_rows,
    &bench_comm_policy_logprob,
    &bench_comm_score,
    &bench_comm_score_gradients,
    NULL,
};

int main(int argc, char **argv)
{
    return bench_main(ops, argc, argv);
}
