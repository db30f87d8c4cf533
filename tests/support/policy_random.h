// Random calls of policy_loss: tokens, sequences and options.
#ifndef MERIT_TESTS_POLICY_RANDOM_H
#define MERIT_TESTS_POLICY_RANDOM_H

#include "policy_case.h"

// Arrays of a random case. Log-ratios stay within about 1, now and then within 12.
typedef struct policy_random {
    float *logprob, *old, *ref, *rollout, *entropy, *weight, *advantages, *sequence_weight;
    uint8_t *mask, *mode;
    int64_t *offsets;
    double denominator;
} policy_random;

// Sequences of random lengths up to max_length (0 among them), packed or padded, one of three masked in
// part; every array, random options.
policy_case plr_case(tk_random *random, policy_random *arrays, int64_t sequences,
                     int64_t max_length);
void plr_options(tk_random *random, policy_case *c);
void plr_free(policy_random *arrays);

#endif
