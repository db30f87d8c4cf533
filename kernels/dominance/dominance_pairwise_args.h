// Arguments of the launchers of dominance_pairwise.
#ifndef MERIT_DOMINANCE_PAIRWISE_ARGS_H
#define MERIT_DOMINANCE_PAIRWISE_ARGS_H

#include "dominance_scratch.h"

typedef struct merit_dominance_pairwise_args {
    merit_dominance_compare c;
    float *qd, *gain; // [B,M,A,A] or NULL
    merit_dominance_scratch scratch;
} merit_dominance_pairwise_args;

#endif
