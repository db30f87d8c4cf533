// policy_loss in long double, from its textbook formulas. Shares nothing with the library but its types.
#ifndef MERIT_TESTS_POLICY_LOSS_ORACLE_H
#define MERIT_TESTS_POLICY_LOSS_ORACLE_H

#include <merit/policy_loss.h>

enum { PLO_TILE = 2048, PLO_SUMS = 8 };

// A value and by how much binary32 arithmetic on the way may miss it.
typedef struct plo_number {
    long double value;
    long double noise;
} plo_number;

// The sums of merit_policy_stats, in its order from policy_loss on.
typedef struct plo_stats {
    long long tokens, sequences, nonempty_sequences, clipped_low, clipped_high, capped,
        dual_clipped, log_clamped, divergence_masked, mismatch_truncated, mismatch_masked,
        rejected_tokens, rejected_sequences, nan_tokens;
    plo_number policy_loss, kl_loss, entropy_loss, sum_ratio, sum_ratio_squared, sum_k1, sum_k3,
        sum_kl_ref, sum_entropy, sum_mismatch, sum_abs_logprob_gap;
    plo_number ratio_min, ratio_max, mismatch_min, mismatch_max;
} plo_stats;

typedef struct policy_loss_oracle {
    int64_t num_tokens, num_tiles;
    plo_number loss;
    plo_number *tiles; // [ceil(B/2048)]
    plo_number *grad, *grad_entropy, *token_loss; // [T]
    int *valid; // [T] 1; 0 masked or in no sequence; -1 in a refused sequence
    plo_stats stats;
    long long bad_offsets, too_large;
} policy_loss_oracle;

policy_loss_oracle *policy_loss_oracle_run(const merit_policy_loss_desc *d,
                                           const merit_policy_loss_io *io);
void policy_loss_oracle_free(policy_loss_oracle *o);

// The loss when lp moves away from io->logprob while all that is detached stays: for differences.
long double policy_loss_oracle_at(const merit_policy_loss_desc *d, const merit_policy_loss_io *io,
                                  const double *lp);

#endif
