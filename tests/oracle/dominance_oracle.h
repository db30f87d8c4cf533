// Dominance in binary64, as the textbook writes it: loops over pairs and levels, nothing shared with the
// kernels. Values are dense [B,M,A,N], already rounded to their storage type.
#ifndef MERIT_TESTS_DOMINANCE_ORACLE_H
#define MERIT_TESTS_DOMINANCE_ORACLE_H

#include <merit/dominance.h>

// P, M, T of a over b; all NaN where the pair is undefined.
typedef struct dominance_oracle_pair {
    double gain, loss, tie;
} dominance_oracle_pair;

// Rows of `d` in the order of comparison (sorted if asked for), and what is wrong with them.
typedef struct dominance_oracle {
    merit_dominance_pairwise_desc d;
    double *levels; // [B,M,A,N]
    const float *weights; // NULL or [N] or [B,N] by d.weights_stride_state
    int *unknown; // [B,M,A]: a NaN, or a row that should rise and does not
    int *bad_weights; // [B]
    uint64_t unsorted, bad_weight; // counters
} dominance_oracle;

dominance_oracle *dominance_oracle_new(const merit_dominance_pairwise_desc *d, const double *q,
                                       const float *weights);
void dominance_oracle_free(dominance_oracle *o);

dominance_oracle_pair dominance_oracle_compare(const dominance_oracle *o, int64_t b, int m, int a1,
                                               int a2);
double dominance_oracle_qd(const dominance_oracle *o, dominance_oracle_pair p);

// a >_theta b. *near: too close to call for binary32 sums (the caller skips the pair).
int dominance_oracle_beats(const dominance_oracle *o, dominance_oracle_pair p, double theta,
                           double eta, int *near);

#endif
