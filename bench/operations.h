// The operations of the bench, one line each; merit_bench.c has their order in the report.
#ifndef MERIT_BENCH_OPERATIONS_H
#define MERIT_BENCH_OPERATIONS_H

#include "bench.h"

extern const bench_op bench_advantage_group;
extern const bench_op bench_advantage_spread;
extern const bench_op bench_group_index;
extern const bench_op bench_comm_fold_moments;
extern const bench_op bench_comm_fold_sums;
extern const bench_op bench_comm_fold_stats;
extern const bench_op bench_comm_gather_rows;
extern const bench_op bench_comm_policy_logprob;
extern const bench_op bench_comm_score;
extern const bench_op bench_comm_score_gradients;
extern const bench_op bench_preference_list;
extern const bench_op bench_preference_ordinal;
extern const bench_op bench_dominance_pairwise;
extern const bench_op bench_dominance_subset;
extern const bench_op bench_dominance_quantile_huber;
extern const bench_op bench_dominance_quantile_target;
extern const bench_op bench_dominance_quantile_sort;
extern const bench_op bench_policy_logprob_backward;
extern const bench_op bench_policy_logprob_forward;
extern const bench_op bench_policy_loss;
extern const bench_op bench_policy_value_loss;
extern const bench_op bench_policy_logprob_merge;
extern const bench_op bench_policy_count;
extern const bench_op bench_preference_pair;
extern const bench_op bench_score_backward;
extern const bench_op bench_score_finish;
extern const bench_op bench_score_forward;
extern const bench_op bench_score_readout_backward;
extern const bench_op bench_score_readout_forward;
extern const bench_op bench_score_regression;

#endif
