// policy_count: arguments.
#ifndef MERIT_POLICY_COUNT_H
#define MERIT_POLICY_COUNT_H

#include <merit/policy_loss.h>

#include "policy_sequences.h"

enum {
    MERIT_POLICY_COUNT_TICKET_DONE = 0,
    MERIT_POLICY_COUNT_TICKET_TOKENS = 2, // two words each
    MERIT_POLICY_COUNT_TICKET_NONEMPTY = 4,
    MERIT_POLICY_COUNT_TICKET_WORDS = 64
};

typedef struct merit_policy_count_args {
    merit_policy_count_desc d;
    merit_policy_count_io io;
    merit_policy_layout layout;
    int64_t num_sequences;
    // workspace
    uint32_t *tickets; // [MERIT_POLICY_COUNT_TICKET_WORDS], left at zero by every call
} merit_policy_count_args;

#endif
