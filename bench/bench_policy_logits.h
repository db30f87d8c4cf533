// What the two points of policy_logprob share: logits, targets, and their reference in double.
#ifndef MERIT_BENCH_POLICY_LOGITS_H
#define MERIT_BENCH_POLICY_LOGITS_H

#include "bench.h"

enum { LOGITS_BF16 = 1, LOGITS_F32, LOGITS_F16 };

typedef struct logits_shape {
    int64_t tokens, vocab;
    int dtype; // LOGITS_BF16 ...
    uint64_t seed;
} logits_shape;

size_t logits_bytes(const logits_shape *s);

// Normal logits of deviation 3, targets anywhere.
void logits_fill(const logits_shape *s, void *logits, int64_t *targets);

// Logit i of an array.
float logits_at(const logits_shape *s, const void *logits, int64_t i);

// lse and entropy of row t, by a pass for the maximum and one of exp in double.
void logits_reference(const logits_shape *s, const void *logits, int64_t t, double *lse,
                      double *entropy);

// The same by expf: what the peers do.
void logits_naive(const logits_shape *s, const void *logits, int64_t t, float *lse, float *entropy);

#endif
