// Policy optimization: log-probabilities of tokens with their gradients.
#ifndef MERIT_POLICY_H
#define MERIT_POLICY_H

#include "policy_logprob.h"

#endif
