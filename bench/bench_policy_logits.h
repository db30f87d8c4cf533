// What the benches of policy_logprob and comm_policy_logprob share: logits, targets, and their reference in double.
#ifndef MERIT_BENCH_POLICY_LOGITS_H
#define MERIT_BENCH_POLICY_LOGITS_H

#include "accuracy.h"

enum { LOGITS_BF16 = 1, LOGITS_F32, LOGITS_F16 };

// What the logits of a row are: normal of deviation 3, the same but one of 100, below which the others vanish, or all 0.
enum { LOGITS_NORMAL = 1, LOGITS_PEAKED, LOGITS_FLAT };

typedef struct logits_shape {
    int64_t tokens, vocab;
    int dtype; // LOGITS_BF16 ...
    int kind; // LOGITS_NORMAL ...
    uint64_t seed;
} logits_shape;

size_t logits_bytes(const logits_shape *s);

// Logits of that kind, targets anywhere.
void logits_fill(const logits_shape *s, void *logits, int64_t *targets);

// Logit i of an array.
float logits_at(const logits_shape *s, const void *logits, int64_t i);

// lse and entropy of row t, by a pass for the maximum and one of exp in double.
void logits_reference(const logits_shape *s, const void *logits, int64_t t, double *lse,
                      double *entropy);

// Log-probabilities and, unless NULL, entropies of all rows against it, within the bounds of the header.
bool logits_check(const logits_shape *s, const void *logits, const int64_t *targets,
                  const float *logprob, const float *entropy, bench_error *error);

// The reference by expf: what the peers do.
void logits_naive(const logits_shape *s, const void *logits, int64_t t, float *lse, float *entropy);

#endif
