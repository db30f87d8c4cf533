// Scores by the textbook: find the token, multiply, add, all in long double.
#ifndef MERIT_TESTS_SCORE_ORACLE_H
#define MERIT_TESTS_SCORE_ORACLE_H

#include <merit/score.h>

// Rows of hidden in the order b T + t, heads without gaps, all widened.
typedef struct score_oracle_arrays {
    const double *hidden; // [tokens,H]
    const double *weight; // [K,H]
    const double *grad_scores; // [P,K] or [P], backward
    const uint8_t *label_mask; // [P,K] or [P], NULL, backward
    const double *old_weight, *old_bias; // [K,H], [K]: what accumulate adds to
} score_oracle_arrays;

typedef struct score_oracle {
    int64_t P, C; // positions, columns of scores
    int64_t *positions; // [P] row or merit_position_kind
    double *scores; // [P,C]
    double *size; // [P,C] sum of abs(weight * hidden) / abs(std): error bounds scale with it
    double *grad_hidden; // [P,H] or, DENSE, [tokens,H]
    double *grad_hidden_size;
    double *grad_weight, *grad_weight_size; // [K,H]
    double *grad_bias, *grad_bias_size; // [K]
    double counters[MERIT_NUM_COUNTERS];
} score_oracle;

// io holds host arrays; hidden, weight and outputs of it are not looked at.
score_oracle *score_oracle_forward(const merit_score_desc *d, const merit_score_forward_io *io,
                                   const score_oracle_arrays *a);
// io: post_std, route and what finds positions.
score_oracle *score_oracle_backward(const merit_score_desc *d, const merit_score_forward_io *io,
                                    const score_oracle_arrays *a);
void score_oracle_free(score_oracle *o);

#endif
